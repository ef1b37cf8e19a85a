from odoo import api, models
from odoo.fields import Domain


class CalendarEvent(models.Model):
    _name = "calendar.event"
    _inherit = ["calendar.event", "crm.stage.trigger.mixin"]
    _crm_stage_changes = {"meeting_scheduled": ("opportunity_id", "categ_ids", "active")}

    _crm_stage_stop_idx = models.Index("(stop) WHERE opportunity_id IS NOT NULL")
    _crm_stage_stop_date_idx = models.Index("(stop_date) WHERE opportunity_id IS NOT NULL")

    @api.model
    def _get_crm_stage_triggers(self):
        return {
            **super()._get_crm_stage_triggers(),
            "meeting_scheduled": self.env._("a meeting is scheduled"),
            "meeting_over": self.env._("a meeting is over"),
        }

    @api.model
    def _get_crm_stage_absence_text(self, trigger):
        texts = {
            "meeting_scheduled": self.env._("No meeting is scheduled."),
            "meeting_over": self.env._("No meeting was held."),
        }
        return texts.get(trigger) or super()._get_crm_stage_absence_text(trigger)

    @api.model
    def _get_crm_stage_trigger_domain(self, trigger):
        if trigger == "meeting_scheduled":
            return Domain("active", "=", True)  # Odoo archives those that are cancelled
        return super()._get_crm_stage_trigger_domain(trigger)

    @api.model
    def _get_crm_stage_trigger_dates(self):
        return {**super()._get_crm_stage_trigger_dates(), "meeting_over": "stop"}

    @api.model
    def _get_crm_stage_due_domain(self, trigger, days, since, until, is_working_days=False):
        """The end of a meeting that lasts all day is a date without time, though Odoo stores one."""
        period = days, since, until, is_working_days
        domain = super()._get_crm_stage_due_domain(trigger, *period)
        if trigger != "meeting_over":
            return domain
        is_all_day = Domain("allday", "=", True)
        all_day = is_all_day & self._get_crm_stage_date_domain("stop_date", *period)
        return Domain("active", "=", True) & ((~is_all_day & domain) | all_day)

    def _announce_crm_stage_changes(self, *args):
        """Some of a series may be gone by now."""
        return super(CalendarEvent, self.exists())._announce_crm_stage_changes(*args)
