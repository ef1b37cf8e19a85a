import { registry } from "@web/core/registry";
import { card, cardIn, click, column, dragCard, noDialog, open, search } from "./tour_utils";

const tours = registry.category("web_tour.tours");

const dialog = ".o_crm_stage_outcome";

const dropOnFinalStage = (name) => [
    dragCard(name, "Technical Visit", "Won / Lost"),
    { trigger: `${dialog}:contains('${name}')` },
];

const finalStage = ".o_statusbar_status .o_arrow_button:contains('Won / Lost')";
const currentStage = ".o_statusbar_status .o_arrow_button_current";

const chooseReason = [
    { trigger: ".modal .o_radio_item:contains('Too far away') input", run: "click" },
    { trigger: ".modal button[name=action_lost_reason_apply]", run: "click" },
    noDialog,
];

tours.add("crm_sales_stage_won_or_lost", {
    steps: () => [
        ...dropOnFinalStage("Kitchen"),
        {
            content: "Escape puts the card back",
            trigger: `${dialog} .btn-primary:focus`,
            run: "press Escape",
        },
        noDialog,
        { content: "with the keyboard on it", trigger: `${cardIn("Technical Visit", "Kitchen")}:focus` },
        { trigger: `${column("Technical Visit")} ${card("Bathroom")}` },
        { trigger: `${column("Won / Lost")}:not(:has(.o_kanban_record))` },
        ...dropOnFinalStage("Kitchen"),
        { content: "So does Cancel", trigger: `${dialog} button:contains('Cancel')`, run: "click" },
        noDialog,
        { trigger: cardIn("Technical Visit", "Kitchen") },
        {
            content: "The keyboard stays on the card",
            trigger: `${cardIn("Technical Visit", "Kitchen")}:focus`,
        },
        ...dropOnFinalStage("Kitchen"),
        { content: "Enter means won", trigger: `${dialog} .btn-primary:focus`, run: "press Enter" },
        { content: "Odoo celebrates", trigger: ".o_reward_rainbow" },
        { trigger: ".o_reward_rainbow_man", run: "click" },
        { trigger: cardIn("Won / Lost", "Kitchen") },
        { trigger: "body:not(:has(.o_reward_rainbow))" },
        ...dropOnFinalStage("Bathroom"),
        { trigger: `${dialog} button:contains('Lost')`, run: "click" },
        {
            content: "Giving no reason puts the card back",
            trigger: ".modal:contains('Mark Lost') .modal-footer button:contains('Discard')",
            run: "click",
        },
        noDialog,
        { trigger: cardIn("Technical Visit", "Bathroom") },
        ...dropOnFinalStage("Bathroom"),
        { trigger: `${dialog} button:contains('Lost')`, run: "click" },
        { content: "The keyboard is at the reasons", trigger: ".modal [name=lost_reason_id] input:focus" },
        ...chooseReason,
        { content: "and goes on where the card was", trigger: `${cardIn("Technical Visit", "Garage")}:focus` },
        { trigger: `.o_kanban_renderer:not(:has(${card("Bathroom")}))` },
        { trigger: `${column("Won / Lost")} .o_crm_stage_lost:contains('1 lost')` },
        { trigger: ".o_notification:contains('\"Bathroom\" is lost: Too far away.')" },
        click(".o_notification button:contains('Undo')"),
        { content: "The card is back", trigger: cardIn("Technical Visit", "Bathroom") },
        { trigger: `${column("Won / Lost")}:not(:has(.o_crm_stage_lost))` },

        { content: "The same on the form", trigger: cardIn("Technical Visit", "Bathroom"), run: "click" },
        click(finalStage),
        { trigger: `${dialog}:contains('Bathroom') .btn-primary:focus`, run: "press Escape" },
        noDialog,
        { trigger: `${currentStage}:contains('Technical Visit')` },
        click(finalStage),
        click(`${dialog} button:contains('Lost')`),
        { trigger: ".modal [name=lost_feedback] .odoo-editor-editable", run: "editor Two hours on the road" },
        ...chooseReason,
        { trigger: ".ribbon:contains('Lost')" },
        { trigger: `${currentStage}:contains('Technical Visit')` },
        click(".o_back_button"),
        click(cardIn("Technical Visit", "Garage")),
        click(finalStage),
        { trigger: `${dialog} .btn-primary:focus`, run: "press Enter" },
        { trigger: ".o_reward_rainbow" },
        { trigger: `${currentStage}:contains('Won / Lost')` },
    ],
});

const total = (name, value) => `${column(name)} .o_kanban_counter > .o_animated_number:contains('${value}')`;
const weighted = (name, value) => `${column(name)} .o_crm_stage_weighted:contains('${value}')`;

tours.add("crm_sales_stage_worth", {
    steps: () => [
        { content: "Both totals", trigger: total("Technical Visit", "4,000") },
        { trigger: weighted("Technical Visit", "2,000") },
        {
            content: "They follow the progress bar",
            trigger: `${column("Technical Visit")} .o_column_progress .bg-warning, ${column("Technical Visit")} .o_column_progress .bg-success`,
            run: "click",
        },
        { trigger: total("Technical Visit", "3,000") },
        { trigger: weighted("Technical Visit", "1,500") },
        {
            trigger: `${column("Technical Visit")} .o_column_progress .progress-bar-animated`,
            run: "click",
        },
        { trigger: weighted("Technical Visit", "2,000") },
        dragCard("Kitchen", "Technical Visit", "Quotation"),
        { trigger: weighted("Quotation", "750") },
        { trigger: total("Quotation", "1,000") },
        { trigger: weighted("Technical Visit", "1,500") },
        {
            content: "Lost ones of the filter (my pipeline) are counted",
            trigger: `${column("Won / Lost")} .o_crm_stage_lost:contains('2 lost')`,
        },
        ...search("Garage"),
        {
            content: "They follow the filter",
            trigger: `${column("Won / Lost")} .o_crm_stage_lost:contains('1 lost')`,
            run: "click",
        },
        { trigger: ".o_list_view .o_data_row:contains('Garage')" },
        { trigger: ".o_list_view:not(:has(.o_data_row:nth-of-type(2) .o_data_cell))" },
    ],
});

const stageOf = (name) => `.o_data_row:contains('${name}') [name=stage_id]`;
const select = (name) => ({ trigger: `.o_data_row:contains('${name}') .o_list_record_selector input`, run: "click" });

/** Gives the selected opportunities of a list another stage. */
const editStage = (name) => [
    { trigger: stageOf(name), run: "click" },
    { trigger: `${stageOf(name)} input`, run: "edit Won" },
    { trigger: ".o-autocomplete--dropdown-item a:contains('Won / Lost')", run: "click" },
];

const quickCreate = `${column("Won / Lost")} .o_kanban_quick_create`;

tours.add("crm_sales_stage_quick_create_and_list_ask", {
    steps: () => [
        { trigger: cardIn("Technical Visit", "Kitchen") },
        { trigger: `${column("Won / Lost")} .o_kanban_quick_add`, run: "click" },
        { trigger: `${quickCreate} [name=name] input`, run: "edit Greenhouse" },
        { trigger: `${quickCreate} .o_kanban_add`, run: "click" },
        { trigger: `${dialog}:contains('Greenhouse') .btn-primary:focus`, run: "press Escape" },
        noDialog,
        {
            content: "Nothing was created, and what was typed is still there",
            trigger: `${column("Won / Lost")}:not(:has(${card("Greenhouse")})) [name=name] input:value(Greenhouse)`,
        },
        { trigger: `${quickCreate} .o_kanban_add`, run: "click" },
        { trigger: `${dialog} .btn-primary:contains('Won')`, run: "click" },
        { trigger: cardIn("Won / Lost", "Greenhouse") },
        { trigger: `${quickCreate} [name=name] input:value()`, run: "edit Shed" },
        { trigger: `${quickCreate} .o_kanban_add`, run: "click" },
        { trigger: `${dialog}:contains('Shed') button:contains('Lost')`, run: "click" },
        ...chooseReason,
        { trigger: ".o_notification:contains('\"Shed\" is lost: Too far away.')" },
        { trigger: `${column("Won / Lost")} .o_crm_stage_lost:contains('1 lost')`, run: "click" },
        {
            content: "The list of lost ones shows why",
            trigger: ".o_list_view .o_data_row:contains('Shed') [name=lost_reason_id]:contains('Too far away')",
        },
        { content: "and when", trigger: ".o_data_row:contains('Shed') [name=date_closed]:not(:empty)" },
        select("Shed"),
        { trigger: ".o_control_panel:not(:has(button:contains('Mark Lost')))" },
        click(".o_control_panel button[name=action_restore]"),
        { content: "It is lost no longer", trigger: ".o_list_view:not(:has(.o_data_row:contains('Shed')))" },

        ...open("action-crm.crm_lead_action_pipeline?view_type=list", ".o_list_view .o_data_row:contains('Kitchen')"),
        select("Kitchen"),
        select("Bathroom"),
        ...editStage("Kitchen"),
        { trigger: `${dialog}:contains('these 2 opportunities')`, run: "press Escape" },
        noDialog,
        { content: "Nothing has changed", trigger: `${stageOf("Kitchen")}:contains('Technical Visit')` },
        ...editStage("Kitchen"),
        { trigger: `${dialog} button:contains('Lost')`, run: "click" },
        ...chooseReason,
        { trigger: ".o_notification:contains('2 opportunities are lost: Too far away.')" },
        { trigger: ".o_list_view:not(:has(.o_data_row:contains('Kitchen')))" },
        select("Garage"),
        ...editStage("Garage"),
        { trigger: `${dialog}:contains('Garage') .btn-primary:contains('Won')`, run: "click" },
        { trigger: `${stageOf("Garage")}:contains('Won / Lost')` },
    ],
});
