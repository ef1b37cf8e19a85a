import { forecastKanbanView } from "@crm/views/forecast_kanban/forecast_kanban_view";
import { askingOutcome, withStageSettings } from "@crm_sales_stage/views/crm_kanban/ask_outcome";
import { CrmStageRecordQuickCreate } from "@crm_sales_stage/views/crm_kanban/crm_stage_record_quick_create";
import { registry } from "@web/core/registry";

class CrmStageForecastKanbanModel extends forecastKanbanView.Model {}
CrmStageForecastKanbanModel.DynamicGroupList = askingOutcome(forecastKanbanView.Model.DynamicGroupList);

class CrmStageForecastKanbanRenderer extends forecastKanbanView.Renderer {
    static components = {
        ...forecastKanbanView.Renderer.components,
        KanbanRecordQuickCreate: CrmStageRecordQuickCreate,
    };
}

registry.category("views").add("crm_sales_stage_forecast_kanban", {
    ...forecastKanbanView,
    Controller: withStageSettings(forecastKanbanView.Controller),
    Model: CrmStageForecastKanbanModel,
    Renderer: CrmStageForecastKanbanRenderer,
});
