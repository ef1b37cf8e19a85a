"""The condition of an automation: what it says, for whom it is evaluated, and what makes it wrong."""

import ast
import re
from collections import defaultdict
from collections.abc import Collection

from odoo import SUPERUSER_ID
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, OrderedSet
from odoo.tools.translate import LazyTranslate

from ...tools import CONFLICTS
from .fault import AutomationError, get_reason

_lt = LazyTranslate(__name__)


class GoneRecordError(AutomationError):
    """A condition names records that are gone."""

    def __init__(self, env, model_name, ids):
        self.model_name = model_name
        self.ids = ids
        super().__init__(env, None)

    def get_text(self, env):
        # sudo: only for its name
        label = env["ir.model"].sudo()._get(self.model_name).name
        return env._(
            "The condition names a record that is gone (deleted or merged): %(model)s %(ids)s\n"
            "Set another condition, or leave it empty.",
            model=label,
            ids=", ".join(map(str, sorted(self.ids))),
        )


def parse(text):
    """
    :param text: of a condition; only literals are read, nothing is evaluated
    :return: ``Domain``
    :raise ValueError: it is no list of literals, or no domain
    """
    try:
        domain = ast.literal_eval(text or "[]")
        if not isinstance(domain, list):
            raise ValueError(text)
        return Domain(domain)
    except Exception as error:  # whatever is written there
        raise ValueError(text) from error


def check_storable(env, text):
    """:raise ValidationError: the database cannot store it, so that no constraint would check it"""
    if isinstance(text, str) and (stored := re.sub("[\x00\ud800-\udfff]", "", text)) != text:
        raise _get_invalid_error(env, stored)


def check(automation):
    """Refuse a condition that could not work, or that asks what the user of ``automation`` may not read.

    PostgreSQL plans the search, which is not made: it refuses values that fit no field.

    :raise ValidationError: why, and what to do
    """
    env = automation.env
    try:
        domain = parse(automation.filter_domain)
    except ValueError as error:
        raise _get_invalid_error(env, automation.filter_domain) from error
    if domain.is_true():
        return
    model = env[automation.model_name].with_context(active_test=False)
    try:
        domain.validate(model)
        _check_finished(model, domain)
        query = model._search(domain)
        with env.cr.savepoint(flush=False):
            env.cr.execute(SQL("EXPLAIN %s", query.select()), log_exceptions=False)
    except (*CONFLICTS, ValidationError):
        raise
    except RecursionError as error:
        raise ValidationError(
            env._("The condition is nested too deeply, or its links are: make it simpler.")
        ) from error
    except Exception as error:  # whatever the value is, evaluating it fails
        reason = get_reason(error).partition("\n")[0]
        raise ValidationError(env._("The condition cannot be evaluated: %s", reason)) from error


def _get_invalid_error(env, text):
    return ValidationError(
        env._(
            "The condition is not valid: build it with the condition editor, "
            "out of fields, operators and plain values.\n%s",
            text,
        )
    )


def _check_finished(model, domain):
    """:raise ValidationError: a value was left empty in the condition editor

    That is an empty list, text or pattern: False is what its "is set" and "is not set" compare with.
    """
    for condition in domain.iter_conditions():
        value = condition.value
        if condition.operator in ("any", "not any"):
            _check_finished(follow(model, condition.field_expr), Domain(value))
            continue
        if isinstance(value, Collection) and not isinstance(value, (str, dict)):
            is_empty = all(item == "" for item in value)
        else:
            is_pattern = "like" in condition.operator
            is_empty = isinstance(value, str) and not value.strip("%" if is_pattern else None)
        if is_empty:
            field = model._fields[condition.field_expr.partition(".")[0]]
            raise ValidationError(
                model.env._(
                    'The condition does not say what "%s" is compared with. Choose a value; or "is set" '
                    'or "is not set", if that is what you mean.',
                    field.get_description(model.env, ["string"])["string"],
                )
            )


def get_domain(automation, domain=Domain.TRUE):
    """
    :param Domain domain: of the documents in question, where the caller knows them
    :return: ``Domain`` of the documents that meet the condition as far as its author may see them and what
        they are linked to; the database alone evaluates it, as when it was checked
    :raise UserError: the author is gone, or a record that the condition names
    """
    condition = parse(automation.filter_domain)
    if condition.is_true():
        return condition
    env = automation.env
    for name, ids in get_named_ids(env[automation.model_name], condition).items():
        # sudo: whether a record is there is no secret. Without it, a condition would mean something else.
        if gone := ids - set(env[name].sudo().browse(ids).exists().ids):
            raise GoneRecordError(env, name, gone)
    if automation.is_author_gone:
        raise AutomationError(
            env,
            _lt(
                "The condition counts what the user who set it may see, and that user is gone, or has "
                "become a portal user. Open the automation and take the condition over, or set another "
                "one."
            ),
        )
    documents = _get_author_documents(automation)
    return condition if documents.env.su else get_visible_domain(documents, condition & domain)


def _get_author_documents(automation):
    """:return: empty recordset of the documents, in the environment of the author of the condition"""
    author = automation.sudo().author_id  # sudo: only to see with their eyes
    if author.id == SUPERUSER_ID:
        return automation.env[automation.model_name].sudo().with_context(active_test=False)
    context = {"allowed_company_ids": author.company_ids.ids, "active_test": False}
    return automation.env(user=author.id, su=False, context=context)[automation.model_name]


def find_unmet(automation, document):
    """
    :param document: that does not meet the condition
    :return: ``Domain`` of the first part of the condition that it does not meet; None where the author of the
        condition does not see it
    """
    domain = parse(automation.filter_domain)
    documents = _get_author_documents(automation)
    here = Domain("id", "=", document.id)
    if not documents.search_count(here):
        return None
    parts = domain.children if getattr(domain, "OPERATOR", None) == "&" else [domain]
    return next((part for part in parts if not documents.search_count(here & part)), domain)


def get_visible_domain(documents, domain):
    """:return: ``Domain`` of the documents that the user of ``documents`` finds by ``domain``"""
    if documents.env.su:
        return domain
    return Domain("id", "in", documents.with_context(active_test=False)._search(domain))


def get_named_ids(model, domain):
    """:return: ids of the records that a ``Domain`` on ``model`` names, over links, too, by model name"""
    named = defaultdict(set)
    for condition in domain.iter_conditions():
        target = follow(model, condition.field_expr)
        if target is None:
            continue
        if condition.operator in ("any", "not any"):
            for name, ids in get_named_ids(target, Domain(condition.value)).items():
                named[name] |= ids
        elif "like" not in condition.operator and (ids := get_ids(condition.value)):
            named[target._name].update(ids)
    return named


def replace_named(model, domain, replace, note_unknown=None):
    """
    :param list domain: condition on ``model``, of literals
    :param replace: function of a model and of what names a record of it in the condition, which returns what
        stands in its place
    :param note_unknown: function that is called with a model and the name of a field that it does not have
    :return: a list that says the same with what ``replace`` returns
    """

    def convert(term):
        if not isinstance(term, (list, tuple)) or len(term) != 3 or not isinstance(term[0], str):
            return term
        path, operator, value = term
        if note_unknown and (unknown := _find_unknown(model, path)):
            note_unknown(*unknown)
        target = follow(model, path)
        if target is None or "like" in operator:
            return [path, operator, value]
        if operator in ("any", "not any"):
            value = replace_named(target, value, replace, note_unknown)
        elif isinstance(value, (list, tuple)):
            value = [replace(target, item) for item in value]
        else:
            value = replace(target, value)
        return [path, operator, value]

    return [convert(term) for term in domain]


def _find_unknown(model, path):
    """:return: the first field of ``path`` that is not there, after the model that lacks it; or None"""
    for name in path.split("."):
        if name not in model._fields:
            return model, name
        model = follow(model, name)
        if model is None:
            break
    return None


def follow(model, path):
    """:return: model that the links of ``path`` lead to, None where they lead to none"""
    for name in path.split("."):
        field = model._fields.get(name)
        if name == "id" or field is None:
            return model if field else None
        if not field.comodel_name:
            return None
        model = model.env[field.comodel_name]
    return model


def get_ids(value):
    """:return: ids in the value of a condition, which may be one of them or a collection"""
    values = value if isinstance(value, Collection) else [value]
    return OrderedSet(item for item in values if type(item) is int and item > 0)
