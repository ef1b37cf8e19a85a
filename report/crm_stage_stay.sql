-- The stays of opportunities in stages: what crm.stage.report shows.
--
-- crm_stage_history (view)   reads them from Odoo's own tracking, the creation and the present state. It is the truth.
-- crm_stage_stay    (table)  holds the same rows, so that reports need not order millions of trackings each time.
--                            Triggers keep it in step within every statement, whoever makes it: ORM, cascade or SQL.
--
-- Parameters: ids of the fields stage_id, active and won_status of crm.lead, and of OdooBot's partner.

-- What happened to each opportunity, in order. Foreign to an opportunity are the trackings that came to it by a
-- merge: Odoo gives the messages it moves a subject ("From …"), which tracking messages never have.
-- While a lead, it is in no pipeline: what happened before its conversion is left out.
CREATE VIEW crm_stage_event AS
SELECT lead.id AS lead_id,
       0 AS message_id,
       lead.id * 3::bigint AS id,
       GREATEST(lead.create_date, lead.date_conversion) AS date,
       'created' AS moved_by,
       FALSE AS is_stage, NULL::int AS old_stage_id, NULL::int AS new_stage_id,
       NULL::varchar AS old_stage_name, NULL::varchar AS new_stage_name,
       TRUE AS is_active, NULL::boolean AS old_active, TRUE AS new_active,
       FALSE AS was_lost,
       lead.stage_id AS lead_stage_id, lead.won_status
  FROM crm_lead lead
 WHERE lead.type = 'opportunity'
UNION ALL
SELECT lead.id,
       message.id,
       tracking.id * 3::bigint + 1,
       tracking.create_date,
       CASE WHEN message.author_id = %(odoobot)s THEN 'rule' ELSE 'hand' END,
       tracking.field_id = %(stage_field)s,
       CASE WHEN tracking.field_id = %(stage_field)s THEN COALESCE(tracking.old_value_integer, 0) END,
       CASE WHEN tracking.field_id = %(stage_field)s THEN COALESCE(tracking.new_value_integer, 0) END,
       tracking.old_value_char, tracking.new_value_char,
       tracking.field_id = %(active_field)s,
       CASE WHEN tracking.field_id = %(active_field)s THEN COALESCE(tracking.old_value_integer, 0) != 0 END,
       CASE WHEN tracking.field_id = %(active_field)s THEN COALESCE(tracking.new_value_integer, 0) != 0 END,
       -- Won/Lost is tracked by its label, in the language of whoever changed it.
       tracking.field_id = %(active_field)s AND EXISTS (
           SELECT 1
             FROM mail_tracking_value won
             JOIN ir_model_fields_selection selection
               ON selection.field_id = won.field_id AND selection.value = 'lost'
             CROSS JOIN jsonb_each_text(selection.name) label
            WHERE won.mail_message_id = message.id
              AND won.field_id = %(won_field)s
              AND won.old_value_char = label.value
       ),
       lead.stage_id, lead.won_status
  FROM crm_lead lead
  JOIN mail_message message ON message.model = 'crm.lead' AND message.res_id = lead.id
  JOIN mail_tracking_value tracking ON tracking.mail_message_id = message.id
 WHERE lead.type = 'opportunity'
   AND tracking.field_id IN (%(stage_field)s, %(active_field)s)
   AND COALESCE(message.subject, '') = ''
   AND (lead.date_conversion IS NULL OR date_trunc('second', tracking.create_date) > lead.date_conversion)
UNION ALL
-- The present state, for changes that left no tracking (imports, SQL, tracking switched off).
SELECT lead.id,
       2147483647,
       lead.id * 3::bigint + 2,
       COALESCE(
           CASE WHEN lead.active THEN lead.date_last_stage_update ELSE lead.date_closed END,
           lead.create_date
       ),
       NULL,
       TRUE, NULL, COALESCE(lead.stage_id, 0),
       NULL, NULL,
       TRUE, NULL, lead.active,
       FALSE,
       lead.stage_id, lead.won_status
  FROM crm_lead lead
 WHERE lead.type = 'opportunity';

CREATE VIEW crm_stage_history AS
-- Where the opportunity was after each event, and whether it was in the pipeline. As in Odoo's own "time in stage",
-- the next event tells where it had been until then.
WITH state AS (
    SELECT lead_id, message_id, is_active, id, moved_by, was_lost, won_status,
           MAX(date) OVER past AS date,
           COALESCE(
               (array_agg(old_stage_id) FILTER (WHERE is_stage) OVER future)[1],
               (array_agg(new_stage_id) FILTER (WHERE is_stage) OVER past)[count(*) FILTER (WHERE is_stage) OVER past],
               lead_stage_id,
               0
           ) AS stage_id,
           COALESCE(
               (array_agg(old_stage_name) FILTER (WHERE is_stage) OVER future)[1],
               (array_agg(new_stage_name) FILTER (WHERE is_stage) OVER past)[count(*) FILTER (WHERE is_stage) OVER past]
           ) AS stage_name,
           COALESCE(
               (array_agg(old_active) FILTER (WHERE is_active) OVER future)[1],
               (array_agg(new_active) FILTER (WHERE is_active) OVER past)[count(*) FILTER (WHERE is_active) OVER past]
           ) AS active
      FROM crm_stage_event
    WINDOW past AS (PARTITION BY lead_id ORDER BY message_id, is_active, id),
           future AS (
               PARTITION BY lead_id ORDER BY message_id, is_active, id
               ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
           )
),
change AS (
    SELECT *,
           COALESCE(lag(active) OVER previous, FALSE) AS was_active,
           lag(stage_id) OVER previous AS previous_stage_id
      FROM state
    WINDOW previous AS (PARTITION BY lead_id ORDER BY message_id, is_active, id)
),
-- Only what began or ended a stay
step AS (
    SELECT *,
           lead(date) OVER following AS date_left,
           lead(active) OVER following AS next_active,
           lead(stage_id) OVER following AS next_stage_id,
           lead(was_lost, 2) OVER following AS next_was_lost,
           count(*) FILTER (WHERE active) OVER (PARTITION BY lead_id, stage_id ORDER BY message_id, is_active, id) AS visit,
           array_agg(stage_id) FILTER (WHERE active) OVER (
               PARTITION BY lead_id ORDER BY message_id, is_active, id
               ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
           ) AS later_stage_ids
      FROM change
     WHERE CASE WHEN active THEN NOT was_active OR stage_id != previous_stage_id ELSE was_active END
    WINDOW following AS (PARTITION BY lead_id ORDER BY message_id, is_active, id)
)
SELECT id,
       lead_id,
       stage_id,
       stage_name,
       date AS date_entered,
       date_left,
       CASE WHEN next_active THEN next_stage_id END AS next_stage_id,
       later_stage_ids,
       visit = 1 AS is_first_visit,
       CASE
           WHEN next_active THEN 'moved'
           WHEN next_was_lost THEN 'restored'
           WHEN next_was_lost IS NOT NULL THEN 'archived'
           WHEN won_status IN ('won', 'lost') THEN won_status
           WHEN date_left IS NOT NULL THEN 'archived'
           ELSE 'open'
       END AS outcome,
       moved_by
  FROM step
 WHERE active;

CREATE TABLE crm_stage_stay (
    id bigint PRIMARY KEY,
    lead_id int NOT NULL,
    stage_id int NOT NULL,
    stage_name varchar,
    date_entered timestamp,
    date_left timestamp,
    next_stage_id int,
    later_stage_ids int[],
    is_first_visit boolean NOT NULL,
    outcome varchar NOT NULL,
    moved_by varchar
);

INSERT INTO crm_stage_stay SELECT * FROM crm_stage_history;

CREATE INDEX crm_stage_stay_lead_id_idx ON crm_stage_stay (lead_id);
CREATE INDEX crm_stage_stay_date_entered_idx ON crm_stage_stay (date_entered);
CREATE INDEX crm_stage_stay_date_left_idx ON crm_stage_stay (date_left) WHERE date_left IS NOT NULL;
CREATE INDEX crm_stage_stay_open_idx ON crm_stage_stay (stage_id, date_entered) WHERE outcome = 'open';

CREATE FUNCTION crm_stage_stay_refresh(lead_ids int[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM crm_stage_stay WHERE lead_id = ANY(lead_ids);
    INSERT INTO crm_stage_stay SELECT * FROM crm_stage_history WHERE lead_id = ANY(lead_ids);
END $$;

CREATE FUNCTION crm_stage_stay_lead_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM crm_stage_stay_refresh(ARRAY(SELECT id FROM changed));
    RETURN NULL;
END $$;

CREATE FUNCTION crm_stage_stay_lead() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM crm_stage_stay_refresh(ARRAY[NEW.id]);
    RETURN NULL;
END $$;

CREATE FUNCTION crm_stage_stay_tracking_rows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    lead_ids int[] := ARRAY(
        SELECT DISTINCT message.res_id
          FROM changed
          JOIN mail_message message ON message.id = changed.mail_message_id
         WHERE changed.field_id IN (%(stage_field)s, %(active_field)s, %(won_field)s)
           AND message.model = 'crm.lead' AND message.res_id IS NOT NULL
    );
BEGIN
    IF cardinality(lead_ids) > 0 THEN
        PERFORM crm_stage_stay_refresh(lead_ids);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION crm_stage_stay_message_rows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    lead_ids int[] := ARRAY(SELECT DISTINCT res_id FROM changed WHERE model = 'crm.lead' AND res_id IS NOT NULL);
BEGIN
    IF cardinality(lead_ids) > 0 THEN
        PERFORM crm_stage_stay_refresh(lead_ids);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION crm_stage_stay_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM crm_stage_stay_refresh(
        ARRAY_REMOVE(ARRAY[
            CASE WHEN OLD.model = 'crm.lead' THEN OLD.res_id END,
            CASE WHEN NEW.model = 'crm.lead' THEN NEW.res_id END
        ], NULL)
    );
    RETURN NULL;
END $$;

CREATE TRIGGER crm_stage_stay_insert AFTER INSERT ON crm_lead
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION crm_stage_stay_lead_rows();
CREATE TRIGGER crm_stage_stay_delete AFTER DELETE ON crm_lead
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION crm_stage_stay_lead_rows();
-- By row: most updates of opportunities are none of ours, and a condition costs them nothing.
CREATE TRIGGER crm_stage_stay_update AFTER UPDATE ON crm_lead FOR EACH ROW
    WHEN (
        (OLD.stage_id, OLD.active, OLD.won_status, OLD.type,
         OLD.create_date, OLD.date_conversion, OLD.date_closed, OLD.date_last_stage_update)
        IS DISTINCT FROM
        (NEW.stage_id, NEW.active, NEW.won_status, NEW.type,
         NEW.create_date, NEW.date_conversion, NEW.date_closed, NEW.date_last_stage_update)
    )
    EXECUTE FUNCTION crm_stage_stay_lead();
CREATE TRIGGER crm_stage_stay_insert AFTER INSERT ON mail_tracking_value
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION crm_stage_stay_tracking_rows();
CREATE TRIGGER crm_stage_stay_update AFTER UPDATE ON mail_tracking_value
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION crm_stage_stay_tracking_rows();
CREATE TRIGGER crm_stage_stay_delete AFTER DELETE ON mail_tracking_value
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION crm_stage_stay_tracking_rows();
-- A message's own trackings go with it, by cascade: only it still tells whose they were.
CREATE TRIGGER crm_stage_stay_delete AFTER DELETE ON mail_message
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION crm_stage_stay_message_rows();
CREATE TRIGGER crm_stage_stay_update AFTER UPDATE ON mail_message FOR EACH ROW
    WHEN (
        'crm.lead' IN (OLD.model, NEW.model)
        AND (OLD.model, OLD.res_id, OLD.subject, OLD.author_id)
            IS DISTINCT FROM (NEW.model, NEW.res_id, NEW.subject, NEW.author_id)
    )
    EXECUTE FUNCTION crm_stage_stay_message();
