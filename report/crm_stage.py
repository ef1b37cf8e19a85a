from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

# Won or lost opportunities that a suggested probability must rest on
MIN_SUGGESTION_BASIS = 20


class CrmStage(models.Model):
    """Stages show their figures of the last 12 months, and what these suggest as probability."""

    _inherit = "crm.stage"

    win_rate = fields.Float(
        "Won in the End (%)",
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="Of the opportunities that entered this stage in the last 12 months and are won or lost by now: "
        "the share that was won.",
    )
    win_rate_basis = fields.Integer(
        "Won or Lost",
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="Number of opportunities that entered this stage in the last 12 months and are won or lost "
        "by now.",
    )
    median_days = fields.Float(
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="Of the opportunities that left this stage in the last 12 months, half had stayed for less than "
        "these days, half for longer.",
    )
    median_basis = fields.Integer(
        "Left",
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="Number of times that an opportunity left this stage in the last 12 months.",
    )
    lost_here_count = fields.Integer(
        "Lost Here",
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="Number of opportunities lost in this stage in the last 12 months.",
    )
    can_suggest_probability = fields.Boolean(
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="Whether enough opportunities were won or lost to suggest a probability.",
    )
    suggested_probability = fields.Float(
        digits=(5, 2),
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="The share of opportunities that passed this stage and were won, as observed in the last 12 "
        "months.",
    )

    @api.depends("probability", "probability_mode", "is_won")
    @api.depends_context("allowed_company_ids", "uid")
    def _compute_figures(self):
        """Read the figures of all stages at once; the report's rules say whose opportunities count."""
        wins, stays, losses = self._get_figures()
        for stage in self:
            # On a form with changes that are not saved yet, the figures are those of the stage as it is.
            known = stage._origin
            rate, basis = wins.get(known, (0, 0))
            stage.win_rate = rate
            stage.win_rate_basis = basis
            stage.median_days, stage.median_basis = stays.get(known, (0, 0))
            stage.lost_here_count = losses.get(known, 0)
            # As in Odoo's scoring, an open opportunity is neither lost (0%) nor won (100%) yet.
            suggested = min(max(round(rate), 1), 99)
            stage.suggested_probability = suggested if basis >= MIN_SUGGESTION_BASIS else 0
            stage.can_suggest_probability = basis >= MIN_SUGGESTION_BASIS and stage._is_fixed()

    def _get_figures(self):
        """:return: three dictionaries by stage: (percentage won, of how many), (median days, of how many),
        number lost
        """
        report = self.env["crm.stage.report"]
        here = Domain("stage_id", "in", self.ids)
        entered = here & Domain("date_entered", ">=", "-1y") & Domain("is_first_visit", "=", True)
        left = here & Domain("date_left", ">=", "-1y")
        wins = report._read_group(
            entered & Domain("won_status", "in", ["won", "lost"]), ["stage_id"], ["was_won:avg", "__count"]
        )
        stays = report._read_group(
            left & Domain("outcome", "!=", "won"),
            ["stage_id"],
            ["days_median:median", "days_median:count"],
        )
        losses = report._read_group(left & Domain("outcome", "=", "lost"), ["stage_id"], ["__count"])
        return (
            {stage: (rate, basis) for stage, rate, basis in wins},
            {stage: (days, basis) for stage, days, basis in stays},
            dict(losses),
        )

    def action_apply_suggested_probability(self):
        """Take the observed share over as the stage's probability: its open opportunities follow.

        :raise UserError: when too few opportunities were won or lost to tell one
        """
        self.ensure_one()
        self.check_access("write")
        if not self.can_suggest_probability:
            raise UserError(
                self.env._(
                    'Nothing can be suggested for the stage "%(stage)s" yet: fewer than %(number)s '
                    "opportunities that entered it in the last 12 months are won or lost by now, or it has "
                    "no probability of its own.",
                    stage=self.name,
                    number=MIN_SUGGESTION_BASIS,
                )
            )
        self.probability = self.suggested_probability

    def _check_figures_access(self):
        """:raise AccessError: for those who may see stages alone, as other addons let portal users do"""
        self.check_access("read")
        self.env["crm.stage.report"].check_access("read")

    def action_open_lost_here(self):
        """:return: action that shows the opportunities lost here in the last 12 months"""
        self.ensure_one()
        self._check_figures_access()
        return self.env["crm.stage.report"].action_open_leads(
            [("stage_id", "=", self.id), ("outcome", "=", "lost"), ("date_left", ">=", "-1y")],
            self.env._("Lost in %s", self.name),
        )

    def action_open_stays(self):
        """:return: action that shows the report of this stage"""
        self.ensure_one()
        self._check_figures_access()
        action = self.env["ir.actions.act_window"]._for_xml_id("crm_sales_stage.crm_stage_report_action")
        return {
            **action,
            "domain": [("stage_id", "=", self.id)],
            "views": [(False, "graph"), (False, "pivot"), (False, "list")],
            "context": {"search_default_last_12_months": 1, "group_by": "date_entered:month"},
        }
