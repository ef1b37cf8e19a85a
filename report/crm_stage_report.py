from collections import defaultdict
from datetime import timedelta
from math import ceil

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, sql

# Aggregates that Odoo has no function for: share of the values that are smaller
PERCENTILES = {"days_median:median": 0.5, "days_moved_on:third_quartile": 0.75}

# Fewer opportunities than these make no percentage, and no usual time
MIN_BASIS = 5

# What a period may be one of
DATES = {"date_entered", "date_left"}

# Where nothing is aggregated; False: there is nothing to compute it from
COUNTS = ["entered", "revenue", "reached_next_basis", "won_basis", "left", "waiting", "lost", "lost_revenue"]
SHARES = ["reached_next", "won", "median", "mean", "usual", "late", "late_domain"]
EMPTY_FIGURES = {**dict.fromkeys(COUNTS, 0), **dict.fromkeys(SHARES, False)}


class CrmStageReport(models.Model):
    """One row per stay of an opportunity in a stage, with the opportunity as it is now: a plain view."""

    _name = "crm.stage.report"
    _inherit = "crm.stage.stay"
    _description = "Stages Analysis"
    _auto = False
    _depends = {
        "crm.lead": ["campaign_id", "company_id", "expected_revenue", "lost_reason_id", "medium_id"]
        + ["partner_id", "prorated_revenue", "source_id", "team_id", "user_id", "won_status"],
        "crm.stage": ["name"],
        "crm.stage.stay": ["lead_id", "stage_id", "next_stage_id", "stage_name", "date_entered", "date_left"]
        + ["outcome", "moved_by", "mover_id", "automation_id", "is_first_visit", "is_moved_on"],
    }

    days = fields.Float(
        "Days in Stage",
        aggregator="avg",
        readonly=True,
        help="Days between entering and leaving the stage; until now for opportunities that are still there, "
        "which means do not count. Won ones wait for nothing in their stage.",
    )
    days_median = fields.Float(
        "Days in Stage (Median)",
        aggregator="median",
        readonly=True,
        help="Of the opportunities that left the stage, half stayed for less than this, half for longer.",
    )
    days_moved_on = fields.Float(
        "Days Until Moved On",
        aggregator=None,
        readonly=True,
        help="Days between entering the stage and moving to a later one.",
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
    source_id = fields.Many2one("utm.source", readonly=True)
    medium_id = fields.Many2one("utm.medium", readonly=True)
    campaign_id = fields.Many2one("utm.campaign", readonly=True)

    def init(self):
        """Create the view anew."""
        sql.drop_view_if_exists(self.env.cr, self._table)
        self.env.cr.execute(SQL("CREATE VIEW %s AS %s", SQL.identifier(self._table), self._get_report_sql()))

    @api.model
    def _get_report_sql(self):
        """:return: the stays, with the opportunity as it is now

        Each join finds at most one row, so that PostgreSQL leaves out those that no column is read of.
        """
        stayed = SQL("COALESCE(stay.date_left, now() AT TIME ZONE 'UTC') - stay.date_entered")
        return SQL(
            """
            SELECT stay.id, stay.lead_id, stay.stage_id, stay.next_stage_id,
                   COALESCE(stage.name, stay.stage_name) AS stage_name,
                   stay.date_entered, stay.date_left, stay.outcome, stay.moved_by,
                   stay.mover_id, stay.automation_id, stay.is_first_visit, stay.is_moved_on,
                   %(days)s AS days, %(days)s AS days_median,
                   CASE WHEN stay.outcome = 'moved' AND stay.is_moved_on THEN %(days)s END AS days_moved_on,
                   CASE
                       WHEN stay.is_moved_on OR lead.won_status = 'won' THEN 100
                       WHEN lead.won_status = 'lost' THEN 0
                   END::float8 AS reached_next,
                   CASE lead.won_status WHEN 'won' THEN 100 WHEN 'lost' THEN 0 END::float8 AS was_won,
                   lead.expected_revenue, lead.prorated_revenue, company.currency_id AS company_currency,
                   lead.won_status,
                   CASE WHEN stay.outcome = 'lost' THEN lead.lost_reason_id END AS lost_reason_id,
                   lead.partner_id, lead.team_id, lead.user_id, lead.company_id,
                   lead.source_id, lead.medium_id, lead.campaign_id
              FROM crm_stage_stay stay
              JOIN crm_lead lead ON lead.id = stay.lead_id
              LEFT JOIN crm_stage stage ON stage.id = stay.stage_id
              LEFT JOIN res_company company ON company.id = lead.company_id
            """,
            days=SQL("CASE WHEN stay.outcome != 'won' THEN date_part('epoch', %s) / 86400 END", stayed),
        )

    def _read_group_select(self, aggregate_spec, query):
        """Let the database compute medians and quartiles, which Odoo has no aggregators for.

        Stays that are not over yet have no length: medians and means leave them out.
        """
        if aggregate_spec in PERCENTILES:
            aggregate = SQL(
                "percentile_cont(%s) WITHIN GROUP (ORDER BY %s)",
                PERCENTILES[aggregate_spec],
                self._field_to_sql(self._table, aggregate_spec.split(":")[0], query),
            )
        else:
            aggregate = super()._read_group_select(aggregate_spec, query)
        if aggregate_spec == "days:avg" or aggregate_spec in PERCENTILES:
            date_left = self._field_to_sql(self._table, "date_left", query)
            return SQL("%s FILTER (WHERE %s IS NOT NULL)", aggregate, date_left)
        return aggregate

    @api.model
    @api.readonly
    def formatted_read_group(self, domain, groupby=(), aggregates=(), **kwargs):
        groups = super().formatted_read_group(domain, groupby, aggregates, **kwargs)
        return self._name_deleted_stages(domain, groupby, aggregates, groups)

    @api.model
    @api.readonly
    def formatted_read_grouping_sets(self, domain, grouping_sets, aggregates=(), **kwargs):
        sets = super().formatted_read_grouping_sets(domain, grouping_sets, aggregates, **kwargs)
        return [
            self._name_deleted_stages(domain, groupby, aggregates, groups)
            for groupby, groups in zip(grouping_sets, sets, strict=True)
        ]

    @api.model
    def _name_deleted_stages(self, domain, groupby, aggregates, groups):
        """Put a group for each deleted stage, by its name, where Odoo has one for them all without a name.

        Only they are counted a second time: the names are in no index.
        """

        def is_unnamed(group):
            return not group["stage_id"] and group.get("__count") != 0  # months that are only filled in

        if "stage_id" not in groupby or not any(map(is_unnamed, groups)):
            return groups
        by_name = ["stage_name" if spec == "stage_id" else spec for spec in groupby]
        deleted = Domain(domain) & Domain("stage_id", "=", False)
        named = defaultdict(list)
        report = self.with_context(fill_temporal=False)
        for group in report.formatted_read_group(deleted, by_name, aggregates):
            name = group["stage_name"]
            group["stage_id"] = (f"deleted/{name}", self._get_deleted_name(name))
            group["__extra_domain"] = [("stage_id", "=", False), *group["__extra_domain"]]
            named[self._get_other_groups(group, groupby)].append(group)
        return [
            new
            for group in groups
            for new in (named[self._get_other_groups(group, groupby)] if is_unnamed(group) else [group])
        ]

    @api.model
    def _get_other_groups(self, group, groupby):
        return tuple(group[spec] for spec in groupby if spec != "stage_id")

    @api.model
    def _get_deleted_name(self, name):
        return self.env._("%s (deleted)", name) if name else self.env._("No stage")

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

        :param domain: of this model; which figures its period is for, says ``_get_domains``
        :return: ``{"stages": [{"id", "name", "is_won", "domain", "entered", "revenue", "reached_next",
            "reached_next_basis", "won", "won_basis", "left", "median", "mean", "usual", "waiting", "late",
            "late_domain", "lost", "lost_revenue", "reasons": [{"id", "name", "count"}]}],
            "domains": {"entered", "left", "waiting", "lost"}, "min_basis"}``; shares are percentages of as
            many opportunities as their basis says, which below ``min_basis`` are shown as numbers; shares,
            days and late are False when there is nothing to compute them from
        """
        self.check_access("read")
        domains = self._get_domains(domain)
        # Converted, if the user's companies have several currencies
        revenue = f"expected_revenue:{'sum_currency' if len(self.env.companies.currency_id) > 1 else 'sum'}"
        funnel = {"entered": "__count", "revenue": revenue}
        funnel |= {"won": "was_won:avg", "won_basis": "was_won:count"}
        funnel |= {"reached_next": "reached_next:avg", "reached_next_basis": "reached_next:count"}
        days = {"left": "__count", "median": "days_median:median", "mean": "days:avg"}
        days |= {"usual": "days_moved_on:third_quartile", "usual_basis": "days_moved_on:count"}
        figures = defaultdict(lambda: dict(EMPTY_FIGURES, reasons=[]))
        self._add_figures(figures, domains["entered"], funnel)
        self._add_figures(figures, domains["left"], days)
        self._add_waiting(figures, domains["waiting"])
        self._add_losses(figures, domains["lost"], revenue)
        # In the order of the pipeline, deleted stages last
        ids = self.env["crm.stage"].union(*(stage for stage, _name in figures)).sorted().ids
        keys = sorted(figures, key=lambda key: (ids.index(key[0].id) if key[0] else len(ids), key[1] or ""))
        return {
            "stages": [{**self._describe_stage(stage, name), **figures[stage, name]} for stage, name in keys],
            "domains": {name: list(value) for name, value in domains.items()},
            "min_basis": MIN_BASIS,
        }

    @api.model
    def _get_domains(self, domain):
        """Return which stays each picture counts: the one rule of what a period is for.

        It is for what entered in the funnel, and for what left in times and losses, whichever of the dates
        the filter names; one that names both is for both in each. What waits now does not depend on it.

        :param domain: of this model, its period as conditions on ``date_entered`` or ``date_left``
        :return: domains, by ``"entered"`` (each opportunity once a stage), ``"left"``, ``"waiting"``
            and ``"lost"``
        """
        domain = Domain(domain)
        left = self._with_period(domain, "date_left") & Domain("date_left", "!=", False)
        return {
            "entered": self._with_period(domain, "date_entered") & Domain("is_first_visit", "=", True),
            "left": left,
            "waiting": self._with_period(domain, None) & Domain("outcome", "=", "open"),
            "lost": left & Domain("outcome", "=", "lost"),
        }

    @api.model
    def _with_period(self, domain, fname):
        """:return: the same, its period being one of another date, or always when ``fname`` is None"""

        def is_period(condition):
            return condition.field_expr in DATES and condition.value

        def change(condition):
            if not is_period(condition):
                return condition
            return Domain(fname, condition.operator, condition.value) if fname else Domain.TRUE

        names = {condition.field_expr for condition in domain.iter_conditions() if is_period(condition)}
        return domain if fname and names == DATES else domain.map_conditions(change)

    @api.model
    def _get_usual_days(self, days):
        """:return: as whole days, at least one, what three out of four moved on within"""
        return max(1, ceil(days))

    @api.model
    def _read_group_by_stage(self, domain, groupby, aggregates):
        """:return: ``[((stage, name of a deleted stage), group, …, aggregate, …)]``"""
        rows = self._read_group(domain, ["stage_id", *groupby], aggregates)
        groups = [((stage, False), *values) for stage, *values in rows if stage]
        if len(groups) < len(rows):
            deleted = domain & Domain("stage_id", "=", False)
            rows = self._read_group(deleted, ["stage_name", *groupby], aggregates)
            groups += [((self.env["crm.stage"], name), *values) for name, *values in rows]
        return groups

    @api.model
    def _add_figures(self, figures, domain, aggregates):
        """:param aggregates: what a figure is aggregated from, by its name"""
        for key, *values in self._read_group_by_stage(domain, [], list(aggregates.values())):
            figures[key].update(zip(aggregates, values, strict=True))

    @api.model
    def _add_waiting(self, figures, domain):
        """Count what waits, and what waits longer than three out of four took that moved on."""
        self._add_figures(figures, domain, {"waiting": "__count"})
        late_domains = []
        for (stage, _name), values in figures.items():
            is_known = values.pop("usual_basis", 0) >= MIN_BASIS
            values["usual"] = self._get_usual_days(values["usual"]) if is_known else False
            if stage and values["waiting"] and is_known:
                since = fields.Datetime.to_string(self.env.cr.now() - timedelta(days=values["usual"]))
                late_domains.append([("stage_id", "=", stage.id), ("date_entered", "<", since)])
                values.update(late=0, late_domain=late_domains[-1])
        self._add_figures(figures, domain & Domain.OR(late_domains), {"late": "__count"})

    @api.model
    def _add_losses(self, figures, domain, revenue):
        """:param revenue: aggregate of the expected revenues"""
        groups = self._read_group_by_stage(domain, ["lost_reason_id"], ["__count", revenue])
        for key, reason, lost, lost_revenue in groups:
            values = figures[key]
            values["lost"] += lost
            values["lost_revenue"] += lost_revenue
            name = reason.display_name or self.env._("No reason")
            values["reasons"].append({"id": reason.id, "name": name, "count": lost})
        for values in figures.values():
            values["reasons"].sort(key=lambda reason: (-reason["count"], reason["name"]))

    @api.model
    def _describe_stage(self, stage, name):
        """:return: what the overview shows of a stage; ``name`` is that of one deleted since"""
        domain = [("stage_id", "=", stage.id)]
        if not stage:
            domain.append(("stage_name", "=", name))
            name = self._get_deleted_name(name)
        return {"id": stage.id, "name": stage.name or name, "is_won": stage.is_won, "domain": domain}
