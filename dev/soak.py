"""Clients that quote, send, confirm, lose and restore shared opportunities; a manager edits stages and lines.

Bounded in requests and time. Afterwards every opportunity has to be where the rules say.

Usage: soak.py <address> <database>
"""

import json
import random
import sys
import threading
import time
import urllib.request
from collections import Counter

CLIENTS = 8
ROUNDS = 12  # per client
SECONDS = 600  # at the most
OPPORTUNITIES = 24  # half of them are never lost


class RemoteError(Exception):
    """The server refused: its message is the text."""


class Client:
    """A session of its own, by JSON-RPC."""

    def __init__(self, address, database, login, counts):
        self.address = address
        self.counts = counts
        self.cookie = None
        self.post("/web/session/authenticate", {"db": database, "login": login, "password": login})

    def post(self, path, params):
        body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}).encode()
        headers = {"Content-Type": "application/json"}
        if self.cookie:
            headers["Cookie"] = self.cookie
        request = urllib.request.Request(self.address + path, body, headers)
        with urllib.request.urlopen(request, timeout=120) as response:
            if cookie := response.headers.get("Set-Cookie"):
                self.cookie = cookie.split(";")[0]
            answer = json.load(response)
        self.counts["requests"] += 1
        if error := answer.get("error"):
            self.counts["refused"] += 1
            raise RemoteError(error["data"].get("message") or error["message"])
        return answer["result"]

    def call(self, model, method, *args, **kwargs):
        return self.post(
            f"/web/dataset/call_kw/{model}/{method}",
            {"model": model, "method": method, "args": list(args), "kwargs": kwargs},
        )


def work(client, number, leads, partner, done, errors, deadline):
    """Make and send quotations, confirm some; lose and restore some opportunities."""
    chance = random.Random(number)
    for _round in range(ROUNDS):
        if time.monotonic() > deadline:
            errors.append("out of time")
            return
        lead = chance.choice(leads)
        losable = leads.index(lead) % 2
        try:
            values = {"partner_id": partner, "opportunity_id": lead}
            order = client.call("sale.order", "create", [values])[0]
            done.append((lead, "created"))
            client.call("sale.order", "action_quotation_sent", [order])
            done.append((lead, "sent"))
            if chance.random() < 0.3:
                client.call("sale.order", "action_confirm", [order])
                done.append((lead, "confirmed"))
            if losable and chance.random() < 0.5:
                client.call("crm.lead", "action_set_lost", [lead])
                client.call("crm.lead", "action_restore", [lead])
        except RemoteError as error:
            # a won opportunity cannot be lost: the clients do not ask each other before
            if "Won stage cannot be lost" not in str(error):
                errors.append(str(error))
        except OSError as error:
            errors.append(f"HTTP: {error}")


def manage(client, stages, stop, errors):
    """Probabilities, folds and lines are edited all the time."""
    chance = random.Random(99)
    line = None
    while not stop.wait(0.2):
        try:
            stage = chance.choice(stages)
            client.call("crm.stage", "write", [stage], {"probability": chance.randint(5, 95)})
            if line is None:
                values = {"stage_id": stages[2], "trigger": "quotation_cancelled"}
                line = client.call("crm.stage.automation", "create", [values])[0]
            else:
                client.call("crm.stage.automation", "unlink", [line])
                line = None
        except RemoteError as error:
            errors.append(f"manager: {error}")
        except OSError as error:
            errors.append(f"manager, HTTP: {error}")


def check(client, leads, done, errors):
    """Opportunities are where their furthest event put them; won ones are at 100%, lost ones inactive."""
    fields = ["stage_id", "active", "won_status", "probability", "automated_probability"]
    ranks = {
        stage["id"]: (rank, stage["is_won"])
        for rank, stage in enumerate(client.call("crm.stage", "search_read", [], ["is_won"]))
    }
    least = {"created": 1, "sent": 3, "confirmed": 4}
    for lead in client.call("crm.lead", "read", leads, fields):
        if not lead["stage_id"]:
            errors.append(f"opportunity {lead['id']} has no stage")
            continue
        rank, is_won = ranks[lead["stage_id"][0]]
        events = [event for lead_id, event in done if lead_id == lead["id"]]
        expected = max((least[event] for event in events), default=0)
        if leads.index(lead["id"]) % 2 == 0 and rank != expected:
            errors.append(f"opportunity {lead['id']} is at {rank}, not {expected}, after {Counter(events)}")
        if is_won != (lead["won_status"] == "won") or (is_won and lead["probability"] != 100):
            errors.append(
                f"opportunity {lead['id']} is {lead['won_status']} at {lead['probability']}%: {lead}"
            )
        if lead["won_status"] == "lost" and lead["active"]:
            errors.append(f"opportunity {lead['id']} is lost and active")


def check_rules_in_all_workers(manager, partner, stages, errors):
    """A line made by one request moves in the next ones, whichever worker answers; deleted, it does not."""
    values = {"stage_id": stages[2], "trigger": "quotation_cancelled", "from_stage_ids": [(6, 0, stages[:2])]}
    line = manager.call("crm.stage.automation", "create", [values])[0]
    for expected in (True, False):
        for _try in range(12):
            lead = manager.call("crm.lead", "create", [{"name": "Worker", "type": "opportunity"}])[0]
            order = manager.call("sale.order", "create", [{"partner_id": partner, "opportunity_id": lead}])[0]
            manager.call("sale.order", "action_cancel", [order])
            stage = manager.call("crm.lead", "read", [lead], ["stage_id"])[0]["stage_id"][0]
            if (stage == stages[2]) != expected:
                errors.append(f"a worker {'missed the new' if expected else 'still used the deleted'} line")
        if expected:
            manager.call("crm.stage.automation", "unlink", [line])


def main(address, database):
    counts, done, errors, stop = Counter(), [], [], threading.Event()
    manager = Client(address, database, "admin", counts)
    stages = [
        stage["id"]
        for stage in manager.call("crm.stage", "search_read", [], ["is_won"])
        if not stage["is_won"]
    ]
    partner = manager.call("res.partner", "create", [{"name": "Soak"}])[0]
    leads = manager.call(
        "crm.lead", "create", [{"name": f"Soak {n}", "type": "opportunity"} for n in range(OPPORTUNITIES)]
    )
    check_rules_in_all_workers(manager, partner, stages, errors)
    started = time.monotonic()
    clients = [Client(address, database, "admin", counts) for _number in range(CLIENTS)]
    threads = [
        threading.Thread(target=work, args=(client, n, leads, partner, done, errors, started + SECONDS))
        for n, client in enumerate(clients)
    ]
    editor = threading.Thread(target=manage, args=(manager, stages, stop, errors))
    for thread in (*threads, editor):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    editor.join()
    check(manager, leads, done, errors)
    print(
        f"{counts['requests']} requests in {time.monotonic() - started:.0f} s, {counts['refused']} refused; "
        f"{dict(Counter(event for _lead, event in done))} quotations of {len(leads)} opportunities"
    )
    if errors:
        sys.exit(f"{len(errors)} errors:\n  " + "\n  ".join(map(str, Counter(errors).most_common(20))))
    print("Every opportunity is where the rules say")


if __name__ == "__main__":
    main(*sys.argv[1:])
