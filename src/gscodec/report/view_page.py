"""A scene to turn and to walk through, as a page: one HTML file, or a few parts for a server.

The page shows exactly what it is given, float by float: a .ply. Parts that are not ours come
from `gscodec.page`.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from gscodec.page import part
from gscodec.report.page import safe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.camera import Camera

    Vector = NDArray[np.float64]

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="icon" href="data:,">
$style
</head>
<body class="$light">
<div id="viewer"></div>
<p id="about"><b>$title</b> $about</p>
<p id="problem" role="alert"></p>
<script id="scene" type="application/json">$scene</script>
$data<script type="module">
$script</script>
</body>
</html>
""")
_HALF_TURN = (0.0, 0.0, 1.0, 0.0)  # about z: x, y, z, w
_BRIGHT = 1.5  # red, green and blue of a background before which text is dark
_LEVEL = 2  # bytes of the .ply are nearly noise; more effort gains nothing
_SETTINGS: dict[str, object] = {
    "version": 2,
    "tonemapping": "none",
    "highPrecisionRendering": False,
    "animTracks": [],
    "annotations": [],
    "startMode": "default",
    "postEffectSettings": {
        "sharpness": {"enabled": False, "amount": 0},
        "bloom": {"enabled": False, "intensity": 1, "blurLevel": 2},
        "grading": {
            "enabled": False,
            "brightness": 1,
            "contrast": 1,
            "saturation": 1,
            "tint": [1, 1, 1],
        },
        "vignette": {
            "enabled": False,
            "intensity": 0.5,
            "inner": 0.3,
            "outer": 0.75,
            "curvature": 1,
        },
        "fringing": {"enabled": False, "intensity": 0.5},
    },
}


@dataclass(frozen=True)
class Exhibit:
    """A scene as it is shown.

    Attributes:
        name: Of its file.
        about: What it is, a few words.
        ply: Its Gaussians, as a 3DGS .ply.
        middle: (3,) float64, what one turns it about.
        up: (3,) float64, which way is up; not zero.
        camera: Where one stands at first; None leaves it to the viewer.
        background: Behind the Gaussians, R, G, B, 0 to 1.
        antialiased: Whether it is drawn with the filter of mip splatting.
    """

    name: str
    about: str
    ply: bytes
    middle: Vector
    up: Vector
    camera: Camera | None
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    antialiased: bool = False


def view_html(shown: Exhibit) -> bytes:
    """One page with viewer and scene in it, which needs neither network nor server.

    Raises:
        UsageError: The viewer is not built.
    """
    packed = base64.b64encode(gzip.compress(shown.ply, _LEVEL, mtime=0)).decode("ascii")
    viewer = part("viewer.js").split("\n//# sourceMappingURL=")[0]
    return _page(
        shown,
        {"embedded": True, "bytes": len(shown.ply)},
        style=f"<style>\n{part('viewer.css')}\n{part('view.css')}</style>",
        data=f'<script id="data" type="application/octet-stream">{packed}</script>\n',
        script=f"{viewer}\n{part('view.js')}",
    )


def view_parts(shown: Exhibit) -> dict[str, tuple[str, bytes]]:
    """The same for a server: path -> content type and content.

    Raises:
        UsageError: The viewer is not built.
    """
    sheets = "".join(f'<link rel="stylesheet" href="{n}.css">' for n in ("viewer", "view"))
    script = f'import {{ createViewer }} from "./viewer.js";\n{part("view.js")}'
    page = _page(shown, {}, style=sheets, data="", script=script)
    return {
        "/": ("text/html; charset=utf-8", page),
        "/viewer.js": ("text/javascript; charset=utf-8", part("viewer.js").encode()),
        "/viewer.css": ("text/css; charset=utf-8", part("viewer.css").encode()),
        "/view.css": ("text/css; charset=utf-8", part("view.css").encode()),
        "/scene.ply": ("application/octet-stream", shown.ply),
    }


def _page(
    shown: Exhibit, more: dict[str, object], *, style: str, data: str, script: str
) -> bytes:
    scene = {"url": "scene.ply", **_settings(shown), **more}
    page = _PAGE.substitute(
        title=safe(shown.name),
        about=safe(shown.about),
        style=style,
        scene=json.dumps(scene).replace("<", "\\u003c"),
        data=data,
        script=script,
        light="bright" if sum(shown.background) > _BRIGHT else "",
    )
    return page.encode()


def _settings(shown: Exhibit) -> dict[str, object]:
    """Those of the viewer, and how it is to turn the scene."""
    turn, camera = rotation(shown.up), shown.camera
    settings = {
        **_SETTINGS,
        "background": {"color": list(shown.background)},
        "cameras": [] if camera is None else [{"initial": _pose(shown.middle, camera, turn)}],
    }
    extent = [camera.width / 2 / camera.fx, camera.height / 2 / camera.fy] if camera else []
    return {
        "settings": settings,
        "rotation": turn.tolist(),
        "extent": extent,
        "antialiased": shown.antialiased,
    }


def _pose(middle: Vector, camera: Camera, turn: Vector) -> dict[str, object]:
    """Where ``camera`` stands and looks, in the world of the viewer."""
    forward = camera.world_to_camera[2, :3]
    distance = float(forward @ (middle - camera.centre))
    if not distance > 0:
        distance = float(np.linalg.norm(middle - camera.centre)) or 1.0
    target = camera.centre + distance * forward
    return {
        "position": turned(turn, camera.centre).tolist(),
        "target": turned(turn, target).tolist(),
        "fov": 60,  # the page chooses it, for its window
    }


def rotation(up: Vector) -> Vector:
    """Quaternion x, y, z, w from the scene to the world of the viewer, whose y is ``up``.

    Of all of them the one that turns least beyond the half turn about z that viewers give to
    3DGS scenes.
    """
    now = turned(np.array(_HALF_TURN), up / np.linalg.norm(up))
    axis = np.cross(now, (0.0, 1.0, 0.0))
    arc = np.array([*axis, 1.0 + now[1]])
    if np.linalg.norm(arc) < 1e-6:  # upside down
        arc = np.array([1.0, 0.0, 0.0, 0.0])
    return _product(arc / np.linalg.norm(arc), np.array(_HALF_TURN))


def turned(quaternion: Vector, vector: Vector) -> Vector:
    """``vector`` (3,) turned by a unit ``quaternion`` x, y, z, w."""
    axis, w = quaternion[:3], quaternion[3]
    once = 2 * np.cross(axis, vector)
    result: Vector = vector + w * once + np.cross(axis, once)
    return result


def _product(a: Vector, b: Vector) -> Vector:
    """First ``b``, then ``a``."""
    axis = a[3] * b[:3] + b[3] * a[:3] + np.cross(a[:3], b[:3])
    return np.array([*axis, a[3] * b[3] - a[:3] @ b[:3]])
