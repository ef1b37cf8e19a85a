from odoo import api, models
from odoo.fields import Domain

from ...tools import ON
from . import explanation


class CrmLead(models.Model):
    """Opportunities are moved, won, lost or brought back by automations and actions."""

    _inherit = "crm.lead"

    def get_stage_explanation(self):
        """Say why this opportunity is in its stage, and why not in a later one. Nothing is written.

        :return: dictionary, in the language of the user, without names that they may not see:

            * ``stays``: the stages it has been in, as ``{"stage", "entered", "left", "moved_by",
              "automation", "document"}``; the dates are in UTC, ``document`` is ``{"model", "id", "name"}``
              or False
            * ``automations``: in the order of the pipeline, as ``{"id", "name", "reason", "text",
              "document"}``, each with the first reason that holds of: ``idle``, ``faulty``, ``team``,
              ``closed``, ``stage``, ``taken_back``, ``no_document``, ``condition``, ``order``, ``not_yet``,
              ``before``, ``further``, ``moves``
            * ``can_open``, ``can_move``: whether the user may open automations, and apply them to it

        :raise AccessError: the user may not read the opportunity
        """
        self.ensure_one()
        self.check_access("read")
        return explanation.explain(self)

    # ------------------------------------------------------------------
    # Being moved
    # ------------------------------------------------------------------

    @api.model
    def _get_movable_domains(self, stage, origin_ids=None, is_back=False, is_lost_included=False):
        """What an opportunity has to be to be moved, each with the reason why it stays where it is not.

        Other won, lost and archived ones, and those of teams that do not have the stage, are left alone.

        :param stage: that opportunities are moved to
        :param origin_ids: ids of the stages that opportunities may come from, False for none; default: all
        :param is_back: whether somebody named these stages: won opportunities are moved out of them, too
        :param is_lost_included: whether lost opportunities are brought back; those that are in no stage to be
            moved from, unless it was named, where they are
        :return: ``{reason: Domain}``; the reasons are those of ``crm.stage.automation.move``
        """
        is_taken = Domain("active", "=", True)
        is_taken &= Domain("won_status", "in", ["pending", "won"] if is_back else ["pending"])
        is_there = Domain.TRUE if origin_ids is None else Domain("stage_id", "in", origin_ids)
        is_elsewhere = Domain("stage_id", "!=", stage.id) & is_there
        if is_lost_included:
            is_lost = Domain("won_status", "=", "lost")
            is_taken |= is_lost
            is_elsewhere |= is_lost & is_there if is_back else is_lost
        return {
            "team": Domain("team_id", "in", stage.team_ids.ids) if stage.team_ids else Domain.TRUE,
            "closed": Domain("type", "=", "opportunity") & is_taken,
            "stage": is_elsewhere,
        }

    def _filter_with_orders(self, domain):
        """:return: those of the opportunities that have a quotation or an order that matches ``domain``"""
        # sudo: only whether there is one, also of other salespersons; nothing of it is shown
        orders = self.env["sale.order"].sudo().search(Domain("opportunity_id", "in", self.ids) & domain)
        return orders.opportunity_id.with_env(self.env)

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
