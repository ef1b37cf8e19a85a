/** On a phone, in any language: whatever is read or pressed has room, and no word is broken in two. */
import { registry } from "@web/core/registry";
import { click, fits, noDialog, open } from "./tour_utils";

registry.category("web_tour.tours").add("crm_sales_stage_phone", {
    steps: () => [
        { trigger: ".o_kanban_record:contains('Kitchen')" },
        fits(".o_kanban_group:first .o_column_title"),
        click(".o_kanban_record:contains('Kitchen')"),
        { trigger: ".o_form_view [name=name]" },
        click(".o_statusbar_status button.dropdown-toggle:not(.d-none):visible"),
        fits(".o-dropdown--menu .o-dropdown-item"),
        click(".o-dropdown--menu .o-dropdown-item:contains(/^(Won|Gagné)/)"),
        fits(".o_crm_stage_outcome .modal-body, .o_crm_stage_outcome .btn"),
        click(".o_crm_stage_outcome .btn-danger"),
        click(".modal .o_radio_input:first"),
        click(".modal button[name=action_lost_reason_apply]"),
        noDialog,
        fits(".o_notification_body, .o_notification_buttons .btn"),

        ...open("action-crm.crm_lead_action_pipeline", ".o_column_quick_create.o_quick_create_folded"),
        click(".o_column_quick_create.o_quick_create_folded > div"),
        { trigger: ".o_column_quick_create input", run: "edit Relance" },
        click(".o_column_quick_create .o_kanban_add"),
        fits(".o_notification_body, .o_notification_buttons .btn"),

        ...open("action-crm_sales_stage.crm_stage_automation_action", ".o_kanban_view .o_kanban_record"),
        fits(".o_kanban_record:not(.o_kanban_ghost)"),
        click(".o_kanban_record:contains(10)"),
        { trigger: ".o_form_view h2" },
        fits(".o_form_view .o_form_sheet"),
        click(".o_crm_stage_condition .o_tree_editor_row a[role=button]"),
        { content: "An operator has room", ...fits(".o_crm_stage_condition .o_tree_editor_editor") },
        fits(".o_crm_stage_condition .o_tree_editor_editor select, .o_tree_editor_node_control_panel"),
        click(".o_form_button_cancel"),
        click("button[name=action_preview]"),
        fits(".modal .modal-body, .modal .modal-footer .btn"),

        ...open("action-crm.crm_stage_action", ".o_kanban_view .o_kanban_record"),
        fits(".o_kanban_record:not(.o_kanban_ghost)"),
        click(".o_kanban_record:contains(50)"),
        fits(".o_form_view .o_form_sheet"),

        ...open("action-crm_sales_stage.crm_stage_report_action", ".o_crm_stage_pictures"),
        fits(".o_crm_stage_pictures section"),
        fits(".o_crm_stage_pictures th.o_crm_stage_name"),

        ...open("action-crm_sales_stage.crm_stage_setup_action", ".modal .o_form_view"),
        fits(".modal .modal-footer .btn"),
    ],
});
