from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from .test_automation_outcome import LOGGER, OutcomeCase


class FaultCase(OutcomeCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.automation = cls.env.ref("crm_sales_stage.automation_quotation_quotation_sent")

    def break_condition(self):
        """As when the addon that brought a field is gone."""
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE crm_stage_automation SET filter_domain = %s WHERE id = %s",
            ["[('gone', '=', 1)]", self.automation.id],
        )
        self.automation.invalidate_recordset()
        self.env.registry.clear_cache()

    def send(self, **context):
        """Somebody sends a quotation, which the automation listens to."""
        lead = self.create_lead()
        order = self.create_order(lead)
        with mute_logger(LOGGER):
            order.with_context(**context).action_quotation_sent()
        self.assertEqual(order.state, "sent", "the sale goes through")
        return lead

    def fail_to_move(self, error="Not on Mondays"):
        Lead = type(self.env["crm.lead"])
        write = Lead.write

        def fail(leads, vals):
            if vals.get("stage_id") == self.quotation.id:
                raise UserError(error)
            return write(leads, vals)

        with patch.object(Lead, "write", fail):
            self.send()


@tagged("post_install", "-at_install")
class TestMending(FaultCase):
    """A fault goes away by what mends it."""

    def test_order_mends_nothing(self):
        self.break_condition()
        self.send()
        self.automation.sequence = 3
        self.assertTrue(self.automation.fault)

    def test_condition(self):
        self.break_condition()
        self.send()
        self.automation.filter_domain = "[('amount_total', '>', 5)]"
        self.assertFalse(self.automation.fault or self.automation.fault_date)

    def test_move(self):
        self.fail_to_move()
        self.assertIn("Not on Mondays", self.automation.fault)
        self.automation.stage_id = self.visit
        self.assertFalse(self.automation.fault)

    def test_working_run(self):
        self.fail_to_move()
        self.send()
        self.assertFalse(self.automation.fault)

    def test_gone_author(self):
        author = new_test_user(self.env, login="gone", groups="sales_team.group_sale_manager")
        self.automation.with_user(author).filter_domain = "[('amount_total', '>', 5)]"
        author.active = False
        self.send()
        self.assertIn("take the condition over", self.automation.fault)
        self.automation.sequence = 1
        self.assertTrue(self.automation.fault)
        self.automation.action_take_over_condition()
        self.assertFalse(self.automation.fault)

    def test_stage(self):
        self.assertFalse(self.quotation.has_faulty_automation)
        self.fail_to_move()
        self.env.invalidate_all()
        self.assertTrue(self.quotation.has_faulty_automation)
        self.assertFalse(self.visit.has_faulty_automation)
        self.automation.active = False
        self.env.invalidate_all()
        self.assertFalse(self.quotation.has_faulty_automation, "it harms nobody")

    def test_stage_is_cheap(self):
        stages = self.env["crm.stage"].search([])
        self.env.invalidate_all()
        with self.assertQueryCount(1):
            stages.mapped("has_faulty_automation")

    def test_stage_for_salespersons(self):
        self.fail_to_move()
        user = self.create_lead().user_id
        self.assertTrue(self.quotation.with_user(user).has_faulty_automation)


@tagged("post_install", "-at_install")
class TestLanguage(FaultCase):
    """Whoever met the fault, its managers read it in their language."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"]._activate_lang("fr_FR")

    def read_fault(self, lang):
        return self.automation.with_context(lang=lang).fault

    def translate(self, french):
        """:return: patch with translations of code, by the start of the English term"""
        get = self.env["base"].env._.__func__.__globals__["get_translation"]

        def get_translation(module, lang, source, args):
            starts = [text for start, text in french.items() if lang == "fr_FR" and source.startswith(start)]
            return get(module, "en_US", starts[0] if starts else source, args)

        return patch.multiple("odoo.orm.environments", get_translation=get_translation), patch(
            "odoo.tools.translate.get_translation", get_translation
        )

    def test_condition(self):
        self.break_condition()
        environment, lazy = self.translate({"The condition does not work": "La condition échoue : %s"})
        with environment, lazy:
            self.send(lang="fr_FR")
        self.assertIn("does not work any more", self.read_fault("en_US"))
        self.assertIn("Set another condition", self.read_fault("en_US"), "what to do")
        self.assertIn("La condition échoue", self.read_fault("fr_FR"))

    def test_own_errors(self):
        """Those of this addon, which are raised somewhere within."""
        self.env.cr.execute("UPDATE crm_stage SET is_won = false WHERE id = %s", self.closed.ids)
        self.automation = self.env.ref("crm_sales_stage.automation_closed_order_confirmed")
        self.env.invalidate_all()
        order = self.create_order(self.create_lead())
        environment, lazy = self.translate({'The stage "%s" is no won': "L'étape %s n'est plus gagnante."})
        with environment, lazy, mute_logger(LOGGER):
            order.action_confirm()
        self.assertIn("Make it a won stage again", self.read_fault("en_US"))
        self.assertEqual(self.read_fault("fr_FR"), f"L'étape {self.closed.name} n'est plus gagnante.")

    def test_written_once(self):
        """Another event of another language changes nothing."""
        self.break_condition()
        self.send(lang="fr_FR")
        date = self.automation.fault_date
        with patch.object(type(self.automation), "invalidate_recordset", autospec=True) as told:
            self.send(lang="en_US")
        self.assertFalse([call for call in told.call_args_list if call.args[0] == self.automation])
        self.assertEqual(self.automation.fault_date, date)


@tagged("post_install", "-at_install")
class TestTold(FaultCase):
    """The managers are told of a fault once, and never within the sale."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.leader = new_test_user(
            cls.env,
            login="fault_leader",
            groups="base.group_user,sales_team.group_sale_manager",
            email="leader@example.com",
            notification_type="inbox",
        )
        cls.other_leader = new_test_user(
            cls.env,
            login="fault_other",
            groups="base.group_user,sales_team.group_sale_manager",
            email="other@example.com",
            notification_type="inbox",
        )

    def get_messages(self, user):
        return self.env["mail.message"].search(
            [("model", "=", "crm.stage.automation"), ("notified_partner_ids", "in", user.partner_id.ids)]
        )

    def test_once(self):
        self.fail_to_move()
        message = self.get_messages(self.leader)
        self.assertEqual(len(message), 1)
        self.assertEqual(message.res_id, self.automation.id)
        self.assertIn("Not on Mondays", message.body)
        self.assertIn(self.automation.name, message.body.unescape())
        self.fail_to_move()
        self.fail_to_move("Nor on Tuesdays")
        self.assertEqual(self.get_messages(self.leader), message, "once per fault, not per event")
        self.assertIn("Tuesdays", self.automation.fault)

    def test_again_after_mending(self):
        self.fail_to_move()
        self.automation.stage_id = self.visit
        self.automation.stage_id = self.quotation
        self.assertEqual(len(self.get_messages(self.leader)), 1)
        self.fail_to_move()
        self.assertEqual(len(self.get_messages(self.leader)), 2)

    def test_of_the_team(self):
        self.quotation.team_ids = self.env["crm.team"].create({"name": "Windows", "user_id": self.leader.id})
        Lead = type(self.env["crm.lead"])
        lead = self.create_lead(team_id=self.quotation.team_ids.id)
        order = self.create_order(lead)
        with patch.object(Lead, "_get_movable_domains", side_effect=UserError("No")), mute_logger(LOGGER):
            order.action_quotation_sent()
        self.assertTrue(self.automation.fault)
        self.assertTrue(self.get_messages(self.leader))
        self.assertFalse(self.get_messages(self.other_leader))

    def test_leader_without_rights(self):
        """Those who cannot do anything about it are not asked to."""
        self.quotation.team_ids = self.env["crm.team"].create(
            {"name": "Windows", "user_id": self.create_lead().user_id.id}
        )
        self.fail_to_move()
        self.assertTrue(self.get_messages(self.leader))
        self.assertTrue(self.get_messages(self.other_leader))

    def test_in_their_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.leader.lang = "fr_FR"
        self.fail_to_move()
        french, english = self.get_messages(self.leader), self.get_messages(self.other_leader)
        self.assertIn("Une automatisation d'étape ne fonctionne pas", french.body)
        self.assertIn("A stage automation does not work", english.body)
        for message in french + english:
            self.assertIn("Not on Mondays", message.body)

    def test_message_that_fails(self):
        """The fault is shown all the same, and the sale goes through."""
        Automation = type(self.automation)
        failing = patch.object(Automation, "_notify_managers", side_effect=ValueError("No e-mail today"))
        with failing as notify:
            self.fail_to_move()
        notify.assert_called_once()
        self.assertIn("Not on Mondays", self.automation.fault)
