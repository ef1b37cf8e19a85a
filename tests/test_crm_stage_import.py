import base64
import json
import logging
import os
import random
from copy import deepcopy
from pathlib import Path

from odoo.exceptions import AccessError, UserError
from odoo.service.model import call_kw
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from ..wizard import setup_file
from .common_arrival import ArrivalCase
from .common_automation import AutomationCase

_logger = logging.getLogger(__name__)

FILES = Path(__file__).parent / "files"
WIZARD = "crm.stage.import.wizard"
LOGGERS = ("odoo.sql_db", "odoo.addons.crm_sales_stage.wizard.crm_stage_import_wizard")


class ImportCase(ArrivalCase, AutomationCase):
    """Whoever exports and imports is a sales manager."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"]._activate_lang("fr_FR")
        cls.env["crm.stage"].invalidate_model()

    def export(self, user=None):
        return json.loads(setup_file.export(self.env(user=user or self.manager)))

    def read_file(self, content, user=None, lang="en_US", **values):
        """:return: the dialog, after it has read ``content``"""
        text = content if isinstance(content, (bytes, str)) else json.dumps(content)
        data = base64.b64encode(text if isinstance(text, bytes) else text.encode())
        wizard = self.env[WIZARD].with_user(user or self.manager).with_context(lang=lang)
        wizard = wizard.create({"data": data, "filename": "set-up.json", **values})
        with mute_logger(*LOGGERS):
            action = wizard.action_read()
        self.assertEqual(action["res_id"], wizard.id)
        return wizard

    def apply(self, content, **options):
        wizard = self.read_file(content, **options)
        return wizard, wizard.action_apply()

    def get_line(self, wizard, name):
        line = wizard.line_ids.filtered(lambda line: line.name == name)
        self.assertEqual(len(line), 1, wizard.line_ids.mapped("name"))
        return line

    def get_states(self, wizard):
        return set(wizard.line_ids.mapped("state"))

    def get_stage(self, content, name):
        return next(stage for stage in content["stages"] if stage["name"]["en_US"] == name)

    def get_everything(self):
        """:return: all that an import could touch, opportunities included"""
        self.env.flush_all()
        self.env.invalidate_all()
        leads = self.env["crm.lead"].with_context(active_test=False).search([], order="id")
        return (
            self.export(),
            leads.mapped(lambda lead: (lead.stage_id.id, lead.probability, lead.active, lead.won_status)),
            self.env["ir.actions.server"].search_count([]),
            self.env["mail.message"].search_count([]),
        )

    def compare(self, content, imported):
        self.assertEqual(self.drop(content), self.drop(imported))

    def drop(self, value):
        """:return: ``value`` of a file without external ids, which the database it came from may lack, and
        without what archives automations
        """
        if isinstance(value, list):
            return [self.drop(item) for item in value]
        if not isinstance(value, dict):
            return value
        left_out = {"id", "model"} | ({"active"} if "trigger" in value else set())
        return {name: self.drop(item) for name, item in value.items() if name not in left_out}


@tagged("post_install", "-at_install")
class TestCrmStageImport(ImportCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.team_2 = cls.env["crm.team"].create({"name": "Stoves"})
        cls.tags = cls.env["crm.tag"].create([{"name": "Renovation"}, {"name": "Subsidy"}])
        cls.reason = cls.env["crm.lost.reason"].create({"name": "Never answered"})
        cls.reason.with_context(lang="fr_FR").name = "Jamais répondu"
        cls.chase = cls.env["crm.stage"].create(
            {
                "name": "Chase",
                "sequence": 5,
                "fold": True,
                "probability": 80,
                "probability_mode": "predictive",
                "rotting_threshold_days": 9,
                "color": 4,
                "requirements": "Margin < 20 %\nCall first",
                "team_ids": cls.team.ids + cls.team_2.ids,
                "required_field_ids": cls.get_field("email_from", "date_deadline").ids,
                "activity_plan_id": cls.plan.id,
                "mail_template_id": cls.template.id,
            }
        )
        cls.chase.with_context(lang="fr_FR").name = "Relance"
        cls.closed.is_reason_required = True
        create = cls.create_automation
        create(cls.chase, "no_news", days=12, filter_domain=repr([("tag_ids", "in", cls.tags[:1].ids)]))
        create(cls.chase, "no_news", days=4, filter_domain=repr([("tag_ids", "=", cls.tags[1].id)]))
        create(
            cls.quotation,
            "email_received",
            from_stage_ids=(cls.chase + cls.new).ids,
            is_lost_included=True,
            sequence=3,
            filter_domain=repr(
                ["|", ("stage_id", "any", [("id", "in", cls.chase.ids)]), ("partner_id", "=", cls.partner.id)]
            ),
        )
        lost = {"outcome": "lost", "lost_reason_id": cls.reason.id}
        create(cls.closed, "quotation_expired", days=30, **lost)
        create(cls.estimate, "stage_waiting", days=1, active=False)
        cls.pass_commit()

    def empty(self):
        """Leave a pipeline of two stages of its own, and records of the same names that have other ids."""
        stages = self.env["crm.stage"].with_context(active_test=False)
        stages.create([{"name": "Start", "sequence": 0}, {"name": "End", "sequence": 99, "is_won": True}])
        self.env["crm.stage.automation"].with_context(active_test=False).search([]).unlink()
        stages.search([("name", "not in", ("Start", "End"))]).unlink()
        for records in (self.plan, self.template, self.reason, self.team_2, self.tags[0]):
            (vals,) = records.copy_data({"name": f"{records.name} once more"})
            names = setup_file.get_translations(records, "name")
            records.unlink()
            record = records.create(vals)
            for lang, name in names.items():
                record.with_context(lang=lang).name = name
        self.pass_commit()

    def test_what_is_in_the_file(self):
        content = self.export()
        chase = self.get_stage(content, "Chase")
        self.assertEqual(chase["name"], {"en_US": "Chase", "fr_FR": "Relance"})
        self.assertEqual(
            (chase["id"], chase["probability"], chase["probability_mode"]), (None, 80, "predictive")
        )
        self.assertEqual(chase["required_field_ids"], ["date_deadline", "email_from"])
        self.assertEqual([team["name"] for team in chase["team_ids"]], ["Stoves", "Windows"])
        self.assertEqual(chase["activity_plan_id"], {"model": "mail.activity.plan", "name": "Follow up"})
        by_days = {automation["days"]: automation for automation in chase["automations"]}
        self.assertEqual(
            by_days[12]["filter_domain"],
            [["tag_ids", "in", [{"model": "crm.tag", "name": "Renovation"}]]],
        )
        visit = self.get_stage(content, "Technical Visit")
        self.assertEqual(visit["id"], "crm_sales_stage.stage_technical_visit")
        ids = [item["filter_domain"][0][2] for item in visit["automations"]]
        self.assertIn("crm_sales_stage.mail_activity_type_technical_visit", json.dumps(ids))
        text = setup_file.export(self.env(user=self.manager))
        french = self.env(user=self.manager, context={"lang": "fr_FR", "active_test": True})
        self.assertEqual(setup_file.export(french), text, "The same, whoever reads it")

    def test_is_working_days_travels_where_it_is(self):
        names = setup_file.FIELDS["crm.stage.automation"]
        self.assertIn("is_working_days", names)
        automation = self.get_stage(self.export(), "Chase")["automations"][0]
        self.assertEqual("is_working_days" in automation, "is_working_days" in self.automations._fields)

    def test_external_ids_of_imports_are_none(self):
        self.env["ir.model.data"].create(
            [
                {"module": module, "name": "x", "model": "crm.stage", "res_id": self.chase.id}
                for module in ("__export__", "__import__")
            ]
        )
        self.assertIsNone(self.get_stage(self.export(), "Chase")["id"])

    def test_nothing_of_people_is_in_it(self):
        lead = self.create_lead(name="Secret House")
        for domain in ([("user_id", "=", self.salesperson.id)], [("id", "in", lead.ids)]):
            self.create_automation(self.chase, "email_sent", filter_domain=repr(domain))
        text = json.dumps(self.export())
        for secret in ("Secret House", self.salesperson.name, self.salesperson.login, self.manager.login):
            self.assertNotIn(secret, text)
        self.assertIn('["user_id", "=", {"model": "res.users"}]', text)

    def test_names_that_the_reader_may_not_see(self):
        company = self.env["res.company"].create({"name": "Other"})
        hidden = self.env["crm.team"].create({"name": "Hidden Team", "company_id": company.id})
        self.chase.team_ids += hidden
        self.create_automation(self.chase, "email_sent", filter_domain=repr([("team_id", "=", hidden.id)]))
        self.env.flush_all()
        self.env.invalidate_all()
        content = self.export()
        self.assertNotIn("Hidden Team", json.dumps(content))
        self.get_stage(content, "Chase")["team_ids"] = []
        self.apply(content)
        self.env.flush_all()
        self.env.invalidate_all()
        self.assertEqual(self.chase.team_ids, hidden, "What one does not see stays")

    def test_same_database(self):
        before = self.get_everything()
        for lang in ("en_US", "fr_FR"):
            wizard = self.read_file(before[0], lang=lang)
            self.assertEqual(self.get_states(wizard), {"same"}, wizard.line_ids.mapped("text"))
            self.assertFalse(any(wizard.line_ids.mapped("is_ticked")))
            with self.assertRaisesRegex(UserError, "Nothing is ticked|Rien n"):
                wizard.action_apply()
        self.assertEqual(self.get_everything(), before)

    def test_emptied_pipeline(self):
        content = self.export()
        self.empty()
        self.tags[1].unlink()
        before = self.get_everything()
        wizard = self.read_file(content, lang="fr_FR")
        self.assertEqual(self.get_everything(), before, "Nothing happens before it is confirmed")
        self.assertEqual(self.get_states(wizard), {"new", "missing"})
        missing = wizard.line_ids.filtered(lambda line: line.state == "missing")
        self.assertEqual(len(missing), 1)
        self.assertIn("Subsidy", missing.text)
        self.assertFalse(missing.is_ticked or missing.is_possible)
        wizard.action_apply()
        self.pass_commit()
        imported = self.export()
        imported["stages"] = [
            stage for stage in imported["stages"] if stage["name"]["en_US"] not in ("Start", "End")
        ]
        expected = deepcopy(content)
        chase = self.get_stage(expected, "Chase")
        chase["automations"] = [automation for automation in chase["automations"] if automation["days"] != 4]
        self.compare(expected, imported)
        automations = self.env["crm.stage.automation"].with_context(active_test=False).search([])
        self.assertFalse(any(automations.mapped("active")))
        self.assertEqual(automations.author_id, self.manager)
        again = self.read_file(content)
        self.assertEqual(self.get_states(again), {"same", "missing"})

    def test_changed(self):
        leads = self.create_in(self.estimate, 3)
        leads[0].probability = 33
        self.pass_commit()
        content = self.export()
        stage = self.get_stage(content, "Estimate")
        stage |= {"probability": 35, "fold": True, "requirements": "Two\nlines"}
        stage["name"] |= {"fr_FR": "Chiffrage"}
        stage["automations"][-1]["sequence"] = 44
        wizard = self.read_file(content)
        line = self.get_line(wizard, "Estimate")
        self.assertEqual((line.state, line.is_ticked), ("changed", True))
        self.assertEqual(
            line.text.splitlines(),
            [
                "Open opportunities that get another probability, unless theirs was set by hand: 3.",
                "Stage Name (French / Français): Estimation → Chiffrage",
                "Folded in Pipeline: no → yes",
                "Probability: 25 → 35",
                "Requirements: nothing → Two",
                "lines",
            ],
        )
        self.assertEqual(leads.mapped("probability"), [33, 25, 25])
        wizard.action_apply()
        self.pass_commit()
        self.assertEqual(leads.mapped("probability"), [33, 35, 35])
        self.assertEqual(leads.stage_id, self.estimate)
        self.compare(content, self.export())
        self.assertTrue(all(self.estimate.automation_ids.mapped("active")))

    def test_winning_takes_a_tick(self):
        self.create_in(self.estimate, 2)
        content = self.export()
        self.get_stage(content, "Estimate").update({"is_won": True, "probability": 100, "automations": []})
        line = self.get_line(self.read_file(content), "Estimate")
        self.assertIn("Opportunities that are won, or open again, by this: 2.", line.text)
        self.assertEqual((line.is_possible, line.is_ticked), (True, False))

    def test_matched_by_name_in_any_language(self):
        content = self.export()
        self.chase.write({"name": "Relance"})
        wizard = self.read_file(content)
        line = wizard.line_ids.filtered(lambda line: line.kind == "stage" and line.name == "Chase")
        self.assertEqual(line.state, "changed")
        self.assertIn("Stage Name (English (US)): Relance → Chase", line.text)

    def test_missing_of_a_stage(self):
        content = self.export()
        stage = self.get_stage(content, "Chase")
        stage["activity_plan_id"] = {"model": "mail.activity.plan", "name": "No such plan"}
        stage["team_ids"] = [{"model": "crm.team", "name": "No such team"}]
        stage["required_field_ids"] = ["no_such_field", "email_from"]
        stage["no_such_value"] = 5
        stage["color"] = 7
        line = self.get_line(self.read_file(content), "Chase")
        self.assertEqual(line.state, "missing")
        for name in ("No such plan", "No such team", "no_such_field", "no_such_value"):
            self.assertIn(name, line.text)
        line.wizard_id.action_apply()
        self.assertEqual((self.chase.color, self.chase.activity_plan_id), (7, self.plan))
        self.assertEqual(self.chase.team_ids, self.team + self.team_2)
        self.assertEqual(self.chase.required_field_ids.name, "email_from")

    def test_missing_of_an_automation(self):
        for values, text in (
            ({"trigger": "invoice_paid"}, 'the trigger "invoice_paid"'),
            ({"filter_domain": [["no_such_field", "=", 1]]}, "no_such_field"),
            ({"filter_domain": [["partner_id.x_gone", "=", 1]]}, "x_gone"),
            ({"filter_domain": [["tag_ids", "in", [{"name": "Nope"}]]]}, 'CRM Tag "Nope"'),
            ({"filter_domain": [["user_id", "=", {"model": "res.users"}]]}, "the file does not name"),
            ({"from_stage_ids": [{"name": "Nowhere"}]}, "Nowhere"),
            ({"lost_reason_id": {"id": "gone.reason", "name": "Nope"}}, "Nope"),
            ({"is_on_mars": True}, "is_on_mars"),
        ):
            with self.subTest(values):
                content = self.export()
                content["stages"] = [self.get_stage(content, "Chase")]
                content["stages"][0]["automations"] = [{"trigger": "no_news", "days": 77, **values}]
                line = self.read_file(content).line_ids[1]
                self.assertEqual((line.state, line.is_possible), ("missing", False), line.text)
                self.assertIn(text, line.text)
                line.is_ticked = True
                with self.assertRaisesRegex(UserError, "Missing here"):
                    line.wizard_id.action_apply()

    def test_several_of_a_name(self):
        self.env["crm.team"].create({"name": "Stoves"})
        content = self.export()
        self.get_stage(content, "Chase")["team_ids"] = [{"model": "crm.team", "name": "Stoves"}]
        self.assertIn("there are several", self.get_line(self.read_file(content), "Chase").text)

    def test_automation_without_its_stage(self):
        content = self.export()
        content["stages"] = [{"name": {"en_US": "Fresh"}, "automations": [{"trigger": "quotation_sent"}]}]
        wizard = self.read_file(content)
        self.assertEqual(wizard.line_ids.mapped("state"), ["new", "new"])
        wizard.line_ids[0].is_ticked = False
        with self.assertRaisesRegex(UserError, "It needs its stage"):
            wizard.action_apply()
        wizard.line_ids[0].is_ticked = True
        wizard.action_apply()
        self.assertTrue(self.env["crm.stage"].search([("name", "=", "Fresh")]))
        wizard = self.read_file(content)
        self.assertEqual(wizard.line_ids.mapped("state"), ["same", "same"], "What was left out is as usual")

    def test_stages_that_are_archived_come_last(self):
        content = self.export()
        content["stages"] = [
            {**self.get_stage(content, name), "active": False, "automations": []}
            for name in ("New", "Estimate", "Technical Visit", "Quotation", "Chase")
        ] + [{"name": {"en_US": "Only"}, "sequence": 50, "active": True}]
        wizard = self.read_file(content)
        self.assertEqual(self.get_states(wizard), {"changed", "new"})
        wizard.action_apply()
        self.assertEqual(self.env["crm.stage"].search([]).mapped("name"), ["Only", "Won / Lost"])

    # ------------------------------------------------------------------
    # Undoing
    # ------------------------------------------------------------------

    def undo(self, action):
        (button,) = action["params"]["buttons"]
        records = self.env[button["model"]].with_user(self.manager)
        res = call_kw(records, button["method"], button["args"], {})
        self.pass_commit()
        return res["params"]["message"]

    def get_changed_content(self):
        content = self.export()
        self.get_stage(content, "Estimate").update({"probability": 35, "fold": True, "active": False})
        self.get_stage(content, "Chase")["team_ids"] = []
        self.get_stage(content, "Chase")["automations"][0]["sequence"] = 99
        fresh = {"trigger": "email_sent", "filter_domain": [["priority", "=", "2"]]}
        content["stages"].append({"name": {"en_US": "Fresh"}, "sequence": 8, "automations": [fresh]})
        return content

    def test_undo(self):
        self.create_in(self.estimate, 2)
        self.pass_commit()
        before = self.get_everything()
        _wizard, action = self.apply(self.get_changed_content())
        self.assertNotEqual(self.get_everything(), before)
        self.assertEqual(self.undo(action), "The import was undone.")
        self.assertEqual(self.get_everything(), before)
        self.assertEqual(self.undo(action), "There is nothing to undo any more.")

    def test_undo_leaves_what_was_touched(self):
        _wizard, action = self.apply(self.get_changed_content())
        fresh = self.env["crm.stage"].search([("name", "=", "Fresh")])
        self.estimate.color = 6
        lead = self.create_in(fresh)
        message = self.undo(action)
        self.assertIn("Estimate", message)
        self.assertNotIn("Fresh", message)
        self.assertEqual((self.estimate.probability, self.estimate.active), (35, False))
        self.assertEqual(self.chase.team_ids, self.team + self.team_2)
        self.assertEqual((lead.stage_id, fresh.active), (fresh, False), "It is in use: archived")
        self.assertFalse(
            self.automations.with_context(active_test=False).search([("stage_id", "=", fresh.id)])
        )

    def test_undo_of_what_others_use(self):
        _wizard, action = self.apply(self.get_changed_content())
        fresh = self.env["crm.stage"].search([("name", "=", "Fresh")])
        others = self.create_automation(fresh, "quotation_sent")
        self.undo(action)
        self.assertTrue(others.exists() and fresh.exists())

    # ------------------------------------------------------------------
    # Bad input
    # ------------------------------------------------------------------

    def test_files_that_are_none(self):
        content = self.export()
        for text, expected in (
            ("", "Choose a file"),
            ("no JSON", "Choose a file"),
            (b"\xff\xfe\x00", "Choose a file"),
            (b"PK\x03\x04", "Choose a file"),
            ("[" * 100000, "Choose a file"),
            ("[]", "Choose a file"),
            ("null", "Choose a file"),
            ('{"a": 1' + "0" * 5000 + "}", "Choose a file"),
            ({"name": "another-product", "version": "1.0"}, "Choose a file"),
            ({**content, "product": "odoo"}, "Choose a file"),
            ({**content, "stages": {}}, "Choose a file"),
            ({**content, "stages": [1]}, "Choose a file"),
            ({**content, "stages": [{"automations": 5}]}, "Choose a file"),
            ({**content, "stages": [{"automations": "ab"}]}, "Choose a file"),
            ({**content, "version": "1"}, "Choose a file"),
            ({**content, "stages": [{"name": {"en_US": "a\x00"}}]}, "Choose a file"),
            ({**content, "stages": [{"name": {"en_US": "\ud800"}}]}, "Choose a file"),
            ({**content, "version": 2}, "newer version"),
            ({**content, "stages": []}, "at least one"),
            ({**content, "stages": [{}] * 501}, "the most"),
            ("x" * 10_000_000, "too large"),
        ):
            with self.subTest(str(text)[:60]), self.assertRaisesRegex(UserError, expected):
                self.read_file(text)

    def test_lines_that_are_refused(self):
        before = self.get_everything()
        for values, expected in (
            ({"probability": 300}, "between 0% and 100%"),
            ({"probability": -1}, "between 0% and 100%"),
            ({"probability": "50"}, '"Probability" cannot be "50"'),
            ({"probability": float("nan")}, "cannot be NaN"),
            ({"probability": True}, "cannot be true"),
            ({"sequence": 10**12}, '"Sequence" cannot be 1000000000000'),
            ({"sequence": None}, "cannot be null"),
            ({"fold": "yes"}, "cannot be"),
            ({"probability_mode": "magic"}, "magic"),
            ({"is_won": True, "probability": 50}, "always 100%"),
            ({"name": {"en_US": "x" * 10000}}, '"Stage Name" is too long: 250'),
            ({"name": {"en_US": "  "}}, "cannot be"),
            ({"name": {}}, "cannot be"),
            ({"name": "Chase"}, "cannot be"),
            ({"name": None}, "cannot be"),
            ({"name": {"en_US": ["x"]}}, "cannot be"),
            ({"requirements": ["x"]}, "cannot be"),
            ({"team_ids": [5]}, "not written as"),
            ({"team_ids": "Stoves"}, "not written as"),
            ({"mail_template_id": {"id": "base.user_admin"}}, "which the file does not name"),
            ({"mail_template_id": {"id": "no id at all' OR 1=1"}}, "which the file does not name"),
        ):
            content = {**before[0], "stages": [{"id": None, "name": {"en_US": "Chase"}, **values}]}
            with self.subTest(values=str(values)[:60]):
                line = self.read_file(content).line_ids
                self.assertIn(line.state, ("refused", "missing"))
                self.assertIn(expected, line.text)
                self.assertFalse(line.is_ticked or line.is_possible)
        self.assertEqual(self.get_everything(), before)

    def test_stage_twice(self):
        content = self.export()
        content["stages"] += [deepcopy(self.get_stage(content, "Chase")), deepcopy(content["stages"][0])]
        content["stages"][-1]["name"] = {"en_US": "Another name"}
        lines = self.read_file(content).line_ids.filtered(lambda line: "twice" in (line.text or ""))
        self.assertEqual(lines.mapped("name"), ["Chase", "Another name"])

    def test_html_is_text(self):
        content = self.export()
        html = "<img src=x onerror=alert(1)>"
        self.get_stage(content, "Chase")["requirements"] = html
        line = self.get_line(self.read_file(content), "Chase")
        self.assertIn("take the HTML out", line.text)
        line.wizard_id.action_apply()
        self.assertEqual(self.chase.requirements, html)

    def get_refusal(self, domain, user=None, **values):
        """:return: why an automation with this condition is refused"""
        automation = {"trigger": "quotation_sent", "filter_domain": domain, **values}
        content = {**self.export(), "stages": [{"name": {"en_US": "Chase"}, "automations": [automation]}]}
        line = self.read_file(content, user=user).line_ids[1]
        self.assertEqual((line.state, line.is_possible), ("refused", False), line.text)
        line.is_ticked = True
        with self.assertRaises(UserError), mute_logger(*LOGGERS):
            line.wizard_id.action_apply()
        return line.text

    def test_conditions_that_are_refused(self):
        before = self.get_everything()
        for domain in (
            "__import__('os').system('true')",
            {"a": 1},
            ["&"],
            [["amount_total", ">", "abc"]],
            [["partner_id", "=", 5]],
            [["partner_id", "any", "x"]],
            [["partner_id", 5, "x"]],
            [["user_id.password", "=", "x"]],
            [["partner_id", "any", [["id", "in", [1]]]]],
            [["name", "in", [{"a": 1}]]],
            json.loads("[" * 90 + "]" * 90),
            [["amount_total", ">", float("inf")]],
        ):
            with self.subTest(domain=str(domain)[:60]):
                self.assertTrue(self.get_refusal(domain))
        self.assertEqual(self.get_everything(), before)

    def test_condition_on_what_the_user_may_not_read(self):
        field = self.env["sale.order"]._fields["client_order_ref"]
        self.patch(field, "groups", "base.group_system")
        self.assertIn("client_order_ref", self.get_refusal([["client_order_ref", "=", "x"]]))

    def mutate(self, value, dice):
        """:return: ``value`` of a file with something changed at random"""
        strange = (None, True, -1, 10**20, 0.5, "", "x" * 300, [], {}, [[]], {"id": "a.b"}, "\u202e", [["a"]])
        if isinstance(value, (dict, list)) and value and dice.random() < 0.9:
            value = value.copy()
            key = dice.choice(list(value) if isinstance(value, dict) else range(len(value)))
            what = dice.random()
            if what < 0.1:
                del value[key]
            elif what < 0.15 and isinstance(value, dict):
                value[dice.choice(("name", "id", "trigger", "zz"))] = dice.choice(strange)
            elif what < 0.2 and isinstance(value, list):
                value.append(deepcopy(value[key]))
            else:
                value[key] = self.mutate(value[key], dice)
            return value
        return dice.choice(strange)

    def test_fuzz(self):
        """Never a traceback, never half done; and what is imported once is the same the second time."""
        seed = int(os.environ.get("SEED") or 28)
        _logger.info("Files are mutated with the seeds from %s on", seed)
        content, before = self.export(), self.get_everything()
        for number in range(seed, seed + int(os.environ.get("SEQUENCES") or 40)):
            dice, mutated = random.Random(number), content
            for _time in range(dice.randrange(1, 6)):
                mutated = self.mutate(mutated, dice)
            with self.subTest(seed=number), self.env.cr.savepoint() as savepoint:
                try:
                    wizard = self.read_file(mutated)
                except UserError:
                    wizard = None
                self.assertEqual(self.get_everything(), before)
                if wizard and any(wizard.line_ids.mapped("is_ticked")):
                    with mute_logger(*LOGGERS):
                        action = wizard.action_apply()
                    again = self.read_file(mutated)
                    self.assertFalse(
                        again.line_ids.filtered("is_ticked").mapped(lambda line: (line.name, line.text))
                    )
                    self.undo(action)
                    self.assertEqual(self.get_everything()[:2], before[:2])
                savepoint.rollback()
                self.env.invalidate_all()

    # ------------------------------------------------------------------
    # Rights
    # ------------------------------------------------------------------

    def test_rights(self):
        export, data = self.env["crm.stage.export.wizard"], base64.b64encode(b"{}")
        for login, group in (
            ("seller", "sales_team.group_sale_salesman_all_leads"),
            ("portal", "base.group_portal"),
        ):
            user = new_test_user(self.env, f"import_{login}", group)
            with self.subTest(login):
                for model, vals in ((export, {}), (self.env[WIZARD], {"data": data})):
                    with self.assertRaises(AccessError):
                        model.with_user(user).create(vals)
        theirs = self.read_file(self.export())
        other = new_test_user(self.env, "import_other", "sales_team.group_sale_manager")
        for method in ("action_read", "action_apply", "action_undo"):
            with self.assertRaises(AccessError):
                call_kw(self.env[WIZARD].with_user(other), method, (theirs.ids,), {})

    def test_contexts_of_clients(self):
        content = self.get_changed_content()
        expected = None
        keys = (
            "bin_size",
            "bin_size_data",
            "active_test",
            "default_active",
            "default_outcome",
            "default_stage_id",
        )
        keys += ("default_filter_domain", "crm_stage_moving", "import_file", "install_mode", "default_days")
        for value in (None, True, 7, "x", [1]):
            with self.env.cr.savepoint() as savepoint:
                wizard = self.read_file(content)
                context = dict.fromkeys(keys, value) if value is not None else {}
                for method in ("action_read", "action_apply"):
                    call_kw(
                        self.env[WIZARD].with_user(self.manager), method, (wizard.ids,), {"context": context}
                    )
                self.env.invalidate_all()
                result = self.export()
                expected = expected or result
                self.assertEqual(result, expected, value)
                savepoint.rollback()
                self.env.invalidate_all()


@tagged("post_install", "-at_install")
class TestSetupFiles(ImportCase):
    """Files that were made once: what is delivered, and the dealer's."""

    def test_files(self):
        for model, name, french in (
            ("crm.tag", "Renovation", "Rénovation"),
            ("crm.lost.reason", "Stopped answering", "Ne répond plus"),
        ):
            record = self.env[model].search([("name", "=", name)]) or self.env[model].create({"name": name})
            record.with_context(lang="fr_FR").name = french
        for name in ("seeded", "dealer"):
            content = json.loads(FILES.joinpath(f"{name}.json").read_text())
            with self.subTest(name), self.env.cr.savepoint() as savepoint:
                for automation in self.automations.with_context(active_test=False).search([]):
                    if not automation.get_external_id()[automation.id]:
                        automation.unlink()
                wizard = self.read_file(content)
                self.assertLessEqual(
                    self.get_states(wizard), {"same", "changed", "new"}, wizard.line_ids.mapped("text")
                )
                wizard.line_ids.filtered("is_possible").is_ticked = True
                if any(wizard.line_ids.mapped("is_ticked")):
                    wizard.action_apply()
                self.assertEqual(self.get_states(self.read_file(content)), {"same"})
                self.compare(content, self.export())
                savepoint.rollback()
                self.env.invalidate_all()

    def test_download(self):
        wizard = self.env["crm.stage.export.wizard"].with_user(self.manager).create({})
        action = wizard.action_download()
        self.assertEqual(action["type"], "ir.actions.act_url")
        self.assertEqual(json.loads(base64.b64decode(wizard.data)), self.export())
        self.assertRegex(wizard.filename, r"^sales-stages-.*\.json$")
        self.assertFalse(self.env["ir.attachment"].search([("res_model", "=", wizard._name)]))
