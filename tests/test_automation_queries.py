from odoo.tests import tagged

from .common import without_hooks
from .common_automation import AutomationCase


@tagged("post_install", "-at_install")
class TestQueries(AutomationCase):
    """Counts, not times: what the addon adds to a business action."""

    def test_hooks_are_taken_away(self):
        """What the other tests compare with is Odoo, not the addon."""
        lead = self.create_lead()
        with without_hooks(self.env):
            self.create_order(lead).action_confirm()
            lead.activity_schedule("crm_sales_stage.mail_activity_type_technical_visit")
            self.create_meeting(lead, self.visit_tag)
            self.assertEqual(lead.stage_id, self.new)
            lead.stage_id = self.quotation
            self.assertNotEqual(lead.probability, 75, "Odoo scores it")
        self.create_order(lead).action_confirm()
        self.assertEqual(lead.stage_id, self.closed)

    def test_order_without_opportunity(self):
        self.assertCostsNothing(self.create_order)
        self.assertCostsNothing(lambda: self.create_order().action_quotation_sent())
        self.assertCostsNothing(lambda: self.create_order().action_confirm())

    def test_documents_without_opportunity(self):
        self.assertCostsNothing(self.create_meeting)
        self.assertCostsNothing(lambda: self.partner.activity_schedule("mail.mail_activity_data_call"))
        self.assertCostsNothing(
            lambda: self.partner.message_post(
                body="Hello", subtype_xmlid="mail.mt_comment", partner_ids=self.partner.ids
            )
        )

    def test_triggers_that_nothing_listens_on(self):
        """The delivered automations wait for planned activities and scheduled meetings, not for the rest."""
        lead = self.create_lead()
        call = "mail.mail_activity_data_call"
        self.assertCostsNothing(lambda: self.partner.activity_schedule(call).action_feedback())
        self.automations.search([("trigger", "in", ("meeting_scheduled", "activity_planned"))]).active = False
        self.assertCostsNothing(lambda: lead.activity_schedule(call).action_feedback())
        self.assertCostsNothing(lambda: self.create_meeting().write({"categ_ids": self.visit_tag.ids}))

    def test_nothing_listens(self):
        self.automations.search([]).active = False
        lead = self.create_lead()
        self.assertCostsNothing(lambda: self.create_order(lead).action_quotation_sent())
        self.assertCostsNothing(lambda: self.create_order(lead).action_confirm())
        self.assertCostsNothing(lambda: self.create_order(lead)._action_cancel())
        self.assertCostsNothing(lambda: self.create_meeting(lead).write({"categ_ids": self.visit_tag.ids}))
        self.assertCostsNothing(
            lambda: lead.activity_schedule("mail.mail_activity_data_call").action_feedback()
        )
        self.assertCostsNothing(
            lambda: lead.message_post(
                body="Hello", subtype_xmlid="mail.mt_comment", partner_ids=self.partner.ids
            )
        )

    def test_linear(self):
        """Moving 20 takes about as many queries of ours as moving one, beyond those of writing a stage."""
        cost_of_one, cost_of_many = self.get_cost(1), self.get_cost(20)
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
        with without_hooks(self.env, "sale.order"):
            floor = self.count_queries(lambda: create_and_write(leads))
        leads = self.create_leads(count)
        cost = self.count_queries(lambda: create(leads)) - floor
        self.assertEqual(leads.stage_id, self.estimate)
        return cost
