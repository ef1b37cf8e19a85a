import json

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, file_open, groupby, sql

# Where a transaction keeps until it is recorded: ids of the opportunities that it touched, the stages that it
# created opportunities in, ids of those that were not moved by hand
TOUCHED, CREATED, AUTOMATIC = (f"crm_sales_stage.{what}" for what in ("touched", "created", "automatic"))

# What is read of opportunities to tell where they are, and of their stays to tell where they were
LEAD_FIELDS = ["id", "type", "active", "stage_id", "won_status", "create_date", "date_conversion"]
LEAD_FIELDS += ["date_last_stage_update", "date_closed"]
STAY_FIELDS = ["id", "stage_id", "date_entered", "moved_by", "is_first_visit"]
CHANGING_FIELDS = ["date_left", "outcome", "next_stage_id", "is_moved_on"]
STAY_FIELDS += CHANGING_FIELDS

# Opportunities that the nightly job mends at once
MENDING_BATCH = 1000


class CrmStageStay(models.Model):
    """One row per stay of an opportunity in a stage, written as it happens.

    A stay ends when the opportunity moves, is lost or is archived; one that is restored begins another stay
    in the same stage. Leads count from their conversion.

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
        help="When the opportunity entered the stage: by its creation, its conversion from a lead, a move, "
        "or by being restored in it.",
    )
    date_left = fields.Datetime(
        "Left On",
        readonly=True,
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
        help="What brought the opportunity into the stage. Empty when nobody saw it: it was changed outside "
        "of Odoo, or untracked before this history was kept.",
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
    def _note_created(self, leads):
        """Note where opportunities begin: the transaction that creates them may move them on."""
        self._mark_touched(leads.ids)
        created = self.env.cr.precommit.data.setdefault(CREATED, {})
        created.update({lead.id: lead.stage_id.id for lead in leads})

    @api.model
    def _note_mover(self, lead_ids, is_automatic):
        """Note whether opportunities, should they move, do so by hand. The last one who moves them counts."""
        if is_automatic:
            # Should hooks be running now, they will use the note before they are done and it is gone.
            self._mark_touched(lead_ids)
            self.env.cr.precommit.data.setdefault(AUTOMATIC, set()).update(lead_ids)
        elif automatic := self.env.cr.precommit.data.get(AUTOMATIC):
            automatic.difference_update(lead_ids)

    @api.model
    def _record(self):
        """Bring the stays of all opportunities that were touched since the last time in step.

        It runs before the commit, before each savepoint that flushes, and before somebody reads stays.
        """
        self.env["crm.lead"].flush_model(LEAD_FIELDS)  # which marks the rest
        data = self.env.cr.precommit.data
        if lead_ids := data.pop(TOUCHED, None):
            self._bring_in_step(lead_ids, data.pop(CREATED, {}), data.pop(AUTOMATIC, ()))

    @api.model
    def _bring_in_step(self, lead_ids, first_stage_ids=None, automatic_ids=(), is_late=False):
        """Bring the stays of opportunities in step with what these are now, all at once.

        :param lead_ids: ids; those of records that are gone, or are no opportunities, do no harm
        :param first_stage_ids: id of the stage that an opportunity was created in, by its own id, where known
        :param automatic_ids: ids of the opportunities that were not moved by hand
        :param is_late: whether what happened to them happened some time ago, and nobody saw it
        """
        removed_ids, changed, added, arrived_ids = [], [], [], []
        for lead, stays in self._read_histories(lead_ids):
            moved_by = None if is_late else "automation" if lead["id"] in automatic_ids else "hand"
            first_stage_id = (first_stage_ids or {}).get(lead["id"], lead["stage_id"]) or None
            present = self._get_stays(lead, stays, first_stage_id, moved_by, is_late)
            known = {stay["id"]: stay for stay in stays}
            removed_ids += known.keys() - {stay["id"] for stay in present}
            changed += [stay for stay in present if stay["id"] and stay != known[stay["id"]]]
            added += [{**stay, "lead_id": lead["id"]} for stay in present if not stay["id"]]
            if not is_late and self._has_arrived(stays, present):
                arrived_ids.append(lead["id"])
        self._store(removed_ids, changed, added)
        self.env["crm.lead"]._note_arrived(arrived_ids)

    @api.model
    def _read_histories(self, lead_ids):
        """:return: iterator of ``({field of crm.lead: value}, [{field of a stay: value}])``, in order"""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT %s, %s
                  FROM crm_lead lead
                  LEFT JOIN crm_stage_stay stay ON stay.lead_id = lead.id
                 WHERE lead.id = ANY(%s)
                 ORDER BY lead.id, stay.date_entered, stay.id
                """,
                SQL(", ").join(SQL.identifier("lead", name) for name in LEAD_FIELDS),
                SQL(", ").join(SQL.identifier("stay", name) for name in STAY_FIELDS),
                list(lead_ids),
            )
        )
        size = len(LEAD_FIELDS)
        for values, group in groupby(rows, lambda row: row[:size]):
            stays = [dict(zip(STAY_FIELDS, row[size:], strict=True)) for row in group]
            yield dict(zip(LEAD_FIELDS, values, strict=True)), [stay for stay in stays if stay["id"]]

    @api.model
    def _get_stays(self, lead, stays, first_stage_id, moved_by, is_late):
        """Tell what the stays of an opportunity have to be, for what it is now.

        :param lead: ``{field: value}``
        :param stays: those so far, as ``{field: value}``, in order
        :return: the same, in order; new ones have no id
        """
        if lead["type"] != "opportunity":
            return []
        stays = self._undo(lead, stays)
        if not stays:
            is_late = True
            dates = [date for date in (lead["create_date"], lead["date_conversion"]) if date]
            # Those that were made by SQL may not tell since when they are opportunities.
            date = max(dates, default=lead["date_last_stage_update"] or self.env.cr.now())
            stays.append(self._get_new_stay(first_stage_id, date, "created"))
        last = stays[-1]
        date = self._get_date_of_change(lead, last, is_late)
        if lead["won_status"] in ("won", "lost"):
            outcome = lead["won_status"]
        else:
            outcome = "open" if lead["active"] else "archived"
        if self._goes_on(lead, last) or last["date_left"] and not lead["active"]:
            last["outcome"] = outcome
            return stays
        if last["date_left"]:
            last["outcome"] = "restored" if last["outcome"] in ("lost", "restored") else "archived"
        else:
            last.update(date_left=date, outcome="moved" if lead["active"] else outcome)
        if lead["active"]:
            if last["outcome"] == "moved":
                last["next_stage_id"] = lead["stage_id"]
            earlier_ids = self._get_earlier_stage_ids(lead["stage_id"])
            for stay in stays:
                stay["is_moved_on"] = stay["is_moved_on"] or stay["stage_id"] in earlier_ids
            is_first_visit = lead["stage_id"] not in {stay["stage_id"] for stay in stays}
            stays.append(self._get_new_stay(lead["stage_id"], date, moved_by, is_first_visit, outcome))
        return stays

    @api.model
    def _undo(self, lead, stays):
        """What a transaction does several times is one move: forget what this one recorded before.

        One that creates an opportunity and takes it through stages tells the whole way.

        :return: a copy of ``stays``, without those that this very transaction opened and that are left by now
        """
        stays = [dict(stay) for stay in stays]
        now = self.env.cr.now()
        if not stays or stays[0]["date_entered"] == now or self._goes_on(lead, stays[-1]):
            return stays
        undone = [stay for stay in stays if stay["date_entered"] == now]
        stays = [stay for stay in stays if stay["date_entered"] != now]
        if stays[-1]["date_left"] == now:
            stays[-1].update(date_left=None, outcome="open", next_stage_id=None)
        for number, stay in enumerate(stays, 1):
            if self._is_before(stay, undone):
                stay["is_moved_on"] = self._is_before(stay, stays[number:])
        return stays

    @api.model
    def _goes_on(self, lead, last):
        """:return: whether an opportunity is still where it was in its last stay"""
        return not last["date_left"] and lead["active"] and last["stage_id"] == lead["stage_id"]

    @api.model
    def _has_arrived(self, stays, present):
        """:return: whether an opportunity with these stays has come into another stage by its present ones"""
        last = present[-1] if present else None
        if not last or last["id"] or last["date_left"]:
            return False
        return not stays or stays[-1]["stage_id"] != last["stage_id"]

    @api.model
    def _is_before(self, stay, others):
        """:return: whether one of the other stays is in a later stage"""
        return any(stay["stage_id"] in self._get_earlier_stage_ids(other["stage_id"]) for other in others)

    @api.model
    def _get_earlier_stage_ids(self, stage_id):
        """:return: ids of the stages before this one; none when there is no stage, or it is gone"""
        return self.env["crm.stage"].browse(stage_id)._get_earlier_stage_ids() if stage_id else ()

    @api.model
    def _get_new_stay(self, stage_id, date_entered, moved_by, is_first_visit=True, outcome="open"):
        """:return: ``{field: value}``"""
        stay = {"stage_id": stage_id, "date_entered": date_entered, "moved_by": moved_by, "outcome": outcome}
        return {**dict.fromkeys(STAY_FIELDS), **stay, "is_first_visit": is_first_visit, "is_moved_on": False}

    @api.model
    def _get_date_of_change(self, lead, last, is_late):
        """:return: when an opportunity left its last stay, or came back after it: never before that"""
        since = last["date_left"] or last["date_entered"]
        told = lead["date_last_stage_update"]
        if not lead["active"]:
            told = lead["date_closed"] or told
        return told if is_late and told and told > since else max(self.env.cr.now(), since)

    @api.model
    def _store(self, removed_ids, changed, added):
        """Write what ``_bring_in_step`` found: a statement of each kind, however many opportunities moved."""
        statements = []
        if removed_ids:
            statements.append(SQL("DELETE FROM crm_stage_stay WHERE id = ANY(%s)", removed_ids))
        if changed:
            update = """
                UPDATE crm_stage_stay stay
                   SET (date_left, outcome, next_stage_id, is_moved_on)
                       = (new.date_left, new.outcome, new.next_stage_id, new.is_moved_on)
                  FROM jsonb_populate_recordset(NULL::crm_stage_stay, %s) new
                 WHERE stay.id = new.id
            """
            statements.append(SQL(update, json.dumps(changed, default=str)))
        if added:
            self.env["crm.stage"].flush_model(["name"])
            # Whoever creates an opportunity in a stage may delete the stage at once.
            insert = """
                INSERT INTO crm_stage_stay (stage_id, stage_name, lead_id, date_entered, moved_by,
                                            is_first_visit, date_left, outcome, next_stage_id, is_moved_on)
                SELECT stage.id, stage.name, new.lead_id, new.date_entered, new.moved_by,
                       new.is_first_visit, new.date_left, new.outcome, new.next_stage_id, new.is_moved_on
                  FROM jsonb_populate_recordset(NULL::crm_stage_stay, %s) WITH ORDINALITY new
                  LEFT JOIN crm_stage stage ON stage.id = new.stage_id
                 ORDER BY new.ordinality
            """
            statements.append(SQL(insert, json.dumps(added, default=str)))
        if statements:
            self.env.cr.execute(SQL("; ").join(statements))
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
        with file_open("crm_sales_stage/report/crm_stage_stay_history.sql") as file:
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
            self._bring_in_step(leads.ids, is_late=True)
            remaining = int(len(lead_ids) == MENDING_BATCH)
            if not self.env["ir.cron"]._commit_progress(len(lead_ids), remaining=remaining):
                return

    @api.model
    def _find_out_of_step(self, last_id):
        """:return: ids of the next opportunities after ``last_id`` whose stays are not what they are now"""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT lead.id
                  FROM crm_lead lead
                 WHERE lead.type = 'opportunity'
                   AND lead.id > %(last_id)s
                   AND NOT EXISTS (
                        SELECT FROM crm_stage_stay stay
                         WHERE stay.lead_id = lead.id
                           AND (stay.date_left IS NULL) = (lead.active IS TRUE)
                           AND stay.outcome = CASE
                                WHEN lead.won_status IN ('won', 'lost') THEN lead.won_status
                                WHEN lead.active THEN 'open'
                                ELSE 'archived'
                            END
                           AND (lead.active IS NOT TRUE OR stay.stage_id IS NOT DISTINCT FROM lead.stage_id)
                       )
                 UNION
                SELECT lead.id
                  FROM crm_lead lead
                  JOIN crm_stage_stay stay ON stay.lead_id = lead.id
                 WHERE (lead.type != 'opportunity' OR lead.active IS NOT TRUE AND stay.date_left IS NULL)
                   AND lead.id > %(last_id)s
                 ORDER BY 1
                 LIMIT %(limit)s
                """,
                last_id=last_id,
                limit=MENDING_BATCH,
            )
        )
        return [lead_id for (lead_id,) in rows]
