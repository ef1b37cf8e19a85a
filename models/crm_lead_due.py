"""Opportunities to which nothing happens: triggers in time."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from ..tools import get_range_domain


class CrmLead(models.Model):
    _inherit = "crm.lead"

    _crm_stage_date_deadline_idx = models.Index("(date_deadline) WHERE date_deadline IS NOT NULL")

    @api.model
    def _get_crm_stage_triggers(self):
        return {
            **super()._get_crm_stage_triggers(),
            "stage_waiting": self.env._("it has been in its stage for … days"),
            "no_news": self.env._("there has been no news for … days"),
            "deadline_passed": self.env._("its expected closing has passed"),
        }

    @api.model
    def _get_crm_stage_trigger_dates(self):
        dates = {"stage_waiting": None, "no_news": None, "deadline_passed": "date_deadline"}
        return {**super()._get_crm_stage_trigger_dates(), **dates}

    @api.model
    def _get_crm_stage_due_text(self, trigger, label, days):
        if trigger == "stage_waiting" and days == 1:
            return self.env._("it has been in its stage for a day")
        if trigger == "no_news" and days == 1:
            return self.env._("there has been no news for a day")
        return super()._get_crm_stage_due_text(trigger, label, days)

    @api.model
    def _get_crm_stage_due_domain(self, trigger, days, since, until):
        if trigger == "stage_waiting":
            delta = timedelta(days=days)
            return self._get_entered_domain(since and since - delta, until - delta)
        if trigger == "no_news":
            return self._get_silent_domain(days, since, until)
        return super()._get_crm_stage_due_domain(trigger, days, since, until)

    def _get_crm_stage_document_dates(self, trigger):
        """What falls due is news by then. A deadline may have passed before, at the end of its day."""
        if trigger == "deadline_passed":
            deadlines = {lead.id: lead.date_deadline for lead in self if lead.date_deadline}
            day = timedelta(days=1)
            return {lead_id: fields.Datetime.to_datetime(date) + day for lead_id, date in deadlines.items()}
        if trigger in self._get_crm_stage_trigger_dates():
            return dict.fromkeys(self.ids, fields.Datetime.now())
        return super()._get_crm_stage_document_dates(trigger)

    @api.model
    def _get_entered_domain(self, since, until):
        """
        :return: ``Domain`` of those that came into their stage after ``since``, and not after ``until``; lost
            ones are where they are since they were lost
        """
        is_there = Domain("outcome", "in", ("open", "won")) & Domain("date_left", "=", False)
        is_lost = Domain("outcome", "=", "lost")
        domain = (is_there & get_range_domain("date_entered", since, until)) | (
            is_lost & get_range_domain("date_left", since, until)
        )
        # sudo: only when it was; nothing of it is shown
        query = self.env["crm.stage.stay"].sudo()._search(domain)
        return Domain("id", "in", query.subselect("lead_id"))

    @api.model
    def _get_silent_domain(self, days, since, until):
        """
        :return: ``Domain`` of those that have been without news for ``days`` days by ``until``, and that were
            not by ``since``: there was some in between, or the last thing that was planned has passed

        Only those are looked at for later news.
        """
        delta = timedelta(days=days)
        domain = self._get_entered_domain(None, until - delta) & ~Domain.OR(
            self._get_news_domains(days, until)
        )
        if since:
            entered = self._get_entered_domain(since - delta, until - delta)
            domain &= self._get_union_domain(self, entered, *self._get_news_domains(days, since, until))
        return domain

    @api.model
    def _get_union_domain(self, documents, *domains):
        """:return: ``Domain`` as ``Domain.OR`` of ``domains``, each of them looked up by itself"""
        # sudo: see `_get_entered_domain`
        documents = documents.sudo().with_context(active_test=False)
        queries = SQL(" UNION ").join(documents._search(domain).subselect() for domain in domains)
        return Domain("id", "in", SQL("(%s)", queries))

    @api.model
    def _get_news_domains(self, days, since, until=None):
        """
        :return: for each kind of news, ``Domain`` of the opportunities that it keeps from being silent at
            ``since``, and no longer at ``until``: messages, meetings that took place, and what is planned, of
            the opportunity or of its quotations and orders
        """
        delta = timedelta(days=days)
        period = since - delta, until and until - delta
        has_messages = Domain("message_ids", "any!", self.env["mail.message"]._get_news_domain(*period))
        is_meeting = Domain("active", "=", True) & get_range_domain("stop", *period)  # cancelled are archived
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
