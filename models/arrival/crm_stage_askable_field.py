from odoo import fields, models
from odoo.tools import SQL


class CrmStageAskableField(models.Model):
    """Names and labels of the fields that a stage may ask for.

    Sales managers choose among them, and have no right on ``ir.model.fields``, which shows more of all models
    than they may see, the Python code of computed fields included. The ids are the same.
    """

    _name = "crm.stage.askable.field"
    _description = "Field That a Stage May Ask For"
    _auto = False
    _depends = {"ir.model.fields": ["model", "name", "field_description"]}
    _rec_name = "field_description"
    _order = "field_description, id"

    name = fields.Char("Technical Name", readonly=True, help="Name of the field of opportunities.")
    field_description = fields.Char("Label", readonly=True, translate=True, help="What people call it.")

    @property
    def _table_query(self):
        return SQL(
            "SELECT id, name, field_description FROM ir_model_fields WHERE model = 'crm.lead' AND name IN %s",
            tuple(self.env["crm.lead"]._get_askable_names()),
        )
