import { ConfirmationDialog } from "@web/core/confirmation_dialog/confirmation_dialog";
import { _t } from "@web/core/l10n/translation";

const WIZARD = "crm.stage.delete.wizard";

/**
 * Archives stages, once it is confirmed what that brings about. Nothing is confirmed that is refused afterwards.
 *
 * @param {Object} services of the environment
 * @param {number[]} ids of the stages
 * @param {() => Promise<void>} [reload] shows the stages as they are then
 */
export async function archiveStages({ action, dialog, orm }, ids, reload) {
    const title = _t("Archive");
    const obstacle = await orm.call("crm.stage", "get_archive_obstacle", [ids]);
    if (obstacle) {
        dialog.add(ConfirmationDialog, {
            title,
            body: obstacle,
            confirmLabel: _t("Show the Stages"),
            confirm: () => action.doAction("crm.crm_stage_action"),
            cancelLabel: _t("Close"),
            cancel: () => {},
        });
        return;
    }
    const body = await orm.call("crm.stage", "get_archive_text", [ids]);
    if (!body) {
        return; // They are archived already.
    }
    dialog.add(ConfirmationDialog, {
        title,
        body,
        confirmLabel: title,
        confirm: async () => {
            // It shows what was done, with a way back.
            const wizard = await orm.create(WIZARD, [{ stage_ids: ids.map((id) => [4, id]) }]);
            await action.doAction(await orm.call(WIZARD, "action_archive", [wizard]));
            await reload?.();
        },
        cancel: () => {},
    });
}
