from lxml import etree

from odoo.exceptions import AccessError, RedirectWarning, UserError
from odoo.tests import Form, new_test_user, tagged
from odoo.tools import mute_logger

from .common import SalesStageCase


@tagged("post_install", "-at_install")
class TestStageValues(SalesStageCase):
    """What a stage is without our code, without values, and when it is won no longer."""

    def create_by_sql(self, **columns):
        columns = {"name": '{"en_US": "By SQL"}', "sequence": 5, **columns}
        self.env.cr.execute(
            f"INSERT INTO crm_stage ({', '.join(columns)}) VALUES %s RETURNING id", [tuple(columns.values())]
        )
        return self.env["crm.stage"].browse(self.env.cr.fetchone()[0])

    # Made without our code

    def test_database_defaults(self):
        stage = self.create_by_sql()
        self.assertEqual((stage.active, stage.probability, stage.probability_mode), (True, 50, "fixed"))
        self.assertIn(stage, self.env["crm.stage"].search([]))
        lead = self.create_opportunities(stage_id=stage.id)
        self.assertEqual((lead.probability, lead.probability_source), (50, "stage"))

    def test_database_default_is_the_mode_of_the_pipeline(self):
        self.env["crm.stage"].search([]).probability_mode = "predictive"
        self.env["crm.stage"].init()
        self.assertEqual(self.create_by_sql().probability_mode, "predictive")

    def test_won_stage_made_without_our_code_means_100(self):
        stage = self.create_by_sql(is_won=True, sequence=60)
        lead = self.create_opportunities(stage_id=stage.id)
        self.assertEqual((lead.won_status, lead.probability), ("won", 100))
        lead = self.create_opportunities()
        lead.stage_id = stage
        self.assertEqual((lead.won_status, lead.probability), ("won", 100))
        self.assertEqual(lead._pls_get_naive_bayes_probabilities()[0][lead.id], 100)
        new = self.env["crm.stage"].create({"name": "Before", "sequence": 59})
        self.assertEqual(new.probability, 75, "As the open one before it")

    def test_opportunity_without_dates(self):
        lead = self.create_opportunities(stage_id=self.estimate.id)
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE crm_lead SET create_date = NULL, date_last_stage_update = NULL, write_date = NULL"
            " WHERE id = %s",
            [lead.id],
        )
        self.env.invalidate_all()
        lead.stage_id = self.visit
        self.env.flush_all()
        self.assertEqual(lead.probability, 50)
        self.env["crm.lead"]._update_automated_probabilities()

    # Empty cells

    def test_empty_values_are_none(self):
        stages = self.env["crm.stage"]
        for empty in (False, None):
            with self.subTest(empty=empty):
                stage = stages.create({"name": "Measured", "sequence": 3, "probability": empty})
                self.assertEqual(stage.probability, 50)
                stage = stages.create({"name": "Called", "probability": empty, "probability_mode": empty})
                self.assertGreater(stage.probability, 0)
                self.assertEqual(stage.probability_mode, "fixed")
                self.visit.write({"probability": empty, "probability_mode": empty, "fold": True})
                self.assertEqual((self.visit.probability, self.visit.fold), (50, True))
                signed = stages.create({"name": "Signed", "is_won": True, "probability": empty})
                self.assertEqual(signed.probability, 100)
                signed.write({"is_won": True, "probability": empty})
                self.assertEqual(signed.probability, 100)
        self.visit.write({"active": None})
        self.assertTrue(self.visit.active)
        self.visit.probability = 0
        self.assertEqual(self.visit.probability, 0, "Zero is a value")

    def test_import_of_empty_cells(self):
        result = self.env["crm.stage"].load(
            ["name", "sequence", "is_won", "probability", "probability_mode"],
            [["Measured", "3", "", "", ""], ["Signed", "80", "True", "", ""]],
        )
        self.assertFalse(result["messages"])
        measured, signed = self.env["crm.stage"].browse(result["ids"])
        self.assertEqual((measured.probability, signed.probability), (50, 100))
        result = self.env["crm.stage"].load(
            [".id", "name", "probability"], [[str(self.visit.id), "Visit", ""]]
        )
        self.assertFalse(result["messages"])
        self.assertEqual((self.visit.name, self.visit.probability), ("Visit", 50))

    # Won no longer

    def test_won_no_longer(self):
        leads = self.create_opportunities(3, stage_id=self.closed.id)
        leads[2].with_context(tracking_disable=True).active = False
        self.assertEqual(set(leads.mapped("won_status")), {"won"})
        self.closed.is_won = False
        self.assertEqual(self.closed.probability, 75)
        for lead in leads:
            self.assertEqual((lead.won_status, lead.probability), ("pending", self.closed.probability))
            self.assertEqual(lead.prorated_revenue, 10 * self.closed.probability)
        self.assertEqual(leads[:2].mapped("date_closed"), [False, False])

    def test_won_no_longer_in_the_middle(self):
        stage = self.env["crm.stage"].create({"name": "Deposit", "sequence": 2, "is_won": True})
        lead = self.create_opportunities(stage_id=stage.id)
        stage.write({"is_won": False, "sequence": 3})
        self.assertEqual((stage.probability, lead.probability), (50, 50))

    def test_won_no_longer_with_a_probability(self):
        lead = self.create_opportunities(stage_id=self.closed.id)
        self.closed.write({"is_won": False, "probability": 80})
        self.assertEqual((self.closed.probability, lead.probability), (80, 80))
        self.assertEqual(lead.won_status, "pending")

    def test_won_no_longer_several(self):
        signed = self.env["crm.stage"].create({"name": "Signed", "sequence": 80, "is_won": True})
        leads = self.create_opportunities(stage_id=signed.id) + self.create_opportunities(
            stage_id=self.closed.id
        )
        (signed + self.closed + self.visit).write({"is_won": False, "fold": True})
        self.assertEqual(self.visit.probability, 50)
        self.assertEqual((self.closed + signed).mapped("probability"), [75, 75])
        self.assertEqual(leads.mapped("probability"), [signed.probability, self.closed.probability])

    def test_won_no_longer_with_scoring(self):
        closed = self.create_opportunities(6, stage_id=self.visit.id)
        closed[:2].action_set_lost()
        closed[2:].action_set_won()
        self.closed.probability_mode = "predictive"
        self.closed.is_won = False
        for lead in closed[2:]:
            self.assertEqual(lead.won_status, "pending")
            self.assertLess(lead.probability, 100)
            self.assertEqual(lead.probability, lead.automated_probability)

    def test_won_no_longer_in_another_company(self):
        company = self.env["res.company"].create({"name": "Windows Ltd"})
        lead = self.create_opportunities(
            stage_id=self.closed.id, company_id=company.id, user_id=False, team_id=False
        )
        manager = new_test_user(self.env, "won_manager", "sales_team.group_sale_manager")
        self.assertFalse(self.env["crm.lead"].with_user(manager).search([("id", "=", lead.id)]))
        self.closed.with_user(manager).is_won = False
        self.assertEqual((lead.won_status, lead.probability), ("pending", self.closed.probability))

    def test_won_no_longer_in_the_form(self):
        with Form(self.closed) as form:
            form.is_won = False
            self.assertEqual(form.probability, 75)
        self.assertEqual(self.closed.probability, 75)
        with Form(self.visit) as form:
            form.is_won = True
            form.is_won = False
            self.assertEqual(form.probability, 50)
        with Form(self.env["crm.stage"].with_context(default_probability=30)) as form:
            form.name = "Called"
            self.assertEqual(form.probability, 30)
            form.is_won = True
            form.is_won = False
            self.assertTrue(0 < form.probability < 100)

    # Another addon's data and views

    def load_data(self, module, **values):
        stages = self.env["crm.stage"].with_context(install_mode=True, install_module=module)
        data = [
            {"xml_id": f"crm.stage_lead{number}", "values": dict(values), "noupdate": True}
            for number in (1, 2, 3, 4)
        ]
        return stages._load_records(data)

    def test_data_of_others_for_odoos_stages(self):
        self.load_data("crm_stage_probability", probability=30, fold=True)
        self.assertEqual(self.stages.mapped("probability"), [10, 25, 50, 75, 100])
        self.assertTrue(self.estimate.fold, "What is not about the probability is loaded")
        own = self.env["crm.stage"].create({"name": "Own"})
        self.env["ir.model.data"]._update_xmlids([{"xml_id": "stage_pack.own", "record": own}])
        stages = self.env["crm.stage"].with_context(install_module="stage_pack")
        stages._load_records([{"xml_id": "stage_pack.own", "values": {"probability": 30}}])
        self.assertEqual(own.probability, 30)
        self.env["crm.stage"]._load_records([{"xml_id": "crm.stage_lead2", "values": {"probability": 30}}])
        self.assertEqual(self.estimate.probability, 30, "A user's import")

    def test_one_probability_in_each_view(self):
        for view_type in ("form", "list", "search", "kanban"):
            arch = etree.fromstring(self.env["crm.stage"].get_view(view_type=view_type)["arch"])
            self.assertEqual(len(arch.xpath("//field[@name='probability']")), 1, view_type)

    # Who may know what

    def test_last_stage_of_another_companys_team(self):
        company = self.env["res.company"].create({"name": "Windows Ltd"})
        hidden, shown = self.env["crm.team"].create(
            [{"name": "Secret Project", "company_id": company.id}, {"name": "Stoves"}]
        )
        manager = new_test_user(self.env, "stage_guard", "sales_team.group_sale_manager")
        opened = self.stages.filtered(lambda stage: not stage.is_won)
        for teams, known in ((hidden, ""), (hidden + shown, "Stoves")):
            stage = self.env["crm.stage"].create({"name": "Theirs", "sequence": 2, "team_ids": teams.ids})
            opened.team_ids = self.env["crm.team"].search([("id", "not in", (hidden + shown).ids)])
            for leave in ("action_archive", "unlink"):
                with self.assertRaises(RedirectWarning) as error, self.env.cr.savepoint():
                    getattr(stage.with_user(manager), leave)()
                self.assertNotIn("Secret Project", str(error.exception))
                self.assertIn("other companies without another one: 1", str(error.exception))
                self.assertIn(known, str(error.exception))
            stage.team_ids = opened[0].team_ids

    def test_portal_users_who_may_see_stages(self):
        portal = new_test_user(self.env, "stage_portal", "base.group_portal")
        self.env["ir.model.access"].create(
            {
                "name": "as website_crm_partner_assign does",
                "model_id": self.env["ir.model"]._get_id("crm.stage"),
                "group_id": self.env.ref("base.group_portal").id,
                "perm_read": True,
            }
        )
        stage = self.visit.with_user(portal)
        self.assertEqual(stage.name, "Technical Visit")
        actions = [
            name
            for name in dir(type(stage))
            if name.startswith("action_") and not hasattr(self.env["base"], name)
        ]
        self.assertGreater(len(actions), 3)
        for name in actions:
            with self.subTest(name=name), self.assertRaises(AccessError), self.env.cr.savepoint():
                getattr(stage, name)()
        self.visit.with_user(
            new_test_user(self.env, "own", "sales_team.group_sale_salesman")
        ).action_open_stays()

    # What holds a stage

    @mute_logger("odoo.sql_db")
    def test_stage_of_a_scheduled_action(self):
        stage = self.env["crm.stage"].create({"name": "Reference", "sequence": 3})
        job = self.env["ir.cron"].create(
            {
                "name": "Weekly tidying",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "state": "crm_stage",
                "crm_stage_id": stage.id,
                "interval_number": 1,
                "interval_type": "days",
            }
        )
        manager = new_test_user(self.env, "cron_manager", "sales_team.group_sale_manager")
        for active in (True, False):
            job.active = active
            with self.assertRaisesRegex(UserError, "Weekly tidying"):
                stage.with_user(manager).unlink()
        self.create_opportunities(stage_id=stage.id)
        wizard = self.env["crm.stage.delete.wizard"].with_user(manager).create({"stage_ids": stage.ids})
        wizard.target_stage_id = self.visit
        with self.assertRaisesRegex(UserError, "Weekly tidying"):
            wizard.action_move_and_delete()
        with self.assertRaisesRegex(RedirectWarning, "Weekly tidying.*Show Them") as caught:
            stage._check_deletable()
        action = caught.exception.args[1]
        shown = self.env[action["res_model"]].with_context(active_test=False).search(action["domain"])
        self.assertEqual(shown, job, "who may see it is led there")
        self.assertTrue(wizard.opportunity_count, "Refused before anything is moved")
        job.unlink()
        wizard.action_move_and_delete()
        self.assertFalse(stage.exists())
