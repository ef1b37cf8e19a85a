"""Installing into a new database adopts Odoo's default stages; a live one is left as it is."""

from contextlib import suppress

from lxml import etree
from psycopg2 import IntegrityError

from odoo.exceptions import UserError
from odoo.modules.module import Manifest
from odoo.tools import SQL, file_open, mute_logger
from odoo.tools.sql import column_exists

from odoo.addons.base.models.ir_model import MODULE_UNINSTALL_FLAG

# Odoo's untouched defaults, and the stage of ours that takes each of them over.
# "Proposition" is Odoo's word for the customer having a quotation in hand.
ADOPTED_STAGES = {
    "stage_lead1": ("New", "stage_new"),
    "stage_lead2": ("Qualified", "stage_estimate"),
    "stage_lead3": ("Proposition", "stage_quotation"),
    "stage_lead4": ("Won", "stage_closed"),
}

# Days after which a card of a new database shows that nothing happens
ROTTING_DAYS = {"stage_new": 7, "stage_estimate": 14, "stage_technical_visit": 14, "stage_quotation": 21}

# Odoo's addons that have opportunities in their demo data
DEMO_MODULES = ("crm", "website_crm_partner_assign")


def pre_init_hook(env):
    """Keep existing stages on Odoo's scoring, and hand over its defaults when nothing lives in them."""
    # Created here, not by the ORM: its default ("fixed") is for stages to come, not for the customer's.
    env.cr.execute(SQL("ALTER TABLE crm_stage ADD COLUMN IF NOT EXISTS probability_mode varchar"))
    # With OCA's crm_stage_probability, stages have a probability, which those with "on_change" give.
    mode = (
        SQL("CASE WHEN on_change THEN 'fixed' ELSE 'predictive' END")
        if column_exists(env.cr, "crm_stage", "on_change")
        else SQL("'predictive'")
    )
    env.cr.execute(SQL("UPDATE crm_stage SET probability_mode = %s WHERE probability_mode IS NULL", mode))
    env.cr.execute(SQL("ALTER TABLE crm_stage ALTER COLUMN probability_mode SET NOT NULL"))
    if _is_untouched(env):
        _adopt_odoo_stages(env)


def post_init_hook(env):
    """Archive the five stages in a live database; elsewhere let demo opportunities show them."""
    stages = env["crm.stage"]._get_default_stages()
    if not _is_adopted(env):
        # Not by the ORM, which keeps a pipeline's last won stage: the customer may do without one.
        env.cr.execute(SQL("UPDATE crm_stage SET active = false WHERE id = ANY(%s)", stages.ids))
        stages.invalidate_recordset(["active"])
        _suggest_probabilities(env)
        env.ref("crm_sales_stage.crm_stage_setup_todo").state = "open"
    else:
        for name, days in ROTTING_DAYS.items():
            env.ref(f"crm_sales_stage.{name}").rotting_threshold_days = days
        _place_demo_opportunities(env)
    env["crm.stage"].init()  # the defaults of the database, for the pipeline as it is now


def uninstall_hook(env):
    """Leave every opportunity its stage, and give Odoo's menu and scoring back."""
    # As in what Odoo deletes after this: what guards records from users does not hold any more.
    env = env(context={**env.context, MODULE_UNINSTALL_FLAG: True})
    # First of all, as these hold stages and fields: automations, and whatever else moves opportunities.
    env["crm.stage.automation"].with_context(active_test=False).search([]).unlink()
    _get_actions_that_end(env)._remove_with_scheduled()
    stages = env["crm.stage"].with_context(active_test=False)
    stages.search([("probability_mode", "=", "fixed")]).probability_mode = "predictive"
    # Archived stages come back as columns once `active` is gone; ours go when they are unused.
    unused = stages._get_default_stages().filtered(lambda stage: not stage.active)
    leads = env["crm.lead"].with_context(active_test=False)
    unused -= leads.search([("stage_id", "in", unused.ids)]).stage_id
    for stage in unused:
        # Records of other addons, or fields of the customer's, may hold it: it is their stage then.
        with suppress(IntegrityError, UserError), mute_logger("odoo.sql_db"), env.cr.savepoint():
            stage.unlink()
    # Without our external ids the other stages are the customer's own records, which uninstalling keeps.
    # So are the tag and the type of technical visits, which meetings and activities bear, and opportunities
    # that came as demo data with former versions.
    kept = ("crm.stage", "calendar.event.type", "mail.activity.type", "crm.lead")
    env["ir.model.data"].search([("module", "=", "crm_sales_stage"), ("model", "in", kept)]).unlink()
    if menu := env.ref("crm.menu_crm_lead_stage_act", raise_if_not_found=False):
        menu.group_ids = env.ref("base.group_no_one")
    if action := env.ref("crm.crm_stage_action", raise_if_not_found=False):
        action.view_mode = "list,form"
    # Next, Odoo replaces our fields by others and deletes our records. What its registry has found out so far
    # of what depends on what still names the former fields: records that these belong to would stay.
    env.flush_all()
    env.registry._setup_models__(env.cr, [])


def _get_actions_that_end(env):
    """:return: server actions that mean nothing without the addon: moves to a stage, changes of our fields"""
    data = env["ir.model.data"].search([("model", "=", "ir.model.fields")])
    ours = data.filtered(lambda row: row.module == "crm_sales_stage")
    field_ids = set(ours.mapped("res_id")) - set((data - ours).mapped("res_id"))
    return env["ir.actions.server"].search(
        ["|", ("state", "=", "crm_stage"), ("update_field_id", "in", list(field_ids))]
    )


def _is_untouched(env):
    """:return: whether no opportunity but demo ones exists and every stage is one of Odoo's, as delivered"""
    demo_ids = [lead.id for name in _get_demo_external_ids() if (lead := env.ref(name, False))]
    leads = env["crm.lead"].with_context(active_test=False)
    if leads.search_count([("id", "not in", demo_ids)], limit=1):
        return False
    delivered = {
        stage.id: name
        for xml_id, (name, _target) in ADOPTED_STAGES.items()
        if (stage := env.ref(f"crm.{xml_id}", raise_if_not_found=False))
    }
    stages = env["crm.stage"].with_context(lang=None).search([])
    return all(
        stage.name == delivered.get(stage.id) and stage.write_uid.id == env.uid and not stage.team_ids
        for stage in stages
    )


def _get_demo_external_ids():
    """:return: complete external ids of the opportunities in the files of Odoo's own demo data"""
    external_ids = []
    for module in DEMO_MODULES:
        manifest = Manifest.for_addon(module, display_warning=False)
        for path in manifest["demo"] if manifest else ():
            with file_open(f"{module}/{path}", "rb") as file:
                names = etree.parse(file).xpath("//record[@model='crm.lead']/@id")
            external_ids += [f"{module}.{name}" for name in names]
    return external_ids


def _is_adopted(env):
    """Whether the five stages are the pipeline of this database (no other stage is there)."""
    return not env["crm.stage"].search_count([("id", "not in", env["crm.stage"]._get_default_stages().ids)])


def _place_demo_opportunities(env):
    """Spread Odoo's demo opportunities over the five stages, each at its stage's probability."""
    visit = env.ref("crm_sales_stage.stage_technical_visit")
    leads = env["crm.lead"].search([("won_status", "=", "pending")], order="id")
    opportunities = leads.filtered(lambda lead: lead.type == "opportunity")
    for in_stage in opportunities.grouped("stage_id").values():
        in_stage[2::3].stage_id = visit
    leads._take_stage_probability()


def _suggest_probabilities(env):
    """Evenly rising percentages for the customer's stages, should they ever be taken off Odoo's scoring."""
    query = """
        UPDATE crm_stage
           SET probability = CASE WHEN is_won THEN 100 ELSE suggestion.probability END
          FROM (SELECT id, ROUND(20.0 * ROW_NUMBER() OVER (ORDER BY sequence, id) / COUNT(*) OVER ()) * 5
                           AS probability
                  FROM crm_stage
                 WHERE probability IS NULL) AS suggestion
         WHERE crm_stage.id = suggestion.id
    """
    env.cr.execute(SQL(query))
    env["crm.stage"].invalidate_model(["probability"])


def _adopt_odoo_stages(env):
    """Give Odoo's stages our external ids, so that our data fills these records; theirs stay too."""
    for xml_id, (name, target) in ADOPTED_STAGES.items():
        if not (stage := env.ref(f"crm.{xml_id}", raise_if_not_found=False)):
            continue
        data = {"xml_id": f"crm_sales_stage.{target}", "record": stage, "noupdate": True}
        env["ir.model.data"]._update_xmlids([data])
        if target != "stage_new":
            # Translations of "Qualified" are none of "Estimate": ours are loaded after the data.
            query = "UPDATE crm_stage SET name = jsonb_build_object('en_US', %s::varchar) WHERE id = %s"
            env.cr.execute(SQL(query, name, stage.id))
    env["crm.stage"].invalidate_model(["name"])
