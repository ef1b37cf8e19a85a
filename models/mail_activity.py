from odoo import api, models
from odoo.fields import Domain


class MailActivity(models.Model):
    _name = "mail.activity"
    _inherit = ["mail.activity", "crm.stage.trigger.mixin"]

    @api.model
    def _get_crm_stage_triggers(self):
        return {
            **super()._get_crm_stage_triggers(),
            "activity_planned": self.env._("an activity is planned"),
            "activity_done": self.env._("an activity is done"),
        }

    @api.model
    def _get_crm_stage_trigger_domain(self, trigger):
        if trigger in ("activity_planned", "activity_done"):
            return Domain("active", "=", trigger == "activity_planned")  # Odoo archives those done
        return super()._get_crm_stage_trigger_domain(trigger)

    @api.model_create_multi
    def create(self, vals_list):
        activities = super().create(vals_list)
        activities._announce_planned()
        return activities

    def write(self, vals):
        """An activity given to an opportunity, another type, or brought back afterwards is planned then."""
        names = ("res_id", "activity_type_id", "active")
        if vals.keys().isdisjoint(names) or not self._get_heard_crm_stage_triggers():
            return super().write(vals)
        before = {activity: [activity[name] for name in names] for activity in self}
        res = super().write(vals)
        self.filtered(
            lambda activity: [activity[name] for name in names] != before[activity]
        )._announce_planned()
        return res

    def _announce_planned(self):
        """Those that an import brings as done are not planned."""
        if self._get_heard_crm_stage_triggers():
            self.filtered("active")._trigger_crm_stage("activity_planned")

    def _action_done(self, feedback=False, attachment_ids=None):
        res = super()._action_done(feedback=feedback, attachment_ids=attachment_ids)
        if self._get_heard_crm_stage_triggers():
            self.exists()._trigger_crm_stage("activity_done")
        return res

    # An activity knows its opportunity by model and id, without a field to follow.

    def _get_crm_stage_leads(self):
        activities = self.filtered(lambda activity: activity.res_model == "crm.lead")
        leads = self.env["crm.lead"].browse({activity.res_id for activity in activities}).exists()
        by_id = {lead.id: lead for lead in leads}
        return [(activity, by_id[activity.res_id]) for activity in activities if activity.res_id in by_id]

    @api.model
    def _get_crm_stage_lead_domain(self, leads=None):
        domain = Domain("res_model", "=", "crm.lead")
        return domain if leads is None else domain & Domain("res_id", "in", leads.ids)

    @api.model
    def _search_crm_stage_lead_ids(self, domain):
        query = self.with_context(active_test=False)._search(domain)
        return query.subselect(self._field_to_sql(query.table, "res_id", query))
