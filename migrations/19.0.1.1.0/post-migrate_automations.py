from odoo import SUPERUSER_ID, api
from odoo.exceptions import UserError
from odoo.tools import SQL


def migrate(cr, version):
    """Give conditions an author, and go on applying automations to existing documents."""
    env = api.Environment(cr, SUPERUSER_ID, {})
    # Who wrote the automation last had the right to set its condition; the delivered ones are the system's.
    cr.execute(
        SQL(
            """
            UPDATE crm_stage_automation
               SET author_id = COALESCE(write_uid, create_uid, %s)
             WHERE author_id IS NULL
            """,
            SUPERUSER_ID,
        )
    )
    if job := env.ref("crm_sales_stage.ir_cron_crm_stage_catch_up", raise_if_not_found=False):
        job.write({"interval_number": 10, "interval_type": "minutes"})
    cr.execute(
        SQL(
            """
            SELECT id, COALESCE(catch_up_cursor, 0), COALESCE(catch_up_last, 0)
              FROM crm_stage_automation
             WHERE is_catching_up
            """
        )
    )
    for automation_id, last_looked_at, last_id in cr.fetchall():
        automation = env["crm.stage.automation"].browse(automation_id)
        automation.is_catching_up = False
        try:
            leads = automation._search_leads_to_move()
        except UserError as error:  # it is idle, or its condition does not work any more
            automation._set_fault(*automation._get_fault(error, "condition"))
            continue
        leads = leads.filtered(lambda lead, first=last_looked_at, last=last_id: first < lead.id <= last)
        automation._start_catch_up(leads, automation._get_pairs_to_move(leads))
