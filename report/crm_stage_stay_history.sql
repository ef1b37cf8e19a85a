-- The stays of opportunities in stages, from Odoo's own tracking, their creation and their present state.
--
-- Parameters: stages (ids in the pipeline's order), the ids of crm.lead's fields stage_id, active and won_status, of
-- OdooBot's partner and of the message subtype "Opportunity Lost".

SET LOCAL work_mem = '128MB';

INSERT INTO crm_stage_stay (lead_id, stage_id, stage_name, date_entered, date_left, next_stage_id, outcome, moved_by,
                            is_first_visit, is_moved_on)
WITH lost_label AS MATERIALIZED (
    -- Won/Lost is tracked by its label, in the language of whoever changed it.
    SELECT label.value
      FROM ir_model_fields_selection selection
      CROSS JOIN jsonb_each_text(selection.name) label
     WHERE selection.field_id = %(won_field)s AND selection.value = 'lost'
),
-- What happened to each opportunity, in the order of the messages: its creation, what was tracked, and its present
-- state for what was not (imports, SQL, tracking switched off).
-- Trackings that came by a merge are none of its own: the Message-ID that Odoo gives its messages tells whose they
-- were. While a lead, it was in no pipeline: what came before its conversion is left out.
event AS (
    SELECT lead.id AS lead_id,
           0 AS message_id,
           -- One that was made by SQL may have no date of creation.
           COALESCE(
               GREATEST(lead.create_date, lead.date_conversion), lead.date_last_stage_update, now() AT TIME ZONE 'UTC'
           ) AS date,
           'created' AS moved_by,
           FALSE AS is_stage, NULL::int AS old_stage_id, NULL::int AS new_stage_id,
           NULL::varchar AS old_stage_name, NULL::varchar AS new_stage_name,
           TRUE AS is_active, NULL::boolean AS old_active, TRUE AS new_active,
           FALSE AS is_lost
      FROM crm_lead lead
     WHERE lead.type = 'opportunity'
     UNION ALL
    SELECT lead.id,
           message.id,
           MIN(tracking.create_date),
           CASE
               -- Versions before this one said by a class what moved an opportunity.
               WHEN message.author_id = %(odoobot)s OR message.body LIKE '%%o_crm_stage_automation%%' THEN 'automation'
               ELSE 'hand'
           END AS moved_by,
           BOOL_OR(tracking.field_id = %(stage_field)s),
           COALESCE(MAX(tracking.old_value_integer) FILTER (WHERE tracking.field_id = %(stage_field)s), 0),
           COALESCE(MAX(tracking.new_value_integer) FILTER (WHERE tracking.field_id = %(stage_field)s), 0),
           MAX(tracking.old_value_char) FILTER (WHERE tracking.field_id = %(stage_field)s),
           MAX(tracking.new_value_char) FILTER (WHERE tracking.field_id = %(stage_field)s),
           BOOL_OR(tracking.field_id = %(active_field)s),
           COALESCE(MAX(tracking.old_value_integer) FILTER (WHERE tracking.field_id = %(active_field)s), 0) = 1,
           COALESCE(MAX(tracking.new_value_integer) FILTER (WHERE tracking.field_id = %(active_field)s), 0) = 1,
           -- Lost on leaving the pipeline, or until coming back
           COALESCE(message.subtype_id = %(lost_subtype)s, FALSE) OR BOOL_OR(
               tracking.field_id = %(won_field)s
               AND (SELECT array_agg(value::varchar) FROM lost_label)
                   && ARRAY[tracking.old_value_char, tracking.new_value_char]
           )
      FROM crm_lead lead
      JOIN mail_message message ON message.model = 'crm.lead' AND message.res_id = lead.id
      JOIN mail_tracking_value tracking ON tracking.mail_message_id = message.id
     WHERE lead.type = 'opportunity'
       AND tracking.field_id IN (%(stage_field)s, %(active_field)s, %(won_field)s)
       AND (
           message.message_id IS NULL
           OR message.message_id NOT LIKE '%%-openerp-%%-crm.lead@%%'
           OR message.message_id LIKE '%%-openerp-' || lead.id || '-crm.lead@%%'
       )
       AND (lead.date_conversion IS NULL OR date_trunc('second', tracking.create_date) > lead.date_conversion)
     GROUP BY lead.id, message.id, message.subtype_id, moved_by
     UNION ALL
    SELECT lead.id,
           2147483646,
           COALESCE(lead.date_last_stage_update, lead.create_date),
           NULL,
           TRUE, NULL, COALESCE(lead.stage_id, 0), NULL, NULL,
           lead.active IS TRUE, NULL, TRUE,
           FALSE
      FROM crm_lead lead
     WHERE lead.type = 'opportunity'
     UNION ALL
    SELECT lead.id,
           2147483647,
           COALESCE(lead.date_closed, lead.date_last_stage_update, lead.create_date),
           NULL,
           FALSE, NULL, NULL, NULL, NULL,
           TRUE, NULL, FALSE,
           FALSE
      FROM crm_lead lead
     WHERE lead.type = 'opportunity' AND lead.active IS NOT TRUE
),
numbered AS (
    SELECT lead_id, message_id, moved_by, is_lost,
           MAX(date) OVER past AS date,
           COUNT(*) FILTER (WHERE is_stage) OVER past AS stage_number,
           COUNT(*) FILTER (WHERE is_active) OVER past AS active_number,
           array_agg(old_stage_id) FILTER (WHERE is_stage) OVER whole AS old_stage_ids,
           array_agg(new_stage_id) FILTER (WHERE is_stage) OVER whole AS new_stage_ids,
           array_agg(old_stage_name) FILTER (WHERE is_stage) OVER whole AS old_stage_names,
           array_agg(new_stage_name) FILTER (WHERE is_stage) OVER whole AS new_stage_names,
           array_agg(old_active) FILTER (WHERE is_active) OVER whole AS old_actives,
           array_agg(new_active) FILTER (WHERE is_active) OVER whole AS new_actives
      FROM event
    WINDOW past AS (PARTITION BY lead_id ORDER BY message_id),
           whole AS (
               PARTITION BY lead_id ORDER BY message_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
           )
),
-- Where the opportunity was after each event, and whether it was in the pipeline. As in Odoo's own "time in stage",
-- the next change tells where it had been until then.
state AS (
    SELECT lead_id, message_id, moved_by, is_lost, date,
           COALESCE(
               old_stage_ids[stage_number + 1],
               new_stage_ids[stage_number],
               new_stage_ids[cardinality(new_stage_ids)]
           ) AS stage_id,
           COALESCE(old_stage_names[stage_number + 1], new_stage_names[stage_number]) AS stage_name,
           COALESCE(old_actives[active_number + 1], new_actives[active_number]) AS active
      FROM numbered
),
change AS (
    SELECT *,
           COALESCE(LAG(active) OVER past, FALSE) AS was_active,
           LAG(stage_id) OVER past AS previous_stage_id
      FROM state
    WINDOW past AS (PARTITION BY lead_id ORDER BY message_id)
),
-- Only what began or ended a stay
step AS (
    SELECT *,
           LEAD(date) OVER past AS date_left,
           LEAD(active) OVER past AS next_active,
           LEAD(stage_id) OVER past AS next_stage_id,
           LEAD(is_lost) OVER past AS left_lost,
           LEAD(is_lost, 2) OVER past AS came_back_lost,
           COUNT(*) FILTER (WHERE active) OVER past AS stay_number,
           array_agg(stage_id) FILTER (WHERE active) OVER whole AS stage_ids
      FROM change
     WHERE CASE WHEN active THEN NOT was_active OR stage_id != previous_stage_id ELSE was_active END
    WINDOW past AS (PARTITION BY lead_id ORDER BY message_id),
           whole AS (
               PARTITION BY lead_id ORDER BY message_id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
           )
),
-- Nobody knows which stages were later ones at that time: those that are now.
ordered AS (
    SELECT id, (%(stages)s::int[])[number + 1:] AS later_ids
      FROM unnest(%(stages)s::int[]) WITH ORDINALITY stage (id, number)
)
SELECT step.lead_id,
       stage.id,
       COALESCE(stage.name, jsonb_strip_nulls(jsonb_build_object('en_US', step.stage_name))),
       step.date,
       step.date_left,
       next_stage.id,
       CASE
           WHEN step.next_active THEN 'moved'
           WHEN step.came_back_lost IS NOT NULL THEN
               CASE WHEN step.left_lost OR step.came_back_lost THEN 'restored' ELSE 'archived' END
           WHEN lead.won_status IN ('won', 'lost') THEN lead.won_status
           WHEN step.date_left IS NOT NULL THEN 'archived'
           ELSE 'open'
       END,
       step.moved_by,
       array_position(step.stage_ids, step.stage_id) = step.stay_number,
       COALESCE(step.stage_ids[step.stay_number + 1:] && ordered.later_ids, FALSE)
  FROM step
  JOIN crm_lead lead ON lead.id = step.lead_id
  LEFT JOIN crm_stage stage ON stage.id = step.stage_id
  LEFT JOIN crm_stage next_stage ON step.next_active AND next_stage.id = step.next_stage_id
  LEFT JOIN ordered ON ordered.id = step.stage_id
 WHERE step.active
 -- In the order of time, which a period then finds close together
 ORDER BY step.date, step.lead_id, step.message_id;

RESET work_mem
