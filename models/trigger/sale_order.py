from odoo import api, fields, models
from odoo.fields import Domain

from ...tools import ON

# Triggers and the state of the order that says that they have happened
STATES = {"quotation_sent": "sent", "order_confirmed": "sale", "quotation_cancelled": "cancel"}


class SaleOrder(models.Model):
    _name = "sale.order"
    _inherit = ["sale.order", "crm.stage.trigger.mixin"]
    # Good news comes along with a quotation that is linked, or with a duplicate that is saved.
    _crm_stage_changes = {
        "quotation_created": ("opportunity_id", "crm_stage_copied_partner_id"),
        "quotation_sent": ("opportunity_id", "crm_stage_copied_partner_id", "state"),
        "order_confirmed": ("opportunity_id", "crm_stage_copied_partner_id", "state"),
        "quotation_cancelled": ("state",),
    }
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
    def _get_crm_stage_absence_text(self, trigger):
        texts = {
            "quotation_created": self.env._("There is no quotation."),
            "quotation_sent": self.env._("No quotation was sent."),
            "order_confirmed": self.env._("No order was confirmed."),
            "quotation_cancelled": self.env._("No quotation or order was cancelled."),
            "quotation_expired": self.env._("No open quotation has an expiration date."),
        }
        return texts.get(trigger) or super()._get_crm_stage_absence_text(trigger)

    @api.model
    def _get_crm_stage_trigger_domain(self, trigger):
        if trigger == "quotation_created":
            return Domain("state", "!=", "cancel")
        if trigger in STATES:
            return Domain("state", "=", STATES[trigger])
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
    def _get_crm_stage_due_domain(self, trigger, days, since, until, is_working_days=False):
        """Only quotations expire."""
        domain = super()._get_crm_stage_due_domain(trigger, days, since, until, is_working_days)
        return domain & Domain("state", "in", ("draft", "sent")) if trigger == "quotation_expired" else domain

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

    def write(self, vals):
        """Saving a duplicate makes it a document. What duplicating and merging write does not count."""
        heard = self.env["crm.stage.automation"]._get_listening().heard.get(self._name)
        if self.env.context.get("crm_stage_keep_copies") is ON or not heard:
            return super().write(vals)
        saved = self.filtered(lambda order: order.crm_stage_copied_partner_id and order._is_saved_by(vals))
        if saved:
            super(SaleOrder, saved).write({"crm_stage_copied_partner_id": False, **vals})
        return super(SaleOrder, self - saved).write(vals)

    def _is_saved_by(self, vals):
        """:return: whether writing ``vals`` saves it: for the first customer, or for another opportunity"""
        order = self.sudo()  # sudo: customers are only compared, also those of other companies
        if vals.get("opportunity_id", order.opportunity_id.id) != order.opportunity_id.id:
            return True
        partner = order.partner_id.browse(vals["partner_id"]) if "partner_id" in vals else order.partner_id
        return len((order.crm_stage_copied_partner_id + partner).commercial_partner_id) == 1

    def _get_crm_stage_leads(self):
        saved = self.filtered(lambda order: not order.crm_stage_copied_partner_id)
        return super(SaleOrder, saved)._get_crm_stage_leads()

    @api.model
    def _get_crm_stage_lead_domain(self, leads=None):
        is_saved = Domain("crm_stage_copied_partner_id", "=", False)
        return super()._get_crm_stage_lead_domain(leads) & is_saved
