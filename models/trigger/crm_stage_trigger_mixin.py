from collections import defaultdict
from datetime import timedelta

from odoo import api, fields, models, tools
from odoo.fields import Domain

from ...tools import by_count, get_range_domain
from . import working_days

# Bad news: of final stages, these propose to lose the opportunity; all others propose to win it
LOSING_TRIGGERS = frozenset({"quotation_cancelled", "quotation_expired"})


def is_passed(value):
    """:return: whether a date may have passed by now, wherever that is: a day more does no harm"""
    return bool(value) and fields.Datetime.to_datetime(value) < fields.Datetime.now() + timedelta(days=1)


class CrmStageTriggerMixin(models.AbstractModel):
    """Documents that announce what happened to them, so that their opportunities move.

    Joining takes an inherit, two declarations and one call where the thing happens::

        class ServiceVisit(models.Model):
            _name = "service.visit"
            _inherit = ["service.visit", "crm.stage.trigger.mixin"]
            _crm_stage_lead_path = "opportunity_id"

            @api.model
            def _get_crm_stage_triggers(self):
                return {**super()._get_crm_stage_triggers(), "visit_done": self.env._("a visit is done")}

            @api.model
            def _get_crm_stage_trigger_domain(self, trigger):
                if trigger == "visit_done":
                    return Domain("state", "=", "done")
                return super()._get_crm_stage_trigger_domain(trigger)

            def action_done(self):
                self.state = "done"
                self._trigger_crm_stage("visit_done")

    The trigger can be chosen in Stage Automations at once. While no automation listens, announcing costs the
    two or three queries that find this out, once in a transaction, and none after. The domain finds the
    documents to which the trigger has happened by what they are now, so that the automation can be applied to
    those that exist already; without it, it has happened to none of them.

    Where fields of the document bring the thing about, naming them replaces the call::

            _crm_stage_changes = {"visit_done": ("state",)}

    A trigger in time is not announced. It takes a label, and a declaration of the date that counts::

            @api.model
            def _get_crm_stage_trigger_dates(self):
                return {**super()._get_crm_stage_trigger_dates(), "visit_over": "date_end"}

    A model whose documents do not fall due by one date alone extends ``_get_crm_stage_due_domain``, which
    finds those that fall due between two moments.
    """

    _name = "crm.stage.trigger.mixin"
    _description = "Document That Moves Opportunities"

    # Fields that lead from the document to its opportunities, with dots over links to one record or to many
    _crm_stage_lead_path = "opportunity_id"

    # Field that makes it a document of its opportunities: when it changes, the document comes to others. By
    # default, the first one of the path
    _crm_stage_tie_name = None

    # Fields by trigger: documents that it has happened to, by its domain, are announced when they are
    # created, and when one of these changes. Without fields, when they come to meet the condition of an
    # automation, whatever is written
    _crm_stage_changes = {}

    # Field that says how old the document is: only those newer than a loss bring lost opportunities back
    _crm_stage_date_name = "create_date"

    @api.model
    def _get_crm_stage_triggers(self):
        """:return: label by trigger; the label continues "Move an opportunity here when" """
        return {}

    @api.model
    def _get_crm_stage_absence_text(self, trigger):
        """:return: sentence that says of an opportunity that ``trigger`` has not happened to its documents"""
        return self.env._("This has not happened: %s.", self._get_crm_stage_triggers()[trigger])

    @api.model
    def _get_crm_stage_trigger_domain(self, trigger):
        """:return: ``Domain`` of the documents to which ``trigger`` has happened by what they are now

        For documents linked to an opportunity afterwards, and to apply an automation to existing documents.
        A trigger that has no domain here has happened to none of them; one in time has happened
        to those whose date has passed.
        """
        return self._get_crm_stage_due_domain(trigger, 0, None, fields.Datetime.now())

    # ------------------------------------------------------------------
    # Announcing
    # ------------------------------------------------------------------

    def _trigger_crm_stage(self, *triggers):
        """Move the opportunities of these documents as the automations listening on ``triggers`` say."""
        if heard := self._get_heard_crm_stage_triggers().intersection(triggers):
            self.env["crm.stage.automation"]._process(dict.fromkeys(heard, self))

    @api.model
    def _announce_crm_stage(self, documents_by_trigger):
        """Announce triggers that are listened on, of those documents that they have happened to."""
        happened = {
            trigger: found
            for trigger, documents in documents_by_trigger.items()
            if documents and (found := documents.filtered_domain(self._get_crm_stage_trigger_domain(trigger)))
        }
        if happened:
            self.env["crm.stage.automation"]._process(happened)

    def _get_heard_crm_stage_triggers(self):
        """:return: those of this model's triggers that an automation listens on"""
        return self.env["crm.stage.automation"]._get_listening().heard.get(self._name, frozenset())

    # ------------------------------------------------------------------
    # Falling due
    # ------------------------------------------------------------------

    @api.model
    def _get_crm_stage_trigger_dates(self):
        """
        :return: by trigger in time, the name of the stored field with the date that counts; None of a trigger
            that has no such field, and whose documents ``_get_crm_stage_due_domain`` finds
        """
        return {}

    @api.model
    def _get_crm_stage_due_text(self, trigger, label, days, is_working_days=False):
        """:return: what an automation waits for, in words, by the label of the trigger and the days: a label
        that ends with "…" ends with them; one with "…" elsewhere has their number there
        """
        if "…" in label and not label.endswith("…"):
            text = label.replace("…", str(days))
            return self.env._("%s (working days)", text) if is_working_days else text
        one, many = self.env._("a day"), self.env._("%s days", days)
        if is_working_days:
            one, many = self.env._("a working day"), self.env._("%s working days", days)
        duration = by_count(days, one, many) if days else self.env._("0 days")
        if "…" in label:
            return label.replace("…", duration)
        return self.env._("%(event)s, %(duration)s later", event=label, duration=duration) if days else label

    @api.model
    def _get_crm_stage_due_domain(self, trigger, days, since, until, is_working_days=False):
        """
        :param int days: documents fall due that many days after their date
        :param datetime since: in UTC; None for those that fell due at any time
        :param datetime until: in UTC
        :param bool is_working_days: whether only working days of the document's company count
        :return: ``Domain`` of the documents that fall due by ``trigger`` after ``since``, and not after
            ``until``
        """
        name = self._get_crm_stage_trigger_dates().get(trigger)
        if not name:
            return Domain.FALSE
        return self._get_crm_stage_date_domain(name, days, since, until, is_working_days)

    @api.model
    def _get_crm_stage_date_domain(self, name, days, since, until, is_working_days=False):
        """
        :param name: of a stored field, a date or a datetime
        :return: ``Domain`` as in ``_get_crm_stage_due_domain``, of the documents that fall due by this field
        """
        is_day = self._fields[name].type == "date"
        get_periods = self._get_crm_stage_last_days if is_day else self._get_crm_stage_last_moments
        return Domain.OR(
            is_there & get_range_domain(name, before, last)
            for before, last, is_there in get_periods(days, since, until, is_working_days)
        )

    @api.model
    def _get_crm_stage_last_moments(self, days, since, until, is_working_days=False):
        """
        :return: ``[(last moment that has fallen due by since, last one by until, Domain of the documents of
            companies where they are these)]``: working days are not the same everywhere
        """
        if not (is_working_days and days):
            delta = timedelta(days=days)
            return [(since and since - delta, until - delta, Domain.TRUE)]
        return self._group_crm_stage_companies(
            lambda company: tuple(
                moment and working_days.shift(company, moment, -days) for moment in (since, until)
            )
        )

    @api.model
    def _get_crm_stage_last_days(self, days, since, until, is_working_days=False):
        """Dates without time count from the day after, in the time zone of the document's company, or else of
        the opportunity's.

        Within an hour, mostly no day ends anywhere: then there is nothing to look for in the database.

        :return: ``[(last day that has fallen due by since, last one by until, Domain of the documents of
            companies where they are these)]``, without companies where both are the same
        """

        def get_last_day(company, moment):
            today = working_days.get_local(company, moment).date()
            if is_working_days:
                return working_days.shift_day(company, today, -days) - timedelta(days=1)
            return today - timedelta(days=days + 1)

        periods = self._group_crm_stage_companies(
            lambda company: tuple(moment and get_last_day(company, moment) for moment in (since, until))
        )
        return [(before, last, is_there) for before, last, is_there in periods if before != last]

    @api.model
    def _group_crm_stage_companies(self, get_period):
        """
        :param get_period: function of a company, that returns a pair
        :return: ``[(*pair, Domain of the documents of the companies where it is this one)]``
        """
        company_ids = defaultdict(list)
        # sudo: documents are of any company, and users of one do not see the others
        companies = self.env["res.company"].sudo().with_context(active_test=False)
        for company in companies.search(Domain.TRUE):
            company_ids[get_period(company)] += [company.id] + [False] * (company == self.env.company)
        path = self._get_crm_stage_company_path()
        is_everywhere = len(company_ids) == 1
        return [
            (*period, Domain.TRUE if is_everywhere else Domain(path, "in", ids))
            for period, ids in company_ids.items()
        ]

    @api.model
    def _get_crm_stage_company_path(self):
        """:return: fields that lead from the document to its company, or else to the opportunity's"""
        return "company_id" if "company_id" in self._fields else f"{self._crm_stage_lead_path}.company_id"

    def _get_crm_stage_dates(self, trigger=None):
        """:return: datetime by id of the documents: of a trigger in time, the date that counts; otherwise
            since when they exist, or where they are opportunities, when the trigger happened to them

        A document falls due anew on a later day than before. Only documents that are newer than a loss bring
        a lost opportunity back; those without date do not.
        """
        name = self._get_crm_stage_trigger_dates().get(trigger) or self._crm_stage_date_name
        return {document.id: fields.Datetime.to_datetime(document[name]) for document in self}

    def _get_crm_stage_due_date(self, trigger, days, is_working_days):
        """:return: when the first one of these documents falls due by its date; None where none has a date"""
        name = self._get_crm_stage_trigger_dates()[trigger]
        # Dates without time count from the day after.
        is_day = bool(name) and self._fields[name].type == "date"

        def get_due_date(document, date):
            if not (is_working_days and days):
                return date + timedelta(days=days + is_day)
            # sudo: see `_group_crm_stage_companies`
            company = (
                document.sudo().mapped(self._get_crm_stage_company_path())[:1] or self.env.company.sudo()
            )
            if not is_day:
                return working_days.shift(company, date, days)
            last_day = working_days.shift_day(company, date.date(), days)
            return working_days.get_beginning(company, last_day + timedelta(days=1))

        dates = self._get_crm_stage_dates(trigger)
        # sudo: see `_group_crm_stage_companies`
        dated = [(document, date) for document in self.sudo() if (date := dates.get(document.id))]
        return min((get_due_date(document, date) for document, date in dated), default=None)

    # ------------------------------------------------------------------
    # What is created and written
    # ------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        documents = super().create(vals_list)
        documents._pass_over_crm_stage_dates(self._get_heard_crm_stage_dates())
        if self._crm_stage_changes:
            heard = self._get_heard_crm_stage_triggers() & self._crm_stage_changes.keys()
            self._announce_crm_stage(dict.fromkeys(heard - LOSING_TRIGGERS, documents))
        return documents

    def write(self, vals):
        """Announce at the level of the ORM: portal signature, online payment, import and API come by here.

        Documents that do not meet a condition before, and do so afterwards, have come to meet it. The
        database is asked before and after, so that it does not matter how the fields of the condition follow
        from those that are written. A move alone triggers no automation.
        """
        is_source = not vals.keys().isdisjoint(self._get_crm_stage_sources())
        is_matching = () in self._crm_stage_changes.values() and not vals.keys() <= {"stage_id"}
        if not is_source and not is_matching:
            return super().write(vals)
        automations = self.env["crm.stage.automation"]
        listening = automations._get_listening()
        dates = listening.dates.get(self._name, frozenset())
        triggers = listening.heard.get(self._name, frozenset()) & self._crm_stage_changes.keys()
        if not dates and not triggers:
            return super().write(vals)
        names = frozenset()
        if is_source:
            names = dates.union(*(self._crm_stage_changes[trigger] for trigger in triggers))
            names |= {self._get_crm_stage_tie_name()} if dates else set()
        before = {document: {name: document[name] for name in names} for document in self}
        matching = {trigger for trigger in triggers if is_matching and not self._crm_stage_changes[trigger]}
        unmatched = {
            automation: automations._filter_unmatched(automation, self)
            for automation in (automations._get_at_work(matching) if matching else ())
        }
        res = super().write(vals)
        if names:
            self._announce_crm_stage_changes(before, dates, triggers)
        if unmatched:
            automations._process_documents(unmatched)
        return res

    def _announce_crm_stage_changes(self, before, dates, triggers):
        """
        :param before: values of these documents before they were written, by document and name
        :param dates: names of the fields with dates that an automation waits for
        :param triggers: that an automation listens on
        """
        # A field with several records has changed when one is added.
        changed = {
            document: {
                name
                for name, value in before[document].items()
                if document[name] != value
                and (self._fields[name].type != "many2many" or document[name] - value)
            }
            for document in self
        }
        if dates:
            tie = self._get_crm_stage_tie_name()
            came = self.filtered(lambda document: tie in changed[document])
            came._pass_over_crm_stage_dates(dates)
            for name in dates:
                # Another hour of the same day changes nothing.
                passed = (self - came).filtered(
                    lambda document, name=name: (
                        is_passed(document[name])
                        and fields.Date.to_date(document[name]) != fields.Date.to_date(before[document][name])
                    )
                )
                if passed:
                    self.env["crm.stage.automation"]._handle_due(passed, name)
        self._announce_crm_stage(
            {
                trigger: self.filtered(
                    lambda document, trigger=trigger: (
                        not changed[document].isdisjoint(self._crm_stage_changes[trigger])
                    )
                )
                for trigger in triggers
            }
        )

    @api.model
    def _get_crm_stage_tie_name(self):
        return self._crm_stage_tie_name or self._crm_stage_lead_path.partition(".")[0]

    @api.model
    @tools.ormcache()
    def _get_crm_stage_sources(self):
        """:return: names of the fields that may announce a document, or change a date that counts, when they
        are written
        """
        dates = {name for name in self._get_crm_stage_trigger_dates().values() if name}
        if not dates and not self._crm_stage_changes:
            return frozenset()
        depends = (self.pool.field_depends[self._fields[name]] for name in dates)
        paths = dates.union([self._get_crm_stage_tie_name()], *depends, *self._crm_stage_changes.values())
        return frozenset(path.partition(".")[0] for path in paths)

    # What the job could not find out later: which documents came with a date that had passed, and whose date
    # was changed to one.

    def _pass_over_crm_stage_dates(self, names):
        """:param names: of date fields of these documents, which are new to their opportunities"""
        if passed := self.filtered(lambda document: any(is_passed(document[name]) for name in names)):
            self.env["crm.stage.automation"]._handle_due(passed)

    @api.model
    def _get_heard_crm_stage_dates(self):
        """:return: those of this model's date fields that an automation listens on"""
        return self.env["crm.stage.automation"]._get_listening().dates.get(self._name, frozenset())

    # ------------------------------------------------------------------
    # From documents to opportunities
    # ------------------------------------------------------------------

    def _get_crm_stage_leads(self):
        """:return: the documents' opportunities, as [(document, crm.lead), ...]"""
        return [
            (document, leads) for document in self if (leads := document.mapped(self._crm_stage_lead_path))
        ]

    @api.model
    def _get_crm_stage_lead_domain(self, leads=None):
        """:return: ``Domain`` of the documents of ``leads``, by default of any opportunity"""
        path = self._crm_stage_lead_path
        return Domain(path, "!=", False) if leads is None else Domain(path, "in", leads.ids)

    @api.model
    def _search_crm_stage_lead_ids(self, domain):
        """:return: ids, or a subquery, of the opportunities of matching documents, for ``("id", "in")``"""
        path = self._crm_stage_lead_path
        if "." in path:
            return self.search(domain).mapped(path).ids
        query = self._search(domain)
        return query.subselect(self._field_to_sql(query.table, path, query))
