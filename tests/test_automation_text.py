from odoo.exceptions import ValidationError
from odoo.tests import Form, tagged

from ..models.automation import sentence
from .test_automation_outcome import OutcomeCase


@tagged("post_install", "-at_install")
class TestWords(OutcomeCase):
    def tell(self, trigger, domain):
        return sentence.get_condition_text(self.automate(self.visit, trigger, filter_domain=domain))

    def test_new(self):
        form = Form(self.automations)
        self.assertEqual(form.name, "New Automation")
        self.assertEqual(self.automations.new({}).event_text, "New Automation")
        form.trigger = "quotation_sent"
        self.assertEqual(form.name, "New Automation", "it goes nowhere yet")
        form.stage_id = self.visit
        self.assertEqual(form.name, 'Move to "Technical Visit" when a quotation is sent')

    def test_conditions(self):
        user, tag = self.env.user, self.visit_tag
        team = self.env["crm.team"].create({"name": "Windows"})
        for trigger, domain, text in (
            ("quotation_sent", "[('amount_total', '>', 10000)]", '"Total" is greater than 10,000'),
            ("quotation_sent", "[('amount_total', '<=', 0.5)]", '"Total" is lower or equal to 0.50'),
            ("quotation_sent", f"[('user_id', '=', {user.id})]", f'"Salesperson" is equal to {user.name}'),
            (
                "quotation_sent",
                f"[('user_id', '!=', {user.id})]",
                f'"Salesperson" is not equal to {user.name}',
            ),
            ("quotation_sent", "[('user_id', '=', False)]", '"Salesperson" is not set'),
            ("quotation_sent", "[('client_order_ref', '!=', False)]", '"Customer Reference" is set'),
            ("quotation_sent", "[('client_order_ref', 'ilike', 'A')]", '"Customer Reference" contains "A"'),
            (
                "quotation_sent",
                "[('client_order_ref', 'not ilike', 'A')]",
                '"Customer Reference" does not contain "A"',
            ),
            (
                "quotation_sent",
                "[('state', 'in', ['draft', 'sent'])]",
                '"Status" is in Quotation or Quotation Sent',
            ),
            ("quotation_sent", "[('locked', '=', True)]", '"Locked" is set'),
            ("quotation_sent", "[('locked', '!=', True)]", '"Locked" is not set'),
            (
                "quotation_sent",
                f"[('opportunity_id.team_id', '=', {team.id})]",
                '"Opportunity › Sales Team" is equal to Windows',
            ),
            ("meeting_scheduled", f"[('categ_ids', 'in', [{tag.id}])]", f'"Tags" is equal to {tag.name}'),
            (
                "meeting_scheduled",
                f"[('categ_ids', 'not in', [{tag.id}])]",
                f'"Tags" is not equal to {tag.name}',
            ),
            ("meeting_scheduled", "[('categ_ids', '=', False)]", '"Tags" is not set'),
            (
                "meeting_scheduled",
                "[('start', '>', 'today -7d')]",
                '"Start" is after today -7d',
            ),
            (
                "email_sent",
                "[('date_deadline', '<', '2026-12-24')]",
                '"Expected Closing" is before 12/24/2026',
            ),
            (
                "quotation_sent",
                "[('amount_total', '>', 5), ('client_order_ref', '!=', False)]",
                '"Total" is greater than 5 and "Customer Reference" is set',
            ),
            (
                "quotation_sent",
                "['|', ('amount_total', '>', 5), ('client_order_ref', '!=', False)]",
                '"Total" is greater than 5 or "Customer Reference" is set',
            ),
            (
                "quotation_sent",
                "['|', ('amount_total', '>', 5), '&', ('locked', '=', True), ('name', '=', 'x')]",
                "its 3 conditions are met",
            ),
            ("quotation_sent", "['!', ('name', '=', 'x')]", '"Order Reference" is not equal to x'),
            ("quotation_sent", "[('name', '=like', 'x%')]", "its condition is met"),
            (
                "quotation_sent",
                "[('amount_total', '>', 5), ('amount_tax', '>', 5), ('name', '=', 'x'), ('locked', '=', 1)]",
                "its 4 conditions are met",
            ),
            ("quotation_sent", "[('order_line', 'any', [('name', '=', 'x')])]", "its condition is met"),
        ):
            with self.subTest(domain):
                self.assertEqual(self.tell(trigger, domain), text)

    def test_said_within_the_stage(self):
        automation = self.env.ref("crm_sales_stage.automation_quotation_quotation_created")
        self.assertEqual(automation.event_text, 'a quotation is created, only from "Technical Visit"')
        automation.is_lost_included = True
        automation.filter_domain = "[('locked', '=', True)]"
        self.assertEqual(
            automation.event_text,
            'a quotation is created, only from "Technical Visit", lost ones too, if "Locked" is set',
        )
        move = 'From "Technical Visit" to "Quotation", lost ones too,'
        self.assertEqual(automation.name, f'{move} when a quotation is created, if "Locked" is set')

    def test_two_differ(self):
        first, second = (
            self.automate(
                self.visit,
                "quotation_sent",
                filter_domain=f"[('name', '!=', False), ('amount_total', '>', {amount})]",
            )
            for amount in (5, 6)
        )
        self.assertNotEqual(first.event_text, second.event_text)

    def test_hidden_records_are_not_named(self):
        company = self.env["res.company"].create({"name": "Elsewhere"})
        team = self.env["crm.team"].create({"name": "Secret", "company_id": company.id})
        automation = self.automate(
            self.visit, "quotation_sent", filter_domain=f"[('opportunity_id.team_id', '=', {team.id})]"
        )
        text = automation.with_user(self.manager).event_text
        self.assertNotIn("Secret", text)
        self.assertIn("that you may not see", text)


@tagged("post_install", "-at_install")
class TestEmptyValues(OutcomeCase):
    def test_refused(self):
        for trigger, domain in (
            ("meeting_scheduled", "[('user_id', 'in', [])]"),
            ("meeting_scheduled", "[('user_id', 'not in', [])]"),
            ("meeting_scheduled", "[('categ_ids', '=', [])]"),
            ("quotation_sent", "[('client_order_ref', '=', '')]"),
            ("quotation_sent", "[('client_order_ref', 'ilike', '')]"),
            ("quotation_sent", "[('client_order_ref', '=ilike', '%')]"),
            ("quotation_sent", "[('client_order_ref', 'in', [''])]"),
            ("quotation_sent", "['|', ('amount_total', '>', 5), ('opportunity_id.team_id', 'in', [])]"),
            ("quotation_sent", "[('order_line', 'any', [('product_id', 'in', [])])]"),
        ):
            with (
                self.subTest(domain),
                self.assertRaisesRegex(ValidationError, "does not say what"),
                self.env.cr.savepoint(),
            ):
                self.automate(self.visit, trigger, filter_domain=domain)

    def test_deliberate(self):
        """Odoo's "is set" and "is not set" compare with False."""
        for domain in (
            "[('user_id', '=', False)]",
            "[('user_id', '!=', False)]",
            "[('client_order_ref', '=', False)]",
            "[('amount_total', '=', 0)]",
            "[('locked', '=', False)]",
            "[('user_id', 'in', [False])]",
        ):
            with self.subTest(domain):
                self.automate(self.visit, "quotation_sent", filter_domain=domain)


@tagged("post_install", "-at_install")
class TestSentences(OutcomeCase):
    """Each sentence that triggers and days make, in both languages."""

    def read_sentences(self, lang):
        """:return: ``{(trigger, days, whether they are working days): sentence}``"""
        self.env["res.lang"]._activate_lang(lang)
        automations = self.automations.with_context(lang=lang)
        new = automations.new({"stage_id": self.visit.id})
        found = {}
        for trigger, (_model_name, is_in_time) in automations._get_model_names().items():
            for days in (0, 1, 2) if is_in_time else (0,):
                for is_working in {False, bool(days)}:
                    new.update({"trigger": trigger, "days": days, "is_working_days": is_working})
                    found[trigger, days, is_working] = new.name
        return found

    def test_days_agree(self):
        """No number stands beside a word of another one; none is left out."""
        for lang, unit in (("en_US", "days?"), ("fr_FR", "jours?")):
            texts = self.read_sentences(lang)
            self.assertEqual(len(set(texts.values())), len(texts))
            for (trigger, days, _is_working), text in texts.items():
                with self.subTest(text):
                    self.assertNotIn("…", text)
                    self.assertNotIn(trigger, text)
                    self.assertNotRegex(text, rf"\b1 (working )?{unit}|\b0 jours|\b2 (jour|day)\b")
                    self.assertEqual("2" in text, days == 2)

    def test_some(self):
        for lang, texts in (
            (
                "en_US",
                {
                    ("no_news", 1, True): "there has been no news for a working day",
                    ("stage_waiting", 0, False): "it has been in its stage for 0 days",
                    ("quotation_expired", 0, False): "a quotation expires",
                    ("quotation_expired", 1, False): "a quotation expires, a day later",
                    ("meeting_over", 2, True): "a meeting is over, 2 working days later",
                },
            ),
            (
                "fr_FR",
                {
                    ("no_news", 1, True): "elle est sans nouvelles depuis un jour ouvré",
                    ("stage_waiting", 0, False): "elle est à la même étape depuis 0 jour",
                    ("quotation_expired", 0, False): "un devis expire",
                    ("quotation_expired", 1, False): "un devis expire, un jour plus tard",
                    ("meeting_over", 2, True): "une réunion est terminée, 2 jours ouvrés plus tard",
                },
            ),
        ):
            found = self.read_sentences(lang)
            for key, text in texts.items():
                with self.subTest(text):
                    self.assertRegex(found[key], f" (when|quand) {text}$")

    def test_groups(self):
        """Each trigger is in one; quotations come first, what waits for a date or a time last."""
        groups = self.automations.new({}).trigger_groups
        labels = ["Quotation", "Meeting", "Activity", "E-Mail", "Opportunity", "Time"]
        self.assertEqual([group["label"] for group in groups], labels)
        triggers = [trigger for group in groups for trigger in group["triggers"]]
        self.assertCountEqual(triggers, self.automations._get_model_names())
        self.assertIn("no_news", groups[-1]["triggers"])
