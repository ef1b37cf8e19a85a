from datetime import timedelta

from odoo import fields, models


class ResCompany(models.Model):
    _inherit = "res.company"

    def _get_crm_stage_day(self, moment, days):
        """
        :param datetime moment: in UTC
        :return: the last date that counts as passed ``days`` days before ``moment``, in the time zone of this
            company: of the dates without time, each counts from the day after
        """
        self.ensure_one()
        # A company has no time zone of its own: its address has one, or its working hours.
        zone = self.partner_id.tz or self.resource_calendar_id.tz
        today = fields.Datetime.context_timestamp(self.with_context(tz=zone or "UTC"), moment).date()
        return today - timedelta(days=days + 1)
