import { crmKanbanView } from "@crm/views/crm_kanban/crm_kanban_view";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { memoize } from "@web/core/utils/functions";

const CrmKanbanRenderer = crmKanbanView.Renderer;

export class CrmStageKanbanHeader extends CrmKanbanRenderer.components.KanbanHeader {
    /**
     * The column's tooltip also tells where its opportunities' probability comes from.
     *
     * @override
     */
    loadTooltip = memoize(async () => {
        const tooltip = await super.loadTooltip();
        const { name, relation } = this.group.groupByField;
        if (name !== "stage_id") {
            return tooltip;
        }
        const [stage] = await this.orm.silent.read(relation, [this.group.value], ["probability", "probability_mode", "is_won"]);
        const value =
            stage.is_won || stage.probability_mode === "fixed"
                ? _t("%s %", stage.probability)
                : _t("Predictive scoring");
        return [{ title: _t("Probability"), value }, ...tooltip];
    });
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
