"""What a user does with the addon, in the shell of an Odoo that has only its wheel: see wheel.sh."""

import sys

from odoo.modules import Manifest


def expect(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: {found!r}, not {expected!r}")


def check_place(env):
    """Odoo has found the addon among Python's packages."""
    path = Manifest.for_addon("crm_sales_stage").path
    expect(path.startswith(f"{sys.prefix}/lib/"), True, f"{path} is in the environment")


def check_move(env):
    """A quotation is sent, and the card of its opportunity moves."""
    lead = env["crm.lead"].create({"name": "House", "type": "opportunity"})
    expect(lead.stage_id, env.ref("crm_sales_stage.stage_new"), "stage of a new opportunity")
    order = env["sale.order"].create({"partner_id": env.user.partner_id.id, "opportunity_id": lead.id})
    order.action_quotation_sent()
    expect(lead.stage_id, env.ref("crm_sales_stage.stage_quotation"), "stage after the quotation was sent")
    expect(lead.probability, 75, "its probability")
    expect(lead.with_context(lang="fr_FR").stage_id.name, "Devis", "the stage in French")


def check_assets(env):
    """The web client's scripts and styles are built, with those of the addon."""
    bundle = env["ir.qweb"]._get_asset_bundle("web.assets_backend")
    for attachment, mark in ((bundle.js(), b"crm_sales_stage"), (bundle.css(), b"o_crm_stage")):
        expect(mark in attachment.raw, True, f"{attachment.name} has {mark}")
    expect(bundle.css_errors, [], "errors in the styles")


for check in (check_place, check_move, check_assets):
    check(env)  # noqa: F821 # Odoo's shell has it
    print(f"    {check.__name__}")
