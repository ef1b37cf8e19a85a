"""Examples of automations, as forms that are filled in, to be saved or changed."""

from odoo import api, models
from odoo.fields import Domain

from ..stage.crm_stage import DEFAULT_STAGES


class CrmStageAutomation(models.Model):
    _inherit = "crm.stage.automation"

    @api.model
    def get_examples(self):
        """
        :return: the automations that are used most, as ``[{"title": …, "sentence": …, "context": {…}}, …]``:
            what they are called, what they do, and the default values of a form that is filled in
        """
        self.check_access("create")
        examples = []
        for example in self._get_examples():
            values = {name: value for name, value in example["values"].items() if value}
            if "stage_id" in values:
                context = {f"default_{name}": value for name, value in values.items()}
                sentence = self.new(values).name
                examples.append({"title": example["title"], "sentence": sentence, "context": context})
        return examples

    @api.model
    def _get_examples(self):
        """:return: ``[{"title": …, "values": {…}}, …]``; False where the pipeline has nothing fit"""
        new, estimate, visit, quotation, closed = self._get_example_stages()
        is_visit = self._get_example_condition("categ_ids", "calendar_event_type_technical_visit")
        team = self.env["crm.team"].search(Domain.TRUE, limit=1)
        is_for_team = repr([("opportunity_id.team_id", "in", team.ids)]) if team else False
        return [
            {
                "title": self.env._("Quotation sent"),
                "values": {"stage_id": quotation, "trigger": "quotation_sent"},
            },
            {
                "title": self.env._("Visit planned"),
                "values": {"stage_id": visit, "trigger": "meeting_scheduled", "filter_domain": is_visit},
            },
            {
                "title": self.env._("Visit over"),
                "values": {"stage_id": quotation, "trigger": "meeting_over", "filter_domain": is_visit},
            },
            {
                "title": self.env._("Order confirmed"),
                "values": {"stage_id": closed, "trigger": "order_confirmed", "outcome": "won"},
            },
            {
                "title": self.env._("Quotation expired: lost"),
                "values": {"stage_id": closed, "trigger": "quotation_expired", "days": 1, "outcome": "lost"},
            },
            {
                "title": self.env._("Ten days without news"),
                "values": {
                    "stage_id": closed,
                    "trigger": "no_news",
                    "days": 10,
                    "outcome": "lost",
                    "from_stage_ids": self._get_example_origin(quotation, closed),
                },
            },
            {
                "title": self.env._("E-mail received"),
                "values": {
                    "stage_id": estimate,
                    "trigger": "email_received",
                    "from_stage_ids": self._get_example_origin(new, estimate),
                },
            },
            {
                "title": self.env._("Big deal"),
                "values": {
                    "stage_id": visit,
                    "trigger": "opportunity_matches",
                    "filter_domain": repr([("expected_revenue", ">=", 10000)]),
                },
            },
            {
                "title": self.env._("Meeting of one team"),
                "values": {"stage_id": visit, "trigger": "meeting_scheduled", "filter_domain": is_for_team},
            },
            {
                "title": self.env._("Cancelled after confirmation"),
                "values": {
                    "stage_id": quotation,
                    "trigger": "quotation_cancelled",
                    "from_stage_ids": self._get_example_origin(closed, quotation),
                },
            },
        ]

    @api.model
    def _get_example_stages(self):
        """:return: ids of what stands for the five stages here, in their order; False where nothing does

        Where the five are archived, as in a pipeline that was there before, the customer's stages that are
        about as far take their places.
        """
        stages = self.env["crm.stage"].search(Domain.TRUE)
        won, others = stages.filtered("is_won"), stages.filtered(lambda stage: not stage.is_won)
        ids = []
        for position, name in enumerate(DEFAULT_STAGES):
            default = self.env.ref(f"crm_sales_stage.{name}", raise_if_not_found=False)
            if default and default in stages:
                ids.append(default.id)
            elif position == len(DEFAULT_STAGES) - 1:
                ids.append(won[:1].id)
            else:
                nearest = round(position * (len(others) - 1) / (len(DEFAULT_STAGES) - 2))
                ids.append(others[nearest].id if others else False)
        return ids

    @api.model
    def _get_example_origin(self, origin_id, stage_id):
        """:return: value of ``from_stage_ids``; nothing where both are the same stage here"""
        return [(6, 0, [origin_id])] if origin_id and origin_id != stage_id else False

    @api.model
    def _get_example_condition(self, field, xml_id):
        """:return: condition on the record with this external id, if it still exists"""
        record = self.env.ref(f"crm_sales_stage.{xml_id}", raise_if_not_found=False)
        return repr([(field, "in", record.ids)]) if record else False
