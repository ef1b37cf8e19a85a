from odoo import api, models
from odoo.exceptions import UserError


class CrmStageConditionValue(models.AbstractModel):
    """Records that conditions of automations name.

    One that is named is not deleted: the condition would be met by nothing, or by everything, from then on.
    """

    _name = "crm.stage.condition.value"
    _description = "Value in Conditions of Stage Automations"

    @api.ondelete(at_uninstall=False)
    def _unlink_except_in_condition(self):
        self._check_not_in_condition()

    def _check_not_in_condition(self):
        """:raise UserError: when conditions of automations name these records"""
        automations = self._get_naming_automations()
        if not automations:
            return
        # Who may not see automations is told that there are some, not which.
        visible = automations.sudo(False)._filtered_access("read")
        names = "\n".join(visible.mapped("display_name"))
        raise UserError(
            self.env._(
                "%(records)s cannot be deleted: stage automations have it in their conditions. "
                "Change these conditions, or delete the automations, first.",
                records=", ".join(self.mapped("display_name")),
            )
            + (f"\n\n{names}" if names else "")
        )

    def _get_naming_automations(self):
        """:return: automations whose condition names any of these records, archived ones included, in sudo"""
        # sudo: whoever deletes a tag need not see automations; which ones is told as far as they may
        automations = self.env["crm.stage.automation"].sudo().with_context(active_test=False)
        return automations.search([("filter_domain", "not in", (False, "[]"))]).filtered(self._is_named_by)

    def _is_named_by(self, automation):
        """:return: whether the condition of ``automation`` names any of these records"""
        try:
            domain = automation._parse_domain()
        except ValueError:  # not valid any more: it is shown as faulty
            return False
        model = self.env.get(automation.model_name)
        if model is None:
            return False
        return not automation._get_named_ids(model, domain)[self._name].isdisjoint(self.ids)
