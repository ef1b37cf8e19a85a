from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain

# The stages this addon delivers, in the order of a sale: external id and English name, as in the data
DEFAULT_STAGES = {
    "stage_new": "New",
    "stage_estimate": "Estimate",
    "stage_technical_visit": "Technical Visit",
    "stage_quotation": "Quotation",
    "stage_closed": "Won / Lost",
}

# Won or lost opportunities that a suggested probability must rest on
MIN_SUGGESTION_BASIS = 20


class CrmStage(models.Model):
    _inherit = "crm.stage"

    probability = fields.Float(
        digits=(5, 2),
        aggregator="avg",
        help="Chance of winning, in percent (0 to 100), that an opportunity gets on entering this stage. "
        "A won stage is always at 100%.",
    )
    probability_mode = fields.Selection(
        [("fixed", "The stage's probability"), ("predictive", "Odoo's predictive scoring")],
        string="Probability From",
        required=True,
        default=lambda self: self._default_probability_mode(),
        help="The stage's probability: opportunities get the percentage given here on entering the stage.\n"
        "Odoo's predictive scoring: Odoo computes the percentage from past opportunities.",
    )
    active = fields.Boolean(
        default=True,
        help="An archived stage leaves the pipeline. Its opportunities stay in it.",
    )

    win_rate = fields.Float(
        "Won in the End (%)",
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="Of the opportunities that entered this stage in the last 12 months and are won or lost by now: the "
        "share that was won.",
    )
    win_rate_basis = fields.Integer(
        "Won or Lost",
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="Number of opportunities that entered this stage in the last 12 months and are won or lost by now.",
    )
    median_days = fields.Float(
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="Of the opportunities that left this stage in the last 12 months, half had stayed for less than these "
        "days, half for longer.",
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
        help="The share of opportunities that passed this stage and were won, as observed in the last 12 months.",
    )

    _check_probability = models.Constraint(
        "CHECK(probability >= 0 AND probability <= 100)",
        "The probability of a stage must be between 0% and 100%.",
    )

    @api.model
    def _default_probability_mode(self):
        """A new stage does as the others: in a pipeline left to Odoo's scoring it is predictive too."""
        modes = [mode for (mode,) in self._read_group([], ["probability_mode"])]
        return "predictive" if modes == ["predictive"] else "fixed"

    @api.constrains("is_won", "probability")
    def _check_won_probability(self):
        for stage in self:
            if stage.is_won and stage.probability != 100:
                raise ValidationError(
                    self.env._(
                        'The stage "%(stage)s" is a won stage: its probability is always 100%%. '
                        'Untick "Is Won Stage" first if it should be lower.',
                        stage=stage.name,
                    )
                )

    @api.onchange("is_won")
    def _onchange_is_won(self):
        if self.is_won:
            self.probability = 100
        return super()._onchange_is_won()

    @api.model_create_multi
    def create(self, vals_list):
        return super().create([self._complete_won_values(vals) for vals in vals_list])

    def write(self, vals):
        """Let open opportunities that follow their stage follow its new probability too."""
        vals = self._complete_won_values(vals)
        if not {"probability", "probability_mode", "is_won"} & vals.keys():
            return super().write(vals)
        before = {stage: (stage.probability_mode, stage.probability) for stage in self}
        res = super().write(vals)
        changed = self.filtered(lambda stage: (stage.probability_mode, stage.probability) != before[stage])
        changed._apply_probability_to_opportunities()
        return res

    @api.model
    def _complete_won_values(self, vals):
        """:return: ``vals``, with the probability a won stage has when they do not tell one"""
        return {"probability": 100, **vals} if vals.get("is_won") else vals

    @api.model
    def _get_default_stages(self):
        """:return: those of the five delivered stages that still exist, archived ones included, in order"""
        refs = (self.env.ref(f"crm_sales_stage.{name}", raise_if_not_found=False) for name in DEFAULT_STAGES)
        return self.browse([stage.id for stage in refs if stage])

    def _gives_probability(self):
        """:return: whether opportunities in this stage get their probability from it, not from scoring"""
        return self.is_won or self.probability_mode == "fixed"

    def _apply_probability_to_opportunities(self):
        """Bring the open opportunities of these stages to what their stage says now.

        Fixed stages: in two SQL statements, however many opportunities there are. Predictive ones: by
        Odoo's own scoring. A probability set by hand stays.
        """
        fixed = self.filtered(lambda stage: stage.probability_mode == "fixed" and not stage.is_won)
        if fixed:
            self.env["crm.lead"]._update_probabilities_of_stages(fixed)
        predictive = self.filtered(lambda stage: stage.probability_mode == "predictive" and not stage.is_won)
        if predictive:
            open_leads = self.env["crm.lead"].search(
                Domain("stage_id", "in", predictive.ids) & Domain("won_status", "=", "pending")
            )
            open_leads.modified(["stage_id"])

    # ------------------------------------------------------------------
    # Figures of the last 12 months
    # ------------------------------------------------------------------

    @api.depends("probability", "probability_mode", "is_won")
    @api.depends_context("allowed_company_ids", "uid")
    def _compute_figures(self):
        """Read the figures of all stages at once; whose opportunities count is for the report's rules to say."""
        wins, stays, losses = self._get_figures()
        for stage in self:
            rate, basis = wins.get(stage, (0, 0))
            stage.win_rate = rate
            stage.win_rate_basis = basis
            stage.median_days = stays.get(stage, 0)
            stage.lost_here_count = losses.get(stage, 0)
            stage.suggested_probability = round(rate) if basis >= MIN_SUGGESTION_BASIS else 0
            stage.can_suggest_probability = (
                basis >= MIN_SUGGESTION_BASIS and not stage.is_won and stage.probability_mode == "fixed"
            )

    def _get_figures(self):
        """:return: three dictionaries by stage: (percentage won, of how many), median days, number lost"""
        report = self.env["crm.stage.report"]
        here = Domain("stage_id", "in", self.ids)
        entered = here & Domain("date_entered", ">=", "-1y") & Domain("is_first_visit", "=", True)
        left = here & Domain("date_left", ">=", "-1y")
        wins = report._read_group(
            entered & Domain("won_status", "in", ["won", "lost"]), ["stage_id"], ["was_won:avg", "__count"]
        )
        stays = report._read_group(left & Domain("outcome", "!=", "won"), ["stage_id"], ["days_median:median"])
        losses = report._read_group(left & Domain("outcome", "=", "lost"), ["stage_id"], ["__count"])
        return {stage: (rate, basis) for stage, rate, basis in wins}, dict(stays), dict(losses)

    def action_apply_suggested_probability(self):
        """Take the observed share over as the stage's probability: its open opportunities follow."""
        self.ensure_one()
        if not self.can_suggest_probability:
            raise UserError(
                _(
                    'Nothing can be suggested for the stage "%(stage)s" yet: fewer than %(number)s opportunities '
                    "that entered it in the last 12 months are won or lost by now, or it has no probability of its "
                    "own.",
                    stage=self.name,
                    number=MIN_SUGGESTION_BASIS,
                )
            )
        self.probability = self.suggested_probability

    def action_open_lost_here(self):
        """:return: action that shows the opportunities lost here in the last 12 months"""
        self.ensure_one()
        return self.env["crm.stage.report"].action_open_leads(
            [("stage_id", "=", self.id), ("outcome", "=", "lost"), ("date_left", ">=", "-1y")],
            _("Lost in %s", self.name),
        )

    def action_open_stays(self):
        """:return: action that shows the report of this stage"""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id("crm_sales_stage.crm_stage_report_action")
        return {
            **action,
            "domain": [("stage_id", "=", self.id)],
            "views": [(False, "graph"), (False, "pivot"), (False, "list")],
            "context": {"search_default_last_12_months": 1, "group_by": "date_entered:month"},
        }
