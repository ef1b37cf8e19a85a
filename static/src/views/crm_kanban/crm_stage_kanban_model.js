import { reactive } from "@odoo/owl";
import { Domain } from "@web/core/domain";
import { _t } from "@web/core/l10n/translation";
import { formatFloat } from "@web/core/utils/numbers";
import { formatInteger } from "@web/views/fields/formatters";
import { FormViewDialog } from "@web/views/view_dialogs/form_view_dialog";
import { askingKanbanView } from "./crm_stage_asking_view";

class CrmStageKanbanDynamicGroupList extends askingKanbanView.Model.DynamicGroupList {
    /**
     * The server places a new stage, before the final one, and gives it a probability.
     *
     * @override
     */
    async _createGroup(groupName, foldField) {
        if (!this.isGroupedByStage || foldField) {
            return super._createGroup(...arguments);
        }
        const { context, model } = this;
        const [id] = await model.orm.call("crm.stage", "name_create", [groupName], { context });
        await model.reloadColumns();
        const stage = model.root.groups.find(({ value }) => value === id)?.record.data;
        if (stage) {
            this._notifyNewStage(id, stage);
        }
    }

    _notifyNewStage(id, { probability, probability_mode }) {
        const percentage = formatFloat(probability, { trailingZeros: false });
        const message =
            probability_mode === "fixed"
                ? _t("Its opportunities get a probability of %s%.", percentage)
                : _t("Its opportunities get their probability from Odoo's predictive scoring.");
        const { dialog, env, notification } = this.model;
        const editStage = () => {
            close();
            dialog.add(FormViewDialog, {
                resModel: "crm.stage",
                resId: id,
                title: _t("Stage Settings"),
                // The pipeline may have been left while the notification stayed.
                onRecordSaved: () => env.bus.trigger("CRM_STAGE:DONE"),
            });
        };
        const close = notification.add(message, {
            title: _t("Stage added before the final one"),
            type: "success",
            className: "o_crm_stage_notification",
            buttons: [{ name: _t("Settings"), primary: true, onClick: editStage }],
        });
    }
}

export class CrmStageKanbanModel extends askingKanbanView.Model {
    static DynamicGroupList = CrmStageKanbanDynamicGroupList;

    setup() {
        super.setup(...arguments);
        /** How many opportunities of the filter were lost, and which; the columns do not hold those. */
        this.lost = reactive({ label: "", domain: [], context: {} });
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
    async _postprocessReadGroup({ context, domain }, { lost }) {
        const number = `${formatInteger(lost?.count ?? 0)}${lost?.is_more ? "+" : ""}`;
        Object.assign(this.lost, {
            label: lost?.count ? _t("%s lost", number) : "",
            domain: Domain.and([domain, [["won_status", "=", "lost"]]]).toList(),
            context: { ...context, active_test: false },
        });
        return super._postprocessReadGroup(...arguments);
    }
}
