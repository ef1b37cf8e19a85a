"""What an automation changes for others, and they for it, as its form says before it is saved.

It follows from what moving goes by: the order of the automations, the stages and teams that they take
opportunities from, their conditions and days. Where it depends on the opportunity, nothing is said.
"""

from odoo.fields import Domain
from odoo.tools import formatLang
from odoo.tools.translate import LazyTranslate

from ...tools import by_count
from ..trigger.crm_stage_trigger_mixin import LOSING_TRIGGERS
from . import condition

_lt = LazyTranslate(__name__)

# What one automation does to another, by whether the latter is the one that is looked at, and whether it is
# its condition that has no effect
EFFECTS = {
    (True, True): _lt(
        "The condition has no effect: another automation moves the same opportunities without one (%s)."
    ),
    (True, False): _lt(
        "This automation never comes to its turn: another one takes the same opportunities first (%s)."
    ),
    (False, True): _lt(
        "The condition of another automation has no effect then: this one moves the same opportunities "
        "without one (%s)."
    ),
    (False, False): _lt(
        "Another automation never comes to its turn then: this one takes the same opportunities first (%s)."
    ),
}

# Lost opportunities are counted up to here
MANY_LOST = 10000


def get_text(automation):
    """:return: sentences, one a line; none where nothing follows"""
    env = automation.env
    if not (automation.stage_id._origin and automation.model_name):
        return ""
    same_trigger = [("trigger", "=", automation.trigger), ("id", "not in", automation._origin.ids)]
    others = automation.with_context(active_test=False).search(same_trigger)
    is_active = automation.active and automation.stage_id.active
    if is_active:
        # One that does not work leaves its opportunities to the others.
        others = others.filtered(lambda other: other.active and other.stage_id.active and not other.fault)
    same = others.filtered(lambda other: is_same(automation, other))
    texts = [same and env._("This is a duplicate: another automation does the same.")]
    if is_active:
        texts += [_get_text_about(automation, other) for other in others - same]
        texts.append(automation.is_lost_included and _get_lost_text(automation))
    return "\n".join(filter(None, texts))


def is_same(automation, other):
    """:return: whether both do the same; the reason for which they lose opportunities is a detail"""
    return (
        _get_move(automation) == _get_move(other)
        and set(automation.from_stage_ids.ids) == set(other.from_stage_ids.ids)
        and automation.is_lost_included == other.is_lost_included
        and _get_condition(automation) == _get_condition(other)
    )


def _get_move(automation):
    """:return: where it moves opportunities, and when"""
    stage_id = automation.stage_id._origin.id
    return automation.trigger, stage_id, automation.outcome, automation.days, _is_in_working_days(automation)


def _is_in_working_days(automation):
    return bool(automation.days and automation.is_working_days)


def _get_condition(automation):
    """:return: ``Domain``; nothing meets one that is not valid"""
    try:
        return condition.parse(automation.filter_domain)
    except ValueError:
        return Domain.FALSE


def _get_text_about(automation, other):
    """:return: how one of both keeps the other one from its turn, or its condition from having an effect"""
    for first, second, is_about_itself in ((other, automation, True), (automation, other, False)):
        if _takes_all_of(first, second):
            is_unconditional = _is_unconditional(first, second)
            if is_unconditional or _is_first(first, second):
                text = automation.env._(EFFECTS[is_about_itself, is_unconditional])
                return text % other.name
    return None


def _takes_all_of(automation, other):
    """:return: whether ``automation`` takes all opportunities that ``other`` takes, if it comes to them"""
    domain = _get_condition(automation)
    teams, other_teams = automation.stage_id._origin.team_ids, other.stage_id._origin.team_ids
    # Another open quotation protects from being lost, not from being moved.
    is_protecting = automation.outcome == "lost" and automation.trigger in LOSING_TRIGGERS
    return (
        (domain.is_true() or domain == _get_condition(other))
        and (not teams or (other_teams and other_teams <= teams))
        and other._get_origin_ids() <= automation._get_origin_ids()
        # Won and lost ones are in stages that are named, lost ones in any stage where none is.
        and other.from_stage_ids._origin.filtered("is_won") <= automation.from_stage_ids._origin
        and (
            not other.is_lost_included
            or (automation.is_lost_included and bool(automation.from_stage_ids) <= bool(other.from_stage_ids))
        )
        and (not is_protecting or other.outcome == "lost")
    )


def _is_unconditional(automation, other):
    """:return: whether it does what ``other`` does, for those that do not meet the condition of that, too"""
    return _get_move(automation) == _get_move(other) and _get_condition(automation) != _get_condition(other)


def _is_first(automation, other):
    """:return: whether it moves opportunities before ``other`` comes to them, which leaves them alone then"""
    *move, days, is_working = _get_move(automation)
    *other_move, other_days, is_other_working = _get_move(other)
    if (days, is_working) == (other_days, is_other_working):
        return move != other_move and _get_turn(automation) < _get_turn(other)
    # Working days last longer than days: how long, the calendar of the company says.
    is_earlier = days < other_days and is_working <= is_other_working
    is_kept = automation.outcome == "lost" or automation.stage_id._origin.id not in other._get_origin_ids()
    return is_earlier and is_kept


def _get_turn(automation):
    """:return: key of the order in which automations are tried; a new one comes last in its stage"""
    position = automation.env["crm.stage"]._get_ordered_ids().index(automation.stage_id._origin.id)
    return -position, automation.sequence, automation._origin.id or float("inf")


def _get_lost_text(automation):
    """:return: how many lost opportunities it may bring back"""
    env = automation.env
    is_taken = Domain.AND(automation._get_movable_domains().values()) & Domain("won_status", "=", "lost")
    count = env["crm.lead"].with_context(active_test=False).search_count(is_taken, limit=MANY_LOST)
    number = formatLang(env, count, digits=0) + "+" * (count == MANY_LOST)
    return by_count(
        count,
        env._("This automation may bring 1 lost opportunity back."),
        env._("This automation may bring %s lost opportunities back.", number),
    )
