/** What is asked before opportunities are moved to a stage by hand, and what follows from the answer. */
import { _t } from "@web/core/l10n/translation";
import { ArrivalDialog } from "./arrival_dialog";

const STAGE_FIELDS = ["display_name", "ask_outcome", "asks_for_fields", "is_won", "sends_email"];

/** Reads what a stage asks, where it was not read along with the view. */
export async function readStage({ orm }, stageId) {
    const [stage] = await orm.read("crm.stage", [stageId], STAGE_FIELDS);
    return stage;
}

/** Opens Odoo's own dialog, and returns whether the opportunities were marked as lost there. */
function askLostReason({ action }, resIds) {
    return new Promise((resolve, reject) => {
        const context = { active_id: resIds[0], active_ids: resIds, active_model: "crm.lead" };
        const onClose = (params) => resolve(!params?.dismiss && !params?.special);
        // Odoo would focus the closing note, after the reasons.
        action
            .doAction("crm.crm_lead_lost_action", { additionalContext: context, onClose })
            .then(() => document.querySelector(".o_dialog [name=lost_reason_id] input")?.focus(), reject);
    });
}

function notifySent({ notification }, { email, unsent } = {}) {
    if (unsent) {
        notification.add(unsent, { type: "warning" });
    } else if (email) {
        notification.add(_t('The e-mail "%s" was sent.', email), { type: "info" });
    }
}

/**
 * Asks for the empty fields that a stage asks for, and how the opportunities ended if it means "won or lost". That
 * the stage sends an e-mail is said there; where nothing is asked, afterwards.
 * Nothing is moved here: opportunities that are lost are marked as lost where they are.
 *
 * @param {Object} services of the environment
 * @param {Object} stage its id, and the fields that readStage reads; the opportunity's own one, which it is not
 *  moved to, has no name
 * @param {Object[]} leads records of the opportunities; a new one is not asked for fields
 * @param {Object} [hooks]
 * @param {() => Promise<boolean>} [hooks.beforeLost] saves the opportunities; false if that is not possible
 * @param {() => Promise<void>} [hooks.reload] shows the opportunities after they were lost
 * @returns {Promise<false | (() => void)>} what says afterwards which e-mail was sent; false unless the
 *  opportunities are to be moved, or have what their own stage asks for
 */
export async function askOnArrival(services, stage, leads, { beforeLost, reload } = {}) {
    const pending = leads.filter(({ data }) => data.won_status !== "won");
    const isOutcomeAsked = Boolean(stage.ask_outcome && stage.is_won && pending.length);
    const asked = isOutcomeAsked ? pending : leads;
    const getIds = () => asked.map(({ resId }) => resId).filter(Boolean);
    let questions;
    if ((stage.asks_for_fields || stage.sends_email) && getIds().length) {
        questions = await services.orm.call("crm.lead", "get_arrival_questions", [getIds(), stage.id]);
    }
    if (!questions?.missing.length && !isOutcomeAsked) {
        return () => notifySent(services, questions);
    }
    const answer = await new Promise((resolve) => {
        const props = { isOutcomeAsked, leads: asked, onAnswer: resolve, questions, stage };
        services.dialog.add(ArrivalDialog, props, { onClose: () => resolve(false) });
    });
    if (answer !== "lost") {
        return answer && (() => {});
    }
    if ((await beforeLost?.()) !== false && (await askLostReason(services, getIds()))) {
        await reload?.();
    }
    return false;
}
