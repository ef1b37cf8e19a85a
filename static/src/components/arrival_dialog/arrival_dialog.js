import { Component, markup, onMounted, useRef, useState } from "@odoo/owl";
import { Dialog } from "@web/core/dialog/dialog";
import { _t } from "@web/core/l10n/translation";
import { useAutofocus } from "@web/core/utils/hooks";
import { parseXML } from "@web/core/utils/xml";
import { Record } from "@web/model/record";
import { extractFieldsFromArchInfo } from "@web/model/relational_model/utils";
import { formatInteger } from "@web/views/fields/formatters";
import { FormArchParser } from "@web/views/form/form_arch_parser";
import { FormRenderer } from "@web/views/form/form_renderer";

const RES_MODEL = "crm.lead";
const INPUT = "input:not([type=hidden]), textarea, [contenteditable=true]";

/**
 * Asks for the fields of an opportunity that a stage asks for and that are empty, then how it ended, when the
 * stage means "won or lost". Nothing is saved before the last answer: Cancel leaves everything as it was.
 */
export class ArrivalDialog extends Component {
    static template = "crm_sales_stage.ArrivalDialog";
    static components = { Dialog, FormRenderer, Record };
    // The stage that the opportunities are moved to; without a name, the one that they are in.
    static props = ["close", "isOutcomeAsked", "leads", "onAnswer", "questions?", "stage"];

    setup() {
        const { questions } = this.props;
        this.hasMissing = Boolean(questions?.missing.length);
        this.state = useState({ step: this.hasMissing ? "fields" : "outcome" });
        if (this.hasMissing) {
            const { arch, fields } = questions.form;
            this.archInfo = new FormArchParser().parse(
                parseXML(arch),
                { [RES_MODEL]: { fields } },
                RES_MODEL
            );
            this.recordProps = {
                ...extractFieldsFromArchInfo(this.archInfo, fields),
                resModel: RES_MODEL,
                resId: this.props.leads[0].resId,
                mode: "edit",
                hooks: { onRootLoaded: (record) => (this.record = record) },
            };
        }
        const body = useRef("body");
        const save = useRef("save");
        onMounted(() => {
            const input = body.el.querySelector(INPUT);
            // The picker of a date opens when that has the focus, over the buttons.
            (input?.closest(".o_field_date, .o_field_datetime") ? save.el : input)?.focus();
        });
        useAutofocus({ refName: "won" });
    }

    /** Of the only opportunity, where the view shows it */
    get name() {
        const { leads } = this.props;
        return (leads.length === 1 && leads[0].data.name) || "";
    }

    get title() {
        if (this.state.step === "outcome") {
            return _t("Won or lost?");
        }
        const { display_name } = this.props.stage;
        return display_name ? _t("Move to %s", display_name) : this.name;
    }

    get question() {
        const { length } = this.props.leads;
        if (length > 1) {
            return _t("How did these %s opportunities end?", formatInteger(length));
        }
        return this.name
            ? _t("How did %s end?", markup`<b class="text-break">${this.name}</b>`)
            : _t("How did this opportunity end?");
    }

    /** That the move sends an e-mail; nothing where opportunities stay in their stage. */
    get sent() {
        const email = this.props.stage.display_name && this.props.questions?.email;
        return email && _t('The move sends the e-mail "%s".', email);
    }

    /** @param {boolean} isSaved whether what was filled in is to be saved */
    leaveFields(isSaved) {
        this.isSaved = isSaved;
        if (!this.props.isOutcomeAsked) {
            return this.answer("move");
        }
        this.state.step = "outcome";
    }

    /** @param {"move" | "won" | "lost" | false} answer */
    async answer(answer) {
        if (answer && this.isSaved && !(await this.record.save({ reload: false }))) {
            this.state.step = "fields";
            return;
        }
        this.props.onAnswer(answer);
        this.props.close();
    }
}
