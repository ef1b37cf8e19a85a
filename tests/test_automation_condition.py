from odoo import Command
from odoo.exceptions import UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import SQL, mute_logger

from .common_automation import AutomationCase

LOGGER = "odoo.addons.crm_sales_stage.models.automation.crm_stage_automation"


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
        with self.assertRaisesRegex(ValidationError, "not stored"):
            self.create_automation(
                self.visit, "quotation_sent", filter_domain="[('user_id.password', '=', 'x')]"
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


@tagged("post_install", "-at_install")
class TestGoneRecords(AutomationCase):
    """A condition that names a record that is gone is a fault, whatever the record is."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automations.search([]).active = False

    def get_documents(self, lead):
        """:return: for some triggers, a function by which it happens to ``lead``"""
        return {
            "quotation_created": lambda: self.create_order(lead),
            "meeting_scheduled": lambda: self.create_meeting(lead),
            "activity_planned": lambda: lead.activity_schedule("mail.mail_activity_data_call"),
            "opportunity_matches": lambda: lead.write({"expected_revenue": 5}),
        }

    def delete(self, record):
        """Whatever keeps a record: a contact that is merged goes by SQL, too."""
        self.env.flush_all()
        query = SQL("DELETE FROM %s WHERE id IN %s", SQL.identifier(record._table), tuple(record.ids))
        self.env.cr.execute(query)
        self.env.invalidate_all()
        self.env.registry.clear_cache()

    def test_each_kind(self):
        def create(model, **values):
            return self.env[model].create({"name": "Named", **values})

        for model, trigger, get_domain in (
            ("res.partner", "quotation_created", lambda ids: [("partner_id", "not in", ids)]),
            ("res.partner", "quotation_created", lambda ids: [("partner_id", "child_of", ids)]),
            ("res.partner", "quotation_created", lambda ids: [("opportunity_id.partner_id", "!=", ids[0])]),
            ("res.partner", "meeting_scheduled", lambda ids: [("partner_ids", "in", ids)]),
            ("crm.tag", "quotation_created", lambda ids: ["!", ("tag_ids", "in", [self.tag.id, *ids])]),
            ("crm.tag", "opportunity_matches", lambda ids: [("tag_ids", "not any", [("id", "in", ids)])]),
            ("crm.team", "opportunity_matches", lambda ids: [("team_id.id", "!=", ids[0])]),
            ("calendar.event.type", "meeting_scheduled", lambda ids: [("categ_ids", "not in", ids)]),
            ("mail.activity.type", "activity_planned", lambda ids: [("activity_type_id", "!=", ids[0])]),
            ("product.product", "quotation_created", lambda ids: [("order_line.product_id", "not in", ids)]),
            ("crm.lead", "opportunity_matches", lambda ids: [("id", "not in", ids)]),
        ):
            self.tag = self.env["crm.tag"].search([], limit=1) or create("crm.tag", name="Other")
            record = create(model)
            with self.subTest(model=model, trigger=trigger):
                automation = self.create_automation(
                    self.visit, trigger, filter_domain=str(get_domain(record.ids))
                )
                self.get_preview(automation)
                self.delete(record)
                lead = self.create_lead()
                with mute_logger(LOGGER):
                    self.get_documents(lead)[trigger]()
                self.assertEqual(lead.stage_id, self.new)
                label = self.env["ir.model"]._get(model).name
                self.assertIn(f"gone (deleted or merged): {label} {record.id}", automation.fault)
                self.assertIn("deleted or merged", self.get_preview(automation).obstacle)
                with self.assertRaisesRegex(UserError, "deleted or merged"):
                    automation.action_catch_up()
                automation.filter_domain = "[('id', '!=', False)]"
                self.assertFalse(automation.fault)
                automation.active = False

    def test_merged_contact(self):
        kept, gone = self.env["res.partner"].create([{"name": "Kept"}, {"name": "Gone"}])
        automation = self.create_automation(
            self.visit, "quotation_created", filter_domain=str([("partner_id", "=", gone.id)])
        )
        self.assertIn("Gone", automation.name)
        self.env["base.partner.merge.automatic.wizard"].create({})._merge((kept + gone).ids, kept)
        self.env.invalidate_all()
        self.assertFalse(gone.exists())
        self.assertIn('"Customer" is equal to one that is gone', automation.name)
        with mute_logger(LOGGER):
            self.create_order(self.create_lead())
        self.assertIn("deleted or merged", automation.fault)

    def test_sentence(self):
        partners = self.env["res.partner"].create([{"name": name} for name in ("Kept", "Gone", "Gone, too")])
        automation = self.create_automation(
            self.visit, "quotation_created", filter_domain=str([("partner_id", "in", partners.ids)])
        )
        partners[1].unlink()
        self.env.invalidate_all()
        self.assertIn('"Customer" is equal to Kept, Gone, too, or one that is gone', automation.name)
        partners[2].unlink()
        self.env.invalidate_all()
        self.assertIn('"Customer" is equal to Kept or 2 that are gone', automation.name)

    def test_archived_and_hidden_records_are_there(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        archived, hidden = self.env["res.partner"].create(
            [{"name": "Archived", "active": False}, {"name": "Hidden", "company_id": company.id}]
        )
        automation = self.create_automation(
            self.visit,
            "quotation_created",
            filter_domain=str([("partner_id", "not in", (archived + hidden).ids)]),
        )
        lead = self.create_lead()
        self.create_order(lead)
        self.assertFalse(automation.fault)
        self.assertEqual(lead.stage_id, self.visit)

    def test_cost(self):
        """One query for each model that is named, whatever number of records; none without."""
        partners = self.env["res.partner"].create([{"name": f"Contact {index}"} for index in range(20)])
        costs = []
        for domain in (
            [("partner_id", "!=", False)],
            [("partner_id", "not in", partners.ids)],
            [("partner_id", "not in", partners[:10].ids), ("partner_shipping_id", "not in", partners.ids)],
        ):
            automation = self.create_automation(self.visit, "quotation_created", filter_domain=str(domain))
            self.create_order(self.create_lead())  # warms the caches
            order = self.create_order()
            self.env.flush_all()
            self.env.invalidate_all()
            automation.mapped("filter_domain"), automation.is_author_gone
            before = self.env.cr.sql_log_count
            self.assertEqual(automation._filter_documents(order), order)
            costs.append(self.env.cr.sql_log_count - before)
            automation.active = False
        self.assertEqual([cost - costs[0] for cost in costs], [0, 1, 1])
