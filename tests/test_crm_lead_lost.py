from odoo.exceptions import AccessError
from odoo.tests import Form, tagged

from .common_arrival import ArrivalCase


@tagged("post_install", "-at_install")
class TestLostQuotations(ArrivalCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["crm.stage.automation"].search([]).active = False
        cls.partner = cls.env["res.partner"].create({"name": "Customer"})
        cls.leads = cls.create_in(cls.visit, 2, user_id=cls.salesperson.id)

    def create_order(self, lead, **values):
        return self.env["sale.order"].create(
            {
                "partner_id": self.partner.id,
                "opportunity_id": lead.id,
                "user_id": self.salesperson.id,
                **values,
            }
        )

    def open_wizard(self, leads, **values):
        wizards = self.env["crm.lead.lost"].with_user(self.salesperson)
        return wizards.with_context(default_lead_ids=leads.ids).create(values)

    def test_reason_required(self):
        """By hand, where a won stage of the pipeline says so; neither code nor automations need one."""
        lead = self.leads[0]
        self.assertFalse(self.open_wizard(lead).is_reason_required)
        self.closed.is_reason_required = True
        wizard = Form(self.open_wizard(lead))
        with self.assertRaisesRegex(AssertionError, "lost_reason_id is a required field"):
            wizard.save()
        wizard.lost_reason_id = self.env["crm.lost.reason"].create({"name": "Too dear"})
        wizard.save().action_lost_reason_apply()
        self.assertEqual(lead.lost_reason_id.name, "Too dear")
        self.leads[1].action_set_lost()
        self.assertEqual(self.leads[1].won_status, "lost")
        self.closed.team_ids = self.env["crm.team"].create({"name": "Elsewhere"})
        self.assertFalse(self.open_wizard(lead).is_reason_required)

    def test_offered_when_there_are_any(self):
        lead = self.leads[0]
        self.assertEqual(self.open_wizard(lead).open_quotation_count, 0)
        self.create_order(lead)
        self.create_order(lead, state="sent")
        self.create_order(lead, state="sale")
        self.create_order(lead, state="cancel")
        wizard = self.open_wizard(lead)
        self.assertEqual((wizard.open_quotation_count, wizard.cancel_quotations), (2, False))

    def test_only_when_ticked(self):
        order = self.create_order(self.leads[0])
        self.open_wizard(self.leads[0]).action_lost_reason_apply()
        self.assertEqual((self.leads[0].won_status, order.state), ("lost", "draft"))

    def test_of_several_opportunities(self):
        orders = self.create_order(self.leads[0]) + self.create_order(self.leads[1])
        confirmed = self.create_order(self.leads[1], state="sale")
        wizard = self.open_wizard(self.leads, cancel_quotations=True)
        self.assertEqual(wizard.open_quotation_count, 2)
        wizard.action_lost_reason_apply()
        self.assertEqual(set(orders.mapped("state")), {"cancel"})
        self.assertEqual(confirmed.state, "sale")
        self.assertEqual(set(self.leads.mapped("won_status")), {"lost"})

    def test_those_that_the_user_may_not_cancel(self):
        order = self.create_order(self.leads[0], user_id=self.manager.id)
        wizard = self.open_wizard(self.leads[0], cancel_quotations=True)
        self.assertEqual(wizard.open_quotation_count, 0)
        wizard.action_lost_reason_apply()
        self.assertEqual((self.leads[0].won_status, order.state), ("lost", "draft"))

    def test_cancelling_moves_nothing(self):
        self.env["crm.stage.automation"].create(
            {"stage_id": self.quotation.id, "trigger": "quotation_cancelled"}
        )
        lead = self.leads[0]
        self.create_order(lead)
        self.pass_commit()
        stage = lead.stage_id
        self.open_wizard(lead, cancel_quotations=True).action_lost_reason_apply()
        self.assertEqual((lead.won_status, lead.stage_id), ("lost", stage))

    def test_told_with_the_reason(self):
        reason = self.env["crm.lost.reason"].create({"name": "Too far away"})
        wizard = self.open_wizard(self.leads[0], lost_reason_id=reason.id)
        self.assertEqual(
            wizard.action_lost_reason_apply()["params"]["message"], '"House 0" is lost: Too far away.'
        )
        for lead in self.leads[0], self.leads[1]:
            self.create_order(lead)
        params = self.open_wizard(self.leads[1], cancel_quotations=True).action_lost_reason_apply()["params"]
        self.assertEqual(params["message"], '"House 1" is lost. 1 quotation is cancelled.')
        params = self.open_wizard(self.leads).action_lost_reason_apply()["params"]
        self.assertEqual(params["buttons"], [], "They were lost before: there is nothing to take back")

    def test_undo(self):
        by_hand, follower = self.leads
        by_hand.probability = 37
        order = self.create_order(by_hand)
        params = self.open_wizard(self.leads, cancel_quotations=True).action_lost_reason_apply()["params"]
        self.assertEqual(params["message"], "2 opportunities are lost. 1 quotation is cancelled.")
        self.assertEqual(set(self.leads.mapped("won_status")), {"lost"})
        (button,) = params["buttons"]
        leads = self.leads.with_user(self.salesperson)
        self.assertEqual(button["args"][0], leads.ids)
        leads.action_undo_lost(*button["args"][1:])
        self.assertEqual(leads.mapped("won_status"), ["pending", "pending"])
        self.assertEqual(leads.mapped("probability"), [37, 50])
        self.assertEqual(leads.mapped("is_automated_probability"), [False, True])
        self.assertEqual((leads.stage_id, order.state), (self.visit, "draft"))

    def test_undo_of_quotations(self):
        """They are what they were: sent, and signed. Nothing moves because of it."""
        self.create_automation(self.quotation, "quotation_sent")
        lead = self.leads[0]
        draft, sent, since = (self.create_order(lead) for _number in range(3))
        sent.write({"state": "sent", "signed_by": "Marc", "signed_on": "2030-01-01 10:00:00"})
        lead.stage_id = self.visit
        params = self.open_wizard(lead, cancel_quotations=True).action_lost_reason_apply()["params"]
        self.assertEqual((draft + sent + since).mapped("state"), ["cancel"] * 3)
        since.state = "sale"
        lead.with_user(self.salesperson).action_undo_lost(*params["buttons"][0]["args"][1:])
        self.assertEqual((draft + sent + since).mapped("state"), ["draft", "sent", "sale"])
        self.assertEqual((sent.signed_by, str(sent.signed_on)), ("Marc", "2030-01-01 10:00:00"))
        self.assertEqual((lead.stage_id, lead.won_status), (self.visit, "pending"))

    def test_undo_with_what_a_client_makes_up(self):
        """No order is confirmed by it, and none is written that the user may not write."""
        lead = self.leads[0].with_user(self.salesperson)
        order = self.create_order(lead)
        order.state = "cancel"
        lead.action_undo_lost([], [(order.id, "sale"), (0, "sent")])
        self.assertEqual(order.state, "cancel")
        order.user_id = self.manager
        with self.assertRaises(AccessError):
            lead.action_undo_lost([], [(order.id, "sent")])

    def test_undo_leaves_what_was_done_since(self):
        params = self.open_wizard(self.leads).action_lost_reason_apply()["params"]
        first = self.leads[0]
        first.action_restore()
        first.stage_id = self.quotation
        self.leads.action_undo_lost(*params["buttons"][0]["args"][1:])
        self.assertEqual(self.leads.mapped("stage_id"), self.quotation + self.visit)
        self.assertEqual(self.leads.mapped("probability"), [75, 50])
