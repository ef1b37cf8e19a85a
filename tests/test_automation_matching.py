from unittest.mock import patch

from odoo import Command
from odoo.tests import tagged

from .common_automation import AutomationCase


@tagged("post_install", "-at_install")
class TestMatching(AutomationCase):
    """Which opportunities an automation moves, and from where."""

    def test_forward_only(self):
        lead = self.create_lead(stage_id=self.quotation.id)
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.quotation)

    def test_backward_from_named_origin(self):
        self.create_automation(self.new, "meeting_scheduled", from_stage_ids=[Command.set(self.estimate.ids)])
        lead, other = self.create_lead(stage_id=self.estimate.id), self.create_lead(stage_id=self.visit.id)
        self.env["calendar.event"].create([self.get_meeting_values(each) for each in lead + other])
        self.assertEqual(lead.stage_id, self.new)
        self.assertEqual(other.stage_id, self.visit, "not one of the named stages")

    def test_order_is_the_pipelines(self):
        """Stages of the same sequence are ordered as the pipeline shows them."""
        stage = self.env["crm.stage"].create({"name": "Zoo", "sequence": self.estimate.sequence})
        self.create_automation(stage, "quotation_sent")
        self.env.ref("crm_sales_stage.automation_quotation_quotation_sent").active = False
        lead = self.create_lead()
        order = self.create_order(lead)
        self.assertEqual(lead.stage_id, self.estimate)
        order.action_quotation_sent()
        self.assertEqual(lead.stage_id, stage)

    def test_resequence_takes_effect(self):
        lead = self.create_lead(stage_id=self.visit.id)
        self.visit.sequence = 0
        self.env.ref("crm_sales_stage.automation_quotation_quotation_created").active = False
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.estimate, "Estimate is after Technical Visit now")

    def test_final_left_alone(self):
        won = self.create_lead(stage_id=self.closed.id)
        lost = self.create_lead()
        lost.action_set_lost()
        archived = self.create_lead()
        archived.active = False
        later = self.env["crm.stage"].create({"name": "After", "sequence": 100})
        self.create_automation(later, "quotation_created")
        self.create_automation(
            later, "quotation_created", from_stage_ids=[Command.set((self.estimate + self.new).ids)]
        )
        for lead in won + lost + archived:
            self.create_order(lead)
        self.assertEqual(won.stage_id, self.closed)
        self.assertEqual((lost + archived).stage_id, self.new)
        self.assertEqual(lost.won_status, "lost")
        self.assertFalse(archived.active)

    def test_lead_left_alone(self):
        lead = self.create_lead(type="lead")
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.new)

    def test_furthest_stage_wins(self):
        self.create_automation(self.visit, "quotation_created")
        lead = self.create_lead()
        Automation = type(self.automations)
        with patch.object(
            Automation, "_run_action", autospec=True, side_effect=Automation._run_action
        ) as run:
            self.create_order(lead)
        self.assertEqual(lead.stage_id, self.visit)
        self.assertEqual(run.call_count, 1, "one move, not one per automation")

    def test_teams(self):
        team, other = self.env["crm.team"].create([{"name": "Windows"}, {"name": "Doors"}])
        self.estimate.team_ids = team
        ours, theirs, nobodys = (self.create_lead(team_id=t and t.id) for t in (team, other, False))
        for lead in ours + theirs + nobodys:
            self.create_order(lead)
        self.assertEqual(ours.stage_id, self.estimate)
        self.assertEqual(theirs.stage_id, self.new)
        self.assertEqual(nobodys.stage_id, self.new)

    def test_archived_stage(self):
        self.estimate.active = False
        lead = self.create_lead()
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.new)
        self.estimate.active = True
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.estimate)

    def test_archived_automation(self):
        self.env.ref("crm_sales_stage.automation_estimate_quotation_created").active = False
        lead = self.create_lead()
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.new)

    def test_new_automation_works_at_once(self):
        stage = self.env["crm.stage"].create({"name": "Ordered", "sequence": 3})
        lead = self.create_lead()
        automation = self.create_automation(stage, "quotation_created")
        self.create_order(lead)
        self.assertEqual(lead.stage_id, stage)
        self.assertIn("default", self.env.registry.cache_invalidated, "the other workers are told")
        automation.unlink()
        lead = self.create_lead()
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.estimate)

    def test_delete_only_origin(self):
        origin = self.env["crm.stage"].create({"name": "Origin", "sequence": 2})
        automation = self.create_automation(
            self.visit, "quotation_sent", from_stage_ids=[Command.set(origin.ids)]
        )
        origin.unlink()
        self.assertFalse(automation.active, "it would take opportunities from anywhere")

    def test_delete_stage(self):
        stage = self.env["crm.stage"].create({"name": "Gone", "sequence": 2})
        automation = self.create_automation(stage, "quotation_created")
        action = automation.action_server_id
        stage.unlink()
        self.assertFalse(automation.exists())
        self.assertFalse(action.exists())
        lead = self.create_lead()
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.estimate)


@tagged("post_install", "-at_install")
class TestMoving(AutomationCase):
    """What a move is within the business action."""

    def test_no_loop(self):
        """What a move brings about, here by an override that plans a visit, moves nothing."""
        Lead = type(self.env["crm.lead"])
        write = Lead.write

        def write_and_plan(leads, vals):
            res = write(leads, vals)
            if vals.get("stage_id") == self.estimate.id:
                leads.activity_schedule("crm_sales_stage.mail_activity_type_technical_visit")
            return res

        lead = self.create_lead()
        with patch.object(Lead, "write", write_and_plan):
            self.create_order(lead)
        self.assertTrue(lead.activity_ids)
        self.assertEqual(lead.stage_id, self.estimate)

    def test_immediate(self):
        """The code that follows in the same business action sees the new stage."""
        lead = self.create_lead()
        order = self.create_order(lead)
        seen = []
        SaleOrder = type(self.env["sale.order"])
        with patch.object(
            SaleOrder, "_action_confirm", lambda orders: seen.append(orders.opportunity_id.stage_id)
        ):
            order.action_confirm()
        self.assertEqual(seen, [self.closed])

    def test_won_by_custom_won_stage(self):
        stage = self.env["crm.stage"].create({"name": "Signed", "sequence": 60, "is_won": True})
        self.create_automation(stage, "quotation_sent")
        lead = self.create_lead()
        order = self.create_order(lead)
        order.action_quotation_sent()
        self.assertEqual((lead.stage_id, lead.won_status), (stage, "won"))
