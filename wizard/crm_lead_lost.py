from odoo import api, fields, models


class CrmLeadLost(models.TransientModel):
    _inherit = "crm.lead.lost"

    open_quotation_count = fields.Integer(
        "Open Quotations",
        compute="_compute_open_quotation_count",
        help="Number of open quotations of these opportunities that you may cancel.",
    )
    cancel_quotations = fields.Boolean(
        "Also Cancel Open Quotations",
        help="Whether the open quotations of the lost opportunities are cancelled, too.",
    )

    @api.depends("lead_ids")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_open_quotation_count(self):
        for wizard in self:
            wizard.open_quotation_count = len(wizard._get_open_quotations())

    def _get_open_quotations(self):
        """:return: open quotations of these opportunities that the user may cancel"""
        orders = self.env["sale.order"]
        if not orders.has_access("write"):
            return orders
        is_open = orders.env["crm.lead"]._get_lead_quotation_domain()
        quotations = orders.search([("opportunity_id", "in", self.lead_ids.ids), *is_open])
        return quotations.filtered(lambda order: not order.locked)._filtered_access("write")

    def action_lost_reason_apply(self):
        """The opportunities are lost first: what listens on cancelled quotations finds them so."""
        quotations = self._get_open_quotations() if self.cancel_quotations else self.env["sale.order"]
        res = super().action_lost_reason_apply()
        if quotations:
            quotations.action_cancel()
        return res
