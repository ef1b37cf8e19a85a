"""Automations that wait until an opportunity meets their condition."""

from odoo import api, models
from odoo.exceptions import ValidationError

from ..tools import undo_on_failure
from .crm_stage_automation import CONFLICTS


class CrmStageAutomation(models.Model):
    _inherit = "crm.stage.automation"

    @api.constrains("trigger", "filter_domain")
    def _check_condition_to_meet(self):
        for automation in self:
            if automation.trigger == "opportunity_matches" and automation._parse_domain().is_true():
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
        self.env.flush_all()  # What was pending is no fault of the automation.
        try:
            with undo_on_failure(self.env):
                opportunities = leads.with_env(automation.env).filtered(
                    lambda lead: lead.type == "opportunity"
                )
                matching_ids = set(automation._filter_documents(opportunities).ids)
        except CONFLICTS:
            raise
        except Exception as error:  # whatever it is, the opportunity itself is saved
            automation._tell_fault(error, "condition")
            return leads.browse()
        return leads.filtered(lambda lead: lead.id not in matching_ids)
