from contextlib import closing, nullcontext
from unittest.mock import patch

from odoo.tests import new_test_user, tagged

from .common import SalesStageCase, without_hooks

FOLLOWERS = "odoo.addons.crm_sales_stage.models.probability.crm_stage"


@tagged("post_install", "-at_install")
class TestFollowers(SalesStageCase):
    """Open opportunities follow their stage, by Odoo's own computation, however many they are."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["crm.lead"].with_context(active_test=False).search([]).unlink()
        cls.env["ir.config_parameter"].set_param("crm.pls_start_date", "2000-01-01")
        cls.manager = new_test_user(cls.env, "followed_manager", "sales_team.group_sale_manager")

    def set_by_sql(self, leads, probability):
        """As a stage that changed while an opportunity entered it leaves the opportunity."""
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE crm_lead SET probability = %s, automated_probability = %s,"
            " prorated_revenue = expected_revenue * %s / 100 WHERE id = ANY(%s)",
            [probability, probability, probability, leads.ids],
        )
        self.env.invalidate_all()

    def teach_scoring(self):
        """Let Odoo's scoring know something of Technical Visit, so that it gives no stage's probability."""
        closed = self.create_opportunities(6, stage_id=self.visit.id)
        closed[:2].action_set_lost()
        closed[2:].action_set_won()

    def test_of_companies_that_the_manager_does_not_see(self):
        company = self.env["res.company"].create({"name": "Windows Ltd"})
        self.teach_scoring()
        lead, by_hand = self.create_opportunities(
            2, stage_id=self.visit.id, company_id=company.id, user_id=False, team_id=False
        )
        by_hand.probability = 33
        stage = self.visit.with_user(self.manager)
        self.assertFalse(self.env["crm.lead"].with_user(self.manager).search([("id", "=", lead.id)]))
        stage.probability = 60
        self.assertEqual((lead.probability, lead.prorated_revenue), (60, 600))
        stage.probability_mode = "predictive"
        score = lead._pls_get_naive_bayes_probabilities()[0][lead.id]
        self.assertNotIn(score, (0, 33, 60))
        self.assertEqual((lead.probability, lead.prorated_revenue), (score, 10 * score))
        self.assertEqual((by_hand.probability, by_hand.automated_probability), (33, score))
        stage.probability_mode = "fixed"
        self.assertEqual((lead.probability, by_hand.probability), (60, 33))

    def test_won_no_longer_in_a_company_that_the_manager_does_not_see(self):
        company = self.env["res.company"].create({"name": "Windows Ltd"})
        lead = self.create_opportunities(
            stage_id=self.closed.id, company_id=company.id, user_id=False, team_id=False
        )
        self.assertEqual(lead.won_status, "won")
        self.closed.with_user(self.manager).write({"is_won": False, "probability": 80})
        self.assertEqual((lead.won_status, lead.probability, lead.prorated_revenue), ("pending", 80, 800))

    def test_won_no_longer_at_100(self):
        leads = self.create_opportunities(2, stage_id=self.closed.id)
        leads[1].with_context(tracking_disable=True).active = False
        self.closed.write({"is_won": False, "probability": 100})
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual(leads.mapped("won_status"), ["pending", "pending"])
        self.assertEqual(leads.mapped("probability"), [100, 100])

    def test_nothing_but_the_probability_changes(self):
        lead = self.create_opportunities(stage_id=self.visit.id)
        elsewhere = self.create_opportunities(stage_id=self.estimate.id)
        archived = self.create_opportunities(stage_id=self.visit.id)
        archived.action_archive()
        self.env.flush_all()
        self.env.cr.execute("UPDATE crm_lead SET date_last_stage_update = '2020-01-01', write_date = NULL")
        self.env.invalidate_all()
        stays = self.env["crm.stage.stay"].search_count([("lead_id", "=", lead.id)])
        self.visit.probability = 60
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual(lead.probability, 60)
        self.assertEqual(lead.date_last_stage_update.year, 2020)
        self.assertFalse((elsewhere + archived).filtered("write_date"), "They are not written at all")
        self.assertEqual(self.env["crm.stage.stay"].search_count([("lead_id", "=", lead.id)]), stays)

    def test_percentage_that_nobody_takes(self):
        self.teach_scoring()
        self.visit.probability_mode = "predictive"
        lead = self.create_opportunities(stage_id=self.visit.id)
        score = lead.probability
        self.teach_scoring()
        self.visit.probability = 33
        self.assertEqual((lead.probability, lead.automated_probability), (score, score))

    def test_won_no_longer_is_scored_once(self):
        """Odoo scores it, and then counts it as won no longer, which a second score would know of."""
        self.teach_scoring()
        self.stages.probability_mode = "predictive"
        won = self.create_opportunities(2, stage_id=self.closed.id)
        scores = []
        for hooks in (nullcontext(), without_hooks(self.env, "crm.stage")):
            with hooks, closing(self.env.cr.savepoint()):
                self.closed.write({"is_won": False, "probability": 90})
                scores.append(won.mapped("probability"))
        self.assertEqual(*scores)

    def test_several_stages_at_once(self):
        leads = self.create_opportunities(stage_id=self.new.id)
        leads += self.create_opportunities(stage_id=self.visit.id)
        (self.new + self.visit).probability = 40
        self.assertEqual(leads.mapped("probability"), [40, 40])

    def test_more_than_a_batch(self):
        leads = self.create_opportunities(5, stage_id=self.visit.id)
        by_hand = self.create_opportunities(stage_id=self.visit.id)
        by_hand.probability = 33
        elsewhere = self.create_opportunities(stage_id=self.estimate.id)
        with patch(f"{FOLLOWERS}.RECOMPUTED_BATCH", 2):
            self.visit.with_user(self.manager).probability = 60
        self.assertEqual(leads.mapped("probability"), [60] * 5)
        self.assertEqual(leads.mapped("prorated_revenue"), [600] * 5)
        self.assertEqual((by_hand.probability, by_hand.automated_probability), (33, 60))
        self.assertEqual(elsewhere.probability, 25)

    def test_more_than_a_batch_for_a_predictive_stage(self):
        self.teach_scoring()
        leads = self.create_opportunities(5, stage_id=self.visit.id)
        with patch(f"{FOLLOWERS}.RECOMPUTED_BATCH", 2):
            self.visit.probability_mode = "predictive"
        score = leads._pls_get_naive_bayes_probabilities()[0][leads[0].id]
        self.assertNotEqual(score, 50)
        self.assertEqual(leads.mapped("probability"), [score] * 5)
        self.assertEqual(leads.mapped("prorated_revenue"), [10 * score] * 5)

    # Odoo's nightly job

    def test_nightly_job_of_fixed_stages(self):
        """It finds those that did not get their stage's probability, archived stages' included."""
        drifted = self.create_opportunities(2, stage_id=self.visit.id)
        drifted += self.create_opportunities(stage_id=self.estimate.id)
        by_hand, set_to_zero = self.create_opportunities(2, stage_id=self.visit.id)
        by_hand.probability = 42
        set_to_zero.probability = 0
        in_step = self.create_opportunities(3, stage_id=self.visit.id)
        self.set_by_sql(drifted, 45)
        self.env.cr.execute("UPDATE crm_lead SET automated_probability = 45 WHERE id = %s", [by_hand.id])
        self.env.invalidate_all()
        self.estimate.active = False
        self.env["crm.lead"]._cron_update_automated_probabilities()
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual(drifted.mapped("probability"), [50, 50, 25])
        self.assertEqual(drifted.mapped("prorated_revenue"), [500, 500, 250])
        self.assertEqual((by_hand.probability, by_hand.automated_probability), (42, 50))
        self.assertEqual((set_to_zero.probability, set_to_zero.prorated_revenue), (0, 0))
        self.assertEqual(in_step.mapped("probability"), [50] * 3)

    def test_nightly_job_without_a_start_of_the_scoring(self):
        self.env["ir.config_parameter"].set_param("crm.pls_start_date", "")
        drifted = self.create_opportunities(stage_id=self.visit.id)
        self.set_by_sql(drifted, 45)
        self.env["crm.lead"]._cron_update_automated_probabilities()
        self.assertEqual((drifted.probability, drifted.prorated_revenue), (50, 500))


@tagged("post_install", "-at_install")
class TestNewColumn(SalesStageCase):
    def test_room_before_the_final_stage(self):
        """A new column gets a place of its own where the sequences leave none."""
        for sequence, last in ((5, "A stage after all"), (0, "Zoo")):
            with self.subTest(sequence=sequence, last=last):
                self.stages.sequence = sequence
                self.env["crm.stage"].create({"name": last, "sequence": sequence})
                names = self.env["crm.stage"].search([]).mapped("name")
                self.env["crm.stage"].name_create("Negotiation")
                position = names.index("Won / Lost")
                self.assertEqual(
                    self.env["crm.stage"].search([]).mapped("name"),
                    [*names[:position], "Negotiation", *names[position:]],
                )
                self.env["crm.stage"].search([("name", "in", ("Negotiation", last))]).unlink()

    def test_no_stage_is_moved_where_there_is_room(self):
        sequences = self.stages.mapped("sequence")
        self.env["crm.stage"].name_create("Negotiation")
        self.assertEqual(self.stages.mapped("sequence"), sequences)


@tagged("post_install", "-at_install")
class TestActionNames(SalesStageCase):
    """Actions that are named after their stage follow its name."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.action = cls.env.ref("crm_sales_stage.action_move_to_stage_technical_visit")

    def test_renamed(self):
        self.visit.name = "Measuring"
        self.assertEqual(self.action.name, "Move to Measuring")

    def test_name_of_ones_own_stays(self):
        own = self.action.copy({"name": "Plan the visit"})
        scheduled = self.env["ir.cron"].create(
            {
                "name": "Weekly visits",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "state": "crm_stage",
                "crm_stage_id": self.visit.id,
                "interval_type": "days",
            }
        )
        self.visit.name = "Measuring"
        self.assertEqual((own.name, scheduled.name), ("Plan the visit", "Weekly visits"))

    def test_renamed_by_a_manager(self):
        """Server actions are the administrators'."""
        manager = new_test_user(self.env, "naming_manager", "sales_team.group_sale_manager")
        self.visit.with_user(manager).name = "Measuring"
        self.assertEqual(self.action.name, "Move to Measuring")

    def test_another_stage_is_chosen(self):
        self.action.crm_stage_id = self.quotation
        self.assertEqual(self.action.name, "Move to Quotation")
        self.action.name = "On"
        self.action.crm_stage_id = self.visit
        self.assertEqual(self.action.name, "On")

    def test_nothing_of_odoos_depends_on_our_fields(self):
        """Uninstalling removes the fields that depend on ours: none may be another addon's."""
        fields = self.env["ir.model.fields"].search([("model", "=", "ir.actions.server")])
        ours = {field.name for field in fields if field.modules == "crm_sales_stage"}
        for model in ("ir.actions.server", "ir.cron"):
            for name in ours:
                dependents = self.env.registry.get_dependent_fields(self.env[model]._fields[name])
                self.assertLessEqual({field.name for field in dependents}, ours, f"{model}.{name}")
