import { registry } from "@web/core/registry";
import { click, noDialog } from "./tour_utils";

const FILE = {
    product: "crm_sales_stage",
    version: 1,
    stages: [
        { id: "crm_sales_stage.stage_estimate", name: { en_US: "Estimate" }, probability: 30 },
        {
            name: { en_US: "Chase", fr_FR: "Relance" },
            sequence: 4,
            probability: 60,
            automations: [
                { trigger: "no_news", days: 5 },
                { trigger: "no_news", days: 6, filter_domain: [["tag_ids", "in", [{ name: "Nope" }]]] },
            ],
        },
        { name: { en_US: "Wrong" }, probability: 300 },
    ],
};

/** Opens a dialog from the menu of the configuration. */
const openDialog = (menu) => [
    click("[data-menu-xmlid='crm.crm_menu_config']"),
    click(`[data-menu-xmlid='crm_sales_stage.${menu}']`),
];

/** Chooses a file, as dropping it on the field does. */
const chooseFile = (text) => ({
    trigger: ".modal .o_field_widget[name=data]",
    run() {
        const transfer = new DataTransfer();
        transfer.items.add(new File([text], "set-up.json", { type: "application/json" }));
        const input = this.anchor.querySelector("input[type=file]");
        input.files = transfer.files;
        input.dispatchEvent(new Event("change", { bubbles: true }));
    },
});

const row = (name, ...cells) =>
    `.modal .o_data_row:contains('${name}')${cells.map((text) => `:contains('${text}')`).join("")}`;

const ticked = ":has([name=is_ticked] input:checked)";

registry.category("web_tour.tours").add("crm_sales_stage_export_and_import", {
    steps: () => [
        ...openDialog("menu_crm_stage_export"),
        { content: "What is in the file", trigger: ".modal:contains('Not in it') button[name=action_download]" },
        click(".modal button[special=cancel], .modal .o_form_button_cancel"),
        noDialog,

        ...openDialog("menu_crm_stage_import"),
        chooseFile("no set-up"),
        { trigger: ".modal .o_field_widget[name=data] :value('set-up.json'), .modal:contains('set-up.json')" },
        click(".modal button[name=action_read]"),
        { content: "Refused in words", trigger: ".modal:contains('This is no set-up of a pipeline') .modal-footer button" },
        click(".modal:contains('This is no set-up of a pipeline') .modal-footer button"),
        chooseFile(JSON.stringify(FILE)),
        click(".modal button[name=action_read]"),

        { trigger: ".modal:contains('New: 2, Changed: 1, Missing here: 1, Not possible: 1')" },
        { trigger: row("Estimate", "Changed", "25 → 30", "unless theirs was set by hand: 1") + ticked },
        { trigger: row("Wrong", "Not possible", "between 0% and 100%") + `:not(${ticked})` },
        { trigger: row("for 5 days", "New") + ticked },
        { trigger: row("Chase", "Missing here", "Nope") + `:not(${ticked})` },
        click(".modal button[name=action_apply]"),
        { trigger: ".o_notification:contains('The set-up was imported.')" },
        { content: "The new automation is among the archived ones", trigger: ".o_list_view .o_data_row:contains('for 5 days')" },
        noDialog,
        click(".o_notification button:contains('Undo')"),
        { trigger: ".o_notification:contains('The import was undone.')" },
        { trigger: ".o_list_view:not(:has(.o_data_row:contains('for 5 days')))" },
    ],
});
