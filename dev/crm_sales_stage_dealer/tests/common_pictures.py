"""Tours that take the pictures of the guides."""

import base64
import json
import os
from pathlib import Path
from unittest.mock import patch

from odoo.tests.common import ChromeBrowser

SIGN = "picture "
# The folder to which `make screenshots` has the pictures saved. Without it none is taken, but the tours look
# for all that the pictures show.
FOLDER = os.environ.get("CRM_STAGE_PICTURES")


class PictureBrowser(ChromeBrowser):
    """A browser that takes a picture when a tour asks for one on the console, and lets the tour go on."""

    def _handle_console(self, type, args=None, **kwargs):
        result = super()._handle_console(type, args, **kwargs)
        text = str(args[0].get("value")) if args else ""
        if text.startswith(SIGN):
            self._take_picture(**json.loads(text.removeprefix(SIGN)))
        return result

    def _take_picture(self, name, clip):
        path = Path(FOLDER) / self.test_case.lang[:2] / f"{name}.png"
        params = {"clip": {**clip, "scale": 1}}
        future = self._websocket_send("Page.captureScreenshot", params=params, with_future=True)
        future.add_done_callback(lambda future: self._save_picture(path, future.result()["data"]))

    def _save_picture(self, path, data):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))
        expression = "window.dispatchEvent(new Event('crm_sales_stage_picture'))"
        self._websocket_send("Runtime.evaluate", params={"expression": expression})


class PicturesMixin:
    """Tours in one language, which take pictures if there is a folder for them."""

    lang = None

    def start_tour(self, *args, **kwargs):
        if not FOLDER:
            return super().start_tour(*args, **kwargs)
        with patch("odoo.tests.common.ChromeBrowser", PictureBrowser):
            return super().start_tour(*args, cookies={"crm_stage_pictures": "1"}, **kwargs)
