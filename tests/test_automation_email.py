from odoo import fields
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common_automation import AutomationCase


@tagged("post_install", "-at_install")
class TestEmailTriggers(AutomationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.create_automation(cls.estimate, "email_sent")
        cls.create_automation(cls.visit, "email_received")
        cls.lead = cls.create_lead(email_from="customer@example.com")

    def post(self, **values):
        self.lead.with_user(self.salesperson).message_post(**{"body": "Hello", **values})

    def test_note(self):
        self.post(subtype_xmlid="mail.mt_note")
        self.assertEqual(self.lead.stage_id, self.new)

    def test_note_to_colleague(self):
        self.post(subtype_xmlid="mail.mt_note", partner_ids=self.manager.partner_id.ids)
        self.assertEqual(self.lead.stage_id, self.new)

    def test_message_to_colleague(self):
        self.post(
            message_type="comment", subtype_xmlid="mail.mt_comment", partner_ids=self.manager.partner_id.ids
        )
        self.assertEqual(self.lead.stage_id, self.new, "a colleague is no customer")

    def test_message_to_customer(self):
        self.post(message_type="comment", subtype_xmlid="mail.mt_comment", partner_ids=self.partner.ids)
        self.assertEqual(self.lead.stage_id, self.estimate)

    def test_message_to_following_customer(self):
        self.lead.message_subscribe(self.partner.ids)
        self.post(message_type="comment", subtype_xmlid="mail.mt_comment")
        self.assertEqual(self.lead.stage_id, self.estimate)

    def test_log_with_following_customer(self):
        self.lead.message_subscribe(self.partner.ids)
        self.lead._message_log(body="Something happened")
        self.assertEqual(self.lead.stage_id, self.new)

    def test_scheduled_message(self):
        self.post(
            message_type="comment",
            subtype_xmlid="mail.mt_comment",
            partner_ids=self.partner.ids,
            scheduled_date=fields.Datetime.add(fields.Datetime.now(), days=1),
        )
        self.assertEqual(self.lead.stage_id, self.new, "not sent yet")
        self.env["mail.message.schedule"].search(
            [("mail_message_id", "in", self.lead.message_ids.ids)]
        ).force_send()
        self.assertEqual(self.lead.stage_id, self.estimate)

    def test_composer(self):
        context = {
            "default_model": "crm.lead",
            "default_res_ids": self.lead.ids,
            "default_partner_ids": self.partner.ids,
        }
        composer = (
            self.env["mail.compose.message"]
            .with_context(**context)
            .create({"body": "Offer", "subject": "Offer"})
        )
        composer.action_send_mail()
        self.assertEqual(self.lead.stage_id, self.estimate)

    def test_message_about_another_document(self):
        """The opportunity is found by model and id, not by id alone."""
        lead, partner = self.create_lead_and_partner()
        for message_type, author in (("comment", self.salesperson.partner_id), ("email", self.partner)):
            partner.message_post(
                body="Hello",
                message_type=message_type,
                author_id=author.id,
                subtype_xmlid="mail.mt_comment",
                partner_ids=self.partner.ids,
            )
        self.assertEqual(lead.stage_id, self.new)
        for automation in self.automations.search([("trigger", "in", ("email_sent", "email_received"))]):
            shown = self.get_preview(automation).line_ids.lead_id
            self.assertNotIn(lead, shown, automation.trigger)

    def get_mail(self, sender):
        return f"""From: {sender}
To: sales@example.com
Subject: Re: House
Message-Id: <{sender.replace("@", ".")}.1@example.com>
In-Reply-To: {self.message.message_id}
References: {self.message.message_id}
Content-Type: text/plain

Thank you."""

    def receive(self, sender):
        self.message = self.lead.message_post(body="Hello", subtype_xmlid="mail.mt_comment")
        with mute_logger("odoo.addons.mail.models.mail_thread"):
            self.env["mail.thread"].message_process("crm.lead", self.get_mail(sender))

    def test_receive(self):
        self.receive("customer@example.com")
        self.assertIn("Thank you.", self.lead.message_ids[0].body)
        self.assertEqual(self.lead.stage_id, self.visit)

    def test_receive_from_unknown(self):
        self.receive("neighbour@example.org")
        self.assertEqual(self.lead.stage_id, self.visit)

    def test_colleague_replies_from_own_mail_program(self):
        self.lead.message_subscribe(self.partner.ids)
        self.receive("s@example.com")
        self.assertEqual(self.lead.stage_id, self.estimate, "the customer gets it by Odoo: an e-mail sent")

    def test_move_is_no_email(self):
        """The message that tracks the stage goes to followers, too; it triggers nothing."""
        self.lead.message_subscribe(self.partner.ids, subtype_ids=self.env.ref("crm.mt_lead_stage").ids)
        self.lead.stage_id = self.estimate
        self.create_automation(self.quotation, "email_sent")
        self.pass_commit()
        self.assertEqual(self.lead.stage_id, self.estimate)
