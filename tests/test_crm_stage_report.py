import random
import statistics
from collections import Counter, defaultdict
from datetime import timedelta
from math import ceil
from unittest.mock import patch

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, new_test_user, tagged
from odoo.tools import SQL, mute_logger

from .common_report import PipelineHistoryCase, ReportCase

# What the pivot shows of what the overview shows in one picture
AGGREGATES = {
    "entered": ["__count", "expected_revenue:sum", "reached_next:avg", "was_won:avg"],
    "left": ["__count", "days_median:median", "days:avg"],
    "lost": ["__count", "expected_revenue:sum"],
}


def percentile(values, fraction):
    """:return: as PostgreSQL's percentile_cont"""
    values = sorted(values)
    position = (len(values) - 1) * fraction
    low = int(position)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (position - low)


@tagged("post_install", "-at_install")
class TestCrmStageStay(ReportCase):
    """Each way an opportunity may take through the stages."""

    def assertOutcomes(self, leads, *expected):
        stays = [(stay["stage"], stay["outcome"]) for stay in self.read_stays(leads)]
        self.assertEqual(stays, list(expected))

    def test_no_sample_data(self):
        """Odoo's sample data knows no median, and graph and pivot would fail without opportunities."""
        for kind in ("graph", "pivot"):
            arch = self.env["crm.stage.report"].get_view(view_type=kind)["arch"]
            self.assertNotIn("sample=", arch)

    def test_created_in_a_stage(self):
        lead = self.create_at(30, self.visit)
        self.assertStays()
        self.assertOutcomes(lead, (self.visit, "open"))
        self.assertEqual(self.read_stays()[0]["days"], 30)

    def test_forth_and_back(self):
        lead = self.create_at(50, self.new)
        self.move_at(40, lead, self.visit)
        self.move_at(35, lead, self.estimate)
        self.move_at(20, lead, self.visit)
        self.assertStays()
        stays = self.read_stays()
        self.assertEqual([stay["days"] for stay in stays], [10, 5, 15, 20])
        self.assertEqual([stay["first"] for stay in stays], [True, True, True, False])
        self.assertEqual([stay["moved_on"] for stay in stays], [100, None, 100, None])

    def test_won_and_reopened(self):
        lead = self.create_at(50, self.quotation)
        self.move_at(40, lead, self.closed)
        self.assertStays()
        self.assertOutcomes(lead, (self.quotation, "moved"), (self.closed, "won"))
        self.assertEqual([stay["won"] for stay in self.read_stays()], [100, 100])
        self.move_at(30, lead, self.visit)
        self.assertStays()
        self.assertOutcomes(lead, (self.quotation, "moved"), (self.closed, "moved"), (self.visit, "open"))
        self.assertEqual([stay["won"] for stay in self.read_stays()], [None, None, None])

    def test_created_won(self):
        lead = self.create_at(50, self.closed)
        self.assertStays()
        self.assertOutcomes(lead, (self.closed, "won"))

    def test_lost_and_restored(self):
        lead = self.create_at(50, self.estimate)
        self.lose_at(40, lead)
        self.assertStays()
        self.assertOutcomes(lead, (self.estimate, "lost"))
        self.restore_at(30, lead)
        self.assertStays()
        self.assertOutcomes(lead, (self.estimate, "restored"), (self.estimate, "open"))
        self.lose_at(25, lead)
        self.assertStays()

    def test_lost_and_restored_in_french(self):
        """Won/Lost is tracked by its label."""
        self.env["res.lang"]._activate_lang("fr_FR")
        lead = self.create_at(50, self.estimate)
        with self.at(40) as lost:
            lead.with_user(self.manager).with_context(lang="fr_FR").action_set_lost()
        with self.at(30) as restored:
            lead.with_user(self.manager).with_context(lang="fr_FR").action_unarchive()
        labels = self.env["mail.tracking.value"].search(
            [("mail_message_id.res_id", "=", lead.id), ("field_id.name", "=", "won_status")]
        )
        self.assertIn("Perdu", labels.mapped("old_value_char"))
        self.notebook[lead] += [(lost, "lost", None, None), (restored, "enter", None, "hand")]
        self.assertStays()
        self.assertOutcomes(lead, (self.estimate, "restored"), (self.estimate, "open"))

    def test_archived_without_loss(self):
        lead = self.create_at(50, self.estimate)
        self.archive_at(40, lead)
        self.assertEqual(lead.won_status, "pending")
        self.assertStays()
        self.assertOutcomes(lead, (self.estimate, "archived"))
        self.restore_at(30, lead)
        self.assertStays()
        self.assertOutcomes(lead, (self.estimate, "archived"), (self.estimate, "open"))

    def test_archived_then_lost(self):
        lead = self.create_at(50, self.estimate)
        self.archive_at(40, lead)
        with self.at(35):
            lead.probability = 0
        self.assertEqual(lead.won_status, "lost")
        self.assertOutcomes(lead, (self.estimate, "lost"))
        self.assertEqual(self.read_stays()[0]["days"], 10)

    def test_moved_while_archived(self):
        lead = self.create_at(50, self.estimate)
        self.archive_at(40, lead)
        with self.at(35):
            lead.stage_id = self.visit
        self.assertOutcomes(lead, (self.estimate, "archived"))
        with self.at(30):
            lead.action_unarchive()
        self.assertOutcomes(lead, (self.estimate, "archived"), (self.visit, "open"))
        self.assertEqual([stay["days"] for stay in self.read_stays()], [10, 30])

    def test_merged(self):
        """The history of the merged opportunities is none of the one that remains."""
        winner = self.create_at(50, self.new, partner_id=self.env.user.partner_id.id)
        loser = self.create_at(49, self.new, partner_id=self.env.user.partner_id.id)
        self.move_at(45, loser, self.estimate)
        self.move_at(44, winner, self.visit)
        self.move_at(42, loser, self.new)
        with self.at(40):
            head = (winner + loser)._merge_opportunity()
        self.assertEqual(head, winner)
        self.assertFalse(loser.exists())
        moved = self.env["mail.message"].search([("model", "=", "crm.lead"), ("res_id", "=", winner.id)])
        self.assertEqual(
            len(moved.tracking_value_ids.filtered(lambda value: value.field_id.name == "stage_id")), 3
        )
        del self.notebook[loser]
        self.assertStays()
        self.env.cr.execute("SELECT COUNT(*) FROM crm_stage_stay WHERE lead_id = %s", loser.ids)
        self.assertEqual(self.env.cr.fetchone()[0], 0)

    def test_deleted_stage(self):
        stage = self.env["crm.stage"].create({"name": "Show Room", "sequence": 2})
        lead = self.create_at(50, self.new)
        self.move_at(40, lead, stage)
        self.move_at(30, lead, self.visit)
        self.assertStays()
        stage.unlink()
        report = self.env["crm.stage.report"]
        for _again in range(2):
            self.env.invalidate_all()
            first, deleted, _last = report.search([("lead_id", "=", lead.id)], order="date_entered")
            self.assertFalse(deleted.stage_id)
            self.assertEqual(deleted.stage_name, "Show Room")
            self.assertEqual((first.outcome, first.next_stage_id), ("moved", self.env["crm.stage"]))
            self.assertEqual((deleted.next_stage_id, deleted.days), (self.visit, 10))
            self.assertEqual([stay["moved_on"] for stay in self.read_stays()], [100, 100, None])
            # The same when something else changes
            lead.expected_revenue += 1
            lead.date_closed = self.now
            self.pass_commit()
        overview = report.get_overview([("lead_id", "=", lead.id)])
        figures = overview["stages"][-1]
        self.assertEqual(figures["name"], "Show Room (deleted)")
        self.assertEqual((figures["entered"], figures["left"], figures["median"]), (1, 1, 10))
        own = [("lead_id", "=", lead.id)]
        aggregates = ["__count", "days_median:median"]
        groups = report.with_context(fill_temporal=True).formatted_read_group(
            own, ["date_entered:month", "stage_id"], aggregates
        )
        pivot = report.formatted_read_grouping_sets(own, [["outcome"], ["stage_id"]], aggregates)[1]
        listed = report.web_read_group(own, ["stage_id"], aggregates)["groups"]
        for shown in (groups, pivot, listed):
            (group,) = (
                group for group in shown if group["stage_id"] and group["stage_id"][1] == figures["name"]
            )
            self.assertEqual([group[name] for name in aggregates], [1, 10])
            self.assertEqual(report.search(own + list(group["__extra_domain"])), deleted)
            self.assertEqual(sum(group["__count"] for group in shown), 3)
        action = report.action_open_leads(figures["domain"])
        self.assertIn(lead, self.env["crm.lead"].with_context(**action["context"]).search(action["domain"]))
        self.assertEqual(report.search(figures["domain"] + [("lead_id", "=", lead.id)]), deleted)

    def test_converted(self):
        """A lead is in no pipeline until it is an opportunity."""
        with self.at(60):
            lead = self.env["crm.lead"].create({"name": "Lead", "type": "lead", "stage_id": self.new.id})
        self.assertFalse(self.read_stays([lead]))
        with self.at(50):
            lead.stage_id = self.estimate
        self.assertFalse(self.read_stays([lead]))
        with self.at(40) as moment:
            lead.convert_opportunity(self.env.user.partner_id)
        self.assertEqual(lead.type, "opportunity")
        self.notebook[lead] = [(moment, "enter", lead.stage_id, "created")]
        self.assertStays()
        self.move_at(30, lead, self.visit)
        self.assertStays()

    def test_turned_back_into_a_lead(self):
        lead = self.create_at(50, self.new)
        with self.at(40):
            lead.type = "lead"
        (stay,) = self.read_stays([lead])
        self.assertEqual((stay["stage"], stay["outcome"]), (self.new, "archived"))

    def test_untracked_moves(self):
        """Imports and other silent changes are moves as any other."""
        lead = self.create_at(50, self.new)
        silent = lead.with_context(tracking_disable=True)
        self.move_at(45, silent, self.estimate)
        self.move_at(40, lead, self.visit)
        self.move_at(35, silent, self.quotation)
        self.assertStays()
        self.lose_at(30, silent)
        self.assertStays()
        self.restore_at(20, silent)
        self.assertStays()
        tracked = self.get_tracked_stages(lead)
        self.assertEqual(len(tracked), 1)

    def test_moved_by_an_automation(self):
        hand, automation, system = (
            self.create_at(50, self.new, partner_id=self.manager.partner_id.id) for _i in "123"
        )
        self.move_at(40, hand, self.estimate)
        with self.at(40):
            self.env["sale.order"].with_user(self.manager).create(
                {
                    "partner_id": self.manager.partner_id.id,
                    "opportunity_id": automation.id,
                    "order_line": [
                        Command.create(
                            {
                                "name": "Window",
                                "price_unit": 1,
                                "product_uom_qty": 1,
                                "product_id": self.env["product.product"].create({"name": "W"}).id,
                            }
                        )
                    ],
                }
            )
        self.assertEqual(automation.stage_id, self.estimate)
        with self.at(40):
            system.with_user(self.env.ref("base.user_root")).stage_id = self.estimate
        by = {stay["lead"]: stay["by"] for stay in self.read_stays() if stay["stage"] == self.estimate}
        self.assertEqual(by, {hand: "hand", automation: "automation", system: "automation"})

    def test_deleted_message(self):
        """Who deletes a tracking message from the chatter does not delete what happened."""
        lead = self.create_at(50, self.new)
        self.move_at(40, lead, self.estimate)
        self.move_at(30, lead, self.visit)
        lead.message_ids.unlink()
        self.assertStays()

    def test_deleted_opportunity(self):
        lead = self.create_at(50, self.new)
        self.move_at(40, lead, self.estimate)
        lead.unlink()
        self.env.flush_all()
        self.env.cr.execute("SELECT 1 FROM crm_stage_stay WHERE lead_id = %s", lead.ids)
        self.assertFalse(self.env.cr.fetchall())

    def test_many_at_once(self):
        """More than the ORM writes in one statement"""
        leads = self.create_in(self.new, 110)
        other = self.create_in(self.estimate)
        self.pass_commit()
        leads.stage_id = self.visit
        self.pass_commit()
        groups = self.env["crm.stage.report"]._read_group(
            [("lead_id", "in", (leads + other).ids)], ["stage_id", "outcome"], ["__count"]
        )
        self.assertEqual(
            groups, [(self.new, "moved", 110), (self.estimate, "open", 1), (self.visit, "open", 110)]
        )

    def test_opportunity_values(self):
        """The stays are shown with the opportunity's values, as they are now."""
        lead = self.create_at(50, self.new, user_id=self.salesperson.id)
        self.move_at(40, lead, self.estimate)
        team = self.env["crm.team"].create({"name": "Doors"})
        lead.write(
            {"user_id": self.manager.id, "team_id": team.id, "expected_revenue": 4321, "probability": 10}
        )
        self.pass_commit()
        rows = self.env["crm.stage.report"].search([("lead_id", "=", lead.id)])
        self.assertEqual(len(rows), 2)
        for row in rows:
            self.assertEqual((row.user_id, row.team_id), (self.manager, team))
            self.assertEqual((row.expected_revenue, row.prorated_revenue), (4321, 432.1))
            self.assertEqual(row.company_currency, lead.company_currency)
        reason = self.env["crm.lost.reason"].create({"name": "Moved away"})
        self.lose_at(1, lead, lost_reason_id=reason.id)
        rows.invalidate_recordset()
        self.assertEqual(rows.sorted("date_entered").mapped("lost_reason_id"), reason)
        self.assertEqual(
            [row.lost_reason_id for row in rows.sorted("date_entered")], [reason.browse(), reason]
        )

    def test_reordered_stages(self):
        """What was a step forward when it was taken stays one, whatever becomes of the stages."""
        lead = self.create_at(50, self.estimate)
        self.move_at(40, lead, self.visit)
        self.assertStays()
        before = self.read_stays()
        self.assertEqual([stay["moved_on"] for stay in before], [100, None])
        self.visit.sequence, self.estimate.sequence = self.estimate.sequence, self.visit.sequence
        self.pass_commit()
        self.assertEqual(self.read_stays(), before)
        # By the order of now, back to the second stage is forward.
        self.move_at(30, lead, self.estimate)
        self.assertEqual([stay["moved_on"] for stay in self.read_stays()], [100, 100, None])

    def test_equal_sequences(self):
        """One order of stages: as the pipeline shows them, names tell those of the same sequence apart."""
        zeta, alpha = self.env["crm.stage"].create(
            [{"name": "Zeta", "sequence": 3}, {"name": "Alpha", "sequence": 3}]
        )
        forward, back = self.create_at(50, alpha), self.create_at(50, zeta)
        self.move_at(40, forward, zeta)
        self.move_at(40, back, alpha)
        self.assertStays()
        self.assertEqual([stay["moved_on"] for stay in self.read_stays(forward)], [100, None])
        self.assertEqual([stay["moved_on"] for stay in self.read_stays(back)], [None, None])


@tagged("post_install", "-at_install")
class TestCrmStageReport(PipelineHistoryCase):
    """Every figure of sixty opportunities, against the recount."""

    def setUp(self):
        super().setUp()
        self.report = self.env["crm.stage.report"].with_context(lang="en_US")
        self.stays = self.recount()
        self.period = self.now - timedelta(days=365)
        self.domain = [("date_entered", ">=", self.to_text(self.period))]

    def test_filled_as_recorded(self):
        """What was written as it happened is what the trackings tell."""
        self.fill_anew()
        self.assertStays()

    def test_nothing_to_mend(self):
        self.assertFalse(self.env["crm.stage.stay"]._find_out_of_step(0))
        self.fill_anew()
        self.assertFalse(self.env["crm.stage.stay"]._find_out_of_step(0))

    def get_overview(self, domain=None, user=None):
        overview = self.report.with_user(user or self.env.user).get_overview(
            self.domain if domain is None else domain
        )
        return {self.env["crm.stage"].browse(stage["id"]): stage for stage in overview["stages"]}, overview

    def test_stays(self):
        self.assertStays()
        # The dice left none of them out.
        outcomes = Counter(stay["outcome"] for stay in self.stays)
        self.assertEqual(set(outcomes), {"open", "moved", "won", "lost", "restored", "archived"})
        self.assertGreater(len(self.stays), 150)

    def check_overview(self, overview, stays):
        """Compare every figure with the recount."""
        for stage in self.stages:
            with self.subTest(stage=stage.name):
                self.check_stage(overview.get(stage), [stay for stay in stays if stay["stage"] == stage])

    def check_stage(self, figures, stays):
        entered = [stay for stay in stays if stay["first"] and stay["entered"] >= self.period]
        left = [stay for stay in stays if stay["left"] and stay["left"] >= self.period]
        days = [stay["days"] for stay in left]
        lost = [stay for stay in left if stay["outcome"] == "lost"]
        waiting = [stay for stay in stays if stay["outcome"] == "open"]
        if not (entered or left or waiting):
            self.assertIsNone(figures)
            return
        self.assertEqual(figures["entered"], len(entered))
        self.assertEqual(figures["revenue"], sum(stay["lead"].expected_revenue for stay in entered))
        for name, key in (("reached_next", "moved_on"), ("won", "won")):
            known = [stay[key] for stay in entered if stay[key] is not None]
            self.assertAlmostEqual(figures[name], statistics.mean(known) if known else False)
            self.assertEqual(figures[f"{name}_basis"], len(known))
        self.assertEqual(figures["left"], len(left))
        self.assertAlmostEqual(figures["median"], statistics.median(days) if days else False)
        self.assertAlmostEqual(figures["mean"], statistics.mean(days) if days else False)
        moved_on = [stay["days"] for stay in left if stay["outcome"] == "moved" and stay["moved_on"] == 100]
        usual = ceil(percentile(moved_on, 0.75)) if len(moved_on) >= 5 else False
        self.assertEqual(figures["usual"], usual)
        self.assertEqual(figures["waiting"], len(waiting))
        if waiting and usual:
            limit = self.env.cr.now() - timedelta(days=usual)
            self.assertEqual(figures["late"], sum(stay["entered"] < limit for stay in waiting))
        else:
            self.assertIs(figures["late"], False)
        self.assertEqual(figures["lost"], len(lost))
        self.assertEqual(figures["lost_revenue"], sum(stay["lead"].expected_revenue for stay in lost))
        reasons = Counter(stay["lead"].lost_reason_id for stay in lost)
        self.assertEqual(
            {(reason["id"], reason["name"]): reason["count"] for reason in figures["reasons"]},
            {(reason.id, reason.name or "No reason"): count for reason, count in reasons.items()},
        )

    def test_overview(self):
        overview, _all = self.get_overview()
        self.assertEqual(list(overview), list(self.stages))
        self.check_overview(overview, self.stays)
        self.assertTrue(any(figures["late"] for figures in overview.values()))
        self.assertTrue(any(len(figures["reasons"]) > 1 for figures in overview.values()))

    def test_overview_in_the_order_of_the_pipeline(self):
        """Names tell stages of the same sequence apart, in the overview as in the pipeline."""
        self.stages.sequence = 5
        overview, _all = self.get_overview()
        self.assertEqual(list(overview), list(self.env["crm.stage"].with_context(lang="en_US").search([])))
        self.assertNotEqual(list(overview), list(self.stages))

    def test_overview_of_all_times(self):
        self.period = self.now - timedelta(days=9999)
        self.check_overview(self.get_overview([])[0], self.stays)

    def test_overview_of_a_team(self):
        team = self.teams[0]
        overview, _all = self.get_overview([*self.domain, ("team_id", "=", team.id)])
        self.check_overview(overview, [stay for stay in self.stays if stay["lead"].team_id == team])

    def test_overview_of_a_salesperson(self):
        """As on the pipeline: their own and nobody's."""
        overview, _all = self.get_overview(user=self.salesperson)
        own = [
            stay for stay in self.stays if stay["lead"].user_id in (self.salesperson, self.env["res.users"])
        ]
        self.assertLess(len(own), len(self.stays))
        self.check_overview(overview, own)
        visible = self.env["crm.lead"].with_user(self.salesperson).with_context(active_test=False).search([])
        rows = self.report.with_user(self.salesperson).search([])
        self.assertEqual(rows.lead_id, visible.with_user(self.salesperson) & rows.lead_id)
        self.assertEqual(set(rows.lead_id.ids), set(visible.ids))

    def test_user_without_sales_sees_nothing(self):
        user = new_test_user(self.env, "report_nobody", "base.group_user")
        with self.assertRaises(AccessError), mute_logger("odoo.addons.base.models.ir_model"):
            self.report.with_user(user).get_overview([])

    def test_other_companies_are_hidden(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        lead = self.create_at(100, self.new, company_id=company.id, team_id=False, user_id=False)
        shared = self.create_at(100, self.new, company_id=False, team_id=False, user_id=False)
        self.pass_commit()
        self.manager.company_ids = self.env.company + company
        report = self.report.with_user(self.manager)
        mine = report.with_context(allowed_company_ids=self.env.company.ids)
        both = report.with_context(allowed_company_ids=(self.env.company + company).ids)
        domain = [("lead_id", "in", (lead + shared).ids)]
        self.assertEqual(mine.search(domain).lead_id.ids, shared.ids)
        self.assertEqual(set(both.search(domain).lead_id.ids), {lead.id, shared.id})
        self.assertEqual(mine.get_overview(domain)["stages"][0]["entered"], 1)
        self.assertEqual(both.get_overview(domain)["stages"][0]["entered"], 2)

    def get_leads(self, domain, user=None):
        """:return: the opportunities that a click on a figure opens"""
        action = self.report.with_user(user or self.env.user).action_open_leads(domain)
        leads = self.env[action["res_model"]].with_user(user or self.env.user)
        found = leads.with_context(**action["context"]).search(action["domain"])
        self.assertEqual(len(found), len(set(found.ids)))
        return set(found.ids)

    def test_revenues_of_several_currencies_are_converted(self):
        currency = self.env["res.currency"].create({"name": "STG", "symbol": "S"})
        self.env["res.currency.rate"].create(
            {"name": "2020-01-01", "currency_id": currency.id, "company_id": False, "rate": 4}
        )
        abroad = self.env["res.company"].create({"name": "Abroad", "currency_id": currency.id})
        self.manager.company_ids += abroad
        lead = self.create_at(
            100, self.new, company_id=abroad.id, team_id=False, user_id=False, expected_revenue=1000
        )
        self.lose_at(50, lead)
        self.report = self.report.with_context(allowed_company_ids=self.env.company.ids)
        before = self.get_overview(user=self.manager)[0][self.new]
        self.report = self.report.with_context(allowed_company_ids=(self.env.company + abroad).ids)
        figures = self.get_overview(user=self.manager)[0][self.new]
        self.assertEqual(figures["entered"], before["entered"] + 1)
        self.assertAlmostEqual(float(figures["revenue"]), float(before["revenue"]) + 250)
        self.assertAlmostEqual(float(figures["lost_revenue"]), float(before["lost_revenue"]) + 250)

    def test_opportunities_behind(self):
        _by_stage, overview = self.get_overview()
        domains = overview["domains"]
        for name in ("late_domain", "reasons"):  # otherwise nothing of it is looked at below
            self.assertTrue(any(figures[name] for figures in overview["stages"]), name)
        for figures in overview["stages"]:
            stays = [stay for stay in self.stays if stay["stage"].id == figures["id"]]
            left = [stay for stay in stays if stay["left"] and stay["left"] >= self.period]
            behind = {
                "entered": [stay for stay in stays if stay["first"] and stay["entered"] >= self.period],
                "left": left,
                "waiting": [stay for stay in stays if stay["outcome"] == "open"],
                "lost": [stay for stay in left if stay["outcome"] == "lost"],
            }
            for name, expected in behind.items():
                leads = self.get_leads(domains[name] + figures["domain"])
                self.assertEqual(leads, {stay["lead"].id for stay in expected}, (figures["name"], name))
                self.assertEqual(len(expected), figures[name])
            if figures["late_domain"]:
                self.assertEqual(
                    len(self.get_leads(domains["waiting"] + figures["late_domain"])), figures["late"]
                )
            for reason in figures["reasons"]:
                leads = self.get_leads(
                    domains["lost"] + figures["domain"] + [("lost_reason_id", "=", reason["id"])]
                )
                self.assertEqual(len(leads), reason["count"])

    # ---- pivot, graph, list, export ----

    def get_pivot(self, domain, *aggregates):
        """:return: what the pivot shows of each stage that it shows"""
        _total, groups = self.report.formatted_read_grouping_sets(domain, [[], ["stage_id"]], aggregates)
        return {group["stage_id"][0]: [group[name] or 0 for name in aggregates] for group in groups}

    def get_filter(self, dice, dates):
        """:return: domain of what a user might choose in the search bar"""
        domain = []
        for fname in dates:
            since = self.now - timedelta(days=dice.randrange(100, 800))
            domain.append((fname, ">=", self.to_text(since)))
            if dice.random() < 0.5:
                until = since + timedelta(days=dice.randrange(60, 400))
                domain.append((fname, "<", self.to_text(until)))
        others = [
            ("team_id", "=", dice.choice(self.teams).id),
            ("user_id", "=", dice.choice([self.salesperson.id, self.manager.id, False])),
            ("won_status", "in", dice.sample(["won", "lost", "pending"], 2)),
            ("moved_by", "!=", "created"),
            ("outcome", "in", ["moved", "lost", "restored"]),
        ]
        return domain + dice.sample(others, dice.choice([0, 0, 1, 2]))

    def test_overview_and_pivot_find_the_same(self):
        """With the same filter: what left of times and losses, what entered of the funnel."""
        dice = random.Random(29)
        won = next(lead for lead in self.notebook if lead.stage_id == self.closed)
        self.archive_at(1, won)  # it has left, after no days of waiting
        self.pass_commit()
        names = {"date_entered": "date_left", "date_left": "date_entered"}
        choices = [["date_left"], ["date_entered"], ["date_left", "date_entered"], []]
        shown = Counter()
        for number in range(20):
            dates = choices[number % 4]
            domain = self.get_filter(dice, dates)
            # The pivot shows what goes by the date that the filter does not name when it names that one.
            other = [(names.get(name, name), *rest) for name, *rest in domain] if len(dates) == 1 else domain
            entered, left = (domain, other) if dates == ["date_entered"] else (other, domain)
            with self.subTest(domain=domain):
                self.check_pivot(self.report.get_overview(domain), entered, left, shown)
        self.assertGreater(min(shown.values()), 20)

    def check_pivot(self, overview, entered, left, shown):
        """Compare the figures of the overview with those of the pivot, and with what they open."""
        pivots = {
            "entered": [*entered, ("is_first_visit", "=", True)],
            "left": [*left, ("date_left", "!=", False)],
            "lost": [*left, ("outcome", "=", "lost")],
        }
        figures = {
            "entered": ["entered", "revenue", "reached_next", "won"],
            "left": ["left", "median", "mean"],
            "lost": ["lost", "lost_revenue"],
        }
        for name, domain in pivots.items():
            stages = [stage for stage in overview["stages"] if stage[name]]
            pivot = self.get_pivot(domain, *AGGREGATES[name])
            self.assertEqual({stage["id"] for stage in stages}, pivot.keys())
            for stage in stages:
                for figure, value in zip(figures[name], pivot[stage["id"]], strict=True):
                    self.assertAlmostEqual(stage[figure], value, 6)
                behind = overview["domains"][name] + stage["domain"]
                self.assertEqual(self.report.search_count(behind), stage[name])
            shown[name] += len(stages)

    def test_stage_and_overview_agree(self):
        """The figures on the stage are those of the opening page."""
        overview, _all = self.get_overview([("date_left", ">=", "-1y")])
        with patch("odoo.addons.crm_sales_stage.report.crm_stage.MIN_SUGGESTION_BASIS", 5):
            for stage, figures in overview.items():
                median, lost = figures["median"] or 0, figures["lost"]
                self.assertEqual((stage.median_days, stage.lost_here_count), (median, lost))
                if figures["won_basis"]:
                    won = (figures["won"], figures["won_basis"])
                    self.assertEqual((stage.win_rate, stage.win_rate_basis), won)
                if not stage.is_won:
                    self.assertEqual(stage.suggested_rotting_days, figures["usual"] or 0)
        self.assertTrue(any(figures["usual"] for figures in overview.values()))

    def test_median_in_pivot_and_graph(self):
        self.assertEqual(self.report.fields_get(["days_median"])["days_median"]["aggregator"], "median")
        by_stage = defaultdict(list)
        for stay in self.stays:
            if stay["left"] and stay["days"] is not None:
                by_stage[stay["stage"].id].append(stay["days"])
        groups = self.report.formatted_read_group(
            [], ["stage_id"], ["days_median:median", "days:avg", "__count"]
        )
        self.assertTrue(groups)
        for group in groups:
            days = by_stage[group["stage_id"][0]]
            if days:
                self.assertAlmostEqual(group["days_median:median"], statistics.median(days))
                self.assertAlmostEqual(group["days:avg"], statistics.mean(days))
        sets = self.report.formatted_read_grouping_sets(
            [], [[], ["stage_id"], ["stage_id", "date_entered:month"]], ["days_median:median"]
        )
        self.assertAlmostEqual(
            sets[0][0]["days_median:median"],
            statistics.median(day for days in by_stage.values() for day in days),
        )

    def test_median_by_month(self):
        by_month = defaultdict(list)
        for stay in self.stays:
            if stay["left"] and stay["days"] is not None:
                by_month[stay["entered"].strftime("%Y-%m-01")].append(stay["days"])
        groups = self.report.with_context(tz="UTC").formatted_read_group(
            [], ["date_entered:month"], ["days_median:median"]
        )
        medians = {str(group["date_entered:month"][0])[:10]: group["days_median:median"] for group in groups}
        for month, days in by_month.items():
            self.assertAlmostEqual(medians[month], statistics.median(days))

    def test_grouped_list(self):
        answer = self.report.web_read_group(
            [],
            ["stage_id"],
            ["days_median:median", "days:avg"],
            auto_unfold=True,
            unfold_read_specification={
                "stage_name": {},
                "days": {},
                "lead_id": {"fields": {"display_name": {}}},
            },
        )
        self.assertEqual(answer["length"], len({stay["stage"] for stay in self.stays}))

    def test_list_and_export(self):
        rows = self.report.search([], limit=5)
        self.assertEqual(len(rows), 5)
        fnames = [name for name, field in self.report._fields.items() if field.exportable]
        data = rows.export_data(["lead_id", "stage_name", "days", "days_median", "outcome", "date_left"])[
            "datas"
        ]
        self.assertEqual(len(data), 5)
        self.assertEqual([line[2] for line in data], [row.days for row in rows])
        self.assertEqual(len(rows.read(fnames)), 5)

    def test_weighted_revenue(self):
        groups = dict(
            self.report._read_group([("outcome", "=", "open")], ["stage_id"], ["prorated_revenue:sum"])
        )
        expected = defaultdict(float)
        for stay in self.stays:
            if stay["outcome"] == "open":
                expected[stay["stage"]] += stay["lead"].prorated_revenue
        self.assertEqual(set(groups), set(expected))
        for stage, revenue in groups.items():
            self.assertAlmostEqual(revenue, expected[stage])

    def test_salesperson_changes_nothing(self):
        row = self.report.with_user(self.salesperson).search([], limit=1)
        with mute_logger("odoo.addons.base.models.ir_model"):
            with self.assertRaises(AccessError):
                row.write({"outcome": "won"})
            with self.assertRaises(AccessError):
                row.unlink()

    def test_month_uses_an_index(self):
        """Of the stays: how few opportunities a test has decides how the report joins them."""
        self.env.cr.execute("SET LOCAL enable_seqscan = off")
        start = fields.Datetime.to_string(self.now - timedelta(days=30))
        for fname in ("date_entered", "date_left"):
            query = self.env["crm.stage.stay"]._search([(fname, ">=", start)])
            self.env.cr.execute(SQL("EXPLAIN %s", query.select("COUNT(*)")))
            plan = "\n".join(line for (line,) in self.env.cr.fetchall())
            self.assertRegex(plan, rf"Index Cond: .*{fname}")


@tagged("post_install", "-at_install")
class TestCrmStageFigures(ReportCase):
    """The figures on the stage, and the probability they suggest"""

    def fill(self, stage, won, lost, days_ago=100):
        """Opportunities that were in ``stage`` for ten days, then won, or lost there."""
        with self.at(days_ago):
            leads = self.create_in(stage, won + lost)
        leads = leads.with_user(self.manager).with_context(mail_notrack=True)  # nobody reads the chatter
        with self.at(days_ago - 10):
            leads[:won].stage_id = self.closed
            leads[won:].action_set_lost()
        stage.invalidate_recordset()

    def test_figures(self):
        self.fill(self.visit, 3, 1)
        self.fill(self.visit, 0, 2, days_ago=500)
        lead = self.create_at(90, self.visit)
        self.move_at(60, lead, self.quotation)
        self.visit.invalidate_recordset()
        self.assertEqual((self.visit.win_rate, self.visit.win_rate_basis), (75, 4))
        self.assertEqual(self.visit.median_days, 10)
        self.assertEqual(self.visit.lost_here_count, 1)
        action = self.visit.action_open_lost_here()
        leads = self.env["crm.lead"].with_context(**action["context"]).search(action["domain"])
        self.assertEqual(len(leads), 1)
        self.assertEqual((leads.stage_id, leads.won_status), (self.visit, "lost"))

    def test_figures_stay_while_the_stage_is_edited(self):
        self.fill(self.visit, 15, 6)
        with Form(self.visit.with_user(self.manager)) as form:
            form.probability = 60
            form.name = "Visit"
            figures = (
                form.win_rate_basis,
                form.suggested_probability,
                form.median_days,
                form.lost_here_count,
            )
            self.assertEqual(figures, (21, 71, 10, 6))

    def test_nothing_is_suggested_under_twenty(self):
        self.fill(self.visit, 10, 9)
        self.assertFalse(self.visit.suggested_probability)
        with self.assertRaisesRegex(UserError, "fewer than 20"):
            self.visit.action_apply_suggested_probability()
        self.assertEqual(self.visit.probability, 50)
        self.fill(self.visit, 0, 1)
        self.assertEqual(self.visit.suggested_probability, 50)

    def test_suggestion_is_taken_over(self):
        self.fill(self.visit, 15, 6)
        opportunity = self.create_in(self.visit)
        self.assertEqual(opportunity.probability, 50)
        visit = self.visit.with_user(self.manager)
        self.assertEqual(visit.win_rate_basis, 21)
        self.assertEqual(visit.suggested_probability, 71)
        visit.action_apply_suggested_probability()
        self.assertEqual((self.visit.probability, opportunity.probability), (71, 71))

    def test_suggestion_is_neither_lost_nor_won(self):
        """As in Odoo's scoring: an archived opportunity at 0% would be lost."""
        for stage, won, lost, expected in ((self.visit, 0, 20, 1), (self.quotation, 20, 0, 99)):
            self.fill(stage, won, lost)
            stage.action_apply_suggested_probability()
            self.assertEqual(stage.probability, expected)
            opportunity = self.create_in(stage)
            opportunity.action_archive()
            self.assertEqual(opportunity.won_status, "pending")

    def test_salesperson_takes_nothing_over(self):
        self.fill(self.visit, 15, 6)
        self.env["crm.lead"].with_context(active_test=False).search([]).user_id = False
        self.pass_commit()
        visit = self.visit.with_user(self.salesperson)
        visit.invalidate_recordset()
        self.assertTrue(visit.suggested_probability)
        with self.assertRaises(AccessError), mute_logger("odoo.addons.base.models.ir_model"):
            visit.action_apply_suggested_probability()
        self.assertEqual(self.visit.probability, 50)

    def test_predictive_and_won_stages_get_no_suggestion(self):
        self.fill(self.visit, 15, 6)
        self.visit.probability_mode = "predictive"
        self.assertFalse(self.visit.suggested_probability)
        self.assertFalse(self.closed.suggested_probability)
