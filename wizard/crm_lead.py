from odoo import api, fields, models
from odoo.tools import sql


class CrmLead(models.Model):
    """Opportunities know from which stage the set-up moved them, so that it can be undone."""

    _inherit = "crm.lead"

    merged_from_stage_id = fields.Many2one(
        "crm.stage",
        string="Merged From",
        compute="_compute_merged_from_stage_id",
        store=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
        help="The stage that this opportunity was in when the default stages were set up, and its stage was "
        "merged into one of them. Empty as soon as it moves.",
    )

    def _auto_init(self):
        """Spare the computation for all existing opportunities: no set-up has moved them."""
        if not sql.column_exists(self.env.cr, self._table, "merged_from_stage_id"):
            sql.create_column(self.env.cr, self._table, "merged_from_stage_id", "int4")
        return super()._auto_init()

    @api.depends("stage_id")
    def _compute_merged_from_stage_id(self):
        for lead in self:
            origin = lead.merged_from_stage_id
            lead.merged_from_stage_id = origin if origin.setup_stage_id == lead.stage_id else False
