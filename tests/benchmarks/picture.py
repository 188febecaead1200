"""The picture of the README: the example scene before and after -> docs/picture.png.

Encodes it with the defaults, and draws what is decoded beside the source, seen by one of its
cameras.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from bench import ROOT

import gscodec
from gscodec.report.sheet import contact_sheet

EXAMPLE = ROOT / "examples" / "mic-small"
VIEW, EDGES = "test_r_80.png", (480, 400)


def main() -> None:
    """Encodes, draws, writes."""
    source = gscodec.load(EXAMPLE / "scene.ply")
    data = gscodec.encode(source)
    found = next(c for c in gscodec.load_cameras(EXAMPLE / "cameras.json") if c.image == VIEW)
    width, height = EDGES
    zoom = height / found.height
    camera = replace(
        found,
        width=width,
        height=height,
        fx=found.fx * zoom,
        fy=found.fy * zoom,
        cx=width / 2,
        cy=height / 2,
    )
    sizes = {"scene.ply": (EXAMPLE / "scene.ply").stat().st_size, "scene.gsz": len(data)}
    pictures = [
        np.clip(gscodec.render.render(scene, camera), 0, 1)
        for scene in (source, gscodec.decode(data))
    ]
    captions = [f"{name}, {bytes_ / 1e6:.2f} MB" for name, bytes_ in sizes.items()]
    (ROOT / "docs" / "picture.png").write_bytes(contact_sheet(pictures, 2, captions))
    print(*captions)


if __name__ == "__main__":
    main()
