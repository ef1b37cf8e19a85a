import logging

from markupsafe import Markup

from odoo import SUPERUSER_ID, api, models
from odoo.fields import Domain
from odoo.tools import email_normalize_all, frozendict
from odoo.tools.misc import format_date

from ...tools import CONFLICTS, KEPT_CONTEXT, NOT_TRIED_AGAIN, ON, attempt
from ..automation.fault import get_reason
from ..history.crm_stage_stay import SILENT_CONTEXT

_logger = logging.getLogger(__name__)

# Where a transaction keeps, until it is committed, who moved opportunities into another stage, by their ids
ARRIVED = "crm_sales_stage.arrived"

# What Odoo's tracking is told, beside the fields that change: it does not see a stage that is computed on
# creation, nor a lead that becomes an opportunity where it is
ARRIVAL = "crm_stage_arrival"

# E-mails that are sent right after the commit; more of them wait for Odoo's scheduled job
MAX_SENT_AT_ONCE = 50


class CrmLead(models.Model):
    """What the stage does when an opportunity comes into it: it plans activities and sends an e-mail.

    A stay tells that an opportunity has come into a stage: see ``crm.stage.stay``. What a transaction does
    several times is one arrival, where the opportunity is at last; as Odoo's tracking does, it waits for the
    end of the transaction.
    """

    _inherit = "crm.lead"

    # ------------------------------------------------------------------
    # Noting arrivals
    # ------------------------------------------------------------------

    @api.model
    def _note_arrived(self, arrived_by):
        """Let the stages act for opportunities that have come into them: see ``crm.stage.stay``.

        :param arrived_by: who moved an opportunity, by its id: ``(id of the user, context)``
        """
        if not arrived_by or not self.env["crm.stage"]._get_arrivals_by_stage():
            return
        precommit = self.env.cr.precommit
        if ARRIVED not in precommit.data:
            precommit.data[ARRIVED] = {}
            precommit.add(self._process_arrivals)
        precommit.data[ARRIVED].update(arrived_by)

    @api.model
    def _process_arrivals(self):
        """Do what the stages of all opportunities that have arrived do, at the end of the transaction."""
        arrived_by = self.env.cr.precommit.data.pop(ARRIVED, {})
        leads = self.browse(sorted(arrived_by)).sudo().exists()  # sudo: see `_get_arrival_env`
        leads = leads.filtered(lambda lead: lead.active and lead.type == "opportunity")
        movers = {
            lead_id: (user_id, frozendict(context)) for lead_id, (user_id, context) in arrived_by.items()
        }
        for (user_id, context), its_leads in leads.grouped(lambda lead: movers[lead.id]).items():
            is_silent = any(context.get(key) for key in SILENT_CONTEXT)
            # Moving back what "Apply to existing documents" moved is no arrival either.
            if not is_silent and context.get("crm_stage_undoing") is not ON:
                is_tried_again = not any(context.get(key) for key in NOT_TRIED_AGAIN)
                its_leads.with_env(self._get_arrival_env(user_id, context))._arrive(is_tried_again)

    @api.model
    def _get_arrival_env(self, user_id, context):
        """:return: the environment in which a stage acts, for opportunities that this user has moved"""
        # What a customer brings about, by signing, say, is not done in their name.
        if self.env["res.users"].browse(user_id).sudo().share:
            user_id = SUPERUSER_ID
        kept = {key: value for key, value in context.items() if key in KEPT_CONTEXT}
        # sudo: the stage acts, whatever those who move opportunities may do. It triggers no automation.
        return self.env(user=user_id, su=True, context={**kept, "crm_stage_moving": ON})

    def _arrive(self, is_tried_again):
        """Do for these opportunities what their stages do.

        :param bool is_tried_again: whether somebody tries the transaction again after a conflict
        """
        arrivals = self.env["crm.stage"]._get_arrivals_by_stage()
        for stage, leads in self.grouped("stage_id").items():
            if stage.id not in arrivals:
                continue
            if plan := self.env["mail.activity.plan"].browse(arrivals[stage.id].plan_id).exists():
                leads._do_on_arrival(plan, leads._plan_on_arrival, is_tried_again)
            if template := self.env["mail.template"].browse(arrivals[stage.id].template_id).exists():
                leads._do_on_arrival(template, leads._send_on_arrival, is_tried_again)

    def _do_on_arrival(self, record, method, is_tried_again):
        """Let a stage do something for these opportunities, and tell in the chatter what there is to tell.

        It is done for all at once. Where that fails, it is done one by one, so that only those go without
        that it fails for. They keep their stage, whatever happens.

        :param record: activity plan, or e-mail template
        :param method: method of these opportunities that does it, takes ``record``, and returns HTML for the
            chatter by opportunity
        :raise CONFLICTS: to be tried again, where somebody does
        """
        with attempt(self.env, raised=CONFLICTS if is_tried_again else ()) as made:
            self._log_arrival(method(record))
        error = made.error
        if isinstance(error, CONFLICTS):
            _logger.info("What opportunities %s get on arrival met another transaction", self.ids)
        elif error and len(self) > 1:
            for lead in self:
                lead._do_on_arrival(record, getattr(lead, method.__name__), is_tried_again)
        elif error:  # whatever it is, the move goes through
            _logger.warning("Opportunity %s goes without %s on arrival", self.id, record, exc_info=error)
            reason = get_reason(error)
            self._log_arrival({self: self._get_failure_body(record, reason)})

    def _get_failure_body(self, record, reason):
        """:return: what the chatter tells when something failed"""
        values = {"name": record.display_name, "reason": reason}
        if record._name == "mail.template":
            return self.env._('The e-mail "%(name)s" of this stage was not sent: %(reason)s', **values)
        return self.env._('The plan "%(name)s" of this stage was not planned: %(reason)s', **values)

    def _log_arrival(self, bodies):
        """:param bodies: text or HTML for the chatter by opportunity"""
        if bodies:
            leads = self.browse().concat(*bodies)
            author = self.env.ref("base.partner_root")
            leads._message_log_batch(
                bodies={lead.id: body for lead, body in bodies.items()}, author_id=author.id
            )

    # ------------------------------------------------------------------
    # Planning
    # ------------------------------------------------------------------

    def _plan_on_arrival(self, plan):
        """Plan the activities of a plan, all at once, but for those that are still open of it.

        :return: HTML for the chatter by opportunity
        """
        if not plan.active or plan.res_model != self._name:
            return {}
        leads = self.filtered(
            lambda lead: not plan.company_id or lead.company_id.id in (False, plan.company_id.id)
        )
        items = {}
        for template, responsibles in leads._get_missing_activities(plan):
            deadline = template._get_date_deadline()
            for user, its_leads in responsibles.items():
                activities = its_leads.activity_schedule(
                    activity_type_id=template.activity_type_id.id,
                    automated=False,
                    summary=template.summary,
                    note=template.note,
                    user_id=user.id,
                    date_deadline=deadline,
                    crm_stage_plan_template_id=template.id,
                )
                for lead, activity in zip(its_leads, activities, strict=True):
                    items.setdefault(lead, []).append(lead._get_planned_text(activity))
        return {lead: lead._get_planned_body(plan, texts) for lead, texts in items.items()}

    def _get_missing_activities(self, plan):
        """:return: ``[(activity template, {user: opportunities})]`` of what is not open; user may be none"""
        domain = [("res_model", "=", self._name), ("res_id", "in", self.ids)]
        activities = self.env["mail.activity"].search(domain).grouped("res_id")
        none = self.env["mail.activity"]
        open_templates = {
            lead: lead._get_open_templates(plan, activities.get(lead.id, none)) for lead in self
        }
        missing = []
        for template in plan.template_ids:
            leads = self.filtered(lambda lead, template=template: template not in open_templates[lead])
            responsibles = leads.grouped(lambda lead, template=template: lead._get_responsible(template))
            missing.append((template, responsibles))
        return missing

    def _get_open_templates(self, plan, activities):
        """Tell what is still open of a plan, whether a stage or somebody by hand has planned it.

        :param activities: the open ones of this opportunity
        :return: activity templates of the plan
        """
        templates = activities.crm_stage_plan_template_id & plan.template_ids
        others = activities.filtered(lambda activity: not activity.crm_stage_plan_template_id)
        for template in plan.template_ids - templates if others else ():
            summary = template.summary or template.activity_type_id.summary or ""
            alike = others.filtered(
                lambda activity, template=template, summary=summary: (
                    activity.activity_type_id == template.activity_type_id
                    and (activity.summary or "") == summary
                )
            )[:1]
            templates |= template if alike else templates.browse()
            others -= alike
        return templates

    def _get_responsible(self, template):
        """:return: user who does an activity of a plan: as the plan says, or somebody of the opportunity"""
        users = self.user_id + self.team_id.user_id
        own = users.filtered(lambda user: user.active and not user.share)[:1]
        given = template._determine_responsible(own, self)["responsible"]
        return given if given and given.active else own

    def _get_planned_text(self, activity):
        """:return: one line for the chatter"""
        values = {
            "activity": activity.summary or activity.activity_type_id.name,
            "date": format_date(self.env, activity.date_deadline),
            "user": activity.user_id.name,
        }
        if activity.user_id:
            return self.env._("%(activity)s, assigned to %(user)s, due on %(date)s", **values)
        return self.env._(
            "%(activity)s, due on %(date)s: assigned to nobody, as the opportunity has neither a salesperson "
            "nor a team leader",
            **values,
        )

    def _get_planned_body(self, plan, texts):
        """:return: HTML for the chatter"""
        values = {"stage": self.stage_id.name, "plan": plan.name}
        title = self.env._('The stage "%(stage)s" planned "%(plan)s"', **values)
        lines = Markup().join(Markup("<li>%s</li>") % text for text in texts)
        return Markup("%s<ul>%s</ul>") % (title, lines)

    # ------------------------------------------------------------------
    # Sending
    # ------------------------------------------------------------------

    def _send_on_arrival(self, template):
        """Send the e-mail to those who have an address that is not blacklisted, by Odoo's tracking templates.

        :return: text for the chatter by opportunity, for those whose e-mail is not sent
        """
        if not template.active or template.model != self._name:
            return {}
        addresses = self._get_template_addresses(template)
        every = set().union(*addresses.values())
        blacklisted = set(self.env["mail.blacklist"].search([("email", "in", list(every))]).mapped("email"))
        opened_by_machine = self._filter_opened_by_machine()
        bodies = {}
        for lead in self:
            if lead in opened_by_machine:
                bodies[lead] = self.env._(
                    'The e-mail "%s" of this stage was not sent: an automatic e-mail opened the opportunity.',
                    template.name,
                )
            elif not addresses[lead]:
                bodies[lead] = self.env._(
                    'The e-mail "%s" of this stage was not sent: there is no e-mail address.', template.name
                )
            elif barred := addresses[lead] & blacklisted:
                bodies[lead] = self.env._(
                    'The e-mail "%(name)s" of this stage was not sent: blacklisted is %(addresses)s.',
                    name=template.name,
                    addresses=", ".join(sorted(barred)),
                )
        sent = self.filtered(lambda lead: lead not in bodies)
        for lead in sent.with_context(mail_notify_force_send=len(sent) <= MAX_SENT_AT_ONCE):
            lead._message_track_post_template([ARRIVAL])
        return bodies

    def _filter_opened_by_machine(self):
        """:return: those that an automatic e-mail opened: it is their first message"""
        messages = self.env["mail.message"]
        domain = Domain("model", "=", self._name) & Domain("res_id", "in", self.ids)
        # The mail gateway logs no creation; salespeople may be notified before it keeps the e-mail.
        domain &= Domain("message_type", "!=", "user_notification")
        first_ids = [
            message_id for _lead_id, message_id in messages._read_group(domain, ["res_id"], ["id:min"])
        ]
        is_automatic = Domain("id", "in", first_ids) & Domain("crm_stage_is_automatic", "=", True)
        return self.browse(messages.search_fetch(is_automatic, ["res_id"]).mapped("res_id"))

    def _get_template_addresses(self, template):
        """:return: set of the normalized addresses that the e-mail goes to, by opportunity"""
        names = {"email_cc", "email_to", "partner_to"}
        recipients = template._generate_template_recipients(self.ids, names)
        partners = self.env["res.partner"]
        addresses = {}
        for lead in self:
            values = recipients[lead.id]
            emails = partners.browse(values.get("partner_ids", ())).mapped("email")
            texts = (values.get("email_to"), values.get("email_cc"), *emails)
            addresses[lead] = {address for text in texts for address in email_normalize_all(text or "")}
        return addresses

    def _track_template(self, changes):
        """Odoo sends it as it does those of changed fields, and keeps it in the chatter."""
        templates = super()._track_template(changes)
        if ARRIVAL in changes:
            subtype_id = self.env["ir.model.data"]._xmlid_to_res_id("mail.mt_note")
            templates[ARRIVAL] = (
                self.env["mail.template"].browse(self._get_arrival_template_id()),
                {
                    "composition_mode": "comment",
                    "subtype_id": subtype_id,
                    "email_layout_xmlid": "mail.mail_notification_light",
                },
            )
        return templates

    def _get_arrival_template_id(self):
        """:return: id of the e-mail template of the stage, if it has one"""
        arrival = self.env["crm.stage"]._get_arrivals_by_stage().get(self[:1].stage_id.id)
        return arrival.template_id if arrival else False
