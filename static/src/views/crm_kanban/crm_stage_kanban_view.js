import { crmKanbanView } from "@crm/views/crm_kanban/crm_kanban_view";
import { registry } from "@web/core/registry";
import { CrmStageKanbanArchParser } from "./crm_stage_kanban_arch_parser";
import { CrmStageKanbanController } from "./crm_stage_kanban_controller";
import { CrmStageKanbanModel } from "./crm_stage_kanban_model";
import { CrmStageKanbanRenderer } from "./crm_stage_kanban_renderer";

export const crmStageKanbanView = {
    ...crmKanbanView,
    ArchParser: CrmStageKanbanArchParser,
    Controller: CrmStageKanbanController,
    Model: CrmStageKanbanModel,
    Renderer: CrmStageKanbanRenderer,
};

registry.category("views").add("crm_sales_stage_kanban", crmStageKanbanView);
