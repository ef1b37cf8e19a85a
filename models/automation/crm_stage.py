"""What a stage tells of its automations, and what they do when it becomes a won stage or an open one."""

from odoo import api, fields, models


class CrmStage(models.Model):
    _inherit = "crm.stage"

    has_faulty_automation = fields.Boolean(
        compute="_compute_has_faulty_automation",
        help="Whether an automation that moves opportunities to this stage does not work.",
    )

    @api.depends("automation_ids.fault", "automation_ids.active")
    def _compute_has_faulty_automation(self):
        # sudo: that something does not work is no secret, how it is set up is
        automations = self.env["crm.stage.automation"].sudo()
        groups = automations._read_group(
            [("stage_id", "in", self.ids), ("active", "=", True), ("fault", "!=", False)], ["stage_id"]
        )
        faulty_ids = {stage.id for (stage,) in groups}
        for stage in self:
            stage.has_faulty_automation = stage.id in faulty_ids

    def write(self, vals):
        """Automations that win or lose opportunities follow what their stage means.

        Those of a stage that was archived begin anew when it comes back.
        """
        archived = self.filtered(lambda stage: not stage.active) if vals.get("active") else self.browse()
        # sudo: whoever changes stages need not see automations
        archived.sudo().automation_ids._begin()
        if "is_won" not in vals:
            return super().write(vals)
        won_before = self.filtered("is_won")
        res = super().write(vals)
        won = self.filtered("is_won")
        # sudo: whoever changes stages need not see automations, nor server actions
        automations = self.env["crm.stage.automation"].sudo().with_context(active_test=False)
        if became_won := won - won_before:
            actions = self.env["ir.actions.server"].sudo()
            actions.search(
                [("crm_stage_id", "in", became_won.ids), ("crm_stage_outcome", "=", False)]
            ).crm_stage_outcome = "won"
            automations.search([("stage_id", "in", became_won.ids)])._follow_won_stage()
        if became_open := won_before - won:
            automations.search([("stage_id", "in", became_open.ids)])._follow_open_stage()
        return res
