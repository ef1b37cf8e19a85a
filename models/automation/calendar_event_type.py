from odoo import api, models


class CalendarEventType(models.Model):
    _inherit = "calendar.event.type"

    @api.model
    def _provide_technical_visit(self):
        """Make the tag of technical visits, or take the one there is: the names of tags are unique.

        They are not translated either: the company's language decides.
        """
        languages = self.env["res.lang"].get_installed()
        names = [self.with_context(lang=lang).env._("Technical Visit") for lang, _name in languages]
        tag = self.search([("name", "in", ["Technical Visit", *names])], limit=1)
        if not tag:
            lang = self.env.company.partner_id.lang or self.env.lang
            tag = self.create({"name": self.with_context(lang=lang).env._("Technical Visit")})
        xml_id = "crm_sales_stage.calendar_event_type_technical_visit"
        data = {"xml_id": xml_id, "record": tag, "noupdate": True}
        self.env["ir.model.data"]._update_xmlids([data])
