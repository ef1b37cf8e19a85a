import hashlib
import math
from collections import defaultdict
from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, file_open

# What crm_stage_stay.sql makes, beside its table
STAY_TABLE = "crm_stage_stay"
STAY_TRIGGERS = {
    "crm_lead": ("insert", "update"),
    "mail_tracking_value": ("insert", "update", "delete"),
    "mail_message": ("update", "delete"),
    "crm_stage": ("update",),
}
STAY_FUNCTIONS = (
    "after_lead_insert()",
    "after_lead_update()",
    "after_tracking()",
    "after_message_update()",
    "after_message_delete()",
    "after_stage_update()",
    "refresh(int[])",
    "repeat(int[])",
)

# The stages after the row "stage" of crm_stage, which both scripts ask for
LATER_STAGES = """
    SELECT array_agg(id) AS stage_ids FROM crm_stage WHERE (sequence, id) > (stage.sequence, stage.id)
"""

# Of crm.lead, whose trackings tell its history: by the name of the scripts' parameter
TRACKED_FIELDS = {"stage": "stage_id", "active": "active", "won": "won_status"}

# Of a stage in the overview; False: nothing to tell it from
EMPTY_FIGURES = {
    "entered": 0,
    "revenue": 0,
    "reached_next": False,
    "won": False,
    "left": 0,
    "median": False,
    "mean": False,
    "usual": False,
    "waiting": 0,
    "late": False,
    "late_domain": False,
    "lost": 0,
    "lost_revenue": 0,
}


class CrmStageReport(models.Model):
    """One row per stay of an opportunity in a stage, from Odoo's own tracking of stage changes.

    A stay ends when the opportunity moves, is won, is lost or is archived; one that is restored begins
    another stay in the same stage. Leads count from their conversion.

    The model is a view. What it shows is read from the trackings by ``crm_stage_history.sql``; ordering four
    million of them takes a minute, so the result is kept in a table, which triggers keep in step within every
    statement: see ``crm_stage_stay.sql``.
    """

    _name = "crm.stage.report"
    _description = "Stages Analysis"
    _auto = False
    _rec_name = "lead_id"
    _order = "date_entered desc, id desc"
    _depends = {
        "crm.lead": [
            "active",
            "company_id",
            "date_closed",
            "date_conversion",
            "date_last_stage_update",
            "expected_revenue",
            "lost_reason_id",
            "partner_id",
            "prorated_revenue",
            "stage_id",
            "team_id",
            "type",
            "user_id",
            "won_status",
        ],
        "crm.stage": ["name", "sequence"],
        "mail.message": ["author_id", "model", "res_id", "subject"],
        "mail.tracking.value": ["field_id", "mail_message_id", "new_value_integer", "old_value_integer"],
    }

    lead_id = fields.Many2one("crm.lead", "Opportunity", readonly=True)
    stage_id = fields.Many2one(
        "crm.stage",
        readonly=True,
        help="The stage the opportunity was in. Empty when the stage was deleted since: see its name.",
    )
    stage_name = fields.Char(
        translate=True,
        readonly=True,
        help="Name of the stage; of one deleted since, its name at that time.",
    )
    date_entered = fields.Datetime(
        "Entered On",
        readonly=True,
        help="When the opportunity entered the stage: by its creation, its conversion from a lead, a move, "
        "or by being restored in it.",
    )
    date_left = fields.Datetime(
        "Left On",
        readonly=True,
        help="When it left the stage, or the pipeline from it (lost or archived).",
    )
    days = fields.Float(
        "Days in Stage",
        aggregator="avg",
        readonly=True,
        help="Days between entering and leaving the stage; until now for opportunities that are still there. "
        "Won ones wait for nothing in their stage.",
    )
    days_median = fields.Float(
        "Days in Stage (Median)",
        aggregator="median",
        readonly=True,
        help="Half of the opportunities stayed in the stage for less than this, half for longer.",
    )
    next_stage_id = fields.Many2one("crm.stage", readonly=True)
    outcome = fields.Selection(
        [
            ("open", "Still There"),
            ("moved", "Moved"),
            ("won", "Won"),
            ("lost", "Lost"),
            ("restored", "Lost, Then Restored"),
            ("archived", "Archived"),
        ],
        readonly=True,
        help="How the stay ended: the opportunity moved to another stage, was won or lost in this one, was "
        "lost and restored later, or was archived without being lost.",
    )
    moved_by = fields.Selection(
        [("created", "Creation"), ("hand", "By Hand"), ("rule", "By a Rule")],
        "Entered By",
        readonly=True,
        help="What brought the opportunity into the stage. Empty when Odoo was told not to track the change.",
    )
    is_first_visit = fields.Boolean(
        "First Visit",
        readonly=True,
        help="Whether the opportunity was in this stage for the first time. Counting these counts each "
        "opportunity once per stage, however often it went back and forth.",
    )
    reached_next = fields.Float(
        "Moved On (%)",
        aggregator="avg",
        readonly=True,
        help="Share of the opportunities that reached a later stage afterwards. Those still open that have "
        "not are left out.",
    )
    was_won = fields.Float(
        "Won (%)",
        aggregator="avg",
        readonly=True,
        help="Share of the opportunities that were won in the end, of those won or lost.",
    )
    expected_revenue = fields.Monetary(
        currency_field="company_currency", readonly=True, help="Of the opportunity, as it is now."
    )
    prorated_revenue = fields.Monetary(
        "Weighted Revenue",
        currency_field="company_currency",
        readonly=True,
        help="Expected revenue multiplied by the probability of the opportunity, as they are now.",
    )
    company_currency = fields.Many2one("res.currency", "Currency", readonly=True)
    won_status = fields.Selection(
        [("won", "Won"), ("lost", "Lost"), ("pending", "Pending")],
        "Won/Lost",
        readonly=True,
        help="What became of the opportunity.",
    )
    lost_reason_id = fields.Many2one("crm.lost.reason", readonly=True)
    partner_id = fields.Many2one("res.partner", "Customer", readonly=True)
    team_id = fields.Many2one("crm.team", "Sales Team", readonly=True)
    user_id = fields.Many2one("res.users", "Salesperson", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)

    def init(self):
        """Make the table of stays, with what keeps it in step, and the report on top of it.

        The table is made anew only when its definition is another one: a large database takes a while.
        """
        script = self._get_stay_sql()
        fingerprint = hashlib.sha256(repr((script.code, script.params)).encode()).hexdigest()
        if self._get_stay_fingerprint() != fingerprint:
            self._drop_stays()
            self.env.cr.execute(script)
            self.env.cr.execute(SQL("COMMENT ON TABLE %s IS %s", SQL.identifier(STAY_TABLE), fingerprint))
        self.env.cr.execute(SQL("DROP VIEW IF EXISTS %s", SQL.identifier(self._table)))
        self.env.cr.execute(SQL("CREATE VIEW %s AS %s", SQL.identifier(self._table), self._get_report_sql()))

    @api.model
    def _get_stay_fingerprint(self):
        """:return: that of the definition which the present table of stays was made by, if there is one"""
        self.env.cr.execute(SQL("SELECT obj_description(to_regclass(%s), 'pg_class')", STAY_TABLE))
        return self.env.cr.fetchone()[0]

    @api.model
    def _get_stay_sql(self):
        """:return: what makes the table of stays and keeps it in step"""
        field_ids = self._get_tracked_field_ids()
        parameters = {f"{name}_field": field_ids[fname] for name, fname in TRACKED_FIELDS.items()}
        parameters["later_stages"] = SQL(LATER_STAGES)
        external_ids = self.env["ir.model.data"]
        with file_open("crm_sales_stage/report/crm_stage_history.sql") as file:
            history = file.read()
        with file_open("crm_sales_stage/report/crm_stage_stay.sql") as file:
            script = file.read()

        def get_history(leads, fence):
            return SQL(
                history,
                leads=SQL(leads),
                fence=SQL(fence),
                odoobot=external_ids._xmlid_to_res_id("base.partner_root"),
                lost_subtype=external_ids._xmlid_to_res_id("crm.mt_lead_lost"),
                **parameters,
            )

        return SQL(
            script,
            history=get_history("lead.id = ANY(opportunity_ids)", "OFFSET 0"),
            all_history=get_history("lead.type = 'opportunity'", ""),
            **parameters,
        )

    @api.model
    def _get_tracked_field_ids(self):
        """:return: id by name; of the database, as the ORM's cache must not be filled while it is updated"""
        self.env.cr.execute(
            SQL(
                "SELECT name, id FROM ir_model_fields WHERE model = 'crm.lead' AND name IN %s",
                tuple(TRACKED_FIELDS.values()),
            )
        )
        return dict(self.env.cr.fetchall())

    @api.model
    def _drop_stays(self):
        """Remove all that ``init`` makes, for making it anew or for good."""
        drops = [SQL("DROP VIEW IF EXISTS %s", SQL.identifier(self._table))]
        drops += [
            SQL(
                "DROP TRIGGER IF EXISTS %s ON %s",
                SQL.identifier(f"{STAY_TABLE}_{event}"),
                SQL.identifier(table),
            )
            for table, events in STAY_TRIGGERS.items()
            for event in events
        ]
        drops += [SQL(f"DROP FUNCTION IF EXISTS {STAY_TABLE}_{function}") for function in STAY_FUNCTIONS]
        drops.append(SQL("DROP TABLE IF EXISTS %s", SQL.identifier(STAY_TABLE)))
        # Databases that had the addon early have this view, too
        drops.append(SQL("DROP VIEW IF EXISTS crm_stage_order"))
        self.env.cr.execute(SQL("; ").join(drops))

    @api.model
    def _get_report_sql(self):
        """:return: the stays, with the opportunity as it is now

        Each join finds at most one row, so that PostgreSQL leaves out those that nobody asks anything of.
        """
        return SQL(
            """
            SELECT stay.id, stay.lead_id, stay.stage_id, stay.next_stage_id,
                   COALESCE(stage.name, jsonb_build_object('en_US', stay.stage_name)) AS stage_name,
                   stay.date_entered, stay.date_left, stay.outcome, stay.moved_by, stay.is_first_visit,
                   %(days)s AS days, %(days)s AS days_median,
                   stay.days AS completed_days, stay.whole_days AS completed_whole_days,
                   CASE
                       WHEN stay.is_moved_on OR stay.won_status = 'won' THEN 100
                       WHEN stay.won_status = 'lost' THEN 0
                   END::float8 AS reached_next,
                   CASE stay.won_status WHEN 'won' THEN 100 WHEN 'lost' THEN 0 END::float8 AS was_won,
                   stay.expected_revenue, lead.prorated_revenue, company.currency_id AS company_currency,
                   stay.won_status,
                   CASE WHEN stay.outcome = 'lost' THEN stay.lost_reason_id END AS lost_reason_id,
                   lead.partner_id, stay.team_id, stay.user_id, stay.company_id
              FROM crm_stage_stay stay
              LEFT JOIN crm_lead lead ON lead.id = stay.lead_id
              LEFT JOIN crm_stage stage ON stage.id = stay.stage_id
              LEFT JOIN res_company company ON company.id = stay.company_id
            """,
            days=SQL(
                """
                CASE
                    WHEN stay.outcome != 'open' THEN stay.days
                    ELSE date_part('epoch', now() AT TIME ZONE 'UTC' - stay.date_entered) / 86400
                END
                """
            ),
        )

    def _read_group_select(self, aggregate_spec, query):
        """Let the database compute medians, which Odoo has no aggregator for."""
        if aggregate_spec != "days_median:median":
            return super()._read_group_select(aggregate_spec, query)
        return SQL(
            "percentile_cont(0.5) WITHIN GROUP (ORDER BY %s)",
            self._field_to_sql(self._table, "days_median", query),
        )

    # ------------------------------------------------------------------
    # The opportunities behind the figures
    # ------------------------------------------------------------------

    @api.model
    def action_open_leads(self, domain, name=None):
        """:param domain: of this model
        :param name: title, instead of "Opportunities"
        :return: action that shows the opportunities of these stays, lost and archived ones included
        """
        self.check_access("read")
        return {
            "type": "ir.actions.act_window",
            "name": name or self.env._("Opportunities"),
            "res_model": "crm.lead",
            "views": [(False, "list"), (False, "kanban"), (False, "form")],
            "domain": [("stage_stay_ids", "any", list(Domain(domain)))],
            "context": {"active_test": False, "create": False},
        }

    def action_open_lead(self):
        """:return: action that shows the opportunity of this stay"""
        self.ensure_one()
        return self.lead_id.get_formview_action()

    # ------------------------------------------------------------------
    # The overview
    # ------------------------------------------------------------------

    @api.model
    def get_overview(self, domain):
        """Figures of all stages for the overview.

        The period of ``domain`` is that of entering for the funnel, that of leaving for the time in stage and
        the losses; what waits there now does not depend on it.

        :param domain: of this model, its period as conditions on ``date_entered``
        :return: ``{"stages": [{"id", "name", "is_won", "domain", "entered", "revenue", "reached_next", "won",
            "left", "median", "mean", "usual", "waiting", "late", "late_domain", "lost", "lost_revenue",
            "reasons": [{"id", "name", "count"}]}], "domains": {"entered", "left", "waiting", "lost"}}``;
            shares, days and late are False when there is nothing to tell them from
        """
        self.check_access("read")
        domains = self._get_overview_domains(Domain(domain))
        figures = defaultdict(lambda: dict(EMPTY_FIGURES, reasons=[]))
        self._add_funnel(figures, domains["entered"])
        self._add_days(figures, self._with_period("date_left", Domain(domain)))
        self._add_waiting(figures, domains["waiting"])
        self._add_losses(figures, domains["lost"])
        return {
            "stages": [
                {**self._describe_stage(stage, name), **values}
                for (stage, name), values in sorted(figures.items(), key=self._get_overview_order)
            ],
            "domains": {name: list(value) for name, value in domains.items()},
        }

    @api.model
    def _get_overview_domains(self, domain):
        """:return: domain of the stays that each picture counts, by its name"""
        left = self._with_period("date_left", domain)
        always = domain.map_conditions(
            lambda condition: Domain.TRUE if condition.field_expr == "date_entered" else condition
        )
        return {
            "entered": domain & Domain("is_first_visit", "=", True),
            "left": left & Domain("outcome", "not in", ["open", "won"]),
            "waiting": always & Domain("outcome", "=", "open"),
            "lost": left & Domain("outcome", "=", "lost"),
        }

    @api.model
    def _with_period(self, fname, domain):
        """:return: the same, its period being one of another date"""
        return domain.map_conditions(
            lambda condition: (
                Domain(fname, condition.operator, condition.value)
                if condition.field_expr == "date_entered"
                else condition
            )
        )

    @api.model
    def _read_group_by_stage(self, domain, groupby, aggregates):
        """:return: ``[((stage, name of a deleted stage), group, …, aggregate, …)]``"""
        groups = []
        deleted = False
        for stage, *values in self._read_group(domain, ["stage_id", *groupby], aggregates):
            if stage:
                groups.append(((stage, False), *values))
            else:
                deleted = True
        if deleted:
            domain &= Domain("stage_id", "=", False)
            for name, *values in self._read_group(domain, ["stage_name", *groupby], aggregates):
                groups.append(((self.env["crm.stage"], name), *values))
        return groups

    @api.model
    def _get_revenue_aggregate(self):
        """:return: the sum of expected revenues, converted if the user's companies have several currencies"""
        several = len(self.env.companies.currency_id) > 1
        return f"expected_revenue:{'sum_currency' if several else 'sum'}"

    @api.model
    def _add_funnel(self, figures, domain):
        aggregates = ["__count", self._get_revenue_aggregate(), "reached_next:avg", "was_won:avg"]
        for key, entered, revenue, reached_next, won in self._read_group_by_stage(domain, [], aggregates):
            figures[key].update(
                entered=entered,
                revenue=revenue,
                reached_next=False if reached_next is None else reached_next,
                won=False if won is None else won,
            )

    @api.model
    def _add_days(self, figures, domain):
        """Number, median, mean and third quartile of the completed stays."""
        by_stage = self._get_days_by("stage_id", 0, domain)
        stages = self.env["crm.stage"]
        for stage_id, values in by_stage.items():
            if stage_id:
                figures[stages.browse(stage_id), False].update(values)
        if 0 in by_stage:
            by_name = self._get_days_by("stage_name", "", domain & Domain("stage_id", "=", False))
            for name, values in by_name.items():
                figures[stages, name or False].update(values)

    @api.model
    def _get_days_by(self, groupby, empty, domain):
        """Sorting millions takes seconds: count them by whole days, then sort only the days that matter.

        :param groupby: name of a field
        :param empty: what stands for its having no value
        :param domain: of stays; only completed ones count
        :return: ``{value: {"left": number, "median": days, "mean": days, "usual": third quartile}}``
        """
        query = self._search(domain)
        terms = {
            "value": SQL("COALESCE(%s, %s)", self._field_to_sql(self._table, groupby, query), empty),
            "days": SQL.identifier(self._table, "completed_days"),
            "whole_days": SQL.identifier(self._table, "completed_whole_days"),
            "table": query.from_clause,
            "where": query.where_clause or SQL("TRUE"),
        }
        counts = defaultdict(dict)
        total = defaultdict(float)
        for value, whole_days, number, days in self.env.execute_query(
            SQL(
                """
                SELECT %(value)s, %(whole_days)s, COUNT(*), SUM(%(days)s)
                  FROM %(table)s
                 WHERE %(where)s AND %(whole_days)s IS NOT NULL
                 GROUP BY 1, 2
                 ORDER BY 1, 2
                """,
                **terms,
            )
        ):
            counts[value][whole_days] = number
            total[value] += days
        places = {
            (value, fraction): [self._find_rank(by_day, rank) for rank in self._get_ranks(by_day, fraction)]
            for value, by_day in counts.items()
            for fraction in (0.5, 0.75)
        }
        days_at = self._get_days_at(
            {(value, *place) for (value, _fraction), both in places.items() for place in both}, terms
        )
        percentiles = {}
        for (value, fraction), both in places.items():
            low, high = (days_at[(value, *place)] for place in both)
            percentiles[value, fraction] = low + (high - low) * (
                self._get_position(counts[value], fraction) % 1
            )
        return {
            value: {
                "left": sum(by_day.values()),
                "median": percentiles[value, 0.5],
                "mean": total[value] / sum(by_day.values()),
                "usual": percentiles[value, 0.75],
            }
            for value, by_day in counts.items()
        }

    @api.model
    def _get_position(self, by_day, fraction):
        """:return: where PostgreSQL's ``percentile_cont`` looks, counted from 0; may be between two ranks"""
        return (sum(by_day.values()) - 1) * fraction

    @api.model
    def _get_ranks(self, by_day, fraction):
        """:return: the ranks at both sides of the position"""
        position = self._get_position(by_day, fraction)
        return math.floor(position), math.ceil(position)

    @api.model
    def _find_rank(self, by_day, rank):
        """:return: (whole days, rank among the stays of so many whole days, from 1) of a rank among all"""
        for whole_days, number in by_day.items():
            if rank < number:
                return whole_days, rank + 1
            rank -= number
        raise IndexError(rank)

    @api.model
    def _get_days_at(self, places, terms):
        """:return: exact days by (value, whole days, rank among those)"""
        if not places:
            return {}
        rows = self.env.execute_query(
            SQL(
                """
                SELECT place.value, place.whole_days, place.rank, completed.days[place.rank]
                  FROM (
                        SELECT %(value)s AS value, %(whole_days)s AS whole_days,
                               array_agg(%(days)s ORDER BY %(days)s) AS days
                          FROM %(table)s
                         WHERE %(where)s AND (%(value)s, %(whole_days)s) IN (VALUES %(wanted)s)
                         GROUP BY 1, 2
                  ) completed
                  JOIN (VALUES %(places)s) place (value, whole_days, rank) USING (value, whole_days)
                """,
                places=SQL(", ").join(SQL("%s", place) for place in sorted(places)),
                wanted=SQL(", ").join(SQL("%s", pair) for pair in sorted({place[:2] for place in places})),
                **terms,
            )
        )
        return {(value, whole_days, rank): days for value, whole_days, rank, days in rows}

    @api.model
    def _add_waiting(self, figures, domain):
        """Count what waits, and what waits longer than three quarters of the stays took."""
        for key, waiting in self._read_group_by_stage(domain, [], ["__count"]):
            figures[key]["waiting"] = waiting
        late = {}
        for (stage, name), values in figures.items():
            if stage and values["waiting"] and values["usual"] is not False:
                since = self.env.cr.now() - timedelta(days=values["usual"])
                late[stage, name] = Domain("stage_id", "=", stage.id) & Domain("date_entered", "<", since)
                values["late"] = 0
                values["late_domain"] = [
                    ("stage_id", "=", stage.id),
                    ("date_entered", "<", fields.Datetime.to_string(since)),
                ]
        for key, number in self._read_group_by_stage(domain & Domain.OR(late.values()), [], ["__count"]):
            figures[key]["late"] = number

    @api.model
    def _add_losses(self, figures, domain):
        aggregates = ["__count", self._get_revenue_aggregate()]
        for key, reason, lost, revenue in self._read_group_by_stage(domain, ["lost_reason_id"], aggregates):
            values = figures[key]
            values["lost"] += lost
            values["lost_revenue"] += revenue
            values["reasons"].append(
                {"id": reason.id, "name": reason.display_name or self.env._("No reason"), "count": lost}
            )
        for values in figures.values():
            values["reasons"].sort(key=lambda reason: (-reason["count"], reason["name"]))

    @api.model
    def _describe_stage(self, stage, name):
        """:return: what the overview shows of a stage; ``name`` is that of one deleted since"""
        if stage:
            return {
                "id": stage.id,
                "name": stage.name,
                "is_won": stage.is_won,
                "domain": [("stage_id", "=", stage.id)],
            }
        return {
            "id": False,
            "name": self.env._("%s (deleted)", name) if name else self.env._("No stage"),
            "is_won": False,
            "domain": [("stage_id", "=", False), ("stage_name", "=", name)],
        }

    @api.model
    def _get_overview_order(self, item):
        """:return: sort key: the pipeline's order, deleted stages last"""
        (stage, name), _values = item
        return not stage, stage.sequence, stage.id or 0, name or ""
