from odoo import fields, models


class CrmStageAutomationPending(models.Model):
    """Moves left to a scheduled job: many at once, those that met another transaction's changes, and those of
    what has fallen due.

    Recording one only inserts a row, which is in nobody's way.
    """

    _name = "crm.stage.automation.pending"
    _description = "Move That an Automation Still Has to Make"
    _order = "id"

    automation_id = fields.Many2one(
        "crm.stage.automation",
        required=True,
        index=True,
        ondelete="cascade",
        help="Automation that moves the opportunity.",
    )
    lead_id = fields.Many2one(
        "crm.lead",
        string="Opportunity",
        required=True,
        index=True,
        ondelete="cascade",
        help="Opportunity to be moved.",
    )
    document_id = fields.Integer(
        required=True,
        help="Id of the document that the trigger happened to; the automation knows its model.",
    )
    is_due = fields.Boolean(
        help="Whether the document has fallen due in time, and the hourly job moves the opportunity.",
    )

    def _get_pairs(self):
        """:return: documents that still exist and their opportunities, as [(document, crm.lead), ...]"""
        model = self.env[self.automation_id.model_name]
        documents = model.browse(set(self.mapped("document_id"))).exists()
        by_id = {document.id: document for document in documents}
        return [(by_id[move.document_id], move.lead_id) for move in self if move.document_id in by_id]
