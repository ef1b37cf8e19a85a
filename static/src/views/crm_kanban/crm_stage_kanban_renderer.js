import { crmKanbanView } from "@crm/views/crm_kanban/crm_kanban_view";
import { CrmStageKanbanHeader } from "./crm_stage_kanban_header";

const CrmKanbanRenderer = crmKanbanView.Renderer;

export class CrmStageKanbanRenderer extends CrmKanbanRenderer {
    static components = {
        ...CrmKanbanRenderer.components,
        KanbanHeader: CrmStageKanbanHeader,
    };

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
