from collections import Counter

from odoo import Command, api, fields, models

from ..models.automation.fault import get_reason
from ..tools import CONFLICTS, attempt, by_count

# Opportunities that the dialog lists, and that can be left out; it counts all of them
LISTED = 500


class CrmStageAutomationPreview(models.TransientModel):
    """What an automation would move now, because of documents that exist already, and why it would not.

    What is listed can be left out; what is counted is what is chosen.
    """

    _name = "crm.stage.automation.preview"
    _description = "What a Stage Automation Would Move Now"

    automation_id = fields.Many2one(
        "crm.stage.automation",
        required=True,
        readonly=True,
        ondelete="cascade",
        help="Automation that is looked at.",
    )
    automation_name = fields.Char("Automation in Words", related="automation_id.name")
    model_name = fields.Char(related="automation_id.model_name")
    outcome = fields.Selection(related="automation_id.outcome")
    is_lost_included = fields.Boolean(related="automation_id.is_lost_included")
    obstacle = fields.Text(readonly=True, help="Why the automation moves nothing.")
    fault = fields.Text(related="automation_id.fault")
    line_ids = fields.One2many(
        "crm.stage.automation.preview.line",
        "preview_id",
        string="Opportunities That Would Move",
        help="The first of them, each with the document because of which it would move.",
    )
    unlisted_count = fields.Integer(
        "Opportunities Not Listed", readonly=True, help="How many more opportunities would move."
    )
    unlisted_figures = fields.Json(
        readonly=True, help="Of the opportunities that are not listed: what lines say, and how often."
    )
    lead_count = fields.Integer(
        "Opportunities", compute="_compute_figures", help="How many opportunities are chosen to move."
    )
    summary = fields.Char(compute="_compute_figures", help="How many would move, and from where.")
    email_text = fields.Char(compute="_compute_figures", help="How many e-mails the stage would send.")
    sends_email = fields.Boolean(
        default=True, help="Whether the stage sends its e-mail when these opportunities arrive."
    )
    plan_text = fields.Char(compute="_compute_figures", help="How many activities the stage would plan.")
    plans_activities = fields.Boolean(
        default=True, help="Whether the stage plans its activities when these opportunities arrive."
    )

    @api.depends("line_ids.is_ticked")
    def _compute_figures(self):
        for preview in self:
            lines, unlisted = preview.line_ids.filtered("is_ticked"), preview.unlisted_figures or {}
            origins = Counter(lines.mapped("origin"))
            origins.update(unlisted.get("origins"))
            preview.lead_count = origins.total()
            preview.summary = preview._get_summary(origins)
            email_count = sum(lines.mapped("is_emailed")) + unlisted.get("email_count", 0)
            preview.email_text = preview._get_email_text(email_count)
            plan_count = sum(lines.mapped("is_planned")) + unlisted.get("plan_count", 0)
            preview.plan_text = preview._get_plan_text(plan_count)

    @api.model
    def _open(self, automation):
        """:return: action that opens the dialog about ``automation``, with the domain of the opportunities;
        an automation that is idle or faulty has the reason in there
        """
        leads, values = self.env["crm.lead"], {"automation_id": automation.id}
        with attempt(self.env, raised=CONFLICTS) as made:
            leads = automation._search_leads_to_move().with_context(active_test=False)  # lost ones, too
            values |= self._get_values(automation, leads)
        if made.error:  # whatever is wrong with it, people want to read what
            values["obstacle"] = get_reason(made.error)
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("What would it move now?"),
            "res_model": self._name,
            "res_id": self.create(values).id,
            "views": [(False, "form")],
            "target": "new",
            "context": {"dialog_size": "extra-large"},
            "domain": [("id", "in", leads.ids), ("active", "in", [True, False])],  # lost ones, too
        }

    @api.model
    def _get_values(self, automation, leads):
        """:return: values of a preview of ``leads``, each of the first with the document that moves it"""
        listed, unlisted = leads[:LISTED], leads[LISTED:]
        documents = automation._get_documents_to_move(listed)
        dates = self.env[automation.model_name].union(*documents.values())._get_crm_stage_dates()
        on_arrival = self._filter_arriving(automation, listed)._get_arrival_figures(automation.stage_id)
        lines = []
        for lead in listed:
            document = documents.get(lead.id, self.env[automation.model_name])
            is_emailed, is_planned = on_arrival.get(lead.id, (False, False))
            line = {"lead_id": lead.id, "is_emailed": is_emailed, "is_planned": is_planned}
            line |= {"document_id": document.id, "document_date": dates.get(document.id)}
            line["origin"] = self._get_origin(automation, lead.stage_id, lead.won_status)
            lines.append(Command.create(line))
        groups = unlisted._read_group([("id", "in", unlisted.ids)], ["stage_id", "won_status"], ["__count"])
        origins = Counter()
        for stage, won_status, count in groups:
            origins[self._get_origin(automation, stage, won_status)] += count
        arriving = self._filter_arriving(automation, unlisted)
        email_count, plan_count = arriving._count_on_arrival(automation.stage_id)
        figures = {"origins": origins, "email_count": email_count, "plan_count": plan_count}
        return {"line_ids": lines, "unlisted_count": len(unlisted), "unlisted_figures": figures}

    @api.model
    def _filter_arriving(self, automation, leads):
        """:return: those of ``leads`` that come into the stage: losing and restoring are no arrivals"""
        origin_ids = automation._get_origin_ids()
        if automation.outcome == "lost":
            return leads.browse()
        return leads.filtered(lambda lead: lead.won_status != "lost" or lead.stage_id.id in origin_ids)

    @api.model
    def _get_origin(self, automation, stage, won_status):
        """:return: where opportunities of ``stage`` come from, as the summary counts them"""
        name = stage.display_name or self.env._("no stage")
        if won_status != "lost":
            return self.env._("from %s", name)
        if stage.id in automation._get_origin_ids():
            return self.env._("of the lost ones")
        return self.env._("of the lost ones, back in %s", name)

    def _get_summary(self, origins):
        """:return: how many opportunities would move to which stage, and from where"""
        if not (count := origins.total()):
            text = self.env._("Nothing would be lost.")
            return text if self.outcome == "lost" else self.env._("Nothing would move.")
        text = ", ".join(f"{number} {origin}" for origin, number in origins.most_common())
        values = {"stage": self.automation_id.stage_id.display_name, "count": count, "origins": text}
        if self.outcome == "lost":
            return by_count(
                count,
                self.env._("1 opportunity would be lost: %(origins)s", **values),
                self.env._("%(count)s opportunities would be lost: %(origins)s", **values),
            )
        return by_count(
            count,
            self.env._("1 opportunity would move to %(stage)s: %(origins)s", **values),
            self.env._("%(count)s opportunities would move to %(stage)s: %(origins)s", **values),
        )

    def _get_email_text(self, count):
        """:return: what the stage would send to the customers of ``count`` opportunities"""
        # sudo: of what a stage does, names that its managers chose
        values = {"template": self.automation_id.stage_id.sudo().mail_template_id.name, "count": count}
        return bool(count) and by_count(
            count,
            self.env._('Send "%(template)s" to 1 customer by e-mail. That cannot be undone.', **values),
            self.env._(
                'Send "%(template)s" to the customers of %(count)s opportunities by e-mail. That cannot be '
                "undone.",
                **values,
            ),
        )

    def _get_plan_text(self, count):
        """:return: what the stage would plan for ``count`` opportunities"""
        plan = self.automation_id.stage_id.sudo().activity_plan_id  # sudo: see `_get_email_text`
        values = {"plan": plan.name, "count": count, "number": count * len(plan.template_ids)}
        return bool(count) and by_count(
            count,
            self.env._('Plan "%(plan)s" for 1 opportunity. Activities: %(number)s', **values),
            self.env._('Plan "%(plan)s" for %(count)s opportunities. Activities: %(number)s', **values),
        )

    def action_apply(self):
        """Move what is chosen, now.

        :return: action that shows how many were moved, with buttons that show them and move them back
        """
        self.ensure_one()
        return self.automation_id._catch_up(
            left_out_ids=self.line_ids.filtered(lambda line: not line.is_ticked).lead_id.ids,
            without_email=not self.sends_email,
            without_activities=not self.plans_activities,
        )

    def action_show_leads(self):
        """:return: action on all the opportunities that would move now"""
        self.ensure_one()
        leads = self.automation_id._search_leads_to_move()
        name = self.env._("Opportunities That Would Move")
        return leads._get_list_action(name, [("id", "in", leads.ids)])


class CrmStageAutomationPreviewLine(models.TransientModel):
    _name = "crm.stage.automation.preview.line"
    _description = "Opportunity That a Stage Automation Would Move"
    _order = "id"

    preview_id = fields.Many2one(
        "crm.stage.automation.preview",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
        help="The dialog that lists it.",
    )
    is_ticked = fields.Boolean("Move", default=True, help="Untick it to leave the opportunity where it is.")
    lead_id = fields.Many2one(
        "crm.lead",
        "Opportunity",
        required=True,
        readonly=True,
        ondelete="cascade",
        help="Opportunity that would move.",
    )
    customer = fields.Char(compute="_compute_customer", help="The opportunity's customer, or who asked.")
    expected_revenue = fields.Monetary(related="lead_id.expected_revenue", currency_field="company_currency")
    company_currency = fields.Many2one(related="lead_id.company_currency")
    user_id = fields.Many2one(related="lead_id.user_id")
    won_status = fields.Selection(related="lead_id.won_status")
    stage_id = fields.Many2one(
        string="Stage", related="lead_id.stage_id", help="Stage that the opportunity is in."
    )
    date_last_stage_update = fields.Datetime(
        "In the Stage Since", related="lead_id.date_last_stage_update", help="When it came into that stage."
    )
    document_id = fields.Many2oneReference(
        model_field="model_name",
        readonly=True,
        help="The document that the trigger happened to, which may be the opportunity itself.",
    )
    document_date = fields.Datetime(
        readonly=True, help="Date of the document: it tells those of the same name apart."
    )
    model_name = fields.Char(related="preview_id.model_name")
    origin = fields.Char(readonly=True, help="Where it comes from, as the summary counts it.")
    is_emailed = fields.Boolean(readonly=True, help="Whether the stage's e-mail has somebody to be sent to.")
    is_planned = fields.Boolean(readonly=True, help="Whether the stage's activities are not planned yet.")

    @api.depends("lead_id")
    def _compute_customer(self):
        for line in self:
            lead = line.lead_id.sudo()  # sudo: the opportunity shows its customer's name, too
            names = lead.partner_id.display_name, lead.partner_name, lead.contact_name, lead.email_from
            line.customer = next(filter(None, names), False)
