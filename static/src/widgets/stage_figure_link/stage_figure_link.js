import { Component } from "@odoo/owl";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { standardWidgetProps } from "@web/views/widgets/standard_widget_props";

/**
 * Leads from a figure on the form of a stage to what it counts. Odoo's buttons save the form first, also what
 * somebody only tries out there: with such changes, it opens in a window of its own.
 */
export class StageFigureLink extends Component {
    static template = "crm_sales_stage.StageFigureLink";
    static props = { ...standardWidgetProps, method: String, string: String };

    setup() {
        this.action = useService("action");
        this.orm = useService("orm");
    }

    async open() {
        const { method, record } = this.props;
        const newWindow = await record.isDirty();
        const action = await this.orm.call(record.resModel, method, [[record.resId]]);
        await this.action.doAction(action, { newWindow });
    }
}

registry.category("view_widgets").add("crm_stage_figure_link", {
    component: StageFigureLink,
    extractProps: ({ attrs: { method, string } }) => ({ method, string }),
});
