#!/usr/bin/env python3
"""Check the guides.

Links lead somewhere, both languages have the same pages, and pictures and code are those of the tests.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
TOUR = ROOT / "dev/crm_sales_stage_dealer/static/tests/tours/crm_stage_guide_tour.js"
EXAMPLE = ROOT / "tests/test_guide_developer.py"
LANGUAGES = ("en", "fr")


def find_broken_links():
    for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *ROOT.glob("bench/*.md")]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in link and not (page.parent / link).exists():
                yield f"{page.relative_to(ROOT)}: there is no {link}"


def find_missing_pages():
    pages = {
        language: {path.relative_to(DOCS / language) for path in (DOCS / language).rglob("*.md")}
        for language in LANGUAGES
    }
    for language in LANGUAGES:
        for page in set().union(*pages.values()) - pages[language]:
            yield f"docs/{language}/{page} is missing, which the other language has"


def find_stray_pictures():
    tour = TOUR.read_text()
    for language in LANGUAGES:
        text = "".join(page.read_text() for page in (DOCS / language).rglob("*.md"))
        for picture in (DOCS / "images" / language).iterdir():
            if f"images/{language}/{picture.name}" not in text:
                yield f"{picture.relative_to(ROOT)} is on no page"
            if f'"{picture.stem}"' not in tour:
                yield f"{picture.relative_to(ROOT)} is not taken by {TOUR.name}"


def find_untested_code():
    example = EXAMPLE.read_text().replace("    _module = None\n", "")
    for page in DOCS.rglob("*.md"):
        for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
            if code not in example:
                yield f"{page.relative_to(ROOT)} has code that is not in {EXAMPLE.name}"


finders = (find_broken_links, find_missing_pages, find_stray_pictures, find_untested_code)
sys.exit("\n".join(sorted(error for find in finders for error in find())) or None)
