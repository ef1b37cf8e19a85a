from datetime import datetime, timedelta
from unittest.mock import patch

from odoo.tests import Form, tagged

from .test_automation_due import MINUTE, DueCase

DAY = timedelta(days=1)

# A Wednesday, a week before Christmas, and when ten working days have passed: a Friday. Brussels is an hour
# ahead of UTC.
START = datetime(2030, 12, 18, 12)
TEN_LATER = datetime(2031, 1, 3, 12)
TEN = {"days": 10, "is_working_days": True}


class WorkingDaysCase(DueCase):
    """Christmas and New Year, both on a Wednesday."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company = cls.env.company
        cls.company.resource_calendar_id = cls.create_calendar(cls.company)
        for day in (datetime(2030, 12, 25), datetime(2031, 1, 1)):
            cls.close(cls.company, day)

    @classmethod
    def create_calendar(cls, company, tz="Europe/Brussels"):
        """:return: working hours from Monday to Friday"""
        hours = [
            (0, 0, {"name": "Day", "dayofweek": str(day), "hour_from": 8, "hour_to": 16}) for day in range(5)
        ]
        values = {"name": "Hours", "tz": tz, "company_id": company.id, "attendance_ids": hours}
        return cls.env["resource.calendar"].create(values)

    @classmethod
    def close(cls, company, day, **values):
        """Close the company on a day in Brussels."""
        dates = {"date_from": day - timedelta(hours=1), "date_to": day + timedelta(hours=23) - MINUTE}
        calendar = company.resource_calendar_id
        values = {"name": "Closed", "calendar_id": calendar.id, **dates, **values}
        leave = cls.env["resource.calendar.leaves"].create(values)
        leave.company_id = company  # Odoo computes it by the user's company
        return leave

    @classmethod
    def create_company(cls, zone):
        company = cls.env["res.company"].create({"name": zone})
        company.partner_id.tz = zone
        return company

    @classmethod
    def create_lead_of(cls, company, moment, **values):
        owner = {"company_id": company.id, "partner_id": False, "user_id": False, "team_id": False}
        return cls.create_lead_at(moment, **owner, **values)


@tagged("post_install", "-at_install")
class TestWorkingDays(WorkingDaysCase):
    def test_stage_waiting(self):
        self.create_at(START, "stage_waiting", **TEN)
        self.assert_falls_due(TEN_LATER, self.create_lead_at(START))

    def test_no_news(self):
        self.create_at(START, "no_news", **TEN)
        lead, other = self.create_lead_at(START), self.create_lead_at(START)
        with self.at(START + 2 * DAY):  # on a Friday
            other.message_post(body="Hi", message_type="comment", subtype_xmlid="mail.mt_comment")
        self.assert_falls_due(TEN_LATER, lead)
        self.assert_falls_due(TEN_LATER + 4 * DAY, other)

    def test_news_of_the_quotation(self):
        self.create_at(START, "no_news", **TEN)
        lead = self.create_lead_at(START)
        with self.at(START):
            order = self.create_order(lead)
        with self.at(START + DAY):
            order.message_post(body="Hi", message_type="comment", subtype_xmlid="mail.mt_comment")
        self.assert_falls_due(TEN_LATER + 3 * DAY, lead)

    def test_planned_for_a_day_off(self):
        """What is planned keeps it from being silent until its day has passed, working day or not."""
        self.create_at(START, "no_news", days=1, is_working_days=True)
        lead = self.create_lead_at(START)
        with self.at(START):
            lead.activity_schedule("mail.mail_activity_data_call", date_deadline="2030-12-21")
        self.assert_falls_due(datetime(2030, 12, 21, 23), lead)

    def test_quotation_expired(self):
        """The tenth working day after it has to be over, in Brussels."""
        self.create_at(START, "quotation_expired", **TEN)
        lead = self.create_lead_at(START)
        with self.at(START):
            self.create_order(lead, validity_date="2030-12-18")
        self.assert_falls_due(datetime(2031, 1, 3, 23), lead)

    def test_deadline_on_a_day_off(self):
        self.create_at(START, "deadline_passed", days=1, is_working_days=True)
        lead = self.create_lead_at(START, date_deadline="2030-12-21")
        self.assert_falls_due(datetime(2030, 12, 23, 23), lead)

    def test_meeting_over(self):
        self.create_at(START, "meeting_over", **TEN)
        timed, all_day = self.create_lead_at(START), self.create_lead_at(START)
        values = {"allday": True, "start_date": "2030-12-19", "stop_date": "2030-12-19"}
        with self.at(START):
            self.create_meeting(timed, start="2030-12-19 09:00:00", stop="2030-12-19 10:00:00")
            self.create_meeting(all_day, **values)
        self.assert_falls_due(datetime(2031, 1, 6, 10), timed)
        self.assertEqual(all_day.stage_id, self.new)
        self.assert_falls_due(datetime(2031, 1, 6, 23), all_day)

    def test_days_off(self):
        """No time passes on them: what happens there counts from the beginning of the next working day."""
        self.create_at(START, "stage_waiting", days=1, is_working_days=True)
        for moment, due in (
            (datetime(2030, 12, 20, 15), datetime(2030, 12, 23, 15)),
            (datetime(2030, 12, 21, 15), datetime(2030, 12, 23, 23)),
            (datetime(2030, 12, 22, 15), datetime(2030, 12, 23, 23)),
            (datetime(2030, 12, 24, 15), datetime(2030, 12, 26, 15)),
            (datetime(2030, 12, 25, 15), datetime(2030, 12, 26, 23)),
        ):
            with self.subTest(moment):
                self.assert_falls_due(due, self.create_lead_at(moment))

    def test_on_days_off(self):
        """Nothing falls due on them but what did when they began."""
        self.create_at(START, "stage_waiting", days=1, is_working_days=True)
        thursday, friday = self.create_lead_at(START + DAY), self.create_lead_at(START + 2 * DAY)
        self.run_at(START + 4 * DAY + timedelta(hours=10))
        self.assertEqual((thursday + friday).mapped("stage_id"), self.visit + self.new)
        self.assert_falls_due(START + 5 * DAY, friday)

    def test_half_a_day(self):
        """A day on which the company works at all is a working day."""
        leave = self.close(self.company, datetime(2030, 12, 19))
        leave.date_to = datetime(2030, 12, 19, 11)
        self.create_at(START, "stage_waiting", days=1, is_working_days=True)
        self.assert_falls_due(START + DAY, self.create_lead_at(START))

    def test_change_of_clocks(self):
        """At the same time of the day"""
        self.create_at(START, "stage_waiting", days=80, is_working_days=True)
        lead = self.create_lead_at(START)
        self.assert_falls_due(datetime(2031, 4, 11, 11), lead)

    def test_applied(self):
        """What has fallen due already, as of applying it."""
        lead, other = self.create_lead_at(START), self.create_lead_at(START + DAY)
        automation = self.create_at(TEN_LATER, "stage_waiting", **TEN)
        with self.at(TEN_LATER):
            self.assertEqual(automation._search_leads_to_move() & (lead + other), lead)

    def test_days_of_the_calendar(self):
        """Without the box, all days count, and nobody looks into the calendar."""
        calendars = type(self.env["resource.calendar"])
        self.create_at(START, "stage_waiting", days=10)
        self.create_at(START, "no_news", self.estimate, days=10)
        self.create_at(START, "quotation_expired", self.estimate, days=10)
        self.create_at(START, "meeting_over", self.estimate, days=10)
        lead = self.create_lead_at(START)
        with patch.object(calendars, "plan_days", side_effect=AssertionError):
            self.assert_falls_due(START + 10 * DAY, lead)

    def test_no_days(self):
        """Of no days, none has to be a working one."""
        self.create_at(START, "meeting_over", days=0, is_working_days=True)
        lead = self.create_lead_at(START)
        with self.at(START):
            self.create_meeting(lead, start="2030-12-21 09:00:00", stop="2030-12-21 10:00:00")
        self.assert_falls_due(datetime(2030, 12, 21, 10), lead)


@tagged("post_install", "-at_install")
class TestWorkingDaysOfCompanies(WorkingDaysCase):
    def test_companies(self):
        """Each document falls due by the calendar and the clock of its company."""
        self.create_at(START, "stage_waiting", **TEN)
        tokyo, montreal = self.create_company("Asia/Tokyo"), self.create_company("America/Montreal")
        montreal.resource_calendar_id = False
        self.close(tokyo, datetime(2030, 12, 31))
        due = {
            self.create_lead_of(montreal, START): START + 14 * DAY,
            self.create_lead_of(tokyo, START): START + 15 * DAY,
            self.create_lead_at(START): TEN_LATER,
        }
        nobodys = self.create_lead_at(START, company_id=False)
        for lead, moment in due.items():
            self.assert_falls_due(moment, lead)
        self.assertEqual(nobodys.stage_id, self.visit, "as of the job's company")

    def test_days_of_companies(self):
        self.create_at(START, "deadline_passed", **TEN)
        tokyo = self.create_company("Asia/Tokyo")
        self.close(tokyo, datetime(2030, 12, 31))
        lead = self.create_lead_of(tokyo, START, date_deadline="2030-12-18")
        ours = self.create_lead_at(START, date_deadline="2030-12-18")
        self.assert_falls_due(datetime(2031, 1, 2, 15), lead)
        self.assert_falls_due(datetime(2031, 1, 3, 23), ours)

    def test_without_calendar(self):
        """Monday to Friday"""
        self.company.resource_calendar_id = False
        self.create_at(START, "stage_waiting", **TEN)
        self.create_at(START, "deadline_passed", self.visit, **TEN)
        lead, other = self.create_lead_at(START), self.create_lead_at(START + DAY)
        other.date_deadline = "2030-12-21"
        self.assert_falls_due(START + 14 * DAY, lead)
        self.assert_falls_due(START + 15 * DAY, other)

    def test_calendar_without_hours(self):
        self.company.resource_calendar_id.attendance_ids.unlink()
        self.create_at(START, "stage_waiting", **TEN)
        self.assert_falls_due(START + 14 * DAY, self.create_lead_at(START))

    def test_as_long_as_possible(self):
        """Longer than Odoo's calendar can tell"""
        self.create_at(START, "stage_waiting", days=3650, is_working_days=True)
        self.assert_falls_due(START + 14 * 365 * DAY, self.create_lead_at(START))

    def test_saturday(self):
        """Whichever days the company works on"""
        calendar = self.company.resource_calendar_id
        calendar.attendance_ids.filtered(lambda hours: hours.dayofweek == "0").dayofweek = "5"
        self.create_at(START, "stage_waiting", days=3, is_working_days=True)
        self.assert_falls_due(START + 3 * DAY, self.create_lead_at(START))

    def test_others_closed(self):
        """Closing days of another company, and the holidays of an employee, are working days."""
        other = self.create_company("Europe/Brussels")
        self.close(other, datetime(2030, 12, 19), calendar_id=False)
        resource = self.env["resource.resource"].create({"name": "Employee"})
        resource.calendar_id = self.company.resource_calendar_id
        self.close(self.company, datetime(2030, 12, 19), resource_id=resource.id)
        self.close(self.company, datetime(2030, 12, 19), time_type="other")
        self.create_at(START, "stage_waiting", days=1, is_working_days=True)
        self.assert_falls_due(START + DAY, self.create_lead_at(START))

    def test_closed_whatever_the_hours(self):
        """A closing day of the company that is of no calendar"""
        self.close(self.company, datetime(2030, 12, 19), calendar_id=False)
        self.create_at(START, "stage_waiting", days=1, is_working_days=True)
        self.assert_falls_due(START + 2 * DAY, self.create_lead_at(START))

    def test_calendar_of_another_zone(self):
        """Its hours are those of the company's clocks: in Tokyo, Friday begins at 15:00 UTC."""
        tokyo = self.create_company("Asia/Tokyo")
        tokyo.resource_calendar_id = self.create_calendar(tokyo, "America/New_York")
        self.create_at(START, "stage_waiting", days=1, is_working_days=True)
        for moment, due in (
            (datetime(2030, 12, 19, 14), datetime(2030, 12, 20, 14)),
            (datetime(2030, 12, 19, 16), datetime(2030, 12, 22, 16)),
            (datetime(2030, 12, 20, 16), datetime(2030, 12, 23, 15)),
        ):
            with self.subTest(moment):
                self.assert_falls_due(due, self.create_lead_of(tokyo, moment))


@tagged("post_install", "-at_install")
class TestWorkingDaysSetup(WorkingDaysCase):
    def test_name(self):
        for trigger, days, text in (
            ("stage_waiting", 10, "it has been in its stage for 10 working days"),
            ("stage_waiting", 1, "it has been in its stage for a working day"),
            ("no_news", 10, "there has been no news for 10 working days"),
            ("no_news", 1, "there has been no news for a working day"),
            ("quotation_expired", 3, "a quotation expires, 3 working days later"),
            ("meeting_over", 1, "a meeting is over, a working day later"),
            ("meeting_over", 0, "a meeting is over"),
        ):
            automation = self.create_automation(self.visit, trigger, days=days, is_working_days=True)
            self.assertEqual(automation.name, f'Move to "Technical Visit" when {text}')
            automation.is_working_days = False
            self.assertNotIn("working", automation.name)
            automation.unlink()

    def test_label_of_another_addon(self):
        text = self.env["sale.order"]._get_crm_stage_due_text("x", "it is … days old", 3, True)
        self.assertEqual(text, "it is 3 days old (working days)")

    def test_form(self):
        """Proposed for what means nothing without days, and the user's choice."""
        with Form(self.automations.with_context(default_stage_id=self.visit.id)) as form:
            form.trigger = "quotation_expired"
            self.assertFalse(form.is_working_days)
            form.trigger = "no_news"
            self.assertTrue(form.is_working_days)
            form.is_working_days = False
        self.assertFalse(form.record.is_working_days)
        with Form(form.record) as form:
            self.assertFalse(form.is_working_days, "as it is")
            form.trigger = "stage_waiting"
            self.assertTrue(form.is_working_days)
        with Form(form.record) as form:
            form.trigger = "meeting_scheduled"
        self.assertFalse(form.record.is_working_days)

    def test_trigger_without_time(self):
        automation = self.create_automation(self.visit, "email_sent", **TEN)
        self.assertFalse(automation.is_working_days)

    def test_example(self):
        """The example says what its form proposes."""
        (example,) = (example for example in self.automations.get_examples() if "10 w" in example["sentence"])
        form = Form(self.automations.with_context(**example["context"]))
        self.assertTrue(form.is_working_days)

    def test_begins_anew(self):
        """What fell due before it was changed is moved by applying it only."""
        automation = self.create_at(START, "stage_waiting", **TEN)
        lead = self.create_lead_at(START)
        with self.at(START + 11 * DAY):
            automation.is_working_days = False
        self.assertEqual(automation.date_begun, START + 11 * DAY)
        self.run_at(START + 12 * DAY)
        self.assertEqual(lead.stage_id, self.new)

    def test_explanation(self):
        """When it falls due"""
        waiting = self.create_at(START, "stage_waiting", **TEN)
        silent = self.create_at(START, "no_news", self.closed, days=1, is_working_days=True, outcome="lost")
        passed = self.create_at(START, "deadline_passed", **TEN)
        lead = self.create_lead_at(START + 3 * DAY, date_deadline="2030-12-18")
        expected = {
            waiting: "It falls due on 01/08/2031.",
            silent: "It falls due on 12/24/2030, unless there is news.",
            passed: "It falls due on 01/04/2031.",
        }
        with self.at(START + 3 * DAY + MINUTE):
            found = lead.with_context(tz="Europe/Brussels").get_stage_explanation()["automations"]
        texts = {row["id"]: (row["reason"], row["text"]) for row in found}
        for automation, text in expected.items():
            self.assertEqual(texts[automation.id], ("not_yet", text))

    def test_explanation_of_a_company(self):
        """By the calendar of the opportunity's company"""
        waiting = self.create_at(START, "stage_waiting", **TEN)
        tokyo = self.create_company("Asia/Tokyo")
        self.close(tokyo, datetime(2030, 12, 31))
        lead = self.create_lead_of(tokyo, START)
        with self.at(START + DAY):
            found = lead.get_stage_explanation()["automations"]
        (text,) = (row["text"] for row in found if row["id"] == waiting.id)
        self.assertEqual(text, "It falls due on 01/02/2031.")
