import { registry } from "@web/core/registry";

// Milliseconds: long enough to read it, and to change one's mind
const AUTOCLOSE_DELAY = 10000;

/**
 * Tells what was done, with buttons that lead back or to what it was done to.
 *
 * @param {Object} services
 * @param {Object} params
 * @param {string} params.message
 * @param {"info" | "success" | "warning"} [params.type]
 * @param {boolean} [params.sticky] whether it stays until it is closed
 * @param {{name: string, model: string, method: string, args: Array, reload: ?boolean}[]} [params.buttons] what
 *  each calls on the server, which may return an action, and whether the screen shows something else then
 */
export function notifyDone(services, { message, type = "success", sticky = false, buttons = [] }) {
    const { action, notification, orm } = services;
    const call = async ({ model, method, args, reload }) => {
        close();
        const next = await orm.call(model, method, args);
        if (next?.type) {
            await action.doAction(next);
        }
        if (reload) {
            await action.doAction("soft_reload");
        }
    };
    const close = notification.add(message, {
        type,
        sticky,
        autocloseDelay: AUTOCLOSE_DELAY,
        className: "o_crm_stage_notification",
        buttons: buttons.map((button) => ({ name: button.name, onClick: () => call(button) })),
    });
}

registry.category("actions").add("crm_sales_stage_done", (env, { params }) => {
    notifyDone(env.services, params);
    env.bus.trigger("CRM_STAGE:DONE");
    return params.next;
});
