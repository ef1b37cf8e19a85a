from collections.abc import Collection

from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Domain


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
        return model is not None and not self._get_named_ids(domain, model).isdisjoint(self.ids)

    def _get_named_ids(self, domain, model):
        """:return: ids of records of this model that a ``Domain`` on ``model`` names, over links, too"""
        ids = set()
        for condition in domain.iter_conditions():
            target = self._follow(model, condition.field_expr)
            if target is None:
                continue
            if condition.operator in ("any", "not any"):
                ids |= self._get_named_ids(Domain(condition.value), target)
            elif target._name == self._name:
                ids |= self._get_ids(condition.value)
        return ids

    @api.model
    def _follow(self, model, path):
        """:return: model that the links of ``path`` lead to, None where they lead to none"""
        for name in path.split("."):
            field = model._fields.get(name)
            if name == "id" or field is None:
                return model if field else None
            if not field.comodel_name:
                return None
            model = self.env[field.comodel_name]
        return model

    @api.model
    def _get_ids(self, value):
        """:return: ids in the value of a condition, which may be one of them or a collection"""
        values = value if isinstance(value, Collection) else [value]
        return {item for item in values if isinstance(item, int) and not isinstance(item, bool)}
