import { registry } from "@web/core/registry";

// Milliseconds: long enough to read it, and to change one's mind
const AUTOCLOSE_DELAY = 10000;

/**
 * Shows what was done, with buttons that lead back or to what it was done to: see get_done_action of tools.py.
 */
function notifyDone({ bus, services }, { params }) {
    const { message, type = "success", sticky, buttons, next } = params;
    const call = async ({ model, method, args, reload }) => {
        close();
        const action = await services.orm.call(model, method, args);
        if (action?.type) {
            await services.action.doAction(action);
        }
        if (reload) {
            await services.action.doAction("soft_reload");
        }
    };
    const close = services.notification.add(message, {
        type,
        sticky,
        autocloseDelay: AUTOCLOSE_DELAY,
        className: "o_crm_stage_notification",
        buttons: buttons.map((button) => ({ name: button.name, onClick: () => call(button) })),
    });
    bus.trigger("CRM_STAGE:DONE");
    return next;
}

registry.category("actions").add("crm_sales_stage_done", notifyDone);
