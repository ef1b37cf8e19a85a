"""Opportunities remember from which stage the set-up moved them: until now their trackings told."""

from odoo.tools import SQL, sql


def migrate(cr, version):
    if not sql.table_exists(cr, "mail_tracking_value"):
        return
    cr.execute(
        SQL(
            """
            WITH last_change AS (
                SELECT DISTINCT ON (message.res_id)
                       message.res_id AS lead_id, value.old_value_integer AS stage_id
                  FROM mail_tracking_value value
                  JOIN ir_model_fields field ON field.id = value.field_id
                  JOIN mail_message message ON message.id = value.mail_message_id
                 WHERE field.model = 'crm.lead' AND field.name = 'stage_id' AND message.model = 'crm.lead'
                   AND EXISTS (SELECT FROM crm_stage WHERE setup_stage_id IS NOT NULL)
                 ORDER BY message.res_id, value.id DESC
            )
            UPDATE crm_lead lead
               SET merged_from_stage_id = stage.id
              FROM last_change
              JOIN crm_stage stage ON stage.id = last_change.stage_id
             WHERE lead.id = last_change.lead_id AND lead.stage_id = stage.setup_stage_id
            """
        )
    )
