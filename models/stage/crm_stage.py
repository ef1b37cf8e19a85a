from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

from ...tools import ORDERED_STAGES, drop_empty, forget

# The stages this addon delivers, in the order of a sale: external id and English name, as in the data
DEFAULT_STAGES = {
    "stage_new": "New",
    "stage_estimate": "Estimate",
    "stage_technical_visit": "Technical Visit",
    "stage_quotation": "Quotation",
    "stage_closed": "Won / Lost",
}

# Of open stages that are created by SQL, or while only Odoo CRM is loaded
DATABASE_PROBABILITY = 50

# What the probability of the opportunities of a stage depends on
FOLLOWED_FIELDS = {"probability", "probability_mode", "is_won"}

# Fields that an empty cell of an imported file leaves as they are
KEPT_WHEN_EMPTY = {"probability", "probability_mode", "active", "ask_outcome"}


class CrmStage(models.Model):
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
    active = fields.Boolean(
        default=True,
        help="An archived stage leaves the pipeline. Its opportunities stay in it.",
    )
    ask_outcome = fields.Boolean(
        string="Ask Won or Lost",
        help="For a won stage: an opportunity dropped on it in the pipeline, or the stage clicked on the "
        "opportunity, asks whether it is won or lost. In lists and imports the stage means won; automations "
        "say which of both.",
    )
    setup_stage_id = fields.Many2one(
        "crm.stage",
        string="Merged Into",
        readonly=True,
        copy=False,
        ondelete="set null",
        help="The default stage that this stage was merged into when the default stages were set up.",
    )
    _check_probability = models.Constraint(
        "CHECK(probability >= 0 AND probability <= 100)",
        "The probability of a stage must be between 0% and 100%.",
    )

    # ------------------------------------------------------------------
    # Creating and changing
    # ------------------------------------------------------------------

    @api.model
    def default_get(self, fields):
        """A new stage that is told no probability does not come to 0%, which is next to lost."""
        values = super().default_get(fields)
        if "probability" in fields and "probability" not in values:
            sequence = values.get("sequence") or super().default_get(["sequence"])["sequence"]
            values["probability"] = self._get_probability_between(sequence)
        return values

    @api.model_create_multi
    def create(self, vals_list):
        stages = super().create([self._complete_values(vals) for vals in vals_list])
        forget(self.env.cr)
        return stages

    def write(self, vals):
        """Let opportunities follow the new probability of their stage.

        :raise UserError: when archiving would leave somebody without an open or a won stage
        """
        vals = drop_empty(self, vals, KEPT_WHEN_EMPTY)
        if not vals.get("active", True):
            self._check_not_last()
        if not vals.get("is_won", True) and "probability" not in vals and any(self.mapped("is_won")):
            return self._reopen(vals)
        vals = self._complete_won_values(vals)
        values_before = None if FOLLOWED_FIELDS.isdisjoint(vals) else self._get_followed_values()
        res = super().write(vals)
        forget(self.env.cr)
        if values_before:
            self._recompute_followers(values_before)
        return res

    def _reopen(self, vals):
        """Write ``vals``, which make won stages open ones and tell no probability, on each of these stages.

        100% was the probability of a won stage: each gets one between its neighbours', and its opportunities
        follow.
        """
        reopened = self.filtered("is_won")
        for stage in reopened:
            probability = stage._get_probability_between(vals.get("sequence", stage.sequence))
            stage.write({**vals, "probability": probability})
        return (self - reopened).write(vals)

    @api.model
    def _complete_won_values(self, vals):
        """:return: ``vals``, with the probability a won stage has when they do not tell one"""
        return {"probability": 100, **vals} if vals.get("is_won") else vals

    @api.model
    def _complete_values(self, vals):
        """:return: ``vals`` of a new stage, with a probability between its neighbours' when they tell none"""
        vals = self._complete_won_values(drop_empty(self, vals, KEPT_WHEN_EMPTY))
        if "probability" in vals or "sequence" not in vals:
            return vals
        return {"probability": self._get_probability_between(vals["sequence"]), **vals}

    # ------------------------------------------------------------------
    # The probability of a stage
    # ------------------------------------------------------------------

    def _gives_probability(self):
        """:return: whether opportunities in this stage get their probability from it, not from scoring"""
        return self.is_won or self.probability_mode == "fixed"

    def _is_fixed(self):
        """:return: whether open opportunities get the stage's own probability on entering it"""
        return self.probability_mode == "fixed" and not self.is_won

    def _get_probability(self):
        """:return: percentage that this stage gives, when it gives one: a won stage means 100, whatever was
        written by SQL
        """
        return 100 if self.is_won else self.probability

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
        elif self._origin and not self._origin.is_won:
            self.probability = self._origin.probability
        elif self.probability == 100:
            self.probability = self._origin._get_probability_between(self.sequence)
        return super()._onchange_is_won()

    def _get_probability_between(self, sequence):
        """:return: percentage between those of the pipeline's other stages before and after this place"""
        stages = (
            self.search([("active", "=", True)]).filtered(lambda stage: stage._gives_probability()) - self
        )
        before = stages.filtered(lambda stage: stage.sequence <= sequence and not stage.is_won)[-1:]
        after = stages.filtered(lambda stage: stage.sequence > sequence)[:1]
        return self._get_middle_probability(before.probability, after._get_probability() if after else 100)

    @api.model
    def _get_middle_probability(self, lower, upper=100):
        """:return: a round percentage between ``lower`` and ``upper``, by default won"""
        middle = (lower + upper) / 2
        rounded = (round(middle / step) * step for step in (5, 1))
        return next((value for value in rounded if lower < value < upper), round(middle, 2))

    # ------------------------------------------------------------------
    # The order of the stages
    # ------------------------------------------------------------------

    @api.model
    def _get_ordered_ids(self):
        """:return: ids of all stages, archived ones included, in the order of the pipeline; read once"""
        cache = self.env.cr.cache
        if ORDERED_STAGES not in cache:
            # sudo: opportunities are moved by users who may not read stages
            stages = self.sudo().with_context(active_test=False, lang=None)
            cache[ORDERED_STAGES] = tuple(stages.search(Domain.TRUE).ids)
        return cache[ORDERED_STAGES]

    def _get_earlier_stage_ids(self):
        """
        :return: ids of the stages before this one, and False: an opportunity without stage is before all.
            Before a stage that is not known yet there is none.
        """
        ordered_ids = self._get_ordered_ids()
        position = ordered_ids.index(self.id) if self.id in ordered_ids else 0
        return frozenset({False, *ordered_ids[:position]})

    @api.model
    def name_create(self, name):
        """A stage made by its name alone, as "Add a new column" does, lands before the final stage."""
        stage = self.create({"name": name, **self._get_new_column_values()})
        return stage.id, stage.display_name

    @api.model
    def _get_new_column_values(self):
        """Make room before the final (last won) stage.

        :return: sequence and probability of a stage that comes there
        """
        stages = self.search([("active", "in", (True, False))])
        final = stages.filtered(lambda stage: stage.active and stage.is_won)[-1:]
        position = stages.ids.index(final.id) if final else len(stages)
        before, after = stages[:position], stages[position:]
        sequence = before[-1:].sequence + 1
        shift = sequence + 1 - after[:1].sequence
        if after and shift > 0:
            for stage in after:
                stage.sequence += shift
        neighbour = before.filtered(lambda stage: stage.active and stage._gives_probability())[-1:]
        return {"sequence": sequence, "probability": self._get_middle_probability(neighbour.probability)}

    # ------------------------------------------------------------------
    # The delivered stages, the database, and other addons
    # ------------------------------------------------------------------

    @api.model
    def _get_default_stages(self):
        """:return: those of the five delivered stages that still exist, archived ones included, in order"""
        refs = (self.env.ref(f"crm_sales_stage.{name}", raise_if_not_found=False) for name in DEFAULT_STAGES)
        return self.browse([stage.id for stage in refs if stage])

    def init(self):
        """Let the database fill our columns where our code is not there to do it.

        An update of Odoo CRM, or of an addon that depends on it alone, creates stages before this addon is
        loaded.
        """
        self.env.cr.execute(
            SQL(
                """
                ALTER TABLE crm_stage
                    ALTER COLUMN active SET DEFAULT true,
                    ALTER COLUMN probability SET DEFAULT %s,
                    ALTER COLUMN probability_mode SET DEFAULT %s
                """,
                DATABASE_PROBABILITY,
                self._default_probability_mode(),
            )
        )

    def _load_records(self, data_list, update=False):
        """Heed what the data of OCA's crm_stage_probability, when it is installed later, tell of stages.

        To other addons "crm.stage_lead2" is Odoo's Qualified, while Estimate bears this external id, too: the
        default stages keep their probability. Elsewhere "on_change" means that a stage gives its own.

        ``install_module`` is Odoo's key. Whoever may load stages may write all that it changes here.
        """
        if self.env.context.get("install_module") not in (None, "crm_sales_stage"):
            default_ids = self._get_default_stages().ids
            for data in data_list:
                xml_id = data.get("xml_id")
                stage_id = xml_id and self.env["ir.model.data"]._xmlid_to_res_id(xml_id)
                data["values"] = self._heed_foreign_values(data["values"], stage_id in default_ids)
        return super()._load_records(data_list, update)

    @api.model
    def _heed_foreign_values(self, values, is_default):
        """:return: ``values`` of another addon's data, for one of the default stages or another one"""
        if is_default:
            return {name: value for name, value in values.items() if name not in ("probability", "on_change")}
        if "on_change" in values:
            return {"probability_mode": "fixed" if values["on_change"] else "predictive", **values}
        return values

    @api.model
    def _get_view(self, view_id=None, view_type="form", **options):
        """Show one probability where OCA's crm_stage_probability adds its own fields beside ours."""
        arch, view = super()._get_view(view_id, view_type, **options)
        if "on_change" in self._fields:
            for node in arch.xpath("//*[@*[contains(., 'on_change')]]"):
                node.getparent().remove(node)
            for node in arch.xpath("//field[@name='probability']")[:-1]:
                node.getparent().remove(node)
        return arch, view
