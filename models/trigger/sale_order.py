from odoo import api, fields, models
from odoo.fields import Domain

from ...tools import ON
from .crm_stage_trigger_mixin import LOSING_TRIGGERS

# What the order's state says has happened; a quotation created counts until it is cancelled.
STATE_TRIGGERS = {
    "sent": "quotation_sent",
    "sale": "order_confirmed",
    "cancel": "quotation_cancelled",
}


class SaleOrder(models.Model):
    _name = "sale.order"
    _inherit = ["sale.order", "crm.stage.trigger.mixin"]
    _crm_stage_date_name = "date_order"

    crm_stage_copied_partner_id = fields.Many2one(
        "res.partner",
        string="Duplicated For",
        copy=False,
        readonly=True,
        index="btree_not_null",
        help="Customer of the quotation that this one was duplicated from, until it is saved for the same "
        "customer, or its opportunity is chosen anew. Until then it moves no opportunity.",
    )

    _crm_stage_validity_date_idx = models.Index("(validity_date) WHERE state IN ('draft', 'sent')")

    @api.model
    def _get_crm_stage_triggers(self):
        return {
            **super()._get_crm_stage_triggers(),
            "quotation_created": self.env._("a quotation is created"),
            "quotation_sent": self.env._("a quotation is sent"),
            "order_confirmed": self.env._("an order is confirmed"),
            "quotation_cancelled": self.env._("a quotation or order is cancelled"),
            "quotation_expired": self.env._("a quotation expires"),
        }

    @api.model
    def _get_crm_stage_trigger_domain(self, trigger):
        if trigger == "quotation_created":
            return Domain("state", "!=", "cancel")
        for state, state_trigger in STATE_TRIGGERS.items():
            if trigger == state_trigger:
                return Domain("state", "=", state)
        return super()._get_crm_stage_trigger_domain(trigger)

    @api.model
    def _get_crm_stage_open_domain(self):
        """:return: ``Domain`` of the quotations that are neither cancelled nor expired"""
        is_open = Domain(self.env["crm.lead"]._get_lead_quotation_domain())
        is_expired = self._get_crm_stage_trigger_domain("quotation_expired")
        return is_open & (Domain("validity_date", "=", False) | ~is_expired)

    @api.model
    def _get_crm_stage_trigger_dates(self):
        return {**super()._get_crm_stage_trigger_dates(), "quotation_expired": "validity_date"}

    @api.model
    def _get_crm_stage_due_domain(self, trigger, days, since, until):
        """Only quotations expire."""
        domain = super()._get_crm_stage_due_domain(trigger, days, since, until)
        return domain & Domain("state", "in", ("draft", "sent")) if trigger == "quotation_expired" else domain

    @api.model_create_multi
    def create(self, vals_list):
        orders = super().create(vals_list)
        orders._trigger_crm_stage_current()  # Imports create confirmed orders, too.
        return orders

    def write(self, vals):
        """Announce at the level of the ORM: portal signature, online payment, import and API come by here."""
        if not self._get_heard_crm_stage_triggers():
            return super().write(vals)
        # What duplicating and merging write does not count as saving a duplicate.
        is_saving = self.env.context.get("crm_stage_keep_copies") is not ON
        copies = self.filtered(lambda order: is_saving and order.crm_stage_copied_partner_id)
        if not copies and vals.keys().isdisjoint(("state", "opportunity_id")):
            return super().write(vals)
        before = {order: (order.opportunity_id, order.state) for order in self}
        res = super().write(vals)
        linked = self.filtered(lambda order: order.opportunity_id != before[order][0])
        saved = copies.filtered(lambda order: order in linked or order._is_for_copied_customer())
        saved.with_context(crm_stage_keep_copies=ON).crm_stage_copied_partner_id = False
        new = linked | saved
        if new:
            new._trigger_crm_stage_current()
        changed = self.filtered(lambda order: order.state != before[order][1])
        for state, orders in changed.grouped("state").items():
            if trigger := STATE_TRIGGERS.get(state):
                # What is new here has announced all but the bad news, which happens now.
                (orders if trigger in LOSING_TRIGGERS else orders - new)._trigger_crm_stage(trigger)
        return res

    # ------------------------------------------------------------------
    # Duplicates: they are no documents of the opportunity before they are saved
    # ------------------------------------------------------------------

    def copy(self, default=None):
        """What Odoo writes while it duplicates does not count as saving the duplicate."""
        copying = self.with_context(crm_stage_keep_copies=ON)
        return super(SaleOrder, copying).copy(default).with_env(self.env)

    def copy_data(self, default=None):
        """A duplicate may be the start of another customer's quotation."""
        vals_list = super().copy_data(default)
        if self._get_heard_crm_stage_triggers() and "opportunity_id" not in (default or {}):
            for order, vals in zip(self, vals_list, strict=True):
                if order.opportunity_id:
                    # A duplicate of a duplicate is the first customer's still.
                    partner = order.crm_stage_copied_partner_id or order.partner_id
                    vals["crm_stage_copied_partner_id"] = partner.id
        return vals_list

    def _is_for_copied_customer(self):
        """:return: whether this duplicate is for the customer of the quotation that it was made from"""
        order = self.sudo()  # sudo: customers are only compared, also those of other companies
        partners = order.crm_stage_copied_partner_id + order.partner_id
        return len(partners.commercial_partner_id) == 1

    def _get_crm_stage_leads(self):
        saved = self.filtered(lambda order: not order.crm_stage_copied_partner_id)
        return super(SaleOrder, saved)._get_crm_stage_leads()

    @api.model
    def _get_crm_stage_lead_domain(self, leads=None):
        is_saved = Domain("crm_stage_copied_partner_id", "=", False)
        return super()._get_crm_stage_lead_domain(leads) & is_saved
