from .common import SalesStageCase


class PipelineCase(SalesStageCase):
    """The five stages alone, without other stages and opportunities."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["crm.lead"].with_context(active_test=False).search([]).unlink()
        stages = cls.env["crm.stage"].with_context(active_test=False)
        stages.search([("id", "not in", cls.stages.ids)]).unlink()

    def get_tracked_stages(self, opportunity):
        """:return: (old, new) names of the stages that the chatter tells, latest first"""
        self.pass_commit()
        values = self.env["mail.tracking.value"].search(
            [
                ("mail_message_id.model", "=", "crm.lead"),
                ("mail_message_id.res_id", "=", opportunity.id),
                ("field_id.name", "=", "stage_id"),
            ],
            order="id desc",
        )
        return [(value.old_value_char, value.new_value_char) for value in values]
