import { notifyDone } from "@crm_sales_stage/actions/done_notification";
import { AlertDialog, ConfirmationDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { _t } from "@web/core/l10n/translation";
import { useService } from "@web/core/utils/hooks";
import { GroupConfigMenu } from "@web/views/view_components/group_config_menu";

export class CrmStageGroupConfigMenu extends GroupConfigMenu {
    setup() {
        super.setup();
        this.action = useService("action");
        this.orm = useService("orm");
    }

    /**
     * The dialog that moves a stage's opportunities, or archives the stage, stands in for Odoo's.
     *
     * @override
     */
    async deleteGroup() {
        if (!this.props.list.isGroupedByStage) {
            return super.deleteGroup();
        }
        await this.action.doAction(await this.callStage("action_open_delete_wizard"));
    }

    /** Nothing is confirmed that is refused afterwards. */
    async archiveGroup() {
        const obstacle = await this.callStage("get_archive_obstacle");
        if (obstacle) {
            this.dialog.add(AlertDialog, { title: _t("Archive Stage"), body: obstacle });
            return;
        }
        this.dialog.add(ConfirmationDialog, {
            title: _t("Archive Stage"),
            body: _t(
                "An archived stage leaves the pipeline. Its opportunities stay in it, and its column stays until the open ones have left."
            ),
            confirmLabel: _t("Archive"),
            confirm: async () => {
                await this.callStage("action_archive");
                await this.reloadColumns();
                this.notifyArchived();
            },
            cancel: () => {},
        });
    }

    notifyArchived() {
        const { displayName, groupByField, value } = this.group;
        notifyDone(this.env.services, {
            message: _t('The stage "%s" is archived.', displayName),
            buttons: [
                {
                    name: _t("Undo"),
                    model: groupByField.relation,
                    method: "action_unarchive",
                    args: [[value]],
                    reload: true,
                },
            ],
        });
    }

    async unarchiveGroup() {
        await this.callStage("action_unarchive");
        await this.reloadColumns();
    }

    callStage(method) {
        return this.orm.call(this.group.groupByField.relation, method, [[this.group.value]]);
    }

    reloadColumns() {
        return this.props.list.model.reloadColumns();
    }
}
