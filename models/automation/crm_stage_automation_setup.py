"""What is known of automations without a query, once it was read in a transaction."""

from typing import NamedTuple

from odoo import api, models

from ...tools import read_once


class Listener(NamedTuple):
    """What the cache knows of an automation that is not idle."""

    automation_id: int
    trigger: str
    stage_id: int
    origin_ids: frozenset  # of the stages that it takes opportunities from
    team_ids: frozenset  # of the stage; empty: all
    is_back: bool = False  # its origins are named: it takes won opportunities back, too
    is_lost_included: bool = False  # it restores lost ones
    outcome: str = ""  # won or lost, of final stages


class Setup(NamedTuple):
    """What the cache knows of automations."""

    listeners: tuple  # of all automations that are not idle, furthest stage first
    heard: dict  # triggers of what a user does that an automation listens to, by model
    dates: dict  # fields with the dates that an automation waits for, by model


class CrmStageAutomation(models.Model):
    _inherit = "crm.stage.automation"

    @api.model
    def _get_setup(self):
        """:return: ``Setup`` as this transaction sees it"""
        return read_once(self.env.cr, "automations", self._read_setup)

    @api.model
    def _read_setup(self):
        # sudo: whoever triggers an automation need not see stages nor automations
        automations = self.sudo().with_context(active_test=False)
        found = automations.search(
            [("active", "=", True), ("stage_id.active", "=", True)], order="sequence, id"
        )
        by_stage = found.grouped("stage_id")
        listeners = tuple(
            Listener(
                automation_id=automation.id,
                trigger=automation.trigger,
                stage_id=stage.id,
                origin_ids=frozenset(automation.from_stage_ids.ids) or stage._get_earlier_stage_ids(),
                team_ids=frozenset(stage.team_ids.ids),
                is_back=bool(automation.from_stage_ids) and automation.outcome != "lost",
                is_lost_included=automation.is_lost_included,
                outcome=automation.outcome or "",
            )
            for stage in reversed(found.stage_id.browse(self.env["crm.stage"]._get_ordered_ids()))
            for automation in by_stage.get(stage, ())
        )
        triggers = {listener.trigger for listener in listeners}
        heard, dates = {}, {}
        for model, labels in self._get_trigger_models():
            dates_by_trigger = model._get_crm_stage_trigger_dates()
            heard[model._name] = frozenset(triggers.intersection(labels.keys() - dates_by_trigger.keys()))
            dates[model._name] = frozenset(
                name for trigger, name in dates_by_trigger.items() if name and trigger in triggers
            )
        return Setup(listeners, heard, dates)

    @api.model
    def _get_heard_triggers(self):
        """:return: triggers that some automation listens on, by model; without a query"""
        return self._get_setup().heard
