import { Component, onWillStart, onWillUpdateProps, useRef } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { KeepLast } from "@web/core/utils/concurrency";
import { useService } from "@web/core/utils/hooks";
import { useSetupAction } from "@web/search/action_hook";
import { CogMenu } from "@web/search/cog_menu/cog_menu";
import { Layout } from "@web/search/layout";
import { SearchBar } from "@web/search/search_bar/search_bar";
import { useSearchBarToggler } from "@web/search/search_bar/search_bar_toggler";
import { ActionHelper } from "@web/views/action_helper";
import { standardViewProps } from "@web/views/standard_view_props";
import { CrmStageOverviewRenderer } from "./crm_stage_overview_renderer";

/** The figures of all stages, as the server counts them: see get_overview of crm.stage.report. */
class CrmStageOverviewController extends Component {
    static template = "crm_sales_stage.OverviewView";
    static components = { ActionHelper, CogMenu, CrmStageOverviewRenderer, Layout, SearchBar };
    static props = standardViewProps;

    setup() {
        this.orm = useService("orm");
        this.keepLast = new KeepLast();
        this.searchBarToggler = useSearchBarToggler();
        useSetupAction({ rootRef: useRef("root") });
        onWillStart(() => this.load(this.props));
        onWillUpdateProps((props) => this.load(props));
    }

    async load({ context, domain, resModel }) {
        const request = this.orm.call(resModel, "get_overview", [domain], { context });
        this.overview = await this.keepLast.add(request);
    }
}

registry.category("views").add("crm_stage_overview", {
    type: "crm_stage_overview",
    display_name: _t("Overview"),
    Controller: CrmStageOverviewController,
    searchMenuTypes: ["filter", "favorite"],
});
