import { askForMissing } from "@crm_sales_stage/components/arrival_dialog/arrival_dialog";
import { Component, useEffect, useRef, useState } from "@odoo/owl";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";

const FOCUSABLE = "input, textarea, select, [contenteditable=true], button, a, [tabindex]";

/** Tells on an opportunity's form what its stage requires, and which of the fields it asks for are empty. */
export class StageAsks extends Component {
    static template = "crm_sales_stage.StageAsks";
    static props = { ...standardWidgetProps };

    setup() {
        this.dialog = useService("dialog");
        this.orm = useService("orm");
        this.state = useState({ isOpen: false, isFolding: false });
        this.root = useRef("root");
        const text = useRef("text");
        useEffect(
            (el, isOpen) => {
                if (el && !isOpen) {
                    this.state.isFolding = el.scrollHeight > el.clientHeight + 1;
                }
            },
            () => [text.el, this.state.isOpen, this.requirements]
        );
    }

    get requirements() {
        return this.props.record.data.stage_requirements || "";
    }

    /** Fields that were empty when the form was loaded, without those that are filled in by now. */
    get missing() {
        const { data } = this.props.record;
        return (data.missing_fields || []).filter(({ name }) => {
            const value = data[name];
            return !(value?.currentIds ? value.currentIds.length : value);
        });
    }

    /** Goes to a field on the form, on whichever page it is; what the form does not have is asked for. */
    async fillIn(name) {
        const form = this.root.el.closest(".o_form_view, .modal") || document.body;
        const find = () => form.querySelector(`.o_field_widget[name="${name}"]`);
        const tabs = [...form.querySelectorAll(".o_notebook .nav-link:not(.active)")];
        while (!find() && tabs.length) {
            tabs.shift().click();
            // The page is drawn in the first frame after this one.
            await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        }
        const field = find();
        if (field) {
            field.scrollIntoView({ block: "center" });
            (field.querySelector(FOCUSABLE) || field).focus();
        } else {
            await this.openDialog();
        }
    }

    async openDialog() {
        const { record } = this.props;
        if ((await record.save()) === false) {
            return;
        }
        const { name, stage_id } = record.data;
        if (await askForMissing(this, stage_id.id, record.resId, name)) {
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
