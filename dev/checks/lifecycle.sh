#!/usr/bin/env bash
# make test-lifecycle: installs, changes, updates, uninstalls and reinstalls, on new databases, a live one and one of a
# former version. CI runs it beside the tests. Run it yourself (about five minutes) after a change of hooks.py, migrations/,
# data/ or stored fields: those act on databases that no test of the suite has. STATES=<number> uninstalls in more states than
# six, SEED=<number> in the same ones as before.
# shellcheck source=../lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../lib.sh"

# The last version whose stays in stages were kept in step by triggers, which the repository remembers
FORMER=2483ef6
OTHERS=$STATE/lifecycle_addons

# Usage: configure <database>; with the addons of others that this check writes. $ADDONS names the folder that the
# addon is in, for another version than this one
configure() {
    write_config "$1" 0
    mkdir -p -- "$OTHERS"
    sed -i "s#^addons_path = $RUNTIME/addons\(.*\)#addons_path = $RUNTIME/${ADDONS:-addons}\1,$RUNTIME/state/lifecycle_addons#" "$CONFIG"
}

# Usage: step <database> <function of lifecycle.py>...; $STEPS names another module than that
step() {
    local database=$1
    shift
    configure "$database"
    odoo shell -c "$CONFIG" --no-http --log-level=error <<PY || die "$database: see above"
import sys

sys.path.insert(0, "$RUNTIME/addons/$ADDON/dev/checks")
import ${STEPS:-lifecycle} as steps

for name in "$*".split():
    print("    $database:", name, flush=True)
    getattr(steps, name)(env, "$RUNTIME/state/$database.json")
    # What a step does not commit is not there for the next one, nor is the registry as it was before.
    env.cr.rollback()
    env.transaction.reset()
PY
}

# Usage: install <database> [Odoo's options]
install() {
    local database=$1
    shift
    configure "$database"
    odoo_task -c "$CONFIG" "$@" >/dev/null
}

# Usage: begin <database> <template>
begin() {
    say "$1"
    copy_database "$2" "$1"
    rm -f -- "$STATE/$1.json"
}

# Without demo data, made once
provide_bare() {
    has_database bare && return
    say "Installing Odoo CRM and Sales without demo data (about a minute)"
    sql postgres -c "DROP DATABASE IF EXISTS bare_new WITH (FORCE)" -c "CREATE DATABASE bare_new"
    install bare_new -i "$DEPENDS" --without-demo
    rm -rf -- "$STATE/data/filestore/bare"
    [[ ! -d $STATE/data/filestore/bare_new ]] || mv -- "$STATE/data/filestore/bare_new" "$STATE/data/filestore/bare"
    sql postgres -c "ALTER DATABASE bare_new RENAME TO bare"
}

new_database() {
    begin life_demo template
    step life_demo look_before
    install life_demo -i "$ADDON"
    keep_for_states life_demo
    step life_demo look_at_stays check_five change
    install life_demo -u "$ADDON"
    step life_demo check_kept uninstall check_uninstalled
    install life_demo -i "$ADDON"
    step life_demo check_again
}

# Without demo data, and in English alone: updating and installing again is the same as with them.
bare_database() {
    begin life_bare bare
    step life_bare look_before
    install life_bare -i "$ADDON"
    step life_bare check_five uninstall check_uninstalled
}

live_database() {
    begin life_live template
    install life_live -i base_automation
    step life_live make_live look_before
    install life_live -i "$ADDON"
    keep_for_states life_live
    step life_live check_untouched set_up change
    install life_live -u "$ADDON"
    step life_live check_kept uninstall check_uninstalled
    copy_database life_live life_web
    install life_live -i "$ADDON"
    step life_live check_again
}

# Usage: keep_for_states <database>; as it is now, with the addon just installed
keep_for_states() {
    copy_database "$1" "$1_states"
    cp -- "$STATE/$1.json" "$STATE/$1_states.json"
}

# Usage: uninstall_in_state <number>
uninstall_in_state() {
    local database=life_state_$1 source=life_live_states
    (($1 < 3 || $1 % 2)) || source=life_demo_states
    copy_database "$source" "$database"
    cp -- "$STATE/$source.json" "$STATE/$database.json"
    NUMBER=$1 STEPS=lifecycle_states step "$database" uninstall_in_state
}

# A live database and a new one, with the addon, in states that are generated; the same ones again with the same SEED
generated_states() {
    local number other
    export SEED=${SEED:-$RANDOM}
    say "Uninstalling in generated states (SEED=$SEED)"
    for ((number = 1; number < ${STATES:-6}; number += 2)); do
        uninstall_in_state $((number + 1)) &
        other=$!
        uninstall_in_state "$number"
        wait "$other"
    done
}

# Usage: write_addon <name> <manifest's entries> [<file> <content>]...
write_addon() {
    local folder=$OTHERS/$1 file
    mkdir -p -- "$folder"
    echo "{'name': '$1', 'version': '19.0.1.0.0', 'depends': ['crm'], 'license': 'LGPL-3', $2}" >"$folder/__manifest__.py"
    touch -- "$folder/__init__.py"
    shift 2
    while (($#)); do
        file=$folder/$1
        mkdir -p -- "$(dirname -- "$file")"
        printf '%s\n' "$2" >"$file"
        shift 2
    done
}

# Usage: write_stage_pack <record>...
write_stage_pack() {
    write_addon stage_pack "'author': 'Somebody', 'data': ['stages.xml']" stages.xml "<odoo noupdate=\"1\">$*</odoo>"
}

stage_record() {
    echo "<record id=\"$1\" model=\"crm.stage\"><field name=\"name\">$1</field><field name=\"sequence\">$2</field>${3:-}</record>"
}

# Another addon that depends on Odoo CRM alone brings stages in its data, while only Odoo CRM is loaded.
stages_of_others() {
    local first second third
    first=$(stage_record survey 6)
    second="$(stage_record measuring 6)$(stage_record signed 80 '<field name="is_won" eval="True"/>')"
    third=$(stage_record called 7)
    begin life_stages template
    install life_stages -i "$ADDON"
    write_stage_pack "$first"
    install life_stages -i stage_pack
    write_stage_pack "$first$second"
    install life_stages -u stage_pack
    write_stage_pack "$first$second$third"
    install life_stages -u crm
    step life_stages check_stages_of_others
    install life_stages -u "$ADDON"
    step life_stages check_stages_of_others
}

# What OCA's addon of this name brings, as far as it meets ours
write_stage_probability() {
    local number data="" probabilities=(10 30 70 100)
    for number in 1 2 3 4; do
        data+="<record id=\"crm.stage_lead$number\" model=\"crm.stage\" forcecreate=\"False\">"
        data+="<field name=\"on_change\" eval=\"True\"/>"
        data+="<field name=\"probability\">${probabilities[number - 1]}</field></record>"
    done
    write_addon crm_stage_probability "'author': 'OCA', 'data': ['views.xml', 'stages.xml']" \
        __init__.py "from . import models" \
        stages.xml "<odoo noupdate=\"1\">$data</odoo>" \
        views.xml '<odoo>
    <record id="search" model="ir.ui.view">
        <field name="name">search</field><field name="model">crm.stage</field>
        <field name="inherit_id" ref="crm.crm_lead_stage_search"/>
        <field name="arch" type="xml"><field name="sequence" position="after"><field name="probability"/></field></field>
    </record>
    <record id="list" model="ir.ui.view">
        <field name="name">list</field><field name="model">crm.stage</field>
        <field name="inherit_id" ref="crm.crm_stage_tree"/>
        <field name="arch" type="xml"><field name="name" position="after"><field name="probability"/></field></field>
    </record>
    <record id="form" model="ir.ui.view">
        <field name="name">form</field><field name="model">crm.stage</field>
        <field name="inherit_id" ref="crm.crm_stage_form"/>
        <field name="arch" type="xml">
            <field name="team_count" position="after">
                <group name="probability">
                    <field name="on_change"/><field name="probability" invisible="not on_change"/>
                </group>
            </field>
        </field>
    </record>
</odoo>' \
        models.py 'from odoo import api, fields, models


class CrmStage(models.Model):
    _inherit = "crm.stage"

    probability = fields.Float(required=True, default=10.0)
    on_change = fields.Boolean("Change Probability Automatically")


class CrmLead(models.Model):
    _inherit = "crm.lead"

    probability = fields.Float(default=lambda self: self._stage_find().probability)

    @api.depends("probability", "automated_probability")
    def _compute_is_automated_probability(self):
        own = self.filtered(lambda lead: lead.probability == lead.stage_id.probability)
        own.is_automated_probability = False
        super(CrmLead, self - own)._compute_is_automated_probability()

    def write(self, vals):
        stage = self.env["crm.stage"].browse(vals.get("stage_id") or [])
        if stage.on_change and "probability" not in vals:
            vals["probability"] = stage.probability
        return super().write(vals)'
}

stage_probability() {
    write_stage_probability
    begin life_oca_after template
    install life_oca_after -i "$ADDON"
    install life_oca_after -i crm_stage_probability
    step life_oca_after check_beside_stage_probability
    install life_oca_after -u "crm_stage_probability,$ADDON"
    step life_oca_after check_beside_stage_probability
    begin life_oca_before template
    install life_oca_before -i crm_stage_probability
    install life_oca_before -i "$ADDON"
    step life_oca_before check_beside_stage_probability
    begin life_oca_live template
    step life_oca_live make_live
    install life_oca_live -i crm_stage_probability
    step life_oca_live look_before
    install life_oca_live -i "$ADDON"
    step life_oca_live check_stage_probability_taken_over
}

# Opportunities that a customer's own module delivers are no demo.
delivered_database() {
    write_addon delivered "'data': ['leads.xml'], 'author': ''" leads.xml "<odoo><record id=\"lead\" model=\"crm.lead\">
        <field name=\"name\">Delivered</field><field name=\"type\">opportunity</field>
        <field name=\"stage_id\" ref=\"crm.stage_lead2\"/><field name=\"probability\">42</field></record></odoo>"
    begin life_delivered template
    configure life_delivered
    odoo -c "$CONFIG" -i delivered --stop-after-init --no-http --log-level=critical
    step life_delivered remove_dates look_before
    install life_delivered -i "$ADDON"
    step life_delivered check_untouched
}

upgraded_database() {
    local former=$RUNTIME/former/$ADDON
    if ! git -C "$ROOT" cat-file -e "$FORMER^{commit}" 2>/dev/null; then
        say "NOT CHECKED: updating version $FORMER, which this clone's history does not have (is it a shallow one?)"
        return
    fi
    rm -rf -- "$RUNTIME/former"
    mkdir -p -- "$former"
    git -C "$ROOT" archive "$FORMER" | tar -x -C "$former"
    begin life_upgrade template
    step life_upgrade look_before
    # Which may warn of what has been mended since
    ADDONS=former configure life_upgrade
    odoo -c "$CONFIG" -i "$ADDON" --stop-after-init --no-http --log-level=error
    ADDONS=former step life_upgrade make_history look_at_figures
    install life_upgrade -u "$ADDON"
    step life_upgrade check_figures uninstall check_uninstalled
    rm -rf -- "$RUNTIME/former"
}

# The pipeline's page, after the addon is gone
check_web() {
    local port
    port=$(free_port 8669)
    say "The web client without the addon"
    write_config life_web "$port"
    serve "$port" "$RUNTIME/state/life_web.log" -c "$CONFIG"
    "$PYTHON" "$ROOT/dev/checks/lifecycle_web.py" "http://127.0.0.1:$port" life_web ||
        die "see above; the server's log is $STATE/life_web.log"
    ! grep -m 5 -E ' (ERROR|CRITICAL) |" 500 -' "$RUNTIME/state/life_web.log" || die "the server reported errors"
}

prepare
rm -rf -- "$OTHERS"
start_cluster
provide_template
provide_bare
new_database
bare_database
live_database
generated_states
upgraded_database
check_web
stages_of_others
stage_probability
delivered_database
say "Installed, updated, uninstalled and installed again: nothing is lost, nothing is left"
