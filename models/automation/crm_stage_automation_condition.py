"""The condition of an automation: who set it and what they may see, checking it, telling it in words."""

import ast
import re
from collections import defaultdict
from collections.abc import Collection

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, OrderedSet
from odoo.tools.translate import LazyTranslate

from ...tools import CONFLICTS
from .crm_stage_automation import AutomationError

_lt = LazyTranslate(__name__)

# Types of fields whose values have an order that people mean
ORDERED_TYPES = ("integer", "float", "monetary", "date", "datetime")

# The largest number that the database stores in an integer or as an id
MAX_INTEGER = 2**31 - 1


class GoneRecordError(AutomationError):
    """The condition of an automation names records that are gone."""

    def __init__(self, env, model_name, ids):
        self.model_name = model_name
        self.ids = ids
        super().__init__(env, None, "condition")

    def get_text(self, env):
        # sudo: only for its name
        label = env["ir.model"].sudo()._get(self.model_name).name
        return env._(
            "The condition names a record that is gone (deleted or merged): %(model)s %(ids)s\n"
            "Set another condition, or leave it empty.",
            model=label,
            ids=", ".join(map(str, sorted(self.ids))),
        )


class CrmStageAutomation(models.Model):
    _inherit = "crm.stage.automation"

    filter_domain = fields.Char(
        string="Condition",
        help="Which documents count: the quotation, meeting or activity that triggers the automation, "
        "or the opportunity itself for e-mails. Without condition, all do.",
    )
    author_id = fields.Many2one(
        "res.users",
        string="Condition Set By",
        readonly=True,
        copy=False,
        ondelete="set null",
        help="Who set the condition last. Documents, and what they are linked to, count only as far as this "
        "user may see them.",
    )
    is_author_gone = fields.Boolean(
        compute="_compute_is_author_gone",
        help="Whether the condition cannot be evaluated, because the user who set it was archived or "
        "deleted, or has become a portal user.",
    )

    @api.depends("author_id.active", "author_id.share", "filter_domain")
    def _compute_is_author_gone(self):
        # sudo: whether a user is active is no secret, and users may be another company's
        for automation in self:
            author = automation.sudo().author_id
            is_there = author.id == SUPERUSER_ID or (author.active and not author.share)
            automation.is_author_gone = bool(automation.filter_domain) and not is_there

    # ------------------------------------------------------------------
    # Whoever sets the condition is its author
    # ------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_storable(vals.get("filter_domain"))
        automations = super().create([self._drop_author(vals) for vals in vals_list])
        automations._set_author()
        return automations

    def write(self, vals):
        """Nobody makes somebody else the author, whose rights the condition would be evaluated with."""
        self._check_storable(vals.get("filter_domain"))
        res = super().write(self._drop_author(vals))
        if "filter_domain" in vals:
            self._set_author()
        return res

    @api.model
    def _drop_author(self, vals):
        return {name: value for name, value in vals.items() if name != "author_id"}

    def _set_author(self):
        """Make the present user the author."""
        automations = super(CrmStageAutomation, self.sudo())  # sudo: only the system writes it
        return automations.write({"author_id": self.env.uid})

    def action_take_over_condition(self):
        """Let the condition be evaluated with the rights of the present user, as if they had set it."""
        for automation in self:
            automation.filter_domain = automation.filter_domain

    # ------------------------------------------------------------------
    # Evaluating
    # ------------------------------------------------------------------

    def _parse_domain(self):
        """:return: the condition as a ``Domain``; only literals are read, nothing is evaluated
        :raise ValueError: the condition is no list of literals, or no domain
        """
        try:
            domain = ast.literal_eval(self.filter_domain or "[]")
            if not isinstance(domain, list):
                raise ValueError(self.filter_domain)
            return Domain(domain)
        except Exception as error:  # whatever somebody has written there
            raise ValueError(self.filter_domain) from error

    def _parse_valid_domain(self):
        """:return: as ``_parse_domain`` does, for whoever writes a condition
        :raise ValidationError: it is none
        """
        try:
            return self._parse_domain()
        except ValueError as error:
            raise self._get_invalid_error(self.filter_domain) from error

    @api.model
    def _get_invalid_error(self, text):
        return ValidationError(
            self.env._(
                "The condition is not valid: build it with the condition editor, "
                "out of fields, operators and plain values.\n%s",
                text,
            )
        )

    @api.model
    def _check_storable(self, text):
        """:raise ValidationError: the database cannot store it, so that no constraint would check it"""
        if isinstance(text, str) and (stored := re.sub("[\x00\ud800-\udfff]", "", text)) != text:
            raise self._get_invalid_error(stored)

    def _filter_documents(self, documents):
        """:return: those of ``documents`` that meet the condition
        :raise UserError: the author of the condition is gone, or a record that it names
        """
        if self._parse_domain().is_true():
            return documents
        domain = Domain("id", "in", documents.ids)
        return documents.with_context(active_test=False).search(domain & self._get_condition_domain(domain))

    def _get_condition_domain(self, domain=Domain.TRUE):
        """
        :param Domain domain: of the documents in question, where the caller knows them
        :return: ``Domain`` of the documents that meet the condition as far as its author may see them and
            what they are linked to; it is evaluated by the database alone, as when it was checked
        :raise UserError: the author is gone, or a record that the condition names
        """
        condition = self._parse_domain()
        if condition.is_true():
            return condition
        self._check_named_records(condition)
        author = self.sudo().author_id  # sudo: only to see with their eyes
        if author.id == SUPERUSER_ID:
            return condition
        if self.is_author_gone:
            raise AutomationError(
                self.env,
                _lt(
                    "The condition counts what the user who set it may see, and that user is gone, or has "
                    "become a portal user. Open the automation and take the condition over, or set another "
                    "one."
                ),
                "condition",
            )
        return self._get_visible_domain(
            self.env(user=author.id, su=False, context={"allowed_company_ids": author.company_ids.ids}),
            condition & domain,
        )

    def _get_visible_domain(self, env, domain):
        """:return: ``Domain`` of the documents that the user of ``env`` finds by ``domain``"""
        if env.su:
            return domain
        documents = self.env[self.model_name].with_env(env).with_context(active_test=False)
        return Domain("id", "in", documents._search(domain))

    # ------------------------------------------------------------------
    # Records that the condition names
    # ------------------------------------------------------------------

    @api.model
    def _get_named_ids(self, model, domain):
        """:return: ids of the records that a ``Domain`` on ``model`` names, over links, too, by model"""
        named = defaultdict(set)
        for condition in domain.iter_conditions():
            target = self._follow(model, condition.field_expr)
            if target is None:
                continue
            if condition.operator in ("any", "not any"):
                for name, ids in self._get_named_ids(target, Domain(condition.value)).items():
                    named[name] |= ids
            elif "like" not in condition.operator and (ids := self._get_ids(condition.value)):
                named[target._name].update(ids)
        return named

    @api.model
    def _follow(self, model, path):
        """:return: model that the links of ``path`` lead to, None where they lead to none"""
        for name in path.split("."):
            field = model._fields.get(name)
            if name == "id" or field is None:
                return model if field else None
            if not field.comodel_name:
                return None
            model = self.env[field.comodel_name]
        return model

    @api.model
    def _get_ids(self, value):
        """:return: ids in the value of a condition, which may be one of them or a collection"""
        values = value if isinstance(value, Collection) else [value]
        return OrderedSet(item for item in values if type(item) is int and item > 0)

    def _check_named_records(self, condition):
        """
        :param Domain condition: of this automation
        :raise UserError: it names records that are gone: with them it would mean nothing, or something else
        """
        for name, ids in self._get_named_ids(self.env[self.model_name], condition).items():
            # sudo: whether a record is there is no secret
            if gone := ids - set(self.env[name].sudo().browse(ids).exists().ids):
                raise GoneRecordError(self.env, name, gone)

    # ------------------------------------------------------------------
    # Checking
    # ------------------------------------------------------------------

    @api.constrains("filter_domain", "trigger")
    def _check_filter_domain(self):
        """Refuse what could not work, what is no plain domain, and fields the writing user may not read."""
        # Odoo checks constraints with the system's rights; here those of the writing user are the point.
        for automation in self.with_user(self.env.user):
            domain = automation._parse_valid_domain()
            if domain.is_true():
                continue
            model = automation.env[automation.model_name].with_context(active_test=False)
            try:
                automation._check_conditions(model, domain)
                automation._check_evaluable(model, domain)
            except RecursionError as error:
                raise ValidationError(
                    self.env._("The condition is nested too deeply, or its links are: make it simpler.")
                ) from error

    @api.model
    def _check_conditions(self, model, domain):
        """
        :raise ValidationError: a field does not exist, cannot be searched, may not be read, or cannot be
            compared with its value
        """
        for condition in domain.iter_conditions():
            field = self._check_field_path(model, condition.field_expr)
            if condition.operator in ("any", "not any"):
                inner_domain = self._get_inner_domain(field, condition)
                self._check_conditions(self.env[field.comodel_name], inner_domain)
            elif self._is_unfinished(condition):
                raise ValidationError(
                    self.env._(
                        'The condition does not say what "%s" is compared with. Choose a value; or "is set" '
                        'or "is not set", if that is what you mean.',
                        field.get_description(self.env, ["string"])["string"],
                    )
                )
            elif not self._is_comparable(field, condition):
                raise ValidationError(
                    self.env._(
                        'The field "%(field)s" cannot be compared with "%(value)s" in this way. '
                        "Choose another value, or another comparison.",
                        field=condition.field_expr,
                        value=condition.value,
                    )
                )

    @api.model
    def _get_inner_domain(self, field, condition):
        """:return: ``Domain`` of the linked records that a condition is about
        :raise ValidationError: it is none
        """
        try:
            if not field.relational:
                raise ValueError(condition.field_expr)
            return Domain(condition.value)
        except (TypeError, ValueError) as error:
            raise ValidationError(
                self.env._('What is said of "%s" is no condition on linked records.', condition.field_expr)
            ) from error

    @api.model
    def _is_unfinished(self, condition):
        """:return: whether the value was left empty in the condition editor

        That is an empty list, text or pattern: False is what its "is set" and "is not set" compare with.
        """
        value = condition.value
        if isinstance(value, Collection) and not isinstance(value, (str, dict)):
            return all(item == "" for item in value)
        return isinstance(value, str) and not value.strip("%" if "like" in condition.operator else None)

    @api.model
    def _is_comparable(self, field, condition):
        """:return: whether the condition asks something that ``field`` has an answer to"""
        operator, value = condition.operator, condition.value
        values = value if isinstance(value, Collection) and not isinstance(value, str) else [value]
        is_link = field.relational or field.name == "id"
        if operator in ("child_of", "parent_of"):
            comodel = self.env[field.comodel_name if field.relational else field.model_name]
            if not is_link or comodel._parent_name not in comodel._fields:
                return False
        if operator in ("<", ">", "<=", ">=") and (is_link or field.type not in ORDERED_TYPES):
            return False
        if is_link and any(item is True for item in values):
            return False
        if (is_link or field.type in ("integer", "many2one_reference")) and any(
            isinstance(item, (int, float)) and not -MAX_INTEGER <= item <= MAX_INTEGER for item in values
        ):
            return False
        # A pattern must not end in the middle of an escaped character.
        return not ("=" in operator and "like" in operator and str(value).replace("\\\\", "").endswith("\\"))

    @api.model
    def _check_field_path(self, model, path):
        """
        :return: the field that ``path`` leads to
        :raise ValidationError: a field of it does not exist, cannot be searched or may not be read
        """
        names = path.split(".")
        for position, name in enumerate(names, start=1):
            field = model._fields.get(name)
            if not field:
                raise ValidationError(
                    self.env._(
                        'The condition uses the field "%(field)s", which %(model)s does not have. '
                        "Choose another one.",
                        field=name,
                        model=self._get_model_label(model),
                    )
                )
            if not model.has_access("read") or not model._has_field_access(field, "read"):
                raise ValidationError(
                    self.env._(
                        'You may not read the field "%(field)s" of %(model)s, '
                        "so a condition of yours cannot use it.",
                        field=name,
                        model=self._get_model_label(model),
                    )
                )
            if not field._description_searchable:
                raise ValidationError(
                    self.env._(
                        'The field "%(field)s" of %(model)s cannot be searched. Choose another one.',
                        field=name,
                        model=self._get_model_label(model),
                    )
                )
            if not field.relational:
                break  # what follows are parts of a date, or properties
            model = self.env[field.comodel_name]
            if position == len(names) and not model.has_access("read"):
                raise ValidationError(
                    self.env._(
                        "You may not read %s, so a condition of yours cannot use it.",
                        self._get_model_label(model),
                    )
                )
        return field

    @api.model
    def _check_evaluable(self, model, domain):
        """PostgreSQL is asked how it would search, which it does not do: it refuses values that fit no field.

        :raise ValidationError: the condition would fail whenever it is looked at
        """
        try:
            domain.validate(model)
            query = model._search(domain)
            with self.env.cr.savepoint(flush=False):
                self.env.cr.execute(SQL("EXPLAIN %s", query.select()), log_exceptions=False)
        except (*CONFLICTS, RecursionError):
            raise
        except Exception as error:  # whatever the value is, evaluating it fails
            reason = self._get_reason(error).partition("\n")[0]
            raise ValidationError(self.env._("The condition cannot be evaluated: %s", reason)) from error

    @api.model
    def _get_model_label(self, model):
        """:return: what users call the records of ``model``"""
        return self.env["ir.model"].sudo()._get(model._name).name  # sudo: only for its name in a message
