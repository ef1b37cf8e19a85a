"""What the pipeline costs with this addon, against plain Odoo: opening it, the list, moving a card.

The requests are those of the web client of a manager of one company, answered by Odoo in this process; the
time is the server's for all of them.

Run it in an Odoo shell, on a database with this addon and without opportunities, with a second one of plain
Odoo (``crm`` and ``sale_crm``), named by ``BENCH_PLAIN``. Both are filled, and what is done is committed::

    BENCH_PLAIN=plain python -m odoo shell -c odoo.conf -d <database> --no-http < bench/bench_pipeline.py

``BENCH_LEADS`` (default "100000 1000000") are the numbers of opportunities.
"""

import os
import statistics
import time

from werkzeug.test import Client

from odoo import SUPERUSER_ID, api
from odoo.http import root
from odoo.modules.registry import Registry
from odoo.tools import SQL, config

LEADS = [int(number) for number in os.environ.get("BENCH_LEADS", "100000 1000000").split()]
USERS = 50
TURNS = 40


def get_specification(links, names):
    """:return: what the web client asks for of these fields"""
    named = dict.fromkeys(links.split(), {"fields": {"display_name": {}}})
    return {**named, **dict.fromkeys(names.split(), {})}


CARD = {
    **get_specification(
        "stage_id company_currency team_id partner_id activity_type_id user_id",
        "probability active recurring_revenue_monthly won_status color name expected_revenue contact_name "
        "partner_name lead_properties priority activity_exception_decoration activity_exception_icon "
        "activity_state activity_summary activity_type_icon is_rotting rotting_days",
    ),
    "tag_ids": {"fields": {"display_name": {}, "color": {}}},
    "activity_ids": {"fields": {}},
}
LIST_LINE = {
    **CARD,
    **get_specification(
        "company_id state_id country_id activity_user_id campaign_id medium_id source_id lost_reason_id",
        "user_company_ids date_deadline create_date email_from phone city my_activity_date_deadline "
        "stage_id_color referred message_needaction",
    ),
    "activity_calendar_event_id": {"fields": {}},
}
SUMS = ("expected_revenue", "recurring_revenue_monthly")
PROGRESS_BAR = {
    "field": "activity_state",
    "colors": {"planned": "success", "today": "warning", "overdue": "danger"},
}
# What the addon's pipeline asks for beside that
STAGE = get_specification(
    "",
    "active arrival_hints ask_outcome asks_for_fields has_faulty_automation is_won plans_activities "
    "probability probability_mode sends_email",
)


class Pipeline:
    """The web client of a manager, who has the pipeline open."""

    def __init__(self, database, is_ours):
        self.is_ours = is_ours
        self.client = Client(root)
        self.call_json("/web/session/authenticate", db=database, login="admin", password="admin")
        self.context = {"lang": "en_US", "allowed_company_ids": [1], "default_type": "opportunity"}
        self.card = {**CARD, "is_something_missing": {}, "prorated_revenue": {}} if is_ours else CARD
        sums = (*SUMS, "prorated_revenue") if is_ours else SUMS
        self.aggregates = [f"{name}:sum" for name in sums]
        self.aggregates += ["company_currency:array_agg_distinct", *(f"{name}:sum_currency" for name in SUMS)]

    def call_json(self, path, **params):
        client = {"REMOTE_ADDR": "127.0.0.1"}
        answer = self.client.post(path, json={"params": params}, environ_base=client).json
        if "error" in answer:
            raise RuntimeError(answer["error"]["data"]["debug"])
        return answer["result"]

    def call(self, method, *args, context=None, **kwargs):
        kwargs["context"] = {**self.context, **(context or {})}
        path = f"/web/dataset/call_kw/crm.lead/{method}"
        return self.call_json(path, model="crm.lead", method=method, args=args, kwargs=kwargs)

    def open(self, domain):
        self.call_progress_bar(domain)
        return self.call(
            "web_read_group",
            domain=domain,
            groupby=["stage_id"],
            aggregates=self.aggregates,
            auto_unfold=True,
            opening_info=[],
            unfold_read_specification=self.card,
            unfold_read_default_limit=80,
            groupby_read_specification={"stage_id": STAGE} if self.is_ours else {},
            context={"read_group_expand": True},
        )["groups"]

    def call_progress_bar(self, domain):
        self.call("read_progress_bar", domain=domain, group_by="stage_id", progress_bar=PROGRESS_BAR)

    def count_lost(self, domain):
        lost = [*domain, ["won_status", "=", "lost"]]
        return self.call("search_count", lost, limit=10001, context={"active_test": False})

    def list(self, domain):
        self.call("web_search_read", domain=domain, specification=LIST_LINE, limit=80, count_limit=10001)

    def drag(self, domain, lead_id, stage_id):
        self.call("web_save", [lead_id], {"stage_id": stage_id}, specification=self.card)
        self.call_progress_bar(domain)
        self.call("formatted_read_group", domain=domain, groupby=["stage_id"], aggregates=self.aggregates)
        self.call("get_rainbowman_message", [lead_id])


class PipelineBench:
    def __init__(self, env):
        config["dbfilter"], config["db_name"] = "", [os.environ["BENCH_PLAIN"], env.cr.dbname]
        self.databases = {os.environ["BENCH_PLAIN"]: False, env.cr.dbname: True}

    def run(self):
        print("| opportunities | | plain Odoo, ms | with the addon, ms | ratio |\n|--:|---|--:|--:|--:|")
        filled = 0
        for count in LEADS:
            for database, is_ours in self.databases.items():
                fill(database, is_ours, filled, count)
            filled = count
            self.measure(count)

    def measure(self, count):
        plain, ours = pipelines = [Pipeline(*item) for item in self.databases.items()]
        everything = [["type", "=", "opportunity"]]
        own = [*everything, ["user_id", "=", 2]]
        cards = {}
        for pipeline in pipelines:
            first, second = pipeline.open(own)[:2]
            cards[pipeline] = first["__records"][0]["id"], [second["stage_id"][0], first["stage_id"][0]]
        actions = {
            "open, own": lambda pipeline, turn: pipeline.open(own),
            "open, without filter": lambda pipeline, turn: pipeline.open(everything),
            "list": lambda pipeline, turn: pipeline.list(everything),
            "move a card": lambda pipeline, turn: pipeline.drag(
                own, cards[pipeline][0], cards[pipeline][1][turn % 2]
            ),
        }
        for name, action in actions.items():
            times = {pipeline: [] for pipeline in pipelines}
            for turn in range(TURNS + 1):
                # In turns: others may use the machine.
                for pipeline in pipelines if turn % 2 else reversed(pipelines):
                    start = time.perf_counter()
                    action(pipeline, turn)
                    times[pipeline].append(time.perf_counter() - start)
            before, after = (1000 * statistics.median(times[pipeline][1:]) for pipeline in (plain, ours))
            print(f"| {count:,} | {name} | {before:.0f} | {after:.0f} | {after / before:.2f} |", flush=True)
        times = []
        for _turn in range(TURNS):
            start = time.perf_counter()
            ours.count_lost(everything)
            times.append(time.perf_counter() - start)
        print(f"| {count:,} | count the lost | | {1000 * statistics.median(times):.0f} | |", flush=True)


def fill(database, is_ours, filled, count):
    """Add opportunities of the five stages to those that are there, by SQL."""
    with Registry(database).cursor() as cr:
        env = api.Environment(cr, SUPERUSER_ID, {})
        if not filled:
            env["res.users"].create([{"name": f"User {i}", "login": f"bench_{i}"} for i in range(USERS)])
            if not is_ours:
                env["crm.stage"].create({"name": "Estimate", "sequence": 2})
        stages = env["crm.stage"].search([])
        stages.rotting_threshold_days = 30
        users = env["res.users"].search([("share", "=", False)])
        env.flush_all()
        cr.execute(
            SQL(
                GENERATOR,
                first=filled + 1,
                count=count,
                open=stages.filtered(lambda stage: not stage.is_won).ids,
                won=stages.filtered("is_won")[:1].id,
                users=users.ids,
                teams=env["crm.team"].search([]).ids,
                company=env.company.id,
                partners=users.partner_id.ids,
                reasons=env["crm.lost.reason"].search([]).ids,
            )
        )
        if is_ours:
            cr.execute("DROP TABLE crm_stage_stay CASCADE")
            names = ["crm.stage.stay", "crm.stage.report"]
            env.registry.init_models(cr, names, {"module": "crm_sales_stage"})
    with Registry(database).cursor() as cr:
        cr._cnx.autocommit = True
        cr.execute("VACUUM ANALYZE")


# Three in ten open, two won, five lost; as long as opportunities with some notes are
GENERATOR = """
INSERT INTO crm_lead (name, type, active, stage_id, won_status, user_id, team_id, company_id, partner_id,
                      lost_reason_id, expected_revenue, prorated_revenue, probability, automated_probability,
                      description, priority, create_date, write_date, date_last_stage_update, date_closed)
SELECT 'House ' || number, 'opportunity', won_status != 'lost',
       CASE won_status WHEN 'won' THEN %(won)s
                       ELSE (%(open)s)[1 + number / 1000 %% cardinality(%(open)s)] END,
       won_status,
       (%(users)s)[1 + number / 10 %% cardinality(%(users)s)],
       (%(teams)s)[1 + number %% cardinality(%(teams)s)], %(company)s,
       (%(partners)s)[1 + number %% cardinality(%(partners)s)],
       CASE won_status WHEN 'lost' THEN (%(reasons)s)[1 + number %% cardinality(%(reasons)s)] END,
       1000 + number %% 9000, 500, probability, probability, repeat('Stoves and windows. ', 20), '0',
       date, date, date, CASE WHEN won_status != 'pending' THEN date END
  FROM (
        SELECT *, CASE won_status WHEN 'won' THEN 100 WHEN 'lost' THEN 0 ELSE 50 END AS probability
          FROM (
                SELECT number, now() AT TIME ZONE 'UTC' - (number %% 1000) * interval '1 day' AS date,
                       CASE WHEN number %% 10 < 3 THEN 'pending'
                            WHEN number %% 10 < 5 THEN 'won' ELSE 'lost' END AS won_status
                  FROM generate_series(%(first)s, %(count)s) number
          ) numbers
  ) leads
"""
if "env" in globals():  # in the shell
    PipelineBench(globals()["env"]).run()
