from odoo.tests import tagged
from odoo.tools import convert_file

from ..hooks import _get_demo_external_ids, post_init_hook, pre_init_hook, uninstall_hook
from .common import SalesStageCase


@tagged("post_install", "-at_install")
class TestInstall(SalesStageCase):
    """What installing does to the pipeline: its steps, run on a database set back to Odoo's own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.odoo_stages = cls.env["crm.stage"].browse(
            [cls.env.ref(f"crm.stage_lead{number}").id for number in (1, 2, 3, 4)]
        )
        cls.env["crm.lead"].with_context(active_test=False).search(
            [("stage_id", "=", cls.visit.id)]
        ).stage_id = cls.estimate
        cls.env["ir.model.data"].search(
            [("module", "=", "crm_sales_stage"), ("model", "=", "crm.stage")]
        ).unlink()
        cls.visit.unlink()
        for stage, name, sequence in zip(
            cls.odoo_stages, ("New", "Qualified", "Proposition", "Won"), (1, 2, 3, 70), strict=True
        ):
            stage.write({"name": name, "sequence": sequence, "probability_mode": "predictive"})
        # as the delivering transaction left them, not as edited by the user of this test
        cls.env.flush_all()
        cls.env.cr.execute("UPDATE crm_stage SET write_uid = 1, probability = NULL")
        cls.env.invalidate_all()

    def install(self):
        pre_init_hook(self.env)
        convert_file(self.env, "crm_sales_stage", "data/crm_stage_data.xml", {}, "init", True)
        post_init_hook(self.env)
        self.env.flush_all()
        self.env.invalidate_all()
        return self.env["crm.stage"]._get_default_stages()

    def create_live_opportunity(self):
        return self.create_opportunities(stage_id=self.odoo_stages[1].id)

    def test_only_demo_opportunities(self):
        stages = self.install()
        self.assertEqual(self.env["crm.stage"].search([]).ids, stages.ids)
        self.assertEqual(
            stages.mapped("name"), ["New", "Estimate", "Technical Visit", "Quotation", "Won / Lost"]
        )
        self.assertEqual(stages - stages[2], self.odoo_stages)
        self.assertEqual(stages.mapped("probability"), [10, 25, 50, 75, 100])
        self.assertEqual(stages.mapped("rotting_threshold_days"), [7, 14, 14, 21, 0])
        open_leads = self.env["crm.lead"].search([("won_status", "=", "pending")])
        self.assertTrue(open_leads)
        for lead in open_leads:
            self.assertEqual(lead.probability, lead.stage_id.probability)

    def test_no_opportunity_at_all(self):
        self.env["crm.lead"].with_context(active_test=False).search([]).unlink()
        stages = self.install()
        self.assertEqual(len(stages), 5)
        self.assertEqual(self.env["crm.stage"].search([]).ids, stages.ids)

    def test_live_opportunities(self):
        lead = self.create_live_opportunity()
        lead.probability = 37
        self.env.flush_all()
        fields = ["name", "sequence", "is_won", "fold", "color", "team_ids", "active"]
        before = self.odoo_stages.read(fields)
        leads = self.env["crm.lead"].with_context(active_test=False).search([])
        lead_fields = [
            "stage_id",
            "probability",
            "automated_probability",
            "prorated_revenue",
            "won_status",
            "active",
        ]
        leads_before = leads.read(lead_fields)
        stages = self.install()
        self.assertEqual(len(stages), 5)
        self.assertFalse(stages & self.odoo_stages)
        self.assertFalse(any(stages.mapped("active")), "The five arrive archived")
        self.assertFalse(any(stages.mapped("rotting_threshold_days")))
        self.assertEqual(self.env["crm.stage"].search([]).ids, self.odoo_stages.ids, "Columns as they were")
        self.assertEqual(self.odoo_stages.read(fields), before)
        self.assertEqual(set(self.odoo_stages.mapped("probability_mode")), {"predictive"})
        self.assertEqual(
            self.odoo_stages.mapped("probability"), [25, 50, 75, 100], "Rising, and 100 when won"
        )
        self.assertEqual(leads.read(lead_fields), leads_before)

    def test_lost_live_opportunity_counts_as_live(self):
        self.create_live_opportunity().action_set_lost()
        self.env.flush_all()
        self.assertFalse(any(self.install().mapped("active")))

    def test_imported_opportunity_is_live(self):
        lead = self.create_live_opportunity()
        self.env["ir.model.data"].create(
            {"module": "__import__", "name": "lead_1", "model": "crm.lead", "res_id": lead.id}
        )
        self.env.flush_all()
        self.assertFalse(any(self.install().mapped("active")))

    def test_delivered_opportunity_is_live(self):
        """Only what Odoo's own demo files name is demo, not what other modules or imports call theirs."""
        lead = self.create_live_opportunity()
        lead.probability = 42
        data = self.env["ir.model.data"].create(
            {"module": "sale", "name": "lead_1", "model": "crm.lead", "res_id": lead.id}
        )
        for module in ("sale", "crm", "crm_sales_stage", "__export__", "base"):
            with self.subTest(module=module), self.env.cr.savepoint() as savepoint:
                data.module = module
                self.env.flush_all()
                self.assertFalse(any(self.install().mapped("active")))
                self.assertEqual((lead.stage_id, lead.probability), (self.odoo_stages[1], 42))
                self.assertEqual(self.odoo_stages[1].name, "Qualified")
                savepoint.rollback()
                self.env.invalidate_all()

    def test_demo_opportunities_are_known_by_their_files(self):
        external_ids = _get_demo_external_ids()
        self.assertIn("crm.crm_case_1", external_ids)
        self.assertTrue(all(self.env.ref(name, False) for name in external_ids if name.startswith("crm.")))

    def test_opportunity_without_dates(self):
        lead = self.create_live_opportunity()
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE crm_lead SET create_date = NULL, date_last_stage_update = NULL WHERE id = %s", [lead.id]
        )
        self.env.invalidate_all()
        self.assertFalse(any(self.install().mapped("active")))

    def test_defaults_of_the_database(self):
        self.create_live_opportunity()
        self.env.flush_all()
        self.install()
        self.assertEqual(self.get_database_mode(), "'predictive'::character varying")
        self.odoo_stages.probability_mode = "fixed"
        post_init_hook(self.env)
        self.assertEqual(self.get_database_mode(), "'fixed'::character varying")

    def get_database_mode(self):
        self.env.cr.execute(
            "SELECT column_default FROM information_schema.columns"
            " WHERE table_name = 'crm_stage' AND column_name = 'probability_mode'"
        )
        return self.env.cr.fetchone()[0]

    def test_uninstall_with_jobs_and_conditions_on_unused_stages(self):
        self.create_live_opportunity()
        self.env.flush_all()
        stages = self.install()
        self.env["ir.cron"].create(
            {
                "name": "Tidy",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "state": "crm_stage",
                "crm_stage_id": stages[1].id,
                "interval_type": "days",
            }
        )
        self.env["crm.stage.automation"].create(
            {
                "stage_id": self.odoo_stages[1].id,
                "trigger": "email_sent",
                "filter_domain": f"[('stage_id', '=', {stages[2].id})]",
            }
        )
        uninstall_hook(self.env)
        self.assertFalse(stages.exists())

    def test_uninstall_with_automations_on_unused_stages(self):
        """As in a live database where the five were left archived, or set up and undone."""
        self.create_live_opportunity()
        self.env.flush_all()
        stages = self.install()
        automations = self.env["crm.stage.automation"].create(
            [{"stage_id": stage.id, "trigger": "quotation_sent"} for stage in stages]
        )
        automations[0].active = False
        actions = automations.action_server_id
        self.assertEqual(len(actions), 5)
        uninstall_hook(self.env)
        self.assertFalse(stages.exists())
        self.assertFalse(automations.exists())
        self.assertFalse(actions.exists())

    def test_uninstall_keeps_a_stage_that_something_else_holds(self):
        self.create_live_opportunity()
        self.env.flush_all()
        stages = self.install()
        self.env.cr.execute("CREATE TABLE holder (stage_id int REFERENCES crm_stage)")
        self.env.cr.execute("INSERT INTO holder VALUES (%s)", [stages[1].id])
        uninstall_hook(self.env)
        self.assertEqual(stages.exists(), stages[1])
        self.assertFalse(self.env["crm.stage"]._get_default_stages(), "It is the customer's from now on")

    def test_stages_that_a_user_changed(self):
        for change in ({"name": "Prospect"}, {"fold": True}, {"sequence": 2}):
            with self.subTest(change=change), self.env.cr.savepoint() as savepoint:
                self.odoo_stages[0].with_user(self.env.ref("base.user_admin")).write(change)
                self.env.flush_all()
                self.assertFalse(any(self.install().mapped("active")))
                savepoint.rollback()
                self.env.invalidate_all()

    def test_stage_that_a_user_added(self):
        added = self.env["crm.stage"].with_user(self.env.ref("base.user_admin")).create({"name": "Follow-up"})
        self.env.flush_all()
        self.assertFalse(any(self.install().mapped("active")))
        self.assertTrue(added.active)

    def test_default_stage_that_a_user_deleted(self):
        self.env["crm.lead"].search([("stage_id", "=", self.odoo_stages[1].id)]).stage_id = self.odoo_stages[
            0
        ]
        self.odoo_stages[1].unlink()
        self.env.flush_all()
        stages = self.install()
        self.assertEqual(len(stages), 5)
        self.assertEqual(self.env["crm.stage"].search([]).ids, stages.ids)

    def test_uninstall_keeps_every_opportunity_in_its_stage(self):
        stages = self.install()
        leads = self.env["crm.lead"].with_context(active_test=False).search([])
        before = {lead: lead.stage_id for lead in leads}
        uninstall_hook(self.env)
        self.env.flush_all()
        self.assertEqual({lead: lead.stage_id for lead in leads}, before)
        self.assertEqual(stages.exists(), stages)
        self.assertEqual(set(stages.mapped("probability_mode")), {"predictive"})
        self.assertFalse(self.env["crm.stage"]._get_default_stages(), "They are the customer's from now on")

    def test_uninstall_takes_unused_archived_stages_away(self):
        self.create_live_opportunity()
        self.env.flush_all()
        stages = self.install()
        uninstall_hook(self.env)
        self.assertFalse(stages.exists())
        self.assertEqual(self.env["crm.stage"].search([]).ids, self.odoo_stages.ids)
