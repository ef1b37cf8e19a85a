from odoo import api, models
from odoo.fields import Domain


class CrmStageTriggerMixin(models.AbstractModel):
    """Documents that announce what happened to them, so that their opportunities move.

    Joining takes an inherit, two declarations and one call where the thing happens::

        class ServiceVisit(models.Model):
            _name = "service.visit"
            _inherit = ["service.visit", "crm.stage.trigger.mixin"]
            _crm_stage_lead_path = "opportunity_id"

            @api.model
            def _get_crm_stage_triggers(self):
                return {**super()._get_crm_stage_triggers(), "visit_done": self.env._("a visit is done")}

            @api.model
            def _get_crm_stage_trigger_domain(self, trigger):
                if trigger == "visit_done":
                    return Domain("state", "=", "done")
                return super()._get_crm_stage_trigger_domain(trigger)

            def action_done(self):
                self.state = "done"
                self._trigger_crm_stage("visit_done")

    The trigger can be chosen in Stage Automations at once. Announcing costs no query while no automation
    listens. The domain tells to which documents the trigger has happened by what they are now, so that the
    automation can be applied to those that exist already; without it, it has happened to none of them.
    """

    _name = "crm.stage.trigger.mixin"
    _description = "Document That Moves Opportunities"

    # Fields that lead from the document to its opportunities
    _crm_stage_lead_path = "opportunity_id"

    @api.model
    def _get_crm_stage_triggers(self):
        """:return: label by trigger; the label continues "Move an opportunity here when" """
        return {}

    @api.model
    def _get_crm_stage_trigger_domain(self, trigger):
        """:return: ``Domain`` of the documents to which ``trigger`` has happened by what they are now

        For documents linked to an opportunity afterwards, and to apply an automation to existing documents.
        A trigger of which a model says nothing here has happened to none of them.
        """
        return Domain.FALSE

    # ------------------------------------------------------------------
    # Announcing
    # ------------------------------------------------------------------

    def _trigger_crm_stage(self, *triggers):
        """Move the opportunities of these documents as the automations listening on ``triggers`` say."""
        if heard := self._get_heard_crm_stage_triggers().intersection(triggers):
            self.env["crm.stage.automation"]._process(dict.fromkeys(heard, self))

    def _trigger_crm_stage_current(self):
        """Announce all that has happened to these documents by what they are now: they are new here."""
        documents_by_trigger = {
            trigger: documents
            for trigger in self._get_heard_crm_stage_triggers()
            if (documents := self.filtered_domain(self._get_crm_stage_trigger_domain(trigger)))
        }
        if documents_by_trigger:
            self.env["crm.stage.automation"]._process(documents_by_trigger)

    def _get_heard_crm_stage_triggers(self):
        """:return: those of this model's triggers that an automation listens on; without a query"""
        if self.env.context.get("crm_stage_moving"):
            return frozenset()  # no loops: what a move brings about moves nothing
        return self.env["crm.stage.automation"]._get_heard_triggers().get(self._name, frozenset())

    # ------------------------------------------------------------------
    # From documents to opportunities
    # ------------------------------------------------------------------

    def _get_crm_stage_leads(self):
        """:return: the documents' opportunities, as [(document, crm.lead), ...]"""
        return [
            (document, leads) for document in self if (leads := document.mapped(self._crm_stage_lead_path))
        ]

    @api.model
    def _get_crm_stage_lead_domain(self, leads=None):
        """:return: ``Domain`` of the documents of ``leads``, by default of any opportunity"""
        path = self._crm_stage_lead_path
        return Domain(path, "!=", False) if leads is None else Domain(path, "in", leads.ids)

    @api.model
    def _search_crm_stage_lead_ids(self, domain):
        """:return: ids, or a subquery, of the opportunities of matching documents, for ``("id", "in")``"""
        path = self._crm_stage_lead_path
        if "." in path:
            return self.search(domain).mapped(path).ids
        query = self._search(domain)
        return query.subselect(self._field_to_sql(query.table, path, query))
