from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Say of automations and actions to won stages what they did so far: they won.

    None of them lost opportunities. One that listens to what loses them is archived, with a note: it won the
    opportunities of cancelled quotations.
    """
    env = api.Environment(cr, SUPERUSER_ID, {})
    # The new column holds what was proposed for them.
    cr.execute("UPDATE crm_stage_automation SET outcome = NULL WHERE outcome IS NOT NULL")
    env["crm.stage.automation"].invalidate_model(["outcome"])
    automations = env["crm.stage.automation"].with_context(active_test=False)
    automations.search([("stage_id.is_won", "=", True)])._follow_won_stage()
