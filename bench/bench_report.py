"""What the report of the stages costs at scale, and what keeping it in step costs opportunities.

Run it in an Odoo shell, on a database of its own with this addon: it fills it, and commits::

    python -m odoo shell -c odoo.conf -d <database> --no-http < bench/bench_report.py

``BENCH_LEADS`` (default 1000000) is the number of opportunities; each changes its stage four times.
``BENCH_MOVED`` (default 10000) is how many of them one write moves.
"""

import contextlib
import os
import re
import statistics
import time
from unittest.mock import MagicMock, patch

from odoo.tools import SQL

LEADS = int(os.environ.get("BENCH_LEADS", "1000000"))
MOVED = int(os.environ.get("BENCH_MOVED", "10000"))
YEARS = 5
USERS = 50
TEAMS = 8
TIMES = 7
TURNS = 600
PAGES = {
    "12 months": [("date_entered", ">=", "-1y")],
    "one month": [("date_entered", ">=", "-1m")],
    "all times": [],
}
FILLED_TABLES = ("crm_lead", "mail_message", "mail_tracking_value")
STAY_MODELS = ["crm.stage.stay", "crm.stage.report"]
# What keeps what is to be recorded
RECORDING = ("_add_mover", "_get_done")


class Rollback(Exception):
    """What was measured is not kept."""


class ReportBench:
    def __init__(self, env):
        self.env = env(context={"lang": "en_US", "mail_notrack": False})
        self.report = self.env["crm.stage.report"]

    def run(self):
        self.print_row("", "seconds", "of a scan")
        self.print_row("---", "--:", "--:")
        self.fill()
        self.measure_page()
        self.measure_writes()

    # ---- a database full of opportunities ----

    def fill(self):
        """Make the opportunities and their trackings by SQL, then the stays as installing does."""
        start = time.time()
        self.execute("SET SESSION session_replication_role = replica")
        self.execute("SET SESSION maintenance_work_mem = '512MB'")
        self.execute("SET SESSION work_mem = '256MB'")
        with self.without_indexes():
            self.insert_leads()
        self.execute("RESET session_replication_role")
        self.execute("RESET work_mem")
        self.env.cr.commit()
        self.execute("ANALYZE crm_lead, mail_message, mail_tracking_value")
        self.print_row(f"generate {LEADS:,} opportunities, {4 * LEADS:,} changes", time.time() - start)
        start = time.time()
        self.execute("DROP TABLE crm_stage_stay CASCADE")
        self.env.registry.init_models(self.env.cr, STAY_MODELS, {"module": "crm_sales_stage"})
        self.env.cr.commit()
        self.print_row("make the stays (installation)", time.time() - start)
        self.vacuum()

    def vacuum(self):
        """Do what autovacuum does in time: let indexes be read without the table.

        It is done again while somebody still looks at the time before the stays were there, as the gathering
        of statistics does.
        """
        autocommit = self.env.cr._cnx.autocommit
        self.env.cr._cnx.autocommit = True
        for table in (*FILLED_TABLES, "crm_stage_stay"):
            self.execute(f"VACUUM ANALYZE {table}")
        visible = "SELECT relallvisible > 0.99 * relpages FROM pg_class WHERE relname = 'crm_stage_stay'"
        for _attempt in range(30):
            self.execute(visible)
            if self.env.cr.fetchone()[0]:
                break
            time.sleep(5)
            self.execute("VACUUM crm_stage_stay")
        self.env.cr._cnx.autocommit = autocommit

    @contextlib.contextmanager
    def without_indexes(self):
        """Indexes are made faster than they are filled one by one."""
        self.execute(
            SQL(
                """
                SELECT indexdef, format('DROP INDEX %%I', indexname)
                  FROM pg_indexes
                 WHERE tablename IN %s AND indexname NOT LIKE '%%_pkey'
                """,
                FILLED_TABLES,
            )
        )
        indexes = self.env.cr.fetchall()
        for _definition, drop in indexes:
            self.execute(drop)
        yield
        for definition, _drop in indexes:
            self.execute(definition)

    def insert_leads(self):
        """Opportunities of five years: four changes each, three in ten won, five in ten lost."""
        users = self.env["res.users"].create(
            [{"name": f"Salesperson {i}", "login": f"bench_{i}"} for i in range(USERS)]
        )
        teams = self.env["crm.team"].create([{"name": f"Team {i}"} for i in range(TEAMS)])
        stages = self.env["crm.stage"].search([("is_won", "=", False)], limit=4)
        won = self.env["crm.stage"].search([("is_won", "=", True)], limit=1)
        reasons = self.env["crm.lost.reason"].search([])
        self.env.flush_all()
        field_ids = self.env["ir.model.fields"]._get_ids("crm.lead")
        parameters = {
            "leads": LEADS,
            "stages": stages.ids + won.ids,
            "users": users.ids,
            "partners": users.partner_id.ids,
            "teams": teams.ids,
            "reasons": reasons.ids,
            "company": self.env.company.id,
            "stage_field": field_ids["stage_id"],
            "active_field": field_ids["active"],
            "won_field": field_ids["won_status"],
            "subtype": self.env.ref("crm.mt_lead_stage").id,
            "days": YEARS * 365,
        }
        for statement in GENERATOR.split(";\n"):
            self.execute(SQL(statement, **{k: v for k, v in parameters.items() if f"%({k})s" in statement}))

    # ---- reading ----

    def measure_page(self):
        """The opening page, as a sales manager sees it, against one sequential scan of the report's rows."""
        scan = self.measure_scan()
        manager = self.env.ref("base.user_admin")
        report = self.report.with_user(manager)
        for name, domain in PAGES.items():
            page = self.get_best_time(lambda domain=domain: report.get_overview(domain))
            self.print_row(f"overview, {name}", page, page / scan)
        salesperson = self.env["res.users"].search([("login", "=", "bench_1")])
        salesperson.group_ids = self.env.ref("sales_team.group_sale_salesman")
        report = self.report.with_user(salesperson)
        page = self.get_best_time(lambda: report.get_overview(PAGES["12 months"]))
        self.print_row("overview, 12 months, of one salesperson", page, page / scan)
        groups = self.get_best_time(
            lambda: self.report.formatted_read_group(
                PAGES["12 months"], ["stage_id", "date_entered:month"], ["days_median:median", "days:avg"]
            )
        )
        self.print_row("pivot of medians by stage and month, 12 months", groups, groups / scan)
        for fname in ("date_entered", "date_left"):
            query = self.report._search([(fname, ">=", "-1m")])
            plan = self.explain(query.select("COUNT(*)"))
            nodes = ", ".join(re.findall(r"(\w[\w ]* Scan.*? on \S+)", plan))
            self.print_row(f"a month by {fname}: {nodes}", "")

    def measure_scan(self):
        """:return: seconds of reading the table of the report's rows from end to end"""
        query = SQL("SELECT COUNT(*) FROM crm_stage_stay")
        # A small index would do for counting: that is no scan of the rows.
        self.execute("SET SESSION enable_indexscan = off; SET SESSION enable_indexonlyscan = off")
        plan = self.explain(query)
        if "Seq Scan on crm_stage_stay" not in plan:
            raise RuntimeError(f"Not a sequential scan:\n{plan}")
        scan = self.get_best_time(lambda: self.execute(query))
        rows = self.env.cr.fetchone()[0]
        self.execute("RESET enable_indexscan; RESET enable_indexonlyscan")
        workers = re.findall(r"Workers Planned: \d+", plan)
        self.print_row(f"sequential scan of {rows:,} rows ({', '.join(workers) or 'not parallel'})", scan)
        return scan

    def get_best_time(self, call):
        times = []
        for _time in range(TIMES):
            start = time.time()
            call()
            times.append(time.time() - start)
        return min(times)

    def explain(self, query):
        """:return: PostgreSQL's plan"""
        self.execute(SQL("EXPLAIN %s", query))
        return "\n".join(line for (line,) in self.env.cr.fetchall())

    # ---- writing ----

    def measure_writes(self):
        """The same writes with and without the recording, in turns; nothing of it is kept.

        The median of many turns is the same while the machine is now faster, now slower.
        """
        leads = self.env["crm.lead"].search([("won_status", "=", "pending")], limit=4 * MOVED)
        stages = self.env["crm.stage"].search([("is_won", "=", False)], limit=2)
        contact = self.env.user.partner_id
        works = {
            "move one opportunity": (TURNS, lambda turn: self.move(leads[turn], stages)),
            "rename one opportunity": (TURNS, lambda turn: leads[turn].write({"name": "Renamed"})),
            "create one opportunity": (TURNS, self.create),
            "post a message on a contact": (TURNS, lambda turn: contact.message_post(body="Note")),
            f"move {MOVED:,} opportunities by one write": (
                4,
                lambda turn: self.move(leads[turn * MOVED : (turn + 1) * MOVED], stages),
            ),
        }
        self.print_row("", "with the stays, ms", "without, ms", "ratio")
        for name, (turns, work) in works.items():
            times = [self.get_work_time(work, turn, turn % 2 == 0) for turn in range(turns)]
            with_stays, without = (1000 * statistics.median(times[start::2]) for start in (0, 1))
            self.print_row(name, with_stays, without, with_stays / without)

    def get_work_time(self, work, turn, with_recording):
        """:return: seconds of a write that is undone; each turn has opportunities of its own"""
        stays = self.env.registry["crm.stage.stay"]
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.suppress(Rollback))
            stack.enter_context(self.env.cr.savepoint(flush=False))
            for name in RECORDING:
                # Replaced either way: Python looks methods up anew when a class has changed.
                method = getattr(stays, name) if with_recording else MagicMock()
                stack.enter_context(patch.object(stays, name, method))
            start = time.time()
            work(turn)
            self.env.cr.flush()  # as the commit does
            duration = time.time() - start
            raise Rollback
        return duration

    def move(self, leads, stages):
        for lead_stage, in_stage in leads.grouped("stage_id").items():
            in_stage.stage_id = stages[0] if lead_stage != stages[0] else stages[1]

    def create(self, number):
        self.env["crm.lead"].create({"name": f"New {number}", "type": "opportunity"})

    def execute(self, statement):
        self.env.cr.execute(statement)

    def print_row(self, *cells):
        print("| " + " | ".join(c if isinstance(c, str) else f"{c:.3f}" for c in cells) + " |", flush=True)


# Ways through the stages, by their position; an opportunity's number and outcome choose its own.
GENERATOR = """
CREATE TEMP TABLE bench_way (outcome int, number int, stages int[]);
INSERT INTO bench_way VALUES
    (0, 0, '{1,2,3,4,5}'), (0, 1, '{1,3,2,4,5}'), (0, 2, '{1,2,4,3,5}'), (0, 3, '{2,1,3,4,5}'),
    (1, 0, '{1,2,3,2,3}'), (1, 1, '{1,2,1,2,4}'), (1, 2, '{1,3,4,3,4}'), (1, 3, '{1,2,3,4,3}');
CREATE TEMP TABLE bench_lead AS
SELECT leads.number,
       (SELECT COALESCE(MAX(id), 0) FROM crm_lead) + leads.number AS id,
       way.stages, won_status,
       now() AT TIME ZONE 'UTC' - ((1 - leads.number::float8 / %(leads)s) * %(days)s + 60) * interval '1 day'
           AS create_date
  FROM (
        SELECT number, CASE
                   WHEN number %% 10 < 3 THEN 'won'
                   WHEN number %% 10 < 8 OR number < 0.6 * %(leads)s THEN 'lost'
                   ELSE 'pending'
               END AS won_status
          FROM generate_series(1, %(leads)s) number
  ) leads
  JOIN bench_way way
    ON way.outcome = CASE won_status WHEN 'won' THEN 0 ELSE 1 END AND way.number = leads.number / 10 %% 4;
CREATE TEMP TABLE bench_change AS
SELECT row_number() OVER () AS number, *,
       create_date + SUM(days) OVER (PARTITION BY lead_number ORDER BY step) * interval '1 day' AS date
  FROM (
        SELECT number AS lead_number, id AS lead_id, won_status, create_date, step,
               stages[step] AS old, stages[step + 1] AS new, -LN(1 - random()) * 4 * step AS days
          FROM bench_lead, generate_series(1, 5) step
         WHERE step < 5 OR won_status = 'lost'
  ) steps
 ORDER BY lead_number, step;
INSERT INTO crm_lead (id, name, type, active, stage_id, won_status, user_id, team_id, company_id,
                      lost_reason_id,
                      expected_revenue, prorated_revenue, probability, automated_probability,
                      create_date, write_date, date_last_stage_update, date_closed)
SELECT lead.id, 'House ' || lead.id, 'opportunity', won_status != 'lost', (%(stages)s)[stages[5]], won_status,
       (%(users)s)[1 + number %% cardinality(%(users)s)], (%(teams)s)[1 + number %% cardinality(%(teams)s)],
       %(company)s,
       CASE WHEN won_status = 'lost' THEN (%(reasons)s)[1 + number %% cardinality(%(reasons)s)] END,
       1000 + number %% 9000, 500,
       CASE won_status WHEN 'won' THEN 100 WHEN 'lost' THEN 0 ELSE 50 END,
       CASE won_status WHEN 'won' THEN 100 WHEN 'lost' THEN 0 ELSE 50 END,
       lead.create_date, last.date, last.date, CASE WHEN won_status != 'pending' THEN last.date END
  FROM bench_lead lead
  JOIN (SELECT lead_number, MAX(date) AS date FROM bench_change GROUP BY lead_number) last
    ON last.lead_number = lead.number
 ORDER BY lead.id;
INSERT INTO mail_message (id, model, res_id, message_type, subtype_id, author_id, body,
                          date, create_date, write_date)
SELECT (SELECT COALESCE(MAX(id), 0) FROM mail_message) + number, 'crm.lead', lead_id, 'notification',
       %(subtype)s,
       (%(partners)s)[1 + lead_number %% cardinality(%(partners)s)], '', date, date, date
  FROM bench_change
 ORDER BY number;
INSERT INTO mail_tracking_value (id, mail_message_id, field_id, old_value_integer, new_value_integer,
                                 old_value_char, new_value_char, create_date)
SELECT (SELECT COALESCE(MAX(id), 0) FROM mail_tracking_value) + row_number() OVER (ORDER BY number, field_id),
       (SELECT COALESCE(MAX(id), 0) FROM mail_message) - (SELECT COUNT(*) FROM bench_change) + number,
       field_id, old_integer, new_integer, old_char, new_char, date
  FROM (
        SELECT number, %(stage_field)s AS field_id,
               (%(stages)s)[old] AS old_integer, (%(stages)s)[new] AS new_integer,
               'Stage ' || old AS old_char, 'Stage ' || new AS new_char, date
          FROM bench_change
         WHERE step < 5
        UNION ALL
        SELECT number, %(active_field)s, 1, 0, NULL, NULL, date FROM bench_change WHERE step = 5
        UNION ALL
        SELECT number, %(won_field)s, NULL, NULL, 'Pending', 'Lost', date FROM bench_change WHERE step = 5
  ) trackings;
SELECT setval('crm_lead_id_seq', MAX(id)) FROM crm_lead;
SELECT setval('mail_message_id_seq', MAX(id)) FROM mail_message;
SELECT setval('mail_tracking_value_id_seq', MAX(id)) FROM mail_tracking_value;
DROP TABLE bench_change, bench_lead, bench_way
"""
if "env" in globals():  # in the shell
    ReportBench(globals()["env"]).run()
