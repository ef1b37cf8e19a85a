import { Component, onMounted, onWillDestroy, useState } from "@odoo/owl";
import { Dialog } from "@web/core/dialog/dialog";
import { _t } from "@web/core/l10n/translation";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { formatInteger } from "@web/views/fields/formatters";

const WIZARD = "crm.stage.delete.wizard";

/** Moves the opportunities of stages that are to be deleted, batch by batch, and shows how far it came. */
export class MoveDialog extends Component {
    static template = "crm_sales_stage.MoveDialog";
    static components = { Dialog };
    static props = { close: Function, count: Number, onDeleted: Function, wizardId: Number };

    setup() {
        this.orm = useService("orm");
        this.notification = useService("notification");
        this.title = _t("Moving opportunities");
        this.state = useState({ left: this.props.count });
        this.isStopped = false;
        this.env.dialogData.dismiss = () => this.stop();
        onMounted(() => this.move());
        onWillDestroy(() => this.stop());
    }

    get moved() {
        return Math.max(0, this.props.count - this.state.left);
    }

    get percentage() {
        return Math.round((100 * this.moved) / this.props.count);
    }

    get progress() {
        return _t("%(moved)s of %(count)s moved", {
            moved: formatInteger(this.moved),
            count: formatInteger(this.props.count),
        });
    }

    async move() {
        try {
            while (this.state.left && !this.isStopped) {
                this.state.left = await this.orm.silent.call(WIZARD, "move_batch", [[this.props.wizardId]]);
            }
            if (this.state.left) {
                this.notification.add(_t("%s. Delete the stage again to move the others.", this.progress), {
                    type: "warning",
                });
            } else {
                this.props.onDeleted(await this.orm.call(WIZARD, "action_delete", [[this.props.wizardId]]));
            }
        } finally {
            this.props.close();
        }
    }

    stop() {
        this.isStopped = true;
    }
}

registry.category("actions").add("crm_sales_stage_move_opportunities", async ({ bus, services }, { params }) => {
    let next = { type: "ir.actions.act_window_close" };
    await new Promise((onClose) => {
        const onDeleted = (action) => (next = action);
        services.dialog.add(
            MoveDialog,
            { count: params.count, onDeleted, wizardId: params.wizard_id },
            { onClose }
        );
    });
    // Also when it was stopped before all had moved
    bus.trigger("CRM_STAGE:DONE");
    return next;
});
