import { crmKanbanView } from "@crm/views/crm_kanban/crm_kanban_view";
import { useState } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { formatFloat } from "@web/core/utils/numbers";
import { AnimatedNumber } from "@web/views/view_components/animated_number";
import { StageArrivalField } from "@crm_sales_stage/fields/stage_arrival/stage_arrival_field";
import { CrmStageGroupConfigMenu } from "./crm_stage_group_config_menu";

const CrmKanbanHeader = crmKanbanView.Renderer.components.KanbanHeader;

export class CrmStageKanbanHeader extends CrmKanbanHeader {
    static template = "crm_sales_stage.KanbanHeader";
    static components = {
        ...CrmKanbanHeader.components,
        AnimatedNumber,
        GroupConfigMenu: CrmStageGroupConfigMenu,
        StageArrivalField,
    };

    setup() {
        super.setup();
        this.lost = useState(this.props.list.model.lost);
        // Odoo defines it as an instance property, which `super` does not reach.
        const { loadTooltip } = this;
        this.loadTooltip = async () => [
            ...(this.stage ? [this.probabilityTooltip] : []),
            ...(await loadTooltip()),
        ];
    }

    /** Settings of the column's stage; undefined in other columns, and in those of sample data. */
    get stage() {
        return this.props.list.getStage(this.group);
    }

    /**
     * What the column is worth: Odoo's revenues weighted by probability, as filtered as its total.
     * Sample data, which Odoo makes up, would be worth more than they amount to.
     */
    get weightedAggregate() {
        const { list, progressBarState } = this.props;
        const { weightedField } = progressBarState.progressAttributes;
        const isShown = weightedField && this.progressBar.isReady && !list.model.useSampleModel;
        const { currencies } = this.groupAggregate;
        return isShown
            ? { currencies, ...progressBarState.getAggregateValue(this.group, weightedField) }
            : {};
    }

    /** Where the opportunities of this column get their probability from, as an entry of its tooltip. */
    get probabilityTooltip() {
        const { is_won, probability, probability_mode } = this.stage;
        const isFixed = is_won || probability_mode === "fixed";
        const percentage = `${formatFloat(probability, { trailingZeros: false })} %`;
        return { title: _t("Probability"), value: isFixed ? percentage : _t("Predictive scoring") };
    }

    openFaulty() {
        return this.env.services.action.doAction("crm_sales_stage.crm_stage_automation_action", {
            additionalContext: { search_default_faulty: 1, search_default_stage_id: this.group.value },
        });
    }

    openLost() {
        const { context, domain } = this.lost;
        return this.env.services.action.doAction({
            type: "ir.actions.act_window",
            name: _t("Lost Opportunities"),
            res_model: this.props.list.resModel,
            views: [
                [false, "list"],
                [false, "form"],
            ],
            domain,
            context: { ...context, create: false, list_view_ref: "crm_sales_stage.crm_lead_view_list_lost" },
        });
    }
}
