from lxml import html

from odoo import Command
from odoo.exceptions import AccessError
from odoo.tests import tagged

from .common_automation import AutomationCase

REPORT = "crm_sales_stage.report_crm_stage_process"


@tagged("post_install", "-at_install")
class TestProcess(AutomationCase):
    """The process as a page to print."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stages.with_context(active_test=False).automation_ids.unlink()

    def render(self, stages=None, user=None, lang="en_US"):
        """:return: texts of the page's head and of its stages"""
        report = self.env["ir.actions.report"].with_user(user or self.manager).with_context(lang=lang)
        stages = stages or self.stages
        self.env.invalidate_all()  # what is in the cache is not checked
        page = html.fromstring(report._render_qweb_html(REPORT, stages.ids)[0])
        blocks = page.xpath("//div[@name='stage']")
        texts = [" ".join(block.text_content().replace("\xa0", " ").split()) for block in blocks]
        head = page.xpath("//h2")[0].text_content(), page.xpath("//h2/following::p")[0].text_content()
        return " ".join(" ".join(head).split()), texts

    def render_stage(self, stage, **values):
        (text,) = self.render(stage, **values)[1]
        return text

    def test_order(self):
        """That of the pipeline, whichever way they were selected; archived ones say so."""
        archived = self.env["crm.stage"].create({"name": "Fair", "sequence": -1, "active": False})
        _head, texts = self.render(self.closed + self.visit + archived + self.new)
        starts = ["1 Fair Archived", "2 New", "3 Technical Visit", "4 Won / Lost"]
        for text, start in zip(texts, starts, strict=True):
            self.assertIn(f"{start} Moved", text.replace(self.new.requirements or "-", "").strip())

    def test_head(self):
        self.env.company.name = "Windows & Doors"
        head, _texts = self.render()
        self.assertRegex(head, r"^Sales Process Windows & Doors, \d\d/\d\d/\d{4}$")

    def test_meaning(self):
        self.quotation.write(
            {"requirements": "A costing was issued\nas a quotation.", "rotting_threshold_days": 14}
        )
        self.quotation.team_ids = self.env["crm.team"].create({"name": "Windows"})
        text = self.render_stage(self.quotation)
        for part in ("A costing was issued as a quotation.", "Days to rot 14", "Sales teams Windows"):
            self.assertIn(part, text)
        self.quotation.write({"rotting_threshold_days": 0, "team_ids": False})
        text = self.render_stage(self.quotation)
        for part in ("Days to rot", "Sales teams", "On arrival"):
            self.assertNotIn(part, text)

    def test_probability(self):
        self.estimate.probability = 33.5
        self.visit.probability_mode = "predictive"
        _head, texts = self.render()
        for text, part in zip(
            texts,
            ("10 % 1", "33.50 % 2", "Probability: Odoo's predictive scoring 3", "75 % 4", "100 % 5"),
            strict=True,
        ):
            self.assertTrue(text.startswith(part), text)

    def test_automations(self):
        """In the sentences of the screens; what moves nothing says so, and comes last when it is archived."""
        self.assertIn("Moved here when somebody moves it by hand", self.render_stage(self.visit))
        self.create_automation(self.visit, "email_sent", sequence=1, active=False)
        text = self.render_stage(self.visit)
        self.assertIn("when somebody moves it by hand an e-mail is sent Archived", text)
        self.create_automation(self.visit, "quotation_sent", sequence=2)
        faulty = self.create_automation(
            self.visit, "stage_waiting", days=10, is_working_days=True, from_stage_ids=self.estimate.ids
        )
        faulty.sudo().fault = "odoo.exceptions.Error"
        text = self.render_stage(self.visit)
        self.assertIn(
            "Moved here when a quotation is sent "
            'it has been in its stage for 10 working days, only from "Estimate" Does not work at the moment '
            "an e-mail is sent Archived",
            text,
        )
        self.assertNotIn("odoo.exceptions", text)

    def test_arrival(self):
        model_id = self.env["ir.model"]._get_id("crm.lead")
        plan = self.env["mail.activity.plan"].create({"name": "Follow-Up", "res_model": "crm.lead"})
        template = self.env["mail.template"].create({"name": "Your Quotation", "model_id": model_id})
        asked = self.env["crm.stage.askable.field"].search([("name", "=", "date_deadline")])
        self.quotation.write(
            {
                "activity_plan_id": plan.id,
                "mail_template_id": template.id,
                "required_field_ids": [Command.set(asked.ids)],
            }
        )
        text = self.render_stage(self.quotation)
        parts = "Plans activities: Follow-Up", "Sends an e-mail: Your Quotation", "Asks for: Expected Closing"
        self.assertIn("On arrival " + " ".join(parts), text)
        plan.active = template.active = False
        text = self.render_stage(self.quotation)
        self.assertIn("On arrival " + parts[2], text, "nothing is planned and sent with what is archived")

    def test_of_another_company(self):
        other = self.env["res.company"].create({"name": "Other"})
        values = {"name": "Theirs", "res_model": "crm.lead", "company_id": other.id}
        self.quotation.activity_plan_id = self.env["mail.activity.plan"].create(values)
        self.quotation.team_ids = self.env["crm.team"].create({"name": "Their Team", "company_id": other.id})
        text = self.render_stage(self.quotation)
        self.assertIn("Sales teams Their Team", text)
        self.assertIn("Plans activities: Theirs", text)

    def test_won_or_lost(self):
        self.closed.write({"ask_outcome": True, "is_reason_required": True, "rotting_threshold_days": 3})
        text = self.render_stage(self.closed)
        self.assertIn("Asks whether it is won or lost Requires a reason when it is lost", text)
        self.assertNotIn("Days to rot", text)
        self.closed.write({"ask_outcome": False, "is_reason_required": False})
        self.assertNotIn("On arrival", self.render_stage(self.closed))

    def test_french(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.env["ir.module.module"].search([("name", "=", "crm_sales_stage")])._update_translations(
            ["fr_FR"]
        )
        self.create_automation(self.visit, "no_news", days=10, is_working_days=True)
        head, _texts = self.render(lang="fr_FR")
        self.assertIn("Processus de vente", head)
        text = self.render_stage(self.visit, lang="fr_FR")
        self.assertIn("Déplacée ici quand elle est sans nouvelles depuis 10 jours ouvrés", text)

    def test_rights(self):
        """For those who may read automations: others do not see it in the menu, nor by its address."""
        report = self.env.ref("crm_sales_stage.action_report_crm_stage_process")
        self.assertEqual(report.group_ids, self.env.ref("sales_team.group_sale_manager"))
        with self.assertRaises(AccessError):
            self.render(user=self.salesperson)

    def test_menu(self):
        for user, is_there in ((self.manager, True), (self.salesperson, False)):
            views = (
                self.env["crm.stage"]
                .with_user(user)
                .get_views([(False, "list"), (False, "form")], {"toolbar": True})
            )
            for view in ("list", "form"):
                printed = views["views"][view].get("toolbar", {}).get("print", [])
                self.assertEqual("Process" in [action["name"] for action in printed], is_there)
