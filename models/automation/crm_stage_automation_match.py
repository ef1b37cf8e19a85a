"""Automations that wait until an opportunity meets their condition."""

from odoo import api, models
from odoo.exceptions import ValidationError


class CrmStageAutomation(models.Model):
    _inherit = "crm.stage.automation"

    @api.constrains("trigger", "filter_domain")
    def _check_condition_to_meet(self):
        for automation in self:
            if automation.trigger == "opportunity_matches" and automation._parse_valid_domain().is_true():
                raise ValidationError(
                    self.env._(
                        "Say what an opportunity has to meet: an automation that waits until it comes to "
                        "meet the condition needs a condition."
                    )
                )

    @api.model
    def _filter_unmatched(self, listener, leads):
        """:return: those of ``leads`` that are no opportunities that meet the automation's condition; none
        when it is faulty, which it shows
        """
        automation = self._with_moving_env().browse(listener.automation_id)
        with automation._show_failure("condition"):
            opportunities = leads.with_env(automation.env).filtered(lambda lead: lead.type == "opportunity")
            matching_ids = set(automation._filter_documents(opportunities).ids)
            return leads.filtered(lambda lead: lead.id not in matching_ids)
        return leads.browse()
