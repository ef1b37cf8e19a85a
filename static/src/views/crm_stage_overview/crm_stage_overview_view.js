import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { CrmStageOverviewController } from "./crm_stage_overview_controller";
import { CrmStageOverviewModel } from "./crm_stage_overview_model";
import { CrmStageOverviewRenderer } from "./crm_stage_overview_renderer";

export const crmStageOverviewView = {
    type: "crm_stage_overview",
    display_name: _t("Overview"),
    Controller: CrmStageOverviewController,
    Model: CrmStageOverviewModel,
    Renderer: CrmStageOverviewRenderer,
    searchMenuTypes: ["filter", "favorite"],

    props: (genericProps, view) => ({
        ...genericProps,
        Model: view.Model,
        Renderer: view.Renderer,
    }),
};

registry.category("views").add("crm_stage_overview", crmStageOverviewView);
