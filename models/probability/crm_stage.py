"""The probability of stages, and the opportunities that follow it."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, split_every

from ...tools import drop_empty

# Of open stages that are created by SQL, or while only Odoo CRM is loaded, and of the first one of all
DATABASE_PROBABILITY = 50

# What the probability of the opportunities of a stage depends on
FOLLOWED_FIELDS = {"probability", "probability_mode", "is_won"}

# Fields that an empty cell of an imported file leaves as they are
KEPT_WHEN_EMPTY = {"probability", "probability_mode"}

# Opportunities that are recomputed at a time, to keep memory low; all within one transaction
RECOMPUTED_BATCH = 2000


class CrmStage(models.Model):
    """Open opportunities follow the probability of their stage.

    Odoo itself computes it, for a stage that gives its own probability as for one that leaves it to the
    scoring. A probability that was set by hand stays.
    """

    _inherit = "crm.stage"

    probability = fields.Float(
        digits=(5, 2),
        default=None,  # OCA's crm_stage_probability has one
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

    is_fixed = fields.Boolean(
        compute="_compute_gives_probability",
        help="Whether open opportunities get the stage's own probability on entering it.",
    )
    gives_probability = fields.Boolean(
        compute="_compute_gives_probability",
        help="Whether opportunities get the probability of this stage, instead of Odoo's predictive scoring.",
    )

    given_probability = fields.Float(
        compute="_compute_gives_probability",
        help="Percentage that this stage gives, when it gives one. A won stage means 100, always.",
    )

    _check_probability = models.Constraint(
        "CHECK(probability >= 0 AND probability <= 100)",
        "The probability of a stage must be between 0% and 100%.",
    )

    @api.depends("is_won", "probability", "probability_mode")
    def _compute_gives_probability(self):
        for stage in self:
            stage.is_fixed = stage.probability_mode == "fixed" and not stage.is_won
            stage.gives_probability = stage.is_fixed or stage.is_won
            stage.given_probability = 100 if stage.is_won else stage.probability

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
        elif self._origin and not self._origin.is_won:
            self.probability = self._origin.probability
        elif self.probability == 100:
            self.probability = self._origin._get_proposed_probability(self.sequence)
        return super()._onchange_is_won()

    # ------------------------------------------------------------------
    # Creating and changing
    # ------------------------------------------------------------------

    @api.model
    def default_get(self, fields):
        """A new stage without a given probability does not get 0%, which is next to lost."""
        values = super().default_get(fields)
        if "probability" in fields and "probability" not in values:
            sequence = values.get("sequence") or super().default_get(["sequence"])["sequence"]
            values["probability"] = self._get_proposed_probability(sequence)
        return values

    @api.model_create_multi
    def create(self, vals_list):
        vals_list = [self._complete_won_values(vals) for vals in vals_list]
        for vals in vals_list:
            if "sequence" in vals and "probability" not in vals:
                vals["probability"] = self._get_proposed_probability(vals["sequence"])
        return super().create(vals_list)

    def write(self, vals):
        """Let opportunities follow the new probability of their stage.

        A won stage that becomes an open one leaves its 100% for what a stage in its place begins with.
        """
        vals = self._complete_won_values(vals)
        if not vals.get("is_won", True) and "probability" not in vals and (won := self.filtered("is_won")):
            for stage in won:
                probability = stage._get_proposed_probability(vals.get("sequence", stage.sequence))
                stage.write({**vals, "probability": probability})
            return (self - won).write(vals)
        if FOLLOWED_FIELDS.isdisjoint(vals):
            return super().write(vals)
        values_before = self._get_followed_values()
        res = super().write(vals)
        self.flush_recordset(FOLLOWED_FIELDS)  # what cannot be is refused before opportunities follow it
        self._recompute_followers(values_before)
        return res

    @api.model
    def _complete_won_values(self, vals):
        """:return: ``vals`` without empty cells, with the probability of a won stage if they give none"""
        vals = drop_empty(self, vals, KEPT_WHEN_EMPTY)
        return {"probability": 100, **vals} if vals.get("is_won") else vals

    @api.model
    def _default_probability_mode(self):
        """A new stage does as the others: in a pipeline left to Odoo's scoring it is predictive too."""
        modes = [mode for (mode,) in self._read_group([], ["probability_mode"])]
        return "predictive" if modes == ["predictive"] else "fixed"

    # ------------------------------------------------------------------
    # The probability of a stage
    # ------------------------------------------------------------------

    def _get_proposed_probability(self, sequence):
        """
        :return: what a stage in this place begins with: the probability of the open stage before it, or else
            after it, since a place alone does not say that opportunities in there are won more often
        """
        stages = self.search([("active", "=", True)]).filtered("is_fixed") - self
        before = stages.filtered(lambda stage: stage.sequence <= sequence)[-1:]
        return (before or stages[:1]).probability if stages else DATABASE_PROBABILITY

    # ------------------------------------------------------------------
    # The opportunities that follow
    # ------------------------------------------------------------------

    def _get_followed_values(self):
        """:return: ``{stage: what the probability of its opportunities depends on}``"""
        return {
            stage: (stage.is_won, stage.probability_mode, stage.gives_probability and stage.probability)
            for stage in self
        }

    def _recompute_followers(self, values_before):
        """Recompute the opportunities of the stages that are not what they were.

        :param values_before: of these stages, from ``_get_followed_values``
        """
        values = self._get_followed_values()
        changed = self.filtered(lambda stage: values[stage] != values_before[stage])
        reopened = changed.filtered(lambda stage: not stage.is_won and values_before[stage][0])
        # Odoo reopens the won opportunities that are active and that the user may see, here are the others.
        domain = Domain("stage_id", "in", reopened.ids) & Domain("won_status", "=", "won")
        domain |= (changed - reopened)._get_open_opportunities_domain()
        # sudo: a stage is shared by all companies
        leads = self.env["crm.lead"].sudo().with_context(active_test=False).search(domain, order="id")
        for batch in split_every(RECOMPUTED_BATCH, leads.ids, leads.browse):
            batch._recompute_probabilities()
            batch.invalidate_model()

    def _get_open_opportunities_domain(self):
        """:return: ``Domain`` of the opportunities of these stages that are neither won, lost nor archived"""
        is_open = [("stage_id", "in", self.ids), ("active", "=", True), ("won_status", "=", "pending")]
        return Domain(is_open)

    # ------------------------------------------------------------------
    # The database, and other addons
    # ------------------------------------------------------------------

    def init(self):
        res = super().init()
        self.env.cr.execute(
            SQL(
                """
                ALTER TABLE crm_stage
                    ALTER COLUMN probability SET DEFAULT %s,
                    ALTER COLUMN probability_mode SET DEFAULT %s
                """,
                DATABASE_PROBABILITY,
                self._default_probability_mode(),
            )
        )
        return res

    def _load_records(self, data_list, update=False):
        """Default stages keep their probability when OCA's crm_stage_probability is installed later.

        To other addons "crm.stage_lead2" is Odoo's Qualified, while Estimate has this external id, too.

        ``install_module`` is Odoo's key. Who may load stages may write all that it changes here.
        """
        if self.env.context.get("install_module") not in (None, "crm_sales_stage"):
            default_ids = self._get_default_stages().ids
            for data in data_list:
                xml_id = data.get("xml_id")
                if xml_id and self.env["ir.model.data"]._xmlid_to_res_id(xml_id) in default_ids:
                    ignored = ("probability", "on_change")
                    data["values"] = {k: value for k, value in data["values"].items() if k not in ignored}
        return super()._load_records(data_list, update)
