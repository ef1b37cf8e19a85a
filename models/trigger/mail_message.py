from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import email_normalize_all

from ...tools import get_range_domain

# Messages that people write, in the chatter or in their own mail program
WRITTEN_TYPES = ("comment", "email")
# Those that Odoo may send by e-mail when they are posted; its notes of changes and absences are no e-mails
POSTED_TYPES = (*WRITTEN_TYPES, "auto_comment")
# Messages of e-mails that are not posted in the chatter: mailings, templates sent as they are, notifications
UNPOSTED_TYPES = ("email_outgoing", "user_notification")
# Those that are news whoever sees them in the chatter: they went to the customer, or came from there
SENT_TYPES = ("email_outgoing", "sms")

# The e-mails of quotations and orders are their opportunities', too.
EMAILED_MODELS = ("crm.lead", "sale.order")

# Messages about opportunities, their quotations and orders; those of machines left out
MESSAGES = (
    Domain("model", "in", EMAILED_MODELS)
    & Domain("crm_stage_is_automatic", "!=", True)
    & Domain("message_type", "!=", "out_of_office")
)


def get_addresses(*texts):
    """:return: set of the normalized e-mail addresses in ``texts``"""
    return {address for text in texts for address in email_normalize_all(text or "")}


class MailMessage(models.Model):
    """Which messages are e-mails that opportunities got, or that were sent about them."""

    _inherit = "mail.message"

    crm_stage_is_automatic = fields.Boolean(
        "Sent by a Machine",
        readonly=True,
        help="Whether this e-mail came in as an automatic reply or a bounce, by its headers.",
    )

    # See `_get_news_domain`
    _crm_stage_date_idx = models.Index("(model, date, res_id) WHERE model IN ('crm.lead', 'sale.order')")
    _crm_stage_create_date_idx = models.Index(
        "(model, create_date, res_id) WHERE model IN ('crm.lead', 'sale.order') AND message_type = 'email'"
    )

    @api.model
    def _get_our_addresses(self):
        """:return: set of the normalized addresses of internal users, companies and aliases"""
        env = self.env(su=True)  # All addresses are needed to know which are none of ours.
        rows = [
            *env["res.users"]._read_group([("share", "=", False)], ["login", "email"]),
            *env["res.company"]._read_group([], ["email"]),
            *env["mail.alias"]._read_group([], ["alias_full_name"]),
        ]
        for domain in env["mail.alias.domain"].search(Domain.TRUE):
            rows.append((domain.bounce_email, domain.catchall_email, domain.default_from_email))
        return get_addresses(*(text for row in rows for text in row))

    @api.model
    def _filter_outside(self, addresses):
        """:return: set of those of ``addresses``, a set of normalized ones, that are none of ours"""
        return addresses - self._get_our_addresses() if addresses else set()

    def _is_from_outside(self):
        """:return: whether somebody who is none of ours wrote this message"""
        if self.message_type not in WRITTEN_TYPES:
            return False
        if author := self.author_id:
            return author.partner_share and author.email_normalized not in self._get_our_addresses()
        return bool(self._filter_outside(get_addresses(self.email_from)))

    def _is_email_received(self):
        """:return: whether this is an e-mail that a person outside wrote"""
        return self.message_type == "email" and not self.crm_stage_is_automatic and self._is_from_outside()

    def _is_email_sent(self, recipients):
        """
        :param list recipients: of this message, as in Odoo's ``_notify_get_recipients``
        :return: whether this message, just posted, is an e-mail of ours to somebody outside
        """
        if self.message_type not in POSTED_TYPES or self.crm_stage_is_automatic or self._is_from_outside():
            return False
        addresses = {
            recipient["email_normalized"]
            for recipient in recipients
            if recipient["share"] and recipient["notif"] == "email" and recipient["email_normalized"]
        }
        if self.message_type == "email":
            # Odoo sends what was written in a mail program to nobody who has it already.
            addresses |= get_addresses(self.incoming_email_to, self.incoming_email_cc)
        return bool(self._filter_outside(addresses))

    # ------------------------------------------------------------------
    # Existing messages about opportunities
    # ------------------------------------------------------------------

    @api.model
    def _get_email_received_domain(self):
        """:return: ``Domain`` of those that are ``_is_email_received``"""
        emails = MESSAGES & Domain("message_type", "=", "email")
        return emails & self._get_from_outside_domain(emails)

    @api.model
    def _get_email_sent_domain(self):
        """:return: ``Domain`` of those that are ``_is_email_sent``, and of the notifications by e-mail"""
        messages = MESSAGES & Domain("message_type", "in", POSTED_TYPES + UNPOSTED_TYPES)
        messages &= ~self._get_from_outside_domain(messages)
        emails = messages & Domain("message_type", "=", "email")
        to_outside = self._get_outside_domain(emails, "incoming_email_to")
        cc_outside = self._get_outside_domain(emails, "incoming_email_cc")
        return (messages & self._get_notified_domain()) | (emails & (to_outside | cc_outside))

    @api.model
    def _get_news_domain(self, since=None, until=None):
        """
        :return: ``Domain`` of the messages that are news of an opportunity, and that Odoo got after ``since``
            and not after ``until``: e-mails, messages and SMS either way, and activities done, which Odoo
            logs there. Internal notes and tracked changes are none.
        """
        get_id = self.env["ir.model.data"]._xmlid_to_res_id
        comment, note, activity = (get_id(f"mail.mt_{name}") for name in ("comment", "note", "activities"))
        is_from_outside = Domain("author_id", "=", False) | Domain("author_id.partner_share", "=", True)
        is_news = (
            Domain("message_type", "in", SENT_TYPES)
            # Odoo keeps what a customer answers to a note as one.
            | (Domain("message_type", "=", "email") & is_from_outside)
            | (Domain("message_type", "in", POSTED_TYPES) & Domain("subtype_id", "not in", [False, note]))
            | Domain("subtype_id", "in", [comment, activity])
        )
        # The date of an e-mail that came in is what its sender's clock said.
        is_received = Domain("message_type", "=", "email")
        is_in_time = (is_received & get_range_domain("create_date", since, until)) | (
            ~is_received & get_range_domain("date", since, until)
        )
        return MESSAGES & is_news & is_in_time

    @api.model
    def _get_notified_domain(self):
        """:return: ``Domain`` of the messages that Odoo sent to somebody outside by e-mail"""
        ours = [False, *self._get_our_addresses()]
        partner = Domain("partner_share", "=", True) & Domain("email_normalized", "not in", ours)
        return Domain(
            "notification_ids",
            "any",
            Domain("notification_type", "=", "email")
            & Domain("notification_status", "not in", ("exception", "canceled"))
            & (Domain("res_partner_id", "any", partner) | Domain("mail_email_address", "not in", ours)),
        )

    @api.model
    def _get_from_outside_domain(self, messages):
        """:return: ``Domain`` of those of ``messages``, a domain, that are ``_is_from_outside``"""
        ours = list(self._get_our_addresses())
        partner = Domain("partner_share", "=", True) & Domain("email_normalized", "not in", ours)
        unknown = Domain("author_id", "=", False)
        unknown &= self._get_outside_domain(messages & unknown, "email_from")
        return Domain("message_type", "in", WRITTEN_TYPES) & (Domain("author_id", "any", partner) | unknown)

    @api.model
    def _get_outside_domain(self, messages, name):
        """:return: ``Domain`` of those of ``messages`` whose text ``name`` holds an address outside"""
        ours = self._get_our_addresses()
        texts = [text for (text,) in self._read_group(messages, [name])]
        return Domain(name, "not in", [text for text in texts if get_addresses(text) <= ours])
