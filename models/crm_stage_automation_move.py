import logging

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import split_every

from ..tools import ON, attempt
from .crm_stage_automation import CONFLICTS

_logger = logging.getLogger(__name__)

# How long what "Apply to existing documents" moved can be moved back
UNDO_DAYS = 7


class CrmStageAutomationMove(models.Model):
    """A move that "Apply to existing documents" made, as long as it can be undone.

    It keeps what the opportunity was before, and what tells that nobody has moved, won or lost it since.
    """

    _name = "crm.stage.automation.move"
    _description = "Move That Can Be Undone"
    _order = "id"

    automation_id = fields.Many2one(
        "crm.stage.automation",
        required=True,
        index=True,
        ondelete="cascade",
        help="Automation that moved the opportunity.",
    )
    lead_id = fields.Many2one(
        "crm.lead",
        string="Opportunity",
        required=True,
        index=True,
        ondelete="cascade",
        help="Opportunity that was moved.",
    )
    from_stage_id = fields.Many2one(
        "crm.stage",
        index=True,
        ondelete="cascade",
        help="Stage that the opportunity was in before.",
    )
    probability = fields.Float(help="Probability that the opportunity had before.")
    is_automated_probability = fields.Boolean(
        string="Automated Probability",
        help="Whether that probability was not set by hand.",
    )
    was_lost = fields.Boolean(help="Whether the opportunity was lost before.")
    lost_reason_id = fields.Many2one(
        "crm.lost.reason",
        ondelete="set null",
        help="Why the opportunity was lost before.",
    )
    stage_id = fields.Many2one(
        "crm.stage",
        index=True,
        ondelete="cascade",
        help="Stage that the opportunity was in afterwards.",
    )
    won_status = fields.Char(help="Whether the opportunity was won, lost or open afterwards.")
    date_last_stage_update = fields.Datetime(
        string="Moved On",
        help="When the opportunity came into its stage, as it tells itself.",
    )
    is_being_undone = fields.Boolean(help="Whether the scheduled job still has to move the opportunity back.")

    # ------------------------------------------------------------------
    # Noting
    # ------------------------------------------------------------------

    @api.model
    def _read_before(self, leads):
        """:return: what is to be kept of ``leads`` before they are moved, by opportunity"""
        return {
            lead: {
                "from_stage_id": lead.stage_id.id,
                "probability": lead.probability,
                "is_automated_probability": lead.is_automated_probability,
                "was_lost": lead.won_status == "lost",
                "lost_reason_id": lead.lost_reason_id.id,
            }
            for lead in leads
        }

    @api.model
    def _note(self, automation, before):
        """Note those opportunities that ``automation`` has moved, won or lost.

        :param dict before: as ``_read_before`` returned it
        """
        vals_list = []
        for lead, values in before.items():
            was_lost, is_lost = values["was_lost"], lead.won_status == "lost"
            if (values["from_stage_id"], was_lost) != (lead.stage_id.id, is_lost):
                after = {
                    "stage_id": lead.stage_id.id,
                    "won_status": lead.won_status,
                    "date_last_stage_update": lead.date_last_stage_update,
                }
                vals_list.append({"automation_id": automation.id, "lead_id": lead.id, **values, **after})
        self.create(vals_list)

    @api.autovacuum
    def _gc_moves(self):
        """Forget what cannot be undone any more."""
        limit = fields.Datetime.subtract(fields.Datetime.now(), days=UNDO_DAYS)
        self.search([("create_date", "<", limit)]).unlink()

    # ------------------------------------------------------------------
    # Undoing
    # ------------------------------------------------------------------

    def _is_untouched(self):
        """:return: whether the opportunity is still where this move put it, by this very move"""
        lead = self.lead_id
        return (
            lead.stage_id == self.stage_id
            and lead.won_status == self.won_status
            and lead.active == (self.won_status != "lost")
            and lead.date_last_stage_update == self.date_last_stage_update
        )

    def _undo(self):
        """Move the opportunities back that nobody has touched since; the chatter of each tells it.

        What is undone, and what cannot be undone any more, is forgotten.

        :return: the opportunities that were moved back
        """
        untouched = self.filtered(lambda move: move._is_untouched())
        bodies = {}
        for automation, moves in untouched.grouped("automation_id").items():
            body = self.env._("Moved back, because this was undone: %s", automation._get_sentence(""))
            bodies.update(dict.fromkeys(moves.lead_id.ids, body))
        # No loops: moving back moves nothing else. It is no arrival in the former stage either.
        moving = untouched.with_context(crm_stage_moving=ON, crm_stage_undoing=ON)
        moving.filtered(lambda move: move.won_status == "lost").lead_id.action_restore()
        for stage, moves in moving.grouped("from_stage_id").items():
            moved = moves.filtered(lambda move: move.stage_id != move.from_stage_id).lead_id
            with moved._moved_by(bodies):
                moved.write({"stage_id": stage.id})
        for reason, moves in moving.filtered("was_lost").grouped("lost_reason_id").items():
            moves.lead_id.action_set_lost(lost_reason_id=reason.id)
        by_hand = moving.filtered(lambda move: not (move.is_automated_probability or move.was_lost))
        for probability, moves in by_hand.grouped("probability").items():
            moves.lead_id.probability = probability
        leads = untouched.lead_id
        self.unlink()
        return leads

    @api.model
    def _undo_batches(self, size):
        """Undo the moves that were left to the scheduled job; it goes on where it was interrupted.

        :param int size: of a batch
        """
        for ids in split_every(size, self.search([("is_being_undone", "=", True)]).ids):
            moves = self.browse(ids).exists()
            with attempt(self.env) as made:  # whatever it is, the job has others to look after
                moves._undo()
            if isinstance(made.error, CONFLICTS):
                _logger.info("Somebody works on opportunities that are to be moved back: later")
                return
            if made.error:
                _logger.error("Opportunities cannot be moved back", exc_info=made.error)
                moves.exists().unlink()
            remaining = self.search_count(Domain("is_being_undone", "=", True))
            if not self.env["ir.cron"]._commit_progress(len(ids), remaining=remaining):
                return
