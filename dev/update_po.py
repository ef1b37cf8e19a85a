"""Bring a PO file up to date with its POT: keep translations, drop obsolete terms, name the missing ones."""

import re
import sys

import polib

# What French typography keeps on the line of the word beside it, outside of tags
SPACE_BESIDE_SIGN = re.compile("(?:(?<=«) | (?=[»:;?!]|%%))(?![^<]*>)")


def main(template_path, po_path):
    translations = {entry.msgid: entry.msgstr for entry in polib.pofile(po_path) if entry.msgstr}
    po = polib.pofile(template_path)
    po.metadata.update(
        {
            "Language": "fr",
            "Language-Team": "French",
            "Content-Transfer-Encoding": "8bit",
            "Plural-Forms": "nplurals=2; plural=(n > 1);",
        }
    )
    for entry in po:
        entry.msgstr = SPACE_BESIDE_SIGN.sub("\N{NO-BREAK SPACE}", translations.get(entry.msgid, ""))
    po.save(po_path)
    missing = [entry.msgid for entry in po if not entry.msgstr]
    if missing:
        sys.exit(f"{len(missing)} terms of {po_path} are not translated:\n" + "\n".join(missing))


if __name__ == "__main__":
    main(*sys.argv[1:])
