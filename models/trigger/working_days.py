"""Working days of a company: weekends, holidays and closing days do not count.

Where the company has no calendar, they are Monday to Friday. In a calendar that is too short to tell, too:
Odoo looks less than four years ahead, or back.
"""

from datetime import datetime, time, timedelta

from pytz import timezone, utc

DAY = timedelta(days=1)


def get_zone(company):
    """:return: time zone of ``company``, which has none of its own: its address has one, or its calendar"""
    return timezone(company.partner_id.tz or company.resource_calendar_id.tz or "UTC")


def get_local(company, moment):
    """:return: ``moment``, which is in UTC, as the company's clocks show it"""
    return utc.localize(moment).astimezone(get_zone(company))


def get_beginning(company, day):
    """:return: when ``day`` begins at the company's, in UTC"""
    return _get_utc(company, day, time())


def _get_utc(company, day, clock):
    local = get_zone(company).localize(datetime.combine(day, clock))
    return local.astimezone(utc).replace(tzinfo=None)


def shift_day(company, day, days):
    """
    :param company: in sudo
    :param int days: negative for what was before
    :return: the day that is this many working days away from ``day``
    """
    zone = get_zone(company)
    begins = zone.localize(datetime.combine(day + DAY if days > 0 else day, time()))
    # Odoo's name for the zone that the hours of the calendar are in
    calendar = company.resource_calendar_id.with_context(employee_timezone=zone)
    is_closed = [("time_type", "=", "leave"), ("company_id", "in", [False, company.id])]
    found = calendar and calendar.plan_days(days, begins, compute_leaves=True, domain=is_closed)
    if found:
        return found.date()
    step = DAY if days > 0 else -DAY
    for _number in range(abs(days)):
        day += step
        while day.weekday() > 4:
            day += step
    return day


def shift(company, moment, days):
    """On days off no time passes, so that what happens then counts from when the next working day begins.

    :param company: in sudo
    :param moment: in UTC
    :param int days: not 0; negative for what was before
    :return: the moment, in UTC, that is this many working days away from ``moment``
    """
    local = get_local(company, moment)
    today = local.date()
    day = shift_day(company, today, days)
    if shift_day(company, today - DAY, 1) == today:
        return _get_utc(company, day, local.time())
    return get_beginning(company, day + DAY if days > 0 else day)
