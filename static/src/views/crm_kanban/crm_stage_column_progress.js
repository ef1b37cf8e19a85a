import { CrmColumnProgress } from "@crm/views/crm_kanban/crm_column_progress";

export class CrmStageColumnProgress extends CrmColumnProgress {
    static template = "crm_sales_stage.ColumnProgress";

    /**
     * What the column is worth: Odoo's revenues weighted by probability, as filtered as its total.
     * Sample data, which Odoo makes up, would be worth more than they amount to.
     */
    get weightedAggregate() {
        const { group, progressBarState } = this.props;
        const { weighted_sum_field } = progressBarState.progressAttributes;
        const isShown = weighted_sum_field && !group.model.useSampleModel;
        return isShown && progressBarState.getAggregateValue(group, weighted_sum_field);
    }
}
