from typing import NamedTuple

from odoo import api, fields, models
from odoo.fields import Domain

from ...tools import ARRIVALS

# What a stage may plan, and send: nothing happens with what is archived later.
USABLE_PLAN = [("res_model", "=", "crm.lead"), ("active", "=", True)]
USABLE_TEMPLATE = [("model", "=", "crm.lead"), ("active", "=", True)]


class Arrival(NamedTuple):
    """What a stage does, and asks for, when an opportunity comes into it."""

    plan_id: int | bool
    template_id: int | bool
    field_names: tuple  # in the order of their labels


class CrmStage(models.Model):
    """What happens when an opportunity comes into a stage."""

    _inherit = "crm.stage"

    activity_plan_id = fields.Many2one(
        "mail.activity.plan",
        string="Plan",
        domain=lambda self: [*USABLE_PLAN, ("company_id", "in", [False, *self.env.companies.ids])],
        groups="sales_team.group_sale_manager",
        help="Activities that are planned for an opportunity when it comes into this stage. Those still open "
        "of an earlier time are not planned again, nor are any for one that comes back within a day.",
    )
    mail_template_id = fields.Many2one(
        "mail.template",
        string="Send",
        domain=USABLE_TEMPLATE,
        groups="sales_team.group_sale_manager",
        help="E-mail that is sent when an opportunity comes into this stage. Blacklisted addresses get none, "
        "nor does an opportunity that comes back within a day.",
    )
    requirements = fields.Text(
        help="What has to be done before an opportunity comes here. It is shown with the fields that are "
        "asked for, and on the form of the opportunities that are here."
    )
    starting_text = fields.Text(
        compute="_compute_starting_text",
        groups="sales_team.group_sale_manager",
        help="What an e-mail that is written for this stage starts with.",
    )
    required_field_ids = fields.Many2many(
        "crm.stage.askable.field",
        "crm_stage_required_field_rel",
        "stage_id",
        "field_id",
        string="Ask for",
        groups="sales_team.group_sale_manager",
        help="Fields that are asked for, if they are empty, when somebody moves an opportunity here in the "
        "pipeline or on its form. Nobody is kept from moving it without them.",
    )

    plans_activities = fields.Boolean(
        compute="_compute_on_arrival",
        help="Whether activities are planned for opportunities that come into this stage.",
    )
    sends_email = fields.Boolean(
        compute="_compute_on_arrival",
        help="Whether an e-mail is sent for opportunities that come into this stage.",
    )
    asks_for_fields = fields.Boolean(
        compute="_compute_on_arrival",
        help="Whether somebody who moves an opportunity here is asked for fields.",
    )

    arrival_hints = fields.Json(
        "On Arrival",
        compute="_compute_arrival_hints",
        help="What happens when an opportunity comes into this stage: icons, with a text each.",
    )

    @api.depends_context("lang")
    def _compute_starting_text(self):
        """Only with what Odoo lets users write who are no editors of templates"""
        self.starting_text = self.env._(
            '<p>Hello <t t-out="object.contact_name">Sir or Madam</t>,</p>'
            "<p>We have news of your project and will contact you shortly.</p>"
            '<p>Kind regards,<br/><t t-out="object.user_id.name"/></p>'
        )

    @api.depends("activity_plan_id", "mail_template_id", "required_field_ids")
    @api.depends_context("uid")
    def _compute_on_arrival(self):
        arrivals = self._get_arrivals_by_stage()
        for stage in self:
            arrival = arrivals.get(stage.id)
            stage.plans_activities = bool(arrival and arrival.plan_id)
            stage.sends_email = bool(arrival and arrival.template_id)
            stage.asks_for_fields = bool(self.env["crm.lead"]._get_asked_names(stage))

    @api.depends("activity_plan_id.name", "mail_template_id.name", "required_field_ids")
    @api.depends_context("lang", "uid")
    def _compute_arrival_hints(self):
        arrivals, leads = self._get_arrivals_by_stage(), self.env["crm.lead"]
        acting = self.filtered(lambda stage: stage.id in arrivals)
        (self - acting).arrival_hints = False
        for stage in acting:
            # sudo: what a stage does, by its name, is for all who move opportunities there
            plan, template = stage.sudo().activity_plan_id, stage.sudo().mail_template_id
            arrival = arrivals[stage.id]
            labels = ", ".join(leads._get_label(name) for name in leads._get_asked_names(stage))
            texts = {
                "fa-clock-o": arrival.plan_id and self.env._("Plans: %s", plan.name),
                "fa-envelope-o": arrival.template_id and self.env._("Sends: %s", template.name),
                "fa-pencil-square-o": labels and self.env._("Asks for: %s", labels),
            }
            stage.arrival_hints = [{"icon": icon, "text": text} for icon, text in texts.items() if text]

    @api.model
    def _get_arrivals_by_stage(self):
        """:return: what happens on arrival, by id of the stages where something does; read once"""
        cache = self.env.cr.cache
        if ARRIVALS not in cache:
            cache[ARRIVALS] = self._read_arrivals()
        return cache[ARRIVALS]

    @api.model
    def _read_arrivals(self):
        # sudo: opportunities are moved by users who may not read what stages do
        stages = self.sudo().with_context(active_test=False, lang=None)
        acting = ["activity_plan_id", "mail_template_id", "required_field_ids"]
        stages = stages.search(Domain.OR(Domain(name, "!=", False) for name in acting))
        asked = self.env["crm.stage.askable.field"].sudo().with_context(lang=None)
        if stages:
            asked = asked.search_fetch([], ["name"])
        return {
            stage.id: Arrival(
                stage.activity_plan_id.filtered_domain(USABLE_PLAN).id,
                stage.mail_template_id.filtered_domain(USABLE_TEMPLATE).id,
                tuple(field.name for field in asked if field in stage.required_field_ids),
            )
            for stage in stages
        }
