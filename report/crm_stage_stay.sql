-- The table of the stays in stages, and the triggers that keep it in step within every statement, whoever makes it:
-- the ORM, a cascade or SQL. They look at whole statements, never at single rows.
--
-- Parameters: history (the stays of opportunity_ids), all_history (of all), later_stages (than "stage"), the ids of
-- crm.lead's tracked fields.

CREATE TABLE crm_stage_stay (
    id bigint NOT NULL,
    date_entered timestamp NOT NULL,
    lead_id int NOT NULL,
    is_first_visit boolean NOT NULL,
    -- Whether the opportunity was in a later stage afterwards
    is_moved_on boolean NOT NULL,
    stage_id int,
    next_stage_id int,
    date_left timestamp,
    outcome varchar NOT NULL,
    moved_by varchar,
    -- The opportunity's, to report without looking a million of them up
    won_status varchar,
    company_id int,
    team_id int,
    user_id int,
    lost_reason_id int,
    expected_revenue numeric,
    later_stage_ids int[],
    stage_name varchar,
    -- Of a completed stay; whole days to count millions by
    days float8 GENERATED ALWAYS AS (
        CASE WHEN outcome != 'won' THEN date_part('epoch', date_left - date_entered) / 86400 END
    ) STORED,
    whole_days int GENERATED ALWAYS AS (
        CASE WHEN outcome != 'won' THEN floor(date_part('epoch', date_left - date_entered) / 86400) END
    ) STORED
);

-- In the order of time, which a period then finds close together
SET LOCAL work_mem = '128MB';
INSERT INTO crm_stage_stay SELECT * FROM (%(all_history)s) history ORDER BY date_entered;
RESET work_mem;

ALTER TABLE crm_stage_stay
    ADD CONSTRAINT crm_stage_stay_pkey PRIMARY KEY (id),
    ADD CONSTRAINT crm_stage_stay_lead_id_fkey FOREIGN KEY (lead_id) REFERENCES crm_lead ON DELETE CASCADE,
    ADD CONSTRAINT crm_stage_stay_stage_id_fkey FOREIGN KEY (stage_id) REFERENCES crm_stage ON DELETE SET NULL,
    ADD CONSTRAINT crm_stage_stay_next_stage_id_fkey
        FOREIGN KEY (next_stage_id) REFERENCES crm_stage ON DELETE SET NULL;
CREATE INDEX crm_stage_stay_lead_id_idx ON crm_stage_stay (lead_id);
-- What the overview counts is in these indexes, with what rules and filters usually ask for. (And lead_id: PostgreSQL
-- leaves out the report's join to crm_lead, but then still wants the column.)
CREATE INDEX crm_stage_stay_date_entered_idx ON crm_stage_stay (date_entered);
CREATE INDEX crm_stage_stay_first_visit_idx ON crm_stage_stay (date_entered)
    INCLUDE (stage_id, is_moved_on, won_status, expected_revenue, company_id, team_id, user_id, lead_id)
    WHERE is_first_visit IS TRUE;
CREATE INDEX crm_stage_stay_date_left_idx ON crm_stage_stay (date_left)
    INCLUDE (stage_id, days, whole_days, outcome, company_id, team_id, user_id, lead_id) WHERE date_left IS NOT NULL;
CREATE INDEX crm_stage_stay_lost_idx ON crm_stage_stay (date_left)
    INCLUDE (stage_id, outcome, lost_reason_id, expected_revenue, company_id, team_id, user_id, lead_id)
    WHERE outcome = 'lost';
CREATE INDEX crm_stage_stay_open_idx ON crm_stage_stay (stage_id, date_entered)
    INCLUDE (outcome, company_id, team_id, user_id, lead_id) WHERE outcome = 'open';
ANALYZE crm_stage_stay;

-- Two transactions that refresh the same opportunity wait for each other at its row, then at its stays: under Odoo's
-- isolation the second one is told to try again, and sees what the first one did.
-- Planning this for each opportunity would take longer than doing it; compiling it, very much longer. A session keeps
-- its plan, made perhaps when the tables were all but empty: it must be one by indexes.
CREATE FUNCTION crm_stage_stay_refresh(lead_ids int[]) RETURNS void LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off AS $$
DECLARE
    opportunity_ids int[];
BEGIN
    SELECT array_agg(id) FILTER (WHERE type = 'opportunity')
      INTO opportunity_ids
      FROM (SELECT id, type FROM crm_lead WHERE id = ANY(lead_ids) ORDER BY id FOR NO KEY UPDATE) locked;
    DELETE FROM crm_stage_stay WHERE lead_id = ANY(lead_ids);
    INSERT INTO crm_stage_stay SELECT * FROM (%(history)s) history;
END $$;

-- What stays repeat of their opportunities
CREATE FUNCTION crm_stage_stay_repeat(lead_ids int[]) RETURNS void LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET jit = off
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off AS $$
BEGIN
    UPDATE crm_stage_stay stay
       SET company_id = lead.company_id,
           team_id = lead.team_id,
           user_id = lead.user_id,
           lost_reason_id = lead.lost_reason_id,
           expected_revenue = lead.expected_revenue
      FROM crm_lead lead
     WHERE stay.lead_id = ANY(lead_ids) AND lead.id = stay.lead_id;
END $$;

-- The trigger functions work with their owner's rights: who may write opportunities by SQL needs none on the stays.

CREATE FUNCTION crm_stage_stay_after_lead_insert() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    lead_ids int[] := ARRAY(SELECT id FROM new_rows WHERE type = 'opportunity');
BEGIN
    IF cardinality(lead_ids) > 0 THEN
        PERFORM crm_stage_stay_refresh(lead_ids);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION crm_stage_stay_after_lead_update() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    -- Opportunities by whether they moved, or only something of theirs changed that their stays repeat
    moved int[];
    changed int[];
BEGIN
    SELECT array_agg(id) FILTER (WHERE is_moved), array_agg(id) FILTER (WHERE NOT is_moved)
      INTO moved, changed
      FROM (
            SELECT id,
                   (before.stage_id, before.active, before.won_status, before.type,
                    before.create_date, before.date_conversion, before.date_closed, before.date_last_stage_update)
                   IS DISTINCT FROM
                   (after.stage_id, after.active, after.won_status, after.type,
                    after.create_date, after.date_conversion, after.date_closed, after.date_last_stage_update) AS is_moved,
                   (before.company_id, before.team_id, before.user_id, before.lost_reason_id, before.expected_revenue)
                   IS DISTINCT FROM
                   (after.company_id, after.team_id, after.user_id, after.lost_reason_id, after.expected_revenue) AS is_changed
              FROM old_rows before
              JOIN new_rows after USING (id)
      ) leads
     WHERE is_moved OR is_changed;
    IF moved IS NOT NULL THEN
        PERFORM crm_stage_stay_refresh(moved);
    END IF;
    IF changed IS NOT NULL THEN
        PERFORM crm_stage_stay_repeat(changed);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION crm_stage_stay_after_tracking() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT SET enable_seqscan = off AS $$
DECLARE
    lead_ids int[];
BEGIN
    IF NOT EXISTS (SELECT FROM changed_rows WHERE field_id IN (%(stage_field)s, %(active_field)s, %(won_field)s)) THEN
        RETURN NULL;
    END IF;
    lead_ids := ARRAY(
        SELECT DISTINCT message.res_id
          FROM changed_rows
          CROSS JOIN LATERAL (
                SELECT model, res_id
                  FROM mail_message
                 WHERE id = changed_rows.mail_message_id
                OFFSET 0
          ) message
         WHERE changed_rows.field_id IN (%(stage_field)s, %(active_field)s, %(won_field)s)
           AND message.model = 'crm.lead' AND message.res_id IS NOT NULL
    );
    IF cardinality(lead_ids) > 0 THEN
        PERFORM crm_stage_stay_refresh(lead_ids);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION crm_stage_stay_after_message_update() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    lead_ids int[] := ARRAY(
        SELECT DISTINCT message.res_id
          FROM old_rows before
          JOIN new_rows after USING (id)
          CROSS JOIN LATERAL (VALUES (before.model, before.res_id), (after.model, after.res_id)) message (model, res_id)
         WHERE message.model = 'crm.lead' AND message.res_id IS NOT NULL
           AND (before.model, before.res_id, before.subject, before.author_id, before.subtype_id)
               IS DISTINCT FROM (after.model, after.res_id, after.subject, after.author_id, after.subtype_id)
    );
BEGIN
    IF cardinality(lead_ids) > 0 THEN
        PERFORM crm_stage_stay_refresh(lead_ids);
    END IF;
    RETURN NULL;
END $$;

-- The trackings of a message go with it, by cascade: only it still tells whose they were.
CREATE FUNCTION crm_stage_stay_after_message_delete() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
    lead_ids int[] := ARRAY(SELECT DISTINCT res_id FROM changed_rows WHERE model = 'crm.lead' AND res_id IS NOT NULL);
BEGIN
    IF cardinality(lead_ids) > 0 THEN
        PERFORM crm_stage_stay_refresh(lead_ids);
    END IF;
    RETURN NULL;
END $$;

-- When the stages change places, what was a step forward may have become one back.
CREATE FUNCTION crm_stage_stay_after_stage_update() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    IF (SELECT array_agg(stage.id ORDER BY stage.sequence, stage.id)
               IS NOT DISTINCT FROM
               array_agg(stage.id ORDER BY CASE WHEN before.id IS NULL THEN stage.sequence ELSE before.sequence END,
                                           stage.id)
          FROM crm_stage stage
          LEFT JOIN old_rows before ON before.id = stage.id)
    THEN
        RETURN NULL;
    END IF;
    UPDATE crm_stage_stay stay
       SET is_moved_on = NOT stay.is_moved_on
      FROM crm_stage stage
      CROSS JOIN LATERAL (%(later_stages)s) later
     WHERE stage.id = stay.stage_id
       AND stay.is_moved_on IS DISTINCT FROM COALESCE(stay.later_stage_ids && later.stage_ids, FALSE);
    RETURN NULL;
END $$;

CREATE TRIGGER crm_stage_stay_insert AFTER INSERT ON crm_lead
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION crm_stage_stay_after_lead_insert();
CREATE TRIGGER crm_stage_stay_update AFTER UPDATE ON crm_lead
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION crm_stage_stay_after_lead_update();
CREATE TRIGGER crm_stage_stay_insert AFTER INSERT ON mail_tracking_value
    REFERENCING NEW TABLE AS changed_rows
    FOR EACH STATEMENT EXECUTE FUNCTION crm_stage_stay_after_tracking();
CREATE TRIGGER crm_stage_stay_update AFTER UPDATE ON mail_tracking_value
    REFERENCING NEW TABLE AS changed_rows
    FOR EACH STATEMENT EXECUTE FUNCTION crm_stage_stay_after_tracking();
CREATE TRIGGER crm_stage_stay_delete AFTER DELETE ON mail_tracking_value
    REFERENCING OLD TABLE AS changed_rows
    FOR EACH STATEMENT EXECUTE FUNCTION crm_stage_stay_after_tracking();
CREATE TRIGGER crm_stage_stay_update AFTER UPDATE ON mail_message
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION crm_stage_stay_after_message_update();
CREATE TRIGGER crm_stage_stay_delete AFTER DELETE ON mail_message
    REFERENCING OLD TABLE AS changed_rows
    FOR EACH STATEMENT EXECUTE FUNCTION crm_stage_stay_after_message_delete();
CREATE TRIGGER crm_stage_stay_update AFTER UPDATE ON crm_stage
    REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION crm_stage_stay_after_stage_update()
