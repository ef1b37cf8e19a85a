from odoo import api, models


class CalendarEvent(models.Model):
    _name = "calendar.event"
    _inherit = ["calendar.event", "crm.stage.trigger.mixin"]

    @api.model
    def _get_crm_stage_triggers(self):
        return {
            **super()._get_crm_stage_triggers(),
            "meeting_scheduled": self.env._("a meeting is scheduled"),
        }

    @api.model_create_multi
    def create(self, vals_list):
        events = super().create(vals_list)
        events._trigger_crm_stage("meeting_scheduled")
        return events

    def write(self, vals):
        """A meeting linked to an opportunity, or tagged, afterwards counts as scheduled then."""
        if not {"opportunity_id", "categ_ids"} & vals.keys() or not self._get_heard_crm_stage_triggers():
            return super().write(vals)
        before = {event: (event.opportunity_id, event.categ_ids) for event in self}
        res = super().write(vals)
        # Some of a series may be gone by now.
        self.exists().filtered(
            lambda event: event.opportunity_id != before[event][0] or event.categ_ids - before[event][1]
        )._trigger_crm_stage("meeting_scheduled")
        return res
