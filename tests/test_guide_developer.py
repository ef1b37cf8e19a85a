from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tests import tagged

from .test_automation_due import DueCase


class HouseSurvey(models.Model):
    """The measures of a house, taken for an opportunity."""

    _module = None
    _name = "house.survey"
    _description = "House Survey"
    _inherit = ["crm.stage.trigger.mixin"]

    name = fields.Char(required=True)
    opportunity_id = fields.Many2one("crm.lead", required=True, ondelete="cascade")
    date_promised = fields.Date()
    is_done = fields.Boolean()

    @api.model
    def _get_crm_stage_triggers(self):
        triggers = {
            "survey_done": self.env._("a survey is done"),
            "survey_late": self.env._("a survey is late"),
        }
        return {**super()._get_crm_stage_triggers(), **triggers}

    @api.model
    def _get_crm_stage_trigger_domain(self, trigger):
        if trigger == "survey_done":
            return Domain("is_done", "=", True)
        return super()._get_crm_stage_trigger_domain(trigger)

    @api.model
    def _get_crm_stage_trigger_dates(self):
        return {**super()._get_crm_stage_trigger_dates(), "survey_late": "date_promised"}

    def action_done(self):
        surveys = self.filtered(lambda survey: not survey.is_done)
        surveys.is_done = True
        surveys._trigger_crm_stage("survey_done")


@tagged("post_install", "-at_install")
class TestDeveloperGuide(DueCase):
    """The example of the developer's guide does what the guide says."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.add_model(HouseSurvey)
        cls.done, cls.late = cls.create_leads(2)
        cls.surveys = cls.env["house.survey"].create(
            [{"name": lead.name, "opportunity_id": lead.id} for lead in (cls.done, cls.late)]
        )

    def test_announced(self):
        self.create_automation(self.visit, "survey_done")
        self.surveys[0].action_done()
        self.assertEqual((self.done.stage_id, self.late.stage_id), (self.visit, self.new))

    def test_only_what_has_changed(self):
        self.create_automation(self.visit, "survey_done")
        self.surveys[0].action_done()
        self.done.stage_id = self.new
        self.surveys[0].action_done()
        self.assertEqual(self.done.stage_id, self.new)

    def test_existing_documents(self):
        self.surveys[0].action_done()
        self.create_automation(self.visit, "survey_done").action_catch_up()
        self.assertEqual((self.done.stage_id, self.late.stage_id), (self.visit, self.new))

    def test_in_time(self):
        now = fields.Datetime.now()
        self.create_at(now, "survey_late", days=1)
        self.surveys[1].date_promised = fields.Date.add(now.date(), days=3)
        self.run_at(fields.Datetime.add(now, days=6))
        self.assertEqual((self.done.stage_id, self.late.stage_id), (self.new, self.visit))

    def test_costs_nothing(self):
        """No query while no automation listens."""
        self.surveys._trigger_crm_stage("survey_done")  # fills the cache
        self.env.flush_all()
        with self.assertQueryCount(0):
            self.surveys._trigger_crm_stage("survey_done")
