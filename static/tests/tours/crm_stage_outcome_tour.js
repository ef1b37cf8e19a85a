import { registry } from "@web/core/registry";
import { card, cardIn, column, dragCard, noDialog, search } from "./tour_utils";

const tours = registry.category("web_tour.tours");

const dialog = ".o_crm_stage_outcome";

const dropOnFinalStage = (name) => [
    dragCard(name, "Technical Visit", "Won / Lost"),
    { trigger: `${dialog}:contains('${name}')` },
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
        { trigger: `${column("Technical Visit")}:has(${card("Kitchen")}) ${card("Bathroom")}` },
        { trigger: `${column("Won / Lost")}:not(:has(.o_kanban_record))` },
        ...dropOnFinalStage("Kitchen"),
        { content: "So does Cancel", trigger: `${dialog} button:contains('Cancel')`, run: "click" },
        noDialog,
        { trigger: cardIn("Technical Visit", "Kitchen") },
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
        { trigger: ".modal .o_selection_badge:contains('Too far away')", run: "click" },
        { trigger: ".modal [name=lost_feedback] .odoo-editor-editable", run: "editor Two hours on the road" },
        { trigger: ".modal button[name=action_lost_reason_apply]", run: "click" },
        noDialog,
        { trigger: `.o_kanban_renderer:not(:has(${card("Bathroom")}))` },
        { trigger: `${column("Won / Lost")} .o_crm_stage_lost:contains('1 lost')` },
    ],
});

const finalStage = ".o_statusbar_status .o_arrow_button:contains('Won / Lost')";

tours.add("crm_sales_stage_won_or_lost_on_form", {
    steps: () => [
        { trigger: finalStage, run: "click" },
        { trigger: `${dialog}:contains('Kitchen') .btn-primary:focus`, run: "press Escape" },
        noDialog,
        { trigger: ".o_statusbar_status .o_arrow_button_current:contains('Technical Visit')" },
        { trigger: finalStage, run: "click" },
        { trigger: `${dialog} button:contains('Lost')`, run: "click" },
        { trigger: ".modal button[name=action_lost_reason_apply]", run: "click" },
        noDialog,
        { trigger: ".ribbon:contains('Lost')" },
        { trigger: ".o_statusbar_status .o_arrow_button_current:contains('Technical Visit')" },
    ],
});

tours.add("crm_sales_stage_won_on_form", {
    steps: () => [
        { trigger: finalStage, run: "click" },
        { trigger: `${dialog} .btn-primary:focus`, run: "press Enter" },
        { trigger: ".o_reward_rainbow" },
        { trigger: ".o_statusbar_status .o_arrow_button_current:contains('Won / Lost')" },
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
