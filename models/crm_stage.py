from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import frozendict, ormcache

# The stages this addon delivers, in the order of a sale: external id and English name, as in the data
DEFAULT_STAGES = {
    "stage_new": "New",
    "stage_estimate": "Estimate",
    "stage_technical_visit": "Technical Visit",
    "stage_quotation": "Quotation",
    "stage_closed": "Won / Lost",
}


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
    automation_ids = fields.One2many(
        "crm.stage.automation",
        "stage_id",
        string="Automations",
        groups="sales_team.group_sale_manager",
        help="What moves opportunities to this stage by itself.",
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
        stages = super().create([self._complete_won_values(vals) for vals in vals_list])
        self._clear_automation_cache()
        return stages

    def write(self, vals):
        """Let open opportunities that follow their stage follow its new probability too."""
        vals = self._complete_won_values(vals)
        if not {"probability", "probability_mode", "is_won"} & vals.keys():
            res = super().write(vals)
            self._clear_automation_cache(vals)
            return res
        before = {stage: (stage.probability_mode, stage.probability) for stage in self}
        res = super().write(vals)
        self._clear_automation_cache(vals)
        changed = self.filtered(lambda stage: (stage.probability_mode, stage.probability) != before[stage])
        changed._apply_probability_to_opportunities()
        return res

    def unlink(self):
        """Archive automations whose origins are all gone: they would take opportunities from anywhere."""
        # sudo: deleting a stage takes rights on stages, not on automations
        lines = self.env["crm.stage.automation"].sudo().search([("from_stage_ids", "in", self.ids)])
        res = super().unlink()
        lines.exists().filtered(lambda line: not line.from_stage_ids).active = False
        self._clear_automation_cache()
        return res

    def _clear_automation_cache(self, vals=None):
        """Let all workers forget ranks and rules, after ``vals`` were written that they are made of."""
        if vals is None or {"sequence", "name", "active", "team_ids"} & vals.keys():
            self.env.registry.clear_cache()

    @api.model
    @ormcache()
    def _get_ranks(self):
        """:return: position in the pipeline by stage id, archived stages included"""
        # sudo: whoever triggers an automation need not see stages
        stages = self.sudo().with_context(active_test=False, lang=None).search(Domain.TRUE)
        return frozendict({stage_id: rank for rank, stage_id in enumerate(stages.ids)})

    def _get_earlier_stage_ids(self):
        """
        :return: ids of the stages before this one, and False: an opportunity without stage is before all
        """
        ranks = self._get_ranks()
        return frozenset({False, *(stage_id for stage_id, rank in ranks.items() if rank < ranks[self.id])})

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
