import { registry } from "@web/core/registry";
import { click, noDialog } from "./tour_utils";

const dialog = ".o_crm_stage_explanation";
const reason = (name, text) => `${dialog} .o_crm_stage_reason:contains('${name}'):contains('${text}')`;
const why = ".o_form_view header button:contains('Why in this stage?'), .o_form_view .o_statusbar_buttons button:contains('Why in this stage?')";
const close = [click(`${dialog} footer .btn-primary`), noDialog];

// A salesperson asks, sends the quotation that is missing, and asks again.
registry.category("web_tour.tours").add("crm_sales_stage_explanation_salesperson", {
    steps: () => [
        click(why),
        { trigger: `${dialog} .o_crm_stage_stay:contains('Estimate')` },
        { trigger: reason("a quotation is sent", "No quotation was sent.") },
        { trigger: `${dialog}:not(:has(button:contains('Open Automation')))` },
        ...close,
        click("button[name=action_view_sale_quotation]"),
        click(".o_sale_order button[name=action_quotation_send]"),
        click(".modal button[name=action_send_mail]"),
        { trigger: 'body:not(:has(.modal)) .o_statusbar_status button[data-value="sent"][aria-checked="true"]' },
        click(".o_back_button, .breadcrumb-item a:contains('Tour House')"),
        { trigger: ".o_statusbar_status button[aria-checked='true']:contains('Quotation')" },
        click(why),
        { trigger: `${dialog} .o_crm_stage_stay:contains('Quotation'):contains('a quotation is sent')` },
        { content: "The document opens", trigger: `${dialog} .o_crm_stage_stay button:contains('S0')`, run: "click" },
        { trigger: ".o_sale_order .o_field_widget[name=order_line]" },
    ],
});

// A manager asks in the menu of the card, and lets the automation do what it would have done.
registry.category("web_tour.tours").add("crm_sales_stage_explanation_manager", {
    steps: () => [
        { trigger: ".o_kanban_record:contains('Tour House')", run: "hover && click .o_kanban_record:contains('Tour House') .o_dropdown_kanban .btn" },
        click(".o-dropdown--menu .dropdown-item:contains('Why in this stage?')"),
        { trigger: reason("a quotation is created", "It happened before the automation began to count") },
        click(`${dialog} .o_crm_stage_reason[data-reason=before] button:contains('Move Now')`),
        { trigger: ".o_kanban_group:has(.o_column_title:contains('Estimate')) .o_kanban_record:contains('Tour House')" },
        { trigger: ".o_notification:contains('1 opportunity moved.')" },
        { trigger: ".o_kanban_record:contains('Tour House')", run: "hover && click .o_kanban_record:contains('Tour House') .o_dropdown_kanban .btn" },
        click(".o-dropdown--menu .dropdown-item:contains('Why in this stage?')"),
        click(`${dialog} .o_crm_stage_reason:contains('a quotation is sent') button:contains('Open Automation')`),
        { trigger: ".o_form_view .o_field_widget[name=trigger]" },
    ],
});
