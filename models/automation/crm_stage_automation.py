import logging
from contextlib import contextmanager
from typing import NamedTuple

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import clean_context, split_every
from odoo.tools.translate import LazyTranslate

from ...tools import CONFLICTS, KEPT_CONTEXT, NOT_TRIED_AGAIN, attempt, forget

_logger = logging.getLogger(__name__)
_lt = LazyTranslate(__name__)


class AutomationError(UserError):
    """Why an automation does not work, and what to do.

    Whoever met it is told in their language, the automation's managers in theirs.
    """

    def __init__(self, env, message, part):
        """
        :param LazyGettext message: why, and what to do
        :param str part: of the automation that is at fault, see ``MENDING_FIELDS``
        """
        self.lazy_message = message
        self.part = part
        super().__init__(self.get_text(env))

    def get_text(self, env):
        """:return: why, and what to do, in the language of ``env``"""
        return env._(self.lazy_message)


class Moved(NamedTuple):
    """What became of opportunities that an automation was to move."""

    ids: set  # of those that are moved
    waiting_ids: set  # of those that are left to the scheduled job
    errors: dict  # why the others could not be moved, by id

    @property
    def is_none(self):
        """:return: whether there were some, and none of them could be moved"""
        return bool(self.errors) and not self.ids


class CrmStageAutomation(models.Model):
    _name = "crm.stage.automation"
    _description = "Stage Automation"
    _order = "stage_id, sequence, id"
    _rec_names_search = ("stage_id.name",)

    stage_id = fields.Many2one(
        "crm.stage",
        required=True,
        index=True,
        ondelete="cascade",
        help="Stage that the opportunities are moved to.",
    )
    sequence = fields.Integer(
        default=10,
        help="Of the automations that move to the same stage, the first one that matches is told in the "
        "chatter.",
    )
    active = fields.Boolean(default=True, help="An archived automation moves nothing.")
    trigger = fields.Selection(
        selection="_selection_trigger",
        string="When",
        required=True,
        help="What must happen for opportunities to move. An e-mail counts as sent when it goes out to "
        "somebody outside of the company from the opportunity or one of its quotations, and as received when "
        "it comes in there by the mail gateway.",
    )
    model_name = fields.Char(
        string="Model",
        compute="_compute_model_name",
        help="Model of the document that the condition is about.",
    )
    from_stage_ids = fields.Many2many(
        "crm.stage",
        string="Only from",
        help="Stages from which opportunities are moved, backward too, and won ones out of a won stage, "
        "unless they still have a confirmed order. Empty: from any earlier stage.",
    )
    action_server_id = fields.Many2one(
        "ir.actions.server",
        string="Server Action",
        readonly=True,
        copy=False,
        index=True,
        ondelete="set null",
        groups="base.group_system",
        help="Action that moves the opportunities to the stage.",
    )

    # ------------------------------------------------------------------
    # Fields
    # ------------------------------------------------------------------

    @api.model
    def _get_document_models(self):
        """:return: [model, ...] of all that joined the trigger mixin"""
        names = self.env.registry.descendants(["crm.stage.trigger.mixin"], "_inherit")
        return [self.env[name] for name in names if not self.env[name]._abstract]

    @api.model
    def _get_trigger_models(self):
        """:return: [(model, label by trigger), ...] of all models that joined the trigger mixin"""
        return [(model, model._get_crm_stage_triggers()) for model in self._get_document_models()]

    @api.model
    def _selection_trigger(self):
        return [item for _model, triggers in self._get_trigger_models() for item in triggers.items()]

    @api.depends("trigger")
    def _compute_model_name(self):
        names = {
            trigger: model._name for model, triggers in self._get_trigger_models() for trigger in triggers
        }
        for automation in self:
            automation.model_name = names.get(automation.trigger, False)

    def _get_event_text(self):
        """:return: what must happen, in words that continue "when " """
        return dict(self._selection_trigger()).get(self.trigger, "")

    # ------------------------------------------------------------------
    # Constraints
    # ------------------------------------------------------------------

    @api.constrains("stage_id", "from_stage_ids")
    def _check_from_stage_ids(self):
        for automation in self:
            if automation.stage_id in automation.from_stage_ids:
                raise ValidationError(
                    self.env._(
                        'Opportunities cannot be moved from the stage "%s" to itself: '
                        "take it out of the stages they come from.",
                        automation.stage_id.name,
                    )
                )

    @api.constrains("action_server_id", "stage_id", "outcome", "lost_reason_id")
    def _check_action_server_id(self):
        """An automation runs nothing but the move to its stage: no code, no other action."""
        # sudo: the field is not for sales managers, the check is for everybody
        for automation in self.sudo():
            action = automation.action_server_id
            if action and not automation._is_own_action(action):
                raise ValidationError(
                    self.env._(
                        'The server action of an automation must be of the type "Move Opportunity to Stage", '
                        'for opportunities, to the stage "%s" and with the same outcome, without groups nor '
                        "other actions.",
                        automation.stage_id.name,
                    )
                )

    # ------------------------------------------------------------------
    # CRUD
    # ------------------------------------------------------------------

    @api.model
    def _has_field_access(self, field, operation):
        """Nobody writes what the system writes: what is stored and read-only, but not computed.

        Managers get messages about it from OdooBot, and the scheduled jobs go on from there.
        """
        is_for_system = field.store and field.readonly and not field.compute
        if is_for_system and operation == "write" and not self.env.su:
            return False
        return super()._has_field_access(field, operation)

    @api.model
    def default_get(self, fields):
        """Defaults that users set for themselves are no way to write it either."""
        return super().default_get(
            [
                name
                for name in fields
                if name not in self._fields or self._has_field_access(self._fields[name], "write")
            ]
        )

    @api.model_create_multi
    def create(self, vals_list):
        automations = super().create(vals_list)
        automations._assign_actions()
        forget(self.env.cr)
        return automations

    def write(self, vals):
        """Whoever changes what an automation makes of opportunities gives it another server action."""
        is_other_move = not self._get_move_fields().isdisjoint(vals)
        self.check_access("write")
        if is_other_move:
            self.sudo().action_server_id = False  # sudo: it is for the system alone
        res = super().write(vals)
        if is_other_move:
            self._assign_actions()
        forget(self.env.cr)
        return res

    def unlink(self):
        res = super().unlink()
        forget(self.env.cr)
        return res

    @api.model
    def _get_configuration_fields(self):
        """:return: names of the fields that say what an automation does"""
        return {"stage_id", "sequence", "active", "trigger", "filter_domain", "from_stage_ids"}

    @api.model
    def _get_move_fields(self):
        """:return: names of the fields that say what becomes of the opportunities, or propose it"""
        return {"stage_id", "trigger", "outcome", "lost_reason_id"}

    def _is_own_action(self, action):
        """:return: whether the server action does what this automation makes of opportunities, and no more"""
        return action._is_plain_move_to(self.stage_id, self.outcome, self.lost_reason_id)

    def _assign_actions(self):
        """Give automations without server action the one that moves opportunities to their stage."""
        # sudo: sales managers have no right on server actions; what is created here is always the plain move.
        for automation in self.sudo().filtered(lambda automation: not automation.action_server_id):
            actions = self.env["ir.actions.server"].sudo().with_context(clean_context(self.env.context))
            automation.action_server_id = actions._get_plain_move_to(
                automation.stage_id, automation.outcome, automation.lost_reason_id
            )

    # ------------------------------------------------------------------
    # Moving
    # ------------------------------------------------------------------

    @api.model
    def _process(self, documents_by_trigger):
        """Move the opportunities of documents to which something has just happened.

        :param dict documents_by_trigger: recordset by trigger
        """
        self._process_listeners(
            {
                listener: documents_by_trigger[listener.trigger]
                for listener in self._get_setup().listeners
                if listener.trigger in documents_by_trigger
            }
        )

    @api.model
    def _process_listeners(self, documents_by_listener):
        """Move the opportunities of documents that concern some automations only.

        The furthest stage wins: an opportunity that one automation moved is left alone by the next ones. A
        faulty automation leaves its opportunities to them. Each automation moves all of its own in one run.

        :param dict documents_by_listener: recordset by ``Listener``, furthest stage first
        """
        is_tried_again = not any(self.env.context.get(key) for key in NOT_TRIED_AGAIN)
        automations = self._with_moving_env()
        pairs_by_documents = {}
        done_ids = set()
        for listener, documents in documents_by_listener.items():
            automation = automations.browse(listener.automation_id)
            leads = None
            # Another addon may say how to find a document's opportunities.
            with automation._show_failure("trigger", is_undone=False):
                if documents not in pairs_by_documents:
                    pairs_by_documents[documents] = documents.with_env(automations.env)._get_crm_stage_leads()
                pairs = pairs_by_documents[documents]
                leads = automation._get_movable_leads(listener, pairs, done_ids)
            if leads and (moved := automation._move(listener, pairs, leads, is_tried_again)):
                done_ids |= moved.ids | moved.waiting_ids

    def _with_moving_env(self):
        """
        :return: the same automations, with the rights that they move opportunities with

        sudo: whoever triggers an automation (a customer who signs, too) need not see, nor be allowed to move,
        the opportunity. Nothing of it is returned to them.
        """
        context = {key: value for key, value in self.env.context.items() if key in KEPT_CONTEXT}
        return self.with_env(self.env(su=True, context=context))

    @api.model
    def _get_movable_leads(self, listener, pairs, done_ids=()):
        """
        :param list pairs: documents and their opportunities, as [(document, crm.lead), ...]
        :param done_ids: opportunities to leave alone
        :return: the opportunities that the automation may move, if a document of theirs meets its condition
        """
        lead_ids = {lead_id for _document, leads in pairs for lead_id in leads.ids}.difference(done_ids)
        leads = self.env["crm.lead"].browse(sorted(lead_ids))
        leads = leads.filtered_domain(self._get_movable_domain(listener))
        return self._filter_unprotected(listener, leads)

    @api.model
    def _get_movable_domain(self, listener):
        """:return: ``Domain`` of the opportunities that the automation takes"""
        return Domain.AND(self._get_movable_domains(listener).values())

    @api.model
    def _get_movable_domains(self, listener):
        """:return: see ``crm.lead``"""
        return self.env["crm.lead"]._get_movable_domains(
            self.env["crm.stage"].browse(listener.stage_id),
            listener.origin_ids,
            listener.team_ids,
            listener.is_back,
            listener.is_lost_included,
        )

    @api.model
    def _get_reasons_to_stay(self, listener, leads, done_ids):
        """
        :param done_ids: of opportunities that other automations have just moved
        :return: the first reason why the automation does not take an opportunity, for those it does not take
        """
        reasons = {lead: "further" for lead in leads if lead.id in done_ids}
        for reason, domain in self._get_movable_domains(listener).items():
            for lead in leads - leads.filtered_domain(domain):
                reasons.setdefault(lead, reason)
        for lead in leads - self._filter_unprotected(listener, leads):
            reasons.setdefault(lead, "order")
        return reasons

    def _move(self, listener, pairs, leads, is_tried_again=True, waiting=None):
        """Move those of ``leads`` with a document that meets the condition, all of them if that is possible.

        One that cannot be moved, because another addon refuses it, say, keeps no others. Where none can be
        moved, the automation is faulty.

        :param bool is_tried_again: whether somebody tries the transaction again after a conflict with another
            one; otherwise the scheduled job makes up for the move
        :param waiting: rows of the journal that are waiting for these moves, if any
        :return: ``Moved``; None where the automation itself does not work
        :raise CONFLICTS: to be tried again
        """
        if not self.exists():
            return Moved(set(), set(), {})  # deleted a moment ago, which this process does not know yet
        journal = self.env["crm.stage.automation.move"]
        documents_by_lead, before = {}, {}
        with attempt(self.env, raised=CONFLICTS if is_tried_again else ()) as made:
            documents_by_lead = self._get_matching_documents(pairs, leads)
            if documents_by_lead:
                before = journal._read_values(leads.browse(documents_by_lead))
                self._run_action(listener, documents_by_lead)
        is_working = bool(documents_by_lead) and not isinstance(made.error, AutomationError)
        if made.error and not is_working and not isinstance(made.error, CONFLICTS):
            self._tell_fault(made.error, "condition")
            return None
        moved = self._get_moved(listener, documents_by_lead, made.error, is_tried_again)
        journal._record(self, documents_by_lead, moved, before, waiting or journal)
        if moved.waiting_ids:
            self._get_catch_up_job()._trigger()
        if moved.is_none:
            self._tell_fault(next(iter(moved.errors.values())), "move")
        elif moved.ids:
            self._show_moved(moved)
        return moved

    def _get_moved(self, listener, documents_by_lead, error, is_tried_again):
        """Where opportunities could not be moved all at once, move each half of them, and so on.

        :param dict documents_by_lead: what moves the opportunities, by id of the latter
        :param error: why they could not be moved, if that is so
        :param bool is_tried_again: see ``_move``
        :return: ``Moved``
        """
        if not error:
            return Moved(set(documents_by_lead), set(), {})
        if isinstance(error, CONFLICTS):
            return Moved(set(), set(documents_by_lead), {})
        if len(documents_by_lead) == 1:
            return Moved(set(), set(), dict.fromkeys(documents_by_lead, error))
        moved = Moved(set(), set(), {})
        for half in split_every((len(documents_by_lead) + 1) // 2, documents_by_lead.items(), dict):
            with attempt(self.env, raised=CONFLICTS if is_tried_again else ()) as made:
                self._run_action(listener, half)
            for all_of_it, of_the_half in zip(
                moved, self._get_moved(listener, half, made.error, is_tried_again), strict=True
            ):
                all_of_it.update(of_the_half)
        return moved

    def _get_matching_documents(self, pairs, leads):
        """:return: a document that meets the condition by id of its opportunity, for those of ``leads``"""
        movable_ids = set(leads.ids)
        documents_and_leads = [
            (document, lead_id)
            for document, its_leads in pairs
            for lead_id in its_leads.ids
            if lead_id in movable_ids
        ]
        documents = self.env[self.model_name].union(*(document for document, _lead_id in documents_and_leads))
        matching_ids = set(self._filter_documents(documents).ids)
        return {lead_id: document for document, lead_id in documents_and_leads if document.id in matching_ids}

    def _run_action(self, listener, documents_by_lead):
        """Run the server action once for all the opportunities.

        :param dict documents_by_lead: what the chatter names, by opportunity id
        """
        self._assign_actions()
        action = self.action_server_id
        if not self._is_own_action(action):
            raise AutomationError(
                self.env,
                _lt(
                    "Its server action was changed: it no longer does what this automation says. Have an "
                    "administrator correct it, or choose the stage anew."
                ),
                "move",
            )
        leads = self.env["crm.lead"].browse(documents_by_lead)
        with leads._moved_by(self._get_chatter_bodies(documents_by_lead), self.id):
            action._run_for(listener, leads)

    def _get_chatter_bodies(self, documents_by_lead):
        """:return: what the chatter tells of the move, by opportunity id

        It is told in the language of who brought it about, as Odoo tells the change of stage. Where that is
        a customer or a scheduled job, it is told in the language of the opportunity's company.
        """
        user = self.env.user
        is_colleague = not user.share and user.id != SUPERUSER_ID
        by_lang = {}
        bodies = {}
        for lead in self.env["crm.lead"].browse(documents_by_lead):
            company = lead.company_id or self.env.company
            lang = self.env.lang if is_colleague else company.partner_id.lang
            if lang not in by_lang:
                by_lang[lang] = self.with_context(lang=lang)
            bodies[lead.id] = by_lang[lang]._get_chatter_body(documents_by_lead[lead.id])
        return bodies

    def _get_chatter_body(self, document):
        """Many people read the chatter. The condition may name what some of them may not see: it is left out.

        :param document: what the automation listened to, when it is not the opportunity itself
        """
        event = self._get_event_in_stage()
        if document._name == "crm.lead":
            return self.env._("By an automation: %s", event)
        link = document._get_html_link()
        return self.env._("By an automation: %(event)s (%(document)s)", event=event, document=link)

    # ------------------------------------------------------------------
    # Faults
    # ------------------------------------------------------------------

    @contextmanager
    def _show_failure(self, part="trigger", is_undone=True):
        """Show it on the automation when what is done in here fails, and let the business action go on.

        :param part: see ``_tell_fault``
        :param is_undone: see ``attempt``
        :raise CONFLICTS: to be tried again
        """
        with attempt(self.env, raised=CONFLICTS, is_undone=is_undone) as made:
            yield
        if made.error:
            self._tell_fault(made.error, part)

    def _tell_fault(self, error, part="trigger"):
        """Show on the automation that it does not work, and leave the details to the server's log.

        :param str part: what of it does not work, unless the error says so itself
        """
        _logger.warning("Stage automation %s cannot move opportunities", self.id, exc_info=error)
        if self.exists():
            self._set_fault(*self._get_fault(error, part))

    def _show_moved(self, moved):
        """Show that the automation works, and leave to the server's log why some could not be moved.

        :param Moved moved: what became of the opportunities
        """
        if self.fault:
            self._set_fault(None)
        if moved.errors:
            error = next(iter(moved.errors.values()))
            ids = list(moved.errors)
            _logger.warning("Stage automation %s cannot move opportunities %s", self.id, ids, exc_info=error)
