import { Component } from "@odoo/owl";
import { Dialog } from "@web/core/dialog/dialog";
import { deserializeDateTime, formatDate } from "@web/core/l10n/dates";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";

const AUTOMATION = "crm.stage.automation";
// Reasons of automations that lead elsewhere: they are shown on demand only
const ELSEWHERE = ["closed", "idle", "stage"];
// Reasons for which applying the automation moves the opportunity
const MOVABLE = ["before", "moves"];

/** Why an opportunity is in its stage, and for each automation why it has not taken it further. */
class StageExplanationDialog extends Component {
    static template = "crm_sales_stage.StageExplanationDialog";
    static components = { Dialog };
    static props = ["close", "explanation", "leadId"];

    setup() {
        const { automations, stays } = this.props.explanation;
        this.stays = stays.map((stay) => ({ ...stay, time: this.getTime(stay) })).reverse();
        this.automations = automations.filter(({ reason }) => !ELSEWHERE.includes(reason));
        this.others = automations.filter(({ reason }) => ELSEWHERE.includes(reason));
    }

    getTime({ entered, left }) {
        const since = deserializeDateTime(entered);
        const until = left ? deserializeDateTime(left) : luxon.DateTime.now();
        const days = Math.floor(until.diff(since, "days").days);
        // Terms within a template literal are not exported for translation.
        const short = days < 1 ? _t("less than a day") : _t("one day");
        const duration = days > 1 ? _t("%s days", days) : short;
        return `${formatDate(since)} · ${duration}`;
    }

    canMove({ reason }) {
        return this.props.explanation.can_move && MOVABLE.includes(reason);
    }

    async open(resModel, resId) {
        this.props.close();
        await this.env.services.action.doAction({
            type: "ir.actions.act_window",
            res_model: resModel,
            res_id: resId,
            views: [[false, "form"]],
        });
    }

    openAutomation({ id }) {
        return this.open(AUTOMATION, id);
    }

    async move({ id }) {
        const { action, orm } = this.env.services;
        const done = await orm.call(AUTOMATION, "action_catch_up", [[id], [this.props.leadId]]);
        this.props.close();
        await action.doAction(done);
        await action.doAction("soft_reload");
    }
}

registry.category("actions").add("crm_sales_stage_explanation", async ({ services }, { context }) => {
    const leadId = context.active_id;
    const explanation = await services.orm.call("crm.lead", "get_stage_explanation", [[leadId]]);
    services.dialog.add(StageExplanationDialog, { explanation, leadId });
});
