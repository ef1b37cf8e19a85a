from markupsafe import Markup, escape

from odoo.exceptions import RedirectWarning, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..hooks import uninstall_hook
from .common import SalesStageCase

HOSTILE = '<img src=x onerror="alert(1)">'


@tagged("post_install", "-at_install")
class TestBadInput(SalesStageCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.partner = cls.env["res.partner"].create({"name": "Customer"})

    def load(self, model, fields, *rows):
        with mute_logger("odoo.sql_db"):
            return self.env[model].load(fields, [list(row) for row in rows])

    def quote(self, lead):
        return self.env["sale.order"].create({"partner_id": self.partner.id, "opportunity_id": lead.id})

    def messages(self, result):
        self.assertFalse(result["ids"], "Nothing is imported")
        return " ".join(message["message"] for message in result["messages"])

    def test_import_of_stages(self):
        fields = ["name", "probability", "probability_mode"]
        for row, expected in (
            (("Negotiation", "140", "The stage's probability"), "between 0% and 100%"),
            (("Negotiation", "-1", "The stage's probability"), "between 0% and 100%"),
            (("Negotiation", "a lot", "The stage's probability"), "a lot"),
            (("Negotiation", "50", "by magic"), "by magic"),
        ):
            with self.subTest(row=row):
                self.assertIn(expected, self.messages(self.load("crm.stage", fields, row)))
        for names, row, expected in (
            (["name"], ("",), "Stage Name"),
            (["name", "team_ids"], ("Negotiation", "No Such Team"), "No Such Team"),
            (["name", "sequence"], ("Negotiation", "first"), "first"),
        ):
            with self.subTest(row=row):
                self.assertIn(expected, self.messages(self.load("crm.stage", names, row)))
        result = self.load("crm.stage", ["name", "is_won", "probability"], ("Signed", "True", "80"))
        self.assertIn("always 100%", self.messages(result))
        result = self.load("crm.stage", fields, ("Negotiation", "60", "The stage's probability"))
        self.assertFalse(result["messages"])

    def test_import_of_automations(self):
        fields = ["stage_id", "trigger", "filter_domain"]
        for row, expected in (
            (("No Such Stage", "a quotation is sent", ""), "No Such Stage"),
            (("Quotation", "the moon is full", ""), "the moon is full"),
            (("Quotation", "a quotation is sent", "[('no_field', '=', 1)]"), "no_field"),
            (("Quotation", "a quotation is sent", "__import__('os').system('true')"), "condition editor"),
            (("Quotation", "a quotation is sent", "[(1, '=', 1), ('a')]"), "not valid"),
        ):
            with self.subTest(row=row):
                self.assertIn(expected, self.messages(self.load("crm.stage.automation", fields, row)))
        fields_from = ["stage_id", "trigger", "from_stage_ids"]
        for origin, expected in (("Quotation", "to itself"), ("No Such Stage", "No Such Stage")):
            row = ("Quotation", "a quotation is sent", origin)
            self.assertIn(expected, self.messages(self.load("crm.stage.automation", fields_from, row)))
        result = self.load("crm.stage.automation", fields, ("Quotation", "a quotation is sent", ""))
        self.assertFalse(result["messages"])

    def test_conditions_that_fit_no_field(self):
        """Refused when they are written: later they would fail whenever somebody looks at them."""
        for domain in (
            "[('amount_total', '>', 'abc')]",
            "[('amount_total', '=', 1j)]",
            "[('id', '=', 'abc')]",
            "[('date_order', '>', 'garbage')]",
            "[('date_order.month_number', '=', 'x')]",
            "[('name', '=', 'a\\x00')]",
            "[('name', '=like', 5)]",
            "[('partner_id', '=', {})]",
            "[('order_line', 'any', [('price_unit', '>', 'abc')])]",
        ):
            with (
                self.subTest(domain=domain),
                self.assertRaisesRegex(ValidationError, "cannot be evaluated"),
                self.env.cr.savepoint(),
            ):
                self.env["crm.stage.automation"].create(
                    {"stage_id": self.visit.id, "trigger": "quotation_sent", "filter_domain": domain}
                )

    def test_garbage_as_condition(self):
        """Refused in words, whatever is written there and whatever the automation listens to."""
        automations = self.env["crm.stage.automation"]
        for trigger in dict(automations._selection_trigger()):
            automation = automations.create({"stage_id": self.visit.id, "trigger": "quotation_sent"})
            for garbage in (
                "garbage",
                "5",
                "True",
                "null",
                "{}",
                "()",
                "'[]'",
                "[[",
                "[('name', '=', 'a'",
                "[5]",
                "[[]]",
                "[[[]]]",
                "['&']",
                "['|', ('name', '=', 'a')]",
                "[('name',)]",
                "[('name', '=')]",
                "[('name', '=', 'a', 'b')]",
                "[('name', [], 'a')]",
                "[('name', {}, {})]",
                "[(None, '=', 1)]",
                "[({}, '=', 1)]",
                "[('name', 'is', 1)]",
                "[('', '=', 1)]",
                '[["active", "=", true]]',
                '{"domain": []}',
                "[('name', '=', user.name)]",
                "[('name', '=', 1 + 'a')]",
                "[" * 500,
                "[" * 90 + "]" * 90,
                "9" * 5000,
                "[(1, 2, 3)]",
                "[b'a']",
                "['a', 'b', 'c']",
                "\ud800",
                "[('name', '=', '\x00')]",
                5,
                1.5,
                True,
                {"a": 1},
                {"domain": []},
                [5],
                ["&"],
            ):
                for act in (
                    lambda garbage=garbage, trigger=trigger: automations.create(
                        {"stage_id": self.visit.id, "trigger": trigger, "filter_domain": garbage}
                    ),
                    lambda garbage=garbage, trigger=trigger, automation=automation: automation.write(
                        {"trigger": trigger, "filter_domain": garbage}
                    ),
                ):
                    with (
                        self.subTest(trigger=trigger, garbage=str(garbage)[:40]),
                        self.assertRaisesRegex(ValidationError, "condition"),
                        self.env.cr.savepoint(),
                    ):
                        act()
            automation.unlink()

    def test_condition_over_links_is_called_valid(self):
        automation = self.env["crm.stage.automation"].create(
            {
                "stage_id": self.visit.id,
                "trigger": "quotation_sent",
                "filter_domain": "[('partner_id.name', '=', 'x')]",
            }
        )
        self.assertIn('if "Customer › Name" is equal to x', automation.name)

    def test_deep_domain(self):
        """A cyclic or endlessly nested expression is refused, not evaluated."""
        for domain in (
            "[" * 500 + "]" * 500,
            "['!'" + ", '!'" * 5000 + "]",
            "[x for x in [1]]",
            "{}",
            "[(" * 90,
            f"[('partner_id.{'parent_id.' * 900}name', '=', 'x')]",
            "[" + "'|', ('name', '=', 'y'), '&', ('name', '=', 'z'), " * 1500 + "('name', '=', 'x')]",
        ):
            with (
                self.subTest(domain=domain[:20]),
                self.assertRaises(ValidationError),
                self.env.cr.savepoint(),
            ):
                self.env["crm.stage.automation"].create(
                    {"stage_id": self.visit.id, "trigger": "quotation_sent", "filter_domain": domain}
                )

    def test_huge_name(self):
        name = "Very long " * 1000
        stage = self.env["crm.stage"].create({"name": name, "probability": 60, "sequence": 3})
        self.env["crm.stage.automation"].create({"stage_id": stage.id, "trigger": "quotation_created"})
        lead = self.create_opportunities()
        self.quote(lead)
        self.assertEqual(lead.stage_id, stage)

    def test_markup_in_names_is_escaped(self):
        stage = self.env["crm.stage"].create({"name": HOSTILE, "probability": 60, "sequence": 3})
        self.env["crm.stage.automation"].create(
            {"stage_id": self.visit.id, "trigger": "quotation_created", "from_stage_ids": stage.ids}
        )
        lead = self.create_in(stage)
        self.pass_commit()
        self.quote(lead)
        self.pass_commit()
        bodies = "".join(lead.message_ids.mapped("body"))
        self.assertIn(str(escape(HOSTILE)).split("&#34;")[0], bodies, "The automation is named")
        self.assertNotIn("<img", bodies)

    def test_markup_in_documents_and_messages(self):
        """Names of documents in the chatter, and of stages where deleting is refused, are text."""
        lead = self.create_opportunities()
        self.pass_commit()
        self.quote(lead).name = HOSTILE
        self.pass_commit()
        body = lead.message_ids[0].body
        self.assertIn("By an automation", body)
        self.assertNotIn("<img", body)
        self.estimate.name = HOSTILE
        with self.assertRaises(RedirectWarning) as caught:
            self.estimate.unlink()
        message = caught.exception.args[0]
        self.assertIn(HOSTILE, message)
        self.assertNotIsInstance(message, Markup, "The web client escapes what is not")

    def test_stage_deleted_under_an_automation(self):
        stage = self.env["crm.stage"].create({"name": "Passing", "sequence": 3})
        automation = self.env["crm.stage.automation"].create(
            {"stage_id": stage.id, "trigger": "quotation_created"}
        )
        stage.unlink()
        self.assertFalse(automation.exists(), "The automation goes with the stage it moves to")
        lead = self.create_opportunities()
        self.quote(lead)
        self.assertEqual(lead.stage_id, self.estimate)

    @mute_logger("odoo.addons.crm_sales_stage.models.automation.crm_stage_automation")
    def test_field_removed_under_an_automation(self):
        """The sale goes through, and the automation tells what is wrong with it."""
        automation = self.env["crm.stage.automation"].create(
            {
                "stage_id": self.visit.id,
                "trigger": "quotation_created",
                "filter_domain": "[('client_order_ref', '=', 'x')]",
            }
        )
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE crm_stage_automation SET filter_domain = %s WHERE id = %s",
            ["[('x_removed', '=', 'x')]", automation.id],
        )
        self.env.invalidate_all()
        self.env.registry.clear_cache()
        lead = self.create_opportunities()
        order = self.quote(lead)
        self.assertTrue(order.exists())
        self.assertEqual(lead.stage_id, self.estimate, "The other automations go on")
        self.assertIn("x_removed", automation.fault)
        self.assertTrue(automation.name, "The list of automations still opens")

    def test_missing_default_stages(self):
        """Deleted default stages stay deleted; what refers to them copes."""
        self.env["crm.lead"].with_context(active_test=False).search(
            [("stage_id", "=", self.visit.id)]
        ).stage_id = self.estimate
        self.visit.unlink()
        self.assertEqual(self.env["crm.stage"]._get_default_stages(), self.stages.exists())
        self.env["ir.module.module"].search([("name", "=", "crm")])._update_translations(["en_US"])
        wizard = self.env["crm.stage.setup.wizard"].create({})
        self.assertNotIn(self.visit, wizard.line_ids.target_id)
        lead = self.create_opportunities()
        self.quote(lead)
        self.assertEqual(lead.stage_id, self.estimate)

    def test_no_default_stage_left(self):
        """A dealer with other stages, Odoo's menu and action of stages gone: all goes on."""
        first, signed = self.env["crm.stage"].create(
            [{"name": "First", "sequence": 0}, {"name": "Signed", "sequence": 99, "is_won": True}]
        )
        leads = self.env["crm.lead"].with_context(active_test=False).search([])
        for lead in leads:
            lead._transfer_to_stage(signed if lead.stage_id.is_won else first)
        self.stages.unlink()
        self.assertFalse(self.env["crm.stage"]._get_default_stages())
        self.assertFalse(self.env["crm.stage.automation"].search([]))
        self.env["ir.module.module"].search([("name", "=", "crm")])._update_translations(["en_US"])
        lead = self.create_opportunities()
        self.quote(lead)
        self.assertEqual(lead.stage_id, first)
        wizard = self.env["crm.stage.setup.wizard"].create({})
        self.assertEqual(set(wizard.line_ids.mapped("action")), {"keep"})
        wizard.action_apply()
        self.assertEqual(self.env["crm.stage"].search([]).ids, (first + signed).ids)
        self.env.ref("crm.menu_crm_lead_stage_act").unlink()
        self.env.ref("crm.crm_stage_action").unlink()
        uninstall_hook(self.env)
        self.assertEqual(lead.stage_id, first)
