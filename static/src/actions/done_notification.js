import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";

/**
 * Tells how many opportunities an automation has moved, or has moved back. Those that it moved can be shown and
 * moved back.
 */
export function notifyMoved(env, { params }) {
    const { action, notification, orm } = env.services;
    const call = async (method) => {
        close();
        await action.doAction(await orm.call("crm.stage.automation", method, [[params.undoable_id]]));
    };
    const undo = async () => {
        await call("action_undo_catch_up");
        await action.doAction("soft_reload");
    };
    const buttons = params.undoable_id
        ? [
              { name: _t("Show Them"), onClick: () => call("action_show_moved") },
              { name: _t("Undo"), onClick: undo },
          ]
        : [];
    const close = notification.add(params.message, {
        type: params.type,
        sticky: Boolean(buttons.length),
        buttons,
    });
    env.bus.trigger("CRM_STAGE:MOVED");
    return params.next;
}

registry.category("actions").add("crm_sales_stage_moved", notifyMoved);
