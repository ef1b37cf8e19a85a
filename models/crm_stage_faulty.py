from odoo import api, fields, models


class CrmStage(models.Model):
    """The pipeline marks the stages whose automations do not work."""

    _inherit = "crm.stage"

    has_faulty_automation = fields.Boolean(
        compute="_compute_has_faulty_automation",
        groups="sales_team.group_sale_manager",
        help="Whether one of the automations that move opportunities to this stage does not work.",
    )

    @api.depends("automation_ids.fault", "automation_ids.active")
    def _compute_has_faulty_automation(self):
        domain = [("stage_id", "in", self.ids), ("fault", "!=", False)]
        faulty = {stage.id for (stage,) in self.env["crm.stage.automation"]._read_group(domain, ["stage_id"])}
        for stage in self:
            stage.has_faulty_automation = stage._origin.id in faulty
