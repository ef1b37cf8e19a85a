import { Component, onWillStart } from "@odoo/owl";
import { Dialog } from "@web/core/dialog/dialog";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";

/** Examples of automations; one that is chosen opens as a form that is filled in, to be saved or changed. */
export class AutomationExamplesDialog extends Component {
    static template = "crm_sales_stage.AutomationExamplesDialog";
    static components = { Dialog };
    static props = { close: Function };

    setup() {
        this.action = useService("action");
        this.orm = useService("orm");
        onWillStart(async () => {
            this.examples = await this.orm.call("crm.stage.automation", "get_examples");
        });
    }

    async choose(example) {
        this.props.close();
        await this.action.doAction({
            type: "ir.actions.act_window",
            name: _t("New Automation"),
            res_model: "crm.stage.automation",
            views: [[false, "form"]],
            context: example.context,
        });
    }
}

registry.category("actions").add("crm_sales_stage_automation_examples", (env) => {
    env.services.dialog.add(AutomationExamplesDialog);
});
