"""Opportunities that come into a stage: what it plans, sends, and asks them for."""

import logging
from contextlib import contextmanager

from lxml.builder import E

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import MissingError
from odoo.fields import Domain
from odoo.tools import clean_context, email_normalize_all

from ...tools import CONFLICTS, NOT_TRIED_AGAIN, ON, attempt
from ..automation.crm_stage_automation_move import LEFT_OUT, UNDONE
from ..automation.fault import get_reason

_logger = logging.getLogger(__name__)

# Context keys of Odoo with which opportunities are stored, but do not arrive: imports and data files
SILENT_CONTEXT = ("import_file", "_import_current_module", "install_mode")

# Key of the transaction's data: stages that opportunities left lately, see ``_filter_back``
LEFT_LATELY = "crm_sales_stage.left_lately"

# Types of fields that can be empty, and be filled in in a dialog
ASKABLE_TYPES = {"binary", "char", "date", "datetime", "float", "integer", "monetary", "selection", "text"}
ASKABLE_TYPES |= {"many2many", "many2one"}
# Moving an opportunity sets these.
SET_BY_MOVES = {"active", "color", "lost_reason_id", "probability", "stage_id", "type"}
# Users do not fill in what these add to opportunities.
TECHNICAL_MIXINS = ["mail.activity.mixin", "mail.thread.blacklist", "mail.thread.cc", "mail.thread.phone"]
TECHNICAL_MIXINS += ["mail.tracking.duration.mixin"]


class CrmLead(models.Model):
    """What the stage of an opportunity does on its arrival, and asks it for.

    The stage acts where Odoo's tracking posts the templates of changed fields: at the end of the transaction,
    for what has changed in the end.
    """

    _inherit = "crm.lead"

    stage_requirements = fields.Text(
        related="stage_id.requirements",
        string="Requirements of the Stage",
        help="What the stage requires of its opportunities.",
    )
    missing_fields = fields.Json(
        compute="_compute_missing_fields",
        export_string_translation=False,
        help="Fields that the opportunity's stage asks for and that are empty: their names and labels.",
    )
    is_something_missing = fields.Boolean(
        "Something Missing",
        compute="_compute_missing_fields",
        search="_search_is_something_missing",
        help="Whether something that the opportunity's stage asks for is not filled in.",
    )

    # ------------------------------------------------------------------
    # Arriving
    # ------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        """Let Odoo's tracking, which only sees given values, take a computed stage for changed."""
        leads = super().create(vals_list)
        is_tracked = not (self.env.context.get("tracking_disable") or self.env.context.get("mail_notrack"))
        if is_tracked and self.env["crm.stage"]._get_arrivals_by_stage():
            precommit = self.env.cr.precommit
            for lead in leads:
                key = f"mail.tracking.create.{self._name}.{lead.id}"
                if key not in precommit.data:
                    precommit.add(lead._track_post_template_finalize)
                precommit.data[key] = ["stage_id", *precommit.data.get(key, ())]
        return leads

    def _message_track_post_template(self, changes):
        """Plan the stage's activities, and send its e-mail along with the templates of other addons."""
        arrival = self._get_arrival(changes) if changes else None
        if not arrival:
            return super()._message_track_post_template(changes)
        # sudo: the stage acts, whatever rights the user has who moves the opportunity. Nothing is done in the
        # name of a customer, who moves it by signing, say.
        lead = self.with_user(SUPERUSER_ID) if self.env.user.share else self.sudo()
        # No loops: what the stage does triggers no automation.
        lead = lead.with_context(clean_context(self.env.context), crm_stage_moving=ON)
        if plan := lead.env["mail.activity.plan"].browse(arrival.plan_id):
            with lead._log_failure(plan):
                lead._plan_on_arrival(plan)
        if not arrival.template_id:
            return super()._message_track_post_template(changes)
        with lead._log_failure(lead.env["mail.template"].browse(arrival.template_id)):
            super(CrmLead, lead)._message_track_post_template(changes)
        return True

    def _track_template(self, changes):
        """Let Odoo send the stage's e-mail as those of other changes, and keep it in the chatter."""
        templates = super()._track_template(changes)
        arrival = self._get_arrival(changes)
        template = self.env["mail.template"].browse(arrival and arrival.template_id)
        if not template:
            return templates
        if text := self._get_unsent_texts(template, self.stage_id).get(self.id):
            self._log_arrival(text)
            return templates
        subtype_id = self.env["ir.model.data"]._xmlid_to_res_id("mail.mt_note")
        values = {"subtype_id": subtype_id, "email_layout_xmlid": "mail.mail_notification_light"}
        return {**templates, "crm_stage_arrival": (template, values)}

    def _get_arrival(self, changes):
        """
        :param changes: names of the fields that have changed
        :return: what the stage does and asks for, where the opportunity has come into it; None otherwise
        """
        if {"stage_id", "type"}.isdisjoint(changes):
            return None
        arrivals = self.env["crm.stage"]._get_arrivals_by_stage()
        is_undone = self.id in self.env.cr.precommit.data.get(UNDONE, ())
        if is_undone or any(self.env.context.get(key) for key in SILENT_CONTEXT):
            return None
        try:
            is_there = self.active and self.type == "opportunity"
        except MissingError:  # deleted by the transaction that created it
            return None
        arrival = arrivals.get(self.stage_id.id) if is_there else None
        left_out = self.env.cr.precommit.data.get(LEFT_OUT, {}).get((self.id, self.stage_id.id), {})
        return arrival and arrival._replace(**left_out)

    def _get_arrival_figures(self, stage):
        """Find out what ``stage`` would do if these opportunities came into it.

        :return: ``{id of the opportunity: (whether its e-mail is sent, whether activities are planned)}``
        """
        arrival = self.env["crm.stage"]._get_arrivals_by_stage().get(stage.id)
        if not arrival:
            return {}
        leads, unsent = self.sudo(), set(self.ids)  # sudo: see `_message_track_post_template`
        plan = leads.env["mail.activity.plan"].browse(arrival.plan_id)
        if template := leads.env["mail.template"].browse(arrival.template_id):
            with attempt(self.env, raised=CONFLICTS) as made:
                unsent = leads._get_unsent_texts(template, stage)
            unsent = () if made.error else unsent  # It may work for some: better one too many.
        planned_ids = set(leads._filter_to_plan(plan, stage).ids) if plan.template_ids else ()
        return {lead.id: (lead.id not in unsent, lead.id in planned_ids) for lead in leads}

    def _count_on_arrival(self, stage):
        """:return: how many of these opportunities, which may be many, would get the e-mail of ``stage``, by
        their addresses, and for how many its activities would be planned
        """
        arrival = self.env["crm.stage"]._get_arrivals_by_stage().get(stage.id)
        if not arrival:
            return 0, 0
        leads = self.sudo()  # sudo: see `_message_track_post_template`
        leads -= leads._filter_back(stage)
        has_address = Domain("email_normalized", "!=", False)
        has_address |= Domain("partner_id.email_normalized", "!=", False)
        domain = Domain("id", "in", leads.ids) & has_address & Domain("is_blacklisted", "=", False)
        plan = leads.env["mail.activity.plan"].browse(arrival.plan_id)
        return (
            leads.search_count(domain) if arrival.template_id else 0,
            len(leads._filter_to_plan(plan, stage)) if plan.template_ids else 0,
        )

    def _filter_to_plan(self, plan, stage):
        """:return: those of the opportunities for which ``stage`` plans ``plan``: they have none of it open,
        do not come back within a day, and it is no other company's
        """
        templates, company = plan.template_ids, plan.company_id
        kinds = {self._get_kind(template) for template in templates}
        open_ids = {
            activity.res_id
            for activity in self.activity_ids
            if activity.crm_stage_plan_template_id in templates or self._get_kind(activity) in kinds
        }
        leads = self - self.browse(open_ids) - self._filter_back(stage)
        return leads.filtered(lambda lead: not company or lead.company_id in (company, company.browse()))

    def _filter_back(self, stage):
        """
        :return: those of the opportunities that have left ``stage`` within a day, so that they get neither
            e-mail nor plan again; read at once for all that arrive together
        """
        left = self.env.cr.precommit.data.setdefault(LEFT_LATELY, {})
        if not left.keys() >= set(self.ids):
            lead_ids = list({*self.ids, *self._prefetch_ids})
            left.update(
                {**dict.fromkeys(lead_ids, ()), **self.env["crm.stage.stay"]._get_left_lately(lead_ids)}
            )
        return self.filtered(lambda lead: stage.id in left[lead.id])

    @contextmanager
    def _log_failure(self, record):
        """Let the opportunity keep its stage when what is done in here fails: the chatter shows why.

        :param record: activity plan or e-mail template of the stage
        :raise CONFLICTS: where Odoo tries the transaction again
        """
        is_tried_again = not any(self.env.context.get(key) for key in NOT_TRIED_AGAIN)
        with attempt(self.env, raised=CONFLICTS if is_tried_again else ()) as made:
            yield
        if not made.error:
            return
        _logger.warning("Opportunity %s goes without %s on arrival", self.id, record, exc_info=made.error)
        reason = get_reason(made.error)
        values = {"name": record.display_name, "reason": reason}
        text = self.env._('The e-mail "%(name)s" of this stage was not sent: %(reason)s', **values)
        if record._name == "mail.activity.plan":
            text = self.env._('The plan "%(name)s" of this stage was not planned: %(reason)s', **values)
        self._log_arrival(text)

    def _log_arrival(self, text):
        """Log ``text`` in the chatter, by OdooBot."""
        self._message_log(body=text, author_id=self.env.ref("base.partner_root").id)

    def _plan_on_arrival(self, plan):
        """Plan the activities of a plan, unless one of them is open, say: see ``_filter_to_plan``."""
        if not self._filter_to_plan(plan, self.stage_id):
            return
        templates = plan.template_ids
        own = (self.user_id + self.team_id.user_id).filtered("active")[:1]
        for template in templates:
            responsible = template._determine_responsible(own, self)["responsible"].filtered("active") or own
            self.activity_schedule(
                activity_type_id=template.activity_type_id.id,
                automated=False,
                summary=template.summary,
                note=template.note,
                user_id=responsible.id,
                date_deadline=template._get_date_deadline(),
                crm_stage_plan_template_id=template.id,
            )
        values = {"stage": self.stage_id.name, "plan": plan.name}
        self._log_arrival(self.env._('The stage "%(stage)s" planned "%(plan)s"', **values))

    @api.model
    def _get_kind(self, record):
        """:return: what an activity, or an activity of a plan, is recognized by: its type and summary"""
        return record.activity_type_id, record.summary or record.activity_type_id.summary or ""

    def _get_unsent_texts(self, template, stage):
        """:return: text for the chatter by id of the opportunities that do not get the e-mail of ``stage``"""
        back = self._filter_back(stage)
        text = self.env._(
            'The e-mail "%s" of this stage was not sent: the opportunity left it less than a day ago.',
            template.name,
        )
        texts = dict.fromkeys(back.ids, text)
        leads = self - back
        # Odoo may notify a salesperson before it keeps the e-mail that opened the opportunity.
        domain = Domain("model", "=", self._name) & Domain("res_id", "in", leads.ids)
        domain &= Domain("message_type", "!=", "user_notification")
        messages = self.env["mail.message"]
        first = messages.browse(id_ for _res_id, id_ in messages._read_group(domain, ["res_id"], ["id:min"]))
        automatic_ids = set(first.filtered("crm_stage_is_automatic").mapped("res_id"))
        addresses = leads._get_recipient_addresses(template)
        domain = Domain("email", "in", list(set().union(*addresses.values())))
        barred = set(self.env["mail.blacklist"].search(domain).mapped("email"))
        for lead_id, its_addresses in addresses.items():
            if lead_id in automatic_ids:
                texts[lead_id] = self.env._(
                    'The e-mail "%s" of this stage was not sent: an automatic e-mail opened the opportunity.',
                    template.name,
                )
            elif not its_addresses:
                texts[lead_id] = self.env._(
                    'The e-mail "%s" of this stage was not sent: there is no e-mail address.', template.name
                )
            elif its_barred := barred.intersection(its_addresses):
                texts[lead_id] = self.env._(
                    'The e-mail "%(name)s" of this stage was not sent: blacklisted is %(addresses)s.',
                    name=template.name,
                    addresses=", ".join(sorted(its_barred)),
                )
        return texts

    def _get_recipient_addresses(self, template):
        """:return: normalized addresses that ``template`` is sent to, by id of the opportunity"""
        recipients = template._generate_template_recipients(self.ids, {"email_cc", "email_to", "partner_to"})
        ids = {id_ for values in recipients.values() for id_ in values.get("partner_ids", ())}
        emails = {partner.id: partner.email for partner in self.env["res.partner"].browse(ids)}
        addresses = {}
        for lead_id, values in recipients.items():
            texts = [values.get("email_to"), values.get("email_cc")]
            texts += [emails[id_] for id_ in values.get("partner_ids", ())]
            addresses[lead_id] = email_normalize_all(", ".join(filter(None, texts)))
        return addresses

    # ------------------------------------------------------------------
    # What is missing
    # ------------------------------------------------------------------

    @api.model
    def _get_askable_names(self):
        """:return: names of the fields that a stage may ask for: those that users fill in"""
        technical = SET_BY_MOVES.union(*(self.env[name]._fields for name in TECHNICAL_MIXINS))
        return [
            name
            for name, field in self._fields.items()
            if field.type in ASKABLE_TYPES
            and not field.readonly
            and name not in technical
            and (field.store or field.search)
        ]

    @api.model
    def _get_asked_names(self, stage):
        """:return: names of the fields that ``stage`` asks this user for, as far as they may fill them in"""
        arrival = self.env["crm.stage"]._get_arrivals_by_stage().get(stage.id)
        names = [name for name in arrival.field_names if name in self._fields] if arrival else []
        return [name for name in names if self._has_field_access(self._fields[name], "write")]

    # Which fields may be missing depends on the stage: whatever is written changes the date.
    @api.depends("stage_id", "type", "write_date")
    @api.depends_context("uid", "lang")
    def _compute_missing_fields(self):
        missing = {}
        if self.stage_id.filtered("asks_for_fields"):
            missing = self._get_missing_names({lead: lead.stage_id for lead in self})
        labels = {name: self._get_label(name) for name in set().union(*missing.values())}
        incomplete = self.browse().concat(*missing)
        complete = self - incomplete
        complete.missing_fields, complete.is_something_missing = [], False
        for lead in incomplete:
            lead.missing_fields = [{"name": name, "string": labels[name]} for name in missing[lead]]
            lead.is_something_missing = True

    @api.model
    def _get_label(self, name):
        """:return: label of a field, in the user's language"""
        return self.fields_get([name], ["string"])[name]["string"]

    @api.model
    def _get_missing_names(self, stages):
        """
        :param stages: for each opportunity the stage that asks, which need not be its own
        :return: names of the empty fields by opportunity, for those that have any; 0 is empty
        """
        asked = {stage: self._get_asked_names(stage) for stage in {*stages.values()}}
        leads = self.browse().concat(*(lead for lead in stages if asked[stages[lead]]))
        # sudo: whether a field is empty does not depend on who may see what it links to
        leads = leads.filtered(lambda lead: lead.type == "opportunity").sudo()
        leads.fetch({name for names in asked.values() for name in names})
        missing = {lead: [name for name in asked[stages[lead]] if not lead[name]] for lead in leads}
        return {lead: names for lead, names in missing.items() if names}

    @api.model
    def _search_is_something_missing(self, operator, value):
        if operator != "in":
            return NotImplemented
        missing = Domain.FALSE
        for stage in self.env["crm.stage"].browse(self.env["crm.stage"]._get_arrivals_by_stage()):
            names = self._get_asked_names(stage)
            is_blank = Domain.OR(Domain(name, "in", self._get_blanks(name)) for name in names)
            missing |= Domain("stage_id", "=", stage.id) & is_blank
        missing &= Domain("type", "=", "opportunity")
        return missing if True in value else ~missing

    @api.model
    def _get_blanks(self, name):
        """:return: values of a field that are nothing"""
        return [False, 0] if self._fields[name].type in ("integer", "float", "monetary") else [False]

    # ------------------------------------------------------------------
    # Asking
    # ------------------------------------------------------------------

    def get_arrival_questions(self, stage_id):
        """Find what moving this opportunity to a stage by hand asks for.

        :param int stage_id: of the stage
        :return: dictionary for the web client:

            * ``requirements``: of the stage, as plain text
            * ``missing``: the empty fields, each as ``{"name": …, "string": …}``
            * ``form``: view to fill them in, as ``{"arch": …, "fields": …}``; False where none is missing
            * ``email``: name of the e-mail that the stage sends; False where it sends none, or not again
            * ``unsent``: why it is not sent, for those that it would not be sent to as they are now
        """
        self.ensure_one()
        self.check_access("read")
        stage = self.env["crm.stage"].browse(stage_id)
        stage.check_access("read")
        names = self._get_missing_names({self: stage}).get(self, [])
        arrival = stage._get_arrivals_by_stage().get(stage.id)
        # sudo: the stage sends it, whatever rights the user has who moves the opportunity
        lead, template = self.sudo(), self.sudo().env["mail.template"].browse(arrival and arrival.template_id)
        return {
            "requirements": stage.requirements or "",
            "missing": [{"name": name, "string": self._get_label(name)} for name in names],
            "form": self._get_asked_form(names) if names else False,
            "email": bool(template) and not lead._filter_back(stage) and template.name,
            "unsent": lead._get_unsent_texts(template, stage).get(self.id, "") if template else "",
        }

    @api.model
    def _get_asked_form(self, names):
        """:return: form view with these fields, as ``{"arch": …, "fields": …}``"""
        # The first one has the focus: the calendar of a date would cover the others.
        asked = [self._fields[name] for name in names]
        asked.sort(key=lambda field: field.type in ("date", "datetime"))
        form = E.form(E.group(*(E.field(name=field.name) for field in asked)))
        for node, field in zip(form.iter("field"), asked, strict=True):
            if field.type == "many2many":
                node.set("widget", "many2many_tags")
        currencies = {field.get_currency_field(self) for field in asked if field.type == "monetary"}
        form.extend(E.field(name=name, invisible="1") for name in currencies)
        arch, models_ = self.env["ir.ui.view"].postprocess_and_fields(form, model=self._name)
        return {"arch": arch, "fields": self.fields_get(models_[self._name])}
