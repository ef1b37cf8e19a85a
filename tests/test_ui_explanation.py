from odoo.tests import tagged

from .test_ui_automation import UiAutomationCase


@tagged("post_install", "-at_install")
class TestUiExplanation(UiAutomationCase):
    def test_salesperson_asks(self):
        lead = self.create_tour_lead(self.tour_seller)
        order = self.create_order(lead, user_id=self.tour_seller.id)
        self.pass_commit()
        self.start_tour(
            f"/odoo/crm/{lead.id}", "crm_sales_stage_explanation_salesperson", login="tour_seller"
        )
        self.assertEqual((order.state, lead.stage_id), ("sent", self.quotation))

    def test_manager_moves(self):
        automation = self.env.ref("crm_sales_stage.automation_estimate_quotation_created")
        automation.active = False
        lead = self.create_tour_lead(self.tour_manager)
        self.create_order(lead, user_id=self.tour_manager.id, date_order="2026-01-01")
        automation.active = True
        self.start_tour("/odoo/crm", "crm_sales_stage_explanation_manager", login="tour_manager")
        self.assertEqual(lead.stage_id, self.estimate)
