#!/usr/bin/env bash
# make screenshots: take the pictures of the guides anew, by the tours that look at the same screens in `make test`.
# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# Those of the addon's description, by their names in the guides
DESCRIPTION=(pipeline stage_form won_or_lost delete_stage report)

prepare
pictures=$RUNTIME/state/pictures
rm -rf -- "$pictures"
CRM_STAGE_PICTURES=$pictures ARGS="-k test_ui_guide" bash "$ROOT/dev/test.sh"
say "Storing the pictures"
rm -rf -- "$ROOT/docs/images"
# Screens have few colours: with 256 of them a picture is a third as large.
"$PYTHON" - "$pictures" "$ROOT/docs/images" <<'PY'
import sys
from pathlib import Path

from PIL import Image

taken, stored = map(Path, sys.argv[1:])
for path in taken.rglob("*.png"):
    target = stored / path.relative_to(taken)
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.open(path).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(target, optimize=True)
PY
for name in "${DESCRIPTION[@]}"; do
    cp -- "$ROOT/docs/images/en/$name.png" "$ROOT/static/description/screenshot_$name.png"
done
cp -- "$ROOT/docs/images/fr/pipeline.png" "$ROOT/static/description/screenshot_pipeline_fr.png"
