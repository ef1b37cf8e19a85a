"""What moving opportunities by automations costs: against none, the floor, and Odoo's Automation Rules.

And what a run of the scheduled job costs, against a write that moves those that fall due.

Run it in an Odoo shell, on a database with this addon and ``base_automation``; nothing is committed::

    python -m odoo shell -c odoo.conf -d <database> --no-http < bench/bench_automation.py

``BENCH_SIZES`` (default "20 200 500 5000") are the numbers of quotations; Automation Rules run up to 500.
``BENCH_DUE`` (default "100000 500") are the numbers of open opportunities, and of those that fall due.
"""

import contextlib
import gc
import os
import sys
import time
from datetime import timedelta
from unittest.mock import patch

from odoo import Command, fields
from odoo.tools import SQL

from odoo.addons.crm_sales_stage.tests.common import without_hooks
from odoo.addons.crm_sales_stage.tools import ON

SIZES = [int(size) for size in os.environ.get("BENCH_SIZES", "20 200 500 5000").split()]
OPEN, DUE = (int(number) for number in os.environ.get("BENCH_DUE", "100000 500").split())
ONE_BY_ONE = 30
RULES_UP_TO = 500


class Bench:
    def __init__(self, env):
        self.env = env(context={"lang": "en_US"})
        self.estimate = env.ref("crm_sales_stage.stage_estimate")
        self.quotation = env.ref("crm_sales_stage.stage_quotation")
        self.closed = env.ref("crm_sales_stage.stage_closed")
        self.lines = self.env["crm.stage.automation"].search([])
        self.partner = self.env["res.partner"].create({"name": "Bench", "email": "bench@example.com"})
        self.product = self.env["product.product"].create({"name": "Window", "list_price": 500})
        stages = self.env["crm.stage"].with_context(active_test=False)._get_default_stages()
        stages.active = True  # a live database has them archived

    # ---- ways to move opportunities ----

    @contextlib.contextmanager
    def without_automation(self):
        self.lines.active = False
        yield lambda leads, stage: None
        self.lines.active = True

    @contextlib.contextmanager
    def floor(self):
        """By hand: one batch write."""
        self.lines.active = False
        yield lambda leads, stage: leads.write({"stage_id": stage.id})
        self.lines.active = True

    @contextlib.contextmanager
    def with_addon(self):
        yield lambda leads, stage: None

    @contextlib.contextmanager
    def with_rules(self):
        """Two Automation Rules that do what the lines do: on creation and edition, with a condition."""
        yield from self.apply_rules(watching=False)

    @contextlib.contextmanager
    def with_watching_rules(self):
        """The same, by somebody who knows to restrict them to the change of one field."""
        yield from self.apply_rules(watching=True)

    def apply_rules(self, watching):
        self.lines.active = False
        rules = self.env["base.automation"].create(
            [
                # On writing, too: a quotation linked to an opportunity afterwards counts for the lines.
                self.get_rule_values(
                    "created",
                    self.estimate,
                    "opportunity_id",
                    "[('opportunity_id', '!=', False), ('state', '=', 'draft')]",
                ),
                self.get_rule_values(
                    "confirmed",
                    self.closed,
                    "state",
                    "[('opportunity_id', '!=', False), ('state', '=', 'sale')]",
                ),
            ]
        )
        if not watching:
            rules.trigger_field_ids = False
        yield lambda leads, stage: None

    def get_rule_values(self, name, stage, field, domain):
        model_id = self.env["ir.model"]._get_id("sale.order")
        action = {
            "name": name,
            "model_id": model_id,
            "usage": "base_automation",
            "state": "object_write",
            "update_path": "opportunity_id.stage_id",
            "resource_ref": f"crm.stage,{stage.id}",
            "value": stage.id,
        }
        return {
            "name": name,
            "model_id": model_id,
            "trigger": "on_create_or_write",
            "trigger_field_ids": [Command.set(self.env["ir.model.fields"]._get("sale.order", field).ids)],
            "filter_domain": domain,
            "action_server_ids": [Command.create(action)],
        }

    # ---- what is measured ----

    def create_leads(self, count):
        leads = self.env["crm.lead"].create(
            [
                {"name": f"House {i}", "type": "opportunity", "partner_id": self.partner.id}
                for i in range(count)
            ]
        )
        self.commit()
        return leads

    def create_orders(self, leads, count=None):
        return self.env["sale.order"].create(
            [
                {
                    "partner_id": self.partner.id,
                    "opportunity_id": lead_id,
                    "order_line": [Command.create({"product_id": self.product.id, "product_uom_qty": 1})],
                }
                for lead_id in leads.ids or [False] * count
            ]
        )

    def commit(self):
        """What a commit does before it writes: tracking messages, too."""
        self.env.flush_all()
        self.env.cr.precommit.run()

    def measure(self, way, count, prepare, act, check):
        """:return: (seconds, queries) of one run, which is rolled back"""
        savepoint = self.env.cr.savepoint()
        with way() as move:
            records = prepare(count)
            self.commit()
            self.env["crm.stage.automation"]._get_listening()  # as in a worker that has served a request
            self.env.invalidate_all()
            gc.collect()
            queries, start = self.env.cr.sql_log_count, time.perf_counter()
            act(records, move)
            self.commit()
            result = time.perf_counter() - start, self.env.cr.sql_log_count - queries
            check(records, way)
        savepoint.close(rollback=True)
        self.env.registry.clear_cache()
        if way in (self.with_rules, self.with_watching_rules):
            self.env["base.automation"]._unregister_hook()
        return result

    def compare(self, name, count, prepare, act, check, ways):
        """Print the best of some runs of each way, taking turns: others may use the machine.

        Of many records, only the two whose ratio is the point run again.
        """
        ways = ways if count <= RULES_UP_TO else ways[:3]
        runs = {way: [] for way in ways}
        for turn in range(4 if count < 5000 else 2):
            for way in ways:
                if not turn or count < 200 or way in (self.floor, self.with_addon):
                    runs[way].append(self.measure(way, count, prepare, act, check))
        print(format_row(name, count, [min(results) for results in runs.values()]), flush=True)

    def run(self):
        print(HEADER, flush=True)
        ways = (
            self.without_automation,
            self.floor,
            self.with_addon,
            self.with_rules,
            self.with_watching_rules,
        )
        for size in SIZES:
            self.compare("create", size, self.create_leads, self.create, self.check(self.estimate), ways)
        for size in [size for size in SIZES if size <= 500]:
            self.compare(
                "confirm, in batch", size, self.create_quoted, self.confirm, self.check(self.closed), ways
            )
        for size in [size for size in SIZES if size <= 500]:
            self.compare(
                "send, in batch", size, self.create_quoted, self.send, self.check(self.quotation), ways[:3]
            )
        self.compare(
            "create, one by one",
            ONE_BY_ONE,
            self.create_leads,
            self.create_each,
            self.check(self.estimate),
            ways,
        )
        self.compare(
            "confirm, one by one",
            ONE_BY_ONE,
            self.create_quoted,
            self.confirm_each,
            self.check(self.closed),
            ways,
        )
        self.compare(
            "send, one by one",
            ONE_BY_ONE,
            self.create_quoted,
            self.send_each,
            self.check(self.quotation),
            ways[:3],
        )
        self.run_idle()
        self.run_due()

    # ---- in time ----

    def run_due(self):
        """An hour's run with many open opportunities: none falls due, and some do, by each trigger."""
        print("\n" + DUE_HEADER, flush=True)
        savepoint = self.env.cr.savepoint()
        self.lines.active = False
        self.fill()
        visit = self.env.ref("crm_sales_stage.stage_technical_visit")
        for trigger in ("stage_waiting", "no_news", "deadline_passed"):
            values = {"stage_id": visit.id, "trigger": trigger, "days": 10}
            automation = self.env["crm.stage.automation"].create(values)
            results = []
            for number, act in ((0, self.run_job), (DUE, self.move_due), (DUE, self.run_job)):
                turn = self.env.cr.savepoint()
                results.append(self.measure_due(automation, number, act))
                turn.close(rollback=True)
                self.env.invalidate_all()
            idle, floor, run = results
            cells = [f"{1000 * seconds:.0f} ms ({queries})" for seconds, queries in results]
            cells += [f"{run[0] / floor[0]:.2f}"]
            print(f"| {trigger} | {OPEN} | {DUE} | {' | '.join(cells)} |", flush=True)
            automation.active = False
        savepoint.close(rollback=True)
        self.env.registry.clear_cache()

    def fill(self):
        """Open opportunities with a message each, of which nothing falls due for a year."""
        lead = self.create_leads(1)
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO crm_lead (name, type, active, stage_id, won_status, probability,
                                      automated_probability, partner_id, create_date)
                SELECT name || n, type, active, stage_id, won_status, probability, automated_probability,
                       partner_id, create_date
                  FROM crm_lead, generate_series(2, %(open)s) n
                 WHERE id = %(lead)s;
                INSERT INTO crm_stage_stay (lead_id, stage_id, date_entered, outcome, is_first_visit,
                                            is_moved_on)
                SELECT lead.id, lead.stage_id, lead.create_date, 'open', TRUE, FALSE
                  FROM crm_lead lead
                 WHERE lead.id > %(lead)s;
                INSERT INTO mail_message (model, res_id, date, message_type, subtype_id)
                SELECT 'crm.lead', lead.id, lead.create_date, 'comment', %(subtype)s
                  FROM crm_lead lead
                 WHERE lead.id > %(lead)s;
                ANALYZE crm_lead, crm_stage_stay, mail_message
                """,
                open=OPEN,
                lead=lead.id,
                subtype=self.env.ref("mail.mt_comment").id,
            )
        )
        self.env.invalidate_all()

    def measure_due(self, automation, number, act):
        """:return: (seconds, queries) of moving the ``number`` opportunities that fall due within an hour"""
        leads = self.env["crm.lead"].search([("name", "=like", "House 0%")], order="id desc")[:number]
        date = fields.Datetime.now() - timedelta(days=10, minutes=30)
        if number:
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE crm_stage_stay SET date_entered = %(date)s WHERE lead_id = ANY(%(ids)s);
                    UPDATE mail_message SET date = %(date)s
                     WHERE model = 'crm.lead' AND res_id = ANY(%(ids)s);
                    UPDATE crm_lead SET date_deadline = %(date)s::date - 1 WHERE id = ANY(%(ids)s)
                    """,
                    date=date,
                    ids=leads.ids,
                )
            )
        automation.date_begun = fields.Datetime.now() - timedelta(days=1)
        self.commit()
        self.env.invalidate_all()
        self.env["crm.stage.automation"]._get_listening()
        gc.collect()
        queries, start = self.env.cr.sql_log_count, time.perf_counter()
        act(leads, automation)
        self.commit()
        result = time.perf_counter() - start, self.env.cr.sql_log_count - queries
        if left := leads.filtered(lambda lead: lead.stage_id != automation.stage_id):
            sys.exit(f"{automation.trigger}: {len(left)} opportunities were not moved")
        return result

    def run_job(self, leads, automation):
        with patch.object(type(self.env["ir.cron"]), "_commit_progress", return_value=60):
            self.env["crm.stage.automation"]._cron_due()

    def move_due(self, leads, automation):
        leads.with_context(crm_stage_moving=ON).write({"stage_id": automation.stage_id.id})

    # ---- nothing to do ----

    def run_idle(self):
        """Orders without opportunity, and with nothing listening: without our hooks, and with them."""
        print("\n" + IDLE_HEADER, flush=True)
        for name, way, prepare in (
            ("no opportunity", self.with_addon, lambda count: self.env["crm.lead"]),
            ("nothing listens", self.without_automation, self.create_leads),
        ):
            for size in [size for size in SIZES if size <= 500]:

                def act(leads, move, size=size):
                    self.create_orders(leads, size).action_confirm()

                # Taking turns, so that a busy machine slows both down.
                plain, ours = [], []
                for _turn in range(3):
                    with without_hooks(self.env, "sale.order"):
                        plain.append(self.measure(way, size, prepare, act, lambda *args: None))
                    ours.append(self.measure(way, size, prepare, act, lambda *args: None))
                before, after = min(plain), min(ours)
                print(
                    f"| create and confirm, {name} | {size} | {ms(before, size)} ({before[1]}) | "
                    f"{ms(after, size)} ({after[1]}) | {after[0] / before[0]:.2f} |",
                    flush=True,
                )

    def check(self, stage):
        """:return: function that makes sure that the opportunities did move: doing nothing is fast"""

        def check(records, way):
            leads = records if records._name == "crm.lead" else records.opportunity_id
            moved = leads.stage_id == stage
            if moved != (way != self.without_automation):
                sys.exit(f"{way.__name__}: opportunities in {leads.stage_id.mapped('name')}")

        return check

    def create_quoted(self, count):
        """Quotations whose opportunities are in the first stage still."""
        leads = self.create_leads(count)
        orders = self.create_orders(leads)
        leads.write({"stage_id": self.env.ref("crm_sales_stage.stage_new").id})
        return orders

    def create(self, leads, move):
        self.create_orders(leads)
        move(leads, self.estimate)

    def confirm(self, orders, move):
        orders.action_confirm()
        move(orders.opportunity_id, self.closed)

    def send(self, orders, move):
        orders.action_quotation_sent()
        move(orders.opportunity_id, self.quotation)

    def each(self, records, act, move):
        """One request a record: caches are empty each time."""
        for record in records:
            self.env.invalidate_all()
            act(record, move)
            self.commit()

    def create_each(self, leads, move):
        self.each(leads, self.create, move)

    def confirm_each(self, orders, move):
        self.each(orders, self.confirm, move)

    def send_each(self, orders, move):
        self.each(orders, self.send, move)


HEADER = """| | records | (a) nothing | (b) floor | (c) addon | (d) rules | (e) watching | c / b | d / c |
|---|--:|--:|--:|--:|--:|--:|--:|--:|"""
IDLE_HEADER = """| | records | without hooks, ms (queries) | with hooks, ms (queries) | ratio |
|---|--:|--:|--:|--:|"""

DUE_HEADER = """| a run by | open | fall due | none due, ms (queries) | floor | run | ratio |
|---|--:|--:|--:|--:|--:|--:|"""


def ms(result, count):
    return f"{1000 * result[0] / count:.2f} ms" if result else "–"


def format_row(name, count, results):
    a, b, c, *rest = results
    d, e = rest or (None, None)
    cells = [ms(result, count) for result in (a, b, c, d, e)]
    cells += [f"{c[0] / b[0]:.2f}", f"{d[0] / c[0]:.1f}" if d else "–"]
    return f"| {name} | {count} | {' | '.join(cells)} |"


if "env" in globals():  # in the shell
    Bench(globals()["env"]).run()
