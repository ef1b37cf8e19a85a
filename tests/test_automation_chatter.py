from odoo.tests import new_test_user, tagged

from .common_automation import AutomationCase


@tagged("post_install", "-at_install")
class TestChatter(AutomationCase):
    def test_chatter(self):
        self.partner.name = "<b>Bold</b>"
        self.new.name = "<i>New</i>"
        self.create_automation(self.visit, "quotation_created", from_stage_ids=self.new.ids)
        lead = self.create_lead()
        order = self.create_order(lead)
        body = self.get_tracking_message(lead).body
        self.assertIn(f'data-oe-id="{order.id}"', body)
        self.assertIn('data-oe-model="sale.order"', body)
        self.assertIn('By an automation: a quotation is created, only from "&lt;i&gt;New&lt;/i&gt;" (', body)

    def test_chatter_keeps_other_message(self):
        """Odoo CRM tells in the same message that the revenue was updated."""
        lead = self.create_lead()
        order = self.create_order(lead)
        order.action_confirm()
        body = self.get_tracking_message(lead).body
        self.assertIn(order.name, body)
        self.assertIn("Expected revenue has been updated", body)

    def test_one_message_per_transaction(self):
        lead = self.create_lead()
        before = lead.message_ids
        order = self.create_order(lead)
        order.action_quotation_sent()
        order.action_confirm()
        self.pass_commit()
        messages = lead.message_ids - before
        self.assertEqual(len(messages), 1, "from New to Won / Lost, not step by step")
        self.assertIn("an order is confirmed", messages.body)

    def test_author_who_sees_the_opportunity(self):
        lead = self.create_lead()
        order = self.create_order(lead, user_id=self.salesperson.id)
        self.pass_commit()
        order.with_user(self.salesperson).action_quotation_sent()
        self.assertEqual(self.get_tracking_message(lead).author_id, self.salesperson.partner_id)

    def test_system_rights(self):
        """A salesperson's quotation moves the opportunity of a colleague, which they may not see."""
        lead = self.create_lead(user_id=self.manager.id)
        order = self.create_order(lead, user_id=self.salesperson.id)
        lead.stage_id = self.new
        self.pass_commit()
        own = order.with_user(self.salesperson)
        self.assertFalse(lead.with_user(self.salesperson).has_access("read"))
        own.action_quotation_sent()
        self.assertEqual(lead.stage_id, self.quotation)
        message = self.get_tracking_message(lead)
        self.assertEqual(
            message.author_id, self.env.ref("base.partner_root"), "Authors may read the opportunity's name"
        )
        self.assertIn(order.name, message.body)


@tagged("post_install", "-at_install")
class TestChatterLanguage(AutomationCase):
    """The company reads French, one of its salespeople English."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"]._activate_lang("fr_FR")
        cls.env.company.partner_id.lang = "fr_FR"
        cls.lead = cls.create_lead(user_id=cls.salesperson.id)
        cls.order = cls.create_order(cls.lead, user_id=cls.salesperson.id)
        cls.lead.stage_id = cls.visit
        cls.pass_commit()

    def send_as(self, user, **context):
        """:return: what the chatter tells when ``user`` sends the quotation"""
        self.order.with_user(user).with_context(**context).sudo().action_quotation_sent()
        return self.get_tracking_message(self.lead).body

    def test_colleague_in_their_language(self):
        self.assertIn("By an automation: a quotation is sent", self.send_as(self.salesperson, lang="en_US"))

    def test_french_colleague(self):
        self.salesperson.lang = "fr_FR"
        body = self.send_as(self.salesperson, lang="fr_FR")
        self.assertIn("Par une automatisation", body)
        self.assertIn("un devis est envoyé", body)

    def test_customer_in_the_company_s(self):
        portal = new_test_user(self.env, "customer_who_signs", "base.group_portal")
        self.assertIn("Par une automatisation", self.send_as(portal, lang="en_US"))

    def test_scheduled_job_in_the_company_s(self):
        robot = self.env.ref("base.user_root")
        self.assertIn("Par une automatisation", self.send_as(robot, lang="en_US"))
