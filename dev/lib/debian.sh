# Odoo from Debian's packages, for those who name none of their own. Where that package differs from a checkout of Odoo
# is dealt with here.
# shellcheck shell=bash

# What Odoo's static files link to; font-awesome: unstable's has other file names
UNSTABLE_PACKAGES=(odoo-19 libjs-jquery libjs-underscore libjs-jquery-form fonts-roboto-unhinted
    fonts-montserrat fonts-inconsolata fonts-ocr-b)
STABLE_PACKAGES=(fonts-font-awesome)

# As any user: apt downloads with lists of its own, dpkg-deb unpacks. Installing it would pull unstable's Python.
fetch_odoo() {
    local work=$STATE/fetch mirror package packages
    command -v apt-get >/dev/null || die "no apt-get to fetch Odoo with: name your own Odoo 19 with ODOO=..."
    mirror=$(find_mirror)
    say "Fetching Odoo 19 (about 130 MB; log: $STATE/apt.log)"
    rm -rf -- "$work" "$STATE/odoo"
    mkdir -p -- "$work/unstable/partial" "$work/stable/partial" "$work/tree"
    echo "deb $mirror unstable main" >"$work/unstable.list"
    download_packages
    say "Unpacking Odoo"
    for package in "$work"/*.deb; do
        dpkg-deb -x "$package" "$work/tree"
    done
    packages=$work/tree/usr/lib/python3/dist-packages
    # Half a copy of the addons (no data files) that Odoo would prefer to the whole one in odoo/addons
    rm -rf -- "$packages/addons"
    # Debian takes this file away; the browser misses it, aloud.
    local removed=$packages/odoo/addons/mail/static/lib/selfie_segmentation
    mkdir -p -- "$removed"
    touch -- "$removed/selfie_segmentation.js"
    touch -- "$work/tree/.complete"
    mv -- "$work/tree" "$STATE/odoo"
    rm -rf -- "$work"
}

# The address that this machine's own apt has Debian from
find_mirror() {
    # shellcheck disable=SC2016 # $(...) is apt's own notation
    local mirror origins='$(REPO_URI) $(ORIGIN) $(COMPONENT)' uris='$(REPO_URI)'
    mirror=$(apt-get indextargets --format "$origins" 'Created-By: Packages' |
        awk '$2 == "Debian" && $3 == "main" && $1 !~ /security/ {print $1; exit}')
    if [[ -z $mirror ]]; then
        # Lists that were never updated tell no origin.
        mirror=$(apt-get indextargets --format "$uris" | grep -m1 '/debian/\?$' || true)
    fi
    [[ -n $mirror ]] || die "no Debian mirror in apt's sources: name your own Odoo 19 with ODOO=..."
    echo "$mirror"
}

download_packages() {
    # apt splits its own paths at spaces, and its sandbox's user may not write here.
    local fetch=$RUNTIME/state/fetch own
    own=(-q -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User="$(id -un)")
    local unstable=("${own[@]}" -o Dir::Etc::sourcelist="$fetch/unstable.list" -o Dir::Etc::sourceparts=-
        -o Dir::State::Lists="$fetch/unstable")
    local stable=("${own[@]}" -o Dir::State::Lists="$fetch/stable")
    (
        cd -- "$fetch" || exit
        quietly apt.log apt-get "${unstable[@]}" update
        quietly apt.log apt-get "${unstable[@]}" download "${UNSTABLE_PACKAGES[@]}"
        # The lists of stable are made anew too: this machine's own may never have been updated.
        quietly apt.log apt-get "${stable[@]}" update
        quietly apt.log apt-get "${stable[@]}" download "${STABLE_PACKAGES[@]}"
    )
}
