from psycopg2 import IntegrityError

from odoo.exceptions import AccessError, ValidationError
from odoo.tests import Form, new_test_user, tagged
from odoo.tools import mute_logger

from .common import SalesStageCase


@tagged("post_install", "-at_install")
class TestCrmStage(SalesStageCase):
    def test_delivered_stages(self):
        self.assertEqual(
            self.env["crm.stage"].search([]).ids, self.stages.ids, "Exactly five columns, in their order"
        )
        self.assertEqual(
            self.stages.mapped("name"), ["New", "Estimate", "Technical Visit", "Quotation", "Won / Lost"]
        )
        self.assertEqual(self.stages.mapped("probability"), [10, 25, 50, 75, 100])
        self.assertEqual(set(self.stages.mapped("probability_mode")), {"fixed"})
        self.assertEqual(self.stages.filtered("is_won"), self.closed)

    def test_odoo_external_ids_stay(self):
        for odoo_name, stage in (
            ("stage_lead1", self.new),
            ("stage_lead2", self.estimate),
            ("stage_lead3", self.quotation),
            ("stage_lead4", self.closed),
        ):
            self.assertEqual(self.env.ref(f"crm.{odoo_name}"), stage)

    def test_demo_opportunities_in_every_stage(self):
        demo = self.env["ir.model.data"].search([("model", "=", "crm.lead"), ("module", "=", "crm")])
        opportunities = (
            self.env["crm.lead"]
            .browse(demo.mapped("res_id"))
            .exists()
            .filtered(lambda lead: lead.type == "opportunity")
        )
        self.assertEqual(opportunities.stage_id, self.stages)

    def test_probability_out_of_range(self):
        for probability in (-1, 100.5):
            with (
                self.subTest(probability=probability),
                mute_logger("odoo.sql_db"),
                self.assertRaises(IntegrityError) as error,
                self.env.cr.savepoint(),
            ):
                self.visit.probability = probability
                self.env.flush_all()
            self.assertIn("check_probability", str(error.exception))
        for probability in (0, 100):
            self.visit.probability = probability
            self.env.flush_all()

    def test_probability_out_of_range_message(self):
        constraint = self.env["crm.stage"]._table_objects["crm_stage_check_probability"]
        self.assertEqual(
            constraint.get_error_message(self.env["crm.stage"], None),
            "The probability of a stage must be between 0% and 100%.",
        )

    def test_won_stage_is_always_at_100(self):
        self.assertEqual(self.env["crm.stage"].create({"name": "Signed", "is_won": True}).probability, 100)
        self.visit.is_won = True
        self.assertEqual(self.visit.probability, 100)
        with self.assertRaisesRegex(ValidationError, "Won / Lost.*always 100%"):
            self.closed.probability = 50
        with self.assertRaises(ValidationError):
            self.env["crm.stage"].create({"name": "Signed", "is_won": True, "probability": 80})

    def test_won_stage_in_the_form(self):
        with Form(self.visit) as form:
            form.is_won = True
            self.assertEqual(form.probability, 100)
            with self.assertRaises(AssertionError):
                form.probability = 80  # read-only

    def test_new_stage_takes_the_mode_of_the_pipeline(self):
        self.assertEqual(self.env["crm.stage"].create({"name": "Negotiation"}).probability_mode, "fixed")
        self.env["crm.stage"].search([]).probability_mode = "predictive"
        self.assertEqual(self.env["crm.stage"].create({"name": "Follow-up"}).probability_mode, "predictive")

    def test_new_stage_gets_the_probability_of_the_one_before_it(self):
        """Whoever makes it: its place alone does not say that opportunities in there are won more often."""
        stages = self.env["crm.stage"]
        values = {"name": "Measured", "sequence": self.visit.sequence}
        self.assertEqual(stages.create(values).probability, 50)
        self.assertEqual(stages.create({**values, "sequence": self.new.sequence - 1}).probability, 10)
        self.assertEqual(stages.create({**values, "probability": 0}).probability, 0)
        self.assertEqual(stages.create({**values, "is_won": True}).probability, 100)
        with Form(stages) as form:
            form.name = "Called back"
            self.assertGreater(form.probability, 0)

    def test_probability_change_updates_followers(self):
        followers = self.create_opportunities(3, stage_id=self.visit.id, recurring_revenue=120)
        elsewhere = self.create_opportunities(stage_id=self.estimate.id)
        by_hand = self.create_opportunities(stage_id=self.visit.id)
        by_hand.probability = 33
        archived = self.create_opportunities(stage_id=self.visit.id)
        archived.action_archive()
        lost = self.create_opportunities(stage_id=self.visit.id)
        lost.action_set_lost()
        won = self.create_opportunities(stage_id=self.closed.id)
        self.visit.probability = 60
        self.assertEqual(followers.mapped("probability"), [60] * 3)
        self.assertEqual(followers.mapped("prorated_revenue"), [600] * 3)
        self.assertEqual(followers.mapped("recurring_revenue_prorated"), [72] * 3)
        self.assertEqual(followers.mapped("recurring_revenue_monthly_prorated"), [72] * 3)
        self.assertEqual(set(followers.mapped("probability_source")), {"stage"})
        self.assertEqual((elsewhere.probability, elsewhere.prorated_revenue), (25, 250))
        self.assertEqual((by_hand.probability, by_hand.prorated_revenue), (33, 330))
        self.assertEqual(by_hand.automated_probability, 60, "What a reset would give")
        self.assertEqual((archived.probability, archived.prorated_revenue), (50, 500))
        self.assertEqual((lost.probability, lost.won_status), (0, "lost"))
        self.assertEqual((won.probability, won.won_status), (100, "won"))

    def test_probability_change_rounds_as_the_orm(self):
        leads = self.create_opportunities(20, stage_id=self.visit.id)
        for index, lead in enumerate(leads):
            lead.write({"expected_revenue": 7.31 + index * 13.37, "recurring_revenue": 3.33 * index})
        self.visit.probability = 37.5
        names = ("prorated_revenue", "recurring_revenue_prorated", "recurring_revenue_monthly_prorated")
        in_sql = {name: leads.mapped(name) for name in names}
        for name in names:
            self.env.add_to_compute(leads._fields[name], leads)
        self.env.flush_all()
        self.env.invalidate_all()
        for name in names:
            for sql_value, orm_value in zip(in_sql[name], leads.mapped(name), strict=True):
                # half cents may fall on either side: the ORM rounds binary fractions
                self.assertAlmostEqual(sql_value, orm_value, delta=0.0101, msg=name)

    def test_probability_change_query_count(self):
        counts = []
        for number in (1, 50):
            self.create_opportunities(number, stage_id=self.visit.id)
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.visit.probability += 1
            self.env.flush_all()
            counts.append(self.env.cr.sql_log_count - before)
        self.assertEqual(counts[1], counts[0], "The same statements for 1 and for 51")

    def test_switch_to_scoring_and_back(self):
        closed = self.create_opportunities(6, stage_id=self.visit.id)
        closed[:2].action_set_lost()
        closed[2:].action_set_won()
        lead, by_hand = self.create_opportunities(2, stage_id=self.visit.id)
        by_hand.probability = 12
        self.visit.probability_mode = "predictive"
        score = lead._pls_get_naive_bayes_probabilities()[0][lead.id]
        self.assertNotIn(score, (0, 50))
        self.assertAlmostEqual(lead.probability, score)
        self.assertAlmostEqual(lead.prorated_revenue, 10 * score)
        self.assertEqual(lead.probability_source, "scoring")
        self.assertEqual(by_hand.probability, 12)
        self.visit.probability_mode = "fixed"
        self.assertEqual((lead.probability, lead.prorated_revenue), (50, 500))
        self.assertEqual(by_hand.probability, 12)

    def test_other_changes_of_a_stage_cost_nothing(self):
        self.create_opportunities(5, stage_id=self.visit.id)
        self.env.flush_all()
        with self.assertQueryCount(1):
            self.visit.write({"fold": True})
            self.env.flush_all()

    def test_only_managers_edit_stages(self):
        salesperson = new_test_user(self.env, "stage_salesperson", "sales_team.group_sale_salesman_all_leads")
        manager = new_test_user(self.env, "stage_manager", "sales_team.group_sale_manager")
        with self.assertRaises(AccessError):
            self.visit.with_user(salesperson).probability = 40
        self.visit.with_user(manager).probability = 40
        self.assertEqual(self.visit.probability, 40)

    def test_menu_for_managers_without_developer_mode(self):
        menu = self.env.ref("crm.menu_crm_lead_stage_act")
        manager = new_test_user(self.env, "menu_manager", "sales_team.group_sale_manager")
        salesperson = new_test_user(self.env, "menu_salesperson", "sales_team.group_sale_salesman")
        self.assertIn(menu.id, self.env["ir.ui.menu"].with_user(manager)._visible_menu_ids(debug=False))
        self.assertNotIn(
            menu.id, self.env["ir.ui.menu"].with_user(salesperson)._visible_menu_ids(debug=False)
        )
