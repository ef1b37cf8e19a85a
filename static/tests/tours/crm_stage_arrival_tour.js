import { registry } from "@web/core/registry";
import { card, click, column, fits, noDialog, open, openGear } from "./tour_utils";

const tours = registry.category("web_tour.tours");

const dialog = ".o_crm_stage_asking";
const mark = ".o_crm_stage_missing";

const dropOnQuotation = (name) => [
    {
        content: `Drop ${name} on the stage that asks`,
        trigger: `${column("Visite Technique")} ${card(name)}`,
        run: `drag_and_drop (${column("Devis")})`,
    },
    { trigger: `${dialog} .o_crm_stage_requirements:contains('Mesurer')` },
];

// The French of the addon itself may come later than its code: buttons are found by their place.
const saveAndMove = `${dialog} .modal-footer .btn-primary`;
const moveAnyway = `${dialog} .modal-footer .btn-secondary:first-of-type:not(.ms-md-auto), ${dialog} .modal-footer .btn-primary + .btn-secondary`;
const cancel = `${dialog} .modal-footer .btn-secondary.ms-md-auto`;

tours.add("crm_sales_stage_asks_in_french", {
    steps: () => [
        { trigger: `${column("Visite Technique")} ${card("Cuisine")}` },
        fits(".o_kanban_group, .o_column_title, .o_kanban_counter"),
        ...dropOnQuotation("Cuisine"),
        { content: "Cancel puts it back", trigger: cancel, run: "click" },
        noDialog,
        { trigger: `${column("Visite Technique")} ${card("Cuisine")}` },
        ...dropOnQuotation("Cuisine"),
        { content: "Fill in", trigger: `${dialog} [name=expected_revenue] input:focus`, run: "edit 1500" },
        { trigger: saveAndMove, run: "click" },
        noDialog,
        { trigger: `${column("Devis")} ${card("Cuisine")}:not(:has(${mark})):contains('500,00')` },
        { content: "What was planned is seen at once", trigger: `${column("Devis")} ${card("Cuisine")} .fa-phone` },
        ...dropOnQuotation("Salle de bain"),
        { content: "Move without it", trigger: moveAnyway, run: "click" },
        noDialog,
        { content: "The card shows it", trigger: `${column("Devis")} ${card("Salle de bain")} ${mark}` },
        { trigger: `${card("Salle de bain")} span.fw-bold, ${card("Salle de bain")} [name=name]`, run: "click" },
        {
            content: "So does the form, with a way to the field",
            trigger: ".o_form_view .o_crm_stage_missing_field:contains('Revenu')",
            run: "click",
        },
        { trigger: ".o_form_view [name=expected_revenue] input:focus", run: "edit 800 && press Tab" },
        { trigger: ".o_form_view:not(:has(.o_crm_stage_missing_field))" },
        { trigger: ".o_form_button_save", run: "click" },
        { trigger: ".o_form_view .o_form_saved, .o_form_view:not(:has(.o_form_button_save:visible))" },

        click(".o_form_view button[name=action_schedule_meeting]"),
        click(".o_calendar_view .fc-timegrid-slot-lane[data-time='14:00:00']"),
        { content: "The tag is there", trigger: ".modal [name=categ_ids] input", run: "edit visite" },
        click(".o-autocomplete--dropdown-item:contains('Visite Technique')"),
        { trigger: ".modal [name=categ_ids] .o_tag:contains('Visite Technique')" },
        click(".modal .o_form_button_save"),
        noDialog,

        ...open("crm?view_type=list", ".o_list_view .o_data_row:contains('Cuisine')"),
        fits(".o_list_table th[data-name=expected_revenue] span, .o_list_table th[data-name=probability] span"),
        fits(".o_list_table td[name=stage_id]"),
    ],
});

tours.add("crm_sales_stage_arrival_setup", {
    steps: () => [
        openGear("Quotation"),
        { trigger: ".o-dropdown--menu .o_group_edit", run: "click" },
        { trigger: ".modal [name=activity_plan_id] input", run: "edit Follow up" },
        { trigger: ".o-autocomplete--dropdown-item:contains('Follow up')", run: "click" },
        { trigger: ".modal [name=mail_template_id] input", run: "edit Coming soon" },
        click(".modal [name=mail_template_id] .o-autocomplete--dropdown-item:contains('Create and edit')"),
        { content: "It starts with a text", trigger: ".modal [name=body_html]:contains('Kind regards')" },
        { trigger: ".modal:has([name=body_html]) .o_form_button_save", run: "click" },
        { trigger: "body:not(:has(.modal [name=body_html])) .modal [name=mail_template_id] input:value(Coming soon)" },
        { trigger: ".modal [name=mail_template_id] input", run: "edit We have your" },
        { trigger: ".o-autocomplete--dropdown-item:contains('We have your quotation')", run: "click" },
        { trigger: ".modal [name=required_field_ids] input", run: "edit Expected Rev" },
        { trigger: ".o-autocomplete--dropdown-item:contains('Expected Revenue')", run: "click" },
        { trigger: ".modal [name=required_field_ids] .o_tag:contains('Expected Revenue')" },
        { trigger: ".modal .o_form_button_save", run: "click" },
        noDialog,
        {
            trigger: `${column("Technical Visit")} ${card("Kitchen")}`,
            run: `drag_and_drop (${column("Quotation")})`,
        },
        { trigger: `${dialog} [name=expected_revenue] input` },
        { trigger: `${dialog}:contains('The move sends the e-mail "We have your quotation"')` },
        { trigger: `${dialog} button:contains('Move Anyway')`, run: "click" },
        noDialog,
        { trigger: `${column("Quotation")} ${card("Kitchen")} ${mark}` },
        {
            content: "The head of the column shows what its stage does",
            trigger: `${column("Quotation")} .o_kanban_header:has([title='Plans: Follow up']):has([title='Asks for: Expected Revenue']) [title='Sends: We have your quotation']`,
        },
        {
            trigger: `${column("Technical Visit")} ${card("Bathroom")}`,
            run: `drag_and_drop (${column("Quotation")})`,
        },
        { content: "Nothing is missing", trigger: `${column("Quotation")} ${card("Bathroom")}:not(:has(${mark}))` },
        { trigger: `.o_notification:contains('The e-mail "We have your quotation" was sent')` },
    ],
});

tours.add("crm_sales_stage_lost_with_quotations", {
    steps: () => [
        { trigger: ".o_statusbar_buttons button:contains('Lost')", run: "click" },
        { trigger: ".modal label:contains('Also Cancel Open Quotations') + span:contains('(2)')" },
        { trigger: ".modal [name=cancel_quotations] input:not(:checked)", run: "click" },
        { trigger: ".modal button[name=action_lost_reason_apply]", run: "click" },
        noDialog,
        { trigger: ".ribbon:contains('Lost')" },
    ],
});
