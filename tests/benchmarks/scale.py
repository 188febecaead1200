"""Seconds and memory against the number of Gaussians (SH 3) -> docs/scale.md.

    python tests/benchmarks/scale.py [COUNT ...]

The scene is the bundled example, set out side by side until there are COUNT Gaussians, every
value disturbed so that no two copies are alike.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bench import ROOT, cost, gscodec, run

from gscodec.sceneio import read_ply, write_ply

if TYPE_CHECKING:
    from gscodec.scene import GaussianScene

COUNTS = (250_000, 1_000_000)
EXAMPLE = ROOT / "examples" / "mic-small" / "scene.ply"
_DISTURBANCE = 0.02  # of the standard deviation of each value


def tiled(count: int) -> GaussianScene:
    """``count`` Gaussians made of disturbed copies of the example on a square."""
    example = read_ply(EXAMPLE.read_bytes()).scene
    rng = np.random.default_rng(0)
    index = np.arange(count)
    copy, row = np.divmod(index, len(example))
    scene = example.take(row)
    side = int(np.ceil(np.sqrt(copy.max() + 1)))
    extent = np.ptp(example.means, axis=0).max()
    offset = np.stack([copy % side, copy // side, np.zeros(count)], axis=1) * extent
    disturbed = {
        name: array + rng.normal(0, _DISTURBANCE * array.std(), array.shape).astype(np.float32)
        for name, array in scene.attributes().items()
    }
    disturbed["means"] = (disturbed["means"] + offset).astype(np.float32)
    return replace(
        scene,
        means=disturbed["means"],
        opacity_logits=disturbed["opacity_logits"],
        log_scales=disturbed["log_scales"],
        quats=disturbed["quats"],
        sh_dc=disturbed["sh_dc"],
        sh_rest=disturbed["sh_rest"],
    )


def main() -> None:
    """Measures and writes the table."""
    command = " ".join(["python tests/benchmarks/scale.py", *sys.argv[1:]])
    lines = [
        "# Scale",
        "",
        f"Written by `{command}`:",
        "wall-clock seconds and peak memory of `gscodec encode` (default settings, verification",
        "included) and `gscodec decode`, for the bundled scene tiled to the given size.",
        "",
        "| Gaussians, SH 3 | .ply bytes | .gsz bytes | encode | decode |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    codec = gscodec("hac", None)
    for count in [int(text) for text in sys.argv[1:]] or COUNTS:
        with tempfile.TemporaryDirectory() as scratch:
            source, coded, decoded = (Path(scratch) / n for n in ("a.ply", "a.gsz", "b.ply"))
            source.write_bytes(write_ply(tiled(count)))
            costs = run(codec.encode, source, coded), run(codec.decode, coded, decoded)
            sizes = f"{source.stat().st_size:,} | {coded.stat().st_size:,}"
        lines.append(f"| {count:,} | {sizes} | {cost(costs[0])} | {cost(costs[1])} |")
        print(lines[-1], flush=True)
    (ROOT / "docs" / "scale.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
