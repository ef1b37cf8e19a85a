import { registry } from "@web/core/registry";
import { stepUtils } from "@web_tour/tour_utils";

/** The form shows stage and probability as they are now, without being loaded anew by the user. */
function isAt(stage, probability) {
    return [
        {
            content: `the status bar says ${stage}`,
            trigger: `.o_statusbar_status button[aria-checked="true"]:contains("${stage}")`,
        },
        {
            content: `the probability is ${probability}`,
            trigger: `.o_field_widget[name=probability] input:value(${probability})`,
        },
    ];
}

registry.category("web_tour.tours").add("crm_stage_automation_follow", {
    steps: () => [
        ...isAt("New", "10.00"),
        { content: "somebody types meanwhile", trigger: ".o_field_widget[name=expected_revenue] input", run: "edit 4321" },
        { content: "an activity is done", trigger: ".o-mail-Activity-markDone", run: "click" },
        { trigger: ".o-mail-ActivityMarkAsDone button[aria-label='Done']", run: "click" },
        ...isAt("Technical Visit", "50.00"),
        { content: "what was typed is kept", trigger: ".o_field_widget[name=expected_revenue] input:value(4,321.00)" },
        { content: "a message is sent", trigger: ".o-mail-Chatter-sendMessage", run: "click" },
        { trigger: ".o-mail-Composer-input", run: "edit Here is our offer" },
        { trigger: ".o-mail-Composer-send:enabled", run: "click" },
        { trigger: ".o-mail-Message:contains('Here is our offer')" },
        ...isAt("Quotation", "75.00"),
        { content: "a quotation is made", trigger: "button[name=action_sale_quotations_new]", run: "click" },
        { trigger: ".o_sale_order .o_field_widget[name=order_line]" },
        ...stepUtils.saveForm(),
        { content: "back to the opportunity", trigger: ".o_back_button, .breadcrumb-item a:contains('Tour House')", run: "click" },
        ...isAt("Relance", "80.00"),
    ],
});

registry.category("web_tour.tours").add("crm_stage_automation_follow_composer", {
    steps: () => [
        ...isAt("New", "10.00"),
        { content: "an activity is planned", trigger: ".o-mail-Chatter-activity", run: "click" },
        { trigger: ".modal button[name=action_schedule_activities]", run: "click" },
        ...isAt("Technical Visit", "50.00"),
        { content: "a message is sent from the large composer", trigger: ".o-mail-Chatter-sendMessage", run: "click" },
        { trigger: ".o-mail-Composer-fullComposer, button[title='Open Full Composer']", run: "click" },
        { trigger: ".modal .o_mail_send, .modal button[name=action_send_mail]:enabled", run: "click" },
        { trigger: "body:not(:has(.modal))" },
        ...isAt("Quotation", "75.00"),
    ],
});
