import { registry } from "@web/core/registry";
import { SelectionField, selectionField } from "@web/views/fields/selection/selection_field";

/** What moves an opportunity, in groups: quotations, meetings, … */
class TriggerField extends SelectionField {
    static template = "crm_sales_stage.TriggerField";

    get groups() {
        return this.props.record.data.trigger_groups.map(({ label, triggers }) => ({
            label,
            choices: this.choices.filter(({ value }) => triggers.includes(value)),
        }));
    }
}

registry.category("fields").add("crm_stage_trigger", {
    ...selectionField,
    component: TriggerField,
    fieldDependencies: [{ name: "trigger_groups", type: "json", readonly: true }],
});
