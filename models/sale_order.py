from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

# What the order's state says has happened; a quotation created counts until it is cancelled.
STATE_TRIGGERS = {
    "sent": "quotation_sent",
    "sale": "order_confirmed",
    "cancel": "quotation_cancelled",
}


class SaleOrder(models.Model):
    _name = "sale.order"
    _inherit = ["sale.order", "crm.stage.trigger.mixin"]

    crm_stage_copied_partner_id = fields.Many2one(
        "res.partner",
        string="Duplicated For",
        copy=False,
        readonly=True,
        index="btree_not_null",
        help="Customer of the quotation that this one was duplicated from, until it is saved for the same "
        "customer, or its opportunity is chosen anew. Until then it does not move the opportunity.",
    )

    @api.model
    def _get_crm_stage_triggers(self):
        return {
            **super()._get_crm_stage_triggers(),
            "quotation_created": self.env._("a quotation is created"),
            "quotation_sent": self.env._("a quotation is sent"),
            "order_confirmed": self.env._("an order is confirmed"),
            "quotation_cancelled": self.env._("a quotation or order is cancelled"),
        }

    @api.model
    def _get_crm_stage_trigger_domain(self, trigger):
        states = {name: state for state, name in STATE_TRIGGERS.items()}
        if trigger == "quotation_created":
            return Domain("state", "!=", "cancel")
        if trigger in states:
            return Domain("state", "=", states[trigger])
        return super()._get_crm_stage_trigger_domain(trigger)

    @api.model_create_multi
    def create(self, vals_list):
        orders = super().create(vals_list)
        if self._get_heard_crm_stage_triggers():
            # Imports create confirmed orders, too.
            (orders - orders._get_crm_stage_copies())._trigger_crm_stage_current()
        return orders

    def write(self, vals):
        """Announce at the level of the ORM: portal signature, online payment, import and API come by here."""
        if "opportunity_id" not in vals and not self._get_heard_crm_stage_triggers():
            return super().write(vals)
        copies = self._get_crm_stage_copies()
        if self.env.context.get("crm_stage_keep_copies"):
            copies = self.browse()  # what duplicating and merging write is not what somebody made of them
        if not copies and not {"state", "opportunity_id"} & vals.keys():
            return super().write(vals)
        before = {order: (order.opportunity_id, order.state) for order in self}
        res = super().write(vals)
        linked = self.filtered(lambda order: order.opportunity_id != before[order][0])
        saved = copies.filtered(lambda order: order in linked or not order._is_copy_for_another_customer())
        if saved:
            super(SaleOrder, saved).write({"crm_stage_copied_partner_id": False})
        (linked | saved)._trigger_crm_stage_current()
        changed = (self - linked - saved).filtered(lambda order: order.state != before[order][1])
        for state, orders in changed.grouped("state").items():
            if state in STATE_TRIGGERS:
                orders._trigger_crm_stage(STATE_TRIGGERS[state])
        return res

    # ------------------------------------------------------------------
    # Duplicates
    # ------------------------------------------------------------------

    def copy(self, default=None):
        """A duplicate announces nothing before it is saved: it may be the start of another customer's."""
        copying = self.with_context(crm_stage_copying=True, crm_stage_keep_copies=True)
        return super(SaleOrder, copying).copy(default).with_env(self.env)

    def copy_data(self, default=None):
        vals_list = super().copy_data(default)
        if self.env.context.get("crm_stage_copying") and "opportunity_id" not in (default or {}):
            for order, vals in zip(self, vals_list, strict=True):
                if order.opportunity_id:
                    # A duplicate of a duplicate is the first customer's still.
                    partner = order.crm_stage_copied_partner_id or order.partner_id
                    vals["crm_stage_copied_partner_id"] = partner.id
        return vals_list

    def _get_crm_stage_copies(self):
        """:return: those of these orders that are duplicates and not announced yet"""
        return self.filtered("crm_stage_copied_partner_id")

    def _is_copy_for_another_customer(self):
        """:return: whether this is a duplicate that is no business of the first customer's opportunity"""
        self.ensure_one()
        order = self.sudo()  # sudo: customers are only compared, also those of other companies
        copied_partner = order.crm_stage_copied_partner_id
        return bool(copied_partner) and (
            copied_partner.commercial_partner_id != order.partner_id.commercial_partner_id
        )

    def _get_crm_stage_leads(self):
        pairs = super()._get_crm_stage_leads()
        return [(order, leads) for order, leads in pairs if not order._is_copy_for_another_customer()]

    @api.model
    def _get_crm_stage_lead_domain(self, leads=None):
        def is_copy_for_another_customer(model, alias, query):
            return SQL(
                """
                EXISTS (
                    SELECT FROM res_partner copied_partner, res_partner partner
                     WHERE copied_partner.id = %s AND partner.id = %s
                       AND copied_partner.commercial_partner_id != partner.commercial_partner_id
                )
                """,
                model._field_to_sql(alias, "crm_stage_copied_partner_id", query),
                model._field_to_sql(alias, "partner_id", query),
            )

        return super()._get_crm_stage_lead_domain(leads) & (
            Domain("crm_stage_copied_partner_id", "=", False)
            | ~Domain.custom(to_sql=is_copy_for_another_customer)
        )
