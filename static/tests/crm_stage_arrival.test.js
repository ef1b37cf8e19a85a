import { defineMailModels } from "@mail/../tests/mail_test_helpers";
import { describe, expect, test } from "@odoo/hoot";
import { animationFrame, press, queryAllTexts, waitFor } from "@odoo/hoot-dom";
import {
    contains,
    defineModels,
    fields,
    makeServerError,
    MockServer,
    mockService,
    models,
    mountView,
    onRpc,
    patchWithCleanup,
} from "@web/../tests/web_test_helpers";

class Stage extends models.Model {
    _name = "crm.stage";

    name = fields.Char();
    active = fields.Boolean({ default: true });
    ask_outcome = fields.Boolean();
    asks_for_fields = fields.Boolean();
    has_faulty_automation = fields.Boolean();
    is_won = fields.Boolean();
    plans_activities = fields.Boolean();
    probability = fields.Float();
    probability_mode = fields.Selection({ selection: [["fixed", "Fixed"]], default: "fixed" });
    sends_email = fields.Boolean();
    arrival_hints = fields.Json();

    _records = [
        { id: 1, name: "New" },
        { id: 2, name: "Quotation", asks_for_fields: true, plans_activities: true },
        { id: 3, name: "Won / Lost", asks_for_fields: true, is_won: true, ask_outcome: true },
        { id: 4, name: "Follow-Up", sends_email: true },
    ];
}

class Tag extends models.Model {
    _name = "crm.tag";

    name = fields.Char();
    color = fields.Integer();

    _records = [{ id: 1, name: "Urgent" }];
}

class Lead extends models.Model {
    _name = "crm.lead";

    name = fields.Char();
    active = fields.Boolean({ default: true });
    duration_tracking = fields.Json();
    date_deadline = fields.Date({ string: "Expected Closing" });
    expected_revenue = fields.Float({ string: "Expected Revenue" });
    missing_fields = fields.Json();
    notes = fields.Text();
    stage_id = fields.Many2one({ relation: "crm.stage" });
    stage_requirements = fields.Text();
    tag_ids = fields.Many2many({ relation: "crm.tag", string: "Tags" });
    won_status = fields.Char({ default: "pending" });

    _records = [
        { id: 1, name: "Kitchen", stage_id: 1, missing_fields: [] },
        { id: 2, name: "Bathroom", stage_id: 1, expected_revenue: 100, missing_fields: [] },
        { id: 3, name: "Roof", stage_id: 2, expected_revenue: 100 },
        { id: 4, name: "Stove", stage_id: 3, expected_revenue: 100, won_status: "won" },
        { id: 5, name: "Door", stage_id: 4, expected_revenue: 100 },
    ];
}

defineModels([Stage, Tag, Lead]);
defineMailModels();
describe.current.tags("desktop");

const FORM = `
    <form><group>
        <field name="expected_revenue"/>
        <field name="tag_ids" widget="many2many_tags"/>
    </group></form>`;

/** The answer of the server: the revenue and the tags of opportunities that have none */
onRpc("crm.lead", "get_arrival_questions", ({ args: [ids, stageId] }) => {
    const leads = MockServer.env["crm.lead"].browse(ids).filter((lead) => !lead.expected_revenue);
    const [stage] = MockServer.env["crm.stage"].browse(stageId);
    expect.step(`ask ${ids} ${stageId}`);
    return {
        ask_outcome: stage.ask_outcome,
        requirements: "Measure <b>first</b>",
        email: stage.sends_email && "Welcome",
        unsent: leads.length && stage.sends_email ? "There is no address" : "",
        missing: leads.length && stageId !== 4
            ? [
                  { name: "expected_revenue", string: "Expected Revenue", count: leads.length },
                  { name: "tag_ids", string: "Tags", count: leads.length },
              ]
            : [],
        missing_count: leads.length,
        form: ids.length === 1 && {
            arch: FORM,
            fields: MockServer.env["crm.lead"].fields_get(),
        },
    };
});
onRpc("crm.lead", "get_rainbowman_message", () => false);
onRpc("crm.lead", "web_save", ({ args }) => expect.step(`save ${JSON.stringify(args[1])}`));

const DIALOG = ".o_crm_stage_asking";
const cards = (column) => queryAllTexts(`.o_kanban_group:eq(${column}) .o_kanban_record`);
const drop = (card, column) =>
    contains(`.o_kanban_record:contains(${card})`).dragAndDrop(`.o_kanban_group:eq(${column})`);
const mountPipeline = () =>
    mountView({
        type: "kanban",
        resModel: "crm.lead",
        groupBy: ["stage_id"],
        arch: `
            <kanban js_class="crm_sales_stage_kanban" default_group_by="stage_id">
                <field name="won_status"/>
                <templates><t t-name="card"><field name="name"/></t></templates>
            </kanban>`,
    });
const mountForm = (resId, extra = "") =>
    mountView({
        type: "form",
        resModel: "crm.lead",
        resId,
        arch: `
            <form js_class="crm_form">
                <header><field name="stage_id" widget="crm_sales_stage_statusbar" options="{'clickable': '1'}"/></header>
                <widget name="crm_stage_asks"/>
                <field name="won_status" invisible="1"/>
                <field name="name"/>
                <field name="expected_revenue"/>
                ${extra}
            </form>`,
    });

test("asks for what is missing before the card is moved", async () => {
    await mountPipeline();
    await drop("Kitchen", 1);
    expect.verifySteps(["ask 1 2"]);
    expect(".modal-title").toHaveText("Move to Quotation");
    expect(queryAllTexts(`${DIALOG} .o_form_view > div > :not(.o_form_renderer)`).slice(0, 3)).toEqual([
        "Kitchen",
        "Requirements",
        "Measure <b>first</b>",
    ]);
    expect(`${DIALOG} .o_form_label`).toHaveCount(2);
    expect(`${DIALOG} [name=expected_revenue] input`).toBeFocused();
    expect(cards(0)).toEqual(["Kitchen", "Bathroom"]);

    await contains(`${DIALOG} [name=expected_revenue] input`).edit("250");
    await contains(`${DIALOG} button:contains(Save and Move)`).click();
    await animationFrame();
    expect(cards(1)).toInclude("Kitchen");
    expect.verifySteps(['save {"expected_revenue":250}', 'save {"stage_id":2}']);
});

test("Move Anyway saves nothing but the stage", async () => {
    await mountPipeline();
    await drop("Kitchen", 1);
    await contains(`${DIALOG} [name=expected_revenue] input`).edit("250");
    await contains(`${DIALOG} button:contains(Move Anyway)`).click();
    await animationFrame();
    expect(cards(1)).toInclude("Kitchen");
    expect.verifySteps(["ask 1 2", 'save {"stage_id":2}']);
});

test("Cancel and Escape put the card back", async () => {
    await mountPipeline();
    await drop("Kitchen", 1);
    await contains(`${DIALOG} button:contains(Cancel)`).click();
    await drop("Kitchen", 1);
    await contains(`${DIALOG} [name=expected_revenue] input`).edit("250", { confirm: false });
    await press("Escape");
    await animationFrame();
    expect(DIALOG).toHaveCount(0);
    expect(cards(0)).toEqual(["Kitchen", "Bathroom"]);
    expect(cards(1)).toEqual(["Roof"]);
    expect.verifySteps(["ask 1 2", "ask 1 2"]);
});

test("the keyboard is enough", async () => {
    await mountPipeline();
    await drop("Kitchen", 1);
    await contains(`${DIALOG} [name=expected_revenue] input`).edit("250", { confirm: "tab" });
    await press("control+enter");
    await animationFrame();
    await animationFrame();
    expect(cards(1)).toInclude("Kitchen");
    expect.verifySteps(["ask 1 2", 'save {"expected_revenue":250}', 'save {"stage_id":2}']);
});

test("no picker of a date covers the buttons", async () => {
    const fields = { date_deadline: { name: "date_deadline", string: "Expected Closing", type: "date" } };
    onRpc("crm.lead", "get_arrival_questions", () => ({
        missing: [{ name: "date_deadline", string: "Expected Closing", count: 1 }],
        form: { arch: `<form><group><field name="date_deadline"/></group></form>`, fields },
    }));
    await mountPipeline();
    await drop("Kitchen", 1);
    expect(`${DIALOG} button:contains(Save and Move)`).toBeFocused();
    expect(".o_datetime_picker").toHaveCount(0);
    await contains(`${DIALOG} button:contains(Move Anyway)`).click();
    await animationFrame();
    expect(cards(1)).toInclude("Kitchen");
    expect.verifySteps(['save {"stage_id":2}']);
});

test("nothing is asked when nothing is missing", async () => {
    await mountPipeline();
    await drop("Bathroom", 1);
    await animationFrame();
    expect(".modal").toHaveCount(0);
    expect(cards(1)).toInclude("Bathroom");
    expect.verifySteps(["ask 2 2", 'save {"stage_id":2}']);
});

test("that the stage sends an e-mail is said where it asks, otherwise afterwards", async () => {
    for (const stage of Stage._records.slice(1, 3)) {
        patchWithCleanup(stage, { sends_email: true });
    }
    await mountPipeline();
    await drop("Kitchen", 1);
    expect(`${DIALOG} .o_crm_stage_sends`).toHaveText('The move sends the e-mail "Welcome".');
    await contains(`${DIALOG} button:contains(Move Anyway)`).click();
    await animationFrame();
    await drop("Bathroom", 2);
    expect(".o_crm_stage_outcome .o_crm_stage_sends").toHaveText('The move sends the e-mail "Welcome".');
    await contains(".o_crm_stage_outcome button:contains(Won)").click();
    await animationFrame();
    expect(".o_notification").toHaveCount(0);

    await drop("Bathroom", 3);
    await animationFrame();
    expect(".o_notification").toHaveText('The e-mail "Welcome" was sent.');
    await drop("Kitchen", 3);
    await animationFrame();
    expect(queryAllTexts(".o_notification")).toInclude("There is no address");
    const steps = ["ask 1 2", 'save {"stage_id":2}', "ask 2 3", 'save {"stage_id":3}'];
    expect.verifySteps([...steps, "ask 2 4", 'save {"stage_id":4}', "ask 1 4", 'save {"stage_id":4}']);
});

test("so does the form", async () => {
    await mountForm(2);
    await contains(".o_statusbar_status button:contains(Follow-Up)").click();
    await animationFrame();
    expect(".o_notification").toHaveText('The e-mail "Welcome" was sent.');
    expect(".o_arrow_button_current").toHaveText("Follow-Up");
    expect.verifySteps(["ask 2 4", 'save {"stage_id":4}']);
});

test("nothing is said to be sent when the move fails", async () => {
    expect.errors(1);
    onRpc("crm.lead", "web_save", () => {
        throw makeServerError({ message: "Not now" });
    });
    await mountPipeline();
    await drop("Roof", 3);
    await animationFrame();
    await animationFrame();
    expect.verifyErrors(["Not now"]);
    expect(".o_notification").toHaveCount(0);
    expect(cards(1)).toEqual(["Roof"]);
    expect.verifySteps(["ask 3 4"]);
});

test("a final stage asks for fields, then won or lost, in one dialog", async () => {
    await mountPipeline();
    await drop("Kitchen", 2);
    await contains(`${DIALOG} [name=expected_revenue] input`).edit("250");
    await contains(`${DIALOG} button:contains(Save and Move)`).click();
    expect(".modal-title").toHaveText("Won or lost?");
    expect(".o_crm_stage_outcome .btn-primary").toBeFocused();
    expect.verifySteps(["ask 1 3"]);
    await press("Enter");
    await animationFrame();
    await animationFrame();
    expect(".modal").toHaveCount(0);
    expect(cards(2)).toInclude("Kitchen");
    expect.verifySteps(['save {"expected_revenue":250}', 'save {"stage_id":3}']);
});

test("cancelling won or lost saves nothing of what was filled in", async () => {
    await mountPipeline();
    await drop("Kitchen", 2);
    await contains(`${DIALOG} [name=expected_revenue] input`).edit("250");
    await contains(`${DIALOG} button:contains(Save and Move)`).click();
    await contains(".o_crm_stage_outcome button:contains(Cancel)").click();
    expect(cards(0)).toEqual(["Kitchen", "Bathroom"]);
    expect.verifySteps(["ask 1 3"]);
});

test("lost keeps what was filled in", async () => {
    mockService("action", {
        doAction(action, options) {
            expect.step(`${action} ${options.additionalContext.active_ids}`);
            options.onClose({ dismiss: true });
            return Promise.resolve();
        },
    });
    await mountPipeline();
    await drop("Kitchen", 2);
    await contains(`${DIALOG} [name=expected_revenue] input`).edit("250");
    await contains(`${DIALOG} button:contains(Save and Move)`).click();
    await contains(".o_crm_stage_outcome button:contains(Lost)").click();
    await animationFrame();
    expect(cards(0)).toEqual(["Kitchen", "Bathroom"]);
    expect.verifySteps(["ask 1 3", 'save {"expected_revenue":250}', "crm.crm_lead_lost_action 1"]);
});

test("what cannot be saved leaves the dialog open, and the card where it was", async () => {
    expect.errors(1);
    onRpc("crm.lead", "web_save", () => {
        throw makeServerError({ message: "Not so much" });
    });
    await mountPipeline();
    await drop("Kitchen", 1);
    await contains(`${DIALOG} [name=expected_revenue] input`).edit("250");
    await contains(`${DIALOG} button:contains(Save and Move)`).click();
    await animationFrame();
    expect.verifyErrors(["Not so much"]);
    expect(DIALOG).toHaveCount(1);
    expect(cards(0)).toEqual(["Kitchen", "Bathroom"]);
    expect.verifySteps(["ask 1 2"]);
});

test("the stage clicked on the form asks, too, but not for what is being filled in", async () => {
    const quotation = ".o_statusbar_status button:contains(Quotation)";
    await mountForm(1);
    await contains("[name=name] input").edit("Kitchen and bath");
    await contains(quotation).click();
    expect.verifySteps(['save {"name":"Kitchen and bath"}', "ask 1 2"]);
    await contains(`${DIALOG} button:contains(Cancel)`).click();
    expect(".o_arrow_button_current").toHaveText("New");
    await contains(quotation).click();
    await contains(`${DIALOG} [name=expected_revenue] input`).edit("250");
    await contains(`${DIALOG} button:contains(Save and Move)`).click();
    await animationFrame();
    expect(".o_arrow_button_current").toHaveText("Quotation");
    expect("[name=expected_revenue] input").toHaveValue("250.00");
    expect.verifySteps(["ask 1 2", 'save {"expected_revenue":250}', 'save {"stage_id":2}']);

    await contains(".o_statusbar_status button:contains(New)").click();
    await contains("[name=expected_revenue] input").edit("0");
    await contains("[name=expected_revenue] input").edit("300");
    await contains(quotation).click();
    await animationFrame();
    expect(".modal").toHaveCount(0);
    expect.verifySteps(['save {"stage_id":1}', 'save {"expected_revenue":300}', "ask 1 2", 'save {"stage_id":2}']);
});

test("the form shows what is required and what is missing, each a way to its field", async () => {
    Lead._records[0].stage_requirements = "One\nTwo\nThree\nFour";
    Lead._records[0].missing_fields = [
        { name: "expected_revenue", string: "Expected Revenue" },
        { name: "notes", string: "Notes" },
        { name: "tag_ids", string: "Tags" },
    ];
    await mountForm(1, `<field name="notes"/>`);
    const links = () => queryAllTexts(".o_crm_stage_missing_field");
    expect(links()).toEqual(["Expected Revenue", "Notes", "Tags"]);
    expect(".o_crm_stage_asks > b").toHaveText("Requirements");
    const requirements = document.querySelector(".o_crm_stage_requirements");
    expect(requirements.scrollHeight).toBeGreaterThan(requirements.clientHeight);

    await contains(".o_crm_stage_missing_field:contains(Expected Revenue)").click();
    expect("[name=expected_revenue] input").toBeFocused();
    await contains("[name=expected_revenue] input").edit("10");
    expect(links()).toEqual(["Notes", "Tags"]);
    await contains(".o_crm_stage_missing_field:contains(Notes)").click();
    await waitFor("[name=notes] textarea:focus");
});

test("a missing field that the form does not have is asked for in the dialog", async () => {
    Lead._records[0].missing_fields = [{ name: "tag_ids", string: "Tags" }];
    await mountForm(1);
    await contains(".o_crm_stage_missing_field").click();
    await animationFrame();
    expect(`${DIALOG} [name=tag_ids]`).toHaveCount(1);
    await contains(`${DIALOG} [name=expected_revenue] input`).edit("5");
    await contains(`${DIALOG} button:contains(Save)`).click();
    await animationFrame();
    expect("[name=expected_revenue] input").toHaveValue("5.00");
    expect.verifySteps(["ask 1 1", 'save {"expected_revenue":5}']);
});

test("so is one on a page of the form that is not open", async () => {
    Lead._records[0].missing_fields = [{ name: "notes", string: "Notes" }];
    await mountForm(1, `<notebook><page string="A"/><page string="B"><field name="notes"/></page></notebook>`);
    await contains(".o_crm_stage_missing_field").click();
    await animationFrame();
    expect(DIALOG).toHaveCount(1);
    expect.verifySteps(["ask 1 1"]);
});

test("where the stage says and asks nothing, the form has nothing", async () => {
    await mountForm(2);
    expect(".o_crm_stage_asks").toHaveCount(0);
});
