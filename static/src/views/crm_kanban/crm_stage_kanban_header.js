import { crmKanbanView } from "@crm/views/crm_kanban/crm_kanban_view";
import { useState } from "@odoo/owl";
import { _t } from "@web/core/l10n/translation";
import { memoize } from "@web/core/utils/functions";
import { useService } from "@web/core/utils/hooks";
import { formatFloat } from "@web/core/utils/numbers";
import { formatInteger } from "@web/views/fields/formatters";
import { CrmStageColumnProgress } from "./crm_stage_column_progress";
import { CrmStageGroupConfigMenu } from "./crm_stage_group_config_menu";
import { LOST_COUNT_LIMIT } from "./crm_stage_kanban_model";

const CrmKanbanHeader = crmKanbanView.Renderer.components.KanbanHeader;

export class CrmStageKanbanHeader extends CrmKanbanHeader {
    static template = "crm_sales_stage.KanbanHeader";
    static components = {
        ...CrmKanbanHeader.components,
        ColumnProgress: CrmStageColumnProgress,
        GroupConfigMenu: CrmStageGroupConfigMenu,
    };

    setup() {
        super.setup();
        // Odoo defines it as an instance property, which `super` does not reach.
        const loadTooltip = this.loadTooltip;
        this.loadTooltip = memoize(async () => [
            ...(await this.loadProbabilityTooltip()),
            ...(await loadTooltip()),
        ]);
        this.action = useService("action");
        this.lost = useState(this.props.list.model.lost);
        this.faulty = useState(this.props.list.model.faulty);
    }

    /** Settings of the column's stage; undefined in other columns, and in those of sample data. */
    get stage() {
        return this.props.list.isGroupedByStage ? this.group.record?.data : undefined;
    }

    get isArchived() {
        return this.stage?.active === false;
    }

    get lostLabel() {
        const { count } = this.lost;
        if (!this.stage?.ask_outcome || !this.stage.is_won || !count) {
            return "";
        }
        const isMore = count > LOST_COUNT_LIMIT;
        return _t("%s lost", formatInteger(Math.min(count, LOST_COUNT_LIMIT)) + (isMore ? "+" : ""));
    }

    get hasFaultyAutomation() {
        return Boolean(this.stage) && this.faulty.stageIds.includes(this.group.value);
    }

    /**
     * @override
     */
    get configMenuProps() {
        const props = super.configMenuProps;
        const canArchive = this.stage && props.activeActions.editGroup && this.group.value;
        const position = props.configItems.findIndex(([key]) => key === "delete_group");
        props.configItems.splice(
            position,
            0,
            [
                "archive_stage",
                {
                    label: _t("Archive"),
                    icon: "oi oi-archive",
                    class: "o_group_archive",
                    method: "archiveGroup",
                    isVisible: canArchive && !this.isArchived,
                },
            ],
            [
                "unarchive_stage",
                {
                    label: _t("Unarchive"),
                    icon: "oi oi-unarchive",
                    class: "o_group_unarchive",
                    method: "unarchiveGroup",
                    isVisible: canArchive && this.isArchived,
                },
            ]
        );
        return props;
    }

    /**
     * @returns {Promise<{title: string, value: string}[]>} where the opportunities of this column get their
     *  probability from, as an entry of its tooltip
     */
    async loadProbabilityTooltip() {
        const { name, relation } = this.group.groupByField;
        if (name !== "stage_id") {
            return [];
        }
        const [stage] = await this.orm.silent.read(
            relation,
            [this.group.value],
            ["probability", "probability_mode", "is_won"]
        );
        const value =
            stage.is_won || stage.probability_mode === "fixed"
                ? `${formatFloat(stage.probability, { trailingZeros: false })} %`
                : _t("Predictive scoring");
        return [{ title: _t("Probability"), value }];
    }

    openFaulty() {
        return this.action.doAction("crm_sales_stage.crm_stage_automation_action", {
            additionalContext: { search_default_faulty: 1, search_default_stage_id: this.group.value },
        });
    }

    openLost() {
        const { context, domain } = this.lost;
        return this.action.doAction({
            type: "ir.actions.act_window",
            name: _t("Lost Opportunities"),
            res_model: this.props.list.resModel,
            views: [
                [false, "list"],
                [false, "form"],
            ],
            domain,
            context: { ...context, create: false, list_view_ref: "crm_sales_stage.crm_lead_view_list_lost" },
        });
    }
}
