from odoo import Command
from odoo.exceptions import ValidationError
from odoo.tests import tagged

from .common_automation import AutomationCase


@tagged("post_install", "-at_install")
class TestAutomation(AutomationCase):
    """The record itself: its sentence and its server action."""

    def test_sentence(self):
        get = lambda name, lang="en_US": self.env.ref(f"crm_sales_stage.{name}").with_context(lang=lang).name  # noqa: E731
        self.assertEqual(
            get("automation_quotation_quotation_sent"), 'Move to "Quotation" when a quotation is sent'
        )
        self.assertEqual(
            get("automation_quotation_quotation_created"),
            'From "Technical Visit" to "Quotation" when a quotation is created',
        )
        self.assertEqual(
            get("automation_technical_visit_meeting_scheduled"),
            'Move to "Technical Visit" when a meeting is scheduled, '
            f'if "Tags" is equal to {self.visit_tag.name}',
        )

    def test_duplicated_with_its_stage(self):
        """Archived, in order; the condition is the user's who duplicates."""
        self.create_automation(self.visit, "quotation_sent", filter_domain="[('amount_total', '>', 1)]")
        stage = self.visit.with_user(self.manager).copy()
        self.assertFalse(stage.automation_ids)
        copies = stage.with_context(active_test=False).automation_ids
        kept = ["trigger", "filter_domain", "days", "sequence"]
        originals = self.visit.with_context(active_test=False).automation_ids
        self.assertEqual(
            [copy[name] for copy in copies for name in kept],
            [one[name] for one in originals for name in kept],
        )
        self.assertEqual(copies.filtered("filter_domain").author_id, self.manager)
        self.assertFalse(copies & originals)

    def test_sentence_in_french(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        automation = self.env.ref("crm_sales_stage.automation_quotation_quotation_created").with_context(
            lang="fr_FR"
        )
        self.visit.with_context(lang="fr_FR").name = "Visite Technique"
        self.quotation.with_context(lang="fr_FR").name = "Devis"
        name = automation.name.replace("\N{NO-BREAK SPACE}", " ")
        self.assertEqual(name, "De « Visite Technique » vers « Devis » quand un devis est créé")
        automation.from_stage_ids = False
        automation.filter_domain = "[('invoice_status', '=', 'no'), ('amount_total', '>', 1)]"
        self.assertEqual(
            automation.name.replace("\N{NO-BREAK SPACE}", " "),
            "Déplacer vers « Devis » quand un devis est créé, si « Statut de la facture » est égal à "
            "Rien à facturer et « Total » est supérieur à 1",
        )

    def test_technical_visit_tag(self):
        """In the company's language, as names of tags are not translated; one that is there is taken."""
        xml_id = "crm_sales_stage.calendar_event_type_technical_visit"
        self.env["res.lang"]._activate_lang("fr_FR")
        self.env["crm.stage.automation"].search([("trigger", "=", "meeting_scheduled")]).unlink()
        self.visit_tag.unlink()
        self.env.company.partner_id.lang = "fr_FR"
        self.env["calendar.event.type"]._provide_technical_visit()
        tag = self.env.ref(xml_id)
        self.assertEqual(tag.name, "Visite Technique")
        self.env.company.partner_id.lang = "en_US"
        self.env["calendar.event.type"]._provide_technical_visit()
        self.assertEqual(self.env.ref(xml_id), tag, "the customer's own is taken as it is")
        self.assertEqual(tag.name, "Visite Technique")

    def test_sentence_of_several_conditions(self):
        automation = self.create_automation(
            self.visit,
            "quotation_sent",
            filter_domain="[('amount_total', '>', 5), ('client_order_ref', '!=', False)]",
        )
        self.assertEqual(
            automation.name,
            'Move to "Technical Visit" when a quotation is sent, '
            'if "Total" is greater than 5 and "Customer Reference" is set',
        )

    def test_sentence_of_selection(self):
        automation = self.create_automation(
            self.visit, "quotation_sent", filter_domain="[('invoice_status', '=', 'no')]"
        )
        self.assertIn('if "Invoice Status" is equal to Nothing to Invoice', automation.name)

    def test_action_of_its_own(self):
        """One automation's action may be changed by an administrator without changing another's."""
        stage = self.env["crm.stage"].create({"name": "Measured"})
        automations = self.create_automation(stage, "quotation_sent") + self.create_automation(
            stage, "activity_done"
        )
        actions = automations.action_server_id
        self.assertEqual(actions.mapped("name"), ["Move to Measured"] * 2)
        automations[0].stage_id = self.visit
        self.assertEqual(automations.action_server_id, actions)
        self.assertEqual(actions.mapped("name"), ["Move to Technical Visit", "Move to Measured"])
        automations[0].unlink()
        self.assertEqual(actions.exists(), actions[1])

    def test_from_itself(self):
        with self.assertRaisesRegex(ValidationError, "to itself"):
            self.create_automation(self.visit, "quotation_sent", from_stage_ids=[Command.set(self.visit.ids)])

    def test_selection_of_triggers(self):
        triggers = dict(self.automations.fields_get(["trigger"])["trigger"]["selection"])
        self.assertGreaterEqual(
            triggers.keys(),
            {
                "quotation_created",
                "quotation_sent",
                "order_confirmed",
                "quotation_cancelled",
                "meeting_scheduled",
                "activity_planned",
                "activity_done",
                "email_sent",
                "email_received",
            },
        )
