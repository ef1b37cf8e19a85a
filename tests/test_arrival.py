from datetime import timedelta
from unittest.mock import patch

from freezegun import freeze_time

from odoo import Command, fields
from odoo.exceptions import AccessError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from odoo.addons.mail.tests.common import MockEmail

from ..tools import forget
from .common_arrival import ArrivalCase

LOGGER = "odoo.addons.crm_sales_stage.models.arrival.crm_lead"


@tagged("post_install", "-at_install")
class TestArrivalPlan(ArrivalCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stop_clock()
        cls.quotation.activity_plan_id = cls.plan

    def get_planned(self, lead):
        """:return: {summary: user} of the open activities"""
        return {activity.summary: activity.user_id for activity in lead.activity_ids}

    # ---- what an arrival is ----

    @freeze_time("2026-03-02 09:00:00")
    def test_moved_by_hand(self):
        lead = self.create_silently(self.new)
        self.move(lead, self.quotation)
        self.assertEqual(self.get_planned(lead), dict.fromkeys(["Call back", "Measure"], self.salesperson))
        deadlines = {activity.summary: activity.date_deadline for activity in lead.activity_ids}
        self.assertEqual(deadlines["Call back"], fields.Date.to_date("2026-03-04"))
        self.assertEqual(deadlines["Measure"], fields.Date.to_date("2026-03-09"))
        self.assertEqual(lead.activity_ids.create_uid, self.salesperson)
        self.assertIn('The stage "Quotation" planned "Follow up"', self.get_bodies(lead))

    def test_moved_by_an_automation(self):
        lead = self.create_silently(self.new)
        action = self.env.ref("crm_sales_stage.action_move_to_stage_quotation")
        action.with_context(active_model="crm.lead", active_ids=lead.ids, active_id=lead.id).run()
        self.pass_commit()
        self.assertEqual(len(lead.activity_ids), 2)

    def test_created_there(self):
        lead = self.create_in(self.quotation, user_id=self.salesperson.id)
        self.pass_commit()
        self.assertEqual(len(lead.activity_ids), 2)

    def test_created_in_the_first_stage_that_is_computed(self):
        self.new.activity_plan_id = self.plan
        lead = self.env["crm.lead"].create({"name": "Stove", "type": "opportunity"})
        self.pass_commit()
        self.assertEqual((lead.stage_id, len(lead.activity_ids)), (self.new, 2))

    def test_created_by_the_mail_gateway(self):
        self.new.activity_plan_id = self.plan
        lead = self.env["crm.lead"].message_new(
            {"from": "customer@example.com", "subject": "Stove", "body": "How much?"},
            {"type": "opportunity"},
        )
        self.pass_commit()
        self.assertEqual(len(self.env["crm.lead"].browse(lead.id).activity_ids), 2)

    def test_created_in_a_form(self):
        self.env.user.group_ids += self.env.ref("crm.group_use_lead")
        with Form(self.env["crm.lead"].with_context(default_stage_id=self.quotation.id)) as form:
            form.name = "Stove"
        self.pass_commit()
        self.assertEqual(len(form.record.activity_ids), 0 if form.record.type == "lead" else 2)

    def test_lead_arrives_on_conversion(self):
        self.new.activity_plan_id = self.plan
        lead = self.create_in(self.new, type="lead")
        self.pass_commit()
        self.assertFalse(lead.activity_ids)
        lead.convert_opportunity(False)
        self.pass_commit()
        self.assertEqual((lead.stage_id, len(lead.activity_ids)), (self.new, 2))

    def test_team_that_brings_another_stage(self):
        self.quotation.team_ids = self.team
        (self.stages - self.quotation).team_ids = self.env["crm.team"].create({"name": "Others"})
        lead = self.create_silently(self.new)
        lead.team_id = self.team
        self.pass_commit()
        self.assertEqual((lead.stage_id, len(lead.activity_ids)), (self.quotation, 2))

    def test_several_moves_are_one_arrival(self):
        self.visit.activity_plan_id = self.create_plan(
            "Visit", {"activity_type_id": self.todo.id, "summary": "Plan the visit"}
        )
        lead = self.create_in(self.visit)
        lead.stage_id = self.quotation
        self.env["crm.stage.stay"].search([("lead_id", "=", lead.id)])
        lead.stage_id = self.visit
        self.env["crm.stage.stay"].search([("lead_id", "=", lead.id)])
        lead.stage_id = self.quotation
        self.pass_commit()
        self.assertEqual(set(self.get_planned(lead)), {"Call back", "Measure"})

    def test_back_where_it_was(self):
        lead = self.create_silently(self.quotation)
        lead.stage_id = self.visit
        lead.flush_recordset()
        lead.stage_id = self.quotation
        self.pass_commit()
        self.assertFalse(lead.activity_ids)

    def test_no_arrival(self):
        lead = self.create_silently(self.quotation)
        with self.subTest("restored where it was lost"):
            lead.action_set_lost()
            self.pass_commit()
            lead.action_restore()
            self.pass_commit()
            self.assertFalse(lead.activity_ids)
        with self.subTest("the same stage written again"):
            self.move(lead, self.quotation)
            self.assertFalse(lead.activity_ids)
        with self.subTest("deleted in the transaction"):
            moved = self.create_silently(self.new)
            moved.stage_id = self.quotation
            moved.unlink()
            self.pass_commit()
        with self.subTest("archived in the transaction"):
            moved = self.create_silently(self.new)
            moved.write({"stage_id": self.quotation.id, "active": False})
            self.pass_commit()
            self.assertFalse(moved.with_context(active_test=False).activity_ids)

    def test_imports_and_stages_that_go_away_are_silent(self):
        leads = self.env["crm.lead"]
        columns = ["name", "type", "stage_id/.id"]
        for importing in ({"import_file": True}, {"tracking_disable": True}, {}):
            with self.subTest(**importing):
                rows = [["Imported", "opportunity", str(self.quotation.id)]]
                result = leads.with_context(**importing).load(columns, rows)
                self.pass_commit()
                self.assertTrue(result["ids"], result["messages"])
                self.assertFalse(leads.browse(result["ids"]).activity_ids)
        lead = self.create_silently(self.visit)
        lead._transfer_to_stage(self.quotation)
        self.pass_commit()
        self.assertEqual((lead.stage_id, len(lead.activity_ids)), (self.quotation, 0))
        self.move(lead, self.visit)
        self.move(lead, self.quotation)
        self.assertEqual(len(lead.activity_ids), 2)

    # ---- what is planned ----

    def test_responsible(self):
        plan = self.create_plan(
            "Two",
            {"activity_type_id": self.todo.id, "summary": "Asked"},
            {
                "activity_type_id": self.todo.id,
                "summary": "Given",
                "responsible_type": "other",
                "responsible_id": self.manager.id,
            },
        )
        self.quotation.activity_plan_id = plan
        gone = self.salesperson.copy({"login": "gone", "active": True})
        none = self.env["res.users"]
        cases = [
            ("salesperson", {"user_id": self.salesperson.id, "team_id": self.team.id}, self.salesperson),
            ("leader", {"user_id": False, "team_id": self.team.id}, self.leader),
            ("salesperson gone", {"user_id": gone.id, "team_id": self.team.id}, self.leader),
            ("nobody", {"user_id": False, "team_id": False}, none),
        ]
        leads = {case: self.create_silently(self.new, **values) for case, values, _user in cases}
        gone.active = False
        for case, _values, user in cases:
            with self.subTest(case):
                lead = leads[case]
                self.move(lead, self.quotation, self.manager)
                self.assertEqual(self.get_planned(lead), {"Asked": user, "Given": self.manager})

    def test_responsible_of_the_plan_is_gone(self):
        gone = self.manager.copy({"login": "gone"})
        self.plan.template_ids.write({"responsible_type": "other", "responsible_id": gone.id})
        gone.active = False
        lead = self.create_silently(self.new)
        self.move(lead, self.quotation)
        self.assertEqual(set(self.get_planned(lead).values()), {self.salesperson})

    def test_entering_again(self):
        """Nothing is planned while an activity of the plan is open, whatever it is called by now."""
        lead = self.create_silently(self.new)
        self.move(lead, self.quotation)
        call, todo = lead.activity_ids.sorted("date_deadline")
        todo.action_done()
        call.summary = "Call about the colour"
        self.move(lead, self.new)
        self.move(lead, self.quotation)
        self.assertEqual(set(self.get_planned(lead)), {"Call about the colour"})
        call.action_done()
        self.move(lead, self.new)
        self.move(lead, self.quotation)
        self.assertEqual(set(self.get_planned(lead)), {"Call back", "Measure"})

    def test_coming_back(self):
        """Who comes back within a day is not planned for again, later is; all of them are asked at once."""
        leads = self.create_silently(self.new, 3)
        now = fields.Datetime.now()
        for hours, stage, count in (
            (0, self.quotation, 2),
            (1, self.new, 0),
            (24, self.quotation, 0),
            (25, self.new, 0),
            (50, self.quotation, 2),
        ):
            with self.at_moment(now + timedelta(hours=hours)):
                stays = type(self.env["crm.stage.stay"])
                get_left_lately = stays._get_left_lately
                with patch.object(
                    stays, "_get_left_lately", autospec=True, side_effect=get_left_lately
                ) as get:
                    self.move(leads, stage, self.env.user)
                self.assertEqual(get.call_count, int(stage == self.quotation))
            self.assertEqual([len(lead.activity_ids) for lead in leads], [count] * 3, f"after {hours} hours")
            leads.activity_ids.action_done()

    def test_planned_by_hand_is_open_too(self):
        lead = self.create_silently(self.new)
        wizard = self.env["mail.activity.schedule"].create(
            {"res_model": "crm.lead", "res_ids": str(lead.ids), "plan_id": self.plan.id}
        )
        wizard.action_schedule_plan()
        self.assertEqual(len(lead.activity_ids), 2)
        self.move(lead, self.quotation)
        self.assertEqual(len(lead.activity_ids), 2)

    def test_plan_of_another_company(self):
        company = self.env["res.company"].create({"name": "Windows Ltd"})
        ours = self.create_silently(self.new)
        theirs = self.create_silently(self.new, company_id=company.id, user_id=False)
        self.plan.company_id = self.env.company
        self.move(ours + theirs, self.quotation, self.env.user)
        self.assertEqual((len(ours.activity_ids), len(theirs.activity_ids)), (2, 0))

    def test_planning_triggers_no_automation(self):
        self.env["crm.stage.automation"].create({"stage_id": self.closed.id, "trigger": "activity_planned"})
        lead = self.create_silently(self.new)
        self.move(lead, self.quotation)
        self.assertEqual((lead.stage_id, len(lead.activity_ids)), (self.quotation, 2))

    def test_a_failing_plan_does_not_stop_the_move(self):
        leads = self.create_silently(self.new, 3)
        bad = leads[1]
        schedule = type(leads).activity_schedule

        def failing(records, *args, **kwargs):
            if bad in records:
                raise ValueError("No more activities")
            return schedule(records, *args, **kwargs)

        self.patch(type(leads), "activity_schedule", failing)
        with mute_logger(LOGGER):
            self.move(leads, self.quotation)
        self.assertEqual(leads.stage_id, self.quotation)
        self.assertEqual([len(lead.activity_ids) for lead in leads], [2, 0, 2])
        self.assertIn("No more activities", self.get_bodies(bad))
        self.assertNotIn("No more activities", self.get_bodies(leads[0]))
        self.assertEqual(self.get_tracked_stages(bad), [("New", "Quotation")])

    # ---- setting up ----

    def test_harmless(self):
        """A plan that is archived, deleted or not for opportunities is not planned."""
        lead = self.create_silently(self.new)
        other = self.create_plan("Theirs", {"activity_type_id": self.call.id}, res_model="res.partner")
        for case in ("archived", "other model", "deleted"):
            with self.subTest(case):
                if case == "archived":
                    self.plan.active = False
                elif case == "other model":
                    self.quotation.activity_plan_id = other
                else:
                    self.quotation.activity_plan_id = self.plan
                    self.plan.unlink()
                forget(self.env.cr)  # as a new transaction does
                self.move(lead, self.quotation)
                self.assertEqual((lead.stage_id, len(lead.activity_ids)), (self.quotation, 0))
                self.move(lead, self.new)

    def test_manager_sets_it_up(self):
        stage = self.visit.with_user(self.manager)
        with Form(stage) as form:
            form.activity_plan_id = self.plan
            form.mail_template_id = self.template
            form.required_field_ids.add(self.get_field("expected_revenue"))
        self.assertEqual(self.visit.required_field_ids.mapped("name"), ["expected_revenue"])

    # ---- speed ----

    def count_queries(self, leads, action):
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        action(leads)
        self.env.cr.flush()
        return self.env.cr.sql_log_count - before

    def test_batch(self):
        """One opportunity costs the same, however many arrive; where the stage plans nothing, nothing."""

        def move(leads):
            leads.stage_id = self.quotation

        costs = []
        for number in (1, 5, 15):  # the first one fills the caches
            counts = {}
            for its_plan in (self.plan.browse(), self.plan):
                self.quotation.activity_plan_id = its_plan
                self.visit.activity_plan_id = self.plan
                leads = self.create_silently(self.new, number)
                counts[its_plan] = self.count_queries(leads, move)
                self.assertEqual(len(leads.activity_ids), 2 * number * len(its_plan))
            costs.append((counts[self.plan] - counts[self.plan.browse()]) / number)
        self.assertLessEqual(costs[2], costs[1] + 1)

    def test_costs_nothing_without(self):
        """Neither where no stage does anything, nor where another one does."""
        self.quotation.activity_plan_id = False
        leads = self.create_silently(self.new, 5)
        counts = []

        def move(leads):
            leads.stage_id = self.quotation

        for its_plan in (self.plan.browse(), self.plan.browse(), self.plan):  # the first one fills the caches
            self.visit.activity_plan_id = its_plan
            leads.stage_id = self.new
            self.pass_commit()
            counts.append(self.count_queries(leads, move))
        self.assertEqual(counts[1], counts[2])


@tagged("post_install", "-at_install")
class TestArrivalEmail(ArrivalCase, MockEmail):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stop_clock()
        cls.quotation.mail_template_id = cls.template

    def arrive(self, leads):
        with self.mock_mail_gateway(mail_unlink_sent=False):
            self.move(leads, self.quotation)
        return self._new_mails

    def test_sent_and_in_the_chatter(self):
        lead = self.create_silently(self.new, email_from="Customer <customer@example.com>")
        mails = self.arrive(lead)
        self.assertEqual(mails.mapped("subject"), ["Quotation for House 0"])
        message = lead.message_ids.filtered(lambda message: message.subject == "Quotation for House 0")
        self.assertEqual((len(message), message.message_type), (1, "auto_comment"))
        self.assertEqual(message.partner_ids.email, "customer@example.com")

    def test_written_on_the_stage(self):
        """A manager who may not edit the templates of others starts from a text, and sends it."""
        self.env["ir.config_parameter"].set_param("mail.restrict.template.rendering", True)
        self.assertFalse(self.manager.has_group("mail.group_mail_template_editor"))
        stage = self.quotation.with_user(self.manager)
        text = {"subject": "{{ object.name }}", "body_html": stage.starting_text}
        templates = stage.env["mail.template"].with_context(default_model="crm.lead")
        stage.mail_template_id = templates.create({"name": "Coming soon", **text})
        for name, salutation in (("Jane", "Hello Jane,"), (False, "Hello Sir or Madam,")):
            lead = self.create_silently(self.new, email_from="customer@example.com", contact_name=name)
            (mail,) = self.arrive(lead)
            self.assertEqual(mail.subject, lead.name)
            self.assertIn(salutation, mail.body_html)
            self.assertIn(self.salesperson.name, mail.body_html)

    def test_on_creation_and_conversion(self):
        for values in ({"type": "opportunity"}, {"type": "lead"}):
            with self.subTest(**values), self.mock_mail_gateway(mail_unlink_sent=False):
                self.new.mail_template_id = self.template
                lead = self.env["crm.lead"].create(
                    {"name": "Stove", "email_from": "customer@example.com", **values}
                )
                self.pass_commit()
                lead.convert_opportunity(False)
                self.pass_commit()
                self.assertEqual(self._new_mails.mapped("subject"), ["Quotation for Stove"])

    def test_customers_by_default(self):
        self.template.write({"email_to": False, "use_default_to": True})
        partner = self.env["res.partner"].create({"name": "Customer", "email": "partner@example.com"})
        lead = self.create_silently(self.new, partner_id=partner.id)
        nobody = self.create_silently(self.new)
        mails = self.arrive(lead + nobody)
        self.assertEqual(mails.recipient_ids, partner)
        self.assertIn("there is no e-mail address", self.get_bodies(nobody))

    def test_who_gets_none(self):
        self.env["mail.blacklist"]._add("barred@example.com")
        cases = {
            False: "no e-mail address",
            "nonsense": "no e-mail address",
            "Barred@example.com": "blacklisted",
        }
        leads = [self.create_silently(self.new, email_from=email) for email in cases]
        good = self.create_silently(self.new, email_from="good@example.com")
        mails = self.arrive(self.env["crm.lead"].concat(good, *leads))
        self.assertEqual(mails.recipient_ids.mapped("email"), ["good@example.com"])
        for lead, text in zip(leads, cases.values(), strict=True):
            self.assertIn(text, self.get_bodies(lead))
            self.assertEqual(lead.stage_id, self.quotation)
        self.assertNotIn("was not sent", self.get_bodies(good))

    def test_coming_back(self):
        """It is sent again after a day, not before; whoever moves it learns what becomes of it."""
        lead = self.create_silently(self.new, email_from="customer@example.com")
        now = fields.Datetime.now()

        def get_answer(lead=lead):
            answer = lead.with_user(self.salesperson).get_arrival_questions(self.quotation.id)
            return answer["email"], answer["unsent"]

        for hours, sent in ((0, True), (2, False), (30, True)):
            with self.at_moment(now + timedelta(hours=hours)):
                email, unsent = get_answer()
                self.assertEqual((email, not unsent), (sent and "We have your quotation", sent))
                self.assertEqual(len(self.arrive(lead)), sent)
                self.assertEqual("left it less than a day ago" in lead.message_ids[0].body, not sent)
            with self.at_moment(now + timedelta(hours=hours + 1)):
                self.move(lead, self.new)
        nobody = self.create_silently(self.new)
        email, unsent = get_answer(nobody)
        self.assertEqual(email, "We have your quotation", "The dialog may ask for the address")
        self.assertIn("there is no e-mail address", unsent)
        self.quotation.mail_template_id = False
        self.assertEqual(get_answer(nobody), (False, ""))

    def test_many_at_once(self):
        leads = self.create_silently(self.new, 60, email_from="customer@example.com")
        mails = self.arrive(leads)
        self.assertEqual(len(mails), 60)

    def test_sending_triggers_no_automation(self):
        self.env["crm.stage.automation"].create({"stage_id": self.closed.id, "trigger": "email_sent"})
        lead = self.create_silently(self.new, email_from="customer@example.com")
        self.assertTrue(self.arrive(lead))
        self.assertEqual(lead.stage_id, self.quotation)

    def receive(self, number, headers="", **values):
        """:return: the opportunity that the mail gateway makes of an e-mail"""
        mail = f"""From: customer{number}@example.com
To: sales@example.com
Subject: House
Message-Id: <{number}@example.com>
{headers}Content-Type: text/plain

Hello"""
        values = {"type": "opportunity", **values}
        lead_id = self.env["mail.thread"].message_process("crm.lead", mail, custom_values=values)
        self.pass_commit()
        return self.env["crm.lead"].browse(lead_id)

    def test_machines_get_none(self):
        """Whatever a machine's e-mail opened is planned for, and the chatter says why no e-mail is sent."""
        self.new.write({"mail_template_id": self.template.id, "activity_plan_id": self.plan.id})
        with self.mock_mail_gateway():
            person = self.receive(1)
            machine = self.receive(2, "Auto-Submitted: auto-generated\n")
            assigned = self.receive(3, "Precedence: bulk\n", user_id=self.salesperson.id)
        leads = person + machine + assigned
        self.assertEqual([len(lead.activity_ids) for lead in leads], [2, 2, 2])
        self.assertEqual(self.get_written(), person)
        self.assertNotIn("automatic", self.get_bodies(person))
        for lead in machine + assigned:
            self.assertIn("an automatic e-mail opened the opportunity", self.get_bodies(lead))

    def test_machines_get_none_later(self):
        """Nor when it is moved, by whomever, or converted; people who got an automatic answer do."""
        self.quotation.mail_template_id = self.template
        with self.mock_mail_gateway():
            machine = self.receive(1, "X-Autoreply: yes\n")
            converted = self.receive(2, "X-Autoreply: yes\n", type="lead")
            person = self.create_silently(self.new, email_from="customer3@example.com")
            answered = self.receive(4)
            for lead in person + answered:
                lead.message_post(
                    body="Away", message_type="email", crm_stage_is_automatic=True, email_from=lead.email_from
                )
            converted.convert_opportunity(self.env["res.partner"])
            self.move(machine + converted + person + answered, self.quotation)
        self.assertEqual(self.get_written(), person + answered)

    def get_written(self):
        """:return: the opportunities that the stage's e-mail was sent for"""
        mails = self._new_mails.filtered(lambda mail: (mail.subject or "").startswith("Quotation for"))
        return self.env["crm.lead"].browse(sorted(mails.mapped("res_id")))

    def test_a_failing_template_does_not_stop_the_move(self):
        self.template.subject = "{{ object.partner_id.ensure_one().name }}"
        partner = self.env["res.partner"].create({"name": "Customer", "email": "customer@example.com"})
        good = self.create_silently(self.new, partner_id=partner.id)
        bad = self.create_silently(self.new, email_from="bad@example.com")
        self.visit.mail_template_id = self.template
        with mute_logger(LOGGER, "odoo.addons.mail.models.mail_render_mixin"):
            mails = self.arrive(good + bad)
        self.assertEqual((good + bad).stage_id, self.quotation)
        self.assertEqual(mails.exists().mapped("subject"), ["Customer"])
        self.assertIn("was not sent: ", self.get_bodies(bad))

    def test_harmless(self):
        """A template that is archived, deleted or not for opportunities is not sent."""
        lead = self.create_silently(self.new, email_from="customer@example.com")
        values = {"model_id": self.env["ir.model"]._get_id("res.partner"), "email_to": "{{ object.email }}"}
        for case in ("archived", "other model", "deleted"):
            with self.subTest(case):
                if case == "archived":
                    self.template.active = False
                elif case == "other model":
                    self.quotation.mail_template_id = self.template.copy(values)
                else:
                    self.quotation.mail_template_id = self.template
                    self.template.unlink()
                forget(self.env.cr)  # as a new transaction does
                self.assertFalse(self.arrive(lead))
                self.assertEqual(lead.stage_id, self.quotation)
                self.move(lead, self.new)


@tagged("post_install", "-at_install")
class TestAskedFields(ArrivalCase):
    def ask(self, stage, *names):
        stage.required_field_ids = [Command.set(self.get_field(*names).ids)]

    def get_missing(self, lead):
        return [field["name"] for field in lead.missing_fields or ()]

    def assertMissing(self, leads, names):
        """What is computed is what is searched."""
        for lead in leads:
            self.assertEqual(self.get_missing(lead), names)
        self.env.flush_all()
        for value in (True, False):
            found = self.env["crm.lead"].search(
                [("id", "in", leads.ids), ("is_something_missing", "=", value)]
            )
            self.assertEqual(found, leads if bool(names) == value else leads.browse())
        filtered = leads.filtered_domain([("is_something_missing", "=", True)])
        self.assertEqual(filtered, leads if names else leads.browse())

    def test_kinds_of_emptiness(self):
        tag = self.env["crm.tag"].create({"name": "Urgent"})
        partner = self.env["res.partner"].create({"name": "Customer"})
        kinds = {
            "expected_revenue": ([0], [10]),
            "referred": ([False, ""], ["Neighbour"]),
            "tag_ids": ([[Command.clear()]], [tag.ids]),
            "partner_id": ([False], [partner.id]),
            "date_deadline": ([False], ["2026-01-01"]),
            "priority": ([False], ["0", "2"]),
        }
        lead = self.create_in(self.visit)
        for name, (blank, filled) in kinds.items():
            self.ask(self.visit, name)
            for value in blank:
                with self.subTest(name=name, value=value):
                    lead[name] = value
                    self.assertMissing(lead, [name])
            for value in filled:
                with self.subTest(name=name, value=value):
                    lead[name] = value
                    self.assertMissing(lead, [])
        self.env.flush_all()
        self.env.cr.execute("UPDATE crm_lead SET expected_revenue = NULL WHERE id = %s", lead.ids)
        self.env.invalidate_all()
        self.ask(self.visit, "expected_revenue")
        self.assertMissing(lead, ["expected_revenue"])

    def test_a_box_that_is_not_ticked_is_an_answer(self):
        self.env["ir.model.fields"].create(
            {
                "name": "x_is_heated",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "ttype": "boolean",
                "field_description": "Heated",
            }
        )
        self.ask(self.visit, "x_is_heated", "referred")
        self.assertMissing(self.create_in(self.visit), ["referred"])

    def test_each_stage_asks_for_its_own(self):
        self.ask(self.visit, "referred")
        self.ask(self.quotation, "expected_revenue", "date_deadline")
        lead = self.create_in(self.new, expected_revenue=0)
        self.assertMissing(lead, [])
        lead.stage_id = self.visit
        self.assertMissing(lead, ["referred"])
        lead.stage_id = self.quotation
        self.assertMissing(lead, ["date_deadline", "expected_revenue"])
        lead.type = "lead"
        self.assertMissing(lead, [])

    def test_fields_that_the_user_may_not_write(self):
        self.ask(self.visit, "referred", "expected_revenue")
        lead = self.create_in(self.visit, user_id=self.salesperson.id, expected_revenue=0)
        self.patch(lead._fields["referred"], "groups", "sales_team.group_sale_manager")
        self.assertEqual(self.get_missing(lead.with_user(self.salesperson)), ["expected_revenue"])
        self.assertEqual(self.get_missing(lead.with_user(self.manager)), ["expected_revenue", "referred"])
        lead.expected_revenue = 5
        domain = [("id", "=", lead.id), ("is_something_missing", "=", True)]
        self.assertFalse(lead.with_user(self.salesperson).search(domain))
        self.assertTrue(lead.with_user(self.manager).search(domain))

    def test_manager_chooses_without_the_right_to_read_fields(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        revenue = self.get_field("expected_revenue")
        fields_ = self.env["ir.model.fields"]
        fields_.browse(revenue.id).with_context(lang="fr_FR").field_description = "Chiffre attendu"
        fields_ = fields_.with_user(self.manager)
        with self.assertRaises(AccessError):
            fields_.search([("compute", "!=", False)])
        askable = self.env["crm.stage.askable.field"].with_user(self.manager)
        self.assertEqual(
            set(askable.search([]).mapped("name")), set(self.env["crm.lead"]._get_askable_names())
        )
        stage = self.visit.with_user(self.manager)
        stage.required_field_ids = self.get_field("expected_revenue") + self.get_field("referred")
        self.env.invalidate_all()
        self.assertEqual(self.visit.required_field_ids, revenue + self.get_field("referred"))
        self.assertEqual(stage.required_field_ids.mapped("display_name"), ["Expected Revenue", "Referred By"])
        french = stage.with_context(lang="fr_FR").required_field_ids
        self.assertIn("Chiffre attendu", french.mapped("display_name"))
        stages = self.env["crm.stage"].with_user(self.manager)
        self.assertEqual(stages.search([("required_field_ids", "ilike", "expected rev")]), stage)
        self.assertEqual(stages.search([("required_field_ids", "=", revenue.id)]), stage)
        self.assertNotIn(stage, stages.search([("required_field_ids", "=", False)]))
        self.assertEqual(stages.search([("required_field_ids", "!=", False)]), stage)
        copied = stage.copy()
        self.assertEqual(copied.sudo().required_field_ids, self.visit.required_field_ids)
        created = stages.create({"name": "New", "required_field_ids": [Command.set(revenue.ids)]})
        self.assertEqual(created.sudo().required_field_ids, revenue)
        self.assertIn(revenue.id, stage.read()[0]["required_field_ids"])
        stage.required_field_ids = False
        self.assertFalse(self.visit.required_field_ids)

    def test_manager_chooses_no_other_fields(self):
        stage = self.visit.with_user(self.manager)
        stage.required_field_ids = self.get_field("expected_revenue")
        with self.assertRaises(AccessError):
            stage.required_field_ids.field_description = "Other"
        with self.assertRaises(ValueError):
            stage.search([("required_field_ids.compute", "!=", False)])

    def test_fields_that_are_removed(self):
        field = self.env["ir.model.fields"].create(
            {
                "name": "x_floor",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "ttype": "char",
                "field_description": "Floor",
            }
        )
        self.ask(self.visit, "x_floor", "referred")
        lead = self.create_in(self.visit)
        self.assertMissing(lead, ["x_floor", "referred"])
        field.unlink()
        self.env.invalidate_all()
        self.assertMissing(lead, ["referred"])
        self.assertEqual(self.visit.required_field_ids.mapped("name"), ["referred"])

    def test_what_cannot_be_asked_for(self):
        names = ["stage_id", "active", "id", "create_date", "prorated_revenue", "message_ids", "order_ids"]
        names += ["activity_user_id", "won_status", "automated_probability", "lead_properties"]
        names += ["description"]
        models_ = ["crm.lead"] * len(names) + ["res.partner"]
        for model, name in zip(models_, [*names, "phone"], strict=True):
            with self.subTest(f"{model}.{name}"):
                self.visit.required_field_ids = [
                    Command.set(self.env["ir.model.fields"]._get(model, name).ids)
                ]
                self.env.invalidate_all()
                self.assertFalse(self.visit.required_field_ids)
                self.assertFalse(self.visit.asks_for_fields)

    def test_questions(self):
        self.visit.requirements = "Measure <b>first</b>"
        self.ask(self.visit, "referred", "expected_revenue")
        lead = self.create_in(self.new, user_id=self.salesperson.id, expected_revenue=0)
        lead = lead.with_user(self.salesperson)
        questions = lead.get_arrival_questions(self.visit.id)
        self.assertEqual(questions["requirements"], "Measure <b>first</b>")
        self.assertEqual(
            questions["missing"],
            [
                {"name": "expected_revenue", "string": "Expected Revenue"},
                {"name": "referred", "string": "Referred By"},
            ],
        )
        form = questions["form"]
        self.assertIn('name="expected_revenue"', form["arch"])
        self.assertLessEqual({"expected_revenue", "company_currency", "referred"}, form["fields"].keys())
        lead.expected_revenue = 10
        questions = lead.get_arrival_questions(self.visit.id)
        self.assertEqual([field["name"] for field in questions["missing"]], ["referred"])
        self.assertEqual(lead.get_arrival_questions(self.quotation.id)["missing"], [])
        self.assertFalse(lead.get_arrival_questions(self.quotation.id)["form"])

    def test_hints(self):
        """Columns and the list show what happens, by its name, to those who may not read how it is set up."""
        self.ask(self.visit, "referred")
        self.visit.write({"activity_plan_id": self.plan.id, "mail_template_id": self.template.id})
        stage = self.visit.with_user(self.salesperson)
        texts = ["Plans: Follow up", "Sends: We have your quotation", "Asks for: Referred By"]
        self.assertEqual([hint["text"] for hint in stage.arrival_hints], texts)
        self.assertTrue(stage.sends_email)
        self.template.active = False
        self.visit.required_field_ids = False
        self.assertEqual([hint["text"] for hint in stage.arrival_hints], texts[:1])
        self.assertFalse(stage.sends_email)
        self.visit.activity_plan_id = False
        self.env.flush_all()
        others = self.stages.with_user(self.salesperson)
        others.mapped("plans_activities")
        with self.assertQueryCount(0):
            self.assertFalse(any(others.mapped("arrival_hints")))

    def test_nothing_is_read_without_asked_fields(self):
        leads = self.create_in(self.visit, 5)
        names = ["name", "stage_id", "type"]

        def count(names):
            self.env.flush_all()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            leads.web_read({name: {} for name in names})
            return self.env.cr.sql_log_count - before

        self.env["crm.stage"]._get_arrivals_by_stage()
        plain = count(names)
        self.assertEqual(count([*names, "is_something_missing", "missing_fields"]), plain)
        self.ask(self.visit, "referred", "expected_revenue", "tag_ids")
        count([*names, "is_something_missing"])  # fills the caches
        self.assertLessEqual(count([*names, "is_something_missing"]), plain + 3)
