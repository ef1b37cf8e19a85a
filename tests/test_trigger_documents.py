from unittest.mock import patch

from odoo import Command
from odoo.fields import Domain
from odoo.tests import Form, new_test_user, tagged

from .common_automation import AutomationCase


@tagged("post_install", "-at_install")
class TestDuplicatedQuotation(AutomationCase):
    """A duplicate is the start of another quotation, often of another customer's."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other_partner = cls.env["res.partner"].create({"name": "Neighbour"})
        cls.lead = cls.create_lead()
        cls.order = cls.create_order(cls.lead)
        cls.lead.stage_id = cls.new
        cls.pass_commit()

    def get_existing(self, *triggers):
        """:return: the opportunities whose existing quotations would move them"""
        orders = self.env["sale.order"]
        for trigger in triggers:
            orders |= orders.search(
                orders._get_crm_stage_trigger_domain(trigger) & orders._get_crm_stage_lead_domain()
            )
        return orders.opportunity_id

    def test_not_saved(self):
        copy = self.order.copy()
        self.pass_commit()
        self.assertEqual(copy.opportunity_id, self.lead)
        self.assertEqual(self.lead.stage_id, self.new)
        self.order.unlink()
        self.assertNotIn(self.lead, self.get_existing("quotation_created"))
        copy.client_order_ref = "Second floor"
        self.assertIn(self.lead, self.get_existing("quotation_created"))

    def test_written_while_duplicated(self):
        """As automation rules and other addons do, which have more to say about a new quotation."""
        orders = type(self.order)
        create = orders.create

        def create_and_write(self, vals_list):
            created = create(self, vals_list)
            created.client_order_ref = "By a rule"
            return created

        with patch.object(orders, "create", create_and_write):
            copy = self.order.copy()
        self.assertEqual((copy.client_order_ref, self.lead.stage_id), ("By a rule", self.new))
        copy.client_order_ref = "Second floor"
        self.assertEqual(self.lead.stage_id, self.estimate)

    def test_saved_for_same_customer(self):
        for values in (
            {"client_order_ref": "Second floor"},
            {"order_line": [Command.create({"product_id": self.product.id})]},
            {"partner_id": self.partner.id},
            {
                "partner_id": self.env["res.partner"]
                .create({"name": "At Work", "parent_id": self.partner.id, "type": "contact"})
                .id
            },
        ):
            with self.subTest(values):
                copy = self.order.copy()
                self.assertEqual(self.lead.stage_id, self.new)
                copy.write(values)
                self.assertEqual(self.lead.stage_id, self.estimate)
                self.lead.stage_id = self.new
                copy.client_order_ref = "Third floor"
                self.assertEqual(self.lead.stage_id, self.new, "it is created once")

    def test_form(self):
        copy = self.order.copy()
        with Form(copy) as form:
            form.client_order_ref = "Second floor"
        self.assertEqual(self.lead.stage_id, self.estimate)

    def test_used_without_saving(self):
        copy = self.order.copy()
        copy.action_quotation_sent()
        self.assertEqual(self.lead.stage_id, self.quotation)
        copy = self.order.copy()
        copy.action_confirm()
        self.assertEqual(self.lead.stage_id, self.closed)

    def test_another_customer(self):
        """It moves nothing of the first one, whatever happens to it."""
        self.create_automation(self.visit, "quotation_cancelled")
        copy = self.order.copy()
        with Form(copy) as form:
            form.partner_id = self.other_partner
        self.assertEqual(copy.opportunity_id, self.lead, "Odoo leaves it there")
        copy.client_order_ref = "Garden door"
        copy.action_quotation_sent()
        copy._action_cancel()
        copy.action_draft()
        copy.action_confirm()
        self.pass_commit()
        self.assertEqual(self.lead.stage_id, self.new)
        self.order.unlink()
        self.assertNotIn(self.lead, self.get_existing("quotation_created", "order_confirmed"))

    def test_another_customer_in_code(self):
        copy = self.order.copy({"partner_id": self.other_partner.id})
        copy.action_quotation_sent()
        self.assertEqual(self.lead.stage_id, self.new)

    def test_back_to_first_customer(self):
        copy = self.order.copy()
        copy.partner_id = self.other_partner
        copy.action_quotation_sent()
        copy.partner_id = self.partner
        self.assertEqual(self.lead.stage_id, self.quotation)

    def test_opportunity_chosen_anew(self):
        copy = self.order.copy()
        copy.partner_id = self.other_partner
        lead = self.create_lead(partner_id=self.other_partner.id)
        copy.opportunity_id = lead
        self.assertEqual((self.lead + lead).mapped("stage_id"), self.new + self.estimate)
        copy.action_quotation_sent()
        self.assertEqual(lead.stage_id, self.quotation)
        copy = self.order.copy()
        copy.write({"partner_id": self.other_partner.id, "opportunity_id": False})
        copy.opportunity_id = self.lead
        self.assertEqual(self.lead.stage_id, self.estimate, "somebody says it is this one's")

    def test_opportunity_given(self):
        lead = self.create_lead(partner_id=self.other_partner.id)
        self.order.copy({"partner_id": self.other_partner.id, "opportunity_id": lead.id})
        self.assertEqual((self.lead + lead).mapped("stage_id"), self.new + self.estimate)

    def test_duplicate_of_duplicate(self):
        copy = self.order.copy()
        copy.partner_id = self.other_partner
        second = copy.copy()
        second.client_order_ref = "Garden door"
        self.assertEqual(self.lead.stage_id, self.new)
        second.partner_id = self.partner
        self.assertEqual(self.lead.stage_id, self.estimate)

    def test_several(self):
        leads = self.create_leads(2)
        leads[1].partner_id = self.other_partner
        orders = self.create_order(leads[0]) + self.create_order(leads[1], partner_id=self.other_partner.id)
        leads.stage_id = self.new
        copies = orders.copy()
        self.assertEqual(copies.opportunity_id, leads)
        copies.write({"partner_id": self.partner.id})
        self.assertEqual(leads.mapped("stage_id"), self.estimate + self.new)

    def test_without_opportunity(self):
        copy = self.create_order().copy()
        self.assertFalse(copy.crm_stage_copied_partner_id)
        copy.opportunity_id = self.lead
        self.assertEqual(self.lead.stage_id, self.estimate)

    def test_cancelled(self):
        self.order._action_cancel()
        copy = self.order.copy()
        copy.client_order_ref = "Once more"
        self.assertEqual(self.lead.stage_id, self.estimate)

    def test_merge(self):
        """Opportunities that are merged take along another customer's duplicate: nobody chose it for them."""
        copy = self.order.copy()
        copy.partner_id = self.other_partner
        self.order.unlink()
        head = self.create_lead(probability=90)
        merged = (head + self.lead).merge_opportunity()
        self.assertEqual((merged, copy.opportunity_id), (head, head))
        self.assertEqual(merged.stage_id, self.new)
        self.assertFalse(merged.env.context.get("crm_stage_keep_copies"))

    def test_other_company_customer(self):
        """Whoever saves a duplicate need not see the first customer."""
        user = new_test_user(
            self.env, "duplicator", groups="sales_team.group_sale_salesman_all_leads,base.group_user"
        )
        copy = self.order.copy()
        company = self.env["res.company"].create({"name": "Elsewhere"})
        hidden = self.env["res.partner"].create({"name": "Hidden", "company_id": company.id})
        copy.crm_stage_copied_partner_id = hidden
        self.env.flush_all()
        self.env.invalidate_all()
        copy.with_user(user).partner_id = self.other_partner
        self.env.flush_all()
        self.assertEqual(self.lead.stage_id, self.new)

    def test_nothing_listens(self):
        """A duplicate made meanwhile is a document like any other."""
        automations = self.automations.search([])
        automations.active = False
        copy = self.order.copy()
        copy.client_order_ref = "Second floor"
        automations.active = True
        self.order.unlink()
        self.assertIn(self.lead, self.get_existing("quotation_created"))

    def test_chosen_anew_while_nothing_listens(self):
        automations = self.automations.search([])
        automations.active = False
        copy = self.order.copy()
        copy.partner_id = self.other_partner
        lead = self.create_lead(partner_id=self.other_partner.id)
        copy.opportunity_id = lead
        automations.active = True
        self.assertEqual(self.get_existing("quotation_created") & lead, lead)
        copy.action_quotation_sent()
        self.assertEqual(lead.stage_id, self.quotation)

    def test_same_opportunity_sent_along(self):
        """As a form does that sends all of its fields: it was not chosen anew."""
        copy = self.order.copy()
        copy.write({"partner_id": self.other_partner.id, "opportunity_id": self.lead.id})
        self.assertEqual(self.lead.stage_id, self.new)

    def test_costs_nothing(self):
        """Where nothing listens, nobody looks whether something is a duplicate."""
        self.automations.search([]).active = False
        for context in ({}, {"tracking_disable": True}):
            order = self.order.with_context(**context)
            order.client_order_ref = "First floor"  # warms the caches
            self.env.flush_all()
            self.env.invalidate_all()
            with self.assertQueryCount(1):
                order.client_order_ref = "Second floor"
                self.env.flush_all()


@tagged("post_install", "-at_install")
class TestComesAlong(AutomationCase):
    """A document that comes to an opportunity brings its good news along. Bad news counts when it happens."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.losing = cls.create_automation(cls.closed, "quotation_cancelled")

    def create_elsewhere(self, state):
        """:return: an opportunity whose quotation got into this state when nothing listened"""
        lead = self.create_lead()
        listening = self.automations.search([])
        listening.active = False
        self.create_order(lead).state = state
        listening.active = True
        self.pass_commit()
        return lead

    def merge(self, state):
        return (self.create_lead(stage_id=self.visit.id) + self.create_elsewhere(state)).merge_opportunity()

    def merge_with_lost(self, state):
        lost = self.create_elsewhere(state)
        lost.action_set_lost()
        return (self.create_lead(stage_id=self.visit.id) + lost).merge_opportunity()

    def link(self, state):
        lead = self.create_lead(stage_id=self.visit.id)
        self.create_elsewhere(state).order_ids.opportunity_id = lead
        return lead

    def import_(self, state):
        lead = self.create_lead(stage_id=self.visit.id)
        self.create_order(lead, state=state, date_order="2025-01-01 10:00:00")
        return lead

    def test_every_way(self):
        for way in (self.merge, self.merge_with_lost, self.link, self.import_):
            for state, stage, won_status in (
                ("cancel", self.visit, "pending"),
                ("sent", self.quotation, "pending"),
                ("sale", self.closed, "won"),
            ):
                with self.subTest(way.__name__, state=state):
                    lead = way(state)
                    self.assertEqual((lead.stage_id, lead.won_status), (stage, won_status))

    def test_to_an_open_stage(self):
        """The same old news moves nobody, either, forward or out of a won stage."""
        self.losing.active = False
        self.create_automation(self.quotation, "quotation_cancelled")
        self.create_automation(
            self.estimate, "quotation_cancelled", from_stage_ids=[Command.set(self.closed.ids)]
        )
        for way in (self.merge, self.merge_with_lost, self.link, self.import_):
            with self.subTest(way.__name__):
                self.assertEqual(way("cancel").stage_id, self.visit)
        won = self.create_lead(stage_id=self.closed.id)
        self.create_elsewhere("cancel").order_ids.opportunity_id = won
        self.assertEqual(won.won_status, "won")

    def test_cancelled_now(self):
        """What is linked and cancelled at once, or a duplicate before it is saved, is cancelled now."""
        for values in ({"state": "cancel"}, {"state": "cancel", "opportunity_id": self.create_lead().id}):
            with self.subTest(values):
                order = self.create_order(self.create_lead())
                order.write(values)
                self.assertEqual(order.opportunity_id.won_status, "lost")
        lead = self.create_lead()
        order = self.create_order(lead)
        copy = order.copy()
        order._action_cancel()
        self.assertEqual(lead.won_status, "pending", "the duplicate is open")
        copy._action_cancel()
        self.assertEqual(lead.won_status, "lost")

    def test_cancelled_afterwards(self):
        """What has come along is a quotation of the opportunity like any other."""
        lead = self.link("sent")
        lead.order_ids._action_cancel()
        self.assertEqual(lead.won_status, "lost")
        lead = self.link("cancel")
        lead.order_ids.action_draft()
        lead.order_ids._action_cancel()
        self.assertEqual(lead.won_status, "lost")

    def test_announced_once(self):
        """What is linked and changed at once is announced once: no automation moves on what another moved."""
        self.create_automation(self.visit, "quotation_sent", from_stage_ids=[Command.set(self.quotation.ids)])
        lead = self.create_lead()
        self.create_order().write({"state": "sent", "opportunity_id": lead.id})
        self.assertEqual(lead.stage_id, self.quotation)


@tagged("post_install", "-at_install")
class TestMeetings(AutomationCase):
    def create_visit(self, lead, **values):
        return self.create_meeting(lead, self.visit_tag, **values)

    def is_scheduled(self, meetings):
        """:return: whether some of them count, by what they are now"""
        domain = meetings._get_crm_stage_trigger_domain("meeting_scheduled")
        domain &= meetings._get_crm_stage_lead_domain() & Domain("id", "in", meetings.ids)
        return bool(meetings.with_context(active_test=False).search_count(domain))

    def test_created_cancelled(self):
        lead = self.create_lead()
        meeting = self.create_visit(lead, active=False)
        self.assertEqual(lead.stage_id, self.new)
        self.assertFalse(self.is_scheduled(meeting))
        meeting.action_unarchive()
        self.assertEqual(lead.stage_id, self.visit, "it takes place after all")
        self.assertTrue(self.is_scheduled(meeting))

    def test_several_created(self):
        leads = self.create_leads(2)
        self.env["calendar.event"].create(
            [
                self.get_meeting_values(lead, self.visit_tag, active=active)
                for lead, active in zip(leads, (False, True), strict=True)
            ]
        )
        self.assertEqual(leads.mapped("stage_id"), self.new + self.visit)

    def test_changed_while_cancelled(self):
        lead, other = self.create_leads(2)
        meeting = self.create_visit(lead, active=False, categ_ids=[])
        meeting.categ_ids = self.visit_tag
        meeting.opportunity_id = other
        self.assertEqual((lead + other).stage_id, self.new)
        meeting.active = True
        self.assertEqual((lead + other).mapped("stage_id"), self.new + self.visit)

    def test_cancelled(self):
        lead = self.create_lead()
        meeting = self.create_visit(lead)
        lead.stage_id = self.new
        meeting.action_archive()
        self.assertEqual(lead.stage_id, self.new)
        self.assertFalse(self.is_scheduled(meeting))
        meeting.active = False
        meeting.description = "Nobody at home"
        self.assertEqual(lead.stage_id, self.new)

    def test_tag_taken_away(self):
        """Only a tag that a meeting gets makes it another one."""
        self.create_automation(self.visit, "meeting_scheduled")
        lead = self.create_lead()
        meeting = self.create_visit(lead)
        lead.stage_id = self.new
        meeting.write({"categ_ids": [Command.clear()], "description": "At the neighbour's"})
        self.assertEqual(lead.stage_id, self.new)
        meeting.categ_ids = self.visit_tag
        self.assertEqual(lead.stage_id, self.visit)

    def test_duplicate(self):
        """It is another meeting, at the same time until somebody moves it."""
        lead, other = self.create_leads(2)
        meeting = self.create_visit(lead)
        lead.stage_id = self.new
        copy = meeting.copy()
        self.assertEqual(lead.stage_id, self.visit)
        self.assertTrue(self.is_scheduled(copy))
        lead.stage_id = self.new
        copy.start = "2030-03-01 10:00:00"
        self.assertEqual(lead.stage_id, self.new, "it is scheduled once")
        meeting.copy({"opportunity_id": other.id})
        self.assertEqual((lead + other).mapped("stage_id"), self.new + self.visit)
        other.stage_id = self.new
        meeting.copy({"opportunity_id": other.id, "active": False})
        self.assertEqual(other.stage_id, self.new)

    def test_recurring(self):
        lead = self.create_lead()
        meeting = self.create_visit(
            lead, recurrency=True, rrule_type="weekly", tue=True, end_type="count", count=3
        )
        self.assertEqual(lead.stage_id, self.visit)
        meetings = meeting.recurrence_id.calendar_event_ids
        self.assertEqual(len(meetings.filtered(self.is_scheduled)), 3)
        lead.stage_id = self.new
        meetings.active = False
        self.assertFalse(self.is_scheduled(meetings))
        meetings[1].active = True
        self.assertEqual(lead.stage_id, self.visit)


@tagged("post_install", "-at_install")
class TestActivities(AutomationCase):
    def test_activity_comes_to_an_opportunity_of_the_same_id(self):
        """Only its model changes: it is planned for the opportunity then."""
        self.create_automation(self.quotation, "activity_planned")
        lead, partner = self.create_lead_and_partner()
        activity = partner.activity_schedule("mail.mail_activity_data_call")
        self.assertEqual(lead.stage_id, self.new)
        activity.res_model_id = self.env["ir.model"]._get("crm.lead")
        self.assertEqual(lead.stage_id, self.quotation)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lead = cls.create_lead()

    def create_activity(self, **values):
        return self.env["mail.activity"].create(
            {
                "activity_type_id": self.visit_type.id,
                "res_model_id": self.env["ir.model"]._get_id("crm.lead"),
                "res_id": self.lead.id,
                **values,
            }
        )

    def test_created_done(self):
        """As an import does."""
        activity = self.create_activity(active=False)
        self.assertEqual(self.lead.stage_id, self.new)
        activity.active = True
        self.assertEqual(self.lead.stage_id, self.visit, "it is to be done again")

    def test_changed_while_done(self):
        activity = self.create_activity(
            active=False, activity_type_id=self.env.ref("mail.mail_activity_data_call").id
        )
        activity.activity_type_id = self.visit_type
        self.assertEqual(self.lead.stage_id, self.new)

    def test_done(self):
        activity = self.create_activity()
        self.lead.stage_id = self.new
        activity.action_feedback()
        self.assertEqual(self.lead.stage_id, self.new)

    def test_given_to_another_opportunity(self):
        """As merging opportunities does."""
        activity = self.create_activity()
        other = self.create_lead()
        self.lead.stage_id = self.new
        activity.res_id = other.id
        self.assertEqual((self.lead + other).mapped("stage_id.id"), (self.new + self.visit).ids)

    def test_about_an_opportunity_that_is_gone(self):
        gone = self.create_lead()
        activity = self.create_activity(res_id=gone.id)
        other = self.create_activity()
        self.env.flush_all()
        self.env.cr.execute("DELETE FROM crm_lead WHERE id = %s", gone.ids)
        self.env.invalidate_all()
        self.assertEqual((activity + other)._get_crm_stage_leads(), [(other, self.lead)])

    def test_next_one(self):
        """The activity that Odoo plans after another one is planned like any other."""
        call = self.env.ref("mail.mail_activity_data_call")
        call.write({"chaining_type": "trigger", "triggered_next_type_id": self.visit_type.id})
        activity = self.create_activity(activity_type_id=call.id)
        self.assertEqual(self.lead.stage_id, self.new)
        activity.action_feedback()
        self.assertEqual(self.lead.stage_id, self.visit)
