from odoo import fields, models


class CrmLead(models.Model):
    _inherit = "crm.lead"

    stage_stay_ids = fields.One2many(
        "crm.stage.report",
        "lead_id",
        "Stays in Stages",
        help="The stages this opportunity went through. To search with: when it entered or left which one, "
        "and how.",
    )
