import { AlertDialog, ConfirmationDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { _t } from "@web/core/l10n/translation";
import { GroupConfigMenu } from "@web/views/view_components/group_config_menu";

const WIZARD = "crm.stage.delete.wizard";

/** The menu behind the gear of a column: a stage can be archived, and its opportunities move before it goes. */
export class CrmStageGroupConfigMenu extends GroupConfigMenu {
    /**
     * @override
     */
    get configItems() {
        const items = super.configItems;
        const stage = this.props.list.getStage(this.group);
        if (stage && this.canEditGroup()) {
            const key = stage.active ? "archive" : "unarchive";
            const position = items.findIndex((item) => item.key === "delete_group");
            items.splice(position, 0, {
                key,
                label: stage.active ? _t("Archive") : _t("Unarchive"),
                icon: `oi oi-${key}`,
                class: `o_group_${key}`,
                method: () => (stage.active ? this.archiveStage() : this.unarchiveStage()),
                isVisible: true,
            });
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
        const { action, orm } = this.env.services;
        const ids = [this.group.value];
        const title = _t("Archive Stage");
        const obstacle = await orm.call("crm.stage", "get_archive_obstacle", [ids]);
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
                // It shows what was done, with a way back.
                const wizard = await orm.create(WIZARD, [{ stage_ids: ids.map((id) => [4, id]) }]);
                await action.doAction(await orm.call(WIZARD, "action_archive", [wizard]));
            },
            cancel: () => {},
        });
    }

    async unarchiveStage() {
        await this.env.services.orm.call("crm.stage", "action_unarchive", [[this.group.value]]);
        await this.props.list.model.reloadColumns();
    }
}
