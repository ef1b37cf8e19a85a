import inspect
from contextlib import contextmanager
from unittest.mock import patch

from freezegun import freeze_time

from odoo import fields
from odoo.tests import TransactionCase, new_test_user

OUR_MODULES = "odoo.addons.crm_sales_stage."


@contextmanager
def without_hooks(env, *model_names):
    """As if this addon did not extend the models of that name (default: any model).

    What it overrides is taken away meanwhile, so that calls reach Odoo and the other addons alone: the addon
    is measured by what they do then, and by the queries that they need. Its fields stay.
    """
    removed = []
    for name in model_names or env.registry:
        classes = [cls for cls in env.registry[name].__mro__ if cls is not object]
        others = [cls for cls in classes if not cls.__module__.startswith(OUR_MODULES)]
        removed += [
            (cls, attribute, value)
            for cls in classes
            if cls not in others
            for attribute, value in vars(cls).items()
            if inspect.isfunction(value) and any(attribute in vars(other) for other in others)
        ]
    removed = {(cls, attribute): value for cls, attribute, value in removed}
    try:
        for cls, attribute in removed:
            delattr(cls, attribute)
        yield
    finally:
        for (cls, attribute), value in removed.items():
            setattr(cls, attribute, value)


class SalesStageCase(TransactionCase):
    """The five stages as they are delivered, opportunities in them, and who works with them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"]._activate_lang("en_US")
        cls.env = cls.env["base"].with_context(lang="en_US").env
        # Those that there are, and those to come, whatever language the database was installed in
        cls.env["ir.default"].set("res.partner", "lang", "en_US")
        partners = cls.env["res.partner"].with_context(active_test=False)
        partners.search([("lang", "!=", "en_US")]).lang = "en_US"
        cls.new = cls.env.ref("crm_sales_stage.stage_new")
        cls.estimate = cls.env.ref("crm_sales_stage.stage_estimate")
        cls.visit = cls.env.ref("crm_sales_stage.stage_technical_visit")
        cls.quotation = cls.env.ref("crm_sales_stage.stage_quotation")
        cls.closed = cls.env.ref("crm_sales_stage.stage_closed")
        cls.stages = cls.new + cls.estimate + cls.visit + cls.quotation + cls.closed
        cls.automations = cls.env["crm.stage.automation"]
        cls.stages.active = True  # a live database has them archived
        # No e-mails that invite the users of a test, which take longer than creating them
        cls.classPatch(type(cls.env["res.users"]), "_action_reset_password", lambda *args, **kwargs: None)
        cls.manager = new_test_user(
            cls.env, "stages_manager", "sales_team.group_sale_manager", email="m@example.com"
        )
        cls.salesperson = new_test_user(
            cls.env, "stages_salesperson", "sales_team.group_sale_salesman", email="s@example.com"
        )

    @classmethod
    def create_opportunities(cls, number=1, **values):
        """:return: ``number`` opportunities, in the first stage unless ``values`` tell another"""
        values = {"type": "opportunity", "expected_revenue": 1000, **values}
        # No e-mails about their assignment, which take longer than all the rest
        leads = cls.env["crm.lead"].with_context(mail_auto_subscribe_no_notify=True)
        leads = leads.create([{"name": f"House {index}", **values} for index in range(number)])
        return leads.with_env(cls.env)

    @classmethod
    def create_in(cls, stage, number=1, **values):
        """:return: ``number`` opportunities in ``stage``"""
        return cls.create_opportunities(number, stage_id=stage.id, **values)

    @classmethod
    def create_automation(cls, stage, trigger, **values):
        return cls.automations.create({"stage_id": stage.id, "trigger": trigger, **values})

    @classmethod
    def pass_commit(cls):
        """Do what a commit does before it writes: post the tracking messages, record the stays.

        Odoo tracks no changes of what was created in the same transaction: pass this in between.
        """
        cls.env.flush_all()
        cls.env.cr.precommit.run()

    @contextmanager
    def going_back(self):
        """Let nothing of what is done be there afterwards."""
        with self.env.cr.savepoint() as savepoint:
            try:
                yield
            finally:
                self.env.cr.precommit.clear()
                savepoint.rollback()
                self.env.registry.clear_cache()

    @classmethod
    def stop_clock(cls):
        """Let time stand still for the tests of this class, so that ``at_moment`` can move it."""
        frozen = freeze_time(fields.Datetime.now())
        cls.clock = frozen.start()  # which looks through all modules: once is enough
        cls.addClassCleanup(frozen.stop)

    @classmethod
    @contextmanager
    def at_moment(cls, moment):
        """Do something at that time, to Python and to the database, up to its commit."""
        before = cls.clock()
        cls.clock.move_to(moment)
        try:
            with patch.object(cls.env.cr, "now", lambda: moment):
                yield
                cls.pass_commit()
        finally:
            cls.clock.move_to(before)

    def count_queries(self, function):
        """:return: queries of ``function``, commit included, when no record is in the cache"""
        self.pass_commit()
        self.env.invalidate_all()
        before = self.env.cr.sql_log_count
        function()
        self.pass_commit()
        return self.env.cr.sql_log_count - before
