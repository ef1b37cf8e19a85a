from typing import NamedTuple

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Command, Domain

from ...tools import ARRIVALS


class Arrival(NamedTuple):
    """What a stage does, and asks for, when an opportunity comes into it."""

    plan_id: int | bool
    template_id: int | bool
    field_names: tuple  # in the order in which people read them


class CrmStage(models.Model):
    """What happens when an opportunity comes into a stage."""

    _inherit = "crm.stage"

    activity_plan_id = fields.Many2one(
        "mail.activity.plan",
        string="Plan",
        domain=lambda self: self._get_plan_domain(),
        groups="sales_team.group_sale_manager",
        help="Activities that are planned for an opportunity when it comes into this stage. Those still open "
        "of an earlier time are not planned again.",
    )
    mail_template_id = fields.Many2one(
        "mail.template",
        string="Send",
        domain=[("model", "=", "crm.lead")],
        groups="sales_team.group_sale_manager",
        help="E-mail that is sent when an opportunity comes into this stage. Blacklisted addresses get none.",
    )
    required_field_ids = fields.Many2many(
        "ir.model.fields",
        "crm_stage_required_field_rel",
        "stage_id",
        "field_id",
        string="Fields Asked For",
        domain=lambda self: self._get_askable_domain(),
        copy=False,
        groups="base.group_erp_manager",
        help="What the stage asks for. Sales managers choose it without the right to read these fields.",
    )
    asked_field_ids = fields.Many2many(
        "crm.stage.askable.field",
        string="Ask for",
        compute="_compute_asked_field_ids",
        inverse="_inverse_asked_field_ids",
        search="_search_asked_field_ids",
        copy=True,
        groups="sales_team.group_sale_manager",
        help="Fields that are asked for, if they are empty, when somebody moves an opportunity here in the "
        "pipeline or on its form. Nobody is kept from moving it without them.",
    )

    plans_activities = fields.Boolean(
        compute="_compute_on_arrival",
        help="Whether activities are planned for opportunities that come into this stage.",
    )
    asks_for_fields = fields.Boolean(
        compute="_compute_on_arrival",
        help="Whether somebody who moves an opportunity here is asked for fields.",
    )

    @api.depends("activity_plan_id", "required_field_ids")
    @api.depends_context("uid")
    def _compute_on_arrival(self):
        arrivals = self._get_arrivals_by_stage()
        for stage in self:
            stage.plans_activities = bool(stage.id in arrivals and arrivals[stage.id].plan_id)
            stage.asks_for_fields = bool(self.env["crm.lead"]._get_asked_names(stage))

    # sudo, in all three: sales managers have no right on `ir.model.fields`, nor need one. They get, and give,
    # ids of those fields alone that a stage may ask for.

    @api.depends("required_field_ids")
    def _compute_asked_field_ids(self):
        stages = self.sudo()
        asked = self.env["crm.stage.askable.field"].search([("id", "in", stages.required_field_ids.ids)])
        for stage in self:
            ids = set(stage.sudo().required_field_ids.ids)
            stage.asked_field_ids = asked.filtered(lambda field, ids=ids: field.id in ids)

    def _inverse_asked_field_ids(self):
        for stage in self:
            stage.sudo().required_field_ids = [Command.set(stage.asked_field_ids.ids)]

    @api.model
    def _search_asked_field_ids(self, operator, value):
        if operator not in ("in", "any"):
            return NotImplemented
        if operator == "any":
            value = self.env["crm.stage.askable.field"].search(value).ids
        stages = self.sudo().with_context(active_test=False)
        return Domain("id", "in", stages._search(Domain("required_field_ids", "in", value)))

    @api.model
    def _get_plan_domain(self):
        """:return: domain of the activity plans that a stage may have"""
        return [("res_model", "=", "crm.lead"), ("company_id", "in", [False, *self.env.companies.ids])]

    @api.model
    def _get_askable_domain(self):
        """:return: domain of the ``ir.model.fields`` that a stage may ask for"""
        return [("model", "=", "crm.lead"), ("name", "in", self.env["crm.lead"]._get_askable_names())]

    # ------------------------------------------------------------------
    # Constraints
    # ------------------------------------------------------------------

    @api.constrains("activity_plan_id")
    def _check_activity_plan_id(self):
        # sudo: a plan that the user may not see is named in the message
        for stage in self.sudo().filtered("activity_plan_id"):
            plan = stage.activity_plan_id.exists()
            if not plan or not plan.active:
                raise ValidationError(
                    self.env._(
                        'The activity plan of the stage "%s" is archived or deleted: choose another one.',
                        stage.name,
                    )
                )
            if plan.res_model != "crm.lead":
                raise ValidationError(
                    self.env._(
                        'The activity plan "%s" is not for opportunities: choose one of theirs.', plan.name
                    )
                )
            if plan.company_id and plan.company_id not in stage._get_plan_companies():
                raise ValidationError(
                    self.env._(
                        'The activity plan "%(plan)s" is of another company (%(company)s) than the stage '
                        '"%(stage)s": choose another plan, or let this one be of all companies.',
                        plan=plan.name,
                        company=plan.company_id.name,
                        stage=stage.name,
                    )
                )

    def _get_plan_companies(self):
        """:return: companies whose plans this stage may have: those of its teams, or the present one"""
        if self.team_ids and all(team.company_id for team in self.team_ids):
            return self.team_ids.company_id
        return self.env.company

    @api.constrains("mail_template_id")
    def _check_mail_template_id(self):
        # sudo: as above
        for stage in self.sudo().filtered("mail_template_id"):
            template = stage.mail_template_id.exists()
            if not template or not template.active:
                raise ValidationError(
                    self.env._(
                        'The e-mail template of the stage "%s" is archived or deleted: choose another one.',
                        stage.name,
                    )
                )
            if template.model != "crm.lead":
                raise ValidationError(
                    self.env._(
                        'The e-mail template "%s" is not for opportunities: choose one of theirs.',
                        template.name,
                    )
                )

    @api.constrains("required_field_ids")
    def _check_required_field_ids(self):
        # sudo: fields of other models, which sales managers may not see, are named in the message
        model_fields = self.sudo().required_field_ids
        if wrong := model_fields - model_fields.filtered_domain(self._get_askable_domain()):
            raise ValidationError(
                self.env._(
                    "Only fields of the opportunity that people fill in can be asked for, not: %s",
                    ", ".join(wrong.mapped("display_name")),
                )
            )

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
        return {
            stage.id: Arrival(
                stage.activity_plan_id.id,
                stage.mail_template_id.id,
                tuple(stage.required_field_ids.sorted("field_description").mapped("name")),
            )
            for stage in stages.search(Domain.OR(Domain(name, "!=", False) for name in acting))
        }
