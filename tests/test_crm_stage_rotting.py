from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common_report import ReportCase


@tagged("post_install", "-at_install")
class TestRottingSuggestion(ReportCase):
    def move_on(self, days_list, **values):
        """Let an opportunity stay in the second stage for each number of days, and then move on."""
        for days in days_list:
            lead = self.create_at(100, self.stages[1], **values)
            self.move_at(100 - days, lead, self.stages[2])
        self.pass_commit()

    def test_three_out_of_four(self):
        stage = self.stages[1]
        self.move_on([*range(1, 20)])
        stage.invalidate_recordset()
        self.assertFalse(stage.can_suggest_rotting_days)
        with self.assertRaises(UserError):
            stage.action_apply_suggested_rotting_days()
        self.move_on([20])
        stage.invalidate_recordset()
        self.assertEqual((stage.can_suggest_rotting_days, stage.suggested_rotting_days), (True, 16))
        stage.with_user(self.manager).action_apply_suggested_rotting_days()
        self.assertEqual(stage.rotting_threshold_days, 16)
        with self.assertRaises(AccessError):
            stage.with_user(self.salesperson).action_apply_suggested_rotting_days()

    def test_never_below_a_day(self):
        """No days would switch rotting off."""
        for days, expected in ((0, 1), (0.4, 1), (1, 1), (1.2, 2)):
            with self.subTest(days=days):
                stage = self.env["crm.stage"].create({"name": f"{days} days", "sequence": 1})
                for _number in range(20):
                    lead = self.create_at(100, stage)
                    self.move_at(100 - days, lead, self.stages[2])
                self.pass_commit()
                stage.invalidate_recordset()
                stage.action_apply_suggested_rotting_days()
                self.assertEqual(stage.rotting_threshold_days, expected)

    def test_passed_within_one_transaction(self):
        leads = self.create_in(self.stages[0], 20)
        leads.stage_id = self.stages[1]
        self.pass_commit()
        self.assertEqual(self.stages[0].suggested_rotting_days, 1)

    def test_only_those_that_moved_on(self):
        stage = self.stages[1]
        self.move_on([10] * 20)
        for _number in range(20):
            lead = self.create_at(100, stage)
            self.lose_at(1, lead)
            back = self.create_at(100, stage)
            self.move_at(50, back, self.stages[0])
        self.pass_commit()
        stage.invalidate_recordset()
        self.assertEqual(stage.suggested_rotting_days, 10)
