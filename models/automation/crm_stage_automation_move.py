import json
import logging
from datetime import datetime

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, split_every

from ...tools import CONFLICTS, ON, attempt
from ..history.crm_stage_stay import MOVED_BY
from .fault import get_reason
from .sentence import get_sentence

_logger = logging.getLogger(__name__)

# What a move changes of an opportunity, and what undoing it restores. While it is where the move put it, with
# the dates of that, nobody has moved, won or lost it since.
MOVED_DATES = ("date_last_stage_update", "date_closed")
PLACE_FIELDS = ("stage_id", "active", *MOVED_DATES)
MOVED_FIELDS = (*PLACE_FIELDS, "probability", "automated_probability", "lost_reason_id")

# What a row that waited hands down to the one of the move that was made
KEPT_FIELDS = ("is_applied", "without_email", "without_activities")

# Key of the transaction's data: ids of the opportunities that are moved back, which is no arrival
UNDONE = "crm_sales_stage.undone"

# Key of the transaction's data: what the user who applied an automation chose to do without on arrival, as
# {(id of the opportunity, id of the stage): {name of a value of ``Arrival``: False}}
LEFT_OUT = "crm_sales_stage.left_out"

# Fields of automations that follow from the journal
MOVES_FIELDS = ["move_ids", "moved_count", "taken_back_count", "skipped_count", "waiting_count"]
MOVES_FIELDS += ["taken_back_text", "notice", "undoable_count", "undo_note", "catch_up_progress"]

DONE = Domain("state", "=", "done")

# What stages planned when opportunities arrived, among activities, and what Odoo sent, among messages
PLANNED = Domain("crm_stage_plan_template_id", "!=", False)
AUTOMATIC = Domain("message_type", "=", "auto_comment")

# A move that is taken back by hand within these days was a mistake
TAKEN_BACK_DAYS = 7


class CrmStageAutomationMove(models.Model):
    """The journal: what automations wait to move, moved, passed over and took back.

    There is one row per opportunity that an automation moves, written by the transaction that moves it. It is
    the queue of the scheduled jobs, the history and what undoing needs at once.
    """

    _name = "crm.stage.automation.move"
    _description = "Move by an Automation"
    _order = "date desc, id desc"
    _rec_name = "lead_id"
    _log_access = False

    automation_id = fields.Many2one(
        "crm.stage.automation",
        required=True,
        readonly=True,
        ondelete="cascade",
        help="Automation that moves the opportunity.",
    )
    lead_id = fields.Many2one(
        "crm.lead",
        string="Opportunity",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
        help="Opportunity that is moved.",
    )
    document_id = fields.Many2oneReference(
        model_field="model_name",
        readonly=True,
        help="Document because of which it is moved, which may be the opportunity itself.",
    )
    model_name = fields.Char("Model", readonly=True, help="Model of the document.")
    document_date = fields.Datetime(
        "Date That Counts",
        readonly=True,
        help="Of automations in time: the date of the document that fell due. A later one falls due anew.",
    )
    state = fields.Selection(
        [("waiting", "Waiting"), ("done", "Moved"), ("skipped", "Passed Over"), ("undone", "Undone")],
        required=True,
        readonly=True,
        help="Waiting: the scheduled job moves it.\n"
        "Moved: it was moved, won or lost.\n"
        "Passed over: it was due and could not be moved, for the reason that is given.\n"
        "Undone: it was moved, and moved back by Undo.",
    )
    date = fields.Datetime(
        required=True,
        readonly=True,
        help="Since when it has waited, or when it was moved, passed over or moved back.",
    )
    is_applied = fields.Boolean(
        "By Applying",
        readonly=True,
        help="Whether it is moved because the automation was applied to existing documents, the last time.",
    )
    is_being_undone = fields.Boolean(
        readonly=True, help="Whether the scheduled job has still to move it back."
    )
    without_email = fields.Boolean(
        readonly=True, help="Whether whoever applied the automation let the stage send no e-mail."
    )
    without_activities = fields.Boolean(
        readonly=True, help="Whether whoever applied the automation let the stage plan no activities."
    )
    from_stage_id = fields.Many2one(
        "crm.stage",
        "From",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        help="Stage that the opportunity was in before.",
    )
    to_stage_id = fields.Many2one(
        "crm.stage",
        "To",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        help="Stage that the opportunity was in afterwards.",
    )
    outcome = fields.Selection(
        [("won", "Won"), ("lost", "Lost")],
        readonly=True,
        help="Whether the opportunity was won or lost by it.",
    )
    reason = fields.Selection(
        [
            ("before", "It came with a date that had passed"),
            ("team", "Its sales team does not have the stage"),
            ("closed", "It was won, lost or archived"),
            ("stage", "It was in no stage that it is moved from"),
            ("order", "An order or another open quotation protects it"),
            ("condition", "The document does not meet the condition"),
            ("not_yet", "It is not due any more"),
            ("further", "Another automation has moved it"),
            ("failed", "It could not be moved"),
        ],
        readonly=True,
        help="Why it was passed over.",
    )
    error = fields.Char("Refusal", readonly=True, help="What kept the opportunity from being moved.")
    changes = fields.Json(
        readonly=True,
        groups="base.group_system",
        help="What the move changed of the opportunity: by field, the value before and the one afterwards.",
    )
    is_taken_back = fields.Boolean(
        "Taken Back",
        compute="_compute_is_taken_back",
        search="_search_is_taken_back",
        help="Whether it was moved to an earlier stage by hand within seven days, or restored where the move "
        "lost it.",
    )

    # Which documents the journal has, by automation
    _document_idx = models.Index("(automation_id, document_id, document_date)")
    # Figures of an automation, and the lists behind them
    _state_idx = models.Index("(automation_id, state, date)")
    _waiting_idx = models.Index("(id) WHERE state = 'waiting'")
    _date_idx = models.Index("(date, id)")

    # ------------------------------------------------------------------
    # Taken back
    # ------------------------------------------------------------------

    @api.depends("state", "date")
    def _compute_is_taken_back(self):
        taken_back = self.search([("id", "in", self.ids), ("is_taken_back", "=", True)])
        for move in self:
            move.is_taken_back = move in taken_back

    @api.model
    def _search_is_taken_back(self, operator, value):
        if operator != "in":
            return NotImplemented
        domain = Domain("state", "=", "done") & Domain.custom(to_sql=self._get_taken_back_sql)
        return domain if True in value else ~domain

    @api.model
    def _get_taken_back_sql(self, model, alias, query):
        """:return: ``SQL`` of the moves after which the next stay began by hand, soon, and no further on"""
        return SQL(
            """
            EXISTS (
                SELECT FROM crm_stage_stay stay
                 WHERE stay.id = (SELECT id FROM crm_stage_stay
                                   WHERE lead_id = %(move)s.lead_id AND date_entered > %(move)s.date
                                   ORDER BY date_entered, id LIMIT 1)
                   AND stay.moved_by = 'hand'
                   AND stay.date_entered <= %(move)s.date + %(days)s * INTERVAL '1 day'
                   AND (%(move)s.outcome = 'lost' OR array_position(%(stages)s, stay.stage_id)
                                                     < array_position(%(stages)s, %(move)s.to_stage_id))
            )
            """,
            move=SQL.identifier(alias),
            days=TAKEN_BACK_DAYS,
            stages=list(self.env["crm.stage"]._get_ordered_ids()),
        )

    def action_open_lead(self):
        """:return: action that shows the opportunity of this move"""
        self.ensure_one()
        return self.lead_id.get_formview_action()

    # ------------------------------------------------------------------
    # Writing
    # ------------------------------------------------------------------

    @api.model
    def _insert(self, rows):
        """Insert rows by one statement: the ORM takes twenty times as long for thousands of them.

        :param list rows: dictionaries of values; ``changes`` is what JSON can be
        """
        if not rows:
            return
        columns = SQL(", ").join(SQL.identifier(name) for name in sorted(set().union(*rows)))
        insert = """
            INSERT INTO crm_stage_automation_move (%s)
            SELECT %s FROM jsonb_populate_recordset(NULL::crm_stage_automation_move, %s)
        """
        self.env.cr.execute(SQL(insert, columns, columns, json.dumps(rows, default=str)))
        self.invalidate_model()
        self.env["crm.stage.automation"].invalidate_model(MOVES_FIELDS)

    @api.model
    def _get_row(self, automation, lead_id, document, dates, **values):
        """
        :param dates: the dates that count, by id of the document
        :return: values of a row, as of this transaction
        """
        row = {"automation_id": automation.id, "lead_id": lead_id, "document_id": document.id}
        row |= {"model_name": automation.model_name, "date": self.env.cr.now()}
        return {**row, "document_date": dates.get(document.id), **values}

    @api.model
    def _read_values(self, leads):
        """:return: what moves change of the opportunities, by their ids, as JSON has it"""
        return {
            values.pop("id"): {
                name: str(value) if name in MOVED_DATES and value else value for name, value in values.items()
            }
            for values in leads._read_format(MOVED_FIELDS, load=None)
        }

    @api.model
    def _record(self, automation, documents_by_lead, before, refusals, left_ids, is_working, waiting):
        """Write down what became of the opportunities that ``automation`` was to move.

        :param dict documents_by_lead: because of what, by id of the opportunity
        :param before: what ``_read_values`` returned before
        :param refusals: why others could not be moved, by id of the opportunity
        :param left_ids: of those that are left to the scheduled job
        :param is_working: whether any could be moved; otherwise what has waited goes on waiting
        :param waiting: the rows that have waited for it, if any
        """
        values = dict.fromkeys(left_ids, {"state": "waiting"})
        for lead_id, error in refusals.items():
            values[lead_id] = {"state": "skipped", "reason": "failed", "error": get_reason(error)}
        moved = self.env["crm.lead"].browse(documents_by_lead.keys() - values.keys())
        after = self._read_values(moved)
        values |= {lead.id: self._get_moved_values(lead, before[lead.id], after[lead.id]) for lead in moved}
        staying_ids = left_ids | (set() if is_working else refusals.keys())
        rows, ended = [], self.browse()
        by_document = (waiting or self).grouped(lambda move: (move.lead_id.id, move.document_id))
        for lead_id, document in documents_by_lead.items():
            its_waiting = by_document.get((lead_id, document.id), self.browse())
            if not values[lead_id] or (its_waiting and lead_id in staying_ids):
                continue
            ended |= its_waiting
            dates = {document.id: max(filter(None, its_waiting.mapped("document_date")), default=None)}
            kept = {name: its_waiting[:1][name] for name in KEPT_FIELDS} | values[lead_id]
            rows.append(self._get_row(automation, lead_id, document, dates, **kept))
        ended.unlink()
        self._insert(rows)

    @api.model
    def _get_known_dates(self, automation, documents):
        """:return: the last date that the journal has since the automation began, by id of document"""
        domain = Domain("automation_id", "=", automation.id) & Domain("document_id", "in", documents.ids)
        domain &= Domain("date", ">=", automation.date_begun) & Domain("document_date", "!=", False)
        return dict(self._read_group(domain, ["document_id"], ["document_date:max"]))

    def _get_pairs(self):
        """:return: documents of these moves and their opportunities, as [(document, crm.lead), ...]"""
        pairs = []
        for model_name, moves in self.grouped("model_name").items():
            lead_ids = {
                document_id: set(its_moves.lead_id.ids)
                for document_id, its_moves in moves.grouped("document_id").items()
            }
            documents = self.env[model_name].browse(lead_ids).exists()
            for document, leads in documents._get_crm_stage_leads():
                ids = lead_ids[document.id].intersection(leads.ids)
                pairs.append((document, leads.browse(sorted(ids))))
        return pairs

    def _pass_over(self, done_ids):
        """Write down why these moves of one automation, which were due, were not made.

        Those of documents that are gone, or that are another opportunity's by now, are removed.

        :param done_ids: of opportunities that other automations have just moved
        """
        pairs = {(document.id, lead_id) for document, leads in self._get_pairs() for lead_id in leads.ids}
        gone = self.filtered(lambda move: (move.document_id, move.lead_id.id) not in pairs)
        left = self - gone
        gone.unlink()
        if not left:
            return
        automation = left.automation_id
        reasons = automation._get_reasons_to_stay(left.lead_id, done_ids)
        due = automation._filter_due(self.env[automation.model_name].browse(left.mapped("document_id")))

        def get_reason_to_stay(move):
            return reasons.get(move.lead_id) or ("condition" if move.document_id in due._ids else "not_yet")

        for reason, moves in left.grouped(get_reason_to_stay).items():
            moves.write({"state": "skipped", "reason": reason, "date": self.env.cr.now()})

    @api.model
    def _get_moved_values(self, lead, before, after):
        """:return: values of the row of an opportunity that was moved; none where nothing happened to it"""
        if all(before[name] == after[name] for name in PLACE_FIELDS):
            return {}
        changes = {
            name: [before[name], after[name]]
            for name in MOVED_FIELDS
            if name in PLACE_FIELDS or before[name] != after[name]
        }
        return {
            "state": "done",
            "from_stage_id": before["stage_id"] or None,
            "to_stage_id": after["stage_id"] or None,
            "outcome": lead.won_status if lead.won_status != "pending" else None,
            "changes": changes,
        }

    # ------------------------------------------------------------------
    # Undoing
    # ------------------------------------------------------------------

    def _is_untouched(self):
        """:return: whether the opportunity is still where this very move put it, and can go back"""
        now = self._read_values(self.lead_id)[self.lead_id.id]
        is_there = all(now[name] == self.changes[name][1] for name in PLACE_FIELDS)
        return is_there and self.from_stage_id.id == self.changes["stage_id"][0]

    def _undo(self):
        """Restore what the opportunities were before; only the chatter shows that they were moved.

        Those that somebody has moved, won or lost since stay where they are; so does what else was changed.

        :return: the opportunities that were moved back
        """
        untouched = self.filtered(lambda move: move._is_untouched())
        bodies = {}
        for automation, moves in untouched.grouped("automation_id").items():
            body = self.env._("Moved back, because this was undone: %s", get_sentence(automation))
            bodies.update(dict.fromkeys(moves.lead_id.ids, body))
        # No loops: moving back moves nothing else.
        leads = untouched.lead_id.with_context(crm_stage_moving=ON)
        self.env["crm.stage.stay"]._add_undone({move.lead_id.id: move.date for move in untouched})
        self.env.cr.precommit.data.setdefault(UNDONE, set()).update(leads.ids)
        values = {move.lead_id: move._get_restored_values() for move in untouched}
        self.env.cr.cache[MOVED_BY] = None, bodies
        for restored, its_leads in leads.grouped(lambda lead: json.dumps(values[lead][0])).items():
            its_leads.write(json.loads(restored))
        for lead in leads:  # Odoo sets dates of its own along with the other fields.
            lead.write(values[lead][1])
        self.env.cr.cache.pop(MOVED_BY)
        untouched._search_planned().unlink()
        self.write({"is_being_undone": False, "is_applied": False})
        untouched.write({"state": "undone", "date": self.env.cr.now()})
        return untouched.lead_id

    def _get_restored_values(self):
        """:return: values to write on the opportunity, and dates to write then, as they were before the move;
        what was changed afterwards is as it is now
        """
        values = self._read_values(self.lead_id)[self.lead_id.id]
        for name, (before, after) in self.changes.items():
            if values[name] == after:
                values[name] = before
        dates = {name: values.pop(name) for name in MOVED_DATES}
        return (
            {name: value for name, value in values.items() if name in self.changes},
            {name: date and datetime.fromisoformat(date) for name, date in dates.items()},
        )

    def _leave_out(self):
        """Let the stage do without what whoever applied the automation chose to do without."""
        left_out = self.env.cr.precommit.data.setdefault(LEFT_OUT, {})
        for move in self.filtered(lambda move: move.without_email or move.without_activities):
            names = {"template_id": move.without_email, "plan_id": move.without_activities}
            values = {name: False for name, is_left_out in names.items() if is_left_out}
            left_out[move.lead_id.id, move.automation_id.stage_id.id] = values

    @api.model
    def _get_followed_domain(self):
        """:return: ``Domain`` of the moves of opportunities that have planned activities or automatic e-mails

        Of many moves, only these need be read.
        """
        # any!: only whether there are some; what the user may see is asked of the moves
        has_some = Domain("activity_ids", "any!", PLANNED) | Domain("message_ids", "any!", AUTOMATIC)
        return Domain("lead_id", "any!", has_some)

    def _search_planned(self):
        """:return: the open activities that were planned when the opportunities arrived by these moves"""
        since = {move.lead_id.id: move.date.replace(microsecond=0) for move in self}
        leads = Domain("res_model", "=", "crm.lead") & Domain("res_id", "in", list(since))
        planned = self.env["mail.activity"].search(leads & PLANNED)
        return planned.filtered(lambda activity: activity.create_date >= since[activity.res_id])

    def _search_emails(self):
        """:return: the e-mails that were sent when the opportunities arrived, in the moves' transactions"""
        dates = {(move.lead_id.id, move.date.replace(microsecond=0)) for move in self}
        messages = self.env["mail.message"]
        domain = Domain("model", "=", "crm.lead") & Domain("res_id", "in", self.lead_id.ids)
        return messages.search(messages._get_email_domain("email_sent", domain & AUTOMATIC)).filtered(
            lambda email: (email.res_id, email.create_date.replace(microsecond=0)) in dates
        )

    @api.model
    def _undo_batches(self, size):
        """Make the undoing that was left to the scheduled job; it goes on where it was interrupted.

        :param int size: of a batch
        """
        for ids in split_every(size, self.search([("is_being_undone", "=", True)], order="id").ids):
            moves = self.browse(ids).exists()
            with attempt(self.env) as made:
                moves._undo()
            # What met another transaction is tried again by the next run.
            if made.error and not isinstance(made.error, CONFLICTS):
                _logger.error("Opportunities cannot be moved back", exc_info=made.error)
                moves.exists().is_being_undone = False
            remaining = self.search_count([("is_being_undone", "=", True)])
            if not self.env["ir.cron"]._commit_progress(len(ids), remaining=remaining):
                return
