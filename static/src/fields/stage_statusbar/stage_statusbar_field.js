import { askLostReason, askOutcome } from "@crm_sales_stage/components/outcome_dialog/outcome_dialog";
import {
    RottingStatusBarDurationField,
    rottingStatusBarDurationField,
} from "@mail/js/rotting_mixin/rotting_statusbar";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";

export class StageStatusBarField extends RottingStatusBarDurationField {
    setup() {
        super.setup();
        this.action = useService("action");
        this.dialog = useService("dialog");
        this.orm = useService("orm");
    }

    /**
     * Said in full, so that Odoo adds the opportunity's own stage even when that one is archived.
     *
     * @override
     */
    getDomain() {
        return [["active", "=", true]];
    }

    /**
     * A stage that means "won or lost" asks which; nothing is written before the answer.
     *
     * @override
     */
    async selectItem(item) {
        const { record } = this.props;
        if (record.data.won_status === "won" || !(await this.isOutcomeAsked(item.value))) {
            return super.selectItem(item);
        }
        const outcome = await askOutcome(this.dialog, record.data.name);
        if (outcome === "won") {
            return super.selectItem(item);
        }
        if (outcome === "lost" && (await record.save()) !== false) {
            if (await askLostReason(this.action, record.resId)) {
                await record.load();
            }
        }
    }

    async isOutcomeAsked(stageId) {
        const [stage] = await this.orm.read(this.field.relation, [stageId], ["ask_outcome", "is_won"]);
        return stage.ask_outcome && stage.is_won;
    }
}

export const stageStatusBarField = {
    ...rottingStatusBarDurationField,
    component: StageStatusBarField,
    additionalClasses: ["o_field_rotting_statusbar_duration"],
};

registry.category("fields").add("crm_sales_stage_statusbar", stageStatusBarField);
