"""Steps of `make test-lifecycle`, run in Odoo's shell on real databases.

Each step takes the environment and the path of a file that hands what was found to later steps.
"""

import json
from datetime import timedelta
from pathlib import Path

from odoo import Command
from odoo.tools import SQL, float_compare

STAGES = {
    "stage_new": ("New", "Nouveau", 10),
    "stage_estimate": ("Estimate", "Estimation", 25),
    "stage_technical_visit": ("Technical Visit", "Visite Technique", 50),
    "stage_quotation": ("Quotation", "Devis", 75),
    "stage_closed": ("Won / Lost", "Gagné / Perdu", 100),
}

# Whatever an addon leaves in a database: each query names the objects of one kind, one per row.
LEFTOVERS = {
    "tables, views, sequences, indexes": """
        SELECT relkind::text || ' ' || relname FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('t', 'c')""",
    "columns": "SELECT table_name || '.' || column_name || ' ' || is_nullable FROM information_schema.columns"
    " WHERE table_schema = 'public'",
    "constraints": "SELECT conrelid::regclass || ' ' || conname FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace",
    "functions": "SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "triggers": "SELECT tgrelid::regclass || ' ' || tgname FROM pg_trigger WHERE NOT tgisinternal",
    "models": "SELECT model FROM ir_model",
    "fields": "SELECT model || '.' || name FROM ir_model_fields",
    "selections": """
        SELECT field.model || '.' || field.name || ' ' || selection.value
          FROM ir_model_fields_selection selection
          JOIN ir_model_fields field ON field.id = selection.field_id""",
    "views of the web client": """
        SELECT id || ' ' || name || ' ' || active || md5(arch_db::text) FROM ir_ui_view""",
    "menus": """
        SELECT menu.id || ' ' || menu.name || COALESCE(menu.action, '') || menu.active
               || array_agg(rel.gid ORDER BY rel.gid)::text
          FROM ir_ui_menu menu
          LEFT JOIN ir_ui_menu_group_rel rel ON rel.menu_id = menu.id
         GROUP BY menu.id""",
    "windows": """
        SELECT id || ' ' || (name->>'en_US') || res_model || view_mode || COALESCE(domain, '') || context
          FROM ir_act_window""",
    "server actions": "SELECT id || ' ' || (name->>'en_US') || ' ' || state FROM ir_act_server",
    "scheduled actions": "SELECT id || ' ' || cron_name FROM ir_cron",
    "to-dos": "SELECT todo.id || ' ' || todo.state FROM ir_actions_todo todo",
    "access rights": "SELECT id || ' ' || name FROM ir_model_access",
    "rules": "SELECT id || ' ' || COALESCE(name, '') FROM ir_rule",
    "groups": "SELECT id || ' ' || (name->>'en_US') FROM res_groups",
    "parameters": "SELECT key FROM ir_config_parameter",
    "defaults": "SELECT id::text FROM ir_default",
    "external ids": "SELECT module || '.' || name FROM ir_model_data",
    "records of models that are gone": """
        SELECT 'message ' || id FROM mail_message WHERE model NOT IN (SELECT model FROM ir_model)
        UNION ALL SELECT 'attachment ' || id FROM ir_attachment
                   WHERE res_model NOT IN (SELECT model FROM ir_model)""",
}

# What installing into a live database must not touch, whole rows
LIVE_TABLES = (
    "crm_lead",
    "crm_stage",
    "crm_team",
    "crm_team_member",
    "crm_lead_scoring_frequency",
    "crm_lost_reason",
    "sale_order",
    "calendar_event",
    "calendar_event_type",
    "mail_activity",
    "mail_activity_type",
    "mail_message",
    "mail_tracking_value",
    "res_groups",
    "res_groups_users_rel",
    "ir_rule",
    "ir_config_parameter",
    "ir_default",
)
# What users may have changed of ours, which updating keeps
OWNED_TABLES = (
    "crm_lead",
    "crm_stage",
    "crm_stage_automation",
    "crm_stage_crm_stage_automation_rel",
    "ir_act_server",
    "ir_cron",
    "mail_activity_type",
    "calendar_event_type",
)
BOOKKEEPING = {"write_date", "write_uid"}


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def expect_equal(found, expected, what):
    expect(found == expected, f"{what}: {found!r}, not {expected!r}")


# ------------------------------------------------------------------
# Looking
# ------------------------------------------------------------------


def load(state):
    return json.loads(Path(state).read_text()) if Path(state).exists() else {}


def save(state, **values):
    Path(state).write_text(json.dumps({**load(state), **values}, default=str))


def get_leftovers(env):
    return {kind: [row[0] for row in env.execute_query(SQL(query))] for kind, query in LEFTOVERS.items()}


def get_rows(env, tables):
    """:return: rows by table, each as {column: value}"""
    env.flush_all()
    return {
        table: [
            row
            for (row,) in env.execute_query(
                SQL("SELECT to_jsonb(t) FROM %s t ORDER BY to_jsonb(t)::text", SQL.identifier(table))
            )
        ]
        for table in tables
        if env.execute_query(SQL("SELECT to_regclass(%s)", table))[0][0]
    }


def get_visible(env):
    """:return: what each user sees: ids by model, and the pipeline's columns"""
    visible = {}
    for user in env["res.users"].search([("share", "=", False)]):
        user_env = env(user=user.id, su=False, context={"allowed_company_ids": user.company_ids.ids})
        if not user_env["crm.lead"].has_access("read"):
            continue
        models = {
            model: user_env[model].search([]).ids
            for model in ("crm.lead", "crm.stage", "crm.team", "sale.order", "calendar.event")
            if user_env[model].has_access("read")
        }
        columns = user_env["crm.lead"].web_read_group(
            [("type", "=", "opportunity")], ["stage_id"], ["__count"]
        )
        visible[user.login] = [models, [(group["stage_id"], group["__count"]) for group in columns["groups"]]]
    return json.loads(json.dumps(visible))


def compare_rows(before, after, ignored=(), with_news=False):
    """:param with_news: rows may have come, with ids of their own"""
    for table, rows in before.items():
        found = {json.dumps(pick(row, row.keys() - ignored), sort_keys=True) for row in rows}
        columns = rows[0].keys() - ignored if rows else set()
        known_ids = {row.get("id") for row in rows}
        now = {
            json.dumps(pick(row, columns), sort_keys=True)
            for row in after[table]
            if not with_news or row["id"] in known_ids
        }
        lost, added = sorted(found - now), sorted(now - found)
        expect(not lost and not added, f"{table} has changed:\n- {lost[:3]}\n+ {added[:3]}")


def pick(row, columns):
    return {column: row.get(column) for column in columns}


# ------------------------------------------------------------------
# Steps
# ------------------------------------------------------------------


def make_live(env, state):
    """A customer at work: own stages, companies and teams, opportunities of all kinds, learned scoring."""
    env = env(user=env.ref("base.user_admin").id, context={"lang": "en_US", "tracking_disable": False})
    env["ir.config_parameter"].sudo().set_param("crm.pls_start_date", "2000-01-01")
    company = env["res.company"].create({"name": "Windows Ltd"})
    team = env["crm.team"].create({"name": "Windows", "company_id": company.id})
    for login, group in (("own", "group_sale_salesman"), ("all", "group_sale_salesman_all_leads")):
        env["res.users"].create(
            {
                "name": login,
                "login": login,
                "group_ids": [Command.set(env.ref(f"sales_team.{group}").ids)],
                "company_id": env.company.id,
                "company_ids": [
                    Command.set((env.company + company).ids if login == "all" else env.company.ids)
                ],
            }
        )
    stages = env["crm.stage"].search([])
    stages[1].name = "Qualified by phone"
    stages[1].with_context(lang="fr_FR").name = "Qualifié au téléphone"
    measured, waiting = env["crm.stage"].create(
        [
            {"name": "Measured", "sequence": 2, "team_ids": team.ids},
            {"name": "Waiting", "sequence": 3, "fold": True},
        ]
    )
    env["ir.model.data"].search([("model", "=", "crm.lead")])  # demo ones stay, among others
    owners = env["res.users"].search([("login", "in", ("admin", "demo", "own", "all"))])
    leads = env["crm.lead"].create(
        [
            {
                "name": f"Live {number}",
                "type": "lead" if number % 10 == 9 else "opportunity",
                "expected_revenue": 100 * number,
                "stage_id": (stages + waiting)[number % (len(stages) + 1)].id,
                "user_id": owners[number % len(owners)].id,
                "country_id": env.ref("base.fr" if number % 3 else "base.be").id,
            }
            for number in range(60)
        ]
    )
    env["crm.lead"].create(
        {
            "name": "Elsewhere",
            "company_id": company.id,
            "team_id": team.id,
            "stage_id": measured.id,
            "user_id": False,
        }
    )
    opened = leads.filtered(lambda lead: not lead.stage_id.is_won and lead.type == "opportunity")
    opened[0:8].action_set_lost(lost_reason_id=env["crm.lost.reason"].search([], limit=1).id)
    opened[8:12].action_archive()
    opened[12:15].probability = 33
    opened[15:18].unlink()
    order = env["sale.order"].create({"partner_id": env.user.partner_id.id, "opportunity_id": opened[20].id})
    order.action_quotation_sent()
    opened[21].activity_schedule("mail.mail_activity_data_call")
    env["crm.lead"]._cron_update_automated_probabilities()
    env.cr.commit()


def look_before(env, state):
    env["crm.lead"]._cron_update_automated_probabilities()
    env.cr.commit()
    save(
        state,
        leftovers=get_leftovers(env),
        live=get_rows(env, LIVE_TABLES),
        visible=get_visible(env),
    )


def check_untouched(env, state):
    """Installing into a live database has changed nothing, and Odoo's scoring goes on the same."""
    before = load(state)
    now = get_rows(env, LIVE_TABLES)
    news = {
        "crm_stage",
        "calendar_event_type",
        "ir_config_parameter",
        "ir_rule",
        "mail_activity_type",
        "mail_message",
    }
    for table, rows in before["live"].items():
        compare_rows({table: rows}, now, with_news=table in news)
    expect_equal(get_visible(env), before["visible"], "what users see")
    stages = env["crm.stage"]._get_default_stages()
    expect_equal(stages.mapped("active"), [False] * 5, "the five arrive archived")
    expect_equal(
        set((env["crm.stage"].search([]) - stages).mapped("probability_mode")), {"predictive"}, "modes"
    )
    expect_equal(env.ref("crm_sales_stage.crm_stage_setup_todo").state, "open", "the set-up is offered")
    env["crm.lead"]._cron_update_automated_probabilities()
    now = get_rows(env, ["crm_lead", "crm_lead_scoring_frequency"])
    for table in now:
        ignored = BOOKKEEPING if table == "crm_lead" else BOOKKEEPING | {"id", "create_date", "create_uid"}
        compare_rows({table: before["live"][table]}, now, ignored)
    env.cr.rollback()


def check_five(env, state):
    """A new database has exactly the five columns, and its demo opportunities their probabilities."""
    stages = env["crm.stage"].with_context(lang="en_US").search([])
    expect_equal(
        [(stage.name, stage.probability) for stage in stages],
        [(name, probability) for name, _french, probability in STAGES.values()],
        "columns",
    )
    if env["res.lang"]._lang_get("fr_FR"):
        french = stages.with_context(lang="fr_FR").mapped("name")
        expect_equal(french, [name for _english, name, _probability in STAGES.values()], "French columns")
    for lead in env["crm.lead"].search([("won_status", "=", "pending")]):
        expect_equal(lead.probability, lead.stage_id.probability, f"probability of {lead.name}")
    expect_equal(env.ref("crm_sales_stage.crm_stage_setup_todo").state, "done", "no set-up is offered")
    check_automations(env)


def check_stages_of_others(env, state):
    """Stages that came while only Odoo CRM was loaded are as usable as others."""
    stages = env["crm.stage"].search([("name", "in", ["survey", "measuring", "signed", "called"])])
    expect_equal(
        set(stages.mapped("name")), {"survey", "measuring", "called", "signed"}, "columns of another addon"
    )
    for stage in stages:
        expect(stage.probability and stage.probability_mode == "fixed", f"{stage.name} has values")
        lead = env["crm.lead"].create({"name": "Theirs", "type": "opportunity", "stage_id": stage.id})
        expect_equal(
            lead.probability, 100 if stage.is_won else stage.probability, f"probability in {stage.name}"
        )
    defaults = dict(
        env.execute_query(
            SQL(
                "SELECT column_name::text, column_default::text FROM information_schema.columns"
                " WHERE table_name = 'crm_stage' AND column_default IS NOT NULL"
            )
        )
    )
    expect({"active", "probability", "probability_mode"} <= defaults.keys(), f"defaults are kept: {defaults}")
    env.cr.rollback()


def check_beside_stage_probability(env, state):
    """OCA's addon, which came before or after, leaves the five what they are."""
    stages = env["crm.stage"]._get_default_stages()
    expect_equal(
        [
            (stage.name, stage.probability, stage.probability_mode)
            for stage in stages.with_context(lang="en_US")
        ],
        [(name, probability, "fixed") for name, _french, probability in STAGES.values()],
        "stages",
    )
    lead = env["crm.lead"].create({"name": "x", "type": "opportunity", "stage_id": stages[2].id})
    expect_equal((lead.probability, lead.probability_source), (50, "stage"), "created in a column")
    lead.probability = 33
    lead.stage_id = stages[1]
    expect_equal((lead.probability, lead.probability_source), (25, "stage"), "moved")
    lead.write({"stage_id": stages[3].id, "probability": 61})
    expect_equal((lead.probability, lead.automated_probability), (61, 75), "moved and set by hand")
    values = {"name": "New one", "sequence": stages[2].sequence}
    expect_equal(env["crm.stage"].create(values).probability, 50, "another stage")
    env.cr.rollback()


def check_stage_probability_taken_over(env, state):
    """Stages that OCA's addon gave a probability keep it; nothing of the customer's has changed."""
    compare_rows({"crm_lead": load(state)["live"]["crm_lead"]}, get_rows(env, ["crm_lead"]))
    for number, probability in enumerate((10, 30, 70, 100), 1):
        stage = env.ref(f"crm.stage_lead{number}")
        expect_equal((stage.probability, stage.probability_mode), (probability, "fixed"), stage.name)
    measured = env["crm.stage"].search([("name", "=", "Measured")])
    expect_equal(measured.probability_mode, "predictive", "mode of a stage without")


def remove_dates(env, state):
    """An opportunity made by SQL may have no date at all."""
    env.cr.execute(
        "UPDATE crm_lead SET create_date = NULL, date_last_stage_update = NULL"
        " WHERE id = (SELECT res_id FROM ir_model_data WHERE module = 'delivered' AND model = 'crm.lead')"
    )
    env.cr.commit()


def check_automations(env):
    """An order goes the whole way; undone afterwards."""
    env["crm.stage"]._get_default_stages().action_unarchive()
    lead = env["crm.lead"].create(
        {"name": "Way", "type": "opportunity", "stage_id": env["crm.stage"].search([])[0].id}
    )
    order = env["sale.order"].create({"partner_id": env.user.partner_id.id, "opportunity_id": lead.id})
    order.action_quotation_sent()
    expect_equal(lead.stage_id, env.ref("crm_sales_stage.stage_quotation"), "stage after sending")
    order.action_confirm()
    expect_equal(lead.won_status, "won", "outcome after confirming")
    env.cr.rollback()


def set_up(env, state):
    """The consultant merges the customer's stages as proposed."""
    env = env(
        user=env.ref("base.user_admin").id, context={"allowed_company_ids": env["res.company"].search([]).ids}
    )
    wizard = env["crm.stage.setup.wizard"].create({})
    before = env["crm.lead"].with_context(active_test=False).search_count([])
    moving = sum(wizard.line_ids.mapped("moving_count"))
    expect(moving > 20, "the wizard moves opportunities")
    wizard.action_apply()
    stages = env["crm.stage"]._get_default_stages()
    expect_equal(stages.mapped("active"), [True] * 5, "the five are columns now")
    leads = env["crm.lead"].with_context(active_test=False)
    expect_equal(leads.search_count([]), before, "number of opportunities")
    expect(leads.search_count([("stage_id", "in", stages.ids)]) >= moving, "the wizard moved what it told")
    env.cr.commit()


def change(env, state):
    """Users make the stages and lines theirs."""
    env = env(
        user=env.ref("base.user_admin").id, context={"allowed_company_ids": env["res.company"].search([]).ids}
    )

    def ref(name):
        return env.ref(f"crm_sales_stage.{name}")

    ref("stage_new").with_context(lang="en_US").name = "Prospect"
    ref("stage_quotation").probability = 66
    ref("stage_technical_visit").sequence, ref("stage_quotation").sequence = 4, 3
    ref("stage_closed").with_context(lang="en_US").name = "Decided"
    estimate = ref("stage_estimate")
    data = env["ir.model.data"].sudo().search([("model", "=", estimate._name), ("res_id", "=", estimate.id)])
    save(state, gone=data.mapped("complete_name"))
    delete = env["crm.stage.delete.wizard"].create({"stage_ids": estimate.ids})
    if delete.opportunity_count:
        delete.target_stage_id = ref("stage_new")
        delete.action_move_and_delete()
    else:
        delete.action_delete()
    ref("automation_quotation_quotation_created").active = False
    ref("automation_quotation_quotation_sent").filter_domain = "[('amount_total', '>=', 0)]"
    ref("automation_closed_order_confirmed").unlink()
    ref("action_move_to_stage_new").sudo().unlink()
    ref("ir_cron_crm_stage_catch_up").sudo().interval_number = 7
    ref("mail_activity_type_technical_visit").sudo().name = "Site Visit"
    env["crm.stage"].name_create("Follow-up")
    env.cr.commit()
    save(state, owned=get_rows(env, OWNED_TABLES))


def make_history(env, state):
    """Opportunities in every state, with the former version: what happens to them, and how many days ago."""
    env = env(user=env.ref("base.user_admin").id, context={"lang": "en_US", "tracking_disable": False})
    stages = env["crm.stage"].search([("is_won", "=", False)])
    won = env["crm.stage"].search([("is_won", "=", True)])[-1]
    show_room = env["crm.stage"].create({"name": "Show Room", "sequence": stages[1].sequence})
    teams = env["crm.team"].create([{"name": "Windows"}, {"name": "Stoves"}])
    reason = env["crm.lost.reason"].search([], limit=1)
    partner = env.user.partner_id

    def to(stage, **context):
        return lambda lead: lead.with_context(**context).write({"stage_id": stage.id})

    def lose(lead):
        lead.action_set_lost(lost_reason_id=reason.id)

    def archive(lead):
        lead.action_archive()

    def restore(lead):
        lead.action_unarchive()

    def quote(lead):
        env["sale.order"].create({"partner_id": partner.id, "opportunity_id": lead.id})

    def convert(lead):
        lead.convert_opportunity(partner)

    def turn_back(lead):
        lead.type = "lead"

    def merge(lead):
        (lead + lead.copy({"name": "Merged"}))._merge_opportunity()

    ways = [
        [to(stages[1]), to(stages[2])],
        [to(stages[2]), to(stages[1]), to(stages[2])],
        [to(show_room), to(stages[2])],
        [to(stages[1]), to(stages[2], tracking_disable=True), to(stages[3])],
        [to(stages[3]), to(won)],
        [to(won), to(stages[1])],
        [to(stages[2]), lose],
        [to(stages[2]), lose, restore, to(stages[3])],
        [lose, restore, lose],
        [archive],
        [to(stages[1]), archive, restore],
        [to(won), archive],
        [quote],
        [convert, to(stages[2])],
        [to(stages[1]), turn_back],
        [to(stages[1]), merge, to(stages[2])],
    ]
    for number in range(3 * len(ways)):
        way = ways[number % len(ways)]
        values = {
            "name": f"Opportunity {number}",
            "type": "lead" if convert in way else "opportunity",
            "partner_id": partner.id,
            "stage_id": stages[0].id,
            "team_id": teams[number % 2].id,
            "expected_revenue": 1000 + 10 * number,
        }
        days_ago = 200 + 10 * number
        lead = env["crm.lead"].create(values)
        date_back(env, lead, days_ago)
        for position, step in enumerate(way, 1):
            step(lead)
            date_back(env, lead, days_ago - 31 * position)
    env["crm.lead"].search([("stage_id", "=", show_room.id)]).stage_id = stages[0]
    show_room.unlink()
    env.cr.commit()


def date_back(env, lead, days_ago):
    """Let what was just done to an opportunity have happened some days ago."""
    env.flush_all()
    env.cr.precommit.run()
    now = env.cr.now()
    date = now - timedelta(days=days_ago)
    env.cr.execute(SQL("UPDATE mail_tracking_value SET create_date = %s WHERE create_date = %s", date, now))
    for name in ("create_date", "date_conversion", "date_last_stage_update"):
        column = SQL.identifier(name)
        env.cr.execute(
            SQL("UPDATE crm_lead SET %s = %s WHERE %s = %s AND id = %s", column, date, column, now, lead.id)
        )
    env.cr.commit()
    env.invalidate_all()


def get_figures(env):
    """:return: what the report tells: overviews, groups and single stays, but for what goes on with time"""
    report = env(user=env.ref("base.user_admin").id, context={"lang": "en_US", "tz": "UTC"})[
        "crm.stage.report"
    ]
    report = report.sudo(False)
    teams = env["crm.team"].search([("name", "in", ("Windows", "Stoves"))])
    domains = [[], [("date_entered", ">=", "-1y")], *([("team_id", "=", team.id)] for team in teams)]
    overviews = [report.get_overview(domain)["stages"] for domain in domains]
    for overview in overviews:
        for stage in overview:
            # What changes with time, what the former version did not have or counted otherwise
            for name in ("late", "late_domain", "reached_next_basis", "won_basis", "left", "usual"):
                stage.pop(name, None)
    groups = [
        report.formatted_read_group(domain, groupby, aggregates)
        for groupby, aggregates in (
            (["stage_id", "outcome"], ["__count", "days_median:median", "reached_next:avg", "was_won:avg"]),
            (["date_entered:month", "stage_name"], ["days_median:median", "expected_revenue:sum"]),
            (["date_left:month", "next_stage_id"], ["days:avg", "prorated_revenue:sum", "__count"]),
            (["moved_by", "is_first_visit"], ["__count"]),
            (["lost_reason_id"], ["__count"]),
        )
        for domain in (
            # The former version had no names for groups of deleted stages.
            [("stage_id", "!=", False), ("outcome", "!=", "open")],
            [("stage_id", "!=", False), ("team_id", "=", teams[0].id), ("outcome", "!=", "open")],
        )
    ]
    unlike = {"id", "display_name", "days", "days_median", "is_moved_on"}  # by row, time or version
    names = [name for name in report._fields if name not in unlike]
    stays = report.search([]).sorted(
        lambda stay: (stay.lead_id.id, stay.date_entered, stay.date_left or stay.date_entered)
    )
    rows = [{name: str(stay[name]) for name in names} for stay in stays]
    text = json.dumps([overviews, groups, rows], default=str).replace('"rule"', '"automation"')
    # The order in which floats are summed up is PostgreSQL's.
    return json.loads(text, parse_float=lambda number: round(float(number), 6))


def look_at_figures(env, state):
    figures = get_figures(env)
    expect_equal(
        {row["outcome"] for row in figures[2]},
        {"open", "moved", "won", "lost", "restored", "archived"},
        "outcomes in the history",
    )
    save(state, figures=figures)


def check_figures(env, state):
    """The upgrade changed no figure, and made the table as a new database has it."""
    before, after = load(state)["figures"], get_figures(env)
    for kind, old, new in zip(("overviews", "groups", "stays"), before, after, strict=True):
        expect_equal(len(new), len(old), f"number of {kind}")
        for old_one, new_one in zip(old, new, strict=True):
            # Fields that there were not are compared with nothing.
            known = {name: new_one[name] for name in old_one} if isinstance(new_one, dict) else new_one
            expect_equal(known, old_one, kind)
    expect_equal(env["crm.stage.stay"]._find_out_of_step(0), [], "out of step")
    expect_equal(describe_stays(env), load(Path(state).with_name("life_demo.json"))["stays"], "table")
    names = [name for kind in ("functions", "triggers") for name in get_leftovers(env)[kind]]
    expect_equal([name for name in names if "crm_stage" in name], [], "functions and triggers")


def look_at_stays(env, state):
    save(state, stays=describe_stays(env))


def describe_stays(env):
    """:return: columns, constraints and indexes of the table of stays, as a new database has it"""
    queries = (
        """
        SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid),
               col_description(attrelid, attnum)
          FROM pg_attribute
          LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE attrelid = 'crm_stage_stay'::regclass AND attnum > 0 AND NOT attisdropped
        """,
        """
        SELECT conname, pg_get_constraintdef(oid)
          FROM pg_constraint
         WHERE conrelid = 'crm_stage_stay'::regclass
        """,
        """
        SELECT indexdef, obj_description(indexname::regclass, 'pg_class')
          FROM pg_indexes WHERE tablename = 'crm_stage_stay'
        """,
        "SELECT obj_description('crm_stage_stay'::regclass, 'pg_class')",
    )
    return [sorted(map(str, env.execute_query(SQL(query)))) for query in queries]


def check_kept(env, state):
    """Updating the addon has kept what users made of it."""
    before = load(state)["owned"]
    now = get_rows(env, before)
    compare_rows(before, now, BOOKKEEPING | {"nextcall", "lastcall"})
    for name in ("stage_estimate", "automation_closed_order_confirmed", "action_move_to_stage_new"):
        expect(not env.ref(f"crm_sales_stage.{name}", raise_if_not_found=False), f"{name} stays deleted")
    expect(
        "Prospect" in env["crm.stage"].with_context(lang="en_US").search([]).mapped("name"), "the new name"
    )


def uninstall(env, state):
    """With all in use: lines, scheduled and automated actions, opportunities, jobs half done."""
    admin = env(user=env.ref("base.user_admin").id)
    stages = admin["crm.stage"].search([])
    lead_model = admin["ir.model"]._get_id("crm.lead")
    move = {"name": "Mine", "model_id": lead_model, "state": "crm_stage", "crm_stage_id": stages[1].id}
    admin["ir.cron"].create({**move, "interval_type": "days"})
    admin["ir.actions.server"].create(
        {"name": "Kept", "model_id": lead_model, "state": "multi", "child_ids": [Command.create(move)]}
    )
    if "base.automation" in env:
        admin["base.automation"].create(
            {
                "name": "Priority",
                "model_id": lead_model,
                "trigger": "on_create_or_write",
                "action_server_ids": [Command.create({**move, "usage": "base_automation"})],
            }
        )
    automation = admin["crm.stage.automation"].create({"stage_id": stages[1].id, "trigger": "email_received"})
    leads = admin["crm.lead"].create(
        [{"name": f"Late {stage.name}", "type": "opportunity", "stage_id": stage.id} for stage in stages]
    )
    automation.sudo()._wait_to_apply({leads[0].id: leads[0]})
    leads[0].with_context(tracking_disable=False).stage_id = stages[1]
    admin["crm.lead"].create({"name": "Lost", "stage_id": stages[0].id}).action_set_lost()
    emptied = admin["crm.stage"].create({"name": "Archived", "sequence": 2})
    admin["crm.lead"].create({"name": "In archived", "type": "opportunity", "stage_id": emptied.id})
    emptied.active = False
    admin["crm.stage.delete.wizard"].create({"stage_ids": stages[1].ids})
    save_expected(env, state, kept_stages=stages + emptied)
    env.cr.commit()
    env["ir.module.module"].search([("name", "=", "crm_sales_stage")]).button_immediate_uninstall()


def save_expected(env, state, kept_stages):
    """What ``check_uninstalled`` expects: every opportunity where it is, and stages of the same name."""
    leads = env["crm.lead"].with_context(active_test=False).search([])
    save(
        state,
        stages_of_leads={lead.id: [lead.stage_id.id, lead.active, lead.won_status] for lead in leads},
        followers=leads.filtered("is_automated_probability").ids,
        stage_names={stage.id: stage.name for stage in kept_stages},
    )


def check_uninstalled(env, state):
    """Nothing of the addon is left; every opportunity has its stage, and Odoo scores them."""
    before = load(state)
    expect("crm.stage.automation" not in env, "the models are gone")
    leftovers = get_leftovers(env)
    for kind, names in leftovers.items():
        added = sorted(set(names) - set(before["leftovers"][kind]))
        lost = sorted(set(before["leftovers"][kind]) - set(names) - set(before.get("gone", ())))
        added = [name for name in added if not is_the_users(name)]
        expect(not added and not lost, f"{kind}: left behind {added[:5]}, lost {lost[:5]}")
    leads = env["crm.lead"].with_context(active_test=False).search([])
    found = {str(lead.id): [lead.stage_id.id, lead.active, lead.won_status] for lead in leads}
    expect_equal(found, before["stages_of_leads"], "stages and outcomes")
    for stage_id, name in before["stage_names"].items():
        expect_equal(env["crm.stage"].browse(int(stage_id)).name, name, "name of a stage")
    # Odoo's scores are as of its nightly job: archived stages are back in the pipeline, which changes them.
    env["crm.lead"]._cron_update_automated_probabilities()
    env.invalidate_all()
    check_scoring(env, before["followers"])
    check_odoo_works(env)
    env.cr.rollback()


def is_the_users(name):
    """:return: whether a record was made by this script's users, not by the addon"""
    return "kept" in name.lower()


def check_scoring(env, followers):
    """Open opportunities have the probability that Odoo's scoring gives, unless set by hand."""
    # Odoo's nightly job leaves older ones alone.
    start = env["ir.config_parameter"].sudo().get_param("crm.pls_start_date")
    leads = env["crm.lead"].search(
        [("won_status", "=", "pending"), ("stage_id.is_won", "=", False), ("create_date", ">=", start)]
    )
    scores, _tooltip = leads._pls_get_naive_bayes_probabilities()
    expect(len(set(scores.values())) > 1 or len(leads) < 10, "scoring tells opportunities apart")
    for lead in leads:
        if lead.id in scores:
            expect(
                not float_compare(lead.automated_probability, scores[lead.id], 2),
                f"{lead.name} is scored {lead.automated_probability}, not {scores[lead.id]}",
            )
        if lead.id in followers:
            expect(lead.is_automated_probability, f"{lead.name} follows the scoring")


def check_odoo_works(env):
    """The pipeline's views and groups load for a salesperson; an order is confirmed, a job of Odoo runs."""
    for user in env["res.users"].search([("login", "in", ("admin", "demo"))]):
        leads = env(user=user.id, su=False)["crm.lead"]
        views = [(False, view) for view in ("kanban", "list", "form", "graph", "pivot", "search", "calendar")]
        leads.get_views(views)
        stage_views = [(False, view) for view in ("list", "form", "search")]
        env(user=user.id, su=False)["crm.stage"].get_views(stage_views)
        columns = leads.web_read_group([("type", "=", "opportunity")], ["stage_id"], ["__count"])["groups"]
        expect(columns, "the pipeline has columns")
        lead = leads.create({"name": "Again", "type": "opportunity"})
        expect(lead.stage_id, "a new opportunity gets a stage")
    order = env["sale.order"].create({"partner_id": env.user.partner_id.id, "opportunity_id": lead.id})
    order.action_confirm()
    lead.sudo().action_set_won()
    expect_equal(lead.sudo().won_status, "won", "outcome")
    env["ir.ui.menu"].load_menus(False)


def check_again(env, state):
    """Installed a second time: nothing of the customer's changed, the five can be set up."""
    before = load(state)
    leads = env["crm.lead"].with_context(active_test=False).search([])
    found = {str(lead.id): [lead.stage_id.id, lead.active, lead.won_status] for lead in leads}
    expect_equal(found, before["stages_of_leads"], "stages and outcomes")
    expect_equal(len(env["crm.stage"]._get_default_stages()), 5, "number of default stages")
    for model in ("calendar.event.type", "mail.activity.type"):
        records = env[model].with_context(active_test=False).search([("name", "=", "Technical Visit")])
        expect_equal(len(records), 1, f"number of {model} for technical visits")
    check_automations(env)
