from odoo import Command
from odoo.tests import Form, tagged

from .common_automation import AutomationCase


@tagged("post_install", "-at_install")
class TestSeededAutomations(AutomationCase):
    """The story of a sale, told by the seeded automations."""

    def test_whole_story(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        self.assertEqual(lead.stage_id, self.estimate, "a quotation was created")
        self.create_meeting(lead, self.visit_tag)
        self.assertEqual(lead.stage_id, self.visit, "a visit was scheduled")
        order.action_quotation_sent()
        self.assertEqual(lead.stage_id, self.quotation, "the quotation was sent")
        self.assertEqual(lead.probability, 75, "it has the stage's probability")
        order.action_confirm()
        self.assertEqual(lead.stage_id, self.closed, "the order was confirmed")
        self.assertEqual((lead.won_status, lead.probability), ("won", 100))

    def test_visit_by_activity(self):
        lead = self.create_lead()
        lead.activity_schedule("mail.mail_activity_data_call")
        self.assertEqual(lead.stage_id, self.new, "a call is no visit")
        lead.activity_schedule("crm_sales_stage.mail_activity_type_technical_visit")
        self.assertEqual(lead.stage_id, self.visit)

    def test_activity_becomes_visit(self):
        lead = self.create_lead()
        activity = lead.activity_schedule("mail.mail_activity_data_call")
        activity.activity_type_id = self.visit_type
        self.assertEqual(lead.stage_id, self.visit)

    def test_meeting_without_tag(self):
        lead = self.create_lead()
        meeting = self.create_meeting(lead)
        self.assertEqual(lead.stage_id, self.new)
        meeting.categ_ids = self.visit_tag
        self.assertEqual(lead.stage_id, self.visit, "tagged afterwards")

    def test_tag_is_offered_where_the_meeting_is_planned(self):
        lead, view = self.create_lead(), "calendar.view_calendar_event_form_quick_create"
        meetings = self.env["calendar.event"]
        with Form(meetings.with_context(default_opportunity_id=lead.id, default_name="Visit"), view) as form:
            form.categ_ids.add(self.visit_tag)
        self.assertEqual(lead.stage_id, self.visit)
        form = Form(meetings, view)
        with self.assertRaises(AssertionError, msg="elsewhere the dialog is Odoo's"):
            form.categ_ids.add(self.visit_tag)

    def test_tag_in_the_language_of_who_looks(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        tags = self.env["calendar.event.type"]
        for lang, name in (("fr_FR", "Visite Technique"), ("en_US", "Technical Visit")):
            seen = tags.with_context(lang=lang)
            self.assertEqual(seen.browse(self.visit_tag.id).display_name, name)
            self.assertIn((self.visit_tag.id, name), seen.name_search(name[:6].lower()))
            self.assertNotIn(self.visit_tag.id, seen.search([("display_name", "not ilike", name)]).ids)
        self.visit_tag.name = "Survey"
        self.assertEqual(self.visit_tag.with_context(lang="fr_FR").display_name, "Survey")

    def test_meeting_linked_afterwards(self):
        lead = self.create_lead()
        meeting = self.create_meeting(None, self.visit_tag)
        meeting.opportunity_id = lead
        self.assertEqual(lead.stage_id, self.visit)

    def test_meeting_from_chatter(self):
        """Odoo links a meeting by the document it is made from, without naming the opportunity."""
        lead = self.create_lead()
        self.env["calendar.event"].with_context(default_res_model="crm.lead", default_res_id=lead.id).create(
            {
                "name": "Visit",
                "start": "2030-01-01 10:00:00",
                "stop": "2030-01-01 11:00:00",
                "categ_ids": [Command.set(self.visit_tag.ids)],
            }
        )
        self.assertEqual(lead.stage_id, self.visit)

    def test_recurring_meeting(self):
        lead = self.create_lead()
        meeting = self.create_meeting(
            lead, self.visit_tag, recurrency=True, rrule_type="weekly", tue=True, end_type="count", count=3
        )
        self.assertEqual(len(meeting.recurrence_id.calendar_event_ids), 3)
        self.assertEqual(lead.stage_id, self.visit)

    def test_quotation_created_from_visit(self):
        lead = self.create_lead(stage_id=self.visit.id)
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.quotation)

    def test_quotation_created_from_new(self):
        lead = self.create_lead()
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.estimate, "that automation is only from Technical Visit")

    def test_send_by_mail_dialog(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        action = order.action_quotation_send()
        composer = Form(self.env["mail.compose.message"].with_context(**action["context"])).save()
        composer.action_send_mail()
        self.assertEqual(order.state, "sent")
        self.assertEqual(lead.stage_id, self.quotation)
        message = self.get_tracking_message(lead)
        self.assertIn(order.name, message.body, "told though Odoo marks the order as sent without tracking")

    def test_portal_signature(self):
        """Signing in the portal confirms with the public user's environment."""
        lead = self.create_lead(stage_id=self.quotation.id)
        order = self.create_order(lead, state="sent")
        public = self.env.ref("base.public_user")
        order.with_user(public).sudo()._validate_order()
        self.assertEqual(order.state, "sale")
        self.assertEqual(lead.stage_id, self.closed)
        message = self.get_tracking_message(lead)
        self.assertEqual(
            message.author_id, self.env.ref("base.partner_root"), "the customer did not move the card"
        )
        self.assertIn(order.name, message.body)

    def test_import_confirmed_orders(self):
        """An import creates orders in their final state, in bulk."""
        leads = self.create_leads(3)
        self.env["sale.order"].create(
            [
                self.get_order_values(leads[0], state="draft"),
                self.get_order_values(leads[1], state="sent"),
                self.get_order_values(leads[2], state="sale"),
            ]
        )
        self.assertEqual(leads.mapped("stage_id"), self.estimate + self.quotation + self.closed)

    def test_link_afterwards(self):
        for state, stage in (
            ("draft", self.estimate),
            ("sent", self.quotation),
            ("sale", self.closed),
            ("cancel", self.new),
        ):
            with self.subTest(state):
                lead = self.create_lead()
                order = self.create_order(state=state)
                order.opportunity_id = lead
                self.assertEqual(lead.stage_id, stage)

    def test_duplicate_quotation(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        lead.stage_id = self.new
        copy = order.copy()
        self.assertEqual(copy.opportunity_id, lead)
        self.assertEqual(lead.stage_id, self.new, "nobody has saved the duplicate yet")
        copy.client_order_ref = "Second floor"
        self.assertEqual(lead.stage_id, self.estimate, "a duplicate that is saved is a quotation created")

    def test_duplicate_of_order_of_won_opportunity(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        order.action_confirm()
        order.copy()
        self.assertEqual(lead.stage_id, self.closed)

    def test_cancel_moves_nothing(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        order.action_quotation_sent()
        order._action_cancel()
        self.assertEqual(order.state, "cancel")
        self.assertEqual(lead.stage_id, self.quotation)

    def test_cancel_with_automation_moves_back(self):
        self.create_automation(
            self.estimate, "quotation_cancelled", from_stage_ids=[Command.set(self.quotation.ids)]
        )
        lead = self.create_lead()
        order = self.create_order(lead)
        order.action_quotation_sent()
        order._action_cancel()
        self.assertEqual(lead.stage_id, self.estimate)

    def test_merge(self):
        """The quotations of merged opportunities count for the one that stays."""
        head = self.create_lead(probability=90)
        tail = self.create_lead()
        order = self.create_order(tail)
        order.action_quotation_sent()
        tail.stage_id = self.new
        merged = (head + tail).merge_opportunity()
        self.assertEqual(order.opportunity_id, merged)
        self.assertEqual(merged.stage_id, self.quotation)

    def test_merge_keeps_furthest(self):
        head = self.create_lead(stage_id=self.quotation.id)
        tail = self.create_lead()
        self.create_order(tail)
        merged = (head + tail).merge_opportunity()
        self.assertEqual(merged, head)
        self.assertEqual(merged.stage_id, self.quotation)

    def test_activity_done(self):
        self.create_automation(
            self.quotation,
            "activity_done",
            filter_domain=repr([("activity_type_id", "=", self.visit_type.id)]),
        )
        lead = self.create_lead()
        call = lead.activity_schedule("mail.mail_activity_data_call")
        visit = lead.activity_schedule("crm_sales_stage.mail_activity_type_technical_visit")
        call.action_done()
        self.assertEqual(lead.stage_id, self.visit)
        visit.action_feedback(feedback="Measured")
        self.assertEqual(lead.stage_id, self.quotation)

    def test_activity_cancelled(self):
        self.create_automation(self.quotation, "activity_done")
        lead = self.create_lead()
        activity = lead.activity_schedule("mail.mail_activity_data_call")
        activity.action_cancel()
        self.assertEqual(lead.stage_id, self.new, "cancelled is not done")

    def test_activity_of_another_document(self):
        """The document is found by model and id, not by id alone."""
        planned = self.create_automation(self.visit, "activity_planned")
        done = self.create_automation(self.visit, "activity_done")
        lead, partner = self.create_lead_and_partner()
        activity = partner.activity_schedule("mail.mail_activity_data_call")
        self.assertFalse(activity._get_crm_stage_leads())
        activity.copy().action_feedback()
        self.assertEqual(lead.stage_id, self.new)
        for automation in planned + done:
            shown = self.get_preview(automation).line_ids.lead_id
            self.assertNotIn(lead, shown, automation.trigger)
