"""What is known of stages and automations without a query, and who sees it when."""

from typing import NamedTuple

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL, frozendict, ormcache

# Key of the cursor's cache: which version of the set-up its transaction sees, if not the one that others see
SETUP_VERSION = "crm_sales_stage.setup_version"


class Listener(NamedTuple):
    """What the cache knows of an automation, so that looking for those that listen costs no query."""

    automation_id: int
    trigger: str
    stage_id: int
    origin_ids: frozenset  # of the stages that it takes opportunities from
    team_ids: frozenset  # of the stage; empty: all
    is_back: bool = False  # its origins are named: it takes won opportunities back, too
    is_lost_included: bool = False  # it restores lost ones
    outcome: str = ""  # won or lost, of final stages


class Setup(NamedTuple):
    """What the cache knows of stages and automations."""

    stage_ids: tuple  # in the order of the pipeline, archived stages included
    listeners: tuple  # of all automations that are not idle, furthest stage first
    heard: frozendict  # triggers of what somebody does that some automation listens on, by model
    dates: frozendict  # fields with the dates that some automation waits for, by model
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
    _inherit = "crm.stage.automation"

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
        setup = Setup(tuple(stages.ids), (), frozendict(), frozendict(), stages._get_arrivals())
        listeners = tuple(
            Listener(
                automation_id=automation.id,
                trigger=automation.trigger,
                stage_id=stage.id,
                origin_ids=frozenset(automation.from_stage_ids.ids) or setup.get_earlier_stage_ids(stage.id),
                team_ids=frozenset(stage.team_ids.ids),
                is_back=bool(automation.from_stage_ids) and automation.outcome != "lost",
                is_lost_included=automation.is_lost_included,
                outcome=automation.outcome or "",
            )
            for stage in reversed(stages.filtered("active"))
            for automation in automations.filtered(
                lambda automation, stage=stage: automation.stage_id == stage
            ).sorted("sequence")
        )
        triggers = {listener.trigger for listener in listeners}
        heard, dates = {}, {}
        for model, labels in self._get_trigger_models():
            dates_by_trigger = model._get_crm_stage_trigger_dates()
            heard[model._name] = frozenset(triggers.intersection(labels.keys() - dates_by_trigger.keys()))
            dates[model._name] = frozenset(
                name for trigger, name in dates_by_trigger.items() if name and trigger in triggers
            )
        return setup._replace(listeners=listeners, heard=frozendict(heard), dates=frozendict(dates))

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
