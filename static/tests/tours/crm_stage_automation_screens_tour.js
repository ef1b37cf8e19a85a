import { registry } from "@web/core/registry";
import { stepUtils } from "@web_tour/tour_utils";
import { column, openGear } from "./tour_utils";

const openAutomations = [
    ...stepUtils.goToAppSteps("crm.crm_menu_root"),
    { trigger: 'button[data-menu-xmlid="crm.crm_menu_config"]', run: "click" },
    { trigger: 'a[data-menu-xmlid="crm_sales_stage.menu_crm_stage_automation"]', run: "click" },
    { trigger: ".o_list_view, .o_kanban_view" },
];

registry.category("web_tour.tours").add("crm_stage_automation_gear", {
    steps: () => [
        openGear("Relance"),
        { trigger: ".o-dropdown-item.o_group_edit", run: "click" },
        {
            content: "what happens comes first",
            trigger: ".modal .o_field_widget[name=automation_ids] .o_data_cell[name=event_text]:contains(/^a quotation is created$/)",
            run: "click",
        },
        { content: "look first", trigger: ".modal .o_form_view_container button[name=action_preview].btn-secondary, .modal button[name=action_preview].btn-secondary", run: "click" },
        { trigger: ".modal:contains('2 opportunities would move to Relance: 1 from New, 1 from Estimate')" },
        { trigger: ".modal :contains('to the customers of 2 opportunities') [name=email_text]" },
        { content: "without the e-mail", trigger: ".modal [name=sends_email] input", run: "uncheck" },
        {
            content: "leave one out",
            trigger: ".modal .o_data_row:contains('Tour House'):contains('New') [name=is_ticked]",
            run: "click",
        },
        { trigger: ".modal:contains('1 opportunity would move to Relance: 1 from Estimate')" },
        { trigger: ".modal:contains('to 1 customer by e-mail'):contains('for 1 opportunity. Activities: 1')" },
        { content: "then move", trigger: ".modal button[name=action_apply]:contains('Move Them Now')", run: "click" },
        { trigger: ".o_notification:contains('1 opportunity moved.'):contains('Planned activities that Undo removes: 1')" },
        { content: "the pipeline behind follows", trigger: `${column("Relance")} .o_kanban_record:contains("Tour Roof")` },
        { content: "the other one stays", trigger: `${column("New")} .o_kanban_record:contains("Tour House")` },
        { content: "undo", trigger: ".o_notification_buttons button:contains('Undo')", run: "click" },
        { trigger: ".o_notification:contains('1 opportunity moved back.'):contains('Planned activities removed: 1')" },
        { trigger: `body:not(:has(.modal)) ${column("Estimate")} .o_kanban_record:contains("Tour Roof")` },
        { content: "losing is called losing", ...openGear("Won / Lost") },
        { trigger: ".o-dropdown-item.o_group_edit", run: "click" },
        { trigger: ".modal .o_field_widget[name=automation_ids] .o_data_cell[name=event_text]", run: "click" },
        { trigger: ".modal button[name=action_preview].btn-secondary", run: "click" },
        { trigger: ".modal:contains('2 opportunities would be lost: 1 from New, 1 from Estimate')" },
        { trigger: ".modal button[name=action_apply]:contains('Lose Them Now')", run: "click" },
        { trigger: ".o_notification:contains('2 opportunities lost.')" },
        { trigger: ".o_notification:contains('2 opportunities lost.') button:contains('Undo')", run: "click" },
        { trigger: ".o_notification:contains('2 opportunities restored.')" },
        { trigger: `body:not(:has(.modal)) ${column("Estimate")} .o_kanban_record:contains("Tour Roof")` },
    ],
});

registry.category("web_tour.tours").add("crm_stage_automation_mark", {
    steps: () => [
        { content: "the columns are there", trigger: `${column("Relance")} .o_crm_stage_faulty[title]` },
        { trigger: `${column("New")}:not(:has(.o_crm_stage_faulty))` },
        { trigger: `${column("Relance")} .o_crm_stage_faulty`, run: "click" },
        { trigger: ".o_list_view .o_data_row:contains('gone')" },
        { trigger: ".o_data_row:contains('gone') button[name=action_preview]", run: "click" },
        { content: "the dialog says why", trigger: ".modal .alert:contains('gone')" },
        { trigger: ".modal .btn-close", run: "click" },
        { trigger: "body:not(:has(.modal))" },
        ...openAutomations,
        { trigger: ".o_data_row:contains('an order is confirmed') button[name=action_preview]", run: "click" },
        { trigger: ".modal:contains('Nothing would move.')" },
        { content: "no invented cards", trigger: ".modal:not(:has(.o_kanban_view, .o_data_row))" },
        { trigger: ".modal:not(:has(button[name=action_apply])) .btn[special=cancel], .modal .modal-footer button:contains('Close')", run: "click" },
        { trigger: "body:not(:has(.modal))" },
    ],
});

registry.category("web_tour.tours").add("crm_stage_automation_no_mark", {
    steps: () => [
        { trigger: `${column("New")} .o_kanban_record:contains("Tour House")` },
        { trigger: "body:not(:has(.o_crm_stage_faulty))" },
    ],
});

registry.category("web_tour.tours").add("crm_stage_automation_examples", {
    steps: () => [
        ...openAutomations,
        { content: "the empty list offers them", trigger: ".o_view_nocontent a:contains('example')", run: "click" },
        { trigger: ".modal .o_crm_stage_example:contains('Meeting of one team')" },
        { trigger: ".modal .modal-footer button", run: "click" },
        { content: "so does the button beside New", trigger: "body:not(:has(.modal)) .o_control_panel button:contains('Examples')", run: "click" },
        { trigger: ".modal .o_crm_stage_example:contains('Visit planned')", run: "click" },
        { content: "a form that is filled in", trigger: ".o_form_view h2:contains('when a meeting is scheduled')" },
        { trigger: ".o_field_domain:contains('Technical Visit')" },
        {
            content: "a condition more",
            trigger: ".o_field_domain .o_tree_editor a:contains('New Rule'), .o_field_domain .o_tree_editor button:contains('New Rule')",
            run: "click",
        },
        { trigger: ".o_tree_editor_condition:last .o_model_field_selector, .o_model_field_selector:last", run: "click" },
        {
            content: "what it asks of the opportunity",
            trigger: ".o_model_field_selector_popover_item[data-name=opportunity_id] .o_model_field_selector_popover_item_relation",
            run: "click",
        },
        { trigger: ".o_model_field_selector_popover_title:contains('Opportunity')" },
        {
            trigger: ".o_model_field_selector_popover_item[data-name=expected_revenue] button",
            run: "click",
        },
        ...stepUtils.saveForm(),
        { content: "existing documents are counted", trigger: ".o_domain_show_selection_button" },
    ],
});
