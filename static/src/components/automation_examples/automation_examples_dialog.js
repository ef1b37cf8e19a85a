import { Component } from "@odoo/owl";
import { Dialog } from "@web/core/dialog/dialog";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";

/** Examples of automations; one that is chosen opens as a form that is filled in, to be saved or changed. */
class AutomationExamplesDialog extends Component {
    static template = "crm_sales_stage.AutomationExamplesDialog";
    static components = { Dialog };
    static props = ["close", "examples"];

    async choose({ context }) {
        this.props.close();
        await this.env.services.action.doAction({
            type: "ir.actions.act_window",
            name: _t("New Automation"),
            res_model: "crm.stage.automation",
            views: [[false, "form"]],
            context,
        });
    }
}

registry.category("actions").add("crm_sales_stage_automation_examples", async ({ services }) => {
    const examples = await services.orm.call("crm.stage.automation", "get_examples");
    services.dialog.add(AutomationExamplesDialog, { examples });
});
