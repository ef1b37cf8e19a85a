import random
from contextlib import contextmanager
from unittest.mock import patch

from odoo import Command
from odoo.exceptions import ValidationError
from odoo.tests import Form, new_test_user, tagged

from .common import OUR_MODULES, SalesStageCase, without_hooks
from .common_pipeline import PipelineCase


@tagged("post_install", "-at_install")
class TestEnterStage(SalesStageCase):
    """Entering a stage gives its probability, whoever causes it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.own, cls.other = (
            new_test_user(cls.env, login, "sales_team.group_sale_salesman", name=login)
            for login in ("entry_own", "entry_other")
        )
        cls.own_team, cls.other_team = cls.env["crm.team"].create(
            [
                {"name": "Stoves", "member_ids": [Command.set(cls.own.ids)]},
                {"name": "Windows", "member_ids": [Command.set(cls.other.ids)]},
            ]
        )
        cls.stage_own, cls.stage_other = cls.env["crm.stage"].create(
            [
                {"name": "Own", "sequence": 3, "probability": 60, "team_ids": cls.own_team.ids},
                {"name": "Other", "sequence": 0, "probability": 35, "team_ids": cls.other_team.ids},
            ]
        )

    def create_own(self, number=1, probability=33, **values):
        """:return: opportunities in a stage of one team only, with a probability set by hand"""
        leads = self.create_opportunities(
            number,
            **{
                "user_id": self.own.id,
                "team_id": self.own_team.id,
                "stage_id": self.stage_own.id,
                "email_from": "customer@example.org",
                "contact_name": "Customer",
                **values,
            },
        )
        if probability is not None:
            leads.probability = probability
        self.env.flush_all()
        return leads

    def assertFollows(self, leads, stage, probability=None):
        probability = stage.probability if probability is None else probability
        for lead in leads:
            self.assertEqual(
                (lead.stage_id, lead.probability, lead.automated_probability),
                (stage, probability, probability),
            )
            self.assertEqual(lead.prorated_revenue, lead.expected_revenue * probability / 100)
            self.assertTrue(lead.is_automated_probability)

    # What takes the opportunity out of its writer's sight

    def test_convert_for_a_colleague(self):
        lead = self.create_own(type="lead")
        wizard = self.env["crm.lead2opportunity.partner"].with_user(self.own)
        wizard.with_context(active_model="crm.lead", active_id=lead.id, active_ids=lead.ids).create(
            {
                "name": "convert",
                "action": "create",
                "user_id": self.other.id,
                "team_id": self.other_team.id,
            }
        ).action_apply()
        self.assertEqual(lead.user_id, self.other)
        self.assertFollows(lead, self.stage_other)

    def test_convert_many_for_a_colleague(self):
        leads = self.create_own(2, type="lead")
        wizard = self.env["crm.lead2opportunity.partner.mass"].with_user(self.own)
        wizard.with_context(active_model="crm.lead", active_ids=leads.ids, active_id=leads.ids[0]).create(
            {
                "deduplicate": False,
                "action": "create",
                "user_ids": [Command.set(self.other.ids)],
                "team_id": self.other_team.id,
                "force_assignment": True,
            }
        ).action_mass_convert()
        self.assertFollows(leads, self.stage_other)

    def test_merge_for_a_colleague(self):
        leads = self.create_own(2)
        merged = leads.with_user(self.own).merge_opportunity(self.other.id, self.other_team.id)
        self.assertFollows(merged.sudo(), merged.sudo().stage_id)
        self.assertEqual(merged.sudo().user_id, self.other)

    def test_reassign_with_and_without_the_stage(self):
        lead = self.create_own()
        lead.with_user(self.own).write({"user_id": self.other.id, "stage_id": self.estimate.id})
        self.assertFollows(lead, self.estimate)
        lead = self.create_own()
        lead.with_user(self.own).user_id = self.other
        self.assertFollows(lead, self.stage_other)
        lead = self.create_own()
        lead.with_user(self.own).write({"user_id": self.other.id, "probability": 64})
        self.assertEqual(
            (lead.stage_id, lead.probability, lead.automated_probability), (self.stage_other, 64, 35)
        )
        lead = self.create_own()
        lead.with_user(self.own).write(
            {"user_id": self.other.id, "stage_id": self.estimate.id, "probability": 64}
        )
        self.assertEqual((lead.probability, lead.automated_probability), (64, 25))

    # What Odoo computes the stage for

    def test_computed_stage(self):
        for change in (
            {"team_id": self.other_team.id},
            {"user_id": self.other.id},
            {"user_id": self.other.id, "type": "opportunity"},
            {"team_id": self.other_team.id, "probability": 33},
            {"team_id": self.other_team.id, "probability": False},
        ):
            for probability in (33, 60, None):
                with self.subTest(change=change, probability=probability):
                    lead = self.create_own(probability=probability)
                    lead.write(change)
                    expected = 35
                    if change.get("probability") and probability != 33:
                        expected = 33
                    self.assertEqual(
                        (lead.stage_id, lead.probability, lead.automated_probability),
                        (self.stage_other, expected, 35),
                    )

    def test_computed_on_flush(self):
        """Whatever is computed first: nothing has asked for the stage before."""
        for name in ("probability", "prorated_revenue", "won_status", "is_automated_probability", None):
            with self.subTest(name=name):
                lead = self.create_own()
                self.env.invalidate_all()
                lead.team_id = self.other_team
                if name:
                    lead.mapped(name)
                self.env.flush_all()
                self.env.invalidate_all()
                self.assertFollows(lead, self.stage_other)

    def test_several_stages_at_once(self):
        predictive = self.env["crm.stage"].create(
            {
                "name": "Scored",
                "sequence": 0,
                "probability_mode": "predictive",
                "team_ids": self.env["crm.team"].create({"name": "Doors"}).ids,
            }
        )
        leads = self.create_own(4)
        leads[0].with_context(skip=True).team_id = self.other_team
        leads[1].team_id = predictive.team_ids
        leads[2].user_id = self.other
        leads[3].team_id = self.env["crm.team"].create({"name": "Roofs"})
        self.assertFollows(leads[0] + leads[2], self.stage_other)
        self.assertEqual((leads[1].stage_id, leads[1].probability), (predictive, 33))
        self.assertFollows(leads[3], self.new)

    def test_assignment(self):
        leads = self.create_own(4)
        leads._handle_salesmen_assignment(user_ids=self.other.ids)
        self.assertFollows(leads, self.stage_other)
        leads = self.create_own(4)
        leads._handle_salesmen_assignment(team_id=self.other_team.id)
        self.assertFollows(leads, self.stage_other)

    def test_computed_for_lost_and_archived_ones(self):
        lost, archived = self.create_own(), self.create_own()
        lost.action_set_lost()
        archived.action_archive()
        (lost + archived).team_id = self.other_team
        self.assertEqual((lost.stage_id, lost.probability, lost.won_status), (self.stage_other, 0, "lost"))
        self.assertEqual((archived.probability, archived.won_status), (35, "pending"))
        self.stage_own.probability = 0
        (lost + archived).team_id = self.own_team
        archived.stage_id = self.stage_own
        self.assertEqual(archived.won_status, "pending", "At 0% it would be lost")

    def test_brought_back_by_a_write(self):
        """A list or a client may write the field alone, which Odoo's button does not."""
        lost, lost_by_hand, archived, by_hand = leads = self.create_in(self.estimate, 4)
        (lost + lost_by_hand).action_set_lost()
        by_hand.probability = 42
        (archived + by_hand).action_archive()
        self.estimate.probability = 30
        lost_by_hand.write({"active": True, "probability": 61})
        (leads - lost_by_hand).write({"active": True})
        self.assertEqual(leads.mapped("automated_probability"), [30] * 4)
        self.assertEqual(leads.mapped("probability"), [30, 61, 30, 42])

    # A probability that comes along

    def test_lost_ones_are_brought_back_by_a_probability(self):
        """Odoo takes an archived opportunity for lost while it is at 0%, whichever probability comes then."""
        for probability in (self.visit.probability, 61, self.new.probability):
            lead = self.create_opportunities()
            lead.action_set_lost()
            lead.write({"stage_id": self.visit.id, "probability": probability})
            self.assertEqual((lead.won_status, lead.probability), ("pending", probability))
            self.assertEqual((lead.automated_probability, lead.active), (50, False))
        lead = self.create_opportunities()
        lead.action_set_lost()
        lead.write({"stage_id": self.visit.id, "probability": 0})
        self.assertEqual((lead.won_status, lead.probability), ("lost", 0))

    def test_time_in_the_stage_of_all_of_a_write(self):
        """Odoo restarts it for all as soon as one of them moves, whatever probability they set along."""
        for values in ({}, {"probability": self.visit.probability}, {"probability": 61}):
            leads = self.create_in(self.visit) + self.create_in(self.new)
            leads.flush_recordset()
            leads.date_last_stage_update = "2020-01-01"
            leads.write({"stage_id": self.visit.id, **values})
            self.assertEqual(leads.mapped("date_last_stage_update"), [self.env.cr.now()] * 2, values)

    def test_assignment_of_all_of_a_write(self):
        """Odoo dates it anew for all as soon as one of them gets another salesperson."""
        user = self.salesperson
        leads = self.create_opportunities(2, user_id=user.id)
        leads[0].probability = 61
        leads[1].user_id = self.manager
        leads.flush_recordset()
        leads.date_open = "2020-01-01"
        leads.write({"user_id": user.id, "probability": leads[1].probability})
        self.assertEqual(leads.mapped("date_open"), [self.env.cr.now()] * 2)

    def test_form_that_sends_the_old_probability_back(self):
        for value, expected in (
            (33, 25),
            (33.0, 25),
            (33.001, 25),
            (False, 25),
            (None, 25),
            (34, 34),
            (0, 0),
        ):
            with self.subTest(value=value):
                lead = self.create_own()
                lead.write({"stage_id": self.estimate.id, "probability": value})
                self.assertEqual((lead.probability, lead.automated_probability), (expected, 25))

    def test_old_probability_sent_back_for_many(self):
        leads = self.create_own(5)
        leads[1].probability = 40
        leads[2].stage_id = self.estimate
        leads[2].probability = 33
        leads[3].action_set_lost()
        leads[4].action_archive()
        leads.write({"stage_id": self.estimate.id, "probability": 33})
        self.assertFollows(leads[0] + leads[4], self.estimate)
        self.assertEqual(leads[1].probability, 33, "Set by hand along with the stage")
        self.assertEqual(leads[2].probability, 33, "It was in that stage already")
        self.assertEqual(leads[3].probability, 33, "Not what a lost one had")

    def test_portal_page_of_a_reseller(self):
        """It writes with the system's rights, and sends back whatever it showed."""
        lead = self.create_own()
        lead.sudo().write(
            {"expected_revenue": 500, "probability": 33, "stage_id": self.quotation.id, "priority": "2"}
        )
        self.assertFollows(lead, self.quotation)

    def test_sent_back_to_a_won_stage_and_from_it(self):
        lead = self.create_own()
        lead.write({"stage_id": self.closed.id, "probability": 33})
        self.assertEqual((lead.won_status, lead.probability), ("won", 100))
        lead.write({"stage_id": self.estimate.id, "probability": 100})
        self.assertFollows(lead, self.estimate)
        self.assertEqual((lead.won_status, lead.date_closed), ("pending", False))
        lead.stage_id = self.closed
        lead.write({"stage_id": self.estimate.id, "probability": 64})
        self.assertEqual(
            (lead.won_status, lead.probability, lead.automated_probability, lead.date_closed),
            ("pending", 64, 25, False),
        )

    def test_created_with_a_probability(self):
        for values, stage, expected in (
            ({}, self.new, 10),
            ({"probability": False}, self.new, 10),
            ({"probability": None, "stage_id": self.visit.id}, self.visit, 50),
            ({"probability": 64}, self.new, 64),
            ({"probability": 0}, self.new, 0),
            ({"probability": 10}, self.new, 10),
            ({"probability": 64, "stage_id": self.visit.id}, self.visit, 64),
            ({"probability": 0, "stage_id": self.visit.id}, self.visit, 0),
            ({"probability": 64, "team_id": self.other_team.id, "user_id": False}, self.stage_other, 64),
            ({"type": "lead", "probability": 64}, self.new, 64),
            ({"type": "lead"}, self.new, 10),
        ):
            with self.subTest(values=values):
                lead = self.create_opportunities(**values)
                self.env.flush_all()
                self.env.invalidate_all()
                self.assertEqual(
                    (lead.stage_id, lead.probability, lead.automated_probability),
                    (stage, expected, stage.probability),
                )
        lost = self.create_opportunities(active=False, probability=0)
        self.assertEqual((lost.won_status, lost.probability), ("lost", 0))
        won = self.create_opportunities(stage_id=self.closed.id, probability=100)
        self.assertEqual((won.won_status, won.is_automated_probability), ("won", False))

    def test_created_with_a_default_probability(self):
        leads = self.env["crm.lead"].with_context(default_type="opportunity", default_probability=64)
        self.env["ir.default"].set("crm.lead", "probability", 41)
        for model, values, expected in (
            (leads, {}, 64),
            (leads, {"stage_id": self.new.id}, 64),
            (leads, {"probability": 5}, 5),
            (leads, {"probability": False}, 64),
            (self.env["crm.lead"], {}, 41),
        ):
            with self.subTest(values=values, expected=expected):
                lead = model.create({"name": "Stove", **values})
                self.assertEqual((lead.probability, lead.automated_probability), (expected, 10))

    def test_created_together(self):
        leads = self.env["crm.lead"].create(
            [
                {"name": "by hand", "type": "opportunity", "probability": 64},
                {"name": "follows", "type": "opportunity", "stage_id": self.visit.id},
                {"name": "empty", "type": "opportunity", "probability": False},
            ]
        )
        self.assertEqual(leads.mapped("probability"), [64, 50, 10])
        self.assertEqual(leads.mapped("automated_probability"), [10, 50, 10])

    def test_import_with_an_empty_probability(self):
        result = self.env["crm.lead"].load(
            ["name", "type", "stage_id", "probability"],
            [["Stove", "opportunity", "Technical Visit", ""], ["Window", "opportunity", "", ""]],
        )
        self.assertFalse(result["messages"])
        stove, window = self.env["crm.lead"].browse(result["ids"])
        self.assertFollows(stove, self.visit)
        self.assertEqual(window.probability, window.stage_id.probability or 0)
        stove.probability = 42
        result = self.env["crm.lead"].load(
            [".id", "stage_id", "probability"], [[str(stove.id), "Quotation", ""]]
        )
        self.assertFalse(result["messages"])
        self.assertFollows(stove, self.quotation)

    def test_empty_probability_leaves_opportunities_as_they_are(self):
        """An empty cell sets nothing, whatever else the file changes; 0 is a value."""
        scored = self.env["crm.stage"].create({"name": "Scored", "probability_mode": "predictive"})
        by_stage, by_hand, won, lost, in_scored = leads = self.create_opportunities(5)
        file = self.env["crm.lead"].with_context(active_test=False)
        by_hand.probability = 33
        won.stage_id = self.closed
        lost.action_set_lost()
        in_scored.stage_id = scored
        in_scored.probability = 44
        names = ["stage_id", "probability", "won_status", "active", "date_closed"]

        def read():
            self.env.flush_all()
            self.env.invalidate_all()
            return [[lead[name] for name in names] for lead in leads]

        before = read()
        for columns, get_cells in (
            ([], lambda lead: []),
            (["stage_id"], lambda lead: [lead.stage_id.name]),
            (["team_id"], lambda lead: [self.own_team.name]),
            (["expected_revenue"], lambda lead: ["500"]),
        ):
            with self.subTest(columns=columns):
                rows = [[str(lead.id), "", *get_cells(lead)] for lead in leads]
                result = file.load([".id", "probability", *columns], rows)
                self.assertFalse(result["messages"])
                self.assertEqual(read(), before)
        rows = [[str(lead.id), scored.name, ""] for lead in by_stage + by_hand]
        file.load([".id", "stage_id", "probability"], rows)
        self.assertTrue(by_stage.is_automated_probability)
        self.assertEqual(by_hand.probability, 33, "Odoo's scoring leaves what was set by hand")
        file.load([".id", "probability"], [[str(by_hand.id), "0"]])
        self.assertEqual((by_hand.probability, by_hand.probability_source), (0, "manual"))

    # Forms

    def test_form_shows_the_new_probability(self):
        for field, value in (
            ("stage_id", self.estimate),
            ("team_id", self.other_team),
            ("user_id", self.other),
        ):
            with self.subTest(field=field):
                lead = self.create_own()
                with Form(lead) as form:
                    form[field] = value
                    stage = form.stage_id
                    self.assertNotEqual(stage, self.stage_own)
                    self.assertEqual(form.probability, stage.probability)
                    form.priority = "2"
                    self.assertEqual(form.probability, stage.probability)
                self.assertFollows(lead, stage)

    def test_form_with_a_change_of_mind(self):
        lead = self.create_own()
        with Form(lead) as form:
            form.stage_id = self.estimate
            form.stage_id = self.stage_own
            self.assertEqual(form.probability, 33)
        self.assertEqual((lead.stage_id, lead.probability), (self.stage_own, 33))
        with Form(lead) as form:
            form.stage_id = self.estimate
            form.probability = 64
            form.priority = "2"
            self.assertEqual(form.probability, 64)
        self.assertEqual((lead.probability, lead.automated_probability), (64, 25))

    def test_new_form(self):
        with Form(self.env["crm.lead"].with_context(default_type="opportunity")) as form:
            form.name = "Stove"
            form.stage_id = self.visit
        self.assertFollows(form.record, self.visit)
        with Form(self.env["crm.lead"].with_context(default_type="opportunity")) as form:
            form.name = "Window"
            form.probability = 64
        self.assertEqual(form.record.probability, 64)
        leads = self.env["crm.lead"].with_context(default_type="opportunity", default_probability=64)
        with Form(leads) as form:
            form.name = "Door"
            self.assertEqual((form.stage_id, form.probability), (self.new, 64))
        self.assertEqual((form.record.probability, form.record.automated_probability), (64, 10))

    def test_scored_stages_are_odoos(self):
        self.env["crm.stage"].search([("is_won", "=", False)]).probability_mode = "predictive"
        lead = self.create_opportunities(probability=64)
        self.assertEqual((lead.probability, lead.automated_probability), (64, 0))
        lead = self.create_own()
        automated = lead.automated_probability
        lead.write({"stage_id": self.estimate.id, "probability": 33})
        self.assertEqual((lead.probability, lead.automated_probability), (33, automated))

    # One write

    def count(self, call):
        """:return: number of writes on opportunities, and of UPDATEs of their table"""
        self.env.flush_all()
        lead_class = self.env.registry["crm.lead"]
        write, execute = lead_class.write, type(self.env.cr).execute
        writes, updates = [], []

        def count_write(records, vals):
            writes.append(vals)
            return write(records, vals)

        def count_execute(cursor, query, *args, **kwargs):
            if "UPDATE" in str(query) and "crm_lead" in str(query):
                updates.append(query)
            return execute(cursor, query, *args, **kwargs)

        with (
            patch.object(lead_class, "write", count_write),
            patch.object(type(self.env.cr), "execute", count_execute),
        ):
            call()
            self.env.flush_all()
        return len(writes), len(updates)

    def test_one_write_and_one_update(self):
        for values in (
            {"stage_id": self.estimate.id},
            {"stage_id": self.estimate.id, "probability": 33},
            {"stage_id": self.estimate.id, "probability": 64},
            {"team_id": self.other_team.id},
            {"user_id": self.other.id},
            {"user_id": self.other.id, "probability": 64},
        ):
            for probability in (33, None):
                with self.subTest(values=values, probability=probability):
                    lead = self.create_own(probability=probability)
                    self.assertEqual(self.count(lambda lead=lead, values=values: lead.write(values)), (1, 1))

    def test_rules_of_others_run_as_without_the_addon(self):
        """Automation Rules hear the stage and its probability, each as often as they hear Odoo's scoring."""
        if "base.automation" not in self.env:
            self.skipTest("Automation Rules are not installed, which the addon does not depend on")
        for name in ("stage_id", "probability"):
            self.env["base.automation"].create(
                {
                    "name": name,
                    "model_id": self.env["ir.model"]._get_id("crm.lead"),
                    "trigger": "on_write",
                    "trigger_field_ids": [
                        Command.set(self.env["ir.model.fields"]._get("crm.lead", name).ids)
                    ],
                    "action_server_ids": [
                        Command.create(
                            {
                                "name": name,
                                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                                "usage": "base_automation",
                                "state": "code",
                                "code": f"record.write({{'referred': (record.referred or '') + ' {name}'}})",
                            }
                        )
                    ],
                }
            )
        for values in ({"stage_id": self.estimate.id}, {"team_id": self.other_team.id}):
            for probability in (33, None):
                with self.subTest(values=values, probability=probability):
                    lead = self.create_own(probability=probability)
                    lead.referred = ""
                    lead.write(values)
                    lead.mapped("probability")  # computed before the stage, which it asks for
                    self.env.flush_all()
                    self.assertEqual(sorted(lead.referred.split()), ["probability", "stage_id"])

    def test_closing_dates(self):
        lead = self.create_own()
        for stage, probability in (
            (self.estimate, 0),
            (self.quotation, 100),
            (self.visit, 50),
        ):
            stage.probability = probability
            for values in ({}, {"probability": 33}, {"probability": probability}):
                with self.subTest(probability=probability, values=values):
                    lead.stage_id = self.stage_own
                    lead.probability = 33
                    lead.write({"stage_id": stage.id, **values})
                    self.assertFalse(lead.date_closed)
                    self.assertFollows(lead, stage)
                    lead.stage_id = self.closed
                    self.assertTrue(lead.date_closed)
                    lead.stage_id = stage
                    self.assertFalse(lead.date_closed)
                    self.assertFollows(lead, stage)

    def test_rolled_back(self):
        lead = self.create_own()
        for values in ({"stage_id": self.estimate.id}, {"team_id": self.other_team.id}):
            with self.env.cr.savepoint() as savepoint:
                lead.write(values)
                savepoint.rollback()
            lead.tag_ids = self.env["crm.tag"].create({"name": str(values)})
            self.env.flush_all()
            self.assertEqual((lead.stage_id, lead.probability), (self.stage_own, 33))

    # Archived stages

    def test_nothing_starts_in_an_archived_stage(self):
        archived = self.env["crm.stage"].create({"name": "Old", "sequence": 5, "active": False})
        leads = self.env["crm.lead"]
        in_column = leads.with_context(default_stage_id=archived.id, default_type="opportunity")
        lead = self.create_own()
        created = [
            self.create_opportunities(stage_id=archived.id),
            in_column.create({"name": "Stove"}),
            in_column.browse(in_column.name_create("Stove")[0]),
            lead.copy({"stage_id": archived.id}),
            leads.message_new(
                {"subject": "Stove", "from": "customer@example.org"}, custom_values={"stage_id": archived.id}
            ),
        ]
        with Form(in_column) as form:
            form.name = "Stove"
        created.append(form.record)
        self.env["ir.default"].set("crm.lead", "stage_id", archived.id, user_id=self.env.uid)
        created.append(self.create_opportunities())
        created.append(self.create_opportunities(stage_id=archived.id))
        created.append(lead.copy())
        for index, record in enumerate(created):
            with self.subTest(index=index):
                self.assertTrue(record.stage_id.active)
                self.assertEqual(record.probability, record.stage_id.probability)
        self.assertEqual(created[0].stage_id, self.new)
        lead = self.create_opportunities(stage_id=archived.id, team_id=self.other_team.id, user_id=False)
        self.assertEqual(lead.stage_id, self.stage_other, "The first stage of its team")
        self.assertEqual(self.create_opportunities(stage_id=self.visit.id).stage_id, self.visit)

    def test_creating_costs_no_query_more(self):
        """Neither with a stage nor without one."""
        classes = type(self.env["crm.lead"]).__mro__
        creating = [cls for cls in classes if "create" in vars(cls)]
        position = next(i for i, cls in enumerate(creating) if "crm_sales_stage" in cls.__module__)
        ours, plain = creating[position], creating[position + 1].create

        def count(values):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.env["crm.lead"].create([{"name": "Stove", "type": "opportunity", **values}] * 3)
            self.env.flush_all()
            return self.env.cr.sql_log_count - before

        for values in ({}, {"stage_id": self.visit.id}):
            count(values)
            with_hook = count(values)
            with patch.object(ours, "create", plain):
                self.assertEqual(count(values), with_hook)


@tagged("post_install", "-at_install")
class TestPredictiveForm(PipelineCase):
    """A form with predictive stages saves what Odoo's own saves."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.open_stages = cls.stages - cls.closed
        cls.open_stages.probability_mode = "predictive"
        cls.users = cls.manager + cls.salesperson
        cls.teams = cls.env["crm.team"].create(
            [{"name": user.name, "member_ids": [Command.set(user.ids)]} for user in cls.users]
        )
        cls.quotation.team_ids = cls.teams[0]
        # What Odoo's scoring has seen, different for each stage and team
        cls.env["crm.lead.scoring.frequency"].search([]).unlink()
        cls.env["crm.lead.scoring.frequency"].create(
            [
                {
                    "variable": "stage_id",
                    "value": str(stage.id),
                    "team_id": team.id,
                    "won_count": 20 + 7 * number,
                    "lost_count": 90 - 11 * index - 17 * number,
                }
                for number, team in enumerate(cls.teams)
                for index, stage in enumerate(cls.stages)
            ]
        )

    def create_lead(self, **values):
        values = {"team_id": self.teams[0].id, "user_id": self.users[0].id, **values}
        lead = self.create_in(values.pop("stage", self.new), **values)
        self.env.flush_all()
        return lead

    @contextmanager
    def without_addon(self):
        lead_class = self.env.registry["crm.lead"]
        methods = {
            name: [method for method in methods if not method.__module__.startswith(OUR_MODULES)]
            for name, methods in self.env["crm.lead"]._onchange_methods.items()
        }
        with without_hooks(self.env), patch.object(lead_class, "_onchange_methods", methods):
            yield

    def save(self, lead, actions):
        """:return: what the form shows after each of ``actions``, and what is saved; nothing is kept"""
        self.env.invalidate_all()
        shown = []
        try:
            with self.env.cr.savepoint() as savepoint:
                with Form(lead) as form:
                    for name, value in actions:
                        if name == "probability" and form.won_status == "won":
                            continue  # it is readonly
                        form[name] = value
                        shown.append((form.stage_id, form.probability, form.is_automated_probability))
                self.env.flush_all()
                self.env.invalidate_all()
                names = [
                    "stage_id",
                    "team_id",
                    "user_id",
                    "won_status",
                    "probability",
                    "automated_probability",
                ]
                saved = [lead[name] for name in names]
                savepoint.rollback()
        except ValidationError as error:
            saved = str(error)  # Odoo refuses a won one with another percentage
        return shown, saved

    def assertAsOdoo(self, lead, actions):
        ours = self.save(lead, actions)
        with self.without_addon():
            odoos = self.save(lead, actions)
        self.assertEqual(ours, odoos, actions)
        return ours

    def test_another_team_and_the_stage_again(self):
        lead = self.create_lead()
        score = lead.probability
        for actions in (
            [("team_id", self.teams[1]), ("stage_id", self.estimate), ("stage_id", self.new)],
            [("stage_id", self.estimate), ("team_id", self.teams[1]), ("stage_id", self.new)],
            [("user_id", self.users[1]), ("stage_id", self.closed), ("stage_id", self.new)],
        ):
            _shown, saved = self.assertAsOdoo(lead, actions)
            self.assertEqual((saved[0], saved[-1]), (self.new, saved[-2]))
            self.assertNotIn(saved[-1], (0, score))

    def test_another_stage_and_back(self):
        for by_hand in (None, 33):
            lead = self.create_lead()
            lead.probability = by_hand or lead.automated_probability
            typed, there, back = ("probability", 40), ("stage_id", self.estimate), ("stage_id", self.new)
            for actions, expected in (
                ([typed, there, back], 40),
                ([there, typed, back], 40),
                ([there, back], lead.probability),
                ([there, back, typed], 40),
            ):
                with self.subTest(by_hand=by_hand, actions=actions):
                    _shown, saved = self.assertAsOdoo(lead, actions)
                    self.assertEqual((saved[0], saved[-2]), (self.new, expected))

    def test_the_score_is_typed(self):
        """Over a percentage that was set by hand before"""
        lead = self.create_lead()
        score = lead.automated_probability
        lead.probability = 61
        there, back = ("stage_id", self.estimate), ("stage_id", self.new)
        for actions in ([("probability", score), there, back], [there, ("probability", score), back]):
            self.assertAsOdoo(lead, actions)

    def test_a_fixed_stage_and_back(self):
        """Entering a fixed stage sets its probability; looking at one leaves what was set by hand."""
        self.estimate.write({"probability_mode": "fixed", "probability": 60})
        for by_hand in (None, 33):
            lead = self.create_lead()
            lead.probability = by_hand or lead.automated_probability
            typed, there, back = ("probability", 40), ("stage_id", self.estimate), ("stage_id", self.new)
            for actions, expected in (
                ([there], 60),
                ([typed, there], 60),
                ([there, typed], 40),
                ([there, back], lead.probability),
                ([typed, there, back], lead.probability),
                ([there, ("stage_id", self.visit), typed, back], 40),
            ):
                with self.subTest(by_hand=by_hand, actions=actions):
                    _shown, saved = self.save(lead, actions)
                    self.assertEqual(saved[-2], expected)
        # And from the fixed one
        lead = self.create_lead(stage=self.estimate)
        for by_hand, actions, expected in (
            (60, [("stage_id", self.new), ("stage_id", self.estimate)], 60),
            (60, [("probability", 40), ("stage_id", self.new)], 40),
            (60, [("probability", 40), ("stage_id", self.new), ("stage_id", self.estimate)], 60),
            (33, [("stage_id", self.new), ("stage_id", self.estimate)], 33),
        ):
            with self.subTest(by_hand=by_hand, actions=actions):
                lead.probability = by_hand
                self.assertEqual(self.save(lead, actions)[1][-2], expected)

    def test_any_actions(self):
        seed = random.randrange(10**9)
        dice = random.Random(seed)
        for number in range(6):
            with self.subTest(seed=seed, number=number):
                stage = dice.choice(self.stages)
                lead = self.create_lead(stage=stage)
                if dice.random() < 0.5 and stage != self.closed:
                    lead.probability = dice.randrange(1, 99) + 0.5
                choices = {
                    "stage_id": self.stages,
                    "team_id": self.teams,
                    "user_id": self.users,
                    "probability": [dice.randrange(1, 99) + 0.25 for _number in range(3)],
                }
                actions = []
                for _number in range(dice.randrange(2, 7)):
                    name = dice.choice(["stage_id", "stage_id", *choices])
                    actions.append((name, dice.choice(choices[name])))
                if dice.random() < 0.5:
                    actions.append(("stage_id", stage))
                self.assertAsOdoo(lead, actions)


@tagged("post_install", "-at_install")
class TestAutomationRules(PipelineCase):
    """Automation Rules run while Odoo computes a probability."""

    def test_created_and_moved_by_a_rule(self):
        if "base.automation" not in self.env:
            self.fail("Automation Rules are not installed: this tells nothing")
        called = self.env["crm.stage"].create({"name": "Called", "sequence": 1})
        (self.visit + called).probability_mode = "predictive"  # scoring stores everything before it reads
        move = {
            "name": "Move",
            "model_id": self.env["ir.model"]._get_id("crm.lead"),
            "state": "crm_stage",
            "crm_stage_id": self.estimate.id,
            "usage": "base_automation",
        }
        self.env["base.automation"].create(
            {
                "name": "Rule",
                "model_id": move["model_id"],
                "trigger": "on_create_or_write",
                "action_server_ids": [Command.create(move)],
            }
        )
        leads = self.env["crm.lead"].create(
            [
                {"name": "House", "type": "opportunity", "stage_id": stage.id, "expected_revenue": 1000}
                for stage in self.stages + called
            ]
        )
        self.env.flush_all()
        self.env.invalidate_all()
        for moved in (leads[0], leads[5]):
            self.assertEqual(moved.stage_id, self.estimate)
            self.assertEqual([moved.probability, moved.automated_probability], [25, 25])
        self.assertEqual([leads[1].probability, leads[3].probability], [25, 75])
        self.assertEqual((leads[4].probability, leads[4].won_status), (100, "won"))
