from datetime import timedelta
from unittest.mock import patch

from psycopg2.errors import SerializationFailure

from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common_automation import AutomationCase

BATCH = "odoo.addons.crm_sales_stage.models.automation.crm_stage_automation.BATCH"
MOVE_LOGGER = "odoo.addons.crm_sales_stage.models.automation.crm_stage_automation_move"


class PreviewCase(AutomationCase):
    """Three opportunities with a quotation, which a new automation would move to a stage named Relance."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["sale.order"].search([]).opportunity_id = False
        cls.leads = cls.create_leads(3)
        cls.orders = cls.env["sale.order"].create([cls.get_order_values(lead) for lead in cls.leads])
        cls.leads[:2].stage_id = cls.new
        cls.leads[2].stage_id = cls.estimate
        cls.relance = cls.env["crm.stage"].create({"name": "Relance", "sequence": 10})
        cls.automation = cls.create_automation(cls.relance, "quotation_created").with_user(cls.manager)

    def apply(self):
        return self.get_preview(self.automation).action_apply()

    def undo(self):
        return self.automation.action_undo_catch_up()["params"]["message"]


@tagged("post_install", "-at_install")
class TestPreview(PreviewCase):
    def test_what_would_move(self):
        preview = self.get_preview(self.automation)
        self.assertEqual(preview.lead_count, 3)
        self.assertEqual(
            preview.summary, "3 opportunities would move to Relance: 2 from New, 1 from Estimate"
        )
        self.assertEqual(preview.line_ids.lead_id, self.leads)
        self.assertEqual(preview.line_ids.mapped("document_id"), self.orders.ids)
        self.assertEqual(preview.line_ids.mapped("stage_id.name"), ["New", "Estimate"])
        self.assertFalse(preview.obstacle)
        self.assertNotIn(self.relance, self.leads.stage_id, "a preview moves nothing")

    def test_one(self):
        self.leads[1:].stage_id = self.closed
        summary = self.get_preview(self.automation).summary
        self.assertEqual(summary, "1 opportunity would move to Relance: 1 from New")

    def test_nothing(self):
        self.leads.stage_id = self.relance
        preview = self.get_preview(self.automation)
        self.assertEqual((preview.lead_count, preview.summary), (0, "Nothing would move."))
        self.assertFalse(preview.obstacle)

    def test_lost_ones_too(self):
        """It names those that it brings back, and where they were lost."""
        self.leads[1:].action_set_lost()
        self.orders[1:].date_order = fields.Datetime.add(fields.Datetime.now(), hours=1)
        self.automation.is_lost_included = True
        preview = self.get_preview(self.automation)
        self.assertEqual(
            preview.summary, "3 opportunities would move to Relance: 2 from New, 1 from Estimate"
        )
        self.assertEqual(preview.line_ids.lead_id, self.leads)
        action = preview.action_show_leads()
        listed = self.env["crm.lead"].with_context(**action["context"]).search(action["domain"])
        self.assertEqual(listed, self.leads.sorted())
        self.orders[2].date_order = "2020-01-01"
        preview = self.get_preview(self.automation)
        self.assertEqual(preview.summary, "2 opportunities would move to Relance: 2 from New")
        self.leads[0].stage_id = self.relance
        preview = self.get_preview(self.automation)
        self.assertEqual(preview.summary, "1 opportunity would move to Relance: 1 from New")

    def test_opportunity_is_the_document(self):
        self.leads[0].message_post(body="x", message_type="email", author_id=self.partner.id)
        automation = self.create_automation(self.relance, "email_received")
        lines = self.get_preview(automation).line_ids
        line = lines.filtered(lambda line: line.lead_id == self.leads[0])
        self.assertEqual((len(line), line.document_id), (1, line.lead_id.id))

    def test_first_of_several_documents(self):
        second = self.create_order(self.leads[0])
        self.leads[0].stage_id = self.new
        document_ids = self.get_preview(self.automation).line_ids.mapped("document_id")
        self.assertEqual(document_ids, self.orders.ids)
        self.assertNotIn(second.id, document_ids)

    def test_many(self):
        with patch("odoo.addons.crm_sales_stage.wizard.crm_stage_automation_preview.LISTED", 2):
            preview = self.get_preview(self.automation)
        self.assertEqual((preview.lead_count, preview.unlisted_count), (3, 1))
        self.assertEqual(preview.line_ids.lead_id, self.leads[:2])
        action = preview.action_show_leads()
        self.assertEqual(self.env["crm.lead"].search(action["domain"]), self.leads.sorted())

    def test_queries_do_not_grow(self):
        self.get_preview(self.automation)  # warms the caches

        def count():
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.get_preview(self.automation)
            self.env.flush_all()
            return self.env.cr.sql_log_count - before

        few = count()
        leads = self.create_leads(20)
        self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])
        leads.stage_id = self.new
        self.env.flush_all()
        self.assertLessEqual(count(), few + 2)

    def test_idle(self):
        for record in (self.automation, self.relance):
            with self.subTest(record):
                record.active = False
                self.assertIn("archived", self.get_preview(self.automation).obstacle)
                record.active = True

    def test_faulty(self):
        self.make_faulty(self.automation)
        preview = self.get_preview(self.automation)
        self.assertIn("gone", preview.obstacle)
        self.assertTrue(preview.fault)
        self.assertEqual(preview.fault, self.automation.fault)
        self.assertEqual(preview.lead_count, 0)

    def test_fault_to_come(self):
        """Whatever is wrong with it, the dialog tells it before anything has happened."""
        for condition, text in (
            ("[('gone', '=', 1)]", "gone"),
            ("[('partner_id.gone', '=', 1)]", "gone"),
            ("[('amount_total', '=', 'x')]", "numeric"),
            ("no domain", "no domain"),
        ):
            with self.subTest(condition), mute_logger("odoo.sql_db"):
                self.automation.flush_recordset()
                self.env.cr.execute(
                    "UPDATE crm_stage_automation SET filter_domain = %s WHERE id = %s",
                    [condition, self.automation.id],
                )
                self.automation.invalidate_recordset()
                preview = self.get_preview(self.automation)
                self.assertIn(text, preview.obstacle)
                self.assertEqual((preview.fault, preview.lead_count), (False, 0))

    def test_conflict_is_no_fault(self):
        """The request is tried again."""
        with (
            patch.object(type(self.automation), "_search_leads_to_move", side_effect=SerializationFailure()),
            self.assertRaises(SerializationFailure),
        ):
            self.automation.action_preview()

    def test_salesperson(self):
        """Only what the manager may see is told: here, another company's is none of it."""
        company = self.env["res.company"].create({"name": "Elsewhere"})
        self.leads[0].write({"company_id": company.id, "user_id": False, "team_id": False})
        self.assertEqual(self.get_preview(self.automation).line_ids.lead_id, self.leads[1:])


@tagged("post_install", "-at_install")
class TestUndo(PreviewCase):
    def test_apply(self):
        params = self.apply()["params"]
        self.assertEqual(params["message"], "3 opportunities moved.")
        self.assertEqual([button["args"] for button in params["buttons"]], [[self.automation.ids]] * 2)
        self.assertEqual(self.leads.stage_id, self.relance)
        self.assertEqual(self.automation.undoable_count, 3)
        action = self.automation.action_show_moved()
        self.assertEqual(self.env["crm.lead"].search(action["domain"]), self.leads.sorted())

    def test_apply_to_nothing(self):
        """There is nothing to undo, but what was applied before."""
        self.apply()
        params = self.apply()["params"]
        self.assertEqual((params["message"], params["buttons"]), ("0 opportunities moved.", []))
        self.assertEqual(self.automation.undoable_count, 3)

    def test_undo(self):
        self.leads[1].probability = 33
        self.apply()
        self.assertEqual(self.leads[1].probability, self.relance.probability)
        self.assertEqual(self.undo(), "3 opportunities moved back.")
        self.assertEqual(self.leads.mapped("stage_id"), self.new + self.estimate)
        self.assertEqual(self.leads.mapped("probability"), [10, 33, 25], "one set by hand is back, too")
        self.assertEqual(self.leads.mapped("is_automated_probability"), [True, False, True])
        self.assertEqual(self.automation.undoable_count, 0)
        self.assertEqual(self.undo(), "0 opportunities moved back.")

    def test_chatter(self):
        self.pass_commit()
        self.apply()
        self.pass_commit()
        self.undo()
        body = self.get_tracking_message(self.leads[0]).body
        self.assertIn("Moved back", body)
        self.assertIn("Relance", body)

    def test_touched_since(self):
        """Those that somebody moved, lost, won or archived since stay where they are."""
        more = self.create_leads(3)
        self.env["sale.order"].create([self.get_order_values(lead) for lead in more])
        more.stage_id = self.new
        self.apply()
        later = fields.Datetime.add(self.env.cr.now(), minutes=1)
        with patch.object(self.env.cr, "now", lambda: later):  # as in another transaction
            self.leads[0].stage_id = self.closed
            self.leads[1].stage_id = self.visit
            self.leads[1].stage_id = self.relance  # taken back and forth: it is there by hand now
            self.leads[2].action_set_lost()
            more[0].action_archive()
            self.env.flush_all()
        self.assertEqual(
            self.undo(),
            "2 opportunities moved back.\nLeft where they are, as they were moved, won or lost since, or "
            "their former stage is gone: House 0, House 1, House 2, House 0",
        )
        self.assertEqual(self.leads.mapped("stage_id.id"), [self.closed.id, self.relance.id])
        self.assertEqual(self.leads[2].stage_id, self.relance)
        self.assertEqual((more[0].stage_id, more[0].active), (self.relance, False))
        self.assertEqual(more[1:].stage_id, self.new)

    def test_other_changes_do_no_harm(self):
        self.apply()
        self.leads.write({"expected_revenue": 5000, "name": "Changed"})
        self.assertEqual(self.undo(), "3 opportunities moved back.")

    def test_won(self):
        """What it won by mistake is open again."""
        automation = self.create_automation(self.closed, "quotation_created").with_user(self.manager)
        automation.action_catch_up()
        self.assertEqual(set(self.leads.mapped("won_status")), {"won"})
        automation.action_undo_catch_up()
        self.assertEqual(self.leads.mapped("stage_id"), self.new + self.estimate)
        self.assertEqual(set(self.leads.mapped("won_status")), {"pending"})
        self.assertEqual(self.leads.mapped("probability"), [10, 10, 25])
        self.assertFalse(any(self.leads.mapped("date_closed")))

    def test_lost_before_or_after(self):
        """Automations may lose opportunities, or bring lost ones back: both are undone."""
        reason, other = self.env["crm.lost.reason"].create([{"name": "Too expensive"}, {"name": "Silent"}])
        lost, back = self.leads[:2]
        back.action_set_lost(lost_reason_id=reason.id)
        losing = self.create_automation(
            self.closed,
            "opportunity_matches",
            outcome="lost",
            lost_reason_id=other.id,
            filter_domain=repr([("id", "=", lost.id)]),
        )
        losing.action_catch_up()
        restoring = self.create_automation(
            self.visit,
            "opportunity_matches",
            is_lost_included=True,
            filter_domain=repr([("id", "=", back.id)]),
        )
        restoring._move([(back, back)], back)
        self.search_moves("done", restoring).is_applied = True
        self.assertEqual((lost + back).mapped("won_status"), ["lost", "pending"])
        self.assertEqual((lost.lost_reason_id, back.stage_id), (other, self.visit))
        for automation in losing + restoring:
            self.assertEqual(automation.undoable_count, 1)
            automation.action_undo_catch_up()
        self.assertEqual((lost.won_status, lost.stage_id, lost.probability), ("pending", self.new, 10))
        self.assertFalse(lost.lost_reason_id)
        self.assertEqual((back.won_status, back.stage_id, back.lost_reason_id), ("lost", self.new, reason))

    def test_no_loop(self):
        """Moving back triggers nothing."""
        self.apply()
        Lead = type(self.env["crm.lead"])
        write, heard = Lead.write, []

        def listen(leads, vals):
            heard.append(leads._get_heard_crm_stage_triggers())
            return write(leads, vals)

        self.create_automation(self.visit, "email_sent")
        with patch.object(Lead, "write", listen):
            self.undo()
        self.assertTrue(heard)
        self.assertFalse(any(heard))

    def test_stage_that_is_gone(self):
        """What came from a stage that was deleted since has nowhere to go back to."""
        stage = self.env["crm.stage"].create({"name": "Short", "sequence": 2})
        self.leads[0].stage_id = stage
        self.apply()
        stage.unlink()
        self.assertIn("2 opportunities moved back.\nLeft where they are", self.undo())
        self.assertEqual(self.leads[0].stage_id, self.relance)

    def test_of_another_company(self):
        """Nobody moves back what they may not see."""
        self.apply()
        company = self.env["res.company"].create({"name": "Elsewhere"})
        self.leads[0].write({"company_id": company.id, "user_id": False, "team_id": False})
        self.assertEqual(self.undo(), "2 opportunities moved back.")
        self.assertEqual(self.leads[0].stage_id, self.relance)

    def test_applied_again(self):
        """Undone is what was moved the last time."""
        self.apply()
        lead = self.create_lead()
        self.create_order(lead)
        lead.stage_id = self.new
        self.apply()
        self.assertEqual(self.undo(), "1 opportunity moved back.")
        self.assertEqual(self.leads.stage_id, self.relance)

    def test_by_job(self):
        """Many are moved back by the job that moved them."""
        with patch(BATCH, 2):
            params = self.automation.action_catch_up()["params"]
            self.assertEqual(len(params["buttons"]), 2)
            self.run_job()
            self.assertEqual(self.leads.stage_id, self.relance)
            self.assertEqual(self.automation.undoable_count, 3)
            self.assertEqual(self.undo(), "3 opportunities will be moved back within the next minutes.")
            self.assertEqual(self.leads.stage_id, self.relance)
            self.assertEqual(self.automation.undoable_count, 0, "it cannot be undone twice")
            # interrupted after the first batch
            self.run_job(seconds_left=0).assert_called_with(2, remaining=1)
            self.assertEqual(self.leads.mapped("stage_id.id"), [self.new.id, self.relance.id])
            self.run_job()
        self.assertEqual(self.leads.mapped("stage_id"), self.new + self.estimate)

    def test_while_the_job_runs(self):
        """What was moved is moved back, the rest is not moved any more."""
        with patch(BATCH, 2):
            self.automation.action_catch_up()
            self.run_job(seconds_left=0)
            self.assertEqual(self.leads.mapped("stage_id"), self.relance + self.estimate)
            self.assertEqual(self.undo(), "2 opportunities moved back.")
            self.assertEqual((self.automation.waiting_count, self.automation.catch_up_progress), (0, 100))
            self.run_job()
        self.assertEqual(self.leads.mapped("stage_id"), self.new + self.estimate)

    def test_job_fails(self):
        """A conflict is tried again with the next run; what never works is given up."""
        Move = type(self.env["crm.stage.automation.move"])
        for error, remaining in ((SerializationFailure(), 3), (ValueError("broken"), 0)):
            self.apply()
            self.automation.sudo().move_ids.filtered("is_applied").is_being_undone = True
            with patch.object(Move, "_remove_planned", side_effect=error), mute_logger(MOVE_LOGGER):
                self.run_job()
            left = self.automation.sudo().move_ids.filtered("is_being_undone")
            self.assertEqual(len(left), remaining)
            self.assertEqual(self.leads.stage_id, self.relance)
            self.run_job()

    def test_offered_for_a_week(self):
        self.apply()
        moves = self.search_moves("done", self.automation)
        moves.write({"date": fields.Datetime.now() - timedelta(days=6)})
        self.assertEqual(self.automation.undoable_count, 3)
        moves.write({"date": fields.Datetime.now() - timedelta(days=8)})
        self.assertEqual(self.automation.undoable_count, 0)
        self.assertEqual(self.undo(), "0 opportunities moved back.")
        self.assertEqual(self.leads.stage_id, self.relance)

    def test_queries_do_not_grow(self):
        """Recording and undoing 30 takes hardly more queries than one, beyond those of writing a stage."""

        def get_cost(count):
            leads = self.create_leads(count)
            self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])
            leads.stage_id = self.new
            self.pass_commit()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            self.automation.action_catch_up()
            self.automation.action_undo_catch_up()
            self.env.flush_all()
            self.assertEqual(leads.stage_id, self.new)
            cost = self.env.cr.sql_log_count - before
            leads.unlink()
            return cost

        get_cost(1)  # warms the caches
        self.leads.stage_id = self.closed
        one = get_cost(1)
        self.assertLessEqual(get_cost(30), one + 12)
