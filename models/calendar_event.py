from odoo import api, models
from odoo.fields import Domain


class CalendarEvent(models.Model):
    _name = "calendar.event"
    _inherit = ["calendar.event", "crm.stage.trigger.mixin"]

    @api.model
    def _get_crm_stage_triggers(self):
        return {
            **super()._get_crm_stage_triggers(),
            "meeting_scheduled": self.env._("a meeting is scheduled"),
        }

    @api.model
    def _get_crm_stage_trigger_domain(self, trigger):
        if trigger == "meeting_scheduled":
            return Domain("active", "=", True)  # Odoo archives those that are cancelled
        return super()._get_crm_stage_trigger_domain(trigger)

    @api.model_create_multi
    def create(self, vals_list):
        events = super().create(vals_list)
        events._announce_scheduled()
        return events

    def write(self, vals):
        """A meeting linked to an opportunity, tagged, or brought back afterwards counts as scheduled then."""
        names = {"opportunity_id", "categ_ids", "active"}
        if vals.keys().isdisjoint(names) or not self._get_heard_crm_stage_triggers():
            return super().write(vals)
        before = {event: (event.opportunity_id, event.categ_ids, event.active) for event in self}
        res = super().write(vals)

        def is_scheduled(event):
            opportunity, tags, active = before[event]
            return event.opportunity_id != opportunity or event.categ_ids - tags or event.active > active

        # Some of a series may be gone by now.
        self.exists().filtered(is_scheduled)._announce_scheduled()
        return res

    def _announce_scheduled(self):
        """Those that an import or a synchronisation brings as cancelled are not scheduled."""
        if self._get_heard_crm_stage_triggers():
            self.filtered("active")._trigger_crm_stage("meeting_scheduled")
