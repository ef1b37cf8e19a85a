"""Losing opportunities, with their open quotations if the user wants so, and with a way back."""

from odoo import api, fields, models

from ..tools import by_count, get_button, get_done_action


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

    is_reason_required = fields.Boolean(
        "Reason Required",
        compute="_compute_is_reason_required",
        help="Whether a won stage of the pipeline of these opportunities requires a reason.",
    )

    @api.depends("lead_ids")
    def _compute_is_reason_required(self):
        stages = self.env["crm.stage"].search([("is_won", "=", True), ("is_reason_required", "=", True)])
        for wizard in self:
            teams = wizard.lead_ids.team_id
            wizard.is_reason_required = any(not stage.team_ids or stage.team_ids & teams for stage in stages)

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
        domain = [("opportunity_id", "in", self.lead_ids.ids), ("locked", "=", False), *is_open]
        return orders.search(domain)._filtered_access("write")

    def action_lost_reason_apply(self):
        """The opportunities are lost first: what listens on cancelled quotations finds them so.

        :return: action that shows what was done, with a way back
        """
        losing = self.lead_ids.filtered(lambda lead: lead.won_status != "lost")
        set_by_hand = losing.filtered(lambda lead: not lead.is_automated_probability)
        probabilities = [(lead.id, lead.probability) for lead in set_by_hand]
        quotations = self._get_open_quotations() if self.cancel_quotations else self.env["sale.order"]
        states = [(quotation.id, quotation.state) for quotation in quotations]
        super().action_lost_reason_apply()
        if quotations:
            quotations.action_cancel()
        arguments = (losing.ids, probabilities, states)
        undo = get_button(self.env._("Undo"), losing._name, "action_undo_lost", *arguments, reload=True)
        return get_done_action(self._get_lost_message(losing, quotations), [undo] if losing else [])

    def _get_lost_message(self, leads, quotations):
        """:return: message that ``leads`` are lost and ``quotations`` cancelled"""
        values = {"name": leads[:1].name, "count": len(leads), "reason": self.lost_reason_id.name}
        if self.lost_reason_id:
            one = self.env._('"%(name)s" is lost: %(reason)s.', **values)
            many = self.env._("%(count)s opportunities are lost: %(reason)s.", **values)
        else:
            one = self.env._('"%(name)s" is lost.', **values)
            many = self.env._("%(count)s opportunities are lost.", **values)
        messages = [by_count(len(leads), one, many)]
        if count := len(quotations):
            one = self.env._("1 quotation is cancelled.")
            messages.append(by_count(count, one, self.env._("%s quotations are cancelled.", count)))
        return " ".join(messages)
