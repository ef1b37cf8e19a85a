from unittest.mock import patch

from odoo import Command
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import Form, new_test_user, tagged
from odoo.tools import mute_logger

from .common_automation import AutomationCase

LOGGER = "odoo.addons.crm_sales_stage.models.automation.crm_stage_automation"


@tagged("post_install", "-at_install")
class TestAuthor(AutomationCase):
    """An automation sees what the author of its condition may see; its readers see what they may see."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automations.search([]).active = False
        cls.company_a = cls.env.company
        cls.company_b = cls.env["res.company"].create({"name": "B"})
        cls.manager_a = cls.create_manager("manager_a", cls.company_a)
        cls.manager_b = cls.create_manager("manager_b", cls.company_b)
        cls.secret = cls.create_lead(
            name="Secret deal",
            expected_revenue=123457,
            company_id=cls.company_a.id,
            user_id=False,
            team_id=False,
        )
        cls.lead = cls.create_lead(name="Mine", user_id=False, team_id=False)
        cls.order = cls.create_order(cls.lead)
        cls.in_visit = [("stage_id", "=", cls.visit.id)]

    @classmethod
    def create_manager(cls, login, company):
        return new_test_user(
            cls.env,
            login=login,
            groups="base.group_user,sales_team.group_sale_manager",
            company_id=company.id,
            company_ids=[Command.set(company.ids)],
        )

    def as_user(self, record, user):
        return record.with_user(user).with_context(allowed_company_ids=user.company_ids.ids)

    def create_by(self, user, trigger, domain, stage=None):
        self.env.invalidate_all()
        return self.as_user(self.automations, user).create(
            {"stage_id": (stage or self.visit).id, "trigger": trigger, "filter_domain": repr(domain)}
        )

    # ---- what it sees ----

    def test_links_that_the_author_may_not_read(self):
        """The revenue of another company's opportunity cannot be guessed by a condition over links."""
        domain = [
            ("partner_id.opportunity_ids", "any", [("id", "=", self.secret.id), ("expected_revenue", ">", 1)])
        ]
        for user, expected in ((self.manager_b, self.new), (self.manager_a, self.visit)):
            with self.subTest(user.login):
                automation = self.create_by(user, "quotation_sent", domain)
                self.assertEqual(automation.sudo().author_id, user)
                order = self.create_order(self.lead)
                order.action_quotation_sent()
                self.assertFalse(automation.sudo().fault)
                self.assertEqual(self.lead.stage_id, expected)
                automation.active = False
                self.lead.stage_id = self.new

    def test_documents_that_the_author_may_not_read(self):
        hidden = self.create_order(self.secret, company_id=self.company_a.id)
        automation = self.create_by(self.manager_b, "quotation_sent", [("amount_total", ">=", 0)])
        hidden.action_quotation_sent()
        self.assertEqual(self.secret.stage_id, self.new)
        self.assertFalse(automation.sudo().fault)

    def test_private_messages(self):
        channel = self.env["discuss.channel"].create({"name": "Bosses", "channel_type": "group"})
        channel.message_post(body="we sack Paul", message_type="comment")
        self.env.flush_all()
        path = "company_id.user_ids.partner_id.channel_ids.message_ids.body"
        automation = self.create_by(self.manager_a, "quotation_sent", [(path, "like", "we sack")])
        self.order.action_quotation_sent()
        self.assertEqual(self.lead.stage_id, self.new)
        self.assertFalse(automation.sudo()._search_leads_to_move())

    def test_existing_documents(self):
        """Applying it sees what the author may see, and moves what the user who applies it may see."""
        hidden = self.create_order(self.secret, company_id=self.company_a.id)
        theirs = self.create_lead(
            name="Of B", company_id=self.company_b.id, user_id=False, team_id=False, partner_id=False
        )
        order_of_b = self.create_order(theirs, company_id=self.company_b.id)
        both = self.create_manager("manager_of_both", self.company_a)
        both.company_ids = self.company_a + self.company_b
        (self.secret + theirs).stage_id = self.new
        for author, user, expected in (
            (both, both, self.secret + theirs),
            (both, self.manager_a, self.secret),
            (both, self.manager_b, theirs),
            (self.manager_a, both, self.secret),
            (self.manager_b, both, theirs),
            (self.manager_a, self.manager_b, self.env["crm.lead"]),
        ):
            for by_job in (False, True):
                with self.subTest(author=author.login, user=user.login, by_job=by_job):
                    domain = [("id", "in", (hidden + order_of_b).ids)]
                    automation = self.as_user(self.create_by(author, "quotation_created", domain), user)
                    self.assertEqual(self.get_preview(automation).line_ids.lead_id, expected)
                    with patch(
                        "odoo.addons.crm_sales_stage.models.automation.crm_stage_automation.BATCH",
                        0 if by_job else 200,
                    ):
                        automation.action_catch_up()
                    if by_job:
                        self.automations._make_moves(automation.sudo()._get_waiting(), set())
                    self.assertEqual((self.secret + theirs).filtered_domain(self.in_visit), expected)
                    (self.secret + theirs).stage_id = self.new
                    automation.active = False

    def test_existing_documents_that_the_user_may_not_read(self):
        """A preview tells nothing of a hidden quotation, though its reader sees the opportunity."""
        self.create_order(self.lead, company_id=self.company_a.id)
        self.lead.stage_id = self.new
        self.order.unlink()
        automation = self.create_by(self.manager_a, "quotation_created", [("amount_total", ">=", 0)])
        self.assertIn(self.lead, self.as_user(automation, self.manager_a)._search_leads_to_move())
        self.assertIn(self.lead, self.as_user(self.lead, self.manager_b).search([]))
        self.assertNotIn(self.lead, self.as_user(automation, self.manager_b)._search_leads_to_move())

    def test_document_of_several_opportunities(self):
        """Only those that the user may see are moved on their behalf."""
        automation = self.create_by(self.manager_a, "quotation_created", [("amount_total", ">=", 0)])
        both = self.lead + self.secret
        with patch.object(type(self.order), "_get_crm_stage_leads", lambda orders: [(orders[:1], both)]):
            documents = automation.sudo()._get_documents_to_move(self.lead)
        self.assertEqual(list(documents), self.lead.ids)

    def test_whoever_sets_the_condition_is_its_author(self):
        automation = self.create_by(self.manager_a, "quotation_sent", [("amount_total", ">", 1)])
        by_b = self.as_user(automation, self.manager_b)
        by_b.sequence = 3
        self.assertEqual(automation.sudo().author_id, self.manager_a, "something else was set")
        with self.assertRaises(AccessError):
            by_b.author_id = self.env.ref("base.user_admin")
        self.assertEqual(automation.sudo().author_id, self.manager_a, "nobody lends others' rights")
        by_b.filter_domain = repr([("amount_total", ">", 2)])
        self.assertEqual(automation.sudo().author_id, self.manager_b)
        created = self.as_user(self.automations, self.manager_b).create(
            {"stage_id": self.visit.id, "trigger": "quotation_sent"}
        )
        self.assertEqual(created.sudo().author_id, self.manager_b)
        self.assertEqual(by_b.copy().sudo().author_id, self.manager_b)

    def test_seeded_ones_are_the_systems(self):
        seeded = self.env.ref("crm_sales_stage.automation_technical_visit_meeting_scheduled")
        self.assertEqual(seeded.author_id, self.env.ref("base.user_root"))

    def test_author_is_gone(self):
        portal = [Command.set(self.env.ref("base.group_portal").ids)]
        for login, leave in (
            ("archived", lambda author: author.action_archive()),
            ("deleted", lambda author: author.unlink()),
            ("visitor", lambda author: author.write({"group_ids": portal})),
        ):
            author = self.create_manager(login, self.company_a)
            automation = self.create_by(author, "quotation_sent", [("amount_total", ">=", 0)])
            automation = automation.with_env(self.env)
            leave(author)
            with mute_logger(LOGGER):
                self.order.action_quotation_sent()
            self.assertEqual(self.order.state, "sent")
            self.assertEqual(self.lead.stage_id, self.new)
            self.assertIn("that user is gone", automation.fault)
            self.assertTrue(automation.is_author_gone)
            preview = self.get_preview(self.as_user(automation, self.manager_a))
            self.assertIn("that user is gone", preview.obstacle)
            self.as_user(automation, self.manager_a).action_take_over_condition()
            self.assertFalse(automation.fault)
            self.order.state = "draft"
            self.order.action_quotation_sent()
            self.assertEqual(self.lead.stage_id, self.visit)
            automation.active = False
            self.lead.stage_id = self.new
            self.order.state = "draft"

    def test_cost(self):
        """Nothing for the system's own conditions, a constant number of queries for those of others."""
        costs = {}
        for user in (self.env.ref("base.user_root"), self.manager_a):
            for number in (2, 20):
                leads = self.create_leads(number)
                automation = self.create_by(user, "quotation_created", [("amount_total", ">=", 0)])
                self.env["sale.order"].create([self.get_order_values(lead) for lead in self.create_leads(1)])
                costs[user, number] = self.count_queries(
                    lambda leads=leads: self.env["sale.order"].create(
                        [self.get_order_values(lead) for lead in leads]
                    )
                )
                self.assertEqual(leads.stage_id, self.visit)
                automation.active = False
        root = self.env.ref("base.user_root")
        for number in (2, 20):
            self.assertLessEqual(costs[self.manager_a, number] - costs[root, number], 10)

    # ---- what it tells ----

    def test_sentence_spells_no_hidden_names(self):
        ids = (self.secret + self.lead).ids
        automation = self.create_by(self.manager_b, "quotation_sent", [("opportunity_id", "in", ids)])
        name = self.as_user(automation, self.manager_b).name
        self.assertIn("Mine", name)
        self.assertNotIn("Secret", name)
        self.assertIn("1 that you may not see", name)
        self.assertIn("Secret", self.as_user(automation, self.manager_a).name)

    def test_chatter_spells_no_names(self):
        """The chatter of one opportunity is read by people who may not see another."""
        ids = (self.secret + self.lead).ids
        self.create_by(self.manager_a, "quotation_sent", [("opportunity_id", "in", ids)])
        self.order.action_quotation_sent()
        self.assertEqual(self.lead.stage_id, self.visit)
        body = self.get_tracking_message(self.lead).body
        self.assertIn("By an automation", body)
        self.assertNotIn("Secret", body)

    def test_lists_and_forms_open(self):
        private = self.env["res.partner"].create({"name": "Of A only", "company_id": self.company_a.id})
        team = self.env["crm.team"].create({"name": "Team of A", "company_id": self.company_a.id})
        for domain in (
            [("partner_id", "=", private.id)],
            [("team_id", "=", team.id)],
            [("opportunity_id", "=", self.secret.id)],
            [("partner_id", "=", 2_000_000_000)],
        ):
            with self.subTest(domain):
                automation = self.create_by(self.manager_a, "quotation_created", domain)
                self.env.flush_all()
                self.env.invalidate_all()
                by_b = self.as_user(automation, self.manager_b)
                self.assertNotIn(" of A", by_b.web_read({"name": {}})[0]["name"])
                self.as_user(self.visit, self.manager_b).web_read(
                    {"automation_ids": {"fields": {"name": {}}}}
                )
                by_b.action_preview()
                with Form(by_b):
                    pass

    def test_name_that_fails(self):
        """A record whose name cannot be told hides neither the list nor the automation."""
        automation = self.create_by(
            self.manager_a, "quotation_created", [("partner_id", "=", self.partner.id)]
        )

        def fail(partners):
            raise ValueError("no name")

        self.patch(type(self.partner), "_compute_display_name", fail)
        self.env.invalidate_all()
        with mute_logger("odoo.addons.crm_sales_stage.models.automation.sentence"):
            self.assertIn("its condition is met", automation.name)


@tagged("post_install", "-at_install")
class TestConditionValues(AutomationCase):
    """What a condition may say: what the condition editor produces can be evaluated, or is refused."""

    def test_refused(self):
        for domain in (
            [("partner_id", "=", True)],
            [("order_line", "in", [True, 1])],
            [("name", "child_of", "x")],
            [("pricelist_id", "parent_of", 1)],
            [("date_order", "<", "yesterday or so")],
            [("date_order", ">", "today +99999999999d")],
            [("amount_total", ">", "much")],
            [("name", "=", "a\x00b")],
            [("id", "any", 1)],
            [("partner_id", "any", "x")],
            [("name", "any", [("id", "=", 1)])],
            [("amount_total", "=", {"a": 1})],
        ):
            with self.subTest(domain), self.assertRaises(ValidationError):
                self.create_automation(self.visit, "quotation_sent", filter_domain=repr(domain))

    def test_accepted_and_evaluated(self):
        self.partner.name = "Dealer"
        for domain in (
            [("name", "ilike", "s")],
            [("partner_id", "child_of", self.partner.id)],
            [("partner_id", "parent_of", self.partner.id)],
            [("partner_id", "ilike", "dealer")],
            [("partner_id.name", "=like", "D\\\\%")],
            [("date_order", ">=", "today -7d")],
            [("date_order.month_number", ">", 0)],
            [("amount_total", ">=", 0.5)],
            [("state", "in", ["sent", "sale"])],
            [("order_line", "any", [("product_uom_qty", ">", 0)])],
            [("tag_ids", "=", False)],
            ["|", ("user_id", "!=", False), ("user_id", "=", False)],
        ):
            with self.subTest(domain):
                automation = self.create_automation(self.visit, "quotation_sent", filter_domain=repr(domain))
                order = self.create_order(self.create_lead())
                order.action_quotation_sent()
                self.assertFalse(automation.fault)
                self.assertTrue(automation.name)
                automation.active = False
