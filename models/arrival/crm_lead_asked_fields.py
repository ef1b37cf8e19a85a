from lxml.builder import E

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL, is_html_empty

# What can be empty, and be filled in in a dialog
ASKABLE_TYPES = {
    "binary",
    "boolean",
    "char",
    "date",
    "datetime",
    "float",
    "html",
    "integer",
    "many2many",
    "many2one",
    "monetary",
    "selection",
    "text",
}
# Where an opportunity is, and what became of it, is told by moving it.
TOLD_BY_MOVES = {"active", "color", "lost_reason_id", "probability", "stage_id", "type"}
# What these add to opportunities is not filled in by people.
TECHNICAL_MIXINS = (
    "mail.activity.mixin",
    "mail.thread.blacklist",
    "mail.thread.cc",
    "mail.thread.phone",
    "mail.tracking.duration.mixin",
)
# Tags that an editor leaves in an empty text, see `is_html_empty`
EMPTY_HTML = r"<\s*/?\s*(p|div|section|span|br|b|i|font)\y[^>]*>|&nbsp;|\s"
HTML_ICON = r"<\s*(i|span)\y[^>]*class=[^>]*\y(fa|fab|fad|far|oi)\y"


class CrmLead(models.Model):
    """What the stage of an opportunity asks for."""

    _inherit = "crm.lead"

    stage_requirements = fields.Text(
        related="stage_id.requirements",
        string="Requirements of the Stage",
        help="What the stage requires of its opportunities.",
    )
    missing_fields = fields.Json(
        compute="_compute_missing_fields",
        export_string_translation=False,
        help="Fields that the opportunity's stage asks for and that are empty: their names and labels.",
    )
    is_something_missing = fields.Boolean(
        "Something Missing",
        compute="_compute_missing_fields",
        search="_search_is_something_missing",
        help="Whether something that the opportunity's stage asks for is not filled in.",
    )

    # ------------------------------------------------------------------
    # Which fields
    # ------------------------------------------------------------------

    @api.model
    def _get_askable_names(self):
        """:return: names of the fields that a stage may ask for: those that people fill in"""
        technical = TOLD_BY_MOVES.union(*(self.env[name]._fields for name in TECHNICAL_MIXINS))
        return [
            name
            for name, field in self._fields.items()
            if field.type in ASKABLE_TYPES
            and not field.readonly
            and name not in technical
            and (field.store or field.search)
        ]

    @api.model
    def _get_asked_names(self, stage):
        """:return: names of the fields that ``stage`` asks this user for, as far as they may fill them in"""
        arrival = self.env["crm.stage"]._get_arrivals_by_stage().get(stage.id)
        if not arrival:
            return []
        known = [self._fields[name] for name in arrival.field_names if name in self._fields]
        return [field.name for field in known if self._has_field_access(field, "write")]

    # ------------------------------------------------------------------
    # What is missing
    # ------------------------------------------------------------------

    @api.depends("stage_id", "type")
    @api.depends_context("uid", "lang")
    def _compute_missing_fields(self):
        missing = self._get_missing_names({lead: lead.stage_id for lead in self})
        labels = {name: self._get_label(name) for name in set().union(*missing.values())}
        for lead in self:
            names = missing.get(lead, ())
            lead.missing_fields = [{"name": name, "string": labels[name]} for name in names]
            lead.is_something_missing = bool(names)

    @api.model
    def _get_label(self, name):
        """:return: label of a field, in the user's language"""
        return self.fields_get([name], ["string"])[name]["string"]

    @api.model
    def _get_missing_names(self, stages):
        """
        :param stages: for each opportunity the stage that asks, which need not be its own
        :return: names of the empty fields by opportunity, for those that have any
        """
        if not self.env["crm.stage"]._get_arrivals_by_stage():
            return {}
        asked = {stage: self._get_asked_names(stage) for stage in {*stages.values()}}
        leads = self.browse().concat(*(lead for lead in stages if asked[stages[lead]]))
        leads = leads.filtered(lambda lead: lead.type == "opportunity")
        # sudo: whether a field is empty does not depend on who may see what it links to
        leads.sudo().fetch({name for names in asked.values() for name in names})
        missing = {lead: [name for name in asked[stages[lead]] if lead._is_blank(name)] for lead in leads}
        return {lead: names for lead, names in missing.items() if names}

    def _is_blank(self, name):
        """:return: whether nothing is filled in; a box that is not ticked is an answer"""
        field, value = self._fields[name], self.sudo()[name]  # sudo: see `_get_missing_names`
        if field.type == "boolean":
            return False
        return is_html_empty(value) if field.type == "html" else not value

    @api.model
    def _get_blank_domain(self, name):
        """:return: ``Domain`` of the opportunities that are ``_is_blank``"""
        field = self._fields[name]
        if field.type == "boolean":
            return Domain.FALSE
        if field.type == "html" and field.store:

            def to_sql(model, alias, query):
                text = model._field_to_sql(alias, name, query)
                return SQL(
                    "(regexp_replace(COALESCE(%s, ''), %s, '', 'gi') = '' AND COALESCE(%s, '') !~* %s)",
                    text,
                    EMPTY_HTML,
                    text,
                    HTML_ICON,
                )

            return Domain.custom(to_sql=to_sql, predicate=lambda lead: lead._is_blank(name))
        return Domain(name, "in", [False, 0] if field.type in ("integer", "float", "monetary") else [False])

    @api.model
    def _search_is_something_missing(self, operator, value):
        if operator != "in":
            return NotImplemented
        stages = self.env["crm.stage"].browse(self.env["crm.stage"]._get_arrivals_by_stage())
        missing = Domain.OR(
            Domain("stage_id", "=", stage.id) & Domain.OR(self._get_blank_domain(name) for name in names)
            for stage in stages
            if (names := self._get_asked_names(stage))
        )
        missing &= Domain("type", "=", "opportunity")
        return missing if True in value else ~missing

    def write(self, vals):
        """What is missing follows from fields that nobody knows before stages are set up to ask for them."""
        res = super().write(vals)
        if self.env["crm.stage"]._get_arrivals_by_stage():
            self.invalidate_recordset(["missing_fields", "is_something_missing"], flush=False)
        return res

    # ------------------------------------------------------------------
    # Asking
    # ------------------------------------------------------------------

    def get_arrival_questions(self, stage_id):
        """Tell what moving these opportunities to a stage by hand asks.

        :param int stage_id: of the stage
        :return: dictionary for the web client:

            * ``ask_outcome``: whether it asks if they are won or lost
            * ``requirements``: of the stage, as plain text
            * ``missing``: the empty fields, each as ``{"name": …, "string": …, "count": of opportunities}``
            * ``missing_count``: number of opportunities that lack something
            * ``form``: view to fill the fields of one opportunity in, as ``{"arch": …, "fields": …}``
        """
        self.check_access("read")
        stage = self.env["crm.stage"].browse(stage_id)
        stage.check_access("read")
        missing = self._get_missing_names(dict.fromkeys(self, stage))
        counts = {}
        for name in (name for names in missing.values() for name in names):
            counts[name] = counts.get(name, 0) + 1
        return {
            "ask_outcome": stage.is_won and stage.ask_outcome,
            "requirements": stage.requirements or "",
            "missing": [
                {"name": name, "string": self._get_label(name), "count": count}
                for name, count in counts.items()
            ],
            "missing_count": len(missing),
            "form": self._get_asked_form(list(counts)) if counts and len(self) == 1 else False,
        }

    @api.model
    def _get_asked_form(self, names):
        """:return: form view with these fields, as ``{"arch": …, "fields": …}``"""
        # The first one has the focus: the calendar of a date would cover the others.
        names = sorted(names, key=lambda name: self._fields[name].type in ("date", "datetime"))
        form = E.form(E.group(*(self._get_asked_node(name) for name in names)))
        monetary = [field for name in names if (field := self._fields[name]).type == "monetary"]
        currencies = {field.get_currency_field(self) for field in monetary}
        form.extend(E.field(name=name, invisible="1") for name in currencies)
        arch, models_ = self.env["ir.ui.view"].postprocess_and_fields(form, model=self._name)
        return {"arch": arch, "fields": self.fields_get(models_[self._name])}

    @api.model
    def _get_asked_node(self, name):
        """:return: node of a form view for this field"""
        field = self._fields[name]
        node = E.field(name=name)
        if field.type == "many2many":
            node.set("widget", "many2many_tags")
        return node
