from datetime import datetime

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

    def test_applied_to_existing_documents(self):
        lead, _orders = self.create_quotations("2031-01-10")
        self.run_at(NOON)
        with self.at(NOON):
            self.losing.action_catch_up()
        self.assertEqual(lead.won_status, "lost")

    def test_beaten_by_one_that_waits_less(self):
        near = self.create_at(NOON, "no_news", self.estimate, days=10)
        far = self.create_at(NOON, "no_news", self.visit, days=10)
        self.assertEqual(near.beaten_by_id, far)
        for days, beaten_by in ((20, self.automations.browse()), (5, far)):
            far.days = days
            self.env.flush_all()
            near.invalidate_recordset(["beaten_by_id"])  # it depends on other automations
            self.assertEqual(near.beaten_by_id, beaten_by)
