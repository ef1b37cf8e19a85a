"""The set-up of the pipeline as a file: what is written into it, and read from it.

Values of a record have one form here, which JSON can be: lists of ids for links, texts by language for what
is translated, a list for a condition. In the file, references stand in the places of ids: see
``get_reference``.
"""

import ast
import base64
import json
import re
from contextlib import suppress

from odoo.exceptions import UserError
from odoo.fields import Command, Domain

from ..models.automation import condition
from ..tools import KEPT_CONTEXT

PRODUCT = "crm_sales_stage"
VERSION = 1

# What travels, in the order of the file, of those fields that there are
FIELDS = {
    "crm.stage": (
        *("name", "sequence", "active", "fold", "is_won", "ask_outcome", "is_reason_required"),
        *("probability_mode", "probability", "rotting_threshold_days", "color", "requirements"),
        *("team_ids", "required_field_ids", "activity_plan_id", "mail_template_id"),
    ),
    "crm.stage.automation": (
        *("trigger", "days", "is_working_days", "from_stage_ids", "outcome", "lost_reason_id"),
        *("is_lost_included", "filter_domain", "sequence", "active"),
    ),
}

# Conditions may name records of these; a file does not
PRIVATE_MODELS = ("crm.lead", "res.users", "ir.mail_server", "fetchmail.server")

# What a file may hold: bytes, stages and automations, and characters of a name
MAX_SIZE = 2_000_000
MAX_ITEMS = 500
MAX_NAME = 250

# What a value of JSON is, by type of field; a text otherwise
JSON_TYPES = {"boolean": (bool,), "integer": (int,), "float": (int, float)}


def get_env(env):
    """:return: the environment without what a client may have put into its context"""
    return env(context={key: value for key, value in env.context.items() if key in KEPT_CONTEXT})


# ----------------------------------------------------------------------
# Records
# ----------------------------------------------------------------------


def get_languages(env):
    """:return: codes of the installed languages, and of English, which Odoo always stores"""
    return sorted({"en_US", *(code for code, _name in env["res.lang"].get_installed())})


def get_translations(record, name):
    return {lang: record.with_context(lang=lang)[name] for lang in get_languages(record.env)}


def read(record):
    """:return: the values of a stage or an automation that travel, as far as the user may see them"""
    values = {}
    for name in FIELDS[record._name]:
        field = record._fields.get(name)
        if field and field.translate:
            values[name] = get_translations(record, name)
        elif field and field.relational:
            values[name] = sorted(record[name]._filtered_access("read").ids)
        elif field:
            values[name] = _read_condition(record) if name == "filter_domain" else record[name]
    return values


def _read_condition(automation):
    text = automation.filter_domain
    with suppress(ValueError):
        condition.parse(text)
        return json.loads(json.dumps(ast.literal_eval(text or "[]"), default=str))
    return text


def write(record, values):
    """Write ``values`` on ``record``; create it where it is empty, which takes all that is required.

    :return: the record
    """
    vals, translations = {}, {}
    for name, value in values.items():
        field = record._fields[name]
        if field.translate:
            translations[name] = value
            if not record:
                vals[name] = value.get(record.env.lang) or next(iter(value.values()))
        elif field.type == "many2one":
            vals[name] = value[0] if value else False
        elif field.type == "many2many":
            # Those that the user may not see stay.
            visible_ids = record[name]._filtered_access("read").ids
            linked = [Command.link(id_) for id_ in value if id_ not in visible_ids]
            vals[name] = linked + [Command.unlink(id_) for id_ in visible_ids if id_ not in value]
        elif name == "filter_domain" and isinstance(value, list):
            terms = [tuple(term) if isinstance(term, list) else term for term in value]
            vals[name] = repr(terms) if terms else False
        else:
            vals[name] = value
    if not record:
        record = record.create(vals)
    elif vals:
        record.write(vals)
    for name, texts in translations.items():
        for lang, text in texts.items():
            translated = record.with_context(lang=lang)
            if translated[name] != text:
                translated[name] = text
    return record


# ----------------------------------------------------------------------
# Exporting
# ----------------------------------------------------------------------


def export(env):
    """:return: the set-up as text, in the same order whatever language the user reads"""
    stages = get_env(env)["crm.stage"].with_context(lang="en_US", active_test=False).search([])
    content = {"product": PRODUCT, "version": VERSION, "stages": [_export_stage(stage) for stage in stages]}
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _export_stage(stage):
    automations = [_encode(automation) for automation in stage.automation_ids]
    automations.sort(key=lambda item: (item["sequence"], item["trigger"], json.dumps(item)))
    xml_id = {"id": get_reference(stage).get("id")}
    return {**xml_id, **_encode(stage), "automations": automations}


def _encode(record):
    """:return: the values of a stage or an automation as the file has them"""
    values = read(record)
    for name, value in values.items():
        field = record._fields[name]
        if field.comodel_name == "crm.stage.askable.field":
            values[name] = sorted(record[name].browse(value).mapped("name"))
        elif field.relational:
            references = [get_reference(linked) for linked in record[name].browse(value)]
            references.sort(key=lambda reference: json.dumps([reference.get("name"), reference]))
            values[name] = references if field.type == "many2many" else next(iter(references), None)
        elif name == "filter_domain" and record.model_name and isinstance(value, list):
            values[name] = condition.replace_named(record.env[record.model_name], value, _encode_item)
        elif field.type != "boolean" and value is False:
            values[name] = None
    return values


def _encode_item(model, item):
    return get_reference(model.browse(item)) if type(item) is int and item > 0 else item


def get_reference(record):
    """
    :return: what another database finds ``record`` by: its external id, if it is one of an addon; otherwise
        its model; and its names by language, as far as the user may see it
    """
    if record._name in PRIVATE_MODELS:
        return {"model": record._name}
    xml_ids = [xml_id for xml_id in record._get_external_ids()[record.id] if not xml_id.startswith("__")]
    # Odoo's stages, which the default ones may have taken over, are others elsewhere.
    xml_ids.sort(key=lambda xml_id: (not xml_id.startswith(f"{PRODUCT}."), xml_id))
    reference = {"id": xml_ids[0]} if xml_ids else {"model": record._name}
    if record._rec_name and (visible := record.exists()._filtered_access("read")):
        names = get_translations(visible, record._rec_name)
        english = names["en_US"]
        differing = {lang: name for lang, name in names.items() if lang == "en_US" or name != english}
        reference["name"] = differing if len(differing) > 1 else english
    return reference


# ----------------------------------------------------------------------
# Importing
# ----------------------------------------------------------------------


def parse(env, data):
    """
    :param data: of a binary field
    :return: the stages of the file; how they are written is looked at one by one
    :raise UserError: this is no file of ours, or one that cannot be imported here; with what to do
    """
    if len(data or b"") > MAX_SIZE * 4 / 3:
        raise UserError(env._("This file is too large for a set-up. Choose one that Export Set-Up has made."))
    try:
        content = json.loads(base64.b64decode(data or b""))
        text = json.dumps(content, ensure_ascii=False)
        text.encode()  # what the database cannot store
        version, stages = content["version"], content["stages"]
        items = [*stages, *(automation for stage in stages for automation in stage.get("automations") or ())]
        is_ours = content["product"] == PRODUCT and type(version) is int and "\\u0000" not in text
        is_ours = is_ours and isinstance(stages, list) and all(isinstance(item, dict) for item in items)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        is_ours = False
    if not is_ours:
        raise UserError(
            env._("This is no set-up of a pipeline. Choose a file that Export Set-Up has made, as it is.")
        )
    if version > VERSION:
        raise UserError(
            env._(
                "This file was made by a newer version of Sales Stages. Have an administrator update it "
                "here, then try again."
            )
        )
    if not items or len(items) > MAX_ITEMS:
        raise UserError(
            env._(
                "This file has %(count)s stages and automations: at least one is needed, and %(most)s are "
                "the most.",
                count=len(items),
                most=MAX_ITEMS,
            )
        )
    return stages


def match_stages(env, items):
    """
    :param items: stages of the file
    :return: for each of them, the stage that it is here, an empty one where it is new; None where the file
        has it twice
    """
    stages = env["crm.stage"].with_context(active_test=False).search([])
    names = {stage: set(get_translations(stage, "name").values()) for stage in stages}
    seen, found = set(), []
    for item in items:
        keys = {("id", item["id"])} if isinstance(item.get("id"), str) else set()
        if its_names := get_names(item):
            keys.add(("name", frozenset(its_names), json.dumps(item.get("team_ids"))))
        found.append(None if keys & seen else _find_by_xml_id(stages, item.get("id")))
        seen |= keys
    for number, item in enumerate(items):
        if found[number] is not None and not found[number]:
            free = [stage for stage in stages if stage not in found and names[stage] & get_names(item)]
            found[number] = free[0] if free else stages.browse()
    return [stage and stage.with_env(env) if stage is not None else None for stage in found]


def get_names(item, lang=None):
    """:return: set of the names of a stage or a reference of the file, in all languages, or in ``lang``"""
    names = item.get("name")
    if not isinstance(names, dict):
        names = {lang: names}
    names = [names.get(lang)] if lang else names.values()
    return {name for name in names if isinstance(name, str) and name.strip()}


def get_keys(item):
    """:return: set of what a stage of the file is named by in it: its external id and its names"""
    xml_id = item.get("id")
    return get_names(item) | ({xml_id} if isinstance(xml_id, str) else set())


def _find_by_xml_id(model, xml_id):
    """:return: the record of ``model`` that has this external id, if the user may see it; or none"""
    if not isinstance(xml_id, str) or not re.fullmatch(r"\w+\.[\w.-]+", xml_id):
        return model.browse()
    name, res_id = model.env["ir.model.data"]._xmlid_to_res_model_res_id(xml_id)
    return model.browse(res_id if name == model._name else ()).exists()._filtered_access("read")


class Reader:
    """Reads a stage or an automation of the file."""

    def __init__(self, model, known):
        """:param known: stages of the file that are here, by external id and by each of their names"""
        self.model, self.env, self.known = model, model.env, known
        self.missing = []  # what is not there in this database, in words

    def read_item(self, item):
        """
        :return: the values of ``item`` for ``write``; those that are missing are not in there
        :raise UserError: one of them cannot be
        """
        values = {}
        for name, value in item.items():
            field = self.model._fields.get(name)
            if name in ("id", "automations"):
                continue
            if name not in FIELDS[self.model._name] or field is None:
                if value:
                    self.missing.append(self.env._('the field "%s"', name))
            elif field.relational:
                self._read_links(values, field, value)
            elif name == "filter_domain":
                values[name] = self._read_condition(item.get("trigger"), value)
            elif field.translate:
                values[name] = self._read_translations(field, value)
            elif name == "trigger" and isinstance(value, str) and value not in field.get_values(self.env):
                self.missing.append(self.env._('the trigger "%s", which an addon brings', value))
            else:
                values[name] = self._read_plain(field, value)
        return values

    def _read_plain(self, field, value):
        types = JSON_TYPES.get(field.type, (str,))
        if value is None and types == (str,):
            return False
        is_possible = type(value) in types
        if is_possible and field.type in ("integer", "float"):
            is_possible = -(2**31) < value < 2**31
        elif is_possible and field.type == "selection":
            is_possible = value in field.get_values(self.env)
        if not is_possible:
            raise self._get_error(field, value)
        if field.type == "char" and len(value) > MAX_NAME:
            values = {"field": self._get_field_label(field), "most": MAX_NAME}
            raise UserError(
                self.env._('"%(field)s" is too long: %(most)s characters are the most.', **values)
            )
        return value

    def _read_translations(self, field, value):
        texts = value.values() if isinstance(value, dict) else ()
        if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
            raise self._get_error(field, value)
        texts = {lang: self._read_plain(field, text) for lang, text in value.items()}
        here = {lang: texts[lang] for lang in get_languages(self.env) if lang in texts}
        return here or {"en_US": next(iter(texts.values()))}

    def _get_error(self, field, value):
        text = json.dumps(value, ensure_ascii=False)
        values = {
            "field": self._get_field_label(field),
            "value": text if len(text) < 60 else f"{text[:60]}…",
        }
        return UserError(
            self.env._(
                '"%(field)s" cannot be %(value)s. Change it where the file comes from, and export it again.',
                **values,
            )
        )

    def _get_field_label(self, field):
        return field.get_description(self.env, ["string"])["string"]

    def _read_links(self, values, field, value):
        """Complete ``values``; where nothing of what the file names is here, the field stays as it is."""
        references = value if isinstance(value, list) else [value] if value else []
        comodel = self.env[field.comodel_name]
        domain = Domain(field.domain(self.model) if callable(field.domain) else field.domain)
        found = [self._find(comodel, reference, domain) for reference in references]
        linked = comodel.union(*found)
        if linked or not references:
            values[field.name] = sorted(linked.ids)

    def _read_condition(self, trigger, value):
        model_name = self.model._get_model_names().get(trigger, (None,))[0]
        if not isinstance(value, list) or not model_name:
            return str(value) if value else []

        def replace(model, item):
            if isinstance(item, dict):
                return self._find(model, item).id
            if type(item) is int and item > 0:  # an id, of whatever database
                raise ValueError(item)
            return item

        def note_unknown(model, path):
            values = {"field": path, "model": self._get_label(model)}
            self.missing.append(self.env._('the field "%(field)s" (%(model)s)', **values))

        return condition.replace_named(self.env[model_name], value, replace, note_unknown)

    def _find(self, model, reference, domain=Domain.TRUE):
        """:return: the one record that ``reference`` names and the user may see; otherwise it is missing"""
        if model._name == "crm.stage.askable.field":
            found, names = model.search([("name", "=", str(reference))]), [reference]
        else:
            names = get_names(reference)
            found = self._find_stage(reference) if model._name == "crm.stage" else model
            found = found or _find_by_xml_id(model, reference.get("id")).filtered_domain(domain)
            found = found or self._find_by_name(model, reference, domain)
        if len(found) == 1:
            return found
        label = self._get_label(model)
        name = next(iter(sorted(names)), None)
        if len(found) > 1:
            text = self.env._('%(model)s "%(name)s": there are several', model=label, name=name)
        elif name:
            text = self.env._('%(model)s "%(name)s"', model=label, name=name)
        else:
            text = self.env._("%s, which the file does not name", label)
        self.missing.append(text)
        return model

    def _find_stage(self, reference):
        keys = get_keys(reference) & self.known.keys()
        by_xml_id = self.known[reference["id"]] if reference.get("id") in keys else None
        return by_xml_id or self.env["crm.stage"].union(*(self.known[key] for key in keys))

    def _find_by_name(self, model, reference, domain):
        names, field = get_names(reference), model._fields.get(model._rec_name)
        if not names or reference.get("model", model._name) != model._name:
            return model
        if field is None or not field._description_searchable or not model.has_access("read"):
            return model
        domain = Domain(field.name, "in", list(names)) & domain
        found = (model.with_context(lang=lang).search(domain) for lang in get_languages(self.env))
        return model.union(*found).with_env(self.env)

    def _get_label(self, model):
        # sudo: only for its name
        return self.env["ir.model"].sudo()._get(model._name).name
