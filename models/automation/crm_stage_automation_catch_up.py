"""Applying an automation to existing documents, and making the moves that wait in the journal."""

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import split_every
from odoo.tools.translate import LazyTranslate

from ...tools import get_done_action
from .crm_stage_automation import AutomationError, Moved

_lt = LazyTranslate(__name__)

# Opportunities that are moved at once, by whoever applies an automation and by the scheduled jobs
BATCH = 200


class CrmStageAutomation(models.Model):
    _inherit = "crm.stage.automation"

    move_ids = fields.One2many(
        "crm.stage.automation.move",
        "automation_id",
        string="Moves",
        help="What this automation waits to move, moved, passed over and took back.",
    )
    moved_count = fields.Integer(
        "Moved",
        compute="_compute_move_counts",
        help="How many times it moved an opportunity in the last 12 months.",
    )
    taken_back_count = fields.Integer(
        "Taken Back",
        compute="_compute_move_counts",
        help="How many of these moves were taken back by hand within seven days.",
    )
    skipped_count = fields.Integer(
        "Passed Over",
        compute="_compute_move_counts",
        help="How many times an opportunity was due and could not be moved in the last 12 months.",
    )
    waiting_count = fields.Integer(
        "Waiting",
        compute="_compute_move_counts",
        help="How many opportunities the scheduled job has still to move.",
    )
    undoable_count = fields.Integer(
        "Opportunities That Can Be Moved Back",
        compute="_compute_move_counts",
        help="How many opportunities were moved when it was applied to existing documents the last time.",
    )
    catch_up_progress = fields.Integer(
        "Progress (%)",
        compute="_compute_move_counts",
        help="Of the opportunities that there were to move when it was applied to existing documents, the "
        "share that the scheduled job is done with.",
    )

    @api.depends("move_ids.state", "move_ids.date", "move_ids.is_applied", "move_ids.is_being_undone")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_move_counts(self):
        last_year = Domain("date", ">=", "-1y")
        counts = {
            "moved_count": self._count_moves(Domain("state", "=", "done") & last_year),
            "taken_back_count": self._count_moves(Domain("is_taken_back", "=", True) & last_year),
            "skipped_count": self._count_moves(Domain("state", "=", "skipped") & last_year),
            "waiting_count": self._count_moves(Domain("state", "=", "waiting")),
            "undoable_count": self._count_moves(self._get_undoable_domain()),
        }
        applied = self._count_moves(Domain("is_applied", "=", True))
        left = self._count_moves(Domain("is_applied", "=", True) & Domain("state", "=", "waiting"))
        for automation in self:
            for name, numbers in counts.items():
                automation[name] = numbers.get(automation._origin, 0)
            share_left = left.get(automation._origin, 0) / applied.get(automation._origin, 1)
            automation.catch_up_progress = 100 - round(100 * share_left)

    def _count_moves(self, domain):
        """:return: number of the moves of each automation that match ``domain``, of those the user may see"""
        domain &= Domain("automation_id", "in", self.ids)
        return dict(self.env["crm.stage.automation.move"]._read_group(domain, ["automation_id"], ["__count"]))

    def write(self, vals):
        """What applying it had still to move, and what it could not move, was so before it was changed.

        What has fallen due is not: it is moved as the automation says now.
        """
        if (self._get_configuration_fields() - {"sequence"}) & vals.keys():
            self._get_waiting().filtered("is_applied").unlink()
            self._get_failed().error = False
        return super().write(vals)

    def _get_failed(self):
        """:return: the moves of these automations that failed as the automations are now, in sudo"""
        # sudo: see `_get_waiting`
        moves = self.env["crm.stage.automation.move"].sudo()
        domain = [("automation_id", "in", self.ids), ("state", "=", "skipped"), ("error", "!=", False)]
        return moves.search(domain, order="id")

    def _get_waiting(self):
        """:return: the moves that these automations have still to make, in sudo"""
        # sudo: nobody but the system writes the journal
        moves = self.env["crm.stage.automation.move"].sudo()
        return moves.search([("automation_id", "in", self.ids), ("state", "=", "waiting")])

    # ------------------------------------------------------------------
    # Which ones
    # ------------------------------------------------------------------

    def _find_listener(self):
        """:return: what the cache knows of this automation; None where it is idle"""
        self.ensure_one()
        listeners = self._get_setup().listeners
        return next((listener for listener in listeners if listener.automation_id == self.id), None)

    def _get_listener(self):
        """:return: what the cache knows of this automation
        :raise UserError: the automation is idle
        """
        listener = self._find_listener()
        if not listener:
            raise AutomationError(
                self.env,
                _lt(
                    "This automation moves nothing while it, or its stage, is archived. "
                    "Unarchive it, then try again."
                ),
                "idle",
            )
        return listener

    def _get_happened_domain(self):
        """:return: ``Domain`` of the existing documents that the trigger has happened to"""
        return self.env[self.model_name]._get_crm_stage_trigger_domain(self.trigger)

    def _get_documents_domain(self):
        """
        :return: ``Domain`` of the existing documents that the trigger has happened to, that meet the
            condition, and that the present user may see
        """
        return (
            self._get_happened_domain()
            & self._get_condition_domain()
            & self._get_visible_domain(self.env, self._parse_domain())
        )

    def _get_existing_documents(self):
        """:return: empty recordset to search existing documents with

        sudo: the domain says what the present user and the author may see; the rest of it, such as whether an
        e-mail went out, is evaluated with the system's rights, as when it happens.
        """
        return self.env[self.model_name].sudo().with_context(active_test=False)

    def _search_leads_to_move(self):
        """
        :return: opportunities that the existing documents would move now, as far as the present user may see
            them and the documents
        :raise UserError: the automation is idle, or its condition does not work
        """
        listener = self._get_listener()
        model = self._get_existing_documents()
        try:
            domain = self._get_documents_domain() & model._get_crm_stage_lead_domain()
            lead_ids = model._search_crm_stage_lead_ids(domain)
        except (ValueError, KeyError) as error:  # of a field or a model that is gone by now
            raise UserError(
                self.env._("The condition does not work any more: %s", self._get_reason(error))
            ) from error
        movable = self._get_movable_domain(listener)
        leads = self.env["crm.lead"].search(movable & Domain("id", "in", lead_ids), order="id")
        if lost := leads.filtered(lambda lead: lead.won_status == "lost"):
            leads -= lost - lost.browse(self._get_documents_to_move(lost))
        return self._filter_unprotected(listener, leads)

    def _get_documents_to_move(self, leads):
        """:return: the first existing document that moves each of ``leads``, by id of the latter"""
        model = self._get_existing_documents()
        domain = self._get_documents_domain() & model._get_crm_stage_lead_domain(leads)
        pairs = self._filter_newer(model.search(domain, order="id")._get_crm_stage_leads())
        lead_ids = set(leads.ids)
        documents = {}
        for document, its_leads in pairs:
            for lead_id in lead_ids.intersection(its_leads.ids):
                documents.setdefault(lead_id, document)
        return documents

    # ------------------------------------------------------------------
    # Looking first, and moving
    # ------------------------------------------------------------------

    def action_preview(self):
        """:return: action that opens a dialog with the opportunities that this automation would move now"""
        self.ensure_one()
        self.check_access("read")
        return self.env["crm.stage.automation.preview"]._open(self)

    def action_open_moves(self):
        """:return: action on the moves of this automation in the journal"""
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_sales_stage.crm_stage_automation_move_action"
        )
        context = {key: value for key, value in self.env.context.items() if key.startswith("search_default_")}
        return {**action, "domain": [("automation_id", "=", self.id)], "context": context}

    def action_catch_up(self):
        """Move the opportunities of existing documents: few at once, many by the scheduled job.

        What it moves can be undone until it is applied again: see ``action_undo_catch_up``.

        :return: action that shows how many were moved, and which ones could not be moved and why
        :raise UserError: none could be moved
        """
        self.check_access("write")
        leads = self._search_leads_to_move()
        automation = self.sudo()  # sudo: moves as the automation itself does, which the user may set up
        moves = (
            automation._wait_to_apply(self._get_documents_to_move(leads))
            if leads
            else automation.move_ids.browse()
        )
        if len(leads) > BATCH:
            self._get_catch_up_job()._trigger()
            message = self.env._("%s opportunities will be moved within the next minutes.", len(leads))
            return self._get_notification(message, undoable_id=self.id)
        moved = automation._make_moves_of(self._get_listener(), moves) if moves else Moved(set(), set(), {})
        if moved is None or moved.is_none:
            raise UserError(self.env._("The opportunities could not be moved.\n%s", automation.fault))
        if len(moved.ids) == 1:
            message = self.env._("1 opportunity moved.")
        else:
            message = self.env._("%s opportunities moved.", len(moved.ids))
        if moved.errors:
            message += "\n" + self._get_unmoved_text(
                {lead_id: self._get_reason(error) for lead_id, error in moved.errors.items()}
            )
        return self._get_notification(message, undoable_id=bool(moved.ids) and self.id)

    @api.model
    def _get_notification(self, message, undoable_id=False):
        """
        :param undoable_id: id of the automation that moved what is told; its buttons show and undo it
        :return: action that shows ``message`` and closes the dialog that it was called from
        """
        call = {"model": self._name, "args": [[undoable_id]]}
        show = {**call, "name": self.env._("Show Them"), "method": "action_show_moved"}
        undo = {**call, "name": self.env._("Undo"), "method": "action_undo_catch_up", "reload": True}
        buttons = [show, undo] if undoable_id else []
        return get_done_action(message, buttons, type="info", sticky=bool(buttons))

    def _wait_to_apply(self, documents_by_lead):
        """Put the moves of ``documents_by_lead`` into the journal, as those of applying it the last time.

        :return: these moves
        """
        journal = self.env["crm.stage.automation.move"]
        if not documents_by_lead:
            return journal
        applied = [("automation_id", "=", self.id), ("is_applied", "=", True)]
        journal.search(applied).is_applied = False
        values = {"state": "waiting", "is_applied": True}
        dates = self._get_document_dates(documents_by_lead.values())
        journal._insert(
            [
                journal._get_row(self, lead_id, document.id, document_date=dates[document.id], **values)
                for lead_id, document in documents_by_lead.items()
            ]
        )
        return journal.search(applied)

    # ------------------------------------------------------------------
    # Making the moves that wait
    # ------------------------------------------------------------------

    @api.model
    def _get_catch_up_job(self):
        """:return: the scheduled job"""
        # sudo: whoever leaves it something to do has no right on scheduled jobs
        return self.env.ref("crm_sales_stage.ir_cron_crm_stage_catch_up").sudo()

    @api.model
    def _cron_catch_up(self):
        """Make the moves that wait. Of automations that do not work, the hourly job tries what fell due."""
        is_working = Domain("automation_id.fault", "=", False)
        self._make_waiting_moves(is_working | Domain("is_applied", "=", True))
        self.env["crm.stage.automation.move"]._undo_batches(BATCH)

    @api.model
    def _make_waiting_moves(self, domain=Domain.TRUE):
        """Make the moves that wait, batch by batch; it goes on where it was interrupted."""
        waiting = self.env["crm.stage.automation.move"].search(
            domain & Domain("state", "=", "waiting"), order="id"
        )
        for automation in waiting.automation_id:
            with automation._show_failure("idle", is_undone=False):
                automation._get_listener()
        # Where somebody is at work on a fault, the others do not wait for it.
        faulty = waiting.automation_id.filtered("fault")
        by_lead = sorted(
            waiting.grouped("lead_id").values(), key=lambda moves: bool(moves.automation_id & faulty)
        )
        remaining = len(waiting)
        self.env["ir.cron"]._commit_progress(remaining=remaining)
        failed_ids = set()
        for batch in split_every(BATCH, by_lead):
            moves = waiting.browse().concat(*batch)
            remaining -= len(moves)
            # The other job may be at work on some of them, or has made them.
            moves = moves.try_lock_for_update().filtered(lambda move: move.state == "waiting")
            failed_ids |= self._make_moves(moves, failed_ids)
            if not self.env["ir.cron"]._commit_progress(len(moves), remaining=remaining):
                return

    @api.model
    def _make_moves(self, moves, failed_ids):
        """Make the waiting ``moves`` of some opportunities, the furthest stage first.

        :param set failed_ids: of automations that do not work: their moves go on waiting
        :return: the same, with those that failed now
        """
        by_automation = {
            automation.id: its_moves
            for automation, its_moves in moves.with_env(self._with_moving_env().env)
            .grouped("automation_id")
            .items()
        }
        done_ids = set()
        for listener in self._get_setup().listeners:
            if listener.automation_id in by_automation.keys() - failed_ids:
                its_moves = by_automation[listener.automation_id]
                moved = its_moves.automation_id._make_moves_of(listener, its_moves, done_ids)
                if moved is None:
                    failed_ids = failed_ids | {listener.automation_id}
                else:
                    done_ids |= moved.ids
        return failed_ids

    def _make_moves_of(self, listener, moves, done_ids=frozenset()):
        """
        :param moves: of this automation, which wait
        :param done_ids: of opportunities that other automations have just moved
        :return: ``Moved``; None when the automation does not work
        """
        # Whoever set it up reads the chatter: nobody's language is the job's.
        automation = self._with_moving_env().with_context(lang=self.author_id.lang)
        moved = None
        with automation._show_failure("trigger"):  # the job has other automations to look after
            pairs = automation._filter_newer(moves.with_env(automation.env)._get_pairs())
            leads = automation._get_movable_leads(listener, pairs, done_ids)
            moved = Moved(set(), set(), {})
            if leads:
                moved = automation._move(listener, pairs, leads, is_tried_again=False, waiting=moves)
            if moved and not moved.is_none:
                moves.exists()._pass_over(listener, moved, done_ids)
        return moved
