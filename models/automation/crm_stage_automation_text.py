"""What an automation does, in words: whole sentences, that agree in French, too."""

import logging

from odoo import api, fields, models
from odoo.tools import format_date, format_datetime, format_list, formatLang

_logger = logging.getLogger(__name__)

# How many conditions are told in words; of more, only their number is told
MAX_TOLD_CONDITIONS = 3

# The sentences leave out verbs that would have to agree with the name of a field
COMPARISONS = {"=": "=", "!=": "≠", "<": "<", ">": ">", "<=": "≤", ">=": "≥"}


class CrmStageAutomation(models.Model):
    _inherit = "crm.stage.automation"

    name = fields.Char(
        string="Automation",
        compute="_compute_name",
        help="What this automation does, as a sentence.",
    )
    event_text = fields.Char(
        string="When It Happens",
        compute="_compute_name",
        help='What this automation does, as a sentence that goes on after "Move an opportunity here when …".',
    )

    @api.depends(
        "stage_id.name",
        "trigger",
        "filter_domain",
        "from_stage_ids.name",
        "outcome",
        "lost_reason_id.name",
        "is_lost_included",
    )
    @api.depends_context("lang", "uid", "allowed_company_ids")
    def _compute_name(self):
        for automation in self:
            condition = automation._get_condition_text()
            automation.name = automation._get_sentence(condition)
            automation.event_text = automation._get_text_in_stage(condition)

    def _get_sentence(self, condition):
        """:param str condition: the condition in words; empty when there is none to tell
        :return: what this automation does, as a sentence
        """
        self.ensure_one()
        if not (self.stage_id and self.trigger):
            return self.env._("New Automation")
        parts = {"move": self._get_move_text(), "event": self._get_event_text(), "condition": condition}
        if condition:
            return self.env._("%(move)s when %(event)s, if %(condition)s", **parts)
        return self.env._("%(move)s when %(event)s", **parts)

    def _get_text_in_stage(self, condition):
        """:param str condition: the condition in words; empty when there is none to tell
        :return: what this automation does, said from within its stage: it starts with what happens
        """
        self.ensure_one()
        if not self.trigger:
            return self.env._("New Automation")
        text = self._get_event_in_stage()
        if condition:
            text = self.env._("%(event)s, if %(condition)s", event=text, condition=condition)
        if self.outcome == "won":
            return self.env._("%s: won", text)
        if self.outcome == "lost" and self.lost_reason_id:
            return self.env._("%(event)s: lost (%(reason)s)", event=text, reason=self.lost_reason_id.name)
        if self.outcome == "lost":
            return self.env._("%s: lost", text)
        return text

    def _get_event_in_stage(self):
        """:return: what happens, and to which opportunities"""
        text = self._get_event_text()
        if origins := self._get_origins_text():
            text = self.env._('%(event)s, only from "%(origins)s"', event=text, origins=origins)
        return self.env._("%s, lost ones too", text) if self.is_lost_included else text

    def _get_origins_text(self):
        """:return: names of the stages it takes opportunities from; the quotes around them are missing"""
        return self.env._('" or "').join(self.from_stage_ids.mapped("name"))

    def _get_move_text(self):
        """:return: what becomes of the opportunities, and of which ones"""
        text = self._get_outcome_text()
        origins = self._get_origins_text()
        if text and origins:
            text = self.env._('%(move)s from "%(origins)s"', move=text, origins=origins)
        elif origins:
            text = self.env._('From "%(origins)s" to "%(stage)s"', origins=origins, stage=self.stage_id.name)
        elif not text:
            text = self.env._('Move to "%s"', self.stage_id.name)
        return self.env._("%s, lost ones too,", text) if self.is_lost_included else text

    def _get_outcome_text(self):
        if self.outcome == "won":
            return self.env._("Win the opportunity")
        if self.outcome == "lost" and self.lost_reason_id:
            return self.env._("Lose the opportunity (%s)", self.lost_reason_id.name)
        return self.outcome and self.env._("Lose the opportunity")

    # ------------------------------------------------------------------
    # The condition
    # ------------------------------------------------------------------

    def _get_condition_text(self):
        """:return: the condition in words when it is a simple one, a mention of it otherwise, or nothing"""
        self.ensure_one()
        try:
            domain = self._parse_domain()
            conditions = list(domain.iter_conditions())
        except (ValueError, RecursionError):
            return self.env._("its condition, which is not valid, is met")
        if domain.is_true() or not self.model_name:
            return ""
        try:
            text = self._get_domain_text(domain, conditions)
        except KeyError:  # of a field that is gone
            return self.env._("its condition, which is not valid, is met")
        except Exception:  # a record whose name cannot be told must not hide the whole list
            _logger.warning("The condition of stage automation %s cannot be told", self.id, exc_info=True)
            text = None
        if text:
            return text
        if len(conditions) == 1:
            return self.env._("its condition is met")
        return self.env._("its %s conditions are met", len(conditions))

    def _get_domain_text(self, domain, conditions):
        """:return: a few conditions in words, or None when one of them, or the whole, is no simple one"""
        operators = {item for item in domain if isinstance(item, str)}
        if len(conditions) > MAX_TOLD_CONDITIONS or not (operators <= {"&"} or operators == {"|"}):
            return None
        terms = [self._get_term_text(condition) for condition in conditions]
        if not all(terms):
            return None
        return format_list(self.env, terms, "or" if operators == {"|"} else "standard")

    def _get_term_text(self, condition):
        """:return: one condition in words, or None when it is none of the simple ones
        :raise KeyError: its field is gone
        """
        label, field = self._get_field_label(condition.field_expr)
        if field is None:
            return None  # a part of a date, or a property
        operator, value = condition.operator, condition.value
        values = list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]
        if field.type == "boolean" and operator in ("=", "!=") and isinstance(value, bool):
            is_true = (operator == "=") == value
            return self.env._("%s = yes", label) if is_true else self.env._("%s = no", label)
        if operator in ("=", "!=", "in", "not in") and not any(item is not False for item in values):
            return self._get_empty_text(label, field, is_empty=operator in ("=", "in"))
        if operator in ("=", "!=", "in", "not in"):
            names = self._get_value_names(field, values)
            return self._get_equal_text(label, field, names, is_equal=operator in ("=", "in"))
        if operator in COMPARISONS:
            (name,) = self._get_value_names(field, values)
            return f"{label} {COMPARISONS[operator]} {name}"
        if operator == "ilike":
            return self.env._('%(field)s contains "%(text)s"', field=label, text=value)
        if operator == "not ilike":
            return self.env._('%(field)s does not contain "%(text)s"', field=label, text=value)
        return None

    def _get_field_label(self, path):
        """:return: what users call the field at the end of ``path``, and the field; None when it is none
        :raise KeyError: it is gone
        """
        model, labels, field = self.env[self.model_name], [], None
        for name in path.split("."):
            if model is None:
                return "", None
            field = model._fields[name]
            if name != "id" or not labels:
                labels.append(field.get_description(self.env, ["string"])["string"])
            model = self.env[field.comodel_name] if field.relational else None
        return " › ".join(labels), field

    def _get_equal_text(self, label, field, names, is_equal):
        """:param list names: of the values"""
        values = format_list(self.env, names, "or") or "?"
        if field.type in ("many2many", "one2many"):
            # Their names are plural ones, so that the verb can agree.
            label = self._get_label_within(label)
            if is_equal:
                return self.env._("the %(fields)s contain %(values)s", fields=label, values=values)
            return self.env._("the %(fields)s do not contain %(values)s", fields=label, values=values)
        if field.type not in ("many2one", "selection", "char", "text"):
            return f"{label} {'=' if is_equal else '≠'} {values}"
        if is_equal:
            return self.env._("%(field)s is %(values)s", field=label, values=values)
        return self.env._("%(field)s is not %(values)s", field=label, values=values)

    @api.model
    def _get_label_within(self, label):
        """:return: the label of a field as written within a sentence: abbreviations keep their capitals"""
        return label if label[1:2].isupper() else label[:1].lower() + label[1:]

    def _get_empty_text(self, label, field, is_empty):
        if field.type in ("many2many", "one2many"):
            label = self._get_label_within(label)
            if is_empty:
                return self.env._("the %(fields)s are empty", fields=label)
            return self.env._("the %(fields)s are not empty", fields=label)
        if is_empty:
            return self.env._("%(field)s is empty", field=label)
        return self.env._("%(field)s is not empty", field=label)

    def _get_value_names(self, field, values):
        """:return: what users call these values of ``field``"""
        if field.relational or field.name == "id":
            model = self.env[field.comodel_name if field.relational else field.model_name]
            texts = [value for value in values if isinstance(value, str)]
            return self._get_record_names(model, values) + texts
        if field.type == "selection":
            labels = dict(field._description_selection(self.env))
            return [labels.get(value, str(value)) for value in values]
        return [self._get_value_name(field, value) for value in values]

    def _get_value_name(self, field, value):
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return formatLang(self.env, value, digits=0 if value == int(value) else 2)
        try:
            if field.type == "date":
                return format_date(self.env, fields.Date.to_date(value))
            if field.type == "datetime":
                return format_datetime(self.env, fields.Datetime.to_datetime(value))
            return str(value)
        except ValueError:  # relative: "today -7d"
            return str(value)

    @api.model
    def _get_record_names(self, model, ids):
        """:return: the names of the records that the reader may see, how many others there are, and how many
        are gone
        """
        named = model.browse(self._get_ids(ids))
        records = named.exists()
        visible = records._filtered_access("read")
        names = visible.mapped("display_name")
        if hidden := len(records - visible):
            names.append(self.env._("%s that you may not see", hidden))
        gone = len(named - records)
        if gone == 1:
            names.append(self.env._("one that is gone"))
        elif gone:
            names.append(self.env._("%s that are gone", gone))
        return names
