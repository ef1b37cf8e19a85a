"""What the guides show, looked for on the screens; `make screenshots` takes the pictures."""

from odoo import Command
from odoo.tests import tagged

from odoo.addons.crm_sales_stage.tests.common_ui import TourCase

from .common_dealer import DealerCase
from .common_pictures import FOLDER, PicturesMixin

TEXTS = {
    "en_US": {
        "follow_up": "Follow-Up",
        "call": "Call: how do they like the quotation?",
        "plan": "Call after the quotation",
        "old": ("Qualification", "Negotiation"),
        "requirements": "Measures are written down, the customer knows the price range.",
        "tag": "Technical Visit",
    },
    "fr_FR": {
        "follow_up": "Relance",
        "call": "Appeler : que pensent-ils du devis ?",
        "plan": "Appel après le devis",
        "old": ("Qualification", "Négociation"),
        "requirements": "Les mesures sont prises, le client connaît l'ordre de prix.",
        "tag": "Visite Technique",
    },
}


class GuideMixin(PicturesMixin):
    """All that the guides show is still there."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.texts = TEXTS[cls.lang]
        cls.speak(cls.lang)
        cls.forget_dealer()
        cls.make_dealer()
        cls.manager.write({"name": "Camille Morel", "lang": cls.lang})
        # Odoo does not translate tags of meetings: installing names this one in the company's language.
        cls.env.ref("crm_sales_stage.calendar_event_type_technical_visit").name = cls.texts["tag"]
        # The filter that opens the administrator's pipeline on the dealer's opportunities
        made_for_admin = [("model_id", "=", "crm.lead"), ("user_ids", "=", cls.env.ref("base.user_admin").id)]
        dealer_filter = cls.env["ir.filters"].search(made_for_admin, order="id desc", limit=1)
        dealer_filter.user_ids += cls.manager

    def write_in_language(self, stage, **values):
        stage.with_context(lang=self.lang).write(values)

    def ask_for_source(self):
        """Let Quotation ask for a field that no opportunity of the dealer's has."""
        source = self.env["ir.model.fields"]._get("crm.lead", "source_id")
        self.write_in_language(
            self.quotation,
            requirements=self.texts["requirements"],
            required_field_ids=[Command.set(source.ids)],
        )

    def create_follow_up(self):
        """A stage of the dealer's own, in which a call is planned after ten days without news."""
        plan = self.env["mail.activity.plan"].create(
            {
                "name": self.texts["plan"],
                "res_model": "crm.lead",
                "template_ids": [
                    Command.create(
                        {
                            "activity_type_id": self.env.ref("mail.mail_activity_data_call").id,
                            "summary": self.texts["call"],
                            "delay_count": 0,
                            "responsible_type": "on_demand",
                        }
                    )
                ],
            }
        )
        stage = self.env["crm.stage"].with_context(lang=self.lang)
        follow_up = stage.create(
            {
                "name": self.texts["follow_up"],
                "sequence": self.quotation.sequence,
                "probability": 40,
                "activity_plan_id": plan.id,
            }
        )
        self.create_automation(
            follow_up, "no_news", days=10, from_stage_ids=[Command.set(self.quotation.ids)]
        )

    def create_old_stages(self):
        for name in self.texts["old"]:
            stage = self.env["crm.stage"].with_context(lang=self.lang)
            old = stage.create({"name": name, "probability_mode": "predictive"})
            self.create_in(old, 3)

    def test_pictures(self):
        self.ask_for_source()
        self.run_tour("guide_pipeline")
        self.create_follow_up()
        self.run_tour("guide_automations")
        self.create_old_stages()
        self.run_tour("guide_setup")


@tagged("post_install", "-at_install")
class TestGuideEnglish(GuideMixin, DealerCase, TourCase):
    lang = "en_US"


if FOLDER:  # The tours find nothing by its text but stages: without pictures one language is enough.

    @tagged("post_install", "-at_install")
    class TestGuideFrench(GuideMixin, DealerCase, TourCase):
        lang = "fr_FR"
