from odoo import fields, models


class IrActionsActWindowView(models.Model):
    _inherit = "ir.actions.act_window.view"

    view_mode = fields.Selection(
        selection_add=[("crm_stage_overview", "Stages Overview")],
        ondelete={"crm_stage_overview": "cascade"},
    )
