"""The base of the dealer's tests."""

from odoo.tools import convert_file

from odoo.addons.crm_sales_stage.tests.common_pipeline import PipelineCase

from ..dealer import LOGINS
from ..texts import TAGS

MODULE = "crm_sales_stage_dealer"


class DealerCase(PipelineCase):
    """A pipeline without opportunities, into which the demo file can be loaded."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"]._activate_lang("fr_FR")

    @classmethod
    def speak(cls, lang):
        (cls.env.ref("base.user_admin") + cls.env.user).lang = lang
        cls.env.company.partner_id.lang = lang

    @classmethod
    def forget_dealer(cls):
        """Rename the records of a dealer that was created before, if there is one."""
        cls.env["ir.model.data"].search([("module", "=", MODULE), ("model", "=", "crm.lead")]).unlink()
        users = cls.env["res.users"].with_context(active_test=False)
        for user in users.search([("login", "in", LOGINS)]):
            user.login = f"former_{user.login}"
        for tag in cls.env["crm.tag"].search([("name", "in", [cls.env._(name) for name in TAGS])]):
            tag.name = f"Former {tag.name}"

    @classmethod
    def make_dealer(cls):
        """:return: the opportunities that loading the demo file creates"""
        convert_file(cls.env, MODULE, "demo/crm_lead_demo.xml", {}, "init", True)
        cls.pass_commit()
        cls.env.invalidate_all()
        return cls.env["crm.lead"]._get_dealer_opportunities()
