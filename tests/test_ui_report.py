from datetime import timedelta

from odoo import fields
from odoo.tests import tagged
from odoo.tools import SQL

from .common_ui import TourCase


@tagged("post_install", "-at_install")
class TestUiReport(TourCase):
    tour_path = "/odoo/action-crm_sales_stage.crm_stage_report_action"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.reason = cls.env["crm.lost.reason"].create({"name": "Too far away"})
        cls.team = cls.env["crm.team"].create({"name": "Doors and Gates"})

    def create_in_new(self, name, days_ago, **values):
        lead = self.create_in(self.new, **{"name": name, "user_id": False, **values})
        self.set_dates(lead, days_ago, "create_date", "date_last_stage_update")
        return lead

    def set_dates(self, lead, days_ago, *names):
        """As if what was just done to an opportunity had happened some days ago."""
        date = fields.Datetime.now() - timedelta(days=days_ago)
        self.pass_commit()
        for name in names:
            self.env.cr.execute(
                SQL("UPDATE crm_lead SET %s = %s WHERE id = %s", SQL.identifier(name), date, lead.id)
            )
        self.env.cr.execute(
            SQL(
                """
                UPDATE crm_stage_stay
                   SET date_entered = CASE date_entered WHEN %(now)s THEN %(date)s ELSE date_entered END,
                       date_left = CASE date_left WHEN %(now)s THEN %(date)s ELSE date_left END
                 WHERE lead_id = %(lead)s
                """,
                now=self.env.cr.now(),
                date=date,
                lead=lead.id,
            )
        )
        lead.invalidate_recordset(names)

    def move(self, lead, stage, days_ago):
        lead.stage_id = stage
        self.set_dates(lead, days_ago, "date_last_stage_update")

    def lose(self, lead, days_ago, reason=None):
        lead.action_set_lost(lost_reason_id=(reason or self.reason.browse()).id)
        self.set_dates(lead, days_ago, "date_closed")

    def create_story(self):
        """Five opportunities: won, lost with and without a reason, waiting for long, and as usual."""
        atrium, balcony, carport, entrance = (
            self.create_in_new(name, 20) for name in ("Atrium", "Balcony", "Carport", "Entrance")
        )
        self.create_in_new("Door", 3, user_id=self.salesperson.id, team_id=self.team.id)
        self.lose(entrance, 19)
        self.move(atrium, self.estimate, 18)
        self.move(balcony, self.estimate, 16)
        self.move(carport, self.estimate, 14)
        self.move(atrium, self.closed, 10)
        self.lose(balcony, 10, self.reason)

    def test_overview(self):
        self.create_story()
        self.run_tour("report")

    def test_overview_of_a_salesperson(self):
        self.create_story()
        others = self.env["crm.lead"].with_context(active_test=False).search([("user_id", "=", False)])
        others.user_id = self.manager
        self.run_tour("report_own", user=self.salesperson)

    def test_overview_without_opportunities(self):
        self.run_tour("report_empty")

    def test_suggested_probability(self):
        leads = self.create_in(self.new, 20)
        self.pass_commit()
        leads[:13].stage_id = self.closed
        leads[13:].action_set_lost()
        self.run_tour("report_suggestion", path=f"/odoo/action-crm.crm_stage_action/{self.new.id}")
        self.assertEqual(self.new.probability, 65)
