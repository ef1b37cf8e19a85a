from odoo import api, models

from .mail_message import EMAILED_MODELS

# Headers that only a machine that answers, or that returns an e-mail, gives. X-Auto-Response-Suppress is
# none of them: Exchange puts it on what people write, by rules of organisations and on distribution lists.
AUTOMATIC_HEADERS = (
    "X-Autoreply",
    "X-Auto-Reply",
    "X-Autoreply-From",
    "X-Mail-Autoreply",
    "X-Autorespond",
    "X-Autoresponse",
    "X-Autoresponder",
    "X-Failed-Recipients",
)
# Values that tell so. A post to a mailing list ("list") was written by a person; the old vacation program of
# Unix calls its answers "bulk".
AUTOMATIC_PRECEDENCES = {"auto_reply", "auto-reply", "bulk", "junk"}


class MailThread(models.AbstractModel):
    _inherit = "mail.thread"

    @api.model
    def message_parse(self, message, save_original=False):
        """Automatic replies and bounces are told by their headers, which only the mail gateway sees."""
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
            """What the header says, without comments and parameters"""
            values = (str(value) for value in message.get_all(name, ()))
            return {value.partition(";")[0].partition("(")[0].strip().lower() for value in values}

        return bool(
            get_values("Auto-Submitted") - {"", "no"}
            or any(get_values(name) - {"", "no", "false"} for name in AUTOMATIC_HEADERS)
            or (get_values("Precedence") | get_values("X-Precedence")) & AUTOMATIC_PRECEDENCES
            or get_values("Return-Path") & {"<>"}  # nobody is to answer it, nor to be told that it is lost
        )

    def _notify_thread(self, message, msg_vals=False, **kwargs):
        """Announce e-mails of opportunities, and of their quotations and orders, that are sent and received.

        Only here is it known who gets a message and how: an internal note is no e-mail to the customer.
        """
        recipients = super()._notify_thread(message, msg_vals=msg_vals, **kwargs)
        if self._name in EMAILED_MODELS:
            heard = self.env["crm.lead"]._get_heard_crm_stage_triggers()
            if not heard.isdisjoint({"email_sent", "email_received"}):
                is_scheduled = self._is_notification_scheduled(kwargs.get("scheduled_date"))
                self._announce_email(message, recipients, is_scheduled)
        return recipients

    def _announce_email(self, message, recipients, is_scheduled):
        """
        :param message: about these opportunities, or about these quotations and orders
        :param list recipients: of the message, as in Odoo's ``_notify_get_recipients``
        :param bool is_scheduled: whether it is sent later
        """
        # sudo: only where it comes from, and whoever writes on a quotation need not see its opportunity
        documents, message = self.sudo(), message.sudo()
        leads = self.env["crm.lead"].union(*(leads for _document, leads in documents._get_crm_stage_leads()))
        if not leads:
            return
        if message._is_email_received():
            leads._trigger_crm_stage("email_received")
        elif not is_scheduled and message._is_email_sent(recipients):
            leads._trigger_crm_stage("email_sent")

    def _get_message_create_valid_field_names(self):
        return super()._get_message_create_valid_field_names() | {"crm_stage_is_automatic"}
