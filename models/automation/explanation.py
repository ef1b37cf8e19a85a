"""Why an opportunity is in its stage, and why no automation has taken it further.

The reasons are what moving filters by, asked one after the other: there are no other rules. Nothing is
written.
"""

from contextlib import nullcontext
from datetime import timedelta
from functools import partial

import psycopg2

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain
from odoo.tools import format_date

from . import condition, sentence
from .fault import get_reason

# Documents whose date is further away are not waited for.
FAR = timedelta(days=36500)

# Rows of the journal that say that an automation has moved the opportunity
MOVED_STATES = ("done", "undone")


def explain(lead):
    """
    :param lead: an opportunity, in the environment of the reader, who may read it
    :return: see ``crm.lead.get_stage_explanation``
    """
    # sudo: readers of the opportunity need see neither automations nor their journal nor the history. What is
    # returned of them, and of documents, names only what the reader may see.
    automations = lead.env["crm.stage.automation"].sudo().with_context(active_test=False)
    ordered_ids = automations.env["crm.stage"]._get_ordered_ids()
    automations = automations.search_fetch([], order="sequence, id").sorted(
        lambda automation: ordered_ids.index(automation.stage_id.id)
    )
    journal = automations.env["crm.stage.automation.move"]
    moves = journal.search_fetch([("lead_id", "=", lead.id)], order="id desc")
    savepoint = partial(lead.env.cr.savepoint, flush=False)
    try:
        with savepoint():
            found = {automation: Reason(automation, lead, moves) for automation in automations}
    except psycopg2.Error:  # The database cannot evaluate a condition: each is asked by itself.
        found = {automation: Reason(automation, lead, moves, savepoint) for automation in automations}
    moving = [automation for automation in automations._get_at_work() if found[automation].name == "moves"]
    for automation in moving[1:]:
        found[automation].set("further", other=moving[0])
    is_manager = automations.sudo(False).has_access("write")
    return {
        "stays": _get_stays(lead, moves),
        "automations": [found[automation].format() for automation in automations],
        "can_open": is_manager,
        "can_move": is_manager and lead.has_access("write"),
    }


def _get_stays(lead, moves):
    """:return: the stays of the opportunity, the first one first"""
    stays = moves.env["crm.stage.stay"].with_context(lang=lead.env.lang)
    stays = stays.search_fetch([("lead_id", "=", lead.id)], order="date_entered, id")
    labels = dict(stays._fields["moved_by"]._description_selection(lead.env))
    causes = {(move.automation_id, move.date): move for move in moves}
    found = []
    for stay in stays:
        cause = causes.get((stay.automation_id, stay.date_entered))
        found.append(
            {
                "stage": stay.stage_id.name or stay.stage_name,
                "entered": stay.date_entered,
                "left": stay.date_left,
                "moved_by": stay.mover_id.name or labels.get(stay.moved_by, ""),
                "automation": _get_name(stay.automation_id, lead.env) if stay.automation_id else False,
                "document": _get_document(lead, cause and cause.document_id, cause and cause.model_name),
            }
        )
    return found


def _get_name(automation, env):
    """:return: what the automation does, as a sentence without names that the reader may not see"""
    automation = automation.with_context(lang=env.lang)
    return sentence.get_sentence(automation, sentence.get_condition_text(automation, env))


def _get_document(lead, document_id, model_name):
    """:return: ``{"model", "id", "name"}`` of a document, which is none that the reader may not see"""
    if not document_id or model_name == lead._name:
        return False
    document = lead.env[model_name].browse(document_id).exists()
    if document and document.has_access("read"):
        return {"model": model_name, "id": document_id, "name": document.display_name}
    return {"model": False, "id": False, "name": lead.env._("a document that you may not see")}


class Reason:
    """The first reason why an automation has not taken an opportunity further, and the words for it."""

    def __init__(self, automation, lead, moves, savepoint=None):
        """
        :param lead: in the environment of the reader
        :param moves: the journal of the opportunity, the last move first
        :param savepoint: returns a context manager, within which the database may fail
        :raise psycopg2.Error: the database cannot evaluate the condition, and there is no savepoint
        """
        self.automation = automation.with_env(automation._get_moving_env())
        self.lead, self.env = lead, lead.env
        own = moves.filtered(lambda move: move.automation_id == automation)
        self.moves = own.with_env(self.automation.env)
        # Of a field, a record or an author that is gone
        failures = (UserError, ValueError, KeyError, *([psycopg2.Error] if savepoint else []))
        try:
            with savepoint() if savepoint else nullcontext():
                self._find(self.automation.env["crm.lead"].browse(lead.id))
        except failures as error:
            self.set("faulty", fault=get_reason(error))

    def set(self, name, **values):
        """:param values: what the text is made of"""
        self.name, self.values = name, values

    def format(self):
        """:return: one of the ``automations`` of ``crm.lead.get_stage_explanation``"""
        document = self.values.get("document")
        self.shown = document is not None and _get_document(self.lead, document.id, document._name)
        return {
            "id": self.automation.id,
            "name": _get_name(self.automation, self.env),
            "reason": self.name,
            "text": getattr(self, f"_get_{self.name}_text")(**self.values),
            "document": self.shown,
        }

    # ------------------------------------------------------------------
    # Which one it is
    # ------------------------------------------------------------------

    def _find(self, lead):
        """Set the first reason that holds."""
        automation = self.automation
        if automation not in automation._get_at_work():
            return self.set("idle")
        if automation.fault:
            return self.set("faulty", fault=automation.fault)
        for name, domain in automation._get_movable_domains().items():
            if not lead.filtered_domain(domain):
                return self.set(name)
        if move := self._find_taken_back():
            return self.set("taken_back", move=move)
        happened = self._find_documents(lead)
        if not happened:
            return self.set("no_document")
        meeting = automation._filter_meeting(happened)
        if not meeting:
            return self.set("condition", document=happened[-1])
        if not automation._filter_unprotected(lead):
            return self.set("order")
        due = automation._filter_due(meeting)
        if not due:
            return self.set("not_yet", documents=meeting)
        return self._find_when(due)

    def _find_taken_back(self):
        """:return: the last time that it moved the opportunity, which is not where it was moved any more"""
        automation = self.automation
        move = self.moves.filtered(lambda move: move.state in MOVED_STATES)[:1]
        if not move or not automation.is_in_time:
            return move
        document = automation.env[automation.model_name].browse(move.document_id).exists()
        date = document._get_crm_stage_dates(automation.trigger).get(document.id)
        return move.browse() if automation._is_later(date, move.document_date) else move

    def _find_documents(self, lead):
        """:return: documents that the trigger has happened to, or that will fall due, in the order of ids"""
        automation = self.automation
        model = automation.env[automation.model_name].with_context(active_test=False)
        documents = lead
        # Opportunities have always been in their stage, and without news, since some time.
        if model._name != lead._name or model._get_crm_stage_trigger_dates().get(automation.trigger, True):
            domain = automation._get_happened_domain(until=fields.Datetime.now() + FAR)
            documents = model.search(domain & model._get_crm_stage_lead_domain(lead), order="id")
        pairs = automation._filter_newer([(document, lead) for document in documents])
        return documents.browse([document.id for document, leads in pairs if leads])

    def _find_when(self, due):
        """Set whether it would be moved now, or what happened before the automation listened."""
        automation = self.automation
        if self.moves.filtered(lambda move: move.state == "waiting"):
            return self.set("moves", document=due[-1])
        dates = due._get_crm_stage_dates(automation.trigger if automation.is_in_time else None)
        if automation.is_in_time:
            since = Domain("id", "in", due.ids) & automation._get_happened_domain(automation.date_begun)
            new = due.with_context(active_test=False).search(since, order="id")
            new = automation._filter_unhandled(new, dates)
        else:
            begun = automation.date_begun
            new = due.filtered(lambda document: (date := dates.get(document.id)) and date > begun)
        if new:
            return self.set("moves", document=new[-1])
        return self.set("before", document=due[-1])

    # ------------------------------------------------------------------
    # In words
    # ------------------------------------------------------------------

    def _format_date(self, date):
        return format_date(self.env, fields.Datetime.context_timestamp(self.lead, date))

    def _get_idle_text(self):
        if not self.automation.active:
            return self.env._("This automation is archived.")
        return self.env._("Its stage is archived.")

    def _get_faulty_text(self, fault):
        if self.env["crm.stage.automation"].has_access("read"):
            return fault.partition("\n")[0]
        return self.env._("This automation does not work at the moment.")

    def _get_team_text(self):
        values = {"stage": self.automation.stage_id.with_context(lang=self.env.lang).name}
        if not (team := self.lead.sudo().team_id.with_env(self.env)):
            return self.env._('It has no sales team, and the stage "%(stage)s" belongs to some.', **values)
        (name,) = sentence.get_record_names(team)
        return self.env._('The sales team %(team)s has no stage "%(stage)s".', team=name, **values)

    def _get_closed_text(self):
        if self.lead.type == "lead":
            return self.env._("It is a lead, no opportunity.")
        texts = {"won": self.env._("It is won."), "lost": self.env._("It is lost.")}
        return texts.get(self.lead.won_status) or self.env._("It is archived.")

    def _get_stage_text(self):
        automation = self.automation.with_context(lang=self.env.lang)
        if automation.from_stage_ids:
            return self.env._('It takes opportunities from "%s" only.', sentence.get_origins(automation))
        if self.lead.stage_id == automation.stage_id:
            return self.env._("It is in this stage already.")
        return self.env._("It is in a later stage already.")

    def _get_taken_back_text(self, move):
        if move.state == "undone":
            return self.env._("Moving it was undone on %s.", self._format_date(move.date))
        moved = self._format_date(move.date)
        stays = move.env["crm.stage.stay"]
        later = [("lead_id", "=", self.lead.id), ("date_entered", ">", move.date)]
        back = stays.search(later, order="date_entered, id", limit=1)
        if back.moved_by != "hand":
            return self.env._("It moved it on %s; it was moved back since.", moved)
        values = {"moved": moved, "back": self._format_date(back.date_entered)}
        return self.env._("It moved it on %(moved)s; it was moved back by hand on %(back)s.", **values)

    def _get_no_document_text(self):
        model = self.env[self.automation.model_name]
        return model._get_crm_stage_absence_text(self.automation.trigger)

    def _get_condition_text(self, document):
        if self.shown and not self.shown["model"]:
            return self.env._("A document that you may not see does not meet the condition.")
        term = condition.find_unmet(self.automation, document)
        visible = document.with_env(self.env)
        values = {"document": self.shown["name"] if self.shown else self.lead.name}
        if term is None:
            return self.env._("The user who set the condition may not see %(document)s.", **values)
        text = sentence.get_domain_text(visible, term)
        if not text:
            return self.env._("%(document)s does not meet the condition.", **values)
        values["condition"] = text
        try:
            value = sentence.get_value_text(visible, term)
        except AccessError:
            value = None
        if value is None:
            return self.env._("%(document)s does not meet this: %(condition)s.", **values)
        values["value"] = value
        return self.env._("%(document)s does not meet this: %(condition)s. It has: %(value)s.", **values)

    def _get_order_text(self):
        if self.automation.outcome == "lost":
            return self.env._("A confirmed order, or another open quotation, keeps it from being lost.")
        return self.env._("It has a confirmed order, and stays won.")

    def _get_not_yet_text(self, documents):
        automation = self.automation
        date = documents._get_crm_stage_due_date(
            automation.trigger, automation.days, automation.is_working_days
        )
        if not date or date <= fields.Datetime.now():
            return self.env._("It is not due while something is planned.")
        if automation.trigger == "no_news":
            return self.env._("It falls due on %s, unless there is news.", self._format_date(date))
        return self.env._("It falls due on %s.", self._format_date(date))

    def _get_before_text(self, document):
        passed = self.moves.filtered(lambda move: move.state == "skipped")[:1]
        if passed:
            labels = dict(passed._fields["reason"]._description_selection(self.env))
            values = {"date": self._format_date(passed.date), "reason": labels[passed.reason]}
            return self.env._("It was passed over on %(date)s: %(reason)s.", **values)
        begun = self._format_date(self.automation.date_begun)
        return self.env._("It happened before the automation began to count, on %s.", begun)

    def _get_further_text(self, other):
        return self.env._("Another automation takes it further: %s", _get_name(other, self.env))

    def _get_moves_text(self, document):
        if self.automation.is_in_time or self.moves.filtered(lambda move: move.state == "waiting"):
            return self.env._("It is moved by the scheduled job, within the hour.")
        return self.env._("It would be moved now.")
