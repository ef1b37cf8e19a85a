from unittest.mock import patch

from odoo.tests import HttpCase, tagged

from ..wizard import crm_stage_delete_wizard
from .common_ui import TourCase


@tagged("post_install", "-at_install")
class TestUiPipeline(TourCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.kitchen, cls.bathroom = cls.create_in(cls.visit, 2, user_id=cls.manager.id)
        cls.kitchen.name, cls.bathroom.name = "Kitchen", "Bathroom"
        cls.env["crm.lost.reason"].with_context(active_test=False).search([]).active = False
        cls.reason = cls.env["crm.lost.reason"].create({"name": "Too far away"})

    def test_gear(self):
        self.bathroom.action_set_lost()
        self.env["crm.stage.automation"].search([]).active = False
        with patch.object(crm_stage_delete_wizard, "MOVE_BATCH_SIZE", 1):
            self.run_tour("gear")
        self.assertFalse((self.visit | self.quotation).exists())
        self.assertEqual((self.kitchen | self.bathroom).stage_id, self.estimate)
        self.assertEqual((self.kitchen.probability, self.bathroom.won_status), (25, "lost"))

    def test_delete_on_the_form_and_in_the_list(self):
        self.bathroom.action_archive()
        self.run_tour("delete_on_form_and_in_list", path="/odoo/action-crm.crm_stage_action")
        self.assertFalse((self.visit | self.estimate | self.quotation).exists())
        self.assertEqual((self.kitchen | self.bathroom).stage_id, self.new)

    def test_archive(self):
        (self.env["crm.stage.automation"].search([]) - self.visit.automation_ids).active = False
        self.run_tour("archive_stage")
        self.assertEqual((self.visit.active, self.quotation.active), (False, True))
        self.assertEqual(self.kitchen.stage_id, self.quotation)

    def test_add_a_column(self):
        self.run_tour("add_stage")
        added = self.env["crm.stage"].search([("name", "=", "Last Call")])
        self.assertEqual((added.probability, added.probability_mode), (92, "fixed"))
        order = self.new + self.visit + self.estimate + self.quotation + added + self.closed
        self.assertEqual(self.env["crm.stage"].search([]).ids, order.ids)
        self.assertEqual(self.stages.mapped("probability"), [10, 25, 50, 75, 100])
        self.assertEqual(self.kitchen.probability, 50)

    def test_won_or_lost(self):
        # The largest deal is celebrated.
        garage = self.create_in(self.visit, name="Garage", user_id=self.manager.id, expected_revenue=50000)
        self.run_tour("won_or_lost")
        self.assertEqual((self.kitchen.won_status, self.kitchen.stage_id), ("won", self.closed))
        self.assertEqual((garage.won_status, garage.stage_id), ("won", self.closed))
        self.assertEqual((self.bathroom.won_status, self.bathroom.stage_id), ("lost", self.visit))
        self.assertEqual(self.bathroom.lost_reason_id, self.reason)
        self.assertIn("Two hours on the road", self.bathroom.message_ids.mapped("body")[0])

    def test_quick_create_and_list_ask(self):
        garage = self.create_in(self.visit, name="Garage", user_id=self.manager.id)
        self.run_tour("quick_create_and_list_ask")
        leads = self.env["crm.lead"].with_context(active_test=False)
        won = leads.search([("name", "=", "Greenhouse")])
        restored = leads.search([("name", "=", "Shed")])
        self.assertEqual((len(won), won.won_status, won.stage_id), (1, "won", self.closed))
        self.assertEqual((len(restored), restored.won_status, restored.stage_id), (1, "pending", self.new))
        self.assertEqual((self.kitchen + self.bathroom).mapped("won_status"), ["lost", "lost"])
        self.assertEqual((self.kitchen + self.bathroom).stage_id, self.visit)
        self.assertEqual((garage.won_status, garage.stage_id), ("won", self.closed))

    def test_worth_of_columns(self):
        self.bathroom.expected_revenue = 3000
        self.bathroom.activity_schedule("mail.mail_activity_data_todo", user_id=self.manager.id)
        lost = self.create_in(self.new, 3, user_id=self.manager.id)
        lost[0].name = "Garage"
        lost[2].user_id = self.salesperson
        lost.action_set_lost()
        self.run_tour("worth")

    def test_salesperson_finds_no_stage_settings(self):
        self.kitchen.user_id = self.salesperson
        self.run_tour("salesperson", user=self.salesperson)
        self.assertEqual(self.kitchen.won_status, "lost")
        self.assertEqual(self.env["crm.stage"].search([]).ids, self.stages.ids)


@tagged("post_install", "-at_install")
class TestUnit(HttpCase):
    """The unit tests of our JavaScript, as Odoo runs its own."""

    def test_hoot(self):
        self.browser_js(
            "/web/tests?headless&loglevel=2&preset=desktop&timeout=15000&filter=crm_sales_stage",
            "",
            "",
            login="admin",
            timeout=300,
            success_signal="[HOOT] Test suite succeeded",
            error_checker=lambda message: "[HOOT]" not in message,
        )
