"""Compare Odoo's own test results without and with the addon, by test name.

Exits with an error when a test that passes without the addon does not with it, unless
``expected_differences.txt`` gives a reason for it. Reasons are those of the five fixed stages; one that
begins with "always" is there with Odoo's scoring, too.
"""

import sys
from pathlib import Path
from xml.etree import ElementTree


def read_results(state, database):
    """:return: ``{test name: "passed" | "failed" | "skipped"}``; a second run of those that failed counts"""
    results = read_report(Path(state) / f"{database}.xml")
    again = Path(state) / f"{database}.again.xml"
    return results | read_report(again) if again.exists() else results


def read_report(path):
    results = {}
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('classname').split('addons.')[-1]}.{case.get('name')}"
        failed = case.find("failure") is not None or case.find("error") is not None
        skipped = case.find("skipped") is not None
        results[name] = "failed" if failed else "skipped" if skipped else "passed"
    return results


def read_reasons(path):
    """:return: ``{test name: reason}``, of lines ``name: reason``"""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split(": ", 1) for line in lines)


def main(state, reasons_path):
    reasons = read_reasons(Path(reasons_path))
    plain = read_results(state, "odoo_plain")
    print(f"without the addon: {len(plain)} tests, {list(plain.values()).count('passed')} passed")
    always = {name: reason for name, reason in reasons.items() if reason.startswith("always")}
    unexpected = 0
    for database, allowed in (("odoo_predictive", always), ("odoo_fixed", reasons)):
        results = read_results(state, database)
        different = {name for name in plain.keys() | results.keys() if plain.get(name) != results.get(name)}
        print(f"{database}: {len(results)} tests, {len(different)} different")
        for name in sorted(different):
            reason = allowed.get(name, "NOT EXPECTED")
            print(f"  {name}: {plain.get(name)} -> {results.get(name)} ({reason})")
            unexpected += name not in allowed
    if unexpected:
        sys.exit(f"{unexpected} unexpected differences")


if __name__ == "__main__":
    main(*sys.argv[1:])
