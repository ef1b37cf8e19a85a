"""Deleting stages: what is in them is moved first, or they are archived instead."""

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command

from ..tools import by_count, get_button, get_done_action

# Opportunities moved by one request: a few seconds' work, after which the user sees progress
MOVE_BATCH_SIZE = 1000


class CrmStageDeleteWizard(models.TransientModel):
    _name = "crm.stage.delete.wizard"
    _inherit = "crm.stage.opportunity.counts"
    _description = "Delete Sales Stages"

    stage_ids = fields.Many2many(
        "crm.stage",
        string="Stages",
        required=True,
        context={"active_test": False},
        help="The stages to delete or archive.",
    )
    can_archive = fields.Boolean(
        compute="_compute_can_archive",
        help="Whether any of the stages is not archived yet, and the pipeline can do without them.",
    )
    automation_note = fields.Text(
        "Automations",
        compute="_compute_automation_note",
        help="What becomes of the automations that move opportunities to these stages, or from them.",
    )
    target_stage_ids = fields.Many2many(
        "crm.stage",
        "crm_stage_delete_wizard_target_rel",
        string="Possible Stages",
        compute="_compute_target_stage_ids",
        help="Stages where all the opportunities keep their outcome and which their sales teams use.",
    )
    target_stage_id = fields.Many2one(
        "crm.stage",
        string="Move Them To",
        domain="[('id', 'in', target_stage_ids)]",
        help="All opportunities, archived and lost ones included, go to this stage. They stay won, lost or "
        "archived, and keep a probability set by hand.",
    )
    is_in_form = fields.Boolean(
        "Opened From the Stage",
        help="Whether the dialog was opened from the form of the stage, which is left when it is deleted.",
    )
    obstacle = fields.Char(
        compute="_compute_obstacle", help="Why the opportunities cannot be moved to another stage."
    )
    moved_lead_ids = fields.Many2many(
        "crm.lead",
        string="Moved Opportunities",
        context={"active_test": False},
        help="Opportunities that were moved to the other stage, to show them afterwards.",
    )

    @api.depends("stage_ids")
    def _compute_can_archive(self):
        for wizard in self:
            stages = wizard.stage_ids._origin
            wizard.can_archive = any(stages.mapped("active")) and not stages.get_archive_obstacle()

    @api.depends("stage_ids")
    def _compute_automation_note(self):
        for wizard in self:
            stages = wizard.stage_ids._origin
            notes = [
                (self.env._("Deleted with the stage:"), stages.automation_ids),
                (
                    self.env._("Archived, as all stages that they move opportunities from are gone:"),
                    stages._get_automations_losing_origins(),
                ),
            ]
            wizard.automation_note = "\n".join(
                "\n".join([title, *(f"\N{BULLET} {name}" for name in automations.mapped("name"))])
                for title, automations in notes
                if automations
            )

    @api.depends("stage_ids")
    def _compute_target_stage_ids(self):
        for wizard in self:
            holding = self.env["crm.stage"].union(*wizard.stage_ids._count_opportunities())
            if len(set(holding.mapped("is_won"))) != 1:
                wizard.target_stage_ids = False
                continue
            teams = self._get_opportunities_teams(holding)
            wizard.target_stage_ids = (
                self.env["crm.stage"]
                .search([("is_won", "=", holding[0].is_won), ("id", "not in", wizard.stage_ids.ids)])
                .filtered(lambda stage, teams=teams: not stage.team_ids or teams <= stage.team_ids)
            )

    @api.depends("stage_ids", "target_stage_ids")
    def _compute_obstacle(self):
        for wizard in self:
            wizard.obstacle = wizard._get_obstacle()

    def action_show_opportunities(self):
        return self.stage_ids._get_opportunities_action()

    def action_archive(self):
        """Archive the stages; their opportunities stay where they are.

        :return: action that shows what was done, with a way back
        """
        stages = self.stage_ids.filtered("active")
        stages.action_archive()
        names = ", ".join(stages.mapped("name"))
        message = by_count(
            len(stages),
            self.env._('The stage "%s" is archived.', names),
            self.env._("Archived stages: %s.", names),
        )
        undo = get_button(self.env._("Undo"), stages._name, "action_unarchive", stages.ids, reload=True)
        return get_done_action(message, [undo])

    def action_delete(self):
        """Delete the stages.

        :return: action that shows what was done, and closes the dialog or leaves the form of the stage
        :raise RedirectWarning: while they hold opportunities
        """
        names = ", ".join(self.stage_ids.mapped("name"))
        self.stage_ids.unlink()
        options = {}
        if self.is_in_form:
            action = self.env["ir.actions.act_window"]._for_xml_id("crm.crm_stage_action")
            options["next"] = {**action, "target": "main"}
        return get_done_action(*self._get_deleted_notification(names), **options)

    def _get_deleted_notification(self, names):
        """:return: message of what was deleted and moved, and its buttons"""
        if not (count := len(self.moved_lead_ids)):
            return self.env._("Deleted: %s.", names), []
        values = {"count": count, "target": self.target_stage_id.name, "stages": names}
        message = by_count(
            count,
            self.env._("1 opportunity moved to %(target)s. Deleted: %(stages)s.", **values),
            self.env._("%(count)s opportunities moved to %(target)s. Deleted: %(stages)s.", **values),
        )
        return message, [get_button(self.env._("Show Them"), self._name, "action_show_moved", self.ids)]

    def action_show_moved(self):
        """:return: action on the opportunities that were moved before their stages were deleted"""
        name = self.env._("Moved Opportunities")
        return self.env["crm.lead"]._get_list_action(name, [("id", "in", self.moved_lead_ids.ids)])

    def action_move_and_delete(self):
        """Move all opportunities and delete the stages; a client action moves many, and shows progress."""
        self.ensure_one()
        self._check_move()
        if self.opportunity_count > MOVE_BATCH_SIZE:
            return {
                "type": "ir.actions.client",
                "tag": "crm_sales_stage_move_opportunities",
                "params": {"wizard_id": self.id, "count": self.opportunity_count},
            }
        self.move_batch()
        return self.action_delete()

    def move_batch(self):
        """Move the next opportunities. What was moved stays so when it is interrupted: start again to go on.

        :return: number of opportunities that are still to be moved
        """
        self.ensure_one()
        self._check_move()
        opportunities = self._get_opportunities(limit=MOVE_BATCH_SIZE)
        opportunities._transfer_to_stage(self.target_stage_id)
        self.moved_lead_ids = [Command.link(lead_id) for lead_id in opportunities.ids]
        return self._count_visible()

    def _check_move(self):
        """:raise UserError: unless all opportunities of the stages can go to the chosen stage"""
        self.stage_ids.check_access("unlink")
        self.stage_ids._check_deletable()
        if self.obstacle:
            raise UserError(self.obstacle)
        if self.opportunity_count and self.target_stage_id not in self.target_stage_ids:
            raise UserError(self.env._("Choose the stage to move the opportunities to."))

    def _get_opportunities(self, limit=None):
        """:return: opportunities of the stages, inactive ones included, as far as the user may see them"""
        leads = self.env["crm.lead"].with_context(active_test=False)
        domain = [("stage_id", "in", self.stage_ids.ids)]
        return leads.search(domain, limit=limit, order="id").with_env(self.env)

    def _count_visible(self):
        leads = self.env["crm.lead"].with_context(active_test=False)
        return leads.search_count([("stage_id", "in", self.stage_ids.ids)])

    @api.model
    def _get_opportunities_teams(self, stages):
        """:return: sales teams of all opportunities in ``stages``"""
        # sudo: teams of opportunities of other companies have to be served by the stage as well
        leads = self.env["crm.lead"].sudo().with_context(active_test=False)
        groups = leads._read_group([("stage_id", "in", stages.ids), ("team_id", "!=", False)], ["team_id"])
        return self.env["crm.team"].browse([team.id for (team,) in groups])

    def _get_obstacle(self):
        """:return: why the opportunities of these stages cannot be moved together; empty when they can"""
        self.ensure_one()
        if hidden := self.opportunity_count - self._count_visible():
            return self.env._(
                "%s of these opportunities are not yours to move. Select all companies at the top right, "
                "or ask somebody who may see them.",
                hidden,
            )
        if self.target_stage_ids or not self.opportunity_count:
            return ""
        if len(set(self.stage_ids.mapped("is_won"))) > 1:
            return self.env._(
                "Won opportunities have to stay won: delete won stages apart from other stages."
            )
        return self.env._(
            "There is no other stage to move these opportunities to: won ones need another won stage, "
            "others an open stage, which all their sales teams use."
        )
