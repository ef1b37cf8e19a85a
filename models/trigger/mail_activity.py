from odoo import api, fields, models
from odoo.fields import Domain


class MailActivity(models.Model):
    _name = "mail.activity"
    _inherit = ["mail.activity", "crm.stage.trigger.mixin"]
    _crm_stage_lead_path = "crm_stage_lead_id"
    _crm_stage_changes = {"activity_planned": ("res_model_id", "res_id", "activity_type_id", "active")}

    crm_stage_lead_id = fields.Many2one(
        "crm.lead",
        string="Opportunity",
        compute="_compute_crm_stage_lead_id",
        search="_search_crm_stage_lead_id",
        help="The opportunity that the activity is about, if it is about one. To search with.",
    )

    @api.depends("res_model", "res_id")
    def _compute_crm_stage_lead_id(self):
        about = self.filtered(lambda activity: activity.res_model == "crm.lead")
        lead_ids = set(self.env["crm.lead"].browse(about.mapped("res_id")).exists().ids)
        for activity in self:
            is_known = activity in about and activity.res_id in lead_ids
            activity.crm_stage_lead_id = is_known and activity.res_id

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
    def _get_crm_stage_absence_text(self, trigger):
        texts = {
            "activity_planned": self.env._("No activity is planned."),
            "activity_done": self.env._("No activity was done."),
        }
        return texts.get(trigger) or super()._get_crm_stage_absence_text(trigger)

    @api.model
    def _get_crm_stage_trigger_domain(self, trigger):
        if trigger in ("activity_planned", "activity_done"):
            return Domain("active", "=", trigger == "activity_planned")  # Odoo archives those done
        return super()._get_crm_stage_trigger_domain(trigger)

    def _action_done(self, feedback=False, attachment_ids=None):
        res = super()._action_done(feedback=feedback, attachment_ids=attachment_ids)
        # Odoo deletes those whose type keeps none that are done.
        if "activity_done" in self._get_heard_crm_stage_triggers():
            self.exists()._trigger_crm_stage("activity_done")
        return res

    @api.model
    def _search_crm_stage_lead_ids(self, domain):
        query = self.with_context(active_test=False)._search(domain)
        return query.subselect(self._field_to_sql(query.table, "res_id", query))
