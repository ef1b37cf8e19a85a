"""Stages: their order, their archiving and deletion."""

from odoo import api, fields, models
from odoo.exceptions import RedirectWarning
from odoo.fields import Domain
from odoo.tools import SQL

from ...tools import ORDERED_STAGES, by_count, drop_empty, forget

# The stages this addon delivers, in the order of a sale: external id and English name, as in the data
DEFAULT_STAGES = {
    "stage_new": "New",
    "stage_estimate": "Estimate",
    "stage_technical_visit": "Technical Visit",
    "stage_quotation": "Quotation",
    "stage_closed": "Won / Lost",
}

# Fields that an empty cell of an imported file leaves as they are
KEPT_WHEN_EMPTY = {"active", "ask_outcome"}


class CrmStage(models.Model):
    _inherit = "crm.stage"

    active = fields.Boolean(
        default=True,
        help="An archived stage leaves the pipeline once its open opportunities have left it. Until it comes "
        "back, its automations are at rest.",
    )
    ask_outcome = fields.Boolean(
        string="Ask Won or Lost",
        help="For a won stage: an opportunity dropped on it in the pipeline, or the stage clicked on the "
        "opportunity, asks whether it is won or lost. In lists and imports the stage means won; automations "
        "say which of both.",
    )
    is_reason_required = fields.Boolean(
        string="Reason Required",
        help="For a won stage: who marks an opportunity of its pipeline as lost has to give a reason. Code, "
        "imports and automations need none.",
    )
    setup_stage_id = fields.Many2one(
        "crm.stage",
        string="Merged Into",
        readonly=True,
        copy=False,
        ondelete="set null",
        help="The default stage that this stage was merged into when the default stages were set up.",
    )

    # ------------------------------------------------------------------
    # Creating and changing
    # ------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        stages = super().create([drop_empty(self, vals, KEPT_WHEN_EMPTY) for vals in vals_list])
        forget(self.env.cr)
        return stages

    def write(self, vals):
        """:raise RedirectWarning: when archiving would leave a pipeline without an open or a won stage"""
        vals = drop_empty(self, vals, KEPT_WHEN_EMPTY)
        if not vals.get("active", True):
            self._check_not_last()
        res = super().write(vals)
        forget(self.env.cr)
        return res

    def init(self):
        """Let the database fill our columns where our code is not there to do it.

        An update of Odoo CRM, or of an addon that depends on it alone, creates stages before this addon is
        loaded.
        """
        self.env.cr.execute(SQL("ALTER TABLE crm_stage ALTER COLUMN active SET DEFAULT true"))

    # ------------------------------------------------------------------
    # The order of the stages
    # ------------------------------------------------------------------

    @api.model
    def _get_ordered_ids(self):
        """:return: ids of all stages, archived ones included, in the order of the pipeline; read once"""
        cache = self.env.cr.cache
        if ORDERED_STAGES not in cache:
            # sudo: opportunities are moved by users who may not read stages
            stages = self.sudo().with_context(active_test=False, lang=None)
            cache[ORDERED_STAGES] = tuple(stages.search(Domain.TRUE).ids)
        return cache[ORDERED_STAGES]

    def _get_earlier_stage_ids(self):
        """
        :return: ids of the stages before this one, and False: an opportunity without stage is before all.
            Before a stage that is not known yet there is none.
        """
        ordered_ids = self._get_ordered_ids()
        position = ordered_ids.index(self.id) if self.id in ordered_ids else 0
        return frozenset({False, *ordered_ids[:position]})

    @api.model
    def name_create(self, name):
        """A stage made by its name alone, as "Add a new column" does, lands before the final stage."""
        stage = self.create({"name": name, "sequence": self._make_room()})
        return stage.id, stage.display_name

    @api.model
    def _make_room(self):
        """Make room before the final (last won) stage.

        :return: sequence of a stage that comes there
        """
        stages = self.search([("active", "in", (True, False))])
        final = stages.filtered(lambda stage: stage.active and stage.is_won)[-1:]
        position = stages.ids.index(final.id) if final else len(stages)
        before, after = stages[:position], stages[position:]
        sequence = before[-1:].sequence + 1
        shift = sequence + 1 - after[:1].sequence
        if after and shift > 0:
            for stage in after:
                stage.sequence += shift
        return sequence

    @api.model
    def _get_default_stages(self):
        """:return: those of the five delivered stages that still exist, archived ones included, in order"""
        refs = (self.env.ref(f"crm_sales_stage.{name}", raise_if_not_found=False) for name in DEFAULT_STAGES)
        return self.browse([stage.id for stage in refs if stage])

    # ------------------------------------------------------------------
    # Archiving and deleting: nothing is lost by it
    # ------------------------------------------------------------------

    def unlink(self):
        res = super().unlink()
        forget(self.env.cr)
        return res

    @api.ondelete(at_uninstall=False)
    def _unlink_except_needed(self):
        """Nothing is lost by deleting a stage: no opportunity, and no stage that a pipeline has to have.

        :raise RedirectWarning: its button shows the opportunities in there, inactive ones included; for the
            last open or the last won stage, all stages
        """
        if contents := self._get_contents():
            message = self.env._(
                "A stage that holds opportunities cannot be deleted:\n\n%(stages)s\n\n"
                "Move them to another stage first, or archive the stage.",
                stages="\n".join(
                    self.env._('"%(stage)s": %(text)s', stage=stage.name, text=text)
                    for stage, text in contents.items()
                ),
            )
            action = self._get_opportunities_action()
            raise RedirectWarning(message, action, self.env._("Show the Opportunities"))
        self._check_deletable()

    def _check_deletable(self):
        """:raise RedirectWarning: for the last open or the last won stage"""
        self._check_not_last()

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

    def _get_contents(self):
        """Count the opportunities in these stages, those of other companies included: they hold a stage, too.

        Leads, which no column of the pipeline shows, are counted apart.

        :return: ``{stage: text with the numbers}`` for the stages that hold any
        """
        # sudo: only numbers are returned
        leads = self.env["crm.lead"].sudo().with_context(active_test=False)
        groupby = ["stage_id", "type", "active", "won_status"]
        counts = {}
        for stage, kind, active, won_status, count in leads._read_group(
            [("stage_id", "in", self.ids)], groupby, ["__count"]
        ):
            if kind == "opportunity":
                kind = "lost" if won_status == "lost" else "active" if active else "archived"
            held = counts.setdefault(stage.sudo(False), {"active": 0, "archived": 0, "lost": 0, "lead": 0})
            held[kind] += count
        with_leads = self.env._("%(active)s active, %(archived)s archived, %(lost)s lost, %(lead)s leads")
        without_leads = self.env._("%(active)s active, %(archived)s archived, %(lost)s lost")
        return {
            stage: (with_leads if held["lead"] else without_leads) % held for stage, held in counts.items()
        }

    def _get_opportunities_action(self):
        """:return: action on all opportunities of these stages, inactive ones included"""
        name = self.env._("Opportunities in %(stages)s", stages=", ".join(self.mapped("name")))
        return self.env["crm.lead"]._get_list_action(name, [("stage_id", "in", self.ids)])

    def _check_not_last(self):
        """:raise RedirectWarning: when the pipeline, or a team, has no open or no won stage without these"""
        if obstacle := self.get_archive_obstacle():
            stages_id = self.env.ref("crm.crm_stage_action").id
            raise RedirectWarning(obstacle, stages_id, self.env._("Show the Stages"))

    def get_archive_obstacle(self):
        """:return: why the pipeline, or a team, cannot do without these stages, and what to do; empty when it
        can
        """
        self.check_access("write")
        leaving = self.with_context(active_test=True).filtered("active")
        for is_won, stages in leaving.grouped("is_won").items():
            left = leaving.search([("id", "not in", self.ids), ("is_won", "=", is_won)])
            teams = stages._get_teams_left_out(left)
            if teams or not left:
                return stages._get_last_stage_message(is_won, teams)
        return ""

    def get_archive_text(self):
        """:return: what archiving these stages brings about: a sentence for each that is not archived yet"""
        self.check_access("write")
        # sudo: those of other companies keep the column, too; only numbers are returned
        leads = self.env["crm.lead"].sudo()
        shown = [("stage_id", "in", self.ids), ("type", "=", "opportunity"), ("active", "=", True)]
        counts = dict(leads._read_group(shown, ["stage_id"], ["__count"]))
        stages = self.filtered("active")
        return "\n".join(stage._get_archive_sentence(counts.get(stage, 0)) for stage in stages)

    def _get_archive_sentence(self, count):
        """:param count: how many opportunities keep the column of this stage"""
        values = {"stage": self.name, "count": count}
        if not count:
            return self.env._('"%(stage)s" leaves the pipeline.', **values)
        if self.is_won:
            return self.env._('"%(stage)s" keeps its column, for its won opportunities.', **values)
        return by_count(
            count,
            self.env._('"%(stage)s" keeps its column until its open opportunity has left it.', **values),
            self.env._(
                '"%(stage)s" keeps its column until its %(count)s open opportunities have left it.', **values
            ),
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
