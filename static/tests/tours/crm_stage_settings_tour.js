import { registry } from "@web/core/registry";
import { card, cardIn, column, dragCard, expectColumns, noDialog, openGear, search } from "./tour_utils";

const tours = registry.category("web_tour.tours");

/** Opens the gear of a column and clicks on one of its items. */
const gear = (name, item) => [
    openGear(name),
    { trigger: `.o-dropdown--menu ${item}`, run: "click" },
];

/** Clicks on an item of the action menu. */
const act = (name) => [
    { trigger: ".o_cp_action_menus .dropdown-toggle:not(:has(.fa-print))", run: "click" },
    { trigger: `.o-dropdown--menu .o_menu_item:contains('${name}')`, run: "click" },
];

/** Chooses a stage in the dialog that deletes. */
const chooseTarget = (name) => [
    { trigger: ".modal [name=target_stage_id] input", run: `edit ${name}` },
    { trigger: `.o-autocomplete--dropdown-item a:contains('${name}')`, run: "click" },
];

/** Goes back to the pipeline from where a dialog led, which has to show these rows without an error. */
const seeListAndReturn = (...names) => [
    { trigger: `.o_list_view${names.map((name) => `:has(.o_data_row:contains('${name}'))`).join("")}` },
    { trigger: "body:not(:has(.modal)):not(:has(.o_loading_indicator)) .o_breadcrumb .o_back_button", run: "click" },
    { trigger: cardIn("Technical Visit", "Kitchen") },
    noDialog,
];

tours.add("crm_sales_stage_gear", {
    steps: () => [
        { trigger: cardIn("Technical Visit", "Kitchen") },
        ...gear("Technical Visit", ".o_group_delete"),
        {
            content: "The dialog shows what is in there",
            trigger: ".modal [name=contents]:contains('1 active, 0 archived, 1 lost')",
        },
        {
            content: "Without a stage to move to nothing happens",
            trigger: ".modal button[name=action_move_and_delete]",
            run: "click",
        },
        { trigger: ".modal:contains('Choose the stage to move') .modal-footer .btn-primary", run: "click" },
        { content: "Where a dialog leads", trigger: ".modal button[name=action_show_opportunities]", run: "click" },
        ...seeListAndReturn("Kitchen", "Bathroom"),
        ...gear("Technical Visit", ".o_group_edit"),
        { trigger: ".modal .o_form_view [name=lost_here_count]:contains('1')" },
        { trigger: ".modal button:contains('Show')", run: "click" },
        ...seeListAndReturn("Bathroom"),
        ...gear("Technical Visit", ".o_group_edit"),
        { trigger: ".modal button:contains('Analyze')", run: "click" },
        { trigger: ".o_graph_view" },
        { trigger: "body:not(:has(.modal)) .o_breadcrumb .o_back_button", run: "click" },
        { trigger: cardIn("Technical Visit", "Kitchen") },
        ...gear("Technical Visit", ".o_group_edit"),
        { content: "Closed without a change", trigger: ".modal .btn-close", run: "click" },
        noDialog,
        ...gear("Technical Visit", ".o_group_delete"),
        { trigger: ".modal .o_form_button_cancel, .modal button[special=cancel]", run: "click" },
        noDialog,
        { trigger: cardIn("Technical Visit", "Kitchen") },
        ...gear("Technical Visit", ".o_group_delete"),
        { trigger: ".modal button[name=action_archive]", run: "click" },
        {
            content: "Archived instead, and marked at once",
            trigger: `${column("Technical Visit")}:has(.o_crm_stage_archived) ${card("Kitchen")}`,
        },
        noDialog,
        ...gear("Technical Visit", ".o_group_unarchive"),
        { trigger: `${column("Technical Visit")}:not(:has(.o_crm_stage_archived)) ${card("Kitchen")}` },
        ...gear("Technical Visit", ".o_group_delete"),
        ...chooseTarget("Estimate"),
        { trigger: ".modal button[name=action_move_and_delete]", run: "click" },
        { trigger: cardIn("Estimate", "Kitchen") },
        expectColumns("New", "Estimate", "Quotation", "Won / Lost"),
        { trigger: ".o_crm_stage_notification button:contains('Show Them')", run: "click" },
        { trigger: ".o_list_view:has(.o_data_row:contains('Kitchen')):has(.o_data_row:contains('Bathroom'))" },
        noDialog,
        { trigger: ".o_breadcrumb .o_back_button", run: "click" },
        { trigger: cardIn("Estimate", "Kitchen") },
        ...gear("Quotation", ".o_group_delete"),
        { content: "An empty one", trigger: ".modal button[name=action_delete]", run: "click" },
        { trigger: "body:not(:has(.o_column_title:contains('Quotation')))" },
        noDialog,
    ],
});

tours.add("crm_sales_stage_delete_on_form_and_in_list", {
    steps: () => [
        { trigger: ".o_data_row .o_data_cell[name=name]:contains('Technical Visit')", run: "click" },
        { trigger: ".o_form_view [name=name] input:value('Technical Visit')" },
        ...act("Archive"),
        { trigger: ".modal-body:contains('keeps its column until its open opportunity has left it')" },
        { trigger: ".modal-footer .btn-primary:contains('Archive')", run: "click" },
        {
            content: "What stopped does not look active",
            trigger: ".o_form_view:contains('They are at rest while the stage is archived') .o_data_row.text-muted",
        },
        { trigger: ".o_notification button:contains('Undo')", run: "click" },
        { trigger: ".o_form_view:not(:contains('They are at rest'))" },
        { trigger: ".o_cp_action_menus .dropdown-toggle", run: "click" },
        { trigger: ".o-dropdown--menu .o_menu_item:contains('Delete')", run: "click" },
        { trigger: ".modal:contains('Or archive instead: \"Technical Visit\" keeps its column until')" },
        {
            content: "The dialog counts, instead of Odoo's that is refused afterwards",
            trigger: ".modal [name=contents]:contains('1 active, 1 archived')",
        },
        { trigger: ".modal button[name=action_show_opportunities]", run: "click" },
        {
            content: "Inactive ones are shown too",
            trigger: ".o_list_view:has(.o_data_row:contains('Kitchen')):has(.o_data_row:contains('Bathroom'))",
        },
        noDialog,
        { trigger: ".o_data_row:nth-of-type(2)" },
        { trigger: ".o_list_view:not(:has(.o_data_row:nth-of-type(3) .o_data_cell))" },
        { trigger: ".o_breadcrumb a:contains('Technical Visit')", run: "click" },
        { trigger: ".o_form_view [name=name] input:value('Technical Visit')" },
        { trigger: ".o_cp_action_menus .dropdown-toggle", run: "click" },
        { trigger: ".o-dropdown--menu .o_menu_item:contains('Delete')", run: "click" },
        ...chooseTarget("Quotation"),
        { trigger: ".modal button[name=action_move_and_delete]", run: "click" },
        {
            content: "The form of the deleted stage is left for the list",
            trigger: ".o_list_view:has(.o_data_row:contains('Estimate')):not(:has(.o_data_row:contains('Technical Visit')))",
        },
        noDialog,

        { trigger: ".o_data_row:contains('Estimate') .o_list_record_selector input", run: "click" },
        { trigger: ".o_data_row:contains('Quotation') .o_list_record_selector input", run: "click" },
        ...act("Archive"),
        { trigger: `.modal-body:contains('"Estimate" leaves the pipeline'):contains('"Quotation" keeps its column')` },
        { trigger: ".modal-footer .btn-secondary", run: "click" },
        noDialog,
        { trigger: ".o_cp_action_menus .dropdown-toggle:contains('Actions')", run: "click" },
        {
            content: "There is one Delete, and it is ours",
            trigger: ".o-dropdown--menu .o_menu_item:contains('Delete')",
            run({ queryAll }) {
                const found = queryAll(".o-dropdown--menu .o_menu_item:contains('Delete')").length;
                if (found !== 1) {
                    throw new Error(`${found} actions delete`);
                }
            },
        },
        { trigger: ".o-dropdown--menu .o_menu_item:contains('Delete')", run: "click" },
        { trigger: ".modal [name=stage_ids]:contains('Estimate'):contains('Quotation')" },
        ...chooseTarget("New"),
        { trigger: ".modal button[name=action_move_and_delete]", run: "click" },
        noDialog,
        { trigger: ".o_list_view:not(:has(.o_data_row:contains('Estimate')))" },
        { trigger: ".o_list_view:has(.o_data_row:contains('New'))" },
    ],
});

tours.add("crm_sales_stage_archive_stage", {
    steps: () => [
        { trigger: cardIn("Technical Visit", "Kitchen") },
        ...gear("Quotation", ".o_group_archive"),
        { trigger: `.modal-body:contains('"Quotation" leaves the pipeline')` },
        { trigger: ".modal-footer .btn-primary:contains('Archive')", run: "click" },
        noDialog,
        { trigger: ".o_kanban_renderer:not(:has(.o_column_title:contains('Quotation')))" },
        { trigger: ".o_notification:contains('The stage \"Quotation\" is archived')" },
        { trigger: ".o_notification button:contains('Undo')", run: "click" },
        { content: "The column is back", trigger: column("Quotation") },
        ...gear("Technical Visit", ".o_group_archive"),
        {
            content: "It says what keeps the column, and what stops",
            trigger:
                '.modal-body:contains("until its 2 open opportunities have left it"):contains("at rest until"):contains("a meeting is scheduled")',
        },
        { trigger: ".modal-footer .btn-primary:contains('Archive')", run: "click" },
        {
            content: "Nothing disappears: the column stays, marked",
            trigger: `${column("Technical Visit")}:has(.o_crm_stage_archived) ${card("Kitchen")}`,
        },
        { trigger: cardIn("Technical Visit", "Kitchen"), run: "click" },
        {
            content: "The form shows the opportunity's archived stage",
            trigger: ".o_statusbar_status .o_arrow_button_current:contains('Technical Visit')",
        },
        { trigger: ".o_back_button", run: "click" },
        ...gear("Won / Lost", ".o_group_archive"),
        { trigger: ".modal:contains('A pipeline needs a won stage')" },
        { trigger: ".modal-footer .btn-secondary", run: "click" },
        noDialog,
        dragCard("Kitchen", "Technical Visit", "Quotation"),
        dragCard("Bathroom", "Technical Visit", "Quotation"),
        { trigger: `${column("Quotation")}:has(${card("Kitchen")}) ${card("Bathroom")}` },
        ...search("Kitchen"),
        {
            content: "The emptied archived column has left the pipeline",
            trigger: `.o_kanban_renderer:not(:has(.o_column_title:contains('Technical Visit')))`,
        },
    ],
});

tours.add("crm_sales_stage_add_stage", {
    steps: () => [
        { trigger: cardIn("Technical Visit", "Kitchen") },
        { trigger: ".o_column_quick_create.o_quick_create_folded > div", run: "click" },
        { trigger: ".o_column_quick_create input", run: "edit Negotiation" },
        { trigger: ".o_column_quick_create .o_kanban_add", run: "click" },
        expectColumns("New", "Estimate", "Technical Visit", "Quotation", "Negotiation", "Won / Lost"),
        { trigger: ".o_notification:contains('75%') button:contains('Settings')" },
        {
            content: "The settings are reached from elsewhere, too",
            trigger: cardIn("Technical Visit", "Kitchen"),
            run: "click",
        },
        { trigger: ".o_form_view [name=name]:contains('Kitchen'), .o_form_view [name=name] textarea" },
        { trigger: ".o_notification button:contains('Settings')", run: "click" },
        { trigger: ".modal [name=probability] input:value(75)" },
        { trigger: ".modal [name=name] input", run: "edit Last Call" },
        { trigger: ".modal [name=probability] input", run: "edit 92" },
        { trigger: ".modal .o_form_button_save", run: "click" },
        noDialog,
        { trigger: ".o_breadcrumb a, .o_back_button", run: "click" },
        expectColumns("New", "Estimate", "Technical Visit", "Quotation", "Last Call", "Won / Lost"),
        {
            content: "Reorder by dragging a column",
            trigger: `${column("Technical Visit")} .o_column_title`,
            run: `drag_and_drop (${column("Estimate")} .o_column_title)`,
        },
        expectColumns("New", "Technical Visit", "Estimate", "Quotation", "Last Call", "Won / Lost"),
        {
            content: "No probability changes by that",
            trigger: `${cardIn("Technical Visit", "Kitchen")} .o_crm_stage_probability:contains('50 %')`,
        },
        ...gear("Last Call", ".o_kanban_toggle_fold"),
        { trigger: `.o_column_folded:contains('Last Call')`, run: "click" },
        { trigger: `.o_kanban_group:not(.o_column_folded):contains('Last Call')` },
    ],
});

tours.add("crm_sales_stage_salesperson", {
    steps: () => [
        { trigger: cardIn("Technical Visit", "Kitchen") },
        { trigger: "body:not(:has(.o_column_quick_create))" },
        { trigger: "body:not(:has(.o_group_draggable))" },
        openGear("Technical Visit"),
        {
            content: "The gear folds, and does nothing else",
            trigger: ".o-dropdown--menu .o_kanban_toggle_fold",
            run({ queryAll }) {
                const items = queryAll(".o-dropdown--menu .o-dropdown-item, .o-dropdown--menu .dropdown-item");
                if (items.length !== 1) {
                    throw new Error(`The gear has ${items.map((item) => item.textContent).join()}`);
                }
            },
        },
        { trigger: `${column("Technical Visit")} .o_kanban_header`, run: "press Escape" },
        {
            content: "Stages are not in the menu",
            trigger: "body:not(:has([data-menu-xmlid='crm.menu_crm_lead_stage_act']))",
        },
        dragCard("Kitchen", "Technical Visit", "Quotation"),
        dragCard("Kitchen", "Quotation", "Won / Lost"),
        { trigger: ".o_crm_stage_outcome button:contains('Lost')", run: "click" },
        { trigger: ".modal button[name=action_lost_reason_apply]", run: "click" },
        noDialog,
        { trigger: `.o_kanban_renderer:not(:has(${card("Kitchen")}))` },
    ],
});
