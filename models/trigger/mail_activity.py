from odoo import api, fields, models
from odoo.fields import Domain


class MailActivity(models.Model):
    _name = "mail.activity"
    _inherit = ["mail.activity", "crm.stage.trigger.mixin"]

    crm_stage_lead_id = fields.Many2one(
        "crm.lead",
        string="Opportunity",
        compute="_compute_crm_stage_lead_id",
        search="_search_crm_stage_lead_id",
        help="The opportunity that the activity is about, if it is about one. To search with.",
    )

    @api.depends("res_model", "res_id")
    def _compute_crm_stage_lead_id(self):
        for activity in self:
            activity.crm_stage_lead_id = activity.res_model == "crm.lead" and activity.res_id

    @api.model
    def _search_crm_stage_lead_id(self, operator, value):
        is_about_lead = Domain("res_model", "=", "crm.lead")
        if operator == "in" and False in value:
            return ~is_about_lead | self._search_crm_stage_lead_id("in", set(value) - {False})
        if operator not in ("in", "any", "any!"):
            return NotImplemented
        leads = self.env["crm.lead"].with_context(active_test=False)
        domain = value if operator == "any" else Domain("id", operator, value)
        return is_about_lead & Domain("res_id", "in", leads._search(domain))

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
        names = ("res_model_id", "res_id", "activity_type_id", "active")
        if vals.keys().isdisjoint(names) or "activity_planned" not in self._get_heard_crm_stage_triggers():
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
        if "activity_done" in self._get_heard_crm_stage_triggers():
            # Odoo deletes those whose type keeps none that are done.
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
