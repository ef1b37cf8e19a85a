from unittest.mock import patch

from odoo.tests import tagged

from .common_automation import AutomationCase


@tagged("post_install", "-at_install")
class TestQueries(AutomationCase):
    """Counts, not times: what the addon adds to a business action."""

    def count(self, function):
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        function()
        self.env.flush_all()
        return self.env.cr.sql_log_count - before

    def silence(self):
        """:return: patch that takes the addon's hooks away, as if it were not installed"""
        return patch.object(
            type(self.env["crm.stage.trigger.mixin"]),
            "_get_heard_crm_stage_triggers",
            lambda records: frozenset(),
        )

    def compare(self, function):
        """Queries of ``function`` without and with the addon's hooks, caches warm."""
        function()
        with self.silence():
            plain = self.count(function)
        return plain, self.count(function)

    def test_order_without_opportunity(self):
        plain, ours = self.compare(lambda: self.create_order())
        self.assertEqual(ours, plain)

    def test_confirm_without_opportunity(self):
        plain, ours = self.compare(lambda: self.create_order().action_confirm())
        self.assertEqual(ours, plain)

    def test_nothing_listens(self):
        self.automations.search([]).active = False
        plain, ours = self.compare(lambda: self.create_order(self.lead).action_confirm())
        self.assertEqual(ours, plain)

    def test_linear(self):
        """Moving 200 takes about as many queries of ours as moving one, beyond those of writing a stage."""
        cost_of_one, cost_of_many = self.get_cost(1), self.get_cost(200)
        self.assertLessEqual(cost_of_one, 25)
        self.assertLessEqual(cost_of_many, cost_of_one + 5)

    def get_cost(self, count):
        """:return: queries that moving ``count`` opportunities takes more than writing their stage by hand"""

        def create(leads):
            self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])

        def create_and_write(leads):
            create(leads)
            leads.write({"stage_id": self.estimate.id})

        create(self.create_leads(count))  # warms the caches
        leads = self.create_leads(count)
        with self.silence():
            floor = self.count(lambda: create_and_write(leads))
        leads = self.create_leads(count)
        cost = self.count(lambda: create(leads)) - floor
        self.assertEqual(leads.stage_id, self.estimate)
        return cost

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lead = cls.create_lead()
