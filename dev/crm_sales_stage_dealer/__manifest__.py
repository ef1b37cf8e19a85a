{
    "name": "Sales Stages: a Dealer to Try Them",
    "summary": "A dealer of stoves and windows, who has sold in the five stages for 14 months",
    "version": "19.0.1.0.0",
    "category": "Sales/CRM",
    "author": "Sales Stages",
    "website": "https://sales-stages.example",
    "license": "LGPL-3",
    "depends": ["crm_sales_stage"],
    "demo": [
        "demo/crm_lead_demo.xml",
    ],
    "assets": {
        "web.assets_tests": [
            "crm_sales_stage_dealer/static/tests/tours/*",
        ],
    },
}
