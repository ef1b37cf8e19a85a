import inspect

from odoo.exceptions import AccessError, UserError
from odoo.service.model import call_kw
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from .common import SalesStageCase

MODULE = "crm_sales_stage"
ACTIONS_LOGGER = "odoo.addons.base.models.ir_actions"
OPERATIONS = ("read", "create", "write", "unlink")
ALL = "crud"
# What each role may do with each model of this addon: r(ead), c(reate), u(pdate), d(elete)
NOTHING = ""
MODELS = {
    #                              public   portal   own  all  manager admin
    "crm.stage": (NOTHING, NOTHING, "r", "r", ALL, ALL),
    "crm.stage.askable.field": (NOTHING, NOTHING, NOTHING, NOTHING, "r", "r"),
    "crm.stage.automation": (NOTHING, NOTHING, NOTHING, NOTHING, ALL, ALL),
    "crm.stage.automation.move": (NOTHING, NOTHING, NOTHING, NOTHING, "r", "r"),
    "crm.stage.automation.preview": (NOTHING, NOTHING, NOTHING, NOTHING, ALL, ALL),
    "crm.stage.automation.preview.line": (NOTHING, NOTHING, NOTHING, NOTHING, ALL, ALL),
    "crm.stage.delete.wizard": (NOTHING, NOTHING, NOTHING, NOTHING, ALL, ALL),
    "crm.stage.export.wizard": (NOTHING, NOTHING, NOTHING, NOTHING, ALL, ALL),
    "crm.stage.import.wizard": (NOTHING, NOTHING, NOTHING, NOTHING, ALL, ALL),
    "crm.stage.import.wizard.line": (NOTHING, NOTHING, NOTHING, NOTHING, ALL, ALL),
    "crm.stage.report": (NOTHING, NOTHING, "r", "r", "r", "r"),
    "crm.stage.setup.wizard": (NOTHING, NOTHING, NOTHING, NOTHING, ALL, ALL),
    "crm.stage.setup.wizard.line": (NOTHING, NOTHING, NOTHING, NOTHING, ALL, ALL),
    "crm.stage.stay": (NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, "r"),
}
# Models that the addon only extends keep Odoo's own rights, but for those above.
EXTENDED = {
    "calendar.event",
    "calendar.event.type",
    "crm.lead",
    "crm.lead.lost",
    "crm.stage.trigger.mixin",  # abstract
    "ir.actions.act_window.view",
    "ir.actions.server",
    "ir.module.module",
    "ir.ui.view",
    "mail.activity",
    "mail.message",
    "mail.thread",
    "sale.order",
}
# By the rights above, or closed to RPC
ORM_METHODS = {"copy", "copy_data", "create", "default_get", "init", "name_create", "unlink", "write"}
ROLES = ("public", "portal", "own", "all", "manager", "admin")
# Public methods that can be called by RPC, and the first role that may
METHODS = {
    ("crm.lead", "action_undo_lost"): "own",
    ("crm.lead", "get_arrival_questions"): "own",
    ("crm.lead", "get_stage_explanation"): "own",
    ("crm.stage", "action_apply_suggested_probability"): "manager",
    ("crm.stage", "action_apply_suggested_rotting_days"): "manager",
    ("crm.stage", "action_open_delete_wizard"): "manager",
    ("crm.stage", "action_open_lost_here"): "own",
    ("crm.stage", "action_open_stays"): "own",
    ("crm.stage", "get_archive_obstacle"): "manager",
    ("crm.stage", "get_archive_text"): "manager",
    ("crm.stage.automation", "action_open_moves"): "manager",
    ("crm.stage.automation", "action_preview"): "manager",
    ("crm.stage.automation", "action_catch_up"): "manager",
    ("crm.stage.automation", "action_show_moved"): "manager",
    ("crm.stage.automation", "action_take_over_condition"): "manager",
    ("crm.stage.automation", "action_undo_catch_up"): "manager",
    ("crm.stage.automation", "get_examples"): "manager",
    ("crm.stage.automation.move", "action_open_lead"): "manager",
    ("crm.stage.automation.preview", "action_apply"): "manager",
    ("crm.stage.automation.preview", "action_show_leads"): "manager",
    ("crm.stage.delete.wizard", "action_show_moved"): "manager",
    ("crm.stage.delete.wizard", "action_show_opportunities"): "manager",
    ("crm.stage.delete.wizard", "action_archive"): "manager",
    ("crm.stage.delete.wizard", "action_delete"): "manager",
    ("crm.stage.delete.wizard", "action_move_and_delete"): "manager",
    ("crm.stage.delete.wizard", "move_batch"): "manager",
    ("crm.stage.export.wizard", "action_download"): "manager",
    ("crm.stage.import.wizard", "action_apply"): "manager",
    ("crm.stage.import.wizard", "action_read"): "manager",
    ("crm.stage.import.wizard", "action_undo"): "manager",
    ("crm.stage.report", "action_open_lead"): "own",
    ("crm.stage.report", "action_open_leads"): "own",
    ("crm.stage.report", "formatted_read_group"): "own",
    ("crm.stage.report", "formatted_read_grouping_sets"): "own",
    ("crm.stage.report", "get_overview"): "own",
    ("crm.stage.setup.wizard", "action_apply"): "manager",
    ("crm.stage.setup.wizard", "action_open_undo"): "manager",
}
# Of those, the ones that take a domain, and those that take nothing
GROUP_METHODS = {"formatted_read_group": ["stage_id"], "formatted_read_grouping_sets": [["stage_id"]]}
DOMAIN_METHODS = {"action_open_leads", "get_overview", *GROUP_METHODS}
MODEL_METHODS = {"get_examples"}
# and those that take a stage, or lists of what they take back
STAGE_METHODS = {"get_arrival_questions"}
UNDO_METHODS = {"action_undo_lost"}


@tagged("post_install", "-at_install")
class TestRightsMatrix(SalesStageCase):
    """Every model, view, menu and remote method of this addon, for every role, in two companies and teams."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company_2 = cls.env["res.company"].create({"name": "Windows Ltd"})
        cls.team_2 = cls.env["crm.team"].create({"name": "Windows", "company_id": cls.company_2.id})
        groups = {
            "public": "base.group_public",
            "portal": "base.group_portal",
            "own": "sales_team.group_sale_salesman",
            "all": "sales_team.group_sale_salesman_all_leads",
            "manager": "sales_team.group_sale_manager",
            "admin": "base.group_system,sales_team.group_sale_manager",
        }
        cls.users = {
            role: new_test_user(cls.env, f"matrix_{role}", group, email=f"{role}@example.com")
            for role, group in groups.items()
        }
        cls.user_2 = new_test_user(
            cls.env,
            "matrix_company_2",
            "sales_team.group_sale_manager",
            company_id=cls.company_2.id,
            company_ids=[(6, 0, cls.company_2.ids)],
        )

    def get_records(self, user):
        """:return: a record of each model of ours, made anew, wizards by ``user`` where they may"""
        stage = self.env["crm.stage"].create({"name": "Matrix", "sequence": 5})
        delete, setup = self.env["crm.stage.delete.wizard"], self.env["crm.stage.setup.wizard"]
        preview = self.env["crm.stage.automation.preview"]
        exporting, importing = self.env["crm.stage.export.wizard"], self.env["crm.stage.import.wizard"]
        if delete.with_user(user).has_access("create"):  # those of others are refused for being so
            delete, setup, preview = (wizard.with_user(user) for wizard in (delete, setup, preview))
            exporting, importing = exporting.with_user(user), importing.with_user(user)
        line = {"kind": "stage", "state": "same", "name": "Matrix"}
        importing = importing.create({"line_ids": [(0, 0, line)]})
        setup = setup.create({"line_ids": [(0, 0, {"stage_id": stage.id})]})
        lead = self.create_opportunities(user_id=not user.share and user.id)
        automation = self.env["crm.stage.automation"].create(
            {"stage_id": stage.id, "trigger": "quotation_created"}
        )
        move = self.env["crm.stage.automation.move"].create(
            {"automation_id": automation.id, "lead_id": lead.id, "state": "waiting", "date": "2030-01-01"}
        )
        preview = preview.create({"automation_id": automation.id, "line_ids": [(0, 0, {"lead_id": lead.id})]})
        self.env.flush_all()
        return {
            "crm.lead": lead,
            "crm.stage": stage,
            "crm.stage.automation": automation,
            "crm.stage.automation.move": move,
            "crm.stage.automation.preview": preview,
            "crm.stage.automation.preview.line": preview.line_ids,
            "crm.stage.delete.wizard": delete.create({"stage_ids": stage.ids}),
            "crm.stage.export.wizard": exporting.create({}),
            "crm.stage.import.wizard": importing,
            "crm.stage.import.wizard.line": importing.line_ids,
            "crm.stage.report": self.env["crm.stage.report"].search([("lead_id", "=", lead.id)]),
            "crm.stage.setup.wizard": setup,
            "crm.stage.setup.wizard.line": setup.line_ids[:1],
            "crm.stage.stay": self.env["crm.stage.stay"].search([("lead_id", "=", lead.id)]),
        }

    def test_no_model_is_forgotten(self):
        data = self.env["ir.model.data"].search([("module", "=", MODULE), ("model", "=", "ir.model")])
        models = set(self.env["ir.model"].browse(data.mapped("res_id")).mapped("model"))
        self.assertEqual(models, set(MODELS) | EXTENDED)

    def test_no_method_is_forgotten(self):
        found = set()
        for name, model in self.env.registry.items():
            ours = [cls for cls in model.mro() if cls.__module__.startswith(f"odoo.addons.{MODULE}.")]
            others = [cls for cls in model.mro() if cls not in ours]
            for cls in ours:
                for method, function in vars(cls).items():
                    if method.startswith("_") or method in ORM_METHODS or not inspect.isfunction(function):
                        continue
                    if name in MODELS or not any(method in vars(other) for other in others):
                        found.add((name, method))
        self.assertEqual(found, set(METHODS))

    def test_models(self):
        for model, rights in MODELS.items():
            for role, allowed in zip(ROLES, rights, strict=True):
                for operation, letter in zip(OPERATIONS, "rcud", strict=True):
                    with self.subTest(model=model, role=role, operation=operation):
                        records = self.env[model].with_user(self.users[role])
                        self.assertEqual(records.has_access(operation), letter in allowed)

    def test_methods(self):
        for role in ROLES:
            ids = {model: records.ids for model, records in self.get_records(self.users[role]).items()}
            for (model, method), first_role in METHODS.items():
                arguments = ([("id", "in", ids[model])] if method in DOMAIN_METHODS else ids[model],)
                arguments = (*arguments, GROUP_METHODS[method]) if method in GROUP_METHODS else arguments
                arguments = () if method in MODEL_METHODS else arguments
                arguments = (*arguments, self.visit.id) if method in STAGE_METHODS else arguments
                arguments = (*arguments, [], []) if method in UNDO_METHODS else arguments
                allowed = ROLES.index(role) >= ROLES.index(first_role)
                with (
                    self.subTest(model=model, method=method, role=role),
                    self.env.cr.savepoint() as savepoint,
                ):
                    self.env.invalidate_all()  # what is in the cache is read without rights
                    user_model = self.env[model].with_user(self.users[role])
                    if allowed:
                        self.call_allowed(user_model, method, arguments)
                    else:
                        with self.assertRaises(AccessError):
                            call_kw(user_model, method, arguments, {})
                    savepoint.rollback()
                    self.env.invalidate_all()

    def call_allowed(self, model, method, arguments):
        try:
            call_kw(model, method, arguments, {})
        except UserError as error:
            # There may be nothing to do, but not for want of rights.
            self.assertNotIsInstance(error, AccessError)

    def test_move_actions(self):
        """Whoever may write an opportunity may move it by our server actions, nobody else, by no path."""
        actions = self.env["ir.actions.server"].search([("state", "=", "crm_stage")])
        self.assertEqual(actions.crm_stage_id, self.stages)
        writers = {"mine": ("own", "all", "manager", "admin"), "another's": ("all", "manager", "admin")}
        for whose, allowed in writers.items():
            for role in ROLES:
                with self.subTest(whose=whose, role=role), self.env.cr.savepoint() as savepoint:
                    user = self.users[role]
                    owner = user if whose == "mine" and not user.share else self.env.user
                    lead = self.create_opportunities(user_id=owner.id)
                    context = {"active_model": "crm.lead", "active_id": lead.id, "active_ids": lead.ids}
                    action = actions.filtered(lambda action: action.crm_stage_id == self.visit)
                    action = action.with_user(user).with_context(**context)
                    self.env.flush_all()
                    self.env.invalidate_all()
                    if role in allowed:
                        action.run()
                    else:
                        with self.assertRaises(AccessError), mute_logger(ACTIONS_LOGGER):
                            action.run()
                    expected = self.visit if role in allowed else self.new
                    self.assertEqual(lead.stage_id, expected)
                    savepoint.rollback()
                    self.env.invalidate_all()

    def test_delete_action(self):
        action = self.env.ref(f"{MODULE}.crm_stage_action_delete")
        stage = self.env["crm.stage"].create({"name": "Matrix", "sequence": 5})
        context = {"active_model": "crm.stage", "active_id": stage.id, "active_ids": stage.ids}
        for role in ROLES:
            with self.subTest(role=role):
                run = action.with_user(self.users[role]).with_context(**context).run
                if role in ("manager", "admin"):
                    self.assertEqual(run()["res_model"], "crm.stage.delete.wizard")
                else:
                    with self.assertRaises(AccessError), mute_logger(ACTIONS_LOGGER):
                        run()

    def test_windows(self):
        """What our window actions open is for the same roles as their models, however they are called."""
        data = self.env["ir.model.data"].search(
            [("module", "=", MODULE), ("model", "=", "ir.actions.act_window")]
        )
        actions = self.env["ir.actions.act_window"].browse(data.mapped("res_id"))
        self.assertTrue(actions)
        for action in actions:
            rights = dict(zip(ROLES, MODELS[action.res_model], strict=True))
            for role in ROLES:
                views = [(False, view_type) for view_type in action.view_mode.split(",")]
                with self.subTest(action=action.name, role=role):
                    get_views = self.env[action.res_model].with_user(self.users[role]).get_views
                    if rights[role]:
                        self.assertEqual(set(get_views(views)["views"]), set(action.view_mode.split(",")))
                    else:
                        with self.assertRaises(AccessError):
                            get_views(views)

    def test_dialogs_are_their_creators(self):
        """What somebody may see stands in them: nobody else sees it, of another company or of this one."""
        dialogs = {
            name: records
            for name, records in self.get_records(self.users["manager"]).items()
            if records._transient
        }
        ours = {name for name in MODELS if self.env[name]._transient}
        self.assertTrue(ours)
        self.assertEqual(dialogs.keys(), ours)
        for name, records in dialogs.items():
            with self.subTest(name):
                self.env.invalidate_all()
                self.assertTrue(records.with_user(self.users["manager"]).read())
                for user in (self.user_2, self.users["admin"]):
                    others = records.with_user(user)
                    self.assertFalse(others.search([("id", "in", records.ids)]))
                    for method, args in (("read", ()), ("write", ({},)), ("unlink", ())):
                        with self.assertRaises(AccessError):
                            call_kw(others, method, (records.ids, *args), {})

    def test_menus(self):
        menus = {
            "menu_crm_stage_automation": ("manager", "admin"),
            "menu_crm_stage_export": ("manager", "admin"),
            "menu_crm_stage_import": ("manager", "admin"),
            "menu_crm_stage_setup": ("manager", "admin"),
            "crm_stage_report_menu": ("own", "all", "manager", "admin"),
        }
        for xml_id, roles in menus.items():
            menu = self.env.ref(f"{MODULE}.{xml_id}")
            for role in ("own", "all", "manager", "admin"):
                with self.subTest(menu=xml_id, role=role):
                    visible = (
                        self.env["ir.ui.menu"].with_user(self.users[role])._visible_menu_ids(debug=False)
                    )
                    self.assertEqual(menu.id in visible, role in roles)

    def test_views(self):
        """Every view of ours opens for the roles that may read its model, and for no other one."""
        data = self.env["ir.model.data"].search([("module", "=", MODULE), ("model", "=", "ir.ui.view")])
        views = self.env["ir.ui.view"].browse(data.mapped("res_id")).filtered("model")
        self.assertTrue(views)
        for view in views:
            main = view.inherit_id or view
            for role in ROLES:
                model = self.env[view.model].with_user(self.users[role])
                with self.subTest(view=view.name, role=role):
                    if model.has_access("read"):
                        model.get_view(main.id, main.type)
                    else:
                        with self.assertRaises(AccessError):
                            model.get_view(main.id, main.type)

    def test_automations_on_the_stage_are_for_managers(self):
        for role in ("own", "all", "manager", "admin"):
            arch = self.env["crm.stage"].with_user(self.users[role]).get_view(view_type="form")["arch"]
            with self.subTest(role=role):
                self.assertEqual('name="automation_ids"' in arch, role in ("manager", "admin"))

    def test_automation_by_somebody_who_may_not_see_the_opportunity(self):
        """It moves whoever sends the quotation; they are told nothing, by the answer, chatter or a fault."""
        lead = self.create_opportunities(name="Secret", user_id=self.users["manager"].id)
        order = lead.env["sale.order"].create(
            {
                "partner_id": self.env["res.partner"].create({"name": "Customer"}).id,
                "user_id": self.users["own"].id,
                "opportunity_id": lead.id,
            }
        )
        lead.stage_id = self.new
        self.pass_commit()
        self.env.invalidate_all()
        user_env = lead.with_user(self.users["own"]).env
        answer = call_kw(user_env["sale.order"], "action_quotation_sent", (order.ids,), {})
        self.pass_commit()
        self.env.invalidate_all()
        self.assertEqual(lead.stage_id, self.quotation)
        self.assertIn("Quotation", lead.message_ids[0].tracking_value_ids.mapped("new_value_char"))
        self.assertNotIn("Secret", repr(answer))
        self.assertNotIn("Secret", "".join(order.message_ids.mapped("body")))
        self.assertFalse(user_env["crm.lead"].search([("name", "=", "Secret")]))
        messages = user_env["mail.message"].search([("model", "=", "crm.lead"), ("res_id", "=", lead.id)])
        self.assertFalse(messages, "The chatter that names the automation is not theirs to read")
        with self.assertRaises(AccessError):
            user_env["crm.lead"].browse(lead.id).read(["stage_id"])

    def test_fault_reveals_nothing(self):
        """An automation that fails while somebody works is told to managers alone."""
        lead = self.create_opportunities(name="Secret", user_id=self.users["manager"].id)
        order = self.env["sale.order"].create(
            {
                "partner_id": self.env["res.partner"].create({"name": "Customer"}).id,
                "user_id": self.users["own"].id,
                "opportunity_id": lead.id,
            }
        )
        automation = self.env.ref(f"{MODULE}.automation_quotation_quotation_sent")
        stage = self.quotation

        def write(records, vals):
            if vals.get("stage_id") == stage.id:
                raise AccessError(records.name)
            return original(records, vals)

        original = self.registry["crm.lead"].write
        self.patch(self.registry["crm.lead"], "write", write)
        with mute_logger("odoo.addons.crm_sales_stage.models.automation.crm_stage_automation"):
            sales = self.env["sale.order"].with_user(self.users["own"])
            answer = call_kw(sales, "action_quotation_sent", (order.ids,), {})
        self.assertEqual(order.state, "sent")
        self.assertNotIn("Secret", repr(answer))
        self.assertIn("Secret", automation.fault)
        with self.assertRaises(AccessError):
            automation.with_user(self.users["own"]).read(["fault"])

    def test_other_company(self):
        """A manager sees stages, which all companies share, and moves no opportunity of another company."""
        lead = self.create_opportunities(company_id=self.env.company.id, team_id=False)[0]
        stages = self.env["crm.stage"].with_user(self.user_2)
        self.assertTrue(stages.search([]))
        with self.assertRaises(AccessError):
            lead.with_user(self.user_2).stage_id = self.visit
        wizard = (
            self.env["crm.stage.delete.wizard"]
            .with_user(self.user_2)
            .create({"stage_ids": lead.stage_id.ids})
        )
        wizard.target_stage_id = self.visit
        with self.assertRaisesRegex(UserError, "are not yours to move"):
            wizard.action_move_and_delete()
        self.assertEqual(lead.stage_id, self.new)

    def test_own_documents_stay_in_their_company_and_team(self):
        stage = self.env["crm.stage"].create({"name": "Measured", "sequence": 3, "team_ids": self.team_2.ids})
        automation = self.env["crm.stage.automation"].create(
            {"stage_id": stage.id, "trigger": "quotation_created"}
        )
        partner = self.env["res.partner"].create({"name": "Customer"})
        here = self.create_opportunities()[0]
        there = self.create_opportunities(
            company_id=self.company_2.id, team_id=self.team_2.id, user_id=False
        )[0]
        for lead in (here, there):
            self.env["sale.order"].create(
                {
                    "partner_id": partner.id,
                    "opportunity_id": lead.id,
                    "company_id": (lead.company_id or self.env.company).id,
                }
            )
        self.assertFalse(automation.fault)
        self.assertEqual(here.stage_id, self.estimate, "The stage is another team's")
        self.assertEqual(there.stage_id, stage)
