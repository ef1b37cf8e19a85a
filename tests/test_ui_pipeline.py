from functools import wraps
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

    def test_delete_moves_the_opportunities(self):
        self.bathroom.action_set_lost()
        self.run_tour("delete_stage")
        self.assertFalse(self.visit.exists())
        self.assertEqual((self.kitchen | self.bathroom).stage_id, self.estimate)
        self.assertEqual((self.kitchen.probability, self.bathroom.won_status), (25, "lost"))

    def test_show_the_opportunities(self):
        """The pipeline that the dialog was opened from is not read again once it is left.

        Odoo shows an error for each thing that a view asks of the server when it is gone: where the pipeline
        takes longer to read than the list.
        """
        lead_class = type(self.env["crm.lead"])
        read = lead_class.web_read_group
        calls = []

        @wraps(read)
        def count(leads, *args, **kwargs):
            calls.append(leads)
            return read(leads, *args, **kwargs)

        with patch.object(lead_class, "web_read_group", count):
            self.run_tour("show_opportunities")
        self.assertEqual(len(calls), 1)

    def test_gear(self):
        self.bathroom.action_set_lost()
        self.env["crm.stage.automation"].search([]).active = False
        self.run_tour("gear")
        self.assertFalse((self.visit | self.quotation).exists())
        self.assertEqual((self.kitchen | self.bathroom).stage_id, self.estimate)

    def test_settings_after_leaving_the_pipeline(self):
        self.run_tour("settings_after_leaving")
        self.assertTrue(self.env["crm.stage"].search([("name", "=", "Last Call")]))

    def test_delete_from_the_list(self):
        self.run_tour("delete_stages_in_list", path="/odoo/action-crm.crm_stage_action")
        self.assertFalse((self.visit | self.quotation).exists())
        self.assertEqual(self.kitchen.stage_id, self.new)

    def test_delete_on_the_form(self):
        self.bathroom.action_archive()
        self.run_tour("refused_on_form", path=f"/odoo/action-crm.crm_stage_action/{self.visit.id}")
        self.assertFalse(self.visit.exists())

    def test_many_opportunities_show_progress(self):
        self.create_in(self.visit, 298)
        with patch.object(crm_stage_delete_wizard, "MOVE_BATCH_SIZE", 20):
            self.run_tour("delete_with_progress")
        self.assertFalse(self.visit.exists())
        self.assertEqual(self.env["crm.lead"].search_count([("stage_id", "=", self.new.id)]), 300)

    def test_archive(self):
        self.run_tour("archive_stage")
        self.assertFalse(self.visit.active)
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
        self.run_tour("won_or_lost")
        self.assertEqual((self.kitchen.won_status, self.kitchen.stage_id), ("won", self.closed))
        self.assertEqual((self.bathroom.won_status, self.bathroom.stage_id), ("lost", self.visit))
        self.assertEqual(self.bathroom.lost_reason_id, self.reason)
        self.assertIn("Two hours on the road", self.bathroom.message_ids.mapped("body")[0])

    def test_won_or_lost_on_the_form(self):
        self.run_tour("won_or_lost_on_form", path=f"/odoo/crm/{self.kitchen.id}")
        self.assertEqual((self.kitchen.won_status, self.kitchen.stage_id), ("lost", self.visit))
        self.run_tour("won_on_form", path=f"/odoo/crm/{self.bathroom.id}")
        self.assertEqual((self.bathroom.won_status, self.bathroom.stage_id), ("won", self.closed))

    def test_undo(self):
        self.env["crm.stage.automation"].search([]).active = False
        self.run_tour("undo")
        self.assertEqual((self.kitchen.won_status, self.kitchen.stage_id), ("pending", self.visit))
        self.assertTrue(self.quotation.active)
        self.assertFalse(self.estimate.exists())

    def test_quick_create_asks(self):
        self.run_tour("quick_create_asks")
        leads = self.env["crm.lead"].with_context(active_test=False)
        won = leads.search([("name", "=", "Greenhouse")])
        lost = leads.search([("name", "=", "Shed")])
        self.assertEqual((len(won), won.won_status, won.stage_id), (1, "won", self.closed))
        self.assertEqual((len(lost), lost.won_status, lost.stage_id), (1, "lost", self.new))
        self.assertEqual(lost.lost_reason_id, self.reason)

    def test_list_asks(self):
        self.garage = self.create_in(self.visit, user_id=self.manager.id)
        self.garage.name = "Garage"
        self.run_tour("list_asks", path="/odoo/action-crm.crm_lead_action_pipeline?view_type=list")
        self.assertEqual((self.kitchen + self.bathroom).mapped("won_status"), ["lost", "lost"])
        self.assertEqual((self.kitchen + self.bathroom).stage_id, self.visit)
        self.assertEqual((self.garage.won_status, self.garage.stage_id), ("won", self.closed))

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
