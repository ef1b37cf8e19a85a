from unittest.mock import patch

from psycopg2 import IntegrityError

from odoo import Command
from odoo.exceptions import UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from ..models.automation import sentence
from .common_automation import AutomationCase

LOGGER = "odoo.addons.crm_sales_stage.models.automation.crm_stage_automation"


class OutcomeCase(AutomationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reason = cls.env["crm.lost.reason"].create({"name": "Too dear"})

    @classmethod
    def automate(cls, stage, trigger, **values):
        return cls.automations.create({"stage_id": stage.id, "trigger": trigger, **values})

    @classmethod
    def automate_loss(cls, **values):
        return cls.automate(cls.closed, "quotation_cancelled", lost_reason_id=cls.reason.id, **values)

    def read_stays(self, lead):
        """:return: [(stage, outcome, moved_by), ...] of the stays of ``lead``, in order"""
        self.pass_commit()
        stays = self.env["crm.stage.stay"].search([("lead_id", "=", lead.id)])
        return [(stay.stage_id, stay.outcome, stay.moved_by) for stay in stays.sorted("id")]


@tagged("post_install", "-at_install")
class TestLosing(OutcomeCase):
    def test_as_odoo_does(self):
        automation = self.automate_loss()
        lead = self.create_lead()
        order = self.create_order(lead)
        self.pass_commit()
        frequency = self.get_lost_frequency()
        order._action_cancel()
        self.assertEqual(
            (lead.active, lead.won_status, lead.probability, lead.automated_probability),
            (False, "lost", 0, 0),
        )
        self.assertEqual(lead.lost_reason_id, self.reason)
        self.assertEqual(lead.stage_id, self.estimate, "it keeps its stage")
        self.assertTrue(lead.date_closed)
        self.assertGreater(self.get_lost_frequency(), frequency, "scoring learns from it")
        self.pass_commit()
        message = lead.message_ids.filtered(lambda m: m.subtype_id == self.env.ref("crm.mt_lead_lost"))
        self.assertIn(sentence.get_event_in_stage(automation), message.body.unescape())
        self.assertIn(order.name, message.body)
        self.assertEqual(self.read_stays(lead)[-1][:2], (self.estimate, "lost"))
        self.assertFalse(automation.fault)

    def get_lost_frequency(self):
        frequencies = self.env["crm.lead.scoring.frequency"].search(
            [("variable", "=", "stage_id"), ("value", "=", str(self.estimate.id))]
        )
        return sum(frequencies.mapped("lost_count"))

    def test_restored_by_hand(self):
        self.automate_loss()
        lead = self.create_lead()
        self.create_order(lead)._action_cancel()
        lead.action_unarchive()
        self.assertEqual((lead.won_status, lead.probability), ("pending", self.estimate.probability))
        self.assertFalse(lead.lost_reason_id)

    def test_left_alone(self):
        self.automate_loss()
        for state in ("draft", "sent", "sale"):
            lead = self.create_lead()
            other = self.create_order(lead)
            order = self.create_order(lead)
            other.state = state
            lead.stage_id = self.new
            order._action_cancel()
            with self.subTest(state):
                self.assertEqual(lead.won_status, "pending")
        other._action_cancel()
        self.assertEqual(lead.won_status, "lost", "the last one")

    def test_other_quotation_of_somebody_else(self):
        """Whoever cancels need not see it."""
        self.automate_loss()
        lead = self.create_lead()
        self.create_order(lead, user_id=self.manager.id)
        order = self.create_order(lead, user_id=lead.user_id.id)
        order.with_user(lead.user_id)._action_cancel()
        self.assertEqual(lead.won_status, "pending")

    def test_cancelled_together(self):
        self.automate_loss()
        lead = self.create_lead()
        orders = self.create_order(lead) + self.create_order(lead)
        orders._action_cancel()
        self.assertEqual(lead.won_status, "lost")

    def test_final_ones_are_left_alone(self):
        automation = self.automate_loss(from_stage_ids=[Command.set(self.estimate.ids)])
        won, lost, elsewhere = self.create_lead(), self.create_lead(), self.create_lead()
        orders = self.create_order(won) + self.create_order(lost) + self.create_order(elsewhere)
        won.stage_id = self.closed
        lost.action_set_lost()
        elsewhere.stage_id = self.quotation
        orders._action_cancel()
        self.assertEqual((won.won_status, elsewhere.won_status), ("won", "pending"))
        self.assertFalse(lost.lost_reason_id)
        self.assertFalse(automation.fault)

    def test_nobody_would_move(self):
        """Whatever names opportunities that it never takes is refused, with what to do."""
        signed = self.env["crm.stage"].create({"name": "Signed", "sequence": 60, "is_won": True})
        for trigger, values, reason in (
            ("no_news", {"outcome": "lost", "is_lost_included": True}, "Lost Ones Too"),
            ("order_confirmed", {"outcome": "lost"}, "choose to win it"),
            ("no_news", {"outcome": "lost", "from_stage_ids": signed.ids}, "take Signed out"),
            ("no_news", {"outcome": "lost", "from_stage_ids": (signed + self.visit).ids}, "take Signed out"),
            ("no_news", {"from_stage_ids": signed.ids, "is_lost_included": True}, "beside Signed"),
        ):
            with self.subTest(values), self.assertRaisesRegex(ValidationError, reason), self.cr.savepoint():
                self.automate(self.closed, trigger, **values)
            values = {"outcome": "won", **values}
            automation = self.automate(self.closed, trigger, **values, active=False)
            with self.subTest(values), self.assertRaisesRegex(ValidationError, reason), self.cr.savepoint():
                automation.active = True
        with self.assertRaisesRegex(ValidationError, "take Signed out"), self.cr.savepoint():
            self.automate(self.visit, "order_confirmed", from_stage_ids=signed.ids)

    def test_losing_brings_nobody_back(self):
        automation = self.automate(self.closed, "email_sent", is_lost_included=True)
        automation.outcome = "lost"
        self.assertFalse(automation.is_lost_included)
        with Form(self.automate(self.closed, "email_sent", is_lost_included=True)) as form:
            form.outcome = "lost"
        self.assertFalse(form.record.is_lost_included)

    def test_furthest_stage_wins(self):
        """A lost one is not moved on by those that come later; one that is left alone is."""
        self.automate_loss()
        self.automate(self.visit, "quotation_cancelled")
        lost, kept = self.create_lead(), self.create_lead()
        orders = self.create_order(lost) + self.create_order(kept)
        self.create_order(kept)
        orders._action_cancel()
        self.assertEqual((lost.stage_id, lost.won_status), (self.estimate, "lost"))
        self.assertEqual((kept.stage_id, kept.won_status), (self.visit, "pending"))

    def test_no_loop(self):
        """Losing plans or sends what it wants, it moves nothing."""
        self.automate_loss()
        Lead = type(self.env["crm.lead"])
        lose = Lead.action_set_lost

        def lose_and_plan(leads, **values):
            res = lose(leads, **values)
            leads.activity_schedule("crm_sales_stage.mail_activity_type_technical_visit")
            return res

        self.patch(Lead, "action_set_lost", lose_and_plan)
        lead = self.create_lead()
        self.create_order(lead)._action_cancel()
        self.assertTrue(lead.activity_ids)
        self.assertEqual(lead.stage_id, self.estimate)

    def test_existing_documents(self):
        self.env["sale.order"].search([]).opportunity_id = False
        leads = self.create_lead() + self.create_lead()
        orders = self.create_order(leads[0]) + self.create_order(leads[1])
        self.create_order(leads[1])
        orders._action_cancel()
        automation = self.automate_loss()
        self.assertEqual(automation._search_leads_to_move(), leads[0])
        automation.action_catch_up()
        self.assertEqual(leads.mapped("won_status"), ["lost", "pending"])

    def test_fails(self):
        """The sale goes through, the automation shows why."""
        automation = self.automate_loss()
        lead = self.create_lead()
        order = self.create_order(lead)
        Lead = type(self.env["crm.lead"])
        with (
            patch.object(Lead, "action_set_lost", side_effect=ValidationError("Not on Mondays")),
            mute_logger(LOGGER),
        ):
            order._action_cancel()
        self.assertEqual((order.state, lead.won_status), ("cancel", "pending"))
        self.assertIn("Not on Mondays", automation.fault)

    def test_batch(self):
        self.automate_loss()
        self.lose(1)  # warms the caches
        self.assertLessEqual(self.lose(20), self.lose(1) + 5)

    def lose(self, count):
        """:return: queries that losing ``count`` opportunities takes more than losing them by hand"""
        Mixin = type(self.env["crm.stage.trigger.mixin"])
        costs = []
        for is_heard in (False, True):
            leads = self.create_leads(count)
            orders = self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            if is_heard:
                orders._action_cancel()
            else:
                with patch.object(Mixin, "_get_heard_crm_stage_triggers", lambda records: frozenset()):
                    orders._action_cancel()
                    leads.action_set_lost(lost_reason_id=self.reason.id)
            self.env.flush_all()
            costs.append(self.env.cr.sql_log_count - before)
            self.assertEqual(set(leads.mapped("won_status")), {"lost"})
            self.pass_commit()
        return costs[1] - costs[0]


@tagged("post_install", "-at_install")
class TestOutcome(OutcomeCase):
    def test_proposed(self):
        for stage, trigger, outcome in (
            (self.closed, "quotation_cancelled", "lost"),
            (self.closed, "order_confirmed", "won"),
            (self.closed, "email_received", "won"),
            (self.visit, "quotation_cancelled", False),
        ):
            with self.subTest(stage=stage.name, trigger=trigger):
                self.assertEqual(self.automate(stage, trigger).outcome, outcome)

    def test_proposed_in_form(self):
        form = Form(self.automations.with_context(default_stage_id=self.closed.id))
        form.trigger = "order_confirmed"
        self.assertEqual(form.outcome, "won")
        form.trigger = "quotation_cancelled"
        self.assertEqual(form.outcome, "lost")
        form.lost_reason_id = self.reason
        form.outcome = "won"
        self.assertFalse(form.lost_reason_id)
        form.stage_id = self.visit
        self.assertFalse(form.outcome)
        form.stage_id = self.closed
        automation = form.save()
        self.assertEqual(automation.outcome, "lost")

    def test_follows_the_trigger_unless_chosen(self):
        automation = self.automate_loss()
        automation.trigger = "order_confirmed"
        self.assertEqual((automation.outcome, automation.lost_reason_id.id), ("won", False))
        automation.trigger = "email_sent"
        automation.write({"outcome": "lost", "lost_reason_id": self.reason.id})
        automation.trigger = "email_received"
        self.assertEqual((automation.outcome, automation.lost_reason_id), ("lost", self.reason))
        self.assertEqual(
            automation.with_user(self.env.ref("base.user_root")).action_server_id.crm_stage_outcome, "lost"
        )
        automation.stage_id = self.visit
        self.assertEqual((automation.outcome, automation.lost_reason_id.id), (False, False))

    def test_required_where_the_stage_asks(self):
        with self.assertRaisesRegex(ValidationError, "means won or lost"), self.env.cr.savepoint():
            self.automate(self.closed, "order_confirmed", outcome=False)
        automation = self.automate(self.closed, "order_confirmed")
        with self.assertRaisesRegex(ValidationError, "means won or lost"):
            automation.outcome = False

    def test_won_where_it_does_not_ask(self):
        signed = self.env["crm.stage"].create({"name": "Signed", "sequence": 60, "is_won": True})
        automation = self.automate(signed, "order_confirmed", outcome=False)
        self.assertEqual(automation.outcome, "won")
        automation.outcome = False
        self.assertEqual(automation.outcome, "won")
        lead = self.create_lead()
        self.env.ref("crm_sales_stage.automation_closed_order_confirmed").active = False
        self.create_order(lead).action_confirm()
        self.assertEqual((lead.stage_id, lead.won_status), (signed, "won"))

    def test_not_of_open_stages(self):
        with self.assertRaisesRegex(ValidationError, "no won stage"):
            self.automate(self.visit, "quotation_cancelled", outcome="lost")

    def test_reason_of_lost_ones_only(self):
        with self.assertRaisesRegex(ValidationError, "lost reason"):
            self.automate(self.closed, "order_confirmed", lost_reason_id=self.reason.id)

    def test_own_action(self):
        """Each automation has a server action of its own, which does what the automation says."""
        first, second = self.automate_loss(), self.automate_loss()
        self.assertNotEqual(first.action_server_id, second.action_server_id)
        action = first.action_server_id
        self.assertEqual(action.name, "Lose Opportunities: Too dear")
        first.lost_reason_id = False
        self.assertEqual((action.name, action.crm_lost_reason_id.id), ("Lose Opportunities", False))
        first.write({"outcome": "won", "trigger": "order_confirmed"})
        self.assertEqual((action.name, action.crm_stage_outcome), ("Move to Won / Lost", "won"))
        first.write({"stage_id": self.visit.id})
        self.assertEqual(first.action_server_id, action)
        self.assertEqual((action.crm_stage_id, action.crm_stage_outcome), (self.visit, False))
        first.unlink()
        self.assertFalse(action.exists())

    def test_deleted_action(self):
        automation = self.automate(self.visit, "quotation_sent")
        automation.action_server_id.unlink()
        lead = self.create_lead()
        self.env.ref("crm_sales_stage.automation_quotation_quotation_sent").active = False
        self.create_order(lead).action_quotation_sent()
        self.assertEqual(lead.stage_id, self.visit)
        self.assertTrue(automation.action_server_id)

    def test_sentences(self):
        automation = self.automate_loss()
        self.assertEqual(
            automation.name, "Lose the opportunity (Too dear) when a quotation or order is cancelled"
        )
        self.assertEqual(automation.event_text, "a quotation or order is cancelled: lost (Too dear)")
        automation.lost_reason_id = False
        automation.from_stage_ids = self.visit + self.quotation
        self.assertEqual(
            automation.name,
            'Lose the opportunity from "Technical Visit" or "Quotation" '
            "when a quotation or order is cancelled",
        )
        self.assertEqual(
            automation.event_text,
            'a quotation or order is cancelled, only from "Technical Visit" or "Quotation": lost',
        )
        won = self.automate(self.closed, "order_confirmed", filter_domain="[('amount_total', '>', 10000)]")
        self.assertEqual(
            won.name, 'Win the opportunity when an order is confirmed, if "Total" is greater than 10,000'
        )
        self.assertEqual(won.event_text, 'an order is confirmed, if "Total" is greater than 10,000: won')


@tagged("post_install", "-at_install")
class TestWonStage(OutcomeCase):
    """Stages that are won stages no more, or become some, and reasons that go."""

    def test_stage_is_won_no_more(self):
        lost, won = self.automate_loss(), self.automate(self.closed, "order_confirmed")
        self.env["crm.stage"].create({"name": "Signed", "sequence": 60, "is_won": True})
        lead = self.create_lead()
        order = self.create_order(lead)
        self.closed.is_won = False
        self.assertIn("no won stage any more", lost.fault)
        self.assertIn("no won stage any more", won.fault)
        with mute_logger(LOGGER):
            order._action_cancel()
        self.assertEqual((lead.stage_id, lead.won_status), (self.estimate, "pending"))
        self.assertIn("no won stage any more", lost.fault)
        lost.sequence = 3
        self.assertTrue(lost.fault, "that mends nothing")
        lost.outcome = False
        self.assertFalse(lost.fault, "from now on it moves them there")
        self.closed.is_won = True
        self.assertFalse(won.fault)

    def test_stage_becomes_won(self):
        self.env.ref("crm_sales_stage.automation_quotation_quotation_sent").active = False
        moving = self.automate(self.visit, "quotation_sent")
        cancelled = self.automate(self.visit, "quotation_cancelled")
        self.visit.is_won = True
        self.assertEqual((moving.outcome, moving.active), ("won", True))
        self.assertFalse(cancelled.active)
        self.assertIn("archived", cancelled.fault)
        self.assertEqual(cancelled.action_server_id.crm_stage_outcome, cancelled.outcome)
        lead = self.create_lead()
        self.create_order(lead).action_quotation_sent()
        self.assertEqual(lead.won_status, "won")
        cancelled.active = True
        self.assertFalse(cancelled.fault, "somebody has looked at it")

    def test_actions_of_stages(self):
        action = self.env.ref("crm_sales_stage.action_move_to_stage_technical_visit")
        self.visit.is_won = True
        self.assertEqual(action.crm_stage_outcome, "won")
        self.visit.is_won = False
        lead = self.create_lead()
        with self.assertRaisesRegex(UserError, "no won stage any more"):
            action.with_context(active_model="crm.lead", active_ids=lead.ids).run()

    def test_reason_is_deleted(self):
        automation = self.automate_loss()
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError), self.env.cr.savepoint():
            self.reason.unlink()
        automation.lost_reason_id = False
        self.reason.unlink()

    def test_reason_is_archived(self):
        self.automate_loss()
        self.reason.active = False
        lead = self.create_lead()
        self.create_order(lead)._action_cancel()
        self.assertEqual((lead.won_status, lead.lost_reason_id), ("lost", self.reason))


@tagged("post_install", "-at_install")
class TestOutcomeAction(OutcomeCase):
    """The server action alone, from Automation Rules, scheduled actions and the Action menu."""

    def create_action(self, **values):
        return self.env["ir.actions.server"].create(
            {
                "name": "Lose",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "state": "crm_stage",
                "crm_stage_id": self.closed.id,
                "crm_stage_outcome": "lost",
                "crm_lost_reason_id": self.reason.id,
                **values,
            }
        )

    def run_action(self, action, records):
        action.with_context(
            active_model=records._name, active_ids=records.ids, active_id=records.ids[0]
        ).run()

    def test_lost(self):
        leads = self.create_leads(3)
        self.create_order(leads[2])
        won = self.create_lead(stage_id=self.closed.id)
        self.run_action(self.create_action(), leads + won)
        self.assertEqual(leads.mapped("won_status"), ["lost", "lost", "pending"])
        self.assertEqual(leads[:2].lost_reason_id, self.reason)
        self.assertEqual(leads[0].stage_id, self.new)
        self.assertEqual(won.won_status, "won")

    def test_protected(self):
        """The action alone leaves those alone that have any quotation or order that is not cancelled."""
        leads = self.create_leads(5)
        orders = [self.create_order(lead) for lead in leads]
        for order, state in zip(orders, ("draft", "sent", "sale", "cancel", "sent"), strict=True):
            order.state = state
        orders[4].validity_date = "2020-01-01"
        leads.stage_id = self.visit
        self.run_action(self.create_action(), leads)
        self.assertEqual(leads.mapped("won_status"), ["pending"] * 3 + ["lost", "pending"])

    def test_quotation_of_somebody_else(self):
        """It counts, though whoever runs the action does not see it."""
        lead = self.create_lead()
        user = lead.user_id
        self.create_order(lead, user_id=self.manager.id)
        self.run_action(self.create_action().with_user(user), lead.with_user(user))
        self.assertEqual(lead.won_status, "pending")
        lead.order_ids._action_cancel()
        self.run_action(self.create_action().with_user(user), lead.with_user(user))
        self.assertEqual(lead.won_status, "lost")

    def test_of_documents(self):
        action = self.create_action(model_id=self.env["ir.model"]._get_id("sale.order"))
        lead = self.create_lead()
        order = self.create_order(lead)
        order._action_cancel()
        self.run_action(action, order)
        self.assertEqual(lead.won_status, "lost")

    def test_in_form(self):
        form = Form(self.env["ir.actions.server"])
        form.model_id = self.env["ir.model"]._get("crm.lead")
        form.state = "crm_stage"
        form.crm_stage_id = self.closed
        self.assertEqual((form.crm_stage_outcome, form.name), ("won", "Move to Won / Lost"))
        form.crm_stage_outcome = "lost"
        form.crm_lost_reason_id = self.reason
        self.assertEqual(form.name, "Lose Opportunities: Too dear")
        form.crm_stage_id = self.visit
        self.assertFalse(form.crm_stage_outcome)

    def test_bad_input(self):
        with self.assertRaisesRegex(ValidationError, "no won stage"):
            self.create_action(crm_stage_id=self.visit.id)
        with self.assertRaisesRegex(ValidationError, "means won or lost"):
            self.create_action(crm_stage_outcome=False, crm_lost_reason_id=False)

    def test_deleted_reason(self):
        action = self.create_action()
        self.reason.unlink()
        lead = self.create_lead()
        self.run_action(action, lead)
        self.assertEqual((lead.won_status, lead.lost_reason_id.id), ("lost", False))
