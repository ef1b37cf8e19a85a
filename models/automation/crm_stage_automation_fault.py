"""Faults of an automation: telling them on it and to its managers, and what mends them."""

import logging
import re

import psycopg2
from markupsafe import Markup
from psycopg2.extras import Json

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ...tools import attempt
from .crm_stage_automation import AutomationError

_logger = logging.getLogger(__name__)

# A fault is read by people: nobody reads more of what another addon, or the database, has to say
MAX_REASON_LENGTH = 250

# Of more opportunities that could not be moved for the same reason, only their number is shown
MAX_UNMOVED_NAMES = 10

# Which fields mend a fault when they are changed, by the part of the automation that is at fault
MENDING_FIELDS = {
    "condition": {"filter_domain", "trigger"},
    "idle": {"active", "stage_id", "trigger", "outcome"},
    "move": {"stage_id", "outcome", "lost_reason_id"},
    "outcome": {"stage_id", "outcome"},
    "trigger": {"trigger"},
}


class CrmStageAutomation(models.Model):
    _inherit = "crm.stage.automation"

    fault = fields.Text(
        translate=True,
        readonly=True,
        copy=False,
        help="Why the automation could not do its work the last time, and what to do. It goes away when the "
        "automation works again, or when what does not work is changed.",
    )
    fault_date = fields.Datetime(
        string="Faulty Since",
        readonly=True,
        copy=False,
        help="When the automation met this fault first.",
    )
    fault_part = fields.Selection(
        [
            ("condition", "Condition"),
            ("idle", "Not at Work"),
            ("move", "Move"),
            ("outcome", "Outcome"),
            ("trigger", "Trigger"),
        ],
        string="Faulty Part",
        readonly=True,
        copy=False,
        help="What of the automation does not work. Changing it takes the fault away.",
    )
    is_fault_told = fields.Boolean(
        string="Managers Know of the Fault",
        readonly=True,
        copy=False,
        help="Whether a message about this fault went to the managers.",
    )
    unmoved_text = fields.Text(
        string="Opportunities That Could Not Be Moved",
        compute="_compute_unmoved_text",
        help="Which opportunities could not be moved while others were, and why. The automation works.",
    )

    @api.depends("move_ids.error", "fault", "stage_id", "from_stage_ids", "is_lost_included", "outcome")
    @api.depends_context("lang", "uid", "allowed_company_ids")
    def _compute_unmoved_text(self):
        failed = self._get_failed().grouped("automation_id")
        for automation in self:
            moves = not automation.fault and failed.get(automation._origin.sudo())
            reasons = {move.lead_id.id: move.error for move in moves or ()}
            automation.unmoved_text = automation._get_unmoved_text(reasons)

    def write(self, vals):
        """A fault goes away when what does not work is changed, and only then."""
        res = super().write(vals)
        if "fault" not in vals:
            mended = self.filtered(lambda automation: automation._is_mended_by(vals))
            # sudo: only the system writes it
            mended.sudo().write(
                {"fault": False, "fault_date": False, "fault_part": False, "is_fault_told": False}
            )
        return res

    def _is_mended_by(self, vals):
        """:return: whether writing ``vals`` changes what does not work"""
        fields_ = MENDING_FIELDS.get(self.fault_part) or set().union(*MENDING_FIELDS.values())
        return bool(self.fault) and not fields_.isdisjoint(vals)

    # ------------------------------------------------------------------
    # On the automation
    # ------------------------------------------------------------------

    def _get_fault(self, error, part=None):
        """:return: (text by language, what of the automation does not work)"""
        if isinstance(error, AutomationError):
            part = error.part
        languages = {"en_US", *dict(self.env["res.lang"].get_installed())}
        texts = {lang: self.with_context(lang=lang)._get_fault_text(error, part) for lang in languages}
        return texts, part

    def _get_fault_text(self, error, part):
        """:return: why the automation does not work, and what to do"""
        if isinstance(error, AutomationError):
            return error.get_text(self.env)
        reason = self._get_reason(error)
        if part == "condition":
            return self.env._(
                "The condition does not work any more: %s\nSet another condition, or leave it empty.", reason
            )
        if part == "trigger":
            return self.env._(
                "The opportunities of the documents cannot be found: %s\n"
                "An addon says which ones they are: have an administrator look at the server's log.",
                reason,
            )
        return self.env._(
            "The opportunities cannot be moved: %s\n"
            "See to it that somebody can move them by hand, or choose another stage. The automation then "
            "goes on by itself; the server's log tells more.",
            reason,
        )

    @api.model
    def _get_reason(self, error):
        """:return: why something failed, for people: one short text, without rows of the database"""
        try:
            if isinstance(error, psycopg2.Error):
                # What it quotes after a colon, and its other parts, are values of rows.
                reason = (error.diag.message_primary or type(error).__name__).partition(': "')[0]
            elif isinstance(error, UserError):
                reason = str(error)
            else:
                reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        except Exception:  # an error that cannot be told must not become another one
            reason = ""
        # The database takes neither control characters nor halves of characters.
        reason = re.sub("[\x00-\x08\x0b-\x1f\ud800-\udfff]", "", reason)[:MAX_REASON_LENGTH]
        return reason or type(error).__name__

    def _set_fault(self, texts, part=None):
        """Tell on the automation why it does not work, or that it does again with None.

        Many workers may come by the same faulty automation. They must not wait for each other, nor let the
        sale be tried again, because of a note: it is written on change only, and left to whoever writes it.

        :param dict texts: by language
        """
        if (self.with_context(lang="en_US").fault or None) == (texts and texts["en_US"]):
            return
        self._store_unless_locked(
            fault=Json(texts) if texts else None,
            fault_date=fields.Datetime.now() if texts else None,
            fault_part=part,
            is_fault_told=SQL("is_fault_told AND fault IS NOT NULL AND %s", bool(texts)),
        )

    def _store_unless_locked(self, **values):
        """Store ``values``, which may be SQL, unless somebody is at work on the automation."""
        assignments = [SQL("%s = %s", SQL.identifier(name), value) for name, value in values.items()]
        try:
            with self.env.cr.savepoint(flush=False):
                self.env.cr.execute(
                    SQL(
                        """
                        UPDATE crm_stage_automation SET %s
                         WHERE id IN (SELECT id FROM crm_stage_automation WHERE id = %s
                                      FOR NO KEY UPDATE SKIP LOCKED)
                        """,
                        SQL(", ").join(assignments),
                        self.id,
                    ),
                    log_exceptions=False,
                )
        except psycopg2.OperationalError:
            _logger.info("Another worker shows something on stage automation %s", self.id)
        self.invalidate_recordset(list(values))

    # ------------------------------------------------------------------
    # What could not be moved while others were
    # ------------------------------------------------------------------

    def _get_unmoved_text(self, reasons):
        """
        :param reasons: why opportunities could not be moved, by their ids
        :return: which ones could not be moved, and why, of those that are still to be moved
        """
        listener = self._find_listener() if reasons else None
        if not listener:
            return False
        # sudo: all of them are counted, and those named that the reader may see
        leads = self.env["crm.lead"].sudo().with_context(active_test=False)
        leads = leads.search(
            Domain("id", "in", list(reasons)) & self._get_movable_domain(listener),
            order="id",
        )
        return "\n".join(
            self._get_unmoved_line(leads.with_env(self.env), reason)
            for reason, leads in leads.grouped(lambda lead: reasons[lead.id]).items()
        )

    def _get_unmoved_line(self, leads, reason):
        names = self._get_record_names(leads, leads.ids)
        if len(names) > MAX_UNMOVED_NAMES:
            names[MAX_UNMOVED_NAMES:] = ["…"]
        values = {"names": ", ".join(names), "reason": reason}
        if len(leads) == 1:
            return self.env._("1 could not be moved: %(names)s: %(reason)s", **values)
        return self.env._("%(count)s could not be moved: %(names)s: %(reason)s", count=len(leads), **values)

    # ------------------------------------------------------------------
    # To the managers
    # ------------------------------------------------------------------

    @api.model
    def _cron_tell_faults(self):
        """Send the managers one message about each new fault, outside of the sale that met it."""
        untold = self.with_context(active_test=False).search(
            [("fault", "!=", False), ("is_fault_told", "=", False)]
        )
        for automation in untold:
            with attempt(self.env) as made:  # whatever it is, the other faults are to be told, too
                automation.is_fault_told = True
                automation._tell_managers()
            if made.error:
                _logger.error(
                    "The fault of stage automation %s cannot be told", automation.id, exc_info=made.error
                )

    def _tell_managers(self):
        """Send a message about the fault to its managers, to each in their language."""
        for lang, managers in self._get_managers().grouped("lang").items():
            automation = self.with_context(lang=lang)
            body = Markup("<p>%s</p><p><b>%s</b></p><p>%s</p>") % (
                automation.env._("A stage automation does not work:"),
                automation.name,
                Markup("<br/>").join(automation.fault.splitlines()),
            )
            automation.env["mail.thread"].message_notify(
                partner_ids=managers.partner_id.ids,
                subject=automation.env._("Stage automation does not work: %s", automation.name),
                body=body,
                model=self._name,
                res_id=self.id,
            )

    def _get_managers(self):
        """:return: those who may set the automation up: leaders of the stage's teams, or all of them"""
        managers = self.env.ref("sales_team.group_sale_manager").all_user_ids.filtered("active")
        return managers & self.stage_id.team_ids.user_id or managers
