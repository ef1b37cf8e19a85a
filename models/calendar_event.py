from odoo import api, fields, models
from odoo.fields import Domain


class CalendarEvent(models.Model):
    _name = "calendar.event"
    _inherit = ["calendar.event", "crm.stage.trigger.mixin"]

    crm_stage_is_copy = fields.Boolean(
        "Duplicate",
        copy=False,
        readonly=True,
        help="Whether this meeting was duplicated and not saved since: it counts as scheduled then.",
    )

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
        if not self._get_heard_crm_stage_triggers() or self.env.context.get("crm_stage_copying"):
            return super().write(vals)
        copies = self.filtered("crm_stage_is_copy")
        if not copies and not {"opportunity_id", "categ_ids", "active"} & vals.keys():
            return super().write(vals)
        before = {event: (event.opportunity_id, event.categ_ids, event.active) for event in self}
        res = super().write({**vals, "crm_stage_is_copy": False} if copies else vals)

        def is_scheduled(event):
            opportunity, tags, active = before[event]
            return (
                event in copies
                or event.opportunity_id != opportunity
                or event.categ_ids - tags
                or event.active > active
            )

        # Some of a series may be gone by now.
        self.exists().filtered(is_scheduled)._announce_scheduled()
        return res

    def _announce_scheduled(self):
        """Those that an import or a synchronisation brings as cancelled are not scheduled."""
        if self._get_heard_crm_stage_triggers():
            events = self.filtered(lambda event: event.active and not event.crm_stage_is_copy)
            events._trigger_crm_stage("meeting_scheduled")

    def copy(self, default=None):
        """A duplicate announces nothing before it is saved with what the user made of it."""
        default = dict(default or {})
        if self._get_heard_crm_stage_triggers() and "opportunity_id" not in default:
            default["crm_stage_is_copy"] = True
        copying = self.with_context(crm_stage_copying=True)
        return super(CalendarEvent, copying).copy(default).with_env(self.env)
