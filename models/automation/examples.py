"""The automations that are used most, as forms that are filled in."""

from odoo.fields import Domain

from ..stage.crm_stage import DEFAULT_STAGES


def get_values(env):
    """:return: ``[(title, values), ...]``; what the pipeline has nothing fit for is False in there"""
    new, estimate, visit, quotation, closed = _get_stage_ids(env)
    is_visit = _get_condition(env, "categ_ids", "calendar_event_type_technical_visit")
    team = env["crm.team"].search(Domain.TRUE, limit=1)
    is_for_team = repr([("opportunity_id.team_id", "in", team.ids)]) if team else False
    lost = {"outcome": "lost"}
    is_big = repr([("expected_revenue", ">", 10000)])
    comes_back = {"filter_domain": repr([("won_status", "=", "lost")]), "is_lost_included": True}
    rows = [
        (env._("Quotation sent"), quotation, "quotation_sent", {}),
        (env._("Visit planned"), visit, "meeting_scheduled", {"filter_domain": is_visit}),
        (env._("Visit over"), quotation, "meeting_over", {"filter_domain": is_visit}),
        (env._("Order confirmed"), closed, "order_confirmed", {"outcome": "won"}),
        (env._("Quotation expired: lost"), closed, "quotation_expired", {**lost, "days": 1}),
        (
            env._("Ten days without news"),
            closed,
            "no_news",
            {**lost, "days": 10, "is_working_days": True, "from": quotation},
        ),
        (env._("E-mail received"), estimate, "email_received", {"from": new}),
        (env._("Big deal"), visit, "opportunity_matches", {"filter_domain": is_big}),
        (env._("Meeting of one team"), visit, "meeting_scheduled", {"filter_domain": is_for_team}),
        (env._("Cancelled after confirmation"), quotation, "quotation_cancelled", {"from": closed}),
        (env._("A lost customer comes back"), estimate, "email_received", comes_back),
    ]
    examples = []
    for title, stage_id, trigger, values in rows:
        origin_id = values.pop("from", False)
        # Where the same stage stands for both, it takes opportunities from any earlier one.
        values["from_stage_ids"] = origin_id and origin_id != stage_id and [(6, 0, [origin_id])]
        examples.append((title, {"stage_id": stage_id, "trigger": trigger, **values}))
    return examples


def _get_stage_ids(env):
    """:return: ids of what stands for the five stages here, in their order; False where nothing does

    Where the five are archived, as in a pipeline that was there before, the customer's stages that are about
    as far take their places.
    """
    stages = env["crm.stage"].search(Domain.TRUE)
    won = stages.filtered("is_won")
    others = stages - won
    ids = []
    for position, name in enumerate(DEFAULT_STAGES):
        default = env.ref(f"crm_sales_stage.{name}", raise_if_not_found=False)
        if default and default in stages:
            ids.append(default.id)
        elif position == len(DEFAULT_STAGES) - 1:
            ids.append(won[:1].id)
        else:
            nearest = round(position * (len(others) - 1) / (len(DEFAULT_STAGES) - 2))
            ids.append(others[nearest].id if others else False)
    return ids


def _get_condition(env, field, xml_id):
    """:return: condition on the record with this external id, if it still exists"""
    record = env.ref(f"crm_sales_stage.{xml_id}", raise_if_not_found=False)
    return repr([(field, "in", record.ids)]) if record else False
