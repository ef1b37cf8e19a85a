from datetime import datetime, timedelta
from unittest.mock import patch

from odoo import Command, fields
from odoo.exceptions import ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from odoo.addons.crm_sales_stage.models.automation import crm_stage_automation

from ..tools import ON
from .common_automation import AutomationCase

LOGGER = "odoo.addons.crm_sales_stage.models.automation.crm_stage_automation"
MINUTE = timedelta(minutes=1)

# A Wednesday, in winter: Brussels is an hour ahead of UTC, Tokyo nine, New York five behind.
NOON = datetime(2031, 1, 15, 12)


class DueCase(AutomationCase):
    """Time is told by the test, to Python and to the database."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stop_clock()
        cls.automations.search([]).active = False
        cls.env.company.partner_id.tz = "Europe/Brussels"

    @classmethod
    def at(cls, moment):
        return cls.at_moment(moment)

    @classmethod
    def create_at(cls, moment, trigger, stage=None, **values):
        with cls.at(moment):
            return cls.create_automation(stage or cls.visit, trigger, **values)

    @classmethod
    def create_lead_at(cls, moment, **values):
        with cls.at(moment):
            return cls.create_lead(**values)

    def run_at(self, moment, seconds_left=60):
        """Run the scheduled job, which may commit, without a commit."""
        with (
            self.at(moment),
            patch.object(
                type(self.env["ir.cron"]), "_commit_progress", return_value=seconds_left
            ) as progress,
        ):
            self.env.flush_all()
            self.automations._cron_due()
        return progress

    def assert_falls_due(self, moment, lead, stage=None):
        """It moves then, not a minute earlier."""
        before = lead.stage_id
        self.run_at(moment - MINUTE)
        self.assertEqual(lead.stage_id, before, "a minute too early")
        self.run_at(moment)
        self.assertEqual(lead.stage_id, stage or self.visit)


@tagged("post_install", "-at_install")
class TestDueTriggers(DueCase):
    def test_stage_waiting(self):
        self.create_at(NOON, "stage_waiting", days=10)
        lead = self.create_lead_at(NOON)
        self.assert_falls_due(NOON + timedelta(days=10), lead)

    def test_stage_waiting_counts_from_the_last_move(self):
        self.create_at(NOON, "stage_waiting", days=10)
        lead = self.create_lead_at(NOON)
        with self.at(NOON + timedelta(days=4)):
            lead.stage_id = self.estimate
        self.run_at(NOON + timedelta(days=10))
        self.assertEqual(lead.stage_id, self.estimate)
        self.assert_falls_due(NOON + timedelta(days=14), lead)

    def test_stage_waiting_counts_from_the_restoring(self):
        self.create_at(NOON, "stage_waiting", days=10)
        lead = self.create_lead_at(NOON)
        with self.at(NOON + timedelta(days=1)):
            lead.action_set_lost()
        self.run_at(NOON + timedelta(days=11))
        self.assertEqual(lead.stage_id, self.new)
        with self.at(NOON + timedelta(days=12)):
            lead.action_restore()
        self.assert_falls_due(NOON + timedelta(days=22), lead)

    def test_stage_waiting_from_one_stage(self):
        self.create_at(NOON, "stage_waiting", self.estimate, days=3, from_stage_ids=self.quotation.ids)
        lead, other = self.create_lead_at(NOON), self.create_lead_at(NOON, stage_id=self.quotation.id)
        self.run_at(NOON + timedelta(days=3))
        self.assertEqual((lead + other).mapped("stage_id"), self.new + self.estimate)

    def test_no_news(self):
        self.create_at(NOON, "no_news", days=10)
        lead = self.create_lead_at(NOON)
        self.assert_falls_due(NOON + timedelta(days=10), lead)

    def test_news(self):
        """Each kind of it begins the waiting anew, once."""

        def post(**values):
            return lambda lead: lead.message_post(body="Hello", **values)

        def get_done(lead):
            lead.activity_schedule("mail.mail_activity_data_call", user_id=self.manager.id).action_done()

        def send(lead):
            mail = {"model": "crm.lead", "res_id": lead.id, "email_to": "customer@example.com"}
            self.env["mail.mail"].create({**mail, "message_type": "email_outgoing"})

        def receive(lead):
            order = self.env["sale.order"].search([("opportunity_id", "=", lead.id)])
            message = order.message_post(body="Hello", subtype_xmlid="mail.mt_comment")
            self.receive(message, date="Fri, 01 Jan 2010 00:00:00 +0000")

        def meet(lead):
            meeting = {"name": "Visit", "opportunity_id": lead.id}
            self.env["calendar.event"].create(
                {**meeting, "start": NOON + timedelta(days=1), "stop": NOON + timedelta(days=4)}
            )

        def of_quotation(happen):
            return lambda lead: happen(self.env["sale.order"].search([("opportunity_id", "=", lead.id)]))

        self.create_at(NOON, "no_news", days=10)
        news = {
            "SMS": post(message_type="sms", subtype_xmlid="mail.mt_note"),
            "meeting": meet,
            "message on the quotation": of_quotation(
                post(message_type="comment", subtype_xmlid="mail.mt_comment")
            ),
            "SMS on the quotation": of_quotation(post(message_type="sms", subtype_xmlid="mail.mt_note")),
            "activity of the quotation": of_quotation(get_done),
            "answer to the quotation, by a wrong clock": receive,
            "message": post(message_type="comment", subtype_xmlid="mail.mt_comment"),
            "sent by code": post(subtype_xmlid="mail.mt_comment"),
            "e-mail received": post(
                message_type="email", subtype_xmlid="mail.mt_comment", email_from="customer@example.com"
            ),
            "e-mail sent": send,
            "activity": get_done,
            "move": lambda lead: lead.write({"stage_id": self.estimate.id}),
        }
        leads = {what: self.create_lead_at(NOON) for what in news}
        with self.at(NOON):
            for lead in leads.values():
                self.create_order(lead)
        with self.at(NOON + timedelta(days=4)):
            for what, happen in news.items():
                happen(leads[what])
        self.run_at(NOON + timedelta(days=10))
        self.run_at(NOON + timedelta(days=14) - MINUTE)
        for what, lead in leads.items():
            with self.subTest(what):
                self.assertNotEqual(lead.stage_id, self.visit)
        self.run_at(NOON + timedelta(days=14))
        for what, lead in leads.items():
            with self.subTest(what):
                self.assertEqual(lead.stage_id, self.visit)

    def receive(self, message, date):
        """:param str date: what the sender's clock says"""
        with mute_logger("odoo.addons.mail.models.mail_thread"):
            self.env["mail.thread"].message_process(
                "crm.lead",
                f"""From: customer@example.com
To: sales@example.com
Subject: Re: House
Date: {date}
Message-Id: <{message.id}.{message.model}@example.com>
In-Reply-To: {message.message_id}
Content-Type: text/plain

Thank you.""",
            )

    def test_clocks(self):
        """E-mails count by when they came in, whatever their sender's clock says."""
        self.create_at(NOON, "no_news", days=10)
        dates = ("Fri, 01 Jan 2010 00:00:00 +0000", "Tue, 13 Jan 2032 00:00:00 +0000", "yesterday")
        leads = {date: self.create_lead_at(NOON) for date in dates}
        with self.at(NOON + timedelta(days=4)):
            for date, lead in leads.items():
                self.receive(lead.message_post(body="Hello", subtype_xmlid="mail.mt_note"), date)
        self.run_at(NOON + timedelta(days=14) - MINUTE)
        self.assertEqual({lead.stage_id for lead in leads.values()}, {self.new})
        self.run_at(NOON + timedelta(days=14))
        self.assertEqual({lead.stage_id for lead in leads.values()}, {self.visit})

    def test_planned(self):
        """What is planned keeps an opportunity from being silent, until its day has passed in Brussels."""
        self.create_at(NOON, "no_news", days=2)
        by_lead, by_order = self.create_lead_at(NOON), self.create_lead_at(NOON)
        done, meeting = self.create_lead_at(NOON), self.create_lead_at(NOON)
        call = ("mail.mail_activity_data_call",)
        with self.at(NOON):
            order = self.create_order(by_order)
            for record in (by_lead, order, done):
                record.activity_schedule(*call, date_deadline="2031-01-20", user_id=self.manager.id)
            self.create_meeting(meeting, start="2031-01-20 09:00:00", stop="2031-01-20 10:00:00")
            cancelled = self.create_meeting(done, start="2031-01-20 09:00:00", stop="2031-01-20 10:00:00")
            cancelled.active = False
            done.activity_ids.action_done()
        leads = by_lead + by_order + meeting
        self.run_at(NOON + timedelta(days=2) - MINUTE)
        self.assertEqual(done.stage_id, self.new)
        self.run_at(NOON + timedelta(days=2))
        self.assertEqual(done.stage_id, self.visit)
        self.run_at(datetime(2031, 1, 20, 23) - MINUTE)
        self.assertEqual(leads.stage_id, self.new)
        self.run_at(datetime(2031, 1, 20, 23))
        self.assertEqual(leads.mapped("stage_id"), self.visit + self.new)
        self.assertEqual(meeting.stage_id, self.new, "two days after its end")
        self.assert_falls_due(datetime(2031, 1, 22, 10), meeting)

    def test_planned_where_the_company_is(self):
        """Days end there."""
        automation = self.create_at(NOON, "no_news", days=2)
        leads = {}
        for zone, end in (("Asia/Tokyo", 15), ("Europe/Brussels", 23), ("America/New_York", 29)):
            company = self.env["res.company"].create({"name": zone})
            company.partner_id.tz = zone
            values = {"company_id": company.id, "partner_id": False, "user_id": False, "team_id": False}
            lead = self.create_lead_at(NOON, **values)
            leads[lead] = datetime(2031, 1, 20) + timedelta(hours=end)
            with self.at(NOON):
                lead.activity_schedule("mail.mail_activity_data_call", date_deadline="2031-01-20")
        for lead, end in leads.items():
            with self.at(end - MINUTE):
                self.assertFalse(automation._search_leads_to_move() & lead)
            with self.at(end):
                self.assertEqual(automation._search_leads_to_move() & lead, lead)
            self.assert_falls_due(end, lead)

    def test_taken_back_with_something_planned(self):
        """What keeps it from being silent when it is taken back does not move it twice."""
        self.create_at(NOON, "no_news", days=2)
        lead = self.create_lead_at(NOON)
        with self.at(NOON):
            lead.activity_schedule("mail.mail_activity_data_call", date_deadline="2031-01-20")
        self.assert_falls_due(datetime(2031, 1, 20, 23), lead)
        with self.at(datetime(2031, 1, 20, 23, 30)):
            lead.stage_id = self.new
        self.assert_falls_due(datetime(2031, 1, 22, 23, 30), lead)

    def test_won_and_lost(self):
        """A won one waits since it was won, a lost one since it was lost; news of it counts."""
        signed = self.env["crm.stage"].create({"name": "Signed", "sequence": 60, "is_won": True})
        origins = [Command.set((self.estimate + signed).ids)]
        self.create_at(NOON, "stage_waiting", days=5, from_stage_ids=origins, is_lost_included=True)
        self.create_at(NOON, "no_news", self.quotation, days=9, from_stage_ids=origins, is_lost_included=True)
        won, lost = (self.create_lead_at(NOON, stage_id=self.estimate.id) for _number in range(2))
        with self.at(NOON + timedelta(days=2)):
            won.stage_id = signed
            lost.action_set_lost()
        self.run_at(NOON + timedelta(days=7) - MINUTE)
        self.assertEqual((won.stage_id, lost.stage_id), (signed, self.estimate))
        self.run_at(NOON + timedelta(days=7))
        self.assertEqual((won + lost).stage_id, self.visit)
        self.assertEqual((won + lost).mapped("won_status"), ["pending", "pending"])
        with self.at(NOON + timedelta(days=7)):
            self.automations.search([("trigger", "=", "stage_waiting")]).active = False
            won.stage_id = signed
            lost.stage_id = self.estimate
            lost.action_set_lost()
        with self.at(NOON + timedelta(days=8)):
            for lead in won + lost:
                lead.message_post(body="Hi", message_type="comment", subtype_xmlid="mail.mt_comment")
        self.run_at(NOON + timedelta(days=17) - MINUTE)
        self.assertEqual((won.stage_id, lost.stage_id), (signed, self.estimate))
        self.run_at(NOON + timedelta(days=17))
        self.assertEqual((won + lost).stage_id, self.quotation)

    def test_no_news_at_all(self):
        """Notes are for colleagues, changes are nobody's message, and a machine that answers has no news."""
        self.create_at(NOON, "no_news", days=10)
        lead = self.create_lead_at(NOON)
        with self.at(NOON + timedelta(days=4)):
            lead.message_post(body="Note", message_type="comment", subtype_xmlid="mail.mt_note")
            lead.message_post(
                body="Away",
                message_type="email",
                subtype_xmlid="mail.mt_comment",
                crm_stage_is_automatic=True,
            )
            lead.message_post(body="Away", message_type="out_of_office", subtype_xmlid="mail.mt_comment")
            lead.write({"expected_revenue": 7, "user_id": self.manager.id})
            lead.activity_schedule("mail.mail_activity_data_call", user_id=self.manager.id)
            self.create_meeting(lead, start="2031-01-19 14:00:00", stop="2031-01-19 15:00:00").active = False
            order = self.create_order(lead)
            order.message_post(body="Note", message_type="comment", subtype_xmlid="mail.mt_note")
            order.write({"state": "sent"})
            self.partner.message_post(body="Hello", message_type="comment", subtype_xmlid="mail.mt_comment")
        self.assert_falls_due(NOON + timedelta(days=10), lead)

    def test_news_in_time(self):
        """News on the last day, and right after the job."""
        self.create_at(NOON, "no_news", days=10)
        lead = self.create_lead_at(NOON)
        for day in (9, 18, 27):
            with self.at(NOON + timedelta(days=day)):
                lead.message_post(body="Hi", message_type="comment", subtype_xmlid="mail.mt_comment")
            self.run_at(NOON + timedelta(days=day + 5))
            self.assertEqual(lead.stage_id, self.new)
        self.assert_falls_due(NOON + timedelta(days=37), lead)

    def test_deadline_passed(self):
        """The day counts until its midnight in Brussels."""
        self.create_at(NOON, "deadline_passed")
        lead = self.create_lead_at(NOON, date_deadline="2031-01-20")
        self.assert_falls_due(datetime(2031, 1, 20, 23), lead)

    def test_quotation_expired(self):
        self.create_at(NOON, "quotation_expired", days=2)
        lead = self.create_lead_at(NOON)
        with self.at(NOON):
            self.create_order(lead, validity_date="2031-01-20")
        self.assert_falls_due(datetime(2031, 1, 22, 23), lead)

    def test_only_quotations_expire(self):
        self.create_at(NOON, "quotation_expired")
        leads = self.env["crm.lead"]
        for state in ("draft", "sent", "sale", "cancel"):
            lead = self.create_lead_at(NOON)
            with self.at(NOON):
                self.create_order(lead, validity_date="2031-01-20").state = state
            leads += lead
        self.run_at(NOON + timedelta(days=6))
        self.assertEqual(leads.filtered(lambda lead: lead.stage_id == self.visit), leads[:2])

    def test_meeting_over(self):
        self.create_at(NOON, "meeting_over", filter_domain="[('name', '=', 'Visit')]")
        lead, other = self.create_lead_at(NOON), self.create_lead_at(NOON)
        with self.at(NOON):
            for name, lead_of_it in (("Visit", lead), ("Call", other)):
                self.create_meeting(lead_of_it, name, start="2031-01-16 09:00:00", stop="2031-01-16 10:30:00")
        self.assert_falls_due(datetime(2031, 1, 16, 10, 30), lead)
        self.assertEqual(other.stage_id, self.new)

    def test_meeting_all_day(self):
        """It is over when its last day is."""
        self.create_at(NOON, "meeting_over")
        lead = self.create_lead_at(NOON)
        with self.at(NOON):
            self.create_meeting(lead, allday=True, start_date="2031-01-16", stop_date="2031-01-17")
        self.assert_falls_due(datetime(2031, 1, 17, 23), lead)

    def test_meeting_cancelled(self):
        self.create_at(NOON, "meeting_over")
        lead = self.create_lead_at(NOON)
        with self.at(NOON):
            self.create_meeting(lead, start="2031-01-16 09:00:00", stop="2031-01-16 10:30:00").active = False
        self.run_at(NOON + timedelta(days=2))
        self.assertEqual(lead.stage_id, self.new)

    def create_meeting(self, lead, name="Visit", **values):
        return self.env["calendar.event"].create({"name": name, "opportunity_id": lead.id, **values})

    def test_left_alone(self):
        """Won, lost and archived ones, leads, and those that are further already."""
        self.create_at(NOON, "deadline_passed")
        leads = self.env["crm.lead"]
        for values in (
            {"stage_id": self.closed.id},
            {"active": False, "probability": 0},
            {"active": False, "probability": 20},
            {"type": "lead"},
            {"stage_id": self.quotation.id},
        ):
            leads += self.create_lead_at(NOON, date_deadline="2031-01-15", **values)
        before = leads.mapped("stage_id.id"), leads.mapped("active")
        self.run_at(NOON + timedelta(days=1))
        self.assertEqual((leads.mapped("stage_id.id"), leads.mapped("active")), before)
        self.assertFalse(self.search_moves("waiting"))


@tagged("post_install", "-at_install")
class TestDueTimeZones(DueCase):
    def test_companies(self):
        """Each document's day ends where its company is; without company, where the job's is."""
        self.create_at(NOON, "deadline_passed")
        ends = {
            "Asia/Tokyo": datetime(2031, 1, 20, 15),
            "Europe/Brussels": datetime(2031, 1, 20, 23),
            "America/New_York": datetime(2031, 1, 21, 5),
        }
        leads = {}
        for zone, end in ends.items():
            company = self.env["res.company"].create({"name": zone})
            company.partner_id.tz = zone
            values = {"company_id": company.id, "partner_id": False, "user_id": False, "team_id": False}
            leads[self.create_lead_at(NOON, date_deadline="2031-01-20", **values)] = end
        leads[self.create_lead_at(NOON, date_deadline="2031-01-20", company_id=False)] = ends[
            "Europe/Brussels"
        ]
        for end in ends.values():
            for moment in (end - MINUTE, end):
                self.run_at(moment)
                self.assertEqual(
                    [lead.stage_id == self.visit for lead in leads],
                    [moment >= lead_end for lead_end in leads.values()],
                )

    def test_company_of_the_opportunity(self):
        """Where the document has none."""
        company = self.env["res.company"].create({"name": "Tokyo"})
        company.partner_id.tz = "Asia/Tokyo"
        self.create_at(NOON, "meeting_over")
        values = {"company_id": company.id, "partner_id": False, "user_id": False, "team_id": False}
        lead = self.create_lead_at(NOON, **values)
        meeting = {"name": "Day", "allday": True, "start_date": "2031-01-20", "stop_date": "2031-01-20"}
        with self.at(NOON):
            self.env["calendar.event"].create({**meeting, "opportunity_id": lead.id})
        self.assert_falls_due(datetime(2031, 1, 20, 15), lead)

    def test_working_hours(self):
        """They tell the time zone of a company whose address tells none."""
        self.env.company.partner_id.tz = False
        self.env.company.resource_calendar_id.tz = "Asia/Tokyo"
        self.create_at(NOON, "deadline_passed")
        lead = self.create_lead_at(NOON, date_deadline="2031-01-20", company_id=self.env.company.id)
        self.assert_falls_due(datetime(2031, 1, 20, 15), lead)

    def test_summer_begins(self):
        """In the night of March 30, Brussels puts its clocks ahead: days are counted, not hours."""
        self.create_at(NOON, "deadline_passed", days=2)
        lead = self.create_lead_at(NOON, date_deadline="2031-03-29")
        self.assert_falls_due(datetime(2031, 3, 31, 22), lead)

    def test_summer_ends(self):
        self.create_at(NOON, "deadline_passed", days=2)
        lead = self.create_lead_at(NOON, date_deadline="2031-10-25")
        self.assert_falls_due(datetime(2031, 10, 27, 23), lead)


@tagged("post_install", "-at_install")
class TestDueOnce(DueCase):
    def test_due_before(self):
        """What was due before the automation was made is moved by applying it only."""
        lead = self.create_lead_at(NOON - timedelta(days=10))
        automation = self.create_at(NOON, "stage_waiting", days=10)
        self.assertEqual(automation.date_begun, NOON)
        self.run_at(NOON + timedelta(days=1))
        self.assertEqual(lead.stage_id, self.new)
        with self.at(NOON + timedelta(days=1)):
            self.assertEqual(automation._search_leads_to_move() & lead, lead)
            automation.action_catch_up()
        self.assertEqual(lead.stage_id, self.visit)

    def test_apply_moves_only_what_is_due(self):
        automation = self.create_at(NOON, "no_news", days=10)
        lead = self.create_lead_at(NOON)
        with self.at(NOON + timedelta(days=10) - MINUTE):
            automation.action_catch_up()
            self.assertEqual(lead.stage_id, self.new)
        with self.at(NOON + timedelta(days=10)):
            automation.action_catch_up()
            self.assertEqual(lead.stage_id, self.visit)

    def test_apply_many(self):
        """The other scheduled job looks again: there may be news by then."""
        automation = self.create_at(NOON, "no_news", days=10)
        leads = self.create_lead_at(NOON) + self.create_lead_at(NOON)
        with self.at(NOON + timedelta(days=10)):
            with patch("odoo.addons.crm_sales_stage.models.automation.crm_stage_automation.BATCH", 1):
                automation.action_catch_up()
            leads[0].message_post(body="Hi", message_type="comment", subtype_xmlid="mail.mt_comment")
            with patch.object(type(self.env["ir.cron"]), "_commit_progress", return_value=60):
                self.automations._cron_catch_up()
        self.assertEqual(leads.mapped("stage_id"), self.new + self.visit)
        self.assertEqual(automation.catch_up_progress, 100)

    def test_taken_back(self):
        self.create_at(NOON, "deadline_passed")
        lead = self.create_lead_at(NOON, date_deadline="2031-01-20")
        self.run_at(datetime(2031, 1, 21, 12))
        self.assertEqual(lead.stage_id, self.visit)
        with self.at(datetime(2031, 1, 21, 13)):
            lead.stage_id = self.new
        self.run_at(datetime(2031, 1, 21, 14))
        with self.at(datetime(2031, 1, 21, 15)):
            lead.write({"name": "Changed", "date_deadline": "2031-01-20"})
        self.run_at(datetime(2031, 1, 28, 14))
        self.assertEqual(lead.stage_id, self.new)
        with self.at(datetime(2031, 1, 28, 15)):
            lead.date_deadline = "2031-02-01"
        self.assert_falls_due(datetime(2031, 2, 1, 23), lead)

    def test_taken_back_waits_anew(self):
        self.create_at(NOON, "stage_waiting", days=10)
        lead = self.create_lead_at(NOON)
        self.run_at(NOON + timedelta(days=10))
        with self.at(NOON + timedelta(days=11)):
            lead.stage_id = self.new
        self.assert_falls_due(NOON + timedelta(days=21), lead)

    def test_date_set_back(self):
        """What is told a date that has passed falls due with the next run, or later by its days."""
        automation = self.create_at(NOON, "quotation_expired", days=1)
        other = self.create_at(NOON, "quotation_expired", self.quotation, days=9)
        lead = self.create_lead_at(NOON)
        with self.at(NOON):
            order = self.create_order(lead, validity_date="2031-02-20")
        self.run_at(NOON + timedelta(days=5))
        with self.at(NOON + timedelta(days=5)):
            order.validity_date = "2031-01-15"
        self.assertEqual(self.search_moves("waiting").automation_id, automation)
        self.assertEqual(lead.stage_id, self.new)
        self.run_at(NOON + timedelta(days=5, hours=1))
        self.assertEqual(lead.stage_id, self.visit)
        with self.at(NOON + timedelta(days=5, hours=2)):
            lead.stage_id = self.new
        self.run_at(NOON + timedelta(days=6))
        self.assertEqual(lead.stage_id, self.new)
        self.assert_falls_due(datetime(2031, 1, 24, 23), lead, other.stage_id)

    def test_date_set_back_and_corrected(self):
        self.create_at(NOON, "quotation_expired")
        lead = self.create_lead_at(NOON)
        with self.at(NOON):
            order = self.create_order(lead, validity_date="2031-02-20")
        with self.at(NOON + timedelta(days=5)):
            order.validity_date = "2031-01-15"
        with self.at(NOON + timedelta(days=5)):
            order.validity_date = "2031-02-25"
        self.run_at(NOON + timedelta(days=5, hours=1))
        self.assertEqual(lead.stage_id, self.new)
        self.assert_falls_due(datetime(2031, 2, 25, 23), lead)

    def test_date_of_another_trigger(self):
        """What waits for something else does not fall due by it."""
        self.create_at(NOON, "stage_waiting", days=2)
        self.create_at(NOON, "deadline_passed", self.quotation, days=300)
        lead = self.create_lead_at(NOON - timedelta(days=9), date_deadline="2031-02-20")
        with self.at(NOON + timedelta(days=5)):
            lead.date_deadline = "2031-01-15"
        self.run_at(NOON + timedelta(days=5, hours=1))
        self.assertEqual(lead.stage_id, self.new)

    def test_created_with_a_past_date(self):
        """A visit that is entered when it is over is old news: only applying the automation moves it."""
        automation = self.create_at(NOON, "meeting_over")
        lead, other = self.create_lead_at(NOON), self.create_lead_at(NOON)
        self.run_at(NOON + timedelta(days=3))
        with self.at(NOON + timedelta(days=3, minutes=5)):
            for of, day in ((lead, 16), (other, 19)):
                self.env["calendar.event"].create(
                    {
                        "name": "Visit",
                        "opportunity_id": of.id,
                        "start": datetime(2031, 1, day, 9),
                        "stop": datetime(2031, 1, day, 10),
                    }
                )
        passed = self.search_moves("skipped")
        self.assertEqual((passed.lead_id, passed.reason), (lead, "before"))
        self.run_at(NOON + timedelta(days=3, hours=1))
        self.assertEqual(lead.stage_id, self.new)
        self.assert_falls_due(datetime(2031, 1, 19, 10), other)
        with self.at(datetime(2031, 1, 19, 11)):
            automation.action_catch_up()
        self.assertEqual(lead.stage_id, self.visit)

    def test_changed_by_computation(self):
        """The end of a meeting follows from its start."""
        self.create_at(NOON, "meeting_over")
        lead = self.create_lead_at(NOON)
        with self.at(NOON):
            meeting = self.env["calendar.event"].create(
                {
                    "name": "Visit",
                    "opportunity_id": lead.id,
                    "start": datetime(2031, 1, 30, 9),
                    "stop": datetime(2031, 1, 30, 10),
                }
            )
        self.run_at(NOON + timedelta(days=3))
        with self.at(NOON + timedelta(days=3, minutes=5)):
            meeting.start = datetime(2031, 1, 17, 9)
        self.run_at(NOON + timedelta(days=3, hours=1))
        self.assertEqual(lead.stage_id, self.visit)

    def test_job_did_not_run_for_a_week(self):
        self.create_at(NOON, "stage_waiting", days=10)
        leads = self.create_lead_at(NOON) + self.create_lead_at(NOON + timedelta(days=3))
        self.run_at(NOON + timedelta(days=17))
        self.assertEqual(leads.stage_id, self.visit)

    def test_clock_put_back(self):
        """A clock that was a month ahead: what falls due by the right time is moved."""
        automation = self.create_at(NOON, "stage_waiting", days=10)
        self.run_at(NOON + timedelta(days=30))
        self.run_at(NOON)
        self.assertEqual(automation.date_begun, NOON)
        lead = self.create_lead_at(NOON + MINUTE)
        self.assert_falls_due(NOON + MINUTE + timedelta(days=10), lead)

    def test_furthest_wins(self):
        """Whichever was made first, and whatever their days and documents are."""
        for stages in ((self.visit, self.quotation), (self.quotation, self.visit)):
            with self.subTest(stages[0].name):
                self.automations.search([]).active = False
                self.create_at(NOON, "stage_waiting", stages[0], days=5)
                self.create_at(NOON, "deadline_passed", stages[1], days=1)
                lead = self.create_lead_at(NOON, date_deadline="2031-01-18")
                self.run_at(NOON + timedelta(days=6))
                self.assertEqual(lead.stage_id, self.quotation)
                tracked = lead.message_ids.tracking_value_ids.field_id.mapped("name")
                self.assertEqual(tracked.count("stage_id"), 1)

    def test_furthest_wins_over_backward(self):
        self.create_at(NOON, "stage_waiting", self.estimate, days=5, from_stage_ids=self.visit.ids)
        self.create_at(NOON, "deadline_passed", self.quotation, from_stage_ids=self.visit.ids)
        lead = self.create_lead_at(NOON, date_deadline="2031-01-18", stage_id=self.visit.id)
        self.run_at(NOON + timedelta(days=6))
        self.assertEqual(lead.stage_id, self.quotation)

    def test_document_deleted(self):
        automation = self.create_at(NOON, "quotation_expired")
        lead = self.create_lead_at(NOON)
        with self.at(NOON):
            order = self.create_order(lead, validity_date="2031-01-20")
        with self.at(NOON + timedelta(days=7)):
            automation._insert_due(state="waiting")
            order.unlink()
        self.run_at(NOON + timedelta(days=7))
        self.assertEqual(lead.stage_id, self.new)
        self.assertFalse(automation.move_ids)
        with self.at(NOON + timedelta(days=7)):
            self.create_order(lead, validity_date="2031-01-20")
            automation._insert_due(state="waiting")
            self.assertTrue(automation.move_ids)
            lead.unlink()
        self.assertFalse(automation.move_ids)


@tagged("post_install", "-at_install")
class TestDueChanged(DueCase):
    """An automation that is changed, or comes back, begins anew."""

    def test_days(self):
        automation = self.create_at(NOON, "stage_waiting", days=10)
        lead = self.create_lead_at(NOON)
        other = self.create_lead_at(NOON + timedelta(days=3))
        with self.at(NOON + timedelta(days=7)):
            automation.days = 5
        self.run_at(NOON + timedelta(days=8))
        self.assertEqual((lead + other).mapped("stage_id"), self.new + self.visit)
        self.run_at(NOON + timedelta(days=11))
        self.assertEqual(lead.stage_id, self.new)

    def test_trigger(self):
        automation = self.create_at(NOON - timedelta(days=30), "email_sent")
        lead = self.create_lead_at(NOON - timedelta(days=12))
        with self.at(NOON):
            automation.write({"trigger": "stage_waiting", "days": 10})
        self.assertEqual(automation.date_begun, NOON)
        self.run_at(NOON + timedelta(days=1))
        self.assertEqual(lead.stage_id, self.new)
        with self.at(NOON + timedelta(days=1)):
            automation.trigger = "email_received"
        self.assertEqual(automation.date_begun, NOON + timedelta(days=1))
        self.assertFalse(automation.days)

    def test_archived_for_a_month(self):
        automation = self.create_at(NOON, "stage_waiting", days=10)
        lead = self.create_lead_at(NOON)
        with self.at(NOON + timedelta(days=1)):
            automation.active = False
        self.run_at(NOON + timedelta(days=20))
        with self.at(NOON + timedelta(days=31)):
            automation.active = True
        self.run_at(NOON + timedelta(days=32))
        self.assertEqual(lead.stage_id, self.new)

    def test_stage_archived_for_a_month(self):
        self.create_at(NOON, "stage_waiting", days=10)
        lead = self.create_lead_at(NOON)
        with self.at(NOON + timedelta(days=1)):
            self.visit.active = False
        self.run_at(NOON + timedelta(days=20))
        with self.at(NOON + timedelta(days=31)):
            self.visit.active = True
        self.run_at(NOON + timedelta(days=32))
        self.assertEqual(lead.stage_id, self.new)

    def test_same_values(self):
        """An import or an update that tells what is so already changes nothing."""
        automation = self.create_at(NOON, "stage_waiting", days=10)
        lead = self.create_lead_at(NOON)
        with self.at(NOON + timedelta(days=10)):
            automation.write({"trigger": "stage_waiting", "days": 10, "active": True})
        self.assertEqual(automation.date_begun, NOON)
        self.run_at(NOON + timedelta(days=10))
        self.assertEqual(lead.stage_id, self.visit)

    def test_condition(self):
        """Whoever corrects it loses nothing of what fell due since the last run."""
        automation = self.create_at(NOON, "deadline_passed", filter_domain="[('name', '=', 'Nobody')]")
        lead = self.create_lead_at(NOON, date_deadline="2031-01-20")
        with self.at(datetime(2031, 1, 21)):
            automation.filter_domain = "[('name', '=', 'House')]"
        self.run_at(datetime(2031, 1, 21))
        self.assertEqual(lead.stage_id, self.visit)

    def test_copy(self):
        automation = self.create_at(NOON, "stage_waiting", days=10)
        with self.at(NOON + timedelta(days=1)):
            copy = automation.copy()
        self.assertEqual((copy.days, copy.date_begun), (10, NOON + timedelta(days=1)))

    def test_days_out_of_bounds(self):
        for days in (-1, -10, 3651, 2_000_000_000):
            with (
                self.subTest(days),
                self.assertRaisesRegex(ValidationError, "between 0 and"),
                self.env.cr.savepoint(),
            ):
                self.create_automation(self.visit, "stage_waiting", days=days)
        automation = self.create_automation(self.visit, "stage_waiting", days=3650)
        with self.assertRaises(ValidationError):
            automation.days = -1
        self.run_at(NOON)

    def test_days_of_a_trigger_without_time(self):
        automation = self.create_automation(self.visit, "email_sent", days=3)
        self.assertEqual(automation.days, 0)
        automation.days = 3
        self.assertEqual(automation.days, 0)

    def test_form(self):
        with Form(self.automations.with_context(default_stage_id=self.visit.id)) as form:
            form.trigger = "no_news"
            self.assertEqual(form.days, 10)
            form.days = 5
            form.trigger = "stage_waiting"
            self.assertEqual(form.days, 5)
        self.assertEqual(form.record.days, 5)
        with Form(form.record) as form:
            form.trigger = "meeting_scheduled"
        self.assertEqual(form.record.days, 0)

    def test_name(self):
        for trigger, days, text in (
            ("stage_waiting", 10, "it has been in its stage for 10 days"),
            ("no_news", 1, "there has been no news for a day"),
            ("meeting_over", 0, "a meeting is over"),
            ("meeting_over", 1, "a meeting is over, a day later"),
            ("quotation_expired", 5, "a quotation expires, 5 days later"),
            ("email_sent", 0, "an e-mail is sent"),
        ):
            automation = self.create_automation(self.visit, trigger, days=days)
            self.assertEqual(automation.name, f'Move to "Technical Visit" when {text}')
            automation.unlink()
        automation = self.create_automation(self.visit, "stage_waiting", days=3)
        automation.days = 4
        self.assertIn("for 4 days", automation.name)


@tagged("post_install", "-at_install")
class TestDueJob(DueCase):
    def test_hourly(self):
        cron = self.env.ref("crm_sales_stage.ir_cron_crm_stage_due")
        self.assertEqual((cron.interval_number, cron.interval_type, cron.active), (1, "hours", True))
        self.create_at(fields.Datetime.now() - timedelta(hours=1), "stage_waiting", days=0)
        lead = self.create_lead_at(fields.Datetime.now() - MINUTE)
        self.env.flush_all()
        with self.enter_registry_test_mode():
            cron.method_direct_trigger()
        self.env.invalidate_all()
        self.assertEqual(lead.stage_id, self.visit)

    def test_costs_what_is_moved(self):
        """Beside it, a few queries: as many for thirty as for ten, and for any number not due."""
        automation = self.create_at(NOON, "stage_waiting", days=10)
        with self.at(NOON + timedelta(days=5)):
            self.create_leads(20)

        def count(number, act):
            automation.date_begun = NOON
            with self.at(NOON):
                leads = self.create_leads(number)
            self.env.flush_all()
            self.env.invalidate_all()
            with self.at(NOON + timedelta(days=10)):
                before = self.env.cr.sql_log_count
                act(leads)
                self.pass_commit()
                queries = self.env.cr.sql_log_count - before
            self.assertEqual(leads.stage_id, self.visit)
            return queries

        def run(leads):
            with patch.object(type(self.env["ir.cron"]), "_commit_progress", return_value=60):
                self.automations._cron_due()

        def move(leads):
            leads.with_context(crm_stage_moving=ON).stage_id = self.visit

        for act in (run, move):
            count(2, act)  # warms the caches
        few = count(10, run) - count(10, move)
        many = count(30, run) - count(30, move)
        self.assertLess(few, 50)
        self.assertLessEqual(many, few + 5)

    def test_interrupted(self):
        """It goes on where it was interrupted; what was taken back meanwhile stays."""
        self.create_at(NOON, "stage_waiting", days=10)
        with self.at(NOON):
            leads = self.create_leads(3)
        due = NOON + timedelta(days=10)
        with patch.object(crm_stage_automation, "BATCH", 2):
            progress = self.run_at(due, seconds_left=0)
            progress.assert_called_with(2, remaining=1)
            self.assertEqual(leads.mapped("stage_id.id"), (self.visit + self.new).ids)
            moved = leads.filtered(lambda lead: lead.stage_id == self.visit)
            with self.at(due + MINUTE):
                moved[0].stage_id = self.new
            self.run_at(due + 2 * MINUTE)
        self.assertEqual(leads.filtered(lambda lead: lead.stage_id == self.visit), leads - moved[0])

    def test_killed(self):
        """After the first batch was committed: the transaction of the second one is gone."""
        automation = self.create_at(NOON, "stage_waiting", days=10)
        with self.at(NOON):
            leads = self.create_leads(3)
        due = NOON + timedelta(days=10)
        with self.at(due):
            automation._insert_due(state="waiting")
        first = self.search_moves("waiting")[0].lead_id
        with self.at(due), self.assertRaises(SystemExit), self.env.cr.savepoint():
            self.automations._make_moves(self.search_moves("waiting"), set())
            raise SystemExit
        self.env.invalidate_all()
        self.assertEqual(leads.stage_id, self.new)
        with self.at(due):
            self.automations._make_moves(self.search_moves("waiting")[0], set())
            first.stage_id = self.new
        self.run_at(due + timedelta(hours=1))
        self.assertEqual(leads.filtered(lambda lead: lead.stage_id == self.visit), leads - first)

    @mute_logger(LOGGER)
    def test_faulty(self):
        """It says so, does not stop the others, and moves what it could not move when it works again."""
        faulty = self.create_at(NOON, "deadline_passed", self.quotation)
        other = self.create_at(NOON, "deadline_passed", self.visit)
        lead = self.create_lead_at(NOON, date_deadline="2031-01-20")
        gone = self.create_lead_at(NOON, date_deadline="2031-01-20")
        late = self.create_lead_at(NOON, date_deadline="2031-01-20")
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE crm_stage_automation SET filter_domain = '[(''gone'', ''='', 1)]' WHERE id = %s",
            [faulty.id],
        )
        self.env.invalidate_all()
        for hour in range(2):
            self.run_at(datetime(2031, 1, 21, hour))
            self.assertIn("gone", faulty.fault)
            self.assertFalse(other.fault)
            self.assertEqual((lead + gone + late).stage_id, self.visit)
        with self.at(datetime(2031, 1, 21, 12)):
            gone.unlink()
            late.date_deadline = "2031-01-30"
            faulty.filter_domain = "[('name', '=', 'House')]"
        self.run_at(datetime(2031, 1, 21, 12))
        self.assertFalse(faulty.fault)
        self.assertEqual(lead.stage_id, self.quotation)
        self.assertEqual(late.stage_id, self.visit, "it is due no longer")
        self.assert_falls_due(datetime(2031, 1, 30, 23), late, self.quotation)

    def test_some_cannot_be_moved(self):
        """The others fall due, and those that cannot be moved are not tried for ever."""
        automation = self.create_at(NOON, "deadline_passed")
        day = datetime(2031, 1, 20)
        for positions in ((0,), (3,), (5,), (1, 4), (0, 1, 2, 3, 4)):
            day += timedelta(days=1)
            with self.at(NOON):
                leads = self.create_leads(6, date_deadline=(day - timedelta(days=1)).date())
            refused = leads.browse([leads[position].id for position in positions])
            with self.subTest(positions):
                with self.refusing(refused):
                    self.run_at(day)
                self.assertEqual((leads - refused).stage_id, self.visit)
                self.assertEqual(refused.stage_id, self.new)
                self.assertFalse(automation.fault)
                self.assertFalse(self.search_moves("waiting"))
                self.assertIn(refused[0], self.get_unmoved()[0])
                self.run_at(day + timedelta(hours=1))
                self.assertEqual(refused.stage_id, self.new)
                refused.action_set_lost()

    def test_none_of_a_batch_can_be_moved(self):
        """The automation is faulty and goes on with them later; the next batches have their turn."""
        automation = self.create_at(NOON, "deadline_passed")
        with self.at(NOON):
            leads = self.create_leads(6, date_deadline="2031-01-20")
        self.env.flush_all()
        with patch.object(crm_stage_automation, "BATCH", 2), self.refusing(leads[4:]):
            self.run_at(datetime(2031, 1, 21))
        self.assertEqual(leads[:4].stage_id, self.visit)
        self.assertIn("An e-mail address first", automation.fault)
        leads[:4].stage_id = self.new
        with self.at(datetime(2031, 1, 22)):
            leads[:4].date_deadline = "2031-01-21"
        with patch.object(crm_stage_automation, "BATCH", 2), self.refusing(leads[4:]):
            self.run_at(datetime(2031, 1, 22, 1))
        self.assertEqual(leads[:4].stage_id, self.visit, "they do not wait for those that came first")
        self.run_at(datetime(2031, 1, 22, 2))
        self.assertEqual(leads.stage_id, self.visit)
        self.assertFalse(automation.fault)

    @mute_logger(LOGGER)
    def test_faulty_documents(self):
        """Another addon cannot tell what falls due: the others can, and nothing is forgotten."""
        automation = self.create_at(NOON, "quotation_expired")
        other = self.create_at(NOON, "deadline_passed")
        lead = self.create_lead_at(NOON)
        other_lead = self.create_lead_at(NOON, date_deadline="2031-01-20")
        with self.at(NOON):
            order = self.create_order(lead, validity_date="2031-01-20")
        model = self.registry["sale.order"]
        for name in ("_get_crm_stage_due_domain", "_get_crm_stage_leads"):
            for method in (
                lambda *args: 1 / 0,
                lambda self, *args: self.env.cr.execute("SELECT 1 FROM nowhere", log_exceptions=False),
            ):
                with self.subTest(name), self.env.cr.savepoint(), patch.object(model, name, method):
                    other_lead.stage_id = self.new
                    other.move_ids.unlink()
                    self.run_at(datetime(2031, 1, 21, 12))
                    self.assertTrue(automation.fault)
                    self.assertEqual(automation.date_begun, NOON)
                    self.assertEqual((lead + other_lead).mapped("stage_id"), self.new + self.visit)
                    with self.at(datetime(2031, 1, 21, 13)):
                        order.validity_date = "2031-01-19"
                    order.validity_date = "2031-01-20"
        self.run_at(datetime(2031, 1, 21, 14))
        self.assertEqual(lead.stage_id, self.visit)

    @mute_logger(LOGGER)
    def test_author_gone(self):
        with self.at(NOON):
            automation = self.automations.with_user(self.manager).create(
                {
                    "stage_id": self.visit.id,
                    "trigger": "deadline_passed",
                    "filter_domain": "[('name', '=', 'House')]",
                }
            )
        lead = self.create_lead_at(NOON, date_deadline="2031-01-20")
        self.manager.active = False
        self.run_at(datetime(2031, 1, 21))
        self.assertEqual(lead.stage_id, self.new)
        self.assertIn("gone", automation.fault)
        with self.at(datetime(2031, 1, 21, 1)):
            automation.with_env(self.env).action_take_over_condition()
        self.run_at(datetime(2031, 1, 21, 2))
        self.assertEqual(lead.stage_id, self.visit)

    def test_chatter(self):
        """In the language of whoever set it up: the job has none."""
        self.env["res.lang"]._activate_lang("fr_FR")
        self.manager.lang = "fr_FR"
        with self.at(NOON):
            self.automations.with_user(self.manager).create(
                {"stage_id": self.visit.id, "trigger": "stage_waiting", "days": 3}
            )
        lead = self.create_lead_at(NOON)
        languages = []
        original = type(self.automations)._get_chatter_bodies

        def get_chatter_bodies(self, *args):
            languages.append(self.env.lang)
            return original(self, *args)

        with patch.object(type(self.automations), "_get_chatter_bodies", get_chatter_bodies):
            self.run_at(NOON + timedelta(days=3))
        self.assertEqual(languages, ["fr_FR"])
        self.assertEqual(lead.stage_id, self.visit)
        self.assertTrue(self.get_tracking_message(lead).body)
