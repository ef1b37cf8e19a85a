import { registry } from "@web/core/registry";
import { user } from "@web/core/user";
import { omit } from "@web/core/utils/objects";
import { useBus } from "@web/core/utils/hooks";
import { askingKanbanView } from "./crm_stage_asking_view";
import { CrmStageKanbanHeader } from "./crm_stage_kanban_header";
import { CrmStageKanbanModel } from "./crm_stage_kanban_model";

class CrmStageKanbanArchParser extends askingKanbanView.ArchParser {
    /**
     * @override
     */
    parseProgressBar(progressBar, fields) {
        let weightedField = fields[progressBar.getAttribute("weighted_sum_field")];
        if (weightedField && user.activeCompanies.length === 1) {
            // Converting currencies takes a tenth of the time that columns of many opportunities take.
            weightedField = omit(weightedField, "currency_field");
        }
        return { ...super.parseProgressBar(...arguments), weightedField };
    }
}

class CrmStageKanbanController extends askingKanbanView.Controller {
    setup() {
        super.setup();
        // What dialogs in front of the pipeline did. They may also have led away from it, where nothing listens.
        useBus(this.env.bus, "CRM_STAGE:DONE", () => this.model.reloadColumns());
    }

    get weightedField() {
        return this.props.archInfo.progressAttributes?.weightedField;
    }

    /**
     * @override
     */
    get modelParams() {
        const params = super.modelParams;
        if (this.weightedField) {
            const { config } = params;
            params.config = {
                ...config,
                fields: { ...config.fields, [this.weightedField.name]: this.weightedField },
            };
        }
        return params;
    }

    /**
     * @override
     */
    get progressBarAggregateFields() {
        return [...super.progressBarAggregateFields, ...(this.weightedField ? [this.weightedField] : [])];
    }
}

class CrmStageKanbanRenderer extends askingKanbanView.Renderer {
    static components = { ...askingKanbanView.Renderer.components, KanbanHeader: CrmStageKanbanHeader };

    /**
     * Who works by keyboard goes on where the card is, also after a dialog; where it was, when it was lost.
     *
     * @override
     */
    async sortRecordDrop(dataRecordId, dataGroupId) {
        const { groups = [] } = this.props.list;
        const column = groups.findIndex(({ id }) => id === dataGroupId);
        const position = groups[column]?.list.records.findIndex(({ id }) => id === dataRecordId);
        await super.sortRecordDrop(...arguments);
        // It is drawn in its new column in the next frame.
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        const { el } = this.rootRef;
        const cards = el?.querySelectorAll(".o_kanban_group")[column]?.querySelectorAll(".o_kanban_record");
        const card = el?.querySelector(`.o_kanban_record[data-id="${dataRecordId}"]`);
        (card || cards?.[position] || cards?.[position - 1])?.focus();
    }

    /**
     * Who may not edit stages cannot reorder them either.
     *
     * @override
     */
    get canResequenceGroups() {
        const { archInfo, list } = this.props;
        return super.canResequenceGroups && (!list.isGroupedByStage || archInfo.activeActions.editGroup);
    }
}

registry.category("views").add("crm_sales_stage_kanban", {
    ...askingKanbanView,
    ArchParser: CrmStageKanbanArchParser,
    Controller: CrmStageKanbanController,
    Model: CrmStageKanbanModel,
    Renderer: CrmStageKanbanRenderer,
});
