"""Won or lost by an automation: which of both, and whom it leaves alone."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import format_list
from odoo.tools.translate import LazyTranslate

from ..trigger.crm_stage_trigger_mixin import LOSING_TRIGGERS
from .crm_stage_automation import AutomationError

_lt = LazyTranslate(__name__)


class CrmStageAutomation(models.Model):
    _inherit = "crm.stage.automation"

    stage_is_won = fields.Boolean(
        related="stage_id.is_won",
        string="To a Final Stage",
        help="Whether the stage is a won stage: the automation then wins or loses the opportunities.",
    )
    outcome = fields.Selection(
        [("won", "Win the opportunity"), ("lost", "Lose the opportunity")],
        compute="_compute_outcome",
        store=True,
        readonly=False,
        help="Of final stages. Win: the opportunity moves to the stage and is won.\n"
        "Lose: it is lost as with Odoo's own button, and keeps its stage. One that has a confirmed order "
        "is left alone. When a quotation is cancelled or expires, so is one that has another quotation "
        "which is neither.",
    )
    lost_reason_id = fields.Many2one(
        "crm.lost.reason",
        compute="_compute_lost_reason_id",
        store=True,
        readonly=False,
        index="btree_not_null",
        ondelete="restrict",
        help="Why the opportunities are lost.",
    )
    is_lost_included = fields.Boolean(
        string="Lost Ones Too",
        compute="_compute_is_lost_included",
        store=True,
        readonly=False,
        help="Lost opportunities are restored, and moved to this stage. One that was lost in this stage or a "
        "later one stays in that stage, unless this automation says which stages it takes them from. Of the "
        "documents that exist already, only those that are newer than the loss bring an opportunity back.",
    )

    @api.depends("stage_id", "trigger")
    def _compute_outcome(self):
        for automation in self:
            automation.outcome = automation._get_proposed_outcome()

    @api.depends("outcome")
    def _compute_lost_reason_id(self):
        for automation in self:
            automation.lost_reason_id = automation.outcome == "lost" and automation.lost_reason_id

    @api.depends("outcome")
    def _compute_is_lost_included(self):
        for automation in self:
            automation.is_lost_included = automation.outcome != "lost" and automation.is_lost_included

    def _get_proposed_outcome(self):
        """:return: what the trigger proposes where the stage is final"""
        if not self.stage_id.is_won or not self.trigger:
            return False
        return "lost" if self.trigger in LOSING_TRIGGERS else "won"

    @api.constrains("stage_id", "outcome", "lost_reason_id")
    def _check_outcome(self):
        for automation in self:
            stage = automation.stage_id
            if stage.is_won and stage.ask_outcome and not automation.outcome:
                raise ValidationError(
                    self.env._(
                        'The stage "%s" means won or lost: choose which of both the automation does.',
                        stage.name,
                    )
                )
            if automation.outcome and not stage.is_won:
                raise ValidationError(
                    self.env._(
                        'The stage "%s" is no won stage: opportunities are neither won nor lost by moving '
                        "there. Leave the outcome empty, or choose a won stage.",
                        stage.name,
                    )
                )
            if automation.lost_reason_id and automation.outcome != "lost":
                raise ValidationError(
                    self.env._(
                        "Only opportunities that are lost have a lost reason: choose to lose them, or leave "
                        "the reason empty."
                    )
                )

    @api.constrains("active", "trigger", "from_stage_ids", "outcome", "is_lost_included")
    def _check_somebody_moves(self):
        """Refuse what would promise to move opportunities that are never moved."""
        for automation in self.filtered("active"):
            if error := automation._get_nobody_moves_error():
                raise ValidationError(error)

    def _get_nobody_moves_error(self):
        """:return: which of the opportunities that this automation names are never moved, and what to do"""
        won_stages = self.from_stage_ids.filtered("is_won")
        names = format_list(self.env, won_stages.mapped("name"), "or")
        if self.outcome == "lost" and self.is_lost_included:
            return self.env._('Lost opportunities are not lost again: untick "Lost Ones Too".')
        if self.outcome == "lost" and self.trigger == "order_confirmed":
            return self.env._("An opportunity with a confirmed order is not lost: choose to win it.")
        if self.outcome == "lost" and won_stages:
            return self.env._(
                "Automations do not lose won opportunities: take %s out of the stages they come from.", names
            )
        if self.trigger == "order_confirmed" and won_stages and not self.outcome:
            return self.env._(
                "Won opportunities with a confirmed order stay won: "
                "take %s out of the stages they come from.",
                names,
            )
        if self.is_lost_included and won_stages and won_stages == self.from_stage_ids:
            return self.env._(
                "Opportunities keep the stage where they were lost, which is never a won one: add the stages "
                'that they come from beside %s, or untick "Lost Ones Too".',
                names,
            )
        return None

    # ------------------------------------------------------------------
    # CRUD
    # ------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        automations = super().create(vals_list)
        automations._complete_outcomes()
        return automations

    def write(self, vals):
        """An outcome that somebody chose against what the trigger proposes is kept with another trigger."""
        stage = self.env["crm.stage"].browse(vals.get("stage_id") or [])
        chosen = self.browse()
        if {"stage_id", "trigger"} & vals.keys() and "outcome" not in vals and (not stage or stage.is_won):
            chosen = self.filtered(lambda automation: automation._is_outcome_chosen())
        for automation in chosen:
            kept = {"outcome": automation.outcome, "lost_reason_id": automation.lost_reason_id.id}
            super(CrmStageAutomation, automation).write({**kept, **vals})
        res = super(CrmStageAutomation, self - chosen).write(vals)
        if "outcome" in vals:
            self._complete_outcomes()
        return res

    def _is_outcome_chosen(self):
        return self.stage_id.is_won and self.outcome and self.outcome != self._get_proposed_outcome()

    def _complete_outcomes(self):
        """A won stage that does not ask means won, as everywhere in Odoo."""
        self.filtered(lambda automation: automation.stage_is_won and not automation.outcome).outcome = "won"

    @api.model
    def _get_configuration_fields(self):
        return super()._get_configuration_fields() | {"outcome", "lost_reason_id", "is_lost_included"}

    # ------------------------------------------------------------------
    # Stages that become won stages, or are none any more
    # ------------------------------------------------------------------

    def _follow_won_stage(self):
        """Their stage has become a won one: by moving there they win, from now on.

        One that listens to what loses opportunities waits for somebody to say what it is meant for.
        """
        for automation in self:
            if automation.outcome:
                if automation.fault_part == "outcome":
                    automation._set_fault(None)
            elif automation.trigger in LOSING_TRIGGERS:
                automation._ask_for_outcome()
            else:
                automation.outcome = "won"

    def _ask_for_outcome(self):
        """Archive an automation that would win opportunities by what loses them, with a note why."""
        self.write({"active": False, "outcome": "lost"})
        note = _lt(
            "It would win opportunities whose quotation is cancelled or expires, so it was archived. "
            "It is set to lose them now: look whether that is meant, and unarchive it."
        )
        self._set_fault(*self._get_fault(AutomationError(self.env, note, "idle")))

    def _follow_open_stage(self):
        """Their stage is no won stage any more: those that win or lose opportunities cannot go on."""
        for automation in self.filtered("outcome"):
            error = automation._get_open_stage_error(automation.stage_id)
            automation._set_fault(*automation._get_fault(error))

    @api.model
    def _get_open_stage_error(self, stage):
        """:return: what is wrong with winning or losing opportunities by ``stage``"""
        return AutomationError(
            self.env,
            _lt(
                'The stage "%s" is no won stage any more, so opportunities are neither won nor lost there. '
                "Make it a won stage again, choose another one, or leave the outcome empty.",
                stage.name,
            ),
            "outcome",
        )

    # ------------------------------------------------------------------
    # Moving
    # ------------------------------------------------------------------

    @api.model
    def _filter_unprotected(self, listener, leads):
        """A confirmed order protects from being lost, and from being taken out of the won stages.

        An open quotation protects from being lost by another one that is cancelled or expires only: who is
        silent for ten days is silent with a quotation, too.

        :return: those of ``leads`` that no order keeps the automation from taking
        """
        is_protecting = Domain(leads._get_lead_sale_order_domain())
        if listener.outcome == "lost":
            exposed = leads
            if listener.trigger in LOSING_TRIGGERS:
                is_protecting |= self.env["sale.order"]._get_crm_stage_open_domain()
        else:
            exposed = leads.filtered(lambda lead: lead.stage_id.is_won and not listener.outcome)
        return leads - exposed._filter_with_orders(is_protecting)

    def _filter_newer(self, pairs):
        """Documents that exist already bring back lost opportunities only if they are newer than the loss.

        :param list pairs: documents and their opportunities, as [(document, crm.lead), ...]
        :return: the same, without the lost opportunities of older documents
        """
        # A lost opportunity waits since its loss.
        if not self.is_lost_included or self.trigger in ("stage_waiting", "no_news"):
            return pairs
        documents = self.env[self.model_name].union(*(document for document, _leads in pairs))
        # An opportunity itself is older than its loss: when something happened to it counts.
        dates = documents._get_crm_stage_dates(self.trigger if documents._name == "crm.lead" else None)

        def is_taken(document, lead):
            if lead.won_status != "lost":
                return True
            if not (date := dates.get(document.id)):
                return False
            # Odoo keeps the moment of the loss to the second: within one, what was stored later is newer.
            lost = (lead.date_closed or lead.write_date).replace(microsecond=0)
            return (date.replace(microsecond=0), document.write_date) >= (lost, lead.write_date)

        return [
            (document, leads.filtered(lambda lead, document=document: is_taken(document, lead)))
            for document, leads in pairs
        ]
