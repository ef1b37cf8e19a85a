"""Automations in time: what falls due by itself is moved by a scheduled job."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import split_every

from .crm_stage_automation import Moved

# Opportunities that the scheduled job moves at once
DUE_BATCH = 500

# Ten years: nobody waits longer
MAX_DAYS = 3650

# What the form proposes for the triggers that mean nothing without days
USUAL_DAYS = {"stage_waiting": 10, "no_news": 10}

# Key of what a transaction keeps until it commits: ids of the documents that were told a date which may have
# passed, by model and name of the field
PASSED = "crm_sales_stage.passed"


class CrmStageAutomation(models.Model):
    """Each automation in time has come to a moment, ``last_run``.

    What falls due after it is put into a queue, along with the new moment. Opportunities leave the queue in
    the transaction that moves them. So each document that falls due is moved once, whenever the job runs, and
    wherever it is interrupted; and what an automation cannot move while it is faulty, it moves afterwards.
    """

    _inherit = "crm.stage.automation"

    days = fields.Integer(
        help="Opportunities are moved that many days after the date that counts. Dates without time count "
        "from the day after.",
    )
    last_run = fields.Datetime(
        string="Last Looked At",
        readonly=True,
        copy=False,
        help="Up to when the scheduled job has looked for what fell due. What was due before the automation "
        "was made is moved by applying it to existing documents.",
    )
    is_in_time = fields.Boolean(
        compute="_compute_is_in_time",
        help="Whether the automation waits for a date or a time, instead of something that somebody does.",
    )

    # ------------------------------------------------------------------
    # Fields
    # ------------------------------------------------------------------

    @api.model
    def _get_triggers_in_time(self):
        """:return: set of the triggers that wait for a date or a time"""
        return set().union(*(model._get_crm_stage_trigger_dates() for model in self._get_document_models()))

    @api.depends("trigger")
    def _compute_is_in_time(self):
        triggers = self._get_triggers_in_time()
        for automation in self:
            automation.is_in_time = automation.trigger in triggers

    @api.depends("days")
    def _compute_name(self):
        return super()._compute_name()

    @api.depends("days")
    def _compute_beaten_by_id(self):
        return super()._compute_beaten_by_id()

    def _comes_as_early_as(self, other):
        return super()._comes_as_early_as(other) and self.days <= other.days

    def _get_event_text(self):
        text = super()._get_event_text()
        if not self.is_in_time:
            return text
        return self.env[self.model_name]._get_crm_stage_due_text(self.trigger, text, self.days)

    @api.onchange("trigger")
    def _onchange_trigger_days(self):
        if not self.is_in_time:
            self.days = 0
        elif not self.days:
            self.days = USUAL_DAYS.get(self.trigger, 0)

    @api.constrains("days")
    def _check_days(self):
        if any(not 0 <= automation.days <= MAX_DAYS for automation in self):
            raise ValidationError(self.env._("The number of days must be between 0 and %s.", MAX_DAYS))

    # ------------------------------------------------------------------
    # Beginning
    # ------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        automations = super().create(vals_list)
        automations.filtered(lambda automation: not automation.last_run)._begin()
        return automations

    def write(self, vals):
        """An automation that waits for something else, or that was archived, begins anew."""
        names = {"trigger", "days", "active"}
        if names.isdisjoint(vals):
            return super().write(vals)
        before = {automation: [automation[name] for name in names] for automation in self}
        res = super().write(vals)
        self.filtered(lambda automation: [automation[name] for name in names] != before[automation])._begin()
        return res

    @api.model
    def _get_configuration_fields(self):
        return super()._get_configuration_fields() | {"days"}

    def _begin(self):
        """Let these automations move what falls due from now on, and forget what they had still to move."""
        automations = self.sudo()  # sudo: nobody but the system deals with it
        automations.pending_ids.unlink()
        in_time = automations.filtered("is_in_time")
        in_time.last_run = fields.Datetime.now()
        others = automations - in_time
        others.filtered("last_run").last_run = False
        others.filtered("days").days = 0

    # ------------------------------------------------------------------
    # What falls due
    # ------------------------------------------------------------------

    def _get_happened_domain(self, since=None, until=None):
        """Of an automation in time, by default the documents that are due by now.

        :param datetime since: those that fall due after it only
        :param datetime until: those that fall due not after it; default: now
        """
        if not self.is_in_time:
            return super()._get_happened_domain()
        until = until or fields.Datetime.now()
        return self.env[self.model_name]._get_crm_stage_due_domain(self.trigger, self.days, since, until)

    def _filter_documents(self, documents):
        """What has waited for its move, or was postponed, may be due no longer."""
        if self.is_in_time and documents:
            existing = documents.with_context(active_test=False)
            documents = existing.search(Domain("id", "in", documents.ids) & self._get_happened_domain())
        return super()._filter_documents(documents)

    def _get_next_due(self, horizon=366):
        """Look ahead, as far as the present user may see.

        :param int horizon: days
        :return: ``(number, moment)``: how many opportunities would be moved next, all within an hour, and
            when that hour ends; ``(0, None)`` when there are none within the horizon, or the trigger is none
            in time
        :raise UserError: the automation is idle, or its condition does not work
        """
        self.ensure_one()
        now = fields.Datetime.now()

        def count(start, end):
            hours = [now + timedelta(hours=hour) for hour in (start, end)]
            return len(self._search_leads_to_move(*hours))

        early, late = 0, 24 * horizon
        if not self.is_in_time or not count(early, late):
            return 0, None
        while late - early > 1:
            middle = (early + late) // 2
            if count(early, middle):
                late = middle
            else:
                early = middle
        return count(early, late), now + timedelta(hours=late)

    # ------------------------------------------------------------------
    # Dates that have passed when they are told
    # ------------------------------------------------------------------

    @api.model
    def _mark_passed(self, documents, name):
        """Let documents whose field ``name`` was told a date that has passed fall due with the next run.

        Marks of what is rolled back do no harm: what counts is what the documents are on committing.
        """
        precommit = self.env.cr.precommit
        if PASSED not in precommit.data:
            precommit.data[PASSED] = {}
            precommit.add(self._queue_passed)
        precommit.data[PASSED].setdefault((documents._name, name), set()).update(documents.ids)

    @api.model
    def _queue_passed(self):
        """Queue the marked documents that are due by now. Those that are not fall due like all others."""
        self.env.flush_all()  # which marks the rest
        passed = self.env.cr.precommit.data.pop(PASSED, {})
        # sudo: whoever sets a date need not see automations, nor opportunities
        for automation in self.sudo()._search_in_time() if passed else ():
            dates = self.env[automation.model_name]._get_crm_stage_trigger_dates()
            if ids := passed.get((automation.model_name, dates[automation.trigger])):
                automation._queue_due(Domain("id", "in", list(ids)))

    @api.model
    def _search_in_time(self):
        """:return: the automations that wait for a date or a time, archived ones excluded"""
        return self.search([("trigger", "in", list(self._get_triggers_in_time()))])

    def _queue_due(self, documents_domain=Domain.TRUE, since=None, until=None):
        """Put the opportunities of what fell due into the queue.

        :param Domain documents_domain: of these documents only
        :param since: see ``_get_happened_domain``
        :param until: see ``_get_happened_domain``
        :return: whether the automation works
        """
        with self._show_failure("trigger"):  # another addon may say what falls due
            model = self._get_existing_documents()
            domain = documents_domain & self._get_happened_domain(since, until)
            documents = model.search(domain & model._get_crm_stage_lead_domain(), order="id")
            move = {"automation_id": self.id, "is_due": True}
            self.env["crm.stage.automation.pending"].create(
                [
                    {**move, "lead_id": lead_id, "document_id": document.id}
                    for document, leads in documents._get_crm_stage_leads()
                    for lead_id in leads.ids
                ]
            )
            return True
        return False

    # ------------------------------------------------------------------
    # The scheduled job
    # ------------------------------------------------------------------

    @api.model
    def _cron_due(self):
        """Move the opportunities of what fell due since the last run, batch by batch."""
        self._queue_passed()
        self._queue_all_due()
        pending = self.env["crm.stage.automation.pending"]
        moves = pending.search([("is_due", "=", True)])
        # Where somebody is at work on a fault, the others do not wait for it.
        faulty = moves.automation_id.filtered("fault")
        by_lead = sorted(
            moves.grouped("lead_id").values(), key=lambda moves: bool(moves.automation_id & faulty)
        )
        remaining = len(moves)
        self.env["ir.cron"]._commit_progress(remaining=remaining)
        failed_ids = set()
        for batch in split_every(DUE_BATCH, by_lead):
            moves = pending.union(*batch)
            remaining -= len(moves)
            failed_ids |= self._make_due_moves(moves.exists(), failed_ids)
            if not self.env["ir.cron"]._commit_progress(len(moves), remaining=remaining):
                return

    @api.model
    def _queue_all_due(self):
        """Queue what fell due since the last run; of idle automations, let it pass.

        Where the clock was put back, it goes on from the right time.
        """
        working_ids = {listener.automation_id for listener in self._get_setup().listeners}
        # Somebody may be editing one: it has its turn the next time.
        for automation in self._search_in_time().try_lock_for_update(allow_referencing=True):
            since, now = automation.last_run, fields.Datetime.now()
            has_waited = automation.id in working_ids and since and since < now
            if not has_waited or automation._queue_due(since=since, until=now):
                automation.last_run = now

    @api.model
    def _make_due_moves(self, moves, failed_ids):
        """Make the queued ``moves`` of some opportunities, the furthest stage first.

        :param set failed_ids: of automations that do not work: their moves stay in the queue
        :return: the same, with those that failed now
        """
        by_automation = moves.with_env(self._with_moving_env().env).grouped("automation_id")
        done_ids, kept = set(), moves.browse()
        for listener in self._get_setup().listeners:
            automation = next((one for one in by_automation if one.id == listener.automation_id), None)
            if not automation:
                continue
            moved = None
            if automation.id not in failed_ids:
                moved = automation._make_due_moves_of(listener, by_automation[automation], done_ids)
            if moved is None:
                failed_ids = failed_ids | {automation.id}
            else:
                done_ids |= moved.ids
            if moved is None or moved.is_none:
                kept += by_automation[automation]
        (moves - kept).unlink()
        return failed_ids

    def _make_due_moves_of(self, listener, moves, done_ids):
        """:return: ``Moved``; None when the automation does not work"""
        # Whoever set it up reads the chatter: nobody's language is the job's.
        automation = self.with_context(lang=self.author_id.lang)
        moved = None
        with automation._show_failure("trigger"):  # the job has other automations to look after
            pairs = automation._filter_newer(moves.with_env(automation.env)._get_pairs())
            leads = automation._get_movable_leads(listener, pairs, done_ids)
            moved = Moved(set(), {})
            if leads:
                moved = automation._move(listener, pairs, leads, is_tried_again=False)
        return moved
