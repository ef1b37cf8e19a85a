from contextlib import contextmanager

from odoo import api
from odoo.tests import TransactionCase, tagged
from odoo.tools import mute_logger

from .common_automation import AutomationCase

LOGGER = "odoo.addons.crm_sales_stage.models.automation.crm_stage_automation"


class RequestCase(TransactionCase):
    """Requests with real transactions, which are committed: what they make is deleted in the end."""

    def setUp(self):
        super().setUp()
        self.made = []
        self.addCleanup(self.delete_what_was_made)

    @contextmanager
    def request(self):
        """A request as a thread of the server handles it, up to its commit."""
        with self.registry.cursor() as cr:
            yield api.Environment(cr, api.SUPERUSER_ID, {})
        self.registry.signal_changes()

    def make(self, env, model, **values):
        record = env[model].create(values)
        self.made.append((model, record.id))
        return record

    def delete_what_was_made(self):
        with self.request() as env:
            for model, record_id in reversed(self.made):
                env[model].browse(record_id).exists().unlink()


@tagged("post_install", "-at_install")
class TestThreads(RequestCase):
    """Each transaction sees automations as it sees the rest of the database."""

    def make_automation(self, env):
        stage = self.make(env, "crm.stage", name="Fresh", sequence=60)
        automation = self.make(
            env, "crm.stage.automation", stage_id=stage.id, trigger="meeting_scheduled", sequence=0
        )
        env.flush_all()
        return automation

    def schedule(self, env):
        """:return: name of the stage that a meeting with a customer moves an opportunity to"""
        lead = self.make(env, "crm.lead", name="House", type="opportunity")
        self.make(
            env,
            "calendar.event",
            name="Visit",
            start="2030-01-01 10:00:00",
            stop="2030-01-01 11:00:00",
            opportunity_id=lead.id,
        )
        return lead.stage_id.name

    def schedule_in_request(self):
        with self.request() as env:
            return self.schedule(env)

    def test_new_automation(self):
        """Others go on as if it were not there until it is committed; then it works for all of them."""
        with self.request() as manager:
            self.make_automation(manager)
            self.assertEqual(self.schedule_in_request(), "New", "not committed yet")
            self.assertEqual(self.schedule(manager), "Fresh", "in the manager's own transaction it works")
            self.assertEqual(self.schedule_in_request(), "New", "the cache has nothing of it")
        self.assertEqual(self.schedule_in_request(), "Fresh")

    def test_archived_automation(self):
        with self.request() as manager:
            automation_id = self.make_automation(manager).id
        self.assertEqual(self.schedule_in_request(), "Fresh")
        with self.request() as manager:
            manager["crm.stage.automation"].browse(automation_id).active = False
            manager.flush_all()
            self.assertEqual(self.schedule_in_request(), "Fresh", "not committed yet")
        self.assertEqual(self.schedule_in_request(), "New")

    def test_long_request(self):
        """One that began before the change sees what was before it, and leaves that to nobody."""
        with self.request() as manager:
            automation_id = self.make_automation(manager).id
        with self.request() as long:
            long["crm.stage"].search_count([])  # its view of the database is of now
            with self.request() as manager:
                manager["crm.stage.automation"].browse(automation_id).active = False
            self.assertEqual(self.schedule(long), "Fresh")
            self.assertEqual(self.schedule_in_request(), "New")
            self.assertEqual(self.schedule(long), "Fresh")
        self.assertEqual(self.schedule_in_request(), "New")

    def test_unknown_to_a_long_request(self):
        """A cache that knows more than a transaction can see makes nothing fail."""
        with self.request() as long:
            long["crm.stage"].search_count([])
            with self.request() as manager:
                self.make_automation(manager)
            self.assertEqual(self.schedule_in_request(), "Fresh", "which fills the cache")
            self.assertEqual(self.schedule(long), "New")

    def test_rolled_back(self):
        with self.registry.cursor() as cr:
            env = api.Environment(cr, api.SUPERUSER_ID, {})
            stage = env["crm.stage"].create({"name": "Fresh", "sequence": 60})
            env["crm.stage.automation"].create({"stage_id": stage.id, "trigger": "meeting_scheduled"})
            self.assertEqual(self.schedule_without_noting(env), "Fresh")
            cr.rollback()
            self.assertEqual(self.schedule_without_noting(env), "New")
            cr.rollback()
        self.assertEqual(self.schedule_in_request(), "New")

    def schedule_without_noting(self, env):
        name = self.schedule(env)
        del self.made[-2:]
        return name


@tagged("post_install", "-at_install")
class TestTwoConnections(RequestCase):
    """Two jobs, and a job and a user, at work on the same opportunity, each in a connection of its own."""

    def setUp(self):
        super().setUp()
        with self.request() as env:
            stage = self.make(env, "crm.stage", name="Fresh", sequence=60)
            automation = self.make(env, "crm.stage.automation", stage_id=stage.id, trigger="email_sent")
            lead = self.make(env, "crm.lead", name="House", type="opportunity")
            automation._wait_to_apply({lead.id: lead})
            self.automation_id, self.lead_id = automation.id, lead.id

    def find_moves(self, env):
        return env["crm.stage.automation.move"].search([("automation_id", "=", self.automation_id)])

    def run_job(self, env):
        # In place of waiting for a lock that the test itself holds; the job commits.
        env.cr.execute("SET lock_timeout = '300ms'")
        try:
            with mute_logger("odoo.sql_db", LOGGER):
                env["crm.stage.automation"]._cron_catch_up()
        finally:
            env.cr.execute("RESET lock_timeout")

    def read_moves(self):
        """:return: stage of the opportunity, and states of its moves"""
        with self.request() as env:
            lead = env["crm.lead"].browse(self.lead_id)
            return lead.stage_id.name, self.find_moves(env).mapped("state")

    def test_two_jobs(self):
        with self.request() as first:
            moves = self.find_moves(first).try_lock_for_update()
            with self.request() as second:
                self.run_job(second)
            self.assertEqual(self.read_moves(), ("New", ["waiting"]), "it is left to the first job")
            first["crm.stage.automation"]._make_moves(moves, set())
            with self.request() as second:
                self.run_job(second)
        self.assertEqual(self.read_moves(), ("Fresh", ["done"]))
        with self.request() as third:
            self.run_job(third)
        self.assertEqual(self.read_moves(), ("Fresh", ["done"]))

    def test_user_at_work(self):
        with self.request() as user:
            user["crm.lead"].browse(self.lead_id).name = "Edited"
            user.flush_all()
            with self.request() as job:
                self.run_job(job)
            self.assertEqual(self.read_moves(), ("New", ["waiting"]))
        with self.request() as job:
            self.run_job(job)
        self.assertEqual(self.read_moves(), ("Fresh", ["done"]))
        with self.request() as env:
            self.assertEqual(env["crm.lead"].browse(self.lead_id).name, "Edited")


@tagged("post_install", "-at_install")
class TestUnknownStage(AutomationCase):
    def test_stage_made_by_sql(self):
        """One that the cache does not know has no stage before it: nothing fails."""
        self.automations._get_listening()
        self.env.cr.execute(
            'INSERT INTO crm_stage (name, sequence) VALUES (\'{"en_US": "SQL"}\', 2) RETURNING id'
        )
        (stage_id,) = self.env.cr.fetchone()
        stage = self.env["crm.stage"].browse(stage_id)
        self.assertEqual(stage._get_earlier_stage_ids(), {False})
