import { askOnArrival } from "@crm_sales_stage/components/arrival_dialog/ask_on_arrival";
import { makeActiveField } from "@web/model/relational_model/utils";

// Fields of the stage that say what its column shows and asks. Odoo reads them along with the columns.
const STAGE_FIELDS = {
    active: "boolean",
    ask_outcome: "boolean",
    asks_for_fields: "boolean",
    has_faulty_automation: "boolean",
    is_won: "boolean",
    plans_activities: "boolean",
    probability: "float",
    probability_mode: "char",
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
            for (const [name, type] of Object.entries(STAGE_FIELDS)) {
                fields[name] = { name, type };
                activeFields[name] = makeActiveField();
            }
            return { ...super.modelParams, groupByInfo: { stage_id: { activeFields, fields } } };
        }
    };

/** Columns of a kanban view of opportunities, whose stages ask before a card is moved to them. */
export const askingOutcome = (DynamicGroupList) =>
    class extends DynamicGroupList {
        get isGroupedByStage() {
            return this.groupByField?.name === "stage_id";
        }

        /** The stage of a column, with its settings; undefined in other columns, and in those of sample data. */
        getStage({ displayName, record, value }) {
            if (this.isGroupedByStage && record) {
                return { ...record.data, id: value, display_name: displayName };
            }
        }

        /**
         * Nothing is moved before the answer: without one, the card is back where it was.
         *
         * @override
         */
        async moveRecord(dataRecordId, dataGroupId, refId, targetGroupId) {
            const group = this.groups.find(({ id }) => id === targetGroupId);
            const record = this.records.find(({ id }) => id === dataRecordId);
            const stage = group && dataGroupId !== targetGroupId && this.getStage(group);
            if (!stage || !record) {
                return super.moveRecord(...arguments);
            }
            const reload = () => this.model.load();
            if (await askOnArrival(this.model.env.services, stage, [record], { reload })) {
                await super.moveRecord(...arguments);
                if (stage.plans_activities) {
                    // They are planned when the move is done, after its answer.
                    await record.load();
                }
            }
        }
    };
