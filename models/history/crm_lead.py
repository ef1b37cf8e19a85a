from odoo import api, models

from ..stage.crm_lead import MOVING_FIELDS, PLACE_FIELDS


class CrmLead(models.Model):
    """Opportunities have the history of their stays written: see ``crm.stage.stay``."""

    _inherit = "crm.lead"

    # What the report joins of opportunities, so that it need not read these, which are many and long
    _crm_stage_report_idx = models.Index(
        "(id) INCLUDE (company_id, user_id, won_status, expected_revenue, lost_reason_id)"
    )

    @api.model_create_multi
    def create(self, vals_list):
        leads = super().create(vals_list)
        self.env["crm.stage.stay"]._add_created(leads)
        return leads

    def write(self, vals):
        """Keep what moves the opportunities: it is not known any more where the change is stored."""
        if not MOVING_FIELDS.isdisjoint(vals):
            self.env["crm.stage.stay"]._add_written(self, vals)
        return super().write(vals)

    def _write_multi(self, vals_list):
        """All that is stored comes by here, written or computed."""
        rows = zip(self._ids, vals_list, strict=True)
        touched_ids = [lead_id for lead_id, vals in rows if not PLACE_FIELDS.isdisjoint(vals)]
        self.env["crm.stage.stay"]._add_touched(touched_ids)
        return super()._write_multi(vals_list)
