from psycopg2.extras import Json

from odoo import api, models
from odoo.tools import SQL

from .crm_stage import DEFAULT_STAGES


class IrModuleModule(models.Model):
    _inherit = "ir.module.module"

    @api.model
    def _load_module_terms(self, modules, langs, overwrite=False):
        """Keep the names of the default stages ours, or their users', when translations are loaded.

        The stages that took over Odoo's still have Odoo's external ids, so the translations of Odoo CRM
        ("Qualified", "Won") aim at them as well.
        """
        stages = self.env["crm.stage"]._get_default_stages()
        if not stages or not {"crm", "crm_sales_stage"} & set(modules):
            return super()._load_module_terms(modules, langs, overwrite)
        names = self._get_stage_names(stages)
        renamed = {
            stage_id: translations
            for name, source in DEFAULT_STAGES.items()
            if (stage_id := self.env["ir.model.data"]._xmlid_to_res_id(f"crm_sales_stage.{name}"))
            and (translations := names.get(stage_id, {"en_US": source}))["en_US"] != source
        }
        res = super()._load_module_terms(modules, langs, overwrite)
        # Odoo's translations of "New" fit: ours has the same name.
        new_id = self.env["ir.model.data"]._xmlid_to_res_id("crm_sales_stage.stage_new")
        self._set_stage_names({stage_id: names[stage_id] for stage_id in names if stage_id != new_id})
        super()._load_module_terms(["crm_sales_stage"], langs)
        self._set_stage_names(renamed)
        return res

    @api.model
    def _get_stage_names(self, stages):
        """:return: name by language by stage id, as stored"""
        stages.flush_model(["name"])
        self.env.cr.execute(SQL("SELECT id, name FROM crm_stage WHERE id IN %s", tuple(stages.ids)))
        return dict(self.env.cr.fetchall())

    @api.model
    def _set_stage_names(self, names):
        """Store names as ``_get_stage_names`` returned them; the ORM cannot take a language away."""
        for stage_id, translations in names.items():
            self.env.cr.execute(
                SQL("UPDATE crm_stage SET name = %s WHERE id = %s", Json(translations), stage_id)
            )
        self.env["crm.stage"].invalidate_model(["name"])
