"""A client may send any context: nothing of it switches our behaviour, or carries data for it."""

import ast
import json
import re
from pathlib import Path

from odoo.service.model import call_kw
from odoo.tests import tagged

from .common_arrival import ArrivalCase
from .common_automation import AutomationCase

ADDON = Path(__file__).parents[1]
# What means in our code what it means in Odoo; and defaults, which are Odoo's as well
ODOO_KEYS = {
    "_import_current_module",
    "active_test",
    "allowed_company_ids",
    "company_id",
    "import_file",
    "install_mode",
    "lang",
    "mail_notrack",
    "tracking_disable",
    "tz",
    "uid",
}


def get_texts(node, constants):
    """:return: set of the texts and keywords in the code of ``node``, and in the constants that it names"""
    texts = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            texts.add(part.value)
        elif isinstance(part, ast.keyword) and part.arg:
            texts.add(part.arg)
        elif isinstance(part, ast.Name) and part.id in constants:
            texts |= get_texts(constants[part.id], constants)
    return texts


def get_context_keys():
    """:return: set of whatever may be a key in our methods that deal with a context: rather too much"""
    paths = [path for name in ("models", "report", "wizard") for path in ADDON.joinpath(name).rglob("*.py")]
    modules = [ast.parse(path.read_text()) for path in (*paths, ADDON / "hooks.py", ADDON / "tools.py")]
    constants = {
        statement.targets[0].id: statement.value
        for module in modules
        for statement in module.body
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }
    keys = set()
    for function in (node for module in modules for node in ast.walk(module)):
        if isinstance(function, ast.FunctionDef) and "context" in ast.unparse(function):
            keys |= get_texts(function, constants)
    return {key for key in keys - ODOO_KEYS if key.isidentifier() and not key.startswith("default_")}


@tagged("post_install", "-at_install")
class TestClientContext(ArrivalCase, AutomationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.visit.write({"activity_plan_id": cls.plan.id, "mail_template_id": cls.template.id})
        values = {"user_id": cls.salesperson.id, "team_id": False, "partner_id": cls.partner.id}
        cls.dragged, cls.quoted, cls.by_hand, cls.waiting = cls.create_in(cls.new, 4, **values)
        cls.by_hand.probability = 33
        cls.merged = cls.env["crm.stage"].create(
            {"name": "Merged", "setup_stage_id": cls.visit.id, "active": False}
        )
        cls.pass_commit()

    def request(self, user, context):
        """Do by RPC what people do all day.

        :return: what the client is answered
        """
        context = json.loads(json.dumps(context))

        def call(records, method, *args):
            args = (records.ids, *args) if records else args
            res = call_kw(records.browse().with_user(user), method, args, {"context": dict(context)})
            self.pass_commit()
            return res

        call(self.dragged, "write", {"stage_id": self.visit.id})
        call(self.by_hand, "web_save", {"email_from": "no address"}, {"probability": {}})
        call(self.by_hand, "web_save", {"stage_id": self.estimate.id}, {"probability": {}})
        call(self.by_hand, "write", {"probability": 44})
        leads, orders = self.env["crm.lead"], self.env["sale.order"]
        new_id = call(leads, "create", [{"name": "New", "type": "opportunity", "probability": 12}])
        order = orders.browse(call(orders, "create", [self.get_order_values(self.quoted)]))
        call(self.quoted, "write", {"stage_id": self.new.id})
        duplicate = orders.browse(call(order, "copy"))
        call(duplicate, "write", {"note": "Saved"})
        call(order, "action_quotation_sent")
        call(order, "action_confirm")
        action = self.env.ref("crm_sales_stage.action_move_to_stage_technical_visit")
        run = {"active_model": "crm.lead", "active_ids": self.waiting.ids, "active_id": self.waiting.id}
        action.with_user(user).with_context(**(context | run)).run()
        self.pass_commit()
        answers = [self.describe(leads.browse(new_id))]
        if user == self.manager:
            automation = self.create_automation(self.visit, "quotation_created")
            call(automation, "write", {"trigger": "quotation_sent"})
            answers += [automation.name, automation.fault, call(automation, "action_preview")["name"]]
            call(automation, "action_catch_up")
            answers.append(call(self.merged, "action_open_delete_wizard"))
            (lines,) = call(self.env["crm.stage.setup.wizard"], "default_get", ["line_ids"]).values()
            answers.append([line[2]["action"] for line in lines])
        return answers

    def describe(self, leads):
        """:return: all that people see of opportunities, without the numbers that are others each time"""
        return [
            (
                (lead.stage_id.name, lead.probability, lead.is_automated_probability, lead.won_status),
                lead.stage_stay_ids.sorted("date_entered").mapped(
                    lambda stay: (stay.stage_id.name, stay.moved_by)
                ),
                [
                    (re.sub(r"\d+", "#", message.body), message.author_id.name, message.subtype_id.name)
                    for message in lead.message_ids
                ],
                lead.activity_ids.mapped("summary"),
            )
            for lead in leads
        ]

    def get_result(self, user, context):
        """:return: what comes of the requests of ``user``, which are undone"""
        with self.env.cr.savepoint() as savepoint:
            answers = self.request(user, context)
            self.env.invalidate_all()
            result = repr((answers, self.describe(self.dragged + self.quoted + self.by_hand + self.waiting)))
            savepoint.rollback()
        self.env.invalidate_all()
        self.env.registry.clear_cache()
        return result

    def test_nothing_is_switched(self):
        keys = get_context_keys()
        self.assertLess({"crm_stage_moving", "crm_stage_keep_copies", "cron_id"}, keys)
        leads = self.dragged + self.quoted + self.by_hand + self.waiting
        text = "Won by an automation: an order is confirmed (S99999)"
        values = {
            "true": True,
            "number": leads[0].id,
            "text": text,
            # What is looked for by the id of an opportunity, or is at the place of this number
            "list": [text] * (max(leads.ids) + 1) + leads.ids + self.merged.ids,
            "dictionary": {str(lead.id): text for lead in leads},
        }
        for user in (self.salesperson, self.manager):
            expected = self.get_result(user, {})
            for kind, value in values.items():
                with self.subTest(user=user.login, kind=kind):
                    self.assertEqual(self.get_result(user, dict.fromkeys(keys, value)), expected)
