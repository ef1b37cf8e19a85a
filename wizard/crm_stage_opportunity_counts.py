from odoo import api, fields, models


class CrmStageOpportunityCounts(models.AbstractModel):
    """Counts the opportunities in the stages that a wizard deals with."""

    _name = "crm.stage.opportunity.counts"
    _description = "Number of Opportunities in Stages"

    # Field of the stages whose opportunities are counted
    _counted_stages = "stage_ids"

    active_count = fields.Integer(
        "Active Opportunities",
        compute="_compute_counts",
        help="Active opportunities in there, won ones included.",
    )
    archived_count = fields.Integer(
        "Archived Opportunities",
        compute="_compute_counts",
        help="Archived opportunities in there that are not lost.",
    )
    lost_count = fields.Integer(
        "Lost Opportunities", compute="_compute_counts", help="Lost opportunities in there."
    )
    lead_count = fields.Integer(
        "Leads",
        compute="_compute_counts",
        help="Leads in there, which are no opportunities yet: no column of the pipeline shows them.",
    )
    opportunity_count = fields.Integer(
        "All Together", compute="_compute_counts", help="All opportunities and leads in there."
    )

    @api.depends(lambda self: [self._counted_stages])
    def _compute_counts(self):
        counts = self[self._counted_stages]._count_opportunities()
        for record in self:
            held = [counts[stage] for stage in record[self._counted_stages]._origin if stage in counts]
            record.active_count = sum(count["active"] for count in held)
            record.archived_count = sum(count["archived"] for count in held)
            record.lost_count = sum(count["lost"] for count in held)
            record.lead_count = sum(count["leads"] for count in held)
            record.opportunity_count = sum(sum(count.values()) for count in held)
