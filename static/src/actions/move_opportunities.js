import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { formatInteger } from "@web/views/fields/formatters";

const WIZARD = "crm.stage.delete.wizard";

/** Moves the opportunities of stages that are to be deleted, batch by batch, and shows how many have moved. */
async function moveOpportunities({ bus, services }, { params: { count, wizard_id } }) {
    const { orm, ui } = services;
    let left = count;
    try {
        while (left) {
            const moved = formatInteger(Math.max(0, count - left));
            const message = _t("%(moved)s of %(count)s moved", { moved, count: formatInteger(count) });
            ui.block({ message });
            left = await orm.silent.call(WIZARD, "move_batch", [[wizard_id]]).finally(() => ui.unblock());
        }
        return await orm.call(WIZARD, "action_delete", [[wizard_id]]);
    } finally {
        // Also when an error came before all had moved
        bus.trigger("CRM_STAGE:DONE");
    }
}

registry.category("actions").add("crm_sales_stage_move_opportunities", moveOpportunities);
