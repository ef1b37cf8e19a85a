import { crmKanbanView } from "@crm/views/crm_kanban/crm_kanban_view";
import { extractAttributes } from "@web/core/utils/xml";

export class CrmStageKanbanArchParser extends crmKanbanView.ArchParser {
    /**
     * @override
     */
    parseProgressBar(progressBar, fields) {
        const result = super.parseProgressBar(...arguments);
        const { weighted_sum_field } = extractAttributes(progressBar, ["weighted_sum_field"]);
        result.weighted_sum_field = fields[weighted_sum_field] || false;
        return result;
    }
}
