import { defineMailModels } from "@mail/../tests/mail_test_helpers";
import { describe, expect, test } from "@odoo/hoot";
import { animationFrame, Deferred } from "@odoo/hoot-dom";
import { makeServerError, mountWithCleanup, onRpc } from "@web/../tests/web_test_helpers";
import { MainComponentsContainer } from "@web/core/main_components_container";
import { registry } from "@web/core/registry";

defineMailModels();
describe.current.tags("desktop");

async function startMove() {
    const { env } = await mountWithCleanup(MainComponentsContainer);
    env.bus.addEventListener("CRM_STAGE:DONE", () => expect.step("done"));
    const action = registry.category("actions").get("crm_sales_stage_move_opportunities");
    return action(env, { params: { wizard_id: 7, count: 2500 } });
}

test("moves batch by batch, shows how many have moved, then deletes", async () => {
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
    expect(".o_blockUI").toHaveText("0 of 2,500 moved");
    batches[0].resolve(1000);
    await animationFrame();
    await animationFrame();
    expect(".o_blockUI").toHaveText("1,500 of 2,500 moved");
    batches[1].resolve(0);
    await done;
    await animationFrame();
    expect(".o_blockUI").toHaveCount(0);
    expect.verifySteps(["delete 7", "done", "ir.actions.act_window_close"]);
});

test("an error ends it, and deletes nothing", async () => {
    onRpc("crm.stage.delete.wizard", "move_batch", () => {
        throw makeServerError({ message: "Not now" });
    });
    onRpc("crm.stage.delete.wizard", "action_delete", () => expect.step("delete"));
    await expect(startMove()).rejects.toThrow();
    await animationFrame();
    expect(".o_blockUI").toHaveCount(0);
    expect.verifySteps(["done"]);
});
