-- The stays of opportunities in stages, from Odoo's own tracking, their creation and their present state.
--
-- Parameters: stages (ids in the pipeline's order), the ids of crm.lead's fields stage_id and active, of OdooBot's
-- partner, and of the message subtypes of opportunities that are lost or restored.

SET LOCAL work_mem = '128MB';

INSERT INTO crm_stage_stay (lead_id, stage_id, stage_name, date_entered, date_left, next_stage_id, outcome, moved_by,
                            mover_id, is_first_visit, is_moved_on)
-- What happened to each opportunity, in the order of the messages: its creation, what was tracked, and its present
-- state for what was not (imports, SQL, tracking switched off). What an event says nothing of is NULL.
-- Trackings that came by a merge are none of its own: the Message-ID that Odoo gives its messages says whose they
-- were. While a lead, it was in no pipeline: what came before its conversion is left out.
WITH event AS (
    SELECT lead.id AS lead_id, 0 AS message_id, 'created' AS moved_by, lead.create_uid AS user_id, FALSE AS is_lost,
           -- One that was created by SQL may have no dates.
           COALESCE(
               GREATEST(lead.create_date, lead.date_conversion), lead.date_last_stage_update, now() AT TIME ZONE 'UTC'
           ) AS date,
           NULL::int AS old_stage_id, COALESCE(lead.stage_id, 0) AS new_stage_id,
           NULL::int AS old_active, 1 AS new_active
      FROM crm_lead lead
     WHERE lead.type = 'opportunity'
     UNION ALL
    SELECT lead.id, message.id,
           -- A class in the message says that an automation moved it.
           CASE
               WHEN message.author_id = %(odoobot)s OR message.body LIKE '%%o_crm_stage_automation%%' THEN 'automation'
               ELSE 'hand'
           END,
           message.create_uid,
           -- Lost on leaving the pipeline, or until coming back
           COALESCE(message.subtype_id = ANY(%(lost_subtypes)s), FALSE),
           MIN(tracking.create_date),
           MAX(COALESCE(tracking.old_value_integer, 0)) FILTER (WHERE tracking.field_id = %(stage_field)s),
           MAX(COALESCE(tracking.new_value_integer, 0)) FILTER (WHERE tracking.field_id = %(stage_field)s),
           MAX(COALESCE(tracking.old_value_integer, 0)) FILTER (WHERE tracking.field_id = %(active_field)s),
           MAX(COALESCE(tracking.new_value_integer, 0)) FILTER (WHERE tracking.field_id = %(active_field)s)
      FROM crm_lead lead
      JOIN mail_message message ON message.model = 'crm.lead' AND message.res_id = lead.id
      JOIN mail_tracking_value tracking ON tracking.mail_message_id = message.id
     WHERE lead.type = 'opportunity'
       AND tracking.field_id IN (%(stage_field)s, %(active_field)s)
       AND COALESCE(substring(message.message_id, '-openerp-(\d+)-crm\.lead@'), lead.id::text) = lead.id::text
       AND (lead.date_conversion IS NULL OR date_trunc('second', tracking.create_date) > lead.date_conversion)
     GROUP BY lead.id, message.id
     UNION ALL
    SELECT lead.id, 2147483646, NULL, NULL, FALSE, COALESCE(lead.date_last_stage_update, lead.create_date),
           NULL, COALESCE(lead.stage_id, 0), NULL, NULL
      FROM crm_lead lead
     WHERE lead.type = 'opportunity'
     UNION ALL
    SELECT lead.id, 2147483647, NULL, NULL, FALSE,
           COALESCE(lead.date_closed, lead.date_last_stage_update, lead.create_date), NULL, NULL, NULL, 0
      FROM crm_lead lead
     WHERE lead.type = 'opportunity' AND lead.active IS NOT TRUE
),
-- Where the opportunity was after each event, and whether it was in the pipeline. As in Odoo's own "time in stage",
-- the next event that says where it had been until then counts, or else the last one that says where it came.
state AS (
    SELECT lead_id, message_id, moved_by, user_id, is_lost, MAX(date) OVER past AS date,
           COALESCE(
               (MIN(ARRAY[message_id, old_stage_id]) FILTER (WHERE old_stage_id IS NOT NULL) OVER future)[2],
               (MAX(ARRAY[message_id, new_stage_id]) FILTER (WHERE new_stage_id IS NOT NULL) OVER past)[2]
           ) AS stage_id,
           COALESCE(
               (MIN(ARRAY[message_id, old_active]) FILTER (WHERE old_active IS NOT NULL) OVER future)[2],
               (MAX(ARRAY[message_id, new_active]) FILTER (WHERE new_active IS NOT NULL) OVER past)[2]
           ) = 1 AS active
      FROM event
    WINDOW past AS (PARTITION BY lead_id ORDER BY message_id),
           future AS (
               PARTITION BY lead_id ORDER BY message_id DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
           )
),
change AS (
    SELECT *, COALESCE(LAG(active) OVER past, FALSE) AS was_active, LAG(stage_id) OVER past AS previous_stage_id
      FROM state
    WINDOW past AS (PARTITION BY lead_id ORDER BY message_id)
),
-- Only what began or ended a stay. What moved and left the pipeline at once has been in the stage it moved to.
passage AS (
    SELECT lead_id, message_id, moved_by, user_id, is_lost, date, stage_id, passage.active, passage.number
      FROM change
      CROSS JOIN LATERAL unnest(
               CASE WHEN change.active OR stage_id = previous_stage_id THEN ARRAY[change.active] ELSE ARRAY[TRUE, FALSE] END
           ) WITH ORDINALITY passage (active, number)
     WHERE CASE WHEN change.active THEN NOT was_active OR stage_id != previous_stage_id ELSE was_active END
),
step AS (
    SELECT *,
           LEAD(date) OVER past AS date_left,
           LEAD(active) OVER past AS next_active,
           LEAD(stage_id) OVER past AS next_stage_id,
           LEAD(is_lost) OVER past AS left_lost,
           LEAD(is_lost, 2) OVER past AS came_back_lost,
           COUNT(*) FILTER (WHERE active) OVER past AS stay_number,
           array_agg(stage_id) FILTER (WHERE active) OVER whole AS stage_ids
      FROM passage
    WINDOW past AS (PARTITION BY lead_id ORDER BY message_id, number),
           whole AS (past ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
),
-- Stages that are gone, by the last name that was tracked of them
deleted AS (
    SELECT DISTINCT ON (tracking.old_value_integer)
           tracking.old_value_integer AS id,
           jsonb_build_object('en_US', tracking.old_value_char) AS name
      FROM mail_tracking_value tracking
     WHERE tracking.field_id = %(stage_field)s AND tracking.old_value_integer != ALL(%(stages)s || 0)
     ORDER BY tracking.old_value_integer, tracking.id DESC
)
SELECT step.lead_id, stage.id, COALESCE(stage.name, deleted.name), step.date, step.date_left, next_stage.id,
       CASE
           WHEN step.next_active THEN 'moved'
           WHEN step.came_back_lost IS NOT NULL THEN
               CASE WHEN step.left_lost OR step.came_back_lost THEN 'restored' ELSE 'archived' END
           WHEN lead.won_status IN ('won', 'lost') THEN lead.won_status
           WHEN step.date_left IS NOT NULL THEN 'archived'
           ELSE 'open'
       END,
       step.moved_by,
       CASE WHEN step.moved_by IN ('created', 'hand') AND step.user_id != 1 THEN step.user_id END,
       array_position(step.stage_ids, step.stage_id) = step.stay_number,
       -- The later stages of that time are not known: those that are later now.
       COALESCE(
           step.stage_ids[step.stay_number + 1:]
               && (%(stages)s::int[])[array_position(%(stages)s, step.stage_id) + 1:],
           FALSE
       )
  FROM step
  JOIN crm_lead lead ON lead.id = step.lead_id
  LEFT JOIN crm_stage stage ON stage.id = step.stage_id
  LEFT JOIN crm_stage next_stage ON step.next_active AND next_stage.id = step.next_stage_id
  LEFT JOIN deleted ON deleted.id = step.stage_id
 WHERE step.active
 -- In the order of time, which a period then finds close together
 ORDER BY step.date, step.lead_id, step.message_id, step.number;

RESET work_mem
