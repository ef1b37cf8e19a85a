"""Importing the set-up of a pipeline: what it would do is shown first, and can be undone afterwards."""

import logging
import re
from dataclasses import dataclass, field
from typing import Any

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command, Domain
from odoo.tools import format_list

from ..models.automation import sentence
from ..tools import CONFLICTS, attempt, get_button, get_done_action
from . import setup_file

_logger = logging.getLogger(__name__)

# Automations of a stage that say the same of these are one
IDENTITY = ("trigger", "days", "is_working_days", "from_stage_ids", "outcome", "lost_reason_id")
IDENTITY += ("filter_domain",)

# What a line about a new stage leaves out
UNTOLD = ("name", "sequence", "color", "active")

# Characters of a value that a line shows
MAX_LENGTH = 100


class RehearsedError(Exception):
    """All that can be imported was imported, and is to be taken back."""


@dataclass
class Entry:
    """A stage of the file, or an automation to that stage."""

    number: int
    kind: str
    item: dict
    record: Any  # what it is here: empty where it is new, None where the file has it twice
    stage: "Entry | None" = None
    taken_ids: set = field(default_factory=set)  # of automations that others of its stage are here

    @property
    def place(self):
        """Stages before automations; those that are archived last, when others stand in for them."""
        return self.kind == "automation", self.item.get("active") is False, self.number


class CrmStageImportWizard(models.TransientModel):
    _name = "crm.stage.import.wizard"
    _description = "Import the Set-Up of a Pipeline"
    _transient_max_hours = 24  # while undoing is possible

    data = fields.Binary("File", attachment=False, help="A file that Export Set-Up has made.")
    filename = fields.Char("File Name", help="How the file is called.")
    line_ids = fields.One2many(
        "crm.stage.import.wizard.line",
        "wizard_id",
        string="Stages and Automations",
        help="What importing does with each stage and automation of the file.",
    )
    summary = fields.Char(
        compute="_compute_summary", help="How many stages and automations are new, and so on."
    )

    @api.depends("line_ids.state")
    def _compute_summary(self):
        labels = self.line_ids._fields["state"]._description_selection(self.env)
        for wizard in self:
            groups = wizard.line_ids.grouped("state")
            counts = [
                self.env._("%(field)s: %(value)s", field=label, value=len(groups[state]))
                for state, label in labels
                if state in groups
            ]
            wizard.summary = ", ".join(counts)

    def action_read(self):
        """Import all that can be, take it back, and show what it was.

        :return: action that opens this dialog anew, with a line for each stage and automation
        :raise UserError: the file cannot be read
        """
        self.ensure_one()
        self.env["crm.stage"].check_access("write")
        with attempt(self.env, raised=CONFLICTS) as made:
            lines = self._process()
            raise RehearsedError
        if not isinstance(made.error, RehearsedError):
            raise made.error
        self.line_ids = [Command.clear(), *map(Command.create, lines)]
        action = self.env["ir.actions.act_window"]._for_xml_id("crm_sales_stage.crm_stage_import_action")
        return {**action, "res_id": self.id, "context": {"dialog_size": "extra-large"}}

    def action_apply(self):
        """Import the lines that have a tick, all of them or nothing.

        :return: action that shows what was done, with a button that undoes it
        :raise UserError: with the reason, when one of them cannot be imported
        """
        self.ensure_one()
        self.env["crm.stage"].check_access("write")
        ticked = self.line_ids.filtered("is_ticked")
        if not ticked:
            raise UserError(self.env._("Nothing is ticked: there is nothing to import."))
        done = {line["number"]: line for line in self._process(ticked.mapped("number"))}
        for line in ticked.filtered(lambda line: done[line.number]["res_id"]):
            line.write({name: done[line.number][name] for name in ("res_id", "before", "after")})
        message = self.env._("The set-up was imported.")
        action = "crm.crm_stage_action"
        if any(line["kind"] == "automation" and line["state"] == "new" for line in done.values()):
            action = "crm_sales_stage.crm_stage_automation_action"
            message += " " + self.env._("Its new automations are archived: look at each, and unarchive it.")
        undo = get_button(self.env._("Undo"), self._name, "action_undo", self.ids, reload=True)
        following = self.env["ir.actions.act_window"]._for_xml_id(action)
        return get_done_action(
            message, [undo], next={**following, "context": {"active_test": False}}, sticky=True
        )

    def action_undo(self):
        """Take back what was imported, as far as nobody has touched it since.

        :return: action that shows what stays
        """
        lines = self.exists().line_ids.filtered("res_id")
        if not lines:
            return get_done_action(self.env._("There is nothing to undo any more."), type="info")
        # Automations before their stages; and before stages go, those come back that stand in for them
        lines = lines.sorted(lambda line: (line.kind == "stage", not (line.before or {}).get("active")))
        staying = lines.filtered(lambda line: not line._undo())
        lines.res_id = False
        message = self.env._("The import was undone.")
        if staying:
            names = ", ".join(staying.mapped("name"))
            message += "\n" + self.env._("Left as they are, since they were changed or are in use: %s", names)
        return get_done_action(message, type="info", sticky=bool(staying))

    # ------------------------------------------------------------------
    # What is done, in the rehearsal as for good
    # ------------------------------------------------------------------

    def _process(self, ticked=None):
        """Import stages, then automations.

        :param list ticked: numbers of the lines that are imported; default: each that can be, by itself
        :return: values of these lines
        :raise UserError: the file, or one of ``ticked``, cannot be imported
        """
        env = setup_file.get_env(self.env)
        # A client may ask for the size of the file in place of it.
        items = setup_file.parse(env, self.with_context(bin_size=False, bin_size_data=False).data)
        known, lines, records = {}, {}, {}
        for entry in sorted(self._get_entries(env, items), key=lambda entry: entry.place):
            number = entry.number
            if ticked is None or number in ticked:
                lines[number], records[number] = self._process_entry(entry, known, is_tried=ticked is None)
            if entry.kind == "stage" and entry.record:
                for key in setup_file.get_keys(entry.item):
                    known[key] = known.get(key, entry.record) | entry.record
        for number, line in lines.items():
            line["after"] = line["res_id"] and setup_file.read(records[number])
        return [lines[number] for number in sorted(lines)]

    @api.model
    def _get_entries(self, env, items):
        """:return: the stages of the file, each with its automations"""
        entries = []
        for item, record in zip(items, setup_file.match_stages(env, items), strict=True):
            stage = Entry(len(entries), "stage", item, record)
            entries.append(stage)
            for automation in item.get("automations") or ():
                empty = env["crm.stage.automation"]
                entries.append(Entry(len(entries), "automation", automation, empty, stage))
        return entries

    @api.model
    def _process_entry(self, entry, known, is_tried):
        """
        :param bool is_tried: whether it is a rehearsal
        :return: values of its line, and the record that it is then
        """
        env = setup_file.get_env(self.env)
        model = env["crm.stage" if entry.kind == "stage" else "crm.stage.automation"]
        line = {"number": entry.number, "kind": entry.kind, "name": self._get_name(model, entry)}
        with attempt(env, raised=CONFLICTS) as made:
            values, record = self._import(model, entry, known)
        if made.error:
            text = self._explain(model, made.error)
            values, record = {"state": "refused", "text": text}, entry.record or model
        # What could only be imported otherwise than the file has it is not imported.
        is_obstacle = values["state"] == "refused" or values["state"] == "missing" and not record
        if is_obstacle and not is_tried:
            message = "\n".join((line["name"], values["text"]))
            raise UserError(message)
        entry.record = record
        return {"is_ticked": False, "res_id": False, "before": False, **line, **values}, record

    @api.model
    def _import(self, model, entry, known):
        """Create or change what ``entry`` says.

        :return: values of its line, and the record
        """
        env, notes = model.env, []
        if entry.record is None:
            raise UserError(env._("The file has this stage twice. Rename one of them where it comes from."))
        if entry.stage and not entry.stage.record:
            raise UserError(env._("It needs its stage, which is not here: import that, too."))
        reader = setup_file.Reader(model, known)
        values, record = reader.read_item(entry.item), entry.record
        if reader.missing:
            notes.append(env._("Missing here: %s.", format_list(env, reader.missing)))
        if entry.stage:
            if reader.missing:
                return {"state": "missing", "text": notes[0]}, record
            if entry.item.get("active") is False:
                notes.append(env._("It is archived where the file comes from."))
            values = self._complete(model, {**values, "stage_id": entry.stage.record.ids})
            record = self._find(model, values, entry.stage.taken_ids)
        before = setup_file.read(record) if record else {}
        if "name" in values:
            values["name"] = {**before.get("name", {}), **values["name"]}
        elif not entry.stage:
            raise UserError(env._("It has no name. Give it one where the file comes from."))
        changed = {
            name: value for name, value in values.items() if not before or value != before.get(name, value)
        }
        consequence = "" if entry.stage or not record else self._get_consequence(record, changed)
        notes += [consequence] if consequence else []
        if re.search(r"</?[a-z][^<>@]*>", str(changed.get("requirements")), re.IGNORECASE):
            notes.append(env._("Its requirements are plain text: take the HTML out of them afterwards."))
        told = self._get_told(entry, changed, before)
        words = self._get_words(record, told)
        state = "missing" if reader.missing else "new" if not record else "changed" if changed else "same"
        if changed:
            record = setup_file.write(record, changed)
            env.flush_all()
        for label, text in self._get_words(record, told).items():
            parts = {"field": label, "before": words.get(label), "value": text}
            if not before:
                notes.append(env._("%(field)s: %(value)s", **parts))
            elif parts["before"] != text:
                notes.append(env._("%(field)s: %(before)s → %(value)s", **parts))
        line = {
            "name": record.name,
            "state": state,
            "text": "\n".join(notes),
            # Winning or reopening opportunities takes a tick of one's own.
            "is_ticked": bool(changed) and not (consequence and "is_won" in changed),
            "is_possible": bool(changed),
            "res_id": bool(changed) and record.id,
            "before": {name: before[name] for name in changed} if before else False,
        }
        return line, record

    @api.model
    def _complete(self, automations, values):
        """:return: the values of an automation as they are stored, the usual ones where the file has none"""
        draft = automations.new({"stage_id": values["stage_id"][0], "trigger": values.get("trigger")})
        if not draft.trigger:
            raise UserError(automations.env._("It does not say when it moves opportunities."))
        usual = setup_file.read(draft)
        if not values.get("outcome"):
            values["outcome"] = usual["outcome"]
        if not draft.is_in_time:
            values.update(days=0, is_working_days=False)
        return {**usual, **values, "active": False}

    @api.model
    def _find(self, automations, values, taken_ids):
        """:return: the automation that says the same, and is no other line's; an empty one where it is new"""
        stage = [("stage_id", "in", values["stage_id"]), ("id", "not in", list(taken_ids))]
        for automation in automations.with_context(active_test=False).search(stage):
            present = setup_file.read(automation)
            if all(present[name] == values[name] for name in IDENTITY):
                taken_ids.add(automation.id)
                values["active"] = automation.active
                return automation.with_env(automations.env)
        return automations

    # ------------------------------------------------------------------
    # Words
    # ------------------------------------------------------------------

    @api.model
    def _get_name(self, model, entry):
        """:return: what a line is called while there is no record"""
        if entry.kind == "stage":
            names = setup_file.get_names(entry.item)
            own = setup_file.get_names(entry.item, self.env.lang)
            return min(own or names, default=self.env._("Stage without a name"))[:MAX_LENGTH]
        trigger = entry.item.get("trigger")
        labels = model._get_trigger_labels()
        event = labels.get(trigger, trigger[:MAX_LENGTH]) if isinstance(trigger, str) else "…"
        values = {"stage": self._get_name(model, entry.stage), "event": event}
        return self.env._('Move to "%(stage)s" when %(event)s', **values)

    @api.model
    def _explain(self, model, error):
        """:return: why something cannot be imported, and what to do"""
        if isinstance(error, UserError):
            return str(error)
        if isinstance(error, psycopg2.Error) and error.diag.table_name == model._table:
            return model._sql_error_to_message(error)
        _logger.info("A part of a set-up cannot be imported", exc_info=error)
        return self.env._(
            "It is not written as Export Set-Up writes it. Export it again where it comes from."
        )

    @api.model
    def _get_consequence(self, stage, changed):
        """:return: what the values ``changed`` of ``stage`` mean to the opportunities in it, if anything"""
        # sudo: a stage is shared by all companies; only their number is shown
        leads = stage.env["crm.lead"].sudo()
        if "is_won" in changed:
            count = leads.search_count([("stage_id", "=", stage.id)])
            return count and self.env._("Opportunities that are won, or open again, by this: %s.", count)
        if {"probability", "probability_mode"} & changed.keys():
            count = leads.search_count(stage._get_open_opportunities_domain())
            return count and self.env._(
                "Open opportunities that get another probability, unless theirs was set by hand: %s.", count
            )
        return ""

    @api.model
    def _get_told(self, entry, changed, before):
        """:return: names of the fields that the line tells: what changes; of a new stage, what it has"""
        if before:
            return list(changed)
        if entry.stage:
            return []  # its name says it all
        is_archived = not changed.get("active", True)
        told = [name for name, value in changed.items() if value and name not in UNTOLD]
        return [*told, "active"] if is_archived else told

    @api.model
    def _get_words(self, record, names):
        """:return: the values of these fields of ``record`` in words, by their labels"""
        words, languages = {}, dict(record.env["res.lang"].get_installed())
        for name in names:
            its_field = record._fields[name]
            label = its_field.get_description(record.env, ["string"])["string"]
            if its_field.translate:
                texts = setup_file.get_translations(record, name)
                words |= {
                    f"{label} ({languages[lang]})": text for lang, text in texts.items() if lang in languages
                }
            elif record:
                words[label] = sentence.get_value_text(record, Domain(name, "=", False))
        return {
            label: text if len(text) < MAX_LENGTH else f"{text[:MAX_LENGTH]}…"
            for label, text in words.items()
        }


class CrmStageImportWizardLine(models.TransientModel):
    _name = "crm.stage.import.wizard.line"
    _description = "Import the Set-Up of a Pipeline: a Stage or an Automation"
    _order = "number"
    _transient_max_hours = CrmStageImportWizard._transient_max_hours

    wizard_id = fields.Many2one("crm.stage.import.wizard", required=True, index=True, ondelete="cascade")
    number = fields.Integer(readonly=True, help="Its place in the file.")
    kind = fields.Selection(
        [("stage", "Stage"), ("automation", "Automation")],
        required=True,
        readonly=True,
        help="An automation stands below the stage that it moves opportunities to.",
    )
    name = fields.Char("Stage or Automation", readonly=True, help="What the file has.")
    state = fields.Selection(
        [
            ("new", "New"),
            ("changed", "Changed"),
            ("same", "The same"),
            ("missing", "Missing here"),
            ("refused", "Not possible"),
        ],
        "What Happens",
        required=True,
        readonly=True,
        help="New: it is created. Automations arrive archived, with you as their author.\n"
        "Changed: it is here, and is changed to what the file says.\n"
        "The same: it is here just so.\n"
        "Missing here: it names something that is not in this database. A stage is imported without it.\n"
        "Not possible: it cannot be imported.",
    )
    text = fields.Text(
        "In Detail", readonly=True, help="What changes, from what to what; or why it is not possible."
    )
    is_possible = fields.Boolean(readonly=True, help="Whether there is something to import.")
    is_ticked = fields.Boolean("Import", help="Whether it is imported.")
    res_id = fields.Integer(readonly=True, help="The stage or automation that was created or changed.")
    before = fields.Json(readonly=True, help="The values before of what was changed; none of what is new.")
    after = fields.Json(
        readonly=True, help="The values after importing, by which one sees that nobody touched it."
    )

    def _undo(self):
        """:return: whether what was imported is taken back"""
        env = setup_file.get_env(self.env)
        model = env["crm.stage" if self.kind == "stage" else "crm.stage.automation"]
        record = model.browse(self.res_id).exists()
        if not record:
            return True
        if setup_file.read(record) != self.after:
            return False
        with attempt(env, raised=CONFLICTS) as made:
            if self.before:
                setup_file.write(record, self.before)
            elif not self._is_used(record):
                record.unlink()
            else:
                record.active = False
        return not made.error

    def _is_used(self, record):
        """:return: whether a stage or an automation has to be kept, though nobody changed it"""
        # sudo: what the user may not see uses it as well
        env = record.sudo().with_context(active_test=False).env
        if self.kind == "automation":
            return bool(record.sudo().move_ids)
        automations = ["|", ("stage_id", "=", record.id), ("from_stage_ids", "=", record.id)]
        in_use = env["crm.stage.automation"].search_count(automations)
        return (
            in_use
            or env["crm.stage.stay"].search_count(
                ["|", ("stage_id", "=", record.id), ("next_stage_id", "=", record.id)]
            )
            or record._get_contents()
        )
