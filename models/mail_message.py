from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, email_normalize_all

from .mail_mail import UNPOSTED_TYPES

# Messages that people write, in the chatter or in their own mail program
WRITTEN_TYPES = ("comment", "email")
# Those that Odoo may send by e-mail when they are posted; its notes of changes and absences are no e-mails
POSTED_TYPES = (*WRITTEN_TYPES, "auto_comment")


class MailMessage(models.Model):
    """Which messages are e-mails that opportunities got, or that were sent about them."""

    _inherit = "mail.message"

    is_auto_submitted = fields.Boolean(
        "Sent by a Machine",
        readonly=True,
        help="Whether this e-mail came in as an automatic reply or a bounce, by its headers.",
    )

    # ------------------------------------------------------------------
    # Addresses of ours
    # ------------------------------------------------------------------

    @api.model
    def _filter_outside(self, addresses):
        """
        :param addresses: normalized e-mail addresses
        :return: set of those that are none of ours
        """
        if not addresses:
            return set()
        rows = self.env.execute_query(
            SQL(
                "SELECT address FROM unnest(%s) AS address WHERE address NOT IN (%s)",
                list(addresses),
                self._get_our_addresses_sql(),
            )
        )
        return {address for (address,) in rows}

    @api.model
    def _get_outside_domain(self, name):
        """:return: ``Domain`` of records with an address in the field ``name`` that is none of ours"""

        def to_sql(model, alias, query):
            return SQL(
                "EXISTS (SELECT FROM %s AS found WHERE found[1] NOT IN (%s))",
                self._split_addresses_sql(model._field_to_sql(alias, name, query)),
                self._get_our_addresses_sql(),
            )

        return Domain.custom(to_sql=to_sql)

    @api.model
    def _get_our_addresses_sql(self):
        """:return: query of the addresses of internal users, companies and aliases"""
        texts = [
            *self._select_texts("res.users", [("share", "=", False)], "email", "login"),
            *self._select_texts("res.company", [], "email"),
            *self._select_texts("mail.alias", [("alias_full_name", "!=", False)], "alias_full_name"),
            *self._select_texts(
                "mail.alias.domain", [], "bounce_alias", "catchall_alias", "default_from", suffix="name"
            ),
            *self._select_texts("mail.alias.domain", [], "default_from"),  # may be a whole address
        ]
        return SQL(
            "SELECT found[1] FROM (%s) AS ours (text), %s AS found",
            SQL(" UNION ALL ").join(texts),
            self._split_addresses_sql(SQL("ours.text")),
        )

    @api.model
    def _select_texts(self, model_name, domain, *names, suffix=None):
        """
        :param suffix: field with what follows after "@"
        :return: one query for each of the fields ``names`` of matching records
        """
        model = self.env[model_name].sudo()  # sudo: all addresses are needed to know which are nobody's
        query = model._search(domain)
        texts = [model._field_to_sql(query.table, name, query) for name in names]
        if suffix:
            suffix = model._field_to_sql(query.table, suffix, query)
            texts = [SQL("%s || '@' || %s", text, suffix) for text in texts]
        return [query.select(text) for text in texts]

    @api.model
    def _split_addresses_sql(self, text):
        """:return: rows with one address each; quoted names may hold something that looks like one"""
        return SQL(
            "regexp_matches(regexp_replace(lower(%s), %s, '', 'g'), %s, 'g')",
            text,
            '"[^"]*"',
            r"[^\s<>,;]+@[^\s<>,;]+",
        )

    # ------------------------------------------------------------------
    # E-mails of opportunities
    # ------------------------------------------------------------------

    def _is_from_outside(self):
        """:return: whether a message that somebody wrote is from somebody who is none of ours"""
        self.ensure_one()
        if self.author_id:
            return self.author_id.partner_share
        return bool(self._filter_outside(email_normalize_all(self.email_from or "")))

    def _is_email_received(self):
        """:return: whether this is an e-mail that a person outside wrote"""
        self.ensure_one()
        return self.message_type == "email" and not self.is_auto_submitted and self._is_from_outside()

    def _is_email_sent(self, recipients):
        """
        :param list recipients: of this message, as in Odoo's ``_notify_get_recipients``
        :return: whether this message, just posted, is an e-mail of ours to somebody outside
        """
        self.ensure_one()
        if self.message_type not in POSTED_TYPES or self.is_auto_submitted:
            return False
        addresses = {
            recipient["email_normalized"]
            for recipient in recipients
            if recipient["share"] and recipient["notif"] == "email" and recipient["email_normalized"]
        }
        if self.message_type == "email":
            # Odoo sends what was written in a mail program to nobody who has it already.
            addresses.update(
                email_normalize_all(f"{self.incoming_email_to or ''},{self.incoming_email_cc or ''}")
            )
        is_ours = self.message_type not in WRITTEN_TYPES or not self._is_from_outside()
        return is_ours and bool(self._filter_outside(addresses))

    @api.model
    def _get_email_received_domain(self):
        """:return: ``Domain`` of the messages that ``_is_email_received``"""
        return (
            Domain("message_type", "=", "email")
            & Domain("is_auto_submitted", "!=", True)
            & self._get_from_outside_domain()
        )

    @api.model
    def _get_email_sent_domain(self):
        """:return: ``Domain`` of the messages that ``_is_email_sent``, or that were sent without a post"""
        return (
            Domain("is_auto_submitted", "!=", True)
            & Domain("message_type", "in", POSTED_TYPES + UNPOSTED_TYPES)
            & (Domain("message_type", "not in", WRITTEN_TYPES) | ~self._get_from_outside_domain())
            & (self._get_notified_domain() | self._get_mailed_domain() | self._get_mailing_domain())
        )

    @api.model
    def _get_notified_domain(self):
        """:return: ``Domain`` of the messages that Odoo notified somebody outside of by e-mail"""
        outside_partner = Domain("partner_share", "=", True) & self._get_outside_domain("email")
        outside_address = self._get_outside_domain("mail_email_address")
        return Domain(
            "notification_ids",
            "any",
            Domain("notification_type", "=", "email")
            & Domain("notification_status", "not in", ("exception", "canceled"))
            & (
                Domain("res_partner_id", "any", outside_partner)
                | (Domain("res_partner_id", "=", False) & outside_address)
            ),
        )

    @api.model
    def _get_mailed_domain(self):
        """:return: ``Domain`` of the messages of e-mails to somebody outside, from Odoo or a mail program"""
        written_elsewhere = Domain("message_type", "=", "email") & (
            self._get_outside_domain("incoming_email_to") | self._get_outside_domain("incoming_email_cc")
        )
        return written_elsewhere | Domain("mail_ids", "any", self.env["mail.mail"]._get_sent_outside_domain())

    @api.model
    def _get_mailing_domain(self):
        """:return: ``Domain`` of the messages of mailings that were sent: they leave nothing but a trace"""
        if "mailing.trace" not in self.env:
            return Domain.FALSE
        traces = self.env["mailing.trace"].sudo()  # sudo: only whether there is one
        sent = ("sent", "open", "reply")
        query = traces._search([("model", "=", "crm.lead"), ("trace_status", "in", sent)])
        message_id = traces._field_to_sql(query.table, "message_id", query)
        return Domain("message_id", "in", query.subselect(message_id))

    @api.model
    def _get_from_outside_domain(self):
        """:return: ``Domain`` of the messages that are ``_is_from_outside``"""
        return Domain("author_id.partner_share", "=", True) | (
            Domain("author_id", "=", False) & self._get_outside_domain("email_from")
        )
