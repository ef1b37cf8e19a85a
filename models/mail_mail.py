from odoo import api, models


class MailMail(models.Model):
    _inherit = "mail.mail"

    @api.model_create_multi
    def create(self, vals_list):
        """E-mails to customers that are no posted message: mass mailings, and templates sent as they are."""
        mails = super().create(vals_list)
        if self.env["crm.lead"]._get_heard_crm_stage_triggers():
            outgoing = mails.filtered(
                lambda mail: (
                    mail.model == "crm.lead"
                    and mail.message_type == "email_outgoing"
                    and mail.state == "outgoing"  # neither blacklisted nor without address
                    and (mail.email_to or any(mail.recipient_ids.mapped("partner_share")))
                )
            )
            self.env["crm.lead"].browse(outgoing.mapped("res_id"))._trigger_crm_stage("email_sent")
        return mails
