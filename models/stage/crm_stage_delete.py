from odoo import api, models
from odoo.exceptions import RedirectWarning, UserError

from ...tools import forget

# What is counted of the opportunities in a stage, apart from each other
OPPORTUNITY_KINDS = ("active", "archived", "lost", "leads")


class CrmStage(models.Model):
    """A stage is deleted only when nothing is lost by it; one that is not may be archived."""

    _inherit = "crm.stage"

    def unlink(self):
        res = super().unlink()
        forget(self.env.cr)
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_needed(self):
        """Nothing is lost by deleting a stage: no opportunity, and no stage that a pipeline has to have.

        :raise RedirectWarning: its button shows the opportunities in there, inactive ones included
        :raise UserError: for the last open or the last won stage, and for one that scheduled actions move to
        """
        if message := self._get_holding_message():
            action = self._get_opportunities_action()
            raise RedirectWarning(message, action, self.env._("Show the Opportunities"))
        self._check_not_last()
        self._check_not_scheduled()

    def action_open_delete_wizard(self, is_in_form=False):
        """Offer what may be done instead of deleting stages with opportunities.

        :param bool is_in_form: whether the form of the stage is left when it was deleted
        :return: the action that opens the dialog
        """
        self.check_access("unlink")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Delete Stage") if len(self) == 1 else self.env._("Delete Stages"),
            "res_model": "crm.stage.delete.wizard",
            "views": [(False, "form")],
            "target": "new",
            "context": {
                "default_stage_ids": self.ids,
                "default_is_in_form": bool(is_in_form),
                "dialog_size": "medium",
            },
        }

    def _count_opportunities(self):
        """Count the opportunities in these stages, those of other companies included: they hold a stage, too.

        Leads, which no column of the pipeline shows, are counted apart.

        :return: ``{stage: {"active": 2, "archived": 0, "lost": 1, "leads": 4}}`` for the stages that hold any
        """
        # sudo: only numbers are told
        leads = self.env["crm.lead"].sudo().with_context(active_test=False)
        groupby = ["stage_id", "type", "active", "won_status"]
        counts = {}
        for stage, kind, active, won_status, count in leads._read_group(
            [("stage_id", "in", self.ids)], groupby, ["__count"]
        ):
            if kind == "lead":
                kind = "leads"
            else:
                kind = "lost" if won_status == "lost" else "active" if active else "archived"
            by_kind = counts.setdefault(stage.sudo(False), dict.fromkeys(OPPORTUNITY_KINDS, 0))
            by_kind[kind] += count
        return counts

    def _get_holding_message(self):
        """:return: what these stages hold, stage by stage; empty when they hold nothing"""
        counts = self._count_opportunities()
        if not counts:
            return ""
        lines = []
        for stage in self:
            if not (held := counts.get(stage)):
                continue
            if held["leads"]:
                text = self.env._(
                    '"%(stage)s": %(active)s active, %(archived)s archived, %(lost)s lost, %(leads)s leads',
                    stage=stage.name,
                    **held,
                )
            else:
                text = self.env._(
                    '"%(stage)s": %(active)s active, %(archived)s archived, %(lost)s lost',
                    stage=stage.name,
                    **held,
                )
            lines.append(text)
        return self.env._(
            "A stage that holds opportunities cannot be deleted:\n\n%(stages)s\n\n"
            "Move them to another stage first, or archive the stage.",
            stages="\n".join(lines),
        )

    def _get_opportunities_action(self):
        """:return: action on all opportunities of these stages, inactive ones included"""
        name = self.env._("Opportunities in %(stages)s", stages=", ".join(self.mapped("name")))
        return self.env["crm.lead"]._get_list_action(name, [("stage_id", "in", self.ids)])

    def get_archive_obstacle(self):
        """:return: why these stages cannot be archived, and what to do; empty when they can"""
        self.check_access("write")
        return self._get_last_stage_obstacle()

    def _check_not_last(self):
        """:raise UserError: when the pipeline, or a team, has no open or no won stage without these"""
        if obstacle := self._get_last_stage_obstacle():
            raise UserError(obstacle)

    def _get_last_stage_obstacle(self):
        """:return: why the pipeline, or a team, cannot do without these stages; empty when it can"""
        leaving = self.with_context(active_test=True).filtered("active")
        others = leaving.search([("id", "not in", self.ids)])
        for is_won, stages in leaving.grouped("is_won").items():
            left = others.filtered(lambda stage, is_won=is_won: stage.is_won == is_won)
            teams = stages._get_teams_left_out(left)
            if teams or not left:
                return stages._get_last_stage_message(is_won, teams)
        return ""

    def _check_not_scheduled(self):
        """:raise UserError: while scheduled actions move to these stages: each holds its server action"""
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

    def _get_teams_left_out(self, left):
        """:return: sales teams that use these stages and none of the stages ``left``, in sudo"""
        # sudo: stages are shared by all companies' teams
        stages, left = self.sudo(), left.sudo()
        if not all(stage.team_ids for stage in left):
            return stages.team_ids.browse()
        if all(stage.team_ids for stage in stages):
            return stages.team_ids - left.team_ids
        return stages.team_ids.search([("active", "=", True)]) - left.team_ids

    def _get_last_stage_message(self, is_won, teams):
        """:return: why these stages have to stay, and what to do; only teams the user may see are named"""
        visible = teams.sudo(False)._filtered_access("read")
        names = {"stages": ", ".join(self.mapped("name")), "teams": ", ".join(visible.mapped("name"))}
        if is_won:
            message = self.env._(
                'A pipeline needs a won stage: "%(stages)s" is the last one. '
                "Make another stage a won stage first.",
                **names,
            )
        else:
            message = self.env._(
                'A pipeline needs an open stage, where opportunities start: "%(stages)s" is the last one. '
                "Add another stage first.",
                **names,
            )
        if visible:
            message += "\n" + self.env._("Sales teams without another one: %(teams)s", **names)
        if hidden := len(teams) - len(visible):
            message += "\n" + self.env._("Sales teams of other companies without another one: %s", hidden)
        return message
