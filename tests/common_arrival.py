from odoo import Command
from odoo.tests import new_test_user

from .common_pipeline import PipelineCase


class ArrivalCase(PipelineCase):
    """The five stages, a team with a leader, and a plan of two activities that nobody is named for."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.leader = new_test_user(cls.env, "stage_leader", "sales_team.group_sale_salesman_all_leads")
        cls.team = cls.env["crm.team"].create(
            {"name": "Windows", "user_id": cls.leader.id, "company_id": False}
        )
        cls.call = cls.env.ref("mail.mail_activity_data_call")
        cls.todo = cls.env.ref("mail.mail_activity_data_todo")
        cls.plan = cls.create_plan(
            "Follow up",
            {"activity_type_id": cls.call.id, "summary": "Call back", "delay_count": 2},
            {"activity_type_id": cls.todo.id, "summary": "Measure", "delay_count": 1, "delay_unit": "weeks"},
        )
        cls.template = cls.env["mail.template"].create(
            {
                "name": "We have your quotation",
                "model_id": cls.env["ir.model"]._get_id("crm.lead"),
                "subject": "Quotation for {{ object.name }}",
                "body_html": "<p>Dear customer</p>",
                "email_from": "dealer@example.com",
                "email_to": "{{ object.email_from }}",
            }
        )

    @classmethod
    def create_plan(cls, name, *activities, **values):
        default = {"delay_from": "after_plan_date", "responsible_type": "on_demand"}
        return cls.env["mail.activity.plan"].create(
            {
                "name": name,
                "res_model": "crm.lead",
                "company_id": False,
                "template_ids": [Command.create({**default, **activity}) for activity in activities],
                **values,
            }
        )

    @classmethod
    def create_silently(cls, stage, number=1, **values):
        """:return: opportunities that were there before, which nothing was planned for"""
        leads = cls.create_in(stage, number, **{"user_id": cls.salesperson.id, "team_id": False, **values})
        cls.pass_commit()
        leads.activity_ids.unlink()
        return leads

    @classmethod
    def pass_commit(cls):
        """Do what waits for the end of the transaction."""
        cls.env.cr.flush()

    def move(self, leads, stage, user=None):
        leads.with_user(user or self.salesperson).stage_id = stage
        self.pass_commit()

    @classmethod
    def get_field(cls, *names):
        """:return: fields that a stage may ask for"""
        return cls.env["crm.stage.askable.field"].browse(
            cls.env["ir.model.fields"]._get("crm.lead", name).id for name in names
        )

    def get_bodies(self, lead):
        """:return: the chatter's texts, newest first, as one string"""
        return "\n".join(lead.message_ids.mapped("body"))
