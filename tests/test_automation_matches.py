from odoo import Command
from odoo.exceptions import ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common_automation import AutomationCase

LOGGER = "odoo.addons.crm_sales_stage.models.automation.crm_stage_automation"


@tagged("post_install", "-at_install")
class TestMatches(AutomationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automations.search([]).active = False
        cls.tag = cls.env["crm.tag"].create({"name": "Urgent"})

    def automate(self, domain="[('expected_revenue', '>', 10000)]", stage=None, **values):
        return self.create_automation(
            stage or self.visit, "opportunity_matches", filter_domain=domain, **values
        )

    def test_condition_required(self):
        for domain in (False, "", "[]", "[(1, '=', 1)]"):
            with self.subTest(domain), self.assertRaisesRegex(ValidationError, "needs a condition"):
                self.automate(domain)
        automation = self.automate()
        with self.assertRaisesRegex(ValidationError, "needs a condition"):
            automation.filter_domain = False
        other = self.create_automation(self.visit, "email_sent")
        with self.assertRaisesRegex(ValidationError, "needs a condition"):
            other.trigger = "opportunity_matches"

    def test_name(self):
        automation = self.automate(f"[('tag_ids', 'in', [{self.tag.id}])]")
        self.assertEqual(
            automation.name,
            'Move to "Technical Visit" when it comes to meet the condition, if "Tags" is equal to Urgent',
        )

    def test_created(self):
        self.automate()
        self.assertEqual(self.create_lead(expected_revenue=10001).stage_id, self.visit)
        self.assertEqual(self.create_lead(expected_revenue=10000).stage_id, self.new)
        self.assertEqual(self.create_lead(expected_revenue=10001, type="lead").stage_id, self.new)
        leads = self.env["crm.lead"].create(
            [{"name": "A", "expected_revenue": 20000, "type": "opportunity"}] * 2
        )
        self.assertEqual(leads.stage_id, self.visit)

    def test_changed(self):
        """Once: one that met the condition before does not come to meet it."""
        self.automate()
        lead = self.create_lead()
        lead.expected_revenue = 20000
        self.assertEqual(lead.stage_id, self.visit)
        self.assertIn("it comes to meet the condition", self.get_tracking_message(lead).body)
        lead.stage_id = self.new
        lead.expected_revenue = 30000
        lead.name = "Changed"
        self.assertEqual(lead.stage_id, self.new)
        lead.expected_revenue = 5000
        self.assertEqual(lead.stage_id, self.new)
        lead.expected_revenue = 20000
        self.assertEqual(lead.stage_id, self.visit)

    def test_existing_before(self):
        """What met the condition before the automation was made is moved by applying it."""
        lead = self.create_lead(expected_revenue=20000)
        other = self.create_lead()
        automation = self.automate()
        lead.expected_revenue = 30000
        self.assertEqual(lead.stage_id, self.new)
        automation.action_catch_up()
        self.assertEqual((lead + other).mapped("stage_id"), self.visit + self.new)

    def test_fields(self):
        """Links, tags, what is computed, and what Odoo writes along."""
        country = self.env.ref("base.be")
        abroad = self.env["res.partner"].create(
            {"name": "Abroad", "country_id": country.id, "email": "a@b.be"}
        )
        for domain, values in (
            (f"[('tag_ids', 'in', [{self.tag.id}])]", {"tag_ids": [Command.link(self.tag.id)]}),
            (f"[('partner_id.country_id', '=', {country.id})]", {"partner_id": abroad.id}),
            ("[('email_from', '=', 'a@b.be')]", {"partner_id": abroad.id}),
            ("[('user_id.login', '=', 'stages_manager')]", {"user_id": self.manager.id}),
            ("[('probability', '>', 80)]", {"probability": 81}),
            ("[('prorated_revenue', '>', 700)]", {"expected_revenue": 8000}),
            ("[('priority', 'in', ['2', '3'])]", {"priority": "2"}),
            ("['|', ('name', 'ilike', 'villa'), ('priority', '=', '3')]", {"name": "Villa"}),
            ("[('activity_ids', '=', False), ('name', '=', 'No Activity')]", {"name": "No Activity"}),
        ):
            with self.subTest(domain):
                automation = self.automate(domain)
                lead, other = self.create_lead(), self.create_lead()
                lead.write(values)
                self.assertEqual((lead + other).mapped("stage_id"), self.visit + self.new)
                automation.unlink()

    def test_converted(self):
        """A lead is no opportunity that meets the condition before."""
        self.automate()
        lead = self.create_lead(type="lead", expected_revenue=20000)
        lead.convert_opportunity(self.partner)
        self.assertEqual(lead.stage_id, self.visit)

    def test_left_alone(self):
        self.automate()
        won = self.create_lead(stage_id=self.closed.id)
        lost = self.create_lead(active=False, probability=0)
        further = self.create_lead(stage_id=self.quotation.id)
        (won + lost + further).expected_revenue = 20000
        self.assertEqual(
            (won + lost + further).mapped("stage_id.id"), [self.closed.id, self.new.id, self.quotation.id]
        )

    def test_moving_a_card(self):
        """It triggers no automation, by hand or by another one: not even where the stage is the condition."""
        self.automate(f"[('stage_id', '=', {self.estimate.id})]")
        self.automate("[('probability', '=', 25)]", self.quotation)
        self.create_automation(self.estimate, "quotation_created")
        lead, quoted = self.create_lead(), self.create_lead()
        lead.stage_id = self.estimate
        self.create_order(quoted)
        self.assertEqual((lead + quoted).stage_id, self.estimate)

    def test_no_loop(self):
        """Two that would send it back and forth."""
        self.automate("[('expected_revenue', '>', 10000)]", from_stage_ids=self.new.ids)
        self.automate(f"[('stage_id', '=', {self.visit.id})]", self.new, from_stage_ids=self.visit.ids)
        lead = self.create_lead()
        lead.expected_revenue = 20000
        self.assertEqual(lead.stage_id, self.visit)

    def test_furthest_wins(self):
        self.automate(stage=self.estimate)
        self.automate("[('expected_revenue', '>', 20000)]", self.quotation)
        lead, other = self.create_lead(), self.create_lead()
        lead.expected_revenue = 30000
        other.expected_revenue = 15000
        self.assertEqual((lead + other).mapped("stage_id"), self.quotation + self.estimate)

    def test_author(self):
        """It sees what its author may see; whoever changes the opportunity need not."""
        automation = self.automations.with_user(self.manager).create(
            {
                "stage_id": self.visit.id,
                "trigger": "opportunity_matches",
                "filter_domain": "[('expected_revenue', '>', 10000)]",
            }
        )
        company = self.env["res.company"].create({"name": "Other"})
        hidden = self.create_lead(company_id=company.id, partner_id=False, user_id=False, team_id=False)
        lead = self.create_lead()
        hidden.expected_revenue = 20000
        lead.with_user(self.salesperson).expected_revenue = 20000
        self.assertEqual((hidden + lead).mapped("stage_id"), self.new + self.visit)
        self.assertFalse(automation.fault)

    @mute_logger(LOGGER)
    def test_faulty(self):
        """The opportunity itself is saved."""
        automation = self.automate()
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE crm_stage_automation SET filter_domain = %s WHERE id = %s",
            ["[('gone', '=', 1)]", automation.id],
        )
        self.env.invalidate_all()
        other = self.automate("[('priority', '=', '2')]", self.estimate)
        lead = self.create_lead()
        lead.write({"expected_revenue": 20000, "priority": "2"})
        self.assertEqual((lead.expected_revenue, lead.stage_id), (20000, self.estimate))
        self.assertIn("gone", automation.fault)
        self.assertFalse(other.fault)
        self.assertEqual(self.create_lead(expected_revenue=20000).expected_revenue, 20000)

    def count_queries(self, act):
        self.env.flush_all()
        self.env.invalidate_all()
        self.automations._get_listening()
        before = self.env.cr.sql_log_count
        act()
        self.env.flush_all()
        return self.env.cr.sql_log_count - before

    def test_costs_nothing(self):
        """While no such automation exists, whatever else listens."""
        self.create_automation(self.visit, "email_sent")
        self.create_automation(self.visit, "stage_waiting", days=3)
        automation = self.automate("[('priority', '=', '3')]")
        lead = self.create_lead()

        def count(revenue):
            return self.count_queries(lambda: lead.write({"expected_revenue": revenue}))

        with_it = count(7)
        automation.active = False
        count(1)  # warms the caches
        without = count(8)
        self.patch(type(lead), "_get_heard_crm_stage_triggers", lambda self: frozenset())
        self.assertEqual(without, count(9))
        self.assertGreater(with_it, without)

    def test_constant_cost(self):
        """A write of 30 costs hardly more than one of ten."""
        self.automate("[('priority', '=', '3')]")
        few, many = self.create_leads(10), self.create_leads(30)
        automations = self.automations.search([])

        def count(leads, revenue, active):
            automations.active = active
            return self.count_queries(lambda: leads.write({"expected_revenue": revenue}))

        more_of_few = count(few, 7, True) - count(few, 8, False)
        more_of_many = count(many, 7, True) - count(many, 8, False)
        self.assertLessEqual(more_of_many, more_of_few + 3)
        self.assertLessEqual(more_of_few, 12)
