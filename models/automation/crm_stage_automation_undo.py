"""Undoing what was moved by applying an automation to existing documents."""

from odoo import api, models
from odoo.fields import Domain

from . import crm_stage_automation_catch_up

# How long it is offered
UNDO_DAYS = 7

# Opportunities that are named of those that stay where they are
MAX_STAYING_NAMES = 10


class CrmStageAutomation(models.Model):
    _inherit = "crm.stage.automation"

    @api.model
    def _get_undoable_domain(self):
        """:return: ``Domain`` of the moves that were made when automations were applied the last time"""
        return (
            Domain("is_applied", "=", True)
            & Domain("state", "=", "done")
            & Domain("is_being_undone", "=", False)
            & Domain("date", ">=", f"-{UNDO_DAYS}d")
        )

    def action_show_moved(self):
        """:return: action on the opportunities that it moved when it was applied the last time"""
        self.ensure_one()
        moves = self.env["crm.stage.automation.move"]
        moved = moves.search(self._get_undoable_domain() & Domain("automation_id", "=", self.id))
        name = self.env._("Moved Opportunities")
        return self.env["crm.lead"]._get_list_action(name, [("id", "in", moved.lead_id.ids)])

    def action_undo_catch_up(self):
        """Undo the last "Apply to existing documents": what it has not moved yet is not moved any more, and
        what nobody has touched since is moved back; few at once, many by the scheduled job.

        :return: action that shows how many, and which ones stay where they are
        """
        self.ensure_one()
        self.check_access("write")
        self._get_waiting().filtered("is_applied").unlink()
        # As far as the user may see the opportunities
        moves = self.env["crm.stage.automation.move"].search(
            self._get_undoable_domain() & Domain("automation_id", "=", self.id)
        )
        moves = moves.sudo()  # sudo: moves as the automation itself does, which the user may set up
        if len(moves) > crm_stage_automation_catch_up.BATCH:
            moves.is_being_undone = True
            self._get_catch_up_job()._trigger()
            message = self.env._("%s opportunities will be moved back within the next minutes.", len(moves))
            return self._get_notification(message)
        leads = moves.lead_id
        undone = moves._undo()
        message = self._get_undone_message(len(undone))
        if staying := leads - undone:
            message += " " + self._get_staying_message(staying.sudo(False))
        return self._get_notification(message)

    @api.model
    def _get_undone_message(self, count):
        if count == 1:
            return self.env._("1 opportunity moved back.")
        return self.env._("%s opportunities moved back.", count)

    @api.model
    def _get_staying_message(self, leads):
        names = leads[:MAX_STAYING_NAMES].mapped("name") + ["…"][: len(leads) > MAX_STAYING_NAMES]
        values = {"count": len(leads), "names": ", ".join(names)}
        if len(leads) == 1:
            return self.env._(
                "1 has been moved, won or lost since, or its former stage is gone: it stays where it is "
                "(%(names)s).",
                **values,
            )
        return self.env._(
            "%(count)s have been moved, won or lost since, or their former stages are gone: they stay where "
            "they are (%(names)s).",
            **values,
        )
