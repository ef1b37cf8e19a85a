import { defineMailModels } from "@mail/../tests/mail_test_helpers";
import { describe, expect, test } from "@odoo/hoot";
import { animationFrame, press, queryAllTexts } from "@odoo/hoot-dom";
import {
    contains,
    defineModels,
    fields,
    mockService,
    models,
    mountView,
    onRpc,
} from "@web/../tests/web_test_helpers";

class Stage extends models.Model {
    _name = "crm.stage";

    name = fields.Char();
    active = fields.Boolean({ default: true });
    ask_outcome = fields.Boolean();
    asks_for_fields = fields.Boolean();
    is_won = fields.Boolean();
    sends_email = fields.Boolean();

    _records = [
        { id: 1, name: "New" },
        { id: 2, name: "Old visit", active: false },
        { id: 3, name: "Won / Lost", is_won: true, ask_outcome: true },
        { id: 4, name: "Forgotten", active: false },
    ];
}

class Lead extends models.Model {
    _name = "crm.lead";

    name = fields.Char();
    duration_tracking = fields.Json();
    stage_id = fields.Many2one({ relation: "crm.stage" });
    won_status = fields.Char();

    _records = [
        { id: 1, name: "Kitchen", stage_id: 2, won_status: "pending" },
        { id: 2, name: "Stove", stage_id: 1, won_status: "won" },
    ];
}

defineModels([Stage, Lead]);
defineMailModels();
describe.current.tags("desktop");

onRpc("crm.lead", "get_rainbowman_message", () => false);

const mountForm = (resId) =>
    mountView({
        type: "form",
        resModel: "crm.lead",
        resId,
        arch: `
            <form js_class="crm_form">
                <header><field name="stage_id" widget="crm_sales_stage_statusbar" options="{'clickable': '1'}"/></header>
                <field name="won_status" invisible="1"/>
                <field name="name"/>
            </form>`,
    });

const FINAL = ".o_statusbar_status button:contains('Won / Lost')";
const current = () => queryAllTexts(".o_arrow_button_current");

test("shows the opportunity's archived stage, and no other archived one", async () => {
    await mountForm(1);
    expect(current()).toEqual(["Old visit"]);
    expect(".o_statusbar_status button:contains(Forgotten)").toHaveCount(0);
});

test("a stage that asks changes nothing before the answer", async () => {
    onRpc("crm.lead", "web_save", ({ args }) => expect.step(args[1].stage_id));
    await mountForm(1);
    await contains(FINAL).click();
    expect(".o_crm_stage_outcome .btn-primary").toBeFocused();
    await press("Escape");
    await animationFrame();
    expect(current()).toEqual(["Old visit"]);
    expect.verifySteps([]);
    await contains(FINAL).click();
    await contains(".o_crm_stage_outcome button:contains(Won)").click();
    expect.verifySteps([3]);
    expect(current()).toEqual(["Won / Lost"]);
});

test("lost keeps the stage, and saves what was changed first", async () => {
    mockService("action", {
        doAction(action, options) {
            expect.step(`${action} ${options.additionalContext.active_id}`);
            options.onClose();
            return Promise.resolve();
        },
    });
    onRpc("crm.lead", "web_save", ({ args }) => expect.step(JSON.stringify(args[1])));
    await mountForm(1);
    await contains("[name=name] input").edit("Kitchen and bath");
    await contains(FINAL).click();
    await contains(".o_crm_stage_outcome button:contains(Lost)").click();
    await animationFrame();
    expect.verifySteps(['{"name":"Kitchen and bath"}', "crm.crm_lead_lost_action 1"]);
    expect(current()).toEqual(["Old visit"]);
});

test("an opportunity that is won already is not asked about", async () => {
    onRpc("crm.lead", "web_save", ({ args }) => expect.step(args[1].stage_id));
    await mountForm(2);
    await contains(FINAL).click();
    expect(".o_crm_stage_outcome").toHaveCount(0);
    expect.verifySteps([3]);
});
