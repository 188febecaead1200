"""The page that shows a scene: `view.js` and `view.css` are ours, the viewer is supersplat-viewer.

The viewer (MIT, PlayCanvas) is no part of the repository: ``make page`` takes the version that
``package-lock.json`` pins from npm and puts `VIEWER` beside this file; wheels have it.
"""

from __future__ import annotations

from importlib.resources import files

from gscodec.errors import UsageError

VIEWER = ("viewer.js", "viewer.css", "viewer.LICENSE.txt")


def part(name: str) -> str:
    """The text of one file of the page.

    Raises:
        UsageError: The viewer is not there.
    """
    file = files("gscodec.page").joinpath(name)
    if not file.is_file():
        raise UsageError(
            "the viewer is not here: found no gscodec/page/viewer.js; in a checkout, run "
            "'make page' once (needs npm); wheels made by 'make wheel' have it"
        )
    return file.read_text(encoding="utf-8")
