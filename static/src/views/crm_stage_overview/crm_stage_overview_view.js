import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { CrmStageOverviewController } from "./crm_stage_overview_controller";

registry.category("views").add("crm_stage_overview", {
    type: "crm_stage_overview",
    display_name: _t("Overview"),
    Controller: CrmStageOverviewController,
    searchMenuTypes: ["filter", "favorite"],
});
