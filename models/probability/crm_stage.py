from odoo import api, fields, models
from odoo.fields import Domain

from ..stage.crm_stage import FOLLOWED_FIELDS

# Opportunities that are recomputed while the stage is saved; more of them are left to the scheduled job.
MAX_RECOMPUTED = 20000
# Opportunities that the scheduled job recomputes in one transaction
RECOMPUTED_BATCH = 2000


class CrmStage(models.Model):
    """Open opportunities follow what their stage says of their probability.

    They are computed by Odoo itself, for a stage that gives its own probability as for one that leaves it to
    the scoring. A probability that was set by hand stays.
    """

    _inherit = "crm.stage"

    recompute_up_to_id = fields.Integer(
        "Recomputed Up to Opportunity",
        readonly=True,
        copy=False,
        help="The scheduled job still has to compute the probabilities of open opportunities of this stage: "
        "of those whose id is not greater than this. 0: there are none.",
    )

    # ------------------------------------------------------------------
    # When a stage changes
    # ------------------------------------------------------------------

    def _get_followed_values(self):
        """:return: ``{stage: what the probability of its opportunities depends on}``"""
        values = {stage: {name: stage[name] for name in FOLLOWED_FIELDS} for stage in self}
        for stage in self.filtered(lambda stage: not stage._gives_probability()):
            values[stage]["probability"] = None
        return values

    def _recompute_followers(self, values_before):
        """Recompute the opportunities of the stages that are not what they were.

        :param values_before: of these stages, from ``_get_followed_values``
        """
        values = self._get_followed_values()
        changed = self.filtered(lambda stage: values[stage] != values_before[stage])
        if not changed:
            return
        # Odoo reopens the won opportunities that are active and that the user may see, here are the others.
        # sudo: a stage is shared by all companies
        leads = self.env["crm.lead"].sudo().with_context(active_test=False)
        reopened = changed.filtered(lambda stage: not stage.is_won and values_before[stage]["is_won"])
        if reopened:
            leads.search([("stage_id", "in", reopened.ids), ("won_status", "=", "won")])._leave_won()
            changed -= reopened
        opportunities = leads.search(changed._get_open_opportunities_domain(), order="id desc")
        if len(opportunities) > MAX_RECOMPUTED:
            changed._recompute_later(opportunities)
        else:
            opportunities._recompute_probabilities()

    def _get_open_opportunities_domain(self):
        """:return: ``Domain`` of the opportunities of these stages that are neither won, lost nor archived"""
        return (
            Domain("stage_id", "in", self.ids)
            & Domain("active", "=", True)
            & Domain("won_status", "=", "pending")
        )

    @api.model
    def _get_opportunities_out_of_step(self):
        """:return: open opportunities, of all companies, that know another probability of their fixed stage
        than it has, unless they wait for the scheduled job
        """
        stages = self.search([("active", "in", (True, False))])
        fixed = stages.filtered(lambda stage: stage._is_fixed() and not stage.recompute_up_to_id)
        differs = Domain.OR(
            Domain("stage_id", "=", stage.id) & Domain("automated_probability", "!=", stage.probability)
            for stage in fixed
        )
        # sudo: a stage is shared by all companies
        return self.env["crm.lead"].sudo().search(fixed._get_open_opportunities_domain() & differs)

    # ------------------------------------------------------------------
    # Left to the scheduled job
    # ------------------------------------------------------------------

    def _recompute_later(self, opportunities):
        """Leave ``opportunities`` to the scheduled job, and tell the user.

        :param opportunities: the one with the greatest id first
        """
        self.recompute_up_to_id = opportunities[0].id
        self.env.ref("crm_sales_stage.ir_cron_crm_stage_recompute")._trigger()
        self.env.user._bus_send(
            "simple_notification",
            {
                "type": "info",
                "sticky": True,
                "title": self.env._("Probabilities are being updated"),
                "message": self.env._(
                    "%(count)s open opportunities of %(stages)s get their new probability in the background. "
                    "Until then they show the one they had. Those set by hand keep theirs.",
                    count=len(opportunities),
                    stages=", ".join(self.mapped("name")),
                ),
            },
        )

    @api.model
    def _cron_recompute_probabilities(self):
        """Recompute the opportunities that wait for it, batch by batch; what was done stays done."""
        stages = self.with_context(active_test=False).search([("recompute_up_to_id", ">", 0)])
        for stage in stages:
            while stage.recompute_up_to_id:
                number = stage._recompute_batch()
                remaining = sum(stage._count_waiting() for stage in stages)
                time_left = self.env["ir.cron"]._commit_progress(number, remaining=remaining)
                # Somebody may have changed the stage meanwhile. And thousands of records need memory.
                self.env.invalidate_all()
                if not time_left:
                    return

    def _recompute_batch(self):
        """Recompute the next opportunities of this stage that wait for it.

        :return: their number
        """
        leads = self.env["crm.lead"].search(
            self._get_waiting_domain(), order="id desc", limit=RECOMPUTED_BATCH
        )
        leads._recompute_probabilities()
        self.recompute_up_to_id = leads[-1].id - 1 if len(leads) == RECOMPUTED_BATCH else 0
        return len(leads)

    def _count_waiting(self):
        return self.env["crm.lead"].search_count(self._get_waiting_domain()) if self.recompute_up_to_id else 0

    def _get_waiting_domain(self):
        """:return: ``Domain`` of the opportunities of this stage that wait for the scheduled job"""
        return self._get_open_opportunities_domain() & Domain("id", "<=", self.recompute_up_to_id)
