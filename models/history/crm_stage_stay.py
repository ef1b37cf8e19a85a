import json
from datetime import timedelta

from odoo import SUPERUSER_ID, api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, file_open, groupby, sql

from ...tools import ON

# Key of the cursor's cache: what moves opportunities at this moment, as (id of the automation or None, texts
# of messages by opportunity id)
MOVED_BY = "crm_sales_stage.moved_by"

# Key of the transaction's data: what it does to opportunities, until that is recorded
DONE = "crm_sales_stage.done"

# Fields of opportunities that say where they are
LEAD_FIELDS = ["type", "active", "stage_id", "won_status", "create_date", "date_conversion"]
LEAD_FIELDS += ["date_last_stage_update", "date_closed"]
NEW_STAY = {"id": None, "date_left": None, "outcome": "open", "is_first_visit": True, "is_moved_on": False}
MOVER_FIELDS = ("moved_by", "mover_id", "automation_id")

# Whether an opportunity is in the pipeline, and the outcome that its last stay has
IS_THERE = "(lead.active AND lead.type = 'opportunity') IS TRUE"
OUTCOME = f"""
    CASE
        WHEN lead.won_status IN ('won', 'lost') THEN lead.won_status
        WHEN {IS_THERE} THEN 'open'
        ELSE 'archived'
    END
"""

# Those that were created by SQL may have no dates.
READ_LEADS = f"""
    SELECT id, type = 'opportunity' AS is_opportunity, {IS_THERE} AS is_there, stage_id, {OUTCOME} AS outcome,
           COALESCE(GREATEST(create_date, date_conversion), date_last_stage_update, %s) AS date_begun,
           date_last_stage_update AS date_moved,
           COALESCE(date_closed, date_last_stage_update) AS date_gone
      FROM crm_lead lead
     WHERE id = ANY(%s)
     ORDER BY id
"""
READ_LEFT = """
    SELECT lead_id, array_agg(stage_id)
      FROM crm_stage_stay
     WHERE lead_id = ANY(%s) AND date_left >= %s AND date_left < %s
     GROUP BY lead_id
"""
READ_STAYS = "SELECT * FROM crm_stage_stay WHERE lead_id = ANY(%s) ORDER BY lead_id, date_entered, id"

# The transaction may have deleted the stage, or the automation.
STORE_STAYS = """
    INSERT INTO crm_stage_stay (id, stage_id, stage_name, lead_id, date_entered, moved_by, mover_id,
                                automation_id, is_first_visit, date_left, outcome, next_stage_id, is_moved_on)
    SELECT COALESCE(new.id, nextval('crm_stage_stay_id_seq')), stage.id, stage.name, new.lead_id,
           new.date_entered, new.moved_by, mover.id, automation.id, new.is_first_visit, new.date_left,
           new.outcome, new.next_stage_id, new.is_moved_on
      FROM jsonb_populate_recordset(NULL::crm_stage_stay, %s) WITH ORDINALITY new
      LEFT JOIN crm_stage stage ON stage.id = new.stage_id
      LEFT JOIN crm_stage_automation automation ON automation.id = new.automation_id
      LEFT JOIN res_users mover ON mover.id = new.mover_id
     ORDER BY new.ordinality
        ON CONFLICT (id) DO UPDATE
       SET (date_left, outcome, next_stage_id, is_moved_on) =
           (EXCLUDED.date_left, EXCLUDED.outcome, EXCLUDED.next_stage_id, EXCLUDED.is_moved_on)
"""

# The next opportunities, by id, whose last stay is not as they are now
FIND_OUT_OF_STEP = f"""
    SELECT lead.id
      FROM crm_lead lead
      LEFT JOIN LATERAL (
            SELECT outcome, date_left IS NULL AS is_there, stage_id
              FROM crm_stage_stay stay
             WHERE stay.lead_id = lead.id
             ORDER BY date_entered DESC, id DESC
             LIMIT 1
           ) last ON TRUE
     WHERE lead.id > %s
       AND CASE
            WHEN lead.type = 'opportunity' THEN
                last.outcome IS DISTINCT FROM {OUTCOME}
                OR last.is_there != (lead.active IS TRUE)
                OR lead.active AND last.stage_id IS DISTINCT FROM lead.stage_id
            ELSE last.is_there
           END
     ORDER BY lead.id
     LIMIT %s
"""

# Opportunities that the nightly job mends at once
MENDING_BATCH = 1000


class CrmStageStay(models.Model):
    """One row per stay of an opportunity in a stage, written as it happens.

    A stay ends when the opportunity moves, is lost, is archived or is made a lead; one that comes back begins
    another stay. Leads count from their conversion.

    Only facts are kept, as they were when they happened. What the opportunity is like now is joined when it
    is read: see ``crm.stage.report``.
    """

    _name = "crm.stage.stay"
    _description = "Stay in a Stage"
    _log_access = False
    _rec_name = "lead_id"
    _order = "date_entered desc, id desc"

    # The access rights let no user write them.
    lead_id = fields.Many2one(
        "crm.lead",
        "Opportunity",
        required=True,
        ondelete="cascade",
        help="The opportunity that was in the stage.",
    )
    stage_id = fields.Many2one(
        "crm.stage",
        help="The stage the opportunity was in. Empty when the stage was deleted since: see its name.",
    )
    stage_name = fields.Char(translate=True, help="Name of the stage when the opportunity entered it.")
    date_entered = fields.Datetime(
        "Entered On",
        required=True,
        help="When the opportunity entered the stage: by its creation, its conversion from a lead, a move, "
        "or by being restored in it.",
    )
    date_left = fields.Datetime(
        "Left On", help="When it left the stage, or the pipeline from it (lost, archived or made a lead)."
    )
    next_stage_id = fields.Many2one("crm.stage", help="The stage that the opportunity moved to from here.")
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
        help="How the stay ended: the opportunity moved to another stage, was won or lost in this one, was "
        "lost and restored later, or was archived or made a lead without being lost.",
    )
    moved_by = fields.Selection(
        [("created", "Creation"), ("hand", "By Hand"), ("automation", "By an Automation")],
        "Entered By",
        help="What brought the opportunity into the stage. Empty when nobody saw it: it was changed outside "
        "of Odoo, or untracked before this history was kept.",
    )
    mover_id = fields.Many2one(
        "res.users",
        "Moved By",
        index="btree_not_null",
        help="The user who brought the opportunity into the stage by hand, or who created it there.",
    )
    automation_id = fields.Many2one(
        "crm.stage.automation",
        index="btree_not_null",
        groups="sales_team.group_sale_manager",
        help="The automation that brought the opportunity into the stage.",
    )
    is_first_visit = fields.Boolean(
        "First Visit",
        help="Whether the opportunity was in this stage for the first time. Counting these counts each "
        "opportunity once per stage, however often it went back and forth.",
    )
    is_moved_on = fields.Boolean(
        "Moved On",
        help="Whether the opportunity entered a later stage afterwards, by the order of the stages then.",
    )

    # The history of an opportunity, in order
    _lead_id_idx = models.Index("(lead_id, date_entered, id)")
    # What the overview counts is in these indexes; only the opportunities are looked up.
    _date_entered_idx = models.Index(
        "(date_entered) INCLUDE (lead_id, stage_id, is_first_visit, is_moved_on)"
    )
    _date_left_idx = models.Index(
        "(date_left) INCLUDE (lead_id, stage_id, date_entered, outcome, is_moved_on) "
        "WHERE date_left IS NOT NULL"
    )
    _open_idx = models.Index("(stage_id, date_entered) INCLUDE (lead_id, outcome) WHERE outcome = 'open'")

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
    def _get_done(self):
        """
        :return: what this transaction does to opportunities, for ``_record`` to use before it commits:

            * ``touched_ids``: of those whose stays are to be brought in step
            * ``first_stage_ids``: where those that it creates begin, by their ids
            * ``movers``: what moves them, should they move: values of a stay, by id of the opportunity
            * ``undone``: when the moves were made that it undoes, by id of the opportunity

        What is rolled back does no harm: what is recorded is what the opportunities are then.
        """
        precommit = self.env.cr.precommit
        if DONE not in precommit.data:
            precommit.data[DONE] = {"touched_ids": set(), "first_stage_ids": {}, "movers": {}, "undone": {}}
            precommit.add(self._record)
        return precommit.data[DONE]

    @api.model
    def _add_mover(self, leads, is_placing=True):
        """Keep what moves opportunities, should they move. The last one counts.

        :param is_placing: False for what their stage may follow from: done by hand, it counts last
        """
        is_automatic = leads.env.uid == SUPERUSER_ID or leads.env.context.get("crm_stage_moving") is ON
        mover = {"moved_by": "hand", "mover_id": leads.env.uid, "automation_id": None}
        if is_automatic:
            automation_id = (self.env.cr.cache.get(MOVED_BY) or [None])[0]
            mover.update(moved_by="automation", mover_id=None, automation_id=automation_id)
        movers = self._get_done()["movers"]
        kept = {} if is_placing or is_automatic else movers
        movers.update({lead_id: kept.get(lead_id, mover) for lead_id in leads.ids})

    @api.model
    def _add_undone(self, dates):
        """Let moves leave no stays behind: what these opportunities are next is what they were before.

        :param dates: when the moves were made, by id of the opportunity
        """
        self._record()  # what happened before
        self._get_done()["undone"].update(dates)

    @api.model
    def _record(self):
        """Bring the stays of all opportunities that were touched since the last time in step.

        It runs before the commit, before each savepoint that flushes, and before stays are read.
        """
        self.env["crm.lead"].flush_model(LEAD_FIELDS)  # which adds the rest
        done = self.env.cr.precommit.data.pop(DONE, None)
        if done and done["touched_ids"]:
            self._bring_in_step(done["touched_ids"], done)

    @api.model
    def _bring_in_step(self, lead_ids, done=None):
        """Bring the stays of opportunities in step with what these are now, all at once.

        :param lead_ids: ids; those of records that are gone, or are no opportunities, do no harm
        :param done: by their transaction, see ``_get_done``; None where they changed some time ago
        """
        lead_ids, removed_ids, stored = list(lead_ids), [], []
        leads = self.env.execute_query_dict(SQL(READ_LEADS, self.env.cr.now(), lead_ids))
        stays = self.env.execute_query_dict(SQL(READ_STAYS, lead_ids))
        histories = dict(groupby(stays, lambda stay: stay["lead_id"]))
        for lead in leads:
            known = {stay["id"]: stay for stay in histories.get(lead["id"], ())}
            present = self._get_stays(lead, [dict(stay) for stay in known.values()], done)
            removed_ids += known.keys() - {stay["id"] for stay in present}
            stored += [stay for stay in present if stay != known.get(stay["id"])]
        if removed_ids:
            self.env.cr.execute(SQL("DELETE FROM crm_stage_stay WHERE id = ANY(%s)", removed_ids))
        if stored:
            self.env["crm.stage"].flush_model(["name"])
            self.env.cr.execute(SQL(STORE_STAYS, json.dumps(stored, default=str)))
        if removed_ids or stored:
            for model in ("crm.stage.stay", "crm.stage.report"):
                self.env[model].invalidate_model(flush=False)

    @api.model
    def _get_stays(self, lead, stays, done):
        """Return what the stays of an opportunity have to be, for what it is now.

        :param lead: row of ``READ_LEADS``
        :param stays: those so far, as ``{field: value}``, in order; they are changed
        :param done: see ``_bring_in_step``
        :return: the same, in order; new ones have no id
        """
        if not stays and not lead["is_opportunity"]:
            return []
        now = self.env.cr.now()
        stays, undone = self._undo(lead, stays, done and done["undone"].get(lead["id"]) or now)
        if not stays:
            first_stage_ids = done["first_stage_ids"] if done else {}
            stage_id = first_stage_ids.get(lead["id"], lead["stage_id"]) or None
            first = {"lead_id": lead["id"], "stage_id": stage_id, "date_entered": lead["date_begun"]}
            mover_id = done and done["movers"].get(lead["id"], {}).get("mover_id")
            stays = [{**NEW_STAY, **first, "moved_by": "created", "mover_id": mover_id}]
        last = stays[-1]
        is_elsewhere = last["stage_id"] != lead["stage_id"]
        is_back = last["date_left"] and (lead["is_there"] or (is_elsewhere and undone))
        if last["date_left"] and not is_back and not lead["is_opportunity"]:
            return stays  # what becomes of a lead does not happen in a stage

        def get_date(date):
            """:return: ``date`` where it is known that late, or now; never before the last stay"""
            since = last["date_left"] or last["date_entered"]
            is_late = not done or not last["id"]
            return date if is_late and date and date > since else max(now, since)

        if is_back or (is_elsewhere and not last["date_left"]):
            date = get_date(lead["date_moved"])
            if is_back:
                last["outcome"] = "restored" if last["outcome"] in ("lost", "restored") else "archived"
            else:
                last.update(date_left=date, outcome="moved", next_stage_id=lead["stage_id"])
            last = {**NEW_STAY, "lead_id": lead["id"], "stage_id": lead["stage_id"], "date_entered": date}
            if done:
                mover = done["movers"].get(lead["id"]) or (undone or [{"moved_by": "hand"}])[-1]
                last.update({name: mover.get(name) for name in MOVER_FIELDS})
            last["is_first_visit"] = lead["stage_id"] not in {stay["stage_id"] for stay in stays}
            earlier_ids = self.env["crm.stage"].browse(lead["stage_id"])._get_earlier_stage_ids()
            for stay in stays:
                stay["is_moved_on"] = stay["is_moved_on"] or stay["stage_id"] in earlier_ids
            stays.append(last)
        last["outcome"] = lead["outcome"]
        if not lead["is_there"] and not last["date_left"]:
            last["date_left"] = get_date(lead["date_gone"])
        return stays

    @api.model
    def _undo(self, lead, stays, date):
        """What a transaction does several times is one move: drop what this one recorded before.

        One that creates an opportunity and takes it through stages records the whole way.

        :param date: of this transaction, or of the one that is undone
        :return: ``stays`` without those that it opened and that are left by now, and the latter
        """
        if not stays or stays[0]["date_entered"] == date:
            return stays, []
        last = stays[-1]
        if not last["date_left"] and lead["is_there"] and last["stage_id"] == lead["stage_id"]:
            return stays, []  # it is still there
        undone = [stay for stay in stays if stay["date_entered"] == date]
        stays = [stay for stay in stays if stay["date_entered"] != date]
        if stays[-1]["date_left"] == date:
            stays[-1].update(date_left=None, outcome="open", next_stage_id=None)

        def is_before(stay, others):
            """:return: whether one of the other stays is in a later stage"""
            later = (self.env["crm.stage"].browse(other["stage_id"]) for other in others)
            return any(stay["stage_id"] in stage._get_earlier_stage_ids() for stage in later)

        for number, stay in enumerate(stays, 1):
            if is_before(stay, undone):
                stay["is_moved_on"] = is_before(stay, stays[number:])
        return stays, undone

    @api.model
    def _get_left_lately(self, lead_ids):
        """
        :return: ids of the stages that opportunities left within the last day, before this transaction, by id
            of those that left any
        """
        now = self.env.cr.now()
        return dict(self.env.execute_query(SQL(READ_LEFT, lead_ids, now - timedelta(days=1), now)))

    # ------------------------------------------------------------------
    # The past, and what the ORM did not write
    # ------------------------------------------------------------------

    @api.model
    def _fill_from_trackings(self):
        """Read the stays of all opportunities from Odoo's trackings.

        It is done once: from then on they are written as they happen, and nothing reads trackings. Where Odoo
        keeps none, the job begins with what opportunities are.
        """
        if not sql.table_exists(self.env.cr, "mail_tracking_value"):
            return
        # Not by the ORM, whose cache must not be filled during an update
        tracked = SQL("SELECT name, id FROM ir_model_fields WHERE model = 'crm.lead'")
        field_ids = dict(self.env.execute_query(tracked))
        stages = self.env["crm.stage"].sudo().with_context(active_test=False, lang=None)
        get_id = self.env["ir.model.data"]._xmlid_to_res_id
        with file_open("crm_sales_stage/models/history/crm_stage_stay_history.sql") as file:
            script = SQL(
                file.read(),
                stages=stages.search(Domain.TRUE).ids,
                stage_field=field_ids["stage_id"],
                active_field=field_ids["active"],
                odoobot=get_id("base.partner_root"),
                lost_subtypes=[get_id("crm.mt_lead_lost"), get_id("crm.mt_lead_restored")],
            )
        self.env.cr.execute(script)

    @api.model
    def _cron_mend(self):
        """Add what is missing of opportunities that were not changed by the ORM: imports by SQL, backups."""
        last_id = 0
        while lead_ids := self._find_out_of_step(last_id):
            last_id = lead_ids[-1]
            # A transaction that moves one of them at this moment writes its stays, too.
            leads = self.env["crm.lead"].browse(lead_ids).try_lock_for_update(allow_referencing=True)
            self._bring_in_step(leads.ids)
            remaining = int(len(lead_ids) == MENDING_BATCH)
            if not self.env["ir.cron"]._commit_progress(len(lead_ids), remaining=remaining):
                return

    @api.model
    def _find_out_of_step(self, last_id):
        """:return: ids of the next opportunities after ``last_id`` whose last stay is not as they are now"""
        return [
            lead_id for (lead_id,) in self.env.execute_query(SQL(FIND_OUT_OF_STEP, last_id, MENDING_BATCH))
        ]
