import inspect

from odoo.exceptions import AccessError, UserError
from odoo.service.model import call_kw
from odoo.tests import new_test_user, tagged

from .common import SalesStageCase

MODULE = "crm_sales_stage"
OPERATIONS = ("read", "create", "write", "unlink")
ALL = "crud"
# What each role may do with each model of this addon: r(ead), c(reate), u(pdate), d(elete)
NOTHING = ""
MODELS = {
    #                              public   portal   own  all  manager admin
    "crm.stage": (NOTHING, NOTHING, "r", "r", ALL, ALL),
    "crm.stage.automation": (NOTHING, NOTHING, NOTHING, NOTHING, ALL, ALL),
    "crm.stage.delete.wizard": (NOTHING, NOTHING, NOTHING, NOTHING, ALL, ALL),
    "crm.stage.setup.wizard": (NOTHING, NOTHING, NOTHING, NOTHING, ALL, ALL),
    "crm.stage.setup.wizard.line": (NOTHING, NOTHING, NOTHING, NOTHING, ALL, ALL),
}
# Models that the addon only extends keep Odoo's own rights, but for those above.
EXTENDED = {
    "calendar.event",
    "calendar.event.type",
    "crm.lead",
    "crm.stage.trigger.mixin",  # abstract
    "ir.actions.server",
    "ir.module.module",
    "mail.activity",
    "mail.mail",
    "sale.order",
}
ORM_METHODS = {"create", "write", "unlink", "copy_data", "default_get", "name_create"}  # by the rights above
ROLES = ("public", "portal", "own", "all", "manager", "admin")
# Public methods that can be called by RPC, and the first role that may
METHODS = {
    ("crm.stage", "action_open_delete_wizard"): "manager",
    ("crm.stage.automation", "action_preview"): "manager",
    ("crm.stage.automation", "action_catch_up"): "manager",
    ("crm.stage.delete.wizard", "action_show_opportunities"): "manager",
    ("crm.stage.delete.wizard", "action_archive"): "manager",
    ("crm.stage.delete.wizard", "action_delete"): "manager",
    ("crm.stage.delete.wizard", "action_move_and_delete"): "manager",
    ("crm.stage.delete.wizard", "move_batch"): "manager",
    ("crm.stage.setup.wizard", "action_apply"): "manager",
}


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

    def get_records(self):
        """:return: a record of each model of ours, made anew"""
        stage = self.env["crm.stage"].create({"name": "Matrix", "sequence": 5})
        setup = self.env["crm.stage.setup.wizard"].create({"line_ids": [(0, 0, {"stage_id": stage.id})]})
        return {
            "crm.stage": stage,
            "crm.stage.automation": self.env["crm.stage.automation"].create(
                {"stage_id": stage.id, "trigger": "quotation_created"}
            ),
            "crm.stage.delete.wizard": self.env["crm.stage.delete.wizard"].create({"stage_ids": stage.ids}),
            "crm.stage.setup.wizard": setup,
            "crm.stage.setup.wizard.line": setup.line_ids[:1],
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
        for (model, method), first_role in METHODS.items():
            for role in ROLES:
                records = self.get_records()
                allowed = ROLES.index(role) >= ROLES.index(first_role)
                with (
                    self.subTest(model=model, method=method, role=role),
                    self.env.cr.savepoint() as savepoint,
                ):
                    model_env = self.env[model].with_user(self.users[role])
                    call = (records[model].ids,)
                    if allowed:
                        try:
                            call_kw(model_env, method, call, {})
                        except AccessError as error:
                            self.fail(f"{role} may call {method}: {error}")
                        except UserError as error:
                            # a refusal with a reason is none of rights
                            self.assertTrue(str(error))
                    else:
                        with self.assertRaises(AccessError):
                            call_kw(model_env, method, call, {})
                    savepoint.rollback()
                    self.env.invalidate_all()

    def test_menus(self):
        for xml_id in ("menu_crm_stage_automation", "menu_crm_stage_setup"):
            menu = self.env.ref(f"{MODULE}.{xml_id}")
            for role in ("own", "all", "manager", "admin"):
                with self.subTest(menu=xml_id, role=role):
                    visible = (
                        self.env["ir.ui.menu"].with_user(self.users[role])._visible_menu_ids(debug=False)
                    )
                    self.assertEqual(menu.id in visible, role in ("manager", "admin"))

    def test_views_open(self):
        """Every view of ours on a model that the role may read can be loaded by it."""
        data = self.env["ir.model.data"].search([("module", "=", MODULE), ("model", "=", "ir.ui.view")])
        views = self.env["ir.ui.view"].browse(data.mapped("res_id"))
        self.assertTrue(views)
        for role in ("own", "all", "manager", "admin"):
            for view in views.filtered(lambda view: view.model and view.type != "qweb"):
                model = self.env[view.model].with_user(self.users[role])
                if model.has_access("read"):
                    with self.subTest(view=view.name, role=role):
                        base = view.inherit_id or view
                        self.assertIn("arch", model.get_view(base.id, view.type))

    def test_automation_by_somebody_who_may_not_see_the_opportunity(self):
        lead = self.create_opportunities(user_id=self.users["manager"].id)[0]
        order = self.env["sale.order"].create(
            {
                "partner_id": self.env["res.partner"].create({"name": "Customer"}).id,
                "user_id": self.users["own"].id,
                "opportunity_id": lead.id,
            }
        )
        order_as_user = order.with_user(self.users["own"])
        with self.assertRaises(AccessError):
            lead.with_user(self.users["own"]).check_access("read")
        order_as_user.action_quotation_sent()
        self.assertEqual(lead.stage_id, self.stage_quotation, "It moves whoever sends the quotation")
        with self.assertRaises(AccessError):
            lead.with_user(self.users["own"]).read(["stage_id"])
        for message in order.message_ids.with_user(self.users["own"]):
            self.assertNotIn(lead.name, message.body)

    def test_other_company(self):
        """A manager sees stages, which all companies share, and moves no opportunity of another company."""
        lead = self.create_opportunities(company_id=self.env.company.id, team_id=False)[0]
        stages = self.env["crm.stage"].with_user(self.user_2)
        self.assertTrue(stages.search([]))
        with self.assertRaises(AccessError):
            lead.with_user(self.user_2).stage_id = self.stage_visit
        wizard = (
            self.env["crm.stage.delete.wizard"]
            .with_user(self.user_2)
            .create({"stage_ids": lead.stage_id.ids})
        )
        wizard.target_stage_id = self.stage_visit
        with self.assertRaises(UserError):
            wizard.action_move_and_delete()
        self.assertEqual(lead.stage_id, self.stage_new)

    def test_own_documents_stay_in_their_company_and_team(self):
        stage = self.env["crm.stage"].create({"name": "Measured", "sequence": 3, "team_ids": self.team_2.ids})
        line = self.env["crm.stage.automation"].create({"stage_id": stage.id, "trigger": "quotation_created"})
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
        self.assertFalse(line.fault)
        self.assertEqual(here.stage_id, self.stage_estimate, "The stage is another team's")
        self.assertEqual(there.stage_id, stage)
