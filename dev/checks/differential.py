"""The same random actions on a database with the addon and on one without: Odoo does the same in both.

With predictive stages nothing differs. With fixed ones, the probability does, and what is computed from it.
Besides, after each action the database with the addon keeps its own rules (see "What has to hold").

Run in Odoo's shell on the database with the addon, by `make test-differential`. Both databases are copies to
throw away; no sequence is committed.
"""

import random
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial

from odoo import SUPERUSER_ID, Command, api
from odoo.modules import module
from odoo.modules.registry import Registry
from odoo.tests import Form

# The stages that each sequence begins with: name, sequence, won, team, folded, probability where it is fixed
STAGES = (
    ("First", 1, False, None, False, 10),
    ("Second", 2, False, None, False, 25),
    ("Of a Team", 2, False, 0, False, 40),
    ("Folded", 3, False, None, True, 60),
    ("Late", 4, False, None, False, 75),
    ("Won", 70, True, None, False, 100),
    ("Won by a Team", 71, True, 1, False, 100),
    ("After", 80, False, 1, False, 30),
)
MODES = ("predictive", "fixed", "mixed")
# The same transactions' times on both sides
START = datetime.now().replace(microsecond=0)
USERS = ("own_leads", "all_leads", "manager", "odoobot")
GROUPS = ("group_sale_salesman", "group_sale_salesman_all_leads", "group_sale_manager")
TEAMS = ("North", "South")

# Fields of opportunities that are compared as they are, ...
COMPARED = ["name", "active", "type", "won_status", "priority", "expected_revenue", "recurring_revenue"]
COMPARED += ["date_last_stage_update", "date_conversion", "date_open", "date_deadline"]
# ... as places in the lists of records of their side, ...
RECORDS = {
    "stage_id": "stages",
    "team_id": "teams",
    "user_id": "users",
    "lost_reason_id": "reasons",
    "country_id": "countries",
}
# ... and those that a fixed stage gives
PROBABILITIES = ["probability", "automated_probability", "is_automated_probability", "prorated_revenue"]
PROBABILITIES += ["recurring_revenue_monthly_prorated", "recurring_revenue_prorated"]

# Kinds of actions on opportunities, and how often they are taken
KINDS = {"write": 9, "form": 4, "create": 3, "move": 2, "load": 2, "lose": 2, "win": 2, "restore": 2}
KINDS |= dict.fromkeys(("archive", "unarchive", "merge", "convert", "copy"), 1)
KINDS |= dict.fromkeys(("unlink", "automate", "nightly"), 1)
# Kinds of actions on stages, which managers do most of the time
OF_STAGES = ("create_stage", "change_stage", "reorder", "archive_stage", "unlink_stage")
# Fields of stages that Odoo alone does not have
OF_ADDON = {"probability", "probability_mode"}


# ------------------------------------------------------------------
# Actions
# ------------------------------------------------------------------


class Generator:
    """Actions as tuples of plain data: kind, user, and arguments, with numbers for records.

    A number counts the records that exist, around and around: dropping an action leaves the others valid.
    """

    def __init__(self, seed, mode):
        self.chance = random.Random(f"{seed} {mode}")
        self.mode = mode

    def get_actions(self, length=15):
        kinds = KINDS | dict.fromkeys(OF_STAGES, 1)
        names = self.chance.choices(list(kinds), list(kinds.values()), k=length)
        return [self.get_action("create"), *map(self.get_action, names)]

    def get_action(self, kind):
        user = self.chance.choices(range(4), [0, 1, 8, 4] if kind in OF_STAGES else [3, 3, 3, 2])[0]
        return (kind, user, *getattr(self, f"get_{kind}")())

    def pick(self, *values):
        return self.chance.choice(values)

    def get_number(self):
        return self.chance.randrange(40)

    def get_numbers(self, most=4):
        return [self.get_number() for _index in range(self.chance.choice([1, 1, 2, most]))]

    def get_lead_values(self, number):
        """:return: that many values of an opportunity"""
        # Set by hand to 0%, and archived, an opportunity is lost. The next fixed stage takes that away.
        lowest = 0 if self.mode == "predictive" else 1
        choices = {
            "stage_id": lambda: self.get_number(),
            "team_id": lambda: self.pick(None, 0, 1),
            "user_id": lambda: self.pick(None, 0, 1, 2),
            "type": lambda: self.pick("lead", "opportunity"),
            "active": lambda: self.pick(False, True),
            "probability": lambda: self.pick(lowest, 10, 25, 42.5, 75, 100),
            "country_id": lambda: self.pick(None, 0, 1),
            "lost_reason_id": lambda: self.pick(None, 0, 1),
            "expected_revenue": lambda: self.pick(0, 700, 1300),
            "priority": lambda: self.pick("0", "2"),
            "date_deadline": lambda: self.pick(None, "2031-03-03"),
        }
        weights = [6, 3, 3, 2, 2, 4, 1, 1, 1, 1, 1]
        names = self.chance.choices(list(choices), weights, k=number)
        return {name: choices[name]() for name in dict.fromkeys(names)}

    def get_new_values(self, number):
        """:return: values of a new opportunity that is not archived: of one that is, Odoo stores no
        probability, not even 0%, and its nightly job counts it as lost only when 0% is written once more
        """
        return {name: value for name, value in self.get_lead_values(number).items() if name != "active"}

    def get_create(self):
        base = {"type": "opportunity", "expected_revenue": 1000, "recurring_revenue": 300}
        return ([base | self.get_new_values(self.pick(1, 3)) for _index in range(self.pick(1, 2, 3))],)

    def get_write(self):
        values = self.get_lead_values(self.pick(1, 1, 2, 3))
        if "probability" in values and self.pick(True, False, False):
            values["probability"] = "present"  # as a form sends it back
        return self.get_numbers(), values

    def get_move(self):
        return self.get_numbers(), {"stage_id": self.get_number()}

    def get_form(self):
        """What is entered in a form before it is saved, one after the other"""
        values = [self.get_lead_values(14) for _index in range(self.pick(1, 2, 3))]
        names = [self.pick("stage_id", "stage_id", "team_id", "user_id", "probability") for _values in values]
        entered = [(name, found[name]) for name, found in zip(names, values, strict=True) if name in found]
        return self.get_number(), entered

    def get_load(self):
        names = self.chance.sample(["stage_id", "team_id", "user_id", "type", "active", "probability"], 3)
        numbers = self.pick(None, self.get_numbers())
        rows = []
        for _index in range(self.pick(1, 2)):
            values = dict.fromkeys(names, "") | self.get_lead_values(14)
            # Odoo takes an empty cell for 0%, set by hand. With the addon, the probability stays as it is.
            if values.get("probability") == "":
                values["probability"] = 33
            values["type"] = values.get("type") or "opportunity"
            if numbers is None:
                values["active"] = True  # see `get_new_values`
            rows.append({name: values[name] for name in names})
        return numbers, rows

    def get_lose(self):
        return self.get_numbers(), self.pick(None, 0, 1)

    def get_win(self):
        return (self.get_numbers(),)

    get_restore = get_archive = get_unarchive = get_unlink = get_win

    def get_automate(self):
        return (self.get_number(),)

    def get_nightly(self):
        return ()

    def get_merge(self):
        numbers = [self.get_number() for _index in range(self.pick(2, 3))]
        return numbers, self.pick(None, 0, 1), self.pick(None, 0, 1)

    def get_convert(self):
        return self.get_numbers(), self.pick(None, 0, 1), self.pick(None, 0, 1)

    def get_copy(self):
        return self.get_number(), self.get_new_values(self.pick(0, 0, 1))

    def get_create_stage(self):
        values = {"sequence": self.pick(0, 2, 3, 50, 90), "is_won": self.pick(False, False, True)}
        return ({**values, "team_ids": self.pick([], [], [0], [1])},)

    def get_reorder(self):
        return ([self.get_number() for _index in range(self.pick(2, 4))],)

    def get_unlink_stage(self):
        return (self.get_numbers(2),)

    def get_archive_stage(self):
        return self.get_numbers(2), self.pick(False, False, True)

    def get_change_stage(self):
        choices = [{"is_won": True}, {"is_won": False}, {"team_ids": [0]}, {"team_ids": []}, {"fold": True}]
        choices += [{"probability": 33}, {"is_won": False, "sequence": 3}]
        if self.mode != "predictive":
            choices += [{"probability_mode": "fixed"}, {"probability_mode": "predictive"}]
        return self.get_numbers(2), self.chance.choice(choices)


# ------------------------------------------------------------------
# One of the two databases
# ------------------------------------------------------------------


class Side:
    """A database, and its records in the order in which they were made, which is that of the other side."""

    def __init__(self, database):
        self.registry = Registry(database)
        self.has_addon = "crm.stage.stay" in self.registry

    # Making ready

    def set_up(self):
        """Leave nothing of the delivered pipeline, and make what all sequences begin with."""
        if not self.has_addon:
            self._let_stages_be_archived()
        with self.registry.cursor() as cr:
            cr._now = START
            env = api.Environment(cr, SUPERUSER_ID, {"active_test": False, "tracking_disable": True})
            old_stages = env["crm.stage"].search([])
            self._make_records(env)
            env["crm.lead"].search([]).unlink()
            if self.has_addon:
                env["crm.stage.automation"].search([]).unlink()
            old_stages.unlink()
            env["crm.lead.scoring.frequency"].search([]).unlink()
            self._make_history(env)
            cr.commit()

    def _let_stages_be_archived(self):
        """Odoo's stages cannot be archived, but its ORM can archive what has a field of this name."""
        with self.registry.cursor() as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            model = env["ir.model"]._get("crm.stage")
            values = {"name": "x_active", "field_description": "Active", "ttype": "boolean"}
            env["ir.model.fields"].create({"model_id": model.id, **values})
            cr.commit()

    def _make_records(self, env):
        env["ir.config_parameter"].set_param("crm.pls_fields", "country_id,phone_state")
        env["ir.config_parameter"].set_param("crm.pls_start_date", "2020-01-01")
        users = env["res.users"].with_context(no_reset_password=True)
        recurring = env.ref("crm.group_use_recurring_revenues")
        for name, group in zip(USERS, GROUPS, strict=False):
            groups = env.ref(f"sales_team.{group}") + recurring
            values = {"name": name, "login": f"differential_{name}", "notification_type": "inbox"}
            users += users.create({**values, "group_ids": [Command.set(groups.ids)]})
        env["crm.team"].search([]).active = False
        teams = env["crm.team"].create([{"name": name, "use_leads": True} for name in TEAMS])
        teams[0].member_ids = users[0] + users[1]
        teams[1].member_ids = users[2]
        self.users = [*users.ids, SUPERUSER_ID]
        self.teams = teams.ids
        self.plan = env["crm.recurring.plan"].search([], limit=1).id
        self.reasons = env["crm.lost.reason"].search([], limit=2).ids
        self.countries = [env.ref("base.fr").id, env.ref("base.be").id]
        self.stages = []
        for name, sequence, is_won, team, fold, probability in STAGES:
            values = {"name": name, "sequence": sequence, "is_won": is_won, "fold": fold}
            values["team_ids"] = [] if team is None else [team]
            values |= {"probability": probability, "probability_mode": "predictive"}
            self._create_stage(env, values)

    def _make_history(self, env):
        """Won and lost opportunities, without which Odoo's scoring computes nothing"""
        values_list = []
        for number in range(24):
            values = {"name": f"Past {number}", "type": "opportunity", "user_id": False}
            values |= {"team_id": self.teams[number % 2], "country_id": self.countries[number // 2 % 2]}
            values_list.append({**values, "stage_id": self.stages[(0, 0, 1, 5, 5, 5)[number // 4]]})
        leads = env["crm.lead"].create(values_list)
        leads.filtered(lambda lead: not lead.stage_id.is_won).action_set_lost()

    # A sequence

    @contextmanager
    def sequence(self, mode):
        """Begin a sequence, and leave nothing of it."""
        kept = list(self.stages)
        self.mode, self.leads = mode, []
        with self.registry.cursor() as self.cr:
            self.env = api.Environment(self.cr, SUPERUSER_ID, {})
            self.now = START
            if self.has_addon:
                for number, stage in enumerate(self.env["crm.stage"].browse(self.stages)):
                    stage.write(self._get_mode(number))
            try:
                self._end_action()
                yield
            finally:
                self.cr.rollback()
                self.registry.clear_all_caches()
                self.stages = kept

    def _get_mode(self, number):
        is_fixed = self.mode == "fixed" or (self.mode == "mixed" and number % 2)
        return {"probability_mode": "fixed" if is_fixed else "predictive"}

    def _end_action(self):
        """What a commit does: records, and forgets what is in the cache"""
        self.cr.flush()
        self.cr.clear()
        self.cr.postcommit.clear()
        # As if each action came a minute after the one before: its time is its transaction's.
        self.now += timedelta(minutes=1)
        self.cr._now = self.now

    def perform(self, action):
        """Do an action, within a savepoint that ``close`` ends.

        :return: name of the class of what it raises, or None
        """
        kind, user, *arguments = action
        self.kept = list(self.leads), list(self.stages)
        self.cr.clear()  # of what was looked at
        self.savepoint = self.cr.savepoint()
        try:
            env = api.Environment(self.cr, self.users[user], {"lang": "en_US"})
            getattr(self, f"do_{kind}")(env, *arguments)
            self.cr.flush()
        except Exception as error:
            self.savepoint.rollback()
            self.leads, self.stages = self.kept
            self.error = error
            return type(error).__name__
        self.error = None
        return None

    def close(self, undo=False):
        """End the action, with ``undo`` as if it had not been."""
        self.savepoint.close(rollback=undo)
        if undo:
            self.leads, self.stages = self.kept
        self._end_action()

    # What numbers mean

    def _pick(self, model, env, ids, numbers):
        """:return: the records of these numbers, which count those that exist, around and around"""
        existing = self.env[model].browse(ids).exists().ids
        picked = dict.fromkeys(existing[number % len(existing)] for number in numbers if existing)
        return env[model].browse(picked)

    def _pick_leads(self, env, numbers):
        return self._pick("crm.lead", env, self.leads, numbers)

    def _pick_stages(self, env, numbers):
        return self._pick("crm.stage", env, self.stages, numbers)

    def _get_id(self, name, number):
        if number in (None, ""):
            return False
        if name == "stage_id":
            return self._pick_stages(self.env, [number]).id
        return getattr(self, RECORDS[name])[number]

    def _get_values(self, values, leads=None):
        values = {
            name: self._get_id(name, value) if name in RECORDS else value for name, value in values.items()
        }
        if values.get("probability") == "present":
            values["probability"] = leads[:1].probability
        return values

    # Actions on opportunities

    def _add(self, leads):
        self.leads += leads.ids

    def do_create(self, env, values_list):
        first = len(self.leads)
        values_list = [
            {"name": f"Lead {number}", "recurring_plan": self.plan, **self._get_values(values)}
            for number, values in enumerate(values_list, first)
        ]
        self._add(env["crm.lead"].create(values_list))

    def do_write(self, env, numbers, values):
        leads = self._pick_leads(env, numbers)
        leads.write(self._get_values(values, leads))

    do_move = do_write

    def do_form(self, env, number, entered):
        for lead in self._pick_leads(env, [number]):
            with Form(lead) as form:
                for name, value in entered:
                    value = self._get_values({name: value})[name]
                    comodel = lead._fields[name].comodel_name
                    setattr(form, name, env[comodel].browse(value or []) if comodel else value)

    def do_load(self, env, numbers, rows):
        """Import a file: of new opportunities, or with ``numbers`` of those that are there."""
        rows = [self._get_values(row) for row in rows]
        names = sorted(set().union(*rows))
        columns = [f"{name}/.id" if name in RECORDS else name for name in names]
        cells = [[self._get_cell(name, row.get(name, "")) for name in names] for row in rows]
        if numbers is None:
            columns.append("name")
            cells = [[*row, f"Lead {number}"] for number, row in enumerate(cells, len(self.leads))]
        else:
            columns.append(".id")
            ids = self._pick_leads(env, numbers).ids
            cells = [[*row, str(lead_id)] for row, lead_id in zip(cells, ids, strict=False)]
        result = env["crm.lead"].with_context(import_file=True).load(columns, cells)
        if not result["ids"]:
            raise ImportError(result["messages"])
        if numbers is None:
            self.leads += result["ids"]

    @staticmethod
    def _get_cell(name, value):
        return "" if name in RECORDS and not value else str(value)

    def do_lose(self, env, numbers, reason):
        values = {} if reason is None else {"lost_reason_id": self.reasons[reason]}
        self._pick_leads(env, numbers).action_set_lost(**values)

    def do_win(self, env, numbers):
        self._pick_leads(env, numbers).action_set_won()

    def do_restore(self, env, numbers):
        self._pick_leads(env, numbers).action_restore()

    def do_archive(self, env, numbers):
        self._pick_leads(env, numbers).action_archive()

    def do_unarchive(self, env, numbers):
        self._pick_leads(env, numbers).action_unarchive()

    def do_unlink(self, env, numbers):
        self._pick_leads(env, numbers).unlink()

    def do_automate(self, env, number):
        for lead in self._pick_leads(env, [number]):
            lead.action_set_automated_probability()

    def do_merge(self, env, numbers, user, team):
        leads = self._pick_leads(env, numbers)
        leads.merge_opportunity(self._get_id("user_id", user), self._get_id("team_id", team))

    def do_convert(self, env, numbers, user, team):
        user_ids = user is not None and [self.users[user]]
        self._pick_leads(env, numbers).convert_opportunity(False, user_ids, self._get_id("team_id", team))

    def do_copy(self, env, number, values):
        for lead in self._pick_leads(env, [number]):
            self._add(lead.copy(self._get_values(values, lead)))

    def do_nightly(self, env):
        """Odoo's scoring, which commits outside of tests"""
        module.current_test = "differential"
        try:
            self.env["crm.lead"]._cron_update_automated_probabilities()
        finally:
            module.current_test = False

    # Actions on stages

    def _get_stage_values(self, values):
        values = dict(values)
        if "team_ids" in values:
            values["team_ids"] = [Command.set([self.teams[number] for number in values["team_ids"]])]
        if not self.has_addon:
            values = {name: value for name, value in values.items() if name not in OF_ADDON}
            if "active" in values:
                values["x_active"] = values.pop("active")
        return values

    def _create_stage(self, env, values):
        if not self.has_addon:
            values = {**values, "active": True}
        self.stages += env["crm.stage"].create(self._get_stage_values(values)).ids

    def do_create_stage(self, env, values):
        name = f"Stage {len(self.stages)}"
        self._create_stage(env, {"name": name, **self._get_mode(len(self.stages)), **values})

    def do_change_stage(self, env, numbers, values):
        stages = self._pick_stages(env, numbers)
        if "probability" in values:
            # The addon refuses any but 100% of a won stage, which Odoo alone does not have.
            stages = stages.filtered(lambda stage: not stage.is_won)
        # One by one: Odoo scores all opportunities that are won no longer before it counts the first as such.
        # The addon gives each stage its own percentage, and writes one after the other.
        for stage in stages:
            stage.write(self._get_stage_values(values))

    def do_archive_stage(self, env, numbers, active):
        self.do_change_stage(env, numbers, {"active": active})

    def do_reorder(self, env, numbers):
        """The columns of these numbers change places."""
        stages = self._pick_stages(env, numbers)
        for stage, sequence in zip(stages, sorted(stages.mapped("sequence")), strict=True):
            stage.sequence = sequence

    def do_unlink_stage(self, env, numbers):
        self._pick_stages(env, numbers).unlink()

    # What is seen

    def look(self):
        """
        :return: ``({number of the opportunity: {field: value}}, frequencies of the scoring)``, with numbers
            in place of the ids of records
        """
        numbers = {
            name: {record_id: number for number, record_id in enumerate(getattr(self, ids))}
            for name, ids in RECORDS.items()
        }
        seen = {}
        for lead in self.env["crm.lead"].browse(self.leads).exists():
            values = {name: lead[name] for name in COMPARED}
            values |= {name: numbers[name].get(lead[name].id) for name in RECORDS}
            values |= {name: round(lead[name], 2) for name in PROBABILITIES}
            values["is closed"] = bool(lead.date_closed)
            seen[self.leads.index(lead.id)] = values
        rows = []
        for row in self.env["crm.lead.scoring.frequency"].search([]):
            value = numbers["stage_id"].get(int(row.value)) if row.variable == "stage_id" else row.value
            team = numbers["team_id"].get(row.team_id.id)
            rows.append((row.variable, str(value), str(team), round(row.won_count), round(row.lost_count)))
        return seen, sorted(rows)

    def look_at_stays(self):
        """:return: ``{number of the opportunity: its stays that have not ended, as [(stage, outcome)]}``"""
        stays = self.env["crm.stage.stay"].search([("date_left", "=", False)])
        places = [(stay.stage_id.id, stay.outcome) for stay in stays]
        by_lead = {}
        for stay, place in zip(stays, places, strict=True):
            by_lead.setdefault(stay.lead_id.id, []).append(place)
        return {number: by_lead.get(lead_id, []) for number, lead_id in enumerate(self.leads)}


# ------------------------------------------------------------------
# What has to hold
# ------------------------------------------------------------------


def get_wrong_stays(addon, leads):
    """One open stay for an opportunity that is not archived, in its stage, and none otherwise"""
    wrong = []
    for number, stays in addon.look_at_stays().items():
        expected = []
        lead = leads.get(number)
        if lead and lead["active"] and lead["type"] == "opportunity":
            stage_id = False if lead["stage_id"] is None else addon.stages[lead["stage_id"]]
            expected = [(stage_id, "won" if lead["won_status"] == "won" else "open")]
        if stays != expected:
            wrong.append(f"lead {number}: its open stays are {stays}, not {expected}")
    return wrong


def get_wrong_probabilities(addon, before, after, action):
    """Won means 100%. An open opportunity in a fixed stage knows the probability of that, and has it unless
    another one was set by hand: by this action, or before and not moved by it.
    """
    wrong = []
    stages = addon.env["crm.stage"].browse(addon.stages)
    for number, lead in after.items():
        if lead["won_status"] == "won" and lead["probability"] != 100:
            wrong.append(f"lead {number}: won at {lead['probability']}%")
        stage = stages[lead["stage_id"]] if lead["stage_id"] is not None else stages.browse()
        if not is_open(lead) or not stage.is_fixed:
            continue
        if lead["automated_probability"] != stage.probability:
            wrong.append(f"lead {number}: knows {lead['automated_probability']}% of {stage.probability}%")
        former = before.get(number, {"is_automated_probability": True, "stage_id": None})
        was_set_by_hand = not former["is_automated_probability"] and former["stage_id"] == lead["stage_id"]
        if not (was_set_by_hand or lead["is_automated_probability"] or "probability" in str(action)):
            wrong.append(f"lead {number}: {lead['probability']}% was not set by hand")
    return wrong


def is_open(lead):
    return lead["active"] and lead["won_status"] == "pending"


def get_differences(plain, addon, mode):
    """
    :param plain: what is seen on the database without the addon, see ``Side.look``
    :param addon: what is seen on the one with it
    :return: what differs, in words
    """
    ignored = set() if mode == "predictive" else set(PROBABILITIES)
    (leads, frequencies), (leads_with_addon, frequencies_with_addon) = plain, addon
    differences = []
    for number in sorted(leads.keys() ^ leads_with_addon.keys()):
        differences.append(f"lead {number} exists on one side only")
    for number in sorted(leads.keys() & leads_with_addon.keys()):
        lead, with_addon = leads[number], leads_with_addon[number]
        # Odoo closes what is set to 100%, in whatever stage, and opens what is set to less.
        skipped = ignored | {"is closed"} if ignored and lead["won_status"] == "pending" else ignored
        differences += [
            f"lead {number}: {name} is {with_addon[name]} with the addon, {value} without"
            for name, value in lead.items()
            if name not in skipped and with_addon[name] != value
        ]
    for one, other, where in (
        (frequencies, frequencies_with_addon, "without"),
        (frequencies_with_addon, frequencies, "with"),
    ):
        if differing := sorted(set(one) - set(other)):
            differences.append(f"frequencies {where} the addon alone: {differing}")
    return differences


# ------------------------------------------------------------------
# Where they may differ
# ------------------------------------------------------------------


def is_refused_by_promise(addon, action):
    """A pipeline, and each team, keeps an open stage and a won one: Odoo lets the last one go."""
    kind, _user, *arguments = action
    if kind not in ("archive_stage", "unlink_stage") or arguments[1:] == [True]:
        return False
    going = addon._pick_stages(addon.env, arguments[0]).filtered("active")
    left = addon.env["crm.stage"].search([("active", "=", True)]) - going
    teams = addon.env["crm.team"].search([]).ids
    for is_won in set(going.mapped("is_won")):
        serving = [stage.team_ids.ids or teams for stage in left if stage.is_won == is_won]
        if not serving or set(teams) - set().union(*serving):
            return True
    return False


def is_begun_in_archived_stage(addon, action):
    """With the addon, nothing begins in an archived stage, but in the team's first one."""
    kind, _user, *arguments = action
    if kind not in ("create", "copy", "load") or kind == "load" and arguments[0] is not None:
        return False
    values_list = [arguments[-1]] if kind == "copy" else arguments[-1]
    numbers = [values.get("stage_id", "") for values in values_list]
    stages = addon._pick_stages(addon.env, [number for number in numbers if number != ""])
    return not all(stage.active for stage in stages)


def is_left_out(plain, mode, action, errors, seen):
    """:return: whether an action is undone on both sides, because they part there"""
    if errors[0] and not errors[1]:
        # Odoo's scoring does not find archived stages, and fails for what is lost there. What is won in one,
        # or in another team's first stage, it gives a score, which Odoo then refuses.
        return errors[0] == "KeyError" or "in a Won stage cannot be lost" in str(plain.error)
    (leads, _rows), (leads_with_addon, _rows_with_addon) = seen
    # Odoo leaves archived ones won where their stage is a won one no longer.
    stages = plain.env["crm.stage"].browse(plain.stages)
    if any(lead["won_status"] == "won" and not stages[lead["stage_id"]].is_won for lead in leads.values()):
        return True
    if mode == "predictive" or any(errors):
        return False
    # Of two in the same stage, Odoo keeps the one of the greater probability.
    if action[0] == "merge" and leads.keys() != leads_with_addon.keys():
        return True
    # Where a fixed stage gives a probability, Odoo's scoring may know none and leave 0%: archived means lost
    # then.
    return any(
        lead["probability"] == 0 != leads_with_addon[number]["probability"]
        for number, lead in leads.items()
        if number in leads_with_addon and (lead["active"] or action[0] == "automate")
    )


def find_difference(plain, addon, mode, actions):
    """Run ``actions`` on both sides.

    :return: place of the first action that makes a difference, and what differs, in words
    """
    with plain.sequence(mode), addon.sequence(mode):
        before = {}
        for place, action in enumerate(actions):
            if is_begun_in_archived_stage(addon, action):
                continue
            is_refused = is_refused_by_promise(addon, action)
            errors = plain.perform(action), addon.perform(action)
            seen = plain.look(), addon.look()
            is_undone = is_refused or is_left_out(plain, mode, action, errors, seen)
            problems = []
            if is_refused and not errors[1]:
                problems = ["The addon lets the last stage go"]
            elif not is_undone:
                problems = get_different_errors(action, errors, (plain.error, addon.error))
                problems += get_differences(*seen, mode)
                problems += get_wrong_stays(addon, seen[1][0])
                problems += get_wrong_probabilities(addon, before, seen[1][0], action)
                before = seen[1][0]
            if problems:
                return place, problems
            for side in (plain, addon):
                side.close(is_undone)
    return None


def get_different_errors(action, names, errors):
    # Odoo leaves it to the database to refuse to delete a stage in use, the addon says why.
    if names[0] == names[1] or (all(names) and action[0] == "unlink_stage"):
        return []
    return [f"{names[1]} with the addon, {names[0]} without: {errors[1] or errors[0]}"]


# ------------------------------------------------------------------
# Searching
# ------------------------------------------------------------------


def shrink(fails, actions):
    """:return: the actions without those, and without what in them, they still fail without"""
    size = len(actions)
    while size:
        start = 0
        while start < len(actions):
            fewer = actions[:start] + actions[start + size :]
            if fails(fewer):
                actions = fewer
            else:
                start += size
        size //= 2
    place = len(actions) - 1
    while place >= 0:
        simpler = [
            actions[:place] + [action] + actions[place + 1 :] for action in get_simpler(actions[place])
        ]
        if found := next(filter(fails, simpler), None):
            actions = found
        else:
            place -= 1
    return actions


def get_simpler(value):
    """:return: what ``value`` is without one of its parts, at any depth"""
    if isinstance(value, tuple):
        return [
            value[:i] + (part,) + value[i + 1 :] for i, item in enumerate(value) for part in get_simpler(item)
        ]
    if isinstance(value, dict):
        return [{name: value[name] for name in value if name != left_out} for left_out in value]
    if isinstance(value, list):
        fewer = [value[:i] + value[i + 1 :] for i in range(len(value))] if len(value) > 1 else []
        return fewer + [
            value[:i] + [part] + value[i + 1 :] for i, item in enumerate(value) for part in get_simpler(item)
        ]
    return []


def search(plain, addon, seed, sequences=None, seconds=60):
    """Try sequences until one fails.

    :return: whether none did
    """
    end = time.monotonic() + seconds
    number = 0
    while number < sequences if sequences else time.monotonic() < end:
        mode = MODES[number % len(MODES)]
        find = partial(find_difference, plain, addon, mode)
        actions = Generator(f"{seed} {number}", mode).get_actions()
        if found := find(actions):
            print(f"Sequence {number} of seed {seed} differs, with {mode} stages:", flush=True)
            actions = shrink(find, actions[: found[0] + 1])
            _place, problems = find(actions)
            print(*(f"    {action!r}," for action in actions), *(f"  {line}" for line in problems), sep="\n")
            return False
        number += 1
    print(f"{number} sequences of seed {seed}: no difference")
    return True


def main(database_without, database_with, seed=None, sequences=None):
    """:param seed: what a former run has printed, to try the same again"""
    seed = seed or str(random.randrange(10**6))
    print(f"Seed {seed}", flush=True)
    plain, addon = Side(database_without), Side(database_with)
    for side in (plain, addon):
        side.set_up()
    if not search(plain, addon, seed, sequences):
        raise SystemExit(1)
