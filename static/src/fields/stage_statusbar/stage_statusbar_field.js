import { askLostReason, askOnArrival } from "@crm_sales_stage/components/arrival_dialog/arrival_dialog";
import {
    RottingStatusBarDurationField,
    rottingStatusBarDurationField,
} from "@mail/js/rotting_mixin/rotting_statusbar";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";

const STAGE_FIELDS = ["ask_outcome", "asks_for_fields", "is_won"];

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
     * A stage asks for its fields, and which one it means if it means "won or lost"; nothing is moved before
     * the answer.
     *
     * @override
     */
    async selectItem(item) {
        const { record } = this.props;
        const [stage] = await this.orm.read(this.field.relation, [item.value], STAGE_FIELDS);
        const asksForFields = stage.asks_for_fields && !record.isNew;
        // What is being filled in on the form is not asked for.
        if (asksForFields && (await record.save()) === false) {
            return;
        }
        const answer = await askOnArrival(
            this,
            {
                id: item.value,
                name: item.label,
                asksForFields,
                isOutcomeAsked: stage.ask_outcome && stage.is_won && record.data.won_status !== "won",
            },
            record.isNew ? [] : [record.resId],
            record.data.name
        );
        if (asksForFields && answer) {
            await record.load();
        }
        if (answer === "lost") {
            if ((await record.save()) !== false && (await askLostReason(this.action, [record.resId]))) {
                await record.load();
            }
        } else if (answer) {
            return super.selectItem(item);
        }
    }
}

export const stageStatusBarField = {
    ...rottingStatusBarDurationField,
    component: StageStatusBarField,
    additionalClasses: ["o_field_rotting_statusbar_duration"],
};

registry.category("fields").add("crm_sales_stage_statusbar", stageStatusBarField);
