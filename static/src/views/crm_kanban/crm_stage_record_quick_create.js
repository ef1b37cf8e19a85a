import { askLostReason, askOnArrival } from "@crm_sales_stage/components/arrival_dialog/arrival_dialog";
import { useService } from "@web/core/utils/hooks";
import {
    KanbanQuickCreateController,
    KanbanRecordQuickCreate,
} from "@web/views/kanban/kanban_record_quick_create";

/** The form at the head of a column, which asks how an opportunity ended where the column means "won or lost". */
class CrmStageQuickCreateController extends KanbanQuickCreateController {
    static props = { ...KanbanQuickCreateController.props, group: Object };

    setup() {
        super.setup();
        this.action = useService("action");
        this.dialog = useService("dialog");
        this.orm = useService("orm");
    }

    get isOutcomeAsked() {
        const { group } = this.props;
        const stage = group.groupByField.name === "stage_id" && group.record?.data;
        return Boolean(stage && stage.ask_outcome && stage.is_won);
    }

    /**
     * Nothing is created before the answer. What was lost from the start was lost in the first stage: a lost
     * opportunity cannot be in a won one.
     *
     * @override
     */
    async validate(mode) {
        if (!this.isOutcomeAsked || this.state.disabled || !(await this.model.root.checkValidity())) {
            return super.validate(mode);
        }
        const { displayName: name, value: id } = this.props.group;
        const stage = { id, name, asksForFields: false, isOutcomeAsked: true };
        const answer = await askOnArrival(this, stage, [], this.model.root.data.name);
        if (answer === "won") {
            return super.validate(mode);
        }
        if (answer === "lost") {
            await this.createLost();
        }
    }

    async createLost() {
        const { model } = this.props.group;
        const first = model.root.groups.find(({ record }) => record && !record.data.is_won);
        const lead = this.model.root;
        await lead.update({ stage_id: { id: first.value, display_name: first.displayName } });
        await lead.save({ reload: false, onError: (error) => this.showFormDialogInError(error) });
        if (lead.resId) {
            await askLostReason(this.action, [lead.resId]);
            this.props.onCancel();
            await model.load();
        }
    }
}

export class CrmStageRecordQuickCreate extends KanbanRecordQuickCreate {
    static components = { KanbanQuickCreateController: CrmStageQuickCreateController };

    /**
     * @override
     */
    async getQuickCreateProps(props) {
        await super.getQuickCreateProps(props);
        this.quickCreateProps.group = props.group;
    }
}
