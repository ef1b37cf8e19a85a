import { registry } from "@web/core/registry";
import { stepUtils } from "@web_tour/tour_utils";
import { cardIn, open } from "./tour_utils";

const OPPORTUNITY = "Tour House";

const openPipeline = () => open("action-crm.crm_lead_action_pipeline?view_type=kanban", ".o_opportunity_kanban");

function openOpportunity(column) {
    return [
        { content: "open the opportunity", trigger: cardIn(column, OPPORTUNITY), run: "click" },
        { trigger: `.o_form_view .o_field_widget[name=name] input:value(${OPPORTUNITY}), .o_form_view h1 textarea:value(${OPPORTUNITY})` },
    ];
}

function createQuotation() {
    return [
        { content: "new quotation", trigger: "button[name=action_sale_quotations_new]", run: "click" },
        { trigger: ".o_sale_order .o_field_widget[name=order_line]" },
        ...stepUtils.saveForm(),
    ];
}

registry.category("web_tour.tours").add("crm_stage_automation_consultant", {
    url: "/odoo",
    steps: () => [
        ...stepUtils.goToAppSteps("crm.crm_menu_root"),
        {
            content: "add a column",
            trigger: ".o_opportunity_kanban .o_column_quick_create.o_quick_create_folded .o_quick_create_button",
            run: "click",
        },
        { trigger: ".o_column_quick_create input", run: "edit Measured" },
        { trigger: ".o_column_quick_create .o_kanban_add", run: "click" },
        { trigger: '.o_kanban_group:has(.o_column_title:contains("Measured"))' },
        { trigger: 'button[data-menu-xmlid="crm.crm_menu_config"]', run: "click" },
        { trigger: 'a[data-menu-xmlid="crm.menu_crm_lead_stage_act"]', run: "click" },
        { content: "open the new stage", trigger: '.o_list_view .o_data_cell:contains("Measured")', run: "click" },
        {
            content: "add an automation",
            trigger: ".o_form_view .o_field_widget[name=automation_ids] .o_field_x2many_list_row_add button, .o_form_view .o_field_widget[name=automation_ids] .o_field_x2many_list_row_add a",
            run: "click",
        },
        { trigger: ".modal .modal-title:contains('Create an Automation')" },
        { content: "choose what must happen", trigger: ".modal .o_field_widget[name=trigger] input", run: "click" },
        { content: "in groups, quotations first", trigger: ".o_select_menu_group:first:contains('Quotation')" },
        { trigger: ".o_select_menu_group:last:contains('Time')" },
        { trigger: ".o_select_menu_item:contains('a quotation is created')", run: "click" },
        { content: "the condition is about quotations now", trigger: ".modal .o_field_widget[name=filter_domain]" },
        { trigger: ".modal .o_form_button_save", run: "click" },
        { trigger: ".o_field_widget[name=automation_ids] .o_data_row" },
        ...stepUtils.saveForm(),
        {
            content: "the automation reads as a sentence",
            trigger: `.o_field_widget[name=automation_ids] .o_data_row:contains("a quotation is created")`,
        },
        ...openPipeline(),
        ...openOpportunity("New"),
        ...createQuotation(),
        ...openPipeline(),
        { content: "the card has moved", trigger: cardIn("Measured", OPPORTUNITY) },
    ],
});

registry.category("web_tour.tours").add("crm_stage_automation_menu", {
    url: "/odoo",
    steps: () => [
        ...stepUtils.goToAppSteps("crm.crm_menu_root"),
        { trigger: 'button[data-menu-xmlid="crm.crm_menu_config"]', run: "click" },
        { trigger: 'a[data-menu-xmlid="crm_sales_stage.menu_crm_stage_automation"]', run: "click" },
        { trigger: ".o_control_panel button:contains('Examples')", run: "click" },
        { content: "those that exist are marked", trigger: ".modal .o_crm_stage_example:contains('Quotation sent') .badge" },
        { trigger: ".modal .o_crm_stage_example:contains('Visit over'):not(:has(.badge))" },
        { trigger: ".modal .o_crm_stage_example:contains('Visit planned')", run: "click" },
        { content: "so does the form", trigger: ".o_form_view .alert-warning:contains('This is a duplicate')" },
        { trigger: ".o_field_domain button[aria-label='Delete rule']", run: "click" },
        {
            content: "what saving it would change",
            trigger: ".o_form_view .alert-warning:contains('The condition of another automation has no effect then')",
        },
        { trigger: ".o_form_button_cancel", run: "click" },
        {
            trigger: `.o_data_row:contains('Move to "Technical Visit" when a meeting is scheduled') .o_data_cell[name=name]`,
            run: "click",
        },
        { content: "the condition in Odoo's editor", trigger: ".o_form_view .o_field_domain:contains('Tags')" },
        { content: "what would it move", trigger: "button[name=action_preview]", run: "click" },
        { trigger: ".modal:contains('would move')" },
    ],
});

registry.category("web_tour.tours").add("crm_stage_automation_salesperson", {
    url: "/odoo",
    steps: () => [
        ...stepUtils.goToAppSteps("crm.crm_menu_root"),
        ...openOpportunity("New"),
        ...createQuotation(),
        ...openPipeline(),
        { content: "a quotation was created", trigger: cardIn("Estimate", OPPORTUNITY) },
        ...openOpportunity("Estimate"),
        { content: "plan the visit", trigger: ".o-mail-Chatter-activity", run: "click" },
        { trigger: '.modal .o_field_widget[name=activity_type_id] span:contains("Technical Visit")', run: "click" },
        { trigger: ".modal button[name=action_schedule_activities]", run: "click" },
        { trigger: '.o-mail-Activity:contains("Technical Visit")' },
        ...openPipeline(),
        { content: "a visit was planned", trigger: cardIn("Technical Visit", OPPORTUNITY) },
        ...openOpportunity("Technical Visit"),
        { trigger: "button[name=action_view_sale_quotation]", run: "click" },
        { content: "send the quotation", trigger: ".o_sale_order button[name=action_quotation_send]", run: "click" },
        { trigger: ".modal button[name=action_send_mail]", run: "click" },
        { trigger: 'body:not(:has(.modal)) .o_arrow_button_current[data-value="sent"], body:not(:has(.modal)) .o_statusbar_status button[data-value="sent"][aria-checked="true"]' },
        ...openPipeline(),
        { content: "the quotation was sent", trigger: cardIn("Quotation", OPPORTUNITY) },
    ],
});
