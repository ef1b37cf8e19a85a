from odoo import Command
from odoo.exceptions import ValidationError
from odoo.tests import tagged

from .common_automation import AutomationCase


@tagged("post_install", "-at_install")
class TestConditions(AutomationCase):
    """Documents that meet a condition, and conditions that are none."""

    def test_condition_chooses(self):
        self.create_automation(
            self.visit, "quotation_created", filter_domain="[('amount_untaxed', '>', 1000)]"
        )
        leads = self.create_leads(2)
        self.env["sale.order"].create(
            [
                self.get_order_values(leads[0]),
                self.get_order_values(
                    leads[1],
                    order_line=[Command.create({"product_id": self.product.id, "product_uom_qty": 3})],
                ),
            ]
        )
        self.assertEqual(leads.mapped("stage_id"), self.estimate + self.visit)

    def test_condition_over_links(self):
        self.partner.country_id = self.env.ref("base.fr")
        self.create_automation(
            self.visit, "quotation_created", filter_domain="[('partner_id.country_id.code', '=', 'FR')]"
        )
        lead = self.create_lead()
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.visit)

    def test_condition_any_of_several_documents(self):
        """An opportunity moves when one of its documents meets the condition; the chatter names that one."""
        self.create_automation(
            self.visit, "quotation_created", filter_domain="[('client_order_ref', '=', 'right')]"
        )
        lead = self.create_lead()
        orders = self.env["sale.order"].create(
            [self.get_order_values(lead, client_order_ref=ref) for ref in ("wrong", "right", "wrong")]
        )
        self.assertEqual(lead.stage_id, self.visit)
        body = self.get_tracking_message(lead).body
        self.assertIn(orders[1].name, body)
        self.assertNotIn(orders[0].name, body)

    def test_refuses_what_is_no_domain(self):
        for domain in (
            "[('name', '=', user.name)]",
            "[('name', '=', env.cr.execute('select 1'))]",
            "[('name', '=', __import__('os').getcwd())]",
            "[(lambda: 1)()]",
            "[x for x in ().__class__.__base__.__subclasses__()]",
            "[('name', '=', 'a'",
            "'name'",
            "{'name': 1}",
            "[('name', 'any!', [])]",
            "['&']",
            "[('name', '=')]",
            "(" * 300,
        ):
            with self.subTest(domain), self.assertRaisesRegex(ValidationError, "condition"):
                self.create_automation(self.visit, "quotation_sent", filter_domain=domain)

    def test_refuses_unknown_field(self):
        for domain in (
            "[('nonsense', '=', 1)]",
            "[('partner_id.nonsense', '=', 1)]",
            "[('partner_id', 'any', [('nonsense', '=', 1)])]",
            "['|', ('name', '=', 'x'), '!', ('order_line.nonsense', '=', 1)]",
        ):
            with self.subTest(domain), self.assertRaisesRegex(ValidationError, "nonsense"):
                self.create_automation(self.visit, "quotation_sent", filter_domain=domain)

    def test_refuses_what_cannot_be_searched(self):
        with self.assertRaisesRegex(ValidationError, "cannot be searched"):
            self.create_automation(
                self.visit, "quotation_sent", filter_domain="[('user_id.password', '=', '')]"
            )

    def test_accepts_relative_dates(self):
        automation = self.create_automation(
            self.visit,
            "quotation_created",
            filter_domain="[('date_order', '>=', 'today -7d'), ('state', 'in', ['draft'])]",
        )
        lead = self.create_lead()
        self.create_order(lead)
        self.assertFalse(automation.fault)
        self.assertEqual(lead.stage_id, self.visit)

    def test_condition_checked_against_new_trigger(self):
        automation = self.create_automation(
            self.visit, "quotation_sent", filter_domain="[('amount_total', '>', 5)]"
        )
        with self.assertRaisesRegex(ValidationError, "amount_total"):
            automation.trigger = "meeting_scheduled"
