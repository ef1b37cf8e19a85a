from odoo.tests import TransactionCase, tagged

from .common import SalesStageCase


@tagged("post_install", "-at_install")
class TestFieldsOfOthers(TransactionCase):
    """Stored fields that follow from a probability follow a stage's new one, whoever adds them."""

    def setUp(self):
        super().setUp()
        self.addCleanup(self.registry.reset_changes)
        self.addCleanup(self.registry.clear_all_caches)
        self.field = self.env["ir.model.fields"].create(
            {
                "name": "x_chance",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "field_description": "Chance",
                "ttype": "float",
                "store": True,
                "depends": "probability",
                "compute": "for lead in self: lead['x_chance'] = 2 * lead.probability",
            }
        )

    def test_follows_the_stage(self):
        stage = self.env.ref("crm_sales_stage.stage_estimate")
        lead, by_hand = self.env["crm.lead"].create(
            [{"name": "Stove", "type": "opportunity", "stage_id": stage.id} for _number in range(2)]
        )
        by_hand.probability = 42
        self.env.flush_all()
        stage.probability = 30
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual((lead.probability, lead.x_chance), (30, 60))
        self.assertEqual((by_hand.probability, by_hand.x_chance), (42, 84))


@tagged("post_install", "-at_install")
class TestDecimals(SalesStageCase):
    def test_currency_of_three_decimals(self):
        """Weighted revenues are Odoo's, to the last digit."""
        dinar = self.env["res.currency"].create({"name": "XTD", "symbol": "DT", "rounding": 0.001})
        company = self.env["res.company"].create({"name": "Tunis", "currency_id": dinar.id})
        lead = self.create_opportunities(
            company_id=company.id, user_id=False, team_id=False, expected_revenue=1000.555
        )
        self.env.flush_all()
        self.new.probability = 33.33
        self.env.flush_all()
        self.env.invalidate_all()
        weighted = lead.prorated_revenue
        lead.expected_revenue = 0
        lead.expected_revenue = 1000.555
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual(weighted, lead.prorated_revenue)
        self.assertEqual(weighted, 333.48)
