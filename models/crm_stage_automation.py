import ast
import logging
from typing import NamedTuple

from psycopg2 import DataError, OperationalError, ProgrammingError

from odoo import api, fields, models
from odoo.exceptions import ConcurrencyError, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL, clean_context, frozendict, ormcache

_logger = logging.getLogger(__name__)

# Opportunities that "Apply to existing documents" moves at once; the scheduled job does more, as many a time
CATCH_UP_BATCH = 200

# What a move must not inherit from the business action: defaults, "do not track", who knows what
KEPT_CONTEXT = ("lang", "tz", "uid", "allowed_company_ids")


class Rule(NamedTuple):
    """What the cache knows of an active line, so that an event costs no query to find its lines."""

    line_id: int
    trigger: str
    stage_id: int
    filter_domain: str
    origin_ids: frozenset  # of the stages that it takes opportunities from
    team_ids: frozenset  # of the stage; empty: all


class CrmStageAutomation(models.Model):
    _name = "crm.stage.automation"
    _description = "Stage Automation"
    _order = "stage_id, sequence, id"
    _rec_names_search = ("stage_id.name",)

    name = fields.Char(
        string="Automation",
        compute="_compute_name",
        help="What this line does, as a sentence.",
    )
    stage_id = fields.Many2one(
        "crm.stage",
        string="Move to",
        required=True,
        index=True,
        ondelete="cascade",
        help="Stage that the opportunities are moved to.",
    )
    sequence = fields.Integer(
        default=10,
        help="Of the lines that move to the same stage, the first one that matches is told in the chatter.",
    )
    active = fields.Boolean(default=True, help="An archived line moves nothing.")
    trigger = fields.Selection(
        selection="_selection_trigger",
        string="When",
        required=True,
        help="What must happen for opportunities to move. An e-mail counts as sent when it goes out to "
        "somebody outside of the company from the opportunity, and as received when it comes in by the "
        "mail gateway.",
    )
    model_name = fields.Char(
        string="Model",
        compute="_compute_model_name",
        help="Model of the document that the condition is about.",
    )
    filter_domain = fields.Char(
        string="Condition",
        help="Which documents count: the quotation, meeting or activity that triggers the line, "
        "or the opportunity itself for e-mails. Without condition, all do.",
    )
    from_stage_ids = fields.Many2many(
        "crm.stage",
        string="Only from",
        help="Stages from which opportunities are moved, backward too. Empty: from any earlier stage.",
    )
    action_server_id = fields.Many2one(
        "ir.actions.server",
        string="Server Action",
        readonly=True,
        copy=False,
        index=True,
        ondelete="cascade",
        groups="base.group_system",
        help="Action that moves the opportunities to the stage.",
    )
    fault = fields.Text(
        readonly=True,
        copy=False,
        help="Why the line could not do its work the last time. It goes away when the line works again.",
    )
    fault_date = fields.Datetime(string="Faulty Since", readonly=True, copy=False)
    is_catching_up = fields.Boolean(
        string="Applied to Existing Documents",
        readonly=True,
        copy=False,
        help="Whether the scheduled job still moves opportunities of documents older than this line.",
    )
    # The job goes through the opportunities by id, from the cursor to the last one there was when it started.
    catch_up_cursor = fields.Integer(string="Last Opportunity Looked At", readonly=True, copy=False)
    catch_up_last = fields.Integer(string="Last Opportunity to Look At", readonly=True, copy=False)
    catch_up_total = fields.Integer(string="Opportunities to Move", readonly=True, copy=False)
    catch_up_done = fields.Integer(string="Opportunities Moved", readonly=True, copy=False)
    catch_up_progress = fields.Integer(
        string="Progress (%)",
        compute="_compute_catch_up_progress",
        help="How far the scheduled job has come with the opportunities of existing documents.",
    )

    # ------------------------------------------------------------------
    # Fields
    # ------------------------------------------------------------------

    @api.model
    def _get_trigger_models(self):
        """:return: [(model, label by trigger), ...] of all models that joined the trigger mixin"""
        names = self.env.registry.descendants(["crm.stage.trigger.mixin"], "_inherit")
        models_ = (self.env[name] for name in names if not self.env[name]._abstract)
        return [(model, model._get_crm_stage_triggers()) for model in models_]

    @api.model
    def _selection_trigger(self):
        return [item for _model, triggers in self._get_trigger_models() for item in triggers.items()]

    @api.depends("trigger")
    def _compute_model_name(self):
        names = {
            trigger: model._name for model, triggers in self._get_trigger_models() for trigger in triggers
        }
        for line in self:
            line.model_name = names.get(line.trigger, False)

    @api.depends("stage_id.name", "trigger", "filter_domain", "from_stage_ids.name")
    @api.depends_context("lang")
    def _compute_name(self):
        labels = dict(self._selection_trigger())
        for line in self:
            values = {
                "stage": line.stage_id.name or "",
                "event": labels.get(line.trigger, ""),
                "origins": ", ".join(line.from_stage_ids.mapped("name")),
                "condition": line._get_condition_text(),
            }
            if values["origins"] and values["condition"]:
                line.name = self.env._(
                    'From %(origins)s to "%(stage)s" when %(event)s, if %(condition)s', **values
                )
            elif values["origins"]:
                line.name = self.env._('From %(origins)s to "%(stage)s" when %(event)s', **values)
            elif values["condition"]:
                line.name = self.env._('Move to "%(stage)s" when %(event)s, if %(condition)s', **values)
            else:
                line.name = self.env._('Move to "%(stage)s" when %(event)s', **values)

    def _get_condition_text(self):
        """:return: the condition in words when it is a simple one, a mention of it otherwise, or nothing"""
        self.ensure_one()
        try:
            domain = self._parse_domain()
            if domain.is_true() or not self.model_name:
                return ""
            conditions = list(domain.iter_conditions())
            if len(conditions) == 1 and (text := self._get_term_text(conditions[0])):
                return text
        except (ValueError, KeyError, RecursionError):
            return self.env._("its condition, which is not valid, is met")
        return self.env._("the document meets %s condition(s)", len(conditions))

    def _get_term_text(self, condition):
        """:return: one condition in words, or None when it is none of the simple ones"""
        field = self.env[self.model_name]._fields[condition.field_expr.partition(".")[0]]
        if field.name != condition.field_expr:
            return None  # over a link, or part of a date
        values = condition.value if isinstance(condition.value, (list, tuple, set)) else [condition.value]
        if condition.operator not in ("=", "in") or not any(values):
            return None
        if field.relational:
            values = self.env[field.comodel_name].browse(v for v in values if isinstance(v, int)).exists()
            values = values.mapped("display_name")
        elif field.type == "selection":
            labels = dict(field._description_selection(self.env))
            values = [labels.get(value, value) for value in values]
        return self.env._(
            "%(field)s is %(values)s",
            field=field.get_description(self.env, ["string"])["string"],
            values=", ".join(map(str, values)) or "?",
        )

    @api.depends("is_catching_up", "catch_up_total", "catch_up_done")
    def _compute_catch_up_progress(self):
        for line in self:
            line.catch_up_progress = 100 * line.catch_up_done // (line.catch_up_total or 1)

    # ------------------------------------------------------------------
    # Constraints
    # ------------------------------------------------------------------

    @api.constrains("stage_id", "from_stage_ids")
    def _check_from_stage_ids(self):
        for line in self:
            if line.stage_id in line.from_stage_ids:
                raise ValidationError(
                    self.env._(
                        'Opportunities cannot be moved from the stage "%s" to itself: '
                        "take it out of the stages they come from.",
                        line.stage_id.name,
                    )
                )

    @api.constrains("filter_domain", "trigger")
    def _check_filter_domain(self):
        """Refuse what could not work, what is no plain domain, and fields the writing user may not read."""
        # Odoo checks constraints with the system's rights; here those of the writing user are the point.
        for line in self.with_user(self.env.user):
            model = line.env[line.model_name]
            try:
                domain = line._parse_domain()
            except ValueError as error:
                raise ValidationError(
                    self.env._(
                        "The condition is not valid: build it with the condition editor, "
                        "out of fields, operators and plain values.\n%s",
                        line.filter_domain,
                    )
                ) from error
            try:
                for condition in domain.iter_conditions():
                    line._check_condition(model, condition)
                line._check_evaluable(model, domain)
            except RecursionError as error:
                raise ValidationError(
                    self.env._("The condition is nested too deeply, or its links are: make it simpler.")
                ) from error

    @api.model
    def _check_condition(self, model, condition):
        """A condition is evaluated with the system's rights: it must not tell what its author may not read.

        :raise ValidationError: a field of the condition does not exist or may not be read
        """
        names = condition.field_expr.split(".")
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
        if condition.operator in ("any", "not any"):
            for sub_condition in Domain(condition.value).iter_conditions():
                self._check_condition(model, sub_condition)

    @api.model
    def _check_evaluable(self, model, domain):
        """PostgreSQL is asked how it would search, which it does not do: it refuses values that fit no field.

        :raise ValidationError: the condition would fail whenever it is looked at
        """
        try:
            domain.validate(model)
            query = model.sudo()._search(domain)  # sudo: as the line itself; nothing is read
            with self.env.cr.savepoint(flush=False):
                self.env.cr.execute(SQL("EXPLAIN %s", query.select()), log_exceptions=False)
        except (ValueError, TypeError, NotImplementedError, UserError, DataError, ProgrammingError) as error:
            reason = str(error).partition("\n")[0]
            raise ValidationError(self.env._("The condition cannot be evaluated: %s", reason)) from error

    @api.model
    def _get_model_label(self, model):
        """:return: what users call the records of ``model``"""
        return self.env["ir.model"].sudo()._get(model._name).name  # sudo: only for its name in a message

    @api.constrains("action_server_id", "stage_id")
    def _check_action_server_id(self):
        """A line runs nothing but the move to its stage: no code, no other action, whoever wrote it."""
        for line in self.sudo():  # sudo: the field is not for sales managers, the check is for everybody
            if line.action_server_id and not line.action_server_id._is_plain_move_to(line.stage_id):
                raise ValidationError(
                    self.env._(
                        'The server action of an automation must be of the type "Move Opportunity to Stage", '
                        'for opportunities, to the stage "%s", without groups nor other actions.',
                        line.stage_id.name,
                    )
                )

    # ------------------------------------------------------------------
    # CRUD
    # ------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        lines = super().create(vals_list)
        lines._assign_actions()
        self.env.registry.clear_cache()
        return lines

    def write(self, vals):
        """Whoever changes what a line does gets a clean start: a fault told before was another line's."""
        configuration = {
            "stage_id",
            "sequence",
            "active",
            "trigger",
            "filter_domain",
            "from_stage_ids",
        } & vals.keys()
        if configuration - {"sequence"}:
            vals = {"fault": False, "fault_date": False, "is_catching_up": False, **vals}
        if "stage_id" in vals:
            vals = {**vals, "action_server_id": False}
            lines = self.sudo()  # sudo: sales managers have no right on server actions
        else:
            lines = self
        self.check_access("write")
        res = super(CrmStageAutomation, lines).write(vals)
        if "stage_id" in vals:
            self._assign_actions()
        if configuration:
            self.env.registry.clear_cache()
        return res

    def unlink(self):
        res = super().unlink()
        self.env.registry.clear_cache()
        return res

    def _assign_actions(self):
        """Give lines without server action the one that moves opportunities to their stage."""
        # sudo: sales managers have no right on server actions; what is created here is always the plain move.
        for line in self.sudo().filtered(lambda line: not line.action_server_id):
            actions = self.env["ir.actions.server"].sudo().with_context(clean_context(self.env.context))
            line.action_server_id = actions._get_plain_move_to(line.stage_id)

    # ------------------------------------------------------------------
    # Rules, from the cache
    # ------------------------------------------------------------------

    @api.model
    @ormcache()
    def _get_rules(self):
        """:return: the rules of all lines that are not idle, furthest stage first

        Cleared when lines or stages change, in all workers.
        """
        ranks = self.env["crm.stage"]._get_ranks()
        # sudo: whoever triggers the lines has no right on them
        lines = self.sudo().search([("stage_id.active", "=", True)])
        rules = [
            Rule(
                line_id=line.id,
                trigger=line.trigger,
                stage_id=line.stage_id.id,
                filter_domain=line.filter_domain,
                origin_ids=frozenset(line.from_stage_ids.ids) or line.stage_id._get_earlier_stage_ids(),
                team_ids=frozenset(line.stage_id.team_ids.ids),
            )
            for line in lines.with_context(active_test=False).sorted("sequence")
        ]
        return tuple(sorted(rules, key=lambda rule: -ranks[rule.stage_id]))

    @api.model
    @ormcache()
    def _get_heard_triggers(self):
        """:return: triggers that some rule listens on, by model"""
        heard = {rule.trigger for rule in self._get_rules()}
        return frozendict(
            {
                model._name: frozenset(heard.intersection(triggers))
                for model, triggers in self._get_trigger_models()
            }
        )

    # ------------------------------------------------------------------
    # Moving
    # ------------------------------------------------------------------

    @api.model
    def _process(self, documents_by_trigger):
        """Move the opportunities of documents to which something has just happened.

        The furthest stage wins: an opportunity that one rule moved is none of the next ones' business.
        A faulty rule leaves its opportunities to them. Each rule moves all of its own in one run.

        :param dict documents_by_trigger: recordset by trigger
        """
        # sudo: whoever triggers a line (a customer who signs, too) need not see, nor be allowed to move, the
        # opportunity. Nothing of it is returned to them.
        context = {key: value for key, value in self.env.context.items() if key in KEPT_CONTEXT}
        env = self.env(su=True, context=context)
        leads_by_trigger = {
            trigger: documents.with_env(env)._get_crm_stage_leads()
            for trigger, documents in documents_by_trigger.items()
        }
        moved_ids = set()
        for rule in self._get_rules():
            if pairs := leads_by_trigger.get(rule.trigger):
                moved_ids |= self.with_env(env)._process_rule(rule, pairs, moved_ids) or set()

    @api.model
    def _process_rule(self, rule, pairs, done_ids=()):
        """:param list pairs: documents and their opportunities, as [(document, crm.lead), ...]
        :param done_ids: opportunities to leave alone
        :return: ids of the opportunities moved, None when the rule is faulty
        """
        lead_ids = {lead_id for _document, leads in pairs for lead_id in leads.ids}.difference(done_ids)
        stage = self.env["crm.stage"].browse(rule.stage_id)
        leads = self.env["crm.lead"].browse(lead_ids)
        leads = leads.filtered_domain(leads._get_movable_domain(stage, rule.origin_ids, rule.team_ids))
        if not leads:
            return set()
        line = self.browse(rule.line_id).exists()
        if not line:
            return set()  # deleted a moment ago, which the cache of this worker has not been told yet
        # What the business action left pending is not this line's fault: let it fail, if it does, before.
        self.env.flush_all()
        try:
            # Not flushing by itself: that would run the commit's hooks, too, which post tracking messages.
            with self.env.cr.savepoint(flush=False):
                documents_by_lead = line._get_matching_documents(pairs, leads)
                if not documents_by_lead:
                    return set()
                leads = leads.browse(documents_by_lead)
                line._run_action(leads)
                self.env.flush_all()
        except (OperationalError, ConcurrencyError):
            raise  # Odoo tries the whole request again
        except Exception as error:  # whatever it is, the sale itself goes through
            self.env.clear()
            _logger.warning(
                "Stage automation %s cannot move opportunities %s", line.id, leads.ids, exc_info=True
            )
            line._set_fault(
                str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            )
            return None
        if line.fault:
            line._set_fault(None)
        line._tell_opportunities(documents_by_lead, leads)
        return set(leads.ids)

    def _get_matching_documents(self, pairs, leads):
        """:return: a document that meets the condition by id of its opportunity, for those of ``leads``"""
        movable_ids = set(leads.ids)
        pairs = [
            (document, lead_id) for document, of in pairs for lead_id in of.ids if lead_id in movable_ids
        ]
        documents = self.env[self.model_name].union(*(document for document, _lead_id in pairs))
        matching = set(documents.filtered_domain(self._parse_domain()).ids)
        return {lead_id: document for document, lead_id in pairs if document.id in matching}

    def _run_action(self, leads):
        """Run the server action once for all ``leads``."""
        self._assign_actions()
        if not self.action_server_id._is_plain_move_to(self.stage_id):
            raise UserError(
                self.env._(
                    'Its server action no longer moves opportunities to "%s": correct it.', self.stage_id.name
                )
            )
        self.action_server_id.with_context(
            active_model=leads._name,
            active_id=leads.ids[0],
            active_ids=leads.ids,
            crm_stage_moving=True,
        ).run()

    def _tell_opportunities(self, documents_by_lead, leads):
        """Let the message that tracks the change of stage name this line and the document."""
        name = self.name
        bodies = {}
        for lead_id, document in documents_by_lead.items():
            if document._name == leads._name:
                bodies[lead_id] = self.env._("Moved by an automation: %s", name)
            else:
                link = document._get_html_link()
                bodies[lead_id] = self.env._(
                    "Moved by an automation: %(line)s (%(document)s)", line=name, document=link
                )
        leads._set_moved_by(bodies)

    def _parse_domain(self):
        """:return: the condition as a ``Domain``; only literals are read, nothing is evaluated
        :raise ValueError: the condition is no list of literals, or no domain
        """
        try:
            domain = ast.literal_eval(self.filter_domain or "[]")
            if not isinstance(domain, list):
                raise ValueError(self.filter_domain)
            return Domain(domain)
        except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
            raise ValueError(self.filter_domain) from error

    def _set_fault(self, text):
        """Tell on the line why it does not work, or that it does again with None.

        Many workers may come by the same faulty line. They must not wait for each other, nor let the sale be
        tried again, because of a note: it is written on change only, and left to whoever is writing it.
        """
        if (self.fault or None) == text:
            return
        try:
            with self.env.cr.savepoint(flush=False):
                self.env.cr.execute(
                    SQL(
                        """
                        UPDATE crm_stage_automation
                           SET fault = %s, fault_date = %s
                         WHERE id IN (SELECT id FROM crm_stage_automation WHERE id = %s
                                      FOR NO KEY UPDATE SKIP LOCKED)
                        """,
                        text,
                        fields.Datetime.now() if text else None,
                        self.id,
                    ),
                    log_exceptions=False,
                )
        except OperationalError:
            _logger.info("Fault of stage automation %s is being told by another worker", self.id)
        self.invalidate_recordset(["fault", "fault_date"])

    # ------------------------------------------------------------------
    # Existing documents
    # ------------------------------------------------------------------

    def _get_rule(self):
        """:return: this line's rule
        :raise UserError: the line is idle
        """
        self.ensure_one()
        rule = next((rule for rule in self._get_rules() if rule.line_id == self.id), None)
        if not rule:
            raise UserError(
                self.env._(
                    "This automation moves nothing while it, or its stage, is archived. "
                    "Unarchive it, then try again."
                )
            )
        return rule

    def _get_documents_domain(self):
        """:return: ``Domain`` of documents that the trigger has happened to and that meet the condition"""
        return self.env[self.model_name]._get_crm_stage_trigger_domain(self.trigger) & self._parse_domain()

    def _get_opportunities_domain(self):
        """:return: ``Domain`` of the opportunities that the existing documents would move now"""
        rule = self._get_rule()
        documents = self.env[self.model_name].sudo()  # sudo: as the line itself
        domain = self._get_documents_domain() & documents._get_crm_stage_lead_domain()
        movable = self.env["crm.lead"]._get_movable_domain(self.stage_id, rule.origin_ids, rule.team_ids)
        return movable & Domain("id", "in", documents._search_crm_stage_lead_ids(domain))

    def action_preview(self):
        """:return: action that opens the opportunities which this line would move now"""
        self.check_access("read")
        leads = self.env["crm.lead"].search(self.sudo()._get_opportunities_domain())  # sudo: see there
        return {
            **self.env["ir.actions.act_window"]._for_xml_id("crm.crm_lead_opportunities"),
            "name": self.name,
            "domain": [("id", "in", leads.ids)],
            "context": {"create": False},
        }

    def action_catch_up(self):
        """Move the opportunities of existing documents: few at once, many by the scheduled job.

        :return: action that tells how many
        """
        self.check_access("write")
        line = self.sudo()  # sudo: moves as the line itself does; checked above that the user may set it
        leads = line.env["crm.lead"].search(line._get_opportunities_domain(), order="id")
        if len(leads) > CATCH_UP_BATCH:
            line._start_catch_up(leads)
            message = self.env._("%s opportunities will be moved within the next minutes.", len(leads))
        else:
            moved_ids = line._move_opportunities_of_documents(leads)
            if moved_ids is None:
                raise UserError(self.env._("The opportunities could not be moved.\n%s", line.fault))
            message = self.env._("%s opportunities moved.", len(moved_ids))
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "info",
                "message": message,
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def _start_catch_up(self, leads):
        """Hand ``leads`` (sorted by id) to the scheduled job."""
        self.write(
            {
                "is_catching_up": True,
                "catch_up_cursor": 0,
                "catch_up_last": leads[-1].id,
                "catch_up_total": len(leads),
                "catch_up_done": 0,
            }
        )
        self.env.ref("crm_sales_stage.ir_cron_crm_stage_catch_up")._trigger()

    def _move_opportunities_of_documents(self, leads):
        """Move those of ``leads`` that existing documents move, each with the document named.

        :return: ids of the opportunities moved, None when the line is faulty
        """
        if not leads:
            return set()
        model = self.env[self.model_name].with_context(active_test=False)
        documents = model.search(
            self._get_documents_domain() & model._get_crm_stage_lead_domain(leads), order="id"
        )
        return self._process_rule(self._get_rule(), documents._get_crm_stage_leads())

    @api.model
    def _cron_catch_up(self):
        """Move the opportunities of existing documents, batch by batch; goes on where it was interrupted."""
        lines = self.search([("is_catching_up", "=", True)])
        for line in lines:
            while line.is_catching_up:
                processed = line._catch_up_batch()
                remaining = sum(
                    max(other.catch_up_total - other.catch_up_done, 1)
                    for other in lines
                    if other.is_catching_up
                )
                if not self.env["ir.cron"]._commit_progress(processed, remaining=remaining):
                    return

    def _catch_up_batch(self):
        """:return: number of opportunities looked at, which the cursor has passed now: never twice"""
        leads = self.env["crm.lead"].search(
            self._get_opportunities_domain()
            & Domain("id", ">", self.catch_up_cursor)
            & Domain("id", "<=", self.catch_up_last),
            order="id",
            limit=CATCH_UP_BATCH,
        )
        moved_ids = self._move_opportunities_of_documents(leads)
        self.write(
            {
                "catch_up_cursor": leads[-1:].id or self.catch_up_last,
                "catch_up_done": self.catch_up_done + len(leads),
                # A faulty line would be as faulty with the next batch.
                "is_catching_up": len(leads) == CATCH_UP_BATCH and moved_ids is not None,
            }
        )
        return len(leads)
