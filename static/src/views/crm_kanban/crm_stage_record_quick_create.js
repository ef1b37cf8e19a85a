import { askOnArrival } from "@crm_sales_stage/components/arrival_dialog/ask_on_arrival";
import {
    KanbanQuickCreateController,
    KanbanRecordQuickCreate,
} from "@web/views/kanban/kanban_record_quick_create";

/** The form at the head of a column, which asks how an opportunity ended where the column means "won or lost". */
class CrmStageQuickCreateController extends KanbanQuickCreateController {
    static props = { ...KanbanQuickCreateController.props, group: Object };

    /**
     * Nothing is created before the answer.
     *
     * @override
     */
    async validate(mode) {
        const { group, onCancel } = this.props;
        const lead = this.model.root;
        const stage = group.model.root.getStage(group);
        if (!stage || this.state.disabled || !(await lead.checkValidity())) {
            return super.validate(mode);
        }
        const beforeLost = () => this.createLost(lead, group.model.root.groups);
        if (await askOnArrival(this.env.services, stage, [lead], { beforeLost })) {
            return super.validate(mode);
        }
        if (lead.resId) {
            onCancel();
            await group.model.load();
        }
    }

    /** A lost opportunity cannot be in a won stage: what was lost from the start was lost in the first one. */
    async createLost(lead, groups) {
        const { value: id, displayName } = groups.find(({ record }) => record && !record.data.is_won);
        await lead.update({ stage_id: { id, display_name: displayName } });
        await lead.save({ reload: false, onError: (error) => this.showFormDialogInError(error) });
        return Boolean(lead.resId);
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
