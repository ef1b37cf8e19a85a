"""What an automation moves later: opportunities of documents older than itself, and what met a conflict."""

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import split_every
from odoo.tools.translate import LazyTranslate

from ..tools import get_done_action
from .crm_stage_automation import AutomationError, Moved

_lt = LazyTranslate(__name__)

# Opportunities that "Apply to existing documents" moves at once; the scheduled job does more, as many a time
CATCH_UP_BATCH = 200


class CrmStageAutomation(models.Model):
    _inherit = "crm.stage.automation"

    is_catching_up = fields.Boolean(
        string="Being Applied to Existing Documents",
        readonly=True,
        copy=False,
        help="Whether the scheduled job still moves opportunities of documents older than this automation.",
    )
    pending_ids = fields.One2many(
        "crm.stage.automation.pending",
        "automation_id",
        string="Moves to Make",
        groups="base.group_system",
        help="What the scheduled job still has to move.",
    )
    catch_up_total = fields.Integer(
        string="Opportunities to Move",
        readonly=True,
        copy=False,
        help="How many opportunities there were to move when it was applied to existing documents.",
    )
    catch_up_done = fields.Integer(
        string="Opportunities Looked At",
        compute="_compute_catch_up_done",
        help="How many of them the scheduled job has looked at.",
    )
    catch_up_progress = fields.Integer(
        string="Progress (%)",
        compute="_compute_catch_up_done",
        help="How far the scheduled job has come with the opportunities of existing documents.",
    )

    @api.depends("is_catching_up", "catch_up_total")
    def _compute_catch_up_done(self):
        # sudo: sales managers may know how far the job is, not look into what it has to do
        pending = self.env["crm.stage.automation.pending"].sudo()
        remaining = dict(
            pending._read_group(
                [("automation_id", "in", self.ids), ("is_due", "=", False)], ["automation_id"], ["__count"]
            )
        )
        for automation in self:
            done = automation.catch_up_total - remaining.get(automation.sudo(), 0)
            automation.catch_up_done = max(done, 0)
            automation.catch_up_progress = 100 * automation.catch_up_done // (automation.catch_up_total or 1)

    def write(self, vals):
        """What the automation had still to move was what it moved before it was changed.

        What has fallen due is not: it is moved as the automation says now.
        """
        if (self._get_configuration_fields() - {"sequence"}) & vals.keys():
            automations = self.sudo()  # sudo: nobody but the system deals with it
            automations.filtered("is_catching_up").is_catching_up = False
            automations._get_catch_up_moves().unlink()
        return super().write(vals)

    def _get_catch_up_moves(self):
        """:return: the moves that are left to the job of this file; what fell due in time is none of them"""
        return self.pending_ids.filtered(lambda move: not move.is_due)

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

    def _get_documents_domain(self, *when):
        """
        :param when: see ``_get_happened_domain``
        :return: ``Domain`` of the existing documents that the trigger has happened to, that meet the
            condition, and that the present user may see
        """
        return (
            self._get_happened_domain(*when)
            & self._get_condition_domain()
            & self._get_visible_domain(self.env, self._parse_domain())
        )

    def _get_existing_documents(self):
        """:return: empty recordset to search existing documents with

        sudo: the domain says what the present user and the author may see; the rest of it, such as whether an
        e-mail went out, is evaluated with the system's rights, as when it happens.
        """
        return self.env[self.model_name].sudo().with_context(active_test=False)

    def _search_leads_to_move(self, *when):
        """
        :param when: see ``_get_happened_domain``
        :return: opportunities that the existing documents would move now, as far as the present user may see
            them and the documents
        :raise UserError: the automation is idle, or its condition does not work
        """
        listener = self._get_listener()
        model = self._get_existing_documents()
        try:
            domain = self._get_documents_domain(*when) & model._get_crm_stage_lead_domain()
            lead_ids = model._search_crm_stage_lead_ids(domain)
        except (ValueError, KeyError) as error:  # of a field or a model that is gone by now
            raise UserError(
                self.env._("The condition does not work any more: %s", self._get_reason(error))
            ) from error
        movable = self._get_movable_domain(listener)
        leads = self.env["crm.lead"].search(movable & Domain("id", "in", lead_ids), order="id")
        if lost := leads.filtered(lambda lead: lead.won_status == "lost"):
            pairs = self._get_pairs_to_move(lost, *when)
            back_ids = {lead_id for _document, its_leads in pairs for lead_id in its_leads.ids}
            leads -= lost.filtered(lambda lead: lead.id not in back_ids)
        return self._filter_unprotected(listener, leads, *when[1:])

    def _get_pairs_to_move(self, leads, *when):
        """
        :param when: see ``_get_happened_domain``
        :return: the existing documents that move ``leads``, as [(document, crm.lead), ...]
        """
        model = self._get_existing_documents()
        documents = model.search(
            self._get_documents_domain(*when) & model._get_crm_stage_lead_domain(leads), order="id"
        )
        return self._filter_newer(
            [(document, its_leads & leads.sudo()) for document, its_leads in documents._get_crm_stage_leads()]
        )

    # ------------------------------------------------------------------
    # Looking first, and moving
    # ------------------------------------------------------------------

    def action_preview(self):
        """:return: action that opens a dialog with the opportunities that this automation would move now"""
        self.ensure_one()
        self.check_access("read")
        return self.env["crm.stage.automation.preview"]._open(self)

    def action_catch_up(self):
        """Move the opportunities of existing documents: few at once, many by the scheduled job.

        What it moves can be undone until it is applied again: see ``action_undo_catch_up``.

        :return: action that shows how many were moved, and which ones could not be moved and why
        :raise UserError: none could be moved
        """
        self.check_access("write")
        leads = self._search_leads_to_move()
        pairs = self._get_pairs_to_move(leads)
        automation = self.sudo()  # sudo: moves as the automation itself does, which the user may set up
        if leads:
            automation.move_ids.unlink()
        if len(leads) > CATCH_UP_BATCH:
            automation._start_catch_up(leads, pairs)
            message = self.env._("%s opportunities will be moved within the next minutes.", len(leads))
            return self._get_notification(message, undoable_id=self.id)
        moved = automation._move_undoably(self._get_listener(), pairs, leads.sudo())
        if moved is None or moved.is_none:
            raise UserError(self.env._("The opportunities could not be moved.\n%s", automation.fault))
        if len(moved.ids) == 1:
            message = self.env._("1 opportunity moved.")
        else:
            message = self.env._("%s opportunities moved.", len(moved.ids))
        if moved.errors:
            message += "\n" + self._get_unmoved_text(self._get_reasons(moved))
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

    def _start_catch_up(self, leads, pairs):
        """Hand ``leads`` to the scheduled job, each with the first of its documents in ``pairs``."""
        document_by_lead = {}
        for document, its_leads in pairs:
            for lead_id in its_leads.ids:
                document_by_lead.setdefault(lead_id, document)
        self.write({"is_catching_up": True, "catch_up_total": len(leads)})
        self._postpone(document_by_lead)

    def _postpone(self, document_by_lead):
        """Leave moves to the scheduled job, soon.

        :param dict document_by_lead: what moves the opportunity, by id of the latter
        """
        self.env["crm.stage.automation.pending"].create(
            [
                {"automation_id": self.id, "lead_id": lead_id, "document_id": document.id}
                for lead_id, document in document_by_lead.items()
            ]
        )
        self._get_catch_up_job()._trigger()

    @api.model
    def _get_catch_up_job(self):
        """:return: the scheduled job"""
        # sudo: whoever leaves it something to do has no right on scheduled jobs
        return self.env.ref("crm_sales_stage.ir_cron_crm_stage_catch_up").sudo()

    # ------------------------------------------------------------------
    # The scheduled job
    # ------------------------------------------------------------------

    @api.model
    def _cron_catch_up(self):
        """Make the moves that were left to this job, batch by batch; it goes on where it was interrupted.

        What meets a conflict is postponed once more, to the next run.
        """
        pending = self.env["crm.stage.automation.pending"]
        left = pending.search([("is_due", "=", False)])
        for automation, moves in left.grouped("automation_id").items():
            for ids in split_every(CATCH_UP_BATCH, moves.ids):
                moves = pending.browse(
                    ids
                ).exists()  # an automation that gave up, or is gone, took them along
                if moves:
                    automation._make_moves(moves)
                remaining = pending.search_count([("is_due", "=", False)])
                if not self.env["ir.cron"]._commit_progress(len(moves), remaining=remaining):
                    return

    def _make_moves(self, moves):
        """Make the pending ``moves``; an idle or faulty automation shows it, and gives up the rest."""
        moved = None
        with self._show_failure("trigger"):
            pairs = moves._get_pairs()
            if self.is_catching_up:
                pairs = self._filter_newer(pairs)  # Some may have been lost since.
            moves.unlink()
            listener = self._get_listener()
            leads = self._get_movable_leads(listener, pairs)
            move = self._move_undoably if self.is_catching_up else self._move
            moved = move(listener, pairs, leads, is_tried_again=False) if leads else Moved(set(), {})
        remaining = self._get_catch_up_moves()
        if moved is None:
            remaining.unlink()
        elif moved.is_none:
            self._note_unmoved(moved)  # the next batch may work: these have had their turn
        if self.is_catching_up and not remaining.exists():
            self.is_catching_up = False
