import json

from lxml import etree

from odoo.exceptions import AccessError
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from .common_pipeline import PipelineCase


@tagged("post_install", "-at_install")
class TestCrmStageRights(PipelineCase, HttpCase):
    def call_kw(self, model, method, *args, **kwargs):
        """:return: the answer of the server to what the web client of the logged in user asks"""
        with mute_logger("odoo.http", "odoo.addons.base.models.ir_model", "odoo.models"):
            response = self.url_open(
                f"/web/dataset/call_kw/{model}/{method}",
                data=json.dumps(
                    {"params": {"model": model, "method": method, "args": args, "kwargs": kwargs}, "id": 1}
                ),
                headers={"Content-Type": "application/json"},
            )
        return response.json()

    def assertRefused(self, answer, name="odoo.exceptions.AccessError"):
        self.assertEqual(answer.get("error", {}).get("data", {}).get("name"), name, answer)

    def test_salesperson_changes_no_stage(self):
        self.authenticate(self.salesperson.login, self.salesperson.login)
        ids = self.visit.ids
        self.assertRefused(self.call_kw("crm.stage", "unlink", ids))
        self.assertRefused(self.call_kw("crm.stage", "write", ids, {"probability": 99}))
        self.assertRefused(self.call_kw("crm.stage", "write", ids, {"active": False}))
        self.assertRefused(self.call_kw("crm.stage", "action_archive", ids))
        self.assertRefused(self.call_kw("crm.stage", "web_resequence", self.stages.ids, {}))
        self.assertRefused(self.call_kw("crm.stage", "create", [{"name": "Mine"}]))
        self.assertRefused(self.call_kw("crm.stage", "name_create", "Mine"))
        self.assertRefused(self.call_kw("crm.stage", "action_open_delete_wizard", ids))
        self.assertRefused(self.call_kw("crm.stage.delete.wizard", "create", [{"stage_ids": [[6, 0, ids]]}]))
        self.assertRefused(
            self.call_kw(
                "crm.stage.delete.wizard", "web_save", [], {"stage_ids": [[6, 0, ids]]}, specification={}
            )
        )

    def test_salesperson_uses_no_managers_wizard(self):
        self.create_in(self.visit)
        wizard = self.env["crm.stage.delete.wizard"].with_user(self.manager)
        wizard = wizard.create({"stage_ids": self.visit.ids, "target_stage_id": self.new.id})
        self.env.flush_all()
        self.authenticate(self.salesperson.login, self.salesperson.login)
        for method in ("action_move_and_delete", "move_batch", "action_archive", "action_delete"):
            self.assertRefused(self.call_kw("crm.stage.delete.wizard", method, wizard.ids))
        self.assertTrue(self.visit.exists().active)

    def test_salesperson_moves_and_closes(self):
        opportunity = self.create_in(self.visit, user_id=self.salesperson.id)
        self.env.flush_all()
        self.authenticate(self.salesperson.login, self.salesperson.login)
        self.assertTrue(
            self.call_kw("crm.lead", "write", opportunity.ids, {"stage_id": self.quotation.id})["result"]
        )
        self.assertNotIn("error", self.call_kw("crm.lead", "action_set_lost", opportunity.ids))
        opportunity.invalidate_recordset()
        self.assertEqual((opportunity.stage_id, opportunity.won_status), (self.quotation, "lost"))
        self.assertNotIn("error", self.call_kw("crm.lead", "action_restore", opportunity.ids))
        self.assertNotIn(
            "error", self.call_kw("crm.lead", "write", opportunity.ids, {"stage_id": self.closed.id})
        )
        opportunity.invalidate_recordset()
        self.assertEqual(opportunity.won_status, "won")

    def test_manager_is_refused_while_a_stage_holds_opportunities(self):
        self.create_in(self.visit)
        self.env.flush_all()
        self.authenticate(self.manager.login, self.manager.login)
        answer = self.call_kw("crm.stage", "unlink", self.visit.ids)
        self.assertRefused(answer, "odoo.exceptions.RedirectWarning")
        message, action, _button, _context = answer["error"]["data"]["arguments"]
        self.assertIn('"Technical Visit": 1 active, 0 archived, 0 lost', message)
        self.assertEqual(action["domain"], [["stage_id", "in", self.visit.ids]])
        answer = self.call_kw("crm.stage", "unlink", self.closed.ids)
        self.assertRefused(answer, "odoo.exceptions.RedirectWarning")

    def test_pipeline_of_a_salesperson_has_no_stage_settings(self):
        view = self.env.ref("crm.crm_case_kanban_view_leads")
        leads = self.env["crm.lead"]
        for user, allowed in ((self.manager, True), (self.salesperson, False)):
            arch = etree.fromstring(leads.with_user(user).get_view(view.id, "kanban")["arch"])
            for attribute in ("group_create", "group_edit", "group_delete"):
                self.assertEqual(arch.get(attribute, "True") == "True", allowed, attribute)

    def test_stages_are_not_for_salespeople(self):
        stages = self.env["crm.stage"].with_user(self.salesperson)
        for operation in ("create", "write", "unlink"):
            with self.assertRaises(AccessError):
                stages.check_access(operation)
        self.assertEqual(stages.browse(self.visit.id).probability, 50)
