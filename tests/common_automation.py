from odoo import Command
from odoo.tests import TransactionCase, new_test_user
from odoo.tools import mute_logger


class AutomationCase(TransactionCase):
    """The five stages and their seeded lines, whatever else the database holds; tracking as in real life."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env(context={**cls.env.context, "tracking_disable": False, "mail_notrack": False})
        ref = cls.env.ref
        cls.new = ref("crm_sales_stage.stage_new")
        cls.estimate = ref("crm_sales_stage.stage_estimate")
        cls.visit = ref("crm_sales_stage.stage_technical_visit")
        cls.quotation = ref("crm_sales_stage.stage_quotation")
        cls.closed = ref("crm_sales_stage.stage_closed")
        cls.visit_tag = ref("crm_sales_stage.calendar_event_type_technical_visit")
        cls.visit_type = ref("crm_sales_stage.mail_activity_type_technical_visit")
        stages = cls.new + cls.estimate + cls.visit + cls.quotation + cls.closed
        stages.active = True  # a live database has them archived
        cls.env["crm.stage.automation"].search([]).filtered(
            lambda line: not line.get_external_id()[line.id].startswith("crm_sales_stage.")
        ).active = False
        cls.automations = cls.env["crm.stage.automation"]
        cls.partner = cls.env["res.partner"].create(
            {"name": "Dealer's Customer", "email": "customer@example.com"}
        )
        cls.product = cls.env["product.product"].create({"name": "Window", "list_price": 500})
        cls.salesman = new_test_user(
            cls.env,
            login="automation_salesman",
            groups="sales_team.group_sale_salesman",
            email="s@example.com",
        )
        cls.manager = new_test_user(
            cls.env, login="automation_manager", groups="sales_team.group_sale_manager", email="m@example.com"
        )

    @classmethod
    def create_lead(cls, **values):
        lead = cls.env["crm.lead"].create(
            {
                "name": "House",
                "type": "opportunity",
                "partner_id": cls.partner.id,
                "stage_id": cls.new.id,
                "user_id": cls.salesman.id,
                **values,
            }
        )
        cls.pass_commit()
        return lead

    @classmethod
    def create_leads(cls, count):
        leads = cls.env["crm.lead"].create(
            [
                {
                    "name": f"House {i}",
                    "type": "opportunity",
                    "partner_id": cls.partner.id,
                    "stage_id": cls.new.id,
                }
                for i in range(count)
            ]
        )
        cls.pass_commit()
        return leads

    @classmethod
    def pass_commit(cls):
        """Post the tracking messages, as the commit does; Odoo tracks nothing of what it has just created."""
        cls.env.flush_all()
        cls.env.cr.precommit.run()

    @classmethod
    def create_order(cls, lead=None, **values):
        return cls.env["sale.order"].create(cls.get_order_values(lead, **values))

    @classmethod
    def get_order_values(cls, lead=None, **values):
        return {
            "partner_id": cls.partner.id,
            "opportunity_id": lead.id if lead else False,
            "order_line": [Command.create({"product_id": cls.product.id, "product_uom_qty": 1})],
            **values,
        }

    @classmethod
    def create_line(cls, stage, trigger, **values):
        return cls.automations.create({"stage_id": stage.id, "trigger": trigger, **values})

    def make_faulty(self, automation):
        """Let an automation that listens to quotations being created fail, as when the addon that brought a
        field is gone.
        """
        automation = automation.sudo()
        automation.flush_recordset()
        self.env.cr.execute(
            "UPDATE crm_stage_automation SET filter_domain = %s WHERE id = %s",
            ["[('gone', '=', 1)]", automation.id],
        )
        automation.invalidate_recordset()
        self.env.registry.clear_cache()
        with mute_logger("odoo.addons.crm_sales_stage.models.crm_stage_automation"):
            self.create_order(self.create_lead())
        self.env.flush_all()

    def get_preview(self, automation):
        """:return: the dialog that tells what ``automation`` would move now"""
        action = automation.action_preview()
        return self.env[action["res_model"]].browse(action["res_id"])

    def get_tracking_message(self, lead):
        """:return: the newest message that tracks a change of stage"""
        self.pass_commit()
        return lead.message_ids.filtered(
            lambda m: "stage_id" in m.tracking_value_ids.field_id.mapped("name")
        )[:1]
