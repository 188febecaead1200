"""What the names of qualities give on real scenes -> docs/quality.md, and pictures of A and B.

Each scene is encoded at every quality in one process; quality is that of renders against those
of the source, through the cameras that lie beside it. The pictures, out/quality-SCENE.png, are
those of the default: source, decoded scene, and their amplified difference.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import TYPE_CHECKING

from bench import ROOT, SHARED

from gscodec import codec
from gscodec.camera import spread
from gscodec.cli.scenes import load_gaussians
from gscodec.cli.views import read_views
from gscodec.methods.hac.options import QUALITIES, Options
from gscodec.rd import jobs, measure

if TYPE_CHECKING:
    from pathlib import Path

SCENES = ("mic", "fox", "playbot", "plant")
VIEWS = 24
PAGE = ROOT / "docs" / "quality.md"
HEAD = """# Qualities by name

Written by `python tests/benchmarks/quality.py{arguments}`.

`--quality NAME` stands for a lambda. PSNR compares renders of the decoded scene with renders of
the source, over at most {views} of the cameras of each scene: the mean over the views, and the
worst view. `{default}` is the default.

| quality | lambda | scene | bytes | bytes per Gaussian | PSNR | worst view |
| --- | ---: | --- | ---: | ---: | ---: | ---: |
"""


def sheet(source: Path, cameras: Path, name: str) -> None:
    """Pictures at the default quality."""
    coded = ROOT / "out" / f"quality-{name}.gsz"
    cli = (sys.executable, "-m", "gscodec")
    subprocess.run((*cli, "encode", source, "-o", coded, "-q", "--overwrite"), check=True)
    picture = coded.with_suffix(".png")
    options = ("--views", cameras, "--max-views", "8", "--sheet", picture, "-q", "--overwrite")
    subprocess.run((*cli, "compare", source, coded, *options), check=True)


def rows(source: Path, cameras: Path, name: str) -> list[str]:
    """A row of the table for each quality."""
    scene = load_gaussians(str(source)).scene
    views = spread(read_views(str(cameras)).cameras, VIEWS)
    todo = jobs(["hac"], list(QUALITIES.values()), {})
    points, _, _ = measure(scene, todo, views, spz=False, progress=codec._silent)
    return [
        f"| {quality} | {lam:g} | {name} | {point.bytes:,} | {point.bytes / len(scene):.2f} "
        f"| {point.psnr:.2f} dB | {point.worst_psnr:.2f} dB |\n"
        for (quality, lam), point in zip(QUALITIES.items(), points, strict=True)
    ]


def main() -> None:
    """Measures, draws, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="+", default=SCENES)
    parser.add_argument("--no-sheets", action="store_true")
    given = parser.parse_args()
    if not SHARED.is_dir():
        raise SystemExit(f"skipped: there is no {SHARED} with the scenes")
    (ROOT / "out").mkdir(exist_ok=True)
    found: list[str] = []
    for name in given.scenes:
        source, cameras = (SHARED / "scenes" / name / f for f in ("scene.ply", "cameras.json"))
        found += rows(source, cameras, name)
        print(*found[-len(QUALITIES) :], sep="", flush=True)
        if not given.no_sheets:
            sheet(source, cameras, name)
    order = list(QUALITIES)
    found.sort(key=lambda row: order.index(row.split("|")[1].strip()))
    default = next(q for q, lam in QUALITIES.items() if lam == Options().lam)
    arguments = "".join(f" {a}" for a in sys.argv[1:])
    PAGE.write_text(
        HEAD.format(arguments=arguments, views=VIEWS, default=default) + "".join(found)
    )


if __name__ == "__main__":
    main()
