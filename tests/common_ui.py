from odoo.tests import HttpCase

from .common_pipeline import PipelineCase


class TourCase(PipelineCase, HttpCase):
    """Tours in the browser, by people who read English."""

    tour_path = "/odoo/crm"

    def run_tour(self, name, path=None, user=None):
        """Run one of our tours, by default as the manager, and see what it has changed."""
        self.pass_commit()
        self.start_tour(path or self.tour_path, f"crm_sales_stage_{name}", login=(user or self.manager).login)
        self.env.invalidate_all()
