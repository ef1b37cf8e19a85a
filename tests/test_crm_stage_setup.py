from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, new_test_user, tagged

from .common import SalesStageCase


@tagged("post_install", "-at_install")
class TestCrmStageSetup(SalesStageCase):
    """A live pipeline as installing left it: the customer's stages, and the five archived."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["crm.lead"].with_context(active_test=False).search([]).unlink()
        cls.env["ir.config_parameter"].set_param("crm.pls_start_date", "2000-01-01")
        Stage = cls.env["crm.stage"]
        cls.lead_in, cls.qualified, cls.proposal, cls.waiting, cls.signed = cls.own = Stage.create(
            [
                {
                    "name": name,
                    "sequence": sequence,
                    "probability_mode": "predictive",
                    "is_won": name == "Signed",
                }
                for sequence, name in enumerate(
                    ("Lead in", "Qualified", "Proposal made", "Waiting room", "Signed"), start=10
                )
            ]
        )
        cls.stages.active = False
        cls.followers = cls.create_in(cls.qualified, 4)
        cls.by_hand = cls.create_in(cls.qualified)
        cls.by_hand.probability = 33
        cls.lost = cls.create_in(cls.qualified, 2)
        cls.lost.action_set_lost()
        cls.archived = cls.create_in(cls.proposal)
        cls.archived.action_archive()
        cls.won = cls.create_in(cls.signed, 2)
        cls.waiting_leads = cls.create_in(cls.waiting)
        cls.env.cr.flush()
        cls.all = (
            cls.followers + cls.by_hand + cls.lost + cls.archived + cls.won + cls.waiting_leads
        ).with_context(active_test=False)

    def get_wizard(self):
        return self.env["crm.stage.setup.wizard"].create({})

    def get_line(self, wizard, stage):
        return wizard.line_ids.filtered(lambda line: line.stage_id == stage)

    def apply(self, wizard):
        wizard.action_apply()
        self.pass_commit()

    def outcomes(self):
        return {lead: (lead.active, lead.won_status, lead.date_closed) for lead in self.all}

    def test_proposal(self):
        lines = self.get_wizard().line_ids
        self.assertEqual(lines.stage_id, self.own, "Each stage of the customer, none of the five")
        self.assertEqual(
            lines.mapped(lambda line: (line.stage_id.name, line.action, line.target_id.name)),
            [
                ("Lead in", "merge", "New"),
                ("Qualified", "merge", "Estimate"),
                ("Proposal made", "merge", "Quotation"),
                ("Waiting room", "keep", False),
                ("Signed", "merge", "Won / Lost"),
            ],
        )

    def test_preview(self):
        wizard = self.get_wizard()
        line = self.get_line(wizard, self.qualified)
        self.assertEqual(line.contents, "5 active, 0 archived, 2 lost")
        self.assertEqual((line.moving_count, line.probability_count), (7, 4))
        self.assertEqual(self.get_line(wizard, self.waiting).moving_count, 0)
        self.assertEqual(sum(wizard.line_ids.mapped("moving_count")), 10)
        line.action = "keep"
        self.assertEqual(sum(wizard.line_ids.mapped("moving_count")), 3)

    def test_set_up(self):
        before = self.outcomes()
        wizard = self.get_wizard()
        self.apply(wizard)
        self.assertTrue(all(self.stages.mapped("active")))
        self.assertEqual(self.own.filtered("active"), self.waiting, "Merged stages leave the pipeline")
        self.assertEqual((self.followers + self.by_hand + self.lost).stage_id, self.estimate)
        self.assertEqual(self.won.stage_id, self.closed)
        self.assertEqual(self.archived.stage_id, self.quotation)
        self.assertEqual(self.waiting_leads.stage_id, self.waiting)
        self.assertEqual(self.outcomes(), before, "Won, lost and archived as before")
        self.assertEqual(self.followers.mapped("probability"), [25] * 4)
        self.assertEqual(self.followers.mapped("prorated_revenue"), [250] * 4)
        self.assertEqual(self.by_hand.probability, 33)
        self.assertEqual(set(self.lost.mapped("probability")), {0})
        for lead in self.followers:
            value = lead.message_ids.sudo().tracking_value_ids[-1:]
            self.assertEqual((value.old_value_char, value.new_value_char), ("Qualified", "Estimate"))

    def test_undone_by_a_second_run(self):
        before = self.outcomes()
        stages_before = {lead: lead.stage_id for lead in self.all}
        self.apply(self.get_wizard())
        moved_on = self.followers[0]
        moved_on.stage_id = self.visit
        newcomer = self.create_in(self.estimate)
        stranger = self.waiting_leads  # comes to the same stage, but from another one, by hand
        stranger.stage_id = self.estimate
        self.pass_commit()
        wizard = self.get_wizard()
        merged = wizard.line_ids.filtered(lambda line: line.stage_id.setup_stage_id)
        self.assertEqual(merged.stage_id, self.own - self.waiting)
        self.assertEqual(set(merged.mapped("action")), {"keep"}, "Nothing is undone unasked")
        merged.action = "restore"
        self.assertEqual(
            self.get_line(wizard, self.qualified).moving_count, 6, "All but the one that moved on"
        )
        self.apply(wizard)
        self.assertTrue(all(self.own.mapped("active")))
        for lead in self.all - moved_on - stranger:
            self.assertEqual(lead.stage_id, stages_before[lead])
        self.assertEqual(moved_on.stage_id, self.visit)
        self.assertEqual((newcomer + stranger).stage_id, self.estimate)
        self.assertEqual({**self.outcomes(), moved_on: None}, {**before, moved_on: None})
        self.assertEqual(
            self.stages.filtered("active"), self.estimate + self.visit, "Those in use since stay"
        )

    def test_refused_with_reasons(self):
        wizard = self.get_wizard()
        line = self.get_line(wizard, self.qualified)
        line.target_id = self.closed
        with self.assertRaisesRegex(UserError, "Qualified: .*won and open"):
            wizard.action_apply()
        line.target_id = False
        with self.assertRaisesRegex(UserError, "Qualified: Choose"):
            wizard.action_apply()
        self.get_line(wizard, self.waiting).action = "restore"
        line.action = "keep"
        with self.assertRaisesRegex(UserError, "Waiting room: No earlier set-up"):
            wizard.action_apply()
        self.assertFalse(any(self.stages.mapped("active")), "Nothing was done")

    def test_automations_become_active_with_their_stage(self):
        wizard = self.get_wizard()
        wizard.line_ids.action = "keep"
        lead = self.create_in(self.lead_in)
        self.env["sale.order"].create({"partner_id": self.env.user.partner_id.id, "opportunity_id": lead.id})
        self.assertEqual(lead.stage_id, self.lead_in, "Idle while their stage is archived")
        # before the customer's own stages, as the five come with low sequences
        self.own.filtered(lambda stage: not stage.is_won).sequence = 0
        self.apply(wizard)
        self.env["sale.order"].create({"partner_id": self.env.user.partner_id.id, "opportunity_id": lead.id})
        self.assertEqual(lead.stage_id, self.estimate)

    def test_form(self):
        with Form(self.env["crm.stage.setup.wizard"]) as form, form.line_ids.edit(1) as line:
            self.assertEqual(line.moving_count, 7)
            line.action = "keep"
            self.assertEqual(line.moving_count, 0)

    def test_nothing_to_set_up(self):
        self.assertTrue(self.get_wizard().is_needed, "the five are archived")
        self.stages.active = True
        with Form(self.env["crm.stage.setup.wizard"]) as form:
            self.assertTrue(form.is_needed, "some are proposed to be merged")
            for index in range(len(self.own)):
                with form.line_ids.edit(index) as line:
                    line.action = "keep"
            self.assertFalse(form.is_needed)
        self.all.unlink()
        self.own.unlink()
        self.assertFalse(self.get_wizard().is_needed)

    def test_managers_only(self):
        salesperson = new_test_user(self.env, "setup_salesperson", "sales_team.group_sale_salesman_all_leads")
        with self.assertRaises(AccessError):
            self.env["crm.stage.setup.wizard"].with_user(salesperson).create({})
        manager = new_test_user(self.env, "setup_manager", "sales_team.group_sale_manager")
        wizard = self.env["crm.stage.setup.wizard"].with_user(manager).create({})
        wizard.action_apply()
        self.assertEqual(self.followers.stage_id, self.estimate)

    def test_opportunities_of_another_company(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        self.create_in(self.qualified).write({"company_id": company.id, "user_id": False, "team_id": False})
        manager = new_test_user(self.env, "setup_manager", "sales_team.group_sale_manager")
        wizard = self.env["crm.stage.setup.wizard"].with_user(manager).create({})
        with self.assertRaisesRegex(UserError, "Qualified: 1 of its opportunities are not yours"):
            wizard.action_apply()

    def test_told_with_a_way_back(self):
        params = self.get_wizard().action_apply()["params"]
        self.assertEqual(
            params["message"],
            "The default stages are set up. Merged: Lead in, Qualified, Proposal made, Signed. "
            "10 opportunities moved.",
        )
        self.assertEqual(params["next"]["res_model"], "crm.lead")
        (button,) = params["buttons"]
        action = getattr(self.env[button["model"]], button["method"])(*button["args"])
        wizard = self.env[action["res_model"]].with_context(**action["context"]).create({})
        self.assertEqual(
            set(wizard.line_ids.mapped(lambda line: (line.stage_id.name, line.action))),
            {
                ("Lead in", "restore"),
                ("Qualified", "restore"),
                ("Proposal made", "restore"),
                ("Waiting room", "keep"),
                ("Signed", "restore"),
            },
        )
        params = wizard.action_apply()["params"]
        self.assertIn("Brought back: Lead in, Qualified", params["message"])
        self.assertEqual(params["buttons"], [])
        self.assertEqual(self.followers.stage_id, self.qualified)
