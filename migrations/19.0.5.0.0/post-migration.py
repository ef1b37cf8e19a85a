from odoo import SUPERUSER_ID, api

# Probabilities are computed at once when a stage changes, and managers get a message about a fault at once.
ENDED_JOBS = ("ir_cron_crm_stage_recompute", "ir_cron_crm_stage_fault")

# Stays are read by their report, whose rules are those of opportunities.
ENDED_RULES = ("crm_stage_stay_rule_personal", "crm_stage_stay_rule_all")


def migrate(cr, version):
    env = api.Environment(cr, SUPERUSER_ID, {})
    for name in ENDED_JOBS:
        if job := env.ref(f"crm_sales_stage.{name}", raise_if_not_found=False):
            action = job.ir_actions_server_id
            job.unlink()
            action.unlink()
    for name in ENDED_RULES:
        if rule := env.ref(f"crm_sales_stage.{name}", raise_if_not_found=False):
            rule.unlink()
    _give_own_actions(env)


def _give_own_actions(env):
    """Give each automation a server action of its own: those that did the same have shared one."""
    taken = env["ir.actions.server"]
    for automation in env["crm.stage.automation"].with_context(active_test=False).search([], order="id"):
        action = automation.action_server_id
        # Those with an external id are the five that the addon delivers, for administrators.
        if action in taken or action.get_external_id().get(action.id):
            automation.action_server_id = False
        taken |= action
        automation._store_actions()
