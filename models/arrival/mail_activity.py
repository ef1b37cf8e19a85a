from odoo import fields, models


class MailActivity(models.Model):
    _inherit = "mail.activity"

    crm_stage_plan_template_id = fields.Many2one(
        "mail.activity.plan.template",
        string="Planned on Arrival by",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="Activity of a stage's plan that this one was planned by, when the opportunity came into the "
        "stage.",
    )
