from datetime import timedelta
from unittest.mock import patch

from psycopg2.errors import SerializationFailure

from odoo import fields
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from odoo.addons.mail.tests.common import MockEmail

from .common_arrival import ArrivalCase
from .common_automation import AutomationCase

LISTED = "odoo.addons.crm_sales_stage.wizard.crm_stage_automation_preview.LISTED"
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
            preview.summary, "3 opportunities would move to Relance: 2 of the lost ones, 1 from New"
        )
        self.assertEqual(preview.line_ids.lead_id, self.leads)
        action = preview.action_show_leads()
        listed = self.env["crm.lead"].with_context(**action["context"]).search(action["domain"])
        self.assertEqual(listed, self.leads.sorted())
        self.orders[2].date_order = "2020-01-01"
        preview = self.get_preview(self.automation)
        self.assertEqual(
            preview.summary, "2 opportunities would move to Relance: 1 from New, 1 of the lost ones"
        )
        self.leads[0].stage_id = self.relance
        preview = self.get_preview(self.automation)
        self.assertEqual(preview.summary, "1 opportunity would move to Relance: 1 of the lost ones")
        self.automation.stage_id = self.estimate
        self.orders[2].date_order = self.orders[1].date_order
        preview = self.get_preview(self.automation)
        self.assertIn("1 of the lost ones, back in Estimate", preview.summary)

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
        with patch(LISTED, 2):
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

    def test_left_out(self):
        """Those without a tick stay, what is counted follows the ticks, and undoing covers what moved."""
        for batch in (200, 1):
            with self.subTest(batch), patch(LISTED, 2), patch(BATCH, batch):
                with Form(self.get_preview(self.automation)) as form:
                    with form.line_ids.edit(0) as line:
                        line.is_ticked = False
                    self.assertEqual(form.lead_count, 2)
                    self.assertEqual(
                        form.summary, "2 opportunities would move to Relance: 1 from New, 1 from Estimate"
                    )
                message = form.record.action_apply()["params"]["message"]
                self.run_job()
                self.assertIn("2 opportunities ", message)
                self.assertEqual(self.leads.mapped("stage_id.id"), [self.new.id, self.relance.id])
                self.assertEqual(self.leads[0].stage_id, self.new, "the one that is not listed has moved")
                self.automation.action_undo_catch_up()
                self.run_job()
                self.assertEqual(self.leads.mapped("stage_id"), self.new + self.estimate)

    def test_nothing_chosen(self):
        preview = self.get_preview(self.automation)
        preview.line_ids.is_ticked = False
        self.assertEqual((preview.lead_count, preview.summary), (0, "Nothing would move."))
        self.assertEqual(preview.action_apply()["params"]["message"], "0 opportunities moved.")

    def test_columns(self):
        """Whatever has the same name can be told apart."""
        self.leads[0].write({"partner_id": False, "partner_name": "Windmill", "expected_revenue": 900})
        line = self.get_preview(self.automation).line_ids[0]
        self.assertEqual(line.customer, "Windmill")
        self.assertEqual((line.expected_revenue, line.user_id), (900, self.leads[0].user_id))
        self.assertEqual(line.date_last_stage_update, self.leads[0].date_last_stage_update)
        self.assertEqual(line.document_date, self.orders[0].date_order)
        self.assertEqual(self.get_preview(self.automation).line_ids[1].customer, "Dealer's Customer")

    def test_losing(self):
        """It is called by its name, before and after."""
        automation = self.create_automation(self.closed, "quotation_created", outcome="lost")
        automation = automation.with_user(self.manager)
        preview = self.get_preview(automation)
        self.assertEqual(preview.summary, "3 opportunities would be lost: 2 from New, 1 from Estimate")
        self.assertEqual(preview.action_apply()["params"]["message"], "3 opportunities lost.")
        self.assertEqual(set(self.leads.mapped("won_status")), {"lost"})
        message = automation.action_undo_catch_up()["params"]["message"]
        self.assertEqual(message, "3 opportunities restored.")
        self.assertEqual(set(self.leads.mapped("won_status")), {"pending"})
        with patch(BATCH, 2):
            message = automation.action_catch_up()["params"]["message"]
            self.assertEqual(message, "3 opportunities will be lost within the next minutes.")
            self.run_job()
            message = automation.action_undo_catch_up()["params"]["message"]
            self.assertEqual(message, "3 opportunities will be restored within the next minutes.")
        self.assertEqual(self.get_preview(automation).summary, "Nothing would be lost.")


@tagged("post_install", "-at_install")
class TestPreviewOfArrival(PreviewCase, ArrivalCase, MockEmail):
    """What the stage sends and plans is counted before, can be left out, and is told when it is undone."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.relance.write({"activity_plan_id": cls.plan.id, "mail_template_id": cls.template.id})
        cls.leads.write({"partner_id": False, "email_from": "customer@example.com"})
        cls.pass_commit()

    def apply_preview(self, preview):
        """:return: the message afterwards, the e-mails sent and the activities planned"""
        known = self.leads.activity_ids
        with self.mock_mail_gateway(mail_unlink_sent=False):
            message = preview.action_apply()["params"]["message"]
            self.run_job()
            self.pass_commit()
        return message, self.get_sent(), self.leads.activity_ids - known

    def get_sent(self):
        """:return: the e-mails of the stage: users that activities are for are sent some, too"""
        return self._new_mails.filtered(lambda mail: mail.subject.startswith("Quotation for"))

    def test_counted_is_what_happens(self):
        self.env["mail.blacklist"]._add("barred@example.com")
        self.leads[1].email_from = False
        self.leads[2].email_from = "barred@example.com"
        self.leads[2].activity_schedule(activity_type_id=self.call.id, summary="Call back")
        preview = self.get_preview(self.automation)
        self.assertEqual(
            preview.email_text,
            'Send "We have your quotation" to 1 customer by e-mail. That cannot be undone.',
        )
        self.assertEqual(preview.plan_text, 'Plan "Follow up" for 2 opportunities. Activities: 4')
        note = "Planned activities that Undo removes: 4\nE-mails that cannot be taken back: 1"
        message, mails, activities = self.apply_preview(preview)
        self.assertEqual(message, f"3 opportunities moved.\n{note}")
        self.assertEqual((len(mails), len(activities)), (1, 4))
        self.assertEqual(self.automation.undo_note, note)
        self.leads[0].stage_id = self.closed  # stays, with what was planned for it
        self.assertIn("2 opportunities moved back.\nPlanned activities removed: 2\nLeft", self.undo())
        self.assertFalse(self.automation.undo_note)

    def test_counted_follows_the_ticks(self):
        with patch(LISTED, 2):
            preview = self.get_preview(self.automation)
        self.assertIn("the customers of 3 opportunities", preview.email_text)
        preview.line_ids[0].is_ticked = False
        self.assertIn("the customers of 2 opportunities", preview.email_text)
        self.assertEqual(preview.plan_text, 'Plan "Follow up" for 2 opportunities. Activities: 4')
        message, mails, activities = self.apply_preview(preview)
        self.assertEqual((len(mails), len(activities)), (2, 4))

    def test_done_without(self):
        """At once and by the job, which was interrupted, whatever it meets."""
        sent, planned = 3, 6
        for batch in (200, 2):
            for values, counts in (
                ({"sends_email": False}, (0, planned)),
                ({"plans_activities": False}, (sent, 0)),
                ({"sends_email": False, "plans_activities": False}, (0, 0)),
                ({}, (sent, planned)),
            ):
                with self.subTest(batch=batch, **values), patch(BATCH, batch):
                    preview = self.get_preview(self.automation)
                    preview.write(values)
                    _message, mails, activities = self.apply_preview(preview)
                    self.assertEqual((len(mails), len(activities)), counts)
                    self.assertEqual(self.leads.stage_id, self.relance)
                    self.automation.action_undo_catch_up()
                    self.run_job()
                    self.pass_commit()
                    self.assertFalse(self.leads.activity_ids)

    def test_left_out_for_that_move_only(self):
        preview = self.get_preview(self.automation)
        preview.sends_email = preview.plans_activities = False
        self.apply_preview(preview)
        self.leads[0].stage_id = self.new
        self.pass_commit()
        with self.mock_mail_gateway(mail_unlink_sent=False):
            self.leads[0].stage_id = self.relance
            self.pass_commit()
        self.assertEqual((len(self.get_sent()), len(self.leads.activity_ids)), (1, 2))

    def test_left_out_though_the_job_failed(self):
        """What cannot be moved the first time, or together with others, is moved without, too."""
        preview = self.get_preview(self.automation)
        preview.sends_email = False
        Lead = type(self.env["crm.lead"])
        write, errors = Lead.write, [ValueError("broken"), SerializationFailure()]

        def fail_for_two(leads, vals):
            if vals.get("stage_id") == self.relance.id and len(leads) == 2 and errors:
                raise errors.pop()
            return write(leads, vals)

        with (
            patch(BATCH, 2),
            patch.object(Lead, "write", fail_for_two),
            mute_logger("odoo.addons.crm_sales_stage.models.automation.crm_stage_automation"),
        ):
            self.apply_preview(preview)
            self.assertEqual(self.search_moves("waiting", self.automation).lead_id, self.leads[:2])
            with self.mock_mail_gateway(mail_unlink_sent=False):
                self.run_job()
                self.pass_commit()
        self.assertFalse(errors)
        self.assertEqual(self.leads.stage_id, self.relance)
        self.assertFalse(self.get_sent())
        self.assertEqual(self.search_moves("done", self.automation).mapped("without_email"), [True] * 3)

    def test_no_arrival(self):
        """Losing sends nothing, nor does bringing back an opportunity in its stage."""
        self.closed.mail_template_id = self.template
        losing = self.create_automation(self.closed, "quotation_created", outcome="lost")
        self.assertFalse(self.get_preview(losing).email_text)
        self.relance.sequence = 0
        self.leads[0].stage_id = self.visit
        self.leads[0].action_set_lost()
        self.orders.date_order = fields.Datetime.add(fields.Datetime.now(), hours=1)
        self.automation.is_lost_included = True
        preview = self.get_preview(self.automation)
        self.assertEqual(
            preview.summary,
            "1 opportunity would move to Relance: 1 of the lost ones, back in Technical Visit",
        )
        self.assertFalse(preview.email_text or preview.plan_text)
        _message, mails, activities = self.apply_preview(preview)
        self.assertFalse(mails or activities)


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
            with patch.object(Move, "_search_planned", side_effect=error), mute_logger(MOVE_LOGGER):
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
