"""Automations that never move anything, because another one always comes first."""

from odoo import SUPERUSER_ID, api, fields, models


class CrmStageAutomation(models.Model):
    _inherit = "crm.stage.automation"

    beaten_by_id = fields.Many2one(
        "crm.stage.automation",
        string="Always Beaten By",
        compute="_compute_beaten_by_id",
        help="Another automation that listens to the same, takes the same opportunities, and moves them to a "
        "later stage: this one never moves any.",
    )

    @api.depends(
        "active",
        "stage_id",
        "trigger",
        "filter_domain",
        "from_stage_ids",
        "is_lost_included",
        "outcome",
    )
    def _compute_beaten_by_id(self):
        listeners = self._get_setup().listeners  # in the order in which they come
        positions = {listener.automation_id: position for position, listener in enumerate(listeners)}
        for automation in self:
            position = positions.get(automation._origin.id)
            automation.beaten_by_id = position is not None and automation._origin._find_beating(
                listeners[position], listeners[:position]
            )

    def _find_beating(self, listener, earlier_listeners):
        """
        :param listener: what the cache knows of this automation
        :param earlier_listeners: of those that come before it
        :return: the first one that always moves the opportunities that this one would move
        """
        others = self.browse(
            earlier.automation_id for earlier in earlier_listeners if self._is_taken_by(earlier, listener)
        ).exists()
        return others.filtered(
            lambda other: (
                not other.fault and other._comes_as_early_as(self) and other._has_wider_condition(self)
            )
        )[:1]

    def _comes_as_early_as(self, other):
        """:return: whether this automation listens to what ``other`` does, and is told no later"""
        return self.trigger == other.trigger

    def _is_taken_by(self, other, listener):
        """:return: whether ``other``, of a later stage, takes all the opportunities that this one takes"""
        return (
            other.stage_id != listener.stage_id
            and other.outcome != "lost"  # orders protect some from it
            and listener.origin_ids <= other.origin_ids
            and (other.is_back or not any(self.from_stage_ids.mapped("is_won")))
            and (not listener.is_lost_included or (other.is_lost_included and not other.is_back))
            and (not other.team_ids or (listener.team_ids and listener.team_ids <= other.team_ids))
        )

    def _has_wider_condition(self, other):
        """:return: whether every document that meets the condition of ``other`` meets this one's"""
        try:
            condition, other_condition = self._parse_domain(), other._parse_domain()
        except ValueError:  # it is shown as faulty
            return False
        is_same = condition == other_condition and self.author_id.id in (SUPERUSER_ID, other.author_id.id)
        return condition.is_true() or is_same
