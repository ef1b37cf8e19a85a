/** A sales manager who reads French sets up automations by hand: whatever is looked for is what the manager reads. */
import { registry } from "@web/core/registry";
import { stepUtils } from "@web_tour/tour_utils";

/** What is filled in beside a label. */
const beside = (label, input) => `.o_form_view .o_wrap_label:contains(/^${label}/) + .o_cell ${input}`;

const pressNew = [
    { content: "A new automation", trigger: ".o_control_panel button:contains(/^Nouveau$/)", run: "click" },
    {
        content: "Its form is empty",
        trigger: ".o_form_view:not(:has(.oe_title)) .o_horizontal_separator:contains('Déplacer une opportunité')",
    },
];

const pressSave = [
    { content: "Save", trigger: ".o_form_button_save[data-tooltip='Enregistrer manuellement']", run: "click" },
    { trigger: ".o_form_view .o_form_saved" },
];

const choose = (label, name) => [
    { content: `${label}: ${name}`, trigger: beside(label, ".o_field_many2one input"), run: `edit ${name}` },
    { trigger: `.o-autocomplete--dropdown-item:contains(/^${name}$/)`, run: "click" },
];

const chooseTrigger = (name) => [
    { content: `Quand: ${name}`, trigger: beside("Quand", ".o_field_widget[name=trigger] input"), run: "click" },
    { trigger: `.o_select_menu_item:contains(/^${name}$/)`, run: "click" },
];

registry.category("web_tour.tours").add("crm_sales_stage_automation_french", {
    steps: () => [
        stepUtils.showAppsMenuItem(),
        { content: "CRM", trigger: ".o_app:contains(/^CRM$/)", run: "click" },
        { trigger: ".o_opportunity_kanban" },
        { trigger: ".o_menu_sections button:contains(/^Configuration$/)", run: "click" },
        { trigger: `.o-dropdown--menu a:contains("Automatisations d'étapes")`, run: "click" },
        { trigger: ".o_list_view .o_view_nocontent:contains('Laissez les opportunités se déplacer')" },

        ...pressNew,
        ...choose("Vers", "Relance"),
        ...chooseTrigger("elle est sans nouvelles depuis …"),
        {
            content: "Ten days",
            trigger: ".o_form_view div[name=trigger]:contains('Jours ouvrés') .o_field_widget[name=days] input",
            run: "edit 10",
        },
        ...pressSave,
        {
            content: "It reads as a sentence",
            trigger: ".o_form_view h2:contains(/^Déplacer vers «\\sRelance\\s» quand elle est sans nouvelles depuis 10 jours ouvrés$/)",
        },

        ...pressNew,
        ...choose("Vers", "Gagné / Perdu"),
        ...chooseTrigger("un devis expire"),
        {
            content: "Losing is proposed",
            trigger: beside("Issue", `.o_radio_item:contains("Perdre l'opportunité") input:checked`),
        },
        ...choose("Motif de perte", "Sans réponse"),
        ...pressSave,
        {
            content: "It reads as a sentence",
            trigger: `.o_form_view h2:contains("Perdre l'opportunité (Sans réponse) quand un devis expire")`,
        },

        { content: "Back to the list", trigger: ".breadcrumb-item a:contains(Automatisations)", run: "click" },
        { trigger: ".o_list_view .o_data_row:contains('sans nouvelles depuis 10 jours')" },
        { trigger: `.o_list_view .o_data_row:contains("Perdre l'opportunité (Sans réponse)")` },
    ],
});
