from markupsafe import Markup

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL, float_compare

# Stored fields that `_update_probabilities_of_stages` computes in SQL, and what they weigh
WEIGHTED_REVENUES = {
    "prorated_revenue": "expected_revenue",
    "recurring_revenue_monthly_prorated": "recurring_revenue_monthly",
    "recurring_revenue_prorated": "recurring_revenue",
}


def is_empty(value):
    """:return: whether ``value`` is what an empty cell of an imported file comes as, unlike 0"""
    return value is False or value is None


def is_same(probability, other):
    """:return: whether two percentages are the same one for Odoo, which looks at two decimals"""
    return not float_compare(probability or 0, other or 0, 2)


class CrmLead(models.Model):
    _name = "crm.lead"
    _inherit = ["crm.lead", "crm.stage.trigger.mixin"]

    # Without the default of OCA's crm_stage_probability, which is the first stage's whatever the stage is.
    probability = fields.Float(default=None)

    probability_source = fields.Selection(
        [("stage", "From the stage"), ("scoring", "Predictive scoring"), ("manual", "Set by hand")],
        compute="_compute_probability_source",
        help="Where the probability comes from: the stage's own percentage, Odoo's predictive scoring, "
        "or somebody who set it by hand. One set by hand stays until the next stage.",
    )

    stage_gives_probability = fields.Boolean(
        compute="_compute_stage_gives_probability",
        help="Whether the stage gives its own probability, instead of Odoo's predictive scoring.",
    )

    stage_stay_ids = fields.One2many(
        "crm.stage.report",
        "lead_id",
        "Stays in Stages",
        help="The stages this opportunity went through. To search with: when it entered or left which one, "
        "and how.",
    )

    @api.depends("stage_id.probability_mode", "stage_id.is_won")
    def _compute_stage_gives_probability(self):
        for lead in self:
            lead.stage_gives_probability = lead.stage_id._gives_probability()

    @api.depends("is_automated_probability", "stage_gives_probability")
    def _compute_probability_source(self):
        for lead in self:
            if not lead.is_automated_probability:
                lead.probability_source = "manual"
            else:
                lead.probability_source = "stage" if lead.stage_gives_probability else "scoring"

    # ------------------------------------------------------------------
    # Entering a stage
    # ------------------------------------------------------------------

    @api.model
    def default_get(self, fields):
        """Nothing starts in an archived stage, by a default of the user's or of a column's neither."""
        values = super().default_get(fields)
        if self._is_archived_stage(values.get("stage_id")):
            del values["stage_id"]
        return values

    @api.model_create_multi
    def create(self, vals_list):
        """Opportunities start in a stage of the pipeline, with its probability unless another one is given.

        One that is told an archived stage comes to the first stage of its team, as one that is told none.
        """
        given_by_default = self.default_get(["probability"])
        vals_list = [{**given_by_default, **self._drop_unusable_values(vals)} for vals in vals_list]
        if not any("probability" in vals for vals in vals_list):
            return super().create(vals_list)
        with_given = super(CrmLead, self.with_context(keep_probability=True)).create(vals_list)
        leads = with_given.with_env(self.env)
        given_ids = [lead.id for lead, vals in zip(leads, vals_list, strict=True) if "probability" in vals]
        leads.browse(given_ids)._set_automated_probability()
        return leads

    @api.model
    def _drop_unusable_values(self, vals):
        """:return: ``vals`` without an archived stage, and without a probability that is an empty cell"""
        unusable = {"stage_id"} if self._is_archived_stage(vals.get("stage_id")) else set()
        if is_empty(vals.get("probability", 0)):
            unusable.add("probability")
        return {name: value for name, value in vals.items() if name not in unusable} if unusable else vals

    @api.model
    def _is_archived_stage(self, stage_id):
        return bool(stage_id) and not self.env["crm.stage"].browse(stage_id).active

    def write(self, vals):
        """Opportunities that enter a fixed stage take its probability, one set by hand before included.

        They do so in the same write when it names the stage, and with the stage when Odoo computes it (see
        ``_compute_stage_id``). A probability that is written along is set by hand, unless it is the present
        one, which a form sends back.

        With ``keep_probability`` in the context, one set by hand before stays.
        """
        stage = self.env["crm.stage"].browse(vals.get("stage_id") or [])
        may_be_moved = "probability" in vals and not {"team_id", "user_id", "type"}.isdisjoint(vals)
        if (
            self.env.context.get("keep_probability")
            or "automated_probability" in vals
            or not (stage._is_fixed() or (may_be_moved and not stage))
        ):
            return super().write(vals)
        # sudo: the write may take the opportunities out of the writer's sight
        stages_before = {lead: lead.stage_id for lead in self.sudo()}
        following = self._filter_following(vals, stage)
        taking = following._filter_taking(vals, stage)
        if by_hand := self - following:
            super(CrmLead, by_hand.with_context(keep_probability=True)).write(vals)
            entered = by_hand.sudo().filtered(lambda lead: lead.stage_id != stages_before[lead])
            entered._set_automated_probability()
        if following:
            others = {name: value for name, value in vals.items() if name != "probability"}
            super(CrmLead, following.with_context(crm_stage_entered_ids=taking.ids)).write(others)
            # Another addon may have written the probability along, as OCA's crm_stage_probability does.
            taking.sudo().filtered(lambda lead: not lead.is_automated_probability)._take_stage_probability()
        return True

    def _filter_following(self, vals, stage):
        """:return: those that ``vals`` set no probability of by hand: none is told, or what a form sends back

        :param stage: fixed one that ``vals`` name; none where Odoo may compute another one
        """
        if "probability" not in vals:
            return self
        probability = vals["probability"]
        if not stage:
            return self.filtered(lambda lead: lead.stage_id._is_fixed() and lead._is_sent_back(probability))
        return self.filtered(
            lambda lead: (
                lead.stage_id != stage
                and (lead._is_sent_back(probability) or is_same(probability, stage.probability))
            )
        )

    def _filter_taking(self, vals, stage):
        """:return: those that enter ``stage``, if any, by ``vals``, and take its probability"""
        return self.filtered(
            lambda lead: (
                stage
                and lead.stage_id != stage
                and lead._can_take_probability(stage, vals.get("active", lead.active))
            )
        )

    def _is_sent_back(self, probability):
        """:return: whether ``probability`` is what it is already, or an empty cell"""
        return is_empty(probability) or is_same(probability, self.probability)

    def _can_take_probability(self, stage, active):
        """:return: whether an opportunity keeps its outcome at the probability of ``stage``: archived at 0%
        means lost
        """
        return bool(active or (self.probability and stage.probability))

    def _compute_stage_id(self):
        """Those that enter a fixed stage this way (salesperson, team, stage) take its probability, too."""
        stages = {lead: lead.stage_id for lead in self}
        res = super()._compute_stage_id()
        if not self.env.context.get("keep_probability"):
            entered = self.filtered(lambda lead: lead.stage_id != stages[lead] and (lead.id or stages[lead]))
            entered._take_stage_probability()
        return res

    @api.onchange("stage_id")
    def _onchange_stage_id_probability(self):
        """Show what saving will give: the probability of the stage, or the present one back in its own."""
        if not self._origin:
            return
        if self.stage_id != self._origin.stage_id:
            self._take_stage_probability()
        else:
            self.automated_probability = self._origin.automated_probability
            self.probability = self._origin.probability

    def _take_stage_probability(self):
        """Let those in a fixed stage have its probability now, not one set by hand; lost ones stay lost.

        It is part of the computation of their stage: nothing is written by itself, nobody's rights matter.
        """
        leads = self.filtered(
            lambda lead: lead.stage_id._is_fixed() and lead._can_take_probability(lead.stage_id, lead.active)
        )
        names = ["automated_probability", "probability"]
        # In a form, or asked for by the computation of the probability itself: that goes on with this one.
        computing = leads & self.env.protected(self._fields["probability"])
        unsaved = leads.filtered(lambda lead: not lead.id)
        for lead in computing | unsaved:
            lead.update(dict.fromkeys(names, lead.stage_id.probability))
        leads.modified(names)
        leads -= computing | unsaved
        for name in names:
            self.env.add_to_compute(leads._fields[name], leads)
        leads.with_context(crm_stage_entered_ids=frozenset(leads.ids))._recompute_recordset(names)

    def _compute_probabilities(self):
        """On entering a stage, one set by hand before follows the automated one again."""
        res = super()._compute_probabilities()
        entered_ids = self.env.context.get("crm_stage_entered_ids", ())
        by_hand = self.filtered(lambda lead: lead.id in entered_ids and not lead.is_automated_probability)
        for lead in by_hand:
            lead.probability = lead.automated_probability
        by_hand.modified(["probability"])
        return res

    def _compute_is_automated_probability(self):
        """A stage's own is automated, too, though OCA's crm_stage_probability takes it for set by hand."""
        res = super()._compute_is_automated_probability()
        for lead in self.filtered(lambda lead: lead.stage_id._is_fixed()):
            lead.is_automated_probability = is_same(lead.probability, lead.automated_probability)
        return res

    def _set_automated_probability(self):
        """Have the probability that the stage gives beside the one just set by hand, in the same UPDATE."""
        # sudo: the write that this is part of may have taken the opportunities out of the writer's sight
        leads = self.sudo().filtered(lambda lead: lead.stage_id._is_fixed() and lead.won_status == "pending")
        field = self._fields["automated_probability"]
        with self.env.protecting([field], leads):
            for stage, in_stage in leads.grouped("stage_id").items():
                in_stage.automated_probability = stage.probability
        leads.modified([field.name])

    def _leave_won(self):
        """Open won opportunities whose stage is won no longer."""
        active = self.filtered("active")
        active._compute_probabilities()
        archived = self - active
        archived.modified(["stage_id"])
        archived._take_stage_probability()

    @api.model
    def _place_demo_opportunities(self):
        """Spread Odoo's demo opportunities over the five stages, each at its stage's probability."""
        visit = self.env.ref("crm_sales_stage.stage_technical_visit")
        open_leads = self.search([("won_status", "=", "pending")], order="id")
        opportunities = open_leads.filtered(lambda lead: lead.type == "opportunity")
        for in_stage in opportunities.grouped("stage_id").values():
            in_stage[2::3].stage_id = visit
        open_leads._take_stage_probability()

    # ------------------------------------------------------------------
    # Archived and deleted stages
    # ------------------------------------------------------------------

    @api.model
    def _read_group_stage_ids(self, stages, domain):
        """An archived stage is a column only where it holds opportunities of the view."""
        shown = super()._read_group_stage_ids(stages.with_context(active_test=True), domain)
        # As in Odoo, users see stages that they may not read (`sudo` for the order of them only).
        return stages.browse((shown | stages).sudo().sorted().ids)

    def _stage_find(self, team_id=False, domain=None, order="sequence, id", limit=1):
        """No opportunity is put in an archived stage, even where archived opportunities are dealt with."""
        opportunities = self.with_context(active_test=True)
        stages = super(CrmLead, opportunities)._stage_find(team_id, domain, order, limit)
        return stages.with_env(self.env)

    def _transfer_to_stage(self, stage):
        """Move opportunities whose stage goes away, all at once; nothing but their stage changes.

        Outcome, archived state, closing date and a probability set by hand stay as they are. Those that
        follow their stage's probability, or Odoo's scoring, go on doing so.

        :raise UserError: when an open or lost opportunity would become won, or a won one open
        """
        if any(lead.stage_id.is_won != stage.is_won for lead in self):
            raise UserError(
                self.env._(
                    'Moving to "%(stage)s" would change whether opportunities are won. '
                    "Choose a won stage for won opportunities, another stage for all others.",
                    stage=stage.name,
                )
            )
        archived = self.filtered(lambda lead: not lead.active)
        followers = archived.filtered(
            lambda lead: lead.won_status == "pending" and lead.is_automated_probability
        )
        closing_dates = {lead.id: lead.date_closed for lead in self if lead.date_closed}
        previous = {lead: lead.stage_id for lead in self}
        silent = self.with_context(keep_probability=True, tracking_disable=True)
        silent.write({"stage_id": stage.id})
        # Odoo brings archived opportunities back when they enter a won stage, ...
        silent.filtered(lambda lead: lead in archived and lead.active).active = False
        # ... leaves the probability of archived ones behind (0% of an archived one would mean lost), ...
        for probability, leads in followers.grouped("automated_probability").items():
            if probability:
                leads.with_env(silent.env).probability = probability
        # ... and takes every closing date for one of a won opportunity that was reopened.
        self._restore_closing_dates(closing_dates)
        self._log_transfer(previous)

    def _log_transfer(self, previous):
        """Odoo's own tracking of the stage, for all opportunities at once instead of one after the other.

        It notifies nobody: no follower wants a thousand e-mails about a stage that was tidied away.

        :param previous: stage by opportunity
        """
        tracked = self.fields_get(["stage_id"], attributes=("string", "type", "selection", "currency_field"))
        messages = self._message_log_batch({})
        values_list = []
        for lead, message in zip(self, messages, strict=True):
            _changes, commands = lead._mail_track(tracked, {"stage_id": previous[lead]})
            values_list += [{**values, "mail_message_id": message.id} for _create, _id, values in commands]
        # sudo: as Odoo does, its tracking is nobody's to write
        self.env["mail.tracking.value"].sudo().create(values_list)

    @api.model
    def _restore_closing_dates(self, closing_dates):
        """:param closing_dates: datetime by opportunity id"""
        if not closing_dates:
            return
        self.flush_model(["date_closed"])
        self.env.cr.execute(
            SQL(
                """
                UPDATE crm_lead
                   SET date_closed = previous.date_closed
                  FROM unnest(%s, %s) AS previous (id, date_closed)
                 WHERE crm_lead.id = previous.id
                """,
                list(closing_dates),
                list(closing_dates.values()),
            )
        )
        self.invalidate_model(["date_closed"])
        self.browse(closing_dates).modified(["date_closed"])

    def _pls_prepare_frequencies(self, lead_values, leads_pls_fields, target_state=None):
        """Odoo's scoring looks up the stage of every lost opportunity: one may be archived."""
        known = super(CrmLead, self.with_context(active_test=False))
        frequencies = known._pls_prepare_frequencies(lead_values, leads_pls_fields, target_state)
        used = {values.get("stage_id") for values in lead_values}
        archived = self.env["crm.stage"].with_context(active_test=False).search([("active", "=", False)])
        for stage in archived:
            # Not scored for what happens in the stages of the pipeline
            if stage.id not in used:
                frequencies.get("stage_id", {}).pop(str(stage.id), None)
        return frequencies

    # ------------------------------------------------------------------
    # Stage automations: e-mails, as triggers
    # ------------------------------------------------------------------

    @api.model
    def _get_crm_stage_triggers(self):
        return {
            **super()._get_crm_stage_triggers(),
            "email_sent": self.env._("an e-mail is sent"),
            "email_received": self.env._("an e-mail is received"),
        }

    @api.model
    def _get_crm_stage_trigger_domain(self, trigger):
        # sudo: only whether there is one; nothing of it is told
        messages, mails = self.env["mail.message"].sudo(), self.env["mail.mail"].sudo()
        if trigger == "email_received":
            return self._get_messages_domain(messages._get_email_received_domain())
        if trigger == "email_sent":
            posted = self._get_messages_domain(messages._get_email_sent_domain())
            return posted | Domain("id", "in", mails._get_emailed_opportunity_ids())
        return super()._get_crm_stage_trigger_domain(trigger)

    @api.model
    def _get_messages_domain(self, domain):
        """:return: ``Domain`` of the opportunities of the messages that match ``domain``"""
        messages = self.env["mail.message"].sudo()  # sudo: see `_get_crm_stage_trigger_domain`
        query = messages._search(domain)
        return Domain("id", "in", query.subselect(messages._field_to_sql(query.table, "res_id", query)))

    def _get_crm_stage_leads(self):
        return [(lead, lead) for lead in self]

    @api.model
    def _get_crm_stage_lead_domain(self, leads=None):
        return Domain.TRUE if leads is None else Domain("id", "in", leads.ids)

    @api.model
    def _search_crm_stage_lead_ids(self, domain):
        return self._search(domain)

    def _notify_thread(self, message, msg_vals=False, **kwargs):
        """Who gets a message, and how, is known here: an internal note is no e-mail to the customer."""
        recipients = super()._notify_thread(message, msg_vals=msg_vals, **kwargs)
        heard = self._get_heard_crm_stage_triggers()
        if "email_received" in heard or "email_sent" in heard:
            message = message.sudo()  # sudo: only to see where it comes from
            if message._is_email_received():
                self._trigger_crm_stage("email_received")
            elif not self._is_notification_scheduled(kwargs.get("scheduled_date")) and message._is_email_sent(
                recipients
            ):
                self._trigger_crm_stage("email_sent")
        return recipients

    def _merge_opportunity(self, *args, **kwargs):
        """Nobody chooses an opportunity anew for the quotations that follow theirs into another one."""
        merging = self.with_context(crm_stage_keep_copies=True)
        return super(CrmLead, merging)._merge_opportunity(*args, **kwargs).with_env(self.env)

    # ------------------------------------------------------------------
    # Stage automations: moving
    # ------------------------------------------------------------------

    @api.model
    def _get_movable_domain(
        self, stage, origin_ids=None, team_ids=None, is_back=False, is_lost_included=False
    ):
        """
        :param origin_ids: ids of the stages that opportunities may come from, False for none; default: all
        :param team_ids: of the stage, when the caller knows them
        :param is_back: whether somebody named these stages: won opportunities are moved out of them, too
        :param is_lost_included: whether lost opportunities are brought back; those that are in no stage to be
            moved from, unless it was named, where they are
        :return: ``Domain`` of the opportunities that may be moved to ``stage``: other won, lost and archived
            ones, and those of teams that do not have this stage, are left alone
        """
        domain = (
            Domain("active", "=", True)
            & Domain("won_status", "in", ["pending", "won"] if is_back else ["pending"])
            & Domain("stage_id", "!=", stage.id)
        )
        if origin_ids is not None:
            domain &= Domain("stage_id", "in", origin_ids)
        if is_lost_included:
            is_lost = Domain("won_status", "=", "lost")
            domain |= is_lost & Domain("stage_id", "in", origin_ids) if is_back else is_lost
        domain &= Domain("type", "=", "opportunity")
        if team_ids := stage.team_ids.ids if team_ids is None else team_ids:
            domain &= Domain("team_id", "in", team_ids)
        return domain

    def _with_moved_by(self, bodies):
        """
        :param dict bodies: text or markup by opportunity id
        :return: the same opportunities; the message that tracks their move tells what moved them
        """
        # A customer who signs did not move the card. And authors may read their messages, with the names of
        # opportunities that are not theirs to see.
        visible = self.browse() if self.env.user.share else self.sudo(False)._filtered_access("read")
        hidden = self - visible.sudo()
        return self.with_context(crm_stage_moved_by=bodies, crm_stage_hidden_ids=frozenset(hidden.ids))

    def _track_prepare(self, fields_iter):
        """Note what moves an opportunity along with its stage: Odoo may post the message at any time."""
        super()._track_prepare(fields_iter)
        bodies = self.env.context.get("crm_stage_moved_by")
        if not bodies or "stage_id" not in fields_iter:
            return
        moved_by = self.env.cr.precommit.data.setdefault("crm_sales_stage.moved_by", {})
        moved_by.update({lead.id: bodies[lead.id] for lead in self if lead.id in bodies})
        hidden_ids = self.env.context["crm_stage_hidden_ids"]
        if hidden := self.filtered(lambda lead: lead.id in hidden_ids):
            hidden._track_set_author(self.env.ref("base.partner_root"))

    def _message_track(self, fields_iter, initial_values_dict):
        """Add what moved the opportunity to what others say in the same message ("Expected revenue …")."""
        moved_by = self.env.cr.precommit.data.pop("crm_sales_stage.moved_by", {})
        bodies = self.env.cr.precommit.data.setdefault("mail.tracking.message.crm.lead", {})
        for lead_id, body in moved_by.items():
            # Nobody sees the class: a later installation fills the history of stays by it.
            body = Markup('<span class="o_crm_stage_automation">%s</span>') % body
            bodies[lead_id] = Markup("%s<br/>%s") % (body, bodies[lead_id]) if bodies.get(lead_id) else body
        return super()._message_track(fields_iter, initial_values_dict)

    # ------------------------------------------------------------------
    # Odoo's probability machinery
    # ------------------------------------------------------------------

    def _pls_get_naive_bayes_probabilities(self, batch_mode=False, is_tooltip=False):
        """A stage that gives its own probability does so wherever Odoo asks its scoring for one."""
        own = self._get_stage_probabilities(batch_mode)
        others = self.filtered(lambda lead: lead.id not in own)
        scores, tooltip = {}, {"probability": 0.0, "scores": []} if is_tooltip else {}
        # Odoo returns one empty dictionary, not two, when it finds nothing to score.
        if others:
            result = super(CrmLead, others)._pls_get_naive_bayes_probabilities(batch_mode, is_tooltip)
            scores, tooltip = result or (scores, tooltip)
        if is_tooltip and own:
            tooltip["probability"] = own[self.id]
        return {**scores, **own}, tooltip

    def _get_stage_probabilities(self, batch_mode=False):
        """:param bool batch_mode: as in Odoo's scoring: only open opportunities, read without the ORM's cache
        :return: percentage by opportunity id, for those whose stage gives its own
        """
        if not batch_mode:
            return {
                lead.id: lead.stage_id._get_probability()
                for lead in self
                if lead.stage_id._gives_probability()
            }
        groups = self._read_group(
            [
                ("id", "in", self.ids),
                ("active", "=", True),
                ("won_status", "=", "pending"),
                ("stage_id.probability_mode", "=", "fixed"),
            ],
            ["stage_id"],
            ["id:array_agg"],
        )
        return {lead_id: stage._get_probability() for stage, lead_ids in groups for lead_id in lead_ids}

    def _update_automated_probabilities(self):
        """Odoo's nightly job leaves weighted revenues stale: set those of fixed stages right after it."""
        res = super()._update_automated_probabilities()
        self._update_probabilities_of_stages(
            self.env["crm.stage"]
            .with_context(active_test=False)
            .search([("probability_mode", "=", "fixed"), ("is_won", "=", False)])
        )
        return res

    @api.model
    def _update_probabilities_of_stages(self, stages):
        """Set the probability of the open opportunities in ``stages``, and what Odoo computes from it.

        Those that follow their stage get its probability and their weighted revenues. Those set by hand keep
        both: only their automated probability changes, which Odoo shows beside theirs and resets them to.

        :param stages: fixed, not won
        """
        if not stages:
            return
        self.env["crm.stage"].flush_model(["probability"])
        self.flush_model()
        follows = SQL(
            "COALESCE(ROUND(lead.probability::numeric, 2), 0)"
            " = COALESCE(ROUND(lead.automated_probability::numeric, 2), 0)"
        )
        weighted = {name: self._get_weighted_revenue_sql(name) for name in WEIGHTED_REVENUES}
        self.env.cr.execute(
            SQL(
                """
                UPDATE crm_lead AS lead
                   SET probability = stage.probability,
                       automated_probability = stage.probability,
                       %(weighted)s
                  FROM crm_stage stage, crm_lead other
                       LEFT JOIN res_company company ON company.id = other.company_id
                       LEFT JOIN res_currency currency ON currency.id = company.currency_id
                 WHERE other.id = lead.id AND stage.id = lead.stage_id AND %(is_open)s AND %(follows)s
                   AND (lead.probability IS DISTINCT FROM stage.probability::float8 OR %(is_stale)s)
             RETURNING lead.id
                """,
                weighted=SQL(", ").join(
                    SQL("%s = %s", SQL.identifier(name), value) for name, value in weighted.items()
                ),
                is_open=self._get_open_in_stages_sql(stages),
                follows=follows,
                is_stale=SQL(" OR ").join(
                    SQL("COALESCE(%s, 0) != %s", SQL.identifier("lead", name), value)
                    for name, value in weighted.items()
                ),
            )
        )
        updated = self.browse([lead_id for (lead_id,) in self.env.cr.fetchall()])
        self.env.cr.execute(
            SQL(
                """
                UPDATE crm_lead AS lead
                   SET automated_probability = stage.probability
                  FROM crm_stage stage
                 WHERE stage.id = lead.stage_id AND %s
                   AND lead.automated_probability IS DISTINCT FROM stage.probability::float8
                """,
                self._get_open_in_stages_sql(stages),
            )
        )
        self.invalidate_model(["probability", "automated_probability", *WEIGHTED_REVENUES])
        self._recompute_other_dependents(updated)

    @api.model
    def _get_open_in_stages_sql(self, stages):
        """:return: condition on the table alias ``lead``: open opportunities of ``stages``"""
        return SQL("lead.stage_id IN %s AND lead.active AND lead.won_status = 'pending'", tuple(stages.ids))

    @api.model
    def _get_weighted_revenue_sql(self, name):
        """:return: a weighted revenue as Odoo's ``_compute_<name>`` and the currency's rounding make it"""
        # Without company Odoo takes the current one's currency.
        decimals = SQL("COALESCE(currency.decimal_places, %s)", self.env.company.currency_id.decimal_places)
        if name == "prorated_revenue":
            # Odoo rounds this one to cents, whatever the currency.
            decimals = SQL("LEAST(2, %s)", decimals)
        return SQL(
            "ROUND(COALESCE(%s, 0) * stage.probability::numeric / 100, %s)",
            SQL.identifier("lead", WEIGHTED_REVENUES[name]),
            decimals,
        )

    @api.model
    def _recompute_other_dependents(self, leads):
        """Other addons may store what they compute from the probability: let the ORM do theirs."""
        known = {*WEIGHTED_REVENUES, "probability", "automated_probability", "won_status"}
        for field in self.env.registry.get_dependent_fields(self._fields["probability"]):
            if field.model_name == self._name and field.store and field.compute and field.name not in known:
                self.env.add_to_compute(field, leads)
