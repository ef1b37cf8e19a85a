from datetime import timedelta
from unittest.mock import patch

from odoo import api, fields, models
from odoo.tests import tagged

from .common_automation import AutomationCase


class ServiceVisit(models.Model):
    """A document of another addon: it joins with an inherit, a declaration and a call."""

    _name = "test.service.visit"
    _description = "Service Visit"
    _inherit = ["crm.stage.trigger.mixin"]
    _module = None
    _crm_stage_lead_path = "job_id.opportunity_id"

    name = fields.Char()
    state = fields.Char()
    job_id = fields.Many2one("sale.order")
    date_end = fields.Datetime()

    @api.model
    def _get_crm_stage_triggers(self):
        return {
            **super()._get_crm_stage_triggers(),
            "service_visit_done": "a service visit is done",
            "service_visit_late": "a service visit is late",
            "service_visit_over": "a service visit is over",
            "service_visit_guaranteed": "the guarantee of a service visit ends in … days",
        }

    @api.model
    def _get_crm_stage_trigger_dates(self):
        dates = {"service_visit_over": "date_end", "service_visit_guaranteed": None}
        return {**super()._get_crm_stage_trigger_dates(), **dates}

    @api.model
    def _get_crm_stage_due_domain(self, trigger, days, since, until, is_working_days=False):
        """Its guarantee ends a year after the visit: some days earlier is the time to call."""
        if trigger == "service_visit_guaranteed":
            return self._get_crm_stage_date_domain("date_end", 365 - days, since, until)
        return super()._get_crm_stage_due_domain(trigger, days, since, until, is_working_days)

    @api.model
    def _get_crm_stage_trigger_domain(self, trigger):
        if trigger == "service_visit_done":
            return fields.Domain("state", "=", "done")
        return super()._get_crm_stage_trigger_domain(trigger)

    def action_done(self):
        self.write({"state": "done"})
        self._trigger_crm_stage("service_visit_done")


@tagged("post_install", "-at_install")
class TestTriggerMixin(AutomationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.add_model(ServiceVisit)
        cls.automation = cls.create_automation(
            cls.visit, "service_visit_done", filter_domain="[('name', '=', 'Measured')]"
        )

    def create_visits(self, *names):
        leads = self.create_leads(len(names))
        orders = self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])
        leads.stage_id = self.new
        return self.env["test.service.visit"].create(
            [{"name": name, "job_id": order.id} for name, order in zip(names, orders, strict=True)]
        )

    def test_trigger_can_be_chosen(self):
        self.assertIn(
            ("service_visit_done", "a service visit is done"),
            self.automations.fields_get(["trigger"])["trigger"]["selection"],
        )
        self.assertEqual(self.automation.model_name, "test.service.visit")
        self.assertEqual(
            self.automation.name,
            'Move to "Technical Visit" when a service visit is done, if "Name" is equal to Measured',
        )

    def test_moves(self):
        visits = self.create_visits("Measured", "Nobody home")
        visits.action_done()
        self.assertEqual(visits.job_id.opportunity_id.mapped("stage_id"), self.visit + self.new)
        self.assertIn("Measured", self.get_tracking_message(visits[0].job_id.opportunity_id).body)

    def test_existing_documents(self):
        """Also over a path of several links."""
        visits = self.create_visits("Measured", "Nobody home", "Measured")
        visits[:2].state = "done"
        self.automation.action_catch_up()
        self.assertEqual(visits.job_id.opportunity_id.mapped("stage_id"), self.visit + self.new)
        self.assertEqual(visits[2].job_id.opportunity_id.stage_id, self.new)

    def test_nothing_said_of_existing_documents(self):
        """Then it has happened to none of them."""
        late = self.create_automation(self.quotation, "service_visit_late")
        visits = self.create_visits("Measured", "Nobody home")
        visits.state = "done"
        late.action_catch_up()
        self.assertEqual(visits.job_id.opportunity_id.stage_id, self.new)
        visits._trigger_crm_stage("service_visit_late")
        self.assertEqual(visits.job_id.opportunity_id.stage_id, self.quotation)

    def run_due_job(self):
        self.env.flush_all()
        with patch.object(type(self.env["ir.cron"]), "_commit_progress", return_value=60):
            self.automations._cron_due()

    def test_in_time(self):
        """It takes the name of a date, over a path of several links, too."""
        visits = self.create_visits("Measured", "Nobody home", "Measured")
        now = fields.Datetime.now()
        automation = self.create_automation(
            self.visit, "service_visit_over", days=2, filter_domain="[('name', '=', 'Measured')]"
        )
        text = 'a service visit is over, 2 days later, if "Name" is equal to Measured'
        self.assertEqual(automation.name, f'Move to "Technical Visit" when {text}')
        visits.date_end = now + timedelta(days=3)
        automation.date_begun = now - timedelta(hours=1)
        self.env.flush_all()
        for visit, minutes in zip(visits, (-5, -5, 5), strict=True):
            date = now - timedelta(days=2) + timedelta(minutes=minutes)
            self.env.cr.execute("UPDATE test_service_visit SET date_end = %s WHERE id = %s", [date, visit.id])
        visits.invalidate_recordset()
        self.run_due_job()
        leads = visits.job_id.opportunity_id
        self.assertEqual([lead.stage_id == self.visit for lead in leads], [True, False, False])

    def test_date_that_has_passed(self):
        visits = self.create_visits("Measured", "Measured")
        self.create_automation(self.visit, "service_visit_over", days=2)
        visits[0].date_end = fields.Datetime.now() - timedelta(days=3)
        visits[1].date_end = fields.Datetime.now() - timedelta(days=1)
        self.assertEqual(visits.job_id.opportunity_id.stage_id, self.new)
        self.run_due_job()
        self.assertEqual(visits.job_id.opportunity_id.mapped("stage_id"), self.visit + self.new)

    def test_document_says_what_falls_due(self):
        visits = self.create_visits("Measured", "Measured")
        now = fields.Datetime.now()
        visits[0].date_end = now - timedelta(days=355, minutes=1)
        visits[1].date_end = now - timedelta(days=355, minutes=-1)
        automation = self.create_automation(self.visit, "service_visit_guaranteed", days=10)
        self.assertIn("when the guarantee of a service visit ends in 10 days", automation.name)
        automation.date_begun = now - timedelta(hours=1)
        self.run_due_job()
        self.assertEqual(visits.job_id.opportunity_id.mapped("stage_id"), self.visit + self.new)

    def test_every_trigger_of_ours_says_something(self):
        models_of_ours = self.automations._get_document_models()
        self.assertGreaterEqual(
            {model._name for model in models_of_ours},
            {"sale.order", "calendar.event", "mail.activity", "crm.lead", "test.service.visit"},
        )
        for model in models_of_ours:
            triggers = model._get_crm_stage_triggers()
            self.assertTrue(triggers, model)
            for trigger in triggers:
                if trigger != "service_visit_late":
                    domain = model._get_crm_stage_trigger_domain(trigger)
                    self.assertFalse(domain.is_false() or domain.is_true(), trigger)

    def test_dates_cost_nothing(self):
        """Neither while no automation waits for them, nor when they are in the future."""
        visits = self.create_visits("Measured")

        def write(days):
            visits.date_end = fields.Datetime.now() + timedelta(days=days)
            self.env.flush_all()

        write(1)  # warms the cache
        with self.assertQueryCount(1):
            write(-5)
        self.create_automation(self.visit, "service_visit_over")
        write(5)
        with self.assertQueryCount(1):
            write(6)

    def test_costs_nothing(self):
        visits = self.create_visits("Measured")
        self.automation.active = False
        visits._trigger_crm_stage("service_visit_done")  # warms the cache
        with self.assertQueryCount(0):
            visits._trigger_crm_stage("service_visit_done")

    def test_unknown_trigger(self):
        visits = self.create_visits("Measured")
        with self.assertQueryCount(0):
            visits._trigger_crm_stage("order_confirmed")
        self.assertEqual(visits.job_id.opportunity_id.stage_id, self.new)
