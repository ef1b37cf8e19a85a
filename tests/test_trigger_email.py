from contextlib import contextmanager
from unittest.mock import patch

from odoo import Command, fields
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
        """The opportunity went where ``trigger`` moves it, and the trigger tells the same afterwards."""
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
    """Sent is what goes to somebody outside, about the opportunity, for real."""

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
        cls.template = cls.env["mail.template"].create(
            {
                "name": "Reminder",
                "model_id": cls.env["ir.model"]._get_id("crm.lead"),
                "subject": "Reminder",
                "body_html": "<p>Hello</p>",
                "use_default_to": False,
                "auto_delete": False,
            }
        )

    def send(self, lead=None, **values):
        """Send the template, addressed as ``values`` tell.

        :return: the opportunity
        """
        self.template.write({"email_to": False, "email_cc": False, "partner_to": False, **values})
        lead = lead or self.create_lead()
        self.template.send_mail(lead.id)
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
            "{{ object.user_id.email_formatted }}",
            "nobody",
        ):
            with self.subTest(address):
                self.assert_not_sent(self.send(email_to=address))

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
                self.assert_sent(self.send(email_to=address))

    def test_copy_to_customer(self):
        self.assert_sent(self.send(email_to="sam@dealer.example", email_cc="customer@example.com"))
        self.assert_not_sent(self.send(email_to="sam@dealer.example", email_cc="m@example.com"))

    def test_partners(self):
        addressless = self.env["res.partner"].create({"name": "Nowhere"})
        double = self.env["res.partner"].create({"name": "Sam at Home", "email": "sam@dealer.example"})
        robot = self.env.ref("base.partner_root")
        for partner in (self.salesperson.partner_id, addressless, double, robot):
            with self.subTest(partner.name):
                self.assert_not_sent(self.send(partner_to=str(partner.id)))
        self.assert_sent(self.send(partner_to=str(self.partner.id)))

    def test_automation_rule(self):
        """Odoo's own Automation Rules tell salespeople, or write to customers."""
        for address, method, is_sent in (
            ("{{ object.user_id.email_formatted }}", "email", False),
            ("customer@example.com", "email", True),
            ("customer@example.com", "comment", True),
        ):
            with self.subTest(address, method=method):
                self.template.email_to = address
                action = self.env["ir.actions.server"].create(
                    {
                        "name": "Tell",
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
            (self.manager.partner_id, False),
            (self.partner, True),
        ):
            with self.subTest(partner.name):
                lead = self.create_lead(user_id=False)
                lead.message_post(
                    body="Hello",
                    message_type="comment",
                    subtype_xmlid="mail.mt_comment",
                    partner_ids=partner.ids,
                )
                (self.assert_sent if is_sent else self.assert_not_sent)(lead)
        self.partner.active = False
        self.assert_sent(lead, "also when the customer is archived")

    def test_chatter_to_address(self):
        for address, is_sent in (("sam@dealer.example", False), ("neighbour@example.org", True)):
            with self.subTest(address):
                lead = self.create_lead(user_id=False)
                lead.message_post(
                    body="Hello",
                    message_type="comment",
                    subtype_xmlid="mail.mt_comment",
                    outgoing_email_to=address,
                )
                (self.assert_sent if is_sent else self.assert_not_sent)(lead)

    def test_message_of_customer(self):
        """What a customer writes to another one in the portal is no e-mail of ours."""
        lead = self.create_lead(user_id=False)
        other = self.env["res.partner"].create({"name": "Other", "email": "other@example.org"})
        lead.message_post(
            body="Hello",
            author_id=self.partner.id,
            message_type="comment",
            subtype_xmlid="mail.mt_comment",
            partner_ids=other.ids,
        )
        self.assert_not_sent(lead)

    def test_notify(self):
        for partner, is_sent in ((self.manager.partner_id, False), (self.partner, True)):
            with self.subTest(partner.name):
                lead = self.create_lead(user_id=False)
                lead.message_notify(body="Hello", subject="Hello", partner_ids=partner.ids)
                (self.assert_sent if is_sent else self.assert_not_sent)(lead)
        lead = self.create_lead(user_id=False)
        self.env["mail.thread"].message_notify(
            body="Hello", subject="Hello", partner_ids=self.partner.ids, model="crm.lead", res_id=lead.id
        )
        self.assert_sent(lead, "by way of no record")

    def test_mass_mail(self):
        """Blacklisted, addressless and double ones are sent nothing."""
        addressless = self.env["res.partner"].create({"name": "Nowhere"})
        sent = self.create_lead(email_from="one@example.com", partner_id=False)
        double = self.create_lead(email_from="one@example.com", partner_id=False)
        blacklisted = self.create_lead(email_from="never@example.com", partner_id=False)
        nowhere = self.create_lead(partner_id=addressless.id)
        invalid = self.create_lead(email_from="nobody", partner_id=False)
        self.env["mail.blacklist"]._add("never@example.com")
        composer = self.env["mail.compose.message"].create(
            {
                "model": "crm.lead",
                "res_ids": repr((sent + double + blacklisted + nowhere + invalid).ids),
                "composition_mode": "mass_mail",
                "use_exclusion_list": True,
                "body": "Offer",
                "subject": "Offer",
            }
        )
        composer.action_send_mail()
        self.assert_sent(sent)
        for lead in (double, blacklisted, nowhere, invalid):
            self.assert_not_sent(lead)

    def create_mail(self, lead, **values):
        return self.env["mail.mail"].create(
            {
                "model": lead._name,
                "res_id": lead.id,
                "email_to": "customer@example.com",
                "subject": "Hello",
                "body_html": "Hello",
                # Odoo would read them from the record.
                "reply_to": "x@example.com",
                "record_name": "House",
                **values,
            }
        )

    def test_not_outgoing(self):
        for state in ("cancel", "exception", "received"):
            with self.subTest(state):
                lead = self.create_lead()
                self.create_mail(lead, state=state)
                self.assert_not_sent(lead)

    def test_archive(self):
        """E-mails that another system sent, as an import brings them."""
        lead = self.create_lead()
        self.create_mail(lead, state="sent")
        self.assert_sent(lead)

    def test_about_something_else(self):
        gone = self.create_lead()
        gone_id = gone.id
        gone.unlink()
        self.create_mail(self.env["crm.lead"].browse(gone_id))
        lead = self.create_lead()
        partner = self.env["res.partner"].browse(lead.id)
        self.create_mail(partner)
        self.assert_not_sent(lead, "the document is told by model and id, not by id alone")

    @contextmanager
    def mail_server(self):
        """E-mails are sent, as far as Odoo knows."""
        servers = type(self.env["ir.mail_server"])
        with (
            patch.object(servers, "_disable_send", return_value=False),
            patch.object(servers, "_connect__", return_value=None),
            patch.object(servers, "send_email", return_value="<1@dealer.example>"),
        ):
            yield

    def test_scheduled(self):
        """It counts when it is sent, not when it is planned, and once."""
        lead = self.create_lead()
        mail = self.create_mail(
            lead, scheduled_date=fields.Datetime.add(fields.Datetime.now(), days=1), auto_delete=True
        )
        self.assert_not_sent(lead)
        with self.mail_server():
            mail.send()
        self.assertFalse(mail.exists())
        self.assertEqual(lead.stage_id, self.estimate)

    def test_sent_once(self):
        """An e-mail that went to the queue at once does not count again when the queue sends it."""
        now = fields.Datetime.now()
        for scheduled_date in (False, fields.Datetime.subtract(now, hours=1)):
            lead = self.create_lead()
            mail = self.create_mail(lead, scheduled_date=scheduled_date)
            self.assert_sent(lead)
            lead.stage_id = self.new
            with self.mail_server():
                mail.send()
            self.assertEqual((mail.state, lead.stage_id), ("sent", self.new))

    def test_scheduled_and_failed(self):
        lead = self.create_lead()
        mail = self.create_mail(lead, scheduled_date=fields.Datetime.add(fields.Datetime.now(), days=1))
        servers = type(self.env["ir.mail_server"])
        with (
            self.mail_server(),
            patch.object(servers, "send_email", side_effect=ValueError("no way")),
            mute_logger("odoo.addons.mail.models.mail_mail"),
        ):
            mail.send()
        self.assertEqual(mail.state, "exception")
        self.assert_not_sent(lead)

    def test_mailing(self):
        """The samples of a mailing name any opportunity, and go to whoever tries it."""
        if "mailing.mailing" not in self.env:
            self.skipTest("Email Marketing is not installed, which the addon does not depend on")
        self.env["crm.lead"].search([]).unlink()
        lead, kept, colleague = leads = self.create_leads(3)
        for number, each in enumerate(leads):
            each.write({"partner_id": False, "email_from": f"customer{number}@example.com"})
        colleague.email_from = "sam@dealer.example"
        mailing, archived = self.env["mailing.mailing"].create(
            [
                {
                    "subject": "Offer",
                    "body_html": "<p>Offer</p>",
                    "mailing_model_id": self.env["ir.model"]._get_id("crm.lead"),
                    "mailing_domain": repr([("id", "in", of.ids)]),
                    "keep_archives": keep_archives,
                }
                for of, keep_archives in ((lead + colleague, False), (kept, True))
            ]
        )
        sample = self.env["mailing.mailing.test"].create(
            {"email_to": "designer@example.org", "mass_mailing_id": mailing.id}
        )
        with self.mail_server():
            sample.send_mail_test()
            for each in leads:
                self.assert_not_sent(each)
            (mailing + archived).action_send_mail()
        self.assert_sent(lead, "Odoo deleted the e-mail")
        self.assert_sent(kept)
        self.assert_not_sent(colleague)

    def test_many_at_once(self):
        """Queries do not grow with the number of e-mails, and there are none where nobody listens."""
        leads = self.create_leads(20)
        self.env["mail.mail"].create([self.get_mail_values(lead) for lead in leads[:1]])
        self.assertEqual(leads[0].stage_id, self.estimate)
        mails = self.env["mail.mail"].create(
            [{**self.get_mail_values(lead), "state": "cancel"} for lead in leads]
        )
        self.env.flush_all()
        # Four kinds of addresses of ours, the partners, and whether the opportunities exist
        with self.assertQueryCount(6):
            found = mails._get_emailed_opportunities()
        self.assertEqual(found, leads)
        self.automations.search([]).active = False
        self.create_mail(leads[0])  # warms the cache
        with patch.object(type(mails), "_get_emailed_opportunities") as looked:
            self.create_mail(leads[0])
        looked.assert_not_called()

    def get_mail_values(self, lead):
        return {
            "model": "crm.lead",
            "res_id": lead.id,
            "email_to": f"customer{lead.id}@example.com",
            "recipient_ids": [Command.link(self.partner.id)],
            "subject": "Hello",
        }


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
        """By "Send by e-mail", by the chatter, and by a template: at once, and for what exists already."""
        values = {"model": "sale.order", "res_id": self.order.id, "email_to": "neighbour@example.org"}
        for send in (
            lambda: self.post(self.order.with_context(mark_so_as_sent=True), partner_ids=self.partner.ids),
            lambda: self.post(outgoing_email_to="neighbour@example.org"),
            lambda: self.env["mail.mail"].create(values),
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
        for author, email_from in ((user.partner_id, False), (self.env["res.partner"], "x@example.org")):
            values = {"message_type": "email", "author_id": author.id, "email_from": email_from}
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

    def test_costs_of_many(self):
        """One look for the quotations, whether they exist, and one for the opportunities."""
        leads = self.create_leads(10)
        orders = self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])
        values = [
            {"model": "sale.order", "res_id": order.id, "email_to": "n@example.org"} for order in orders
        ]
        mails = self.env["mail.mail"].create([{**each, "state": "cancel"} for each in values])
        queries = {}
        for count in (1, 10):
            self.env.flush_all()
            self.env.invalidate_all()
            mails[:count].mapped("email_to")
            before = self.env.cr.sql_log_count
            self.assertEqual(mails[:count]._get_emailed_opportunities(), leads[:count])
            queries[count] = self.env.cr.sql_log_count - before
        self.assertEqual(queries[10], queries[1])
