from odoo.tests.common import TransactionCase, new_test_user


class StagesCase(TransactionCase):
    """The five stages alone, without demo opportunities, for a sales manager and a salesperson."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["crm.lead"].with_context(active_test=False).search([]).unlink()
        cls.stages = cls.env["crm.stage"].with_context(active_test=False)._get_default_stages()
        cls.env["crm.stage"].with_context(active_test=False).search(
            [("id", "not in", cls.stages.ids)]
        ).unlink()
        cls.stages.active = True
        cls.new, cls.estimate, cls.visit, cls.quotation, cls.closed = cls.stages
        cls.manager = new_test_user(cls.env, "stage_manager", "base.group_user,sales_team.group_sale_manager")
        cls.salesperson = new_test_user(
            cls.env, "stage_salesperson", "base.group_user,sales_team.group_sale_salesman"
        )

    @classmethod
    def create_opportunities(cls, stage, count=1, **values):
        return cls.env["crm.lead"].create(
            [
                {"name": f"Kitchen {n}", "type": "opportunity", "stage_id": stage.id, **values}
                for n in range(count)
            ]
        )

    @classmethod
    def tracked_stages(cls, opportunity):
        """:return: (old, new) names of the stages that the chatter tells, latest first"""
        cls.env.flush_all()
        cls.env.cr.precommit.run()
        values = cls.env["mail.tracking.value"].search(
            [
                ("mail_message_id.model", "=", "crm.lead"),
                ("mail_message_id.res_id", "=", opportunity.id),
                ("field_id.name", "=", "stage_id"),
            ],
            order="id desc",
        )
        return [(value.old_value_char, value.new_value_char) for value in values]
