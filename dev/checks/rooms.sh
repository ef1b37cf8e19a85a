#!/usr/bin/env bash
# Usage: as_addon.sh crm_sales_stage/dev/checks/rooms.sh; checks that each folder of the addon extends a model in one class.
# pylint-odoo compares all files that it is given, and models are extended in several folders on purpose.
set -euo pipefail

status=0
for folder in crm_sales_stage/models/*/ crm_sales_stage/report crm_sales_stage/wizard; do
    pylint --rcfile=crm_sales_stage/.pylintrc --disable=all --enable=consider-merging-classes-inherited "$folder" || status=$?
done
exit "$status"
