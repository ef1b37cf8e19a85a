from odoo.exceptions import UserError
from odoo.tests import new_test_user, tagged

from .common import SalesStageCase


@tagged("post_install", "-at_install")
class TestConditionValue(SalesStageCase):
    """What the condition of an automation names is not deleted."""

    def create_with_condition(self, trigger, domain, **values):
        return self.create_automation(self.visit, trigger, filter_domain=str(domain), **values)

    def assertHeld(self, record, held=True):
        if held:
            with (
                self.assertRaisesRegex(UserError, "in their conditions", msg=record),
                self.env.cr.savepoint(),
            ):
                record.unlink()
        else:
            with self.env.cr.savepoint() as savepoint:
                record.unlink()
                savepoint.rollback()

    def test_each_kind(self):
        tag = self.env["crm.tag"].create({"name": "Urgent"})
        team = self.env["crm.team"].create({"name": "Stoves"})
        reason = self.env["crm.lost.reason"].create({"name": "Too dear"})
        stage = self.env["crm.stage"].create({"name": "Measured", "sequence": 2})
        meeting = self.env["calendar.event.type"].create({"name": "Chimney"})
        activity = self.env["mail.activity.type"].create({"name": "Chimney", "res_model": "crm.lead"})
        for record, trigger, domain in (
            (tag, "email_sent", [("tag_ids", "in", tag.ids)]),
            (tag, "email_sent", [("tag_ids", "=", tag.id)]),
            (tag, "email_sent", ["!", ("tag_ids.id", "in", tag.ids)]),
            (tag, "quotation_sent", [("opportunity_id.tag_ids", "in", [0, tag.id])]),
            (tag, "quotation_sent", [("opportunity_id", "any", [("tag_ids", "in", tag.ids)])]),
            (tag, "quotation_sent", ["|", ("name", "=", "x"), ("opportunity_id.tag_ids", "not in", tag.ids)]),
            (tag, "quotation_sent", [("opportunity_id.tag_ids", "any", [("id", "=", tag.id)])]),
            (tag, "quotation_sent", [("tag_ids", "in", tag.ids)]),
            (team, "email_received", [("team_id", "!=", team.id)]),
            (team, "quotation_sent", [("opportunity_id.team_id", "in", team.ids)]),
            (reason, "email_received", [("lost_reason_id", "=", reason.id)]),
            (stage, "email_received", [("stage_id", "=", stage.id)]),
            (stage, "quotation_sent", [("opportunity_id.stage_id", "in", stage.ids)]),
            (meeting, "meeting_scheduled", [("categ_ids", "in", meeting.ids)]),
            (activity, "activity_planned", [("activity_type_id", "=", activity.id)]),
        ):
            with self.subTest(record=record, domain=domain):
                automation = self.create_with_condition(trigger, domain)
                self.assertHeld(record)
                automation.active = False
                self.assertHeld(record)
                automation.unlink()
                self.assertHeld(record, False)

    def test_what_is_not_named(self):
        tag, other = self.env["crm.tag"].create([{"name": "Urgent"}, {"name": "Stove"}])
        team = self.env["crm.team"].create({"name": "Stoves"})
        self.create_with_condition(
            "email_sent", [("tag_ids", "in", other.ids), ("expected_revenue", ">", tag.id)]
        )
        self.create_with_condition("email_sent", [("id", "=", tag.id)])
        self.create_with_condition("email_sent", [("tag_ids.color", "=", tag.id), ("user_id", "=", team.id)])
        self.assertHeld(tag, False)
        self.assertHeld(team, False)
        self.assertHeld(tag + other)

    def test_condition_that_is_not_valid_any_more(self):
        tag = self.env["crm.tag"].create({"name": "Urgent"})
        automation = self.create_with_condition("email_sent", [("tag_ids", "in", tag.ids)])
        self.env.flush_all()
        for domain in ("[(", "[('gone_field', '=', 1)]", "[('gone.field', 'in', [1])]", "{}"):
            self.env.cr.execute(
                "UPDATE crm_stage_automation SET filter_domain = %s WHERE id = %s", [domain, automation.id]
            )
            self.env.invalidate_all()
            self.assertHeld(tag, False)

    def test_automations_that_go_along(self):
        stage = self.env["crm.stage"].create({"name": "Measured", "sequence": 2})
        self.create_with_condition("email_sent", [("stage_id", "!=", stage.id)], stage_id=stage.id)
        self.assertHeld(stage, False)

    def test_names_are_for_those_who_may_see_automations(self):
        tag = self.env["crm.tag"].create({"name": "Urgent"})
        automation = self.create_with_condition("email_sent", [("tag_ids", "in", tag.ids)])
        manager = new_test_user(self.env, "value_manager", "sales_team.group_sale_manager")
        salesperson = new_test_user(self.env, "value_sales", "sales_team.group_sale_salesman")
        for user, told in ((manager, True), (salesperson, False)):
            with self.assertRaises(UserError) as error:
                tag.with_user(user)._check_not_in_condition()
            self.assertEqual(automation.with_user(manager).display_name in str(error.exception), told)
            self.assertIn("Urgent", str(error.exception))

    def test_move_and_delete_is_refused_before_it_moves(self):
        stage = self.env["crm.stage"].create({"name": "Measured", "sequence": 2})
        lead = self.create_opportunities(stage_id=stage.id)
        self.create_with_condition("email_sent", [("stage_id", "=", stage.id)])
        wizard = self.env["crm.stage.delete.wizard"].create(
            {"stage_ids": stage.ids, "target_stage_id": self.visit.id}
        )
        with self.assertRaisesRegex(UserError, "in their conditions"):
            wizard.action_move_and_delete()
        self.assertEqual(lead.stage_id, stage)
