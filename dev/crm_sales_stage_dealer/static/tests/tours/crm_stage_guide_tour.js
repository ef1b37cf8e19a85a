/** What the guides show, in any language: nothing is found by its text, but for stages. */
import { registry } from "@web/core/registry";
import { click, noDialog, open, openGearOf } from "@crm_sales_stage/../tests/tours/tour_utils";

const tours = registry.category("web_tour.tours");

/** Lets the test take a picture, if it wants any: see tests/common_pictures.py. */
async function takePicture(name, clip) {
    if (!document.cookie.includes("crm_stage_pictures")) {
        return;
    }
    await new Promise((resolve) => setTimeout(resolve, 400)); // what moves or fades in comes to rest
    const taken = new Promise((resolve) => {
        window.addEventListener("crm_sales_stage_picture", resolve, { once: true });
    });
    console.log(`picture ${JSON.stringify({ name, clip })}`);
    await taken;
}

/** A picture of an element, and of some pixels around it. */
const picture = (name, trigger, { around = 0, height } = {}) => ({
    content: `Picture ${name}`,
    trigger,
    async run({ anchor }) {
        const box = anchor.getBoundingClientRect();
        const x = Math.max(0, box.x - around);
        const y = Math.max(0, box.y - around);
        const right = Math.min(window.innerWidth, box.right + around);
        const bottom = Math.min(window.innerHeight, box.bottom + around, y + (height || window.innerHeight));
        await takePicture(name, { x, y, width: right - x, height: bottom - y });
    },
});

const column = (position) => `.o_kanban_group:nth-of-type(${position})`;
const card = (position) => `${column(position)} .o_kanban_record:first`;
const stageButton = (name) => `.o_statusbar_status .o_arrow_button:contains(${name})`;
const closeDialog = [click(".modal .btn-close"), noDialog];

tours.add("crm_sales_stage_guide_pipeline", {
    steps: () => [
        { trigger: card(4) },
        picture("pipeline", "body"),
        openGearOf(column(2)),
        picture("column_menu", ".o-dropdown--menu:has(.o_group_edit)", { around: 120 }),
        click(".o-dropdown--menu .o_group_edit"),
        picture("stage_form", ".modal .modal-content:has([name=probability] input)"),
        ...closeDialog,
        openGearOf(column(2)),
        click(".o-dropdown--menu .o_group_delete"),
        picture("delete_stage", ".modal .modal-content:has([name=contents])"),
        ...closeDialog,
        click(".o_column_quick_create.o_quick_create_folded > div"),
        { trigger: ".o_column_quick_create input", run: "edit …" },
        picture("add_stage", ".o_column_quick_create", { around: 60, height: 400 }),
        { trigger: ".o_column_quick_create input", run: "press Escape" },
        { trigger: ".o_column_quick_create.o_quick_create_folded" },
        click(card(3)),
        { trigger: ".o_form_view .o_statusbar_status" },
        picture("opportunity", ".o_form_view .o_form_sheet_bg, .o_form_view .o_form_renderer", { height: 420 }),
        click(stageButton("/^(Quotation|Devis)/")),
        picture("asked_fields", ".modal .modal-content:has(.o_crm_stage_requirements)"),
        click(".modal .modal-footer .btn-secondary.ms-md-auto"),
        noDialog,
        click(stageButton("/^(Won|Gagné)/")),
        picture("won_or_lost", ".modal .o_crm_stage_outcome"),
        click(".o_crm_stage_outcome .btn-danger"),
        picture("lost_reason", ".modal .modal-content:has(button[name=action_lost_reason_apply])"),
        ...closeDialog,
        ...open("action-crm_sales_stage.crm_stage_report_action", ".o_crm_stage_losses .o_crm_stage_bar"),
        picture("report", "body"),
        {
            trigger: ".o_crm_stage_losses",
            run({ anchor }) {
                anchor.scrollIntoView({ block: "end" });
            },
        },
        picture("report_waiting", ".o_crm_stage_waiting"),
        picture("report_losses", ".o_crm_stage_losses"),
    ],
});

const AUTOMATIONS = "action-crm_sales_stage.crm_stage_automation_action";
const EXAMPLES = [
    "recipe_quotation_sent",
    "recipe_visit_planned",
    "recipe_visit_over",
    "recipe_order_confirmed",
    "recipe_quotation_expired",
    null, // ten days without news: the recipe is another one
    "recipe_email_received",
    "recipe_big_deal",
    "recipe_team_meeting",
    "recipe_cancelled",
];

/** Opens an example, takes a picture of its form, and goes back to the list. */
const pictureExample = (name, position) => [
    click(".o_control_panel .o_list_buttons button.btn-secondary, .o_control_panel_main_buttons button.btn-secondary"),
    ...(position ? [] : [picture("examples", ".modal .modal-content:has(.o_crm_stage_example)")]),
    click(`.o_crm_stage_example:eq(${position})`),
    { trigger: ".o_form_view h2" },
    ...(name ? [picture(name, ".o_form_view .o_form_sheet")] : []),
    click(".o_form_view .o_form_button_cancel"),
    { trigger: ".o_list_view .o_data_row" },
];

tours.add("crm_sales_stage_guide_automations", {
    steps: () => [
        ...open(AUTOMATIONS, ".o_list_view .o_data_row"),
        picture("automations", "body"),
        ...EXAMPLES.flatMap(pictureExample),
        click(".o_data_row .o_data_cell[name=name]:contains(' 10 ')"),
        { trigger: ".o_form_view h2" },
        picture("recipe_no_news", ".o_form_view .o_form_sheet"),
        click(".o_form_view button[name=action_preview]"),
        picture("preview", ".modal .modal-content:has([name=line_ids])"),
        ...closeDialog,
        ...open(AUTOMATIONS, ".o_list_view .o_data_row"),
        click(".o_data_row.text-danger .o_data_cell[name=name]"),
        picture("fault", ".o_form_view .o_form_sheet:has(.alert-danger)"),
        ...open("action-crm.crm_stage_action", ".o_list_view .o_data_row"),
        picture("stages", "body", { height: 420 }),
        click(".o_data_row .o_data_cell[name=name]:contains(/^(Follow-Up|Relance)$/)"),
        {
            trigger: ".o_form_view [name=activity_plan_id]",
            run({ anchor }) {
                anchor.scrollIntoView({ block: "center" });
            },
        },
        picture("on_arrival", ".o_form_view .o_form_sheet"),
    ],
});

tours.add("crm_sales_stage_guide_setup", {
    steps: () => [
        ...open("action-crm_sales_stage.crm_stage_setup_action", ".o_form_view [name=line_ids] .o_data_row, .modal [name=line_ids] .o_data_row"),
        picture("setup", "body"),
    ],
});
