import { askLostReason, askOnArrival } from "@crm_sales_stage/components/arrival_dialog/arrival_dialog";
import { Many2OneFieldRotting } from "@mail/js/rotting_mixin/rotting_widget";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { buildM2OFieldDescription } from "@web/views/fields/many2one/many2one_field";

/** Stage of the opportunities in a list: a stage that means "won or lost" asks which, for all that are edited. */
export class StageListField extends Many2OneFieldRotting {
    setup() {
        super.setup();
        this.action = useService("action");
        this.dialog = useService("dialog");
        this.orm = useService("orm");
    }

    /**
     * @override
     */
    get m2oProps() {
        const props = super.m2oProps;
        return {
            ...props,
            update: (value, options) => this.update(value, () => props.update(value, options)),
        };
    }

    /** The opportunities that get another stage: all the selected ones, when one of them is edited. */
    get editedRecords() {
        const { record } = this.props;
        return record.selected && record.model.multiEdit ? record.model.root.selection : [record];
    }

    async update(value, move) {
        const pending = this.editedRecords.filter((record) => record.data.won_status !== "won");
        const answer = pending.length && value ? await this.ask(value, pending) : "move";
        if (answer === "won" || answer === "move") {
            return move();
        }
        const { model } = this.props.record;
        await model.root.leaveEditMode({ discard: true });
        const ids = pending.map((record) => record.resId);
        if (answer === "lost" && (await askLostReason(this.action, ids))) {
            await model.load();
        }
    }

    async ask({ id, display_name }, records) {
        const fields = ["ask_outcome", "is_won"];
        const [stage] = await this.orm.read(this.props.record.fields[this.props.name].relation, [id], fields);
        return askOnArrival(
            this,
            {
                id,
                name: display_name,
                asksForFields: false,
                isOutcomeAsked: stage.ask_outcome && stage.is_won,
            },
            records.map((record) => record.resId),
            records.length === 1 ? records[0].data.name : undefined
        );
    }
}

registry.category("fields").add("list.crm_sales_stage_list", {
    ...buildM2OFieldDescription(StageListField),
});
