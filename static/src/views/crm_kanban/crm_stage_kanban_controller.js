import { crmKanbanView } from "@crm/views/crm_kanban/crm_kanban_view";
import { useBus } from "@web/core/utils/hooks";
import { withStageSettings } from "./ask_outcome";

export class CrmStageKanbanController extends withStageSettings(crmKanbanView.Controller) {
    setup() {
        super.setup();
        // What dialogs in front of the pipeline did. They may also have led away from it, where nothing listens.
        useBus(this.env.bus, "CRM_STAGE:DONE", () => this.model.reloadColumns());
    }

    /**
     * @override
     */
    get progressBarAggregateFields() {
        const fields = super.progressBarAggregateFields;
        const { weighted_sum_field } = this.props.archInfo.progressAttributes || {};
        return weighted_sum_field ? [...fields, weighted_sum_field] : fields;
    }
}
