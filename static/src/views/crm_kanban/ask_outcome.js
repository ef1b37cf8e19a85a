import { askLostReason, askOutcome } from "@crm_sales_stage/components/outcome_dialog/outcome_dialog";
import { makeActiveField } from "@web/model/relational_model/utils";

// What the columns show of their stage, and ask by; Odoo reads it along with the columns.
const STAGE_FIELDS = {
    active: { type: "boolean" },
    ask_outcome: { type: "boolean" },
    is_won: { type: "boolean" },
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

/** Columns of a kanban view of opportunities: a stage that means "won or lost" asks which. */
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
            const targetGroup = this.groups.find((group) => group.id === targetGroupId);
            const record = this.records.find((record) => record.id === dataRecordId);
            if (dataGroupId === targetGroupId || !this._isOutcomeAsked(record, targetGroup)) {
                return super.moveRecord(...arguments);
            }
            const outcome = await askOutcome(this.model.dialog, record.data.name);
            if (outcome === "won") {
                return super.moveRecord(...arguments);
            }
            if (outcome === "lost" && (await askLostReason(this.model.action, record.resId))) {
                await this.model.load();
            }
        }

        _isOutcomeAsked(record, group) {
            const stage = this.isGroupedByStage && group?.record?.data;
            return Boolean(stage?.ask_outcome && stage.is_won && record?.data.won_status !== "won");
        }
    };
