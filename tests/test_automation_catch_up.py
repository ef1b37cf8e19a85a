from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common_automation import AutomationCase

LOGGER = "odoo.addons.crm_sales_stage.models.automation.crm_stage_automation"


@tagged("post_install", "-at_install")
class TestExistingDocuments(AutomationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["sale.order"].search([]).opportunity_id = False
        cls.leads = cls.create_leads(3)
        cls.orders = cls.env["sale.order"].create(
            [cls.get_order_values(lead, client_order_ref=lead.name) for lead in cls.leads]
        )
        cls.leads.stage_id = cls.new
        cls.automation = cls.create_automation(
            cls.visit, "quotation_created", filter_domain="[('client_order_ref', '!=', 'House 1')]"
        )

    def test_preview(self):
        leads = self.get_preview(self.automation.with_user(self.manager)).line_ids.lead_id
        self.assertEqual(leads, (self.leads[0] + self.leads[2]).sorted())
        self.assertEqual(self.leads.stage_id, self.new, "a preview moves nothing")

    def test_preview_is_what_happens(self):
        """Won, lost and later opportunities, and documents the trigger has not happened to, are not in it."""
        extra = self.create_leads(4)
        self.env["sale.order"].create([self.get_order_values(lead) for lead in extra])
        extra.stage_id = self.new
        extra[0].stage_id = self.closed
        extra[1].action_set_lost()
        extra[2].stage_id = self.quotation
        extra[3].order_ids._action_cancel()
        leads = self.get_preview(self.automation).line_ids.lead_id
        self.assertEqual(leads, (self.leads[0] + self.leads[2]).sorted())

    def test_preview_of_other_triggers(self):
        lead = self.leads[0]
        lead.activity_schedule("mail.mail_activity_data_call")
        lead.activity_schedule("mail.mail_activity_data_call").action_done()
        lead.message_post(
            body="x", message_type="comment", subtype_xmlid="mail.mt_comment", partner_ids=self.partner.ids
        )
        lead.message_post(body="x", message_type="email", author_id=self.partner.id)
        self.create_meeting(lead)
        for trigger in (
            "activity_planned",
            "activity_done",
            "email_sent",
            "email_received",
            "meeting_scheduled",
        ):
            with self.subTest(trigger):
                automation = self.create_automation(self.visit, trigger)
                self.assertEqual(self.get_preview(automation).line_ids.lead_id & self.leads, lead)
                automation.action_catch_up()
                self.assertEqual(lead.stage_id, self.visit)
                lead.stage_id = self.new
                automation.active = False

    def test_few_at_once(self):
        action = self.automation.with_user(self.manager).action_catch_up()
        self.assertEqual(action["params"]["message"], "2 opportunities moved.")
        self.assertEqual(self.leads.mapped("stage_id"), self.visit + self.new)
        self.assertIn(self.orders[0].name, self.get_tracking_message(self.leads[0]).body)
        action = self.automation.action_catch_up()
        self.assertEqual(action["params"]["message"], "0 opportunities moved.", "never twice")

    def test_idle(self):
        self.visit.active = False
        with self.assertRaisesRegex(UserError, "archived"):
            self.automation.action_catch_up()

    def test_faulty(self):
        with (
            patch.object(type(self.env["ir.actions.server"]), "run", side_effect=ValueError("broken")),
            mute_logger(LOGGER),
            self.assertRaisesRegex(UserError, "broken"),
        ):
            self.automation.action_catch_up()

    def test_many_by_job(self):
        self.automation.filter_domain = False
        with patch("odoo.addons.crm_sales_stage.models.automation.crm_stage_automation.BATCH", 2):
            self.automation.with_user(self.manager).action_catch_up()
            self.assertEqual(self.leads.stage_id, self.new, "left to the job")
            self.assertEqual((self.automation.waiting_count, self.automation.catch_up_progress), (3, 0))
            cron = self.env.ref("crm_sales_stage.ir_cron_crm_stage_catch_up")
            self.assertTrue(self.env["ir.cron.trigger"].search_count([("cron_id", "=", cron.id)]))
            # interrupted after the first batch
            self.run_job(seconds_left=0).assert_called_with(2, remaining=1)
            self.assertEqual(self.leads.mapped("stage_id"), self.visit + self.new)
            self.assertEqual(self.automation.catch_up_progress, 67)
            # moved back by hand meanwhile: not moved again
            self.leads[0].stage_id = self.new
            self.run_job()
        self.assertEqual(self.leads.mapped("stage_id.id"), (self.new + self.visit).ids)
        self.assertEqual(self.leads[0].stage_id, self.new)
        self.assertEqual(self.leads[2].stage_id, self.visit)
        self.assertEqual((self.automation.waiting_count, self.automation.catch_up_progress), (0, 100))

    def test_job_stops_at_fault(self):
        self.automation.filter_domain = False
        with patch("odoo.addons.crm_sales_stage.models.automation.crm_stage_automation.BATCH", 2):
            self.automation.action_catch_up()
            with (
                patch.object(type(self.env["ir.cron"]), "_commit_progress", return_value=60),
                patch.object(type(self.env["ir.actions.server"]), "run", side_effect=ValueError("broken")),
                mute_logger(LOGGER),
            ):
                self.automations._cron_catch_up()
            self.assertIn("broken", self.automation.fault)
            self.assertEqual(self.search_moves("waiting").lead_id, self.leads)
            self.run_job("due")
        self.assertFalse(self.automation.fault)
        self.assertEqual(self.leads.stage_id, self.visit, "they were moved once it worked again")

    def test_job_runs_as_scheduled(self):
        self.automation.filter_domain = False
        with patch("odoo.addons.crm_sales_stage.models.automation.crm_stage_automation.BATCH", 2):
            self.automation.action_catch_up()
            with self.enter_registry_test_mode():
                self.env.ref("crm_sales_stage.ir_cron_crm_stage_catch_up").method_direct_trigger()
        self.assertEqual(self.leads.stage_id, self.visit)

    def test_some_cannot_be_moved(self):
        """Those that can be moved are, and undoing covers these."""
        self.automation.filter_domain = False
        automation = self.automation.with_user(self.manager)
        for refused in self.leads:
            with self.refusing(refused):
                message = automation.action_catch_up()["params"]["message"]
            self.assertIn("2 opportunities moved.", message)
            self.assertIn(f"Could not be moved: {refused.name}: An e-mail address first", message)
            self.assertEqual((self.leads - refused).stage_id, self.visit)
            self.assertEqual(refused.stage_id, self.new)
            self.assertFalse(automation.fault)
            self.assertIn(refused, self.get_unmoved()[0])
            self.assertEqual(automation.undoable_count, 2)
            undone = automation.action_undo_catch_up()["params"]["message"]
            self.assertEqual(undone, "2 opportunities moved back.")
            self.assertEqual(self.leads.stage_id, self.new)
        with self.refusing(self.leads), self.assertRaisesRegex(UserError, "An e-mail address first"):
            automation.action_catch_up()

    def test_job_goes_on_with_those_that_can_be_moved(self):
        self.automation.filter_domain = False
        extra = self.create_leads(4)
        self.env["sale.order"].create([self.get_order_values(lead) for lead in extra])
        extra.stage_id = self.new
        leads = self.leads + extra
        # One of a batch, all of the first batch, and the last one alone
        for refused in (leads[3], leads[:2], leads[6], leads[:2] + leads[3] + leads[6]):
            with (
                self.subTest(refused),
                patch("odoo.addons.crm_sales_stage.models.automation.crm_stage_automation.BATCH", 2),
                patch.object(type(self.env["ir.cron"]), "_commit_progress", return_value=60),
            ):
                self.automation.action_catch_up()
                with self.refusing(refused):
                    for _turn in range(2):
                        self.automations._cron_catch_up()
                self.assertEqual((leads - refused).stage_id, self.visit)
                self.assertEqual(refused.stage_id, self.new)
                # The automation is faulty when none of a batch can be moved. It tries these again.
                failed = refused[:2] if refused[:2] == leads[:2] else leads.browse()
                failed += refused & leads[6]
                self.assertEqual(self.search_moves("waiting").lead_id, failed)
                if refused == leads[3]:
                    self.assertFalse(self.automation.fault)
                    self.assertIn(refused, self.get_unmoved()[0])
                else:
                    self.assertIn("An e-mail address first", self.automation.fault)
                self.automation.action_undo_catch_up()
                self.automations._cron_catch_up()
                self.assertEqual(leads.stage_id, self.new)
