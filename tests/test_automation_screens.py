from lxml import etree

from odoo.tests import Form, tagged
from odoo.tools.safe_eval import safe_eval

from .common_automation import AutomationCase

TITLES = ["Quotation sent", "Visit planned", "Visit over", "Order confirmed", "Quotation expired: lost"]
TITLES += ["Ten days without news", "E-mail received", "Big deal", "Meeting of one team"]
TITLES += ["Cancelled after confirmation", "A lost customer comes back"]


@tagged("post_install", "-at_install")
class TestExamples(AutomationCase):
    def get_examples(self):
        """:return: {title: example}"""
        examples = self.automations.with_user(self.manager).get_examples()
        return {example["title"]: example for example in examples}

    def save(self, example):
        """:return: the automation that the form makes when it is saved as it opens"""
        return Form(self.automations.with_user(self.manager).with_context(**example["context"])).save()

    def test_titles(self):
        self.assertEqual(list(self.get_examples()), TITLES)

    def test_all_can_be_saved(self):
        for title, example in self.get_examples().items():
            with self.subTest(title):
                automation = self.save(example)
                self.assertTrue(automation.active)
                self.assertEqual(automation.name, example["sentence"], "it does what it says")
                self.assertFalse(self.get_preview(automation).obstacle)

    def test_stages(self):
        examples = self.get_examples()
        for title, stage in (
            ("Quotation sent", self.quotation),
            ("Visit planned", self.visit),
            ("Order confirmed", self.closed),
            ("E-mail received", self.estimate),
        ):
            self.assertEqual(examples[title]["context"]["default_stage_id"], stage.id)
        self.assertEqual(self.save(examples["E-mail received"]).from_stage_ids, self.new)
        self.assertEqual(self.save(examples["Cancelled after confirmation"]).from_stage_ids, self.closed)

    def test_visit(self):
        """The condition is the tag of technical visits; without it, any meeting is one."""
        automation = self.save(self.get_examples()["Visit planned"])
        self.assertEqual(automation.filter_domain, f"[('categ_ids', 'in', [{self.visit_tag.id}])]")
        self.env["crm.stage.automation"].search([]).unlink()
        self.visit_tag.unlink()
        self.assertNotIn("default_filter_domain", self.get_examples()["Visit planned"]["context"])

    def test_pipeline_of_another_dealer(self):
        """Where the five stages are archived, those of the dealer that are about as far take their places."""
        vals_list = [{"name": f"Own {number}", "sequence": number} for number in range(3)]
        own = self.env["crm.stage"].create([*vals_list, {"name": "Own won", "sequence": 9, "is_won": True}])
        self.automations.search([]).active = False
        stages = self.new + self.estimate + self.visit + self.quotation + self.closed
        self.env["crm.lead"].search([]).active = False
        self.env["crm.stage"].search([("id", "not in", (own + stages).ids)]).active = False
        stages.active = False
        first, second, third, won = own
        examples = self.get_examples()
        for title, stage in (
            ("Quotation sent", third),
            ("Visit planned", second),
            ("Order confirmed", won),
            ("E-mail received", second),
        ):
            self.assertEqual(examples[title]["context"]["default_stage_id"], stage.id)
        self.assertEqual(self.save(examples["E-mail received"]).from_stage_ids, first)
        for title, example in self.get_examples().items():
            with self.subTest(title):
                self.assertIn(example["context"]["default_stage_id"], own.ids)

    def test_two_stages(self):
        """No example takes opportunities from the stage that it moves them to."""
        own = self.env["crm.stage"].create(
            [{"name": "Open", "sequence": 1}, {"name": "Own won", "sequence": 9, "is_won": True}]
        )
        self.env["crm.stage"].search([("id", "not in", own.ids)]).active = False
        for title, example in self.get_examples().items():
            with self.subTest(title):
                self.assertIn(self.save(example).stage_id, own)

    def test_without_team(self):
        self.env["crm.team"].search([]).active = False
        self.assertNotIn("default_filter_domain", self.get_examples()["Meeting of one team"]["context"])


@tagged("post_install", "-at_install")
class TestScreens(AutomationCase):
    def get_arch(self, model, view_type):
        return etree.fromstring(self.env[model].with_user(self.manager).get_view(view_type=view_type)["arch"])

    def test_list_follows_the_pipeline(self):
        automations = self.automations.with_user(self.manager)
        groups = automations.web_read_group([], ["stage_id"], ["__count"])["groups"]
        stages = self.env["crm.stage"].browse(group["stage_id"][0] for group in groups)
        self.assertEqual(stages, stages.sorted())
        self.assertGreater(len(stages), 2)
        self.assertEqual(self.get_arch("crm.stage.automation", "list").get("default_group_by"), "stage_id")

    def test_help_covers_nothing(self):
        """Odoo shows the help of a field that is directly in the sheet on top of what is worked on."""
        for model, name in (("crm.stage", "automation_ids"), ("crm.stage.automation", "filter_domain")):
            (field,) = self.get_arch(model, "form").xpath(f"//field[@name='{name}']")
            self.assertNotEqual(field.getparent().tag, "sheet")

    def test_what_happens_comes_first(self):
        automation = self.create_automation(self.visit, "quotation_sent")
        self.assertEqual(automation.event_text, "a quotation is sent")
        automation.from_stage_ids = self.new
        self.assertEqual(automation.event_text, 'a quotation is sent, only from "New"')
        automation.filter_domain = f"[('user_id', '=', {self.salesperson.id})]"
        self.assertRegex(automation.event_text, '^a quotation is sent, .*"Salesperson" is')
        others = self.create_automation(
            self.quotation, "quotation_sent", filter_domain=automation.filter_domain
        )
        self.assertRegex(others.event_text, '^a quotation is sent, if "Salesperson" is')

    def test_event_in_french(self):
        automation = self.create_automation(self.visit, "quotation_sent").with_context(lang="fr_FR")
        self.assertEqual(automation.event_text, "un devis est envoyé")

    def test_faulty_stage(self):
        automation = self.create_automation(self.visit, "quotation_created")
        stages = (self.visit + self.quotation).with_user(self.manager)
        self.assertFalse(any(stages.mapped("has_faulty_automation")))
        self.make_faulty(automation)
        self.env.invalidate_all()
        self.assertEqual(stages.mapped("has_faulty_automation"), [True, False])
        automation.active = False
        self.env.invalidate_all()
        self.assertFalse(stages[0].has_faulty_automation, "an archived one is no concern")

    def test_at_rest(self):
        """Who looks at automations sees which of them stand still with their stage."""
        automations = self.automations.with_user(self.manager)
        arch = self.get_arch("crm.stage.automation", "search")
        domain = safe_eval(arch.xpath("//filter[@name='at_rest']")[0].get("domain"))
        automation, archived = (self.create_automation(self.visit, "quotation_sent") for _ in range(2))
        archived.active = False
        self.assertFalse(automations.search(domain) or automation.notice)
        self.visit.active = False
        resting = automations.with_context(active_test=False).search(domain)
        self.assertIn(automation, resting)
        self.assertEqual(resting.stage_id, self.visit)
        self.assertEqual(set(resting.mapped("notice")), {"At rest: its stage is archived."})
        self.assertFalse((resting & archived) or archived.rest_text)
        self.visit.active = True
        self.assertFalse(automations.search(domain) or automation.rest_text)
        self.assertIs(automations.new().rest_text, False, "a new one has no stage yet")

    def test_faulty_stage_costs_nothing_elsewhere(self):
        """It is computed for all stages at once."""
        stages = self.env["crm.stage"].search([])
        stages.mapped("name")
        with self.assertQueryCount(1):
            stages.mapped("has_faulty_automation")


@tagged("post_install", "-at_install")
class TestOpportunityOfActivity(AutomationCase):
    """Conditions on activities may ask something of their opportunity, as those on other documents."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.team = cls.env["crm.team"].create({"name": "Windows"})
        cls.leads = cls.create_leads(3)
        cls.leads[0].write({"team_id": cls.team.id, "expected_revenue": 20000, "name": "Big one"})
        cls.leads[2].active = False
        cls.activities = cls.env["mail.activity"].union(
            *(lead.activity_schedule("mail.mail_activity_data_call") for lead in cls.leads),
            cls.partner.activity_schedule("mail.mail_activity_data_call"),
        )

    def search(self, *condition):
        return self.env["mail.activity"].search([condition, ("id", "in", self.activities.ids)], order="id")

    def test_read(self):
        self.assertEqual(
            [activity.crm_stage_lead_id for activity in self.activities],
            [*self.leads, self.env["crm.lead"]],
        )

    def test_search(self):
        first, second, _of_archived, of_partner = self.activities
        for condition, expected in (
            (("crm_stage_lead_id", "=", self.leads[0].id), first),
            (("crm_stage_lead_id", "in", self.leads[:2].ids), first + second),
            (("crm_stage_lead_id", "=", False), of_partner),
            (("crm_stage_lead_id", "!=", False), self.activities - of_partner),
            (("crm_stage_lead_id", "in", [False, self.leads[0].id]), first + of_partner),
            (("crm_stage_lead_id", "not in", self.leads[0].ids), self.activities - first),
            (("crm_stage_lead_id", "ilike", "Big"), first),
            (("crm_stage_lead_id.team_id", "=", self.team.id), first),
            (("crm_stage_lead_id.expected_revenue", ">", 10000), first),
            (("crm_stage_lead_id", "any", [("name", "=", "Big one")]), first),
            (("crm_stage_lead_id", "not any", [("name", "=", "Big one")]), self.activities - first),
        ):
            with self.subTest(condition):
                self.assertEqual(self.search(*condition), expected)

    def test_condition(self):
        condition = repr([("crm_stage_lead_id.team_id", "in", self.team.ids)])
        self.automations.search([]).active = False
        automations = self.automations.with_user(self.manager)
        automation = automations.create(
            {"stage_id": self.estimate.id, "trigger": "activity_planned", "filter_domain": condition}
        )
        self.leads[:2].activity_schedule("mail.mail_activity_data_todo")
        self.assertEqual(self.leads[:2].mapped("stage_id"), self.estimate + self.new)
        self.assertFalse(automation.fault)
