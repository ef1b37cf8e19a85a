"""What is known of automations without a query, once it was read in a transaction."""

from typing import NamedTuple


class Listening(NamedTuple):
    """Which automations are at work, and what they listen to."""

    triggers: dict  # by id of the automations that are not idle, furthest stage first
    heard: dict  # triggers of what a user does that an automation listens to, by model name
    dates: dict  # fields with the dates that an automation waits for, by model name


def read(automations):
    """
    :param automations: empty recordset, in sudo
    :return: ``Listening``
    """
    at_work = [("active", "=", True), ("stage_id.active", "=", True)]
    by_stage = automations.search(at_work, order="sequence, id").grouped("stage_id")
    ordered_ids = automations.env["crm.stage"]._get_ordered_ids()
    stages = sorted(by_stage, key=lambda stage: ordered_ids.index(stage.id), reverse=True)
    found = automations.concat(*(by_stage[stage] for stage in stages))
    triggers = set(found.mapped("trigger"))
    heard, dates = {}, {}
    for model in automations._get_document_models():
        in_time = model._get_crm_stage_trigger_dates()
        heard[model._name] = frozenset(triggers & model._get_crm_stage_triggers().keys() - in_time.keys())
        dates[model._name] = frozenset(in_time[trigger] for trigger in triggers & in_time.keys()) - {None}
    return Listening({automation.id: automation.trigger for automation in found}, heard, dates)
