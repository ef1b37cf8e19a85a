import { registry } from "@web/core/registry";
import { cardIn, column, dragCard, expectColumns, noDialog, openGear } from "./tour_utils";

const STOVE = "Stove for the tour";
const probability = (value) => `.o_crm_stage_probability:contains('${value} %')`;

registry.category("web_tour.tours").add("crm_sales_stage_pipeline", {
    url: "/odoo/crm",
    steps: () => [
        expectColumns("New", "Estimate", "Technical Visit", "Quotation", "Won / Lost"),
        {
            content: "The card shows the probability of its column",
            trigger: `${cardIn("New", STOVE)} ${probability(10)}`,
        },
        dragCard(STOVE, "New", "Technical Visit"),
        {
            content: "It takes the probability of that column",
            trigger: `${cardIn("Technical Visit", STOVE)} ${probability(50)}`,
        },
        {
            content: "The tooltip tells the column's probability",
            trigger: `${column("Technical Visit")} .o_column_title`,
            run: "hover",
        },
        {
            trigger: ".o-tooltip:contains('Probability'):contains('50 %')",
        },
        openGear("Technical Visit"),
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
        noDialog,
        {
            content: "The card follows its stage",
            trigger: `${cardIn("Technical Visit", STOVE)} ${probability(60)}`,
        },
        {
            trigger: cardIn("Technical Visit", STOVE),
            run: "click",
        },
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
            trigger: "[name=probability] input:value(60.00)",
        },
    ],
});
