def migrate(cr, version):
    """Make the new columns here: on making them, the ORM would fill in what is proposed for new automations.

    Actions that move opportunities to a won stage win them, as they did so far.
    """
    cr.execute(
        """
        ALTER TABLE crm_stage_automation
            ADD COLUMN IF NOT EXISTS outcome varchar,
            ADD COLUMN IF NOT EXISTS lost_reason_id integer
        """
    )
    cr.execute(
        """
        ALTER TABLE ir_act_server
            ADD COLUMN IF NOT EXISTS crm_stage_outcome varchar,
            ADD COLUMN IF NOT EXISTS crm_lost_reason_id integer
        """
    )
    cr.execute(
        """
        UPDATE ir_act_server action
           SET crm_stage_outcome = 'won'
          FROM crm_stage stage
         WHERE stage.id = action.crm_stage_id AND stage.is_won AND action.state = 'crm_stage'
        """
    )
