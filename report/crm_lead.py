from odoo import SUPERUSER_ID, api, models

from ..models.crm_lead import MOVING_FIELDS, PLACE_FIELDS


class CrmLead(models.Model):
    """Opportunities have the history of their stays written: see ``crm.stage.stay``."""

    _inherit = "crm.lead"

    @api.model_create_multi
    def create(self, vals_list):
        leads = super().create(vals_list)
        self.env["crm.stage.stay"]._note_created(leads)
        return leads

    def write(self, vals):
        """Note what moves the opportunities: where the change is stored, nobody can tell any more."""
        is_automatic = self.env.uid == SUPERUSER_ID or bool(self.env.context.get("crm_stage_moving"))
        if not (MOVING_FIELDS if is_automatic else PLACE_FIELDS).isdisjoint(vals):
            self.env["crm.stage.stay"]._note_mover(self.ids, is_automatic)
        return super().write(vals)

    def _write_multi(self, vals_list):
        """Whatever is stored comes by here, written or computed."""
        self.env["crm.stage.stay"]._mark_touched(
            [
                lead_id
                for lead_id, vals in zip(self._ids, vals_list, strict=True)
                if not PLACE_FIELDS.isdisjoint(vals)
            ]
        )
        return super()._write_multi(vals_list)
