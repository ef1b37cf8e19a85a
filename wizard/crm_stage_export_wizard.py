import base64

from odoo import api, fields, models

from . import setup_file


class CrmStageExportWizard(models.TransientModel):
    """Says what is in the file before it is downloaded."""

    _name = "crm.stage.export.wizard"
    _description = "Export the Set-Up of the Pipeline"

    data = fields.Binary(
        "File", compute="_compute_data", help="The set-up of the pipeline, which another database can import."
    )
    filename = fields.Char("File Name", compute="_compute_data", help="How the file is called.")

    @api.depends_context("uid", "allowed_company_ids")
    def _compute_data(self):
        for wizard in self:
            wizard.data = base64.b64encode(setup_file.export(wizard.env).encode())
            wizard.filename = f"sales-stages-{fields.Date.context_today(wizard)}.json"

    def action_download(self):
        """:return: action that downloads the file"""
        self.ensure_one()
        self.env["crm.stage.automation"].check_access("read")
        url = f"/web/content/{self._name}/{self.id}/data?filename_field=filename&download=true"
        return {"type": "ir.actions.act_url", "url": url, "target": "self"}
