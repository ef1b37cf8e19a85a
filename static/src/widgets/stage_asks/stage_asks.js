import { askOnArrival } from "@crm_sales_stage/components/arrival_dialog/ask_on_arrival";
import { Component, useRef } from "@odoo/owl";
import { registry } from "@web/core/registry";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";

/** Shows on an opportunity's form what its stage requires, and which of the fields it asks for are empty. */
export class StageAsks extends Component {
    static template = "crm_sales_stage.StageAsks";
    static props = { ...standardWidgetProps };

    setup() {
        this.root = useRef("root");
    }

    /** Fields that were empty when the form was loaded, without those that are filled in by now. */
    get missing() {
        const { data } = this.props.record;
        return (data.missing_fields || []).filter(({ name }) => {
            const value = data[name];
            return !(value?.currentIds ? value.currentIds.length : value);
        });
    }

    /** Goes to a field on the form; what the form, or its open page, does not have is asked for in a dialog. */
    async fillIn(name) {
        const form = this.root.el.closest(".o_form_renderer");
        const input = form.querySelector(`.o_field_widget[name="${name}"] :is(input, textarea)`);
        if (input) {
            input.focus();
            return;
        }
        const { record } = this.props;
        const stage = { id: record.data.stage_id.id, asks_for_fields: true };
        if ((await record.save()) !== false && (await askOnArrival(this.env.services, stage, [record]))) {
            await record.load();
        }
    }
}

registry.category("view_widgets").add("crm_stage_asks", {
    component: StageAsks,
    fieldDependencies: [
        { name: "stage_requirements", type: "text" },
        { name: "missing_fields", type: "json" },
    ],
});
