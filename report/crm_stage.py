from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

# What a suggestion must rest on: won or lost opportunities, or ones that moved on
MIN_SUGGESTION_BASIS = 20

SALESPEOPLE = "sales_team.group_sale_salesman"


class CrmStage(models.Model):
    """Stages show their figures of the last 12 months, and what these suggest: probability, days to rot."""

    _inherit = "crm.stage"

    win_rate = fields.Float(
        "Won in the End (%)",
        compute="_compute_figures",
        groups=SALESPEOPLE,
        help="Of the opportunities that entered this stage in the last 12 months and are won or lost by now: "
        "the share that was won.",
    )
    win_rate_basis = fields.Integer(
        "Won or Lost",
        compute="_compute_figures",
        groups=SALESPEOPLE,
        help="Number of opportunities that entered this stage in the last 12 months and are won or lost "
        "by now.",
    )
    median_days = fields.Float(
        compute="_compute_figures",
        groups=SALESPEOPLE,
        help="Of the opportunities that left this stage in the last 12 months, half had stayed for less than "
        "these days, half for longer.",
    )
    median_basis = fields.Integer(
        "Left",
        compute="_compute_figures",
        groups=SALESPEOPLE,
        help="Number of times that an opportunity left this stage in the last 12 months.",
    )
    lost_here_count = fields.Integer(
        "Lost Here",
        compute="_compute_figures",
        groups=SALESPEOPLE,
        help="Number of opportunities lost in this stage in the last 12 months.",
    )
    suggested_probability = fields.Float(
        digits=(5, 2),
        compute="_compute_figures",
        groups=SALESPEOPLE,
        help="The share of opportunities that passed this stage and were won, as observed in the last 12 "
        "months.",
    )
    can_suggest_rotting_days = fields.Boolean(
        compute="_compute_figures",
        groups=SALESPEOPLE,
        help="Whether enough opportunities moved on from this stage to suggest days to rot.",
    )
    suggested_rotting_days = fields.Integer(
        "Suggested Days to Rot",
        compute="_compute_figures",
        groups=SALESPEOPLE,
        help="Of the opportunities that moved on from this stage in the last 12 months, three out of four "
        "did so within these days.",
    )

    @api.depends("probability", "probability_mode", "is_won")
    @api.depends_context("allowed_company_ids", "uid")
    def _compute_figures(self):
        """Read the figures of all stages at once; the report's rules say whose opportunities count."""
        report = self.env["crm.stage.report"]
        domains = report._get_domains(Domain("date_left", ">=", "-1y"))
        closed = Domain("won_status", "in", ["won", "lost"])
        wins = self._read_figures(domains["entered"] & closed, "was_won:avg", "__count")
        days = [
            "days_median:median",
            "days_median:count",
            "days_moved_on:third_quartile",
            "days_moved_on:count",
        ]
        stays = self._read_figures(domains["left"], *days)
        losses = self._read_figures(domains["lost"], "__count")
        for stage in self:
            # On a form with changes that are not saved yet, the figures are those of the stage as it is.
            known = stage._origin
            stage.win_rate, stage.win_rate_basis = wins.get(known, (0, 0))
            stage.median_days, stage.median_basis, usual, moved_on_count = stays.get(known, (0, 0, 0, 0))
            (stage.lost_here_count,) = losses.get(known, (0,))
            is_given = stage.is_fixed and stage.win_rate_basis >= MIN_SUGGESTION_BASIS
            # As in Odoo's scoring, an open opportunity is neither lost (0%) nor won (100%) yet.
            stage.suggested_probability = min(max(round(stage.win_rate), 1), 99) if is_given else 0
            is_given = not stage.is_won and moved_on_count >= MIN_SUGGESTION_BASIS
            stage.can_suggest_rotting_days = is_given
            # No days switch rotting off: where most move on within the hour, a day is long.
            stage.suggested_rotting_days = report._get_usual_days(usual) if is_given else 0

    def _read_figures(self, domain, *aggregates):
        """:return: values of the aggregates over the stays that match ``domain``, by stage"""
        here = Domain("stage_id", "in", self.ids)
        rows = self.env["crm.stage.report"]._read_group(here & domain, ["stage_id"], aggregates)
        return {stage: values for stage, *values in rows}

    def action_apply_suggested_probability(self):
        """Set the observed share as the stage's probability: its open opportunities follow.

        :raise UserError: when too few opportunities were won or lost to suggest one
        """
        message = self.env._(
            'Nothing can be suggested for the stage "%(stage)s" yet: fewer than %(number)s '
            "opportunities that entered it in the last 12 months are won or lost by now, or it has "
            "no probability of its own.",
            stage=self.name,
            number=MIN_SUGGESTION_BASIS,
        )
        self._apply_suggestion("probability", "suggested_probability", message)

    def action_apply_suggested_rotting_days(self):
        """Let opportunities rot that stay longer here than three out of four did.

        :raise UserError: when too few opportunities moved on to suggest days
        """
        message = self.env._(
            'Nothing can be suggested for the stage "%(stage)s" yet: fewer than %(number)s '
            "opportunities moved on from it in the last 12 months, or it is a won stage.",
            stage=self.name,
            number=MIN_SUGGESTION_BASIS,
        )
        self._apply_suggestion("rotting_threshold_days", "suggested_rotting_days", message)

    def _apply_suggestion(self, name, suggested_name, message):
        """:raise UserError: with ``message``, where nothing is suggested"""
        self.ensure_one()
        self.check_access("write")
        if not self[suggested_name]:
            raise UserError(message)
        self[name] = self[suggested_name]

    def action_open_lost_here(self):
        """:return: action that shows the opportunities lost here in the last 12 months"""
        self.ensure_one()
        self.check_access("read")
        return self.env["crm.stage.report"].action_open_leads(
            [("stage_id", "=", self.id), ("outcome", "=", "lost"), ("date_left", ">=", "-1y")],
            self.env._("Lost in %s", self.name),
        )

    def action_open_stays(self):
        """:return: action that shows the report of this stage"""
        self.ensure_one()
        # Other addons let portal users see stages, but not their figures.
        self.check_access("read")
        self.env["crm.stage.report"].check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id("crm_sales_stage.crm_stage_report_action")
        return {
            **action,
            "domain": [("stage_id", "=", self.id)],
            "views": [(False, "graph"), (False, "pivot"), (False, "list")],
            "context": {
                "search_default_filter_date_left": "custom_left_last_12_months",
                "group_by": "date_left:month",
                "graph_measure": "days_median",
                "pivot_measures": ["__count", "days_median", "days"],
            },
        }
