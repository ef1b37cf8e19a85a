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

    def create_leads_with_orders(self):
        """:return: opportunities by trigger and state of their quotation; their names are their triggers"""
        keys = [(trigger, state) for trigger, expected in self.TRIGGERS.items() for state in expected]
        with self.at(NOON):
            leads = self.create_leads(
                len(keys), user_id=self.salesperson.id, date_deadline=NOON.date() + timedelta(days=1)
            )
            for (trigger, _state), lead in zip(keys, leads, strict=True):
                lead.name = trigger
            expired = {"validity_date": "2031-01-10"}
            states = {lead: state for (_trigger, state), lead in zip(keys, leads, strict=True)}
            orders = self.env["sale.order"].create(
                [
                    self.get_order_values(lead, **(expired if state == "expired" else {}))
                    for lead, state in states.items()
                ]
            )
            for order, state in zip(orders, states.values(), strict=True):
                if state in ("sent", "sale", "cancel"):
                    order.state = state
        return dict(zip(keys, leads, strict=True))

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

    def create_losing(self, trigger, condition=()):
        days = int(trigger in ("stage_waiting", "no_news"))
        values = {"outcome": "lost", "days": days, "filter_domain": repr([*condition])}
        return self.create_at(NOON, trigger, self.closed, **values)

    def create_losing_its_own(self, trigger):
        """:return: an automation that sees the opportunities that are named like its trigger"""
        path = "opportunity_id.name"
        if trigger in self.env["crm.lead"]._get_crm_stage_triggers():
            path = "name"
        elif trigger.startswith("activity"):
            path = "crm_stage_lead_id.name"
        matches = [("priority", "=", "3")] if trigger == "opportunity_matches" else []
        return self.create_losing(trigger, [(path, "=", trigger), *matches])

    def assert_protected(self, automation, outcomes):
        """:param outcomes: won or lost, by trigger and state of the quotation"""
        trigger = automation.trigger
        expected = self.TRIGGERS[trigger]
        self.assertEqual({state: outcomes[trigger, state] for state in expected}, expected)
        self.assertFalse(automation.fault)

    def test_when_it_happens(self):
        automations = [self.create_losing_its_own(trigger) for trigger in self.TRIGGERS]
        leads = self.create_leads_with_orders()
        with self.at(NOON):
            for (trigger, _state), lead in leads.items():
                self.act(trigger, lead)
        self.run_at(NOON + timedelta(days=3))
        outcomes = {key: lead.won_status for key, lead in leads.items()}
        for automation in automations:
            with self.subTest(automation.trigger):
                self.assert_protected(automation, outcomes)

    def test_applied_to_existing_documents(self):
        """The preview names those that are lost then."""
        leads = self.create_leads_with_orders()
        with self.at(NOON):
            for (trigger, _state), lead in leads.items():
                self.act(trigger, lead)
        for trigger in self.TRIGGERS:
            automation = self.create_losing_its_own(trigger)
            with self.subTest(trigger), self.at(NOON + timedelta(days=3)):
                found = automation._search_leads_to_move()
                named = {key: "lost" if lead in found else "pending" for key, lead in leads.items()}
                self.assert_protected(automation, named)
                automation.action_catch_up()
                self.assert_protected(automation, {key: lead.won_status for key, lead in leads.items()})

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
