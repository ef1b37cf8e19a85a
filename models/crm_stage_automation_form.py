"""What the screens of automations show beside what automations are."""

from odoo import api, fields, models


class CrmStageAutomation(models.Model):
    _inherit = "crm.stage.automation"

    event_text = fields.Char(
        string="When It Happens",
        compute="_compute_event_text",
        help='What this automation does, as a sentence that goes on after "Move an opportunity here when …".',
    )

    @api.depends("name")
    @api.depends_context("lang", "uid", "allowed_company_ids")
    def _compute_event_text(self):
        for automation in self:
            automation.event_text = automation._get_text_in_stage(automation._get_condition_text())

    def _get_text_in_stage(self, condition):
        """:param str condition: the condition in words; empty when there is none to tell
        :return: what this automation does, said from within its stage: it starts with what happens
        """
        text = dict(self._selection_trigger()).get(self.trigger, "")
        if self.from_stage_ids:
            origins = self.env._('" or "').join(self.from_stage_ids.mapped("name"))
            text = self.env._('%(event)s, only from "%(origins)s"', event=text, origins=origins)
        if condition:
            text = self.env._("%(event)s, if %(condition)s", event=text, condition=condition)
        return text
