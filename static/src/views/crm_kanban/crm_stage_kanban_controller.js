import { crmKanbanView } from "@crm/views/crm_kanban/crm_kanban_view";
import { withStageSettings } from "./ask_outcome";

export class CrmStageKanbanController extends withStageSettings(crmKanbanView.Controller) {
    /**
     * @override
     */
    get progressBarAggregateFields() {
        const fields = super.progressBarAggregateFields;
        const { weighted_sum_field } = this.props.archInfo.progressAttributes || {};
        return weighted_sum_field ? [...fields, weighted_sum_field] : fields;
    }
}
