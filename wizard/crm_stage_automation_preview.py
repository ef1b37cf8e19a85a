from odoo import Command, api, fields, models

from ..models.automation.fault import get_reason
from ..tools import CONFLICTS, attempt, by_count

# Opportunities that the dialog lists; it counts all of them
LISTED = 80


class CrmStageAutomationPreview(models.TransientModel):
    """What an automation would move now, because of documents that exist already, and why it would not."""

    _name = "crm.stage.automation.preview"
    _description = "What a Stage Automation Would Move Now"

    automation_id = fields.Many2one(
        "crm.stage.automation", required=True, ondelete="cascade", help="Automation that is looked at."
    )
    automation_name = fields.Char("Automation in Words", related="automation_id.name")
    model_name = fields.Char(related="automation_id.model_name")
    lead_count = fields.Integer("Opportunities", help="How many opportunities would move.")
    summary = fields.Char(help="How many opportunities would move, and from where.")
    obstacle = fields.Text(help="Why the automation moves nothing.")
    fault = fields.Text(related="automation_id.fault")
    consequence = fields.Char(
        help="What moving them brings about that cannot be undone: e-mails to customers."
    )
    line_ids = fields.One2many(
        "crm.stage.automation.preview.line",
        "preview_id",
        string="Opportunities That Would Move",
        help="The first of them, each with the document because of which it would move.",
    )
    unlisted_count = fields.Integer(
        "Opportunities Not Listed", help="How many more opportunities would move."
    )

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
            "domain": [("id", "in", leads.ids), ("active", "in", [True, False])],  # lost ones, too
        }

    @api.model
    def _get_values(self, automation, leads):
        """:return: values of a preview of ``leads``, each of the first with the document that moves it"""
        listed = leads[:LISTED]
        documents = automation._get_documents_to_move(listed)
        lines = [
            {"lead_id": lead.id, "document_id": lead.id in documents and documents[lead.id].id}
            for lead in listed
        ]
        return {
            "lead_count": len(leads),
            "summary": self._get_summary(automation, leads),
            "consequence": self._get_consequence(automation, leads),
            "line_ids": [Command.create(line) for line in lines],
            "unlisted_count": len(leads - listed),
        }

    @api.model
    def _get_consequence(self, automation, leads):
        """:return: what the stage does with these opportunities on arrival that cannot be taken back"""
        template = automation.stage_id.mail_template_id
        if not template.active or automation.outcome == "lost":
            return False
        has_address = ["|", ("email_normalized", "!=", False), ("partner_id.email_normalized", "!=", False)]
        count = leads.search_count([("id", "in", leads.ids), *has_address])
        values = {"template": template.name, "count": count}
        return count and by_count(
            count,
            self.env._(
                'The stage sends the e-mail "%(template)s" to 1 customer. That cannot be undone.', **values
            ),
            self.env._(
                'The stage sends the e-mail "%(template)s" to %(count)s customers. That cannot be undone.',
                **values,
            ),
        )

    @api.model
    def _get_summary(self, automation, leads):
        """:return: how many opportunities would move to which stage, and from where"""
        if not leads:
            return self.env._("Nothing would move.")
        stages = leads._read_group([("id", "in", leads.ids)], ["stage_id"], ["__count"])
        names = [(count, stage.display_name or self.env._("no stage")) for stage, count in stages]
        origins = ", ".join(
            self.env._("%(count)s from %(stage)s", count=count, stage=name) for count, name in names
        )
        values = {"stage": automation.stage_id.display_name, "count": len(leads), "origins": origins}
        if automation.outcome == "lost":
            return by_count(
                len(leads),
                self.env._("1 opportunity would be lost: %(origins)s", **values),
                self.env._("%(count)s opportunities would be lost: %(origins)s", **values),
            )
        return by_count(
            len(leads),
            self.env._("1 opportunity would move to %(stage)s: %(origins)s", **values),
            self.env._("%(count)s opportunities would move to %(stage)s: %(origins)s", **values),
        )

    def action_apply(self):
        """Move them now.

        :return: action that shows how many were moved, with buttons that show them and move them back
        """
        self.ensure_one()
        return self.automation_id.action_catch_up()

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
        index=True,
        ondelete="cascade",
        help="The dialog that lists it.",
    )
    lead_id = fields.Many2one(
        "crm.lead", "Opportunity", required=True, ondelete="cascade", help="Opportunity that would move."
    )
    stage_id = fields.Many2one(
        string="From", related="lead_id.stage_id", help="Stage that the opportunity is in."
    )
    document_id = fields.Many2oneReference(
        model_field="model_name",
        help="The document that the trigger happened to, which may be the opportunity itself.",
    )
    model_name = fields.Char(related="preview_id.model_name")
