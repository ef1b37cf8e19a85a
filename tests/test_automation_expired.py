from datetime import datetime, timedelta

from odoo.tests import tagged

from .test_automation_due import NOON, DueCase


@tagged("post_install", "-at_install")
class TestExpired(DueCase):
    """A quotation that expires loses its opportunity, unless something of it is still open."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reason = cls.env["crm.lost.reason"].create({"name": "No answer"})
        cls.losing = cls.create_at(NOON, "quotation_expired", cls.closed, lost_reason_id=cls.reason.id)

    def create_quotations(self, *validity_dates):
        """:return: an opportunity with a quotation for each date, and its quotations"""
        lead = self.create_lead_at(NOON)
        orders = self.env["sale.order"]
        with self.at(NOON):
            for validity_date in validity_dates:
                orders += self.create_order(lead, validity_date=validity_date)
        return lead, orders

    def test_proposes_to_lose(self):
        self.assertEqual(self.losing.outcome, "lost")

    def test_lost_with_its_reason(self):
        lead, _orders = self.create_quotations("2031-01-20")
        stage = lead.stage_id
        moment = datetime(2031, 1, 20, 23)
        self.run_at(moment)
        self.assertEqual((lead.won_status, lead.lost_reason_id), ("lost", self.reason))
        self.assertEqual(lead.stage_id, stage, "it keeps its stage")
        self.assertFalse(self.losing.fault)

    def test_open_quotations_hold_it(self):
        """The last one that expires loses it."""
        lead, _orders = self.create_quotations("2031-01-20", "2031-01-25")
        self.run_at(datetime(2031, 1, 20, 23))
        self.assertEqual(lead.won_status, "pending")
        self.run_at(datetime(2031, 1, 25, 23))
        self.assertEqual(lead.won_status, "lost")

    def test_quotations_without_date_hold_it(self):
        lead, orders = self.create_quotations("2031-01-20", "2031-01-20")
        orders[1].validity_date = False
        self.run_at(datetime(2031, 1, 21, 23))
        self.assertEqual(lead.won_status, "pending")

    def test_orders_hold_it(self):
        lead, orders = self.create_quotations("2031-01-20", "2031-01-20")
        with self.at(NOON):
            orders[1].state = "sale"
        lead.stage_id = self.visit
        self.run_at(datetime(2031, 1, 20, 23))
        self.assertEqual(lead.won_status, "pending")

    def test_set_back_and_corrected(self):
        """A quotation that is queued, and is valid once more, holds its opportunity like any other."""
        lead, orders = self.create_quotations("2031-02-20", "2031-02-20")
        with self.at(NOON):
            orders.validity_date = "2031-01-10"
        with self.at(NOON):
            orders[1].validity_date = "2031-02-20"
        self.run_at(NOON + timedelta(hours=1))
        self.assertEqual(lead.won_status, "pending")

    def test_old_news_comes_along(self):
        """A quotation that has expired before it comes loses nobody; one whose date is set back does."""
        lead, _orders = self.create_quotations()
        old, other = self.create_lead_at(NOON), self.create_lead_at(NOON)
        with self.at(NOON):
            self.create_order(lead, validity_date="2031-01-10")
            unlinked = self.create_order(validity_date="2031-01-10")
            duplicate = self.create_order(old, validity_date="2031-01-10")
        with self.at(NOON):
            unlinked.opportunity_id = other
            merged = (self.create_lead(probability=90) + old).merge_opportunity()
        self.assertEqual(duplicate.opportunity_id, merged)
        self.run_at(NOON + timedelta(days=1))
        for kept in (lead, other, merged):
            self.assertEqual(kept.won_status, "pending")
        with self.at(NOON + timedelta(days=1)):
            duplicate.validity_date = "2031-01-11"
        self.run_at(NOON + timedelta(days=1, hours=1))
        self.assertEqual(merged.won_status, "lost")

    def test_applied_to_existing_documents(self):
        lead, _orders = self.create_quotations("2031-01-10")
        self.run_at(NOON)
        with self.at(NOON):
            self.losing.action_catch_up()
        self.assertEqual(lead.won_status, "lost")


@tagged("post_install", "-at_install")
class TestProtected(DueCase):
    """Which quotations and orders keep an opportunity from being lost, by every kind of trigger."""

    # Won or lost in the end, by the state of another quotation of the opportunity
    BY_QUOTATIONS = {
        "draft": "pending",
        "sent": "pending",
        "expired": "lost",
        "sale": "pending",
        "cancel": "lost",
    }
    BY_OTHERS = {"draft": "lost", "sent": "lost", "expired": "lost", "sale": "pending", "cancel": "lost"}

    TRIGGERS = {
        "quotation_cancelled": BY_QUOTATIONS,
        "quotation_expired": BY_QUOTATIONS,
        "meeting_scheduled": BY_OTHERS,
        "meeting_over": BY_OTHERS,
        "activity_planned": BY_OTHERS,
        "activity_done": BY_OTHERS,
        "email_received": BY_OTHERS,
        "opportunity_matches": BY_OTHERS,
        "stage_waiting": BY_OTHERS,
        "no_news": BY_OTHERS,
        "deadline_passed": BY_OTHERS,
    }

    def create_lead_with_order(self, state):
        lead = self.create_lead(date_deadline="2031-01-16")
        expired = {"validity_date": "2031-01-10"} if state == "expired" else {}
        order = self.create_order(lead, **expired)
        if state in ("sent", "sale", "cancel"):
            order.state = state
        return lead

    def act(self, trigger, lead):
        """Let happen what the trigger listens to, or what falls due a day later."""
        if trigger == "quotation_cancelled":
            self.create_order(lead)._action_cancel()
        elif trigger == "quotation_expired":
            self.create_order(lead, validity_date="2031-01-15")
        elif trigger.startswith("meeting"):
            self.create_meeting(lead, start=NOON, stop=NOON + timedelta(hours=1))
        elif trigger.startswith("activity"):
            activity = lead.activity_schedule("mail.mail_activity_data_call")
            if trigger == "activity_done":
                activity.action_feedback()
        elif trigger == "email_received":
            lead.message_post(body="No", message_type="email", author_id=self.partner.id)
        elif trigger == "opportunity_matches":
            lead.priority = "3"

    def create_losing(self, trigger, **values):
        if trigger == "opportunity_matches":
            values["filter_domain"] = "[('priority', '=', '3')]"
        days = int(trigger in ("stage_waiting", "no_news"))
        return self.create_at(NOON, trigger, self.closed, outcome="lost", days=days, **values)

    def test_when_it_happens(self):
        for trigger, expected in self.TRIGGERS.items():
            automation = self.create_losing(trigger)
            with self.at(NOON):
                leads = {state: self.create_lead_with_order(state) for state in expected}
            with self.at(NOON):
                for lead in leads.values():
                    self.act(trigger, lead)
            self.run_at(NOON + timedelta(days=3))
            with self.subTest(trigger):
                self.assertEqual({state: lead.won_status for state, lead in leads.items()}, expected)
                self.assertFalse(automation.fault)
            automation.unlink()

    def test_applied_to_existing_documents(self):
        """The preview names those that are lost then."""
        for trigger, expected in self.TRIGGERS.items():
            with self.at(NOON):
                leads = {state: self.create_lead_with_order(state) for state in expected}
                for lead in leads.values():
                    self.act(trigger, lead)
            automation = self.create_losing(trigger)
            with self.subTest(trigger), self.at(NOON + timedelta(days=3)):
                found = automation._search_leads_to_move()
                named = {state: "lost" if lead in found else "pending" for state, lead in leads.items()}
                self.assertEqual(named, expected)
                automation.action_catch_up()
                self.assertEqual({state: lead.won_status for state, lead in leads.items()}, expected)
            automation.unlink()

    def test_expired_and_cancelled(self):
        """The last one loses, in whatever order quotations expire and are cancelled."""
        for trigger in ("quotation_expired", "quotation_cancelled"):
            self.create_losing(trigger)
        for ends in ("expire cancel", "cancel expire", "expire expire cancel", "expire cancel expire"):
            lead, moment = self.create_lead_at(NOON), NOON
            with self.at(NOON):
                # Each expires a day after the one before, if nobody cancels it on that day.
                orders = [
                    self.create_order(lead, validity_date=NOON.date() + timedelta(days=day))
                    for day, _end in enumerate(ends.split())
                ]
            for order, end in zip(orders, ends.split(), strict=True):
                with self.subTest(ends, order=orders.index(order)):
                    self.assertEqual(lead.won_status, "pending")
                if end == "cancel":
                    with self.at(moment):
                        order._action_cancel()
                moment += timedelta(days=1)
                self.run_at(moment)
            with self.subTest(ends):
                self.assertEqual(lead.won_status, "lost")
