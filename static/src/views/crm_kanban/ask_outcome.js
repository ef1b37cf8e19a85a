import { askLostReason, askOnArrival } from "@crm_sales_stage/components/arrival_dialog/arrival_dialog";
import { makeActiveField } from "@web/model/relational_model/utils";

// Fields of the stage that say what its column shows and asks. Odoo reads them along with the columns.
const STAGE_FIELDS = {
    active: { type: "boolean" },
    ask_outcome: { type: "boolean" },
    asks_for_fields: { type: "boolean" },
    is_won: { type: "boolean" },
    plans_activities: { type: "boolean" },
    probability: { type: "float" },
    probability_mode: { type: "selection", selection: [] },
};

/** Controller of a kanban view whose columns know the settings of their stage. */
export const withStageSettings = (Controller) =>
    class extends Controller {
        /**
         * @override
         */
        get modelParams() {
            const fields = {};
            const activeFields = {};
            for (const [name, field] of Object.entries(STAGE_FIELDS)) {
                fields[name] = { ...field, name };
                activeFields[name] = makeActiveField();
            }
            return { ...super.modelParams, groupByInfo: { stage_id: { activeFields, fields } } };
        }
    };

/** Columns of a kanban view of opportunities: a stage asks for its fields, and whether it means won or lost. */
export const askingOutcome = (DynamicGroupList) =>
    class extends DynamicGroupList {
        get isGroupedByStage() {
            return this.groupByField?.name === "stage_id";
        }

        /**
         * Nothing is moved before the answer, so the card of somebody who gives none is back where it was.
         *
         * @override
         */
        async moveRecord(dataRecordId, dataGroupId, refId, targetGroupId) {
            const group = this.groups.find((group) => group.id === targetGroupId);
            const record = this.records.find((record) => record.id === dataRecordId);
            const stage = this.isGroupedByStage && dataGroupId !== targetGroupId && group?.record?.data;
            if (!stage || !record) {
                return super.moveRecord(...arguments);
            }
            const answer = await askOnArrival(
                this.model,
                {
                    id: group.value,
                    name: group.displayName,
                    asksForFields: stage.asks_for_fields,
                    isOutcomeAsked: stage.ask_outcome && stage.is_won && record.data.won_status !== "won",
                },
                [record.resId],
                record.data.name
            );
            if (answer === "lost") {
                if (await askLostReason(this.model.action, [record.resId])) {
                    await this.model.load();
                }
            } else if (answer) {
                await super.moveRecord(...arguments);
                if (stage.plans_activities) {
                    // They are planned when the move is done, after its answer.
                    await record.load();
                }
            }
        }
    };
