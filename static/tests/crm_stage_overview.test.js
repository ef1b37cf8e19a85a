import { CrmStageOverviewRenderer } from "@crm_sales_stage/views/crm_stage_overview/crm_stage_overview_renderer";
import { defineMailModels } from "@mail/../tests/mail_test_helpers";
import { describe, destroy, expect, test } from "@odoo/hoot";
import { download, downloadFile } from "@web/core/network/download";
import { contains, mockService, mountWithCleanup, onRpc, patchWithCleanup } from "@web/../tests/web_test_helpers";

defineMailModels();
describe.current.tags("desktop");

const getStage = (values) => ({
    is_won: false,
    domain: [["stage_id", "=", values.id]],
    entered: 0,
    revenue: 0,
    reached_next: false,
    reached_next_basis: 0,
    won: false,
    won_basis: 0,
    left: 0,
    median: false,
    mean: false,
    usual: false,
    waiting: 0,
    late: false,
    late_domain: false,
    lost: 0,
    lost_revenue: 0,
    reasons: [],
    ...values,
});

/** Shows the overview of these stages; what is opened is a step: its title and domain. */
async function showOverview(stages) {
    onRpc("crm.stage.report", "action_open_leads", ({ args: [domain, title] }) => {
        expect.step(`${title}: ${JSON.stringify(domain)}`);
        return false;
    });
    mockService("action", {
        doAction: (action) => action && expect.step(`${action.res_model}, ${action.name}: ${JSON.stringify(action.domain)}`),
    });
    const domains = {
        entered: [],
        left: [["date_left", "!=", false]],
        waiting: [["outcome", "=", "open"]],
        lost: [["outcome", "=", "lost"]],
    };
    const overview = { stages: stages.map(getStage), domains, min_basis: 5 };
    return mountWithCleanup(CrmStageOverviewRenderer, { props: { overview, resModel: "crm.stage.report" } });
}

test("a share opens the opportunities that it counts", async () => {
    await showOverview([
        { id: 1, name: "New", entered: 8, reached_next: 75, reached_next_basis: 8, won: 0, won_basis: 5 },
        { id: 2, name: "Won", entered: 1, reached_next: 100, reached_next_basis: 1, won: 100, won_basis: 1, is_won: true },
    ]);
    expect(".o_crm_stage_funnel td.fw-bold:eq(0)").toHaveText("8");
    expect(".o_crm_stage_funnel .o_crm_stage_reached_next:eq(0)").toHaveText("75 %");
    expect(".o_crm_stage_funnel .o_crm_stage_won:eq(0)").toHaveText("0 %");
    expect(".o_crm_stage_funnel .o_crm_stage_reached_next:eq(1)").toHaveText("–");
    expect(".o_crm_stage_funnel .o_crm_stage_won:eq(1)").toHaveText("1 of 1");
    expect(".o_crm_stage_reached_next button").toHaveAttribute("title", "Moved on from New (6 of 8)");
    expect(".o_crm_stage_won:eq(0) [title]").toHaveAttribute("title", "Entered New, won in the end (0 of 5)");
    expect(".o_crm_stage_won:eq(0) [title]").toHaveAttribute("tabindex", "0");
    expect(".o_crm_stage_won button").toHaveCount(1);
    await contains(".o_crm_stage_reached_next button").click();
    await contains(".o_crm_stage_won button").click();
    expect.verifySteps([
        'Moved on from New: ["&",["stage_id","=",1],["reached_next","=",100]]',
        'Entered Won, won in the end: ["&",["stage_id","=",2],["won_status","=","won"]]',
    ]);
});

test("every figure opens what it counts, and is exported", async () => {
    await showOverview([
        { id: 1, name: "New", entered: 8, revenue: 900, left: 7, median: 2.5, mean: 3, waiting: 6, late: 0, usual: 4, lost: 1, lost_revenue: 50, late_domain: [["id", "=", 0]], reasons: [{ id: 2, name: "No answer", count: 1 }] },
        { id: 2, name: "Won", is_won: true, left: 1, median: false, mean: false },
    ]);
    expect(".o_crm_stage_days tbody tr").toHaveCount(1);
    for (const cell of ["funnel .o_crm_stage_revenue", "days .o_crm_stage_mean_days", "waiting .o_crm_stage_usual", "losses .o_crm_stage_revenue"]) {
        await contains(`.o_crm_stage_${cell} button`).click();
    }
    expect(".o_crm_stage_late button").toHaveCount(0);
    const left = '["date_left","!=",false]';
    expect.verifySteps([
        'Entered New: [["stage_id","=",1]]',
        `crm.stage.report, Left New: ["&",${left},["stage_id","=",1]]`,
        `crm.stage.report, Moved on from New: ["&",${left},"&",["stage_id","=",1],"&",["outcome","=","moved"],["is_moved_on","=",true]]`,
        'Lost in New: ["&",["outcome","=","lost"],["stage_id","=",1]]',
    ]);
    patchWithCleanup(download, {
        _download: async ({ data, url }) => {
            const table = JSON.parse(await data.data.text());
            expect.step(`${url} ${table.title}`);
            expect.step(table.col_group_headers[0].map(({ title, width }) => `${title} ${width}`).join(", "));
            expect.step(table.measure_headers.map(({ title }) => title).join(", "));
            table.rows.forEach(({ title, values }) =>
                expect.step([title, ...values.map(({ value }) => value)].join(", "))
            );
        },
    });
    patchWithCleanup(downloadFile, {
        _download: (data, name) => expect.step(`${name}: ${data.slice(0, 22)}`),
    });
    await contains(".o_crm_stage_download_table").click();
    await contains(".o_crm_stage_download_picture").click();
    await expect.waitForSteps([
        "/web/pivot/export_xlsx Stages Analysis",
        "Funnel 4, Time in stage 2, Waiting now 3, Where opportunities are lost 2",
        "Entered, Expected revenue, Moved on, Won in the end, Median (days), Mean (days), Waiting, Longer than usual, Usual (days), Lost here, Expected revenue",
        "New, 8, 900, , , 2.5, 3, 6, 0, 4, 1, 50",
        "Won, , , , , , , , , , , ",
        "Stages Analysis.png: data:image/png;base64,",
    ]);
});

test("a reason keeps its colour whatever it is shown beside", async () => {
    const reason = { id: 7, name: "No answer", count: 1 };
    const others = [3, 4, false].map((id) => ({ id, name: `Reason ${id}`, count: 5 }));
    const looks = [];
    for (const reasons of [[reason], [...others, reason]]) {
        const overview = await showOverview([{ id: 1, name: "New", lost: 9, reasons }]);
        const shown = [...document.querySelectorAll(".o_crm_stage_reason span")];
        looks.push(shown.at(-1).className + shown.at(-1).style.backgroundColor);
        expect(new Set(shown.map(({ style }) => style.backgroundColor)).size).toBe(reasons.length);
        destroy(overview);
    }
    expect(looks[0]).toBe(looks[1]);
});

test("the rarest reasons of losses are one together", async () => {
    const reasons = Array.from({ length: 10 }, (_, index) => ({
        id: index || false,
        name: index ? "The same name" : "No reason",
        count: 10 - index,
    }));
    await showOverview([
        { id: 1, name: "New", lost: 55, reasons },
        { id: 2, name: "Estimate", lost: 1, reasons: [{ id: 9, name: "The same name", count: 1 }] },
    ]);
    expect(".o_crm_stage_reason").toHaveCount(6);
    expect(".o_crm_stage_reason:last").toHaveText("Other reasons 16");
    expect(".o_crm_stage_losses tbody tr:eq(0) .o_crm_stage_bar").toHaveCount(6);
    expect(".o_crm_stage_losses tbody tr:eq(1) .o_crm_stage_bar").toHaveCount(1);
    await contains(".o_crm_stage_reason:last").click();
    await contains(".o_crm_stage_losses tbody tr:eq(1) .o_crm_stage_bar").click();
    await contains(".o_crm_stage_reason:first").click();
    expect.verifySteps([
        'Lost: Other reasons: ["&",["outcome","=","lost"],["lost_reason_id","in",[5,6,7,8,9]]]',
        'Lost in Estimate: Other reasons: ["&",["outcome","=","lost"],"&",["stage_id","=",2],["lost_reason_id","in",[5,6,7,8,9]]]',
        'Lost: No reason: ["&",["outcome","=","lost"],["lost_reason_id","in",[false]]]',
    ]);
});

test("few opportunities are counted, and nothing is late that has no basis", async () => {
    await showOverview([
        { id: 1, name: "New", entered: 4, reached_next: 66.67, reached_next_basis: 3, won: 25, won_basis: 4, waiting: 2 },
        { id: 2, name: "Estimate", waiting: 3, late: 1, late_domain: [["id", "=", 7]], usual: 3 },
    ]);
    expect(".o_crm_stage_funnel .o_crm_stage_reached_next").toHaveText("2 of 3");
    expect(".o_crm_stage_funnel .o_crm_stage_won").toHaveText("1 of 4");
    expect(".o_crm_stage_waiting .o_crm_stage_late:eq(0)").toHaveText("–");
    expect(".o_crm_stage_waiting td.o_crm_stage_usual:eq(0)").toHaveText("–");
    expect(".o_crm_stage_waiting .o_crm_stage_late:eq(1)").toHaveText("1");
    expect(".o_crm_stage_waiting td.o_crm_stage_usual:eq(1)").toHaveText("3");
    expect(".o_crm_stage_bar_late").toHaveCount(1);
});

test("reasons differ by more than colour", async () => {
    const reasons = ["Too expensive", "No answer"].map((name, index) => ({ id: index + 1, name, count: 2 - index }));
    await showOverview([{ id: 1, name: "New", lost: 3, reasons }]);
    for (const [index, { id }] of reasons.entries()) {
        expect(`.o_crm_stage_reason:eq(${index}) .o_crm_stage_pattern_${id}`).toHaveCount(1);
        expect(`.o_crm_stage_losses .o_crm_stage_bar:eq(${index})`).toHaveClass(`o_crm_stage_pattern_${id}`);
    }
});
