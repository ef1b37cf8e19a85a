"""Opportunities in stages that are archived, deleted or merged."""

from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Domain

# Stored fields of the place of an opportunity in the pipeline, and of its outcome
PLACE_FIELDS = {"active", "stage_id", "type", "won_status"}
# What moves it when it is written: the stage follows from the team, and that from the salesperson
MOVING_FIELDS = PLACE_FIELDS | {"team_id", "user_id"}
# Lost opportunities are counted up to here: users do not tell more apart, and counting a million takes long.
LOST_COUNT_LIMIT = 10000


class CrmLead(models.Model):
    """Opportunities keep a valid stage when stages are archived, deleted or merged."""

    _inherit = "crm.lead"

    @api.model
    def _get_list_action(self, name, domain):
        """:return: action that lists opportunities, inactive ones included"""
        return {
            "type": "ir.actions.act_window",
            "name": name,
            "res_model": "crm.lead",
            "views": [(self.env.ref("crm.crm_case_tree_view_oppor").id, "list"), (False, "form")],
            "domain": domain,
            "context": {"active_test": False, "create": False},
        }

    # ------------------------------------------------------------------
    # Archived stages
    # ------------------------------------------------------------------

    @api.model
    def default_get(self, fields):
        """Nothing starts in an archived stage, even when a default of the user or of the view names one."""
        return self._drop_archived_stage(super().default_get(fields))

    @api.model_create_multi
    def create(self, vals_list):
        """Those with an archived stage get the first stage of their team, as if no stage was given."""
        return super().create([self._drop_archived_stage(vals) for vals in vals_list])

    @api.model
    def _drop_archived_stage(self, vals):
        """:return: ``vals``, without their stage when it is an archived one"""
        stage = self.env["crm.stage"].browse(vals.get("stage_id"))
        if stage and not stage.active:
            return {name: value for name, value in vals.items() if name != "stage_id"}
        return vals

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

    # ------------------------------------------------------------------
    # Won or lost
    # ------------------------------------------------------------------

    _crm_stage_lost_idx = models.Index("(user_id, company_id, type) WHERE won_status = 'lost'")

    @api.model
    @api.readonly
    def web_read_group(self, domain, groupby, *args, groupby_read_specification=None, **kwargs):
        """Count the lost opportunities of the filter along with the columns, which do not hold them.

        :return: as Odoo's, with ``lost`` as ``{"count": …, "is_more": …}`` where the columns are stages that
            may ask won or lost; ``is_more`` where there are more than :data:`LOST_COUNT_LIMIT`
        """
        result = super().web_read_group(
            domain, groupby, *args, groupby_read_specification=groupby_read_specification, **kwargs
        )
        if "ask_outcome" in (groupby_read_specification or {}).get("stage_id", ()):
            lost = Domain(domain) & Domain("won_status", "=", "lost")
            count = self.with_context(active_test=False).search_count(lost, limit=LOST_COUNT_LIMIT + 1)
            result["lost"] = {
                "count": min(count, LOST_COUNT_LIMIT),
                "is_more": count > LOST_COUNT_LIMIT,
            }
        return result

    # ------------------------------------------------------------------
    # Stages that are deleted or merged
    # ------------------------------------------------------------------

    def _transfer_to_stage(self, stage):
        """Move opportunities whose stage goes away, all at once; nothing but their stage changes.

        Outcome, archived state, closing date and a probability set by hand stay as they are. Those that
        follow the probability of their stage, or Odoo's scoring, go on doing so.

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
        closing_dates = {lead: lead.date_closed for lead in self}
        previous = {lead: lead.stage_id for lead in self}
        archived = self.filtered(lambda lead: not lead.active)
        silent = self.with_context(tracking_disable=True)
        silent._put_in_stage(stage)
        # Odoo brings archived opportunities back when they enter a won stage, ...
        silent.filtered(lambda lead: lead in archived and lead.active).active = False
        # ... and takes every closing date for one of a won opportunity that was reopened.
        for date, leads in silent.grouped(closing_dates.get).items():
            leads.filtered(lambda lead, date=date: lead.date_closed != date).date_closed = date
        self._log_transfer(previous)

    def _put_in_stage(self, stage):
        """Write the stage that these opportunities are transferred to."""
        self.write({"stage_id": stage.id})

    def _log_transfer(self, previous):
        """Track the change of stage as Odoo does, but for all opportunities at once.

        No follower is notified: they would get a thousand e-mails because a stage was deleted or merged.

        :param previous: stage by opportunity
        """
        tracked = self.fields_get(["stage_id"], attributes=("string", "type", "selection", "currency_field"))
        messages = self._message_log_batch({})
        values_list = []
        for lead, message in zip(self, messages, strict=True):
            _changes, commands = lead._mail_track(tracked, {"stage_id": previous[lead]})
            values_list += [{**values, "mail_message_id": message.id} for _create, _id, values in commands]
        # sudo: users have no right to write trackings; Odoo writes them with sudo, too
        self.env["mail.tracking.value"].sudo().create(values_list)

    def _pls_prepare_frequencies(self, lead_values, leads_pls_fields, target_state=None):
        """Let Odoo's scoring find archived stages, too: a lost opportunity may be in one.

        Odoo counts a loss for all stages up to the one where it happened, and what is won for all stages.
        Archived stages are left out of both, unless one is lost there: they are not part of the pipeline any
        more.
        """
        known = super(CrmLead, self.with_context(active_test=False))
        frequencies = known._pls_prepare_frequencies(lead_values, leads_pls_fields, target_state)
        lost_in = [
            values.get("stage_id")
            for values in lead_values
            if target_state == "lost" or not target_state and values.get("probability") == 0
        ]
        for stage in self.env["crm.stage"].search([("active", "=", False), ("id", "not in", lost_in)]):
            frequencies.get("stage_id", {}).pop(str(stage.id), None)
        return frequencies
