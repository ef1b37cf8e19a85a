import { crmKanbanView } from "@crm/views/crm_kanban/crm_kanban_view";
import { forecastKanbanView } from "@crm/views/forecast_kanban/forecast_kanban_view";
import { askOnArrival } from "@crm_sales_stage/components/arrival_dialog/ask_on_arrival";
import { registry } from "@web/core/registry";
import { makeActiveField } from "@web/model/relational_model/utils";
import { CrmStageRecordQuickCreate } from "./crm_stage_record_quick_create";

// Fields of the stage that say what its column shows and asks. Odoo reads them along with the columns.
const STAGE_FIELDS = {
    active: "boolean",
    arrival_hints: "json",
    ask_outcome: "boolean",
    asks_for_fields: "boolean",
    has_faulty_automation: "boolean",
    is_won: "boolean",
    plans_activities: "boolean",
    probability: "float",
    probability_mode: "char",
    sends_email: "boolean",
};

/** Makes a kanban view of opportunities whose stages ask before a card is moved to them or created there. */
function makeAskingView(view) {
    class Controller extends view.Controller {
        /**
         * @override
         */
        get modelParams() {
            const activeFields = {};
            const fields = {};
            for (const [name, type] of Object.entries(STAGE_FIELDS)) {
                activeFields[name] = makeActiveField();
                fields[name] = { name, type };
            }
            return { ...super.modelParams, groupByInfo: { stage_id: { activeFields, fields } } };
        }
    }

    class DynamicGroupList extends view.Model.DynamicGroupList {
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
            const sayAfterwards = await askOnArrival(this.model.env.services, stage, [record], { reload });
            if (sayAfterwards) {
                await super.moveRecord(...arguments);
                sayAfterwards();
                if (stage.plans_activities) {
                    // They are planned when the move is done, after its answer.
                    await record.load();
                }
            }
        }
    }

    class Model extends view.Model {
        static DynamicGroupList = DynamicGroupList;
    }

    class Renderer extends view.Renderer {
        static components = {
            ...view.Renderer.components,
            KanbanRecordQuickCreate: CrmStageRecordQuickCreate,
        };
    }

    return { ...view, Controller, Model, Renderer };
}

export const askingKanbanView = makeAskingView(crmKanbanView);

registry.category("views").add("crm_sales_stage_forecast_kanban", makeAskingView(forecastKanbanView));
