from odoo import Command
from odoo.tests import HttpCase, new_test_user, tagged

from .common_arrival import ArrivalCase
from .common_automation import AutomationCase


class ScreensCase(HttpCase, AutomationCase):
    """A sales manager without technical rights, a salesperson, and a stage of the dealer's own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["crm.lead"].search([]).active = False
        cls.env["crm.stage.automation"].search([]).active = False
        cls.relance = cls.env["crm.stage"].create({"name": "Relance", "sequence": 10, "probability": 80})
        team = cls.env["crm.team"].create({"name": "Screens"})
        groups = {"screen_seller": "group_sale_salesman", "screen_manager": "group_sale_manager"}
        for login, group in groups.items():
            user = new_test_user(
                cls.env,
                login=login,
                password=login,
                email=f"{login}@example.com",
                lang="en_US",
                groups=f"base.group_user,sales_team.{group}",
            )
            team.crm_team_member_ids = [Command.create({"user_id": user.id})]
            setattr(cls, login, user)

    def start(self, tour, user, lead=None):
        url = "/odoo/action-crm.crm_lead_action_pipeline"
        self.start_tour(f"{url}/{lead.id}" if lead else url, tour, login=user.login)


@tagged("post_install", "-at_install")
class TestScreenFollows(ScreensCase):
    """Status bar and probability of the open opportunity are right after an automation moved it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lead = cls.create_lead(name="Tour House", user_id=cls.screen_seller.id)

    def test_activity_done_message_sent_quotation_made(self):
        self.lead.activity_schedule("mail.mail_activity_data_call", user_id=self.screen_seller.id)
        self.create_automation(self.visit, "activity_done")
        self.create_automation(self.quotation, "email_sent")
        self.create_automation(self.relance, "quotation_created")
        self.start("crm_stage_automation_follow", self.screen_seller, self.lead)
        self.assertEqual((self.lead.stage_id, self.lead.expected_revenue), (self.relance, 4321))

    def test_activity_planned_message_composed(self):
        self.create_automation(self.visit, "activity_planned")
        self.create_automation(self.quotation, "email_sent")
        self.start("crm_stage_automation_follow_composer", self.screen_seller, self.lead)
        self.assertEqual(self.lead.stage_id, self.quotation)


@tagged("post_install", "-at_install")
class TestAutomationScreens(ScreensCase, ArrivalCase):
    def create_waiting(self):
        """Two opportunities whose quotations are older than the automation of the stage Relance."""
        leads = self.create_leads(2)
        leads.write({"user_id": self.screen_manager.id})
        leads[0].write({"name": "Tour House"})
        leads[1].write({"name": "Tour Roof", "stage_id": self.estimate.id})
        self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])
        return leads, self.create_automation(self.relance, "quotation_created")

    def test_preview_from_the_gear(self):
        """What is chosen moves, without the e-mail, and back; and what is lost is called so."""
        leads, _automation = self.create_waiting()
        self.create_automation(self.closed, "quotation_created", outcome="lost")
        self.relance.write({"activity_plan_id": self.plan.id, "mail_template_id": self.template.id})
        self.plan.template_ids[1:].unlink()
        leads.email_from = "customer@example.com"
        self.start("crm_stage_automation_gear", self.screen_manager)
        self.assertEqual(leads.mapped("stage_id"), self.new + self.estimate)
        self.assertEqual(set(leads.mapped("won_status")), {"pending"})
        self.assertFalse(leads.message_ids.filtered(lambda message: message.message_type == "auto_comment"))

    def test_mark_of_a_fault_and_preview_of_nothing(self):
        _leads, automation = self.create_waiting()
        self.make_faulty(automation)
        self.create_automation(self.closed, "order_confirmed")
        self.start("crm_stage_automation_mark", self.screen_manager)

    def test_salesperson_sees_no_mark(self):
        """The pipeline works for those who may not see automations."""
        _leads, automation = self.create_waiting()
        self.make_faulty(automation)
        self.create_lead(name="Tour House", user_id=self.screen_seller.id)
        self.start_tour(
            "/odoo/action-crm.crm_lead_action_pipeline", "crm_stage_automation_no_mark", login="screen_seller"
        )

    def test_examples(self):
        """From an empty list to an automation, without knowing anything."""
        self.env["crm.stage.automation"].with_context(active_test=False).search([]).unlink()
        self.start("crm_stage_automation_examples", self.screen_manager)
        automation = self.env["crm.stage.automation"].search([])
        self.assertEqual((automation.stage_id, automation.trigger), (self.visit, "meeting_scheduled"))
        self.assertIn("opportunity_id.expected_revenue", automation.filter_domain)
