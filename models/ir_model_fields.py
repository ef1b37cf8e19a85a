from odoo import models

from odoo.addons.base.models.ir_model import MODULE_UNINSTALL_FLAG


class IrModelFields(models.Model):
    _inherit = "ir.model.fields"

    def _prepare_update(self):
        """Uninstalling leaves other addons their fields.

        Odoo removes inherited fields along that only depend on a removed one: a scheduled action's name,
        which is its server action's, and that depends on our stage.
        """
        records = super()._prepare_update()
        if self.env.context.get(MODULE_UNINSTALL_FLAG):
            along = records - self
            records -= along.filtered(
                lambda field: (
                    field.state == "base" and "crm_sales_stage" not in (field.modules or "").split(", ")
                )
            )
        return records
