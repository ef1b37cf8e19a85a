from odoo import api, models

from ..hooks import _is_adopted
from .dealer import LOGINS, Dealer


class CrmLead(models.Model):
    """The opportunities of a database with demo data: Odoo's own, and those of a dealer."""

    _inherit = "crm.lead"

    @api.model
    def _make_demo_dealer(self):
        """Make a dealer who sells in the five stages, unless they are there already.

        Where the five are not the pipeline, opportunities are somebody's own: nothing is made.
        """
        stages = self.env["crm.stage"]._get_default_stages().filtered("active")
        users = self.env["res.users"].with_context(active_test=False)
        if len(stages) == 5 and _is_adopted(self.env) and not users.search_count([("login", "in", LOGINS)]):
            Dealer(self.env, stages).make()

    @api.model
    def _place_demo_opportunities(self):
        """Spread Odoo's demo opportunities over the five stages, each at its stage's probability."""
        visit = self.env.ref("crm_sales_stage.stage_technical_visit")
        open_leads = self.search([("won_status", "=", "pending")], order="id")
        open_leads -= self._get_dealer_opportunities()
        opportunities = open_leads.filtered(lambda lead: lead.type == "opportunity")
        for in_stage in opportunities.grouped("stage_id").values():
            in_stage[2::3].stage_id = visit
        open_leads._take_stage_probability()

    @api.model
    def _get_dealer_opportunities(self):
        """:return: the dealer's opportunities"""
        data = self.env["ir.model.data"].search(
            [("module", "=", "crm_sales_stage"), ("model", "=", self._name)], order="res_id"
        )
        return self.browse(data.mapped("res_id"))
