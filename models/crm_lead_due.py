"""Opportunities to which nothing happens: triggers in time."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL


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
        delta = timedelta(days=days)
        if trigger == "stage_waiting":
            return self._get_entered_domain(since and since - delta, until - delta)
        if trigger == "no_news":
            return self._get_last_news_domain(since and since - delta, until - delta)
        return super()._get_crm_stage_due_domain(trigger, days, since, until)

    def _get_crm_stage_document_dates(self, trigger):
        """What falls due is news by then. A deadline may have passed before the loss."""
        if trigger == "deadline_passed":
            return {lead.id: fields.Datetime.to_datetime(lead.date_deadline) for lead in self}
        if trigger in self._get_crm_stage_trigger_dates():
            return dict.fromkeys(self.ids, fields.Datetime.now())
        return super()._get_crm_stage_document_dates(trigger)

    @api.model
    def _get_entered_domain(self, since, until):
        """:return: ``Domain`` of those that came into their stage after ``since``, and not after ``until``"""
        return Domain("id", "in", self._get_stays_query(since, until).subselect("lead_id"))

    @api.model
    def _get_last_news_domain(self, since, until):
        """
        :return: ``Domain`` of those whose last news came after ``since``, and not after ``until``: they came
            into their stage, an activity was done, or an e-mail or message came or went

        Only those of which there was news between the two are looked at, one by one, for later news.
        """

        def is_silent(model, alias, query):
            lead_id = SQL.identifier(alias, "id")
            return SQL(
                "EXISTS (%s) AND NOT EXISTS (%s)",
                self._get_stays_query(None, until, lead_id).select(SQL("1")),
                self._get_news_query(until, None, lead_id).select(SQL("1")),
            )

        domain = Domain.custom(to_sql=is_silent)
        if since:
            stays = self._get_stays_query(since, until).subselect("lead_id")
            messages = self._get_news_query(since, until).subselect("res_id")
            domain &= Domain("id", "in", SQL("(%s UNION %s)", stays, messages))
        return domain

    @api.model
    def _get_stays_query(self, since, until, lead_id=None):
        """:return: ``Query`` of the stays that go on, which began after ``since`` and not after ``until``
        :param SQL lead_id: of the one opportunity in question
        """
        domain = Domain("outcome", "=", "open") & Domain("date_entered", "<=", until)
        if since:
            domain &= Domain("date_entered", ">", since)
        # sudo: only when it was; nothing of it is told
        query = self.env["crm.stage.stay"].sudo()._search(domain)
        if lead_id:
            query.add_where(SQL("%s = %s", SQL.identifier(query.table, "lead_id"), lead_id))
        return query

    @api.model
    def _get_news_query(self, since, until, lead_id=None):
        """:return: ``Query`` of the messages after ``since``, and not after ``until``, that are news
        :param SQL lead_id: of the one opportunity in question
        """
        messages = self.env["mail.message"].sudo()  # sudo: see `_get_stays_query`
        domain = messages._get_news_domain() & Domain("date", ">", since)
        if until:
            domain &= Domain("date", "<=", until)
        query = messages._search(domain)
        if lead_id:
            query.add_where(SQL("%s = %s", SQL.identifier(query.table, "res_id"), lead_id))
        return query
