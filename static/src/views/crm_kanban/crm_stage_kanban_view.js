import { crmKanbanView } from "@crm/views/crm_kanban/crm_kanban_view";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { memoize } from "@web/core/utils/functions";
import { formatFloat } from "@web/core/utils/numbers";

const CrmKanbanRenderer = crmKanbanView.Renderer;

export class CrmStageKanbanHeader extends CrmKanbanRenderer.components.KanbanHeader {
    setup() {
        super.setup();
        // Odoo defines it as an instance property, which `super` does not reach.
        const loadTooltip = this.loadTooltip;
        this.loadTooltip = memoize(async () => [
            ...(await this.loadProbabilityTooltip()),
            ...(await loadTooltip()),
        ]);
    }

    /**
     * @returns {Promise<{title: string, value: string}[]>} where the opportunities of this column get their
     *  probability from, as an entry of its tooltip
     */
    async loadProbabilityTooltip() {
        const { name, relation } = this.group.groupByField;
        if (name !== "stage_id") {
            return [];
        }
        const [stage] = await this.orm.silent.read(
            relation,
            [this.group.value],
            ["probability", "probability_mode", "is_won"]
        );
        const value =
            stage.is_won || stage.probability_mode === "fixed"
                ? `${formatFloat(stage.probability, { trailingZeros: false })} %`
                : _t("Predictive scoring");
        return [{ title: _t("Probability"), value }];
    }
}

export class CrmStageKanbanRenderer extends CrmKanbanRenderer {
    static components = {
        ...CrmKanbanRenderer.components,
        KanbanHeader: CrmStageKanbanHeader,
    };
}

export const crmStageKanbanView = {
    ...crmKanbanView,
    Renderer: CrmStageKanbanRenderer,
};

registry.category("views").add("crm_sales_stage_kanban", crmStageKanbanView);
