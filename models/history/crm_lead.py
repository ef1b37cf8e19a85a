from markupsafe import Markup

from odoo import api, models

from ..stage.crm_lead import PLACE_FIELDS
from .crm_stage_stay import MOVED_BY

# A class that is not seen: a later installation fills the history of stays by it.
MARK = Markup('<span class="o_crm_stage_automation">%s</span>')


class CrmLead(models.Model):
    """Opportunities have the history of their stays written: see ``crm.stage.stay``."""

    _inherit = "crm.lead"

    # What the report joins of opportunities, so that it need not read these, which are many and long
    _crm_stage_report_idx = models.Index(
        "(id) INCLUDE (company_id, user_id, won_status, expected_revenue, lost_reason_id)"
    )

    @api.model_create_multi
    def create(self, vals_list):
        """Keep where opportunities begin: the transaction that creates them may move them on."""
        leads = super().create(vals_list)
        stays = self.env["crm.stage.stay"]
        stays._add_mover(leads)
        done = stays._get_done()
        done["touched_ids"].update(leads.ids)
        done["first_stage_ids"].update({lead.id: lead.stage_id.id for lead in leads})
        return leads

    def write(self, vals):
        """Keep what moves the opportunities: it is not known any more where the change is stored.

        Taking them out of the pipeline moves none.
        """
        is_placing = "stage_id" in vals or vals.get("active") or vals.get("type") == "opportunity"
        if is_placing or "team_id" in vals or "user_id" in vals:
            self.env["crm.stage.stay"]._add_mover(self, is_placing)
        if moved_by := self.env.cr.cache.get(MOVED_BY):
            self._log_moved_by(moved_by[1])
        return super().write(vals)

    def _log_moved_by(self, bodies):
        """Let the messages that Odoo posts about this change say what moved the opportunities.

        :param dict bodies: text or markup by opportunity id
        """
        moved = self.filtered(lambda lead: lead.id in bodies)
        for lead in moved:
            lead._track_set_log_message(MARK % bodies[lead.id])
        # OdooBot is the author where the user may not see the opportunity: authors may read their messages,
        # which name it. It is the author for customers, too: who signs moved no card.
        visible = self.browse() if self.env.user.share else moved.sudo(False)._filtered_access("read")
        if hidden := moved - visible.sudo():
            hidden._track_set_author(self.env.ref("base.partner_root"))

    def _track_set_log_message(self, message):
        """Say what moved the opportunity, and what others say in the same message ("Expected revenue …")."""
        messages = self.env.cr.precommit.data.get("mail.tracking.message.crm.lead", {})
        others = self.filtered(lambda lead: messages.get(lead.id))
        for lead in others:
            if message not in messages[lead.id]:
                messages[lead.id] = Markup("%s<br/>%s") % (messages[lead.id], message)
        return super(CrmLead, self - others)._track_set_log_message(message)

    def _write_multi(self, vals_list):
        """All that is stored comes by here, written or computed."""
        rows = zip(self._ids, vals_list, strict=True)
        if touched_ids := [lead_id for lead_id, vals in rows if not PLACE_FIELDS.isdisjoint(vals)]:
            self.env["crm.stage.stay"]._get_done()["touched_ids"].update(touched_ids)
        return super()._write_multi(vals_list)
