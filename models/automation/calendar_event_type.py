from odoo import api, models
from odoo.fields import Domain

TECHNICAL_VISIT = "crm_sales_stage.calendar_event_type_technical_visit"


class CalendarEventType(models.Model):
    """The tag of technical visits, which everybody reads, and looks for, in their language.

    Names of tags are not translated: it has one of the names below, until somebody renames it.
    """

    _inherit = "calendar.event.type"

    @api.model
    def _get_technical_visit_names(self):
        languages = self.env["res.lang"].get_installed()
        names = [self.with_context(lang=lang).env._("Technical Visit") for lang, _name in languages]
        return {"Technical Visit", *names}

    @api.model
    def _provide_technical_visit(self):
        """Make the tag, in the company's language, or take the one there is: the names of tags are unique."""
        tag = self.search([("name", "in", list(self._get_technical_visit_names()))], limit=1)
        if not tag:
            lang = self.env.company.partner_id.lang or self.env.lang
            tag = self.create({"name": self.with_context(lang=lang).env._("Technical Visit")})
        data = {"xml_id": TECHNICAL_VISIT, "record": tag, "noupdate": True}
        self.env["ir.model.data"]._update_xmlids([data])

    @api.depends_context("lang")
    def _compute_display_name(self):
        res = super()._compute_display_name()
        tag = self.env.ref(TECHNICAL_VISIT, raise_if_not_found=False)
        for own in self.filtered(lambda own: own == tag and own.name in own._get_technical_visit_names()):
            own.display_name = self.env._("Technical Visit")
        return res

    @api.model
    def _search_display_name(self, operator, value):
        if operator == "not ilike":
            return ~self._search_display_name("ilike", value)
        domain = super()._search_display_name(operator, value)
        tag = self.env.ref(TECHNICAL_VISIT, raise_if_not_found=False)
        if tag and operator == "ilike" and value.lower() in tag.display_name.lower():
            domain |= Domain("id", "=", tag.id)
        return domain
