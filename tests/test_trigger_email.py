from odoo import fields
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from .common_automation import AutomationCase


class EmailCase(AutomationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.create_automation(cls.estimate, "email_sent")
        cls.create_automation(cls.visit, "email_received")

    def assert_trigger(self, lead, trigger, message=None):
        """The opportunity went where ``trigger`` moves it, and the trigger finds the same afterwards."""
        stages = {"email_sent": self.estimate, "email_received": self.visit, None: self.new}
        self.assertEqual(lead.stage_id, stages[trigger], message)
        for name in ("email_sent", "email_received"):
            domain = self.env["crm.lead"]._get_crm_stage_trigger_domain(name)
            self.assertEqual(bool(lead.filtered_domain(domain)), name == trigger, message)

    def assert_sent(self, lead, message=None):
        self.assert_trigger(lead, "email_sent", message)

    def assert_not_sent(self, lead, message=None):
        self.assert_trigger(lead, None, message)


@tagged("post_install", "-at_install")
class TestEmailSent(EmailCase):
    """Sent is a posted message that goes to an address outside, for real."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env.company.email = "office@dealer.example"
        cls.env["mail.alias.domain"].create(
            {"name": "dealer.example", "bounce_alias": "bounces", "catchall_alias": "catchall"}
        )
        cls.env["mail.alias"].create(
            {
                "alias_name": "stoves",
                "alias_domain_id": cls.env["mail.alias.domain"].search([("name", "=", "dealer.example")]).id,
                "alias_model_id": cls.env["ir.model"]._get_id("crm.lead"),
            }
        )
        cls.salesperson.email = '"Sam, the Salesman" <Sam@dealer.example>, sam.private@example.net'
        cls.salesperson.login = "sam.login@dealer.example"

    def post(self, **values):
        """
        :param values: of the message
        :return: the opportunity that it is posted on
        """
        lead = self.create_lead(user_id=False)
        values = {"message_type": "comment", "subtype_xmlid": "mail.mt_comment", **values}
        lead.message_post(body="Hello", **values)
        return lead

    def test_addresses_of_ours(self):
        for address in (
            "sam@dealer.example",
            "sam.private@example.net",
            "sam.login@dealer.example",
            '"customer@example.com" <SAM@dealer.example>',
            "office@dealer.example",
            "stoves@dealer.example",
            "catchall@dealer.example",
            "bounces@dealer.example",
            "sam@dealer.example, m@example.com",
            "nobody",
        ):
            with self.subTest(address):
                self.assert_not_sent(self.post(outgoing_email_to=address))

    def test_addresses_outside(self):
        new_test_user(self.env, "portal_customer", groups="base.group_portal", email="portal@example.org")
        for address in (
            "customer@example.com",
            "portal@example.org",
            "sam@elsewhere.example",
            '"sam@dealer.example" <customer@example.com>',
            "sam@dealer.example, neighbour@example.org",
        ):
            with self.subTest(address):
                self.assert_sent(self.post(outgoing_email_to=address))

    def test_template(self):
        """Odoo's own Automation Rules send templates: those that they post count."""
        self.template = self.env["mail.template"].create(
            {
                "name": "Reminder",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "subject": "Reminder",
                "body_html": "<p>Hello</p>",
                "use_default_to": False,
            }
        )
        for address, method, is_sent in (
            ("{{ object.user_id.email_formatted }}", "comment", False),
            ("customer@example.com", "comment", True),
            ("customer@example.com", "email", False),
        ):
            with self.subTest(address, method=method):
                self.template.email_to = address
                action = self.env["ir.actions.server"].create(
                    {
                        "name": "Write",
                        "model_id": self.env["ir.model"]._get_id("crm.lead"),
                        "state": "mail_post",
                        "mail_post_method": method,
                        "template_id": self.template.id,
                    }
                )
                lead = self.create_lead()
                action.with_context(active_model="crm.lead", active_ids=lead.ids).run()
                (self.assert_sent if is_sent else self.assert_not_sent)(lead)

    def test_chatter(self):
        addressless = self.env["res.partner"].create({"name": "Nowhere"})
        double = self.env["res.partner"].create({"name": "Sam at Home", "email": "sam@dealer.example"})
        for partner, is_sent in (
            (addressless, False),
            (double, False),
            (self.env.ref("base.partner_root"), False),
            (self.manager.partner_id, False),
            (self.partner, True),
        ):
            with self.subTest(partner.name):
                lead = self.post(partner_ids=partner.ids)
                (self.assert_sent if is_sent else self.assert_not_sent)(lead)
        self.partner.active = False
        self.assert_sent(lead, "also when the customer is archived")

    def test_message_of_customer(self):
        """What a customer writes to another one in the portal is no e-mail of ours."""
        other = self.env["res.partner"].create({"name": "Other", "email": "other@example.org"})
        self.assert_not_sent(self.post(author_id=self.partner.id, partner_ids=other.ids))

    def test_not_posted(self):
        """Notifications, mass mailings and other e-mails that are no message of the chatter do not count."""
        lead = self.create_lead(user_id=False)
        lead.message_notify(body="Hello", subject="Hello", partner_ids=self.partner.ids)
        composer = self.env["mail.compose.message"].create(
            {
                "model": "crm.lead",
                "res_ids": repr(lead.ids),
                "composition_mode": "mass_mail",
                "body": "Offer",
                "subject": "Offer",
            }
        )
        composer.action_send_mail()
        self.env["mail.mail"].create(
            {"model": "crm.lead", "res_id": lead.id, "email_to": "customer@example.com", "state": "sent"}
        )
        self.assert_not_sent(lead)

    def test_failed(self):
        lead = self.post(partner_ids=self.partner.ids)
        lead.message_ids.notification_ids.notification_status = "exception"
        domain = self.env["crm.lead"]._get_crm_stage_trigger_domain("email_sent")
        self.assertFalse(lead.filtered_domain(domain))


@tagged("post_install", "-at_install")
class TestEmailReceived(EmailCase):
    """Received is what a person wrote."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lead = cls.create_lead(user_id=False)
        cls.message = cls.lead.message_post(body="Hello", subtype_xmlid="mail.mt_comment")

    def receive(self, headers="", sender="customer@example.com", to="sales@example.com", is_reply=True):
        """
        :param str headers: more header lines
        :return: the opportunity that got the e-mail
        """
        values = {
            "From": sender,
            "To": to,
            "Subject": "Re: House",
            "Message-Id": f"<{self.env['mail.message'].search([], limit=1, order='id desc').id}@example.org>",
            **({"In-Reply-To": self.message.message_id} if is_reply else {}),
        }
        lines = [f"{name}: {value}" for name, value in values.items()] + headers.splitlines()
        lines.append("Content-Type: text/plain")
        before = self.env["crm.lead"].search([], limit=1, order="id desc")
        with mute_logger("odoo.addons.mail.models.mail_thread"):
            self.env["mail.thread"].message_process("crm.lead", "\n".join([*lines, "", "Thank you."]))
        return self.env["crm.lead"].search([("id", ">", before.id)]) if not is_reply else self.lead

    def reset(self):
        self.lead.message_ids.filtered(lambda message: message.message_type == "email").unlink()
        self.lead.stage_id = self.new

    def test_automatic(self):
        for headers in (
            "Auto-Submitted: auto-replied",
            "auto-submitted: Auto-Generated (rejected); owner-email=x@example.com",
            "X-Autoreply: yes",
            "X-Autorespond: Out of office",
            "Auto-Submitted: auto-generated\nX-Auto-Response-Suppress: All",
            "Precedence: bulk",
            "Precedence: auto_reply",
            "X-Precedence: JUNK",
            "Return-Path: <>",
            "X-Failed-Recipients: customer@example.com",
        ):
            with self.subTest(headers):
                self.receive(headers)
                self.assertIn("Thank you.", self.lead.message_ids[0].body, "nobody loses it")
                self.assert_trigger(self.lead, None)
                self.reset()

    def test_person(self):
        for headers in (
            "",
            "Auto-Submitted: no",
            "Auto-Submitted: No (sent by hand)",
            "X-Autoreply: no",
            "Precedence: list\nList-Id: <family.example.com>",
            "Precedence: normal",
            "Return-Path: <customer@example.com>",
            "X-Auto-Response-Suppress: OOF",
            "X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply",
            "X-Auto-Response-Suppress: All",
            "X-Mailer: a program",
        ):
            with self.subTest(headers):
                self.receive(headers)
                self.assert_trigger(self.lead, "email_received")
                self.reset()

    def test_bounce(self):
        """Odoo takes most of them out itself."""
        for headers, sender in (
            ("", "mailer-daemon@example.org"),
            ("Return-Path: <>", "postmaster@example.org"),
        ):
            with self.subTest(headers, sender=sender):
                self.receive(headers, sender=sender)
                self.assert_trigger(self.lead, None)
                self.reset()

    def test_archived_sender(self):
        """What somebody wrote stays written when their contact is archived."""
        self.receive(sender=self.partner.email)
        self.assertEqual(self.lead.message_ids[0].author_id, self.partner)
        self.partner.active = False
        self.assert_trigger(self.lead, "email_received")

    def test_unknown_sender(self):
        self.receive(sender="neighbour@example.org")
        self.assert_trigger(self.lead, "email_received")

    def test_sender_of_ours(self):
        """A colleague who writes from another address of theirs: an e-mail to whom they wrote to."""
        self.salesperson.login = "sam@login.example"
        self.receive(sender="sam@login.example", to="neighbour@example.org")
        self.assertFalse(self.lead.message_ids[0].author_id)
        self.assert_trigger(self.lead, "email_sent")

    def test_office(self):
        """The mailbox of a company is ours, although its contact is no user."""
        self.env.company.email = "office@dealer.example"
        for to, trigger in (("m@example.com", None), ("neighbour@example.org", "email_sent")):
            with self.subTest(to):
                self.receive(sender='"The Office" <office@dealer.example>', to=to)
                self.assertEqual(self.lead.message_ids[0].author_id, self.env.company.partner_id)
                self.assert_trigger(self.lead, trigger)
                self.reset()

    def test_colleague(self):
        """An e-mail of a colleague is one sent when somebody outside gets it."""
        for to, headers, trigger in (
            ("m@example.com", "", None),
            ("m@example.com", "Cc: neighbour@example.org", "email_sent"),
            ("neighbour@example.org", "", "email_sent"),
            ("neighbour@example.org", "Auto-Submitted: auto-replied", None),
        ):
            with self.subTest(headers, to=to):
                self.receive(headers, sender="s@example.com", to=to)
                self.assertEqual(self.lead.message_ids[0].author_id, self.salesperson.partner_id)
                self.assert_trigger(self.lead, trigger)
                self.reset()

    def test_new_opportunity(self):
        """One that the gateway makes out of an e-mail got it, unless a machine wrote it."""
        type_default = {"default_type": "opportunity"}
        self.env = self.env(context={**self.env.context, **type_default})
        for headers, stage in (("", self.visit), ("Auto-Submitted: auto-replied", self.new)):
            with self.subTest(headers):
                lead = self.receive(headers, sender="new@example.org", is_reply=False)
                self.assertEqual((lead.type, lead.stage_id), ("opportunity", stage))


@tagged("post_install", "-at_install")
class TestQuotationEmails(EmailCase):
    """The messages of an opportunity's quotations and orders are its own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automations.search([("trigger", "like", "quotation")]).active = False
        cls.lead = cls.create_lead()
        cls.order = cls.create_order(cls.lead)

    def post(self, order=None, **values):
        values = {"message_type": "comment", "subtype_xmlid": "mail.mt_comment", **values}
        return (order or self.order).message_post(body="Hello", **values)

    def test_sent(self):
        """By "Send by e-mail", and by the chatter: at once, and for what exists already."""
        for send in (
            lambda: self.post(self.order.with_context(mark_so_as_sent=True), partner_ids=self.partner.ids),
            lambda: self.post(outgoing_email_to="neighbour@example.org"),
        ):
            with self.env.cr.savepoint() as savepoint:
                send()
                self.assert_sent(self.lead)
                self.lead.stage_id = self.new
                automation = self.automations.search([("trigger", "=", "email_sent")])
                self.assertEqual(self.get_preview(automation).line_ids.lead_id & self.lead, self.lead)
                savepoint.rollback()
            self.env.invalidate_all()

    def test_not_sent(self):
        """A note, to a colleague, of another opportunity's quotation, and of a duplicate."""
        self.post(subtype_xmlid="mail.mt_note")
        self.post(partner_ids=self.manager.partner_id.ids)
        other = self.create_lead()
        self.post(self.create_order(other), partner_ids=self.partner.ids)
        self.post(self.create_order(), partner_ids=self.partner.ids)
        neighbour = self.env["res.partner"].create({"name": "N", "email": "neighbour@example.org"})
        duplicate = self.order.copy({"partner_id": neighbour.id})
        duplicate.crm_stage_copied_partner_id = self.partner
        self.post(duplicate, partner_ids=neighbour.ids)
        self.assert_not_sent(self.lead)

    def test_scheduled(self):
        tomorrow = fields.Datetime.add(fields.Datetime.now(), days=1)
        message = self.post(partner_ids=self.partner.ids, scheduled_date=tomorrow)
        self.assertEqual(self.lead.stage_id, self.new)
        self.env["mail.message.schedule"].search([("mail_message_id", "=", message.id)]).force_send()
        self.assertEqual(self.lead.stage_id, self.estimate)

    def test_received(self):
        """Also by a portal user's e-mail, who sees no opportunity."""
        user = new_test_user(self.env, "customer", groups="base.group_portal", email="portal@example.org")
        for sender in (
            {"author_id": user.partner_id.id},
            {"author_id": False, "email_from": "x@example.org"},
        ):
            values = {"message_type": "email", **sender}
            message = self.post(self.order.with_user(user).sudo(False).sudo(), **values)
            self.assert_trigger(self.lead, "email_received")
            message.unlink()
            self.lead.stage_id = self.new
        self.post(message_type="email", author_id=user.partner_id.id, crm_stage_is_automatic=True)
        self.assert_trigger(self.lead, None)

    def test_costs(self):
        """Nothing while no automation listens to e-mails."""
        self.automations.search([("trigger", "in", ("email_sent", "email_received"))]).active = False
        self.assertCostsNothing(lambda: self.post(partner_ids=self.partner.ids))
