"""Opportunities that come to meet a condition, by being created or changed: a trigger."""

from odoo import api, models
from odoo.fields import Domain

# Whoever moves a card says where it belongs: that alone triggers no automation.
PLACING_FIELDS = {"stage_id"}


class CrmLead(models.Model):
    _inherit = "crm.lead"

    @api.model
    def _get_crm_stage_triggers(self):
        return {
            **super()._get_crm_stage_triggers(),
            "opportunity_matches": self.env._("it comes to meet the condition"),
        }

    @api.model
    def _get_crm_stage_trigger_domain(self, trigger):
        if trigger == "opportunity_matches":
            return Domain("type", "=", "opportunity")  # that meet the condition
        return super()._get_crm_stage_trigger_domain(trigger)

    @api.model_create_multi
    def create(self, vals_list):
        leads = super().create(vals_list)
        if listeners := self._get_matching_listeners():
            self.env["crm.stage.automation"]._process_listeners(dict.fromkeys(listeners, leads))
        return leads

    def write(self, vals):
        """Opportunities that do not meet a condition before, and do so afterwards, have come to meet it.

        The database tells, before and after, so that it does not matter how the fields of the condition
        follow from those that are written.
        """
        listeners = self._get_matching_listeners() if self and vals.keys() - PLACING_FIELDS else ()
        if not listeners:
            return super().write(vals)
        automations = self.env["crm.stage.automation"]
        others = {listener: automations._filter_unmatched(listener, self) for listener in listeners}
        res = super().write(vals)
        automations._process_listeners(others)
        return res

    @api.model
    def _get_matching_listeners(self):
        """:return: the listeners for opportunities that come to meet a condition; without a query"""
        if "opportunity_matches" not in self._get_heard_crm_stage_triggers():
            return []
        listeners = self.env["crm.stage.automation"]._get_setup().listeners
        return [listener for listener in listeners if listener.trigger == "opportunity_matches"]
