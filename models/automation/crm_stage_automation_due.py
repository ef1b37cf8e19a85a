"""Automations in time: what falls due by itself is moved by a scheduled job."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

# Ten years: nobody waits longer
MAX_DAYS = 3650

# What the form proposes for the triggers that mean nothing without days
USUAL_DAYS = {"stage_waiting": 10, "no_news": 10}


class CrmStageAutomation(models.Model):
    """Time is a question: what is due, and not in the journal since the date that counts?

    Nothing else is remembered. Whether the job is killed, late, or run twice, and whether the clock is put
    back, each document is handled once, until its date is changed to a later day.
    """

    _inherit = "crm.stage.automation"

    days = fields.Integer(
        help="Opportunities are moved that many days after the date that counts. Dates without time count "
        "from the day after.",
    )
    date_begun = fields.Datetime(
        string="Counts Since",
        readonly=True,
        copy=False,
        help="When the automation was made, changed in what it listens to or waits for, or unarchived. What "
        "happened or fell due before is moved by applying it to existing documents.",
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
        automations.filtered(lambda automation: not automation.date_begun)._begin()
        return automations

    def write(self, vals):
        """An automation that listens to or waits for something else, or that was archived, begins anew."""
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
        """Let these automations count from now on, and forget what they had still to move."""
        self._get_waiting().unlink()
        automations = self.sudo()  # sudo: nobody but the system writes it
        automations.date_begun = fields.Datetime.now()
        automations.filtered(lambda automation: automation.days and not automation.is_in_time).days = 0

    # ------------------------------------------------------------------
    # What is due
    # ------------------------------------------------------------------

    def _get_happened_domain(self):
        """Of an automation in time, the documents that are due."""
        return self._get_due_domain() if self.is_in_time else super()._get_happened_domain()

    def _get_due_domain(self, since=None):
        """
        :param datetime since: those that fell due after it only
        :return: ``Domain`` of the documents that are due by now
        """
        model = self.env[self.model_name]
        return model._get_crm_stage_due_domain(self.trigger, self.days, since, fields.Datetime.now())

    def _filter_due(self, documents):
        """:return: those of ``documents`` that are due, or all of them where it does not wait for a date"""
        if not self.is_in_time:
            return documents
        existing = documents.with_context(active_test=False)
        return existing.search(Domain("id", "in", documents.ids) & self._get_due_domain())

    def _filter_documents(self, documents):
        """What has waited for its move may be due no longer."""
        return super()._filter_documents(self._filter_due(documents))

    def _get_document_dates(self, documents):
        """:return: the dates that count, by id of the documents; None of triggers that do not wait for one"""
        if not self.is_in_time:
            return dict.fromkeys(document.id for document in documents)
        return self.env[self.model_name].union(*documents)._get_crm_stage_dates(self.trigger)

    def _insert_due(self, documents_domain=Domain.TRUE, since=None, **values):
        """Put what is due into the journal, unless it is in there since the date that counts.

        :param Domain documents_domain: of the documents in question
        :param since: see ``_get_due_domain``
        :param values: of the rows
        """
        journal = self.env["crm.stage.automation.move"]
        with self._show_failure("trigger"):  # another addon may say what falls due
            model = self._get_existing_documents()
            domain = documents_domain & self._get_due_domain(since) & model._get_crm_stage_lead_domain()
            documents = model.search(domain, order="id")
            known = journal._get_known_dates(self, documents)
            dates = documents._get_crm_stage_dates(self.trigger)
            journal._insert(
                [
                    journal._get_row(self, lead_id, document.id, document_date=dates[document.id], **values)
                    for document, leads in documents._get_crm_stage_leads()
                    if document.id not in known or known[document.id].date() < dates[document.id].date()
                    for lead_id in leads.ids
                ]
            )

    # ------------------------------------------------------------------
    # What nobody could tell later
    # ------------------------------------------------------------------

    @api.model
    def _pass_over_due(self, documents):
        """Documents have come to their opportunities: what is due of them is old news, and passes."""
        for automation in self._search_in_time(documents):
            automation._insert_due(Domain("id", "in", documents.ids), state="skipped", reason="before")

    @api.model
    def _wait_for_due(self, documents, name):
        """The date ``name`` of documents was changed: what is due by it is moved by the job, though it may be
        older than the automation.
        """
        for automation in self._search_in_time(documents, name):
            automation._insert_due(Domain("id", "in", documents.ids), state="waiting")

    @api.model
    def _search_in_time(self, documents, name=None):
        """:return: automations that wait for a date of such documents, or for the one called ``name``"""
        names = documents._get_crm_stage_trigger_dates()
        triggers = [trigger for trigger, date in names.items() if date and name in (None, date)]
        # sudo: whoever sets a date need not see automations, nor opportunities
        return self.sudo().search([("trigger", "in", triggers)])

    # ------------------------------------------------------------------
    # The scheduled job
    # ------------------------------------------------------------------

    @api.model
    def _cron_due(self):
        """Move the opportunities of what is due and not in the journal, batch by batch."""
        for listener in self._get_setup().listeners:  # those that are not idle
            automation = self.browse(listener.automation_id).exists()
            if automation.is_in_time:
                automation._insert_due(since=automation.date_begun, state="waiting")
        self._make_waiting_moves()
