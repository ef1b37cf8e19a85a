from odoo import Command
from odoo.tests import tagged

from .test_automation_outcome import OutcomeCase


@tagged("post_install", "-at_install")
class TestBackFromWon(OutcomeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automation = cls.automate(
            cls.quotation, "quotation_cancelled", from_stage_ids=[Command.set(cls.closed.ids)]
        )

    def confirm(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        order.action_confirm()
        self.pass_commit()
        self.assertEqual(lead.won_status, "won")
        return lead, order

    def test_order_cancelled_after_confirmation(self):
        lead, order = self.confirm()
        order._action_cancel()
        self.assertEqual((lead.stage_id, lead.won_status, lead.active), (self.quotation, "pending", True))
        self.assertEqual((lead.probability, lead.automated_probability), (75, 75))
        self.assertFalse(lead.date_closed)
        self.assertIn('is cancelled, only from "Won / Lost"', self.get_tracking_message(lead).body.unescape())
        self.assertFalse(self.automation.fault)

    def test_predictive_stage(self):
        self.quotation.probability_mode = "predictive"
        lead, order = self.confirm()
        order._action_cancel()
        self.assertEqual((lead.stage_id, lead.won_status), (self.quotation, "pending"))
        self.assertLess(lead.probability, 100)
        self.assertEqual(lead.probability, lead.automated_probability)

    def test_automatic_move(self):
        lead, order = self.confirm()
        order._action_cancel()
        stays = self.read_stays(lead)
        self.assertEqual(stays[-1], (self.quotation, "open", "automation"))

    def test_archived_ones_are_left_alone(self):
        lead, order = self.confirm()
        lead.active = False
        order._action_cancel()
        self.assertEqual((lead.stage_id, lead.active), (self.closed, False))

    def test_not_without_naming_them(self):
        self.automation.from_stage_ids = False
        lead, order = self.confirm()
        order._action_cancel()
        self.assertEqual((lead.stage_id, lead.won_status), (self.closed, "won"))

    def test_not_of_other_stages(self):
        self.automation.from_stage_ids = self.visit
        lead, order = self.confirm()
        order._action_cancel()
        self.assertEqual(lead.won_status, "won")

    def test_existing_documents(self):
        self.automation.active = False
        lead, order = self.confirm()
        order._action_cancel()
        self.automation.active = True
        self.assertIn(lead, self.automation._search_leads_to_move())
        self.automation.action_catch_up()
        self.assertEqual((lead.stage_id, lead.won_status), (self.quotation, "pending"))

    def test_between_won_stages(self):
        signed = self.env["crm.stage"].create({"name": "Signed", "sequence": 60, "is_won": True})
        self.automate(signed, "activity_done", from_stage_ids=[Command.set(self.closed.ids)])
        lead, _order = self.confirm()
        lead.activity_schedule("mail.mail_activity_data_call").action_feedback()
        self.assertEqual((lead.stage_id, lead.won_status), (signed, "won"))


@tagged("post_install", "-at_install")
class TestBackFromLost(OutcomeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env.ref("crm_sales_stage.automation_estimate_quotation_created").is_lost_included = True

    def create_lost(self, stage, **values):
        lead = self.create_lead(stage_id=stage.id, **values)
        lead.action_set_lost(lost_reason_id=self.reason.id)
        self.pass_commit()
        return lead

    def test_new_quotation(self):
        lead = self.create_lost(self.new)
        order = self.create_order(lead)
        self.assertEqual((lead.stage_id, lead.won_status, lead.active), (self.estimate, "pending", True))
        self.assertEqual((lead.probability, lead.automated_probability), (25, 25))
        self.assertFalse(lead.lost_reason_id)
        message = self.get_tracking_message(lead)
        self.assertIn("lost ones too", message.body)
        self.assertIn(order.name, message.body)
        self.assertIn("lost_reason_id", message.tracking_value_ids.field_id.mapped("name"))

    def test_automatic_move(self):
        lead = self.create_lost(self.new)
        self.create_order(lead)
        self.assertEqual(
            self.read_stays(lead)[-2:],
            [(self.new, "restored", "created"), (self.estimate, "open", "automation")],
        )

    def test_where_they_are(self):
        """Never moved back: one that was lost in this stage or a later one is restored there."""
        for stage in (self.estimate, self.quotation):
            for mode in ("fixed", "predictive"):
                stage.probability_mode = mode
                with self.subTest(stage=stage.name, mode=mode):
                    lead = self.create_lost(stage)
                    order = self.create_order(lead)
                    self.assertEqual((lead.stage_id, lead.won_status), (stage, "pending"))
                    self.assertFalse(lead.lost_reason_id)
                    self.assertGreater(lead.probability, 0)
                    self.assertEqual(lead.probability, lead.automated_probability)
                    self.assertEqual(self.read_stays(lead)[-1], (stage, "open", "automation"))
                    bodies = "".join(lead.message_ids.mapped("body"))
                    self.assertIn(order.name, bodies, "the chatter says so")

    def test_of_named_stages(self):
        automation = self.env.ref("crm_sales_stage.automation_estimate_quotation_created")
        automation.from_stage_ids = self.quotation
        back, other = self.create_lost(self.quotation), self.create_lost(self.new)
        self.create_order(back)
        self.create_order(other)
        self.assertEqual((back.stage_id, back.won_status), (self.estimate, "pending"))
        self.assertEqual((other.stage_id, other.won_status), (self.new, "lost"))

    def test_won(self):
        automation = self.env.ref("crm_sales_stage.automation_closed_order_confirmed")
        automation.is_lost_included = True
        lead = self.create_lost(self.new)
        order = self.create_order(lead)
        lead.action_set_lost(lost_reason_id=self.reason.id)
        order.action_confirm()
        self.assertEqual((lead.stage_id, lead.won_status, lead.probability), (self.closed, "won", 100))
        self.assertFalse(lead.lost_reason_id)

    def test_archived_ones_are_left_alone(self):
        lead = self.create_lead()
        lead.active = False
        self.create_order(lead)
        self.assertEqual((lead.stage_id, lead.active, lead.won_status), (self.new, False, "pending"))

    def test_not_without_the_tick(self):
        self.env.ref("crm_sales_stage.automation_estimate_quotation_created").is_lost_included = False
        lead = self.create_lost(self.new)
        self.create_order(lead)
        self.assertEqual((lead.stage_id, lead.won_status), (self.new, "lost"))
        self.assertEqual(lead.lost_reason_id, self.reason)

    def test_leads_and_other_teams(self):
        """They are no opportunities of this stage, lost or not."""
        self.estimate.team_ids = self.env["crm.team"].create({"name": "Windows"})
        lead = self.create_lost(self.new)
        self.create_order(lead)
        self.assertEqual(lead.won_status, "lost")

    def test_many_at_once(self):
        costs = []
        for count in (1, 50):
            leads = self.create_leads(count)
            leads.action_set_lost(lost_reason_id=self.reason.id)
            self.pass_commit()
            self.env.invalidate_all()
            orders = self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])
            self.assertEqual(set(leads.mapped("won_status")), {"pending"})
            self.assertEqual(leads.stage_id, self.estimate)
            leads.action_set_lost()
            leads.stage_id = self.new
            self.pass_commit()
            self.env.invalidate_all()
            before = self.env.cr.sql_log_count
            orders._trigger_crm_stage("quotation_created")
            self.env.flush_all()
            costs.append(self.env.cr.sql_log_count - before)
            self.assertEqual(leads.stage_id, self.estimate)
        self.assertLessEqual(costs[1], costs[0] + 5)

    def test_existing_documents(self):
        automation = self.env.ref("crm_sales_stage.automation_estimate_quotation_created")
        automation.is_lost_included = False
        lead = self.create_lost(self.new)
        self.create_order(lead)
        self.assertNotIn(lead, automation._search_leads_to_move())
        automation.is_lost_included = True
        self.assertIn(lead, automation._search_leads_to_move())
        automation._move(automation._get_listener(), automation.sudo()._get_pairs_to_move(lead), lead)
        self.assertEqual((lead.stage_id, lead.won_status), (self.estimate, "pending"))
