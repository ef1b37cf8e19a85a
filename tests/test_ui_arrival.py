from odoo import Command
from odoo.tests import HttpCase, tagged

from .common_arrival import ArrivalCase


@tagged("post_install", "-at_install")
class TestUiArrival(ArrivalCase, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.kitchen, cls.bathroom = cls.create_in(
            cls.visit, 2, user_id=cls.manager.id, expected_revenue=0, email_from="customer@example.com"
        )
        cls.kitchen.name, cls.bathroom.name = "Kitchen", "Bathroom"

    def run_tour(self, name, user, path="/odoo/crm"):
        self.env.cr.flush()
        self.start_tour(path, f"crm_sales_stage_{name}", login=user.login)
        self.env.invalidate_all()

    def test_salesperson_in_french(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        modules = self.env["ir.module.module"].search([("name", "in", ("crm", "crm_sales_stage"))])
        modules._update_translations(["fr_FR"])
        self.salesperson.lang = "fr_FR"
        leads = self.kitchen + self.bathroom
        leads.user_id = self.salesperson
        self.kitchen.name, self.bathroom.name = "Cuisine", "Salle de bain"
        self.quotation.write(
            {
                "requirements": "Mesurer",
                "required_field_ids": [Command.set(self.get_field("expected_revenue").ids)],
                "activity_plan_id": self.plan.id,
            }
        )
        self.run_tour("asks_in_french", self.salesperson)
        self.assertEqual(leads.stage_id, self.quotation)
        self.assertEqual(leads.mapped("expected_revenue"), [1500, 800])
        self.assertEqual([len(lead.activity_ids) for lead in leads], [2, 3], "the visit is one, too")
        visit = self.env.ref("crm_sales_stage.calendar_event_type_technical_visit")
        self.assertEqual(self.bathroom.calendar_event_ids.categ_ids, visit)

    def test_manager_sets_it_up(self):
        self.bathroom.expected_revenue = 500
        self.run_tour("arrival_setup", self.manager)
        self.assertEqual(self.quotation.activity_plan_id, self.plan)
        self.assertEqual(self.quotation.mail_template_id, self.template)
        written = self.env["mail.template"].search([("name", "=", "Coming soon")])
        self.assertEqual((written.model, written.create_uid), ("crm.lead", self.manager))
        self.assertEqual(self.quotation.required_field_ids, self.get_field("expected_revenue"))
        self.assertEqual(self.kitchen.stage_id, self.quotation)
        self.assertEqual(len(self.kitchen.activity_ids), 2)
        for lead in self.kitchen + self.bathroom:
            self.assertIn(f"Quotation for {lead.name}", lead.message_ids.mapped("subject"))

    def test_lost_cancels_quotations(self):
        partner = self.env["res.partner"].create({"name": "Customer"})
        values = {"partner_id": partner.id, "opportunity_id": self.kitchen.id, "user_id": self.manager.id}
        orders = self.env["sale.order"].create([values, values])
        self.run_tour("lost_with_quotations", self.manager, f"/odoo/crm/{self.kitchen.id}")
        self.assertEqual(self.kitchen.won_status, "lost")
        self.assertEqual(set(orders.mapped("state")), {"cancel"})
