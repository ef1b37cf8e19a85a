"""Opportunities as documents: e-mails, conditions that they come to meet, and triggers in time."""

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ...tools import ON, get_range_domain
from .mail_message import EMAIL_TRIGGERS


class CrmLead(models.Model):
    _name = "crm.lead"
    # The mixin compares what is there before and after all that Odoo does along with writing.
    _inherit = ["crm.stage.trigger.mixin", "crm.lead"]
    _crm_stage_tie_name = "type"  # A lead comes with its dates when it is made an opportunity.
    _crm_stage_changes = {"opportunity_matches": ()}

    _crm_stage_date_deadline_idx = models.Index("(date_deadline) WHERE date_deadline IS NOT NULL")

    @api.model
    def _get_crm_stage_triggers(self):
        return {
            **super()._get_crm_stage_triggers(),
            "email_sent": self.env._("an e-mail is sent"),
            "email_received": self.env._("an e-mail is received"),
            "opportunity_matches": self.env._("it comes to meet the condition"),
            "stage_waiting": self.env._("it has been in its stage for …"),
            "no_news": self.env._("there has been no news for …"),
            "deadline_passed": self.env._("its expected closing has passed"),
        }

    @api.model
    def _get_crm_stage_absence_text(self, trigger):
        texts = {
            "email_sent": self.env._("No e-mail was sent."),
            "email_received": self.env._("No e-mail was received."),
            "deadline_passed": self.env._("It has no expected closing."),
        }
        return texts.get(trigger) or super()._get_crm_stage_absence_text(trigger)

    @api.model
    def _get_crm_stage_trigger_domain(self, trigger):
        if trigger in EMAIL_TRIGGERS:
            # sudo: only whether there is one; nothing of it is shown
            return self._get_messages_domain(self.env["mail.message"].sudo()._get_email_domain(trigger))
        if trigger == "opportunity_matches":
            return Domain("type", "=", "opportunity")  # that meet the condition
        return super()._get_crm_stage_trigger_domain(trigger)

    @api.model
    def _get_messages_domain(self, domain):
        """:return: ``Domain`` of the opportunities of the messages that match ``domain``: their own ones, and
        those of their quotations and orders
        """
        messages = self.env["mail.message"].sudo()  # sudo: see `_get_crm_stage_trigger_domain`

        def has_messages(model_name):
            query = messages._search(domain & Domain("model", "=", model_name))
            return Domain("id", "in", query.subselect("res_id"))

        return has_messages("crm.lead") | self._get_orders_domain(has_messages("sale.order"))

    @api.model
    def _get_orders_domain(self, domain):
        """:return: ``Domain`` of the opportunities with a quotation or order that matches ``domain``"""
        orders = self.env["sale.order"]
        return Domain("order_ids", "any!", orders._get_crm_stage_lead_domain() & domain)

    def _get_crm_stage_leads(self):
        return [(lead, lead) for lead in self]

    @api.model
    def _get_crm_stage_lead_domain(self, leads=None):
        return Domain("type", "=", "opportunity") if leads is None else Domain("id", "in", leads.ids)

    @api.model
    def _search_crm_stage_lead_ids(self, domain):
        return self._search(domain)

    def _merge_opportunity(self, *args, **kwargs):
        """Quotations that follow theirs into the merged opportunity are not saved by that."""
        merging = self.with_context(crm_stage_keep_copies=ON)
        return super(CrmLead, merging)._merge_opportunity(*args, **kwargs).with_env(self.env)

    # ------------------------------------------------------------------
    # Time
    # ------------------------------------------------------------------

    @api.model
    def _get_crm_stage_trigger_dates(self):
        dates = {"stage_waiting": None, "no_news": None, "deadline_passed": "date_deadline"}
        return {**super()._get_crm_stage_trigger_dates(), **dates}

    @api.model
    def _get_crm_stage_due_domain(self, trigger, days, since, until, is_working_days=False):
        if trigger not in ("stage_waiting", "no_news"):
            return super()._get_crm_stage_due_domain(trigger, days, since, until, is_working_days)
        return Domain.OR(
            is_there
            & (
                self._get_entered_domain(before, last)
                if trigger == "stage_waiting"
                else self._get_silent_domain(before, last, since, until)
            )
            for before, last, is_there in self._get_crm_stage_last_moments(
                days, since, until, is_working_days
            )
        )

    def _get_crm_stage_dates(self, trigger=None):
        if trigger == "stage_waiting":
            return self._get_entered_dates()
        if trigger == "no_news":
            return self._get_news_dates()
        if trigger in EMAIL_TRIGGERS:
            # sudo: only when it was; nothing of it is shown
            messages = self.env["mail.message"].sudo()
            theirs = Domain("model", "=", self._name) & Domain("res_id", "in", self.ids)
            emails = theirs & messages._get_email_domain(trigger, theirs)
            return dict(messages._read_group(emails, ["res_id"], ["date:max"]))
        # An opportunity is older than its loss, whatever it met before.
        return {} if trigger == "opportunity_matches" else super()._get_crm_stage_dates(trigger)

    def _get_entered_dates(self):
        """:return: since when they are in their stage, by id; lost ones are since they were lost"""
        # sudo: only when it was; nothing of it is shown
        stays = self.env["crm.stage.stay"].sudo()
        domain = self._get_stays_domain() & Domain("lead_id", "in", self.ids)
        stays = stays.search(domain, order="date_entered, id")
        return {stay.lead_id.id: stay.date_left or stay.date_entered for stay in stays}

    @api.model
    def _get_stays_domain(self, since=None, until=None):
        """
        :return: ``Domain`` of the stays of opportunities where they are, since a moment after ``since`` and
            not after ``until``; lost ones are where they are since they were lost
        """
        is_there = Domain("outcome", "in", ("open", "won")) & Domain("date_left", "=", False)
        is_lost = Domain("outcome", "=", "lost")
        return (is_there & get_range_domain("date_entered", since, until)) | (
            is_lost & get_range_domain("date_left", since, until)
        )

    def _get_news_dates(self):
        """:return: when there was news last that Odoo got, by id"""
        dates = self._get_entered_dates()
        # sudo: see `_get_entered_dates`
        env = self.sudo().env
        orders = env["sale.order"].search(env["sale.order"]._get_crm_stage_lead_domain(self))
        meetings = [
            ("opportunity_id", "in", self.ids),
            ("active", "=", True),
            ("stop", "<=", fields.Datetime.now()),
        ]
        groups = env["calendar.event"]._read_group(meetings, ["opportunity_id"], ["stop:max"])
        news = [(lead.id, date) for lead, date in groups]
        lead_ids = {(self._name, lead_id): lead_id for lead_id in self.ids}
        lead_ids |= {(order._name, order.id): order.opportunity_id.id for order in orders}
        domain = env["mail.message"]._get_news_domain() & Domain.OR(
            Domain("model", "=", documents._name) & Domain("res_id", "in", documents.ids)
            for documents in (self, orders)
        )
        groups = env["mail.message"]._read_group(
            domain, ["model", "res_id", "message_type"], ["create_date:max", "date:max"]
        )
        # Of e-mails that came in, the date is what their sender's clock said.
        news += [
            (lead_ids[model, document_id], received if message_type == "email" else date)
            for model, document_id, message_type, received, date in groups
        ]
        for lead_id, date in news:
            dates[lead_id] = max(date, dates.get(lead_id, date))
        return dates

    @api.model
    def _get_entered_domain(self, since, until):
        """:return: ``Domain`` of those that came to where they are then: see ``_get_stays_domain``"""
        # sudo: see `_get_entered_dates`
        query = self.env["crm.stage.stay"].sudo()._search(self._get_stays_domain(since, until))
        return Domain("id", "in", query.subselect("lead_id"))

    @api.model
    def _get_silent_domain(self, before, last, since, until):
        """
        :return: ``Domain`` of those that by ``until`` have been without news since ``last``, and that by
            ``since`` had not been since ``before``: there was some in between, or the last thing that was
            planned has passed

        Only those are looked at for later news.
        """
        domain = self._get_entered_domain(None, last) & ~Domain.OR(self._get_news_domains(last, None, until))
        if since:
            entered = self._get_entered_domain(before, last)
            domain &= self._get_union_domain(
                self, entered, *self._get_news_domains(before, last, since, until)
            )
        return domain

    @api.model
    def _get_union_domain(self, documents, *domains):
        """:return: ``Domain`` as ``Domain.OR`` of ``domains``, each of them looked up by itself"""
        # sudo: see `_get_entered_domain`
        documents = documents.sudo().with_context(active_test=False)
        queries = SQL(" UNION ").join(documents._search(domain).subselect() for domain in domains)
        return Domain("id", "in", SQL("(%s)", queries))

    @api.model
    def _get_news_domains(self, before, last, since, until=None):
        """
        :return: for each kind of news, ``Domain`` of the opportunities that it keeps from being silent:
            messages, and meetings that took place, after ``before`` and not after ``last``, and what is
            planned at ``since``, and no longer at ``until``, of the opportunity or of its quotations and
            orders
        """
        has_messages = Domain("message_ids", "any!", self.env["mail.message"]._get_news_domain(before, last))
        is_held = get_range_domain("stop", before, last)
        is_meeting = Domain("active", "=", True) & is_held  # cancelled ones are archived
        orders = self.env["sale.order"]
        has_orders = (has_messages, self._get_planned_domain(orders, since, until))
        return [
            has_messages,
            Domain("calendar_event_ids", "any!", is_meeting),
            self._get_planned_domain(self, since, until),
            self._get_orders_domain(self._get_union_domain(orders, *has_orders)),
        ]

    @api.model
    def _get_planned_domain(self, documents, since, until):
        """
        :param documents: model with activities, which is of companies
        :return: ``Domain`` of those with an open activity of a day that was not over by ``since``, and is by
            ``until``
        """
        is_open = Domain("active", "=", True)  # Odoo archives those that are done
        return Domain.OR(
            companies_domain
            & Domain("activity_ids", "any!", is_open & get_range_domain("date_deadline", before, last))
            for before, last, companies_domain in documents._get_crm_stage_last_days(0, since, until)
        )
