from unittest.mock import patch

from psycopg2.errors import LockNotAvailable, SerializationFailure

from odoo.exceptions import LockError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common_automation import AutomationCase

LOGGER = "odoo.addons.crm_sales_stage.models.automation.crm_stage_automation"


@tagged("post_install", "-at_install")
class TestFaults(AutomationCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automation = cls.env.ref("crm_sales_stage.automation_quotation_quotation_sent")
        cls.fallback = cls.create_automation(cls.visit, "quotation_sent")

    def break_condition(self):
        """As when the addon that brought a field is gone."""
        self.automation.flush_recordset()
        self.env.cr.execute(
            "UPDATE crm_stage_automation SET filter_domain = %s WHERE id = %s",
            ["[('gone', '=', 1)]", self.automation.id],
        )
        self.automation.invalidate_recordset()
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
        self.assertIn("gone", self.automation.fault)
        self.assertTrue(self.automation.fault_date)
        self.assertEqual(lead.stage_id, self.visit, "the other automation works")

    def test_fault_is_logged(self):
        self.break_condition()
        order = self.create_order(self.create_lead())
        with self.assertLogs(LOGGER, "WARNING") as logs:
            order.action_quotation_sent()
        self.assertIn(f"automation {self.automation.id}", logs.output[0])

    def test_fault_of_move(self):
        """Also a fault of the database, which shows on flushing, is the automation's alone."""
        Lead = type(self.env["crm.lead"])
        write = Lead.write

        def break_quotation(leads, vals):
            res = write(leads, vals)
            if vals.get("stage_id") == self.quotation.id:
                leads.env.cr.execute("SELECT 1/0")
            return res

        with patch.object(Lead, "write", break_quotation), mute_logger("odoo.sql_db"):
            lead = self.send()
        self.assertIn("division by zero", self.automation.fault)
        self.assertEqual(lead.stage_id, self.visit, "rolled back, and left to the next automation")
        self.assertNotIn("Quotation", self.get_tracking_message(lead).body)
        lead = self.send()
        self.assertEqual(lead.stage_id, self.quotation)
        self.assertFalse(self.automation.fault, "it works again")
        self.assertFalse(self.automation.fault_date)

    def test_business_error_is_not_the_automations(self):
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
        self.assertFalse(self.automation.fault)

    def test_concurrency_is_no_fault(self):
        lead = self.create_lead()
        order = self.create_order(lead)
        with (
            patch.object(type(self.env["crm.lead"]), "write", side_effect=SerializationFailure()),
            self.assertRaises(SerializationFailure),
        ):
            order.action_quotation_sent()
        self.assertFalse(self.automation.fault)

    def test_fault_written_on_change_only(self):
        self.break_condition()
        self.send()
        with patch.object(type(self.automation), "invalidate_recordset", autospec=True) as told:
            self.send()
        self.assertFalse([call for call in told.call_args_list if call.args[0] == self.automation])

    def test_fault_goes_away_on_correction(self):
        self.break_condition()
        self.send()
        self.automation.filter_domain = False
        self.assertFalse(self.automation.fault)

    def test_deleted_action(self):
        """It goes on with another one."""
        action = self.automation.action_server_id
        action.unlink()
        lead = self.send()
        self.assertEqual(lead.stage_id, self.quotation)
        self.assertFalse(self.automation.fault)
        self.assertTrue(self.automation.action_server_id)
        self.assertNotEqual(self.automation.action_server_id, action)


@tagged("post_install", "-at_install")
class TestSomeCannotBeMoved(AutomationCase):
    """One opportunity that cannot be moved keeps no others, and is named with the reason."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automations.search([]).active = False
        cls.automation = cls.create_automation(cls.visit, "quotation_created")

    def quote(self, leads):
        """One request creates a quotation for each of ``leads``."""
        self.env["sale.order"].create([self.get_order_values(lead) for lead in leads])

    def quote_with(self, positions, fail=None, leads=None):
        """:param leads: ten new ones by default
        :return: opportunities with a quotation each, and those at ``positions``, refused
        """
        leads = leads or self.create_leads(10)
        refused = leads.browse([leads[position].id for position in positions])
        with self.refusing(refused, fail):
            self.quote(leads)
        return leads, refused

    def test_wherever_it_is(self):
        leads = self.create_leads(10)
        for positions in ((0,), (5,), (9,), (2, 7), (4, 5), (0, 1, 2, 3, 4), tuple(range(9))):
            with self.subTest(positions), self.going_back():
                _leads, refused = self.quote_with(positions, leads=leads)
                self.assertEqual((leads - refused).stage_id, self.visit)
                self.assertEqual(refused.stage_id, self.new)
                self.assertFalse(self.automation.fault)
                self.assertEqual(self.get_unmoved(), (refused, {"An e-mail address first"}))
                for lead in leads - refused:
                    self.assertEqual(self.get_tracking_message(lead).body.count("By an automation"), 1)
                self.assertFalse(self.get_tracking_message(refused))
                self.quote(refused)
                self.assertEqual(refused.stage_id, self.visit)

    def test_whatever_refuses_it(self):
        def violate_database(leads):
            leads.env.cr.execute("UPDATE crm_lead SET type = NULL WHERE id IN %s", [tuple(leads.ids)])

        def fail_on_flush(leads):
            leads.probability = 1
            leads.env.cr.execute("SELECT 1/0")

        def lock(leads):
            raise LockError("Somebody is at work on it")

        def crash(leads):
            raise KeyError("email")

        leads = self.create_leads(10)
        for fail, reason in (
            (violate_database, "not-null"),
            (fail_on_flush, "division by zero"),
            (lock, "at work"),
            (crash, "email"),
        ):
            with self.subTest(fail), self.going_back():
                _leads, refused = self.quote_with((3, 8), fail, leads)
                self.assertEqual((leads - refused).stage_id, self.visit)
                self.assertEqual(refused.stage_id, self.new)
                self.assertFalse(self.automation.fault)
                unmoved, (error,) = self.get_unmoved()
                self.assertEqual(unmoved, refused)
                self.assertIn(reason, error)
                self.assertNotIn("Failing row", error)

    def test_none_can_be_moved(self):
        leads, _refused = self.quote_with(range(10))
        self.assertEqual(leads.stage_id, self.new)
        self.assertIn("An e-mail address first", self.automation.fault)
        self.quote_with((2,))
        self.assertFalse(self.automation.fault, "it works again")

    def test_conflict_of_one(self):
        """Somebody tries the whole request again."""
        for error in (SerializationFailure, LockNotAvailable):

            def fail(leads, error=error):
                raise error

            with self.assertRaises(error), self.env.cr.savepoint():
                self.quote_with((3,), fail)
            self.env.invalidate_all()
            self.assertFalse(self.automation.fault)
            self.assertFalse(self.get_unmoved()[0])

    def test_conflict_of_one_that_is_not_tried_again(self):
        """The scheduled job makes up for those that met it."""

        def fail(leads):
            if leads[0].name == "House 1":
                raise ValidationError(self.env._("Not this one"))
            raise SerializationFailure

        leads = self.create_leads(4)
        # The first time, one is refused; its half is tried again without it, and then another one conflicts.
        with self.refusing(leads[1:3], fail):
            self.env["sale.order"].with_context(cron_id=1).create(
                [self.get_order_values(lead) for lead in leads]
            )
        self.assertEqual((leads[0] + leads[3]).mapped("stage_id"), self.visit + self.new)
        self.assertEqual(self.search_moves("waiting").lead_id, leads[2:])
        self.assertEqual(self.get_unmoved(), (leads[1], {"Not this one"}))
        self.automations._make_moves(self.search_moves("waiting"), set())
        self.assertEqual(leads[2:].stage_id, self.visit)
        self.assertEqual(leads[1].stage_id, self.new)

    def test_others_may_move_it(self):
        self.create_automation(self.estimate, "quotation_created")
        leads, refused = self.quote_with((1, 2))
        self.assertEqual((leads - refused).stage_id, self.visit)
        self.assertEqual(refused.stage_id, self.estimate)

    def test_several_reasons(self):
        def fail(leads):
            raise ValidationError("No address" if leads[0].name < "House 5" else "No salesperson")

        leads, refused = self.quote_with((1, 2, 7), fail)
        self.assertEqual(self.get_unmoved(), (refused, {"No address", "No salesperson"}))

    def test_arrival(self):
        """The stage plans for those that have moved, once."""
        self.visit.activity_plan_id = self.env["mail.activity.plan"].create(
            {
                "name": "Prepare",
                "res_model": "crm.lead",
                "template_ids": [
                    (0, 0, {"activity_type_id": self.visit_type.id, "summary": "Prepare the visit"})
                ],
            }
        )
        leads, refused = self.quote_with((0, 6))
        self.pass_commit()
        for lead in leads:
            planned = lead.activity_ids.filtered(lambda activity: activity.summary == "Prepare the visit")
            self.assertEqual(len(planned), 0 if lead in refused else 1)

    def test_costs_nothing_where_all_can_be_moved(self):
        """One try: the action runs once."""
        Action = type(self.env["ir.actions.server"])
        with patch.object(Action, "run", autospec=True, side_effect=Action.run) as run:
            leads, _refused = self.quote_with(())
        self.assertEqual(run.call_count, 1)
        self.assertEqual(leads.stage_id, self.visit)

    def test_few_tries(self):
        """One of a thousand is found by halves."""
        Action = type(self.env["ir.actions.server"])
        with patch.object(Action, "run", autospec=True, side_effect=Action.run) as run:
            self.quote_with((17,), leads=self.create_leads(32))
        self.assertLessEqual(run.call_count, 11)


@tagged("post_install", "-at_install")
class TestPending(AutomationCase):
    """What is pending when an automation begins is none of its faults."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automations.search([]).active = False
        cls.automation = cls.create_automation(
            cls.visit, "opportunity_matches", filter_domain="[('expected_revenue', '>', 100)]"
        )

    def test_stage_that_cannot_be_computed(self):
        """Odoo refuses a lost opportunity in a team whose only stage is a won one, and says so itself."""
        self.automation.is_lost_included = True
        team, other = self.env["crm.team"].create([{"name": "Only won"}, {"name": "Others"}])
        self.env["crm.stage"].search([]).team_ids = other
        self.env["crm.stage"].create({"name": "Signed", "is_won": True, "team_ids": team.ids})
        lead = self.create_lead(team_id=other.id)
        lead.action_set_lost()
        self.env.flush_all()
        for values in ({"user_id": False}, {"expected_revenue": 500}, {"name": "Won?", "priority": "2"}):
            with (
                self.subTest(values),
                self.assertNoLogs(LOGGER, "WARNING"),
                self.assertRaisesRegex(ValidationError, "cannot be lost"),
                self.env.cr.savepoint(),
            ):
                lead.write({"team_id": team.id, **values})
            self.env.invalidate_all()
            self.assertFalse(self.automation.fault)

    def test_wherever_it_is_tried(self):
        def fail(orders):
            raise ZeroDivisionError("business")

        sent = self.create_automation(self.visit, "quotation_sent")
        expired = self.create_automation(self.visit, "quotation_expired")
        lead = self.create_lead()
        order = self.create_order(lead)
        order.action_quotation_sent()
        lead.stage_id = self.new
        plans = self.env["mail.activity.plan"]
        self.new.activity_plan_id = plans.create({"name": "Prepare", "res_model": "crm.lead"})
        for act in (
            lambda: sent.action_preview(),
            lambda: sent.action_catch_up(),
            lambda: sent._make_moves_of(sent.move_ids),
            lambda: expired._insert_due(state="waiting"),
            lambda: self.automations._filter_unmatched(self.automation, lead),
            lambda: lead._message_track_post_template(["stage_id"]),
        ):
            self.env.flush_all()
            order.order_line.product_uom_qty += 1  # leaves the amounts to be computed
            with (
                patch.object(type(order), "_compute_amounts", fail),
                self.assertRaisesRegex(ZeroDivisionError, "business"),
            ):
                act()
            self.assertFalse((sent + expired + self.automation).filtered("fault"))
