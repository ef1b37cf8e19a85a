from odoo.tests import HttpCase, new_test_user, tagged


@tagged("post_install", "-at_install")
class TestUiPipelineStages(HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"]._activate_lang("en_US")
        cls.manager = new_test_user(cls.env, "tour_manager", "sales_team.group_sale_manager", lang="en_US")
        cls.lead = cls.env["crm.lead"].create(
            {
                "name": "Stove for the tour",
                "type": "opportunity",
                "user_id": cls.manager.id,
                "expected_revenue": 1000,
            }
        )

    def test_pipeline_and_form(self):
        self.start_tour("/odoo/crm", "crm_sales_stage_pipeline", login="tour_manager")
        stage = self.env.ref("crm_sales_stage.stage_technical_visit")
        self.assertEqual(stage.probability, 60)
        self.assertEqual((self.lead.stage_id, self.lead.probability), (stage, 60))
        self.assertEqual(self.lead.prorated_revenue, 600)
