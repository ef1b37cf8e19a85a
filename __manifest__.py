{
    "name": "Sales Stages",
    "summary": "Five sales stages with their probabilities, and cards that move by themselves",
    "version": "19.0.3.0.0",
    "category": "Sales/CRM",
    "author": "Sales Stages",
    "license": "LGPL-3",
    "depends": ["sale_crm"],
    "data": [
        "security/ir.model.access.csv",
        "security/crm_stage_report_security.xml",
        "data/crm_stage_data.xml",
        "data/ir_actions_server_data.xml",
        "data/crm_stage_automation_data.xml",
        "data/ir_cron_data.xml",
        "wizard/crm_stage_delete_wizard_views.xml",
        "wizard/crm_stage_setup_wizard_views.xml",
        "views/crm_stage_views.xml",
        "views/crm_lead_views.xml",
        "views/crm_menu_views.xml",
        "views/crm_stage_automation_views.xml",
        "views/ir_actions_server_views.xml",
        "report/crm_stage_report_views.xml",
    ],
    "assets": {
        "web.assets_backend": [
            "crm_sales_stage/static/src/**/*",
        ],
        "web.assets_unit_tests": [
            "crm_sales_stage/static/tests/*.test.js",
        ],
        "web.assets_tests": [
            "crm_sales_stage/static/tests/tours/**/*",
        ],
    },
    "pre_init_hook": "pre_init_hook",
    "post_init_hook": "post_init_hook",
    "uninstall_hook": "uninstall_hook",
}
