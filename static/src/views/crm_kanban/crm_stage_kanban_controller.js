import { crmKanbanView } from "@crm/views/crm_kanban/crm_kanban_view";
import { makeActiveField } from "@web/model/relational_model/utils";

// What the columns show of their stage; Odoo reads it along with the columns.
const STAGE_FIELDS = {
    active: { type: "boolean" },
    ask_outcome: { type: "boolean" },
    is_won: { type: "boolean" },
    probability: { type: "float" },
    probability_mode: { type: "selection", selection: [] },
};

export class CrmStageKanbanController extends crmKanbanView.Controller {
    /**
     * @override
     */
    get progressBarAggregateFields() {
        const fields = super.progressBarAggregateFields;
        const { weighted_sum_field } = this.props.archInfo.progressAttributes || {};
        return weighted_sum_field ? [...fields, weighted_sum_field] : fields;
    }

    /**
     * @override
     */
    get modelParams() {
        const fields = {};
        const activeFields = {};
        for (const [name, field] of Object.entries(STAGE_FIELDS)) {
            fields[name] = { ...field, name };
            activeFields[name] = makeActiveField();
        }
        return { ...super.modelParams, groupByInfo: { stage_id: { activeFields, fields } } };
    }
}
