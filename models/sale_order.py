from odoo import api, models
from odoo.fields import Domain

# What the order's state says has happened; a quotation created counts until it is cancelled.
STATE_TRIGGERS = {
    "sent": "quotation_sent",
    "sale": "order_confirmed",
    "cancel": "quotation_cancelled",
}


class SaleOrder(models.Model):
    _name = "sale.order"
    _inherit = ["sale.order", "crm.stage.trigger.mixin"]

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
        orders._trigger_crm_stage_current()  # imports create confirmed orders too
        return orders

    def write(self, vals):
        """Announce at the level of the ORM: portal signature, online payment, import and API come by here."""
        if not {"state", "opportunity_id"} & vals.keys() or not self._get_heard_crm_stage_triggers():
            return super().write(vals)
        before = {order: (order.opportunity_id, order.state) for order in self}
        res = super().write(vals)
        linked = self.filtered(lambda order: order.opportunity_id != before[order][0])
        linked._trigger_crm_stage_current()
        changed = (self - linked).filtered(lambda order: order.state != before[order][1])
        for state, orders in changed.grouped("state").items():
            if state in STATE_TRIGGERS:
                orders._trigger_crm_stage(STATE_TRIGGERS[state])
        return res
