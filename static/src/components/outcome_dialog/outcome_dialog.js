import { Component, markup } from "@odoo/owl";
import { Dialog } from "@web/core/dialog/dialog";
import { _t } from "@web/core/l10n/translation";
import { useAutofocus } from "@web/core/utils/hooks";

/** Asks how an opportunity ended, when it reaches a stage that means "won or lost". */
export class OutcomeDialog extends Component {
    static template = "crm_sales_stage.OutcomeDialog";
    static components = { Dialog };
    static props = {
        close: Function,
        name: { type: String, optional: true },
        onAnswer: Function,
    };

    setup() {
        useAutofocus({ refName: "won" });
        this.title = _t("Won or lost?");
        const { name } = this.props;
        this.question = name
            ? _t("How did %s end?", markup`<b class="text-break">${name}</b>`)
            : _t("How did this opportunity end?");
    }

    answer(outcome) {
        this.props.onAnswer(outcome);
        this.props.close();
    }
}

/**
 * @param {Object} dialogService
 * @param {string} [name] the opportunity's
 * @returns {Promise<"won" | "lost" | false>} false when the user gave no answer
 */
export function askOutcome(dialogService, name) {
    return new Promise((resolve) => {
        dialogService.add(
            OutcomeDialog,
            { name: name || undefined, onAnswer: resolve },
            { onClose: () => resolve(false) }
        );
    });
}

/**
 * Opens Odoo's own dialog, with its reasons and closing note.
 *
 * @param {Object} actionService
 * @param {number} resId
 * @returns {Promise<boolean>} whether the opportunity was marked as lost
 */
export function askLostReason(actionService, resId) {
    return new Promise((resolve, reject) => {
        actionService
            .doAction("crm.crm_lead_lost_action", {
                additionalContext: {
                    active_id: resId,
                    active_ids: [resId],
                    active_model: "crm.lead",
                },
                onClose: (params) => resolve(!params?.dismiss && !params?.special),
            })
            .catch(reject);
    });
}
