from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import float_compare

from ...tools import drop_empty, kept_by_transaction

# Key of the cursor's cache: ids of the opportunities that are entering a stage whose probability they take
ENTERED = "crm_sales_stage.entered_ids"


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

    stage_gives_probability = fields.Boolean(
        compute="_compute_stage_gives_probability",
        help="Whether the stage gives its own probability, instead of Odoo's predictive scoring.",
    )

    @api.depends("stage_id.probability_mode", "stage_id.is_won")
    def _compute_stage_gives_probability(self):
        for lead in self:
            lead.stage_gives_probability = lead.stage_id._gives_probability()

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
        if not any("probability" in vals for vals in vals_list):
            return super().create(vals_list)
        with_given = super(CrmLead, self.with_context(keep_probability=True)).create(vals_list)
        leads = with_given.with_env(self.env)
        given_ids = [lead.id for lead, vals in zip(leads, vals_list, strict=True) if "probability" in vals]
        leads.browse(given_ids)._set_automated_probability()
        return leads

    def write(self, vals):
        """Opportunities that enter a fixed stage take its probability, one set by hand before included.

        They do so in the same write when it names the stage, and with the stage when Odoo computes it (see
        ``_compute_stage_id``). A probability that is written along is set by hand, unless it is the present
        one, which a form sends back.

        With ``keep_probability`` in the context, one set by hand before stays. An empty cell of an imported
        file sets none.
        """
        vals = drop_empty(self, vals, {"probability"})
        activated = self.filtered(lambda lead: not lead.active) if vals.get("active") else self.browse()
        stage = self.env["crm.stage"].browse(vals.get("stage_id") or [])
        may_be_moved = "probability" in vals and not {"team_id", "user_id", "type"}.isdisjoint(vals)
        if (
            self.env.context.get("keep_probability")
            or "automated_probability" in vals
            or not (stage._is_fixed() or (may_be_moved and not stage))
        ):
            super().write(vals)
        else:
            following = self._filter_following(vals, stage)
            by_hand = self - following
            if by_hand and following:
                vals = self._complete_dates(vals)
            # sudo: the write may take the opportunities out of the writer's sight
            stages_before = {lead: lead.stage_id for lead in by_hand.sudo()}
            if by_hand:
                super(CrmLead, by_hand.with_context(keep_probability=True)).write(vals)
                entered = by_hand.sudo().filtered(lambda lead: lead.stage_id != stages_before[lead])
                entered._set_automated_probability()
            if following:
                taking = following._filter_taking(vals, stage)
                others = {name: value for name, value in vals.items() if name != "probability"}
                with taking._entering():
                    super(CrmLead, following).write(others)
                # Another addon may have written the probability along, as OCA's crm_stage_probability does.
                # Or this write is part of the computation of the probability: Automation Rules run by that.
                computing = self.env.protected(self._fields["probability"])
                taking.sudo().filtered(
                    lambda lead: lead in computing or not lead.is_automated_probability
                )._take_stage_probability()
        if activated:
            activated._follow_again("probability" in vals)
        return True

    def _complete_dates(self, vals):
        """:return: ``vals`` with the dates that Odoo sets on all of one write when one of them is moved, or
        assigned to another salesperson by it; for two writes in place of the one
        """
        now = self.env.cr.now()
        if vals.get("stage_id"):
            vals = {**vals, "date_last_stage_update": now}
        if vals.get("user_id") and any(lead.user_id.id != vals["user_id"] for lead in self):
            vals = {**vals, "date_open": now}
        return vals

    def _follow_again(self, is_set_by_hand):
        """Let opportunities that were archived know the probability of their fixed stage.

        Odoo's own button computes it. A list, a file or a client that writes the field alone has it left at
        0% for lost ones, and at a former percentage where the stage was changed meanwhile.
        """
        # sudo: the write that this is part of may have taken the opportunities out of the writer's sight
        leads = self.sudo().filtered(lambda lead: lead.active and lead.stage_id._is_fixed())
        if is_set_by_hand:
            leads._set_automated_probability()
        else:
            leads._recompute_probabilities()

    def _filter_following(self, vals, stage):
        """Tell apart whether ``vals`` set a probability by hand.

        They do not when they name none, the present one, which a form sends back, or the one that is taken
        from the stage. What is lost takes none: a probability brings it back, as in Odoo.

        :param stage: the fixed stage that ``vals`` name; empty when they name none and Odoo may compute one
        :return: the opportunities whose probability ``vals`` do not set by hand
        """
        if "probability" not in vals:
            return self
        probability = vals["probability"]
        if not stage:
            return self.filtered(
                lambda lead: lead.stage_id._is_fixed() and is_same(probability, lead.probability)
            )
        names_own = is_same(probability, stage.probability)
        taking = self._filter_taking(vals, stage) if names_own else self.browse()
        return self.filtered(
            lambda lead: lead.stage_id != stage and (lead in taking or is_same(probability, lead.probability))
        )

    def _filter_taking(self, vals, stage):
        """:return: the opportunities that enter ``stage`` by ``vals`` and take its probability"""
        return self.filtered(
            lambda lead: (
                stage
                and lead.stage_id != stage
                and lead._can_take_probability(stage, vals.get("active", lead.active))
            )
        )

    def _can_take_probability(self, stage, active):
        """:return: whether the probability of ``stage`` leaves an opportunity as it is, open or lost: an
        archived one at 0% is lost, at any other probability it is not
        """
        return bool(active or (self.probability and stage.probability))

    def _compute_stage_id(self):
        """Take the probability of a fixed stage that follows from another salesperson or team, too."""
        stages = {lead: lead.stage_id for lead in self}
        res = super()._compute_stage_id()
        if not self.env.context.get("keep_probability"):
            entered = self.filtered(lambda lead: lead.stage_id != stages[lead] and (lead.id or stages[lead]))
            entered._take_stage_probability()
        return res

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
            self._take_stage_probability()
        elif self.stage_id._is_fixed():
            self.probability = before.probability
        elif is_automated and not before.is_automated_probability:
            fixed = [("probability_mode", "=", "fixed"), ("is_won", "=", False)]
            if self.env["crm.stage"].search_count(fixed, limit=1):
                self.probability = before.probability

    def _take_stage_probability(self):
        """Give opportunities in a fixed stage its probability now, in place of one set by hand.

        Lost ones stay lost. It is part of the computation of their stage: it needs no rights of the user.
        """
        leads = self.filtered(
            lambda lead: lead.stage_id._is_fixed() and lead._can_take_probability(lead.stage_id, lead.active)
        )
        names = ["automated_probability", "probability"]
        # A form saves nothing yet. And it may be the computation of the probability that asked for the stage.
        # Both go on with this probability.
        computing = leads & self.env.protected(self._fields["probability"])
        unsaved = leads.filtered(lambda lead: not lead.id)
        for lead in computing | unsaved:
            lead.update(dict.fromkeys(names, lead.stage_id.probability))
        (computing | unsaved).modified(names)
        leads -= computing | unsaved
        leads._recompute_probabilities()
        with leads._entering():
            leads._recompute_recordset(names)

    def _entering(self):
        """Let a probability of these opportunities that was set by hand follow the automated one in here.

        :return: context manager
        """
        return kept_by_transaction(self.env.cr, ENTERED, frozenset(self.ids))

    def _compute_probabilities(self):
        """Let a probability that was set by hand follow the automated one again when a stage is entered."""
        res = super()._compute_probabilities()
        self._correct_probabilities()
        entered_ids = self.env.cr.cache.get(ENTERED) or ()
        by_hand = self.filtered(lambda lead: lead.id in entered_ids and not lead.is_automated_probability)
        for lead in by_hand:
            lead.probability = lead.automated_probability
        by_hand.modified(["probability"])
        return res

    def _correct_probabilities(self):
        """Give opportunities the probability of the stage that they are in after the computation.

        Odoo's scoring stores everything before it reads. Thereby other fields may be computed, and Automation
        Rules run, which move an opportunity or tell its outcome while its probability is not known yet.
        """
        in_fixed = self.filtered(lambda lead: lead.stage_id._is_fixed())
        outdated = in_fixed.filtered(
            lambda lead: not is_same(lead.automated_probability, lead.stage_id.probability)
        )
        for lead in outdated:
            is_following = is_same(lead.probability, lead.automated_probability)
            lead.automated_probability = lead.stage_id.probability
            if is_following:
                lead.probability = lead.stage_id.probability
        untold = self.filtered(lambda lead: lead.stage_id.is_won and lead.won_status == "pending")
        (outdated | untold).modified(["probability"])

    def _compute_is_automated_probability(self):
        """Take the stage's own probability for automated, though OCA's crm_stage_probability does not."""
        res = super()._compute_is_automated_probability()
        for lead in self.filtered(lambda lead: lead.stage_id._is_fixed()):
            lead.is_automated_probability = is_same(lead.probability, lead.automated_probability)
        return res

    def _set_automated_probability(self):
        """Note the probability that the stage gives, beside the one that was just set by hand.

        It is stored by the same UPDATE as that one.
        """
        # sudo: the write that this is part of may have taken the opportunities out of the writer's sight
        leads = self.sudo().filtered(lambda lead: lead.stage_id._is_fixed() and lead.won_status == "pending")
        field = self._fields["automated_probability"]
        with self.env.protecting([field], leads):
            for stage, in_stage in leads.grouped("stage_id").items():
                in_stage.automated_probability = stage.probability
        leads.modified([field.name])

    def _leave_won(self):
        """Make won opportunities open ones, because their stage is not a won stage any more."""
        active = self.filtered("active")
        active._recompute_probabilities()
        archived = self - active
        archived.modified(["stage_id"])
        archived._take_stage_probability()

    # ------------------------------------------------------------------
    # Odoo's scoring
    # ------------------------------------------------------------------

    def _pls_get_naive_bayes_probabilities(self, batch_mode=False, is_tooltip=False):
        """Answer with the stage's own probability where it gives one, with Odoo's scoring elsewhere."""
        own = self._get_stage_probabilities(batch_mode)
        others = self.filtered(lambda lead: lead.id not in own)
        scores, tooltip = {}, {"probability": 0.0, "scores": []} if is_tooltip else {}
        # Odoo returns one empty dictionary, not two, when it finds nothing to score.
        if others:
            result = super(CrmLead, others)._pls_get_naive_bayes_probabilities(batch_mode, is_tooltip)
            scores, tooltip = result or (scores, tooltip)
        if is_tooltip and own:
            tooltip["probability"] = own[self.id]
        return {**scores, **own}, tooltip

    def _get_stage_probabilities(self, batch_mode=False):
        """:param bool batch_mode: as in Odoo's scoring: only open opportunities, read without the ORM's cache
        :return: percentage by opportunity id, for those whose stage gives its own
        """
        if not batch_mode:
            return {
                lead.id: lead.stage_id._get_probability()
                for lead in self
                if lead.stage_id._gives_probability()
            }
        stages = self.env["crm.stage"].search([("active", "in", (True, False))])
        giving = stages.filtered(lambda stage: stage._gives_probability())
        groups = self._read_group(
            Domain("id", "in", self.ids) & giving._get_open_opportunities_domain(),
            ["stage_id"],
            ["id:array_agg"],
        )
        return {lead_id: stage._get_probability() for stage, lead_ids in groups for lead_id in lead_ids}

    def _update_automated_probabilities(self):
        """Odoo's nightly job writes by SQL and leaves the weighted revenues as they were.

        What it would change of opportunities in fixed stages, the ORM changes before. There is little to
        change: an opportunity that entered a stage while another transaction changed the stage.
        """
        self.env["crm.stage"]._get_opportunities_out_of_step()._recompute_probabilities()
        return super()._update_automated_probabilities()

    def _recompute_probabilities(self):
        """Have Odoo compute the automated probability, and the probability of those that follow it."""
        names = ["automated_probability", "probability"]
        self.modified(names)
        for name in names:
            self.env.add_to_compute(self._fields[name], self)
