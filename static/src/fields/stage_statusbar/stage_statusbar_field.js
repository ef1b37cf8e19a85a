import { askOnArrival, readStage } from "@crm_sales_stage/components/arrival_dialog/ask_on_arrival";
import {
    RottingStatusBarDurationField,
    rottingStatusBarDurationField,
} from "@mail/js/rotting_mixin/rotting_statusbar";
import { registry } from "@web/core/registry";

/** Status bar of an opportunity, whose stages ask before it is moved to them. */
export class StageStatusBarField extends RottingStatusBarDurationField {
    /**
     * Said in full, so that Odoo adds the opportunity's own stage even when that one is archived.
     *
     * @override
     */
    getDomain() {
        return [["active", "=", true]];
    }

    /**
     * @override
     */
    async selectItem(item) {
        const { record } = this.props;
        const stage = await readStage(this.env.services, item.value);
        const isServerAsked = (stage.asks_for_fields || stage.sends_email) && !record.isNew;
        // What is being filled in on the form is not asked for, and e-mails go to the address in there.
        if (isServerAsked && (await record.save()) === false) {
            return;
        }
        const sayAfterwards = await askOnArrival(this.env.services, stage, [record], {
            beforeLost: () => record.save(),
            reload: () => record.load(),
        });
        if (isServerAsked) {
            await record.load();
        }
        if (sayAfterwards) {
            await super.selectItem(item);
            sayAfterwards();
        }
    }
}

registry.category("fields").add("crm_sales_stage_statusbar", {
    ...rottingStatusBarDurationField,
    component: StageStatusBarField,
    additionalClasses: ["o_field_rotting_statusbar_duration"],
});
