import json

from odoo import api, fields, models
from odoo.tools import SQL, file_open, sql

# Where a transaction keeps the ids of the opportunities that it touched, and of those not moved by hand
TOUCHED = "crm_sales_stage.touched"
AUTOMATIC = "crm_sales_stage.automatic"

# What is read of opportunities to tell where they are, and of their stays to tell where they were
LEAD_FIELDS = [
    "active",
    "create_date",
    "date_closed",
    "date_conversion",
    "date_last_stage_update",
    "stage_id",
    "type",
    "won_status",
]
CHANGING_FIELDS = ["date_left", "outcome", "next_stage_id", "is_moved_on"]
STAY_FIELDS = ["lead_id", "stage_id", "date_entered", *CHANGING_FIELDS]

# Tracked fields of opportunities, by the name of the script's parameter
TRACKED_FIELDS = {"stage_field": "stage_id", "active_field": "active", "won_field": "won_status"}

# In place of the table that they are kept in, where there is none
NO_TRACKINGS = """(
    SELECT NULL::int AS mail_message_id, NULL::int AS field_id, NULL::timestamp AS create_date,
           NULL::int AS old_value_integer, NULL::int AS new_value_integer,
           NULL::varchar AS old_value_char, NULL::varchar AS new_value_char
     WHERE FALSE
)"""

# Opportunities that the nightly job mends at once
MENDING_BATCH = 1000


class CrmStageStay(models.Model):
    """One row per stay of an opportunity in a stage, written as it happens.

    A stay ends when the opportunity moves, is lost or is archived; one that is restored begins another stay in the
    same stage. Leads count from their conversion. Only facts are kept, as they were when they happened: what the
    opportunity is like now is joined when it is read (``crm.stage.report``).
    """

    _name = "crm.stage.stay"
    _description = "Stay in a Stage"
    _log_access = False
    _rec_name = "lead_id"
    _order = "date_entered desc, id desc"

    lead_id = fields.Many2one(
        "crm.lead",
        "Opportunity",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
        help="The opportunity that was in the stage.",
    )
    stage_id = fields.Many2one(
        "crm.stage",
        readonly=True,
        ondelete="set null",
        help="The stage the opportunity was in. Empty when the stage was deleted since: see its name.",
    )
    stage_name = fields.Char(
        translate=True,
        readonly=True,
        help="Name of the stage when the opportunity entered it.",
    )
    date_entered = fields.Datetime(
        "Entered On",
        required=True,
        readonly=True,
        index=True,
        help="When the opportunity entered the stage: by its creation, its conversion from a lead, a move, "
        "or by being restored in it.",
    )
    date_left = fields.Datetime(
        "Left On",
        readonly=True,
        index="btree_not_null",
        help="When it left the stage, or the pipeline from it (lost or archived).",
    )
    next_stage_id = fields.Many2one(
        "crm.stage",
        readonly=True,
        ondelete="set null",
        help="The stage that the opportunity moved to from here.",
    )
    outcome = fields.Selection(
        [
            ("open", "Still There"),
            ("moved", "Moved"),
            ("won", "Won"),
            ("lost", "Lost"),
            ("restored", "Lost, Then Restored"),
            ("archived", "Archived"),
        ],
        required=True,
        readonly=True,
        help="How the stay ended: the opportunity moved to another stage, was won or lost in this one, was "
        "lost and restored later, or was archived without being lost.",
    )
    moved_by = fields.Selection(
        [("created", "Creation"), ("hand", "By Hand"), ("automation", "By an Automation")],
        "Entered By",
        readonly=True,
        help="What brought the opportunity into the stage. Empty when nobody saw it: it was changed outside of "
        "Odoo, or untracked before this history was kept.",
    )
    is_first_visit = fields.Boolean(
        "First Visit",
        readonly=True,
        help="Whether the opportunity was in this stage for the first time. Counting these counts each "
        "opportunity once per stage, however often it went back and forth.",
    )
    is_moved_on = fields.Boolean(
        "Moved On",
        readonly=True,
        help="Whether the opportunity entered a later stage afterwards, by the order of the stages at that time.",
    )

    # What waits in the stages now: few, among the stays of years
    _open_idx = models.Index("(stage_id, date_entered) WHERE outcome = 'open'")

    def init(self):
        """Fill the new table with what was tracked so far. Updating the addon finds it filled."""
        self.env.cr.execute(SQL("SELECT EXISTS (SELECT FROM %s)", SQL.identifier(self._table)))
        if not self.env.cr.fetchone()[0]:
            self._fill_from_trackings()

    @api.model
    def _search(self, domain, *args, **kwargs):
        """What this transaction did itself is found as well."""
        self._record()
        return super()._search(domain, *args, **kwargs)

    # ------------------------------------------------------------------
    # Recording
    # ------------------------------------------------------------------

    @api.model
    def _mark_touched(self, lead_ids):
        """Let the stays of these opportunities be brought in step before the transaction commits.

        Marks of what is rolled back do no harm: what is recorded is what the opportunities are then.
        """
        if not lead_ids:
            return
        precommit = self.env.cr.precommit
        if TOUCHED not in precommit.data:
            precommit.data[TOUCHED] = set()
            precommit.add(self._record)
        precommit.data[TOUCHED].update(lead_ids)

    @api.model
    def _note_mover(self, lead_ids, is_automatic):
        """Note whether these opportunities, should they move, do so by hand: the last one who moves them counts."""
        if is_automatic:
            # When hooks are running now, this lets the note be used before they are done, and it is gone.
            self._mark_touched(lead_ids)
            self.env.cr.precommit.data.setdefault(AUTOMATIC, set()).update(lead_ids)
        elif automatic := self.env.cr.precommit.data.get(AUTOMATIC):
            automatic.difference_update(lead_ids)

    @api.model
    def _record(self):
        """Bring the stays of all opportunities that were touched since the last time in step.

        It runs before the commit, before each savepoint that flushes, and before somebody reads the report.
        """
        self.env["crm.lead"].flush_model(LEAD_FIELDS)  # which marks the rest
        data = self.env.cr.precommit.data
        if lead_ids := data.pop(TOUCHED, None):
            self._bring_in_step(lead_ids, data.pop(AUTOMATIC, ()))

    @api.model
    def _bring_in_step(self, lead_ids, automatic_ids=(), is_late=False):
        """Bring the stays of opportunities in step with what these are now, all at once.

        :param lead_ids: ids; those of records that are gone, or are no opportunities, do no harm
        :param automatic_ids: ids of the opportunities that were not moved by hand
        :param is_late: whether what happened to them happened some time ago, and nobody saw it
        """
        # sudo: whoever moves an opportunity has its history written, which nobody may write
        leads = self.env["crm.lead"].sudo().with_context(active_test=False)
        leads = leads.search_fetch([("id", "in", list(lead_ids))], LEAD_FIELDS, order="id")
        stays = self.sudo().search_fetch(
            [("lead_id", "in", leads.ids)], STAY_FIELDS, order="date_entered, id"
        )
        by_lead = stays.grouped("lead_id")
        undone_ids, changes, additions = [], [], []
        for lead in leads:
            stays = by_lead.get(lead, self.browse())
            undone = stays._get_undone(lead)
            undone_ids += undone.ids
            if lead.type == "opportunity":
                moved_by = None if is_late else "automation" if lead.id in automatic_ids else "hand"
                changed, added = (stays - undone)._get_step(lead, moved_by, undone, is_late)
                changes += changed
                additions += added
        self._store(undone_ids, changes, additions)

    def _get_undone(self, lead):
        """Tell which of these stays, all of ``lead``, are none.

        Those are what is no opportunity any more, and the stays that this very transaction opened and that are
        left by now: what it does several times is one move. One that creates an opportunity and takes it through
        stages tells the whole way.
        """
        if lead.type != "opportunity":
            return self
        now = self.env.cr.now()
        if not self or self[0].date_entered == now or self[-1]._goes_on(lead):
            return self.browse()
        return self.filtered(lambda stay: stay.date_entered == now)

    def _goes_on(self, lead):
        """:return: whether ``lead`` is still where it entered by this stay, its last one"""
        return not self.date_left and lead.active and self.stage_id == lead.stage_id

    def _get_step(self, lead, moved_by, undone, is_late):
        """Tell what makes these stays, all of ``lead`` in their order, agree with what it is now.

        :param undone: the stays after these, which are none
        :return: values of the stays that change, with their ids, and of the new one, if there is one: two lists
        """
        if not self:
            return [], [self._get_first_values(lead)]
        last = self[-1]
        now = self.env.cr.now()
        # What this transaction ended goes on, unless the opportunity began with it.
        was_there = not last.date_left or last.date_left == now != self[0].date_entered
        goes_on = was_there and lead.active and last.stage_id == lead.stage_id
        enters = lead.active and not goes_on
        date = last._get_date_of_change(lead, is_late)
        outcome = lead._get_stay_outcome()
        if goes_on:
            end = (None, outcome, None)
        elif was_there and enters:
            end = (date, "moved", lead.stage_id.id or None)
        elif was_there:
            end = (date, outcome, None)
        elif enters:
            end = (last.date_left, "restored" if last.outcome in ("lost", "restored") else "archived", None)
        else:
            end = (last.date_left, outcome, None)
        moved_on = self._get_moved_on(lead.stage_id if enters else lead.stage_id.browse(), undone)
        changes = []
        for stay in self:
            before = (stay.date_left or None, stay.outcome, stay.next_stage_id.id or None, stay.is_moved_on)
            after = (*(end if stay == last else before[:3]), stay in moved_on)
            if after != before:
                changes.append({"id": stay.id, **dict(zip(CHANGING_FIELDS, after, strict=True))})
        return changes, [self._get_new_values(lead, date, moved_by=moved_by)] if enters else []

    def _get_new_values(self, lead, date_entered, date_left=None, moved_by=None):
        """:return: values of a stay after these, all of ``lead``, in the stage where it is now"""
        return {
            "lead_id": lead.id,
            "stage_id": lead.stage_id.id or None,
            "date_entered": date_entered,
            "date_left": date_left,
            "outcome": lead._get_stay_outcome(),
            "moved_by": moved_by,
            "is_first_visit": lead.stage_id not in self.stage_id,
        }

    @api.model
    def _get_first_values(self, lead):
        """:return: values of the first stay that is known of ``lead``; over already when it is archived"""
        dates = [date for date in (lead.create_date, lead.date_conversion) if date]
        # Made by SQL, an opportunity may have none.
        date = max(dates, default=lead.date_last_stage_update or self.env.cr.now())
        if lead.active:
            return self._get_new_values(lead, date, moved_by="created")
        date_left = lead.date_closed or lead.date_last_stage_update or date
        return self._get_new_values(lead, date, max(date, date_left), moved_by="created")

    def _get_date_of_change(self, lead, is_late):
        """:return: when the opportunity left this stay, its last one, or came back; never before it came here"""
        since = self.date_left or self.date_entered
        told = lead.date_last_stage_update if lead.active else lead.date_closed
        if is_late and told and told > since:
            return told
        return max(self.env.cr.now(), since)

    def _get_moved_on(self, stage, undone):
        """
        :param stage: that the opportunity enters now, if any
        :param undone: stays after these, which are none
        :return: those of these stays, all of one opportunity in their order, that a later stage followed
        """
        moved_on = self.filtered("is_moved_on")
        if undone:
            # Not what only those tell that are none
            moved_on = moved_on.filtered(
                lambda stay: (
                    not stay._is_before(undone) or stay._is_before(self[self.ids.index(stay.id) + 1 :])
                )
            )
        earlier_ids = stage._get_earlier_stage_ids() if stage else ()
        return moved_on | self.filtered(lambda stay: stay.stage_id and stay.stage_id.id in earlier_ids)

    def _is_before(self, stays):
        """:return: whether this stay's stage is before that of one of ``stays``"""
        return bool(self.stage_id) and any(
            self.stage_id.id in stage._get_earlier_stage_ids() for stage in stays.stage_id
        )

    @api.model
    def _store(self, undone_ids, changes, additions):
        """Write what ``_bring_in_step`` found, in one statement of each kind, however many opportunities moved."""
        if undone_ids:
            self.env.cr.execute(SQL("DELETE FROM crm_stage_stay WHERE id = ANY(%s)", undone_ids))
        if changes:
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE crm_stage_stay stay
                       SET date_left = change.date_left,
                           outcome = change.outcome,
                           next_stage_id = change.next_stage_id,
                           is_moved_on = change.is_moved_on
                      FROM json_to_recordset(%s)
                        AS change (id int, date_left timestamp, outcome varchar, next_stage_id int,
                                   is_moved_on boolean)
                     WHERE stay.id = change.id
                    """,
                    json.dumps(changes, default=str),
                )
            )
        if additions:
            self.env["crm.stage"].flush_model(["name"])
            self.env.cr.execute(
                SQL(
                    """
                    INSERT INTO crm_stage_stay (lead_id, stage_id, stage_name, date_entered, date_left, outcome,
                                                moved_by, is_first_visit, is_moved_on)
                    SELECT added.lead_id, added.stage_id, stage.name, added.date_entered, added.date_left,
                           added.outcome, added.moved_by, added.is_first_visit, FALSE
                      FROM json_to_recordset(%s)
                        AS added (lead_id int, stage_id int, date_entered timestamp, date_left timestamp,
                                  outcome varchar, moved_by varchar, is_first_visit boolean)
                      LEFT JOIN crm_stage stage ON stage.id = added.stage_id
                    """,
                    json.dumps(additions, default=str),
                )
            )
        self.invalidate_model(flush=False)
        self.env["crm.stage.report"].invalidate_model(flush=False)

    # ------------------------------------------------------------------
    # The past, and what nobody saw
    # ------------------------------------------------------------------

    @api.model
    def _fill_from_trackings(self):
        """Read the stays of all opportunities from Odoo's trackings, as far as this database has any.

        It is done once: from then on they are written as they happen, and nothing reads trackings.
        """
        external_ids = self.env["ir.model.data"]
        has_trackings = sql.table_exists(self.env.cr, "mail_tracking_value")
        stages = self.env["crm.stage"].sudo().with_context(active_test=False, lang=None)
        with file_open("crm_sales_stage/report/crm_stage_stay_history.sql") as file:
            script = file.read()
        self.env.cr.execute(
            SQL(
                script,
                trackings=SQL("mail_tracking_value") if has_trackings else SQL(NO_TRACKINGS),
                stages=stages.search([]).ids,
                odoobot=external_ids._xmlid_to_res_id("base.partner_root"),
                lost_subtype=external_ids._xmlid_to_res_id("crm.mt_lead_lost"),
                **self._get_tracked_field_ids(),
            )
        )

    @api.model
    def _get_tracked_field_ids(self):
        """:return: id by parameter; of the database, as the ORM's cache must not be filled while it is updated"""
        self.env.cr.execute(
            SQL(
                "SELECT name, id FROM ir_model_fields WHERE model = 'crm.lead' AND name IN %s",
                tuple(TRACKED_FIELDS.values()),
            )
        )
        ids = dict(self.env.cr.fetchall())
        return {parameter: ids[fname] for parameter, fname in TRACKED_FIELDS.items()}

    @api.model
    def _cron_mend(self):
        """Add what is missing of opportunities that were not changed by the ORM: imports by SQL, backups."""
        last_id = 0
        while lead_ids := self._find_out_of_step(last_id):
            last_id = lead_ids[-1]
            # Whoever moves one of them at this moment writes its stays, too.
            leads = self.env["crm.lead"].browse(lead_ids).try_lock_for_update(allow_referencing=True)
            self._bring_in_step(leads.ids, is_late=True)
            remaining = int(len(lead_ids) == MENDING_BATCH)
            if not self.env["ir.cron"]._commit_progress(len(lead_ids), remaining=remaining):
                return

    @api.model
    def _find_out_of_step(self, last_id):
        """:return: ids of the next opportunities after ``last_id`` whose last stay is not what they are now"""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT lead.id
                  FROM crm_lead lead
                  LEFT JOIN LATERAL (
                        SELECT stage_id, date_left, outcome
                          FROM crm_stage_stay
                         WHERE lead_id = lead.id
                         ORDER BY date_entered DESC, id DESC
                         LIMIT 1
                  ) last ON TRUE
                 WHERE lead.id > %s
                   AND CASE
                       WHEN lead.type != 'opportunity' THEN last.outcome IS NOT NULL
                       ELSE last.outcome IS DISTINCT FROM CASE
                                WHEN lead.won_status IN ('won', 'lost') THEN lead.won_status
                                WHEN lead.active THEN 'open'
                                ELSE 'archived'
                            END
                            OR (last.date_left IS NULL) IS DISTINCT FROM (lead.active IS TRUE)
                            OR lead.active AND last.stage_id IS DISTINCT FROM lead.stage_id
                       END
                 ORDER BY lead.id
                 LIMIT %s
                """,
                last_id,
                MENDING_BATCH,
            )
        )
        return [lead_id for (lead_id,) in rows]
