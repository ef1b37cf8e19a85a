from odoo.tests import tagged
from odoo.tools.translate import TranslationImporter

from .common import SalesStageCase

FRENCH = ["Nouveau", "Estimation", "Visite Technique", "Devis", "Gagné / Perdu"]


@tagged("post_install", "-at_install")
class TestTranslations(SalesStageCase):
    """Odoo CRM's translations aim at the records that the five stages took over."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for code in ("en_US", "fr_FR", "de_DE"):
            cls.env["res.lang"]._activate_lang(code)
        modules = cls.env["ir.module.module"].search([("state", "=", "installed")])
        cls.modules = modules.filtered(lambda module: module.name in ("crm", "crm_sales_stage"))
        (modules - cls.modules).state = "uninstalled"  # loading their terms takes a minute, and shows no more

    def forget_languages(self, *codes):
        """As in a database where these languages were never loaded"""
        self.env.flush_all()
        for code in codes:
            self.env.cr.execute("UPDATE crm_stage SET name = name - %s", [code])
        self.env.invalidate_all()

    def get_names(self, lang):
        return self.stages.with_context(lang=lang).mapped("name")

    def test_french_before_the_addon(self):
        """Installing loads the addon's own terms."""
        self.forget_languages("fr_FR")
        self.modules.filtered(lambda module: module.name == "crm_sales_stage")._update_translations(["fr_FR"])
        self.assertEqual(self.get_names("fr_FR"), FRENCH)

    def test_views_in_french(self):
        """Terms of views hold tags and their expressions, which have to stay valid."""
        ours = self.modules.filtered(lambda module: module.name == "crm_sales_stage")
        ours._update_translations(["fr_FR"], True)
        domain = [("module", "=", "crm_sales_stage"), ("model", "=", "ir.ui.view")]
        views = self.env["ir.ui.view"].browse(self.env["ir.model.data"].search(domain).mapped("res_id"))
        for view in views.filtered("model").with_context(lang="fr_FR"):
            self.env[view.model].with_context(lang="fr_FR").get_view(view.id, view.type)

    def test_french_added_by_the_wizard(self):
        english = self.get_names("en_US")
        for overwrite in (False, True):
            self.forget_languages("fr_FR")
            self.env["base.language.install"].create(
                {"lang_ids": self.env["res.lang"]._lang_get("fr_FR").ids, "overwrite": overwrite}
            ).lang_install()
            self.assertEqual(self.get_names("fr_FR"), FRENCH)
            self.assertEqual(self.get_names("en_US"), english)

    def test_odoo_crm_reloaded(self):
        self.forget_languages("fr_FR")
        self.modules._update_translations(["fr_FR"])
        crm = self.modules.filtered(lambda module: module.name == "crm")
        for overwrite in (False, True):
            crm._update_translations(["fr_FR"], overwrite)
            self.assertEqual(self.get_names("fr_FR"), FRENCH)

    def test_odoo_crm_reloaded_alone_without_ours(self):
        self.forget_languages("fr_FR")
        self.modules.filtered(lambda module: module.name == "crm")._update_translations(["fr_FR"], True)
        self.assertEqual(self.get_names("fr_FR"), FRENCH)

    def test_language_that_only_odoo_translates(self):
        self.forget_languages("de_DE")
        self.modules._update_translations(["de_DE"], True)
        self.assertEqual(
            self.get_names("de_DE"), ["Neu", "Estimate", "Technical Visit", "Quotation", "Won / Lost"]
        )

    def test_odoo_does_aim_at_our_records(self):
        """The trap is there: without this addon's care, Odoo CRM's words would be loaded."""
        self.forget_languages("fr_FR")
        importer = TranslationImporter(self.env.cr, verbose=False)
        importer.load_file("crm/i18n/fr.po", "fr_FR")
        importer.save()
        self.assertIn("Qualifié", self.get_names("fr_FR"))

    def test_renamed_stage_stays_renamed(self):
        self.forget_languages("fr_FR")
        self.estimate.name = "Costing"
        self.new.name = "Contact"
        for overwrite in (False, True):
            self.modules._update_translations(["fr_FR"], overwrite)
            self.assertEqual(self.get_names("fr_FR"), ["Contact", "Costing", *FRENCH[2:]])

    def test_stage_renamed_in_french_stays_renamed(self):
        self.modules._update_translations(["fr_FR"])
        self.estimate.with_context(lang="fr_FR").name = "Chiffrage"
        for overwrite in (False, True):
            self.modules._update_translations(["fr_FR"], overwrite)
            self.assertEqual(self.get_names("fr_FR")[1], "Chiffrage")
            self.assertEqual(self.estimate.name, "Estimate")
