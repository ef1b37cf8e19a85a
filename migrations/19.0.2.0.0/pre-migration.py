"""Stays were kept in step by triggers: now they are a table of the ORM, written as they happen."""

from odoo.tools import sql

FUNCTIONS = (
    "after_lead_insert()",
    "after_lead_update()",
    "after_tracking()",
    "after_message_update()",
    "after_message_delete()",
    "after_stage_update()",
    "refresh(int[])",
    "repeat(int[])",
)

# As the ORM makes it on a new database
COLUMNS = (
    ("lead_id", "int4", "Opportunity"),
    ("stage_id", "int4", "Stage"),
    ("next_stage_id", "int4", "Next Stage"),
    ("outcome", "varchar", "Outcome"),
    ("moved_by", "varchar", "Entered By"),
    ("stage_name", "jsonb", "Stage Name"),
    ("is_first_visit", "bool", "First Visit"),
    ("is_moved_on", "bool", "Moved On"),
    ("date_entered", "timestamp", "Entered On"),
    ("date_left", "timestamp", "Left On"),
)


def migrate(cr, version):
    # The second one is of early databases.
    cr.execute("DROP VIEW IF EXISTS crm_stage_report, crm_stage_order")
    for function in FUNCTIONS:
        # With the triggers that call it
        cr.execute(f"DROP FUNCTION IF EXISTS crm_stage_stay_{function} CASCADE")
    if sql.column_exists(cr, "crm_stage_stay", "later_stage_ids"):
        take_stays_over(cr)
    # Users may have saved filters.
    cr.execute(
        """
        UPDATE ir_filters
           SET domain = regexp_replace(domain, '(["''])rule\\1', '\\1automation\\1', 'g')
         WHERE model_id = 'crm.stage.report' AND domain LIKE '%moved_by%'
        """
    )


def take_stays_over(cr):
    """Keep the facts, and leave the opportunities' own values, which were repeated for each stay."""
    cr.execute("CREATE TEMPORARY TABLE former_stay ON COMMIT DROP AS SELECT * FROM crm_stage_stay")
    cr.execute("DROP TABLE crm_stage_stay")
    sql.create_model_table(cr, "crm_stage_stay", "Stay in a Stage", COLUMNS)
    cr.execute(
        """
        INSERT INTO crm_stage_stay (lead_id, stage_id, stage_name, date_entered, date_left, next_stage_id,
                                    outcome, moved_by, is_first_visit, is_moved_on)
        SELECT stay.lead_id, stay.stage_id,
               COALESCE(stage.name, jsonb_strip_nulls(jsonb_build_object('en_US', stay.stage_name))),
               stay.date_entered, stay.date_left, stay.next_stage_id, stay.outcome,
               CASE stay.moved_by WHEN 'rule' THEN 'automation' ELSE stay.moved_by END,
               stay.is_first_visit, stay.is_moved_on
          FROM former_stay stay
          LEFT JOIN crm_stage stage ON stage.id = stay.stage_id
         ORDER BY stay.date_entered, stay.id
        """
    )
