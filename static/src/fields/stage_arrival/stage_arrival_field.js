import { Component } from "@odoo/owl";
import { registry } from "@web/core/registry";
import { standardFieldProps } from "@web/views/fields/standard_field_props";

/** What a stage does when an opportunity comes into it, as small icons that say what it is. */
export class StageArrivalField extends Component {
    static template = "crm_sales_stage.StageArrivalField";
    static props = { ...standardFieldProps };
}

registry.category("fields").add("crm_sales_stage_arrival", {
    component: StageArrivalField,
    supportedTypes: ["json"],
});
