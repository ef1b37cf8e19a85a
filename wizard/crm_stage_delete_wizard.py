"""Deleting stages: what is in them is moved first, or they are archived instead."""

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command, Domain

from ..tools import by_count, get_button, get_done_action

# Opportunities moved by one request: a few seconds' work, after which the user sees progress
MOVE_BATCH_SIZE = 1000


class CrmStageDeleteWizard(models.TransientModel):
    _name = "crm.stage.delete.wizard"
    _description = "Delete Sales Stages"

    stage_ids = fields.Many2many(
        "crm.stage",
        string="Stages",
        required=True,
        context={"active_test": False},
        help="The stages to delete or archive.",
    )
    opportunity_count = fields.Integer(
        "All Together", compute="_compute_contents", help="All opportunities and leads in there."
    )
    contents = fields.Text(
        "Opportunities",
        compute="_compute_contents",
        help="Opportunities in each of the stages: active ones, won ones included; archived ones that are "
        "not lost; lost ones; and leads, which no column of the pipeline shows.",
    )
    can_archive = fields.Boolean(
        compute="_compute_can_archive",
        help="Whether any of the stages is not archived yet, and the pipeline can do without them.",
    )
    archive_text = fields.Text(
        "Archiving", compute="_compute_can_archive", help="What archiving the stages brings about."
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
    def _compute_contents(self):
        for wizard in self:
            # sudo: those of other companies hold the stages, too; only numbers are shown
            wizard.opportunity_count = self.env["crm.lead"].sudo().search_count(wizard._get_domain())
            contents = wizard.stage_ids._origin._get_contents()
            wizard.contents = "\n".join(
                self.env._("%(field)s: %(value)s", field=stage.name, value=text)
                for stage, text in contents.items()
            )

    @api.depends("stage_ids")
    def _compute_can_archive(self):
        for wizard in self:
            stages = wizard.stage_ids._origin
            wizard.can_archive = any(stages.mapped("active")) and not stages.get_archive_obstacle()
            wizard.archive_text = stages.get_archive_text()

    @api.depends("stage_ids")
    def _compute_automation_note(self):
        deleted = self.env._("Deleted with the stage:")
        archived = self.env._("Archived, as all stages that they move opportunities from are gone:")
        for wizard in self:
            stages = wizard.stage_ids._origin
            notes = {deleted: stages.automation_ids, archived: stages._get_automations_losing_origins()}
            wizard.automation_note = "\n".join(
                "\n\N{BULLET} ".join([title, *automations.mapped("name")])
                for title, automations in notes.items()
                if automations
            )

    @api.depends("stage_ids")
    def _compute_target_stage_ids(self):
        for wizard in self:
            # sudo: a stage has to serve the teams of opportunities of other companies as well
            leads = self.env["crm.lead"].sudo()
            groups = leads._read_group(wizard._get_domain(), ["stage_id", "team_id"])
            outcomes = {stage.is_won for stage, _team in groups}
            teams = self.env["crm.team"].union(*(team.sudo(False) for _stage, team in groups))
            targets = self.env["crm.stage"].search([("id", "not in", wizard.stage_ids.ids)])
            wizard.target_stage_ids = targets.browse(
                stage.id
                for stage in targets
                if outcomes == {stage.is_won} and (not stage.team_ids or teams <= stage.team_ids)
            )

    @api.depends("stage_ids", "target_stage_ids")
    def _compute_obstacle(self):
        for wizard in self:
            visible = self.env["crm.lead"].search_count(wizard._get_domain())
            wizard.obstacle = False
            if hidden := wizard.opportunity_count - visible:
                wizard.obstacle = self.env._(
                    "%s of these opportunities are not yours to move. Select all companies at the top right, "
                    "or ask somebody who may see them.",
                    hidden,
                )
            elif wizard.opportunity_count and not wizard.target_stage_ids:
                wizard.obstacle = self.env._(
                    "There is no other stage to move these opportunities to: won ones need another won "
                    "stage, others an open stage, which all their sales teams use. Delete won stages apart "
                    "from other stages."
                )

    def _get_domain(self):
        """:return: ``Domain`` of all opportunities in the stages, inactive ones included"""
        return Domain("stage_id", "in", self.stage_ids.ids) & Domain("active", "in", (True, False))

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
        deleted = by_count(
            len(self.stage_ids),
            self.env._("Stage deleted: %s.", names),
            self.env._("Stages deleted: %s.", names),
        )
        self.stage_ids.unlink()
        message, buttons, options = deleted, [], {}
        if count := len(self.moved_lead_ids):
            values = {"count": count, "target": self.target_stage_id.name, "deleted": deleted}
            message = by_count(
                count,
                self.env._("1 opportunity moved to %(target)s. %(deleted)s", **values),
                self.env._("%(count)s opportunities moved to %(target)s. %(deleted)s", **values),
            )
            buttons = [get_button(self.env._("Show Them"), self._name, "action_show_moved", self.ids)]
        if self.is_in_form:
            action = self.env["ir.actions.act_window"]._for_xml_id("crm.crm_stage_action")
            options["next"] = {**action, "target": "main"}
        return get_done_action(message, buttons, **options)

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
        leads = self.env["crm.lead"].search(self._get_domain(), limit=MOVE_BATCH_SIZE, order="id")
        leads._transfer_to_stage(self.target_stage_id)
        self.moved_lead_ids = [Command.link(lead_id) for lead_id in leads.ids]
        return leads.search_count(self._get_domain())

    def _check_move(self):
        """:raise UserError: unless all opportunities of the stages can go to the chosen stage"""
        self.stage_ids.check_access("unlink")
        self.stage_ids._check_deletable()
        if self.obstacle:
            raise UserError(self.obstacle)
        if self.opportunity_count and self.target_stage_id not in self.target_stage_ids:
            raise UserError(self.env._("Choose the stage to move the opportunities to."))
