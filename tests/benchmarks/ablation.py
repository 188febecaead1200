"""What measured sensitivity saves: effort fast as it is, and with one weight per attribute.

In the ablation every value of an attribute has the same weight, the mean: one step per
attribute, as codecs without a renderer have it. Everything else stays: contexts, rounding by
rate and distortion, positions. Sizes are compared at the PSNR of SPZ v4, as the judge sees it.
Writes docs/ablation.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from bench import JUDGE, ROOT, SHARED, judge

import gscodec
from gscodec.fit.gaussians import GaussianSource, Seen
from gscodec.fit.sensitivity import Sensitivity
from gscodec.report.curve import bytes_at
from gscodec.sceneio import read_ply, write_ply

# Around the quality that SPZ v4 has, and that quality, dB.
LAMBDAS = {
    "mic": (2.5e-4, 5e-4),
    "fox": (1e-3, 2e-3),
    "plant": (1e-4, 3e-4),
    "playbot": (3e-4, 6e-4),
}
PSNR = {"mic": 47.24, "fox": 35.91, "plant": 53.75, "playbot": 43.00}


def flat(weights: Sensitivity) -> Sensitivity:
    """One weight for all values of an attribute: the mean."""
    return Sensitivity(
        *(
            np.full_like(w, w.mean())
            for w in (getattr(weights, f.name) for f in fields(weights))
        )
    )


def curve(name: str, lambdas: tuple[float, ...], folder: Path) -> list[tuple[int, float]]:
    """Bytes and PSNR at each lambda."""
    path = SHARED / "scenes" / name
    scene = read_ply((path / "scene.ply").read_bytes()).scene
    points = []
    for lam in lambdas:
        coded = gscodec.encode(scene, "hac", lam=lam)
        decoded = gscodec.decode(coded)
        assert isinstance(decoded, gscodec.GaussianScene)
        (folder / "decoded.ply").write_bytes(write_ply(decoded))
        found, _ = judge(
            path / "scene.ply", folder / "decoded.ply", path / "cameras.json", folder
        )
        points.append((len(coded), found))
        print(f"{name} {lam:g}: {len(coded):,} bytes, {found:.2f} dB", flush=True)
    return points


def main() -> None:
    """Measures and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="*", default=list(LAMBDAS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "ablation.md")
    args = parser.parse_args()
    if not JUDGE.exists():
        sys.exit(f"skipped: {JUDGE} is not there")
    weighed = GaussianSource.weighed

    def without(self: GaussianSource, seen: Seen) -> GaussianSource:
        source = weighed(self, seen)
        return replace(source, weights=flat(source.weights))

    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.scenes:
            with_weights = curve(name, LAMBDAS[name], Path(scratch))
            with patch.object(GaussianSource, "weighed", without):
                # The same quality takes another lambda then.
                finest = LAMBDAS[name][0]
                lambdas = (finest / 2.5, finest, 4 * finest)
                with_one = curve(name, lambdas, Path(scratch))
            goal = PSNR[name]
            ours, theirs = bytes_at(goal, with_weights), bytes_at(goal, with_one)
            cells = "outside | outside | -"
            if ours and theirs:
                cells = f"{theirs:,.0f} | {ours:,.0f} | {1 - ours / theirs:.1%}"
            rows.append(f"| {name} | {goal:.2f} dB | {cells} |")
            print(rows[-1], flush=True)
    command = " ".join(["python tests/benchmarks/ablation.py", *sys.argv[1:]])
    args.out.write_text(
        "\n".join(
            [
                "# What measured sensitivity saves",
                "",
                f"Written by `{command}`.",
                "",
                *(__doc__ or "").splitlines()[2:-1],
                "",
                "| scene | PSNR | one weight per attribute | measured weights | saved |",
                "| --- | ---: | ---: | ---: | ---: |",
                *rows,
                "",
            ]
        )
    )


if __name__ == "__main__":
    main()
