"""What the names of qualities give on real scenes -> docs/quality.md, and pictures of A and B.

Each scene is encoded at every quality in one process; quality is that of renders against those
of the source, through the cameras that lie beside it. The pictures, out/quality-SCENE.png, are
those of the default: source, decoded scene, and their amplified difference.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import TYPE_CHECKING

from bench import ROOT, SHARED

from gscodec.codec import encode_with_report
from gscodec.disk.scenes import load_scene
from gscodec.fit.options import QUALITIES, Options

if TYPE_CHECKING:
    from pathlib import Path

SCENES = ("plant", "mic", "playbot", "fox")
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


def judged(source: Path, cameras: Path, coded: Path, *extra: str) -> tuple[float, float]:
    """Mean and worst PSNR of ``coded``, dB."""
    views = ("--views", str(cameras), "--max-views", str(VIEWS))
    command = (sys.executable, "-m", "gscodec", "compare", str(source), str(coded))
    done = subprocess.run(
        (*command, *views, "--json", "-q", "--overwrite", *extra),
        check=True,
        capture_output=True,
    )
    ratios = [view["quality"]["psnr"] for view in json.loads(done.stdout)["views"]]
    return sum(ratios) / len(ratios), min(ratios)


def rows(source: Path, cameras: Path, name: str) -> list[str]:
    """A row of the table for each quality; the pictures of the default are kept."""
    scene = load_scene(str(source)).scene
    found = []
    for quality, lam in QUALITIES.items():
        coded = ROOT / "out" / f"quality-{name}.gsz"
        coded.write_bytes(encode_with_report(scene, "hac", lam=lam, verify=False).data)
        sheet = ("--sheet", str(coded.with_suffix(".png"))) if lam == Options().lam else ()
        mean, worst = judged(source, cameras, coded, *sheet)
        size = coded.stat().st_size
        found.append(
            f"| {quality} | {lam:g} | {name} | {size:,} | {size / len(scene):.2f} "
            f"| {mean:.2f} dB | {worst:.2f} dB |\n"
        )
        print(found[-1], end="", flush=True)
    return found


def main() -> None:
    """Measures, draws, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="+", default=SCENES)
    given = parser.parse_args()
    if not SHARED.is_dir():
        raise SystemExit(f"skipped: there is no {SHARED} with the scenes")
    (ROOT / "out").mkdir(exist_ok=True)
    found: list[str] = []
    for name in given.scenes:
        source, cameras = (SHARED / "scenes" / name / f for f in ("scene.ply", "cameras.json"))
        found += rows(source, cameras, name)
    order = list(QUALITIES)
    found.sort(key=lambda row: order.index(row.split("|")[1].strip()))
    default = next(q for q, lam in QUALITIES.items() if lam == Options().lam)
    arguments = "".join(f" {a}" for a in sys.argv[1:])
    PAGE.write_text(
        HEAD.format(arguments=arguments, views=VIEWS, default=default) + "".join(found)
    )


if __name__ == "__main__":
    main()
