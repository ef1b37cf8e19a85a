"""The probability of opportunities: their stage's, Odoo's scoring, or set by hand."""

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import float_compare

from ...tools import drop_empty
from ..stage.crm_lead import MOVING_FIELDS

# What Odoo computes together
COMPUTED_FIELDS = ("automated_probability", "probability")


def is_same(probability, other):
    """:return: whether two percentages are the same one for Odoo, which looks at two decimals"""
    return not float_compare(probability or 0, other or 0, 2)


class CrmLead(models.Model):
    """Opportunities take the probability that their stage gives, by Odoo's own computation of it."""

    _inherit = "crm.lead"

    # Without the default of OCA's crm_stage_probability, which is the first stage's whatever the stage is.
    probability = fields.Float(default=None)

    probability_source = fields.Selection(
        [("stage", "From the stage"), ("scoring", "Predictive scoring"), ("manual", "Set by hand")],
        compute="_compute_probability_source",
        help="Where the probability comes from: the stage's own percentage, Odoo's predictive scoring, "
        "or somebody who set it by hand. One set by hand stays until the next stage.",
    )

    stage_gives_probability = fields.Boolean(related="stage_id.gives_probability")

    @api.depends("is_automated_probability", "stage_gives_probability")
    def _compute_probability_source(self):
        for lead in self:
            if not lead.is_automated_probability:
                lead.probability_source = "manual"
            else:
                lead.probability_source = "stage" if lead.stage_gives_probability else "scoring"

    # ------------------------------------------------------------------
    # Entering a stage
    # ------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        """Opportunities start with the probability of their stage, unless another one is given."""
        given_by_default = self.default_get(["probability"])
        vals_list = [{**given_by_default, **drop_empty(self, vals, {"probability"})} for vals in vals_list]
        leads = super().create(vals_list)
        given_ids = [lead.id for lead, vals in zip(leads, vals_list, strict=True) if "probability" in vals]
        leads.browse(given_ids)._set_automated_probability()
        return leads

    def write(self, vals):
        """Opportunities that enter a fixed stage take its probability, one set by hand before included.

        A probability that is written along is set by hand, unless it is the present one, which a form sends
        back, or the stage's. An empty cell of an imported file sets none.

        Those that are activated know the probability of their stage, too: Odoo computes it for its own button
        only, not for a list or a file that writes the field.
        """
        if "probability" in vals:
            vals = drop_empty(self, vals, {"probability"})
        if MOVING_FIELDS.isdisjoint(vals) or "automated_probability" in vals:
            return super().write(vals)
        # sudo: the write may take the opportunities out of the writer's sight
        leads = self.sudo()
        before = {lead: (lead.stage_id, lead.active, lead.probability) for lead in leads}
        given = vals.get("probability")  # Odoo adds to the values.
        res = super().write(vals)
        fixed = leads.filtered(lambda lead: lead.stage_id.is_fixed)
        entered = fixed.filtered(lambda lead: lead.stage_id != before[lead][0])
        activated = (fixed - entered).filtered(lambda lead: lead.active and not before[lead][1])
        if given is not None:
            following = entered.filtered(
                lambda lead: is_same(given, before[lead][2]) or is_same(given, lead.stage_id.probability)
            )
            (entered + activated - following)._set_automated_probability()
            entered, activated = following, activated.browse()
        entered._take_stage_probability()
        if activated:
            activated._recompute_probabilities()
        return res

    def _take_stage_probability(self):
        """Let opportunities in fixed stages have the probability of these, instead of one set by hand.

        Lost ones stay lost.
        """
        automated = self.filtered("is_automated_probability")
        following = automated.filtered(lambda lead: is_same(lead.probability, lead.stage_id.probability))
        outdated = (self - following).filtered(lambda lead: lead.active or lead.probability)
        # Odoo's computation goes on with those that have their automated probability.
        with self.env.protecting([self._fields["automated_probability"]], outdated):
            for lead in outdated:
                lead.automated_probability = lead.probability
        if outdated:
            outdated._recompute_probabilities()
            outdated._recompute_recordset(["probability"])
        # Odoo closes what is written along with 100%.
        self.filtered(lambda lead: lead.active and lead.date_closed).date_closed = False

    def _put_in_stage(self, stage):
        """A probability that was set by hand stays; the others follow their stage, or Odoo's scoring."""
        by_hand = self.filtered(lambda lead: stage.is_fixed and not lead.is_automated_probability)
        by_hand.write({"stage_id": stage.id, "automated_probability": stage.probability})
        return super(CrmLead, self - by_hand)._put_in_stage(stage)

    @api.onchange("stage_id")
    def _onchange_stage_id_probability(self):
        """Show what saving will give where a fixed stage takes part; Odoo's scoring does by itself.

        Back in its own stage an opportunity has what it had there: a fixed stage is not entered anew, and one
        that was only looked at has taken the place of what was set by hand.
        """
        before = self._origin
        if not before:
            return
        # Not the field, which would be read within the computation of the probability that it asks for
        is_automated = is_same(self.probability, self.automated_probability)
        if self.stage_id != before.stage_id:
            if self.stage_id.is_fixed and (self.active or (self.probability and self.stage_id.probability)):
                self.automated_probability = self.probability = self.stage_id.probability
        elif self.stage_id.is_fixed:
            self.probability = before.probability
        elif is_automated and not before.is_automated_probability:
            fixed = [("probability_mode", "=", "fixed"), ("is_won", "=", False)]
            if self.env["crm.stage"].search_count(fixed, limit=1):
                self.probability = before.probability

    def _compute_probabilities(self):
        """Archived opportunities follow their fixed stage, too; at 0% they would be lost.

        Odoo's scoring stores everything before it reads. Those that it is not asked for are computed before,
        as nothing that follows from their probability would be computed again.
        """
        scored = self.filtered(lambda lead: not lead.stage_id.gives_probability)
        given = self - scored
        archived = given.filtered(
            lambda lead: (
                not lead.active
                and lead.probability
                and lead.stage_id.given_probability
                and lead.is_automated_probability
            )
        )
        super(CrmLead, given)._compute_probabilities()
        for lead in archived:
            lead.probability = lead.automated_probability
        return super(CrmLead, scored)._compute_probabilities() if scored else None

    def _compute_is_automated_probability(self):
        """Take the stage's own probability for automated, though OCA's crm_stage_probability does not."""
        res = super()._compute_is_automated_probability()
        for lead in self.filtered(lambda lead: lead.stage_id.is_fixed):
            lead.is_automated_probability = is_same(lead.probability, lead.automated_probability)
        return res

    def _set_automated_probability(self):
        """Set the probability that the stage gives, beside the one that was just set by hand.

        It is stored by the same UPDATE as that one.
        """
        # sudo: the write that this is part of may have taken the opportunities out of the writer's sight
        leads = self.sudo().filtered(lambda lead: lead.stage_id.is_fixed and lead.won_status == "pending")
        field = self._fields["automated_probability"]
        with self.env.protecting([field], leads):
            for lead in leads:
                lead.automated_probability = lead.stage_id.probability
        leads.modified([field.name])

    def _recompute_probabilities(self):
        """Have Odoo compute the automated probability, and the probability of those that follow it."""
        self.modified(COMPUTED_FIELDS)
        for name in COMPUTED_FIELDS:
            self.env.add_to_compute(self._fields[name], self)

    # ------------------------------------------------------------------
    # Odoo's scoring
    # ------------------------------------------------------------------

    def _pls_get_naive_bayes_probabilities(self, batch_mode=False, is_tooltip=False):
        """Return the stage's own probability where it gives one, Odoo's scoring elsewhere."""
        if batch_mode:
            self.fetch(["stage_id"])  # of tens of thousands, whose other fields nothing reads
        scored = self.filtered(lambda lead: not lead.stage_id.gives_probability)
        scores, tooltip = {}, {"probability": 0.0, "scores": []} if is_tooltip else {}
        # Odoo returns one empty dictionary, not two, when it finds nothing to score.
        if scored:
            result = super(CrmLead, scored)._pls_get_naive_bayes_probabilities(batch_mode, is_tooltip)
            scores, tooltip = result or (scores, tooltip)
        # Read now: the scoring stores everything first, and Automation Rules that run by that may move some.
        giving = self.filtered(lambda lead: lead.stage_id.gives_probability)
        own = {lead.id: lead.stage_id.given_probability for lead in giving}
        if is_tooltip and own:
            tooltip["probability"] = own[self.id]
        return {**scores, **own}, tooltip

    def _update_automated_probabilities(self):
        """Odoo's nightly job writes by SQL and leaves the weighted revenues as they were.

        What it would change of opportunities in fixed stages, the ORM changes before. There is little to
        change: an opportunity that entered a stage while another transaction changed the stage.
        """
        stages = self.env["crm.stage"].search([("active", "in", (True, False))])
        fixed = stages.filtered(lambda stage: stage.is_fixed)
        differs = Domain.OR(
            Domain("stage_id", "=", stage.id) & Domain("automated_probability", "!=", stage.probability)
            for stage in fixed
        )
        # sudo: a stage is shared by all companies
        leads = self.env["crm.lead"].sudo()
        leads.search(fixed._get_open_opportunities_domain() & differs)._recompute_probabilities()
        return super()._update_automated_probabilities()
