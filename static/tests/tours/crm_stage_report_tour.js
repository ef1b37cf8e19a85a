import { download, downloadFile } from "@web/core/network/download";
import { registry } from "@web/core/registry";
import { patch } from "@web/core/utils/patch";

const row = (picture, stage) => `.o_crm_stage_${picture} tbody tr:has(th:text('${stage}'))`;

/** The row of a stage in a picture has these texts in its cells, as {class: text}. */
const seeFigures = (picture, stage, texts) => ({
    content: `See what "${picture}" tells of ${stage}`,
    trigger: Object.entries(texts).reduce(
        (selector, [cell, text]) => `${selector}:has(.o_crm_stage_${cell}:text('${text}'))`,
        row(picture, stage)
    ),
});

/** A bar or figure opens these opportunities, or their stays, no others; then back to the overview. */
const openBar = (bar, names, fname = "name") => [
    {
        content: `Open ${bar}`,
        trigger: bar,
        run: "click",
    },
    {
        content: `See ${names}`,
        trigger: `.o_list_view .o_data_row:nth-of-type(${names.length}) [name=${fname}]`,
        run() {
            const shown = [...document.querySelectorAll(`.o_data_row td[name=${fname}]`)].map((cell) =>
                cell.textContent.trim()
            );
            if (shown.sort().join() !== names.join()) {
                throw new Error(`The opportunities are ${shown}, not ${names}`);
            }
        },
    },
    {
        trigger: ".breadcrumb-item a, .o_back_button",
        run: "click",
    },
    {
        trigger: ".o_crm_stage_pictures",
    },
];

/** A button downloads this file, made here or by the server. */
const seeDownload = (button, name) => ({
    trigger: button,
    async run({ click }) {
        const file = new Promise((resolve) => {
            patch(downloadFile, { _download: (data, filename) => resolve(filename) });
            patch(download, {
                _download(options) {
                    return super._download(options).then(resolve);
                },
            });
        });
        await click();
        if ((await file) !== name) {
            throw new Error(`It downloads ${await file}, not ${name}`);
        }
    },
});

registry.category("web_tour.tours").add("crm_sales_stage_report", {
    steps: () => [
        seeFigures("funnel", "New", { count: 5, revenue: "$ 5,000", reached_next: "3 of 4", won: "1 of 3" }),
        seeFigures("funnel", "Estimate", { count: 3, reached_next: "1 of 2", won: "1 of 2" }),
        seeFigures("funnel", "Won / Lost", { count: 1, reached_next: "–", won: "1 of 1" }),
        seeFigures("days", "New", { median: "3.0" }),
        seeFigures("days", "Estimate", { median: "7.0", mean_days: "7.0" }),
        seeFigures("waiting", "New", { count: 1, late: "–" }),
        seeFigures("waiting", "Estimate", { count: 1, late: "–", usual: "–" }),
        seeFigures("losses", "New", { count: 1 }),
        seeFigures("losses", "Estimate", { count: 1 }),
        { trigger: ".o_crm_stage_reason:contains('Too far away'):contains('1')" },
        { trigger: ".o_crm_stage_reason:contains('No reason'):contains('1')" },
        ...openBar(`${row("funnel", "Estimate")} .o_crm_stage_bar`, ["Atrium", "Balcony", "Carport"]),
        ...openBar(`${row("funnel", "New")} .o_crm_stage_won button`, ["Atrium"]),
        ...openBar(`${row("funnel", "New")} .o_crm_stage_reached_next button`, ["Atrium", "Balcony", "Carport"]),
        ...openBar(`${row("funnel", "Estimate")} .o_crm_stage_revenue button`, ["Atrium", "Balcony", "Carport"]),
        ...openBar(
            `${row("days", "New")} .o_crm_stage_bar`,
            ["Atrium", "Balcony", "Carport", "Entrance"],
            "lead_id"
        ),
        ...openBar(`${row("days", "Estimate")} .o_crm_stage_median button`, ["Atrium", "Balcony"], "lead_id"),
        ...openBar(`${row("waiting", "Estimate")} .o_crm_stage_bar_all`, ["Carport"]),
        ...openBar(`${row("waiting", "New")} .o_crm_stage_bar_all`, ["Door"]),
        ...openBar(`${row("losses", "Estimate")} .o_crm_stage_bar`, ["Balcony"]),
        ...openBar(".o_crm_stage_reason:contains('No reason')", ["Entrance"]),
        {
            content: "Only one team",
            trigger: ".o_searchview_input",
            run: "edit Doors and Gates",
        },
        {
            trigger: ".o_searchview_autocomplete .o-dropdown-item:contains('Sales Team')",
            run: "click",
        },
        seeFigures("funnel", "New", { count: 1, reached_next: "–", won: "–" }),
        { trigger: ".o_crm_stage_pictures:not(:has(.o_crm_stage_reason))" },
        {
            trigger: ".o_searchview_facet:contains('Doors') .o_facet_remove",
            run: "click",
        },
        seeFigures("funnel", "New", { count: 5 }),
        { trigger: ".o_searchview_facet:contains('Left'):contains('Last 12 Months')" },
        {
            content: "What left is counted in the pivot, too",
            trigger: ".o_switch_view.o_pivot",
            run: "click",
        },
        { trigger: ".o_pivot tbody tr:has(th:contains('Estimate')):has(td:text('2')) td:text('7.00')" },
        {
            content: "A table and a picture of the graph",
            trigger: ".o_switch_view.o_graph",
            run: "click",
        },
        { trigger: ".o_graph_canvas_container canvas" },
        seeDownload(".o_crm_stage_download_table", "Pivot Stages Analysis (crm.stage.report).xlsx"),
        seeDownload(".o_crm_stage_download_picture", "Stages Analysis.png"),
        {
            trigger: ".o_switch_view.o_list",
            run: "click",
        },
        {
            content: "A row opens its opportunity",
            trigger: ".o_data_row:has([name=lead_id]:contains('Entrance')) [name=lead_id]",
            run: "click",
        },
        { trigger: ".o_form_view [name=name] :value('Entrance')" },
    ],
});

registry.category("web_tour.tours").add("crm_sales_stage_report_own", {
    steps: () => [
        seeFigures("funnel", "New", { count: 1 }),
        { trigger: ".o_crm_stage_funnel tbody:not(:has(tr:nth-of-type(2)))" },
        ...openBar(`${row("funnel", "New")} .o_crm_stage_bar`, ["Door"]),
    ],
});

registry.category("web_tour.tours").add("crm_sales_stage_report_empty", {
    steps: () => [{ trigger: ".o_nocontent_help:contains('Nothing went through these stages yet')" }],
});

registry.category("web_tour.tours").add("crm_sales_stage_report_suggestion", {
    steps: () => [
        { trigger: "[name=win_rate]:text('65')" },
        { trigger: "[name=win_rate_basis]:text('20')" },
        { trigger: "[name=lost_here_count]:text('7')" },
        {
            trigger: "button[name=action_apply_suggested_probability]",
            run: "click",
        },
        { trigger: "[name=probability] input:value(65)" },
        { trigger: "body:not(:has(button[name=action_apply_suggested_probability]))" },
    ],
});
