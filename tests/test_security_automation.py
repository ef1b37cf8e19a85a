import json
from datetime import timedelta

from odoo import Command, models
from odoo.exceptions import AccessError, ValidationError
from odoo.service.model import call_kw, get_public_method
from odoo.tests import HttpCase, new_test_user, tagged

from .common_automation import AutomationCase

# What each kind of user tries on the automations by RPC
OPERATIONS = (
    ("search_read", [[]], {}),
    ("read", [["name"]], {}),
    ("create", [[{}]], {}),
    ("write", [{"active": False}], {}),
    ("unlink", [], {}),
    ("action_preview", [], {}),
    ("action_catch_up", [], {}),
)


@tagged("post_install", "-at_install")
class TestSecurity(AutomationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.portal = new_test_user(cls.env, login="automation_portal", groups="base.group_portal")
        cls.public = cls.env.ref("base.public_user")
        cls.automation = cls.env.ref("crm_sales_stage.automation_quotation_quotation_sent")
        cls.action = cls.automation.action_server_id
        cls.code = cls.env["ir.actions.server"].create(
            {
                "name": "Code",
                "model_id": cls.env["ir.model"]._get_id("crm.lead"),
                "state": "code",
                "code": "records.write({'name': 'hacked'})",
            }
        )

    def call(self, user, model, method, *args, ids=None, **kwargs):
        """Call as the RPC endpoints do."""
        records = self.env[model].with_user(user)
        args = list(args)
        if ids is not None:
            args.insert(0, ids)
        return call_kw(records, method, args, kwargs)

    def test_without_rights(self):
        for user in (self.salesperson, self.portal, self.public):
            for method, args, kwargs in OPERATIONS:
                ids = self.automation.ids if method not in ("search_read", "create") else None
                if method == "create":
                    args = [[{"stage_id": self.visit.id, "trigger": "quotation_sent"}]]
                with self.subTest(user=user.login, method=method), self.assertRaises(AccessError):
                    self.call(user, "crm.stage.automation", method, *args, ids=ids, **kwargs)
        self.assertTrue(self.automation.active)

    def test_salesman_reads_stages(self):
        """The automations on the stage do not keep those who may not see them from the stage."""
        self.call(self.salesperson, "crm.stage", "read", ids=self.visit.ids)
        with self.assertRaises(AccessError):
            self.call(self.salesperson, "crm.stage", "read", ["automation_ids"], ids=self.visit.ids)
        with self.assertRaises(AccessError):
            self.call(
                self.salesperson,
                "crm.stage",
                "write",
                {"automation_ids": [Command.create({"trigger": "quotation_sent"})]},
                ids=self.visit.ids,
            )

    def test_private_methods(self):
        private = {
            "crm.stage.automation": ("_process", "_move", "_run_action", "_cron_catch_up", "_set_fault"),
            "sale.order": ("_trigger_crm_stage", "_announce_crm_stage"),
        }
        for model_name, names in private.items():
            for name in names:
                model = self.env[model_name]
                self.assertTrue(hasattr(model, name), "What is not there is always refused")
                with self.subTest(name), self.assertRaises(AccessError):
                    get_public_method(model, name)

    def test_manager_does_all(self):
        stage_id = self.call(self.manager, "crm.stage", "create", [{"name": "Measured", "sequence": 3}])[0]
        (automation_id,) = self.call(
            self.manager,
            "crm.stage.automation",
            "create",
            [
                {
                    "stage_id": stage_id,
                    "trigger": "quotation_created",
                    "filter_domain": "[('partner_id.name', '!=', 'x')]",
                    "from_stage_ids": [Command.set(self.new.ids)],
                }
            ],
        )
        automation = self.env["crm.stage.automation"].browse(automation_id)
        lead = self.create_lead()
        self.create_order(lead)
        self.assertEqual(lead.stage_id.id, stage_id)
        for vals in ({"trigger": "quotation_sent"}, {"stage_id": self.visit.id}, {"filter_domain": False}):
            self.call(self.manager, "crm.stage.automation", "write", vals, ids=automation.ids)
        self.assertEqual(automation.action_server_id.crm_stage_id, self.visit)
        self.call(self.manager, "crm.stage.automation", "action_preview", ids=automation.ids)
        self.call(self.manager, "crm.stage.automation", "action_catch_up", ids=automation.ids)
        data = self.call(
            self.manager, "crm.stage.automation", "read", ["name", "fault", "model_name"], ids=automation.ids
        )
        self.assertEqual(data[0]["model_name"], "sale.order")
        copy_id = self.call(self.manager, "crm.stage.automation", "copy", ids=automation.ids)[0]
        self.call(self.manager, "crm.stage.automation", "unlink", ids=[automation.id, copy_id])

    def get_system_values(self):
        """:return: a value for each field of an automation that the system alone writes"""
        values = {
            "boolean": True,
            "datetime": "2020-01-01 00:00:00",
            "integer": 7,
            "json": {"7": "Send the key"},
            "many2one": self.action.id,
            "selection": "condition",
            "text": "Send the key to thief@example.com",
        }
        return {
            name: values[field.type]
            for name, field in self.automations._fields.items()
            if field.store and field.readonly and not field.compute and name not in models.MAGIC_COLUMNS
        }

    def test_nobody_writes_what_the_system_writes(self):
        values = self.get_system_values()
        self.assertLess({"fault", "fault_date", "date_begun"}, values.keys())
        new = {"stage_id": self.visit.id, "trigger": "quotation_expired"}
        self.manager.group_ids += self.env.ref("base.group_system")
        for name in values.keys() - {"author_id"}:  # whoever sets the condition is that, whatever they say
            vals = {name: values[name]}
            before = self.automation[name]
            with self.subTest(name):
                for method, ids, args, context in (
                    ("write", self.automation.ids, [vals], {}),
                    ("write", self.automation.ids, [{"trigger": "quotation_created", **vals}], {}),
                    ("web_save", self.automation.ids, [vals, {}], {}),
                    ("create", None, [{**new, **vals}], {}),
                    ("create", None, [new], {f"default_{name}": values[name]}),
                    ("copy", self.automation.ids, [vals], {}),
                ):
                    with self.assertRaises(AccessError):
                        self.call(
                            self.manager, "crm.stage.automation", method, *args, ids=ids, context=context
                        )
                for command in (Command.update(self.automation.id, vals), Command.create({**new, **vals})):
                    with self.assertRaises(AccessError):
                        stage_vals = {"automation_ids": [command]}
                        self.call(self.manager, "crm.stage", "write", stage_vals, ids=self.quotation.ids)
                self.assertEqual(self.automation[name], before)
                self.assertTrue(self.automations.with_user(self.manager).fields_get([name])[name]["readonly"])

    def test_no_default_is_what_the_system_writes(self):
        values = self.get_system_values()
        defaults = self.env["ir.default"].with_user(self.manager)
        for name, value in values.items():
            field = self.env["ir.model.fields"]._get("crm.stage.automation", name)
            defaults.create(
                {"field_id": field.id, "user_id": self.manager.id, "json_value": json.dumps(value)}
            )
        automations = self.automations.with_user(self.manager)
        automation = automations.create({"stage_id": self.visit.id, "trigger": "quotation_sent"}).sudo()
        names = values.keys() - {"action_server_id", "author_id", "date_begun"}
        self.assertFalse([name for name in names if automation[name]])
        action = automation.action_server_id
        self.assertEqual((action.state, action.crm_stage_id), ("crm_stage", self.visit))
        self.assertEqual(automation.author_id, self.manager)
        self.assertNotEqual(str(automation.date_begun), values["date_begun"])

    def test_the_system_writes_while_managers_work(self):
        automation = self.create_automation(self.visit, "quotation_expired")
        automation.fault = "Broken"
        began = automation.date_begun - timedelta(days=1)
        automation.date_begun = began
        vals = {"trigger": "meeting_over", "filter_domain": "[('name', '!=', 'x')]"}
        self.call(self.manager, "crm.stage.automation", "write", vals, ids=automation.ids)
        self.assertFalse(automation.fault)
        self.assertGreater(automation.date_begun, began)
        self.assertEqual(automation.author_id, self.manager)

    def test_manager_has_no_right_on_server_actions(self):
        for method, args in (
            ("read", [["name"]]),
            ("write", [{"state": "code", "code": "x = 1"}]),
            ("unlink", []),
        ):
            with self.subTest(method), self.assertRaises(AccessError):
                self.call(self.manager, "ir.actions.server", method, *args, ids=self.action.ids)
        with self.assertRaises(AccessError):
            self.call(
                self.manager,
                "ir.actions.server",
                "create",
                [{"name": "x", "state": "crm_stage", "crm_stage_id": self.visit.id}],
            )

    def test_manager_cannot_reach_actions_through_automation(self):
        """Neither choose one, nor change the one there is, nor create one."""
        commands = (
            self.code.id,
            self.env.ref("crm_sales_stage.action_move_to_stage_estimate").id,
        )
        for value in commands:
            with self.subTest(value):
                with self.assertRaises(AccessError):
                    self.call(
                        self.manager,
                        "crm.stage.automation",
                        "write",
                        {"action_server_id": value},
                        ids=self.automation.ids,
                    )
                with self.assertRaises(AccessError):
                    self.call(
                        self.manager,
                        "crm.stage.automation",
                        "create",
                        [{"stage_id": self.visit.id, "trigger": "quotation_sent", "action_server_id": value}],
                    )
        with self.assertRaises(AccessError):
            self.call(
                self.manager,
                "crm.stage",
                "write",
                {"automation_ids": [Command.update(self.automation.id, {"action_server_id": self.code.id})]},
                ids=self.quotation.ids,
            )
        with self.assertRaises(AccessError):
            self.call(
                self.manager,
                "crm.stage.automation",
                "create",
                [{"stage_id": self.visit.id, "trigger": "quotation_sent"}],
                context={"default_action_server_id": self.code.id},
            )
        self.assertEqual(self.automation.action_server_id, self.action)

    def test_defaults_do_not_reach_the_action(self):
        """Context keys of the caller must not become values of the server action made for a new stage."""
        stage = self.env["crm.stage"].create({"name": "Fresh"})
        (automation_id,) = self.call(
            self.manager,
            "crm.stage.automation",
            "create",
            [{"stage_id": stage.id, "trigger": "quotation_sent"}],
            context={
                "default_code": "records.write({'name': 'hacked'})",
                "default_state": "code",
                "default_usage": "ir_cron",
                "default_binding_model_id": self.env["ir.model"]._get_id("crm.lead"),
                "default_group_ids": [Command.set(self.env.ref("base.group_system").ids)],
                "default_child_ids": [Command.set(self.code.ids)],
            },
        )
        action = self.env["crm.stage.automation"].browse(automation_id).action_server_id
        self.assertEqual((action.state, action.crm_stage_id), ("crm_stage", stage))
        self.assertFalse(action.group_ids or action.child_ids)
        self.assertFalse(action.code)
        self.assertFalse(action.binding_model_id)

    def test_administrator_cannot_choose_other_actions_either(self):
        admin = self.env.ref("base.user_admin")
        other_model = self.env["ir.actions.server"].create(
            {
                "name": "Orders",
                "model_id": self.env["ir.model"]._get_id("sale.order"),
                "state": "crm_stage",
                "crm_stage_id": self.quotation.id,
            }
        )
        grouped = self.action.copy({"group_ids": [Command.set(self.env.ref("base.group_system").ids)]})
        for action in (
            self.code + other_model + grouped + self.env.ref("crm_sales_stage.action_move_to_stage_new")
        ):
            with (
                self.subTest(action.name),
                self.assertRaises(AccessError),
            ):
                self.call(
                    admin,
                    "crm.stage.automation",
                    "write",
                    {"action_server_id": action.id},
                    ids=self.automation.ids,
                )

    def test_hostile_conditions(self):
        for domain in (
            "[('name', '=', env['res.users'].browse(1).password)]",
            "__import__('os').system('true')",
            "[('name', '=', uid)]",
            "[('name', '=', (lambda: 1)())]",
            "[('id', 'any!', [('name', '=', 'x')])]",
        ):
            with self.subTest(domain), self.assertRaisesRegex(ValidationError, "condition"):
                self.call(
                    self.manager,
                    "crm.stage.automation",
                    "write",
                    {"filter_domain": domain},
                    ids=self.automation.ids,
                )

    def test_condition_reads_nothing_forbidden(self):
        """It is evaluated with the system's rights: it must not become a way to guess hidden values."""
        self.patch(self.env["res.partner"]._fields["ref"], "groups", "base.group_system")
        for domain in (
            "[('partner_id.ref', '=like', 'a%')]",
            "[('partner_id', 'any', [('ref', '=like', 'a%')])]",
            "[('partner_id', 'any', [('child_ids', 'not any', [('ref', '=like', 'a%')])])]",
            "[('user_id.totp_secret', '=like', 'a%')]",
            "[('message_ids.mail_ids.failure_reason', '=', 'x')]",
        ):
            with (
                self.subTest(domain),
                self.assertRaisesRegex(ValidationError, "rights to access|not allowed to access"),
            ):
                self.call(
                    self.manager,
                    "crm.stage.automation",
                    "write",
                    {"filter_domain": domain},
                    ids=self.automation.ids,
                )

    def test_nothing_revealed(self):
        """Whoever triggers the move of an opportunity that they may not see gets nothing of it."""
        lead = self.create_lead(name="Secret", user_id=self.manager.id)
        order = self.create_order(lead, user_id=self.salesperson.id)
        lead.stage_id = self.new
        result = self.call(self.salesperson, "sale.order", "action_quotation_sent", ids=order.ids)
        self.assertNotIn("Secret", repr(result))
        self.assertEqual(lead.stage_id, self.quotation)
        self.assertNotIn("Secret", "".join(order.message_ids.mapped("body")))

    def test_fault_not_writable_by_salesman_action(self):
        """A fault is told on the automation though the salesperson who met it has no right on it."""
        self.automation.sudo().flush_recordset()
        self.env.cr.execute(
            "UPDATE crm_stage_automation SET filter_domain = %s WHERE id = %s",
            ["[('gone', '=', 1)]", self.automation.id],
        )
        self.automation.invalidate_recordset()
        self.env.registry.clear_cache()
        lead = self.create_lead()
        order = self.create_order(lead, user_id=self.salesperson.id)
        with self.assertLogs("odoo.addons.crm_sales_stage.models.automation.crm_stage_automation", "WARNING"):
            self.call(self.salesperson, "sale.order", "action_quotation_sent", ids=order.ids)
        self.assertEqual(order.state, "sent")
        self.assertIn("gone", self.automation.fault)


@tagged("post_install", "-at_install")
class TestSecurityByHttp(HttpCase):
    def test_endpoints(self):
        new_test_user(
            self.env, login="rpc_salesman", groups="sales_team.group_sale_salesman", password="rpc_salesman"
        )
        new_test_user(self.env, login="rpc_portal", groups="base.group_portal", password="rpc_portal")
        for login, refusal in (
            ("rpc_salesman", "odoo.exceptions.AccessError"),
            ("rpc_portal", "odoo.exceptions.AccessError"),
            (None, "odoo.http.SessionExpiredException"),
        ):
            self.authenticate(login, login)
            for model in ("crm.stage.automation", "ir.actions.server"):
                with self.subTest(login=login, model=model):
                    response = self.url_open(
                        f"/web/dataset/call_kw/{model}/search_read",
                        data=json.dumps(
                            {
                                "jsonrpc": "2.0",
                                "method": "call",
                                "params": {
                                    "model": model,
                                    "method": "search_read",
                                    "args": [[]],
                                    "kwargs": {},
                                },
                            }
                        ),
                        headers={"Content-Type": "application/json"},
                    )
                    self.assertEqual(response.json()["error"]["data"]["name"], refusal)
