from odoo import api, models

# Headers that only a machine that answers, or that returns an e-mail, gives
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
# Asked for by programs that answer, lest they be answered. Other values only spare the sender receipts.
SUPPRESSED_RESPONSES = {"all", "autoreply"}


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
            or any(
                SUPPRESSED_RESPONSES & {word.strip() for word in value.split(",")}
                for value in get_values("X-Auto-Response-Suppress")
            )
            or get_values("Return-Path") & {"<>"}  # nobody is to answer it, nor to be told that it is lost
        )

    def _get_message_create_valid_field_names(self):
        return super()._get_message_create_valid_field_names() | {"crm_stage_is_automatic"}
