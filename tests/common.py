from odoo.tests import TransactionCase


class SalesStageCase(TransactionCase):
    """The five stages as they are delivered, and a factory of opportunities."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env["base"].with_context(tracking_disable=True, lang="en_US").env
        cls.stage_new = cls.env.ref("crm_sales_stage.stage_new")
        cls.stage_estimate = cls.env.ref("crm_sales_stage.stage_estimate")
        cls.stage_visit = cls.env.ref("crm_sales_stage.stage_technical_visit")
        cls.stage_quotation = cls.env.ref("crm_sales_stage.stage_quotation")
        cls.stage_closed = cls.env.ref("crm_sales_stage.stage_closed")
        cls.stages = (
            cls.stage_new + cls.stage_estimate + cls.stage_visit + cls.stage_quotation + cls.stage_closed
        )

    @classmethod
    def create_opportunities(cls, number=1, **values):
        """:return: ``number`` opportunities, in the first stage unless ``values`` tell another"""
        values = {"type": "opportunity", "expected_revenue": 1000, **values}
        return cls.env["crm.lead"].create([{"name": f"Stove {index}", **values} for index in range(number)])
