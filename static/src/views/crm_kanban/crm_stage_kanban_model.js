import { crmKanbanView } from "@crm/views/crm_kanban/crm_kanban_view";
import { markRaw, reactive } from "@odoo/owl";
import { Domain } from "@web/core/domain";
import { _t } from "@web/core/l10n/translation";
import { KeepLast } from "@web/core/utils/concurrency";
import { formatFloat } from "@web/core/utils/numbers";
import { FormViewDialog } from "@web/views/view_dialogs/form_view_dialog";
import { askingOutcome } from "./ask_outcome";

const CrmKanbanModel = crmKanbanView.Model;

// Lost opportunities are counted up to here: nobody tells more apart, and counting a million takes long.
export const LOST_COUNT_LIMIT = 10000;

export class CrmStageKanbanModel extends CrmKanbanModel {
    setup() {
        super.setup(...arguments);
        /** How many opportunities of the filter were lost; Odoo does not load those. */
        this.lost = reactive({ count: 0, domain: [], context: {} });
        this.keepLastLost = markRaw(new KeepLast());
    }

    /**
     * Shows the columns as the server has them now. Odoo keeps a column that it showed before.
     */
    async reloadColumns() {
        delete this.config.currentGroups;
        await this.load();
    }

    /**
     * @override
     */
    async _loadData(config) {
        if (config.isRoot && config.groupBy?.[0] === "stage_id" && !this.orm.isSample) {
            // The columns do not wait for it.
            this._loadLost(config);
        }
        return super._loadData(...arguments);
    }

    async _loadLost(config) {
        const domain = Domain.and([config.domain, [["won_status", "=", "lost"]]]).toList();
        const context = { ...config.context, active_test: false };
        const count = await this.keepLastLost.add(
            this.orm.silent.searchCount(config.resModel, domain, { context, limit: LOST_COUNT_LIMIT + 1 })
        );
        Object.assign(this.lost, { count, domain, context });
    }
}

export class CrmStageKanbanDynamicGroupList extends askingOutcome(CrmKanbanModel.DynamicGroupList) {
    /**
     * The server places a new stage, before the final one, and gives it a probability.
     *
     * @override
     */
    async _createGroup(groupName, foldField) {
        if (!this.isGroupedByStage || foldField) {
            return super._createGroup(...arguments);
        }
        const { relation } = this.groupByField;
        const [id] = await this.model.orm.call(relation, "name_create", [groupName], {
            context: this.context,
        });
        await this.model.reloadColumns();
        this._notifyNewStage(id);
    }

    _notifyNewStage(id) {
        const stage = this.model.root.groups.find((group) => group.value === id)?.record.data;
        if (!stage) {
            return;
        }
        const message =
            stage.probability_mode === "fixed"
                ? _t(
                      "Its opportunities get a probability of %s%.",
                      formatFloat(stage.probability, { trailingZeros: false })
                  )
                : _t("Its opportunities get their probability from Odoo's predictive scoring.");
        const close = this.model.notification.add(message, {
            title: _t("Stage added before the final one"),
            type: "success",
            className: "o_crm_stage_notification",
            buttons: [
                {
                    name: _t("Settings"),
                    primary: true,
                    onClick: () => {
                        close();
                        this._editStage(id);
                    },
                },
            ],
        });
    }

    _editStage(id) {
        this.model.dialog.add(FormViewDialog, {
            resModel: this.groupByField.relation,
            resId: id,
            title: _t("Stage Settings"),
            // The pipeline may have been left while the notification stayed.
            onRecordSaved: () => this.model.env.bus.trigger("CRM_STAGE:DONE"),
        });
    }
}

CrmStageKanbanModel.DynamicGroupList = CrmStageKanbanDynamicGroupList;
