# Programs of the system: found where they are, installed where they are missing.
# shellcheck shell=bash

# The newest folder that has a whole server: a lone pg_ctl elsewhere in PATH does not do.
find_postgres() {
    local folder
    for folder in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV) "$(pg_config --bindir 2>/dev/null)" \
        "$(dirname -- "$(command -v initdb || echo /nonexistent/initdb)")"; do
        if [[ -x $folder/initdb && -x $folder/pg_ctl && -x $folder/postgres ]]; then
            echo "$folder"
            return
        fi
    done
}

find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome || true; }

# Usage: has_package <Debian's name of the package>
has_package() {
    case $1 in
        postgresql) [[ -n $(find_postgres) ]] ;;
        chromium) [[ -n $(find_chromium) ]] ;;
        python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
        # It unpacks Odoo, unless one's own is named.
        dpkg) [[ -n ${ODOO:-} ]] || command -v dpkg-deb >/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# Usage: missing_packages <package>...
missing_packages() {
    local package
    for package in "$@"; do
        has_package "$package" || echo "$package"
    done
}

# Usage: require_system_packages <package>...
require_system_packages() {
    local missing sudo=()
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        if ! sudo -n true 2>/dev/null; then
            die "these system packages are missing: ${missing[*]}. Install them first (as root: apt-get install" \
                "${missing[*]})."
        fi
        sudo=(sudo -n)
    fi
    command -v apt-get >/dev/null || die "these programs are missing and there is no apt-get: ${missing[*]}"
    say "Installing system packages: ${missing[*]} (log: $STATE/apt.log)"
    # Only the programs are wanted, no cluster of the system's.
    if [[ " ${missing[*]} " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
        "${sudo[@]}" mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" | "${sudo[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    quietly apt.log "${sudo[@]}" apt-get update -q
    quietly apt.log "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold "${missing[@]}"
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]} == 0)) || die "these system packages could not be installed: ${missing[*]}"
}
