from odoo import api, models
from odoo.fields import Domain

from .mail_message import EMAIL_TRIGGERS, EMAILED_MODELS, POSTED_TYPES

# Headers that only a machine that answers, or that returns an e-mail, gives. X-Auto-Response-Suppress is
# none of them: Exchange puts it on what people write, by rules of organisations and on distribution lists.
AUTOMATIC_HEADERS = ["X-Autoreply", "X-Auto-Reply", "X-Autoreply-From", "X-Mail-Autoreply", "X-Autorespond"]
AUTOMATIC_HEADERS += ["X-Autoresponse", "X-Autoresponder", "X-Failed-Recipients"]
# Values that mean the same. A post to a mailing list ("list") was written by a person; the old vacation
# program of Unix calls its answers "bulk".
AUTOMATIC_PRECEDENCES = {"auto_reply", "auto-reply", "bulk", "junk"}


class MailThread(models.AbstractModel):
    _inherit = "mail.thread"

    @api.model
    def message_parse(self, message, save_original=False):
        """Automatic replies and bounces are known by their headers, which only the mail gateway sees."""
        values = super().message_parse(message, save_original=save_original)
        if values.get("is_bounce") or self._is_auto_submitted(message):
            values["crm_stage_is_automatic"] = True
        return values

    @api.model
    def _is_auto_submitted(self, message):
        """
        :param message: e-mail as the gateway got it, an ``email.message.EmailMessage``
        :return: whether a machine sent it, by its headers (RFC 3834 and the habits of older programs)
        """

        def get_values(name):
            """:return: what the headers called ``name`` say, without comments and parameters"""
            values = (str(value) for value in message.get_all(name, ()))
            return {value.partition(";")[0].partition("(")[0].strip().lower() for value in values}

        return bool(
            get_values("Auto-Submitted") - {"", "no"}
            or any(get_values(name) - {"", "no", "false"} for name in AUTOMATIC_HEADERS)
            or (get_values("Precedence") | get_values("X-Precedence")) & AUTOMATIC_PRECEDENCES
            or get_values("Return-Path") & {"<>"}  # neither answers nor bounces are wanted
        )

    def _notify_thread(self, message, msg_vals=False, **kwargs):
        """Announce e-mails of opportunities, and of their quotations and orders, that are sent and received.

        Odoo comes by here when it sends what was scheduled for later, too.
        """
        recipients = super()._notify_thread(message, msg_vals=msg_vals, **kwargs)
        if self._name in EMAILED_MODELS and message.message_type in POSTED_TYPES:
            heard = self.env["crm.stage.automation"]._get_listening().heard.get("crm.lead", frozenset())
            for trigger in heard.intersection(EMAIL_TRIGGERS):
                self._announce_email(trigger, message)
        return recipients

    def _announce_email(self, trigger, message):
        """:param message: just posted about these opportunities, or about these quotations and orders"""
        # sudo: only where it comes from; a user who writes on a quotation need not see its opportunity
        documents, messages = self.sudo(), message.sudo()
        if messages.search_count(messages._get_email_domain(trigger, Domain("id", "=", message.id))):
            leads = [leads for _document, leads in documents._get_crm_stage_leads()]
            self.env["crm.lead"].union(*leads)._trigger_crm_stage(trigger)

    def _get_message_create_valid_field_names(self):
        return super()._get_message_create_valid_field_names() | {"crm_stage_is_automatic"}
