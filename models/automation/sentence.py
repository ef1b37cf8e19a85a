"""What an automation does, in words: whole sentences, that agree in French, too."""

import logging
from contextlib import suppress

from odoo import fields
from odoo.tools import format_date, format_datetime, format_list, formatLang
from odoo.tools.translate import LazyTranslate

from ...tools import by_count
from . import condition

_logger = logging.getLogger(__name__)
_lt = LazyTranslate(__name__)

# How many terms of a condition are named; of more, only their number is
MAX_NAMED_TERMS = 3

# In the words of Odoo's condition editor, which say them of dates and of links to records in another way
OPERATORS = {
    "=": _lt("is equal to"),
    "!=": _lt("is not equal to"),
    "in": _lt("is in"),
    "not in": _lt("is not in"),
    "<": _lt("is lower than"),
    ">": _lt("is greater than"),
    "<=": _lt("is lower or equal to"),
    ">=": _lt("is greater or equal to"),
    "ilike": _lt("contains"),
    "not ilike": _lt("does not contain"),
}
DATE_OPERATORS = {**OPERATORS, "<": _lt("is before"), ">": _lt("is after")}
LINK_OPERATORS = {**OPERATORS, "in": OPERATORS["="], "not in": OPERATORS["!="]}


def get_sentence(automation, condition_text=""):
    """:return: what the automation does, as a sentence"""
    env = automation.env
    if not (automation.stage_id and automation.trigger):
        return env._("New Automation")
    parts = {"move": _get_move(automation), "event": _get_event(automation), "condition": condition_text}
    if condition_text:
        return env._("%(move)s when %(event)s, if %(condition)s", **parts)
    return env._("%(move)s when %(event)s", **parts)


def get_text_in_stage(automation, condition_text=""):
    """:return: what the automation does, said from within its stage: it starts with what happens"""
    env = automation.env
    if not automation.trigger:
        return env._("New Automation")
    text = get_event_in_stage(automation)
    if condition_text:
        text = env._("%(event)s, if %(condition)s", event=text, condition=condition_text)
    if automation.outcome == "won":
        return env._("%s: won", text)
    if automation.outcome == "lost" and automation.lost_reason_id:
        return env._("%(event)s: lost (%(reason)s)", event=text, reason=automation.lost_reason_id.name)
    return env._("%s: lost", text) if automation.outcome == "lost" else text


def get_event_in_stage(automation):
    """:return: what happens, and to which opportunities"""
    text = _get_event(automation)
    if automation.from_stage_ids:
        values = {"event": text, "origins": get_origins(automation)}
        text = automation.env._('%(event)s, only from "%(origins)s"', **values)
    return automation.env._("%s, lost ones too", text) if automation.is_lost_included else text


def _get_event(automation):
    """:return: what must happen, in words that continue "when " """
    if not automation.model_name:
        return ""
    text = automation._get_trigger_labels()[automation.trigger]
    if not automation.is_in_time:
        return text
    model = automation.env[automation.model_name]
    days = automation.days, automation.is_working_days
    return model._get_crm_stage_due_text(automation.trigger, text, *days)


def get_origins(automation):
    """:return: names of the stages it takes opportunities from; the quotes around them are missing"""
    return automation.env._('" or "').join(automation.from_stage_ids.mapped("name"))


def _get_move(automation):
    """:return: what becomes of the opportunities, and of which ones"""
    env, origins = automation.env, get_origins(automation)
    text = ""
    if automation.outcome == "won":
        text = env._("Win the opportunity")
    elif automation.outcome == "lost" and automation.lost_reason_id:
        text = env._("Lose the opportunity (%s)", automation.lost_reason_id.name)
    elif automation.outcome == "lost":
        text = env._("Lose the opportunity")
    stage = automation.stage_id.name
    if text and origins:
        text = env._('%(move)s from "%(origins)s"', move=text, origins=origins)
    elif origins:
        text = env._('From "%(origins)s" to "%(stage)s"', origins=origins, stage=stage)
    elif not text:
        text = env._('Move to "%s"', stage)
    return env._("%s, lost ones too,", text) if automation.is_lost_included else text


def get_condition_text(automation, env=None):
    """
    :param env: of the reader; default: of the automation
    :return: the condition in words when it is a simple one, a mention of it otherwise, or nothing
    """
    env = env or automation.env
    try:
        domain = condition.parse(automation.filter_domain)
        terms = list(domain.iter_conditions())
    except (ValueError, RecursionError):
        return env._("its condition, which is not valid, is met")
    if domain.is_true() or not automation.model_name:
        return ""
    text = None
    try:
        text = get_domain_text(env[automation.model_name], domain)
    except KeyError:  # of a field that is gone
        return env._("its condition, which is not valid, is met")
    except Exception:  # a record whose name cannot be read must not hide the whole list
        _logger.warning("Stage automation %s: the condition has no words", automation.id, exc_info=True)
    return text or by_count(
        len(terms), env._("its condition is met"), env._("its %s conditions are met", len(terms))
    )


def get_domain_text(model, domain):
    """:return: a few terms in words, or None when one of them, or the whole, is no simple one"""
    terms = list(domain.iter_conditions())
    operators = {item for item in domain if isinstance(item, str)}
    if len(terms) > MAX_NAMED_TERMS or not (operators <= {"&"} or operators == {"|"}):
        return None
    texts = [_get_term_text(model, term) for term in terms]
    return format_list(model.env, texts, "or" if operators == {"|"} else "standard") if all(texts) else None


def _get_term_text(model, term):
    """:return: one term in words, or None when it is none of the simple ones
    :raise KeyError: its field is gone
    """
    env = model.env
    label, field = _get_field_label(model, term.field_expr)
    if field is None:
        return None  # a part of a date, or a property
    # In quotes it is the name of a field, with which no verb or adjective has to agree.
    name, operator, value = env._('"%(name)s"', name=label), term.operator, term.value
    values = list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]
    if operator not in OPERATORS:
        return None
    is_true = field.type == "boolean" and value is True
    if operator in ("=", "!=", "in", "not in") and (is_true or all(item is False for item in values)):
        is_set = is_true == (operator in ("=", "in"))
        return env._("%s is set", name) if is_set else env._("%s is not set", name)
    is_text = "like" in operator
    names = [env._('"%(name)s"', name=value)] if is_text else _get_value_names(env, field, values)
    is_date = field.type in ("date", "datetime")
    operators = DATE_OPERATORS if is_date else LINK_OPERATORS if field.relational else OPERATORS
    return f"{name} {env._(operators[operator])} {format_list(env, names or ['?'], 'or')}"


def _get_field_label(model, path):
    """:return: what users call the field at the end of ``path``, and the field; None when it is none
    :raise KeyError: it is gone
    """
    labels, field = [], None
    for name in path.split("."):
        if model is None:
            return "", None
        field = model._fields[name]
        if name != "id" or not labels:
            labels.append(field.get_description(model.env, ["string"])["string"])
        model = model.env[field.comodel_name] if field.relational else None
    return " › ".join(labels), field


def _get_value_names(env, field, values):
    """:return: what users call these values of ``field``"""
    if field.relational or field.name == "id":
        model = env[field.comodel_name if field.relational else field.model_name]
        texts = [value for value in values if isinstance(value, str)]
        return get_record_names(model.browse(condition.get_ids(values))) + texts
    if field.type == "selection":
        labels = dict(field._description_selection(env))
        return [labels.get(value, str(value)) for value in values]
    return [_get_value_name(env, field, value) for value in values]


def _get_value_name(env, field, value):
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return formatLang(env, value, digits=0 if value == int(value) else 2)
    with suppress(ValueError):  # relative: "today -7d"
        if field.type == "date":
            return format_date(env, fields.Date.to_date(value))
        if field.type == "datetime":
            return format_datetime(env, fields.Datetime.to_datetime(value))
    return str(value)


def get_value_text(record, domain):
    """
    :param Domain domain: a condition on one field
    :return: what the field of the record holds, in words; None where the domain is no such condition
    :raise AccessError: the user of the record may not see it
    """
    terms = list(domain.iter_conditions())
    field = _get_field_label(record, terms[0].field_expr)[1] if len(terms) == 1 else None
    if field is None:
        return None
    *path, name = terms[0].field_expr.split(".")
    holders = record.mapped(".".join(path)) if path else record
    values = [holder[name] for holder in holders]
    if field.relational:
        return format_list(record.env, get_record_names(holders.mapped(name))) or record.env._("nothing")
    if field.type == "boolean":
        return record.env._("yes") if any(values) else record.env._("no")
    is_number = field.type in ("integer", "float", "monetary")
    names = _get_value_names(record.env, field, [value for value in values if value or is_number])
    return format_list(record.env, names) or record.env._("nothing")


def get_record_names(named):
    """:return: the names of the records that the reader may see, how many others there are, and how many are
    gone
    """
    env, records = named.env, named.exists()
    visible = records._filtered_access("read")
    names = visible.mapped("display_name")
    if hidden := len(records - visible):
        names.append(env._("%s that you may not see", hidden))
    if gone := len(named - records):
        names.append(by_count(gone, env._("one that is gone"), env._("%s that are gone", gone)))
    return names
