from odoo.tests.common import new_test_user

from .common import SalesStageCase


class PipelineCase(SalesStageCase):
    """The five stages alone, without other opportunities, for a sales manager and a salesperson."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env["base"].with_context(tracking_disable=False).env
        cls.env["crm.lead"].with_context(active_test=False).search([]).unlink()
        stages = cls.env["crm.stage"].with_context(active_test=False)
        stages.search([("id", "not in", cls.stages.ids)]).unlink()
        cls.stages = cls.env["crm.stage"].browse(cls.stages.ids)
        cls.stages.active = True
        cls.new, cls.estimate, cls.visit, cls.quotation, cls.closed = cls.stages
        cls.manager = new_test_user(cls.env, "stage_manager", "base.group_user,sales_team.group_sale_manager")
        cls.salesperson = new_test_user(
            cls.env, "stage_salesperson", "base.group_user,sales_team.group_sale_salesman"
        )

    @classmethod
    def create_in(cls, stage, number=1, **values):
        """:return: ``number`` opportunities in ``stage``"""
        return cls.create_opportunities(number, stage_id=stage.id, **values)

    def get_tracked_stages(self, opportunity):
        """:return: (old, new) names of the stages that the chatter tells, latest first"""
        self.env.flush_all()
        self.env.cr.precommit.run()
        values = self.env["mail.tracking.value"].search(
            [
                ("mail_message_id.model", "=", "crm.lead"),
                ("mail_message_id.res_id", "=", opportunity.id),
                ("field_id.name", "=", "stage_id"),
            ],
            order="id desc",
        )
        return [(value.old_value_char, value.new_value_char) for value in values]
