import { crmKanbanView } from "@crm/views/crm_kanban/crm_kanban_view";
import { CrmStageKanbanHeader } from "./crm_stage_kanban_header";
import { CrmStageRecordQuickCreate } from "./crm_stage_record_quick_create";

const CrmKanbanRenderer = crmKanbanView.Renderer;

export class CrmStageKanbanRenderer extends CrmKanbanRenderer {
    static components = {
        ...CrmKanbanRenderer.components,
        KanbanHeader: CrmStageKanbanHeader,
        KanbanRecordQuickCreate: CrmStageRecordQuickCreate,
    };

    /**
     * Who works by keyboard goes on where the card is, also after a dialog.
     *
     * @override
     */
    async sortRecordDrop(dataRecordId) {
        await super.sortRecordDrop(...arguments);
        // It is drawn in its new column in the next frame.
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        this.rootRef.el?.querySelector(`.o_kanban_record[data-id="${dataRecordId}"]`)?.focus();
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
