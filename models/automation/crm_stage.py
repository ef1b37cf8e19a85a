from odoo import api, fields, models
from odoo.exceptions import RedirectWarning, UserError, ValidationError
from odoo.tools.translate import LazyTranslate

from .fault import AutomationError

_lt = LazyTranslate(__name__)


class CrmStage(models.Model):
    """Automations and actions that move to a stage follow what the stage means."""

    _inherit = "crm.stage"

    automation_ids = fields.One2many(
        "crm.stage.automation",
        "stage_id",
        string="Automations",
        groups="sales_team.group_sale_manager",
        help="What moves opportunities to this stage by itself.",
    )
    has_faulty_automation = fields.Boolean(
        compute="_compute_has_faulty_automation",
        help="Whether an automation that moves opportunities to this stage does not work.",
    )

    @api.depends("automation_ids.fault", "automation_ids.active")
    def _compute_has_faulty_automation(self):
        # sudo: that something does not work is no secret, how it is set up is
        automations = self.env["crm.stage.automation"].sudo()
        is_faulty = [("stage_id", "in", self.ids), ("active", "=", True), ("fault", "!=", False)]
        faulty_ids = {stage.id for (stage,) in automations._read_group(is_faulty, ["stage_id"])}
        for stage in self:
            stage.has_faulty_automation = stage.id in faulty_ids

    def write(self, vals):
        """Automations that win or lose opportunities follow what their stage means, actions its new name.

        Those of a stage that was archived begin anew when it comes back.
        """
        # sudo, in all of this: the user who changes stages need not see automations, nor server actions
        archived = self.filtered(lambda stage: not stage.active) if vals.get("active") else self.browse()
        archived.sudo().automation_ids._begin()
        won_before = self.filtered("is_won")
        res = super().write(vals)
        actions = self.env["ir.actions.server"].sudo()
        if "name" in vals:
            actions.search([("crm_stage_id", "in", self.ids)])._compute_name()
        if "is_won" in vals:
            won = self.filtered("is_won")
            automations = self.env["crm.stage.automation"].sudo().with_context(active_test=False)
            undecided = [("crm_stage_id", "in", (won - won_before).ids), ("crm_stage_outcome", "=", False)]
            actions.search(undecided).crm_stage_outcome = "won"
            automations.search([("stage_id", "in", (won - won_before).ids)])._follow_won_stage()
            automations.search([("stage_id", "in", (won_before - won).ids)])._follow_open_stage()
        return res

    def _get_archive_sentence(self, count):
        """Say which automations stop with the stage."""
        stopped = self.automation_ids.filtered("active").mapped("name")
        title = self.env._("Automations at rest until it comes back:")
        sentence = super()._get_archive_sentence(count)
        return "\n\N{BULLET} ".join([f"{sentence} {title}", *stopped]) if stopped else sentence

    def copy(self, default=None):
        """A duplicate takes the automations along; archived, so that not both move the same opportunities."""
        copies = super().copy(default)
        automations = self.env["crm.stage.automation"].with_context(active_test=False)
        for stage, duplicate in zip(self, copies, strict=True):
            for automation in automations.search([("stage_id", "=", stage.id)], order="sequence, id"):
                automation.copy({"stage_id": duplicate.id, "active": False})
        return copies

    def unlink(self):
        """Archive automations that name origins when the last of these is deleted.

        Without origins they would take opportunities from any earlier stage.
        """
        # sudo: deleting a stage takes rights on stages, not on automations
        losing_origins = self.sudo()._get_automations_losing_origins()
        res = super().unlink()
        losing_origins.exists().active = False
        return res

    def _get_automations_losing_origins(self):
        """:return: active automations to other stages that take opportunities from these stages alone"""
        domain = [("from_stage_ids", "in", self.ids), ("stage_id", "not in", self.ids)]
        automations = self.env["crm.stage.automation"].search(domain)
        return automations.filtered(lambda automation: automation.from_stage_ids <= self)

    def _check_deletable(self):
        """
        :raise RedirectWarning: also while scheduled actions, which hold their server action, move to these
        :raise UserError: the same, for who may not see those
        """
        # sudo: stages are their managers', scheduled actions the administrators', who need to know which
        jobs = self.env["ir.cron"].sudo().with_context(active_test=False)
        if jobs := jobs.search([("crm_stage_id", "in", self.ids)]):
            message = self.env._(
                'Scheduled actions move opportunities to "%(stages)s": %(jobs)s. '
                "Have an administrator give them another stage, or delete them, first.",
                stages=", ".join(jobs.crm_stage_id.mapped("name")),
                jobs=", ".join(jobs.mapped("name")),
            )
            if not self.env["ir.cron"].has_access("read"):
                raise UserError(message)
            action = self.env["ir.actions.act_window"]._for_xml_id("base.ir_cron_act")
            action["domain"] = [("id", "in", jobs.ids)]
            raise RedirectWarning(message, action, self.env._("Show Them"))
        return super()._check_deletable()

    def _check_outcome(self, outcome):
        """
        :param outcome: ``won``, ``lost`` or nothing, of an automation or action that moves to this stage
        :raise ValidationError: the stage has no such outcome, or it is missing
        """
        if outcome and not self.is_won:
            raise ValidationError(
                self.env._(
                    'The stage "%s" is no won stage: opportunities are neither won nor lost by moving '
                    "there. Leave the outcome empty, or choose a won stage.",
                    self.name,
                )
            )
        if self.is_won and self.ask_outcome and not outcome:
            raise ValidationError(
                self.env._('The stage "%s" means won or lost: choose which of both it does.', self.name)
            )

    def _get_outcome_error(self):
        """:return: what is wrong with winning or losing opportunities by this stage, which is no won one"""
        return AutomationError(
            self.env,
            _lt(
                'The stage "%s" is no won stage any more, so opportunities are neither won nor lost there. '
                "Make it a won stage again, choose another one, or leave the outcome empty.",
                self.name,
            ),
        )
