import copy
import hashlib
from contextlib import suppress
from datetime import timedelta
from unittest.mock import patch

from psycopg2.errors import SerializationFailure

from odoo import SUPERUSER_ID, api
from odoo.tests import TransactionCase, new_test_user, tagged
from odoo.tools import SQL, mute_logger

from ..models.history.crm_stage_stay import MOVED_BY
from ..tools import ON, attempt
from .common_report import ReportCase


class Undo(Exception):
    """What was done is not kept."""


class StayCase(ReportCase):
    def get_stays(self, lead):
        """:return: what the report says of ``lead``: its stages, how each stay ended, and who began it"""
        return [(stay["stage"], stay["outcome"], stay["by"]) for stay in self.read_stays(lead)]

    def count_stay_queries(self, work):
        """:return: number of statements on the stays that ``work`` takes until its commit"""
        self.pass_commit()
        statements = []
        execute = self.env.cr.execute

        def count(query, *args, **kwargs):
            if "crm_stage_stay" in str(getattr(query, "code", query)):
                statements.append(query)
            return execute(query, *args, **kwargs)

        with patch.object(self.env.cr, "execute", count):
            work()
            self.pass_commit()
        return len(statements)


@tagged("post_install", "-at_install")
class TestCrmStageStayRecording(StayCase):
    """What is written as it happens"""

    # ---- whatever moves an opportunity ----

    def test_computed_move(self):
        """The stage follows from the team, which the ORM computes: nobody writes it."""
        team = self.env["crm.team"].create({"name": "Doors"})
        self.new.team_ids = self.env["crm.team"].create({"name": "Windows"})
        lead = self.create_at(50, self.new, team_id=self.new.team_ids.id)
        with self.at(40) as moment:
            lead.with_user(self.manager).team_id = team
        self.assertEqual(lead.stage_id, self.estimate)
        self.notebook[lead].append((moment, "enter", self.estimate, "hand"))
        self.assertStays()

    def test_created_archived(self):
        lost = self.create_at(50, self.new, active=False, probability=0)
        archived = self.create_at(50, self.new, active=False, probability=10)
        self.assertEqual(self.get_stays(lost), [(self.new, "lost", "created")])
        self.assertEqual(self.get_stays(archived), [(self.new, "archived", "created")])
        self.assertEqual([stay["days"] for stay in self.read_stays([lost, archived])], [0, 0])

    def test_won_and_archived(self):
        lead = self.create_at(50, self.new)
        self.move_at(40, lead, self.closed)
        with self.at(30):
            lead.action_archive()
        self.assertEqual(self.get_stays(lead), [(self.new, "moved", "created"), (self.closed, "won", "hand")])

    def test_no_date_of_creation(self):
        """Opportunities that were made by SQL hinder nobody."""
        lead = self.create_at(50, self.new)
        self.env.cr.execute("DELETE FROM crm_stage_stay")
        self.env.cr.execute(
            "UPDATE crm_lead SET create_date = NULL, date_last_stage_update = NULL WHERE id = %s", lead.ids
        )
        self.env.invalidate_all()
        self.fill_anew()
        self.assertEqual(self.get_stays(lead), [(self.new, "open", "created")])
        self.env.cr.execute("DELETE FROM crm_stage_stay")
        lead.stage_id = self.visit
        self.assertEqual(self.get_stays(lead), [(self.visit, "open", "created")])

    # ---- made a lead, and an opportunity again ----

    def test_made_a_lead_and_back(self):
        """As one that is archived and restored: it has been where it was, and while a lead it is nowhere."""
        by_hand, automatic, moved, lost = (self.create_at(50, self.new) for _number in range(4))
        self.move_at(45, by_hand + automatic + moved + lost, self.estimate)
        self.lose_at(42, lost)
        with self.at(40) as made_lead:
            (by_hand + automatic + moved + lost).type = "lead"
        for lead in (by_hand, automatic, moved):
            self.notebook[lead].append((made_lead, "archived", None, None))
        self.assertStays()
        with self.at(35):
            # What becomes of a lead
            moved.stage_id = self.visit
            (by_hand + automatic).action_set_lost()
        self.assertStays([moved])
        self.assertEqual(self.get_stays(by_hand)[-1], (self.estimate, "archived", "hand"))
        with self.at(34):
            (by_hand + automatic + lost).action_unarchive()
        self.notebook[lost][-1] = (self.notebook[lost][-1][0], "lost", None, None)
        self.assertStays([by_hand, automatic])
        with self.at(30) as converted:
            customer = self.env.user.partner_id
            (by_hand + moved + lost).with_user(self.manager).convert_opportunity(customer)
            automatic.convert_opportunity(customer)
        for lead, stage, by in (
            (by_hand, self.estimate, "hand"),
            (automatic, self.estimate, "automation"),
            (moved, self.visit, "hand"),
            (lost, self.estimate, "hand"),
        ):
            self.notebook[lead].append((converted, "enter", stage, by))
        self.assertStays()
        self.assertFalse(self.env["crm.stage.stay"]._find_out_of_step(0))

    def test_made_a_lead_and_back_at_once(self):
        lead, moved = self.create_at(50, self.new), self.create_at(50, self.new)
        with self.at(40) as moment:
            (lead + moved).type = "lead"
            self.pass_commit()
            (lead + moved).with_user(self.manager).convert_opportunity(self.env.user.partner_id)
            moved.with_user(self.manager).stage_id = self.visit
        self.notebook[moved].append((moment, "enter", self.visit, "hand"))
        self.assertStays()

    def test_won_one_made_a_lead(self):
        lead = self.create_at(50, self.new)
        self.move_at(40, lead, self.closed)
        with self.at(30):
            lead.type = "lead"
        self.assertEqual(self.get_stays(lead), [(self.new, "moved", "created"), (self.closed, "won", "hand")])
        self.assertTrue(self.read_stays(lead)[-1]["left"])

    def test_leads_have_no_stays(self):
        with self.at(50):
            lead = self.create_in(self.new, type="lead")
        with self.at(40):
            lead.stage_id = self.visit
        with self.at(30):
            lead.action_set_lost()
        self.assertFalse(self.get_stays(lead))

    def test_overview_of_those_that_are_leads_by_now(self):
        """They entered their stages and left them; they wait nowhere, and are lost nowhere."""
        lead, other = self.create_at(50, self.new), self.create_at(50, self.new)
        self.move_at(40, lead + other, self.estimate)
        with self.at(30):
            lead.type = "lead"
        with self.at(20):
            lead.action_set_lost()
        overview = {row["id"]: row for row in self.env["crm.stage.report"].get_overview([])["stages"]}
        told = [
            [overview[stage.id][name] for name in ("entered", "left", "waiting", "lost")]
            for stage in (self.new, self.estimate)
        ]
        self.assertEqual(told, [[2, 2, 0, 0], [2, 1, 1, 0]])

    def test_names_of_deleted_stages_are_translated(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        stage = self.env["crm.stage"].create({"name": "Show Room", "sequence": 2})
        stage.with_context(lang="fr_FR").name = "Exposition"
        lead = self.create_at(50, stage)
        self.move_at(40, lead, self.visit)
        stage.unlink()
        row = self.env["crm.stage.report"].search([("lead_id", "=", lead.id)], order="date_entered", limit=1)
        self.assertEqual(row.stage_name, "Show Room")
        self.assertEqual(row.with_context(lang="fr_FR").stage_name, "Exposition")

    # ---- by hand or not ----

    def create_action(self, **values):
        return self.env["ir.actions.server"].create(
            {
                "name": "Move",
                "model_id": self.env["ir.model"]._get_id("crm.lead"),
                "state": "crm_stage",
                "crm_stage_id": self.visit.id,
                **values,
            }
        )

    def test_server_action_moves_automatically(self):
        """Whoever runs it: a user from the Action menu, or an automation rule."""
        menu = self.create_at(50, self.new)
        action = self.create_action().with_user(self.manager)
        with self.at(40):
            action.with_context(active_model="crm.lead", active_ids=menu.ids).run()
        self.assertEqual(
            self.get_stays(menu), [(self.new, "moved", "created"), (self.visit, "open", "automation")]
        )
        self.move_at(30, menu, self.quotation)
        self.assertEqual(self.get_stays(menu)[-1], (self.quotation, "open", "hand"))

    def test_last_mover_counts(self):
        lead = self.create_at(50, self.new)
        by_hand = lead.with_user(self.manager)
        automatic = by_hand.with_context(crm_stage_moving=ON)
        with self.at(40):
            automatic.stage_id = self.estimate
            by_hand.stage_id = self.visit
        with self.at(30):
            by_hand.stage_id = self.estimate
            automatic.stage_id = self.quotation
        self.assertEqual(
            [by for _stage, _outcome, by in self.get_stays(lead)], ["created", "hand", "automation"]
        )

    def test_mover_who_is_deleted_by_the_same_transaction(self):
        lead = self.create_at(50, self.new)
        mover = self.env["res.users"].create({"name": "Temporary", "login": "temporary"})
        mover.group_ids = self.env.ref("sales_team.group_sale_manager")
        with self.at(40):
            # Odoo's own tracking would ask the deleted user for their language.
            lead.with_user(mover).with_context(tracking_disable=True).stage_id = self.estimate
            self.env.flush_all()
            mover.unlink()
        self.assertEqual(self.get_stays(lead)[-1], (self.estimate, "open", "hand"))
        self.assertFalse(self.env["crm.stage.stay"].search([("lead_id", "=", lead.id)], limit=1).mover_id)

    def test_other_changes_leave_the_mover(self):
        lead = self.create_at(50, self.new)
        by_hand = lead.with_user(self.manager)
        with self.at(40):
            by_hand.with_context(crm_stage_moving=ON).stage_id = self.estimate
            with self.env.cr.savepoint():
                by_hand.expected_revenue += 1
            by_hand.probability = 33
        self.assertEqual(self.get_stays(lead)[-1], (self.estimate, "open", "automation"))

    def test_another_salesperson_is_no_mover(self):
        """A stage may follow from the salesperson, whom somebody changes after an automation moved."""
        lead = self.create_at(50, self.new)
        by_hand = lead.with_user(self.manager)
        with self.at(40):
            by_hand.with_context(crm_stage_moving=ON).stage_id = self.estimate
            by_hand.user_id = self.manager
        self.assertEqual(self.get_stays(lead)[-1], (self.estimate, "open", "automation"))

    def test_moved_while_hooks_run(self):
        """What hooks before the commit move is told right, though their data are gone when they are done."""
        lead = self.create_at(50, self.new)
        automatic = lead.with_user(self.manager).with_context(crm_stage_moving=ON)
        with self.at(40):
            self.env.cr.precommit.add(lambda: automatic.write({"stage_id": self.estimate.id}))
        self.assertEqual(self.get_stays(lead)[-1], (self.estimate, "open", "automation"))

    def test_failed_automation_is_no_mover(self):
        lead = self.create_at(50, self.new)
        by_hand = lead.with_user(self.manager)
        with self.at(40):
            by_hand.stage_id = self.estimate
            self.env.flush_all()
            with attempt(self.env):
                by_hand.with_context(crm_stage_moving=ON).stage_id = self.visit
                raise Undo
        self.assertEqual(self.get_stays(lead)[-1], (self.estimate, "open", "hand"))

    def test_what_is_done_can_be_copied(self):
        """Odoo's tests, others' too, copy what their classes leave to be done before the commit."""
        lead = self.create_at(50, self.new)
        lead.stage_id = self.estimate
        self.assertTrue(copy.deepcopy(self.env.cr.precommit.data))

    # ---- one transaction, one move ----

    def test_two_moves_in_one_transaction(self):
        def move(lead):
            lead.stage_id = self.visit
            lead.stage_id = self.estimate

        def move_and_store(lead):
            lead.stage_id = self.visit
            self.env.flush_all()
            lead.stage_id = self.estimate

        def move_with_savepoints(lead):
            with self.env.cr.savepoint():
                lead.stage_id = self.quotation
            with self.env.cr.savepoint():
                lead.stage_id = self.visit
                with self.env.cr.savepoint():
                    lead.stage_id = self.estimate

        def move_and_look(lead):
            lead.stage_id = self.visit
            self.assertEqual(len(self.env["crm.stage.report"].search([("lead_id", "=", lead.id)])), 3)
            lead.stage_id = self.estimate

        for way in (move, move_and_store, move_with_savepoints, move_and_look):
            with self.subTest(way.__name__):
                lead = self.create_at(50, self.visit)
                self.move_at(45, lead, self.new)
                with self.at(40) as moment:
                    way(lead.with_user(self.manager))
                self.notebook[lead].append((moment, "enter", self.estimate, "hand"))
                self.assertStays([lead])

    def test_there_and_back_in_one_transaction(self):
        """Nothing has moved, and no earlier stay was left for a later stage."""
        lead = self.create_at(50, self.visit)
        self.move_at(45, lead, self.estimate)
        before = self.env["crm.stage.stay"].search([("lead_id", "=", lead.id)])
        with self.at(40), self.env.cr.savepoint():
            lead.stage_id = self.quotation
            self.pass_commit()
            lead.stage_id = self.estimate
        self.assertStays()
        self.assertEqual([stay["moved_on"] for stay in self.read_stays()], [None, None])
        self.assertEqual(self.env["crm.stage.stay"].search([("lead_id", "=", lead.id)]), before)

    def test_lost_and_restored_in_one_transaction(self):
        lead = self.create_at(50, self.estimate)
        with self.at(40):
            lead.action_set_lost()
            self.pass_commit()
            self.assertEqual(self.get_stays(lead), [(self.estimate, "lost", "created")])
            lead.action_unarchive()
        self.assertStays()

    def test_moved_and_lost_in_one_transaction(self):
        """Lost, or archived, in the stage that it was moved to, in whatever order a transaction stores it."""

        def move_and_lose(lead):
            lead.stage_id = self.visit
            lead.action_set_lost()

        def move_look_and_lose(lead):
            lead.stage_id = self.visit
            self.get_stays(lead)
            lead.action_set_lost()

        def write_at_once(lead):
            lead.write({"stage_id": self.visit.id, "active": False, "probability": 0})

        def move_twice_and_lose(lead):
            lead.stage_id = self.quotation
            with self.env.cr.savepoint():
                lead.stage_id = self.visit
            lead.action_set_lost()

        def lose_and_move(lead):
            lead.action_set_lost()
            self.pass_commit()
            lead.stage_id = self.visit

        def move_and_archive(lead):
            lead.stage_id = self.visit
            lead.action_archive()

        for way, outcome in (
            (move_and_lose, "lost"),
            (move_look_and_lose, "lost"),
            (write_at_once, "lost"),
            (move_twice_and_lose, "lost"),
            (lose_and_move, "lost"),
            (move_and_archive, "archived"),
        ):
            with self.subTest(way.__name__):
                lead = self.create_at(50, self.new)
                self.move_at(45, lead, self.estimate)
                with self.at(40) as moment:
                    way(lead.with_user(self.manager))
                self.notebook[lead] += [
                    (moment, "enter", self.visit, "hand"),
                    (moment, outcome, None, None),
                ]
                self.assertStays([lead])
                self.restore_at(30, lead)
                self.assertStays([lead])

    def test_restored_moved_and_lost_again(self):
        """In one transaction, with a savepoint in between. One that is moved while lost was lost before."""
        lead, still_lost, nothing_new = (self.create_at(50, self.estimate) for _number in range(3))
        for one in (lead, still_lost, nothing_new):
            self.lose_at(45, one)
        with self.at(40) as moment:
            (lead + nothing_new).with_user(self.manager).action_unarchive()
            (lead + still_lost).with_user(self.manager).stage_id = self.visit
            self.pass_commit()
            (lead + nothing_new).with_user(self.manager).action_set_lost()
        self.notebook[lead] += [(moment, "enter", self.visit, "hand"), (moment, "lost", None, None)]
        self.assertStays([lead, still_lost, nothing_new])

    def test_moved_by_one_and_lost_by_another(self):
        """Who loses an opportunity did not move it."""
        for is_stored in (False, True):
            with self.subTest(is_stored=is_stored):
                by_hand, automatic = self.create_at(50, self.new), self.create_at(50, self.new)
                with self.at(40) as moment:
                    by_hand.with_user(self.manager).stage_id = self.estimate
                    automatic.stage_id = self.estimate
                    if is_stored:
                        self.pass_commit()
                    by_hand.action_set_lost()
                    automatic.with_user(self.manager).action_set_lost()
                for lead, by in ((by_hand, "hand"), (automatic, "automation")):
                    self.notebook[lead] += [
                        (moment, "enter", self.estimate, by),
                        (moment, "lost", None, None),
                    ]
                self.assertStays([by_hand, automatic])

    def test_created_moved_and_lost_in_one_transaction(self):
        with self.at(50):
            lead = self.create_in(self.new)
            lead.stage_id = self.visit
            lead.with_user(self.manager).action_set_lost()
        self.assertEqual(
            self.get_stays(lead), [(self.new, "moved", "created"), (self.visit, "lost", "automation")]
        )

    def test_rollback_to_a_savepoint(self):
        """What is rolled back never was, what came before it and after it did."""
        moved, lost, moved_later = (self.create_at(50, self.new) for _number in range(3))
        with self.at(40) as moment:
            moved.with_user(self.manager).stage_id = self.estimate
            with suppress(Undo), self.env.cr.savepoint():
                moved.stage_id = self.visit
                lost.action_set_lost()
                gone = self.create_in(self.new)
                self.pass_commit()
                raise Undo
            moved_later.with_user(self.manager).stage_id = self.visit
        self.notebook[moved].append((moment, "enter", self.estimate, "hand"))
        self.notebook[moved_later].append((moment, "enter", self.visit, "hand"))
        self.assertStays()
        self.assertFalse(self.read_stays([gone]))

    def test_rollback_of_what_was_not_stored(self):
        lead = self.create_at(50, self.new)
        with self.at(40) as moment:
            with suppress(Undo), self.env.cr.savepoint(flush=False):
                lead.stage_id = self.visit
                self.env.flush_all()
                raise Undo
            self.env.clear()
            lead.with_user(self.manager).stage_id = self.estimate
        self.notebook[lead].append((moment, "enter", self.estimate, "hand"))
        self.assertStays()

    def test_created_and_moved_in_one_transaction(self):
        """Where it was created it has been, however shortly."""
        order = self.env["sale.order"].create({"partner_id": self.manager.partner_id.id})
        with self.at(50):
            lead = self.create_in(self.new)
            order.copy({"opportunity_id": lead.id})
            self.assertEqual(lead.stage_id, self.estimate)
            lead.with_user(self.manager).stage_id = self.visit
        self.assertEqual(self.get_stays(lead), [(self.new, "moved", "created"), (self.visit, "open", "hand")])
        self.assertEqual([stay["days"] for stay in self.read_stays(lead)], [0, 50])

    def test_created_and_taken_through_stages(self):
        """A script that makes opportunities with a past tells it whole, step by step."""
        lead = self.create_in(self.new)
        for stage in (self.estimate, self.visit, self.estimate):
            self.pass_commit()
            lead.stage_id = stage
        self.assertEqual(
            [stage for stage, _outcome, _by in self.get_stays(lead)],
            [self.new, self.estimate, self.visit, self.estimate],
        )

    # ---- what it costs ----

    def test_as_many_queries_for_many(self):
        few, many = self.create_in(self.new, 3), self.create_in(self.new, 30)
        self.pass_commit()

        def move(leads):
            leads.with_context(tracking_disable=True).stage_id = self.visit

        queries = self.count_stay_queries(lambda: move(few))
        self.assertEqual(self.count_stay_queries(lambda: move(many)), queries)
        self.assertLessEqual(queries, 4)
        groups = self.env["crm.stage.report"]._read_group([], ["stage_id", "outcome"], ["__count"])
        self.assertEqual(groups, [(self.new, "moved", 33), (self.visit, "open", 33)])

    def test_other_changes_cost_nothing(self):
        lead = self.create_in(self.new)
        partner = self.env["res.partner"].create({"name": "Elsewhere"})

        def work():
            lead.write({"name": "Renamed", "expected_revenue": 5, "user_id": self.manager.id})
            lead.with_user(self.manager).message_post(body="Note")
            partner.message_post(body="Note")
            self.env["crm.lead"].create({"name": "Lead", "type": "lead"}).partner_name = "Somebody"

        self.assertLessEqual(self.count_stay_queries(work), 1)

    # ---- who may see them ----

    def test_stays_are_read_by_their_report(self):
        """The rules of opportunities are those of the report."""
        nobody = new_test_user(self.env, "stay_nobody", "base.group_user")
        for user in (nobody, self.salesperson, self.manager):
            stays = self.env["crm.stage.stay"].with_user(user)
            for operation in ("read", "create", "write", "unlink"):
                self.assertFalse(stays.has_access(operation))


@tagged("post_install", "-at_install")
class TestCrmStageStayConcurrency(TransactionCase):
    def test_two_users_move_the_same_opportunity(self):
        """The second one is told to try again, as Odoo does by itself: no stay is lost or there twice."""
        stages = self.env["crm.stage"].search([("is_won", "=", False)], limit=3)
        with self.registry.cursor() as cr:
            lead = self.get_leads(cr).create(
                {"name": "At once", "type": "opportunity", "stage_id": stages[0].id}
            )
        self.addCleanup(self.delete, lead.id)
        with self.registry.cursor() as first, self.registry.cursor() as second:
            stage = self.get_leads(second).browse(lead.id).stage_id
            self.get_leads(first).browse(lead.id).stage_id = stages[1].id
            first.commit()
            self.get_leads(second).browse(lead.id).stage_id = stages[2].id
            with mute_logger("odoo.sql_db"), self.assertRaises(SerializationFailure):
                second.commit()
            second.rollback()
            self.get_leads(second).browse(lead.id).stage_id = stages[2].id
            second.commit()
            stays = api.Environment(second, SUPERUSER_ID, {})["crm.stage.stay"]
            self.assertEqual(stage.id, stages[0].id)
            self.assertEqual(
                [
                    (stay.stage_id.id, stay.outcome)
                    for stay in stays.search([("lead_id", "=", lead.id)], order="date_entered")
                ],
                [(stages[0].id, "moved"), (stages[1].id, "moved"), (stages[2].id, "open")],
            )

    def test_the_job_leaves_alone_what_somebody_moves(self):
        """Both would write its stays."""
        with self.registry.cursor() as cr:
            lead = self.get_leads(cr).create({"name": "At once", "type": "opportunity"})
        self.addCleanup(self.delete, lead.id)
        with self.registry.cursor() as cr:
            cr.execute("DELETE FROM crm_stage_stay WHERE lead_id = %s", lead.ids)
        with self.registry.cursor() as first, self.registry.cursor() as second:
            self.get_leads(first).browse(lead.id).priority = "2"
            first.flush()
            stays = api.Environment(second, SUPERUSER_ID, {})["crm.stage.stay"]
            stays._cron_mend()
            self.assertFalse(stays.search([("lead_id", "=", lead.id)]))
            first.commit()
            second.commit()
            stays._cron_mend()
            self.assertEqual(len(stays.search([("lead_id", "=", lead.id)])), 1)

    def get_leads(self, cr):
        return api.Environment(cr, SUPERUSER_ID, {"tracking_disable": True})["crm.lead"]

    def delete(self, lead_id):
        with self.registry.cursor() as cr:
            self.get_leads(cr).browse(lead_id).unlink()


@tagged("post_install", "-at_install")
class TestCrmStageStayMending(StayCase):
    """What nobody saw: changes that did not come by the ORM"""

    def mend(self):
        self.pass_commit()
        with self.enter_registry_test_mode():
            self.env.ref("crm_sales_stage.ir_cron_crm_stage_stay").method_direct_trigger()
        self.env.invalidate_all()

    def change(self, lead, **values):
        """By SQL"""
        self.env.flush_all()
        assignments = SQL(", ").join(
            SQL("%s = %s", SQL.identifier(name), value) for name, value in values.items()
        )
        self.env.cr.execute(SQL("UPDATE crm_lead SET %s WHERE id = %s", assignments, lead.id))
        self.env.invalidate_all()

    def get_days(self, lead):
        return [(stay["stage"], stay["outcome"], stay["days"], stay["by"]) for stay in self.read_stays(lead)]

    def test_moved(self):
        lead = self.create_at(50, self.new)
        self.move_at(40, lead, self.estimate)
        self.change(lead, stage_id=self.visit.id, date_last_stage_update=self.now - timedelta(days=5))
        self.mend()
        self.assertEqual(
            self.get_days(lead),
            [
                (self.new, "moved", 10, "created"),
                (self.estimate, "moved", 35, "hand"),
                (self.visit, "open", 5, None),
            ],
        )
        self.assertEqual([stay["moved_on"] for stay in self.read_stays(lead)], [100, 100, None])

    def test_moved_nobody_knows_when(self):
        lead = self.create_at(50, self.new)
        self.change(lead, stage_id=self.visit.id)
        self.mend()
        (_stage, _outcome, before, _by), (_stage, outcome, after, by) = self.get_days(lead)
        self.assertEqual((round(before), round(after), outcome, by), (50, 0, "open", None))

    def test_lost_won_archived_restored(self):
        lost, archived, won, restored = (self.create_at(50, self.new) for _number in range(4))
        self.lose_at(40, restored)
        closed = {"date_closed": self.now - timedelta(days=20)}
        self.change(lost, active=False, won_status="lost", probability=0, **closed)
        self.change(archived, active=False, **closed)
        self.change(
            won, stage_id=self.closed.id, won_status="won", date_last_stage_update=closed["date_closed"]
        )
        self.change(restored, active=True, won_status="pending", date_last_stage_update=closed["date_closed"])
        self.mend()
        self.assertEqual(self.get_days(lost), [(self.new, "lost", 30, "created")])
        self.assertEqual(self.get_days(archived), [(self.new, "archived", 30, "created")])
        self.assertEqual(
            self.get_days(won), [(self.new, "moved", 30, "created"), (self.closed, "won", None, None)]
        )
        self.assertEqual(
            self.get_days(restored), [(self.new, "restored", 10, "created"), (self.new, "open", 20, None)]
        )

    def test_moved_and_lost(self):
        lead = self.create_at(50, self.new)
        self.change(
            lead,
            stage_id=self.visit.id,
            date_last_stage_update=self.now - timedelta(days=30),
            active=False,
            won_status="lost",
            probability=0,
            date_closed=self.now - timedelta(days=20),
        )
        self.mend()
        self.assertEqual(
            self.get_days(lead), [(self.new, "moved", 20, "created"), (self.visit, "lost", 10, None)]
        )

    def test_unknown_opportunities(self):
        """Imported, restored from a backup without their stays, or leads by now"""
        imported, other = self.create_at(50, self.new), self.create_at(50, self.new)
        self.move_at(40, imported, self.visit)
        self.move_at(40, other, self.visit)
        self.env.cr.execute("DELETE FROM crm_stage_stay WHERE lead_id = %s", imported.ids)
        self.change(imported, create_date=None)
        self.change(other, type="lead", date_last_stage_update=self.now - timedelta(days=30))
        self.mend()
        self.assertEqual(self.get_days(imported), [(self.visit, "open", 40, "created")])
        self.assertEqual(
            self.get_days(other), [(self.new, "moved", 10, "created"), (self.visit, "archived", 10, "hand")]
        )

    def test_many(self):
        leads = self.create_in(self.new, 25)
        self.pass_commit()
        self.env.cr.execute("DELETE FROM crm_stage_stay")
        with patch("odoo.addons.crm_sales_stage.models.history.crm_stage_stay.MENDING_BATCH", 10):
            self.mend()
        self.assertEqual(self.env["crm.stage.stay"].search([]).lead_id, leads.sorted("id", reverse=True))

    def test_nothing_to_do(self):
        """One query, and nothing changes: by no way an opportunity takes its stays get out of step."""
        won, lost, archived, restored, back = (self.create_at(50, self.new) for _number in range(5))
        self.move_at(40, won, self.closed)
        self.lose_at(40, lost)
        self.archive_at(40, archived)
        self.lose_at(40, restored)
        self.restore_at(30, restored)
        with self.at(40):
            back.type = "lead"
        with self.at(35):
            back.action_set_lost()
            lost.stage_id = self.visit
        with self.at(40):
            self.create_in(self.new, active=False)
            won.copy().stage_id = False
        self.pass_commit()
        stays = self.env["crm.stage.stay"]
        self.assertFalse(stays._find_out_of_step(0))
        before = self.read_all()
        self.assertEqual(self.count_stay_queries(stays._cron_mend), 1)
        self.assertEqual(self.read_all(), before)

    def read_all(self):
        self.env.cr.execute("SELECT to_jsonb(stay) FROM crm_stage_stay stay ORDER BY id")
        return self.env.cr.fetchall()


@tagged("post_install", "-at_install")
class TestCrmStageStayPast(StayCase):
    """What installing reads from Odoo's trackings"""

    def test_untracked_change(self):
        """The present state tells where it is, and since when."""
        lead = self.create_at(50, self.new)
        self.move_at(45, lead, self.estimate)
        with self.at(40):
            lead.with_context(tracking_disable=True).stage_id = self.visit
        self.fill_anew()
        self.assertEqual(
            [(stay["stage"], stay["days"], stay["by"]) for stay in self.read_stays()],
            [(self.new, 5, "created"), (self.estimate, 5, "hand"), (self.visit, 40, None)],
        )
        with self.at(30):
            lead.with_context(tracking_disable=True).action_set_lost()
        self.fill_anew()
        self.assertEqual(
            [(stay["stage"], stay["outcome"], stay["days"]) for stay in self.read_stays()],
            [(self.new, "moved", 5), (self.estimate, "moved", 5), (self.visit, "lost", 10)],
        )

    def test_nothing_tracked(self):
        """Nobody knows of another stage than the present one."""
        lead = self.create_at(50, self.new)
        with self.at(40):
            lead.with_context(tracking_disable=True).stage_id = self.visit
        self.fill_anew()
        self.assertEqual([(stay["stage"], stay["days"]) for stay in self.read_stays()], [(self.visit, 50)])

    def test_untracked_change_between_tracked_ones(self):
        """As in Odoo's own "time in stage", the next tracked change tells where it had been."""
        lead = self.create_at(50, self.new)
        self.move_at(40, lead, self.estimate)
        with self.at(35):
            lead.with_context(tracking_disable=True).stage_id = self.visit
        self.move_at(30, lead, self.quotation)
        self.fill_anew()
        self.assertEqual(
            [(stay["stage"], stay["days"]) for stay in self.read_stays()],
            [(self.new, 10), (self.visit, 10), (self.quotation, 30)],
        )

    def test_moved_and_lost_in_one_message(self):
        leads = [self.create_at(50, self.new) for _number in range(4)]
        self.move_at(45, leads[0] + leads[1], self.estimate)
        for lead, outcome in zip(leads, ("lost", "archived") * 2, strict=True):
            with self.at(40) as moment:
                lead.with_user(self.manager).stage_id = self.visit
                if outcome == "lost":
                    lead.with_user(self.manager).action_set_lost()
                else:
                    lead.with_user(self.manager).action_archive()
            self.notebook[lead] += [(moment, "enter", self.visit, "hand"), (moment, outcome, None, None)]
        self.restore_at(30, leads[0])
        self.move_at(25, leads[0], self.quotation)
        self.fill_anew()
        self.assertStays()

    def test_moved_while_lost(self):
        """It was lost where it was lost."""
        lead = self.create_at(50, self.new)
        self.lose_at(40, lead)
        with self.at(30):
            lead.stage_id = self.visit
        self.fill_anew()
        self.assertStays()

    def test_emailed_trackings(self):
        """A change that a follower gets by e-mail has a subject, as messages of merged opportunities have."""
        follower = new_test_user(
            self.env,
            "stay_follower",
            "base.group_user,sales_team.group_sale_salesman_all_leads",
            notification_type="email",
            email="follower@example.com",
        )
        lead = self.create_at(50, self.new, user_id=self.salesperson.id)
        lead.message_subscribe(
            partner_ids=follower.partner_id.ids, subtype_ids=self.env.ref("crm.mt_lead_stage").ids
        )
        with patch("odoo.addons.mail.models.mail_mail.MailMail.send"):
            self.move_at(40, lead, self.estimate)
            self.move_at(30, lead, self.visit)
        self.assertTrue(lead.message_ids.filtered("tracking_value_ids").filtered("subject"))
        self.assertStays()
        self.fill_anew()
        self.assertStays()

    def test_merged(self):
        """The history of merged opportunities is none of the one that remains, and its own is complete."""
        partner = self.env.user.partner_id
        winner, other, third = (self.create_at(50, self.new, partner_id=partner.id) for _number in range(3))
        self.move_at(46, third, self.estimate)
        self.move_at(45, other, self.estimate)
        self.move_at(44, winner, self.visit)
        self.move_at(42, other, self.new)
        with self.at(41):
            (other + third)._merge_opportunity()
        with self.at(40):
            (winner + (other + third).exists())._merge_opportunity()
        self.assertTrue(winner.exists())
        del self.notebook[other], self.notebook[third]
        self.move_at(35, winner, self.quotation)
        self.assertStays()
        self.fill_anew()
        self.assertStays()

    def test_deleted_stage(self):
        """One that was renamed has one name, the last."""
        stage = self.env["crm.stage"].create({"name": "Fair", "sequence": 2})
        leads = [self.create_at(50, self.new) for _number in range(2)]
        for lead, name in zip(leads, ("Fair", "Show Room"), strict=True):
            stage.name = name
            self.move_at(40, lead, stage)
            self.move_at(30, lead, self.visit)
        stage.unlink()
        self.fill_anew()
        for lead in leads:
            _first, deleted, _last = self.env["crm.stage.report"].search(
                [("lead_id", "=", lead.id)], order="date_entered"
            )
            told = deleted.stage_id.id, deleted.stage_name, deleted.days
            self.assertEqual(told, (False, "Show Room", 10))

    def test_converted(self):
        with self.at(60):
            lead = self.env["crm.lead"].create({"name": "Lead", "type": "lead", "stage_id": self.new.id})
        with self.at(50):
            lead.stage_id = self.estimate
        with self.at(40) as moment:
            lead.convert_opportunity(self.env.user.partner_id)
        self.notebook[lead] = [(moment, "enter", lead.stage_id, "created")]
        self.move_at(30, lead, self.visit)
        self.fill_anew()
        self.assertStays()

    def test_lost_and_restored_in_french(self):
        """Won/Lost is tracked by its label."""
        self.env["res.lang"]._activate_lang("fr_FR")
        lead = self.create_at(50, self.estimate)
        french = lead.with_context(lang="fr_FR")
        self.lose_at(40, french)
        self.restore_at(30, french)
        self.fill_anew()
        self.assertStays()

    def test_moved_by_an_automation(self):
        """Messages tell it by a class, those of OdooBot by their author."""
        marked, system = self.create_at(50, self.new), self.create_at(50, self.new)
        with self.at(40):
            by_hand = marked.with_user(self.manager)
            self.env.cr.cache[MOVED_BY] = None, {marked.id: "Moved by a quotation"}
            by_hand.stage_id = self.estimate
            del self.env.cr.cache[MOVED_BY]
        with self.at(40):
            system.stage_id = self.estimate
        self.fill_anew()
        for lead in (marked, system):
            self.assertEqual(self.get_stays(lead)[-1], (self.estimate, "open", "automation"))

    def test_equal_sequences(self):
        zeta, alpha = self.env["crm.stage"].create(
            [{"name": "Zeta", "sequence": 3}, {"name": "Alpha", "sequence": 3}]
        )
        lead = self.create_at(50, alpha)
        self.move_at(40, lead, zeta)
        self.move_at(30, lead, alpha)
        self.fill_anew()
        self.assertStays()
        self.assertEqual([stay["moved_on"] for stay in self.read_stays()], [100, None, None])

    def test_no_trackings(self):
        """Where Odoo keeps none, history begins with what opportunities are."""
        lead, lost = self.create_at(50, self.new), self.create_at(50, self.new)
        self.move_at(40, lead, self.estimate)
        self.lose_at(40, lost)
        self.pass_commit()
        self.env.cr.execute("ALTER TABLE mail_tracking_value RENAME TO gone")
        self.fill_anew()
        stays = self.env["crm.stage.stay"]
        stays._bring_in_step(stays._find_out_of_step(0))
        self.env.cr.execute("ALTER TABLE gone RENAME TO mail_tracking_value")
        self.assertEqual(self.get_stays(lead), [(self.estimate, "open", "created")])
        self.assertEqual(self.get_stays(lost), [(self.new, "lost", "created")])

    def test_update_reads_no_trackings(self):
        lead = self.create_at(50, self.new)
        self.move_at(40, lead, self.estimate)
        lead.message_ids.unlink()
        self.env["crm.stage.stay"].init()
        self.assertStays()

    def test_bodies_of_emails_are_not_read(self):
        """Long ones are stored apart and packed."""
        lead = self.create_at(50, self.new)
        self.move_at(20, lead, self.estimate)
        # Nothing that compresses well, which would stay in its row
        body = " ".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(500))
        lead.with_user(self.manager).message_post(body=body, subject="Measures", message_type="email")
        self.env.flush_all()

        def count_parts_read():
            self.env.cr.execute(
                """
                SELECT COALESCE(SUM(idx_tup_fetch), 0)
                  FROM pg_stat_xact_all_tables
                 WHERE relid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'mail_message'::regclass)
                """
            )
            return self.env.cr.fetchone()[0]

        before = count_parts_read()
        self.fill_anew()
        self.assertEqual(count_parts_read(), before)
        self.env.cr.execute("SELECT MAX(LENGTH(body)) FROM mail_message WHERE res_id = %s", [lead.id])
        self.assertGreater(count_parts_read(), before)
        self.assertStays()
