from datetime import timedelta
from itertools import product

from odoo import Command
from odoo.exceptions import ValidationError
from odoo.tests import tagged
from odoo.tools import groupby

from .test_automation_due import NOON, DueCase

HOUR = timedelta(hours=1)
CALL = "mail.mail_activity_data_call"


@tagged("post_install", "-at_install")
class TestCombinations(DueCase):
    """Every automation that can be saved moves whom its sentence names, and nobody else.

    Each has opportunities of its own, which its condition finds, so that one event serves all of a trigger.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Nobody reads the chatter of these, or predicts by them: doing without takes half of the time.
        cls.env = cls.env["base"].with_context(mail_create_nolog=True, mail_notrack=True).env
        cls.classPatch(type(cls.env["crm.lead"]), "_message_track", lambda *args: {})
        cls.classPatch(type(cls.env["crm.lead"]), "_pls_increment_frequencies", lambda *args, **kwargs: True)
        cls.signed = cls.env["crm.stage"].create({"name": "Signed", "sequence": 99, "is_won": True})
        cls.origins = {
            "none": cls.env["crm.stage"],
            "open": cls.estimate,
            "won": cls.closed,
            "both": cls.estimate + cls.closed,
        }
        # How opportunities begin: stage, and whether they are lost there
        cls.states = {
            "first": (cls.new, False),
            "origin": (cls.estimate, False),
            "later": (cls.quotation, False),
            "won": (cls.closed, False),
            "lost": (cls.estimate, True),
            "lost elsewhere": (cls.new, True),
        }

    def is_refused(self, trigger, origins, outcome, is_lost_included):
        names_won, is_confirmed = origins in ("won", "both"), trigger == "order_confirmed"
        if outcome == "lost":
            return is_lost_included or names_won or is_confirmed
        return (is_lost_included and origins == "won") or (is_confirmed and names_won and not outcome)

    def get_named(self, origins, outcome, is_lost_included):
        """:return: the states of the opportunities that the sentence names"""
        named = {
            "none": {"first", "origin", "later"} if outcome else {"first", "origin"},
            "open": {"origin"},
            "won": {"won"},
            "both": {"origin", "won"},
        }[origins]
        lost = {"lost", "lost elsewhere"} if origins == "none" else {"lost"}
        return named | lost if is_lost_included else named

    def create_combinations(self, trigger):
        """:return: automations by combination; those that are refused are left out"""
        path = "name" if self.is_about_leads(trigger) else "opportunity_id.name"
        if trigger.startswith("activity"):
            path = "crm_stage_lead_id.name"
        accepted = {}
        for number, combination in enumerate(self.get_combinations()):
            origins, outcome, is_lost_included = combination
            condition = [(path, "=", str(combination))]
            if trigger == "opportunity_matches":
                condition.append(("referred", "=", "Neighbour"))
            values = {
                "from_stage_ids": [Command.set(self.origins[origins].ids)],
                "outcome": outcome,
                "is_lost_included": is_lost_included,
                "days": 3 * (number // 2 % 2),
                "filter_domain": repr(condition),
                "stage_id": (self.signed if outcome else self.visit).id,
                "trigger": trigger,
            }
            if self.is_refused(trigger, *combination):
                with self.assertRaises(ValidationError), self.env.cr.savepoint():
                    self.automations.create(values)
            else:
                accepted[combination] = values
        return dict(zip(accepted, self.automations.create(list(accepted.values())), strict=True))

    def get_combinations(self):
        return product(self.origins, (False, "won", "lost"), (False, True))

    def is_about_leads(self, trigger):
        return trigger in self.env["crm.lead"]._get_crm_stage_triggers()

    def create_states(self, combinations):
        """:return: opportunities by combination and state: all that are named, and one that is not"""
        keys = []
        for number, combination in enumerate(combinations):
            named = self.get_named(*combination)
            others = [state for state in self.states if state not in named]
            keys += [(combination, state) for state in (*sorted(named), others[number % len(others)])]
        leads = self.env["crm.lead"].create(
            [
                {
                    "name": str(combination),
                    "type": "opportunity",
                    "partner_id": self.partner.id,
                    "stage_id": self.states[state][0].id,
                    "date_deadline": NOON.date(),
                }
                for combination, state in keys
            ]
        )
        self.pass_commit()
        by_key = dict(zip(keys, leads, strict=True))
        lost = [lead for (_combination, state), lead in by_key.items() if self.states[state][1]]
        self.env["crm.lead"].union(*lost).action_set_lost()
        return by_key

    def get_preparation(self, trigger):
        """:return: what the trigger is to happen to"""
        if trigger in ("quotation_sent", "order_confirmed", "quotation_cancelled", "quotation_expired"):
            return "quotations"
        return {"meeting_over": "meetings", "activity_done": "activities"}.get(trigger, "opportunities")

    def prepare(self, what, leads):
        """:return: the documents that something is going to happen to"""
        if what == "quotations":
            values = [self.get_order_values(lead, validity_date=NOON.date()) for lead in leads]
            return self.env["sale.order"].create(values)
        if what == "meetings":
            values = [self.get_meeting_values(lead, start=NOON, stop=NOON + HOUR) for lead in leads]
            return self.env["calendar.event"].create(values)
        return leads.activity_schedule(CALL) if what == "activities" else leads

    def happen(self, trigger, documents):
        """Let happen what the trigger listens to; those in time are left to the time."""
        states = {"quotation_sent": "sent", "order_confirmed": "sale", "quotation_cancelled": "cancel"}
        if trigger in states:
            documents.write({"state": states[trigger]})
        elif trigger == "quotation_created":
            self.env["sale.order"].create([self.get_order_values(lead) for lead in documents])
        elif trigger == "meeting_scheduled":
            self.env["calendar.event"].create([self.get_meeting_values(lead) for lead in documents])
        elif trigger == "activity_planned":
            documents.activity_schedule(CALL)
        elif trigger == "activity_done":
            documents.action_feedback()
        elif trigger == "email_sent":
            for lead in documents:
                lead.message_post(body="Hello", message_type="comment", partner_ids=self.partner.ids)
        elif trigger == "email_received":
            for lead in documents:
                lead.message_post(body="Hello", message_type="email", author_id=self.partner.id)
        elif trigger == "opportunity_matches":
            documents.referred = "Neighbour"
        else:
            self.assertIn(trigger, self.get_triggers_in_time())

    def get_triggers_in_time(self):
        names = self.automations._get_model_names()
        return {trigger for trigger, (_model_name, is_in_time) in names.items() if is_in_time}

    def check(self, automations, leads, before, is_moved=True):
        """Those that the sentences name have moved, or not yet; all others are as they were."""
        for (combination, state), lead in leads.items():
            if combination not in automations:
                continue
            expected = before[lead]
            if is_moved and state in self.get_named(*combination):
                outcome = combination[1]
                stage = lead.stage_id if outcome == "lost" else automations[combination].stage_id
                expected = (stage, outcome or "pending")
            self.assertEqual(
                (lead.stage_id, lead.won_status), expected, f"{automations[combination].name}: {state}"
            )

    def check_trigger(self, trigger, leads, documents):
        """:param leads: opportunities by combination and state, those of refused combinations among them"""
        before = {lead: (lead.stage_id, lead.won_status) for lead in leads.values()}
        with self.at(NOON - HOUR):
            automations = self.create_combinations(trigger)
        with self.at(NOON + HOUR):
            self.happen(trigger, documents)
        if trigger in self.get_triggers_in_time():
            self.run_at(NOON + timedelta(days=1))
            waiting = {key: automation for key, automation in automations.items() if automation.days}
            self.check(waiting, leads, before, is_moved=False)
            self.run_at(NOON + timedelta(days=4))
        self.check(automations, leads, before)

    def test_every_combination(self):
        """All triggers have the same opportunities, and the same documents where they take the same."""
        triggers = dict(self.automations._selection_trigger())
        combinations = [
            combination
            for combination in self.get_combinations()
            if not all(self.is_refused(trigger, *combination) for trigger in triggers)
        ]
        with self.at(NOON):
            leads = self.create_states(combinations)
        for prepare, group in groupby(triggers, self.get_preparation):
            with self.going_back():
                with self.at(NOON):
                    documents = self.prepare(prepare, self.env["crm.lead"].union(*leads.values()))
                for trigger in group:
                    with self.subTest(trigger), self.going_back():
                        self.check_trigger(trigger, leads, documents)
