from contextlib import suppress
from datetime import datetime, timedelta
from unittest.mock import patch

from odoo import Command
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from .test_automation_due import NOON, DueCase

DAY = timedelta(days=1)

# Reasons for which applying the automation moves the opportunity, though it does not move by itself
APPLICABLE = {"before", "moves", "further", "taken_back"}


class ExplanationCase(DueCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["crm.lead"].with_context(active_test=False).search([]).date_deadline = False

    def explain(self, lead, user=None, lang="en_US"):
        """:return: the automations of the explanation, by id"""
        self.pass_commit()
        lead = lead.with_user(user or self.salesperson).with_context(lang=lang)
        return {found["id"]: found for found in lead.get_stage_explanation()["automations"]}

    def assertReason(self, automation, lead, reason, text, user=None):
        found = self.explain(lead, user)[automation.id]
        self.assertEqual((found["reason"], found["text"]), (reason, text))
        return found


@tagged("post_install", "-at_install")
class TestReasons(ExplanationCase):
    def test_no_document_condition_and_move(self):
        automation = self.create_at(
            NOON - DAY, "quotation_sent", self.quotation, filter_domain="[('amount_total', '>=', 5000)]"
        )
        with self.at(NOON):
            lead = self.create_lead()
            self.assertReason(automation, lead, "no_document", "No quotation was sent.")
            order = self.create_order(lead, user_id=self.salesperson.id)
            order.state = "sent"
            part = '"Total" is greater or equal to 5,000'
            text = f"{order.name} does not meet this: {part}. It has: {order.amount_total:g}."
            found = self.assertReason(automation, lead, "condition", text)
            self.assertEqual(found["document"], {"model": "sale.order", "id": order.id, "name": order.name})
            self.assertEqual(found["name"], f'Move to "Quotation" when a quotation is sent, if {part}')
            order.order_line.price_unit = 6000
            self.assertReason(automation, lead, "moves", "It would be moved now.")
            automation.action_catch_up([lead.id])
            self.assertReason(automation, lead, "stage", "It is in this stage already.")

    def test_first_part_that_is_not_met(self):
        domain = "[('amount_total', '>', 1), ('client_order_ref', '=', 'A'), ('partner_id.email', '=', 'b')]"
        automation = self.create_automation(self.quotation, "quotation_created", filter_domain=domain)
        lead = self.create_lead()
        order = self.create_order(lead, user_id=self.salesperson.id)
        text = f'{order.name} does not meet this: "Customer Reference" is equal to A. It has: nothing.'
        self.assertReason(automation, lead, "condition", text)
        order.client_order_ref = "A"
        text = self.explain(lead)[automation.id]["text"]
        self.assertIn('"Customer › Email" is equal to b. It has: customer@example.com.', text)

    def test_document_that_the_reader_may_not_see(self):
        automation = self.create_automation(
            self.quotation, "quotation_created", filter_domain="[('client_order_ref', '=', 'secret')]"
        )
        own = self.create_lead()
        self.create_order(own, user_id=self.manager.id, client_order_ref="other secret")
        found = self.assertReason(
            automation, own, "condition", "A document that you may not see does not meet the condition."
        )
        self.assertEqual(
            found["document"], {"model": False, "id": False, "name": "a document that you may not see"}
        )

    def test_names_in_conditions(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        team = self.env["crm.team"].create({"name": "Secret Team", "company_id": company.id})
        automation = self.create_automation(
            self.quotation, "quotation_created", filter_domain=f"[('team_id', '=', {team.id})]"
        )
        found = self.explain(self.create_lead())[automation.id]
        self.assertNotIn("Secret", found["name"] + found["text"])

    def test_idle(self):
        automation = self.create_automation(self.visit, "quotation_created")
        lead = self.create_lead()
        self.visit.active = False
        self.assertReason(automation, lead, "idle", "Its stage is archived.")
        automation.active = False
        self.assertReason(automation, lead, "idle", "This automation is archived.")

    @mute_logger("odoo.addons.crm_sales_stage.models.automation.crm_stage_automation")
    def test_faulty(self):
        """Salespeople read that it does not work, managers why."""
        automation = self.create_automation(self.visit, "quotation_created")
        lead = self.create_lead()
        self.make_faulty(automation)
        self.assertReason(automation, lead, "faulty", "This automation does not work at the moment.")
        found = self.explain(lead, self.manager)[automation.id]
        self.assertEqual(found["text"], automation.fault.partition("\n")[0])

    def test_faulty_without_a_fault_so_far(self):
        """Asking finds it out, and writes nothing."""
        automation = self.create_automation(self.visit, "quotation_created", filter_domain="[('id', '=', 1)]")
        lead = self.create_lead()
        self.create_order(lead)
        self.env.flush_all()
        self.env.cr.execute("UPDATE crm_stage_automation SET filter_domain = '[(''gone'', ''='', 1)]'")
        automation.invalidate_recordset()
        self.assertEqual(self.explain(lead)[automation.id]["reason"], "faulty")
        self.assertFalse(automation.fault)

    def test_database_fails(self):
        """A condition that the database cannot evaluate is faulty; the others are as they are."""
        broken = self.create_automation(self.visit, "quotation_created", filter_domain="[('id', '=', 1)]")
        working = self.create_automation(self.quotation, "quotation_sent")
        lead = self.create_lead()
        self.create_order(lead)
        self.env.flush_all()

        def filter_meeting(automation, documents):
            if automation == broken:
                automation.env.cr.execute("SELECT 1/0")
            return documents

        with (
            patch.object(type(self.automations), "_filter_meeting", filter_meeting),
            mute_logger("odoo.sql_db"),
        ):
            found = self.explain(lead, self.manager)
        self.assertEqual(
            (found[broken.id]["reason"], found[broken.id]["text"]), ("faulty", "division by zero")
        )
        self.assertEqual(found[working.id]["reason"], "no_document")

    def test_team(self):
        windows, stoves = self.env["crm.team"].create([{"name": "Windows"}, {"name": "Stoves"}])
        self.visit.team_ids = stoves
        automation = self.create_automation(self.visit, "quotation_created")
        lead = self.create_lead(team_id=windows.id)
        self.assertReason(automation, lead, "team", 'The sales team Windows has no stage "Technical Visit".')
        lead.team_id = False
        self.assertReason(
            automation, lead, "team", 'It has no sales team, and the stage "Technical Visit" belongs to some.'
        )

    def test_closed(self):
        automation = self.create_automation(self.visit, "quotation_created")
        lost, won, archived = self.create_leads(3, user_id=self.salesperson.id)
        lost.action_set_lost()
        won.stage_id = self.closed
        archived.active = False
        for lead, text in ((lost, "It is lost."), (won, "It is won."), (archived, "It is archived.")):
            self.assertReason(automation, lead, "closed", text)
        lead = self.create_lead(type="lead")
        self.assertReason(automation, lead, "closed", "It is a lead, no opportunity.")

    def test_stage(self):
        automation = self.create_automation(
            self.quotation, "quotation_created", from_stage_ids=(self.estimate + self.visit).ids
        )
        earlier = self.create_automation(self.estimate, "quotation_sent")
        lead = self.create_lead()
        self.assertReason(
            automation, lead, "stage", 'It takes opportunities from "Estimate" or "Technical Visit" only.'
        )
        lead.stage_id = self.visit
        self.assertReason(earlier, lead, "stage", "It is in a later stage already.")

    def test_taken_back(self):
        automation = self.create_at(NOON, "quotation_created", self.visit)
        lead = self.create_lead_at(NOON)
        with self.at(NOON + DAY):
            self.create_order(lead)
        with self.at(NOON + 3 * DAY):
            lead.with_user(self.salesperson).stage_id = self.new
        with self.at(NOON + 4 * DAY):
            text = "It moved it on 01/16/2031; it was moved back by hand on 01/18/2031."
            self.assertReason(automation, lead, "taken_back", text)

    def test_undone(self):
        automation = self.create_at(NOON, "quotation_created", self.visit)
        automation.active = False
        lead = self.create_lead_at(NOON)
        with self.at(NOON + DAY):
            self.create_order(lead)
            automation.active = True
            automation.action_catch_up()
        with self.at(NOON + 2 * DAY):
            automation.action_undo_catch_up()
        with self.at(NOON + 3 * DAY):
            self.assertReason(automation, lead, "taken_back", "Moving it was undone on 01/17/2031.")

    def test_order(self):
        losing = self.create_automation(self.closed, "quotation_cancelled", outcome="lost")
        lead = self.create_lead()
        self.create_order(lead)
        self.create_order(lead).with_context(tracking_disable=True).state = "cancel"
        text = "A confirmed order, or another open quotation, keeps it from being lost."
        self.assertReason(losing, lead, "order", text)

    def test_not_yet_and_due(self):
        waiting = self.create_at(NOON, "stage_waiting", self.estimate, days=10)
        silent = self.create_at(NOON, "no_news", self.closed, days=12, outcome="lost")
        passed = self.create_at(NOON, "deadline_passed", self.visit)
        lead = self.create_lead_at(NOON)
        with self.at(NOON + DAY):
            self.assertReason(waiting, lead, "not_yet", "It falls due on 01/25/2031.")
            self.assertReason(silent, lead, "not_yet", "It falls due on 01/27/2031, unless there is news.")
            self.assertReason(passed, lead, "no_document", "It has no expected closing.")
            lead.date_deadline = "2031-01-20"
            self.assertReason(passed, lead, "not_yet", "It falls due on 01/21/2031.")
        with self.at(NOON + 11 * DAY):
            text = "It is moved by the scheduled job, within the hour."
            self.assertReason(passed, lead, "moves", text)
            name = 'Move to "Technical Visit" when its expected closing has passed'
            text = f"Another automation takes it further: {name}"
            found = self.assertReason(waiting, lead, "further", text)
            self.assertFalse(found["document"], "the opportunity itself")

    def test_planned_is_no_silence(self):
        silent = self.create_at(NOON, "no_news", self.closed, days=2, outcome="lost")
        lead = self.create_lead_at(NOON)
        with self.at(NOON):
            lead.activity_schedule("mail.mail_activity_data_todo", date_deadline="2031-02-15")
        with self.at(NOON + 5 * DAY):
            self.assertReason(silent, lead, "not_yet", "It is not due while something is planned.")

    def test_before(self):
        lead = self.create_lead_at(NOON)
        with self.at(NOON):
            self.create_order(lead, date_order=NOON)
        automation = self.create_at(NOON + DAY, "quotation_created", self.visit)
        with self.at(NOON + DAY):
            text = "It happened before the automation began to count, on 01/16/2031."
            self.assertReason(automation, lead, "before", text)

    def test_old_news(self):
        """What came with a date that had passed says so."""
        automation = self.create_at(NOON, "deadline_passed", self.visit)
        lead = self.create_lead_at(NOON + DAY, date_deadline="2031-01-02")
        with self.at(NOON + DAY):
            text = "It was passed over on 01/16/2031: It came with a date that had passed."
            self.assertReason(automation, lead, "before", text)

    def test_taken_back_in_time(self):
        """Taken back it stays, until the date is changed."""
        automation = self.create_at(NOON, "deadline_passed", self.visit)
        lead = self.create_lead_at(NOON, date_deadline="2031-01-16")
        self.run_at(NOON + 2 * DAY)
        with self.at(NOON + 3 * DAY):
            lead.stage_id = self.new
            self.assertEqual(self.explain(lead)[automation.id]["reason"], "taken_back")
            lead.date_deadline = "2031-02-01"
            self.assertEqual(self.explain(lead)[automation.id]["reason"], "not_yet")

    def test_other_addons(self):
        """A trigger that says nothing of its own has a sentence all the same."""
        mixin = self.env.registry["crm.stage.trigger.mixin"]
        text = mixin._get_crm_stage_absence_text(self.env["sale.order"], "order_confirmed")
        self.assertEqual(text, "This has not happened: an order is confirmed.")


@tagged("post_install", "-at_install")
class TestExplanation(ExplanationCase):
    def test_stays(self):
        automation = self.create_at(NOON, "quotation_created", self.visit)
        with self.at(NOON):
            lead = self.create_lead(name="Kitchen").with_user(self.salesperson)
        with self.at(NOON + DAY):
            lead.stage_id = self.estimate
        with self.at(NOON + 2 * DAY):
            order = self.create_order(lead, user_id=self.salesperson.id)
        with self.at(NOON + 3 * DAY):
            stays = lead.get_stage_explanation()["stays"]
        name = 'Move to "Technical Visit" when a quotation is created'
        self.assertEqual([stay["stage"] for stay in stays], ["New", "Estimate", "Technical Visit"])
        self.assertEqual([stay["entered"] for stay in stays], [NOON, NOON + DAY, NOON + 2 * DAY])
        self.assertEqual([stay["automation"] for stay in stays], [False, False, name])
        self.assertEqual(stays[1]["moved_by"], self.salesperson.name)
        self.assertEqual(stays[2]["document"]["name"], order.name)
        self.assertEqual(stays[2]["document"]["id"], order.id)
        self.assertFalse(stays[0]["document"])
        self.assertTrue(automation.exists())

    def test_in_the_order_of_the_pipeline(self):
        third = self.create_automation(self.closed, "quotation_created")
        second = self.create_automation(self.visit, "quotation_created", sequence=20)
        first = self.create_automation(self.visit, "quotation_sent", sequence=5)
        ids = [id_ for id_ in self.explain(self.create_lead()) if id_ in (first + second + third).ids]
        self.assertEqual(ids, [first.id, second.id, third.id])

    def test_in_french(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.env["ir.module.module"].search([("name", "=", "crm_sales_stage")])._update_translations(
            ["fr_FR"]
        )
        automation = self.create_automation(self.quotation, "quotation_sent")
        found = self.explain(self.create_lead(), lang="fr_FR")[automation.id]
        self.assertEqual(found["text"], "Aucun devis n'a été envoyé.")
        self.assertIn("quand un devis est envoyé", found["name"])

    def test_whoever_may_read_may_ask(self):
        other = new_test_user(self.env, "stages_other", "sales_team.group_sale_salesman")
        lead = self.create_lead()
        explanation = lead.with_user(self.salesperson).get_stage_explanation()
        self.assertEqual((explanation["can_open"], explanation["can_move"]), (False, False))
        explanation = lead.with_user(self.manager).get_stage_explanation()
        self.assertEqual((explanation["can_open"], explanation["can_move"]), (True, True))
        with self.assertRaises(AccessError):
            lead.with_user(other).get_stage_explanation()

    def test_managers_of_another_company_learn_nothing(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        manager = new_test_user(
            self.env,
            "stages_elsewhere",
            "sales_team.group_sale_manager",
            company_ids=[Command.set(company.ids)],
            company_id=company.id,
        )
        lead = self.create_lead(company_id=self.env.company.id)
        with self.assertRaises(AccessError):
            lead.with_user(manager).get_stage_explanation()

    def test_writes_nothing(self):
        self.create_automation(self.closed, "no_news", days=1)
        self.create_automation(self.visit, "email_sent", filter_domain="[('name', '=', 'x')]")
        lead = self.create_lead()
        self.create_order(lead)
        self.pass_commit()
        self.env.cr.execute("SAVEPOINT reading")
        self.env.cr.execute("SET TRANSACTION READ ONLY")
        found = lead.with_user(self.salesperson).get_stage_explanation()
        self.env.cr.execute("ROLLBACK TO SAVEPOINT reading")  # which may write again
        self.assertTrue(found["automations"])

    def test_cost(self):
        """Twelve queries, and four for each automation, whatever the number of documents."""
        self.automations.with_context(active_test=False).search([]).unlink()
        sent = "[('amount_total', '>=', 5000), ('partner_id', '!=', False)]"
        for trigger in ("quotation_created", "quotation_sent", "order_confirmed", "meeting_scheduled"):
            self.create_automation(
                self.quotation, trigger, filter_domain=sent if trigger != "meeting_scheduled" else False
            )
        self.create_automation(self.visit, "deadline_passed")
        self.create_automation(self.closed, "stage_waiting", days=3, outcome="lost")
        self.create_automation(self.closed, "no_news", days=10, outcome="lost")
        costs = []
        for count in (3, 30):
            lead = self.create_lead(date_deadline="2040-01-01")
            self.env["sale.order"].create([self.get_order_values(lead) for _number in range(count)])
            lead = lead.with_user(self.salesperson)
            lead.get_stage_explanation()  # fills the caches that outlive a transaction
            costs.append(self.count_queries(lead.get_stage_explanation))
        self.assertLessEqual(costs[0], 12 + 4 * 7)
        self.assertEqual(costs[0], costs[1])


@tagged("post_install", "-at_install")
class TestGenerated(ExplanationCase):
    """Each automation for each opportunity: what is said of it is what applying it does."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["crm.lead"].search([]).active = False
        cls.now = datetime(2031, 3, 3, 12)
        cls.windows = cls.env["crm.team"].create({"name": "Windows"})
        cls.create_situations()

    @classmethod
    def create_situations(cls):
        """Opportunities in each open stage, with each kind of documents."""
        makers = {
            "nothing": lambda lead: None,
            "draft": lambda lead: cls.create_order(lead),
            "sent": lambda lead: cls.create_order(lead).write({"state": "sent"}),
            "dear": lambda lead: cls.create_order(lead).order_line.write({"price_unit": 9000}),
            "cancelled": lambda lead: cls.create_order(lead).write({"state": "cancel"}),
            "confirmed": lambda lead: cls.create_order(lead).action_confirm(),
            "expired": lambda lead: cls.create_order(lead, validity_date="2031-02-10"),
            "expires": lambda lead: cls.create_order(lead, validity_date="2031-04-10"),
            "meeting": lambda lead: cls.create_meeting(
                lead, start="2031-02-01 10:00", stop="2031-02-01 11:00"
            ),
            "activity": lambda lead: lead.activity_schedule("mail.mail_activity_data_call"),
            "deadline": lambda lead: lead.write({"date_deadline": "2031-02-20"}),
            "team": lambda lead: lead.write({"team_id": cls.windows.id}),
            "lost": lambda lead: lead.action_set_lost(),
            "archived": lambda lead: lead.write({"active": False}),
        }
        cls.leads = cls.env["crm.lead"]
        with cls.at(cls.now - 30 * DAY):
            for stage in (cls.new, cls.visit, cls.quotation):
                cls.leads += cls.create_leads(len(makers), stage_id=stage.id, user_id=cls.salesperson.id)
        with cls.at(cls.now - 20 * DAY):
            for lead, make in zip(cls.leads, [*makers.values()] * 3, strict=True):
                make(lead.with_context(tracking_disable=True))

    @classmethod
    def create_automations(cls):
        """Made after the documents, so that nothing has moved by itself."""
        dear, none = "[('amount_total', '>=', 5000)]", "[('id', '=', 0)]"
        values = [
            (cls.estimate, "quotation_created", {}),
            (cls.quotation, "quotation_sent", {}),
            (cls.quotation, "quotation_created", {"filter_domain": dear}),
            (cls.quotation, "quotation_created", {"filter_domain": none}),
            (cls.new, "quotation_created", {"from_stage_ids": (cls.visit + cls.quotation).ids}),
            (cls.visit, "quotation_created", {"is_lost_included": True}),
            (cls.closed, "order_confirmed", {"outcome": "won"}),
            (cls.closed, "quotation_cancelled", {"outcome": "lost"}),
            (cls.closed, "quotation_expired", {"outcome": "lost"}),
            (cls.visit, "quotation_expired", {"days": 30}),
            (cls.visit, "meeting_scheduled", {}),
            (cls.visit, "meeting_over", {"days": 2}),
            (cls.visit, "activity_planned", {}),
            (cls.estimate, "deadline_passed", {}),
            (cls.quotation, "stage_waiting", {"days": 25}),
            (cls.quotation, "stage_waiting", {"days": 60}),
            (cls.closed, "no_news", {"days": 10, "outcome": "lost"}),
            (
                cls.closed,
                "no_news",
                {"days": 25, "outcome": "lost", "filter_domain": "[('team_id', '=', %s)]"},
            ),
            (cls.visit, "opportunity_matches", {"filter_domain": "[('team_id', '=', %s)]"}),
            (cls.visit, "quotation_created", {"active": False}),
        ]
        for stage, trigger, more in values:
            domain = more.get("filter_domain")
            if domain and "%s" in domain:
                more = {**more, "filter_domain": domain % cls.windows.id}
            cls.create_automation(stage, trigger, **more)

    def apply(self, automation):
        """:return: opportunities that applying the automation moves; nothing of it stays"""
        moved = self.leads.browse()
        savepoint = self.env.cr.savepoint()
        with suppress(UserError):  # idle
            automation.action_catch_up()
            rows = automation.sudo().move_ids
            moved = rows.filtered(lambda move: move.state == "done" and move.is_applied).lead_id
        savepoint.rollback()
        self.env.invalidate_all()
        return moved

    def check(self):
        automations = self.automations.with_context(active_test=False).search(
            [("create_uid", "=", self.env.uid)]
        )
        reasons = {lead: self.explain(lead, self.manager) for lead in self.leads}
        found = {reasons[lead][automation.id]["reason"] for lead in self.leads for automation in automations}
        for automation in automations:
            said = [lead for lead in self.leads if reasons[lead][automation.id]["reason"] in APPLICABLE]
            moved = self.apply(automation)
            self.assertEqual(
                {lead.id for lead in said},
                set(moved.ids) & set(self.leads.ids),
                f"{automation.name}: {[(lead.id, reasons[lead][automation.id]) for lead in self.leads]}",
            )
        return found

    def test_what_was_there_before(self):
        with self.at(self.now):
            self.create_automations()
            found = self.check()
        expected = {"before", "closed", "condition", "idle", "no_document", "not_yet", "order", "stage"}
        self.assertEqual(found, expected)

    def test_each_in_french(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        with self.at(self.now):
            self.create_automations()
            for lead in self.leads:
                english, french = self.explain(lead), self.explain(lead, lang="fr_FR")
                for id_, said in english.items():
                    self.assertNotEqual(french[id_]["text"], said["text"])
                    self.assertNotEqual(french[id_]["name"], said["name"])

    def test_what_happens_since(self):
        """The same, begun before the documents were there, which moves some of them; some are taken back."""
        with self.at(self.now - 35 * DAY):
            self.create_automations()
        with self.at(self.now):
            found = self.check()
        self.assertLessEqual({"moves", "further"}, found)

    def test_team_of_the_stage(self):
        self.quotation.team_ids = self.windows
        with self.at(self.now):
            self.create_automations()
            self.assertIn("team", self.check())
