"""The automatic name of an action says whether it loses opportunities, and why."""

from odoo import api, models


class IrActionsServer(models.Model):
    _inherit = "ir.actions.server"

    def write(self, vals):
        """Nothing here makes Odoo's field depend on ours: uninstalling removes what depends on our fields."""
        res = super().write(vals)
        if not {"crm_stage_outcome", "crm_lost_reason_id"}.isdisjoint(vals):
            self._compute_name()
        return res

    @api.onchange("crm_stage_outcome", "crm_lost_reason_id")
    def _onchange_crm_stage_outcome(self):
        self._compute_name()
