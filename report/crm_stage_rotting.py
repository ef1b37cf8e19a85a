from math import ceil

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

# Opportunities that must have moved on from a stage to tell how long that takes
MIN_ROTTING_BASIS = 20


class CrmStage(models.Model):
    """How long opportunities stay before they move on, as a suggestion for Odoo's days to rot."""

    _inherit = "crm.stage"

    suggested_rotting_days = fields.Integer(
        "Suggested Days to Rot",
        compute="_compute_suggested_rotting_days",
        groups="sales_team.group_sale_salesman",
        help="Of the opportunities that moved on from this stage in the last 12 months, three out of four "
        "did so within these days.",
    )
    can_suggest_rotting_days = fields.Boolean(
        compute="_compute_suggested_rotting_days",
        groups="sales_team.group_sale_salesman",
        help="Whether enough opportunities moved on from this stage to suggest days to rot.",
    )

    @api.depends("is_won")
    @api.depends_context("allowed_company_ids", "uid")
    def _compute_suggested_rotting_days(self):
        """Read the stays of all stages at once; the report's rules say whose opportunities count."""
        moved_on = Domain("is_moved_on", "=", True) & Domain("outcome", "=", "moved")
        groups = self.env["crm.stage.report"]._read_group(
            Domain("stage_id", "in", self.ids) & Domain("date_left", ">=", "-1y") & moved_on,
            ["stage_id"],
            ["days_median:third_quartile", "__count"],
        )
        days = {stage: days for stage, days, count in groups if count >= MIN_ROTTING_BASIS}
        for stage in self:
            stage.can_suggest_rotting_days = stage in days and not stage.is_won
            # No days switch rotting off: where most move on within the hour, a day is long.
            stage.suggested_rotting_days = max(1, ceil(days[stage])) if stage in days else 0

    def action_apply_suggested_rotting_days(self):
        """Let opportunities rot that stay longer here than three out of four did.

        :raise UserError: when too few opportunities moved on to tell
        """
        self.ensure_one()
        self.check_access("write")
        if not self.can_suggest_rotting_days:
            raise UserError(
                self.env._(
                    'Nothing can be suggested for the stage "%(stage)s" yet: fewer than %(number)s '
                    "opportunities moved on from it in the last 12 months, or it is a won stage.",
                    stage=self.name,
                    number=MIN_ROTTING_BASIS,
                )
            )
        self.rotting_threshold_days = self.suggested_rotting_days
