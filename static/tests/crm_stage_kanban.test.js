import { defineMailModels } from "@mail/../tests/mail_test_helpers";
import { beforeEach, describe, expect, test } from "@odoo/hoot";
import { animationFrame, press, queryAllTexts, queryFirst } from "@odoo/hoot-dom";
import {
    contains,
    defineModels,
    fields,
    getMockEnv,
    makeServerError,
    MockServer,
    mockService,
    models,
    mountView,
    onRpc,
    patchWithCleanup,
    quickCreateKanbanColumn,
    editKanbanColumnName,
    toggleKanbanColumnActions,
    validateKanbanColumn,
} from "@web/../tests/web_test_helpers";
import { user } from "@web/core/user";
import { AnimatedNumber } from "@web/views/view_components/animated_number";

class Stage extends models.Model {
    _name = "crm.stage";

    name = fields.Char();
    sequence = fields.Integer();
    active = fields.Boolean({ default: true });
    ask_outcome = fields.Boolean();
    asks_for_fields = fields.Boolean();
    has_faulty_automation = fields.Boolean();
    is_won = fields.Boolean();
    plans_activities = fields.Boolean();
    sends_email = fields.Boolean();
    arrival_hints = fields.Json();
    probability = fields.Float();
    probability_mode = fields.Selection({
        selection: [
            ["fixed", "Fixed"],
            ["predictive", "Predictive"],
        ],
        default: "fixed",
    });

    _order = "sequence, id";
    _views = { form: `<form><field name="name"/><field name="probability"/></form>` };
    _records = [
        { id: 1, name: "New", sequence: 1, probability: 10 },
        { id: 2, name: "Visit", sequence: 2, probability: 50, active: false },
        { id: 3, name: "Won / Lost", sequence: 3, probability: 100, is_won: true, ask_outcome: true },
        { id: 4, name: "Signed", sequence: 4, probability: 100, is_won: true },
    ];
}

class Lead extends models.Model {
    _name = "crm.lead";

    name = fields.Char();
    activity_state = fields.Selection({
        selection: [
            ["planned", "Planned"],
            ["today", "Today"],
            ["overdue", "Overdue"],
        ],
    });
    active = fields.Boolean({ default: true });
    expected_revenue = fields.Integer({ string: "Expected", aggregator: "sum" });
    prorated_revenue = fields.Integer({ string: "Weighted", aggregator: "sum" });
    stage_id = fields.Many2one({ relation: "crm.stage" });
    won_status = fields.Selection({
        selection: [
            ["won", "Won"],
            ["lost", "Lost"],
            ["pending", "Pending"],
        ],
        default: "pending",
    });

    _records = [
        { id: 1, name: "Kitchen", stage_id: 1, activity_state: "planned", expected_revenue: 400, prorated_revenue: 40 },
        { id: 2, name: "Bathroom", stage_id: 1, activity_state: "today", expected_revenue: 100, prorated_revenue: 10 },
        { id: 3, name: "Roof", stage_id: 2, expected_revenue: 200, prorated_revenue: 100 },
        { id: 4, name: "Stove", stage_id: 3, expected_revenue: 70, prorated_revenue: 70, won_status: "won" },
        { id: 5, name: "Door", stage_id: 4, expected_revenue: 60, prorated_revenue: 60, won_status: "won" },
        { id: 6, name: "Garage", stage_id: 1, active: false, won_status: "lost" },
        { id: 7, name: "Garden", stage_id: 2, active: false, won_status: "lost" },
    ];

    web_read_group() {
        const count = this.env["crm.lead"].filter(({ won_status }) => won_status === "lost").length;
        return { ...super.web_read_group(...arguments), lost: { count, is_more: false } };
    }
}

defineModels([Stage, Lead]);
defineMailModels();
describe.current.tags("desktop");

onRpc("crm.lead", "get_rainbowman_message", ({ args }) => {
    expect.step(`celebrate ${args[0]}`);
    return false;
});

beforeEach(() => patchWithCleanup(AnimatedNumber, { enableAnimations: false }));

const ARCH = `
    <kanban js_class="crm_sales_stage_kanban" default_group_by="stage_id">
        <field name="won_status"/>
        <progressbar field="activity_state" colors='{"planned": "success", "today": "warning", "overdue": "danger"}'
            sum_field="expected_revenue" weighted_sum_field="prorated_revenue"/>
        <templates><t t-name="card"><field name="name"/></t></templates>
    </kanban>`;

const mountPipeline = (params = {}) =>
    mountView({ type: "kanban", resModel: "crm.lead", arch: ARCH, groupBy: ["stage_id"], ...params });

const cards = (column) => queryAllTexts(`.o_kanban_group:eq(${column}) .o_kanban_record`);
const weighted = () => queryAllTexts(".o_crm_stage_weighted");
const drop = (card, column) =>
    contains(`.o_kanban_record:contains(${card})`).dragAndDrop(`.o_kanban_group:eq(${column})`);

test("a card dropped on a stage that asks stays where it was until the answer", async () => {
    onRpc("crm.lead", "web_save", ({ args }) => expect.step(`save ${JSON.stringify(args[1])}`));
    await mountPipeline();
    await drop("Bathroom", 2);
    expect(".o_crm_stage_outcome").toHaveCount(1);
    expect(".o_crm_stage_outcome").toHaveText(/How did Bathroom end\?/);
    expect(".o_crm_stage_outcome .btn-primary").toBeFocused();
    expect(cards(0)).toEqual(["Kitchen", "Bathroom"]);

    await press("Escape");
    await animationFrame();
    expect(".o_crm_stage_outcome").toHaveCount(0);
    expect(cards(0)).toEqual(["Kitchen", "Bathroom"]);
    expect(cards(2)).toEqual(["Stove"]);
    expect.verifySteps([]);

    await drop("Bathroom", 2);
    await contains(".o_crm_stage_outcome button:contains(Cancel)").click();
    expect(cards(0)).toEqual(["Kitchen", "Bathroom"]);
    expect.verifySteps([]);
});

test("won moves the card and celebrates", async () => {
    onRpc("crm.lead", "web_save", ({ args }) => expect.step(`save ${JSON.stringify(args[1])}`));
    await mountPipeline();
    await drop("Kitchen", 2);
    await press("Enter");
    await animationFrame();
    expect(cards(0)).toEqual(["Bathroom"]);
    expect(cards(2)).toInclude("Kitchen");
    expect.verifySteps(['save {"stage_id":3}', "celebrate 1"]);
});

test("lost opens Odoo's dialog, and the card leaves when it was confirmed", async () => {
    let onClose;
    mockService("action", {
        doAction(action, options) {
            expect.step(`${action} ${options.additionalContext.active_ids}`);
            onClose = options.onClose;
            return Promise.resolve();
        },
    });
    onRpc("crm.lead", "web_save", () => expect.step("save"));
    await mountPipeline();
    for (const dismissal of [{ special: true }, { dismiss: true }]) {
        await drop("Kitchen", 2);
        await contains(".o_crm_stage_outcome button:contains(Lost)").click();
        onClose(dismissal);
        await animationFrame();
        expect(cards(0)).toEqual(["Kitchen", "Bathroom"]);
        expect.verifySteps(["crm.crm_lead_lost_action 1"]);
    }
    await drop("Kitchen", 2);
    await contains(".o_crm_stage_outcome button:contains(Lost)").click();
    MockServer.env["crm.lead"].write([1], { active: false, won_status: "lost" });
    onClose();
    await animationFrame();
    await animationFrame();
    await animationFrame();
    expect(cards(0)).toEqual(["Bathroom"]);
    expect(".o_kanban_record:contains(Bathroom)").toBeFocused();
    expect(".o_crm_stage_lost").toHaveText("3 lost");
    expect.verifySteps(["crm.crm_lead_lost_action 1"]);
});

test("the forecast asks as the pipeline does", async () => {
    onRpc("crm.lead", "web_save", ({ args }) => expect.step(`save ${JSON.stringify(args[1])}`));
    const arch = ARCH.replace("crm_sales_stage_kanban", "crm_sales_stage_forecast_kanban");
    await mountPipeline({ arch });
    await drop("Bathroom", 2);
    await contains(".o_crm_stage_outcome button:contains(Cancel)").click();
    expect(cards(0)).toEqual(["Kitchen", "Bathroom"]);
    expect.verifySteps([]);

    await drop("Kitchen", 2);
    await contains(".o_crm_stage_outcome button:contains(Won)").click();
    expect(cards(2)).toInclude("Kitchen");
    expect.verifySteps(['save {"stage_id":3}', "celebrate 1"]);
});

test("nothing is asked in other columns, in the same one, and for won ones", async () => {
    await mountPipeline();
    await drop("Kitchen", 1);
    expect(cards(1)).toInclude("Kitchen");
    await drop("Bathroom", 3);
    expect(cards(3)).toInclude("Bathroom");
    await drop("Door", 2);
    expect(cards(2)).toInclude("Door");
    expect(".o_crm_stage_outcome").toHaveCount(0);
    expect.verifySteps(["celebrate 1", "celebrate 2", "celebrate 5"]);
});

test("nothing is asked when the pipeline is grouped by something else", async () => {
    await mountPipeline({ groupBy: ["won_status"] });
    await drop("Kitchen", 0);
    expect(".o_crm_stage_outcome").toHaveCount(0);
    expect(".o_crm_stage_lost").toHaveCount(0);
});

test("a column shows its weighted total, which follows drags and the progress bar", async () => {
    await mountPipeline();
    expect(weighted()).toEqual(["50", "100", "70", "60"]);
    await contains(".o_kanban_group:eq(0) .progress-bar.bg-success").click();
    expect(weighted()).toEqual(["40", "100", "70", "60"]);
    await contains(".o_kanban_group:eq(0) .progress-bar.bg-success").click();
    expect(weighted()).toEqual(["50", "100", "70", "60"]);
    await drop("Kitchen", 1);
    await animationFrame();
    expect(weighted()).toEqual(["10", "140", "70", "60"]);
    expect.verifySteps(["celebrate 1"]);
});

test("totals follow the filter", async () => {
    await mountPipeline({ domain: [["name", "!=", "Kitchen"]] });
    expect(weighted()).toEqual(["10", "100", "70", "60"]);
});

test("only the stage that asks tells how many of the filter were lost", async () => {
    onRpc("crm.lead", "web_read_group", ({ kwargs }) => {
        expect.step("ask_outcome" in kwargs.groupby_read_specification.stage_id);
    });
    onRpc("crm.lead", "search_count", () => expect.step("a request more"));
    mockService("action", {
        doAction(action) {
            expect.step(`open ${JSON.stringify(action.domain)} ${action.context.active_test}`);
        },
    });
    await mountPipeline({ domain: [["name", "!=", "Roof"]] });
    expect(queryAllTexts(".o_crm_stage_lost")).toEqual(["2 lost"]);
    expect(".o_kanban_group:contains('Won / Lost') .o_crm_stage_lost").toHaveCount(1);
    await contains(".o_crm_stage_lost").click();
    expect.verifySteps([true, 'open ["&",["name","!=","Roof"],["won_status","=","lost"]] false']);
});

test("an archived stage is marked", async () => {
    await mountPipeline();
    expect(queryAllTexts(".o_crm_stage_archived")).toEqual(["Archived"]);
    expect(".o_kanban_group:contains(Visit) .o_crm_stage_archived").toHaveCount(1);
});

test("a column shows what its stage does on arrival", async () => {
    const hint = { icon: "fa-envelope-o", text: "Sends: Welcome" };
    // An archived one does nothing any more.
    for (const stage of Stage._records.slice(0, 2)) {
        patchWithCleanup(stage, { arrival_hints: [hint] });
    }
    await mountPipeline();
    expect(".o_crm_stage_arrival").toHaveCount(1);
    expect(".o_kanban_group:eq(0) .o_kanban_header .fa-envelope-o").toHaveAttribute("title", "Sends: Welcome");
});

test("the gear asks for nothing that is refused afterwards", async () => {
    onRpc("crm.stage", "get_archive_obstacle", () => "The last one");
    await mountPipeline();
    const clickAction = await toggleKanbanColumnActions(0);
    await clickAction("Archive");
    expect(".modal-body").toHaveText("The last one");
    expect(".modal-footer .btn-primary").toHaveText("Show the Stages");
    mockService("action", { doAction: (action) => expect.step(action) });
    await contains(".modal-footer .btn-primary").click();
    expect.verifySteps(["crm.crm_stage_action"]);
});

test("the gear archives, and brings back", async () => {
    onRpc("crm.stage", "get_archive_obstacle", () => "");
    onRpc("crm.stage", "get_archive_text", ({ args }) => `What archiving ${args[0]} brings about`);
    onRpc("crm.stage.delete.wizard", "create", ({ args: [[{ stage_ids }]] }) => [stage_ids[0][1]]);
    onRpc("crm.stage.delete.wizard", "action_archive", ({ args }) => {
        expect.step(`archive ${args[0]}`);
        return { type: "ir.actions.act_window_close" };
    });
    onRpc("crm.stage", "action_unarchive", ({ args }) => expect.step(`unarchive ${args[0]}`) || true);
    await mountPipeline();
    let clickAction = await toggleKanbanColumnActions(0);
    expect(".o_group_unarchive").toHaveCount(0);
    await clickAction("Archive");
    expect.verifySteps([]);
    expect(".modal-body").toHaveText("What archiving 1 brings about");
    await contains(".modal .btn-primary").click();
    expect.verifySteps(["archive 1"]);
    clickAction = await toggleKanbanColumnActions(1);
    expect(".o_group_archive").toHaveCount(0);
    await clickAction("Unarchive");
    expect.verifySteps(["unarchive 2"]);
});

test("deleting opens the dialog of the server, and reloads when it did something", async () => {
    mockService("action", { doAction: (action) => expect.step(action.res_model) });
    onRpc("crm.stage", "action_open_delete_wizard", () => ({ res_model: "crm.stage.delete.wizard" }));
    onRpc("crm.lead", "web_read_group", () => expect.step("reload"));
    await mountPipeline();
    expect.verifySteps(["reload"]);
    const clickAction = await toggleKanbanColumnActions(1);
    await clickAction("Delete");
    expect(".modal").toHaveCount(0);
    expect.verifySteps(["crm.stage.delete.wizard"]);
    getMockEnv().bus.trigger("CRM_STAGE:DONE");
    await animationFrame();
    expect.verifySteps(["reload"]);
});

test("who may not edit stages has neither gear items nor draggable columns", async () => {
    await mountPipeline({
        arch: ARCH.replace("<kanban", `<kanban group_create="0" group_edit="0" group_delete="0"`),
    });
    expect(".o_group_draggable").toHaveCount(0);
    expect(".o_column_quick_create").toHaveCount(0);
    await toggleKanbanColumnActions(0);
    expect(queryAllTexts(".o-dropdown--menu .dropdown-item")).toEqual(["Fold"]);
});

test("a new stage comes where the server puts it, with its settings one click away", async () => {
    onRpc("crm.stage", "name_create", ({ args: [name] }) => {
        const [id] = MockServer.env["crm.stage"].create([{ name, sequence: 2, probability: 90 }]);
        MockServer.env["crm.lead"].create([{ name: "Terrace", stage_id: id }]);
        expect.step(`create ${name}`);
        return [id, name];
    });
    onRpc("crm.stage", "web_resequence", () => expect.step("resequence"));
    onRpc("crm.lead", "web_read_group", () => expect.step("reload"));
    await mountPipeline();
    expect.verifySteps(["reload"]);
    await quickCreateKanbanColumn();
    await editKanbanColumnName("Negotiation");
    await validateKanbanColumn();
    await animationFrame();
    expect.verifySteps(["create Negotiation", "reload"]);
    expect(".o_notification_content").toHaveText(/90%/);
    await contains(".o_notification button:contains(Settings)").click();
    await contains(".modal [name=probability] input").edit("85");
    await contains(".modal .o_form_button_save").click();
    await animationFrame();
    expect.verifySteps(["reload"]);
    expect(MockServer.env["crm.stage"].search_read([["name", "=", "Negotiation"]])[0].probability).toBe(85);
});

test("opportunities are not moved when the answer comes after an error of the server", async () => {
    expect.errors(1);
    onRpc("crm.lead", "web_save", () => {
        throw makeServerError({ message: "Not now" });
    });
    await mountPipeline();
    await drop("Kitchen", 2);
    await press("Enter");
    await animationFrame();
    await animationFrame();
    expect.verifyErrors(["Not now"]);
    expect(cards(0)).toInclude("Kitchen");
});

test("more lost ones than anybody tells apart are not counted", async () => {
    onRpc("crm.lead", "web_read_group", async ({ parent }) => ({
        ...(await parent()),
        lost: { count: 10000, is_more: true },
    }));
    await mountPipeline();
    expect(queryFirst(".o_crm_stage_lost")).toHaveText("10,000+ lost");
});

for (const [ids, converted] of [
    [[1], ""],
    [[1, 2], ",prorated_revenue:sum_currency"],
]) {
    test(`weighted revenues are converted for several companies: ${ids}`, async () => {
        patchWithCleanup(user, { activeCompanies: ids.map((id) => ({ id })) });
        Lead._fields.company_currency = fields.Many2one({ relation: "res.currency" });
        Lead._fields.prorated_revenue = fields.Monetary({
            aggregator: "sum",
            currency_field: "company_currency",
        });
        Lead._records.forEach((lead) => (lead.company_currency = 1));
        onRpc("crm.lead", "web_read_group", ({ kwargs }) => {
            expect.step(kwargs.aggregates.filter((name) => name.startsWith("prorated_revenue")).join());
        });
        await mountPipeline();
        expect(weighted()[0]).toMatch(/50/);
        expect.verifySteps([`prorated_revenue:sum${converted}`]);
    });
}

test("the weighted total has a name for screen readers, beside its value", async () => {
    await mountPipeline();
    expect(".o_crm_stage_weighted:first [role=img]").toHaveAttribute("aria-label", /\w/);
    expect(".o_crm_stage_weighted[aria-label]").toHaveCount(0);
});
