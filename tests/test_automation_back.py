from datetime import timedelta

from odoo import Command
from odoo.tests import tagged

from .test_automation_due import NOON, DueCase
from .test_automation_outcome import OutcomeCase


@tagged("post_install", "-at_install")
class TestBackFromWon(OutcomeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automation = cls.automate(
            cls.quotation, "quotation_cancelled", from_stage_ids=[Command.set(cls.closed.ids)]
        )

    def confirm(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        order.action_confirm()
        self.pass_commit()
        self.assertEqual(lead.won_status, "won")
        return lead, order

    def test_order_cancelled_after_confirmation(self):
        lead, order = self.confirm()
        order._action_cancel()
        self.assertEqual((lead.stage_id, lead.won_status, lead.active), (self.quotation, "pending", True))
        self.assertEqual((lead.probability, lead.automated_probability), (75, 75))
        self.assertFalse(lead.date_closed)
        self.assertIn('is cancelled, only from "Won / Lost"', self.get_tracking_message(lead).body.unescape())
        self.assertFalse(self.automation.fault)

    def test_predictive_stage(self):
        self.quotation.probability_mode = "predictive"
        lead, order = self.confirm()
        order._action_cancel()
        self.assertEqual((lead.stage_id, lead.won_status), (self.quotation, "pending"))
        self.assertLess(lead.probability, 100)
        self.assertEqual(lead.probability, lead.automated_probability)

    def test_automatic_move(self):
        lead, order = self.confirm()
        order._action_cancel()
        stays = self.read_stays(lead)
        self.assertEqual(stays[-1], (self.quotation, "open", "automation"))

    def test_archived_ones_are_left_alone(self):
        lead, order = self.confirm()
        lead.active = False
        order._action_cancel()
        self.assertEqual((lead.stage_id, lead.active), (self.closed, False))

    def test_not_without_naming_them(self):
        self.automation.from_stage_ids = False
        lead, order = self.confirm()
        order._action_cancel()
        self.assertEqual((lead.stage_id, lead.won_status), (self.closed, "won"))

    def test_not_of_other_stages(self):
        self.automation.from_stage_ids = self.visit
        lead, order = self.confirm()
        order._action_cancel()
        self.assertEqual(lead.won_status, "won")

    def test_existing_documents(self):
        self.automation.active = False
        lead, order = self.confirm()
        order._action_cancel()
        self.automation.active = True
        self.assertIn(lead, self.automation._search_leads_to_move())
        self.automation.action_catch_up()
        self.assertEqual((lead.stage_id, lead.won_status), (self.quotation, "pending"))

    def test_orders_hold_it(self):
        """It stays won while an order stands, whatever happens, and the preview says the same."""
        self.automation.active = False
        states = {"sale": True, "draft": False, "sent": False, "cancel": False}
        leads = self.create_leads(2 * len(states))
        orders = self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])
        orders.action_confirm()
        others = self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])
        for index, state in enumerate(states):
            others[2 * index : 2 * index + 2].state = state
        self.pass_commit()
        self.assertEqual(set(leads.mapped("won_status")), {"won"})
        before, after = leads[::2], leads[1::2]
        for trigger in ("quotation_cancelled", "quotation_created", "activity_done", "email_received"):
            with self.going_back():
                for lead, order in zip(before, orders[::2], strict=True):
                    self.act(trigger, lead, order)
                automation = self.automate(
                    self.quotation, trigger, from_stage_ids=[Command.set(self.closed.ids)]
                )
                found = automation._search_leads_to_move()
                for lead, order in zip(after, orders[1::2], strict=True):
                    self.act(trigger, lead, order)
                for old, lead, (state, kept) in zip(before, after, states.items(), strict=True):
                    with self.subTest(trigger, state=state):
                        self.assertEqual(found & (old + lead), old.browse() if kept else old)
                        self.assertEqual(lead.won_status, "won" if kept else "pending")

    def act(self, trigger, lead, order):
        """Cancel the order that won the opportunity, then let happen what the trigger listens to."""
        order._action_cancel()
        if trigger == "quotation_created":
            self.create_order(lead)
        elif trigger == "activity_done":
            lead.activity_schedule("mail.mail_activity_data_call").action_feedback()
        elif trigger == "email_received":
            lead.message_post(body="No", message_type="email", author_id=self.partner.id)

    def test_one_of_several_orders(self):
        """The last order that is cancelled takes it back; a rejected alternative does not."""
        lead, order = self.confirm()
        other, rejected = self.create_order(lead), self.create_order(lead)
        other.action_confirm()
        for cancelled in (rejected, order):
            cancelled._action_cancel()
            self.assertEqual(lead.won_status, "won")
        other._action_cancel()
        self.assertEqual((lead.stage_id, lead.won_status), (self.quotation, "pending"))

    def test_order_of_somebody_else(self):
        """Whoever cancels need not see it."""
        lead, order = self.confirm()
        self.create_order(lead, user_id=self.manager.id).action_confirm()
        order.user_id = lead.user_id
        order.with_user(lead.user_id)._action_cancel()
        self.assertEqual(lead.won_status, "won")

    def test_cancelled_together(self):
        lead, order = self.confirm()
        other = self.create_order(lead)
        other.action_confirm()
        (order + other)._action_cancel()
        self.assertEqual(lead.won_status, "pending")

    def test_many_at_once(self):
        costs = []
        for count in (1, 20):
            leads = self.create_leads(count)
            orders = self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])
            self.env["sale.order"].create([self.get_order_values(lead, state="sale") for lead in leads[1:]])
            orders.action_confirm()
            self.pass_commit()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            orders._trigger_crm_stage("quotation_cancelled")
            costs.append(self.env.cr.sql_log_count - before)
        self.assertLessEqual(costs[1], costs[0] + 2)

    def test_between_won_stages(self):
        signed = self.env["crm.stage"].create({"name": "Signed", "sequence": 60, "is_won": True})
        self.automate(signed, "activity_done", from_stage_ids=[Command.set(self.closed.ids)])
        lead, _order = self.confirm()
        lead.activity_schedule("mail.mail_activity_data_call").action_feedback()
        self.assertEqual((lead.stage_id, lead.won_status), (signed, "won"))


@tagged("post_install", "-at_install")
class TestBackFromLost(OutcomeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env.ref("crm_sales_stage.automation_estimate_quotation_created").is_lost_included = True

    def create_lost(self, stage, **values):
        lead = self.create_lead(stage_id=stage.id, **values)
        lead.action_set_lost(lost_reason_id=self.reason.id)
        self.pass_commit()
        return lead

    def test_new_quotation(self):
        lead = self.create_lost(self.new)
        order = self.create_order(lead)
        self.assertEqual((lead.stage_id, lead.won_status, lead.active), (self.estimate, "pending", True))
        self.assertEqual((lead.probability, lead.automated_probability), (25, 25))
        self.assertFalse(lead.lost_reason_id)
        message = self.get_tracking_message(lead)
        self.assertIn("lost ones too", message.body)
        self.assertIn(order.name, message.body)
        self.assertIn("lost_reason_id", message.tracking_value_ids.field_id.mapped("name"))

    def test_automatic_move(self):
        lead = self.create_lost(self.new)
        self.create_order(lead)
        self.assertEqual(
            self.read_stays(lead)[-2:],
            [(self.new, "restored", "created"), (self.estimate, "open", "automation")],
        )

    def test_where_they_are(self):
        """Never moved back: one that was lost in this stage or a later one is restored there."""
        for stage in (self.estimate, self.quotation):
            for mode in ("fixed", "predictive"):
                stage.probability_mode = mode
                with self.subTest(stage=stage.name, mode=mode):
                    lead = self.create_lost(stage)
                    order = self.create_order(lead)
                    self.assertEqual((lead.stage_id, lead.won_status), (stage, "pending"))
                    self.assertFalse(lead.lost_reason_id)
                    self.assertGreater(lead.probability, 0)
                    self.assertEqual(lead.probability, lead.automated_probability)
                    self.assertEqual(self.read_stays(lead)[-1], (stage, "open", "automation"))
                    bodies = "".join(lead.message_ids.mapped("body"))
                    self.assertIn(order.name, bodies, "the chatter says so")

    def test_of_named_stages(self):
        automation = self.env.ref("crm_sales_stage.automation_estimate_quotation_created")
        automation.from_stage_ids = self.quotation
        back, other = self.create_lost(self.quotation), self.create_lost(self.new)
        self.create_order(back)
        self.create_order(other)
        self.assertEqual((back.stage_id, back.won_status), (self.estimate, "pending"))
        self.assertEqual((other.stage_id, other.won_status), (self.new, "lost"))

    def test_won(self):
        automation = self.env.ref("crm_sales_stage.automation_closed_order_confirmed")
        automation.is_lost_included = True
        lead = self.create_lost(self.new)
        order = self.create_order(lead)
        lead.action_set_lost(lost_reason_id=self.reason.id)
        order.action_confirm()
        self.assertEqual((lead.stage_id, lead.won_status, lead.probability), (self.closed, "won", 100))
        self.assertFalse(lead.lost_reason_id)

    def test_archived_ones_are_left_alone(self):
        lead = self.create_lead()
        lead.active = False
        self.create_order(lead)
        self.assertEqual((lead.stage_id, lead.active, lead.won_status), (self.new, False, "pending"))

    def test_not_without_the_tick(self):
        self.env.ref("crm_sales_stage.automation_estimate_quotation_created").is_lost_included = False
        lead = self.create_lost(self.new)
        self.create_order(lead)
        self.assertEqual((lead.stage_id, lead.won_status), (self.new, "lost"))
        self.assertEqual(lead.lost_reason_id, self.reason)

    def test_leads_and_other_teams(self):
        """They are no opportunities of this stage, lost or not."""
        self.estimate.team_ids = self.env["crm.team"].create({"name": "Windows"})
        lead = self.create_lost(self.new)
        self.create_order(lead)
        self.assertEqual(lead.won_status, "lost")

    def test_many_at_once(self):
        costs = []
        for count in (1, 20):
            leads = self.create_leads(count)
            leads.action_set_lost(lost_reason_id=self.reason.id)
            self.pass_commit()
            self.env.invalidate_all()
            orders = self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])
            self.assertEqual(set(leads.mapped("won_status")), {"pending"})
            self.assertEqual(leads.stage_id, self.estimate)
            leads.action_set_lost()
            leads.stage_id = self.new
            self.pass_commit()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            orders._trigger_crm_stage("quotation_created")
            self.env.flush_all()
            costs.append(self.env.cr.sql_log_count - before)
            self.assertEqual(leads.stage_id, self.estimate)
        self.assertLessEqual(costs[1], costs[0] + 5)

    def test_existing_documents(self):
        automation = self.env.ref("crm_sales_stage.automation_estimate_quotation_created")
        automation.is_lost_included = False
        lead = self.create_lost(self.new)
        self.create_order(lead)
        self.assertNotIn(lead, automation._search_leads_to_move())
        automation.is_lost_included = True
        self.assertIn(lead, automation._search_leads_to_move())
        automation.action_catch_up()
        self.assertEqual((lead.stage_id, lead.won_status), (self.estimate, "pending"))


@tagged("post_install", "-at_install")
class TestNewerThanTheLoss(DueCase):
    """Of documents that exist already, only those newer than the loss bring a lost opportunity back."""

    def create_document(self, trigger, lead):
        """Let what the trigger listens to happen with a new document."""
        if trigger in ("quotation_created", "quotation_sent", "order_confirmed", "quotation_cancelled"):
            states = {"quotation_sent": "sent", "order_confirmed": "sale", "quotation_cancelled": "cancel"}
            self.create_order(lead).state = states.get(trigger, "draft")
        elif trigger == "quotation_expired":
            self.create_order(lead, validity_date=NOON.date() + timedelta(days=3))
        elif trigger.startswith("meeting"):
            self.create_meeting(lead, start=NOON + timedelta(days=3), stop=NOON + timedelta(days=4))
        elif trigger.startswith("activity"):
            activity = lead.activity_schedule("mail.mail_activity_data_call")
            if trigger == "activity_done":
                activity.action_feedback()
        elif trigger == "email_received":
            lead.message_post(body="Well", message_type="email", author_id=self.partner.id)
        elif trigger == "email_sent":
            lead.message_post(
                body="Well",
                message_type="comment",
                subtype_xmlid="mail.mt_comment",
                partner_ids=self.partner.ids,
            )

    def create_open(self):
        with self.at(NOON - timedelta(days=9)):
            return self.create_leads(3)

    def lose(self, trigger, leads):
        """The first one gets its document before it is lost, the second one afterwards, the third both."""
        old, new, both = leads
        with self.at(NOON - timedelta(days=2)):
            for lead in (old, both):
                self.create_document(trigger, lead)
        with self.at(NOON):
            leads.action_set_lost()
        with self.at(NOON + timedelta(days=2)):
            for lead in (new, both):
                self.create_document(trigger, lead)

    def test_applied_to_existing_documents(self):
        old, new, both = leads = self.create_open()
        for trigger in (
            "quotation_created",
            "quotation_sent",
            "order_confirmed",
            "quotation_cancelled",
            "quotation_expired",
            "meeting_scheduled",
            "meeting_over",
            "activity_planned",
            "activity_done",
            "email_received",
            "email_sent",
        ):
            with self.subTest(trigger), self.going_back():
                self.lose(trigger, leads)
                automation = self.create_at(NOON + timedelta(days=6), trigger, is_lost_included=True)
                with self.at(NOON + timedelta(days=6)):
                    found = automation._search_leads_to_move()
                    self.assertEqual(found & leads, new + both)
                    automation.action_catch_up()
                self.assertEqual((old.stage_id, old.won_status), (self.new, "lost"))
                self.assertEqual((new + both).mapped("won_status"), ["pending"] * 2)
                self.assertEqual((new + both).stage_id, self.visit)

    def test_in_time(self):
        for trigger in ("quotation_expired", "meeting_over"):
            with self.subTest(trigger):
                automation = self.create_at(NOON - timedelta(days=9), trigger, is_lost_included=True)
                old, new, both = leads = self.create_open()
                self.lose(trigger, leads)
                self.run_at(NOON + timedelta(days=6))
                self.assertEqual(old.won_status, "lost")
                self.assertEqual((new + both).stage_id, self.visit)
                automation.unlink()

    def test_deadline(self):
        """The opportunity itself is older than its loss: its date counts."""
        automation = self.create_at(NOON - timedelta(days=9), "deadline_passed", is_lost_included=True)
        before, after = (
            self.create_lead_at(NOON - timedelta(days=9), date_deadline=date)
            for date in ("2031-01-14", "2031-01-17")
        )
        with self.at(NOON):
            (before + after).action_set_lost()
        self.run_at(NOON + timedelta(days=6))
        self.assertEqual((before + after).mapped("won_status"), ["lost", "pending"])
        automation.unlink()

    def test_comes_to_match(self):
        """One that met the condition already when it was lost does not come to meet it."""
        lead = self.create_lead_at(NOON - timedelta(days=9), priority="3")
        with self.at(NOON):
            lead.action_set_lost()
        automation = self.create_at(
            NOON, "opportunity_matches", is_lost_included=True, filter_domain="[('priority', '=', '3')]"
        )
        with self.at(NOON):
            self.assertNotIn(lead, automation._search_leads_to_move())
            lead.priority = "1"
            lead.priority = "3"
        self.assertEqual((lead.stage_id, lead.won_status), (self.visit, "pending"))

    def test_happens_now(self):
        """What happens now is newer than the loss, however old its document is."""
        for trigger, act in (
            ("quotation_sent", lambda order: order.action_quotation_sent()),
            ("order_confirmed", lambda order: order.action_confirm()),
            ("quotation_cancelled", lambda order: order._action_cancel()),
        ):
            with self.subTest(trigger):
                automation = self.create_at(NOON - timedelta(days=9), trigger, is_lost_included=True)
                lead = self.create_lead_at(NOON - timedelta(days=9))
                with self.at(NOON - timedelta(days=2)):
                    order = self.create_order(lead)
                with self.at(NOON):
                    lead.action_set_lost()
                with self.at(NOON + timedelta(days=2)):
                    act(order)
                self.assertEqual((lead.stage_id, lead.won_status), (self.visit, "pending"))
                automation.unlink()

    def test_lost_while_the_job_waits(self):
        """One that is lost after it was to be moved by its document stays lost."""
        lead, other = self.create_lead_at(NOON), self.create_lead_at(NOON)
        with self.at(NOON):
            self.create_order(lead)
            self.create_order(other)
        automation = self.create_at(NOON, "quotation_created", is_lost_included=True)
        with self.at(NOON + timedelta(days=1)):
            automation._wait_to_apply(automation._get_documents_to_move(lead + other))
            lead.action_set_lost()
        with self.at(NOON + timedelta(days=2)):
            automation._make_moves(self.search_moves("waiting"), set())
        self.assertEqual((lead.won_status, other.stage_id), ("lost", self.visit))
