import { registry } from "@web/core/registry";

const column = (name) => `.o_kanban_group:has(.o_column_title:contains('${name}'))`;
const card = ".o_kanban_record:contains('Stove for the tour')";
const probability = (value) => `.o_crm_stage_probability:contains('${value} %')`;

registry.category("web_tour.tours").add("crm_sales_stage_pipeline", {
    url: "/odoo/crm",
    steps: () => [
        {
            content: "The five columns are there, in order",
            trigger: `.o_kanban_group:nth-of-type(5) .o_column_title:contains('Won / Lost')`,
            run() {
                const titles = [...document.querySelectorAll(".o_kanban_group .o_column_title")].map(
                    (title) => title.textContent.trim()
                );
                const expected = ["New", "Estimate", "Technical Visit", "Quotation", "Won / Lost"];
                if (titles.join() !== expected.join()) {
                    throw new Error(`The columns are ${titles.join()}`);
                }
            },
        },
        {
            content: "The card shows the probability of its column",
            trigger: `${column("New")} ${card} ${probability(10)}`,
        },
        {
            content: "Drag the card to Technical Visit",
            trigger: `${column("New")} ${card}`,
            run: `drag_and_drop (${column("Technical Visit")})`,
        },
        {
            content: "It takes the probability of that column",
            trigger: `${column("Technical Visit")} ${card} ${probability(50)}`,
        },
        {
            content: "The tooltip tells the column's probability",
            trigger: `${column("Technical Visit")} .o_column_title`,
            run: "hover",
        },
        {
            trigger: ".o-tooltip:contains('Probability'):contains('50 %')",
        },
        {
            content: "Open the gear of the column",
            trigger: `${column("Technical Visit")} .o_kanban_header`,
            run: `hover && click ${column("Technical Visit")} .o_group_config .dropdown-toggle`,
        },
        {
            trigger: ".o_group_edit",
            run: "click",
        },
        {
            content: "What a manager needs is in the dialog",
            trigger:
                ".modal .o_form_view:has([name=name]):has([name=fold]):has([name=probability_mode]):has([name=requirements])",
        },
        {
            trigger: ".modal [name=probability] input",
            run: "edit 60",
        },
        {
            trigger: ".modal .o_form_button_save",
            run: "click",
        },
        {
            trigger: "body:not(:has(.modal))",
        },
        {
            content: "The card follows its stage",
            trigger: `${column("Technical Visit")} ${card} ${probability(60)}`,
        },
    ],
});

registry.category("web_tour.tours").add("crm_sales_stage_form", {
    steps: () => [
        {
            content: "The form tells where the probability comes from",
            trigger: "[name=probability_source]:contains('From the stage')",
        },
        {
            content: "Odoo's explanation of its scoring is not shown",
            trigger: "body:not(:has([name=pls_tooltip_button]))",
        },
        {
            trigger: "[name=probability] input",
            run: "edit 64 && press Tab",
        },
        {
            trigger: "[name=probability_source]:contains('Set by hand')",
        },
        {
            content: "Back to the stage's",
            trigger: "button[name=action_set_automated_probability]",
            run: "click",
        },
        {
            trigger: "[name=probability_source]:contains('From the stage')",
        },
        {
            trigger: "[name=probability] input:value(10.00)",
        },
    ],
});
