"""The journal takes over what can be undone, and what waits. Automations count since the job looked last:
nothing fires twice.
"""

from odoo import SUPERUSER_ID, api
from odoo.tools import SQL


def migrate(cr, version):
    _take_over_moves(cr)
    # Automations that lose opportunities never brought lost ones back, whatever was ticked before 19.0.3.3.0.
    cr.execute(SQL("UPDATE crm_stage_automation SET is_lost_included = false WHERE outcome = 'lost'"))
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


def _take_over_moves(cr):
    # Since when the opportunity was in its former stage was not kept: the date of the move stays.
    cr.execute(
        SQL(
            """
            UPDATE crm_stage_automation_move move
               SET state = 'done',
                   date = move.create_date,
                   document_id = move.lead_id,
                   model_name = 'crm.lead',
                   to_stage_id = move.stage_id,
                   outcome = CASE WHEN move.won_status IN ('won', 'lost') THEN move.won_status END,
                   is_applied = true,
                   changes = jsonb_build_object(
                       'stage_id', jsonb_build_array(move.from_stage_id, move.stage_id),
                       'active', jsonb_build_array(NOT move.was_lost, move.won_status != 'lost'),
                       'date_closed', jsonb_build_array(
                           COALESCE(to_jsonb(CASE WHEN move.was_lost THEN closed END), 'false'),
                           COALESCE(to_jsonb(closed), 'false')
                       ),
                       'probability', jsonb_build_array(move.probability, lead.probability),
                       'lost_reason_id', jsonb_build_array(
                           COALESCE(to_jsonb(move.lost_reason_id), 'false'),
                           COALESCE(to_jsonb(lead.lost_reason_id), 'false')
                       ),
                       'date_last_stage_update', jsonb_build_array(
                           to_char(move.date_last_stage_update, 'YYYY-MM-DD HH24:MI:SS.US'),
                           to_char(move.date_last_stage_update, 'YYYY-MM-DD HH24:MI:SS.US')
                       )
                   )
              FROM crm_lead lead
             CROSS JOIN LATERAL to_char(lead.date_closed, 'YYYY-MM-DD HH24:MI:SS') AS closed
             WHERE lead.id = move.lead_id
            """
        )
    )
