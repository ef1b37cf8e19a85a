import logging
from contextlib import contextmanager
from datetime import timedelta

import psycopg2
from markupsafe import Markup

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import clean_context, format_list, ormcache, split_every
from odoo.tools.translate import LazyTranslate

from ...tools import (
    CONFLICTS,
    KEPT_CONTEXT,
    LISTENING,
    NOT_TRIED_AGAIN,
    ON,
    attempt,
    by_count,
    forget,
    get_button,
    get_done_action,
)
from ..history.crm_stage_stay import MOVED_BY
from ..trigger.crm_stage_trigger_mixin import LOSING_TRIGGERS
from ..trigger.mail_message import EMAIL_TRIGGERS
from . import condition, consequences, examples, fault, listening, sentence
from .crm_stage_automation_move import DONE
from .fault import AutomationError
from .ir_actions_server import RUNNING

_logger = logging.getLogger(__name__)
_lt = LazyTranslate(__name__)

# Opportunities that are moved at once, by the user who applies an automation and by the scheduled jobs
BATCH = 200

# Ten years: nobody waits longer
MAX_DAYS = 3650

# What the form proposes for the triggers that mean nothing without days, in working days
USUAL_DAYS = {"stage_waiting": 10, "no_news": 10}

# How long undoing is offered
UNDO_DAYS = 7

# Of fewer moves, it says nothing how many of them were taken back
MANY_MOVES = 10

# Opportunities that a message names; of more, the first ones
MAX_NAMES = 10

# An automation whose value of one of these changes begins anew
BEGINNING_FIELDS = ("trigger", "days", "is_working_days", "active")

# What says whom an automation moves, and where
CONFIGURATION_FIELDS = {"stage_id", "filter_domain", "from_stage_ids", "outcome", "lost_reason_id"}
CONFIGURATION_FIELDS |= {"is_lost_included", *BEGINNING_FIELDS}


class CrmStageAutomation(models.Model):
    """Move an opportunity to a stage when something happens to one of its documents, or fails to happen.

    Documents announce what happens (``_process``); the hourly job asks what has fallen due (``_cron_due``);
    a manager applies an automation to what exists already (``action_catch_up``). All of these end in
    ``_move``, which runs the automation's own server action and writes the journal.
    """

    _name = "crm.stage.automation"
    _description = "Stage Automation"
    _order = "stage_id, sequence, id"
    _rec_names_search = ("stage_id.name",)

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
    active = fields.Boolean(default=True, help="An archived automation moves nothing.")
    sequence = fields.Integer(
        default=10,
        help="Of the automations that move to the same stage, the first one that matches is told in the "
        "chatter.",
    )
    stage_id = fields.Many2one(
        "crm.stage",
        required=True,
        index=True,
        ondelete="cascade",
        help="Stage that the opportunities are moved to.",
    )

    # When, and whom

    trigger = fields.Selection(
        selection="_selection_trigger",
        string="When",
        required=True,
        help="What must happen for opportunities to move. An e-mail counts as sent when it goes out to "
        "somebody outside of the company from the opportunity or one of its quotations, and as received when "
        "it comes in there by the mail gateway.",
    )
    trigger_groups = fields.Json(
        compute="_compute_trigger_groups",
        help="What can be chosen, by what it is about.",
    )
    model_name = fields.Char(
        string="Model",
        compute="_compute_model_name",
        help="Model of the document that the condition is about.",
    )
    is_in_time = fields.Boolean(
        compute="_compute_model_name",
        help="Whether the automation waits for a date or a time, instead of something that somebody does.",
    )
    days = fields.Integer(
        help="Opportunities are moved that many days after the date that counts. Dates without time count "
        "from the day after.",
    )
    is_working_days = fields.Boolean(
        "Working Days",
        help="Weekends, holidays and closing days in the working hours of the company do not count; without "
        "working hours, Saturdays and Sundays do not.",
    )
    date_begun = fields.Datetime(
        string="Counts Since",
        default=fields.Datetime.now,
        readonly=True,
        copy=False,
        help="When the automation was made, changed in what it listens to or waits for, or unarchived. What "
        "happened or fell due before is moved by applying it to existing documents.",
    )
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
    from_stage_ids = fields.Many2many(
        "crm.stage",
        string="Only from",
        help="Stages from which opportunities are moved, backward too, and won ones out of a won stage, "
        "unless they still have a confirmed order. Empty: from any earlier stage.",
    )
    is_lost_included = fields.Boolean(
        string="Lost Ones Too",
        compute="_compute_is_lost_included",
        store=True,
        readonly=False,
        help="Lost opportunities are restored, and moved to this stage. One that was lost in this stage or a "
        "later one stays in that stage, unless this automation says which stages it takes them from. Of the "
        "documents that exist already, only those that are newer than the loss bring an opportunity back.",
    )

    # What becomes of them

    outcome = fields.Selection(
        [("won", "Win the opportunity"), ("lost", "Lose the opportunity")],
        compute="_compute_outcome",
        store=True,
        readonly=False,
        help="Of final stages. Win: the opportunity moves to the stage and is won.\n"
        "Lose: it is lost as with Odoo's own button, and keeps its stage. One that has a confirmed order "
        "is left alone. When a quotation is cancelled or expires, so is one that has another quotation "
        "which is neither.",
    )
    lost_reason_id = fields.Many2one(
        "crm.lost.reason",
        compute="_compute_lost_reason_id",
        store=True,
        readonly=False,
        index="btree_not_null",
        ondelete="restrict",
        help="Why the opportunities are lost.",
    )
    action_server_id = fields.Many2one(
        "ir.actions.server",
        string="Server Action",
        readonly=True,
        copy=False,
        index=True,
        ondelete="set null",
        groups="base.group_system",
        help="Action that moves the opportunities to the stage. It is made, changed and deleted with the "
        "automation.",
    )

    consequence_text = fields.Text(
        string="What to Know",
        compute="_compute_consequence_text",
        help="What this automation changes for others, and they for it, and how many lost opportunities it "
        "may bring back.",
    )

    # What it did

    move_ids = fields.One2many(
        "crm.stage.automation.move",
        "automation_id",
        string="Moves",
        help="What this automation waits to move, moved, passed over and took back.",
    )
    moved_count = fields.Integer(
        "Moved",
        compute="_compute_move_counts",
        help="How many times it moved an opportunity in the last 12 months.",
    )
    taken_back_count = fields.Integer(
        "Taken Back",
        compute="_compute_move_counts",
        help="How many of these moves were taken back by hand within seven days.",
    )
    taken_back_text = fields.Char(
        "Often Taken Back",
        compute="_compute_move_counts",
        help="How many of its moves were taken back by hand, where it is more than a third of at least ten.",
    )
    rest_text = fields.Char(
        "At Rest",
        compute="_compute_rest_text",
        help="Why it moves nothing although it is not archived: its stage is.",
    )
    notice = fields.Char(
        "Worth a Look",
        compute="_compute_notice",
        help="That it is at rest, or how many of its moves were taken back by hand, where these are many.",
    )
    skipped_count = fields.Integer(
        "Passed Over",
        compute="_compute_move_counts",
        help="How many times an opportunity was due and could not be moved in the last 12 months.",
    )
    waiting_count = fields.Integer(
        "Waiting",
        compute="_compute_move_counts",
        help="How many opportunities the scheduled job has still to move.",
    )
    undoable_count = fields.Integer(
        "Opportunities That Can Be Moved Back",
        compute="_compute_applied_counts",
        help="How many opportunities were moved when it was applied to existing documents the last time.",
    )
    undo_note = fields.Text(
        compute="_compute_undo_note",
        help="What undoing takes away of what was planned on arrival, and what it cannot take back.",
    )
    catch_up_progress = fields.Integer(
        "Progress (%)",
        compute="_compute_applied_counts",
        help="Of the opportunities that there were to move when it was applied to existing documents, the "
        "share that the scheduled job is done with.",
    )
    fault = fields.Text(
        translate=True,
        readonly=True,
        copy=False,
        help="Why the automation could not do its work the last time, and what to do. It goes away when the "
        "automation works again, or when what it does is changed.",
    )
    fault_date = fields.Datetime(
        string="Faulty Since",
        readonly=True,
        copy=False,
        help="When the automation met this fault first.",
    )

    # ------------------------------------------------------------------
    # Fields
    # ------------------------------------------------------------------

    @api.depends("stage_id.name", "from_stage_ids.name", "lost_reason_id.name", *CONFIGURATION_FIELDS)
    @api.depends_context("lang", "uid", "allowed_company_ids")
    def _compute_name(self):
        for automation in self:
            condition_text = sentence.get_condition_text(automation)
            automation.name = sentence.get_sentence(automation, condition_text)
            automation.event_text = sentence.get_text_in_stage(automation, condition_text)

    @api.model
    def _get_document_models(self):
        """:return: [model, ...] of all that joined the trigger mixin"""
        names = self.env.registry.descendants(["crm.stage.trigger.mixin"], "_inherit")
        return [self.env[name] for name in names if not self.env[name]._abstract]

    @api.model
    def _selection_trigger(self):
        return list(self._get_trigger_labels().items())

    @api.model
    @ormcache("self.env.lang")
    def _get_trigger_labels(self):
        """:return: what continues "Move an opportunity here when", by trigger"""
        labels = (model._get_crm_stage_triggers() for model in self._get_document_models())
        return {trigger: label for its_labels in labels for trigger, label in its_labels.items()}

    @api.model
    @ormcache()
    def _get_model_names(self):
        """:return: ``{trigger: (model name of its documents, whether it waits for a date or a time)}``"""
        return {
            trigger: (model._name, trigger in model._get_crm_stage_trigger_dates())
            for model in self._get_document_models()
            for trigger in model._get_crm_stage_triggers()
        }

    @api.depends_context("lang")
    def _compute_trigger_groups(self):
        self.trigger_groups = self._get_trigger_groups()

    @api.model
    def _get_trigger_groups(self):
        """:return: ``[{"label", "triggers"}, …]``: quotations first, what waits for a date or a time last"""
        labels = {
            "sale.order": self.env._("Quotation"),
            "calendar.event": self.env._("Meeting"),
            "mail.activity": self.env._("Activity"),
            "mail.message": self.env._("E-Mail"),
            "crm.lead": self.env._("Opportunity"),
        }
        groups = {model_name: [] for model_name in labels}
        in_time = []
        for trigger, (model_name, is_in_time) in self._get_model_names().items():
            model_name = "mail.message" if trigger in EMAIL_TRIGGERS else model_name
            (in_time if is_in_time else groups.setdefault(model_name, [])).append(trigger)
        found = [
            # sudo: only for the name of another addon's model
            {"label": labels.get(name) or self.env["ir.model"].sudo()._get(name).name, "triggers": triggers}
            for name, triggers in groups.items()
        ]
        return [*found, {"label": self.env._("Time"), "triggers": in_time}]

    @api.depends("trigger")
    def _compute_model_name(self):
        names = self._get_model_names()
        for automation in self:
            automation.model_name, automation.is_in_time = names.get(automation.trigger, (False, False))

    @api.depends("author_id.active", "author_id.share", "filter_domain")
    def _compute_is_author_gone(self):
        # sudo: whether a user is active is no secret, and users may be another company's
        for automation in self:
            author = automation.sudo().author_id
            is_there = author.id == SUPERUSER_ID or (author.active and not author.share)
            automation.is_author_gone = bool(automation.filter_domain) and not is_there

    @api.depends("stage_id", "trigger")
    def _compute_outcome(self):
        for automation in self:
            automation.outcome = automation._get_proposed_outcome()

    @api.depends("outcome")
    def _compute_lost_reason_id(self):
        for automation in self:
            automation.lost_reason_id = automation.outcome == "lost" and automation.lost_reason_id

    @api.depends("outcome")
    def _compute_is_lost_included(self):
        for automation in self:
            automation.is_lost_included = automation.outcome != "lost" and automation.is_lost_included

    def _get_proposed_outcome(self):
        """:return: what the trigger proposes where the stage is final"""
        if not self.stage_id.is_won or not self.trigger:
            return False
        return "lost" if self.trigger in LOSING_TRIGGERS else "won"

    @api.depends("sequence", *CONFIGURATION_FIELDS)
    @api.depends_context("lang", "uid", "allowed_company_ids")
    def _compute_consequence_text(self):
        for automation in self:
            automation.consequence_text = consequences.get_text(automation)

    @api.onchange("trigger")
    def _onchange_trigger_days(self):
        if not self.is_in_time:
            self.days, self.is_working_days = 0, False
            return
        if not self.days:
            self.days = USUAL_DAYS.get(self.trigger, 0)
        if self.trigger in USUAL_DAYS:
            self.is_working_days = True

    @api.depends("move_ids.state", "move_ids.date")
    @api.depends_context("lang", "uid", "allowed_company_ids")
    def _compute_move_counts(self):
        moves = self.env["crm.stage.automation.move"]
        own = Domain("automation_id", "in", self.ids)
        last_year = own & Domain("date", ">=", "-1y")
        counts = self._count_moves(last_year)
        taken_back = dict(
            moves._read_group(last_year & Domain("is_taken_back", "=", True), ["automation_id"], ["__count"])
        )
        for automation in self:
            known = automation._origin
            automation.moved_count = moved = counts.get((known, "done"), 0)
            automation.skipped_count = counts.get((known, "skipped"), 0)
            automation.waiting_count = counts.get((known, "waiting"), 0)
            automation.taken_back_count = back = taken_back.get(known, 0)
            values = {"back": back, "moved": moved}
            text = self.env._("%(back)s of %(moved)s were moved back by hand.", **values)
            automation.taken_back_text = moved >= MANY_MOVES and 3 * back > moved and text

    @api.depends("active", "stage_id.active")
    @api.depends_context("lang")
    def _compute_rest_text(self):
        for automation in self:
            is_at_rest = automation.active and automation.stage_id and not automation.stage_id.active
            automation.rest_text = self.env._("At rest: its stage is archived.") if is_at_rest else False

    @api.depends("rest_text", "taken_back_text")
    def _compute_notice(self):
        for automation in self:
            automation.notice = automation.rest_text or automation.taken_back_text

    @api.depends("move_ids.state", "move_ids.date", "move_ids.is_applied", "move_ids.is_being_undone")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_applied_counts(self):
        own = Domain("automation_id", "in", self.ids)
        applied = self._count_moves(own & self._get_applied_domain())
        for automation in self:
            known = automation._origin
            automation.undoable_count = applied.get((known, "done"), 0)
            total = sum(applied.get((known, state), 0) for state in ("waiting", "done", "skipped"))
            waiting = applied.get((known, "waiting"), 0)
            automation.catch_up_progress = 100 - round(100 * waiting / (total or 1))

    @api.depends("undoable_count")
    @api.depends_context("lang", "uid", "allowed_company_ids")
    def _compute_undo_note(self):
        is_followed = DONE & self.env["crm.stage.automation.move"]._get_followed_domain()
        for automation in self:
            automation.undo_note = self._get_undo_note(automation._origin._get_applied(is_followed))

    @api.model
    def _count_moves(self, domain):
        """:return: ``{(automation, state): number}`` of the moves that the user may see and that match"""
        groups = self.env["crm.stage.automation.move"]._read_group(
            domain, ["automation_id", "state"], ["__count"]
        )
        return {(automation, state): count for automation, state, count in groups}

    # ------------------------------------------------------------------
    # Constraints
    # ------------------------------------------------------------------

    @api.constrains("filter_domain", "trigger")
    def _check_filter_domain(self):
        # Odoo checks constraints with the system's rights; here those of the writing user are the point.
        for automation in self.with_user(self.env.user):
            condition.check(automation)
            if (
                automation.trigger == "opportunity_matches"
                and condition.parse(automation.filter_domain).is_true()
            ):
                raise ValidationError(
                    self.env._(
                        "Say what an opportunity has to meet: an automation that waits until it comes to "
                        "meet the condition needs a condition."
                    )
                )

    @api.constrains(*CONFIGURATION_FIELDS)
    def _check_move(self):
        """Refuse what would promise to move opportunities that are never moved.

        The server action refuses an outcome where the stage has none.
        """
        for automation in self:
            if error := automation._get_move_error():
                raise ValidationError(error)

    def _get_move_error(self):
        """:return: what of this automation cannot be, or moves no opportunities, and what to do"""
        if self.stage_id in self.from_stage_ids:
            return self.env._(
                'Opportunities cannot be moved from the stage "%s" to itself: take it out of the stages they '
                "come from.",
                self.stage_id.name,
            )
        if not 0 <= self.days <= MAX_DAYS:
            return self.env._("The number of days must be between 0 and %s.", MAX_DAYS)
        if self.outcome != "lost" and self.lost_reason_id:
            return self.env._(
                "Only opportunities that are lost have a lost reason: choose to lose them, or leave the "
                "reason empty."
            )
        won_stages = self.from_stage_ids.filtered("is_won")
        names = format_list(self.env, won_stages.mapped("name"), "or")
        if not self.active:
            return None
        if self.outcome == "lost" and self.is_lost_included:
            return self.env._('Lost opportunities are not lost again: untick "Lost Ones Too".')
        if self.outcome == "lost" and self.trigger == "order_confirmed":
            return self.env._("An opportunity with a confirmed order is not lost: choose to win it.")
        if self.outcome == "lost" and won_stages:
            return self.env._(
                "Automations do not lose won opportunities: take %s out of the stages they come from.", names
            )
        if self.trigger == "order_confirmed" and won_stages and not self.outcome:
            return self.env._(
                "Won opportunities with a confirmed order stay won: "
                "take %s out of the stages they come from.",
                names,
            )
        if self.is_lost_included and won_stages and won_stages == self.from_stage_ids:
            return self.env._(
                "Opportunities keep the stage where they were lost, which is never a won one: add the stages "
                'that they come from beside %s, or untick "Lost Ones Too".',
                names,
            )
        return None

    # ------------------------------------------------------------------
    # CRUD
    # ------------------------------------------------------------------

    @api.model
    def _has_field_access(self, field, operation):
        """Only the system writes what is stored and read-only, but not computed: the author, faults …"""
        is_for_system = field.store and field.readonly and not field.compute
        if is_for_system and operation == "write" and not self.env.su:
            return False
        return super()._has_field_access(field, operation)

    @api.model
    def default_get(self, fields):
        """Defaults that users set for themselves are no way to write it either."""
        may_write = self._has_field_access
        known = self._fields
        fields = [name for name in fields if name not in known or may_write(known[name], "write")]
        return super().default_get(fields)

    def copy_data(self, default=None):
        """A duplicate does the same as the original: it is to be changed, then unarchived."""
        return super().copy_data({"active": False, **(default or {})})

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            condition.check_storable(self.env, vals.get("filter_domain"))
        automations = super().create(vals_list)
        automations._complete()
        automations._set_author()
        automations._store_actions()
        forget(self.env.cr)
        return automations

    def write(self, vals):
        """Let what follows from the configuration follow: author, server action, fault, what is to be moved.

        An outcome that was chosen against what the trigger proposes is kept with another trigger.
        """
        condition.check_storable(self.env, vals.get("filter_domain"))
        before = {automation: automation._get_beginning() for automation in self}
        chosen = self.browse()
        if {"stage_id", "trigger"} & vals.keys() and "outcome" not in vals:
            stage = self.env["crm.stage"].browse(vals.get("stage_id"))
            chosen = self.filtered(lambda automation: automation._is_outcome_chosen(stage))
        for automation in chosen:
            kept = {"outcome": automation.outcome, "lost_reason_id": automation.lost_reason_id.id}
            super(CrmStageAutomation, automation).write({**kept, **vals})
        res = super(CrmStageAutomation, self - chosen).write(vals)
        if "filter_domain" in vals:
            self._set_author()
        if not CONFIGURATION_FIELDS.isdisjoint(vals):
            self._complete()
            # What applying it had still to move was so before it was changed; what is due stays due.
            self._get_waiting().filtered("is_applied").unlink()
            self._store_actions()
            self._clear_faults()
        self.filtered(lambda automation: automation._get_beginning() != before[automation])._begin()
        forget(self.env.cr)
        return res

    def unlink(self):
        actions = self.sudo().action_server_id  # sudo: it is for the system alone
        res = super().unlink()
        actions.unlink()
        forget(self.env.cr)
        return res

    def _is_outcome_chosen(self, stage):
        """:param stage: that replaces the automation's own one, if any
        :return: whether the outcome was chosen against what the trigger proposes, and stays possible
        """
        is_final = self.stage_id.is_won and (not stage or stage.is_won)
        return is_final and self.outcome and self.outcome != self._get_proposed_outcome()

    def _complete(self):
        """A won stage that does not ask means won, as everywhere in Odoo; only triggers in time have days."""
        won = self.filtered(lambda automation: automation.stage_id.is_won and not automation.outcome)
        won.filtered(lambda automation: not automation.stage_id.ask_outcome).outcome = "won"
        timeless = self.filtered(lambda automation: not automation.is_in_time)
        timeless.filtered("days").days = 0
        timeless.filtered("is_working_days").is_working_days = False

    def _set_author(self):
        """Make the present user the author, with whose rights the condition is evaluated."""
        self.sudo().author_id = self.env.uid  # sudo: only the system writes it

    def action_take_over_condition(self):
        """Let the condition be evaluated with the rights of the present user, as if they had set it."""
        for automation in self:
            automation.filter_domain = automation.filter_domain

    def _store_actions(self):
        """Let the server action of each automation do what the automation says."""
        # sudo: sales managers have no right on server actions; what is stored here is always the plain move.
        for automation in self.sudo():
            move = {
                "crm_stage_id": automation.stage_id.id,
                "crm_stage_outcome": automation.outcome,
                "crm_lost_reason_id": automation.lost_reason_id.id,
            }
            if action := automation.action_server_id:
                action.write(move)
                continue
            values = {"model_id": self.env["ir.model"]._get_id("crm.lead"), "state": "crm_stage", **move}
            actions = action.with_context(clean_context(self.env.context))
            name = actions.new(values)._generate_action_name()
            # Named so by itself, the action follows what it does.
            automation.action_server_id = actions.create({**values, "name": name, "automated_name": name})

    # ------------------------------------------------------------------
    # Beginning
    # ------------------------------------------------------------------

    def _get_beginning(self):
        return [self[name] for name in BEGINNING_FIELDS]

    def _begin(self):
        """Let these automations count from now on, and forget what they had still to move."""
        self._get_waiting().unlink()
        self.sudo().date_begun = fields.Datetime.now()  # sudo: only the system writes it

    def _get_waiting(self):
        """:return: the moves that these automations have still to make, in sudo"""
        # sudo: only the system writes the journal
        moves = self.env["crm.stage.automation.move"].sudo()
        return moves.search([("automation_id", "in", self.ids), ("state", "=", "waiting")])

    # ------------------------------------------------------------------
    # Listening
    # ------------------------------------------------------------------

    @api.model
    def _get_listening(self):
        """:return: ``Listening`` as this transaction sees it; the first time by two or three queries"""
        cache = self.env.cr.cache
        if LISTENING not in cache:
            # sudo: the user who triggers an automation need not see stages nor automations
            cache[LISTENING] = listening.read(self.browse().sudo())
        # No loops: what a move brings about moves nothing.
        is_moving = self.env.context.get("crm_stage_moving") is ON
        return cache[LISTENING]._replace(heard={}) if is_moving else cache[LISTENING]

    @api.model
    def _get_at_work(self, triggers=None):
        """:return: automations that are not idle, furthest stage first, in sudo; of ``triggers`` only"""
        at_work = self._get_listening().triggers
        ids = [id_ for id_, trigger in at_work.items() if triggers is None or trigger in triggers]
        return self.sudo().browse(ids)  # sudo: see `_get_listening`

    @api.model
    def _process(self, documents_by_trigger):
        """Move the opportunities of documents to which something has just happened.

        :param dict documents_by_trigger: recordset by trigger
        """
        triggers = self._get_listening().triggers
        ids = [id_ for id_, trigger in triggers.items() if trigger in documents_by_trigger]
        at_work = self.sudo().browse(ids)  # sudo: see `_get_listening`
        self._process_documents({one: documents_by_trigger[triggers[one.id]] for one in at_work})

    @api.model
    def _process_documents(self, documents_by_automation):
        """Move the opportunities of documents that concern some automations only.

        The furthest stage wins: an opportunity that one automation moved is left alone by the next ones. A
        faulty automation leaves its opportunities to them. Each automation moves all of its own in one run.

        :param dict documents_by_automation: recordset by automation, furthest stage first
        """
        is_tried_again = not any(self.env.context.get(key) for key in NOT_TRIED_AGAIN)
        env = self._get_moving_env()
        pairs_by_documents, done_ids = {}, set()
        for automation, documents in documents_by_automation.items():
            automation = automation.with_env(env)
            try:
                if documents not in pairs_by_documents:
                    pairs_by_documents[documents] = documents.with_env(env)._get_crm_stage_leads()
                pairs = pairs_by_documents[documents]
                leads = pairs and automation._get_movable_leads(pairs, done_ids)
            except (psycopg2.Error, *CONFLICTS):
                raise
            except Exception as error:  # another addon may say how to find a document's opportunities
                automation._set_fault(error, "trigger")
            else:
                if leads:
                    done_ids |= automation._move(pairs, leads, is_tried_again) or set()

    @api.model
    def _get_moving_env(self):
        """
        :return: environment that opportunities are moved in

        sudo: the user who triggers an automation (a customer who signs, too) need not see, nor be allowed to
        move, the opportunity. Nothing of it is returned to them.
        """
        context = {key: value for key, value in self.env.context.items() if key in KEPT_CONTEXT}
        return self.env(su=True, context=context)

    # ------------------------------------------------------------------
    # Which opportunities
    # ------------------------------------------------------------------

    def _get_origin_ids(self):
        """:return: ids of the stages that it takes opportunities from; False for those without stage"""
        return frozenset(self.from_stage_ids.ids) or self.stage_id._origin._get_earlier_stage_ids()

    def _get_movable_domains(self):
        """:return: see ``crm.lead``"""
        return self.env["crm.lead"]._get_movable_domains(
            self.stage_id._origin,
            self._get_origin_ids(),
            is_back=bool(self.from_stage_ids) and self.outcome != "lost",
            is_lost_included=self.is_lost_included,
        )

    def _get_movable_leads(self, pairs, done_ids=()):
        """
        :param list pairs: documents and their opportunities, as [(document, crm.lead), ...]
        :param done_ids: opportunities to leave alone
        :return: the opportunities that the automation may move, if a document of theirs meets its condition
        """
        lead_ids = {lead_id for _document, leads in pairs for lead_id in leads.ids}.difference(done_ids)
        leads = self.env["crm.lead"].browse(sorted(lead_ids))
        leads = leads.filtered_domain(Domain.AND(self._get_movable_domains().values()))
        return self._filter_unprotected(leads)

    def _get_reasons_to_stay(self, leads, done_ids):
        """
        :param done_ids: of opportunities that other automations have just moved
        :return: the first reason why the automation does not take an opportunity, for those it does not take
        """
        reasons = {lead: "further" for lead in leads if lead.id in done_ids}
        for reason, domain in self._get_movable_domains().items():
            for lead in leads - leads.filtered_domain(domain):
                reasons.setdefault(lead, reason)
        for lead in leads - self._filter_unprotected(leads):
            reasons.setdefault(lead, "order")
        return reasons

    def _filter_unprotected(self, leads):
        """A confirmed order protects from being lost, and from being taken out of the won stages.

        An open quotation protects from being lost by another one that is cancelled or expires only: who is
        silent for ten days is silent with a quotation, too.

        :return: those of ``leads`` that no order keeps the automation from taking
        """
        is_protecting = Domain(leads._get_lead_sale_order_domain())
        if self.outcome == "lost":
            exposed = leads
            if self.trigger in LOSING_TRIGGERS:
                is_protecting |= self.env["sale.order"]._get_crm_stage_open_domain()
        else:
            exposed = leads.filtered(lambda lead: lead.stage_id.is_won and not self.outcome)
        return leads - exposed._filter_with_orders(is_protecting) if exposed else leads

    def _filter_newer(self, pairs):
        """Documents that exist already bring back lost opportunities only if they are newer than the loss.

        :param list pairs: documents and their opportunities, as [(document, crm.lead), ...]
        :return: the same, without the lost opportunities of older documents
        """
        # A lost opportunity waits since its loss.
        if not self.is_lost_included or self.trigger in ("stage_waiting", "no_news"):
            return pairs
        documents = self.env[self.model_name].union(*(document for document, _leads in pairs))
        # An opportunity itself is older than its loss: when something happened to it counts.
        dates = documents._get_crm_stage_dates(self.trigger if documents._name == "crm.lead" else None)
        if self.trigger == "deadline_passed":  # at the end of its day
            dates = {lead_id: date and date + timedelta(days=1) for lead_id, date in dates.items()}

        def is_taken(document, lead):
            if lead.won_status != "lost":
                return True
            if not (date := dates.get(document.id)):
                return False
            # Odoo keeps the moment of the loss to the second: within one, what was stored later is newer.
            lost = (lead.date_closed or lead.write_date).replace(microsecond=0)
            return (date.replace(microsecond=0), document.write_date) >= (lost, lead.write_date)

        return [
            (document, leads.filtered(lambda lead, document=document: is_taken(document, lead)))
            for document, leads in pairs
        ]

    # ------------------------------------------------------------------
    # Which documents
    # ------------------------------------------------------------------

    def _filter_due(self, documents):
        """:return: those of ``documents`` that are due, or all of them where it does not wait for a date"""
        if not self.is_in_time:
            return documents
        existing = documents.with_context(active_test=False)
        return existing.search(Domain("id", "in", documents.ids) & self._get_happened_domain())

    def _filter_documents(self, documents):
        """:return: those of ``documents`` that meet the condition, and are due; which may not be so any more
        :raise UserError: the author of the condition is gone, or a record that it names
        """
        return self._filter_meeting(self._filter_due(documents))

    def _filter_meeting(self, documents):
        """:return: those of ``documents`` that meet the condition
        :raise UserError: see ``_filter_documents``
        """
        if not self.filter_domain:
            return documents
        domain = Domain("id", "in", documents.ids)
        return documents.with_context(active_test=False).search(domain & condition.get_domain(self, domain))

    @api.model
    def _filter_unmatched(self, automation, leads):
        """:return: those of ``leads`` that are no opportunities that meet the automation's condition; none
        when it is faulty, which it shows
        """
        automation = automation.with_env(self._get_moving_env())
        with automation._show_failure("condition"):
            opportunities = leads.with_env(automation.env).filtered(lambda lead: lead.type == "opportunity")
            matching_ids = set(automation._filter_documents(opportunities).ids)
            return leads.filtered(lambda lead: lead.id not in matching_ids)
        return leads.browse()

    def _get_happened_domain(self, since=None, until=None):
        """
        :param datetime since: of an automation in time, the documents that fell due after it only
        :param datetime until: and not after that; default: by now
        :return: ``Domain`` of the existing documents that the trigger has happened to, or that are due
        """
        model = self.env[self.model_name]
        if not self.is_in_time:
            return model._get_crm_stage_trigger_domain(self.trigger)
        until = until or fields.Datetime.now()
        return model._get_crm_stage_due_domain(self.trigger, self.days, since, until, self.is_working_days)

    def _get_existing_documents(self, leads=None):
        """
        :param leads: whose documents are in question; default: those of any opportunity
        :return: empty recordset to search with, and ``Domain`` of the existing documents that the trigger has
            happened to, that meet the condition, and that the present user may see

        sudo: the domain says what the present user and the author may see; the rest of it, such as whether an
        e-mail went out, is evaluated with the system's rights, as when it happens.
        """
        documents = self.env[self.model_name]
        model = documents.sudo().with_context(active_test=False)
        seen = condition.get_visible_domain(documents, condition.parse(self.filter_domain))
        meeting = self._get_happened_domain() & condition.get_domain(self) & seen
        return model, meeting & model._get_crm_stage_lead_domain(leads)

    def _get_document_dates(self, documents):
        """:return: the dates that count, by id of the documents; None of triggers that do not wait for one"""
        if not self.is_in_time:
            return dict.fromkeys(document.id for document in documents)
        return self.env[self.model_name].union(*documents)._get_crm_stage_dates(self.trigger)

    @api.model
    def _get_first_documents(self, pairs, lead_ids):
        """:return: the first document in ``pairs`` of each opportunity of ``lead_ids``, by its id"""
        documents = {}
        for document, leads in pairs:
            for lead_id in lead_ids.intersection(leads._ids):
                documents.setdefault(lead_id, document)
        return documents

    # ------------------------------------------------------------------
    # Moving
    # ------------------------------------------------------------------

    def _move(self, pairs, leads, is_tried_again=True, waiting=(), done_ids=frozenset()):
        """Move those of ``leads`` with a document that meets the condition, all of them if that is possible.

        One that cannot be moved, because another addon refuses it, say, keeps no others. Where none can be
        moved, the automation is faulty.

        :param bool is_tried_again: whether the transaction is tried again after a conflict with another one;
            otherwise the scheduled job makes up for the move
        :param waiting: rows of the journal that are waiting for these moves, if any
        :param done_ids: of opportunities that other automations have just moved
        :return: ids of the opportunities that are moved, or left to the scheduled job; None where the
            automation itself does not work
        :raise CONFLICTS: to be tried again
        """
        journal = self.env["crm.stage.automation.move"]
        documents_by_lead, before = {}, {}
        with attempt(self.env, raised=CONFLICTS if is_tried_again else ()) as made:
            documents_by_lead = self._get_matching_documents(pairs, leads)
            if documents_by_lead:
                before = journal._read_values(leads.browse(documents_by_lead))
                self._run_action(documents_by_lead, waiting)
        if made.error and (not documents_by_lead or isinstance(made.error, AutomationError)):
            self._set_fault(made.error, "condition")
            return None
        errors = {}
        if made.error:
            errors = self._move_by_halves(documents_by_lead, made.error, is_tried_again, waiting)
        left_ids = {lead_id for lead_id, error in errors.items() if isinstance(error, CONFLICTS)}
        refusals = {lead_id: error for lead_id, error in errors.items() if lead_id not in left_ids}
        is_working = not refusals or len(refusals) < len(documents_by_lead)
        journal._record(self, documents_by_lead, before, refusals, left_ids, is_working, waiting)
        if left_ids:
            self._get_catch_up_job()._trigger()
        if not is_working:
            self._set_fault(next(iter(refusals.values())), "move")
        elif waiting:
            others = waiting.exists().filtered(lambda move: move.lead_id.id not in left_ids)
            others._pass_over(done_ids)
        if self.fault and is_working and len(errors) < len(documents_by_lead):
            self._clear_faults()
        return documents_by_lead.keys() - refusals.keys()

    def _move_by_halves(self, documents_by_lead, error, is_tried_again, waiting):
        """Where opportunities could not be moved all at once, move each half of them, and so on.

        :param dict documents_by_lead: what moves the opportunities, by id of the latter
        :param error: why they could not be moved
        :param bool is_tried_again: see ``_move``, as ``waiting``
        :return: errors by id of the opportunities that are not moved
        """
        if isinstance(error, CONFLICTS) or len(documents_by_lead) == 1:
            ids = list(documents_by_lead)
            _logger.warning("Stage automation %s cannot move opportunities %s", self.id, ids, exc_info=error)
            return dict.fromkeys(documents_by_lead, error)
        errors = {}
        for half in split_every((len(documents_by_lead) + 1) // 2, documents_by_lead.items(), dict):
            with attempt(self.env, raised=CONFLICTS if is_tried_again else ()) as made:
                self._run_action(half, waiting)
            if made.error:
                errors |= self._move_by_halves(half, made.error, is_tried_again, waiting)
        return errors

    def _get_matching_documents(self, pairs, leads):
        """:return: a document that meets the condition by id of its opportunity, for those of ``leads``"""
        lead_ids = set(leads.ids)
        pairs = [pair for pair in pairs if not lead_ids.isdisjoint(pair[1]._ids)]
        documents = self.env[self.model_name].union(*(document for document, _leads in pairs))
        if self.filter_domain or self.is_in_time:
            matching_ids = set(self._filter_documents(documents).ids)
            pairs = [pair for pair in pairs if pair[0].id in matching_ids]
        return self._get_first_documents(pairs, lead_ids)

    def _run_action(self, documents_by_lead, waiting=()):
        """Run the server action once for all the opportunities.

        :param dict documents_by_lead: what the chatter names, by opportunity id
        :param waiting: see ``_move``
        """
        if waiting:
            waiting._leave_out()
        if not self.action_server_id:
            self._store_actions()
        leads = self.env["crm.lead"].browse(documents_by_lead)
        context = {"active_model": leads._name, "active_id": leads.ids[0], "active_ids": leads.ids}
        cache = self.env.cr.cache
        cache[RUNNING], cache[MOVED_BY] = self, (self.id, self._get_chatter_bodies(documents_by_lead))
        self.action_server_id.with_context(**context).run()
        for key in (RUNNING, MOVED_BY):  # an administrator may have made another action of it
            cache.pop(key, None)

    def _restore_lost(self, leads):
        """Restore the lost ones of ``leads`` as Odoo's own button does.

        :return: those of ``leads`` that are to be moved; a lost one of another stage than those that the
            automation takes opportunities from stays in its stage
        """
        lost = leads.filtered(lambda lead: lead.won_status == "lost")
        if not lost:
            return leads
        lost.action_unarchive()
        origin_ids = self._get_origin_ids()
        return leads - lost.filtered(lambda lead: lead.stage_id.id not in origin_ids)

    def _get_chatter_bodies(self, documents_by_lead):
        """:return: what the chatter says of the move, by opportunity id

        In the language of the user who brought it about, as Odoo does with the change of stage. Where that is
        a customer or a scheduled job, in the language of the opportunity's company.
        """
        user, bodies = self.env.user, {}
        leads = self.env["crm.lead"].browse(documents_by_lead)
        leads_by_lang = {self.env.lang: leads}
        if user.share or user.id == SUPERUSER_ID:
            company = self.env.company
            leads_by_lang = leads.grouped(lambda lead: (lead.company_id or company).partner_id.lang)
        for lang, leads in leads_by_lang.items():
            automation = self.with_context(lang=lang)
            # Many users read the chatter, and may not see what the condition names: it is left out.
            event = sentence.get_event_in_stage(automation)
            for lead in leads:
                document, body = documents_by_lead[lead.id], automation.env._("By an automation: %s", event)
                if document != lead:
                    parts = {"event": event, "document": document._get_html_link()}
                    body = automation.env._("By an automation: %(event)s (%(document)s)", **parts)
                bodies[lead.id] = body
        return bodies

    # ------------------------------------------------------------------
    # Applying it to existing documents
    # ------------------------------------------------------------------

    @api.model
    def _get_applied_domain(self):
        """:return: ``Domain`` of the moves of applying automations the last time, while they can be undone"""
        return (
            Domain("is_applied", "=", True)
            & Domain("is_being_undone", "=", False)
            & Domain("date", ">=", f"-{UNDO_DAYS}d")
        )

    def _search_leads_to_move(self):
        """
        :return: opportunities that the existing documents would move now, as far as the present user may see
            them and the documents
        :raise UserError: the automation is idle, or its condition does not work
        """
        self.ensure_one()
        if self not in self._get_at_work():
            raise UserError(
                self.env._(
                    "This automation moves nothing while it, or its stage, is archived. "
                    "Unarchive it, then try again."
                )
            )
        try:
            model, domain = self._get_existing_documents()
            lead_ids = model._search_crm_stage_lead_ids(domain)
        except (ValueError, KeyError) as error:  # of a field or a model that is gone by now
            raise UserError(
                self.env._("The condition does not work any more: %s", fault.get_reason(error))
            ) from error
        movable = Domain.AND(self._get_movable_domains().values())
        leads = self.env["crm.lead"].search(movable & Domain("id", "in", lead_ids), order="id")
        if lost := leads.filtered(lambda lead: lead.won_status == "lost"):
            leads -= lost - lost.browse(self._get_documents_to_move(lost))
        return self._filter_unprotected(leads)

    def _get_documents_to_move(self, leads):
        """:return: the first existing document that moves each of ``leads``, by id of the latter"""
        model, domain = self._get_existing_documents(leads)
        pairs = self._filter_newer(model.search(domain, order="id")._get_crm_stage_leads())
        return self._get_first_documents(pairs, set(leads.ids))

    def action_preview(self):
        """:return: action that opens a dialog with the opportunities that this automation would move now"""
        self.ensure_one()
        self.check_access("read")
        return self.env["crm.stage.automation.preview"]._open(self)

    def action_catch_up(self, lead_ids=None):
        """Move the opportunities of existing documents: few at once, many by the scheduled job.

        What it moves can be undone until it is applied again: see ``action_undo_catch_up``.

        :param lead_ids: of the opportunities in question; default: all
        :return: action that shows how many were moved, and how many could not be moved and why
        :raise UserError: none could be moved
        """
        return self._catch_up(lead_ids)

    def _catch_up(self, lead_ids=None, left_out_ids=(), **values):
        """See ``action_catch_up``.

        :param left_out_ids: of opportunities that stay where they are
        :param values: of the rows of the journal: what the stage does without on arrival
        """
        self.check_access("write")
        leads = self._search_leads_to_move()
        if lead_ids is not None:
            leads &= leads.browse(lead_ids)
        leads -= leads.browse(left_out_ids)
        automation = self.sudo()  # sudo: moves as the automation itself does, which the user may set up
        moves = automation._wait_to_apply(self._get_documents_to_move(leads), **values)
        is_losing = self.outcome == "lost"
        if (count := len(leads)) > BATCH:
            self._get_catch_up_job()._trigger()
            message = self.env._("%s opportunities will be moved within the next minutes.", count)
            if is_losing:
                message = self.env._("%s opportunities will be lost within the next minutes.", count)
            return self._get_notification(message, undoable_id=self.id)
        if moves:
            automation._make_moves_of(moves)
            if self.stage_id.id in self.env["crm.stage"]._get_arrivals_by_stage():
                self.env.cr.flush()  # The stage acts on the arrivals, as at the end of the transaction.
            moves = automation._get_applied()
        moved = moves.filtered(lambda move: move.state == "done")
        if not moved and automation.fault:
            raise UserError(self.env._("The opportunities could not be moved.\n%s", automation.fault))
        count = len(moved)
        message = by_count(
            count, self.env._("1 opportunity moved."), self.env._("%s opportunities moved.", count)
        )
        if is_losing:
            message = by_count(
                count, self.env._("1 opportunity lost."), self.env._("%s opportunities lost.", count)
            )
        if note := automation._get_undo_note(moved):
            message += "\n" + note
        for reason, its_moves in moves.filtered("error").grouped("error").items():
            names = self._join_names(sentence.get_record_names(its_moves.lead_id.with_env(self.env)))
            values = {"names": names, "reason": reason}
            message += "\n" + self.env._("Could not be moved: %(names)s: %(reason)s", **values)
        return self._get_notification(message, undoable_id=bool(moved) and self.id)

    @api.model
    def _join_names(self, names):
        return ", ".join(names[:MAX_NAMES] + ["…"][: len(names) > MAX_NAMES])

    @api.model
    def _get_notification(self, message, undoable_id=False):
        """
        :param undoable_id: id of the automation whose moves the buttons show and undo
        :return: action that shows ``message`` and closes the dialog that it was called from
        """
        show = get_button(self.env._("Show Them"), self._name, "action_show_moved", [undoable_id])
        undo = get_button(self.env._("Undo"), self._name, "action_undo_catch_up", [undoable_id], reload=True)
        buttons = [show, undo] if undoable_id else []
        return get_done_action(message, buttons, type="info", sticky=bool(buttons))

    def _get_applied(self, domain=Domain.TRUE):
        """
        :param Domain domain: of the moves in question
        :return: the moves of applying this automation the last time, as far as the user may see them
        """
        domain &= self._get_applied_domain() & Domain("automation_id", "=", self.id)
        return self.env["crm.stage.automation.move"].search(domain)

    def _wait_to_apply(self, documents_by_lead, **values):
        """Put the moves of ``documents_by_lead`` into the journal, as those of applying it the last time.

        :param values: of the rows
        :return: these moves
        """
        journal = self.env["crm.stage.automation.move"]
        if not documents_by_lead:
            return journal
        journal.search([("automation_id", "=", self.id), ("is_applied", "=", True)]).is_applied = False
        dates = self._get_document_dates(documents_by_lead.values())
        values |= {"state": "waiting", "is_applied": True}
        journal._insert(
            [
                journal._get_row(self, lead_id, document, dates, **values)
                for lead_id, document in documents_by_lead.items()
            ]
        )
        return self._get_applied()

    @api.model
    def _get_undo_note(self, moves):
        """:return: text that says what undoing ``moves`` takes away, and what it cannot take back"""
        moves = moves.sudo()  # sudo: numbers only, of opportunities that the user may see
        planned, emails = len(moves._search_planned()), len(moves._search_emails())
        texts = [
            planned and self.env._("Planned activities that Undo removes: %s", planned),
            emails and self.env._("E-mails that cannot be taken back: %s", emails),
        ]
        return "\n".join(filter(None, texts))

    def action_undo_catch_up(self):
        """Undo the last "Apply to existing documents": what it has not moved yet is not moved any more, and
        what was not touched since is moved back; few at once, many by the scheduled job.

        :return: action that shows how many, and which ones stay where they are
        """
        self.ensure_one()
        self.check_access("write")
        self._get_waiting().filtered("is_applied").unlink()
        # sudo: moves as the automation itself does, which the user may set up; what they may see of it
        moves = self._get_applied(DONE).sudo()
        is_losing = self.outcome == "lost"
        if (count := len(moves)) > BATCH:
            note = self._get_undo_note(moves)
            moves.is_being_undone = True
            self._get_catch_up_job()._trigger()
            message = self.env._("%s opportunities will be moved back within the next minutes.", count)
            if is_losing:
                message = self.env._("%s opportunities will be restored within the next minutes.", count)
            return self._get_notification("\n".join(filter(None, [message, note])))
        leads, planned, emails = moves.lead_id, moves._search_planned(), moves._search_emails()
        undone = moves._undo()
        count = len(undone)
        message = by_count(
            count, self.env._("1 opportunity moved back."), self.env._("%s opportunities moved back.", count)
        )
        if is_losing:
            message = by_count(
                count, self.env._("1 opportunity restored."), self.env._("%s opportunities restored.", count)
            )
        if removed := planned - planned.exists():
            message += "\n" + self.env._("Planned activities removed: %s", len(removed))
        if kept := emails.filtered(lambda email: email.res_id in undone._ids):
            message += "\n" + self.env._("E-mails that cannot be taken back: %s", len(kept))
        if staying := leads - undone:
            names = self._join_names(staying.sudo(False).mapped("name"))
            message += "\n" + self.env._(
                "Left where they are, as they were moved, won or lost since, or their former stage is gone: "
                "%s",
                names,
            )
        return self._get_notification(message)

    def action_show_moved(self):
        """:return: action on the opportunities that it moved when it was applied the last time"""
        self.ensure_one()
        moved = self._get_applied(DONE)
        is_losing = self.outcome == "lost"
        name = self.env._("Lost Opportunities") if is_losing else self.env._("Moved Opportunities")
        return self.env["crm.lead"]._get_list_action(name, [("id", "in", moved.lead_id.ids)])

    def action_open_moves(self):
        """:return: action on the moves of this automation in the journal"""
        self.ensure_one()
        self.check_access("read")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_sales_stage.crm_stage_automation_move_action"
        )
        context = {key: value for key, value in self.env.context.items() if key.startswith("search_default_")}
        return {**action, "domain": [("automation_id", "=", self.id)], "context": context}

    # ------------------------------------------------------------------
    # Time: what is due, and not in the journal since the date that counts?
    # ------------------------------------------------------------------

    def _insert_due(self, documents_domain=Domain.TRUE, since=None, **values):
        """Put what is due into the journal, unless it is in there since the date that counts.

        :param Domain documents_domain: of the documents in question
        :param since: see ``_get_happened_domain``
        :param values: of the rows
        """
        journal = self.env["crm.stage.automation.move"]
        with self._show_failure("trigger"):  # another addon may say what falls due
            model = self.env[self.model_name].sudo().with_context(active_test=False)  # sudo: any company's
            domain = documents_domain & self._get_happened_domain(since) & model._get_crm_stage_lead_domain()
            documents = model.search(domain, order="id")
            dates = documents._get_crm_stage_dates(self.trigger)
            journal._insert(
                [
                    journal._get_row(self, lead_id, document, dates, **values)
                    for document, leads in self._filter_unhandled(documents, dates)._get_crm_stage_leads()
                    for lead_id in leads.ids
                ]
            )

    def _filter_unhandled(self, documents, dates):
        """
        :param documents: that are due
        :param dates: the dates that count, by id of the documents
        :return: those of ``documents`` that the journal does not have since their dates
        """
        known = self.env["crm.stage.automation.move"]._get_known_dates(self, documents)
        return documents.filtered(lambda document: self._is_later(dates[document.id], known.get(document.id)))

    @api.model
    def _is_later(self, date, known):
        """:return: whether a document falls due by ``date``, though it did by ``known`` before, if it did"""
        return not known or bool(date and date.date() > known.date())

    @api.model
    def _handle_due(self, documents, name=None):
        """Handle what is due of documents that have come to their opportunities: it is old news, and passes.

        :param name: of a date that was changed instead: what is due by it is moved by the job, though it may
            be older than the automation
        """
        names = documents._get_crm_stage_trigger_dates()
        triggers = [trigger for trigger, date in names.items() if date and name in (None, date)]
        values = {"state": "waiting"} if name else {"state": "skipped", "reason": "before"}
        # sudo: the user who sets a date need not see automations, nor opportunities
        for automation in self.sudo().search([("trigger", "in", triggers)]):
            automation._insert_due(Domain("id", "in", documents.ids), **values)

    # ------------------------------------------------------------------
    # The scheduled jobs
    # ------------------------------------------------------------------

    @api.model
    def _get_catch_up_job(self):
        # sudo: the user who leaves it something to do has no right on scheduled jobs
        return self.env.ref("crm_sales_stage.ir_cron_crm_stage_catch_up").sudo()

    @api.model
    def _cron_due(self):
        """Move the opportunities of what is due and not in the journal, batch by batch."""
        for automation in self._get_at_work().filtered("is_in_time"):
            automation._insert_due(since=automation.date_begun, state="waiting")
        self._make_waiting_moves()

    @api.model
    def _cron_catch_up(self):
        """Make the moves that wait. Of automations that do not work, the hourly job tries what fell due."""
        self._make_waiting_moves(Domain("automation_id.fault", "=", False) | Domain("is_applied", "=", True))
        self.env["crm.stage.automation.move"]._undo_batches(BATCH)

    @api.model
    def _make_waiting_moves(self, domain=Domain.TRUE):
        """Make the moves that wait, batch by batch; it goes on where it was interrupted."""
        at_work = Domain("automation_id", "in", list(self._get_listening().triggers))
        moves = self.env["crm.stage.automation.move"]
        waiting = moves.search(domain & at_work & Domain("state", "=", "waiting"), order="id")
        remaining = len(waiting)
        self.env["ir.cron"]._commit_progress(remaining=remaining)
        failed_ids = set()
        for batch in split_every(BATCH, waiting.grouped("lead_id").values()):
            its_moves = moves.concat(*batch)
            remaining -= len(its_moves)
            # The other job may be at work on some of them, or has made them.
            its_moves = its_moves.try_lock_for_update().filtered(lambda move: move.state == "waiting")
            self._make_moves(its_moves, failed_ids)
            if not self.env["ir.cron"]._commit_progress(len(its_moves), remaining=remaining):
                return

    @api.model
    def _make_moves(self, moves, failed_ids):
        """Make the waiting ``moves`` of some opportunities, the furthest stage first.

        :param set failed_ids: of automations that do not work: their moves go on waiting; is completed
        """
        by_automation = moves.grouped("automation_id")
        done_ids = set()
        for automation in self._get_at_work().filtered(lambda automation: automation.id not in failed_ids):
            if automation in by_automation:
                moved_ids = automation._make_moves_of(by_automation[automation], done_ids)
                if moved_ids is None:
                    failed_ids.add(automation.id)
                else:
                    done_ids |= moved_ids

    def _make_moves_of(self, moves, done_ids=frozenset()):
        """
        :param moves: of this automation, which wait
        :param done_ids: of opportunities that other automations have just moved
        :return: ids of the opportunities that are moved, or left to the job; None when it does not work
        """
        # The author reads the chatter: nobody's language is the job's.
        automation = self.with_env(self._get_moving_env()).with_context(lang=self.author_id.lang)
        with automation._show_failure("trigger"):  # the job has other automations to look after
            moves = moves.with_env(automation.env)
            pairs = automation._filter_newer(moves._get_pairs())
            leads = automation._get_movable_leads(pairs, done_ids)
            return automation._move(pairs, leads, is_tried_again=False, waiting=moves, done_ids=done_ids)
        return None

    # ------------------------------------------------------------------
    # Faults
    # ------------------------------------------------------------------

    @contextmanager
    def _show_failure(self, part):
        """Show it on the automation when what is done in here fails, and let the business action go on.

        :param part: see ``_set_fault``
        :raise CONFLICTS: to be tried again
        """
        with attempt(self.env, raised=CONFLICTS) as made:
            yield
        if made.error:
            self._set_fault(made.error, part)

    def _set_fault(self, error, part="move"):
        """Show on the automation why it does not work, in all languages, and send its managers a message.

        Many workers may come by the same faulty automation. They must not wait for each other, nor let the
        sale be tried again, because of it: it is stored on change only, by the worker that comes first.

        :param str part: what of the automation failed, see ``fault.get_text``
        """
        _logger.warning("Stage automation %s cannot move opportunities", self.id, exc_info=error)
        automation = self.with_user(SUPERUSER_ID)
        languages = dict(self.env["res.lang"].get_installed())
        texts = {
            lang: fault.get_text(automation.with_context(lang=lang).env, error, part)
            for lang in {"en_US", *languages}
        }
        automation = automation.with_context(lang="en_US")
        if automation.fault == texts["en_US"]:
            return
        was_faulty = automation.fault
        with attempt(self.env) as made:
            automation = automation.try_lock_for_update()
            automation.write({"fault": texts["en_US"], "fault_date": fields.Datetime.now()})
            automation.update_field_translations("fault", texts)
        if automation and not made.error and not was_faulty:
            with attempt(self.env) as made:
                automation._notify_managers()
            if made.error:
                _logger.error("No message about stage automation %s", self.id, exc_info=made.error)

    def _clear_faults(self):
        """Show that these automations work, unless another worker shows something on them."""
        if faulty := self.sudo().filtered("fault"):  # sudo: only the system writes it
            with attempt(self.env):
                faulty.try_lock_for_update().write({"fault": False, "fault_date": False})

    def _notify_managers(self):
        """Send a message about the fault to its managers, to each in their language."""
        # Those who may set it up: leaders of the stage's teams, or all of them
        managers = self.env.ref("sales_team.group_sale_manager").all_user_ids.filtered("active")
        managers = managers & self.stage_id.team_ids.user_id or managers
        for lang, readers in managers.grouped("lang").items():
            automation = self.with_context(lang=lang)
            body = Markup("<p>%s</p><p><b>%s</b></p><p>%s</p>") % (
                automation.env._("A stage automation does not work:"),
                automation.name,
                Markup("<br/>").join(automation.fault.splitlines()),
            )
            automation.env["mail.thread"].message_notify(
                partner_ids=readers.partner_id.ids,
                subject=automation.env._("Stage automation does not work: %s", automation.name),
                body=body,
                model=self._name,
                res_id=self.id,
            )

    # ------------------------------------------------------------------
    # Examples, and stages that become won stages or are none any more
    # ------------------------------------------------------------------

    @api.model
    def get_examples(self):
        """
        :return: the automations that are used most, as ``[{"title", "sentence", "exists", "context"}, …]``:
            what they are called, what they do, whether one does so already, and the default values of a form
            that is filled in
        """
        self.check_access("create")
        known = self.with_context(active_test=False).search(Domain.TRUE)
        found = []
        for title, values in examples.get_values(self.env):
            values = {name: value for name, value in values.items() if value}
            if "stage_id" in values:
                context = {f"default_{name}": value for name, value in values.items()}
                example = self.new(values)
                exists = any(consequences.is_same(example, automation) for automation in known)
                found.append({"title": title, "sentence": example.name, "exists": exists, "context": context})
        return found

    def _follow_won_stage(self):
        """Their stage has become a won one: by moving there they win, from now on.

        One that listens to what loses opportunities is archived, and says why.
        """
        for automation in self:
            if automation.outcome:
                automation._clear_faults()
            elif automation.trigger in LOSING_TRIGGERS:
                automation.write({"active": False, "outcome": "lost"})
                note = _lt(
                    "It would win opportunities whose quotation is cancelled or expires, so it was archived. "
                    "It is set to lose them now: look whether that is meant, and unarchive it."
                )
                automation._set_fault(AutomationError(self.env, note))
            else:
                automation.outcome = "won"

    def _follow_open_stage(self):
        """Their stage is no won stage any more: those that win or lose opportunities cannot go on."""
        for automation in self.filtered("outcome"):
            automation._set_fault(automation.stage_id._get_outcome_error())
