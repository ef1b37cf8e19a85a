from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common_report import ReportCase


@tagged("post_install", "-at_install")
class TestRottingSuggestion(ReportCase):
    def move_on(self, days_list, stage=None):
        """Let an opportunity stay in a stage (the second one) for each number of days, and move on."""
        with self.at(100):
            leads = self.create_in(stage or self.stages[1], len(days_list))
        leads = leads.with_user(self.manager).with_context(mail_notrack=True)  # nobody reads the chatter
        for days in sorted(set(days_list)):
            moved = [id_ for id_, its_days in zip(leads.ids, days_list, strict=True) if its_days == days]
            with self.at(100 - days):
                leads.browse(moved).stage_id = self.stages[2]

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
                self.move_on([days] * 20, stage)
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
        with self.at(100):
            lost, back = self.create_in(stage, 20), self.create_in(stage, 20)
        with self.at(50):
            back.with_user(self.manager).stage_id = self.stages[0]
        with self.at(1):
            lost.with_user(self.manager).action_set_lost()
        stage.invalidate_recordset()
        self.assertEqual(stage.suggested_rotting_days, 10)
