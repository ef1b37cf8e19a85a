from contextlib import contextmanager
from unittest.mock import patch

from odoo import Command
from odoo.exceptions import ValidationError
from odoo.orm.model_classes import add_to_registry
from odoo.tools import mute_logger

from .common import SalesStageCase, without_hooks

# What another addon says
REFUSAL = "An e-mail address first"


class AutomationCase(SalesStageCase):
    """The seeded automations, whatever else the database holds, and documents that they listen to."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.visit_tag = cls.env.ref("crm_sales_stage.calendar_event_type_technical_visit")
        cls.visit_type = cls.env.ref("crm_sales_stage.mail_activity_type_technical_visit")
        cls.automations.search([]).filtered(
            lambda automation: not automation.get_external_id()[automation.id].startswith("crm_sales_stage.")
        ).active = False
        cls.partner = cls.env["res.partner"].create(
            {"name": "Dealer's Customer", "email": "customer@example.com"}
        )
        cls.product = cls.env["product.product"].create({"name": "Window", "list_price": 500})

    @classmethod
    def add_model(cls, model_class):
        """Let a model of another addon be there for the tests of this class."""
        name = model_class._name
        add_to_registry(cls.registry, model_class)
        cls.registry._setup_models__(cls.env.cr, [name])
        cls.registry.init_models(cls.env.cr, [name], {"module": "crm_sales_stage"})
        cls.addClassCleanup(cls.forget_model, name)

    @classmethod
    def forget_model(cls, name):
        for parent in [*cls.registry[name]._inherit]:
            cls.registry[parent]._inherit_children.discard(name)
        del cls.registry.models[name]
        cls.registry.clear_all_caches()
        cls.registry._setup_models__(cls.env.cr, [])

    @classmethod
    def create_lead(cls, **values):
        """:return: an opportunity as of yesterday, of the salesperson and in the first stage by default"""
        return cls.create_leads(1, **{"name": "House", "user_id": cls.salesperson.id, **values})

    @classmethod
    def create_leads(cls, count, **values):
        """:return: ``count`` opportunities as of yesterday, in the first stage by default"""
        values = {"partner_id": cls.partner.id, "stage_id": cls.new.id, "expected_revenue": 0, **values}
        leads = cls.create_opportunities(count, **values)
        cls.pass_commit()
        return leads

    @classmethod
    def create_order(cls, lead=None, **values):
        return cls.env["sale.order"].create(cls.get_order_values(lead, **values))

    @classmethod
    def get_order_values(cls, lead=None, **values):
        return {
            "partner_id": cls.partner.id,
            "opportunity_id": lead.id if lead else False,
            "order_line": [Command.create({"product_id": cls.product.id, "product_uom_qty": 1})],
            **values,
        }

    @classmethod
    def create_meeting(cls, lead=None, tags=None, **values):
        return cls.env["calendar.event"].create(cls.get_meeting_values(lead, tags, **values))

    @classmethod
    def get_meeting_values(cls, lead=None, tags=None, **values):
        return {
            "name": "At the customer's",
            "start": "2030-01-01 10:00:00",
            "stop": "2030-01-01 11:00:00",
            "opportunity_id": lead.id if lead else False,
            "categ_ids": [Command.set(tags.ids if tags else [])],
            **values,
        }

    @classmethod
    def create_lead_and_partner(cls):
        """:return: an opportunity and a contact that have the same id"""
        highest = max(cls.env[name].create({"name": "x"}).id for name in ("crm.lead", "res.partner"))
        for table in ("crm_lead", "res_partner"):
            cls.env.cr.execute("SELECT setval(%s, %s)", [f"{table}_id_seq", highest])
        lead = cls.create_lead()
        partner = cls.env["res.partner"].create({"name": "Somebody"})
        assert lead.id == partner.id, "Otherwise the test would not tell"
        return lead, partner

    def make_faulty(self, automation):
        """Let an automation that listens to quotations being created fail, as when the addon that brought a
        field is gone.
        """
        automation = automation.sudo()
        automation.flush_recordset()
        self.env.cr.execute(
            "UPDATE crm_stage_automation SET filter_domain = %s WHERE id = %s",
            ["[('gone', '=', 1)]", automation.id],
        )
        automation.invalidate_recordset()
        self.env.registry.clear_cache()
        with mute_logger("odoo.addons.crm_sales_stage.models.automation.crm_stage_automation"):
            self.create_order(self.create_lead())
        self.env.flush_all()

    def search_moves(self, state, automation=None):
        """:return: the rows of the journal in ``state``, of all automations or of one"""
        domain = [("state", "=", state), *([("automation_id", "=", automation.id)] if automation else ())]
        return self.env["crm.stage.automation.move"].search(domain, order="id")

    def get_unmoved(self):
        """:return: the opportunities that could not be moved, and the reasons, as the journal has them"""
        failed = self.search_moves("skipped").filtered("error")
        return failed.lead_id, {move.error for move in failed}

    def run_job(self, name="catch_up", seconds_left=60):
        """Run one of the scheduled jobs, which may commit, without a commit.

        :return: what it was asked about its progress
        """
        self.env.flush_all()
        progress = patch.object(type(self.env["ir.cron"]), "_commit_progress", return_value=seconds_left)
        with progress as asked:
            getattr(self.automations, f"_cron_{name}")()
        return asked

    @contextmanager
    def refusing(self, refused, fail=None):
        """Another addon lets nobody move the opportunities ``refused`` to Technical Visit.

        :param fail: function that fails, given these opportunities
        """

        def fail_by_rule(leads):
            raise ValidationError(REFUSAL)

        Lead = type(self.env["crm.lead"])
        write = Lead.write

        def write_unless_refused(leads, vals):
            res = write(leads, vals)
            if vals.get("stage_id") == self.visit.id and leads & refused:
                (fail or fail_by_rule)(leads & refused)
            return res

        with (
            patch.object(Lead, "write", write_unless_refused),
            mute_logger("odoo.addons.crm_sales_stage.models.automation.crm_stage_automation", "odoo.sql_db"),
        ):
            yield

    def get_preview(self, automation):
        """:return: the dialog that tells what ``automation`` would move now"""
        action = automation.action_preview()
        preview = self.env[action["res_model"]].browse(action["res_id"])
        self.assertEqual(self.env["crm.lead"].search_count(action["domain"]), preview.lead_count)
        return preview

    def get_tracking_message(self, lead):
        """:return: the newest message that tracks a change of stage"""
        self.pass_commit()
        return lead.message_ids.filtered(
            lambda m: "stage_id" in m.tracking_value_ids.field_id.mapped("name")
        )[:1]

    def assertCostsNothing(self, function):
        """``function`` needs the same number of queries as in Odoo without the addon."""
        function()  # fills the caches that outlive a transaction
        ours, plain = [], []
        for _turn in range(2):  # what Odoo does once in a while is in one of them at most
            ours.append(self.count_queries(function))
            with without_hooks(self.env):
                plain.append(self.count_queries(function))
            if ours == plain:
                break
        self.assertGreater(min(plain), 0)
        self.assertEqual(min(ours), min(plain))
