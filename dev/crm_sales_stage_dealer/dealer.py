"""Creates a dealer of stoves and windows, whose pipeline has a past of 14 months."""

from markupsafe import Markup

from odoo import Command, fields
from odoo.exceptions import UserError
from odoo.tools import SQL, remove_accents
from odoo.tools.translate import LazyTranslate

from odoo.addons.crm_sales_stage.models.automation import condition, fault
from odoo.addons.crm_sales_stage.tools import ON

from .stories import CLOSED, ESTIMATE, NEW, QUOTATION, VISIT, StoryTeller
from .texts import (
    CONSULTANT,
    ENGLISH,
    FRENCH,
    NO_ANSWER,
    PRODUCTS,
    PROJECTS,
    REASONS,
    SALESPEOPLE,
    TAGS,
    TEAMS,
)

_lt = LazyTranslate(__name__)

LOGINS = [*(person.login for person in SALESPEOPLE), CONSULTANT[0]]

# Nothing that is created here notifies users, is tracked as if it happened now, or moves opportunities.
SILENT = {
    "crm_stage_moving": ON,
    "dont_notify": True,
    "mail_activity_quick_update": True,
    "mail_auto_subscribe_no_notify": True,
    "mail_create_nolog": True,
    "mail_create_nosubscribe": True,
    "mail_notrack": True,
    "no_mail_to_attendees": True,
    "no_reset_password": True,
}

# The delivered automations that bring opportunities to a stage
SEEDED_AUTOMATIONS = {
    ESTIMATE: "automation_estimate_quotation_created",
    VISIT: "automation_technical_visit_meeting_scheduled",
    QUOTATION: "automation_quotation_quotation_sent",
    CLOSED: "automation_closed_order_confirmed",
}

# What is to be done next with an open opportunity, by its stage
ACTIVITIES = {
    NEW: ("mail.mail_activity_data_call", _lt("Ask about the house and the budget")),
    ESTIMATE: ("mail.mail_activity_data_email", _lt("Send the estimate, propose a visit")),
    VISIT: ("mail.mail_activity_data_todo", _lt("Write down the measures")),
    QUOTATION: ("mail.mail_activity_data_call", _lt("Ask what they think of the quotation")),
}


class Dealer:
    """Creates the records, and then dates them back: ``stories.py`` says what happened."""

    def __init__(self, env, stages):
        """:param stages: the five, in their order"""
        self.lang = self.get_language(env)
        self.env = env(context={**env.context, **SILENT, "lang": self.lang}, su=True)
        self.stages = stages.with_env(self.env)
        self.now = fields.Datetime.now()
        self.stories = StoryTeller(self.now).tell_all()
        self.lead_fields = self.env["crm.lead"].fields_get()

    def get_language(self, env):
        """:return: French where the company or the administrator speaks it"""
        langs = [env.company.partner_id.lang, env.ref("base.user_admin").lang, "en_US"]
        return next((lang for lang in langs if lang and lang.startswith("fr")), "en_US")

    def make(self):
        self.make_people()
        self.make_offer()
        self.make_customers()
        self.make_opportunities()
        self.make_orders()
        self.make_visits()
        self.make_activities()
        self.make_past()
        self.set_days_to_rot()
        self.make_automations()
        self.make_filter()

    # ------------------------------------------------------------------
    # Who sells what to whom
    # ------------------------------------------------------------------

    def make_people(self):
        people = [self.get_user_values(*person[:3]) for person in (*SALESPEOPLE, CONSULTANT)]
        users = self.env["res.users"].create(people)
        self.salespeople, self.consultant = users[:-1], users[-1]
        self.teams = self.make_named("crm.team", TEAMS, [{}] * len(TEAMS))
        for person, user in zip(SALESPEOPLE, self.salespeople, strict=True):
            team = self.teams[person.team]
            team.member_ids += user
            if person.is_leader:
                team.user_id = user

    def get_user_values(self, login, name, is_leader):
        group = "group_sale_salesman_all_leads" if is_leader else "group_sale_salesman"
        return {
            "name": name,
            "login": login,
            "password": login,
            "email": f"{login}@example.com",
            "lang": self.lang,
            "notification_type": "inbox",
            "group_ids": [Command.link(self.env.ref(f"sales_team.{group}").id)],
        }

    def make_offer(self):
        self.tags = self.make_named("crm.tag", TAGS, [{"color": 4}, {"color": 8}])
        self.reasons = self.make_named("crm.lost.reason", REASONS[1:], [{}] * len(REASONS[1:]))
        # Odoo has this one, unless a user deleted it.
        expensive = self.env.ref("crm.lost_reason_1", raise_if_not_found=False)
        self.reasons = (expensive or self.make_named("crm.lost.reason", REASONS[:1], [{}])) + self.reasons
        names, prices = zip(*PRODUCTS.values(), strict=True)
        products = self.make_named("product.product", names, [{"list_price": price} for price in prices])
        self.products = dict(zip(PRODUCTS, products, strict=True))

    def make_named(self, model, names, vals_list):
        """:return: records of these names, in all languages that the database has"""
        english = self.env[model].with_context(lang="en_US")
        records = english.create(
            [{**vals, "name": english.env._(name)} for vals, name in zip(vals_list, names, strict=True)]
        ).with_env(self.env)
        for lang, _name in self.env["res.lang"].get_installed():
            for record, name in zip(records.with_context(lang=lang), names, strict=True):
                record.name = record.env._(name)
        return records

    def make_customers(self):
        place = FRENCH if self.lang.startswith("fr") else ENGLISH
        country = self.env.ref(f"base.{place.country}")
        vals_list = []
        for number in range(max(story.customer for story in self.stories) + 1):
            # Two names that are never the same ones together, as their numbers have no common divisor
            first = place.first_names[number % len(place.first_names)]
            last = place.last_names[number % len(place.last_names)]
            is_company = number % 9 == 4
            company = place.companies[number // 9 % len(place.companies)] % last
            street = place.streets[number % len(place.streets)]
            postcode, town = place.towns[number * 5 // 3 % len(place.towns)]
            vals_list.append(
                {
                    "name": company if is_company else f"{first} {last}",
                    "is_company": is_company,
                    "email": remove_accents(f"{first}.{last}@example.com").lower(),
                    "phone": place.phone % (number % 100),
                    "street": f"{1 + number * 7 % 60} {street}",
                    "zip": postcode,
                    "city": town,
                    "country_id": country.id,
                    "lang": self.lang,
                }
            )
        self.customers = self.env["res.partner"].create(vals_list)

    # ------------------------------------------------------------------
    # Opportunities, and what belongs to them
    # ------------------------------------------------------------------

    def make_opportunities(self):
        vals_list = [
            {
                "name": self.env._(PROJECTS[story.project].name),
                "type": "opportunity",
                "partner_id": self.customers[story.customer].id,
                "user_id": self.salespeople[story.salesperson].id,
                "team_id": self.teams[SALESPEOPLE[story.salesperson].team].id,
                "stage_id": self.stages[story.stage].id,
                "priority": str(story.priority),
                "tag_ids": [Command.set(self.tags[0 if story.is_renovation else 1].ids)],
                "expected_revenue": sum(
                    product.list_price * quantity for product, quantity in self.get_lines(story)
                ),
                "date_deadline": story.is_open and fields.Date.add(self.now.date(), days=story.closing),
            }
            for story in self.stories
        ]
        self.leads = self.env["crm.lead"].create(vals_list)
        self.env["ir.model.data"]._update_xmlids(
            [
                {"xml_id": f"crm_sales_stage_dealer.lead_{number}", "record": lead, "noupdate": True}
                for number, lead in enumerate(self.leads, 1)
            ]
        )
        for number, reason in enumerate(self.reasons):
            lost = self.filter_leads(lambda story: story.loss and story.loss.reason == number)  # noqa: B023
            lost.action_set_lost(lost_reason_id=reason.id)

    def get_lines(self, story):
        """:return: [(product, quantity)] of what the customer wants"""
        quantities = PROJECTS[story.project].products.items()
        return [(self.products[name], quantity or story.size) for name, quantity in quantities]

    def filter_leads(self, condition):
        """:return: the opportunities whose story meets ``condition``"""
        return self.leads.browse(lead.id for lead, story in self.pairs() if condition(story))

    def pairs(self):
        return zip(self.leads, self.stories, strict=True)

    def make_orders(self):
        """A quotation for each opportunity that came so far: it is a draft until it is sent."""
        quoted = [(lead, story) for lead, story in self.pairs() if story.get_date(ESTIMATE, QUOTATION)]
        vals_list = []
        for lead, story in quoted:
            date = story.get_date(CLOSED) or story.get_date(QUOTATION) or story.get_date(ESTIMATE)
            is_sent = story.get_date(QUOTATION)
            state = ("cancel" if story.loss else "sent") if is_sent else "draft"
            vals_list.append(
                {
                    "partner_id": lead.partner_id.id,
                    "opportunity_id": lead.id,
                    "user_id": lead.user_id.id,
                    "team_id": lead.team_id.id,
                    "state": state,
                    "date_order": date,
                    "validity_date": fields.Date.add(date.date(), days=30),
                    "order_line": [
                        Command.create({"product_id": product.id, "product_uom_qty": quantity})
                        for product, quantity in self.get_lines(story)
                    ],
                }
            )
        orders = self.env["sale.order"].create(vals_list)
        self.orders = {lead: order for (lead, _story), order in zip(quoted, orders, strict=True)}
        # Written, not confirmed: nothing is to be delivered or invoiced.
        won = [self.orders[lead] for lead, story in quoted if story.stage == CLOSED]
        self.env["sale.order"].union(*won).state = "sale"
        self.date_back(orders, "create_date", [vals["date_order"] for vals in vals_list])

    def make_visits(self):
        tag = self.env.ref("crm_sales_stage.calendar_event_type_technical_visit")
        vals_list = [
            {
                "name": f"{tag.name}: {lead.partner_id.name}",
                "start": story.visit,
                "stop": fields.Datetime.add(story.visit, hours=1, minutes=30),
                "location": f"{lead.partner_id.street}, {lead.partner_id.zip} {lead.partner_id.city}",
                "opportunity_id": lead.id,
                "categ_ids": [Command.set(tag.ids)],
                "user_id": lead.user_id.id,
                "partner_ids": [Command.set(lead.user_id.partner_id.ids)],
            }
            for lead, story in self.pairs()
            if story.visit
        ]
        events = self.env["calendar.event"].create(vals_list)
        # Odoo has posted a message about each of them on its opportunity, with the date of today.
        notes = events.opportunity_id.message_ids
        entered = {lead.id: story.get_date(VISIT) for lead, story in self.pairs()}
        dates = [entered[note.res_id] for note in notes]
        for note in notes:
            note.author_id = self.leads.browse(note.res_id).user_id.partner_id
        self.date_back(notes, "date", dates)
        self.date_back(notes, "create_date", dates)

    def make_activities(self):
        lead_model = self.env["ir.model"]._get_id("crm.lead")
        vals_list = []
        for lead, story in self.pairs():
            if not story.is_open or story.activity is None:
                continue
            activity_type, summary = ACTIVITIES[story.stage]
            vals_list.append(
                {
                    "res_model_id": lead_model,
                    "res_id": lead.id,
                    "activity_type_id": self.env.ref(activity_type).id,
                    "summary": self.env._(summary),
                    "user_id": lead.user_id.id,
                    "date_deadline": fields.Date.add(self.now.date(), days=story.activity),
                }
            )
        self.env["mail.activity"].create(vals_list)

    # ------------------------------------------------------------------
    # The past
    # ------------------------------------------------------------------

    def make_past(self):
        stays = self.env["crm.stage.stay"]
        stays.search([("lead_id", "in", self.leads.ids)]).unlink()  # recorded as if all happened now
        stays.create([stay for pair in self.pairs() for stay in self.get_stays(*pair)])
        self.make_messages()
        begins = [story.steps[0].date for story in self.stories]
        ends = [story.loss.date if story.loss else story.get_date(CLOSED) for story in self.stories]
        self.date_back(self.leads, "create_date", begins)
        self.date_back(self.leads, "date_open", begins)
        self.date_back(self.leads, "date_last_stage_update", [story.steps[-1].date for story in self.stories])
        self.date_back(self.leads, "date_closed", ends)
        for name in ("day_open", "day_close"):
            self.env.add_to_compute(self.leads._fields[name], self.leads)

    def get_stays(self, lead, story):
        """:return: values of ``crm.stage.stay`` for the stays of an opportunity in stages"""
        stays = []
        for number, step in enumerate(story.steps):
            following = story.steps[number + 1 :]
            outcome = "moved" if following else lead.won_status if lead.won_status != "pending" else "open"
            stays.append(
                {
                    "lead_id": lead.id,
                    "stage_id": self.stages[step.stage].id,
                    "stage_name": self.stages[step.stage].name,
                    "date_entered": step.date,
                    "moved_by": step.moved_by,
                    "date_left": following[0].date if following else story.loss and story.loss.date,
                    "next_stage_id": following and self.stages[following[0].stage].id or None,
                    "outcome": outcome,
                    "is_first_visit": step.stage not in [other.stage for other in story.steps[:number]],
                    "is_moved_on": any(other.stage > step.stage for other in following),
                }
            )
        return stays

    def make_messages(self):
        """Create the messages of what happened, by which Odoo counts the time in stages."""
        vals_list = [vals for pair in self.pairs() for vals in self.get_messages(*pair)]
        messages = self.env["mail.message"].create(vals_list)
        self.date_back(messages, "create_date", [vals["date"] for vals in vals_list])
        messages.tracking_value_ids.flush_recordset()
        trackings = messages.tracking_value_ids
        self.date_back(trackings, "create_date", [tracking.mail_message_id.date for tracking in trackings])

    def get_messages(self, lead, story):
        """:return: values of the messages about an opportunity, from its creation to its end"""
        begin, *steps = story.steps
        messages = [self.get_message(lead, begin.date, "lead_create", lead._creation_message())]
        stage = self.stages[begin.stage]
        for step in steps:
            trackings = [self.get_tracking("stage_id", stage, self.stages[step.stage])]
            stage = self.stages[step.stage]
            subtype = "lead_stage"
            if stage.is_won:
                trackings.append(self.get_tracking("won_status", "pending", "won"))
                subtype = "lead_won"
            body = self.get_body(lead, step) if step.moved_by == "automation" else ""
            messages.append(self.get_message(lead, step.date, subtype, body, trackings))
        if story.loss:
            trackings = [
                self.get_tracking("active", True, False),
                self.get_tracking("won_status", "pending", "lost"),
                self.get_tracking("lost_reason_id", lead.lost_reason_id.browse(), lead.lost_reason_id),
            ]
            messages.append(self.get_message(lead, story.loss.date, "lead_lost", "", trackings))
        return messages

    def get_message(self, lead, date, subtype, body, trackings=()):
        return {
            "model": lead._name,
            "res_id": lead.id,
            "message_type": "notification",
            "subtype_id": self.env.ref(f"crm.mt_{subtype}").id,
            "author_id": lead.user_id.partner_id.id,
            "email_from": lead.user_id.email_formatted,
            "reply_to": lead.user_id.email_formatted,
            "record_name": lead.name,
            "date": date,
            "body": body,
            "tracking_value_ids": [Command.create(values) for values in trackings],
        }

    def get_tracking(self, name, before, after):
        """:return: values of the tracking of a field of opportunities, as Odoo's"""
        description = self.lead_fields[name]
        return self.env["mail.tracking.value"]._create_tracking_values(
            before, after, name, description, self.leads
        )

    def get_body(self, lead, step):
        """:return: the text that the chatter has about a move"""
        name = f"crm_sales_stage.{SEEDED_AUTOMATIONS[step.stage]}"
        automation = self.env.ref(name, raise_if_not_found=False)
        if not automation:
            return ""  # a user deleted it
        document = lead.calendar_event_ids[:1] if step.stage == VISIT else self.orders[lead]
        body = automation._get_chatter_bodies({lead.id: document or lead})[lead.id]
        return Markup('<span class="o_crm_stage_automation">%s</span>') % body

    def date_back(self, records, column, dates):
        """Let the records have been created, assigned, closed … at these dates, which Odoo sets itself."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "UPDATE %s SET %s = past.date FROM unnest(%s, %s::timestamp[]) past (id, date)"
                " WHERE %s = past.id",
                SQL.identifier(records._table),
                SQL.identifier(column),
                records.ids,
                dates,
                SQL.identifier(records._table, "id"),
            )
        )
        records.invalidate_recordset([column])

    # ------------------------------------------------------------------
    # What the consultant set up
    # ------------------------------------------------------------------

    def set_days_to_rot(self):
        """Let cards rot that wait longer than most did, as their stages suggest."""
        for stage in self.stages.filtered("can_suggest_rotting_days"):
            stage.action_apply_suggested_rotting_days()

    def make_automations(self):
        automations = self.env["crm.stage.automation"]
        automations.with_user(self.env.ref("base.user_admin")).create(
            {
                "stage_id": self.stages[CLOSED].id,
                "trigger": "quotation_expired",
                "days": 7,
                "filter_domain": "[('amount_total', '<', 8000)]",
                "outcome": "lost",
                "lost_reason_id": self.reasons[NO_ANSWER].id,
            }
        )
        renovation = self.tags[:1]
        faulty = (
            automations.with_user(self.consultant)
            .sudo()
            .create(
                {
                    "stage_id": self.stages[ESTIMATE].id,
                    "trigger": "email_received",
                    "from_stage_ids": [Command.set(self.stages[NEW].ids)],
                    "filter_domain": f"[('tag_ids', 'in', {renovation.ids})]",
                }
            )
        )
        # A condition counts what its author may see: it does not work without them.
        self.consultant.active = False
        try:
            condition.get_domain(faulty)
        except UserError as error:
            # Not by its own method, which sends its managers a message
            languages = dict(self.env["res.lang"].get_installed())
            envs = {lang: faulty.with_context(lang=lang).env for lang in languages}
            texts = {lang: fault.get_text(env, error, "condition") for lang, env in envs.items()}
            faulty.write({"fault": texts["en_US"], "fault_date": fields.Datetime.now()})
            faulty.update_field_translations("fault", texts)

    def make_filter(self):
        """Let the administrator, who has none of these opportunities, find them on opening the pipeline."""
        self.env["ir.filters"].create(
            {
                "name": self.env._("Stoves and Windows"),
                "model_id": "crm.lead",
                "action_id": self.env.ref("crm.crm_lead_action_pipeline").id,
                "user_ids": [Command.set(self.env.ref("base.user_admin").ids)],
                "domain": str([("team_id", "in", self.teams.ids)]),
                "is_default": True,
            }
        )
