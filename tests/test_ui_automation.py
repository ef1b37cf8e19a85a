from odoo import Command
from odoo.tests import HttpCase, new_test_user, tagged

from .common_automation import AutomationCase


class UiAutomationCase(HttpCase, AutomationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["crm.lead"].search([]).active = False  # one card is enough to look at
        team = cls.env["crm.team"].create({"name": "Tour Team"})
        for login, group in (("tour_seller", "group_sale_salesman"), ("tour_manager", "group_sale_manager")):
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

    def create_tour_lead(self, user):
        return self.create_lead(name="Tour House", user_id=user.id)


@tagged("post_install", "-at_install")
class TestUiAutomation(UiAutomationCase):
    def test_consultant_adds_automation(self):
        lead = self.create_tour_lead(self.tour_manager)
        self.start_tour("/odoo", "crm_stage_automation_consultant", login="tour_manager")
        self.assertEqual(lead.stage_id.name, "Measured")
        automation = lead.stage_id.automation_ids
        self.assertEqual(
            (automation.trigger, automation.create_uid), ("quotation_created", self.tour_manager)
        )

    def test_menu(self):
        self.start_tour("/odoo", "crm_stage_automation_menu", login="tour_manager")

    def test_whole_story(self):
        """A salesperson brings the opportunity to a quotation, the manager confirms it."""
        lead = self.create_tour_lead(self.tour_seller)
        self.start_tour("/odoo", "crm_stage_automation_salesperson", login="tour_seller")
        order = lead.order_ids
        self.assertEqual((order.state, lead.stage_id), ("sent", self.quotation))
        order.with_user(self.tour_manager).action_confirm()
        self.pass_commit()
        self.assertEqual((lead.stage_id, lead.won_status), (self.closed, "won"))
        bodies = "".join(lead.message_ids.mapped("body"))
        for event in (
            "a quotation is created",
            "an activity is planned",
            "a quotation is sent",
            "an order is confirmed",
        ):
            self.assertIn(event, bodies)
