"""What waits, waits in the journal; automations count since the job looked last: nothing fires twice."""

from odoo import SUPERUSER_ID, api
from odoo.tools import SQL


def migrate(cr, version):
    cr.execute(SQL("UPDATE crm_stage_automation SET date_begun = COALESCE(last_run, create_date)"))
    env = api.Environment(cr, SUPERUSER_ID, {})
    env["crm.stage.automation"].invalidate_model(["date_begun"])
    for automation in env["crm.stage.automation"].with_context(active_test=False).search([]):
        cr.execute(
            SQL(
                """
                INSERT INTO crm_stage_automation_move
                       (automation_id, lead_id, document_id, model_name,
                        document_date, state, date, is_applied)
                SELECT automation.id, pending.lead_id, pending.document_id, %s,
                       CASE WHEN pending.is_due THEN automation.last_run END, 'waiting', pending.create_date,
                       automation.is_catching_up AND pending.is_due IS NOT TRUE
                  FROM crm_stage_automation_pending pending
                  JOIN crm_stage_automation automation ON automation.id = pending.automation_id
                 WHERE automation.id = %s
                """,
                automation.model_name,
                automation.id,
            )
        )
    # Odoo leaves the tables of models that are gone.
    cr.execute(SQL("DROP TABLE crm_stage_automation_pending"))
