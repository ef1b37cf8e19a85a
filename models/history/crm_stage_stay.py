import json

from odoo import SUPERUSER_ID, api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, file_open, groupby, sql

from ...tools import KEPT_CONTEXT, NOT_TRIED_AGAIN, ON

# Key of the cursor's cache: id of the automation that moves opportunities at this moment, if one does
MOVED_BY = "crm_sales_stage.moved_by"

# Odoo's context keys of what opportunities are not said to arrive by: imports, data files, stages that go
# away. They mean the same in Odoo: a client that sends them wants nothing tracked nor posted.
SILENT_CONTEXT = ("tracking_disable", "import_file", "_import_current_module", "install_mode")

# Context keys of whoever moves an opportunity that tell what follows
MOVER_CONTEXT = {*KEPT_CONTEXT, *SILENT_CONTEXT, *NOT_TRIED_AGAIN, "crm_stage_moving", "crm_stage_undoing"}

# Where a transaction keeps what it notes of opportunities until that is recorded
NOTES = "crm_sales_stage.notes"

# Fields of opportunities that tell where they are, and of their stays that tell where they were
LEAD_FIELDS = ["type", "active", "stage_id", "won_status", "create_date", "date_conversion"]
LEAD_FIELDS += ["date_last_stage_update", "date_closed"]
STAY_FIELDS = ["id", "lead_id", "stage_id", "date_entered", "moved_by", "automation_id", "is_first_visit"]
STAY_FIELDS += ["date_left", "outcome", "next_stage_id", "is_moved_on"]
NEW_STAY = {**dict.fromkeys(STAY_FIELDS), "outcome": "open", "is_first_visit": True, "is_moved_on": False}

# Whether an opportunity is in the pipeline, and the outcome that its last stay has
IS_THERE = "(lead.active AND lead.type = 'opportunity') IS TRUE"
OUTCOME = f"""
    CASE
        WHEN lead.won_status IN ('won', 'lost') THEN lead.won_status
        WHEN {IS_THERE} THEN 'open'
        ELSE 'archived'
    END
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

    lead_id = fields.Many2one(
        "crm.lead",
        "Opportunity",
        required=True,
        readonly=True,
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
        help="When the opportunity entered the stage: by its creation, its conversion from a lead, a move, "
        "or by being restored in it.",
    )
    date_left = fields.Datetime(
        "Left On",
        readonly=True,
        help="When it left the stage, or the pipeline from it (lost, archived or made a lead).",
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
        "lost and restored later, or was archived or made a lead without being lost.",
    )
    moved_by = fields.Selection(
        [("created", "Creation"), ("hand", "By Hand"), ("automation", "By an Automation")],
        "Entered By",
        readonly=True,
        help="What brought the opportunity into the stage. Empty when nobody saw it: it was changed outside "
        "of Odoo, or untracked before this history was kept.",
    )
    automation_id = fields.Many2one(
        "crm.stage.automation",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
        groups="sales_team.group_sale_manager",
        help="The automation that brought the opportunity into the stage.",
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
        help="Whether the opportunity entered a later stage afterwards, by the order of the stages then.",
    )

    # The history of an opportunity, in order
    _lead_id_idx = models.Index("(lead_id, date_entered, id)")
    # What the overview counts is in these indexes; only the opportunities are looked up.
    _date_entered_idx = models.Index(
        "(date_entered) INCLUDE (lead_id, stage_id, is_first_visit, is_moved_on)"
    )
    _date_left_idx = models.Index(
        "(date_left) INCLUDE (lead_id, stage_id, date_entered, outcome) WHERE date_left IS NOT NULL"
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
    def _get_notes(self):
        """:return: what this transaction notes of opportunities, for ``_record`` to use before it commits

        Notes of what is rolled back do no harm: what is recorded is what the opportunities are then.
        """
        precommit = self.env.cr.precommit
        if NOTES not in precommit.data:
            sets = {"touched_ids": set(), "restored_ids": set()}
            by_lead = {"first_stage_ids": {}, "movers": {}, "automation_ids": {}, "undone": {}}
            precommit.data[NOTES] = {**sets, **by_lead}
            precommit.add(self._record)
        return precommit.data[NOTES]

    @api.model
    def _note_touched(self, lead_ids):
        """Let the stays of these opportunities be brought in step."""
        if lead_ids:
            self._get_notes()["touched_ids"].update(lead_ids)

    @api.model
    def _note_written(self, leads, vals):
        """Note what only a write can say: who moves opportunities, and that they come back in between.

        Who takes them out of the pipeline moves none, even if somebody else has moved them.
        """
        is_placing = "stage_id" in vals or vals.get("active") or vals.get("type") == "opportunity"
        if is_placing or "team_id" in vals or "user_id" in vals:
            self._note_mover(leads, is_placing)
        if vals.get("active"):
            self._get_notes()["restored_ids"].update(leads.ids)

    @api.model
    def _note_mover(self, leads, is_placing=True):
        """Note who moves opportunities, should they move. The last one counts.

        :param is_placing: whether they are told where to be, and not only what their stage may follow from:
            who does that by hand is noted where nobody else is
        """
        mover = self._get_mover(leads.env)
        notes = self._get_notes()
        movers = notes["movers"]
        if is_placing:
            notes["automation_ids"].update(dict.fromkeys(leads.ids, self.env.cr.cache.get(MOVED_BY)))
        kept = {} if is_placing or self._is_automatic(mover) else movers
        movers.update({lead_id: kept.get(lead_id, mover) for lead_id in leads.ids})

    @api.model
    def _note_undone(self, dates):
        """Let moves leave no stays behind: what these opportunities are next is what they were before.

        :param dates: when the moves were made, by id of the opportunity
        """
        self._record()  # what happened before
        self._get_notes()["undone"].update(dates)

    @api.model
    def _get_mover(self, env):
        """:return: who moves opportunities in ``env``: ``(id of the user, context)``, which can be copied"""
        return env.uid, {key: value for key, value in env.context.items() if key in MOVER_CONTEXT}

    @api.model
    def _is_automatic(self, mover):
        user_id, context = mover
        return user_id == SUPERUSER_ID or context.get("crm_stage_moving") is ON

    @api.model
    def _note_created(self, leads):
        """Note where opportunities begin: the transaction that creates them may move them on."""
        self._note_touched(leads.ids)
        self._note_mover(leads)
        self._get_notes()["first_stage_ids"].update({lead.id: lead.stage_id.id for lead in leads})

    @api.model
    def _record(self):
        """Bring the stays of all opportunities that were touched since the last time in step.

        It runs before the commit, before each savepoint that flushes, and before somebody reads stays.
        """
        self.env["crm.lead"].flush_model(LEAD_FIELDS)  # which notes the rest
        notes = self.env.cr.precommit.data.pop(NOTES, None)
        if notes and notes["touched_ids"]:
            self._bring_in_step(notes["touched_ids"], notes)

    @api.model
    def _bring_in_step(self, lead_ids, notes=None):
        """Bring the stays of opportunities in step with what these are now, all at once.

        :param lead_ids: ids; those of records that are gone, or are no opportunities, do no harm
        :param notes: those of their transaction; none when nobody saw what happened to them some time ago
        """
        removed_ids, stored, arrived_by = [], [], {}
        for lead, stays in self._read_histories(lead_ids):
            present = self._get_stays(lead, stays, notes)
            known = {stay["id"]: stay for stay in stays}
            removed_ids += known.keys() - {stay["id"] for stay in present}
            stored += [stay for stay in present if stay != known.get(stay["id"])]
            stage_id = stays[-1]["stage_id"] if stays else None
            if notes and present and not present[-1]["id"] and present[-1]["stage_id"] != stage_id:
                arrived_by[lead["id"]] = notes["movers"].get(lead["id"]) or self._get_mover(self.env)
        self._store(removed_ids, stored)
        self.env["crm.lead"]._note_arrived(arrived_by)

    @api.model
    def _read_histories(self, lead_ids):
        """:return: ``[({name: value}, [{field of a stay: value}])]`` by opportunity, its stays in order"""
        # Those that were made by SQL may not tell since when they are opportunities.
        query = """
            SELECT id, type = 'opportunity' AS is_opportunity, %s AS is_there, stage_id, %s AS outcome,
                   COALESCE(GREATEST(create_date, date_conversion), date_last_stage_update, %s) AS date_begun,
                   date_last_stage_update AS date_moved,
                   COALESCE(date_closed, date_last_stage_update) AS date_gone
              FROM crm_lead lead
             WHERE id = ANY(%s)
             ORDER BY id
        """
        lead_ids = list(lead_ids)
        params = SQL(IS_THERE), SQL(OUTCOME), self.env.cr.now(), lead_ids
        leads = self.env.execute_query_dict(SQL(query, *params))
        columns = SQL(", ").join(SQL.identifier(name) for name in STAY_FIELDS)
        query = "SELECT %s FROM crm_stage_stay WHERE lead_id = ANY(%s) ORDER BY lead_id, date_entered, id"
        stays = self.env.execute_query_dict(SQL(query, columns, lead_ids))
        histories = dict(groupby(stays, lambda stay: stay["lead_id"]))
        return [(lead, histories.get(lead["id"], [])) for lead in leads]

    @api.model
    def _get_stays(self, lead, stays, notes):
        """Tell what the stays of an opportunity have to be, for what it is now.

        :param lead: what ``_read_histories`` tells of it
        :param stays: those so far, as ``{field: value}``, in order
        :param notes: see ``_bring_in_step``
        :return: the same, in order; new ones have no id
        """
        if not stays and not lead["is_opportunity"]:
            return []
        date = notes and notes["undone"].get(lead["id"]) or self.env.cr.now()
        stays, undone = self._undo(lead, stays, date)
        stays = stays or [self._get_first_stay(lead, notes)]
        entry = self._get_entry(lead, undone, notes)
        last = stays[-1]
        is_elsewhere = last["stage_id"] != lead["stage_id"]
        if not last["date_left"]:
            if is_elsewhere:
                date = self._get_date_of_change(lead["date_moved"], last, notes)
                last.update(date_left=date, outcome="moved", next_stage_id=lead["stage_id"])
                self._enter(lead, stays, date, entry)
        elif lead["is_there"] or (is_elsewhere and self._was_back(lead, undone, notes)):
            last["outcome"] = "restored" if last["outcome"] in ("lost", "restored") else "archived"
            date = self._get_date_of_change(lead["date_moved"], last, notes)
            self._enter(lead, stays, date, entry)
        elif not lead["is_opportunity"]:
            return stays  # what becomes of a lead did not happen in a stage
        last = stays[-1]
        last["outcome"] = lead["outcome"]
        if not lead["is_there"] and not last["date_left"]:
            last["date_left"] = self._get_date_of_change(lead["date_gone"], last, notes)
        return stays

    @api.model
    def _enter(self, lead, stays, date, entry):
        """Add a stay in the stage where an opportunity is now to its ``stays`` so far.

        :param entry: see ``_get_entry``
        """
        new = {**NEW_STAY, "lead_id": lead["id"], "stage_id": lead["stage_id"], "date_entered": date, **entry}
        new["is_first_visit"] = lead["stage_id"] not in {stay["stage_id"] for stay in stays}
        for stay in stays:
            stay["is_moved_on"] = stay["is_moved_on"] or self._is_before(stay, [new])
        stays.append(new)

    @api.model
    def _get_first_stay(self, lead, notes):
        """:return: the stay that an opportunity begins with, as ``{field: value}``"""
        known = notes["first_stage_ids"] if notes else {}
        stage_id = known.get(lead["id"], lead["stage_id"]) or None
        stay = {"lead_id": lead["id"], "stage_id": stage_id, "date_entered": lead["date_begun"]}
        return {**NEW_STAY, **stay, "moved_by": "created"}

    @api.model
    def _was_back(self, lead, undone, notes):
        """:return: whether an opportunity that is out of the pipeline was in it again in this transaction"""
        return bool(undone or notes and lead["id"] in notes["restored_ids"])

    @api.model
    def _get_entry(self, lead, undone, notes):
        """
        :param undone: see ``_undo``
        :return: what moved an opportunity, as values of the stay that it enters
        """
        if not notes:
            return {}
        mover = notes["movers"].get(lead["id"])
        if not mover and undone:
            return {name: undone[-1][name] for name in ("moved_by", "automation_id")}
        moved_by = "automation" if mover and self._is_automatic(mover) else "hand"
        return {"moved_by": moved_by, "automation_id": notes["automation_ids"].get(lead["id"])}

    @api.model
    def _undo(self, lead, stays, date):
        """What a transaction does several times is one move: forget what this one recorded before.

        One that creates an opportunity and takes it through stages tells the whole way.

        :param date: of this transaction, or of the one that is undone
        :return: a copy of ``stays``, without those that it opened and that are left by now, and the latter
        """
        stays = [dict(stay) for stay in stays]
        if not stays or stays[0]["date_entered"] == date or self._goes_on(lead, stays[-1]):
            return stays, []
        undone = [stay for stay in stays if stay["date_entered"] == date]
        stays = [stay for stay in stays if stay["date_entered"] != date]
        if stays[-1]["date_left"] == date:
            stays[-1].update(date_left=None, outcome="open", next_stage_id=None)
        for number, stay in enumerate(stays, 1):
            if self._is_before(stay, undone):
                stay["is_moved_on"] = self._is_before(stay, stays[number:])
        return stays, undone

    @api.model
    def _goes_on(self, lead, last):
        """:return: whether an opportunity is still where it was in its last stay"""
        return not last["date_left"] and lead["is_there"] and last["stage_id"] == lead["stage_id"]

    @api.model
    def _is_before(self, stay, others):
        """:return: whether one of the other stays is in a later stage"""
        stages = self.env["crm.stage"]
        return any(
            stay["stage_id"] in stages.browse(other["stage_id"])._get_earlier_stage_ids() for other in others
        )

    @api.model
    def _get_date_of_change(self, date, last, notes):
        """
        :param date: when it changed, as the opportunity has it
        :return: when an opportunity left its last stay, or came back after it: never before that
        """
        since = last["date_left"] or last["date_entered"]
        is_late = not notes or not last["id"]
        if is_late and date and date > since:
            return date
        return max(self.env.cr.now(), since)

    @api.model
    def _store(self, removed_ids, stays):
        """Write what ``_bring_in_step`` found: a statement of each kind, however many opportunities moved."""
        if removed_ids:
            self.env.cr.execute(SQL("DELETE FROM crm_stage_stay WHERE id = ANY(%s)", removed_ids))
        if stays:
            self.env["crm.stage"].flush_model(["name"])
            # Whoever moves an opportunity may delete the stage, or the automation, at once.
            upsert = """
                INSERT INTO crm_stage_stay (id, stage_id, stage_name, lead_id, date_entered, moved_by,
                                            automation_id, is_first_visit, date_left, outcome,
                                            next_stage_id, is_moved_on)
                SELECT COALESCE(new.id, nextval('crm_stage_stay_id_seq')), stage.id, stage.name, new.lead_id,
                       new.date_entered, new.moved_by, automation.id, new.is_first_visit, new.date_left,
                       new.outcome, new.next_stage_id, new.is_moved_on
                  FROM jsonb_populate_recordset(NULL::crm_stage_stay, %s) WITH ORDINALITY new
                  LEFT JOIN crm_stage stage ON stage.id = new.stage_id
                  LEFT JOIN crm_stage_automation automation ON automation.id = new.automation_id
                 ORDER BY new.ordinality
                    ON CONFLICT (id) DO UPDATE
                   SET (date_left, outcome, next_stage_id, is_moved_on) = (EXCLUDED.date_left,
                        EXCLUDED.outcome, EXCLUDED.next_stage_id, EXCLUDED.is_moved_on)
            """
            self.env.cr.execute(SQL(upsert, json.dumps(stays, default=str)))
        if removed_ids or stays:
            for model in ("crm.stage.stay", "crm.stage.report"):
                self.env[model].invalidate_model(flush=False)

    # ------------------------------------------------------------------
    # The past, and what nobody saw
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
        with file_open("crm_sales_stage/models/history/crm_stage_stay_history.sql") as file:
            script = SQL(
                file.read(),
                stages=stages.search(Domain.TRUE).ids,
                stage_field=field_ids["stage_id"],
                active_field=field_ids["active"],
                won_field=field_ids["won_status"],
                odoobot=self.env["ir.model.data"]._xmlid_to_res_id("base.partner_root"),
                lost_subtype=self.env["ir.model.data"]._xmlid_to_res_id("crm.mt_lead_lost"),
            )
        self.env.cr.execute(script)

    @api.model
    def _cron_mend(self):
        """Add what is missing of opportunities that were not changed by the ORM: imports by SQL, backups."""
        last_id = 0
        while lead_ids := self._find_out_of_step(last_id):
            last_id = lead_ids[-1]
            # Whoever moves one of them at this moment writes its stays, too.
            leads = self.env["crm.lead"].browse(lead_ids).try_lock_for_update(allow_referencing=True)
            self._bring_in_step(leads.ids)
            remaining = int(len(lead_ids) == MENDING_BATCH)
            if not self.env["ir.cron"]._commit_progress(len(lead_ids), remaining=remaining):
                return

    @api.model
    def _find_out_of_step(self, last_id):
        """:return: ids of the next opportunities after ``last_id`` whose last stay is not as they are now"""
        rows = self.env.execute_query(
            SQL(
                """
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
                            last.outcome IS DISTINCT FROM %s
                            OR last.is_there != (lead.active IS TRUE)
                            OR lead.active AND last.stage_id IS DISTINCT FROM lead.stage_id
                        ELSE last.is_there
                       END
                 ORDER BY lead.id
                 LIMIT %s
                """,
                last_id,
                SQL(OUTCOME),
                MENDING_BATCH,
            )
        )
        return [lead_id for (lead_id,) in rows]
