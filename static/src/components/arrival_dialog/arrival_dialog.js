import { Component, markup, useEffect, useRef, useState } from "@odoo/owl";
import { Dialog } from "@web/core/dialog/dialog";
import { _t } from "@web/core/l10n/translation";
import { parseXML } from "@web/core/utils/xml";
import { Record } from "@web/model/record";
import { extractFieldsFromArchInfo } from "@web/model/relational_model/utils";
import { formatInteger } from "@web/views/fields/formatters";
import { FormArchParser } from "@web/views/form/form_arch_parser";
import { FormRenderer } from "@web/views/form/form_renderer";

const RES_MODEL = "crm.lead";
const FIRST_INPUT = "input:not([type=hidden]), textarea, [contenteditable=true]";

/**
 * Asks what is to be asked when somebody moves opportunities to a stage: the fields that it asks for and that
 * are empty, then how the opportunity ended, when the stage means "won or lost".
 */
export class ArrivalDialog extends Component {
    static template = "crm_sales_stage.ArrivalDialog";
    static components = { Dialog, FormRenderer, Record };
    static props = {
        close: Function,
        name: { type: String, optional: true },
        stageName: { type: String, optional: true },
        resIds: { type: Array, element: Number, optional: true },
        questions: { type: Object, optional: true },
        isOutcomeAsked: Boolean,
        isMoving: { type: Boolean, optional: true },
        onAnswer: Function,
    };
    static defaultProps = { isMoving: true, resIds: [] };

    setup() {
        const { questions } = this.props;
        this.missing = questions?.missing || [];
        this.state = useState({ step: this.missing.length ? "fields" : "outcome", isBusy: false });
        if (questions?.form) {
            this.recordProps = this.getRecordProps(questions.form);
        }
        const body = useRef("body");
        const won = useRef("won");
        useEffect(
            (step) => {
                const target = step === "outcome" ? won.el : body.el.querySelector(FIRST_INPUT);
                target?.focus();
            },
            () => [this.state.step]
        );
    }

    get title() {
        if (this.state.step === "outcome") {
            return _t("Won or lost?");
        }
        const { isMoving, name, stageName } = this.props;
        return isMoving ? _t("Move to %s", stageName) : name || "";
    }

    get isMultiple() {
        return this.props.resIds.length > 1;
    }

    get question() {
        const { name, resIds } = this.props;
        if (this.isMultiple) {
            return _t("How did these %s opportunities end?", formatInteger(resIds.length));
        }
        return name
            ? _t("How did %s end?", markup`<b class="text-break">${name}</b>`)
            : _t("How did this opportunity end?");
    }

    get missingMessage() {
        return _t("%(missing)s of %(count)s opportunities lack something:", {
            missing: this.props.questions.missing_count,
            count: this.props.resIds.length,
        });
    }

    getRecordProps({ arch, fields }) {
        this.archInfo = new FormArchParser().parse(parseXML(arch), { [RES_MODEL]: { fields } }, RES_MODEL);
        return {
            ...extractFieldsFromArchInfo(this.archInfo, fields),
            resModel: RES_MODEL,
            resId: this.props.resIds[0],
            mode: "edit",
            hooks: { onRootLoaded: (record) => (this.record = record) },
        };
    }

    /** @param {boolean} isSaved whether what was filled in is to be saved */
    leaveFields(isSaved) {
        this.isSaved = isSaved && Boolean(this.record);
        if (this.props.isOutcomeAsked) {
            this.state.step = "outcome";
        } else {
            return this.answer("move");
        }
    }

    /**
     * Nothing is written before the last answer, so that who cancels leaves everything as it was.
     *
     * @param {"move" | "won" | "lost" | false} answer
     */
    async answer(answer) {
        if (this.state.isBusy) {
            return;
        }
        if (answer && this.isSaved) {
            this.state.isBusy = true;
            try {
                if (!(await this.record.save({ reload: false }))) {
                    this.state.step = "fields";
                    return;
                }
            } finally {
                this.state.isBusy = false;
            }
        }
        this.props.onAnswer(answer);
        this.props.close();
    }
}

/**
 * @param {Object} dialogService
 * @param {Object} props of the dialog
 * @returns {Promise<"move" | "won" | "lost" | false>} false when the user gave no answer
 */
function openArrivalDialog(dialogService, props) {
    return new Promise((resolve) => {
        dialogService.add(ArrivalDialog, { ...props, onAnswer: resolve }, { onClose: () => resolve(false) });
    });
}

/**
 * Asks whoever moves opportunities to a stage by hand what there is to ask.
 *
 * @param {Object} services
 * @param {Object} services.dialog
 * @param {Object} services.orm
 * @param {Object} stage
 * @param {number} stage.id
 * @param {string} stage.name
 * @param {boolean} stage.asksForFields
 * @param {boolean} stage.isOutcomeAsked
 * @param {number[]} resIds of opportunities, or nothing for a new one
 * @param {string} [name] the opportunity's, where it is one
 * @returns {Promise<"move" | "won" | "lost" | false>} false when nothing is to be moved
 */
export async function askOnArrival({ dialog, orm }, stage, resIds, name) {
    let questions;
    if (stage.asksForFields && resIds.length) {
        questions = await orm.call(RES_MODEL, "get_arrival_questions", [resIds, stage.id]);
    }
    if (!questions?.missing.length && !stage.isOutcomeAsked) {
        return "move";
    }
    return openArrivalDialog(dialog, {
        name: name || undefined,
        stageName: stage.name,
        resIds,
        questions,
        isOutcomeAsked: stage.isOutcomeAsked,
    });
}

/**
 * Lets somebody fill in what the stage of an opportunity asks for, without moving it.
 *
 * @param {Object} services
 * @param {number} stageId
 * @param {number} resId
 * @param {string} name
 * @returns {Promise<boolean>} whether something was saved
 */
export async function askForMissing({ dialog, orm }, stageId, resId, name) {
    const questions = await orm.call(RES_MODEL, "get_arrival_questions", [[resId], stageId]);
    if (!questions.missing.length) {
        return true;
    }
    const props = { name, resIds: [resId], questions, isOutcomeAsked: false, isMoving: false };
    return Boolean(await openArrivalDialog(dialog, props));
}

/**
 * Opens Odoo's own dialog, with its reasons and closing note.
 *
 * @param {Object} actionService
 * @param {number[]} resIds
 * @returns {Promise<boolean>} whether the opportunities were marked as lost
 */
export function askLostReason(actionService, resIds) {
    return new Promise((resolve, reject) => {
        actionService
            .doAction("crm.crm_lead_lost_action", {
                additionalContext: {
                    active_id: resIds[0],
                    active_ids: resIds,
                    active_model: RES_MODEL,
                },
                onClose: (params) => resolve(!params?.dismiss && !params?.special),
            })
            .catch(reject);
    });
}
