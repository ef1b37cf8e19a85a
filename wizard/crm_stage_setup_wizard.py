"""Setting up the default stages in a live pipeline: its own stages are merged into them, or brought back."""

import re

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command, Domain
from odoo.tools import split_every

from ..tools import by_count, get_button, get_done_action

# Words in the names of stages, in both languages, that mean the same as one of the default stages
STAGE_WORDS = {
    "stage_new": r"new|nouve|lead|piste|contact|prospect",
    "stage_estimate": r"estim|qualifi|chiffrage|costing",
    "stage_technical_visit": r"visit|technical|techni|measure|métré",
    "stage_quotation": r"quot|devis|propos|offer|offre|negotiat|négocia",
}
# Opportunities moved at a time, to keep memory low; all within one transaction
BATCH_SIZE = 2000


class CrmStageSetupWizard(models.TransientModel):
    _name = "crm.stage.setup.wizard"
    _description = "Set Up the Default Sales Stages"

    line_ids = fields.One2many(
        "crm.stage.setup.wizard.line",
        "wizard_id",
        string="Stages",
        help="What happens to each stage that you have today.",
    )
    obstacle = fields.Text(compute="_compute_obstacle", help="Which lines cannot be done, and why.")
    is_needed = fields.Boolean(compute="_compute_is_needed", help="Whether there is anything to set up.")

    @api.model
    def default_get(self, fields):
        values = super().default_get(fields)
        if "line_ids" in fields and "line_ids" not in values:
            values["line_ids"] = [Command.create(line) for line in self._get_default_lines()]
        return values

    @api.model
    def _get_default_lines(self, restored_ids=()):
        """
        :param restored_ids: of merged stages that are to be brought back
        :return: values of a line for each stage but the default ones, with what is proposed for it
        """
        stages = self.env["crm.stage"].with_context(active_test=False)
        stages = stages.search([("id", "not in", stages._get_default_stages().ids)])
        holding = stages._get_contents()
        lines = []
        for stage in stages.filtered(lambda stage: stage.active or stage.setup_stage_id or stage in holding):
            target = self._propose_target(stage) if stage.active else stage.setup_stage_id
            action = "keep"
            if target and (stage.active or stage.id in restored_ids):
                action = "merge" if stage.active else "restore"
            lines.append({"stage_id": stage.id, "action": action, "target_id": target.id})
        return lines

    @api.model
    def _propose_target(self, stage):
        """:return: the default stage whose name means the same, the final one for a won stage, or none"""
        ref = "crm_sales_stage.%s"
        if stage.is_won:
            return self.env.ref(ref % "stage_closed", False) or stage.browse()
        names = " ".join({stage.name, stage.with_context(lang="en_US").name}).lower()
        for name, words in STAGE_WORDS.items():
            if re.search(words, names) and (target := self.env.ref(ref % name, False)):
                return target
        return stage.browse()

    @api.depends("line_ids.obstacle")
    def _compute_obstacle(self):
        for wizard in self:
            lines = wizard.line_ids.filtered("obstacle")
            wizard.obstacle = "\n".join(f"{line.stage_id.name}: {line.obstacle}" for line in lines)

    @api.depends("line_ids.action")
    def _compute_is_needed(self):
        is_incomplete = not all(self.env["crm.stage"]._get_default_stages().mapped("active"))
        for wizard in self:
            wizard.is_needed = is_incomplete or set(wizard.line_ids.mapped("action")) - {"keep"}

    def action_apply(self):
        """Do what the lines say, all of it or nothing, tracked on every opportunity.

        :return: action that shows what was done, and opens the pipeline
        :raise UserError: with the reason, when one line cannot be done
        """
        self.ensure_one()
        self.env["crm.stage"].check_access("write")
        if self.obstacle:
            raise UserError(self.env._("This cannot be done yet:") + "\n\n" + self.obstacle)
        restored = self.line_ids.filtered(lambda line: line.action == "restore")
        if not restored:
            self.env["crm.stage"]._get_default_stages().action_unarchive()
        merged = self.line_ids.filtered(lambda line: line.action == "merge")
        message = self._get_done_message(merged, restored)
        (restored + merged)._apply()
        if restored:
            self._archive_unused_default_stages()
        undo = get_button(self.env._("Undo…"), self._name, "action_open_undo", merged.stage_id.ids)
        pipeline = self.env["ir.actions.act_window"]._for_xml_id("crm.crm_lead_action_pipeline")
        return get_done_action(message, [undo] if merged else [], next=pipeline, sticky=True)

    @api.model
    def action_open_undo(self, stage_ids):
        """:return: action that opens this dialog anew, to bring back the stages that were merged"""
        self.check_access("create")
        lines = [Command.create(line) for line in self._get_default_lines(restored_ids=stage_ids)]
        action = self.env["ir.actions.act_window"]._for_xml_id("crm_sales_stage.crm_stage_setup_action")
        return {**action, "context": {"dialog_size": "extra-large", "default_line_ids": lines}}

    def _get_done_message(self, merged, restored):
        """:return: message of what the lines ``merged`` and ``restored`` are about to do"""
        messages = [self.env._("The default stages are set up.")]
        if merged:
            messages.append(self.env._("Merged: %s.", ", ".join(merged.stage_id.mapped("name"))))
        if restored:
            messages.append(self.env._("Brought back: %s.", ", ".join(restored.stage_id.mapped("name"))))
        if count := sum((merged + restored).mapped("moving_count")):
            one = self.env._("1 opportunity moved.")
            messages.append(by_count(count, one, self.env._("%s opportunities moved.", count)))
        return " ".join(messages)

    def _archive_unused_default_stages(self):
        """Archive the default stages again after the merges were undone, except those that are in use."""
        stages = self.env["crm.stage"]
        merged = stages.with_context(active_test=False).search([("setup_stage_id", "!=", False)])
        defaults = stages._get_default_stages() - merged.setup_stage_id
        unused = defaults.filtered("active") - stages.union(*defaults._get_contents())
        if not unused.get_archive_obstacle():
            unused.action_archive()


class CrmStageSetupWizardLine(models.TransientModel):
    _name = "crm.stage.setup.wizard.line"
    _description = "Set Up the Default Sales Stages: a Stage"

    wizard_id = fields.Many2one("crm.stage.setup.wizard", required=True, ondelete="cascade")
    stage_id = fields.Many2one(
        "crm.stage",
        string="Your Stage",
        required=True,
        readonly=True,
        ondelete="cascade",
        context={"active_test": False},
        help="A stage of your pipeline as it is today.",
    )
    action = fields.Selection(
        [("keep", "Keep as it is"), ("merge", "Merge into"), ("restore", "Bring back")],
        required=True,
        default="keep",
        help="Keep as it is: nothing changes.\n"
        "Merge into: its opportunities go to the default stage, and it is archived.\n"
        "Bring back: undoes an earlier merge. The opportunities that it moved come back from there.",
    )
    target_id = fields.Many2one(
        "crm.stage",
        string="Default Stage",
        ondelete="cascade",
        context={"active_test": False},
        domain=lambda self: (
            f"[('id', 'in', {self.env['crm.stage']._get_default_stages().ids}), ('is_won', '=', is_won)]"
        ),
        help="The default stage that takes over the opportunities.",
    )
    is_won = fields.Boolean(related="stage_id.is_won")
    contents = fields.Char(
        "Opportunities",
        compute="_compute_contents",
        help="Opportunities in the stage: active ones, won ones included; archived ones that are not lost; "
        "lost ones; and leads, which no column of the pipeline shows.",
    )
    moving_count = fields.Integer(
        "Will Move", compute="_compute_moving", help="Opportunities that get another stage."
    )
    probability_count = fields.Integer(
        "Will Get a New Probability",
        compute="_compute_moving",
        help="Open opportunities that get the probability of their new stage. Those set by hand keep theirs.",
    )
    obstacle = fields.Char(compute="_compute_moving", help="Why this cannot be done.")

    @api.depends("stage_id")
    def _compute_contents(self):
        contents = self.stage_id._get_contents()
        for line in self:
            line.contents = contents.get(line.stage_id._origin, "")

    @api.depends("stage_id", "action", "target_id")
    def _compute_moving(self):
        for line in self:
            leads = line._get_moving_opportunities()
            line.moving_count = len(leads)
            stage = line._get_destination()
            following = leads.filtered(lambda lead: lead.active and lead.is_automated_probability)
            differing = following.filtered_domain(
                [("won_status", "=", "pending"), ("probability", "!=", stage.probability)]
            )
            line.probability_count = len(differing) if stage.is_fixed else 0
            line.obstacle = line._get_obstacle(leads)

    def _get_destination(self):
        """:return: stage that the opportunities of this line go to"""
        return self.stage_id if self.action == "restore" else self.target_id

    def _get_moving_domain(self):
        """:return: ``Domain`` of the opportunities that this line moves, inactive ones included"""
        self.ensure_one()
        merged_into = self.stage_id.setup_stage_id
        domain = Domain.FALSE
        if self.action == "merge" and self.target_id:
            domain = Domain("stage_id", "=", self.stage_id.id)
        elif self.action == "restore" and merged_into:
            # Leads have no history: all that are there belong to this stage.
            came = Domain("id", "in", self._get_merged_ids(merged_into)) | Domain("type", "=", "lead")
            domain = Domain("stage_id", "=", merged_into.id) & came
        return domain & Domain("active", "in", (True, False))

    def _get_merged_ids(self, target):
        """:return: ids of the opportunities that came to ``target`` from this line's stage, and have been
        there since
        """
        # sudo: stays of opportunities that the user may not see, which are counted
        stays = self.env["crm.stage.stay"].sudo().with_context(active_test=False)
        were_here = [("stage_id", "=", self.stage_id.id), ("lead_id.stage_id", "=", target.id)]
        lead_ids = stays.search(were_here).lead_id.ids
        elsewhere = [("lead_id", "in", lead_ids), ("stage_id", "!=", target.id)]
        last = {stay.lead_id.id: stay.stage_id for stay in stays.search(elsewhere, order="date_entered, id")}
        return [lead_id for lead_id, stage in last.items() if stage == self.stage_id]

    def _get_moving_opportunities(self):
        """:return: opportunities that this line moves, of those that the user may see"""
        return self.env["crm.lead"].search(self._get_moving_domain(), order="id")

    def _get_obstacle(self, leads):
        """
        :param leads: opportunities that the line moves, of those that the user may see
        :return: why this line cannot be done; empty when it can
        """
        self.ensure_one()
        if self.action == "merge" and not (self.target_id and self.target_id.is_won == self.is_won):
            return self.env._(
                "Choose a default stage where opportunities do not change between won and open."
            )
        if self.action == "restore" and not self.stage_id.setup_stage_id:
            return self.env._("No earlier set-up merged this stage: there is nothing to bring back.")
        # sudo: only the number of those that the user may not see, or not change, is shown
        count = leads.sudo().search_count(self._get_moving_domain())
        if immovable := count - len(leads._filtered_access("write")):
            return self.env._(
                "%s of its opportunities are not yours to move. Select all companies at the top right, "
                "or ask somebody who may see them.",
                immovable,
            )
        return ""

    def _apply(self):
        """Move the opportunities, a part of them at a time, and archive the stage or bring it back."""
        for line in self:
            leads = line._get_moving_opportunities()
            stage = line._get_destination()
            stage.active = True
            for batch in split_every(BATCH_SIZE, leads.ids, leads.browse):
                batch._transfer_to_stage(stage)
            merged_into = line.target_id if line.action == "merge" else stage.browse()
            line.stage_id.write({"active": not merged_into, "setup_stage_id": merged_into.id})
