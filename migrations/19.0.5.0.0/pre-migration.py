"""The stage's form is inherited by one view.

Odoo removes the former view after the data. Until then it would be applied to a form that has everything in
its place already.
"""

from odoo.tools import SQL


def migrate(cr, version):
    cr.execute(
        SQL(
            """
            UPDATE ir_ui_view view
               SET active = false
              FROM ir_model_data data
             WHERE data.module = 'crm_sales_stage'
               AND data.name = 'crm_stage_view_form_arrival'
               AND data.res_id = view.id
            """
        )
    )
