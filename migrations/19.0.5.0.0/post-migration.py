"""Probabilities are computed at once when a stage changes; Odoo's nightly job does what was still waiting."""

from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    env = api.Environment(cr, SUPERUSER_ID, {})
    if job := env.ref("crm_sales_stage.ir_cron_crm_stage_recompute", raise_if_not_found=False):
        server_action = job.ir_actions_server_id
        job.unlink()
        server_action.unlink()
