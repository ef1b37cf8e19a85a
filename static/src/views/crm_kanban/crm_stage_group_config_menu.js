import { notifyDone } from "@crm_sales_stage/actions/done_notification";
import { AlertDialog, ConfirmationDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { _t } from "@web/core/l10n/translation";
import { GroupConfigMenu } from "@web/views/view_components/group_config_menu";

/** The menu behind the gear of a column: a stage can be archived, and its opportunities move before it goes. */
export class CrmStageGroupConfigMenu extends GroupConfigMenu {
    /**
     * @override
     */
    get configItems() {
        const items = super.configItems;
        const stage = this.props.list.getStage(this.group);
        if (stage && this.canEditGroup()) {
            const archive = {
                key: "archive_stage",
                label: _t("Archive"),
                icon: "oi oi-archive",
                class: "o_group_archive",
                method: () => this.archiveStage(),
                isVisible: true,
            };
            const unarchive = {
                key: "unarchive_stage",
                label: _t("Unarchive"),
                icon: "oi oi-unarchive",
                class: "o_group_unarchive",
                method: () => this.callStage("action_unarchive"),
                isVisible: true,
            };
            const position = items.findIndex(({ key }) => key === "delete_group");
            items.splice(position, 0, stage.active ? archive : unarchive);
        }
        return items;
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
        const { action, orm } = this.env.services;
        await action.doAction(await orm.call("crm.stage", "action_open_delete_wizard", [[this.group.value]]));
    }

    /** Nothing is confirmed that is refused afterwards. */
    async archiveStage() {
        const { displayName, value } = this.group;
        const title = _t("Archive Stage");
        const obstacle = await this.env.services.orm.call("crm.stage", "get_archive_obstacle", [[value]]);
        if (obstacle) {
            this.dialog.add(AlertDialog, { title, body: obstacle });
            return;
        }
        this.dialog.add(ConfirmationDialog, {
            title,
            body: _t(
                "An archived stage leaves the pipeline. Its opportunities stay in it, and its column stays until the open ones have left."
            ),
            confirmLabel: _t("Archive"),
            confirm: async () => {
                await this.callStage("action_archive");
                const undo = { name: _t("Undo"), model: "crm.stage", method: "action_unarchive" };
                notifyDone(this.env.services, {
                    message: _t('The stage "%s" is archived.', displayName),
                    buttons: [{ ...undo, args: [[value]], reload: true }],
                });
            },
            cancel: () => {},
        });
    }

    async callStage(method) {
        await this.env.services.orm.call("crm.stage", method, [[this.group.value]]);
        await this.props.list.model.reloadColumns();
    }
}
