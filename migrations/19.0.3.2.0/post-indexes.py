"""Stays are found by an index in the order of time; Odoo keeps the one that it replaces."""


def migrate(cr, version):
    cr.execute("DROP INDEX IF EXISTS crm_stage_stay__lead_id_index")
