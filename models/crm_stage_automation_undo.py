"""Undoing what "Apply to existing documents" moved."""

from odoo import api, fields, models

from . import crm_stage_automation_catch_up


class CrmStageAutomation(models.Model):
    _inherit = "crm.stage.automation"

    move_ids = fields.One2many(
        "crm.stage.automation.move",
        "automation_id",
        string="Moves That Can Be Undone",
        groups="base.group_system",
        help="What was moved when it was applied to existing documents the last time.",
    )
    undoable_count = fields.Integer(
        string="Opportunities That Can Be Moved Back",
        compute="_compute_undoable_count",
        help="How many opportunities were moved when it was applied to existing documents the last time.",
    )

    @api.depends("move_ids.is_being_undone")
    def _compute_undoable_count(self):
        # sudo: sales managers may know how many there are
        moves = self.env["crm.stage.automation.move"].sudo()
        domain = [("automation_id", "in", self.ids), ("is_being_undone", "=", False)]
        counts = dict(moves._read_group(domain, ["automation_id"], ["__count"]))
        for automation in self:
            automation.undoable_count = counts.get(automation._origin.sudo(), 0)

    def _move_undoably(self, listener, pairs, leads, **kwargs):
        """Move as ``_move`` does, and note what it takes to move them back.

        :return: as ``_move`` does
        """
        moves = self.env["crm.stage.automation.move"]
        before = moves._read_before(leads)
        moved = self._move(listener, pairs, leads, **kwargs)
        if moved and moved.ids:
            moves._note(self, before)
        return moved

    def action_show_moved(self):
        """:return: action on the opportunities that it moved when it was applied the last time"""
        self.ensure_one()
        self.check_access("read")
        lead_ids = self.sudo().move_ids.lead_id.ids  # sudo: opening them is up to the user's own rights
        name = self.env._("Moved Opportunities")
        return self.env["crm.lead"]._get_list_action(name, [("id", "in", lead_ids)])

    def action_undo_catch_up(self):
        """Undo the last "Apply to existing documents": what it has not moved yet is not moved any more, and
        what nobody has touched since is moved back; few at once, many by the scheduled job.

        :return: action that tells how many
        """
        self.ensure_one()
        self.check_access("write")
        automation = self.sudo()  # sudo: moves as the automation itself does, which the user may set up
        automation._stop_catch_up()
        leads = self.env["crm.lead"].with_context(active_test=False)
        visible_ids = set(leads.search([("id", "in", automation.move_ids.lead_id.ids)]).ids)
        moves = automation.move_ids.filtered(
            lambda move: move.lead_id.id in visible_ids and not move.is_being_undone
        )
        if len(moves) > crm_stage_automation_catch_up.CATCH_UP_BATCH:
            moves.is_being_undone = True
            self._get_catch_up_job()._trigger()
            message = self.env._("%s opportunities will be moved back within the next minutes.", len(moves))
            return self._get_notification(message)
        count = len(moves)
        undone = len(moves._undo())
        message = self._get_undone_message(undone)
        if count > undone:
            message += " " + self._get_staying_message(count - undone)
        return self._get_notification(message)

    def _stop_catch_up(self):
        """Forget what has not been moved yet; what fell due in time is none of it."""
        if self.is_catching_up:
            self._get_catch_up_moves().unlink()
            self.is_catching_up = False

    @api.model
    def _get_undone_message(self, count):
        if count == 1:
            return self.env._("1 opportunity moved back.")
        return self.env._("%s opportunities moved back.", count)

    @api.model
    def _get_staying_message(self, count):
        if count == 1:
            return self.env._("1 has been moved, won or lost since: it stays where it is.")
        return self.env._("%s have been moved, won or lost since: they stay where they are.", count)

    @api.model
    def _cron_catch_up(self):
        res = super()._cron_catch_up()
        self.env["crm.stage.automation.move"]._undo_batches(crm_stage_automation_catch_up.CATCH_UP_BATCH)
        return res
