from unittest.mock import patch

from odoo.tests import Form, tagged

from .common_pipeline import PipelineCase

MODULE = "odoo.addons.crm_sales_stage.models.stage.crm_lead"


@tagged("post_install", "-at_install")
class TestCrmStagePipeline(PipelineCase):
    def columns(self, domain=(), user=None, **context):
        """:return: the columns that the pipeline shows"""
        leads = self.env["crm.lead"].with_user(user or self.manager).with_context(**context)
        result = leads.with_context(read_group_expand=True).web_read_group(
            [("type", "=", "opportunity"), *domain], ["stage_id"], ["__count"]
        )
        return self.env["crm.stage"].browse([group["stage_id"][0] for group in result["groups"]])

    def test_archived_stage_is_a_column_while_it_holds_open_opportunities(self):
        opportunity = self.create_in(self.visit, user_id=self.salesperson.id)
        self.visit.action_archive()
        self.assertEqual(self.columns().ids, self.stages.ids)
        self.assertEqual(self.columns(user=self.salesperson), self.stages)
        opportunity.stage_id = self.quotation
        self.assertEqual(self.columns().ids, (self.stages - self.visit).ids)
        self.assertEqual(self.columns(active_test=False), self.stages - self.visit)

    def test_archived_stage_follows_the_filter(self):
        self.create_in(self.visit, user_id=self.manager.id)
        self.visit.action_archive()
        self.assertIn(self.visit, self.columns([("user_id", "=", self.manager.id)]))
        self.assertNotIn(self.visit, self.columns([("user_id", "=", self.salesperson.id)]))

    def read_lost(self, domain=(), user=None, names=("ask_outcome",)):
        """:return: what the columns say of lost opportunities; None where they say nothing"""
        leads = self.env["crm.lead"].with_user(user or self.manager)
        specification = {"stage_id": dict.fromkeys(names, {})}
        result = leads.web_read_group(domain, ["stage_id"], groupby_read_specification=specification)
        return result.get("lost")

    def test_columns_say_how_many_of_the_filter_were_lost(self):
        for user, count in ((self.salesperson, 2), (self.manager, 1)):
            for number in range(count):
                self.create_in(self.visit, name=f"House {number}", user_id=user.id).action_set_lost()
        self.create_in(self.visit, user_id=self.salesperson.id)
        self.assertEqual(self.read_lost(), {"count": 3, "is_more": False})
        self.assertEqual(self.read_lost([("name", "=", "House 1")])["count"], 1)
        self.assertEqual(self.read_lost(user=self.salesperson)["count"], 2)
        with patch(f"{MODULE}.LOST_COUNT_LIMIT", 2):
            self.assertEqual(self.read_lost(), {"count": 2, "is_more": True})
            self.assertEqual(self.read_lost(user=self.salesperson), {"count": 2, "is_more": False})
        self.assertIsNone(self.read_lost(names=["probability"]))

    def test_opportunity_in_an_archived_stage_lives_on(self):
        opportunity = self.create_in(self.visit)
        self.visit.action_archive()
        with Form(opportunity) as form:
            form.expected_revenue = 500
        self.assertEqual((opportunity.stage_id, opportunity.prorated_revenue), (self.visit, 250))
        opportunity.action_set_lost()
        self.assertEqual((opportunity.stage_id, opportunity.won_status), (self.visit, "lost"))
        opportunity.action_restore()
        self.assertEqual((opportunity.stage_id, opportunity.probability), (self.visit, 50))
        opportunity.action_set_won()
        self.assertEqual(opportunity.stage_id, self.closed)

    def test_scoring_leaves_archived_stages_out_unless_somebody_was_lost_there(self):
        frequency = self.env["crm.lead.scoring.frequency"]
        team = self.env["crm.team"].search([], limit=1)
        (self.estimate | self.visit).action_archive()
        self.create_in(self.quotation, team_id=team.id).action_set_lost()
        scored = frequency.search([("variable", "=", "stage_id"), ("team_id", "=", team.id)]).mapped("value")
        self.assertIn(str(self.quotation.id), scored)
        self.assertNotIn(str(self.visit.id), scored)

    def test_scoring_counts_nothing_won_for_archived_stages(self):
        """What is won counts for all stages of the pipeline, what is won no longer against the same ones."""
        lead = self.create_in(self.new)
        lead.action_set_won()
        domain = [("variable", "=", "stage_id"), ("value", "=", str(self.visit.id))]
        rows = self.env["crm.lead.scoring.frequency"].search(domain)
        before = rows.mapped("won_count")
        self.visit.action_archive()
        lead.stage_id = self.visit
        self.assertEqual(rows.mapped("won_count"), before)

    def test_new_opportunities_skip_archived_stages(self):
        self.new.action_archive()
        opportunity = self.env["crm.lead"].with_context(active_test=False).create({"name": "Roof"})
        self.assertEqual(opportunity.stage_id, self.estimate)
        self.closed.copy({"name": "Signed"}).sequence = 80
        self.closed.action_archive()
        opportunity.with_context(active_test=False).action_set_won()
        self.assertEqual(opportunity.stage_id.name, "Signed")

    def add_column(self, name):
        stage_id, _name = self.env["crm.stage"].with_user(self.manager).name_create(name)
        return self.env["crm.stage"].browse(stage_id)

    def test_new_column_lands_before_the_final_stage(self):
        negotiation = self.add_column("Negotiation")
        self.assertEqual(negotiation.probability_mode, "fixed")
        self.assertEqual(negotiation.probability, 75)
        self.assertEqual(self.columns().ids, (self.stages - self.closed + negotiation + self.closed).ids)
        signature = self.add_column("Signature")
        self.assertEqual(self.columns()[-3:].ids, (negotiation + signature + self.closed).ids)
        signature.probability = 40
        self.assertEqual(self.add_column("Last Call").probability, 40, "As the one before it")
        first = self.env["crm.stage"].create({"name": "First", "sequence": self.new.sequence - 1})
        self.assertEqual(first.probability, 10, "As the one after it, where there is none before")

    def test_new_column_finds_room_where_sequences_have_none(self):
        self.stages.sequence = 7
        order = self.env["crm.stage"].search([])
        last = self.closed
        last.sequence = 8
        order = order - last + last
        added = self.add_column("Negotiation") + self.add_column("Signature") + self.add_column("Zoning")
        self.assertEqual(self.env["crm.stage"].search([]).ids, (order - last + added + last).ids)

    def test_new_column_goes_before_the_last_won_stage(self):
        self.estimate.is_won = True
        added = self.add_column("Negotiation")
        self.assertEqual(self.columns().ids, (self.stages - self.closed + added + self.closed).ids)

    def test_new_column_in_a_pipeline_of_predictive_scoring(self):
        self.stages.probability_mode = "predictive"
        self.assertEqual(self.add_column("Negotiation").probability_mode, "predictive")
        self.visit.probability_mode = "fixed"
        added = self.add_column("Signature")
        self.assertEqual((added.probability_mode, added.probability), ("fixed", 50))

    def test_first_column_of_all(self):
        opened = self.stages - self.closed
        self.env.cr.execute("DELETE FROM crm_stage WHERE id = ANY(%s)", [opened.ids])
        self.env.invalidate_all()
        added = self.add_column("Start")
        self.assertEqual(added.probability, 50)
        self.assertEqual(self.env["crm.stage"].search([]).ids, (added + self.closed).ids)

    def test_reordering_changes_no_probability(self):
        opportunity = self.create_in(self.quotation)
        order = self.closed | self.quotation | self.new | self.visit | self.estimate
        self.env["crm.stage"].with_user(self.manager).browse(order.ids).web_resequence({})
        self.assertEqual(self.env["crm.stage"].search([]).ids, order.ids)
        self.assertEqual(self.stages.mapped("probability"), [10, 25, 50, 75, 100])
        self.assertEqual(set(self.stages.mapped("probability_mode")), {"fixed"})
        self.assertEqual(opportunity.probability, 75)

    def test_renaming_and_folding_change_no_probability(self):
        opportunity = self.create_in(self.quotation)
        self.quotation.with_user(self.manager).write({"name": "Offer", "fold": True})
        self.assertEqual((self.quotation.probability, opportunity.probability), (75, 75))

    def test_final_stage_asks(self):
        self.assertEqual(self.stages.mapped("ask_outcome"), [False] * 4 + [True])

    def test_final_stage_means_won_in_code_and_list_edits(self):
        opportunities = self.create_in(self.visit, 2)
        opportunities.with_user(self.manager).write({"stage_id": self.closed.id})
        self.assertEqual(opportunities.mapped("won_status"), ["won", "won"])
        result = self.env["crm.lead"].load(
            ["name", "type", "stage_id"], [["Imported", "opportunity", "Won / Lost"]]
        )
        self.assertEqual(self.env["crm.lead"].browse(result["ids"]).won_status, "won")

    def test_lost_opportunity_keeps_its_stage_and_comes_back_with_its_probability(self):
        opportunity = self.create_in(self.quotation, expected_revenue=1000)
        opportunity.probability = 40
        reason = self.env["crm.lost.reason"].create({"name": "Too far"})
        wizard = self.env["crm.lead.lost"].create(
            {"lead_ids": opportunity.ids, "lost_reason_id": reason.id, "lost_feedback": "<p>40 km</p>"}
        )
        wizard.action_lost_reason_apply()
        self.assertEqual(opportunity.stage_id, self.quotation)
        self.assertEqual((opportunity.won_status, opportunity.lost_reason_id), ("lost", reason))
        opportunity.action_restore()
        self.assertEqual((opportunity.stage_id, opportunity.won_status), (self.quotation, "pending"))
        self.assertEqual((opportunity.probability, opportunity.prorated_revenue), (75, 750))
