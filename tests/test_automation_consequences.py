from unittest.mock import patch

from odoo import Command
from odoo.tests import Form, tagged

from ..models.automation import consequences
from .test_automation_outcome import OutcomeCase

EFFECT = "The condition has no effect: another automation moves the same opportunities without one (%s)."
TURN = "This automation never comes to its turn: another one takes the same opportunities first (%s)."
OTHER_EFFECT = (
    "The condition of another automation has no effect then: this one moves the same opportunities without "
    "one (%s)."
)
OTHER_TURN = (
    "Another automation never comes to its turn then: this one takes the same opportunities first (%s)."
)
BIG = "[('amount_total', '>', 100)]"


@tagged("post_install", "-at_install")
class TestConsequences(OutcomeCase):
    """What the form says of two automations that listen to the same."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automations.search([]).active = False

    def read_texts(self, *automations):
        self.env.invalidate_all()
        return [automation.with_user(self.manager).consequence_text for automation in automations]

    def test_seeded_ones(self):
        seeded = self.automations.with_context(active_test=False).search([])
        seeded.active = True
        self.assertFalse(any(self.read_texts(*seeded)))

    def test_condition_has_no_effect(self):
        for values in (
            {},
            {"from_stage_ids": [Command.set((self.new + self.estimate).ids)]},
        ):
            with self.subTest(values):
                narrow = self.automate(self.quotation, "order_confirmed", filter_domain=BIG, **values)
                wide = self.automate(self.quotation, "order_confirmed")
                self.assertEqual(
                    self.read_texts(narrow, wide), [EFFECT % wide.name, OTHER_EFFECT % narrow.name]
                )
                lead = self.create_lead(stage_id=self.estimate.id)
                order = self.create_order(lead)
                order.order_line.price_unit = 1
                order.action_confirm()
                self.assertEqual(lead.stage_id, self.quotation, "which is true")
                wide.active = False
                self.assertFalse(any(self.read_texts(narrow, wide)))
                (narrow + wide).unlink()

    def test_another_one_takes_them_further(self):
        near = self.automate(self.visit, "quotation_created", filter_domain=BIG)
        far = self.automate(self.quotation, "quotation_created")
        self.assertEqual(self.read_texts(near, far), [TURN % far.name, OTHER_TURN % near.name])
        lead = self.create_lead()
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.quotation)
        far.filter_domain = BIG
        self.assertEqual(self.read_texts(near), [TURN % far.name], "it is the same one")
        far.sudo().fault = "It does not work"
        self.assertEqual(self.read_texts(near), [""], "it leaves them to the others")
        far.filter_domain = "[('amount_total', '>', 200)]"
        self.assertFalse(any(self.read_texts(near, far)))

    def test_won_and_lost_in_one_stage(self):
        """The sequence says which one is tried first."""
        values = {"days": 3, "sequence": 5, "outcome": "lost"}
        lost = self.automate(self.closed, "no_news", **values)
        won = self.automate(self.closed, "no_news", days=3, outcome="won")
        self.assertEqual(self.read_texts(won, lost), [TURN % lost.name, OTHER_TURN % won.name])
        lost.sequence = 20
        self.assertEqual(self.read_texts(lost), [TURN % won.name])

    def test_another_one_is_earlier(self):
        """Seven days later never comes when another one loses them after three."""
        late = self.automate(self.visit, "no_news", days=7)
        early = self.automate(self.closed, "no_news", days=3, outcome="lost")
        self.assertEqual(self.read_texts(late, early), [TURN % early.name, OTHER_TURN % late.name])
        late.is_lost_included = True
        self.assertNotIn("turn", self.read_texts(late)[0])
        late.is_lost_included = False
        early.is_working_days = True
        self.assertFalse(any(self.read_texts(late, early)), "three working days may be seven days")
        late.is_working_days = True
        self.assertEqual(self.read_texts(late), [TURN % early.name])

    def test_one_step_after_the_other(self):
        """Follow up after three days, lose after seven: each has its turn."""
        early = self.automate(self.visit, "quotation_expired", days=3)
        late = self.automate(self.closed, "quotation_expired", days=7)
        self.assertFalse(any(self.read_texts(early, late)))

    def test_other_opportunities(self):
        """Nothing is said where one takes opportunities that the other one leaves alone."""
        narrow = self.automate(self.quotation, "quotation_sent", filter_domain=BIG)
        wide = self.automate(self.quotation, "quotation_sent")
        team = self.env["crm.team"].create({"name": "Windows"})
        nowhere = {"from_stage_ids": [Command.clear()]}
        for record, values, undo in (
            (wide, {"from_stage_ids": [Command.set(self.new.ids)]}, nowhere),
            (narrow, {"is_lost_included": True}, {"is_lost_included": False}),
            (narrow, {"from_stage_ids": [Command.set(self.closed.ids)]}, nowhere),
            (wide, {"trigger": "quotation_created"}, {"trigger": "quotation_sent"}),
        ):
            with self.subTest(values):
                record.write(values)
                self.assertNotIn("another", str(self.read_texts(narrow)))
                record.write(undo)
        self.assertIn("another", str(self.read_texts(narrow)))
        wide.stage_id = self.env["crm.stage"].create(
            {"name": "Of one team", "sequence": 90, "team_ids": team.ids}
        )
        self.assertFalse(any(self.read_texts(narrow)), "others have no such stage")
        # Another open quotation keeps an opportunity from being lost, not from being moved.
        self.automate_loss(filter_domain=False)
        moving = self.automate(self.visit, "quotation_cancelled")
        self.assertFalse(any(self.read_texts(moving)))

    def test_lost_ones(self):
        """As many as it may bring back; those of other stages are not among them."""
        self.env["crm.lead"].with_context(active_test=False).search([("won_status", "=", "lost")]).unlink()
        leads = self.create_leads(3)
        leads.action_set_lost()
        leads[2].stage_id = self.quotation
        values = {"from_stage_ids": [Command.set(self.new.ids)], "is_lost_included": True}
        automation = self.automate(self.estimate, "email_received", **values)
        text = "This automation may bring %s lost opportunities back."
        self.assertEqual(self.read_texts(automation), [text % 2])
        with patch.object(consequences, "MANY_LOST", 2):
            self.assertEqual(self.read_texts(automation), [text % "2+"])
        leads[1].stage_id = self.quotation
        text = "This automation may bring 1 lost opportunity back."
        self.assertEqual(self.read_texts(automation), [text])
        automation.is_lost_included = False
        self.assertEqual(self.read_texts(automation), [""])

    def test_form_says_it_before_it_is_saved(self):
        wide = self.automate(self.visit, "quotation_sent")
        form = Form(self.automations.with_user(self.manager))
        form.stage_id = self.visit
        self.assertFalse(form.consequence_text)
        form.trigger = "quotation_sent"
        self.assertIn("duplicate", form.consequence_text)
        form.filter_domain = BIG
        self.assertEqual(form.consequence_text, EFFECT % wide.name)

    def test_in_the_form_of_a_stage(self):
        """Where the stage is not saved yet, either."""
        narrow = self.automate(self.visit, "quotation_sent", filter_domain=BIG)
        stage = self.visit.with_user(self.manager)
        new = self.automations.with_user(self.manager).new(
            {"stage_id": stage.new(origin=stage), "trigger": "quotation_sent"}
        )
        self.assertEqual(new.consequence_text, OTHER_EFFECT % narrow.name)
        new.stage_id = stage.new({"name": "Measured"})
        self.assertFalse(new.consequence_text)

    def test_duplicate(self):
        automation = self.automate_loss(filter_domain=BIG)
        copy = automation.copy()
        self.assertFalse(copy.active)
        self.assertEqual(self.read_texts(copy), ["This is a duplicate: another automation does the same."])
        self.assertEqual(self.read_texts(automation), [""], "the original is at work")
        copy.active = True
        self.assertEqual(self.read_texts(copy), self.read_texts(automation))
        copy.active = False
        copy.filter_domain = False
        self.assertFalse(any(self.read_texts(copy, automation)), "it moves nothing")

    def test_costs_nothing_in_lists(self):
        one = self.automate(self.visit, "quotation_sent")
        view = self.automations.get_view(view_type="list")["arch"]
        self.assertNotIn("consequence_text", view)
        self.env.invalidate_all()
        one.stage_id.name, one.active, one.from_stage_ids.mapped("name")
        with self.assertQueryCount(1 + 1):
            self.assertFalse(one.consequence_text)


@tagged("post_install", "-at_install")
class TestExistingExamples(OutcomeCase):
    def test_marked(self):
        examples = {example["title"]: example for example in self.automations.get_examples()}
        known = {title for title, example in examples.items() if example["exists"]}
        self.assertEqual(known, {"Quotation sent", "Visit planned", "Order confirmed"})
        values = {"days": 1, "outcome": "lost", "lost_reason_id": self.reason.id, "active": False}
        loss = self.automate(self.closed, "quotation_expired", **values)
        examples = {example["title"]: example for example in self.automations.get_examples()}
        self.assertTrue(examples["Quotation expired: lost"]["exists"], "whatever the reason")
        loss.days = 2
        examples = {example["title"]: example for example in self.automations.get_examples()}
        self.assertFalse(examples["Quotation expired: lost"]["exists"])

    def test_lost_customer_comes_back(self):
        """Only lost ones: open ones stay where they are."""
        (example,) = (
            example
            for example in self.automations.get_examples()
            if example["title"] == "A lost customer comes back"
        )
        Form(self.automations.with_user(self.manager).with_context(**example["context"])).save()
        leads = self.create_leads(2)
        leads[0].action_set_lost()
        for lead in leads:
            lead.message_post(
                body="Hello again",
                message_type="email",
                subtype_xmlid="mail.mt_comment",
                email_from="customer@example.com",
                author_id=self.partner.id,
            )
        self.assertEqual(leads.mapped("won_status"), ["pending", "pending"])
        self.assertEqual([lead.stage_id for lead in leads], [self.estimate, self.new])
