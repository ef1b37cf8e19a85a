from odoo import SUPERUSER_ID, api


def migrate(cr, version):
    """Give each automation a server action of its own: those that did the same have shared one."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    taken = env["ir.actions.server"]
    for automation in env["crm.stage.automation"].with_context(active_test=False).search([], order="id"):
        action = automation.action_server_id
        # Those with an external id are the five that the addon delivers, for administrators.
        if action in taken or action.get_external_id().get(action.id):
            automation.action_server_id = False
        taken |= action
        automation._store_actions()
