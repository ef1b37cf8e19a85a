"""The dealer's records, as loading the demo file creates them."""

from collections import Counter
from datetime import timedelta
from time import process_time

from odoo import fields
from odoo.tests import tagged

from ..dealer import LOGINS
from ..stories import CLOSED, StoryTeller
from .common_dealer import DealerCase


@tagged("post_install", "-at_install")
class TestDealer(DealerCase):
    """The demo file, loaded into a pipeline without opportunities."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.speak("en_US")
        cls.forget_dealer()
        before = cls.count_mails()
        started = process_time()
        cls.leads = cls.make_dealer()
        cls.seconds = process_time() - started
        cls.mails = cls.count_mails() - before
        cls.people = cls.env["res.users"].search([("login", "in", LOGINS)])

    @classmethod
    def count_mails(cls):
        """:return: e-mails, and notifications of messages to anybody"""
        return Counter({name: cls.env[name].search_count([]) for name in ("mail.mail", "mail.notification")})

    def describe(self, leads):
        """:return: what does not depend on ids and language"""
        return [
            (
                lead.user_id.login,
                self.stages.ids.index(lead.stage_id.id),
                lead.won_status,
                lead.expected_revenue,
                lead.create_date,
                lead.date_last_stage_update,
                lead.date_closed,
                lead.order_ids.mapped("state"),
                lead.calendar_event_ids.mapped("start"),
                lead.activity_ids.mapped("date_deadline"),
            )
            for lead in leads
        ]

    def read_stays(self):
        fields_ = ["lead_id", "stage_id", "date_entered", "date_left", "next_stage_id", "outcome"]
        fields_ += ["moved_by", "is_first_visit", "is_moved_on"]
        stays = self.env["crm.stage.stay"].search([("lead_id", "in", self.leads.ids)])
        rows = stays.sorted(lambda stay: (stay.lead_id.id, stay.date_entered)).read(fields_, load=None)
        return [{name: row[name] for name in fields_} for row in rows]

    # ------------------------------------------------------------------
    # What there is
    # ------------------------------------------------------------------

    def test_people(self):
        self.assertEqual(len(self.leads), 150)
        self.assertEqual(self.people.sorted("login").mapped("login"), LOGINS[:-1])
        self.assertEqual(len(self.people.crm_team_ids), 2)
        self.assertEqual(self.leads.user_id, self.people)
        for lead in self.leads:
            self.assertIn(lead.user_id, lead.team_id.member_ids)
        leaders = self.people.crm_team_ids.user_id
        self.assertEqual(set(leaders.mapped("login")), {"alice", "david"})
        for user in self.people:
            self.assertTrue(user.has_group("sales_team.group_sale_salesman"))
            self.assertEqual(user.has_group("sales_team.group_sale_salesman_all_leads"), user in leaders)
            credential = {"type": "password", "login": user.login, "password": user.login}
            self.assertTrue(user.with_user(user)._check_credentials(credential, {"interactive": False}))

    def test_over_fourteen_months(self):
        now = fields.Datetime.now()
        created = self.leads.mapped("create_date")
        self.assertLess(min(created), now - timedelta(days=410))
        self.assertGreater(min(created), now - timedelta(days=440))
        months = Counter((now - date).days // 31 for date in created)
        self.assertEqual(set(months), set(range(14)), "Opportunities came in every month")
        stays = self.read_stays()
        self.assertTrue(all(stay["date_entered"] < now for stay in stays))
        self.assertTrue(
            all(stay["date_left"] > stay["date_entered"] for stay in stays if stay["date_left"]),
        )
        self.assertTrue(all(stay["date_entered"].weekday() != 6 for stay in stays), "Not on Sundays")

    def test_every_column_has_cards(self):
        cards = Counter(lead.stage_id for lead in self.leads if lead.active)
        self.assertEqual(set(cards), set(self.stages))
        for stage in self.stages[:4]:
            self.assertGreaterEqual(cards[stage], 5, stage.name)
        outcomes = Counter(self.leads.mapped("won_status"))
        for outcome in ("won", "lost", "pending"):
            self.assertGreaterEqual(outcomes[outcome], 35, outcome)
        lost = self.leads.filtered(lambda lead: lead.won_status == "lost")
        self.assertTrue(all(lead.lost_reason_id for lead in lost))
        self.assertGreaterEqual(len(lost.lost_reason_id), 5)

    def test_some_cards_wait_too_long(self):
        self.assertTrue(all(stage.rotting_threshold_days for stage in self.stages[:4]))
        rotting = Counter(lead.stage_id for lead in self.leads if lead.is_rotting)
        self.assertEqual(set(rotting), set(self.stages[:4]))
        self.assertLess(sum(rotting.values()), 30)

    def test_report_has_a_picture_of_everything(self):
        for team in self.leads.team_id:
            overview = self.env["crm.stage.report"].get_overview(
                [("date_entered", ">=", "-1y"), ("team_id", "=", team.id)]
            )
            for stage in overview["stages"][:4]:
                with self.subTest(team=team.name, stage=stage["name"]):
                    self.assertGreaterEqual(stage["won_basis"], overview["min_basis"])
                    self.assertGreater(stage["mean"], stage["median"], "Some take much longer than most")
                    self.assertTrue(stage["waiting"])
                    self.assertTrue(stage["lost"])
        self.assertEqual(
            set(self.env["crm.stage.stay"].search([]).mapped("moved_by")), {"created", "hand", "automation"}
        )

    def test_documents(self):
        """Quotations, visits and activities fit what became of their opportunity."""
        states = {"pending": {"draft", "sent"}, "won": {"sale"}, "lost": {"draft", "cancel"}}
        for lead in self.leads:
            self.assertLessEqual(set(lead.order_ids.mapped("state")), states[lead.won_status])
            self.assertTrue(lead.won_status != "won" or lead.order_ids)
            if lead.order_ids:
                self.assertEqual(sum(lead.order_ids.mapped("amount_untaxed")), lead.expected_revenue)
        tag = self.env.ref("crm_sales_stage.calendar_event_type_technical_visit")
        visits = self.leads.calendar_event_ids
        self.assertEqual(visits.categ_ids, tag)
        self.assertTrue(visits.filtered(lambda visit: visit.start > fields.Datetime.now()))
        self.assertGreaterEqual(set(self.leads.activity_ids.mapped("state")), {"overdue", "planned"})

    def test_weighted_totals(self):
        for lead in self.leads:
            probability = 0 if lead.won_status == "lost" else lead.stage_id.probability
            self.assertEqual(lead.probability, probability)
            self.assertAlmostEqual(lead.prorated_revenue, lead.expected_revenue * probability / 100, 2)
        self.assertTrue(all(lead.expected_revenue > 500 for lead in self.leads))

    # ------------------------------------------------------------------
    # The past
    # ------------------------------------------------------------------

    def test_stays_are_what_opportunities_are(self):
        stays = self.env["crm.stage.stay"]
        self.assertFalse(stays._find_out_of_step(0))

    def test_chatter_tells_the_same(self):
        """A later installation reads the history of stays from what the chatter tracked."""
        before = self.read_stays()
        self.env.cr.execute("DELETE FROM crm_stage_stay")
        self.env["crm.stage.stay"]._fill_from_trackings()
        self.env.invalidate_all()
        self.assertEqual(self.read_stays(), before)

    def test_nothing_was_sent(self):
        self.assertFalse(+self.mails)
        self.assertFalse(self.leads.message_ids.filtered(lambda message: message.date > message.create_date))

    def test_time(self):
        self.assertLess(self.seconds, 20)

    # ------------------------------------------------------------------
    # Automations
    # ------------------------------------------------------------------

    def test_automations(self):
        delivered = self.env["ir.model.data"].search(
            [("module", "=", "crm_sales_stage"), ("model", "=", self.automations._name)]
        )
        own = self.automations.search([("id", "not in", delivered.mapped("res_id"))], order="id")[-2:]
        working, faulty = own
        self.assertFalse(working.fault)
        self.assertEqual((working.trigger, working.outcome), ("quotation_expired", "lost"))
        self.assertIn("that user is gone", faulty.fault)
        self.assertIn("cet utilisateur", faulty.with_context(lang="fr_FR").fault)
        self.assertTrue(faulty.is_author_gone)
        faulty.with_user(self.manager).action_take_over_condition()
        self.assertFalse(faulty.fault)

    def test_working_automation_finds_something(self):
        working = self.automations.search([("trigger", "=", "quotation_expired")], limit=1, order="id desc")
        before = self.leads.filtered(lambda lead: lead.won_status == "lost")
        working.action_catch_up()
        lost = self.leads.filtered(lambda lead: lead.won_status == "lost") - before
        self.assertTrue(lost)
        self.assertEqual(lost.lost_reason_id.name, "Stopped answering")

    # ------------------------------------------------------------------
    # Whenever and wherever it is made
    # ------------------------------------------------------------------

    def test_stories_are_the_same_on_every_day(self):
        now = fields.Datetime.now()
        stories = StoryTeller(now).tell_all()
        self.assertEqual(stories, StoryTeller(now).tell_all())
        for days in range(1, 8):
            others = StoryTeller(now + timedelta(days=days)).tell_all()
            self.assertEqual([story.stage for story in others], [story.stage for story in stories])
            self.assertEqual([story.is_open for story in others], [story.is_open for story in stories])
        self.assertTrue(any(story.stage == CLOSED for story in stories))

    def test_same_again_in_french(self):
        before = self.describe(self.leads)
        self.forget_dealer()
        self.speak("fr_FR")
        leads = self.make_dealer()
        self.assertEqual(self.describe(leads), before)
        self.assertFalse(leads & self.leads)
        self.assertIn("Poêle à granulés dans le salon", leads.mapped("name"))
        self.assertEqual(leads.partner_id.country_id, self.env.ref("base.fr"))
        self.assertIn("Hélène", leads.partner_id[0].name)
        french = leads.with_context(lang="fr_FR")
        self.assertEqual(set(french.team_id.mapped("name")), {"Poêles", "Fenêtres"})
        self.assertEqual(set(leads.with_context(lang="en_US").team_id.mapped("name")), {"Stoves", "Windows"})
        self.assertEqual(set(french.tag_ids.mapped("name")), {"Rénovation", "Maison neuve"})
        self.assertIn("Ne répond plus", french.lost_reason_id.mapped("name"))
        won = leads.filtered(lambda lead: lead.won_status == "won")[0]
        told = won.message_ids.tracking_value_ids.mapped("new_value_char")
        self.assertIn("Devis", told)
        self.assertTrue(any("Par une automatisation" in body for body in leads.message_ids.mapped("body")))

    def test_names_in_all_languages(self):
        french = self.leads.with_context(lang="fr_FR")
        self.assertEqual(set(french.team_id.mapped("name")), {"Poêles", "Fenêtres"})
        self.assertIn("Pellet stove in the living room", self.leads.mapped("name"))
        self.assertEqual(self.leads.partner_id.country_id, self.env.ref("base.us"))

    def test_once(self):
        self.assertEqual(self.make_dealer(), self.leads)
        self.assertEqual(self.env["crm.lead"].with_context(active_test=False).search_count([]), 150)

    def assertNotMade(self):
        self.forget_dealer()
        self.assertFalse(self.make_dealer())
        self.assertFalse(self.env["res.users"].search([("login", "in", LOGINS)]))

    def test_not_in_a_live_pipeline(self):
        """Where the five stages came beside a customer's own, they are archived after the demo data."""
        self.env["crm.stage"].create({"name": "Follow-up"})
        self.assertNotMade()

    def test_not_in_archived_stages(self):
        self.env.cr.execute("UPDATE crm_stage SET active = false WHERE id = %s", [self.visit.id])
        self.env.invalidate_all()
        self.assertNotMade()
