from odoo import fields, models


class IrUiView(models.Model):
    _inherit = "ir.ui.view"

    type = fields.Selection(
        selection_add=[("crm_stage_overview", "Stages Overview")],
        ondelete={"crm_stage_overview": "cascade"},
    )

    def _get_view_info(self):
        return {"crm_stage_overview": {"icon": "fa fa-dashboard"}} | super()._get_view_info()
