"""What a stage tells of its automations, and what they do when it becomes a won stage or an open one."""

from contextlib import contextmanager, nullcontext

from odoo import api, fields, models
from odoo.exceptions import UserError


class CrmStage(models.Model):
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
        groups = automations._read_group(
            [("stage_id", "in", self.ids), ("active", "=", True), ("fault", "!=", False)], ["stage_id"]
        )
        faulty_ids = {stage.id for (stage,) in groups}
        for stage in self:
            stage.has_faulty_automation = stage.id in faulty_ids

    def write(self, vals):
        """Automations that win or lose opportunities follow what their stage means, actions its new name.

        Those of a stage that was archived begin anew when it comes back.
        """
        archived = self.filtered(lambda stage: not stage.active) if vals.get("active") else self.browse()
        # sudo: whoever changes stages need not see automations
        archived.sudo().automation_ids._begin()
        won_before = self.filtered("is_won")
        with self._renaming_actions() if "name" in vals else nullcontext():
            res = super().write(vals)
        if "is_won" not in vals:
            return res
        won = self.filtered("is_won")
        # sudo: whoever changes stages need not see automations, nor server actions
        automations = self.env["crm.stage.automation"].sudo().with_context(active_test=False)
        if became_won := won - won_before:
            actions = self.env["ir.actions.server"].sudo()
            actions.search(
                [("crm_stage_id", "in", became_won.ids), ("crm_stage_outcome", "=", False)]
            ).crm_stage_outcome = "won"
            automations.search([("stage_id", "in", became_won.ids)])._follow_won_stage()
        if became_open := won_before - won:
            automations.search([("stage_id", "in", became_open.ids)])._follow_open_stage()
        return res

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
        """:raise UserError: also while scheduled actions, which hold their server action, move to these"""
        super()._check_deletable()
        # sudo: stages are their managers', scheduled actions the administrators', who need to know which
        jobs = self.env["ir.cron"].sudo().with_context(active_test=False)
        if jobs := jobs.search([("crm_stage_id", "in", self.ids)]):
            raise UserError(
                self.env._(
                    'Scheduled actions move opportunities to "%(stages)s": %(jobs)s. '
                    "Have an administrator give them another stage, or delete them, first.",
                    stages=", ".join(jobs.crm_stage_id.mapped("name")),
                    jobs=", ".join(jobs.mapped("name")),
                )
            )

    def _update_field_translations(self, field_name, translations, digest=None, source_lang=""):
        with self._renaming_actions() if field_name == "name" else nullcontext():
            return super()._update_field_translations(field_name, translations, digest, source_lang)

    @contextmanager
    def _renaming_actions(self):
        """Let the actions that have their automatic name follow the new name of their stage.

        Each language has a name of its own for both. Odoo's ``automated_name`` has one for all languages.
        """
        # sudo: stages are their managers', server actions the administrators'
        actions = self.env["ir.actions.server"].sudo().search([("crm_stage_id", "in", self.ids)])
        names = [
            (action, action._generate_action_name())
            for lang, _label in self.env["res.lang"].get_installed()
            for action in actions.with_context(lang=lang)
        ]
        automatic = [(action, name) for action, name in names if action.name in (name, action.automated_name)]
        yield
        for action, name_before in automatic:
            name = action._generate_action_name()
            if name != name_before:
                is_automated = action.automated_name == name_before
                action.write({"name": name, "automated_name": name} if is_automated else {"name": name})
