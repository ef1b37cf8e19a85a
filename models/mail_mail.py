from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import email_normalize_all

# Messages of e-mails that are not posted in the chatter: mailings, templates sent as they are, notifications
UNPOSTED_TYPES = ("email_outgoing", "user_notification")


class MailMail(models.Model):
    """E-mails about opportunities that are no posted message; `crm.lead` sees those that are."""

    _inherit = "mail.mail"

    @api.model_create_multi
    def create(self, vals_list):
        mails = super().create(vals_list)
        if self._is_crm_stage_heard():
            # Blacklisted and double ones are not outgoing. What is scheduled for later counts then.
            now = fields.Datetime.now()
            outgoing = mails.filtered(
                lambda mail: (
                    mail.state == "outgoing" and not (mail.scheduled_date and mail.scheduled_date > now)
                )
            )
            outgoing._get_emailed_opportunities()._trigger_crm_stage("email_sent")
        return mails

    def _postprocess_sent_message(
        self, success_pids, success_emails, failure_reason=False, failure_type=None
    ):
        """E-mails that were scheduled count now that they are sent; Odoo deletes most of them here."""
        leads = self.env["crm.lead"]
        if self._is_crm_stage_heard():
            scheduled = self.filtered(
                lambda mail: (
                    mail.state == "sent" and mail.scheduled_date and mail.scheduled_date > mail.create_date
                )
            )
            leads = scheduled._get_emailed_opportunities()
        res = super()._postprocess_sent_message(
            success_pids, success_emails, failure_reason=failure_reason, failure_type=failure_type
        )
        leads._trigger_crm_stage("email_sent")
        return res

    @api.model
    def _is_crm_stage_heard(self):
        return "email_sent" in self.env["crm.lead"]._get_heard_crm_stage_triggers()

    def _get_emailed_opportunities(self):
        """:return: the opportunities that those of these e-mails are about that go to somebody outside"""
        addresses = {
            mail: {
                address
                for text in (
                    mail.email_to,
                    mail.email_cc,
                    *mail.recipient_ids.filtered("partner_share").mapped("email"),
                )
                if text
                for address in email_normalize_all(text)
            }
            for mail in self
            if mail.message_type in UNPOSTED_TYPES
            and mail.model == "crm.lead"
            and not mail._is_mailing_test()
        }
        outside = self.env["mail.message"]._filter_outside(set().union(*addresses.values()))
        lead_ids = {mail.res_id for mail in addresses if addresses[mail] & outside}
        return self.env["crm.lead"].browse(lead_ids).exists()

    def _is_mailing_test(self):
        """:return: whether this is a sample of a mailing, made with any opportunity: it leaves no trace"""
        self.ensure_one()
        return "mailing_id" in self._fields and bool(self.mailing_id and not self.mailing_trace_ids)

    @api.model
    def _get_sent_outside_domain(self):
        """:return: ``Domain`` of the e-mails that went out to somebody outside, or are about to"""
        messages = self.env["mail.message"]
        outside_partner = Domain("partner_share", "=", True) & messages._get_outside_domain("email")
        is_due = Domain("scheduled_date", "=", False) | Domain("scheduled_date", "<=", fields.Datetime.now())
        domain = (Domain("state", "=", "sent") | (Domain("state", "=", "outgoing") & is_due)) & (
            messages._get_outside_domain("email_to")
            | messages._get_outside_domain("email_cc")
            | Domain("recipient_ids", "any", outside_partner)
        )
        if "mailing_id" in self._fields:
            domain &= Domain("mailing_id", "=", False) | Domain("mailing_trace_ids", "!=", False)
        return domain
