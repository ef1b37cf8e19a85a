from contextlib import contextmanager
from unittest.mock import patch

import psycopg2
from psycopg2 import errors

from odoo import fields
from odoo.exceptions import ConcurrencyError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common_automation import AutomationCase

LOGGER = "odoo.addons.crm_sales_stage.models.automation.crm_stage_automation"


class ProtectionCase(AutomationCase):
    """A quotation that is sent, and an automation whose move runs into whatever another addon does."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automation = cls.env.ref("crm_sales_stage.automation_quotation_quotation_sent")
        cls.lead = cls.create_lead()
        cls.order = cls.create_order(cls.lead)
        cls.pass_commit()

    @contextmanager
    def other_addon(self, before=None, after=None):
        """Another addon overrides ``write`` of opportunities: it does this before or after the move."""
        Lead = type(self.env["crm.lead"])
        write = Lead.write

        def override(leads, vals):
            is_move = "stage_id" in vals and leads.env.context.get("crm_stage_moving")
            if is_move and before:
                before(leads)
            res = write(leads, vals)
            if is_move and after:
                after(leads)
            return res

        with patch.object(Lead, "write", override), mute_logger(LOGGER, "odoo.sql_db"):
            yield

    def send(self):
        self.order.action_quotation_sent()
        self.env.flush_all()
        self.assertEqual(self.order.state, "sent", "the sale goes through")


@tagged("post_install", "-at_install")
class TestFailsAlone(ProtectionCase):
    """Whatever fails within an automation is its own fault."""

    def assertFault(self, text):
        self.assertIn(text, self.automation.fault)
        self.assertEqual(self.lead.stage_id, self.estimate, "the move is undone")

    def test_name_of_the_document(self):
        """The chatter names the document, whose name another addon may compute."""

        def fail(orders):
            raise ValueError("no name")

        with patch.object(type(self.order), "_compute_display_name", fail), mute_logger(LOGGER):
            self.send()
        self.assertFault("no name")

    def test_opportunities_of_the_document(self):

        def fail(orders):
            raise ValueError("no link")

        with patch.object(type(self.order), "_get_crm_stage_leads", fail), mute_logger(LOGGER):
            self.send()
        self.assertFault("no link")

    def test_condition_that_only_fails_on_rows(self):
        self.env.cr.execute(
            "UPDATE crm_stage_automation SET filter_domain = %s WHERE id = %s",
            [repr([("name", "=like", "\\")]), self.automation.id],
        )
        self.automation.invalidate_recordset()
        with mute_logger(LOGGER, "odoo.sql_db"):
            self.send()
        self.assertFault("escape")

    def test_failures_that_nobody_tries_again(self):
        for error in (
            errors.QueryCanceled("statement timeout"),
            psycopg2.OperationalError("could not connect to another database"),
            psycopg2.InterfaceError("cursor of another database is closed"),
            RecursionError("too deep"),
            TimeoutError("no answer"),
        ):
            with self.subTest(error), self.env.cr.savepoint():

                def fail(leads, error=error):
                    raise error

                with self.other_addon(after=fail):
                    self.send()
                self.assertFault(type(error).__name__)
                self.order.state = "draft"
                self.automation._clear_faults()

    def test_conflicts_are_passed_on(self):
        for error in (
            errors.SerializationFailure(),
            errors.DeadlockDetected(),
            errors.LockNotAvailable(),
            ConcurrencyError("somebody else"),
        ):

            def fail(leads, error=error):
                raise error

            with (
                self.subTest(error),
                self.other_addon(after=fail),
                self.assertRaises(type(error)),
                self.env.cr.savepoint(),
            ):
                self.send()
        self.assertFalse(self.automation.fault)

    def test_texts_of_errors(self):
        class Silent(Exception):
            def __str__(self):
                raise TypeError("no text")

        for error, expected in (
            (OSError("file a\x00b"), "file ab"),
            (OSError("file \udcff.pdf"), "file .pdf"),
            (OSError("x" * 10_000_000), "xxx"),
            (OSError(), "OSError"),
            (Silent(), "Silent"),
            (UserError("Not on Mondays"), "Not on Mondays"),
        ):

            def fail(leads, error=error):
                raise error

            with self.subTest(expected):
                with self.other_addon(after=fail):
                    self.send()
                self.assertFault(expected)
                self.assertLessEqual(len(self.automation.fault), 500)
                self.order.state = "draft"

    def test_fault_tells_no_row(self):
        """PostgreSQL puts the whole row into the details of a broken constraint: they are for the log."""
        self.lead.write({"description": "confidential", "phone": "+33 6 12 34 56 78"})
        self.env["crm.lead"].search([("stage_id", "=", self.quotation.id)]).stage_id = self.new
        self.env.flush_all()
        self.env.cr.execute(
            "ALTER TABLE crm_lead ADD CONSTRAINT other_addon CHECK (stage_id != %s)", [self.quotation.id]
        )
        with self.assertLogs(LOGGER, "WARNING") as logs, mute_logger("odoo.sql_db"):
            self.send()
        self.assertFault("other_addon")
        for secret in ("confidential", "+33", "House"):
            self.assertNotIn(secret, self.automation.fault)
        self.assertIn("confidential", "".join(logs.output))

    def test_fault_tells_no_value(self):
        def fail(leads):
            leads.env.cr.execute("SELECT name::jsonb->>'en_US' FROM crm_stage WHERE name->>'en_US' != 'x'")
            leads.env.cr.execute("SELECT name::int FROM crm_lead WHERE id = %s", leads.ids)

        with self.other_addon(after=fail):
            self.send()
        self.assertFault("invalid input syntax")
        self.assertNotIn("House", self.automation.fault)


@tagged("post_install", "-at_install")
class TestNothingLost(ProtectionCase):
    """What the business action does besides is the same, whether an automation fails or not."""

    def open_savepoint(self, leads):
        """Odoo posts all pending trackings when somebody opens a savepoint."""
        with leads.env.cr.savepoint():
            pass

    def post_and_fail(self, leads):
        self.open_savepoint(leads)
        other = leads.env["crm.lead"].create({"name": "Ghost", "type": "opportunity"})
        other.message_post(body="ghost", partner_ids=self.partner.ids)
        leads.env["mail.mail"].create({"subject": "ghost", "email_to": "g@example.com"}).send_after_commit()
        raise ValueError("Not on Mondays")

    def change_others(self):
        """:return: what the same request does to other records"""
        other = self.create_lead(name="Other")
        other.with_user(self.salesperson).write({"expected_revenue": 4000, "stage_id": self.visit.id})
        other._track_set_log_message("said by somebody")
        return other

    def get_tracked(self, lead):
        messages = lead.message_ids.filtered("tracking_value_ids").sorted("id")
        return [
            (str(message.body), message.author_id, message.tracking_value_ids.field_id.mapped("name"))
            for message in messages
        ]

    def test_trackings_of_others(self):
        other = self.change_others()
        self.send()
        self.pass_commit()
        expected = self.get_tracked(other)
        self.order.state = "draft"
        self.lead.stage_id = self.estimate
        self.pass_commit()
        other = self.change_others()
        callbacks = len(self.env.cr.postcommit)
        with self.other_addon(before=self.open_savepoint, after=self.post_and_fail):
            self.send()
        self.assertIn("Mondays", self.automation.fault)
        self.assertEqual(len(self.env.cr.postcommit), callbacks, "no e-mail that does not exist is sent")
        self.pass_commit()
        self.assertEqual(len(expected), 1)
        self.assertEqual(self.get_tracked(other), expected)
        self.assertFalse(self.env["crm.lead"].search([("name", "=", "Ghost")]))

    def test_notifications(self):
        def fail(leads):
            leads.env["bus.bus"]._sendone("channel", "ghost", {})
            raise ValueError("Not on Mondays")

        self.env["bus.bus"]._sendone("channel", "before", {})
        with self.other_addon(after=fail):
            self.send()
        values = str(self.env.cr.precommit.data["bus.bus.values"])
        self.assertIn("before", values)
        self.assertNotIn("ghost", values)

    def test_trackings_of_the_opportunity(self):
        """What the request changed on the opportunity itself is told once, and without the move."""
        self.lead.with_user(self.salesperson).priority = "2"
        self.lead.with_user(self.salesperson).expected_revenue = 77
        with self.other_addon(before=self.open_savepoint, after=self.post_and_fail):
            self.send()
        self.pass_commit()
        tracked = self.get_tracked(self.lead)[-1]
        self.assertEqual(tracked[2], ["expected_revenue"])
        self.assertNotIn("By an automation", tracked[0])
        self.assertEqual(tracked[1], self.salesperson.partner_id)

    def test_context_of_the_business_action(self):
        """Its default values, and its wish not to be tracked, are not for what the move brings about."""
        made = []

        def make(leads):
            made.append(leads.env["crm.lead"].create({"name": "Follow-up", "type": "opportunity"}))

        context = {
            "default_description": "of the business action",
            "tracking_disable": True,
            "mail_notrack": True,
            "mail_create_nolog": True,
        }
        with self.other_addon(after=make):
            self.order.with_context(**context).action_quotation_sent()
        self.assertEqual(self.lead.stage_id, self.quotation)
        self.assertFalse(made[0].description)
        self.assertIn("By an automation", self.get_tracking_message(self.lead).body)

    def test_savepoint_of_others(self):
        """The message names the automation, though Odoo posts it before the move is done."""
        portal = self.env.ref("base.public_user")
        with self.other_addon(before=self.open_savepoint, after=self.open_savepoint):
            self.order.with_user(portal).sudo().action_quotation_sent()
        self.assertEqual(self.lead.stage_id, self.quotation)
        message = self.get_tracking_message(self.lead)
        self.assertIn("By an automation", message.body)
        self.assertIn(self.order.name, message.body)
        self.assertEqual(message.author_id, self.env.ref("base.partner_root"), "no customer moves a card")
        self.assertEqual(len(self.get_tracked(self.lead)), 2, "to Estimate, to Quotation")


@tagged("post_install", "-at_install")
class TestConflictsNobodyTriesAgain(ProtectionCase):
    """Where a request is handled once, a conflict costs the move a few minutes, and nothing else."""

    def conflict(self, leads):
        raise errors.SerializationFailure("somebody saves this opportunity")

    def test_made_up_for(self):
        for context in (
            {"default_fetchmail_server_id": 1},
            {"cron_id": 1},
            {"_import_current_module": "__import__"},
        ):
            with self.subTest(context):
                lead = self.create_lead()
                order = self.create_order(lead)
                self.pass_commit()
                with self.other_addon(after=self.conflict):
                    order.with_context(**context).action_quotation_sent()
                self.assertEqual(order.state, "sent", "what came in is kept")
                self.assertEqual(lead.stage_id, self.estimate)
                self.assertFalse(self.automation.fault)
                job = self.env.ref("crm_sales_stage.ir_cron_crm_stage_catch_up")
                self.assertTrue(self.env["ir.cron.trigger"].search([("cron_id", "=", job.id)]))
                self.run_job()
                self.assertEqual(lead.stage_id, self.quotation)
                self.assertIn(order.name, self.get_tracking_message(lead).body)
                self.assertFalse(self.search_moves("waiting"))

    def test_furthest_stage_still_wins(self):
        """The automations to nearer stages leave alone what is moved later."""
        self.create_automation(self.visit, "quotation_sent")
        with self.other_addon(after=self.conflict):
            self.order.with_context(cron_id=1).action_quotation_sent()
        self.assertEqual(self.lead.stage_id, self.estimate)
        self.run_job()
        self.assertEqual(self.lead.stage_id, self.quotation)

    def test_job_meets_conflict(self):
        """It goes on with the others, and tries again soon."""
        other = self.create_lead()
        order = self.create_order(other)
        self.automation._wait_to_apply({self.lead.id: self.order})
        later = self.create_automation(self.visit, "quotation_created")
        later._wait_to_apply({other.id: order})
        self.env["ir.cron.trigger"].search([]).unlink()

        def conflict(leads):
            if self.lead in leads:
                self.conflict(leads)

        with self.other_addon(after=conflict):
            self.run_job()
        self.assertEqual(other.stage_id, self.visit)
        self.assertEqual(self.search_moves("waiting").lead_id, self.lead)
        [trigger] = self.env["ir.cron.trigger"].search([])
        self.assertLessEqual(trigger.call_at, fields.Datetime.now(), "soon, not tomorrow")
        self.run_job()
        self.assertEqual(self.lead.stage_id, self.quotation)

    def test_document_is_gone(self):
        self.automation._wait_to_apply({self.lead.id: self.order})
        self.order.unlink()
        self.run_job()
        self.assertEqual(self.lead.stage_id, self.estimate)
        self.assertFalse(self.search_moves("waiting"))


@tagged("post_install", "-at_install")
class TestCatchUpAlone(ProtectionCase):
    """Automations that are applied to existing documents do not keep each other from it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.first = cls.create_automation(cls.quotation, "quotation_created", sequence=1)
        cls.second = cls.create_automation(cls.visit, "quotation_created", sequence=2)
        cls.other = cls.create_lead()
        cls.other_order = cls.create_order(cls.other)
        (cls.lead + cls.other).stage_id = cls.new
        cls.first._wait_to_apply({cls.lead.id: cls.order})
        cls.second._wait_to_apply({cls.other.id: cls.other_order})

    def run_job(self):
        with mute_logger(LOGGER, "odoo.sql_db"):
            res = super().run_job()
        self.assertEqual(self.other.stage_id, self.visit, "the other one is applied")
        self.assertEqual(self.lead.stage_id, self.new)
        self.assertEqual(self.search_moves("waiting").lead_id, self.lead, "it is moved once this works")
        return res

    def test_idle(self):
        """While its stage is archived, an automation is at rest, and not faulty."""
        self.quotation.active = False
        self.run_job()
        self.assertFalse(self.first.fault)

    def test_condition_that_works_no_more(self):
        self.env.cr.execute(
            "UPDATE crm_stage_automation SET filter_domain = %s WHERE id = %s",
            ["[('gone', '=', 1)]", self.first.id],
        )
        self.first.invalidate_recordset()
        self.run_job()
        self.assertIn("gone", self.first.fault)

    def test_trigger_of_an_addon_that_is_gone(self):
        self.env.cr.execute(
            "UPDATE crm_stage_automation SET trigger = 'visit_done' WHERE id = %s", self.first.ids
        )
        self.first.invalidate_recordset()
        self.env.registry.clear_cache()
        self.run_job()
        self.assertTrue(self.first.fault)

    def test_move_that_fails(self):
        def fail(leads):
            if self.lead in leads:
                leads.env.cr.execute("SELECT 1/0")

        with self.other_addon(after=fail):
            self.run_job()
        self.assertIn("division by zero", self.first.fault)
