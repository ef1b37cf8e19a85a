from odoo.tests import tagged

from .common_ui import TourCase


@tagged("post_install", "-at_install")
class TestPhone(TourCase):
    """What people do in the pipeline on a phone, 390 pixels wide."""

    browser_size = "390x844"
    touch_enabled = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for stage in cls.stages[:4]:
            cls.create_in(stage, 2, user_id=cls.manager.id)
        cls.kitchen, won = cls.create_in(cls.visit, 2, user_id=cls.manager.id)
        cls.kitchen.name = "Kitchen"
        won.action_set_won()
        cls.pass_commit()
        cls.automation = cls.create_automation(
            cls.closed, "no_news", days=10, outcome="lost", from_stage_ids=cls.quotation.ids
        )

    def test_french(self):
        """Whose words are longer than the English ones."""
        self.env["res.lang"]._activate_lang("fr_FR")
        self.manager.lang = "fr_FR"
        self.run_tour("phone", path="/odoo/action-crm.crm_lead_action_pipeline")
        self.assertEqual((self.kitchen.won_status, self.kitchen.stage_id), ("lost", self.visit))
