import logging
import re
from typing import NamedTuple

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError, UserError, ValidationError
from odoo.fields import Domain
from odoo.service.model import PG_CONCURRENCY_EXCEPTIONS_TO_RETRY
from odoo.tools import SQL, clean_context, frozendict, ormcache

from ..tools import undo_on_failure

_logger = logging.getLogger(__name__)

# What a move takes over from the context of the business action. Its default values, or its wish not to be
# tracked, are not for the opportunity.
KEPT_CONTEXT = ("lang", "tz", "uid", "allowed_company_ids")

# Failures that go away when the whole transaction is tried again, as Odoo does for requests
CONFLICTS = (*PG_CONCURRENCY_EXCEPTIONS_TO_RETRY, ConcurrencyError)

# Context keys of what nobody tries again: scheduled jobs, e-mails fetched from a mailbox, imports
NOT_TRIED_AGAIN = ("cron_id", "default_fetchmail_server_id", "_import_current_module")

# A fault is read by people: nobody reads more
MAX_FAULT_LENGTH = 500

# Key of the cursor's cache: which version of the set-up its transaction sees, if not the one that others see
SETUP_VERSION = "crm_sales_stage.setup_version"


class Listener(NamedTuple):
    """What the cache knows of an automation, so that looking for those that listen costs no query."""

    automation_id: int
    trigger: str
    stage_id: int
    origin_ids: frozenset  # of the stages that it takes opportunities from
    team_ids: frozenset  # of the stage; empty: all


class Setup(NamedTuple):
    """What the cache knows of stages and automations."""

    stage_ids: tuple  # in the order of the pipeline, archived stages included
    listeners: tuple  # of all automations that are not idle, furthest stage first
    heard: frozendict  # triggers that some automation listens on, by model
    arrivals: frozendict  # what happens on arrival, by id of the stages where something does

    def get_earlier_stage_ids(self, stage_id):
        """
        :return: ids of the stages before this one, and False: an opportunity without stage is before all.
            Before a stage that the cache does not know yet there is none.
        """
        position = self.stage_ids.index(stage_id) if stage_id in self.stage_ids else 0
        return frozenset({False, *self.stage_ids[:position]})


class OutdatedSnapshotError(Exception):
    """The transaction began before the set-up was last changed: what it reads is not for others."""


class CrmStageAutomation(models.Model):
    _name = "crm.stage.automation"
    _description = "Stage Automation"
    _order = "stage_id, sequence, id"
    _rec_names_search = ("stage_id.name",)

    name = fields.Char(
        string="Automation",
        compute="_compute_name",
        help="What this automation does, as a sentence.",
    )
    stage_id = fields.Many2one(
        "crm.stage",
        string="Move to",
        required=True,
        index=True,
        ondelete="cascade",
        help="Stage that the opportunities are moved to.",
    )
    sequence = fields.Integer(
        default=10,
        help="Of the automations that move to the same stage, the first one that matches is told in the "
        "chatter.",
    )
    active = fields.Boolean(default=True, help="An archived automation moves nothing.")
    trigger = fields.Selection(
        selection="_selection_trigger",
        string="When",
        required=True,
        help="What must happen for opportunities to move. An e-mail counts as sent when it goes out to "
        "somebody outside of the company from the opportunity, and as received when it comes in by the "
        "mail gateway.",
    )
    model_name = fields.Char(
        string="Model",
        compute="_compute_model_name",
        help="Model of the document that the condition is about.",
    )
    from_stage_ids = fields.Many2many(
        "crm.stage",
        string="Only from",
        help="Stages from which opportunities are moved, backward too. Empty: from any earlier stage.",
    )
    action_server_id = fields.Many2one(
        "ir.actions.server",
        string="Server Action",
        readonly=True,
        copy=False,
        index=True,
        ondelete="cascade",
        groups="base.group_system",
        help="Action that moves the opportunities to the stage.",
    )
    fault = fields.Text(
        readonly=True,
        copy=False,
        help="Why the automation could not do its work the last time. It goes away when the automation works "
        "again.",
    )
    fault_date = fields.Datetime(
        string="Faulty Since",
        readonly=True,
        copy=False,
        help="When the automation met this fault first.",
    )

    # ------------------------------------------------------------------
    # Fields
    # ------------------------------------------------------------------

    @api.model
    def _get_trigger_models(self):
        """:return: [(model, label by trigger), ...] of all models that joined the trigger mixin"""
        names = self.env.registry.descendants(["crm.stage.trigger.mixin"], "_inherit")
        models_ = (self.env[name] for name in names if not self.env[name]._abstract)
        return [(model, model._get_crm_stage_triggers()) for model in models_]

    @api.model
    def _selection_trigger(self):
        return [item for _model, triggers in self._get_trigger_models() for item in triggers.items()]

    @api.depends("trigger")
    def _compute_model_name(self):
        names = {
            trigger: model._name for model, triggers in self._get_trigger_models() for trigger in triggers
        }
        for automation in self:
            automation.model_name = names.get(automation.trigger, False)

    @api.depends("stage_id.name", "trigger", "filter_domain", "from_stage_ids.name")
    @api.depends_context("lang", "uid", "allowed_company_ids")
    def _compute_name(self):
        for automation in self:
            automation.name = automation._get_sentence(automation._get_condition_text())

    def _get_sentence(self, condition):
        """:param str condition: the condition in words; empty when there is none to tell
        :return: what this automation does, as a sentence
        """
        self.ensure_one()
        values = {
            "stage": self.stage_id.name or "",
            "event": dict(self._selection_trigger()).get(self.trigger, ""),
            "origins": ", ".join(self.from_stage_ids.mapped("name")),
            "condition": condition,
        }
        if values["origins"] and condition:
            return self.env._('From %(origins)s to "%(stage)s" when %(event)s, if %(condition)s', **values)
        if values["origins"]:
            return self.env._('From %(origins)s to "%(stage)s" when %(event)s', **values)
        if condition:
            return self.env._('Move to "%(stage)s" when %(event)s, if %(condition)s', **values)
        return self.env._('Move to "%(stage)s" when %(event)s', **values)

    # ------------------------------------------------------------------
    # Constraints
    # ------------------------------------------------------------------

    @api.constrains("stage_id", "from_stage_ids")
    def _check_from_stage_ids(self):
        for automation in self:
            if automation.stage_id in automation.from_stage_ids:
                raise ValidationError(
                    self.env._(
                        'Opportunities cannot be moved from the stage "%s" to itself: '
                        "take it out of the stages they come from.",
                        automation.stage_id.name,
                    )
                )

    @api.constrains("action_server_id", "stage_id")
    def _check_action_server_id(self):
        """An automation runs nothing but the move to its stage: no code, no other action."""
        # sudo: the field is not for sales managers, the check is for everybody
        for automation in self.sudo():
            action = automation.action_server_id
            if action and not action._is_plain_move_to(automation.stage_id):
                raise ValidationError(
                    self.env._(
                        'The server action of an automation must be of the type "Move Opportunity to Stage", '
                        'for opportunities, to the stage "%s", without groups nor other actions.',
                        automation.stage_id.name,
                    )
                )

    # ------------------------------------------------------------------
    # CRUD
    # ------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        automations = super().create(vals_list)
        automations._assign_actions()
        self._clear_setup()
        return automations

    def write(self, vals):
        """Whoever changes what an automation does gets a clean start: its fault was that of what it was."""
        configuration = self._get_configuration_fields() & vals.keys()
        if configuration - {"sequence"}:
            vals = {"fault": False, "fault_date": False, **vals}
        if "stage_id" in vals:
            vals = {**vals, "action_server_id": False}
            automations = self.sudo()  # sudo: sales managers have no right on server actions
        else:
            automations = self
        self.check_access("write")
        res = super(CrmStageAutomation, automations).write(vals)
        if "stage_id" in vals:
            self._assign_actions()
        if configuration:
            self._clear_setup()
        return res

    def unlink(self):
        res = super().unlink()
        self._clear_setup()
        return res

    @api.model
    def _get_configuration_fields(self):
        """:return: names of the fields that say what an automation does"""
        return {"stage_id", "sequence", "active", "trigger", "filter_domain", "from_stage_ids"}

    def _assign_actions(self):
        """Give automations without server action the one that moves opportunities to their stage."""
        # sudo: sales managers have no right on server actions; what is created here is always the plain move.
        for automation in self.sudo().filtered(lambda automation: not automation.action_server_id):
            actions = self.env["ir.actions.server"].sudo().with_context(clean_context(self.env.context))
            automation.action_server_id = actions._get_plain_move_to(automation.stage_id)

    # ------------------------------------------------------------------
    # The set-up, from the cache
    # ------------------------------------------------------------------

    @api.model
    def _get_setup(self):
        """
        :return: ``Setup`` as this transaction sees it: as it was committed last, or as this transaction has
            changed it
        """
        cache = self.env.cr.cache
        try:
            return self._read_setup(cache.get(SETUP_VERSION))
        except OutdatedSnapshotError:
            [(snapshot,)] = self.env.execute_query(SQL("SELECT pg_current_snapshot()::text"))
            self._keep_setup_apart(snapshot)
            return self._read_setup(snapshot)

    @api.model
    @ormcache("version")
    def _read_setup(self, version):
        """:param version: None for what is committed, otherwise of the one transaction that it is kept for
        :return: ``Setup``
        :raise OutdatedSnapshotError: this transaction cannot see what is committed
        """
        if version is None:
            self._check_snapshot()
        # sudo: whoever triggers an automation need not see stages nor automations
        stages = self.env["crm.stage"].sudo().with_context(active_test=False, lang=None).search(Domain.TRUE)
        automations = self.sudo().with_context(active_test=False).search([("active", "=", True)])
        setup = Setup(tuple(stages.ids), (), frozendict(), stages._get_arrivals())
        listeners = tuple(
            Listener(
                automation_id=automation.id,
                trigger=automation.trigger,
                stage_id=stage.id,
                origin_ids=frozenset(automation.from_stage_ids.ids) or setup.get_earlier_stage_ids(stage.id),
                team_ids=frozenset(stage.team_ids.ids),
            )
            for stage in reversed(stages.filtered("active"))
            for automation in automations.filtered(
                lambda automation, stage=stage: automation.stage_id == stage
            ).sorted("sequence")
        )
        triggers = {listener.trigger for listener in listeners}
        heard = {
            model._name: frozenset(triggers.intersection(labels))
            for model, labels in self._get_trigger_models()
        }
        return setup._replace(listeners=listeners, heard=frozendict(heard))

    @api.model
    def _get_heard_triggers(self):
        """:return: triggers that some automation listens on, by model; without a query"""
        return self._get_setup().heard

    @api.model
    def _clear_setup(self):
        """Call this after stages or automations have changed.

        This transaction sees the change at once, all others when it is committed. Threads of one process
        share the cache: one of them may fill it before the commit, so it is emptied once more afterwards.
        """
        cr, registry = self.env.cr, self.env.registry
        registry.clear_cache()
        [(transaction_id,)] = self.env.execute_query(SQL("SELECT pg_current_xact_id()::text"))
        if cr.cache.get(SETUP_VERSION) == transaction_id:
            return
        self._keep_setup_apart(transaction_id)

        @cr.postcommit.add
        def publish():
            registry.crm_stage_setup_transaction_id = transaction_id
            registry.clear_cache()
            if registry.ready:
                registry.signal_changes()

    @api.model
    def _keep_setup_apart(self, version):
        """Let this transaction have a version of the set-up of its own, until it ends."""
        cr = self.env.cr
        cr.cache[SETUP_VERSION] = version
        for callbacks in (cr.postcommit, cr.postrollback):
            callbacks.add(lambda: cr.cache.pop(SETUP_VERSION, None))

    @api.model
    def _check_snapshot(self):
        """
        :raise OutdatedSnapshotError: this transaction does not see the last change that was made here
        """
        transaction_id = getattr(self.env.registry, "crm_stage_setup_transaction_id", None)
        if transaction_id is None:
            return
        [(is_visible,)] = self.env.execute_query(
            SQL("SELECT pg_visible_in_snapshot(%s::xid8, pg_current_snapshot())", transaction_id)
        )
        if not is_visible:
            raise OutdatedSnapshotError

    # ------------------------------------------------------------------
    # Moving
    # ------------------------------------------------------------------

    @api.model
    def _process(self, documents_by_trigger):
        """Move the opportunities of documents to which something has just happened.

        The furthest stage wins: an opportunity that one automation moved is left alone by the next ones. A
        faulty automation leaves its opportunities to them. Each automation moves all of its own in one run.

        :param dict documents_by_trigger: recordset by trigger
        """
        is_tried_again = not any(self.env.context.get(key) for key in NOT_TRIED_AGAIN)
        # sudo: whoever triggers an automation (a customer who signs, too) need not see, nor be allowed to
        # move, the opportunity. Nothing of it is returned to them.
        context = {key: value for key, value in self.env.context.items() if key in KEPT_CONTEXT}
        env = self.env(su=True, context=context)
        pairs_by_trigger = {}
        done_ids = set()
        for listener in self._get_setup().listeners:
            trigger = listener.trigger
            if trigger not in documents_by_trigger:
                continue
            automation = self.with_env(env).browse(listener.automation_id)
            try:
                if trigger not in pairs_by_trigger:
                    documents = documents_by_trigger[trigger].with_env(env)
                    pairs_by_trigger[trigger] = documents._get_crm_stage_leads()
                leads = automation._get_movable_leads(listener, pairs_by_trigger[trigger], done_ids)
            except CONFLICTS:
                raise
            except Exception as error:  # another addon may say how to find a document's opportunities
                automation._tell_fault(error)
                continue
            if leads:
                moved_ids = automation._move(listener, pairs_by_trigger[trigger], leads, is_tried_again)
                done_ids.update(moved_ids or ())

    @api.model
    def _get_movable_leads(self, listener, pairs, done_ids=()):
        """
        :param list pairs: documents and their opportunities, as [(document, crm.lead), ...]
        :param done_ids: opportunities to leave alone
        :return: the opportunities that the automation may move, if a document of theirs meets its condition
        """
        lead_ids = {lead_id for _document, leads in pairs for lead_id in leads.ids}.difference(done_ids)
        leads = self.env["crm.lead"].browse(sorted(lead_ids))
        stage = self.env["crm.stage"].browse(listener.stage_id)
        return leads.filtered_domain(leads._get_movable_domain(stage, listener.origin_ids, listener.team_ids))

    def _move(self, listener, pairs, leads, is_tried_again=True):
        """Move those of ``leads`` with a document that meets the condition, or show the fault.

        :param bool is_tried_again: whether somebody tries the transaction again after a conflict with another
            one; otherwise the scheduled job makes up for the move
        :return: ids of the opportunities that are moved, or will be; None when the automation is faulty
        :raise CONFLICTS: to be tried again
        """
        if not self.exists():
            return set()  # deleted a moment ago, which the cache of this process has not been told yet
        # What the business action left pending is no fault of the automation: if it fails, it fails before.
        self.env.flush_all()
        documents_by_lead = {}
        try:
            with undo_on_failure(self.env):
                documents_by_lead = self._get_matching_documents(pairs, leads)
                if documents_by_lead:
                    self._run_action(listener, documents_by_lead)
        except CONFLICTS:
            if is_tried_again:
                raise
            self._postpone(documents_by_lead)
        except Exception as error:  # whatever it is, the sale itself goes through
            self._tell_fault(error)
            return None
        else:
            if documents_by_lead and self.fault:
                self._set_fault(None)
        return set(documents_by_lead)

    def _get_matching_documents(self, pairs, leads):
        """:return: a document that meets the condition by id of its opportunity, for those of ``leads``"""
        movable_ids = set(leads.ids)
        documents_and_leads = [
            (document, lead_id)
            for document, its_leads in pairs
            for lead_id in its_leads.ids
            if lead_id in movable_ids
        ]
        documents = self.env[self.model_name].union(*(document for document, _lead_id in documents_and_leads))
        matching_ids = set(self._filter_documents(documents).ids)
        return {lead_id: document for document, lead_id in documents_and_leads if document.id in matching_ids}

    def _run_action(self, listener, documents_by_lead):
        """Run the server action once for all the opportunities.

        :param dict documents_by_lead: what the chatter names, by opportunity id
        """
        self._assign_actions()
        action = self.action_server_id
        if not action._is_plain_move_to(self.stage_id):
            raise UserError(
                self.env._(
                    'Its server action no longer moves opportunities to "%s": correct it.', self.stage_id.name
                )
            )
        leads = self.env["crm.lead"].browse(documents_by_lead)
        leads = leads._with_moved_by(self._get_chatter_bodies(documents_by_lead))
        action.with_context(
            leads.env.context,
            active_model=leads._name,
            active_id=leads.ids[0],
            active_ids=leads.ids,
            crm_stage_origins={action.id: listener.origin_ids},
        ).run()

    def _get_chatter_bodies(self, documents_by_lead):
        """:return: what the chatter tells of the move, by opportunity id

        Many people read the chatter. The condition may name what some of them may not see: it is left out.
        """
        sentence = self._get_sentence("")
        bodies = {}
        for lead_id, document in documents_by_lead.items():
            if document._name == "crm.lead":
                bodies[lead_id] = self.env._("Moved by an automation: %s", sentence)
            else:
                bodies[lead_id] = self.env._(
                    "Moved by an automation: %(automation)s (%(document)s)",
                    automation=sentence,
                    document=document._get_html_link(),
                )
        return bodies

    # ------------------------------------------------------------------
    # Faults
    # ------------------------------------------------------------------

    def _tell_fault(self, error):
        """Show on the automation that it does not work, and leave the details to the server's log."""
        _logger.warning("Stage automation %s cannot move opportunities", self.id, exc_info=error)
        if self.exists():
            self._set_fault(self._get_reason(error))

    @api.model
    def _get_reason(self, error):
        """:return: why something failed, for people: one short text, without rows of the database"""
        try:
            if isinstance(error, psycopg2.Error):
                # What it quotes after a colon, and its other parts, are values of rows.
                reason = (error.diag.message_primary or type(error).__name__).partition(': "')[0]
            elif isinstance(error, UserError):
                reason = str(error)
            else:
                reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        except Exception:  # an error that cannot be told must not become another one
            reason = ""
        # The database takes neither control characters nor halves of characters.
        reason = re.sub("[\x00-\x08\x0b-\x1f\ud800-\udfff]", "", reason)[:MAX_FAULT_LENGTH]
        return reason or type(error).__name__

    def _set_fault(self, text):
        """Tell on the automation why it does not work, or that it does again with None.

        Many workers may come by the same faulty automation. They must not wait for each other, nor let the
        sale be tried again, because of a note: it is written on change only, and left to whoever writes it.
        """
        if (self.fault or None) == text:
            return
        try:
            with self.env.cr.savepoint(flush=False):
                self.env.cr.execute(
                    SQL(
                        """
                        UPDATE crm_stage_automation
                           SET fault = %s, fault_date = %s
                         WHERE id IN (SELECT id FROM crm_stage_automation WHERE id = %s
                                      FOR NO KEY UPDATE SKIP LOCKED)
                        """,
                        text,
                        fields.Datetime.now() if text else None,
                        self.id,
                    ),
                    log_exceptions=False,
                )
        except psycopg2.OperationalError:
            _logger.info("Fault of stage automation %s is being told by another worker", self.id)
        self.invalidate_recordset(["fault", "fault_date"])
