from odoo import api, fields, models
from odoo.fields import Domain

from .mail_message import EMAILED_MODELS, UNPOSTED_TYPES, get_addresses


class MailMail(models.Model):
    """E-mails about opportunities that are no posted message; `crm.lead` sees those that are."""

    _inherit = "mail.mail"

    @api.model_create_multi
    def create(self, vals_list):
        mails = super().create(vals_list)
        if self._is_crm_stage_heard():
            sent = mails.filtered_domain(self._get_sent_domain())
            sent._get_emailed_opportunities()._trigger_crm_stage("email_sent")
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
        """
        :return: the opportunities that those of these e-mails are about that go to somebody outside, or whose
            quotations and orders they are about
        """
        addresses = {
            mail: get_addresses(
                mail.email_to, mail.email_cc, *mail.recipient_ids.filtered("partner_share").mapped("email")
            )
            for mail in self
            if mail.message_type in UNPOSTED_TYPES
            and mail.model in EMAILED_MODELS
            and not mail._is_mailing_test()
        }
        outside = self.env["mail.message"]._filter_outside(set().union(*addresses.values()))
        leads = self.env["crm.lead"]
        for model_name, mails in (
            self.filtered(lambda mail: addresses.get(mail, set()) & outside).grouped("model").items()
        ):
            # sudo: whoever writes on a quotation need not see its opportunity
            documents = self.env[model_name].sudo().browse(set(mails.mapped("res_id"))).exists()
            leads = leads.union(*(its_leads for _document, its_leads in documents._get_crm_stage_leads()))
        return leads

    def _is_mailing_test(self):
        """:return: whether this is a sample of a mailing, made with any opportunity: it leaves no trace"""
        self.ensure_one()
        return "mailing_id" in self._fields and bool(self.mailing_id and not self.mailing_trace_ids)

    @api.model
    def _get_sent_domain(self):
        """:return: ``Domain`` of the e-mails that went out, or that are about to"""
        # Blacklisted and double ones are not outgoing. What is scheduled for later counts then.
        is_due = Domain("scheduled_date", "=", False) | Domain("scheduled_date", "<=", fields.Datetime.now())
        return Domain("state", "=", "sent") | (Domain("state", "=", "outgoing") & is_due)

    @api.model
    def _get_emailed_opportunity_ids(self):
        """:return: ids of the opportunities of the e-mails and mailings that went out and left a record"""
        is_about_lead = Domain("model", "in", EMAILED_MODELS) & Domain("message_type", "in", UNPOSTED_TYPES)
        lean = self.with_context(prefetch_fields=False)  # The bodies are not needed.
        lead_ids = lean.search(is_about_lead & self._get_sent_domain())._get_emailed_opportunities().ids
        if "mailing.trace" in self.env:  # Odoo deletes the e-mails of mailings
            domain = [
                ("model", "=", "crm.lead"),
                ("trace_type", "=", "mail"),
                ("trace_status", "in", ("sent", "open", "reply")),
                ("email", "not in", [False, *self.env["mail.message"]._get_our_addresses()]),
            ]
            lead_ids += self.env["mailing.trace"].search_fetch(domain, ["res_id"]).mapped("res_id")
        return lead_ids
