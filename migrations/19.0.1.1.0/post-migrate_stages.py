"""Stages that came while only Odoo CRM was loaded have no values in our columns: nobody sees them."""

from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Bring them into the pipeline. From now on the database has defaults for them."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    cr.execute("UPDATE crm_stage SET probability = 100 WHERE is_won AND probability IS DISTINCT FROM 100")
    cr.execute("SELECT id FROM crm_stage WHERE probability IS NULL")
    for stage in env["crm.stage"].browse([stage_id for (stage_id,) in cr.fetchall()]):
        stage.probability = stage._get_probability_between(stage.sequence)
    cr.execute("UPDATE crm_stage SET active = true WHERE active IS NULL")
    env["crm.stage"].invalidate_model()
    env.registry.clear_cache()
