from markupsafe import Markup

from odoo import api, models
from odoo.fields import Domain

from ..tools import ON, kept_by_transaction

# Key of the cursor's cache: texts for the chatter by opportunity id, ids of those that OdooBot writes to, and
# the id of the automation
MOVED_BY = "crm_sales_stage.moved_by"


class CrmLead(models.Model):
    """Opportunities are moved by automations, and are documents of automations themselves."""

    _name = "crm.lead"
    _inherit = ["crm.lead", "crm.stage.trigger.mixin"]

    # ------------------------------------------------------------------
    # E-mails as triggers
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
        """:return: ``Domain`` of the opportunities of the messages that match ``domain``: their own ones, and
        those of their quotations and orders
        """
        messages = self.env["mail.message"].sudo()  # sudo: see `_get_crm_stage_trigger_domain`

        def has_messages(model_name):
            query = messages._search(domain & Domain("model", "=", model_name))
            return Domain("id", "in", query.subselect("res_id"))

        return has_messages("crm.lead") | self._get_orders_domain(has_messages("sale.order"))

    @api.model
    def _get_orders_domain(self, domain):
        """:return: ``Domain`` of the opportunities with a quotation or order that matches ``domain``"""
        orders = self.env["sale.order"]
        return Domain("order_ids", "any!", orders._get_crm_stage_lead_domain() & domain)

    def _get_crm_stage_leads(self):
        return [(lead, lead) for lead in self]

    def _get_crm_stage_document_dates(self, trigger):
        """An opportunity is older than its loss; the last e-mail about it may be newer."""
        messages = self.env["mail.message"].sudo()  # sudo: see `_get_crm_stage_trigger_domain`
        if trigger == "email_received":
            domain = messages._get_email_received_domain()
        elif trigger == "email_sent":
            domain = messages._get_email_sent_domain()
        else:
            return {}
        domain &= Domain("model", "=", self._name) & Domain("res_id", "in", self.ids)
        return dict(messages._read_group(domain, ["res_id"], ["date:max"]))

    def _get_crm_stage_tie(self):
        return self.type  # A lead comes with its dates when it is made an opportunity.

    @api.model
    def _get_crm_stage_lead_domain(self, leads=None):
        return Domain("type", "=", "opportunity") if leads is None else Domain("id", "in", leads.ids)

    @api.model
    def _search_crm_stage_lead_ids(self, domain):
        return self._search(domain)

    def _merge_opportunity(self, *args, **kwargs):
        """Do not take it for somebody's choice that quotations follow theirs into the merged opportunity."""
        merging = self.with_context(crm_stage_keep_copies=ON)
        return super(CrmLead, merging)._merge_opportunity(*args, **kwargs).with_env(self.env)

    # ------------------------------------------------------------------
    # Being moved
    # ------------------------------------------------------------------

    @api.model
    def _get_movable_domains(
        self, stage, origin_ids=None, team_ids=None, is_back=False, is_lost_included=False
    ):
        """What an opportunity has to be to be moved, each with the reason why it stays where it is not.

        Other won, lost and archived ones, and those of teams that do not have the stage, are left alone.

        :param stage: that opportunities are moved to
        :param origin_ids: ids of the stages that opportunities may come from, False for none; default: all
        :param team_ids: of the stage, when the caller knows them
        :param is_back: whether somebody named these stages: won opportunities are moved out of them, too
        :param is_lost_included: whether lost opportunities are brought back; those that are in no stage to be
            moved from, unless it was named, where they are
        :return: ``{reason: Domain}``; the reasons are those of ``crm.stage.automation.move``
        """
        is_taken = Domain("active", "=", True)
        is_taken &= Domain("won_status", "in", ["pending", "won"] if is_back else ["pending"])
        is_there = Domain.TRUE if origin_ids is None else Domain("stage_id", "in", origin_ids)
        is_elsewhere = Domain("stage_id", "!=", stage.id) & is_there
        if is_lost_included:
            is_lost = Domain("won_status", "=", "lost")
            is_taken |= is_lost
            is_elsewhere |= is_lost & is_there if is_back else is_lost
        team_ids = stage.team_ids.ids if team_ids is None else team_ids
        return {
            "team": Domain("team_id", "in", team_ids) if team_ids else Domain.TRUE,
            "closed": Domain("type", "=", "opportunity") & is_taken,
            "stage": is_elsewhere,
        }

    def _moved_by(self, bodies, automation_id=None):
        """Let the messages that track moves of these opportunities in here say what moved them.

        :param dict bodies: text or markup by opportunity id
        :param automation_id: what their history names
        :return: context manager
        """
        # OdooBot is the author where the user may not see the opportunity: authors may read their messages,
        # which name it. It is the author for customers, too: one who signs an order did not move the card.
        visible = self.browse() if self.env.user.share else self.sudo(False)._filtered_access("read")
        hidden = self - visible.sudo()
        return kept_by_transaction(self.env.cr, MOVED_BY, (bodies, frozenset(hidden.ids), automation_id))

    def _track_prepare(self, fields_iter):
        """Note what moves an opportunity along with its stage: Odoo may post the message at any time."""
        super()._track_prepare(fields_iter)
        bodies, hidden_ids, _automation_id = self.env.cr.cache.get(MOVED_BY) or ({}, (), None)
        if not bodies or "stage_id" not in fields_iter:
            return
        moved_by = self.env.cr.precommit.data.setdefault(MOVED_BY, {})
        moved_by.update({lead.id: bodies[lead.id] for lead in self if lead.id in bodies})
        if hidden := self.filtered(lambda lead: lead.id in hidden_ids):
            hidden._track_set_author(self.env.ref("base.partner_root"))

    def _message_track(self, fields_iter, initial_values_dict):
        """Add what moved the opportunity to what others say in the same message ("Expected revenue …")."""
        moved_by = self.env.cr.precommit.data.pop(MOVED_BY, {})
        bodies = self.env.cr.precommit.data.setdefault("mail.tracking.message.crm.lead", {})
        for lead_id, body in moved_by.items():
            # Nobody sees the class: a later installation fills the history of stays by it.
            body = Markup('<span class="o_crm_stage_automation">%s</span>') % body
            bodies[lead_id] = Markup("%s<br/>%s") % (body, bodies[lead_id]) if bodies.get(lead_id) else body
        return super()._message_track(fields_iter, initial_values_dict)
