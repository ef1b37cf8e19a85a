import { askOnArrival, readStage } from "@crm_sales_stage/components/arrival_dialog/ask_on_arrival";
import { Many2OneFieldRotting } from "@mail/js/rotting_mixin/rotting_widget";
import { registry } from "@web/core/registry";
import { buildM2OFieldDescription } from "@web/views/fields/many2one/many2one_field";

/** Stage of the opportunities in a list: a stage that means "won or lost" asks which, for all that are edited. */
export class StageListField extends Many2OneFieldRotting {
    /**
     * @override
     */
    get m2oProps() {
        const props = super.m2oProps;
        return {
            ...props,
            update: async (value, options) => {
                if (!value || (await this.ask(value.id))) {
                    return props.update(value, options);
                }
                await this.leaveEditMode();
            },
        };
    }

    async ask(stageId) {
        const { record } = this.props;
        const { model } = record;
        const read = await readStage(this.env.services, stageId);
        // A list does not ask for fields.
        const stage = { ...read, asks_for_fields: false, sends_email: false };
        const leads = record.selected && model.multiEdit ? model.root.selection : [record];
        return askOnArrival(this.env.services, stage, leads, {
            beforeLost: () => this.leaveEditMode(),
            reload: () => model.load(),
        });
    }

    async leaveEditMode() {
        await this.props.record.model.root.leaveEditMode({ discard: true });
    }
}

registry.category("fields").add("list.crm_sales_stage_list", {
    ...buildM2OFieldDescription(StageListField),
    listViewWidth: [127], // at least: the names of stages are not cut for those of opportunities
});
