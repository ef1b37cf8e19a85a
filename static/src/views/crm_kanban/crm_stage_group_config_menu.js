import { archiveStages } from "@crm_sales_stage/actions/archive_stages";
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
            const key = stage.active ? "archive" : "unarchive";
            const position = items.findIndex((item) => item.key === "delete_group");
            items.splice(position, 0, {
                key,
                label: stage.active ? _t("Archive") : _t("Unarchive"),
                icon: `oi oi-${key}`,
                class: `o_group_${key}`,
                method: () =>
                    stage.active
                        ? archiveStages(this.env.services, [this.group.value])
                        : this.unarchiveStage(),
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

    async unarchiveStage() {
        await this.env.services.orm.call("crm.stage", "action_unarchive", [[this.group.value]]);
        await this.props.list.model.reloadColumns();
    }
}
