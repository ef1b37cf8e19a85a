from odoo.tests import tagged

from .common_ui import TourCase


@tagged("post_install", "-at_install")
class TestUiImport(TourCase):
    def test_export_and_import(self):
        """The one dialog says what is in the file, the other one what it would do; it is done and undone."""
        self.create_in(self.estimate, user_id=self.manager.id)
        self.run_tour("export_and_import")
        self.assertEqual(self.estimate.probability, 25)
        self.assertFalse(self.env["crm.stage"].search([("name", "in", ("Chase", "Wrong"))]))
