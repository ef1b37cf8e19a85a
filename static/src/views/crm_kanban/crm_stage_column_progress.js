import { CrmColumnProgress } from "@crm/views/crm_kanban/crm_column_progress";

export class CrmStageColumnProgress extends CrmColumnProgress {
    static template = "crm_sales_stage.ColumnProgress";

    /** What the column is worth: Odoo's revenues weighted by probability, as filtered as its total. */
    get weightedAggregate() {
        const { group, progressBarState } = this.props;
        const { weighted_sum_field } = progressBarState.progressAttributes;
        return weighted_sum_field && progressBarState.getAggregateValue(group, weighted_sum_field);
    }
}
