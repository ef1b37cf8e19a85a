import { defineMailModels } from "@mail/../tests/mail_test_helpers";
import { describe, expect, test } from "@odoo/hoot";
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

    _records = [{ id: 1, name: "New" }];
}

defineModels([Stage]);
defineMailModels();
describe.current.tags("desktop");

test("opens what a figure counts, and saves nothing that is only tried out", async () => {
    mockService("action", {
        doAction: ({ name }, { newWindow }) => expect.step(`${name} ${newWindow ? "beside" : "here"}`),
    });
    onRpc("crm.stage", "action_open_stays", ({ args }) => ({ name: `Report of ${args[0]}` }));
    onRpc("crm.stage", "web_save", () => expect.step("saved"));
    await mountView({
        type: "form",
        resModel: "crm.stage",
        resId: 1,
        arch: `
            <form>
                <field name="name"/>
                <widget name="crm_stage_figure_link" method="action_open_stays" string="Analyze"/>
            </form>`,
    });
    await contains("button:contains(Analyze)").click();
    expect.verifySteps(["Report of 1 here"]);
    await contains("[name=name] input").edit("Newcomers");
    await contains("button:contains(Analyze)").click();
    expect.verifySteps(["Report of 1 beside"]);
    expect("[name=name] input").toHaveValue("Newcomers");
});
