import { defineMailModels } from "@mail/../tests/mail_test_helpers";
import { describe, expect, test } from "@odoo/hoot";
import { animationFrame, Deferred } from "@odoo/hoot-dom";
import { contains, mockService, mountWithCleanup, onRpc } from "@web/../tests/web_test_helpers";
import { MainComponentsContainer } from "@web/core/main_components_container";
import { registry } from "@web/core/registry";

defineMailModels();
describe.current.tags("desktop");

async function startMove() {
    const { env } = await mountWithCleanup(MainComponentsContainer);
    const action = registry.category("actions").get("crm_sales_stage_move_opportunities");
    return action(env, { params: { wizard_id: 7, count: 2500 } });
}

test("moves batch by batch, shows how far it came, then deletes", async () => {
    const batches = [new Deferred(), new Deferred()];
    let batch = 0;
    onRpc("crm.stage.delete.wizard", "move_batch", ({ args }) => {
        expect(args[0]).toEqual([7]);
        return batches[batch++];
    });
    onRpc("crm.stage.delete.wizard", "action_delete", ({ args }) => {
        expect.step(`delete ${args[0]}`);
        return { type: "ir.actions.act_window_close" };
    });
    const done = startMove().then((next) => expect.step(next.type));
    await animationFrame();
    await animationFrame();
    expect(".modal p").toHaveText("0 of 2,500 moved");
    batches[0].resolve(1000);
    await animationFrame();
    expect(".modal p").toHaveText("1,500 of 2,500 moved");
    expect(".modal .progress").toHaveAttribute("aria-valuenow", "60");
    batches[1].resolve(0);
    await done;
    await animationFrame();
    expect(".modal").toHaveCount(0);
    expect.verifySteps(["delete 7", "ir.actions.act_window_close"]);
});

test("Stop ends after the batch under way, and deletes nothing", async () => {
    const batch = new Deferred();
    onRpc("crm.stage.delete.wizard", "move_batch", () => {
        expect.step("batch");
        return batch;
    });
    onRpc("crm.stage.delete.wizard", "action_delete", () => expect.step("delete"));
    mockService("notification", { add: (message) => expect.step(String(message)) && (() => {}) });
    const done = startMove();
    await animationFrame();
    await animationFrame();
    await contains(".modal button:contains(Stop)").click();
    batch.resolve(500);
    await done;
    await animationFrame();
    expect(".modal").toHaveCount(0);
    expect.verifySteps([
        "batch",
        "2,000 of 2,500 moved. Delete the stage again to move the others.",
    ]);
});
