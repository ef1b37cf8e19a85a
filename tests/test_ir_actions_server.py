from odoo import Command
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import Form, new_test_user, tagged

from ..tools import ON
from .common_automation import AutomationCase


@tagged("post_install", "-at_install")
class TestMoveAction(AutomationCase):
    def create_action(self, model="crm.lead", **values):
        return self.env["ir.actions.server"].create(
            {
                "name": "Move",
                "model_id": self.env["ir.model"]._get_id(model),
                "state": "crm_stage",
                "crm_stage_id": self.visit.id,
                **values,
            }
        )

    def run_action(self, action, records, user=None):
        env = self.env(user=user) if user else self.env
        action.with_env(env).with_context(
            active_model=records._name, active_ids=records.ids, active_id=records.ids[0]
        ).run()

    def test_data(self):
        """The five stages have theirs, named after them."""
        for name, stage in (
            ("new", self.new),
            ("estimate", self.estimate),
            ("technical_visit", self.visit),
            ("quotation", self.quotation),
            ("closed", self.closed),
        ):
            action = self.env.ref(f"crm_sales_stage.action_move_to_stage_{name}")
            self.assertEqual((action.state, action.crm_stage_id), ("crm_stage", stage))
            self.assertEqual(action.name, f"Move to {stage.name}")

    def test_moves_many_at_once(self):
        leads = self.create_leads(5)
        action = self.create_action()
        self.env.flush_all()
        writes = []
        Lead = type(self.env["crm.lead"])
        write = Lead.write
        self.patch(Lead, "write", lambda records, vals: writes.append(records) or write(records, vals))
        self.run_action(action, leads)
        self.assertEqual(leads.stage_id, self.visit)
        self.assertEqual(len(writes), 1)

    def test_forward_only(self):
        ahead, behind = self.create_lead(stage_id=self.quotation.id), self.create_lead()
        self.run_action(self.create_action(), ahead + behind)
        self.assertEqual(ahead.stage_id, self.quotation)
        self.assertEqual(behind.stage_id, self.visit)

    def test_always(self):
        ahead, won = self.create_lead(stage_id=self.quotation.id), self.create_lead(stage_id=self.closed.id)
        self.run_action(self.create_action(crm_stage_policy="always"), ahead + won)
        self.assertEqual(ahead.stage_id, self.visit)
        self.assertEqual(won.stage_id, self.closed, "final")

    def test_won(self):
        lead = self.create_lead()
        self.run_action(self.env.ref("crm_sales_stage.action_move_to_stage_closed"), lead)
        self.assertEqual((lead.stage_id, lead.won_status), (self.closed, "won"))

    def test_path_found_by_itself(self):
        action = self.create_action("sale.order")
        self.assertEqual(action.crm_lead_path, "opportunity_id")
        order = self.create_order(self.create_lead())
        self.run_action(action, order + self.create_order())
        self.assertEqual(order.opportunity_id.stage_id, self.visit)

    def test_path_in_form(self):
        form = Form(self.env["ir.actions.server"])
        form.model_id = self.env["ir.model"]._get("sale.order")
        form.state = "crm_stage"
        form.crm_stage_id = self.visit
        self.assertEqual(form.crm_lead_path, "opportunity_id")
        self.assertEqual(form.name, "Move to Technical Visit")
        self.assertEqual(form.save().crm_lead_path, "opportunity_id")

    def test_name_follows_stage(self):
        self.visit.name = "Measuring"
        action = self.env.ref("crm_sales_stage.action_move_to_stage_technical_visit")
        self.assertEqual(action.name, "Move to Measuring")

    def test_longer_path(self):
        action = self.create_action("sale.order.line", crm_lead_path="order_id.opportunity_id")
        order = self.create_order(self.create_lead())
        self.run_action(action, order.order_line)
        self.assertEqual(order.opportunity_id.stage_id, self.visit)

    def test_path_over_many(self):
        action = self.create_action("res.partner", crm_lead_path="opportunity_ids")
        leads = self.create_leads(2)
        self.run_action(action, self.partner)
        self.assertEqual(leads.stage_id, self.visit)

    def test_wrong_paths(self):
        for model, path in (
            ("res.partner", False),
            ("sale.order", "partner_id"),
            ("sale.order", "name"),
            ("sale.order", "nonsense.opportunity_id"),
            ("sale.order", "opportunity_id.name"),
            ("sale.order", "opportunity_id.name.x"),
        ):
            with self.subTest(path), self.assertRaisesRegex(ValidationError, "does not lead from"):
                self.create_action(model, crm_lead_path=path)

    def test_without_stage(self):
        with self.assertRaisesRegex(ValidationError, "Choose the stage"):
            self.create_action(crm_stage_id=False)

    def test_without_records(self):
        lead = self.create_lead()
        self.create_action().run()
        self.assertEqual(lead.stage_id, self.new)

    def test_multi(self):
        parent = self.env["ir.actions.server"].create(
            {
                "name": "Several",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "state": "multi",
                "child_ids": [
                    (
                        0,
                        0,
                        {
                            "name": "Move",
                            "model_id": self.env["ir.model"]._get_id("crm.lead"),
                            "state": "crm_stage",
                            "crm_stage_id": self.visit.id,
                        },
                    )
                ],
            }
        )
        leads = self.create_leads(2)
        self.run_action(parent, leads)
        self.assertEqual(leads.stage_id, self.visit)

    def test_automation_rule(self):
        if "base.automation" not in self.env:
            self.skipTest("Automation Rules are not installed, which the addon does not depend on")
        action = self.create_action("sale.order", usage="base_automation")
        rule = self.env["base.automation"].create(
            {
                "name": "On lock",
                "model_id": self.env["ir.model"]._get_id("sale.order"),
                "trigger": "on_create_or_write",
                "trigger_field_ids": [(6, 0, self.env["ir.model.fields"]._get("sale.order", "locked").ids)],
                "filter_domain": "[('locked', '=', True)]",
                "action_server_ids": [(6, 0, action.ids)],
            }
        )
        order = self.create_order(self.create_lead())
        order.locked = True
        self.assertEqual(order.opportunity_id.stage_id, self.visit)
        rule.trigger = "on_webhook"
        order.opportunity_id.stage_id = self.new
        rule._execute_webhook({"_model": "sale.order", "_id": order.id})
        self.assertEqual(order.opportunity_id.stage_id, self.visit)

    def test_run_by_hand_with_own_rights(self):
        """From the Action menu a salesperson moves their own opportunities, not those of others."""
        action = self.create_action()
        own, others = self.create_lead(), self.create_lead(user_id=self.manager.id)
        self.run_action(action, own, self.salesperson)
        self.assertEqual(own.stage_id, self.visit)
        with self.assertRaises(AccessError):
            self.run_action(action, others, self.salesperson)
        order = self.create_order(others, user_id=self.salesperson.id)
        others.stage_id = self.new
        with self.assertRaises(AccessError):
            self.run_action(self.create_action("sale.order"), order, self.salesperson)
        self.assertEqual(others.stage_id, self.new)

    def test_portal_user(self):
        """Whatever other addons let resellers write, moving opportunities by our actions is not for them."""
        reseller = new_test_user(self.env, login="reseller", groups="base.group_portal")
        self.env["ir.model.access"].create(
            {
                "name": "Resellers",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "group_id": self.env.ref("base.group_portal").id,
                "perm_read": True,
                "perm_write": True,
            }
        )
        lead = self.create_lead()
        with self.assertRaises(AccessError):
            self.run_action(self.create_action(), lead, reseller)
        self.assertEqual(lead.stage_id, self.new)
        action = self.create_action("sale.order")
        order = self.create_order(lead)
        lead.stage_id = self.new
        order.with_user(reseller).sudo().action_quotation_sent()
        self.assertEqual(lead.stage_id, self.quotation, "what they do in the portal moves the card")
        lead.stage_id = self.new
        self.run_action(action.sudo(), order)
        self.assertEqual(lead.stage_id, self.visit)

    def test_team(self):
        """No opportunity comes to a stage of a team that it is not in, whoever runs the action."""
        self.visit.team_ids = self.env["crm.team"].create({"name": "Windows"})
        lead = self.create_lead()
        for context in ({}, {"crm_stage_moving": ON}):
            with self.subTest(context):
                self.run_action(self.create_action(crm_stage_policy="always").with_context(**context), lead)
                self.assertEqual(lead.stage_id, self.new)


@tagged("post_install", "-at_install")
class TestNestedMoves(AutomationCase):
    """Moves that another addon makes when an opportunity moves: their own direction counts."""

    def run_within_moves(self, action, leads_of=lambda leads: leads):
        """Let the action run on opportunities whenever some are moved by an action."""
        Lead = type(self.env["crm.lead"])
        write = Lead.write
        running = []

        def override(leads, vals):
            res = write(leads, vals)
            if vals.get("stage_id") and leads.env.context.get("crm_stage_moving") and not running:
                running.append(action)
                others = leads_of(leads)
                action.with_env(leads.env).with_context(
                    active_model="crm.lead", active_ids=others.ids, active_id=others.ids[0]
                ).run()
                running.pop()
            return res

        self.patch(Lead, "write", override)

    def create_action(self, stage, **values):
        return self.env["ir.actions.server"].create(
            {
                "name": "Nested",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "state": "crm_stage",
                "crm_stage_id": stage.id,
                **values,
            }
        )

    def test_never_back(self):
        lead = self.create_lead()
        self.run_within_moves(self.create_action(self.new))
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.estimate)

    def test_never_reopens(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        self.run_within_moves(self.create_action(self.visit, crm_stage_policy="always"))
        order.action_confirm()
        self.assertEqual((lead.stage_id, lead.won_status), (self.closed, "won"))

    def test_forward(self):
        lead = self.create_lead()
        self.run_within_moves(self.create_action(self.visit))
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.visit)

    def test_the_same_action_on_others(self):
        """That an automation takes opportunities back from a stage is no permission for the action itself."""
        automation = self.create_automation(
            self.estimate, "quotation_cancelled", from_stage_ids=[Command.set(self.quotation.ids)]
        )
        other = self.create_lead(stage_id=self.quotation.id)
        lead = self.create_lead(stage_id=self.quotation.id)
        order = self.create_order(lead)
        self.run_within_moves(automation.action_server_id, lambda leads: other)
        order._action_cancel()
        self.assertEqual(lead.stage_id, self.estimate)
        self.assertEqual(other.stage_id, self.quotation)
