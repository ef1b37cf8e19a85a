from unittest.mock import patch

from psycopg2.errors import SerializationFailure

from odoo import Command, fields
from odoo.exceptions import UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .common_automation import AutomationCase

LOGGER = "odoo.addons.crm_sales_stage.models.crm_stage_automation"


@tagged("post_install", "-at_install")
class TestSeededLines(AutomationCase):
    """The story of a sale, told by the seeded lines."""

    def test_whole_story(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        self.assertEqual(lead.stage_id, self.estimate, "a quotation was created")
        self.create_meeting(lead, self.visit_tag)
        self.assertEqual(lead.stage_id, self.visit, "a visit was scheduled")
        order.action_quotation_sent()
        self.assertEqual(lead.stage_id, self.quotation, "the quotation was sent")
        self.assertEqual(lead.probability, 75, "it has the stage's probability")
        order.action_confirm()
        self.assertEqual(lead.stage_id, self.closed, "the order was confirmed")
        self.assertEqual((lead.won_status, lead.probability), ("won", 100))

    def create_meeting(self, lead, tags=None, **values):
        return self.env["calendar.event"].create(
            {
                "name": "At the customer's",
                "start": "2030-01-01 10:00:00",
                "stop": "2030-01-01 11:00:00",
                "opportunity_id": lead.id if lead else False,
                "categ_ids": [Command.set(tags.ids if tags else [])],
                **values,
            }
        )

    def test_visit_by_activity(self):
        lead = self.create_lead()
        lead.activity_schedule("mail.mail_activity_data_call")
        self.assertEqual(lead.stage_id, self.new, "a call is no visit")
        lead.activity_schedule("crm_sales_stage.mail_activity_type_technical_visit")
        self.assertEqual(lead.stage_id, self.visit)

    def test_activity_becomes_visit(self):
        lead = self.create_lead()
        activity = lead.activity_schedule("mail.mail_activity_data_call")
        activity.activity_type_id = self.visit_type
        self.assertEqual(lead.stage_id, self.visit)

    def test_meeting_without_tag(self):
        lead = self.create_lead()
        meeting = self.create_meeting(lead)
        self.assertEqual(lead.stage_id, self.new)
        meeting.categ_ids = self.visit_tag
        self.assertEqual(lead.stage_id, self.visit, "tagged afterwards")

    def test_meeting_linked_afterwards(self):
        lead = self.create_lead()
        meeting = self.create_meeting(None, self.visit_tag)
        meeting.opportunity_id = lead
        self.assertEqual(lead.stage_id, self.visit)

    def test_meeting_from_chatter(self):
        """Odoo links a meeting by the document it is made from, without naming the opportunity."""
        lead = self.create_lead()
        self.env["calendar.event"].with_context(default_res_model="crm.lead", default_res_id=lead.id).create(
            {
                "name": "Visit",
                "start": "2030-01-01 10:00:00",
                "stop": "2030-01-01 11:00:00",
                "categ_ids": [Command.set(self.visit_tag.ids)],
            }
        )
        self.assertEqual(lead.stage_id, self.visit)

    def test_recurring_meeting(self):
        lead = self.create_lead()
        meeting = self.create_meeting(
            lead, self.visit_tag, recurrency=True, rrule_type="weekly", tue=True, end_type="count", count=3
        )
        self.assertEqual(len(meeting.recurrence_id.calendar_event_ids), 3)
        self.assertEqual(lead.stage_id, self.visit)

    def test_quotation_created_from_visit(self):
        lead = self.create_lead(stage_id=self.visit.id)
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.quotation)

    def test_quotation_created_from_new(self):
        lead = self.create_lead()
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.estimate, "that line is only from Technical Visit")

    def test_send_by_mail_dialog(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        action = order.action_quotation_send()
        composer = Form(self.env["mail.compose.message"].with_context(**action["context"])).save()
        composer.action_send_mail()
        self.assertEqual(order.state, "sent")
        self.assertEqual(lead.stage_id, self.quotation)
        message = self.get_tracking_message(lead)
        self.assertIn(order.name, message.body, "told though Odoo marks the order as sent without tracking")

    def test_portal_signature(self):
        """Signing in the portal confirms with the public user's environment."""
        lead = self.create_lead(stage_id=self.quotation.id)
        order = self.create_order(lead, state="sent")
        public = self.env.ref("base.public_user")
        order.with_user(public).sudo()._validate_order()
        self.assertEqual(order.state, "sale")
        self.assertEqual(lead.stage_id, self.closed)
        message = self.get_tracking_message(lead)
        self.assertEqual(
            message.author_id, self.env.ref("base.partner_root"), "the customer did not move the card"
        )
        self.assertIn(order.name, message.body)

    def test_import_confirmed_orders(self):
        """An import creates orders in their final state, in bulk."""
        leads = self.create_leads(3)
        self.env["sale.order"].create(
            [
                self.get_order_values(leads[0], state="draft"),
                self.get_order_values(leads[1], state="sent"),
                self.get_order_values(leads[2], state="sale"),
            ]
        )
        self.assertEqual(leads.mapped("stage_id"), self.estimate + self.quotation + self.closed)

    def test_link_afterwards(self):
        for state, stage in (
            ("draft", self.estimate),
            ("sent", self.quotation),
            ("sale", self.closed),
            ("cancel", self.new),
        ):
            with self.subTest(state):
                lead = self.create_lead()
                order = self.create_order(state=state)
                order.opportunity_id = lead
                self.assertEqual(lead.stage_id, stage)

    def test_duplicate_quotation(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        lead.stage_id = self.new
        copy = order.copy()
        self.assertEqual(copy.opportunity_id, lead)
        self.assertEqual(lead.stage_id, self.new, "nobody has saved the duplicate yet")
        copy.client_order_ref = "Second floor"
        self.assertEqual(lead.stage_id, self.estimate, "a duplicate that is saved is a quotation created")

    def test_duplicate_of_order_of_won_opportunity(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        order.action_confirm()
        order.copy()
        self.assertEqual(lead.stage_id, self.closed)

    def test_cancel_moves_nothing(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        order.action_quotation_sent()
        order._action_cancel()
        self.assertEqual(order.state, "cancel")
        self.assertEqual(lead.stage_id, self.quotation)

    def test_cancel_with_line_moves_back(self):
        self.create_line(
            self.estimate, "quotation_cancelled", from_stage_ids=[Command.set(self.quotation.ids)]
        )
        lead = self.create_lead()
        order = self.create_order(lead)
        order.action_quotation_sent()
        order._action_cancel()
        self.assertEqual(lead.stage_id, self.estimate)

    def test_merge(self):
        """The quotations of merged opportunities count for the one that stays."""
        head = self.create_lead(probability=90)
        tail = self.create_lead()
        order = self.create_order(tail)
        order.action_quotation_sent()
        tail.stage_id = self.new
        merged = (head + tail).merge_opportunity()
        self.assertEqual(order.opportunity_id, merged)
        self.assertEqual(merged.stage_id, self.quotation)

    def test_merge_keeps_furthest(self):
        head = self.create_lead(stage_id=self.quotation.id)
        tail = self.create_lead()
        self.create_order(tail)
        merged = (head + tail).merge_opportunity()
        self.assertEqual(merged, head)
        self.assertEqual(merged.stage_id, self.quotation)

    def test_activity_done(self):
        self.create_line(
            self.quotation,
            "activity_done",
            filter_domain=repr([("activity_type_id", "=", self.visit_type.id)]),
        )
        lead = self.create_lead()
        call = lead.activity_schedule("mail.mail_activity_data_call")
        visit = lead.activity_schedule("crm_sales_stage.mail_activity_type_technical_visit")
        call.action_done()
        self.assertEqual(lead.stage_id, self.visit)
        visit.action_feedback(feedback="Measured")
        self.assertEqual(lead.stage_id, self.quotation)

    def test_activity_cancelled(self):
        self.create_line(self.quotation, "activity_done")
        lead = self.create_lead()
        activity = lead.activity_schedule("mail.mail_activity_data_call")
        activity.action_cancel()
        self.assertEqual(lead.stage_id, self.new, "cancelled is not done")

    def test_activity_of_another_document(self):
        """The document is found by model and id, not by id alone."""
        self.create_line(self.visit, "activity_planned")
        partner = self.env["res.partner"].create({"name": "Somebody"})
        lead = self.create_lead()
        activity = partner.activity_schedule("mail.mail_activity_data_call")
        self.assertFalse(activity._get_crm_stage_leads())
        self.assertEqual(lead.stage_id, self.new)


@tagged("post_install", "-at_install")
class TestEmailTriggers(AutomationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.create_line(cls.estimate, "email_sent")
        cls.create_line(cls.visit, "email_received")
        cls.lead = cls.create_lead(email_from="customer@example.com")

    def post(self, **values):
        self.lead.with_user(self.salesman).message_post(**{"body": "Hello", **values})

    def test_note(self):
        self.post(subtype_xmlid="mail.mt_note")
        self.assertEqual(self.lead.stage_id, self.new)

    def test_note_to_colleague(self):
        self.post(subtype_xmlid="mail.mt_note", partner_ids=self.manager.partner_id.ids)
        self.assertEqual(self.lead.stage_id, self.new)

    def test_message_to_colleague(self):
        self.post(
            message_type="comment", subtype_xmlid="mail.mt_comment", partner_ids=self.manager.partner_id.ids
        )
        self.assertEqual(self.lead.stage_id, self.new, "a colleague is no customer")

    def test_message_to_customer(self):
        self.post(message_type="comment", subtype_xmlid="mail.mt_comment", partner_ids=self.partner.ids)
        self.assertEqual(self.lead.stage_id, self.estimate)

    def test_message_to_following_customer(self):
        self.lead.message_subscribe(self.partner.ids)
        self.post(message_type="comment", subtype_xmlid="mail.mt_comment")
        self.assertEqual(self.lead.stage_id, self.estimate)

    def test_log_with_following_customer(self):
        self.lead.message_subscribe(self.partner.ids)
        self.lead._message_log(body="Something happened")
        self.assertEqual(self.lead.stage_id, self.new)

    def test_scheduled_message(self):
        self.post(
            message_type="comment",
            subtype_xmlid="mail.mt_comment",
            partner_ids=self.partner.ids,
            scheduled_date=fields.Datetime.add(fields.Datetime.now(), days=1),
        )
        self.assertEqual(self.lead.stage_id, self.new, "not sent yet")
        self.env["mail.message.schedule"].search(
            [("mail_message_id", "in", self.lead.message_ids.ids)]
        ).force_send()
        self.assertEqual(self.lead.stage_id, self.estimate)

    def test_composer(self):
        context = {
            "default_model": "crm.lead",
            "default_res_ids": self.lead.ids,
            "default_partner_ids": self.partner.ids,
        }
        composer = (
            self.env["mail.compose.message"]
            .with_context(**context)
            .create({"body": "Offer", "subject": "Offer"})
        )
        composer.action_send_mail()
        self.assertEqual(self.lead.stage_id, self.estimate)

    def test_mass_mail(self):
        lead2 = self.create_lead(partner_id=False, email_from="other@example.com")
        lead3 = self.create_lead(partner_id=False, email_from=False)
        composer = self.env["mail.compose.message"].create(
            {
                "model": "crm.lead",
                "res_ids": repr((self.lead + lead2 + lead3).ids),
                "composition_mode": "mass_mail",
                "body": "Offer",
                "subject": "Offer",
            }
        )
        composer.action_send_mail()
        self.assertEqual((self.lead + lead2).stage_id, self.estimate)
        self.assertEqual(lead3.stage_id, self.new, "nobody to send to")

    def test_template(self):
        template = self.env["mail.template"].create(
            {
                "name": "Reminder",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "subject": "Reminder",
                "body_html": "<p>Hello</p>",
                "email_to": "{{ object.email_from }}",
            }
        )
        template.send_mail(self.lead.id)
        self.assertEqual(self.lead.stage_id, self.estimate)

    def get_mail(self, sender):
        return f"""From: {sender}
To: sales@example.com
Subject: Re: House
Message-Id: <{sender.replace("@", ".")}.1@example.com>
In-Reply-To: {self.message.message_id}
References: {self.message.message_id}
Content-Type: text/plain

Thank you."""

    def receive(self, sender):
        self.message = self.lead.message_post(body="Hello", subtype_xmlid="mail.mt_comment")
        with mute_logger("odoo.addons.mail.models.mail_thread"):
            self.env["mail.thread"].message_process("crm.lead", self.get_mail(sender))

    def test_receive(self):
        self.receive("customer@example.com")
        self.assertIn("Thank you.", self.lead.message_ids[0].body)
        self.assertEqual(self.lead.stage_id, self.visit)

    def test_receive_from_unknown(self):
        self.receive("neighbour@example.org")
        self.assertEqual(self.lead.stage_id, self.visit)

    def test_colleague_replies_from_own_mail_program(self):
        self.lead.message_subscribe(self.partner.ids)
        self.receive("s@example.com")
        self.assertEqual(self.lead.stage_id, self.estimate, "the customer gets it by Odoo: an e-mail sent")

    def test_move_is_no_email(self):
        """The message that tracks the stage goes to followers, too; it triggers nothing."""
        self.lead.message_subscribe(self.partner.ids, subtype_ids=self.env.ref("crm.mt_lead_stage").ids)
        self.lead.stage_id = self.estimate
        self.create_line(self.quotation, "email_sent")
        self.pass_commit()
        self.assertEqual(self.lead.stage_id, self.estimate)


@tagged("post_install", "-at_install")
class TestRules(AutomationCase):
    def test_forward_only(self):
        lead = self.create_lead(stage_id=self.quotation.id)
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.quotation)

    def test_backward_from_named_origin(self):
        self.create_line(self.new, "meeting_scheduled", from_stage_ids=[Command.set(self.estimate.ids)])
        lead, other = self.create_lead(stage_id=self.estimate.id), self.create_lead(stage_id=self.visit.id)
        self.env["calendar.event"].create(
            [
                {
                    "name": "x",
                    "start": "2030-01-01 10:00:00",
                    "stop": "2030-01-01 11:00:00",
                    "opportunity_id": lead_id,
                }
                for lead_id in (lead + other).ids
            ]
        )
        self.assertEqual(lead.stage_id, self.new)
        self.assertEqual(other.stage_id, self.visit, "not one of the named stages")

    def test_order_is_the_pipelines(self):
        """Stages of the same sequence are ordered as the pipeline shows them."""
        stage = self.env["crm.stage"].create({"name": "Zoo", "sequence": self.estimate.sequence})
        self.create_line(stage, "quotation_sent")
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
        self.create_line(later, "quotation_created")
        self.create_line(
            later, "quotation_created", from_stage_ids=[Command.set((self.closed + self.new).ids)]
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
        self.create_line(self.visit, "quotation_created")
        lead = self.create_lead()
        Automation = type(self.automations)
        with patch.object(
            Automation, "_run_action", autospec=True, side_effect=Automation._run_action
        ) as run:
            self.create_order(lead)
        self.assertEqual(lead.stage_id, self.visit)
        self.assertEqual(run.call_count, 1, "one move, not one per automation")

    def test_condition_chooses(self):
        self.create_line(self.visit, "quotation_created", filter_domain="[('amount_untaxed', '>', 1000)]")
        leads = self.create_leads(2)
        self.env["sale.order"].create(
            [
                self.get_order_values(leads[0]),
                self.get_order_values(
                    leads[1],
                    order_line=[Command.create({"product_id": self.product.id, "product_uom_qty": 3})],
                ),
            ]
        )
        self.assertEqual(leads.mapped("stage_id"), self.estimate + self.visit)

    def test_condition_over_links(self):
        self.partner.country_id = self.env.ref("base.fr")
        self.create_line(
            self.visit, "quotation_created", filter_domain="[('partner_id.country_id.code', '=', 'FR')]"
        )
        lead = self.create_lead()
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.visit)

    def test_condition_any_of_several_documents(self):
        """An opportunity moves when one of its documents meets the condition; the chatter names that one."""
        self.create_line(
            self.visit, "quotation_created", filter_domain="[('client_order_ref', '=', 'right')]"
        )
        lead = self.create_lead()
        orders = self.env["sale.order"].create(
            [self.get_order_values(lead, client_order_ref=ref) for ref in ("wrong", "right", "wrong")]
        )
        self.assertEqual(lead.stage_id, self.visit)
        body = self.get_tracking_message(lead).body
        self.assertIn(orders[1].name, body)
        self.assertNotIn(orders[0].name, body)

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

    def test_archived_line(self):
        self.env.ref("crm_sales_stage.automation_estimate_quotation_created").active = False
        lead = self.create_lead()
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.new)

    def test_system_rights(self):
        """A salesperson's quotation moves the opportunity of a colleague, which they may not see."""
        lead = self.create_lead(user_id=self.manager.id)
        order = self.create_order(lead, user_id=self.salesman.id)
        lead.stage_id = self.new
        self.pass_commit()
        own = order.with_user(self.salesman)
        self.assertFalse(lead.with_user(self.salesman).has_access("read"))
        own.action_quotation_sent()
        self.assertEqual(lead.stage_id, self.quotation)
        message = self.get_tracking_message(lead)
        self.assertEqual(
            message.author_id, self.env.ref("base.partner_root"), "Authors may read the opportunity's name"
        )
        self.assertIn(order.name, message.body)

    def test_author_who_sees_the_opportunity(self):
        lead = self.create_lead()
        order = self.create_order(lead, user_id=self.salesman.id)
        self.pass_commit()
        order.with_user(self.salesman).action_quotation_sent()
        self.assertEqual(self.get_tracking_message(lead).author_id, self.salesman.partner_id)

    def test_chatter(self):
        self.partner.name = "<b>Bold</b>"
        self.estimate.name = "<i>Estimate</i>"
        lead = self.create_lead()
        order = self.create_order(lead)
        body = self.get_tracking_message(lead).body
        self.assertIn(f'data-oe-id="{order.id}"', body)
        self.assertIn('data-oe-model="sale.order"', body)
        self.assertIn("&lt;i&gt;Estimate&lt;/i&gt;", body)
        self.assertIn("a quotation is created", body)

    def test_chatter_keeps_other_message(self):
        """Odoo CRM tells in the same message that the revenue was updated."""
        lead = self.create_lead()
        order = self.create_order(lead)
        order.action_confirm()
        body = self.get_tracking_message(lead).body
        self.assertIn(order.name, body)
        self.assertIn("Expected revenue has been updated", body)

    def test_one_message_per_transaction(self):
        lead = self.create_lead()
        before = lead.message_ids
        order = self.create_order(lead)
        order.action_quotation_sent()
        order.action_confirm()
        self.pass_commit()
        messages = lead.message_ids - before
        self.assertEqual(len(messages), 1, "from New to Won / Lost, not step by step")
        self.assertIn("an order is confirmed", messages.body)

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

    def test_new_line_works_at_once(self):
        stage = self.env["crm.stage"].create({"name": "Ordered", "sequence": 3})
        lead = self.create_lead()
        line = self.create_line(stage, "quotation_created")
        self.create_order(lead)
        self.assertEqual(lead.stage_id, stage)
        self.assertIn("default", self.env.registry.cache_invalidated, "the other workers are told")
        line.unlink()
        lead = self.create_lead()
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.estimate)

    def test_won_by_custom_won_stage(self):
        stage = self.env["crm.stage"].create({"name": "Signed", "sequence": 60, "is_won": True})
        self.create_line(stage, "quotation_sent")
        lead = self.create_lead()
        order = self.create_order(lead)
        order.action_quotation_sent()
        self.assertEqual((lead.stage_id, lead.won_status), (stage, "won"))

    def test_delete_only_origin(self):
        origin = self.env["crm.stage"].create({"name": "Origin", "sequence": 2})
        line = self.create_line(self.visit, "quotation_sent", from_stage_ids=[Command.set(origin.ids)])
        origin.unlink()
        self.assertFalse(line.active, "it would take opportunities from anywhere")

    def test_delete_stage(self):
        stage = self.env["crm.stage"].create({"name": "Gone", "sequence": 2})
        line = self.create_line(stage, "quotation_created")
        action = line.action_server_id
        stage.unlink()
        self.assertFalse((line.exists(), action.exists())[0] or action.exists())
        lead = self.create_lead()
        self.create_order(lead)
        self.assertEqual(lead.stage_id, self.estimate)


@tagged("post_install", "-at_install")
class TestLine(AutomationCase):
    def test_sentence(self):
        get = lambda name, lang="en_US": self.env.ref(f"crm_sales_stage.{name}").with_context(lang=lang).name  # noqa: E731
        self.assertEqual(
            get("automation_quotation_quotation_sent"), 'Move to "Quotation" when a quotation is sent'
        )
        self.assertEqual(
            get("automation_quotation_quotation_created"),
            'From Technical Visit to "Quotation" when a quotation is created',
        )
        self.assertEqual(
            get("automation_technical_visit_meeting_scheduled"),
            f'Move to "Technical Visit" when a meeting is scheduled, if Tags is {self.visit_tag.name}',
        )

    def test_sentence_in_french(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        line = self.env.ref("crm_sales_stage.automation_quotation_quotation_created").with_context(
            lang="fr_FR"
        )
        self.visit.with_context(lang="fr_FR").name = "Visite Technique"
        self.quotation.with_context(lang="fr_FR").name = "Devis"
        self.assertEqual(line.name, "De Visite Technique vers « Devis » quand un devis est créé")
        line.from_stage_ids = False
        line.filter_domain = "[('invoice_status', '=', 'no'), ('amount_total', '>', 1)]"
        self.assertEqual(
            line.name,
            "Déplacer vers « Devis » quand un devis est créé, si le document remplit 2 condition(s)",
        )

    def test_technical_visit_tag(self):
        """In the company's language, as names of tags are not translated; one that is there is taken."""
        xml_id = "crm_sales_stage.calendar_event_type_technical_visit"
        self.env["res.lang"]._activate_lang("fr_FR")
        self.env["crm.stage.automation"].search([("trigger", "=", "meeting_scheduled")]).unlink()
        self.visit_tag.unlink()
        self.env.company.partner_id.lang = "fr_FR"
        self.env["calendar.event.type"]._provide_technical_visit()
        tag = self.env.ref(xml_id)
        self.assertEqual(tag.name, "Visite Technique")
        self.env.company.partner_id.lang = "en_US"
        self.env["calendar.event.type"]._provide_technical_visit()
        self.assertEqual(self.env.ref(xml_id), tag, "the customer's own is taken as it is")
        self.assertEqual(tag.name, "Visite Technique")

    def test_sentence_of_several_conditions(self):
        line = self.create_line(
            self.visit,
            "quotation_sent",
            filter_domain="[('amount_total', '>', 5), ('client_order_ref', '!=', False)]",
        )
        self.assertEqual(
            line.name,
            'Move to "Technical Visit" when a quotation is sent, if the document meets 2 condition(s)',
        )

    def test_sentence_of_selection(self):
        line = self.create_line(self.visit, "quotation_sent", filter_domain="[('invoice_status', '=', 'no')]")
        self.assertIn("if Invoice Status is Nothing to Invoice", line.name)

    def test_shares_action(self):
        line = self.create_line(self.quotation, "quotation_cancelled")
        self.assertEqual(
            line.action_server_id, self.env.ref("crm_sales_stage.action_move_to_stage_quotation")
        )
        line.stage_id = self.visit
        self.assertEqual(
            line.action_server_id, self.env.ref("crm_sales_stage.action_move_to_stage_technical_visit")
        )

    def test_makes_action(self):
        stage = self.env["crm.stage"].create({"name": "Measured"})
        lines = self.create_line(stage, "quotation_sent") + self.create_line(stage, "activity_done")
        self.assertEqual(len(lines.action_server_id), 1)
        self.assertEqual(lines.action_server_id.name, "Move to Measured")

    def test_from_itself(self):
        with self.assertRaisesRegex(ValidationError, "to itself"):
            self.create_line(self.visit, "quotation_sent", from_stage_ids=[Command.set(self.visit.ids)])

    def test_refuses_what_is_no_domain(self):
        for domain in (
            "[('name', '=', user.name)]",
            "[('name', '=', env.cr.execute('select 1'))]",
            "[('name', '=', __import__('os').getcwd())]",
            "[(lambda: 1)()]",
            "[x for x in ().__class__.__base__.__subclasses__()]",
            "[('name', '=', 'a'",
            "'name'",
            "{'name': 1}",
            "[('name', 'any!', [])]",
            "['&']",
            "[('name', '=')]",
            "(" * 300,
        ):
            with self.subTest(domain), self.assertRaisesRegex(ValidationError, "condition"):
                self.create_line(self.visit, "quotation_sent", filter_domain=domain)

    def test_refuses_unknown_field(self):
        for domain in (
            "[('nonsense', '=', 1)]",
            "[('partner_id.nonsense', '=', 1)]",
            "[('partner_id', 'any', [('nonsense', '=', 1)])]",
            "['|', ('name', '=', 'x'), '!', ('order_line.nonsense', '=', 1)]",
        ):
            with self.subTest(domain), self.assertRaisesRegex(ValidationError, "nonsense"):
                self.create_line(self.visit, "quotation_sent", filter_domain=domain)

    def test_refuses_what_cannot_be_searched(self):
        with self.assertRaisesRegex(ValidationError, "cannot be searched"):
            self.create_line(self.visit, "quotation_sent", filter_domain="[('user_id.password', '=', '')]")

    def test_accepts_relative_dates(self):
        line = self.create_line(
            self.visit,
            "quotation_created",
            filter_domain="[('date_order', '>=', 'today -7d'), ('state', 'in', ['draft'])]",
        )
        lead = self.create_lead()
        self.create_order(lead)
        self.assertFalse(line.fault)
        self.assertEqual(lead.stage_id, self.visit)

    def test_condition_checked_against_new_trigger(self):
        line = self.create_line(self.visit, "quotation_sent", filter_domain="[('amount_total', '>', 5)]")
        with self.assertRaisesRegex(ValidationError, "amount_total"):
            line.trigger = "meeting_scheduled"

    def test_selection_of_triggers(self):
        triggers = dict(self.automations.fields_get(["trigger"])["trigger"]["selection"])
        self.assertGreaterEqual(
            triggers.keys(),
            {
                "quotation_created",
                "quotation_sent",
                "order_confirmed",
                "quotation_cancelled",
                "meeting_scheduled",
                "activity_planned",
                "activity_done",
                "email_sent",
                "email_received",
            },
        )


@tagged("post_install", "-at_install")
class TestFaults(AutomationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.line = cls.env.ref("crm_sales_stage.automation_quotation_quotation_sent")
        cls.fallback = cls.create_line(cls.visit, "quotation_sent")

    def break_condition(self):
        """As when the addon that brought a field is gone."""
        self.line.flush_recordset()
        self.env.cr.execute(
            "UPDATE crm_stage_automation SET filter_domain = %s WHERE id = %s",
            ["[('gone', '=', 1)]", self.line.id],
        )
        self.line.invalidate_recordset()
        self.env.registry.clear_cache()

    def send(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        with mute_logger(LOGGER):
            order.action_quotation_sent()
        self.assertEqual(order.state, "sent", "the sale goes through")
        return lead

    def test_fault_of_condition(self):
        self.break_condition()
        lead = self.send()
        self.assertIn("gone", self.line.fault)
        self.assertTrue(self.line.fault_date)
        self.assertEqual(lead.stage_id, self.visit, "the other line works")

    def test_fault_is_logged(self):
        self.break_condition()
        order = self.create_order(self.create_lead())
        with self.assertLogs(LOGGER, "WARNING") as logs:
            order.action_quotation_sent()
        self.assertIn(f"automation {self.line.id}", logs.output[0])

    def test_fault_of_move(self):
        """Also a fault of the database, which shows on flushing, is the line's alone."""
        Lead = type(self.env["crm.lead"])
        write = Lead.write

        def break_quotation(leads, vals):
            res = write(leads, vals)
            if vals.get("stage_id") == self.quotation.id:
                leads.env.cr.execute("SELECT 1/0")
            return res

        with patch.object(Lead, "write", break_quotation), mute_logger("odoo.sql_db"):
            lead = self.send()
        self.assertIn("division by zero", self.line.fault)
        self.assertEqual(lead.stage_id, self.visit, "rolled back, and left to the next line")
        self.assertNotIn("Quotation", self.get_tracking_message(lead).body)
        lead = self.send()
        self.assertEqual(lead.stage_id, self.quotation)
        self.assertFalse(self.line.fault, "it works again")
        self.assertFalse(self.line.fault_date)

    def test_business_error_is_not_the_lines(self):
        """What the business action left pending fails as without us."""
        lead = self.create_lead()
        order = self.create_order(lead)

        def compute(orders):
            raise ZeroDivisionError("business")

        order.order_line.product_uom_qty = 5  # leaves the amounts to be computed
        with (
            patch.object(type(order), "_compute_amounts", compute),
            self.assertRaisesRegex(ZeroDivisionError, "business"),
        ):
            order.action_quotation_sent()
        self.assertFalse(self.line.fault)

    def test_concurrency_is_no_fault(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        with (
            patch.object(type(self.env["crm.lead"]), "write", side_effect=SerializationFailure()),
            self.assertRaises(SerializationFailure),
        ):
            order.action_quotation_sent()
        self.assertFalse(self.line.fault)

    def test_fault_written_on_change_only(self):
        self.break_condition()
        self.send()
        with patch.object(type(self.line), "invalidate_recordset", autospec=True) as told:
            self.send()
        self.assertFalse([call for call in told.call_args_list if call.args[0] == self.line])

    def test_fault_goes_away_on_correction(self):
        self.break_condition()
        self.send()
        self.line.filter_domain = False
        self.assertFalse(self.line.fault)

    def test_changed_action(self):
        """An administrator may make something else of the action; the line does not run it."""
        self.line.action_server_id.write({"state": "code", "code": "records.write({'name': 'hacked'})"})
        lead = self.send()
        self.assertEqual(lead.name, "House")
        self.assertIn("correct it", self.line.fault)

    def test_deleted_action(self):
        with self.assertRaisesRegex(UserError, "delete them first"):
            self.line.action_server_id.unlink()


@tagged("post_install", "-at_install")
class TestExistingDocuments(AutomationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["sale.order"].search([]).opportunity_id = False
        cls.leads = cls.create_leads(3)
        cls.orders = cls.env["sale.order"].create(
            [cls.get_order_values(lead, client_order_ref=lead.name) for lead in cls.leads]
        )
        cls.leads.stage_id = cls.new
        cls.line = cls.create_line(
            cls.visit, "quotation_created", filter_domain="[('client_order_ref', '!=', 'House 1')]"
        )

    def test_preview(self):
        leads = self.get_preview(self.line.with_user(self.manager)).line_ids.lead_id
        self.assertEqual(leads, (self.leads[0] + self.leads[2]).sorted())
        self.assertEqual(self.leads.stage_id, self.new, "a preview moves nothing")

    def test_preview_is_what_happens(self):
        """Won, lost and later opportunities, and documents the trigger has not happened to, are not in it."""
        extra = self.create_leads(4)
        self.env["sale.order"].create([self.get_order_values(lead) for lead in extra])
        extra.stage_id = self.new
        extra[0].stage_id = self.closed
        extra[1].action_set_lost()
        extra[2].stage_id = self.quotation
        extra[3].order_ids._action_cancel()
        leads = self.get_preview(self.line).line_ids.lead_id
        self.assertEqual(leads, (self.leads[0] + self.leads[2]).sorted())

    def test_preview_of_other_triggers(self):
        lead = self.leads[0]
        lead.activity_schedule("mail.mail_activity_data_call")
        lead.activity_schedule("mail.mail_activity_data_call").action_done()
        lead.message_post(
            body="x", message_type="comment", subtype_xmlid="mail.mt_comment", partner_ids=self.partner.ids
        )
        lead.message_post(body="x", message_type="email", author_id=self.partner.id)
        self.env["calendar.event"].create(
            {
                "name": "x",
                "start": "2030-01-01 10:00:00",
                "stop": "2030-01-01 11:00:00",
                "opportunity_id": lead.id,
            }
        )
        for trigger in (
            "activity_planned",
            "activity_done",
            "email_sent",
            "email_received",
            "meeting_scheduled",
        ):
            with self.subTest(trigger):
                line = self.create_line(self.visit, trigger)
                self.assertEqual(self.get_preview(line).line_ids.lead_id & self.leads, lead)
                line.action_catch_up()
                self.assertEqual(lead.stage_id, self.visit)
                lead.stage_id = self.new
                line.active = False

    def test_few_at_once(self):
        action = self.line.with_user(self.manager).action_catch_up()
        self.assertEqual(action["params"]["message"], "2 opportunities moved.")
        self.assertEqual(self.leads.mapped("stage_id"), self.visit + self.new)
        self.assertIn(self.orders[0].name, self.get_tracking_message(self.leads[0]).body)
        action = self.line.action_catch_up()
        self.assertEqual(action["params"]["message"], "0 opportunities moved.", "never twice")

    def test_idle(self):
        self.visit.active = False
        with self.assertRaisesRegex(UserError, "archived"):
            self.line.action_catch_up()

    def test_faulty(self):
        with (
            patch.object(type(self.env["ir.actions.server"]), "run", side_effect=ValueError("broken")),
            mute_logger(LOGGER),
            self.assertRaisesRegex(UserError, "broken"),
        ):
            self.line.action_catch_up()

    def test_many_by_job(self):
        self.line.filter_domain = False
        with patch("odoo.addons.crm_sales_stage.models.crm_stage_automation_catch_up.CATCH_UP_BATCH", 2):
            self.line.with_user(self.manager).action_catch_up()
            self.assertEqual(self.leads.stage_id, self.new, "left to the job")
            self.assertTrue(self.line.is_catching_up)
            self.assertEqual((self.line.catch_up_total, self.line.catch_up_progress), (3, 0))
            cron = self.env.ref("crm_sales_stage.ir_cron_crm_stage_catch_up")
            self.assertTrue(self.env["ir.cron.trigger"].search_count([("cron_id", "=", cron.id)]))
            # interrupted after the first batch
            with patch.object(type(self.env["ir.cron"]), "_commit_progress", return_value=0) as progress:
                self.automations._cron_catch_up()
            progress.assert_called_once_with(2, remaining=1)
            self.assertEqual(self.leads.mapped("stage_id"), self.visit + self.new)
            self.assertEqual(self.line.catch_up_progress, 66)
            # moved back by hand meanwhile: not moved again
            self.leads[0].stage_id = self.new
            with patch.object(type(self.env["ir.cron"]), "_commit_progress", return_value=60):
                self.automations._cron_catch_up()
        self.assertEqual(self.leads.mapped("stage_id.id"), (self.new + self.visit).ids)
        self.assertEqual(self.leads[0].stage_id, self.new)
        self.assertEqual(self.leads[2].stage_id, self.visit)
        self.assertFalse(self.line.is_catching_up)

    def test_job_stops_at_fault(self):
        self.line.filter_domain = False
        with patch("odoo.addons.crm_sales_stage.models.crm_stage_automation_catch_up.CATCH_UP_BATCH", 2):
            self.line.action_catch_up()
            with (
                patch.object(type(self.env["ir.cron"]), "_commit_progress", return_value=60),
                patch.object(type(self.env["ir.actions.server"]), "run", side_effect=ValueError("broken")),
                mute_logger(LOGGER),
            ):
                self.automations._cron_catch_up()
        self.assertFalse(self.line.is_catching_up)
        self.assertIn("broken", self.line.fault)

    def test_job_runs_as_scheduled(self):
        self.line.filter_domain = False
        with patch("odoo.addons.crm_sales_stage.models.crm_stage_automation_catch_up.CATCH_UP_BATCH", 2):
            self.line.action_catch_up()
            with self.enter_registry_test_mode():
                self.env.ref("crm_sales_stage.ir_cron_crm_stage_catch_up").method_direct_trigger()
        self.assertEqual(self.leads.stage_id, self.visit)


@tagged("post_install", "-at_install")
class TestQueries(AutomationCase):
    """Counts, not times: what the addon adds to a business action."""

    def count(self, function):
        self.env.flush_all()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        function()
        self.env.flush_all()
        return self.env.cr.sql_log_count - before

    def silence(self):
        """:return: patch that takes the addon's hooks away, as if it were not installed"""
        return patch.object(
            type(self.env["crm.stage.trigger.mixin"]),
            "_get_heard_crm_stage_triggers",
            lambda records: frozenset(),
        )

    def compare(self, function):
        """Queries of ``function`` without and with the addon's hooks, caches warm."""
        function()
        with self.silence():
            plain = self.count(function)
        return plain, self.count(function)

    def test_order_without_opportunity(self):
        plain, ours = self.compare(lambda: self.create_order())
        self.assertEqual(ours, plain)

    def test_confirm_without_opportunity(self):
        plain, ours = self.compare(lambda: self.create_order().action_confirm())
        self.assertEqual(ours, plain)

    def test_nothing_listens(self):
        self.automations.search([]).active = False
        plain, ours = self.compare(lambda: self.create_order(self.lead).action_confirm())
        self.assertEqual(ours, plain)

    def test_linear(self):
        """Moving 200 takes about as many queries of ours as moving one, beyond those of writing a stage."""
        cost_of_one, cost_of_many = self.get_cost(1), self.get_cost(200)
        self.assertLessEqual(cost_of_one, 25)
        self.assertLessEqual(cost_of_many, cost_of_one + 5)

    def get_cost(self, count):
        """:return: queries that moving ``count`` opportunities takes more than writing their stage by hand"""

        def create(leads):
            self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])

        def create_and_write(leads):
            create(leads)
            leads.write({"stage_id": self.estimate.id})

        create(self.create_leads(count))  # warms the caches
        leads = self.create_leads(count)
        with self.silence():
            floor = self.count(lambda: create_and_write(leads))
        leads = self.create_leads(count)
        cost = self.count(lambda: create(leads)) - floor
        self.assertEqual(leads.stage_id, self.estimate)
        return cost

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lead = cls.create_lead()
