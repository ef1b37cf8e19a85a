"""Opportunities that an action or an automation moves, wins, loses or brings back."""

from odoo import models
from odoo.fields import Domain

from ..tools import ON


class CrmLead(models.Model):
    _inherit = "crm.lead"

    def _filter_with_orders(self, domain):
        """:return: those of the opportunities that have a quotation or an order that matches ``domain``"""
        # sudo: only whether there is one, also of other salespersons; nothing of it is shown
        orders = self.env["sale.order"].sudo().search(Domain("opportunity_id", "in", self.ids) & domain)
        return orders.opportunity_id.with_env(self.env)

    def _lose(self, reason):
        """Lose all of them at once, as Odoo's own button does: they keep their stage."""
        if self:
            self.action_set_lost(lost_reason_id=reason.id)

    def action_undo_lost(self, probabilities, states):
        """Take back that opportunities were lost a moment ago, as the notification of it offers.

        :param probabilities: those that were set by hand, as ``[(opportunity's id, percentage), ...]``
        :param states: those of the quotations that were cancelled with them, as ``[(id, state), ...]``
        """
        self.check_access("write")
        lost = self.filtered(lambda lead: lead.won_status == "lost")
        lost.action_restore()
        for lead_id, probability in probabilities:
            if lead_id in lost.ids:
                self.browse(lead_id).probability = probability
        # Odoo's own button makes drafts of them, and forgets who signed.
        states = {order_id: state for order_id, state in states if state in ("draft", "sent")}
        orders = self.env["sale.order"].with_context(crm_stage_moving=ON).browse(states).exists()
        cancelled = orders.filtered(lambda order: order.state == "cancel")
        for state, its_orders in cancelled.grouped(lambda order: states[order.id]).items():
            its_orders.state = state

    def _enter_stage(self, stage, origin_ids):
        """Move all of them at once, lost ones after they were restored as Odoo's own button does.

        :param origin_ids: of the stages that they may come from; lost ones of other stages are restored where
            they are. None: from any stage.
        """
        lost = self.filtered(lambda lead: lead.won_status == "lost")
        if lost:
            lost.action_unarchive()
        staying = lost.filtered(lambda lead: origin_ids is not None and lead.stage_id.id not in origin_ids)
        if moving := self - staying:
            moving.write({"stage_id": stage.id})
