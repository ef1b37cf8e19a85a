import { forecastKanbanView } from "@crm/views/forecast_kanban/forecast_kanban_view";
import { askingOutcome, withStageSettings } from "@crm_sales_stage/views/crm_kanban/ask_outcome";
import { registry } from "@web/core/registry";

class CrmStageForecastKanbanModel extends forecastKanbanView.Model {}
CrmStageForecastKanbanModel.DynamicGroupList = askingOutcome(forecastKanbanView.Model.DynamicGroupList);

registry.category("views").add("crm_sales_stage_forecast_kanban", {
    ...forecastKanbanView,
    Controller: withStageSettings(forecastKanbanView.Controller),
    Model: CrmStageForecastKanbanModel,
});
