import random
from contextlib import contextmanager
from datetime import timedelta

from odoo import Command, fields

from .common_pipeline import PipelineCase


class ReportCase(PipelineCase):
    """Real opportunities that live at frozen times, and a plain Python recount of where they have been.

    The recount knows nothing of trackings: it is told what is done when, as a dealer might write it in a
    notebook.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stop_clock()
        cls.now = cls.get_database_now()
        cls.notebook = {}
        cls.pass_commit()

    def setUp(self):
        super().setUp()
        noted = {lead: list(events) for lead, events in self.notebook.items()}
        self.addCleanup(setattr, type(self), "notebook", noted)

    @classmethod
    def get_database_now(cls):
        cls.env.cr.execute("SELECT now() AT TIME ZONE 'UTC'")
        return cls.env.cr.fetchone()[0]

    @classmethod
    @contextmanager
    def at(cls, days_ago):
        """Do something that many days before now."""
        moment = (cls.now - timedelta(days=days_ago)).replace(microsecond=0)
        with cls.at_moment(moment):
            yield moment

    # ---- what is done, and noted ----

    @classmethod
    def create_at(cls, days_ago, stage, **values):
        with cls.at(days_ago) as moment:
            lead = cls.create_in(stage, **values)
            cls.notebook[lead] = [(moment, "enter", stage, "created")]
        return lead

    @classmethod
    def move_at(cls, days_ago, leads, stage):
        with cls.at(days_ago) as moment:
            leads.with_user(cls.manager).stage_id = stage
        for lead in leads:
            cls.notebook[lead].append((moment, "enter", stage, "hand"))

    @classmethod
    def lose_at(cls, days_ago, lead, **values):
        with cls.at(days_ago) as moment:
            lead.with_user(cls.manager).action_set_lost(**values)
        cls.notebook[lead].append((moment, "lost", None, None))

    @classmethod
    def archive_at(cls, days_ago, lead):
        with cls.at(days_ago) as moment:
            lead.with_user(cls.manager).action_archive()
        cls.notebook[lead].append((moment, "archived", None, None))

    @classmethod
    def restore_at(cls, days_ago, lead):
        with cls.at(days_ago) as moment:
            lead.with_user(cls.manager).action_unarchive()
        cls.notebook[lead].append((moment, "enter", None, "hand"))

    def fill_anew(self):
        """Read all stays from the trackings, as installing does."""
        self.pass_commit()
        self.env.cr.execute("DELETE FROM crm_stage_stay")
        self.env["crm.stage.stay"].init()
        self.env.invalidate_all()

    # ---- the recount ----

    def recount(self, leads=None):
        """:return: the stays of ``leads`` (default: all in the notebook), as a list of dictionaries"""
        stays = []
        for lead in self.notebook if leads is None else leads:
            stays += self.recount_one(lead)
        return stays

    def recount_one(self, lead):
        stays = []
        inside = False
        for moment, what, stage, by in self.notebook[lead]:
            if inside:
                stays[-1]["left"] = moment
                stays[-1]["outcome"] = "moved" if what == "enter" else what
                stays[-1]["next"] = stage
            inside = what == "enter"
            if inside:
                stays.append(
                    {
                        "lead": lead,
                        "stage": stage or stays[-1]["stage"],
                        "entered": moment,
                        "left": None,
                        "next": None,
                        "outcome": "open",
                        "by": by,
                    }
                )
        is_lost = stays[-1]["outcome"] == "lost"
        for index, stay in enumerate(stays):
            later = [other["stage"] for other in stays[index + 1 :]]
            if stay["outcome"] == "lost" and later:
                stay["outcome"] = "restored"
            stay["first"] = stay["stage"] not in [other["stage"] for other in stays[:index]]
            is_won = stays[-1]["outcome"] == "open" and stays[-1]["stage"].is_won
            stay["won"] = 100 if is_won else 0 if is_lost else None
            order = list(self.env["crm.stage"].with_context(active_test=False).search([]))
            forward = any(order.index(other) > order.index(stay["stage"]) for other in later)
            stay["moved_on"] = 100 if is_won or forward else 0 if is_lost else None
            if is_won and index == len(stays) - 1:
                stay["outcome"] = "won"
            until = stay["left"] or self.now
            days = (until - stay["entered"]).total_seconds() / 86400
            stay["days"] = None if stay["outcome"] == "won" else days
        return stays

    def read_stays(self, leads=None, user=None):
        """:return: what the report says, in the recount's form"""
        self.pass_commit()
        report = self.env["crm.stage.report"].with_user(user or self.env.user)
        report.invalidate_model()
        domain = [("lead_id", "in", [lead.id for lead in (self.notebook if leads is None else leads)])]
        return [
            {
                "lead": row.lead_id.with_env(self.env),
                "stage": row.stage_id.with_env(self.env),
                "entered": row.date_entered.replace(microsecond=0),
                "left": row.date_left and row.date_left.replace(microsecond=0) or None,
                "next": row.next_stage_id.with_env(self.env) or None,
                "outcome": row.outcome,
                "by": row.moved_by or None,
                "first": row.is_first_visit,
                "won": self.read_raw(row, "was_won"),
                "moved_on": self.read_raw(row, "reached_next"),
                "days": self.round_days(self.read_raw(row, "days")),
            }
            for row in report.search(domain).sorted(lambda row: (row.lead_id.id, row.date_entered, row.id))
        ]

    @staticmethod
    def round_days(days):
        """:return: without the parts of seconds that frozen times do without"""
        return None if days is None else round(days, 4)

    def read_raw(self, row, fname):
        """:return: the value of a float, or None where the database has none"""
        self.env.cr.execute(f"SELECT {fname} FROM crm_stage_report WHERE id = %s", [row.id])
        return self.env.cr.fetchone()[0]

    def assertStays(self, leads=None):
        def get_key(stay):
            return stay["lead"].id, stay["entered"]

        expected = sorted(self.recount(leads), key=get_key)
        actual = self.read_stays(leads)
        self.assertEqual(len(actual), len(expected))
        for row, stay in zip(actual, expected, strict=True):
            self.assertEqual(row, {**stay, "days": self.round_days(stay["days"])})


class PipelineHistoryCase(ReportCase):
    """Sixty opportunities with a past of two years that a dice chose (the same at every run)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        dice = random.Random(6)
        cls.reasons = cls.env["crm.lost.reason"].create([{"name": "Too expensive"}, {"name": "No answer"}])
        cls.teams = cls.env["crm.team"].create([{"name": "Windows"}, {"name": "Stoves"}])
        cls.teams.member_ids = [Command.link(cls.salesperson.id), Command.link(cls.manager.id)]
        cls.env.company.currency_id.rounding = 0.01
        for number in range(60):
            cls.create_past(dice, number)
        cls.env.flush_all()

    @classmethod
    def create_past(cls, dice, number):
        when = dice.uniform(20, 730)
        lead = cls.create_at(
            when,
            dice.choice(cls.stages[:2]),
            user_id=dice.choice([cls.salesperson.id, cls.manager.id, False]),
            team_id=dice.choice(cls.teams).id,
            expected_revenue=dice.randrange(500, 20000),
        )
        for _step in range(dice.randrange(0, 6)):
            when -= dice.expovariate(1 / 25)
            if when < 1:
                return
            cls.take_step(dice, when, lead)

    @classmethod
    def take_step(cls, dice, when, lead):
        if not lead.active:
            cls.restore_at(when, lead)
        elif (chance := dice.random()) < 0.65:
            stages = [stage for stage in cls.stages if stage != lead.stage_id]
            cls.move_at(when, lead, dice.choice(stages))
        elif lead.stage_id.is_won:
            return
        elif chance < 0.9:
            reason = dice.choice([*cls.reasons.ids, False])
            cls.lose_at(when, lead, **({"lost_reason_id": reason} if reason else {}))
        else:
            cls.archive_at(when, lead)

    @classmethod
    def to_text(cls, moment):
        return fields.Datetime.to_string(moment)
