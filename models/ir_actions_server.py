import ast

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError


class IrActionsServer(models.Model):
    _inherit = "ir.actions.server"

    state = fields.Selection(
        selection_add=[("crm_stage", "Move Opportunity to Stage"), ("code",)],
        ondelete={"crm_stage": lambda actions: actions._remove_with_scheduled()},
    )
    crm_stage_id = fields.Many2one(
        "crm.stage",
        string="Move to Stage",
        index="btree_not_null",
        ondelete="cascade",
        help="Stage that the opportunities are moved to.",
    )
    crm_stage_policy = fields.Selection(
        [("forward", "Forward only"), ("always", "Always")],
        string="Direction",
        default="forward",
        help="Forward only: opportunities that are in this stage or a later one stay where they are.\n"
        "Always: they are moved back to this stage, too.\n"
        "Won, lost and archived opportunities are always left alone.",
    )
    crm_lead_path = fields.Char(
        string="Path to the Opportunity",
        compute="_compute_crm_lead_path",
        store=True,
        readonly=False,
        help="Fields that lead from the record to its opportunity, e.g. 'opportunity_id'.",
    )
    crm_stage_domain = fields.Char(
        string="Records",
        help="When the action runs without records, as a scheduled action does: the records it moves the "
        "opportunities of.",
    )

    # ------------------------------------------------------------------
    # Fields
    # ------------------------------------------------------------------

    def write(self, vals):
        """An automatic name follows the stage. The stage itself tells when it gets another name.

        Nothing here makes Odoo's field depend on ours: uninstalling removes what depends on our fields.
        """
        res = super().write(vals)
        if "crm_stage_id" in vals:
            self._compute_name()
        return res

    @api.onchange("crm_stage_id")
    def _onchange_crm_stage_id(self):
        self._compute_name()

    def _generate_action_name(self):
        if self.state == "crm_stage" and self.crm_stage_id:
            return self.env._("Move to %s", self.crm_stage_id.name)
        return super()._generate_action_name()

    @api.depends("model_id", "state")
    def _compute_crm_lead_path(self):
        """Found by itself where the model has exactly one link to opportunities."""
        for action in self:
            action.crm_lead_path = False
            if action.state == "crm_stage" and action.model_id and action.model_id.model != "crm.lead":
                links = [
                    field.name
                    for field in self.env[action.model_id.model]._fields.values()
                    if field.type == "many2one" and field.comodel_name == "crm.lead"
                ]
                action.crm_lead_path = links[0] if len(links) == 1 else False

    # ------------------------------------------------------------------
    # Constraints
    # ------------------------------------------------------------------

    @api.constrains("state", "crm_stage_id", "crm_lead_path", "model_id")
    def _check_crm_stage(self):
        for action in self.filtered(lambda action: action.state == "crm_stage"):
            if not action.crm_stage_id:
                raise ValidationError(self.env._("Choose the stage that the opportunities are moved to."))
            if action.model_id.model != "crm.lead":
                action._check_crm_lead_path()

    def _check_crm_lead_path(self):
        """:raise ValidationError: the path does not lead from the action's model to opportunities"""
        model = self.env[self.model_id.model]
        if not self.crm_lead_path:
            raise ValidationError(
                self.env._(
                    "Choose the path that leads from %s to its opportunity, "
                    "as there is none, or more than one.",
                    self.model_id.name,
                )
            )
        for name in self.crm_lead_path.split("."):
            field = model._fields.get(name)
            if not field or not field.relational:
                raise ValidationError(
                    self.env._(
                        'The path "%(path)s" does not lead from %(model)s to an opportunity: '
                        '"%(field)s" is no link. '
                        "Choose another path.",
                        path=self.crm_lead_path,
                        model=self.model_id.name,
                        field=name,
                    )
                )
            model = self.env[field.comodel_name]
        if model._name != "crm.lead":
            raise ValidationError(
                self.env._(
                    'The path "%(path)s" leads to %(target)s, not to an opportunity. Choose another path.',
                    path=self.crm_lead_path,
                    target=self.env["ir.model"]._get(model._name).name,
                )
            )

    @api.ondelete(at_uninstall=False)
    def _unlink_except_used_by_automations(self):
        automations = (
            self.env["crm.stage.automation"]
            .with_context(active_test=False)
            .search([("action_server_id", "in", self.ids)])
        )
        if automations:
            raise UserError(
                self.env._(
                    "Stage automations run this action: delete them first.\n%s",
                    "\n".join(automations.mapped("name")),
                )
            )

    def _remove_with_scheduled(self):
        """Uninstalling: a scheduled action is one with its server action, but holds it."""
        self.ir_cron_ids.unlink()
        self.exists().unlink()

    # ------------------------------------------------------------------
    # Running
    # ------------------------------------------------------------------

    def _run_action_crm_stage_multi(self, eval_context=None):
        """Move the opportunities of all records at once, with the rights of whoever runs the action.

        An automation says in the context which stages it takes them from. That is for this run alone: what
        the move brings about may run other actions, or this one again, and then their own direction counts.
        """
        records = (
            eval_context.get("records")
            or eval_context.get("record")
            or self._get_crm_stage_records(eval_context)
        )
        leads = records.mapped(self.crm_lead_path) if self.crm_lead_path else records
        stage = leads.env["crm.stage"].browse(self.crm_stage_id.id)
        if leads.env.user.share and not leads.env.su:
            raise AccessError(self.env._("Opportunities are moved by people of the company only."))
        origin_ids = stage._get_earlier_stage_ids() if self.crm_stage_policy == "forward" else None
        origin_ids = self.env.context.get("crm_stage_origins", {}).get(self.id, origin_ids)
        leads = leads.filtered_domain(leads._get_movable_domain(stage, origin_ids))
        if leads:
            leads.with_context(crm_stage_moving=True, crm_stage_origins={}).write({"stage_id": stage.id})

    def _get_crm_stage_records(self, eval_context):
        """:return: the records that the action moves the opportunities of when it is run without any"""
        if not self.crm_stage_domain:
            return eval_context["model"]
        return eval_context["model"].search(ast.literal_eval(self.crm_stage_domain))

    # ------------------------------------------------------------------
    # Stage automations
    # ------------------------------------------------------------------

    def _is_plain_move_to(self, stage):
        """:return: whether the action moves opportunities to ``stage``, and does nothing else"""
        return (
            self.state == "crm_stage"
            and self.model_id.model == "crm.lead"
            and self.crm_stage_id == stage
            and self.usage == "ir_actions_server"
            and not self.group_ids
            and not self.child_ids
            and not self.parent_id
        )

    @api.model
    def _get_plain_move_to(self, stage):
        """:return: the action that the automations of ``stage`` share, created when there is none"""
        actions = self.search([("state", "=", "crm_stage"), ("crm_stage_id", "=", stage.id)], order="id")
        name = self.env._("Move to %s", stage.name)
        return actions.filtered(lambda action: action._is_plain_move_to(stage))[:1] or self.create(
            {
                "name": name,
                "automated_name": name,  # so that it follows the stage's
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "state": "crm_stage",
                "crm_stage_id": stage.id,
            }
        )
