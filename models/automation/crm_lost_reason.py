from odoo import api, models
from odoo.exceptions import UserError


class CrmLostReason(models.Model):
    """One that is archived is not offered any more: automations that lose opportunities with it go on."""

    _inherit = "crm.lost.reason"

    def write(self, vals):
        """Actions that lose opportunities bear the name of the reason."""
        res = super().write(vals)
        if "name" in vals:
            # sudo: reasons are sales managers', server actions the administrators'
            actions = self.env["ir.actions.server"].sudo()
            actions.search([("crm_lost_reason_id", "in", self.ids)])._compute_name()
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_lost_by_automation(self):
        # sudo: whoever deletes a reason need not see automations; which ones is told as far as they may
        automations = self.env["crm.stage.automation"].sudo().with_context(active_test=False)
        losing = automations.search([("lost_reason_id", "in", self.ids)])
        if not losing:
            return
        visible = losing.sudo(False)._filtered_access("read")
        raise UserError(
            self.env._(
                "%(reasons)s cannot be deleted: stage automations lose opportunities for this reason. Choose "
                "another one in these, or delete them, first. Or archive the reason: it is not offered any "
                "more then.",
                reasons=", ".join(losing.lost_reason_id.mapped("display_name")),
            )
            + "".join(f"\n{automation.name}" for automation in visible)
        )
