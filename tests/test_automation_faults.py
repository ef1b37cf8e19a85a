from unittest.mock import patch

from psycopg2.errors import SerializationFailure

from odoo.tests import tagged
from odoo.tools import mute_logger

from .common_automation import AutomationCase

LOGGER = "odoo.addons.crm_sales_stage.models.crm_stage_automation"


@tagged("post_install", "-at_install")
class TestFaults(AutomationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automation = cls.env.ref("crm_sales_stage.automation_quotation_quotation_sent")
        cls.fallback = cls.create_automation(cls.visit, "quotation_sent")

    def break_condition(self):
        """As when the addon that brought a field is gone."""
        self.automation.flush_recordset()
        self.env.cr.execute(
            "UPDATE crm_stage_automation SET filter_domain = %s WHERE id = %s",
            ["[('gone', '=', 1)]", self.automation.id],
        )
        self.automation.invalidate_recordset()
        self.env.registry.clear_cache()

    def send(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        with mute_logger(LOGGER):
            order.action_quotation_sent()
        self.assertEqual(order.state, "sent", "the sale goes through")
        return lead

    def test_fault_of_condition(self):
        self.break_condition()
        lead = self.send()
        self.assertIn("gone", self.automation.fault)
        self.assertTrue(self.automation.fault_date)
        self.assertEqual(lead.stage_id, self.visit, "the other automation works")

    def test_fault_is_logged(self):
        self.break_condition()
        order = self.create_order(self.create_lead())
        with self.assertLogs(LOGGER, "WARNING") as logs:
            order.action_quotation_sent()
        self.assertIn(f"automation {self.automation.id}", logs.output[0])

    def test_fault_of_move(self):
        """Also a fault of the database, which shows on flushing, is the automation's alone."""
        Lead = type(self.env["crm.lead"])
        write = Lead.write

        def break_quotation(leads, vals):
            res = write(leads, vals)
            if vals.get("stage_id") == self.quotation.id:
                leads.env.cr.execute("SELECT 1/0")
            return res

        with patch.object(Lead, "write", break_quotation), mute_logger("odoo.sql_db"):
            lead = self.send()
        self.assertIn("division by zero", self.automation.fault)
        self.assertEqual(lead.stage_id, self.visit, "rolled back, and left to the next automation")
        self.assertNotIn("Quotation", self.get_tracking_message(lead).body)
        lead = self.send()
        self.assertEqual(lead.stage_id, self.quotation)
        self.assertFalse(self.automation.fault, "it works again")
        self.assertFalse(self.automation.fault_date)

    def test_business_error_is_not_the_automations(self):
        """What the business action left pending fails as without us."""
        lead = self.create_lead()
        order = self.create_order(lead)

        def compute(orders):
            raise ZeroDivisionError("business")

        order.order_line.product_uom_qty = 5  # leaves the amounts to be computed
        with (
            patch.object(type(order), "_compute_amounts", compute),
            self.assertRaisesRegex(ZeroDivisionError, "business"),
        ):
            order.action_quotation_sent()
        self.assertFalse(self.automation.fault)

    def test_concurrency_is_no_fault(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        with (
            patch.object(type(self.env["crm.lead"]), "write", side_effect=SerializationFailure()),
            self.assertRaises(SerializationFailure),
        ):
            order.action_quotation_sent()
        self.assertFalse(self.automation.fault)

    def test_fault_written_on_change_only(self):
        self.break_condition()
        self.send()
        with patch.object(type(self.automation), "invalidate_recordset", autospec=True) as told:
            self.send()
        self.assertFalse([call for call in told.call_args_list if call.args[0] == self.automation])

    def test_fault_goes_away_on_correction(self):
        self.break_condition()
        self.send()
        self.automation.filter_domain = False
        self.assertFalse(self.automation.fault)

    def test_changed_action(self):
        """An administrator may make something else of the action; the automation does not run it."""
        self.automation.action_server_id.write({"state": "code", "code": "records.write({'name': 'hacked'})"})
        lead = self.send()
        self.assertEqual(lead.name, "House")
        self.assertIn("correct it", self.automation.fault)

    def test_deleted_action(self):
        """It goes on with another one."""
        action = self.automation.action_server_id
        action.unlink()
        lead = self.send()
        self.assertEqual(lead.stage_id, self.quotation)
        self.assertFalse(self.automation.fault)
        self.assertTrue(self.automation.action_server_id)
        self.assertNotEqual(self.automation.action_server_id, action)
