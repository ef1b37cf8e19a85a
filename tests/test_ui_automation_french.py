from datetime import timedelta

from odoo import fields
from odoo.tests import tagged

from .test_automation_due import DueCase
from .test_ui_automation_screens import ScreensCase


@tagged("post_install", "-at_install")
class TestFrenchManager(ScreensCase, DueCase):
    """A sales manager without technical rights sets up two automations in French, and they work."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"]._activate_lang("fr_FR")
        cls.screen_manager.lang = "fr_FR"
        cls.reason = cls.env["crm.lost.reason"].create({"name": "Sans réponse"})

    @classmethod
    def stop_clock(cls):
        """Only after the browser, which needs its time."""

    def test_no_news_and_expired(self):
        self.assertFalse(self.screen_manager.has_group("base.group_system"))
        self.start_tour("/odoo", "crm_sales_stage_automation_french", login="screen_manager")
        no_news, expired = self.automations.search([], order="id")
        self.assertEqual((no_news.create_uid, expired.create_uid), (self.screen_manager, self.screen_manager))
        self.assertEqual((no_news.stage_id, no_news.trigger, no_news.days), (self.relance, "no_news", 10))
        self.assertTrue(no_news.is_working_days, "which the form proposes")
        no_news.is_working_days = False  # for a test of any day of the year
        self.assertEqual(
            (expired.stage_id, expired.trigger, expired.days), (self.closed, "quotation_expired", 0)
        )
        self.assertEqual((expired.outcome, expired.lost_reason_id), ("lost", self.reason))
        now = fields.Datetime.now()
        DueCase.stop_clock.__func__(type(self))
        self.check_no_news(now)
        self.check_expired(now + timedelta(days=30))

    def check_no_news(self, now):
        """After ten days, not a minute earlier."""
        lead = self.create_lead_at(now)
        self.assert_falls_due(now + timedelta(days=10), lead, self.relance)
        self.assertEqual(lead.won_status, "pending")

    def check_expired(self, now):
        """The opportunity is lost, with the reason, when its quotation has expired."""
        lead = self.create_lead_at(now)
        with self.at(now):
            self.create_order(lead, validity_date=now + timedelta(days=5))
        self.run_at(now + timedelta(days=4))
        self.assertEqual(lead.won_status, "pending")
        self.run_at(now + timedelta(days=7))
        self.assertEqual((lead.won_status, lead.lost_reason_id), ("lost", self.reason))
