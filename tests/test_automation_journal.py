import random
from datetime import datetime, timedelta
from unittest.mock import patch

from odoo.tests import tagged
from odoo.tools import SQL

from odoo.addons.crm_sales_stage.models.automation import crm_stage_automation

from .test_automation_due import NOON, DueCase

DAY, HOUR = timedelta(days=1), timedelta(hours=1)

# The seed of the random sequences: a failure shows it
SEED = 25

# What a move changes of an opportunity
LEAD_FIELDS = ["stage_id", "active", "won_status", "date_last_stage_update", "date_closed", "lost_reason_id"]
LEAD_FIELDS += ["probability", "automated_probability", "is_automated_probability"]


class Killed(BaseException):
    """The process of the job is gone."""


class JournalCase(DueCase):
    """No other opportunity than those of the test has a date."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["crm.lead"].with_context(active_test=False).search([]).date_deadline = False


@tagged("post_install", "-at_install")
class TestJournal(JournalCase):
    def read_row(self, move):
        names = ["automation_id", "lead_id", "document_id", "model_name", "state", "date", "document_date"]
        names += ["from_stage_id", "to_stage_id", "outcome", "reason", "is_applied"]
        return {
            name: value for name, value in move.read(names, load=None)[0].items() if value and name != "id"
        }

    def test_done(self):
        """What has happened is written by the transaction that moves: one row, and all that it says."""
        automation = self.create_at(NOON, "quotation_created")
        lead = self.create_lead_at(NOON)
        with self.at(NOON + DAY):
            order = self.create_order(lead)
            row = {"automation_id": automation.id, "lead_id": lead.id, "document_id": order.id}
            row |= {"model_name": "sale.order", "state": "done", "date": NOON + DAY}
            row |= {"from_stage_id": self.new.id, "to_stage_id": self.visit.id}
            self.assertEqual([self.read_row(move) for move in self.search_moves("done")], [row])
        [stay] = self.env["crm.stage.stay"].search(
            [("lead_id", "=", lead.id), ("stage_id", "=", self.visit.id)]
        )
        self.assertEqual((stay.automation_id, stay.date_entered), (automation, NOON + DAY))
        lead.stage_id = self.quotation
        [stay] = self.env["crm.stage.stay"].search([("lead_id", "=", lead.id), ("date_left", "=", False)])
        self.assertFalse(stay.automation_id, "by hand")

    def test_waiting_then_done(self):
        """In time: the date that counts is kept, and so is that it was applied by hand."""
        automation = self.create_at(NOON, "deadline_passed", self.closed, outcome="lost")
        lead = self.create_lead_at(NOON, date_deadline="2031-01-16")
        row = {"automation_id": automation.id, "lead_id": lead.id, "document_id": lead.id}
        row |= {"model_name": "crm.lead", "document_date": datetime(2031, 1, 16)}
        with self.at(NOON + 2 * DAY), patch.object(crm_stage_automation, "BATCH", 0):
            automation.action_catch_up()
            [waiting] = self.search_moves("waiting")
            waiting_row = {**row, "state": "waiting", "date": NOON + 2 * DAY, "is_applied": True}
            self.assertEqual(self.read_row(waiting), waiting_row)
        self.run_at(NOON + 2 * DAY + HOUR)
        row |= {"state": "done", "date": NOON + 2 * DAY + HOUR, "is_applied": True, "outcome": "lost"}
        row |= {"from_stage_id": self.new.id, "to_stage_id": self.new.id}
        self.assertEqual(self.read_row(self.search_moves("done")), row)
        self.assertFalse(self.search_moves("waiting"))
        with self.at(NOON + 2 * DAY + 2 * HOUR):
            lead.action_restore()
        self.run_at(NOON + 3 * DAY)
        self.assertEqual(lead.won_status, "pending", "it was applied to this date")

    def test_undone(self):
        automation = self.create_at(NOON, "quotation_created")
        lead = self.create_lead_at(NOON)
        with self.at(NOON):
            self.create_order(lead)
            lead.stage_id = self.new
        with self.at(NOON + HOUR):
            automation.action_catch_up()
        with self.at(NOON + 2 * HOUR):
            automation.action_undo_catch_up()
        [undone] = self.search_moves("undone")
        self.assertEqual((undone.date, undone.lead_id, undone.is_applied), (NOON + 2 * HOUR, lead, False))

    def test_reasons(self):
        """The first reason why what was due was passed over."""
        team = self.env["crm.team"].create({"name": "Gates"})
        other = self.env["crm.team"].create({"name": "Doors"})
        stage = self.env["crm.stage"].create({"name": "Relance", "sequence": 25, "team_ids": team.ids})
        self.create_at(NOON, "deadline_passed", stage, filter_domain="[('priority', '!=', '3')]")
        values = {"date_deadline": "2031-01-16", "team_id": team.id}
        leads = {
            reason: self.create_lead_at(NOON, **{**values, **changed})
            for reason, changed in (
                ("team", {"team_id": other.id}),
                ("closed", {}),
                ("stage", {"stage_id": stage.id}),
                ("condition", {"priority": "3"}),
                ("not_yet", {}),
                ("failed", {}),
                (False, {}),
            )
        }
        with self.at(NOON + HOUR):
            leads["closed"].action_set_lost()
        with self.at(NOON + 2 * DAY):
            self.automations.search([])._insert_due(state="waiting")
            leads["not_yet"].date_deadline = "2031-02-20"
        Lead, refused = type(self.env["crm.lead"]), leads["failed"]
        write = Lead.write

        def refuse(records, vals):
            if "stage_id" in vals and refused in records:
                raise ValueError("An address first")
            return write(records, vals)

        with patch.object(Lead, "write", refuse), self.assertLogs("odoo.addons.crm_sales_stage", "WARNING"):
            self.run_at(NOON + 2 * DAY)
        moves = self.search_moves("skipped") + self.search_moves("done")
        self.assertEqual({move.lead_id: move.reason for move in moves}, {v: k for k, v in leads.items()})
        self.assertIn("An address first", self.search_moves("skipped").filtered("error").error)

    def test_order_and_further(self):
        """Others protect it, or take it further."""
        self.create_at(NOON, "quotation_expired", self.closed, outcome="lost")
        protected, further = self.create_lead_at(NOON), self.create_lead_at(NOON, date_deadline="2031-01-16")
        with self.at(NOON):
            for validity in ("2031-01-16", "2031-03-01"):
                self.create_order(protected, validity_date=validity)
        self.run_at(NOON + 2 * DAY)
        self.assertEqual(self.search_moves("skipped").reason, "order")
        self.create_at(NOON, "deadline_passed", self.visit)
        self.create_at(NOON, "deadline_passed", self.quotation)
        self.run_at(NOON + 3 * DAY)
        moves = self.search_moves("skipped").filtered(lambda move: move.lead_id == further)
        self.assertEqual((moves.mapped("reason"), further.stage_id), (["further"], self.quotation))

    def test_deleted_while_it_waits(self):
        automation = self.create_at(NOON, "quotation_expired")
        leads = self.create_lead_at(NOON) + self.create_lead_at(NOON) + self.create_lead_at(NOON)
        with self.at(NOON):
            orders = [self.create_order(lead, validity_date="2031-01-16") for lead in leads]
        with self.at(NOON + 2 * DAY):
            automation._insert_due(state="waiting")
            orders[0].unlink()
            leads[1].unlink()
        self.run_at(NOON + 2 * DAY)
        self.assertEqual(automation.move_ids.lead_id, leads[2])
        automation.unlink()
        self.assertFalse(self.env["crm.stage.automation.move"].search([("lead_id", "in", leads.ids)]))

    def test_taken_back(self):
        """By hand, to an earlier stage, within seven days; or restored where it was lost."""
        automation = self.create_at(NOON, "quotation_created", from_stage_ids=self.new.ids)
        losing = self.create_at(NOON, "deadline_passed", self.closed, outcome="lost")

        def move_after(days, stage, user=self.manager):
            lead = self.create_lead_at(NOON)
            with self.at(NOON + DAY):
                self.create_order(lead)
            with self.at(NOON + (days + 1) * DAY):
                lead.with_user(user).stage_id = stage
            return lead

        back = move_after(2, self.new) + move_after(6.9, self.estimate)
        for days, stage in ((7.1, self.new), (2, self.quotation)):
            move_after(days, stage)
        move_after(2, self.new, self.env.user)  # which is no hand
        restored, lost = (self.create_lead_at(NOON, date_deadline="2031-01-16") for _number in range(2))
        self.run_at(NOON + 2 * DAY)
        with self.at(NOON + 3 * DAY):
            restored.with_user(self.manager).action_restore()
        moves = self.env["crm.stage.automation.move"]
        taken_back = moves.search([("is_taken_back", "=", True)])
        self.assertEqual(taken_back.lead_id, (back + restored).sorted())
        self.assertEqual(moves.search([("is_taken_back", "=", False)]) & taken_back, moves)
        self.assertTrue(all(taken_back.mapped("is_taken_back")))
        with self.at(NOON + 20 * DAY):
            self.assertEqual((automation.moved_count, automation.taken_back_count), (5, 2))
            self.assertEqual((losing.moved_count, losing.taken_back_count), (2, 1))
        action = automation.with_context(search_default_taken_back=1).action_open_moves()
        self.assertEqual(moves.search(action["domain"]), automation.move_ids.sorted())
        self.assertEqual(action["context"], {"search_default_taken_back": 1})

    def test_often_taken_back(self):
        """More than a third of at least ten is said; a list reads the figures by two queries."""
        automation = self.create_at(NOON, "quotation_created")
        with self.at(NOON):
            leads = self.create_leads(10)
        with self.at(NOON + DAY):
            self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])
        for back, text in ((3, False), (4, "4 of 10 were moved back by hand.")):
            with self.at(NOON + 2 * DAY):
                leads[:back].with_user(self.manager).stage_id = self.new
            with self.at(NOON + 3 * DAY):
                automation.invalidate_recordset()
                self.assertEqual(automation.taken_back_text, text)
        automations = self.automations.with_context(active_test=False).search([])
        names = ["moved_count", "taken_back_count", "taken_back_text", "skipped_count", "waiting_count"]
        with self.at(NOON + 2 * DAY):
            automations.mapped("moved_count")  # reads the user and the order of stages, as every request does
            automations.invalidate_recordset(names)
            with self.assertQueryCount(2):
                for name in names:
                    automations.mapped(name)

    def test_rights(self):
        """Managers read it as far as they may read the opportunities."""
        self.create_at(NOON, "quotation_created")
        lead = self.create_lead_at(NOON)
        self.create_order(lead)
        moves = self.env["crm.stage.automation.move"].with_user(self.manager)
        self.assertEqual(moves.search([("lead_id", "=", lead.id)]).to_stage_id, self.visit)
        company = self.env["res.company"].create({"name": "Elsewhere"})
        lead.write({"company_id": company.id, "user_id": False, "team_id": False, "partner_id": False})
        self.assertFalse(moves.search([("lead_id", "=", lead.id)]))


@tagged("post_install", "-at_install")
class TestOldNews(JournalCase):
    """A document that comes with a date that has passed passes, however it comes."""

    def assert_passed(self, lead):
        [move] = self.search_moves("skipped").filtered(lambda move: move.lead_id == lead)
        self.assertEqual(move.reason, "before")
        self.run_at(NOON + 5 * DAY)
        self.assertEqual(lead.stage_id, self.new)

    def setUp(self):
        super().setUp()
        self.automation = self.create_at(NOON - 9 * DAY, "quotation_expired")
        self.create_at(NOON - 9 * DAY, "deadline_passed")
        self.lead = self.create_lead_at(NOON)

    def test_made(self):
        with self.at(NOON + DAY):
            self.create_order(self.lead, validity_date="2031-01-10")
        self.assert_passed(self.lead)
        with self.at(NOON + 5 * DAY):
            self.automation.action_catch_up()
        self.assertEqual(self.lead.stage_id, self.visit)

    def test_linked(self):
        with self.at(NOON + DAY):
            order = self.create_order(validity_date="2031-01-10")
        with self.at(NOON + DAY):
            order.opportunity_id = self.lead
        self.assert_passed(self.lead)

    def test_merged(self):
        other = self.create_lead_at(NOON, stage_id=self.closed.id)
        with self.at(NOON):
            self.create_order(other, validity_date="2031-01-10")
        self.search_moves("skipped").unlink()
        with self.at(NOON + DAY):
            other.stage_id = self.new
            (self.lead + other).merge_opportunity()
        self.assert_passed((self.lead + other).exists())

    def test_imported(self):
        with self.at(NOON + DAY):
            result = self.env["crm.lead"].load(
                ["name", "type", "stage_id/.id", "date_deadline"],
                [["Import", "opportunity", str(self.new.id), "2031-01-10"]],
            )
        self.assert_passed(self.env["crm.lead"].browse(result["ids"]))

    def test_converted(self):
        lead = self.create_lead_at(NOON, type="lead", date_deadline="2031-01-16")
        self.run_at(NOON + 3 * DAY)
        self.assertFalse(self.search_moves("skipped"))
        with self.at(NOON + 4 * DAY):
            lead.convert_opportunity(self.partner)
            lead.stage_id = self.new
        self.assert_passed(lead)


@tagged("post_install", "-at_install")
class TestDates(JournalCase):
    def test_put_off_and_back(self):
        """To a date that was handled: it is handled. To a later one that has passed: it falls due."""
        self.create_at(NOON, "deadline_passed")
        lead = self.create_lead_at(NOON, date_deadline="2031-01-16")
        self.run_at(NOON + 2 * DAY)
        with self.at(NOON + 2 * DAY + HOUR):
            lead.stage_id = self.new
        for date, stage in (("2031-03-01", self.new), ("2031-01-16", self.new), ("2031-01-17", self.visit)):
            with self.at(NOON + 3 * DAY):
                lead.date_deadline = date
            self.run_at(NOON + 3 * DAY + HOUR)
            self.assertEqual(lead.stage_id, stage, date)

    def test_series_moved_by_an_hour(self):
        """Those that are over stay so, the next ones fall due when they are over."""
        self.create_at(NOON, "meeting_over")
        lead = self.create_lead_at(NOON)
        with self.at(NOON):
            first = self.env["calendar.event"].create(
                {
                    "name": "Visit",
                    "opportunity_id": lead.id,
                    "start": datetime(2031, 1, 16, 9),
                    "stop": datetime(2031, 1, 16, 10),
                    "recurrency": True,
                    "rrule_type": "daily",
                    "interval": 1,
                    "end_type": "count",
                    "count": 4,
                }
            )
        meetings = first.recurrence_id.calendar_event_ids.sorted("start")
        self.assertEqual(len(meetings), 4)
        self.run_at(datetime(2031, 1, 17, 12))
        self.assertEqual(lead.stage_id, self.visit)
        with self.at(datetime(2031, 1, 17, 13)):
            lead.stage_id = self.new
            meetings[0].write(
                {
                    "start": datetime(2031, 1, 16, 10),
                    "stop": datetime(2031, 1, 16, 11),
                    "recurrence_update": "all_events",
                }
            )
        self.run_at(datetime(2031, 1, 17, 14))
        self.assertEqual(lead.stage_id, self.new)
        self.assert_falls_due(datetime(2031, 1, 18, 11), lead)

    def test_random_sequences(self):
        """Forty opportunities, each with a history of its own, and a model of what becomes of them."""
        # Nobody reads the chatter of these
        self.patch(type(self.env["crm.lead"]), "_message_track", lambda *args: {})
        rng = random.Random(SEED)
        today = NOON.date()
        with self.at(NOON):
            for days in range(4):
                condition = repr([("name", "=", f"Days {days}")])
                self.create_automation(self.visit, "deadline_passed", days=days, filter_domain=condition)
            models = [Model(number % 4) for number in range(40)]
            for model in models:
                model.date = today + timedelta(days=rng.randint(0, 4))
            values = [{"name": f"Days {model.days}", "date_deadline": model.date} for model in models]
            opportunity = {"type": "opportunity", "stage_id": self.new.id}
            leads = self.env["crm.lead"].create([{**opportunity, **vals} for vals in values])
            for model, lead in zip(models, leads, strict=True):
                model.record = lead
        now = NOON
        for _step in range(8):
            now += timedelta(hours=rng.randint(1, 40))
            with self.at(now):
                for model in models:
                    action = rng.choice(["nothing", "put", "move"])
                    model.history.append((str(now), action))
                    if action == "put":
                        date = now.date() + timedelta(days=rng.randint(-6, 5))
                        model.history.append(str(date))
                        model.record.date_deadline = date
                        model.put(date, now)
                    elif action == "move":
                        model.record.stage_id = self.new
                        model.is_moved = False
            if rng.random() < 0.7:
                now += timedelta(minutes=1)
                self.run_at(now)
                for model in models:
                    model.run(now)
                    self.assertEqual(
                        model.record.stage_id == self.visit,
                        model.is_moved,
                        f"seed {SEED}, {model.days} days, run at {now}: {model.history}",
                    )
        self.assertGreater(len({model.is_moved for model in models}), 1)


class Model:
    """What becomes of an opportunity by an automation that waits for its expected closing."""

    def __init__(self, days):
        self.days, self.known, self.is_waiting, self.is_moved, self.history = days, None, False, False, []

    def get_due(self):
        """:return: the end of the day, in Brussels in winter, and the days"""
        return datetime.combine(self.date, datetime.min.time()) + timedelta(days=self.days, hours=23)

    def ask(self, since, now):
        if since < self.get_due() <= now and (not self.known or self.date > self.known):
            self.known, self.is_waiting = self.date, True

    def put(self, date, now):
        is_changed, self.date = date != self.date, date
        if is_changed:
            self.ask(datetime.min, now)

    def run(self, now):
        self.ask(NOON, now)
        self.is_moved = self.is_moved or (self.is_waiting and self.get_due() <= now)
        self.is_waiting = False


@tagged("post_install", "-at_install")
class TestJobs(JournalCase):
    def setUp(self):
        super().setUp()
        self.automation = self.create_at(NOON, "deadline_passed")
        with self.at(NOON):
            self.leads = self.create_leads(2, date_deadline="2031-01-16")
        self.due = NOON + 2 * DAY

    def assert_moved_once(self):
        self.assertEqual(self.leads.stage_id, self.visit)
        self.assertEqual(self.automation.move_ids.mapped("state"), ["done"] * 2)
        self.assertEqual(self.automation.move_ids.lead_id, self.leads.sorted())
        stays = self.env["crm.stage.stay"].search([("lead_id", "in", self.leads.ids)])
        self.assertEqual(len(stays), 4)

    def test_two_jobs(self):
        """What the other job is at work on is left to it; what it has moved is not moved again."""
        Move = type(self.env["crm.stage.automation.move"])
        with patch.object(Move, "try_lock_for_update", lambda moves: moves.browse()):
            self.run_at(self.due)
        self.assertEqual(self.leads.stage_id, self.new)
        with self.at(self.due):
            self.run_job()
            self.run_job("due")
        self.assert_moved_once()

    def test_killed_anywhere(self):
        """After each third statement: what is committed stays, the next run does the rest."""
        self.env.flush_all()
        number = 0
        with patch.object(crm_stage_automation, "BATCH", 1):
            while True:
                number += 3
                with self.subTest(number), self.env.cr.savepoint() as whole:
                    is_killed = self.run_until_killed(number)
                    self.run_at(self.due + HOUR)
                    self.assert_moved_once()
                    whole.rollback()
                    self.env.cr.precommit.clear()
                    self.env.clear()
                if not is_killed:
                    break
        self.assertGreater(number, 30)

    def run_until_killed(self, number):
        """Run the job until its statement ``number``; what it did since its last commit is lost.

        :return: whether there were that many
        """
        cr = self.env.cr
        execute, count = cr.execute, 0
        savepoints = [cr.savepoint()]

        def execute_or_die(*args, **kwargs):
            nonlocal count
            count += 1
            if count == number:
                raise Killed
            return execute(*args, **kwargs)

        def commit(*args, **kwargs):
            self.pass_commit()
            savepoints[0].close(rollback=False)
            savepoints[0] = cr.savepoint()
            return 60

        try:
            with (
                self.at(self.due),
                patch.object(type(self.env["ir.cron"]), "_commit_progress", side_effect=commit),
                patch.object(cr, "execute", execute_or_die),
            ):
                self.automations._cron_due()
                return False
        except Killed:
            if not savepoints[0].closed:
                savepoints[0].close(rollback=True)
            cr.precommit.clear()
            self.env.clear()
            return True


@tagged("post_install", "-at_install")
class TestUndoIsExact(JournalCase):
    """After undoing, only the chatter shows that something was moved."""

    def setUp(self):
        super().setUp()
        self.call = self.env.ref("mail.mail_activity_data_call")
        self.reason = self.env["crm.lost.reason"].create({"name": "Too expensive"})

    def plan_in(self, stage):
        stage.activity_plan_id = self.env["mail.activity.plan"].create(
            {
                "name": "Prepare",
                "res_model": "crm.lead",
                "template_ids": [(0, 0, {"activity_type_id": self.call.id, "summary": "Prepare"})],
            }
        )

    def take_picture(self, leads):
        """:return: all that undoing is to restore"""
        self.pass_commit()
        self.env.invalidate_all()
        query = "SELECT * FROM crm_stage_stay WHERE lead_id = ANY(%s) ORDER BY id"
        stays = self.env.execute_query_dict(SQL(query, leads.ids))
        of_leads = [("res_model", "=", "crm.lead"), ("res_id", "in", leads.ids)]
        activities = self.env["mail.activity"].search(of_leads)
        return (
            leads.with_context(active_test=False).read(LEAD_FIELDS, load=None),
            stays,
            activities.ids,
            leads._get_entered_dates(),
        )

    def assert_undone(self, stage, prepare=None, **values):
        leads = self.create_lead_at(NOON) + self.create_lead_at(NOON, stage_id=self.estimate.id)
        with self.at(NOON + HOUR):
            self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])
            leads.activity_schedule("mail.mail_activity_data_call")
        if prepare:
            with self.at(NOON + 2 * HOUR):
                prepare(leads)
        automation = self.create_at(NOON + 3 * HOUR, "quotation_created", stage, **values)
        self.plan_in(stage | self.new)  # moving back is no arrival
        before = self.take_picture(leads)
        with self.at(NOON + 5 * DAY):
            documents = automation._search_leads_to_move() & leads
            self.assertEqual(documents, leads)
            automation.action_catch_up()
        after = self.take_picture(leads)
        for part in (0, 1):
            self.assertNotEqual(after[part], before[part])
        with self.at(NOON + 6 * DAY):
            message = automation.action_undo_catch_up()["params"]["message"]
        restored = "restored" if automation.outcome == "lost" else "moved back"
        self.assertEqual(message.splitlines()[0], f"2 opportunities {restored}.")
        for then, now in zip(before, self.take_picture(leads), strict=True):
            self.assertEqual(now, then)
        automation.active = False
        leads.unlink()

    def test_moved(self):
        self.assert_undone(self.visit)

    def test_probability_by_hand(self):
        self.assert_undone(self.visit, lambda leads: leads.write({"probability": 37}))

    def test_predictive(self):
        (self.new + self.estimate).probability_mode = "predictive"
        self.assert_undone(self.visit)
        self.visit.probability_mode = "predictive"
        self.assert_undone(self.visit)

    def test_won(self):
        self.assert_undone(self.closed, outcome="won")

    def test_lost(self):
        self.assert_undone(self.closed, outcome="lost", lost_reason_id=self.reason.id)

    def test_lost_restored(self):
        """Quotations of after the loss bring lost ones back."""

        def lose(leads):
            leads.action_set_lost(lost_reason_id=self.reason.id)
            self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])

        self.assert_undone(self.visit, lose, is_lost_included=True)

    def test_what_was_changed_since(self):
        """It stays, and is named where the opportunity stays."""
        leads = self.create_lead_at(NOON, name="Changed") + self.create_lead_at(NOON, name="Moved")
        with self.at(NOON):
            self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])
        automation = self.create_at(NOON, "quotation_created")
        with self.at(NOON + DAY):
            automation.action_catch_up()
        with self.at(NOON + 2 * DAY):
            leads[0].probability = 61
            leads[1].stage_id = self.quotation
            leads[1].stage_id = self.visit
        with self.at(NOON + 3 * DAY):
            message = automation.action_undo_catch_up()["params"]["message"]
        self.assertIn("1 opportunity moved back.\nLeft where they are", message)
        self.assertTrue(message.endswith(": Moved"), message)
        self.assertEqual((leads[0].stage_id, leads[0].probability), (self.new, 61))
        self.assertEqual(leads[1].stage_id, self.visit)

    def test_waiting_goes_on(self):
        """Time triggers count as if nothing had been moved."""
        lead = self.create_lead_at(NOON)
        with self.at(NOON):
            self.create_order(lead)
        automation = self.create_at(NOON, "quotation_created", self.estimate)
        self.create_at(NOON, "stage_waiting", self.visit, days=10)
        with self.at(NOON + DAY):
            automation.action_catch_up()
        with self.at(NOON + 2 * DAY):
            automation.action_undo_catch_up()
        self.assert_falls_due(NOON + 10 * DAY, lead)
