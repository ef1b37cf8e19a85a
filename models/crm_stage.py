from odoo import api, fields, models
from odoo.exceptions import RedirectWarning, UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import SQL

# The stages this addon delivers, in the order of a sale: external id and English name, as in the data
DEFAULT_STAGES = {
    "stage_new": "New",
    "stage_estimate": "Estimate",
    "stage_technical_visit": "Technical Visit",
    "stage_quotation": "Quotation",
    "stage_closed": "Won / Lost",
}

# Of open stages that are created by SQL, or while only Odoo CRM is loaded
DATABASE_PROBABILITY = 50

# What an empty cell of an import does not change, and the values that it comes as
EMPTY_VALUES = {
    "probability": (False, None),
    "probability_mode": (False, None),
    "active": (None,),
    "ask_outcome": (None,),
}

# Won or lost opportunities that a suggested probability must rest on
MIN_SUGGESTION_BASIS = 20


class CrmStage(models.Model):
    _name = "crm.stage"
    _inherit = ["crm.stage", "crm.stage.condition.value"]

    probability = fields.Float(
        digits=(5, 2),
        default=None,  # OCA's crm_stage_probability has one
        aggregator="avg",
        help="Chance of winning, in percent (0 to 100), that an opportunity gets on entering this stage. "
        "A won stage is always at 100%.",
    )
    probability_mode = fields.Selection(
        [("fixed", "The stage's probability"), ("predictive", "Odoo's predictive scoring")],
        string="Probability From",
        required=True,
        default=lambda self: self._default_probability_mode(),
        help="The stage's probability: opportunities get the percentage given here on entering the stage.\n"
        "Odoo's predictive scoring: Odoo computes the percentage from past opportunities.",
    )
    active = fields.Boolean(
        default=True,
        help="An archived stage leaves the pipeline. Its opportunities stay in it.",
    )
    ask_outcome = fields.Boolean(
        string="Ask Won or Lost",
        help="For a won stage: an opportunity dropped on it in the pipeline, or the stage clicked on the "
        "opportunity, asks whether it is won or lost. In lists and imports the stage means won; automations "
        "say which of both.",
    )
    setup_stage_id = fields.Many2one(
        "crm.stage",
        string="Merged Into",
        readonly=True,
        copy=False,
        ondelete="set null",
        help="The default stage that this stage was merged into when the default stages were set up.",
    )
    automation_ids = fields.One2many(
        "crm.stage.automation",
        "stage_id",
        string="Automations",
        groups="sales_team.group_sale_manager",
        help="What moves opportunities to this stage by itself.",
    )

    win_rate = fields.Float(
        "Won in the End (%)",
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="Of the opportunities that entered this stage in the last 12 months and are won or lost by now: "
        "the share that was won.",
    )
    win_rate_basis = fields.Integer(
        "Won or Lost",
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="Number of opportunities that entered this stage in the last 12 months and are won or lost "
        "by now.",
    )
    median_days = fields.Float(
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="Of the opportunities that left this stage in the last 12 months, half had stayed for less than "
        "these days, half for longer.",
    )
    lost_here_count = fields.Integer(
        "Lost Here",
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="Number of opportunities lost in this stage in the last 12 months.",
    )
    can_suggest_probability = fields.Boolean(
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="Whether enough opportunities were won or lost to suggest a probability.",
    )
    suggested_probability = fields.Float(
        digits=(5, 2),
        compute="_compute_figures",
        groups="sales_team.group_sale_salesman",
        help="The share of opportunities that passed this stage and were won, as observed in the last 12 "
        "months.",
    )

    _check_probability = models.Constraint(
        "CHECK(probability >= 0 AND probability <= 100)",
        "The probability of a stage must be between 0% and 100%.",
    )

    def init(self):
        """Let the database fill our columns where our code is not there to do it.

        An update of Odoo CRM, or of an addon that depends on it alone, creates stages before this addon is
        loaded.
        """
        self.env.cr.execute(
            SQL(
                """
                ALTER TABLE crm_stage
                    ALTER COLUMN active SET DEFAULT true,
                    ALTER COLUMN probability SET DEFAULT %s,
                    ALTER COLUMN probability_mode SET DEFAULT %s
                """,
                DATABASE_PROBABILITY,
                self._default_probability_mode(),
            )
        )

    @api.model
    def _default_probability_mode(self):
        """A new stage does as the others: in a pipeline left to Odoo's scoring it is predictive too."""
        modes = [mode for (mode,) in self._read_group([], ["probability_mode"])]
        return "predictive" if modes == ["predictive"] else "fixed"

    @api.model
    def default_get(self, fields):
        """A new stage that is told no probability does not come to 0%, which is next to lost."""
        values = super().default_get(fields)
        if "probability" in fields and "probability" not in values:
            sequence = values.get("sequence") or super().default_get(["sequence"])["sequence"]
            values["probability"] = self._get_probability_between(sequence)
        return values

    @api.constrains("is_won", "probability")
    def _check_won_probability(self):
        for stage in self:
            if stage.is_won and stage.probability != 100:
                raise ValidationError(
                    self.env._(
                        'The stage "%(stage)s" is a won stage: its probability is always 100%%. '
                        'Untick "Is Won Stage" first if it should be lower.',
                        stage=stage.name,
                    )
                )

    @api.onchange("is_won")
    def _onchange_is_won(self):
        if self.is_won:
            self.probability = 100
        elif self._origin and not self._origin.is_won:
            self.probability = self._origin.probability
        elif self.probability == 100:
            self.probability = self._origin._get_probability_between(self.sequence)
        return super()._onchange_is_won()

    @api.model_create_multi
    def create(self, vals_list):
        stages = super().create([self._complete_values(vals) for vals in vals_list])
        self._clear_automation_cache()
        return stages

    def write(self, vals):
        """Let open opportunities that follow their stage follow its new probability too.

        :raise UserError: when archiving would leave somebody without an open or a won stage
        """
        vals = self._drop_empty_values(vals)
        if not vals.get("active", True):
            self._check_not_last()
        if not vals.get("is_won", True) and "probability" not in vals and any(self.mapped("is_won")):
            return self._reopen(vals)
        vals = self._complete_won_values(vals)
        if not {"probability", "probability_mode", "is_won"} & vals.keys():
            res = super().write(vals)
            self._clear_automation_cache(vals)
            return res
        before = {stage: (stage.probability_mode, stage.probability) for stage in self}
        res = super().write(vals)
        self._clear_automation_cache(vals)
        changed = self.filtered(lambda stage: (stage.probability_mode, stage.probability) != before[stage])
        changed._apply_probability_to_opportunities()
        return res

    def _reopen(self, vals):
        """Write ``vals``, which make won stages open ones and tell no probability, on each of these stages.

        100% was the probability of a won stage: each gets one between its neighbours', and its opportunities
        follow.
        """
        reopened = self.filtered("is_won")
        for stage in reopened:
            probability = stage._get_probability_between(vals.get("sequence", stage.sequence))
            stage.write({**vals, "probability": probability})
        # Odoo has done so for the active opportunities that the user may see.
        # sudo: a stage is shared by all companies
        leads = self.env["crm.lead"].sudo().with_context(active_test=False)
        leads.search([("stage_id", "in", reopened.ids), ("won_status", "=", "won")])._leave_won()
        return (self - reopened).write(vals)

    def _load_records(self, data_list, update=False):
        """Heed what the data of OCA's crm_stage_probability, when it is installed later, tell of stages.

        To other addons "crm.stage_lead2" is Odoo's Qualified, while Estimate bears this external id, too: the
        default stages keep their probability. Elsewhere "on_change" means that a stage gives its own.
        """
        if self.env.context.get("install_module") not in (None, "crm_sales_stage"):
            default_ids = self._get_default_stages().ids
            for data in data_list:
                xml_id = data.get("xml_id")
                stage_id = xml_id and self.env["ir.model.data"]._xmlid_to_res_id(xml_id)
                data["values"] = self._heed_foreign_values(data["values"], stage_id in default_ids)
        return super()._load_records(data_list, update)

    @api.model
    def _heed_foreign_values(self, values, is_default):
        """:return: ``values`` of another addon's data, for one of the default stages or another one"""
        if is_default:
            return {name: value for name, value in values.items() if name not in ("probability", "on_change")}
        if "on_change" in values:
            return {"probability_mode": "fixed" if values["on_change"] else "predictive", **values}
        return values

    def unlink(self):
        """Archive automations whose origins are all gone: they would take opportunities from anywhere."""
        # sudo: deleting a stage takes rights on stages, not on automations
        automations = self.env["crm.stage.automation"].sudo().search([("from_stage_ids", "in", self.ids)])
        res = super().unlink()
        automations.exists().filtered(lambda automation: not automation.from_stage_ids).active = False
        self._clear_automation_cache()
        return res

    def _clear_automation_cache(self, vals=None):
        """Let all workers forget what the cache knows, after ``vals`` were written that it is made of."""
        if vals is None or {"sequence", "name", "active", "team_ids"} & vals.keys():
            self.env["crm.stage.automation"]._clear_setup()

    def _get_earlier_stage_ids(self):
        """
        :return: ids of the stages before this one, and False: an opportunity without stage is before all
        """
        return self.env["crm.stage.automation"]._get_setup().get_earlier_stage_ids(self.id)

    @api.model
    def name_create(self, name):
        """A stage made by its name alone, as "Add a new column" does, lands before the final stage."""
        stage = self.create({"name": name, **self._get_new_column_values()})
        return stage.id, stage.display_name

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

    @api.model
    def _drop_empty_values(self, vals):
        """:return: ``vals`` without those that are empty, as cells of an imported file may be"""
        return {
            name: value
            for name, value in vals.items()
            if not any(value is empty for empty in EMPTY_VALUES.get(name, ()))
        }

    @api.model
    def _complete_won_values(self, vals):
        """:return: ``vals``, with the probability a won stage has when they do not tell one"""
        return {"probability": 100, **vals} if vals.get("is_won") else vals

    @api.model
    def _complete_values(self, vals):
        """:return: ``vals`` of a new stage, with a probability between its neighbours' when they tell none"""
        vals = self._complete_won_values(self._drop_empty_values(vals))
        if "probability" in vals or "sequence" not in vals:
            return vals
        return {"probability": self._get_probability_between(vals["sequence"]), **vals}

    @api.model
    def _get_default_stages(self):
        """:return: those of the five delivered stages that still exist, archived ones included, in order"""
        refs = (self.env.ref(f"crm_sales_stage.{name}", raise_if_not_found=False) for name in DEFAULT_STAGES)
        return self.browse([stage.id for stage in refs if stage])

    def _gives_probability(self):
        """:return: whether opportunities in this stage get their probability from it, not from scoring"""
        return self.is_won or self.probability_mode == "fixed"

    def _is_fixed(self):
        """:return: whether open opportunities get the stage's own probability on entering it"""
        return self.probability_mode == "fixed" and not self.is_won

    def _get_probability(self):
        """:return: percentage that this stage gives, when it gives one: a won stage means 100, whatever was
        written by SQL
        """
        return 100 if self.is_won else self.probability

    def _apply_probability_to_opportunities(self):
        """Bring the open opportunities of these stages to what their stage says now.

        Fixed stages: in two SQL statements, however many opportunities there are. Predictive ones: by
        Odoo's own scoring. A probability set by hand stays.
        """
        fixed = self.filtered(lambda stage: stage._is_fixed())
        if fixed:
            self.env["crm.lead"]._update_probabilities_of_stages(fixed)
        predictive = self.filtered(lambda stage: not stage._gives_probability())
        if predictive:
            open_leads = self.env["crm.lead"].search(
                Domain("stage_id", "in", predictive.ids) & Domain("won_status", "=", "pending")
            )
            open_leads.modified(["stage_id"])

    @api.model
    def _get_view(self, view_id=None, view_type="form", **options):
        """Show one probability where OCA's crm_stage_probability adds its own fields beside ours."""
        arch, view = super()._get_view(view_id, view_type, **options)
        if "on_change" in self._fields:
            for node in arch.xpath("//*[@*[contains(., 'on_change')]]"):
                node.getparent().remove(node)
            for node in arch.xpath("//field[@name='probability']")[:-1]:
                node.getparent().remove(node)
        return arch, view

    # ------------------------------------------------------------------
    # Deleting and archiving
    # ------------------------------------------------------------------

    def action_open_delete_wizard(self):
        """:return: the action that offers what may be done instead of deleting stages with opportunities"""
        self.check_access("unlink")
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Delete Stage") if len(self) == 1 else self.env._("Delete Stages"),
            "res_model": "crm.stage.delete.wizard",
            "views": [(False, "form")],
            "target": "new",
            "context": {"default_stage_ids": self.ids, "dialog_size": "medium"},
        }

    def _count_opportunities(self):
        """Opportunities that nobody here may see (another company's) hold a stage too: all are counted.

        :return: ``{stage: {"active": 2, "archived": 0, "lost": 1}}`` for the stages that hold any
        """
        # sudo: only numbers are told
        groups = (
            self.env["crm.lead"]
            .sudo()
            .with_context(active_test=False)
            ._read_group([("stage_id", "in", self.ids)], ["stage_id", "active", "won_status"], ["__count"])
        )
        counts = {}
        for stage, active, won_status, count in groups:
            kind = "lost" if won_status == "lost" else "active" if active else "archived"
            by_kind = counts.setdefault(stage.sudo(False), {"active": 0, "archived": 0, "lost": 0})
            by_kind[kind] += count
        return counts

    def _get_holding_message(self):
        """:return: what these stages hold, stage by stage; empty when they hold nothing"""
        counts = self._count_opportunities()
        if not counts:
            return ""
        lines = [
            self.env._(
                '"%(stage)s": %(active)s active, %(archived)s archived, %(lost)s lost',
                stage=stage.name,
                **counts[stage],
            )
            for stage in self
            if stage in counts
        ]
        return self.env._(
            "A stage that holds opportunities cannot be deleted:\n\n%(stages)s\n\n"
            "Move them to another stage first, or archive the stage.",
            stages="\n".join(lines),
        )

    def _get_opportunities_action(self):
        """:return: action on all opportunities of these stages, inactive ones included"""
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Opportunities in %(stages)s", stages=", ".join(self.mapped("name"))),
            "res_model": "crm.lead",
            "views": [(self.env.ref("crm.crm_case_tree_view_oppor").id, "list"), (False, "form")],
            "domain": [("stage_id", "in", self.ids)],
            "context": {"active_test": False, "create": False},
        }

    def _check_not_last(self):
        """:raise UserError: when the pipeline, or a team, has no open or no won stage without these"""
        leaving = self.with_context(active_test=True).filtered("active")
        others = leaving.search([("id", "not in", self.ids)])
        for is_won, stages in leaving.grouped("is_won").items():
            left = others.filtered(lambda stage, is_won=is_won: stage.is_won == is_won)
            teams = stages._get_teams_left_out(left)
            if teams or not left:
                raise UserError(stages._get_last_stage_message(is_won, teams))

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

    def _get_naming_automations(self):
        """Automations that go along with their stage do not hold it."""
        return super()._get_naming_automations().filtered(lambda automation: automation.stage_id not in self)

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

    # ------------------------------------------------------------------
    # Adding a column
    # ------------------------------------------------------------------

    @api.model
    def _get_new_column_values(self):
        """Make room before the final (last won) stage.

        :return: sequence and probability of a stage that comes there
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
        neighbour = before.filtered(lambda stage: stage.active and stage._gives_probability())[-1:]
        return {"sequence": sequence, "probability": self._get_middle_probability(neighbour.probability)}

    def _get_probability_between(self, sequence):
        """:return: percentage between those of the pipeline's other stages before and after this place"""
        stages = (
            self.search([("active", "=", True)]).filtered(lambda stage: stage._gives_probability()) - self
        )
        before = stages.filtered(lambda stage: stage.sequence <= sequence and not stage.is_won)[-1:]
        after = stages.filtered(lambda stage: stage.sequence > sequence)[:1]
        return self._get_middle_probability(before.probability, after._get_probability() if after else 100)

    @api.model
    def _get_middle_probability(self, lower, upper=100):
        """:return: a round percentage between ``lower`` and ``upper``, by default won"""
        middle = (lower + upper) / 2
        rounded = (round(middle / step) * step for step in (5, 1))
        return next((value for value in rounded if lower < value < upper), round(middle, 2))

    # ------------------------------------------------------------------
    # Figures of the last 12 months
    # ------------------------------------------------------------------

    @api.depends("probability", "probability_mode", "is_won")
    @api.depends_context("allowed_company_ids", "uid")
    def _compute_figures(self):
        """Read the figures of all stages at once; the report's rules say whose opportunities count."""
        wins, stays, losses = self._get_figures()
        for stage in self:
            rate, basis = wins.get(stage, (0, 0))
            stage.win_rate = rate
            stage.win_rate_basis = basis
            stage.median_days = stays.get(stage, 0)
            stage.lost_here_count = losses.get(stage, 0)
            stage.suggested_probability = round(rate) if basis >= MIN_SUGGESTION_BASIS else 0
            stage.can_suggest_probability = basis >= MIN_SUGGESTION_BASIS and stage._is_fixed()

    def _get_figures(self):
        """:return: three dictionaries by stage: (percentage won, of how many), median days, number lost"""
        report = self.env["crm.stage.report"]
        here = Domain("stage_id", "in", self.ids)
        entered = here & Domain("date_entered", ">=", "-1y") & Domain("is_first_visit", "=", True)
        left = here & Domain("date_left", ">=", "-1y")
        wins = report._read_group(
            entered & Domain("won_status", "in", ["won", "lost"]), ["stage_id"], ["was_won:avg", "__count"]
        )
        stays = report._read_group(
            left & Domain("outcome", "!=", "won"), ["stage_id"], ["days_median:median"]
        )
        losses = report._read_group(left & Domain("outcome", "=", "lost"), ["stage_id"], ["__count"])
        return {stage: (rate, basis) for stage, rate, basis in wins}, dict(stays), dict(losses)

    def action_apply_suggested_probability(self):
        """Take the observed share over as the stage's probability: its open opportunities follow.

        :raise UserError: when too few opportunities were won or lost to tell one
        """
        self.ensure_one()
        self.check_access("write")
        if not self.can_suggest_probability:
            raise UserError(
                self.env._(
                    'Nothing can be suggested for the stage "%(stage)s" yet: fewer than %(number)s '
                    "opportunities that entered it in the last 12 months are won or lost by now, or it has "
                    "no probability of its own.",
                    stage=self.name,
                    number=MIN_SUGGESTION_BASIS,
                )
            )
        self.probability = self.suggested_probability

    def _check_figures_access(self):
        """:raise AccessError: for those who may see stages alone, as other addons let portal users do"""
        self.check_access("read")
        self.env["crm.stage.report"].check_access("read")

    def action_open_lost_here(self):
        """:return: action that shows the opportunities lost here in the last 12 months"""
        self.ensure_one()
        self._check_figures_access()
        return self.env["crm.stage.report"].action_open_leads(
            [("stage_id", "=", self.id), ("outcome", "=", "lost"), ("date_left", ">=", "-1y")],
            self.env._("Lost in %s", self.name),
        )

    def action_open_stays(self):
        """:return: action that shows the report of this stage"""
        self.ensure_one()
        self._check_figures_access()
        action = self.env["ir.actions.act_window"]._for_xml_id("crm_sales_stage.crm_stage_report_action")
        return {
            **action,
            "domain": [("stage_id", "=", self.id)],
            "views": [(False, "graph"), (False, "pivot"), (False, "list")],
            "context": {"search_default_last_12_months": 1, "group_by": "date_entered:month"},
        }
