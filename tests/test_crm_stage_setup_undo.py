from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import SalesStageCase


@tagged("post_install", "-at_install")
class TestCrmStageSetupUndo(SalesStageCase):
    """Two stages are merged into the same one, and one of them is brought back."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env["base"].with_context(tracking_disable=False).env
        cls.env["crm.lead"].with_context(active_test=False).search([]).unlink()
        cls.qualified, cls.contacted, cls.waiting = cls.own = cls.env["crm.stage"].create(
            [{"name": name, "sequence": 10} for name in ("Qualified", "Contacted", "Waiting room")]
        )
        cls.leads = {
            stage: {
                "open": cls.create_in(stage),
                "lost": cls.create_in(stage),
                "archived": cls.create_in(stage),
                "lead": cls.create_in(stage, type="lead"),
                "moved": cls.create_in(stage),
            }
            for stage in cls.own
        }
        for leads in cls.leads.values():
            leads["lost"].action_set_lost()
            leads["archived"].action_archive()
        cls.env.flush_all()
        cls.env.cr.precommit.run()

    @classmethod
    def create_in(cls, stage, **values):
        return cls.create_opportunities(stage_id=stage.id, **values).with_env(cls.env)

    def run_wizard(self, **lines):
        """:param lines: target, or "restore", by name of the stage's attribute; other stages are kept"""
        wizard = self.env["crm.stage.setup.wizard"].create({})
        wizard.line_ids.action = "keep"
        for name, what in lines.items():
            line = wizard.line_ids.filtered(lambda line, name=name: line.stage_id == getattr(self, name))
            line.write(
                {"action": "restore"} if isinstance(what, str) else {"action": "merge", "target_id": what.id}
            )
        wizard.action_apply()
        self.env.flush_all()
        self.env.cr.precommit.run()
        self.env.invalidate_all()

    def assertBroughtBack(self, stage, moved_to):
        for kind, lead in self.leads[stage].items():
            self.assertEqual(lead.stage_id, moved_to if kind == "moved" else stage, kind)

    def assertMerged(self, stage, target):
        for kind, lead in self.leads[stage].items():
            self.assertEqual(lead.stage_id, target, kind)

    def test_only_what_this_merge_moved(self):
        # Leads have no history: all that are in the default stage come back.
        self.leads = {
            stage: {kind: lead for kind, lead in leads.items() if kind != "lead"}
            for stage, leads in self.leads.items()
        }
        self.run_wizard(qualified=self.estimate, contacted=self.estimate)
        self.assertMerged(self.qualified, self.estimate)
        self.assertMerged(self.contacted, self.estimate)
        newcomer = self.create_in(self.estimate)
        by_hand = self.leads[self.waiting]["open"]
        by_hand.stage_id = self.estimate
        self.leads[self.qualified]["moved"].stage_id = self.visit
        self.run_wizard(qualified="restore")
        self.assertBroughtBack(self.qualified, self.visit)
        self.assertMerged(self.contacted, self.estimate)
        self.assertEqual((newcomer + by_hand).stage_id, self.estimate)
        self.leads[self.contacted]["moved"].stage_id = self.visit
        self.run_wizard(contacted="restore")
        self.assertBroughtBack(self.contacted, self.visit)

    def test_moved_on_and_back(self):
        """The last move of one that somebody put there is not the set-up's."""
        self.run_wizard(qualified=self.estimate)
        lead = self.leads[self.qualified]["moved"]
        lead.stage_id = self.visit
        self.pass_commit()
        lead.stage_id = self.estimate
        self.run_wizard(qualified="restore")
        self.assertBroughtBack(self.qualified, self.estimate)

    def test_written_without_a_move(self):
        """A file that is imported, or a form, may tell the stage where it is already."""
        self.run_wizard(qualified=self.estimate)
        leads = self.leads[self.qualified]
        leads["open"].write({"stage_id": self.estimate.id, "expected_revenue": 5})
        leads["lost"].action_restore()
        leads["moved"].stage_id = self.visit
        self.run_wizard(qualified="restore")
        self.assertBroughtBack(self.qualified, self.visit)

    def test_merged_again_somewhere_else(self):
        self.run_wizard(qualified=self.estimate)
        self.run_wizard(qualified="restore")
        self.assertBroughtBack(self.qualified, self.qualified)
        self.run_wizard(qualified=self.quotation)
        self.assertMerged(self.qualified, self.quotation)
        self.run_wizard(qualified="restore")
        self.assertBroughtBack(self.qualified, self.qualified)

    def test_copy_was_not_moved(self):
        self.run_wizard(qualified=self.new)
        copy = self.leads[self.qualified]["open"].copy()
        self.run_wizard(qualified="restore")
        self.assertEqual(copy.stage_id, self.new)

    def undo_as_manager(self):
        """Undo it as a manager of one company."""
        wizard = self.env["crm.stage.setup.wizard"].with_user(self.manager).create({})
        wizard.line_ids.action = "keep"
        wizard.line_ids.filtered(lambda line: line.stage_id == self.qualified).action = "restore"
        return wizard

    def assertUndoRefused(self, number):
        """Refused with the number, nothing is done, and whoever may move them all brings them all back."""
        self.env.flush_all()
        wizard = self.undo_as_manager()
        self.assertTrue(wizard.obstacle)
        with self.assertRaisesRegex(UserError, f"Qualified: {number} of its opportunities are not yours"):
            wizard.action_apply()
        self.assertEqual(self.qualified.setup_stage_id, self.estimate)
        self.assertFalse(self.qualified.active)
        self.leads[self.qualified]["moved"].stage_id = self.visit
        self.run_wizard(qualified="restore")
        self.assertBroughtBack(self.qualified, self.visit)

    def test_opportunities_of_another_company(self):
        """Open, lost and archived ones, and leads, are counted alike."""
        self.run_wizard(qualified=self.estimate)
        company = self.env["res.company"].create({"name": "Elsewhere"})
        elsewhere = {"company_id": company.id, "user_id": False, "team_id": False}
        for number, kind in enumerate(("open", "lost", "archived", "lead"), 1):
            self.leads[self.qualified][kind].write(elsewhere)
            with self.subTest(kind):
                self.env.flush_all()
                obstacle = "".join(self.undo_as_manager().line_ids.filtered("obstacle").mapped("obstacle"))
                self.assertRegex(obstacle, f"^{number} of its opportunities are not yours")
        self.assertUndoRefused(4)

    def test_opportunities_that_a_rule_hides_or_protects(self):
        for perm_read in (True, False):
            with self.subTest(perm_read=perm_read), self.env.cr.savepoint() as savepoint:
                self.run_wizard(qualified=self.estimate)
                self.env["ir.rule"].create(
                    {
                        "name": "Not lost ones",
                        "model_id": self.env["ir.model"]._get_id("crm.lead"),
                        "domain_force": "[('won_status', '!=', 'lost')]",
                        "perm_read": perm_read,
                        "perm_create": False,
                        "perm_unlink": False,
                    }
                )
                self.assertUndoRefused(1)
                savepoint.rollback()
                self.env.invalidate_all()

    def test_opportunities_elsewhere_that_have_moved_on(self):
        """Those of another company that it does not bring back hinder nobody."""
        self.run_wizard(qualified=self.estimate)
        company = self.env["res.company"].create({"name": "Elsewhere"})
        moved = self.leads[self.qualified]["moved"]
        moved.write({"company_id": company.id, "user_id": False, "team_id": False})
        moved.stage_id = self.visit
        self.env.flush_all()
        self.undo_as_manager().action_apply()
        self.assertBroughtBack(self.qualified, self.visit)
