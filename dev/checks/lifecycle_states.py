"""States that a database may be in when the addon is uninstalled, for `make test-lifecycle`.

Its users do at random what they may do: set up, undo, use, change, archive and delete. Whatever comes of it,
uninstalling works, takes all that is the addon's, and leaves what is theirs.
"""

import os
import random

from lifecycle import (
    check_uninstalled,
    expect_equal,
    get_leftovers,
    get_rows,
    is_the_users,
    load,
    save,
    save_expected,
)
from psycopg2 import IntegrityError

from odoo import Command
from odoo.exceptions import RedirectWarning, UserError
from odoo.tools import mute_logger

# What uninstalling must not touch, whole rows but for what the scoring computes
KEPT_TABLES = ("base_automation", "crm_lead", "crm_stage", "crm_team", "mail_activity", "sale_order")
SCORED = {"probability", "automated_probability", "prorated_revenue", "write_date", "write_uid"}


class Customer:
    """An administrator who does one thing after another. What is called "Kept" is theirs, and stays."""

    def __init__(self, env, dice):
        context = {"allowed_company_ids": env["res.company"].search([]).ids, "lang": "en_US"}
        self.env = env(user=env.ref("base.user_admin").id, context=context)
        self.dice = dice
        self.stages = self.env["crm.stage"].with_context(active_test=False)
        self.automations = self.env["crm.stage.automation"].with_context(active_test=False)
        self.leads = self.env["crm.lead"].with_context(active_test=False)

    def live(self, number):
        """:return: names of the things done; what is refused is not"""
        names = [name for name in dir(self) if name.startswith("do_")]
        return [name for name in self.dice.choices(names, k=number) if self.do(name)]

    def do(self, name):
        try:
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                getattr(self, name)()
        except (IntegrityError, UserError, RedirectWarning):  # which are shown to users
            return False
        self.env.invalidate_all()
        return True

    def pick(self, records):
        """:raise UserError: when there are none"""
        if not records:
            raise UserError("There is none")
        return self.dice.choice(records)

    def pick_stage(self):
        """:return: one of the five as often as any other stage"""
        return self.pick(self.dice.choice([self.stages._get_default_stages(), self.stages.search([])]))

    def pick_move(self, model="crm.lead"):
        """:return: values of a server action that moves opportunities to a stage"""
        return {
            "name": "Move",
            "model_id": self.env["ir.model"]._get_id(model),
            "state": "crm_stage",
            "crm_stage_id": self.pick_stage().id,
        }

    # ------------------------------------------------------------------
    # The set-up, and stages
    # ------------------------------------------------------------------

    def do_set_up(self):
        wizard = self.env["crm.stage.setup.wizard"].create({})
        for line in wizard.line_ids:
            if self.dice.random() < 0.2:
                line.action = "keep"
        wizard.action_apply()

    def do_undo_set_up(self):
        merged = self.stages.search([("setup_stage_id", "!=", False)])
        wizards = self.env["crm.stage.setup.wizard"].with_context(crm_stage_restored_ids=merged.ids)
        wizards.create({}).action_apply()

    def do_archive_stage(self):
        self.pick_stage().action_archive()

    def do_unarchive_stage(self):
        self.pick_stage().action_unarchive()

    def do_delete_stage(self):
        stage = self.pick_stage()
        wizard = self.env["crm.stage.delete.wizard"].create({"stage_ids": stage.ids})
        if wizard.opportunity_count:
            wizard.target_stage_id = self.pick(self.stages.search([("id", "!=", stage.id)]))
            wizard.action_move_and_delete()
        else:
            wizard.action_delete()

    def do_add_stage(self):
        self.stages.name_create("Follow-up")

    def do_change_stage(self):
        values = [
            {"name": "Renamed"},
            {"probability_mode": "fixed"},
            {"probability_mode": "predictive"},
            {"is_won": True},
            {"is_won": False},
            {"sequence": self.dice.randrange(90)},
            {"team_ids": [Command.set(self.env["crm.team"].search([], limit=1).ids)]},
            {"required_field_ids": [Command.set(self.env.ref("crm.field_crm_lead__phone").ids)]},
            {"mail_template_id": self.env["mail.template"].search([("model", "=", "crm.lead")], limit=1).id},
        ]
        self.pick_stage().write(self.dice.choice(values))

    # ------------------------------------------------------------------
    # Opportunities
    # ------------------------------------------------------------------

    def do_create_opportunities(self):
        leads = self.leads.create(
            [
                {
                    "name": f"New {number}",
                    "type": "lead" if number == 4 else "opportunity",
                    "stage_id": self.pick_stage().id,
                }
                for number in range(5)
            ]
        )
        self.env.flush_all()
        leads[0].action_set_lost()
        leads[1].action_archive()

    def do_move(self):
        self.pick(self.leads.search([])).stage_id = self.pick_stage()

    def do_sell(self):
        lead = self.pick(self.env["crm.lead"].search([("type", "=", "opportunity")]))
        order = self.env["sale.order"].create(
            {"partner_id": self.env.user.partner_id.id, "opportunity_id": lead.id}
        )
        order.action_quotation_sent()
        if self.dice.random() < 0.5:
            order.action_confirm()

    # ------------------------------------------------------------------
    # Automations, and what else moves opportunities or names a stage
    # ------------------------------------------------------------------

    def do_add_automation(self):
        self.automations.create(
            {
                "stage_id": self.pick_stage().id,
                "trigger": self.dice.choice(["email_received", "quotation_sent", "activity_done"]),
                "filter_domain": f"[('id', '!=', 0), ('create_uid', '!=', {self.env.uid})]",
                "from_stage_ids": [Command.set(self.pick_stage().ids)],
            }
        )

    def do_add_condition_on_a_stage(self):
        condition = f"[('stage_id', '=', {self.pick_stage().id})]"
        self.automations.create(
            {
                "stage_id": self.pick_stage().id,
                "trigger": "opportunity_matches",
                "filter_domain": condition,
            }
        )

    def do_archive_automation(self):
        self.pick(self.automations.search([])).active = False

    def do_delete_automation(self):
        self.pick(self.automations.search([])).unlink()

    def do_apply_automation(self):
        self.pick(self.automations.search([("active", "=", True)])).action_catch_up()

    def do_preview_automation(self):
        self.pick(self.automations.search([("active", "=", True)])).action_preview()

    def do_break_automation(self):
        automation = self.pick(self.automations.search([("active", "=", True)]))
        automation.action_server_id.crm_stage_id = self.pick_stage()

    def do_delete_server_action(self):
        # Odoo itself does not let go of a scheduled one.
        domain = [("state", "=", "crm_stage"), ("ir_cron_ids", "=", False)]
        self.pick(self.env["ir.actions.server"].search(domain)).unlink()

    def do_add_server_action(self):
        actions = self.env["ir.actions.server"]
        actions.create(self.pick_move()).create_action()
        actions.create({**self.pick_move("sale.order"), "crm_lead_path": "opportunity_id"})
        lead_model = self.env["ir.model"]._get_id("crm.lead")
        children = [Command.create(self.pick_move()), Command.create(self.pick_move())]
        actions.create({"name": "Kept", "model_id": lead_model, "state": "multi", "child_ids": children})

    def do_add_scheduled_action(self):
        jobs = self.env["ir.cron"]
        jobs.create({**self.pick_move(), "interval_type": "days"})
        jobs.create({**self.pick_move(), "interval_type": "days", "active": False})
        jobs.create(
            {
                "name": "Kept",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "state": "code",
                "code": f"model.search([('stage_id', '=', {self.pick_stage().id})])",
                "interval_type": "days",
            }
        )

    def do_schedule_changes_of_stages(self):
        """One writes a field of the addon, the other one a field of Odoo's."""
        values = {
            "model_id": self.env["ir.model"]._get_id("crm.stage"),
            "state": "object_write",
            "interval_type": "days",
        }
        jobs = self.env["ir.cron"]
        jobs.create({**values, "name": "Probability", "update_path": "probability", "value": "5"})
        jobs.create({**values, "name": "Kept", "update_path": "color", "value": "5"})

    def do_add_automation_rule(self):
        if "base.automation" not in self.env:
            raise UserError("Automation Rules are not installed")
        lead_model = self.env["ir.model"]._get_id("crm.lead")
        rules = self.env["base.automation"]
        move = {**self.pick_move(), "usage": "base_automation"}
        code = {"name": "Kept", "model_id": lead_model, "state": "code", "code": "pass"}
        rules.create(
            {
                "name": "Kept: moves",
                "model_id": lead_model,
                "trigger": "on_create_or_write",
                "action_server_ids": [Command.create(move)],
            }
        )
        rules.create(
            {
                "name": "Kept: when moved",
                "model_id": lead_model,
                "trigger": "on_stage_set",
                "trg_field_ref": self.pick_stage().id,
                "action_server_ids": [Command.create({**code, "usage": "base_automation"})],
            }
        )

    def do_add_field(self):
        """Their own field, which does not let go of its stage"""
        model = self.env["ir.model"]._get("res.partner")
        if "x_kept_stage_id" not in self.env["res.partner"]._fields:
            self.env["ir.model.fields"].create(
                {
                    "name": "x_kept_stage_id",
                    "model_id": model.id,
                    "ttype": "many2one",
                    "relation": "crm.stage",
                    "on_delete": "restrict",
                }
            )
        self.env.user.partner_id.x_kept_stage_id = self.pick_stage()


def uninstall_in_state(env, state):
    """The first one is as it was installed, the second one set up and undone; the others are random."""
    number = int(os.environ["NUMBER"])
    dice = random.Random(f"{os.environ['SEED']} {number}")
    customer = Customer(env, dice)
    if number == 2:
        done = [name for name in ("do_set_up", "do_undo_set_up") if customer.do(name)]
        expect_equal(len(done), 2, "set up and undone")
    else:
        done = customer.live(0 if number == 1 else dice.randrange(2, 30))
    print("       ", ", ".join(name.removeprefix("do_").replace("_", " ") for name in done) or "untouched")
    env.flush_all()
    env.cr.precommit.run()
    gone = get_stages_that_go(env)
    save_expected(env, state, kept_stages=env["crm.stage"].with_context(active_test=False).search([]) - gone)
    rows = get_rows(env, KEPT_TABLES)
    rows["crm_stage"] = [row for row in rows["crm_stage"] if row["id"] not in gone.ids]
    save(state, rows=rows, kept=get_kept(env), gone=get_external_ids_that_go(env, load(state), gone))
    env.cr.commit()
    env["ir.module.module"].search([("name", "=", "crm_sales_stage")]).button_immediate_uninstall()
    check_rows(load(state)["rows"], get_rows(env, KEPT_TABLES))
    expect_equal(get_kept(env), load(state)["kept"], "what the customer made")
    check_uninstalled(env, state)


def get_stages_that_go(env):
    """:return: those of the five that are archived and hold nothing"""
    stages = env["crm.stage"].with_context(active_test=False)._get_default_stages()
    held = env["crm.lead"].with_context(active_test=False).search([]).stage_id
    if "x_kept_stage_id" in env["res.partner"]._fields:
        held |= env["res.partner"].with_context(active_test=False).search([]).x_kept_stage_id
    return stages.filtered(lambda stage: not stage.active) - held


def get_kept(env):
    """:return: what is called "Kept", by kind"""
    found = {kind: sorted(filter(is_the_users, names)) for kind, names in get_leftovers(env).items()}
    return {kind: names for kind, names in found.items() if names}


def get_external_ids_that_go(env, before, stages):
    """:return: external ids from before the installation: of what users have deleted, and of ``stages``"""
    data = env["ir.model.data"].search([])
    going = data.filtered(lambda row: row.model == "crm.stage" and row.res_id in stages.ids)
    return sorted(set(before["leftovers"]["external ids"]) - set((data - going).mapped("complete_name")))


def check_rows(before, now):
    """What is left of each row, without our columns, is as it was."""
    for table, rows in before.items():
        columns = {column for row in now[table][:1] for column in row} - SCORED
        found = [{column: row[column] for column in columns} for row in now[table]]
        expected = [{column: row[column] for column in columns} for row in rows]
        differing = [row for row in found + expected if (row in found) != (row in expected)]
        expect_equal(differing[:4], [], f"rows of {table} that differ")
