"""Look at the pipeline as the web client does: page, scripts, menus, views and columns.

Usage: lifecycle_web.py <address> <database>
"""

import re
import sys

from soak import Client


def main(address, database):
    client = Client(address, database, "admin")
    page = client.get("/odoo/crm")
    assets = re.findall(r'(?:src|href)="(/web/assets/[^"]+\.(?:js|css))"', page)
    if not any(path.endswith(".js") for path in assets):
        sys.exit("the page has no scripts")
    for path in assets:
        if "crm_sales_stage" in client.get(path):
            sys.exit(f"{path} still has files of the addon")
    menus = client.get("/web/webclient/load_menus")
    if "crm_sales_stage" in menus:
        sys.exit("menus of the addon are left")
    action = client.post("/web/action/load", {"action_id": "crm.crm_lead_action_pipeline"})
    views = client.call("crm.lead", "get_views", action["views"], options={"action_id": action["id"]})
    if "crm_sales_stage" in str(views) or "probability_mode" in str(views):
        sys.exit("views of the addon are left")
    domain = [("type", "=", "opportunity")]
    groups = client.call("crm.lead", "web_read_group", domain, ["stage_id"], ["__count"])["groups"]
    if len(groups) < 5:
        sys.exit(f"the pipeline has only the columns {groups}")
    print(f"    {len(assets)} assets, {len(views['views'])} views, {len(groups)} columns")


if __name__ == "__main__":
    main(*sys.argv[1:])
