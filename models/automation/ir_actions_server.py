from odoo import api, fields, models
from odoo.exceptions import AccessError, ValidationError
from odoo.fields import Domain

from ...tools import ON

# Key of the cursor's cache: the automation that runs its own action, if any
RUNNING = "crm_sales_stage.running"


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
    crm_stage_outcome = fields.Selection(
        [("won", "Win the opportunity"), ("lost", "Lose the opportunity")],
        string="Outcome",
        compute="_compute_crm_stage_outcome",
        store=True,
        readonly=False,
        help="Of final stages. Win: the opportunities move to the stage and are won.\n"
        "Lose: they are lost as with Odoo's own button, and keep their stage. Those that still have an open "
        "quotation, or an order, are left alone.",
    )
    crm_lost_reason_id = fields.Many2one(
        "crm.lost.reason",
        string="Lost Reason",
        compute="_compute_crm_lost_reason_id",
        store=True,
        readonly=False,
        index="btree_not_null",
        ondelete="set null",
        help="Why the opportunities are lost. When the reason is deleted, they are lost without one.",
    )
    crm_lead_path = fields.Char(
        string="Path to the Opportunity",
        compute="_compute_crm_lead_path",
        store=True,
        readonly=False,
        help="Fields that lead from the record to its opportunity, e.g. 'opportunity_id'.",
    )

    # ------------------------------------------------------------------
    # Fields
    # ------------------------------------------------------------------

    def write(self, vals):
        """An automatic name follows what the action does.

        Odoo's field does not depend on ours: uninstalling removes what depends on our fields.
        """
        res = super().write(vals)
        if not {"crm_stage_id", "crm_stage_outcome", "crm_lost_reason_id"}.isdisjoint(vals):
            self._compute_name()
        return res

    @api.onchange("crm_stage_id", "crm_stage_outcome", "crm_lost_reason_id")
    def _onchange_crm_stage(self):
        self._compute_name()

    def _generate_action_name(self):
        if self.state != "crm_stage" or not self.crm_stage_id:
            return super()._generate_action_name()
        if self.crm_stage_outcome == "lost" and self.crm_lost_reason_id:
            return self.env._("Lose Opportunities: %s", self.crm_lost_reason_id.name)
        if self.crm_stage_outcome == "lost":
            return self.env._("Lose Opportunities")
        return self.env._("Move to %s", self.crm_stage_id.name)

    @api.depends("state", "crm_stage_id")
    def _compute_crm_stage_outcome(self):
        for action in self:
            is_final = action.state == "crm_stage" and action.crm_stage_id.is_won
            action.crm_stage_outcome = is_final and (action.crm_stage_outcome or "won")

    @api.depends("crm_stage_outcome")
    def _compute_crm_lost_reason_id(self):
        for action in self:
            action.crm_lost_reason_id = action.crm_stage_outcome == "lost" and action.crm_lost_reason_id

    @api.depends("model_id", "state")
    def _compute_crm_lead_path(self):
        """Found by itself where the model has exactly one link to opportunities."""
        for action in self:
            model, links = self.env.get(action.model_id.model), []
            if action.state == "crm_stage" and model is not None and model._name != "crm.lead":
                many2ones = [field for field in model._fields.values() if field.type == "many2one"]
                links = [field.name for field in many2ones if field.comodel_name == "crm.lead"]
            action.crm_lead_path = links[0] if len(links) == 1 else False

    # ------------------------------------------------------------------
    # Constraints
    # ------------------------------------------------------------------

    @api.constrains("state", "crm_stage_id", "crm_lead_path", "model_id", "crm_stage_outcome")
    def _check_crm_stage(self):
        for action in self.filtered(lambda action: action.state == "crm_stage"):
            if not action.crm_stage_id:
                raise ValidationError(self.env._("Choose the stage that the opportunities are moved to."))
            action.crm_stage_id._check_outcome(action.crm_stage_outcome)
            if action.model_id.model != "crm.lead":
                action._check_crm_lead_path()

    def _check_crm_lead_path(self):
        """:raise ValidationError: the path does not lead from the action's model to opportunities"""
        model = self.env[self.model_id.model]
        for name in (self.crm_lead_path or "").split("."):
            field = model is not None and model._fields.get(name)
            model = self.env[field.comodel_name] if field and field.relational else None
        if model is None or model._name != "crm.lead":
            raise ValidationError(
                self.env._(
                    'The path "%(path)s" does not lead from %(model)s to an opportunity. Choose another '
                    "path.",
                    path=self.crm_lead_path or "",
                    model=self.model_id.name,
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
        """Move the opportunities of all records at once, with the rights of the user who runs the action.

        An automation that runs its own action has chosen them. That is for this run alone: what the move
        brings about may run other actions, or this one again, and then their own direction counts.

        :raise AutomationError: it wins or loses opportunities by a stage that is no won stage any more
        """
        records = eval_context.get("records") or eval_context.get("record") or eval_context["model"]
        leads = records.mapped(self.crm_lead_path) if self.crm_lead_path else records
        stage = leads.env["crm.stage"].browse(self.crm_stage_id.id)
        if leads.env.user.share and not leads.env.su:
            raise AccessError(self.env._("Opportunities are moved by people of the company only."))
        if self.crm_stage_outcome and not stage.is_won:
            raise stage._get_outcome_error()
        automation = self.env.cr.cache.pop(RUNNING, None)
        if not automation or automation.action_server_id != self:
            automation = None
            origin_ids = stage._get_earlier_stage_ids() if self.crm_stage_policy == "forward" else None
            leads = leads.filtered_domain(Domain.AND(leads._get_movable_domains(stage, origin_ids).values()))
            if self.crm_stage_outcome == "lost":
                is_open = Domain(leads._get_lead_quotation_domain())
                leads -= leads._filter_with_orders(is_open | Domain(leads._get_lead_sale_order_domain()))
        leads = leads.with_context(crm_stage_moving=ON)
        if automation and automation.is_lost_included:
            leads = automation._restore_lost(leads)
        if leads and self.crm_stage_outcome == "lost":
            leads.action_set_lost(lost_reason_id=self.crm_lost_reason_id.id)
        elif leads:
            leads.write({"stage_id": stage.id})
