from unittest.mock import patch

from odoo.exceptions import RedirectWarning, UserError
from odoo.fields import Command
from odoo.tests import Form, tagged

from ..wizard import crm_stage_delete_wizard
from .common_pipeline import PipelineCase


@tagged("post_install", "-at_install")
class TestCrmStageDelete(PipelineCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.opportunities = cls.create_in(cls.quotation, 6, expected_revenue=1000)
        cls.by_hand, cls.archived, cls.archived_by_hand, cls.lost = cls.opportunities[2:]
        cls.by_hand.probability = cls.archived_by_hand.probability = 33
        (cls.archived | cls.archived_by_hand).action_archive()
        cls.lost.action_set_lost()
        cls.env.flush_all()

    def open_wizard(self, stages, **values):
        stages = stages.with_user(self.manager)
        action = stages.action_open_delete_wizard()
        return stages.env[action["res_model"]].with_context(**action["context"]).create(values)

    def test_moving_and_deleting_is_told(self):
        self.create_in(self.visit, 2)
        wizard = self.open_wizard(self.visit, target_stage_id=self.estimate.id)
        count = wizard.opportunity_count
        leads = (
            self.env["crm.lead"].with_context(active_test=False).search([("stage_id", "=", self.visit.id)])
        )
        params = wizard.action_move_and_delete()["params"]
        self.assertEqual(
            params["message"], f"{count} opportunities moved to Estimate. Stage deleted: Technical Visit."
        )
        (button,) = params["buttons"]
        action = getattr(self.env[button["model"]].browse(button["args"][0]), button["method"])()
        shown = self.env["crm.lead"].with_context(**action["context"]).search(action["domain"])
        self.assertEqual(shown, leads.exists())

    def test_archiving_is_told_with_a_way_back(self):
        params = self.open_wizard(self.visit + self.quotation).action_archive()["params"]
        self.assertEqual(params["message"], "Archived stages: Technical Visit, Quotation.")
        (button,) = params["buttons"]
        self.assertEqual(
            (button["model"], button["args"]), ("crm.stage", [(self.visit + self.quotation).ids])
        )
        getattr((self.visit + self.quotation), button["method"])()
        self.assertTrue(all((self.visit + self.quotation).mapped("active")))

    def test_archiving_says_what_it_brings_about(self):
        self.create_in(self.quotation, type="lead")
        stopped = self.quotation.automation_ids
        stopped[0].copy({"active": False})
        text = self.open_wizard(self.quotation).archive_text
        names = "".join(f"\n\N{BULLET} {name}" for name in stopped.mapped("name"))
        self.assertEqual(
            text,
            '"Quotation" keeps its column until its 3 open opportunities have left it. '
            f"Automations at rest until it comes back:{names}",
        )
        empty, held = self.env["crm.stage"].create([{"name": "Empty"}, {"name": "Held"}])
        company = self.env["res.company"].create({"name": "Elsewhere"})
        self.create_in(held, company_id=company.id, user_id=False, team_id=False)
        self.create_in(self.closed)
        stages = (empty + held + self.closed - stopped.stage_id).with_user(self.manager)
        self.closed.automation_ids.active = False
        self.assertEqual(
            stages.get_archive_text().split("\n"),
            [
                '"Empty" leaves the pipeline.',
                '"Held" keeps its column until its open opportunity has left it.',
                '"Won / Lost" keeps its column, for its won opportunities.',
            ],
        )
        empty.active = False
        self.assertFalse(empty.with_user(self.manager).get_archive_text(), "It is archived already")

    def test_unlink_is_refused_and_shows_what_is_in_there(self):
        stages = (self.quotation | self.visit).with_user(self.manager)
        with self.assertRaises(RedirectWarning) as caught:
            stages.unlink()
        message, action, _button, _context = caught.exception.args
        self.assertIn('"Quotation": 3 active, 2 archived, 1 lost', message)
        self.assertNotIn("Technical Visit", message)
        shown = self.env[action["res_model"]].with_context(**action["context"]).search(action["domain"])
        self.assertEqual(shown, self.opportunities)
        self.assertTrue(stages.exists() == stages)

    def test_unlink_is_refused_for_inactive_opportunities_alone(self):
        self.opportunities[:3].unlink()
        with self.assertRaises(RedirectWarning):
            self.quotation.unlink()
        (self.archived | self.archived_by_hand).unlink()
        with self.assertRaises(RedirectWarning) as caught:
            self.quotation.unlink()
        self.assertIn("0 active, 0 archived, 1 lost", caught.exception.args[0])
        self.lost.unlink()
        self.quotation.unlink()
        self.assertFalse(self.quotation.exists())

    def test_opportunities_of_another_company_count(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        self.create_in(self.visit, company_id=company.id, user_id=False, team_id=False)
        with self.assertRaises(RedirectWarning) as caught:
            self.visit.with_user(self.manager).unlink()
        self.assertIn('"Technical Visit": 1 active', caught.exception.args[0])
        wizard = self.open_wizard(self.visit, target_stage_id=self.new.id)
        self.assertIn("1 of these opportunities", wizard.obstacle)
        with self.assertRaisesRegex(UserError, "not yours to move"):
            wizard.action_move_and_delete()

    def test_wizard_tells_what_is_in_there(self):
        wizard = self.open_wizard(self.quotation)
        self.assertEqual(wizard.contents, "Quotation: 3 active, 2 archived, 1 lost")
        self.env["res.lang"]._activate_lang("fr_FR")
        self.env.invalidate_all()
        self.assertIn("3 actives, ", wizard.with_context(lang="fr_FR").contents)
        self.assertEqual(wizard.target_stage_ids, self.new | self.estimate | self.visit)
        self.assertFalse(wizard.obstacle)
        self.assertEqual(
            wizard.action_show_opportunities()["domain"], [("stage_id", "in", self.quotation.ids)]
        )

    def test_leads_are_told_apart(self):
        """A column of the pipeline shows no leads: they must not be taken for its opportunities."""
        leads = self.create_in(self.quotation, 4, type="lead")
        leads[0].action_archive()
        wizard = self.open_wizard(self.quotation, target_stage_id=self.new.id)
        self.assertEqual(wizard.contents, "Quotation: 3 active, 2 archived, 1 lost, 4 leads")
        self.assertEqual(wizard.opportunity_count, 10)
        with self.assertRaises(RedirectWarning) as caught:
            self.quotation.unlink()
        self.assertIn('"Quotation": 3 active, 2 archived, 1 lost, 4 leads', caught.exception.args[0])
        wizard.action_move_and_delete()
        self.assertEqual(leads.stage_id, self.new)

    def test_wizard_tells_what_becomes_of_automations(self):
        automations = self.env["crm.stage.automation"]
        here = self.quotation.automation_ids
        stopped, kept = automations.create(
            [
                {
                    "stage_id": self.closed.id,
                    "trigger": "order_confirmed",
                    "from_stage_ids": [Command.set(origins.ids)],
                }
                for origins in (self.quotation, self.quotation | self.visit)
            ]
        )
        self.assertTrue(here)
        note = self.open_wizard(self.quotation).automation_note
        for automation in here | stopped:
            self.assertIn(automation.name, note)
        self.assertNotIn(kept.name, note)
        self.assertFalse(self.open_wizard(self.env["crm.stage"].create({"name": "Unused"})).automation_note)
        self.opportunities.unlink()
        self.quotation.unlink()
        self.assertEqual([stopped.active, kept.active], [False, True])
        self.assertFalse(here.exists())

    def test_wizard_offers_archiving_only_where_it_is_possible(self):
        self.assertTrue(self.open_wizard(self.quotation).can_archive)
        self.assertFalse(self.open_wizard(self.closed).can_archive)
        self.assertIn("needs a won stage", self.closed.with_user(self.manager).get_archive_obstacle())
        self.env["crm.stage"].create({"name": "Really Won", "is_won": True})
        self.assertTrue(self.open_wizard(self.closed).can_archive)
        self.assertFalse(self.closed.get_archive_obstacle())

    def test_form_of_a_deleted_stage_is_left(self):
        self.opportunities.unlink()
        stage = self.quotation.with_user(self.manager)
        action = stage.action_open_delete_wizard(is_in_form=True)
        wizard = stage.env[action["res_model"]].with_context(**action["context"]).create({})
        self.assertEqual(wizard.action_delete()["params"]["next"]["res_model"], "crm.stage")
        action = self.open_wizard(self.visit).action_delete()["params"]
        self.assertEqual(action["message"], "Stage deleted: Technical Visit.")
        self.assertEqual(action["next"]["type"], "ir.actions.act_window_close")

    def test_move_keeps_everything_but_the_stage(self):
        closed = {lead: lead.date_closed for lead in self.archived | self.lost}
        self.env.cr.execute(
            "UPDATE crm_lead SET date_closed = '2025-03-04 10:00:00' WHERE id = %s", [self.lost.id]
        )
        self.lost.invalidate_recordset()
        wizard = self.open_wizard(self.quotation)
        with Form(wizard) as form:
            form.target_stage_id = self.estimate
        wizard.action_move_and_delete()
        self.assertFalse(self.quotation.exists())
        self.opportunities.invalidate_recordset()
        self.assertEqual(self.opportunities.stage_id, self.estimate)
        followers = self.opportunities[:2]
        self.assertEqual(followers.mapped("probability"), [25, 25])
        self.assertEqual(followers.mapped("prorated_revenue"), [250, 250])
        self.assertEqual(self.by_hand.probability, 33)
        self.assertEqual(self.archived_by_hand.probability, 33)
        self.assertEqual((self.archived.active, self.archived.probability), (False, 25))
        self.assertEqual(self.lost.won_status, "lost")
        self.assertEqual(str(self.lost.date_closed), "2025-03-04 10:00:00")
        self.assertTrue(closed[self.archived])
        self.assertEqual(self.archived.date_closed, closed[self.archived])
        self.archived.action_unarchive()
        self.assertEqual(self.archived.probability_source, "stage")
        self.lost.action_restore()
        self.assertEqual((self.lost.active, self.lost.probability), (True, 25))

    def test_move_is_told_in_the_chatter(self):
        self.open_wizard(self.quotation, target_stage_id=self.estimate.id).action_move_and_delete()
        for opportunity in self.opportunities:
            self.assertEqual(self.get_tracked_stages(opportunity), [("Quotation", "Estimate")])
            self.assertEqual(opportunity.message_ids[0].author_id, self.manager.partner_id)

    def test_move_from_several_stages(self):
        others = self.create_in(self.visit, 2)
        stages = self.quotation | self.visit
        wizard = self.open_wizard(stages, target_stage_id=self.new.id)
        self.assertEqual(wizard.opportunity_count, 8)
        wizard.action_move_and_delete()
        self.assertFalse(stages.exists())
        self.assertEqual((self.opportunities | others).stage_id, self.new)
        self.assertEqual(self.get_tracked_stages(others[0])[0], ("Technical Visit", "New"))

    def test_won_opportunities_only_move_to_a_won_stage(self):
        signed = self.env["crm.stage"].create({"name": "Signed", "is_won": True, "sequence": 60})
        won = self.create_in(signed, 2)
        won[1].action_archive()
        closing_dates = won.mapped("date_closed")
        wizard = self.open_wizard(signed)
        self.assertEqual(wizard.target_stage_ids, self.closed)
        wizard.target_stage_id = self.closed
        wizard.action_move_and_delete()
        self.assertEqual(won.mapped("won_status"), ["won", "won"])
        self.assertEqual(won.mapped("active"), [True, False])
        self.assertEqual(won.mapped("date_closed"), closing_dates)

    def test_open_and_lost_opportunities_never_move_to_a_won_stage(self):
        wizard = self.open_wizard(self.quotation, target_stage_id=self.closed.id)
        with self.assertRaisesRegex(UserError, "Choose the stage"):
            wizard.action_move_and_delete()
        with self.assertRaisesRegex(UserError, "won"):
            self.opportunities._transfer_to_stage(self.closed)

    def test_won_and_other_stages_together_have_no_common_target(self):
        self.create_in(self.closed)
        signed = self.env["crm.stage"].create({"name": "Signed", "is_won": True})
        wizard = self.open_wizard(self.quotation | self.closed)
        self.assertFalse(wizard.target_stage_ids)
        self.assertIn("apart", wizard.obstacle)
        self.assertTrue(signed)

    def test_target_stage_serves_the_teams_of_the_opportunities(self):
        teams = self.env["crm.team"].create([{"name": "North"}, {"name": "South"}])
        self.opportunities[0].team_id = teams[0]
        self.estimate.team_ids = teams[0]
        self.visit.team_ids = teams[1]
        (self.opportunities - self.opportunities[0]).team_id = teams[0]
        self.assertEqual(self.open_wizard(self.quotation).target_stage_ids, self.new | self.estimate)

    def test_many_are_moved_in_batches(self):
        wizard = self.open_wizard(self.quotation, target_stage_id=self.visit.id)
        with patch.object(crm_stage_delete_wizard, "MOVE_BATCH_SIZE", 4):
            action = wizard.action_move_and_delete()
            self.assertEqual(action["tag"], "crm_sales_stage_move_opportunities")
            self.assertEqual(action["params"], {"wizard_id": wizard.id, "count": 6})
            self.assertEqual(wizard.move_batch(), 2)
            self.assertEqual(wizard.move_batch(), 0)
        wizard.action_delete()
        self.assertEqual(self.opportunities.stage_id, self.visit)

    def test_moving_needs_the_same_queries_for_any_number(self):
        def queries(count):
            stage = self.env["crm.stage"].create({"name": "Extra", "probability": 40, "sequence": 5})
            self.create_in(stage, count, expected_revenue=10)
            wizard = self.open_wizard(stage, target_stage_id=self.visit.id)
            return self.count_queries(wizard.move_batch)

        queries(2)
        self.assertLessEqual(queries(50), queries(5) + 10)

    def test_empty_stage_is_deleted_from_the_wizard(self):
        wizard = self.open_wizard(self.visit)
        self.assertFalse(wizard.opportunity_count)
        wizard.action_delete()
        self.assertFalse(self.visit.exists())

    def test_archive_from_the_wizard(self):
        wizard = self.open_wizard(self.quotation | self.visit)
        self.assertTrue(wizard.can_archive)
        wizard.action_archive()
        self.assertEqual((self.quotation | self.visit).mapped("active"), [False, False])
        self.assertEqual(self.opportunities.stage_id, self.quotation)
        self.assertFalse(self.open_wizard(self.quotation).can_archive)

    def test_last_won_stage_stays(self):
        for attempt in (
            self.closed.unlink,
            self.closed.action_archive,
            lambda: self.closed.write({"active": False}),
        ):
            with self.assertRaisesRegex(RedirectWarning, "won stage.*Won / Lost.*Show the Stages"):
                attempt()
        self.env["crm.stage"].create({"name": "Signed", "is_won": True})
        self.closed.action_archive()
        self.assertFalse(self.closed.active)

    def test_last_open_stage_stays(self):
        self.opportunities.unlink()
        (self.new | self.estimate | self.visit).action_archive()
        for attempt in (self.quotation.unlink, self.quotation.action_archive):
            with self.assertRaisesRegex(RedirectWarning, "open stage.*Quotation"):
                attempt()
        with self.assertRaisesRegex(RedirectWarning, "open stage"):
            self.open_wizard(self.quotation).action_archive()

    def test_last_open_stage_of_a_team_stays(self):
        self.opportunities.unlink()
        teams = self.env["crm.team"].create([{"name": "North"}, {"name": "South"}])
        everyone = self.env["crm.team"].search([])
        self.new.team_ids = everyone - teams[1]
        self.estimate.team_ids = teams[1]
        (self.visit | self.quotation).action_archive()
        with self.assertRaisesRegex(RedirectWarning, "Estimate.*South"):
            self.estimate.action_archive()
        self.visit.action_unarchive()
        self.estimate.action_archive()
        self.assertFalse(self.estimate.active)

    def test_views_offer_the_dialog_instead_of_delete(self):
        action = self.env.ref("crm_sales_stage.crm_stage_action_delete")
        result = (
            action.with_user(self.manager)
            .with_context(active_model="crm.stage", active_ids=self.visit.ids, active_id=self.visit.id)
            .run()
        )
        self.assertEqual(result["context"]["default_stage_ids"], self.visit.ids)
        arch = self.env["crm.stage"].get_view(view_type="list")["arch"]
        self.assertIn('delete="0"', arch)
        bindings = self.env["ir.actions.actions"]
        self.assertIn(
            action.id, [a["id"] for a in bindings.with_user(self.manager).get_bindings("crm.stage")["action"]]
        )
        as_salesperson = bindings.with_user(self.salesperson).get_bindings("crm.stage").get("action", [])
        self.assertNotIn(action.id, [a["id"] for a in as_salesperson])

    def test_create_in_wizard_by_command(self):
        wizard = self.env["crm.stage.delete.wizard"].create({"stage_ids": [Command.set(self.quotation.ids)]})
        self.assertEqual(wizard.opportunity_count, 6)
