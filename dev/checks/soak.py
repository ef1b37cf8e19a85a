"""Clients that quote, send, confirm, lose and restore shared opportunities; a manager edits stages and
automations, and the scheduled job moves what falls due.

Bounded in requests and time. Afterwards every opportunity has to be where the rules say.

Usage: soak.py <address> <database> <log file of the server>
"""

import json
import random
import re
import sys
import threading
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

CLIENTS = 8
OPPORTUNITIES = 200
SECONDS = 150  # at the most: then clients stop where they are
# Where an opportunity that starts in the first stage (0) comes to
RANKS = {"created": 1, "expired": 3, "sent": 3, "confirmed": 4}
# PostgreSQL's, after the server has tried five times: nothing was done, a user would click again
CONCURRENCY_ERRORS = ("SerializationFailure", "LockNotAvailable", "DeadlockDetected")

# What PostgreSQL says, and the server logs as an error, before it tries again
CONCURRENCY_MESSAGES = ("could not serialize access", "could not obtain lock", "deadlock detected")
SALESPERSON = [("module", "=", "sales_team"), ("name", "=", "group_sale_salesman_all_leads")]
DUE_JOB = [("module", "=", "crm_sales_stage"), ("name", "=", "ir_cron_crm_stage_due")]
NIGHTLY_JOB = [("module", "=", "crm"), ("name", "=", "website_crm_score_cron")]


class Event(NamedTuple):
    """Something a client did to an opportunity, and when it began and ended (never: infinity).

    ``rank``: where the client saw the opportunity right afterwards, when they looked.
    """

    lead_id: int
    kind: str
    start: float
    end: float
    rank: int | None = None


class RemoteError(Exception):
    """The server refused: its message is the text, ``name`` the exception's."""

    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.name = name


class Client:
    """A session of its own, by JSON-RPC."""

    def __init__(self, address, database, login):
        self.address = address
        self.counts = Counter()
        self.cookie = None
        self.post("/web/session/authenticate", {"db": database, "login": login, "password": login})

    def post(self, path, params):
        body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}).encode()
        headers = {"Content-Type": "application/json"}
        if self.cookie:
            headers["Cookie"] = self.cookie
        request = urllib.request.Request(self.address + path, body, headers)
        self.counts["requests"] += 1
        with urllib.request.urlopen(request, timeout=120) as response:
            if cookie := response.headers.get("Set-Cookie"):
                self.cookie = cookie.split(";")[0]
            answer = json.load(response)
        if error := answer.get("error"):
            raise RemoteError(error["data"]["name"], error["data"].get("message") or error["message"])
        return answer.get("result")  # left out when a method returns nothing

    def get(self, path):
        request = urllib.request.Request(self.address + path, headers={"Cookie": self.cookie})
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.read().decode()

    def call(self, model, method, *args, **kwargs):
        path = f"/web/dataset/call_kw/{model}/{method}"
        params = {"model": model, "method": method, "args": args, "kwargs": kwargs}
        for _try in range(3):
            try:
                return self.post(path, params)
            except RemoteError as error:
                if not error.name.endswith(CONCURRENCY_ERRORS):
                    raise
                self.counts["clicked again"] += 1
        return self.post(path, params)


# ------------------------------------------------------------------
# At work
# ------------------------------------------------------------------


def do(events, lead_id, kind, function, *args):
    """Note what happened between a request and its answer, as failed requests may have done it too."""
    start = time.monotonic()
    end = float("inf")
    try:
        result = function(*args)
        end = time.monotonic()
        return result
    finally:
        events.append(Event(lead_id, kind, start, end))


def work(client, number, leads, stages, partner, deadline):
    """One client's day: visit the opportunities in the same order as the others, so that they meet.

    All clients visit every fourth opportunity, two visit each of the others: there, a move that was lost is
    less likely to be made by somebody else. A third of the opportunities gets quotations, half of which
    expire, a third has them sent, a third has some confirmed. Every other one is lost and restored now and
    then.

    :return: events, errors
    """
    chance = random.Random(number)
    events, errors = [], []
    for index, lead in enumerate(leads):
        if time.monotonic() > deadline:
            break
        if index % 4 and (number - index) % 4:
            continue
        try:
            values = {"partner_id": partner, "opportunity_id": lead}
            (order,) = do(events, lead, "created", client.call, "sale.order", "create", [values])
            if index % 6 == 0:  # never lost nor sent: the scheduled job moves it, sooner or later
                yesterday = (date.today() - timedelta(days=2)).isoformat()
                values = {"validity_date": yesterday}
                do(events, lead, "expired", client.call, "sale.order", "write", [order], values)
                continue
            if index % 3:
                do(events, lead, "sent", client.call, "sale.order", "action_quotation_sent", [order])
            if index % 3 == 2 and chance.random() < 0.3:
                do(events, lead, "confirmed", client.call, "sale.order", "action_confirm", [order])
            stage_id = client.call("crm.lead", "read", [lead], ["stage_id"])[0]["stage_id"][0]
            events[-1] = events[-1]._replace(rank=stages.index(stage_id))
            if index % 2 and chance.random() < 0.4:
                lose_and_restore(client, lead, events)
        except RemoteError as error:
            # the clients do not ask each other before
            if "Won stage cannot be lost" not in str(error):
                errors.append(str(error))
        except OSError as error:
            errors.append(f"HTTP: {error}")
    return events, errors


def lose_and_restore(client, lead, events):
    start = time.monotonic()
    end = float("inf")
    try:
        client.call("crm.lead", "action_set_lost", [lead])
        client.call("crm.lead", "action_restore", [lead])
        end = time.monotonic()
    except RemoteError as error:
        if "Won stage cannot be lost" in str(error):
            end = start  # it never was
        raise
    finally:
        events.append(Event(lead, "lost", start, end))


def run_job(client, job, stop):
    """Run the scheduled job that moves what falls due, again and again, as often as its server may do.

    :return: number of runs, errors
    """
    runs, errors = 0, []
    while not stop.wait(0.5):
        try:
            client.call("ir.cron", "method_direct_trigger", [job])
            runs += 1
        except (RemoteError, OSError) as error:
            errors.append(f"scheduled job: {error}")
    return runs, errors


def manage(client, stages, stop):
    """Edit stages and automations all the time, in ways that leave the rules what they are.

    :return: edits by kind, errors
    """
    chance = random.Random(99)
    edits, errors = Counter(), []
    sent_automation = client.call("crm.stage.automation", "search", [("trigger", "=", "quotation_sent")])
    values = {"stage_id": stages[2], "trigger": "quotation_cancelled"}

    def edit_probability():
        client.call("crm.stage", "write", [chance.choice(stages)], {"probability": chance.randint(5, 95)})

    def edit_condition():
        domain = f"[('amount_total', '>=', {-chance.randint(1, 9)})]"
        client.call("crm.stage.automation", "write", sent_automation, {"filter_domain": domain})

    def add_and_delete_automation():
        (automation,) = client.call("crm.stage.automation", "create", [values])
        client.call("crm.stage.automation", "unlink", [automation])

    def add_and_delete_stage():
        stage, _name = client.call("crm.stage", "name_create", "Passing")
        client.call("crm.stage", "unlink", [stage])

    def rename_stage():
        client.call("crm.stage", "write", [stages[1]], {"name": chance.choice(["Estimate", "Costing"])})

    while not stop.wait(0.2):
        edit = chance.choice(
            [edit_probability, edit_condition, add_and_delete_automation, add_and_delete_stage, rename_stage]
        )
        try:
            edit()
            edits[edit.__name__] += 1
        except (RemoteError, OSError) as error:
            errors.append(f"manager, {edit.__name__}: {error}")
    return edits, errors


# ------------------------------------------------------------------
# Afterwards
# ------------------------------------------------------------------


def get_moving(events):
    """An event while the opportunity may have been lost may or may not have moved it.

    :return: all events that may have moved the opportunity, and those that have to
    """
    lost = [event for event in events if event.kind == "lost"]
    moving = [event for event in events if event.kind in RANKS]
    sure = [
        event
        for event in moving
        if event.end != float("inf")
        and not any(event.start <= window.end and window.start <= event.end for window in lost)
    ]
    return moving, sure


def check(client, leads, events):
    """Opportunities are where their furthest event put them; won ones are at 100%, none is lost.

    :return: opportunities by rank, errors
    """
    fields = ["stage_id", "active", "won_status", "probability"]
    stages = client.call("crm.stage", "search_read", [], ["is_won", "probability"])
    ranks = {stage["id"]: rank for rank, stage in enumerate(stages)}
    found, errors = Counter(), []
    if len(stages) != 5:
        errors.append(f"{len(stages)} stages are left")
    events_by_lead = {}
    for event in events:
        events_by_lead.setdefault(event.lead_id, []).append(event)
    for lead in client.call(
        "crm.lead", "search_read", [("id", "in", leads)], fields, context={"active_test": False}
    ):
        rank = ranks.get(lead["stage_id"] and lead["stage_id"][0])
        found[rank] += 1
        if rank is None:
            errors.append(f"opportunity {lead['id']} has no stage of the pipeline: {lead}")
            continue
        moving, sure = get_moving(events_by_lead.get(lead["id"], []))
        least, highest = (max((RANKS[event.kind] for event in some), default=0) for some in (sure, moving))
        errors += [
            f"opportunity {lead['id']} was still at {event.rank} when it was {event.kind}"
            for event in sure
            if event.rank is not None and event.rank < RANKS[event.kind]
        ]
        if not least <= rank <= highest:
            kinds = Counter(event.kind for event in events_by_lead.get(lead["id"], []))
            errors.append(f"opportunity {lead['id']} is at {rank}, not {least} to {highest}, after {kinds}")
        is_won = stages[rank]["is_won"]
        if not lead["active"] or lead["won_status"] != ("won" if is_won else "pending"):
            errors.append(f"opportunity {lead['id']} should be {'won' if is_won else 'open'}: {lead}")
        if abs(lead["probability"] - stages[rank]["probability"]) > 0.005:
            errors.append(
                f"opportunity {lead['id']} is not at its stage's {stages[rank]['probability']}%: {lead}"
            )
    if sum(found.values()) != len(leads):
        errors.append(f"{len(leads)} opportunities before, {sum(found.values())} after")
    for automation in client.call(
        "crm.stage.automation", "search_read", [("fault", "!=", False)], ["name", "fault"]
    ):
        errors.append(f"an automation has become faulty: {automation}")
    return found, errors


def check_rules_in_all_workers(manager, clients, partner, stages):
    """What one request says of an automation holds in all later ones, whichever worker answers.

    :return: errors
    """
    values = {"stage_id": stages[2], "trigger": "quotation_cancelled", "from_stage_ids": [(6, 0, stages[:2])]}
    (automation,) = manager.call("crm.stage.automation", "create", [values])

    def is_moved(client):
        (lead,) = client.call("crm.lead", "create", [{"name": "Worker", "type": "opportunity"}])
        (order,) = client.call("sale.order", "create", [{"partner_id": partner, "opportunity_id": lead}])
        client.call("sale.order", "action_cancel", [order])
        return client.call("crm.lead", "read", [lead], ["stage_id"])[0]["stage_id"][0] == stages[2]

    errors = []
    for state, edit, expected in (
        ("new", None, True),
        ("conditional", ("write", [automation], {"filter_domain": "[('name', '=', 'none')]"}), False),
        ("unconditional", ("write", [automation], {"filter_domain": False}), True),
        ("deleted", ("unlink", [automation]), False),
    ):
        if edit:
            manager.call("crm.stage.automation", *edit)
        with ThreadPoolExecutor(len(clients)) as pool:
            for result in pool.map(is_moved, clients * 2):
                if result != expected:
                    errors.append(f"a worker knows nothing of the {state} automation")
    return errors


def read_log(path):
    """:return: workers that answered, transactions tried again, errors"""
    entries = re.split(r"^(?=\d{4}-\d\d-\d\d \d\d:)", Path(path).read_text(), flags=re.M)
    workers = {entry.split()[2] for entry in entries if "/web/dataset/call_kw/" in entry}
    retries = sum(" tries left, try again in " in entry for entry in entries)
    errors = [
        entry.strip()
        for entry in entries
        if re.search(r'^\S+ \S+ \d+ (CRITICAL|ERROR)|" 500 -', entry)
        and not re.search("|".join(CONCURRENCY_MESSAGES), entry)
    ]
    if len(workers) < 2:
        errors.append(f"{len(workers)} workers have answered: this tells nothing of several")
    return len(workers), retries, errors


def main(address, database, log):
    manager = Client(address, database, "admin")
    columns = manager.call("crm.stage", "search", [])
    stages = columns[:4]  # open ones
    (partner,) = manager.call("res.partner", "create", [{"name": "Soak"}])
    names = [{"name": f"Soak {n}", "type": "opportunity"} for n in range(OPPORTUNITIES)]
    leads = manager.call("crm.lead", "create", names)
    group = manager.call("ir.model.data", "search_read", SALESPERSON, ["res_id"])[0]["res_id"]
    logins = [f"salesperson_{number}" for number in range(CLIENTS)]
    users = [
        {"name": login, "login": login, "password": login, "group_ids": [(6, 0, [group])]} for login in logins
    ]
    manager.call("res.users", "create", users)
    clients = [Client(address, database, login) for login in logins]

    values = {"stage_id": stages[RANKS["expired"]], "trigger": "quotation_expired"}
    manager.call("crm.stage.automation", "create", [values])
    job = manager.call("ir.model.data", "search_read", DUE_JOB, ["res_id"])[0]["res_id"]
    clock = Client(address, database, "admin")

    errors = check_rules_in_all_workers(manager, clients, partner, stages)
    started = time.monotonic()
    stop = threading.Event()
    with ThreadPoolExecutor(CLIENTS + 2) as pool:
        editor = pool.submit(manage, manager, stages, stop)
        scheduler = pool.submit(run_job, clock, job, stop)
        works = [
            pool.submit(work, client, number, leads, columns, partner, started + SECONDS)
            for number, client in enumerate(clients)
        ]
        try:
            results = [future.result() for future in works]
        finally:
            stop.set()
        edits, manager_errors = editor.result()
        runs, job_errors = scheduler.result()
    # Odoo's nightly job mends the probability of whoever entered a stage while it was being changed.
    nightly = manager.call("ir.model.data", "search_read", NIGHTLY_JOB, ["res_id"])[0]["res_id"]
    for each in (job, nightly):
        clock.call("ir.cron", "method_direct_trigger", [each])
    seconds = time.monotonic() - started
    events = [event for done, _errors in results for event in done]
    found, wrong = check(manager, leads, events)
    workers, retries, logged = read_log(log)
    errors += [error for _done, client_errors in results for error in client_errors]
    errors += manager_errors + job_errors + wrong + logged
    counts = sum((client.counts for client in (manager, *clients)), Counter())
    kinds = Counter(event.kind for event in events)
    print(
        f"{counts['requests']} requests to {workers} workers, {seconds:.0f} s at work\n"
        f"Tried again by the server: {retries}, by users: {counts['clicked again']}\n"
        f"Opportunities: {len(leads)} before, {sum(found.values())} after; by column: "
        f"{[found[rank] for rank in range(5)]}\n"
        f"Quotations {kinds['created']}, sent {kinds['sent']}, confirmed {kinds['confirmed']}; "
        f"opportunities lost and restored {kinds['lost']}\n"
        f"Quotations expired {kinds['expired']}, runs of the scheduled job {runs}\n"
        f"Edits of stages and automations: {dict(edits)}"
    )
    if not all(kinds[kind] for kind in (*RANKS, "lost")) or len(edits) < 5:
        errors.append("something was never done: this tells nothing of it")
    if errors:
        lines = [f"{number} x {error}" for error, number in Counter(map(str, errors)).most_common(20)]
        sys.exit(f"{len(errors)} errors:\n  " + "\n  ".join(lines))
    print("Every opportunity is where the rules say")


if __name__ == "__main__":
    main(*sys.argv[1:])
