from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import email_normalize_all

from ...tools import get_range_domain

EMAIL_TRIGGERS = ("email_sent", "email_received")

# Messages that people write, in the chatter or in their own mail program
WRITTEN_TYPES = ("comment", "email")
# Those that Odoo may send by e-mail when they are posted; its notes of changes and absences are no e-mails
POSTED_TYPES = (*WRITTEN_TYPES, "auto_comment")
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
    """Which messages are e-mails that opportunities got, or that were sent about them, and which are news."""

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
        # sudo: all addresses are needed to find out which are none of ours
        env = self.env(su=True)
        users = env["res.users"].with_context(active_test=False)  # OdooBot is archived.
        rows = [
            *users._read_group([("share", "=", False)], ["login", "email"]),
            *env["res.company"]._read_group([], ["email"]),
            *env["mail.alias"]._read_group([], ["alias_full_name"]),
        ]
        for domain in env["mail.alias.domain"].search(Domain.TRUE):
            rows.append((domain.bounce_email, domain.catchall_email, domain.default_from_email))
        return get_addresses(*(text for row in rows for text in row))

    @api.model
    def _get_email_domain(self, trigger, messages=Domain.TRUE):
        """
        :param trigger: ``email_received`` or ``email_sent``
        :param Domain messages: those in question
        :return: ``Domain`` of the e-mails among them that a person outside wrote, or of those of ours that
            went to somebody outside
        """
        ours = self._get_our_addresses()
        posted = MESSAGES & messages & Domain("message_type", "in", POSTED_TYPES)
        is_email = Domain("message_type", "=", "email")
        is_written = Domain("message_type", "in", WRITTEN_TYPES)

        def is_outside(is_asked, name):
            """:return: ``Domain`` of those whose text ``name`` holds an address outside"""
            texts = [text for (text,) in self._read_group(posted & is_asked, [name])]
            return is_asked & Domain(name, "not in", [text for text in texts if get_addresses(text) <= ours])

        if trigger == "email_received":
            return posted & is_outside(is_email, "email_from")
        no_address_outside = [False, *ours]
        is_notified = Domain(
            "notification_ids",
            "any",
            Domain("notification_type", "=", "email")
            & Domain("notification_status", "not in", ("exception", "canceled"))
            & (
                Domain("res_partner_id", "any", [("email_normalized", "not in", no_address_outside)])
                | Domain("mail_email_address", "not in", no_address_outside)
            ),
        )
        # Odoo does not send what was written in a mail program to those who have it already.
        is_sent = is_notified | is_outside(is_email, "incoming_email_to")
        is_sent |= is_outside(is_email, "incoming_email_cc")
        return posted & is_sent & ~is_outside(is_written, "email_from")

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
        is_received = Domain("message_type", "=", "email")
        is_news = (
            Domain("message_type", "in", SENT_TYPES)
            # Odoo keeps what a customer answers to a note as one.
            | (is_received & is_from_outside)
            | (Domain("message_type", "in", POSTED_TYPES) & Domain("subtype_id", "not in", [False, note]))
            | Domain("subtype_id", "in", [comment, activity])
        )
        # The date of an e-mail that came in is what its sender's clock said.
        is_in_time = (is_received & get_range_domain("create_date", since, until)) | (
            ~is_received & get_range_domain("date", since, until)
        )
        return MESSAGES & is_news & is_in_time
