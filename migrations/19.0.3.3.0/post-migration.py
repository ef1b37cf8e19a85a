from odoo.tools import SQL


def migrate(cr, version):
    """Automations that lose opportunities never brought lost ones back, whatever was ticked."""
    cr.execute(SQL("UPDATE crm_stage_automation SET is_lost_included = false WHERE outcome = 'lost'"))
