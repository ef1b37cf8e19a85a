from odoo.tests import tagged

from .common_ui import TourCase


@tagged("post_install", "-at_install")
class TestUiImport(TourCase):
    def test_download(self):
        """By the address that the dialog opens; nobody else gets a file by it."""
        wizard = self.env["crm.stage.export.wizard"].with_user(self.manager).create({})
        url = wizard.action_download()["url"]
        for user, status in ((self.manager, 200), (self.salesperson, 404)):
            self.authenticate(user.login, user.login)
            response = self.url_open(url)
            self.assertEqual(response.status_code, status)
        self.authenticate(self.manager.login, self.manager.login)
        response = self.url_open(url)
        self.assertEqual(response.json()["product"], "crm_sales_stage")
        self.assertIn("attachment", response.headers["Content-Disposition"])

    def test_export_and_import(self):
        """The one dialog says what is in the file, the other one what it would do; it is done and undone."""
        self.create_in(self.estimate, user_id=self.manager.id)
        self.run_tour("export_and_import")
        self.assertEqual(self.estimate.probability, 25)
        self.assertFalse(self.env["crm.stage"].search([("name", "in", ("Chase", "Wrong"))]))
