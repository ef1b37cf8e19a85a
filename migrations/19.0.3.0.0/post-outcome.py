from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Automations to won stages win opportunities, as they did so far.

    One that listens to cancelled quotations won their opportunities: it is archived, with a note.
    """
    env = api.Environment(cr, SUPERUSER_ID, {})
    automations = env["crm.stage.automation"].with_context(active_test=False)
    automations.search([("stage_id.is_won", "=", True)])._follow_won_stage()
