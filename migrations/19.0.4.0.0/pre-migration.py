"""The journal takes over what can be undone. What waits follows after the update."""

from odoo.tools import SQL


def migrate(cr, version):
    cr.execute(
        SQL(
            """
            ALTER TABLE crm_stage_automation_move
                ADD COLUMN state varchar,
                ADD COLUMN date timestamp,
                ADD COLUMN document_id int4,
                ADD COLUMN model_name varchar,
                ADD COLUMN to_stage_id int4,
                ADD COLUMN outcome varchar,
                ADD COLUMN is_applied bool,
                ADD COLUMN changes jsonb
            """
        )
    )
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
                       'date_closed',
                       jsonb_build_array(
                           CASE WHEN move.was_lost AND lead.date_closed IS NOT NULL
                                THEN to_jsonb(to_char(lead.date_closed, 'YYYY-MM-DD HH24:MI:SS'))
                                ELSE 'false' END,
                           COALESCE(to_jsonb(to_char(lead.date_closed, 'YYYY-MM-DD HH24:MI:SS')), 'false')
                       ),
                       'probability', jsonb_build_array(move.probability, lead.probability),
                       'lost_reason_id',
                       jsonb_build_array(
                           COALESCE(to_jsonb(move.lost_reason_id), 'false'),
                           COALESCE(to_jsonb(lead.lost_reason_id), 'false')
                       ),
                       'date_last_stage_update',
                       jsonb_build_array(
                           to_char(move.date_last_stage_update, 'YYYY-MM-DD HH24:MI:SS.US'),
                           to_char(move.date_last_stage_update, 'YYYY-MM-DD HH24:MI:SS.US')
                       )
                   )
              FROM crm_lead lead
             WHERE lead.id = move.lead_id
            """
        )
    )
