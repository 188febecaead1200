"""Milliseconds of rendering and of its gradients on the CPU -> docs/rendering.md.

    python tests/benchmarks/raster.py

The scene is random: 200,000 Gaussians with SH 3 in a cube, seen whole at 800 x 800 pixels, with a
median sigma of 3.3 pixels after projection. Results with one thread and two must be the same bits.
"""

from __future__ import annotations

import hashlib
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numba
import numpy as np

from gscodec.camera import Camera
from gscodec.render.splat import Gaussians, rasterize

if TYPE_CHECKING:
    from gscodec.render.splat import Picture

ROOT = Path(__file__).resolve().parents[2]
COUNT, EDGE, RUNS = 200_000, 800, 15

TEXT = """# Rendering

`gscodec.render` draws Gaussians on the CPU with numba kernels, forward and backward. It needs the
extra `render`, no compiler and no torch:

```python
from gscodec.render import render, blend_weights

picture = render(scene, camera)  # (H, W, 3) float32, not clipped
weights = blend_weights(scene, camera)  # (N,), how much of the picture each Gaussian is
```

`gscodec.render.splat` has the same in parts, with gradients, for numpy;
`gscodec.render.rasterization.rasterization` for torch. The latter has the names, order and
defaults of gsplat 1.5.3 (a subset), and hands CUDA tensors to gsplat, if the extra `gpu` is there.

## Conventions

Those of gsplat 1.5.3: pixel centres at one half; 0.3 added to the diagonal of projected
covariances; x/z and y/z limited to 0.3 half-widths beyond the picture in the Jacobian; colours are
SH + 0.5, clamped at 0 from below; alpha below 1/255 is skipped and above 0.999 capped; blending
stops before transmittance falls to 1e-4; Gaussians nearer than 0.01 are not drawn. `render` and
`blend_weights` take the two numbers in which the first 3DGS code differs: 0.99 and 0.2. That code
also cuts splats off at a square of three sigma, which is not imitated. Of scenes whose core is less
than half a unit across, 2 % of this size takes the place of 0.2 (`gscodec.render.conventions`).
Scenes that say that they are antialiased are drawn so.

Order is by depth, then by index. A picture does not depend on the tiles: a tile lists what
reaches 1/255 in it, exactly. Not drawn are Gaussians with a value that is not finite, or wider
than 1e18 pixels. An opacity above 1 counts as 1, a quaternion may have any length, and 0 turns
nothing.

Where gsplat differs: it evaluates a dx^2 + 2 b dx dy + c dy^2, which loses digits for long thin
splats, and computes the determinant of a covariance by subtraction; here both are sums of squares.

## Accuracy

`tests/test_raster.py` compares with a reference in float64 that was written separately (dense,
torch autograd): pictures and alphas within 1e-4 everywhere and 1e-6 on average, gradients within
a relative L2 of 1e-4 for means, quaternions, scales, opacities and colours each. Measured: at most
6e-6 and 1e-5, except for needles (3e-5 and 2e-5) and a picture of one pixel (3e-5, quaternions).
Cases: SH 0 to 3, odd sizes, opacities near 0 and 1, needles, discs, tiny and
huge splats, splats at the near plane, principal points outside of the picture, antialiasing, depth.
Left out and counted (none to 1 %) are pixels in which a value is so close to a threshold that
rounding decides: there, float32 may show a jump of up to 1/255.

Parity with gsplat on a GPU is a test too (marked `gpu`), skipped where there is no CUDA device.
**It has not been run yet**: no such machine was at hand.

## Gradients

By means, quaternions, scales, opacities, colours or SH coefficients, backgrounds, from gradients
by colours, alpha and depth; first derivatives only. None by cameras. They are zero where alpha is
capped, for what is skipped or cut off, and by SH where a colour is clamped; that the edge of a
splat at 1/255 moves is not counted. gsplat does the same.

Sums have one fixed order and there are no atomics: pictures and gradients are the same bits with
any number of threads. Other processors may round otherwise.

## Speed

{count:,} Gaussians, SH 3, {edge} x {edge} pixels, median sigma {sigma:.1f} pixels, {pairs:.1f} tiles
per drawn Gaussian; milliseconds, medians of {runs}; CPU time is of all threads. {machine}.

| threads | forward, CPU | forward, wall | with gradients, CPU | with gradients, wall |
| ---: | ---: | ---: | ---: | ---: |
{table}

Written by `python tests/benchmarks/raster.py`, which also checks that the results of all rows
are the same bits. CPU time is the steadier number: other programs ran at the same time.

The first picture of an installation takes some 10 s longer, the first gradients as much again:
numba compiles, and the result is kept in the user's cache folder (`~/.cache/gscodec`) if possible.

The torch function blends three channels at once: with depth or more channels, time grows by a
blending for every further three.

## Memory

A pair of Gaussian and tile costs 8 bytes, and 36 more while gradients are taken. A picture of
more than 2^28 pairs is refused. A thousand Gaussians that cover all of 4096 x 4096 pixels: 0.8 GB,
3.2 GB with gradients.
"""


def scene() -> tuple[Gaussians, Camera]:
    """What is drawn."""
    rng = np.random.default_rng(0)
    arrays = (
        rng.uniform(-1, 1, (COUNT, 3)),
        rng.normal(size=(COUNT, 4)),
        np.exp(rng.normal(np.log(0.0085), 0.5, (COUNT, 3))),
        1 / (1 + np.exp(-rng.normal(0, 2, COUNT))),
        rng.normal(0, 0.2, (COUNT, 16, 3)),
    )
    means, quats, scales, opacities, colors = (a.astype(np.float32) for a in arrays)
    pose = np.eye(4)
    pose[2, 3] = 2.5
    camera = Camera(EDGE, EDGE, 900.0, 900.0, EDGE / 2, EDGE / 2, pose)
    return Gaussians(means, quats, scales, opacities, colors, sh_degree=3), camera


def measure(threads: int) -> tuple[str, str, Picture]:
    """A row of the table, a digest of all results, and the picture."""
    numba.set_num_threads(threads)
    gaussians, camera = scene()
    times = []
    for _ in range(RUNS + 1):  # the first one compiles
        marks = [(time.process_time(), time.perf_counter())]
        picture = rasterize(gaussians, camera)
        marks.append((time.process_time(), time.perf_counter()))
        gradients = picture.backward(np.ones_like(picture.image))
        marks.append((time.process_time(), time.perf_counter()))
        times.append([*np.subtract(marks[1], marks[0]), *np.subtract(marks[2], marks[0])])
    row = " | ".join(f"{1000 * t:.0f}" for t in np.median(times[1:], axis=0))
    digest = hashlib.sha256()
    for array in (picture.image, picture.transmittance, *gradients):
        digest.update(array.tobytes())
    return f"| {threads} | {row} |", digest.hexdigest(), picture


def processor() -> str:
    """What this ran on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    return f"{name}, {os.cpu_count()} cores, numba {numba.__version__}"


def main() -> None:
    """Measures, prints and writes."""
    rows, digests = [], set()
    for threads in range(1, min(2, numba.get_num_threads()) + 1):
        row, digest, picture = measure(threads)
        rows.append(row)
        digests.add(digest)
        print(row, digest[:16], flush=True)
    if len(digests) > 1:
        raise SystemExit("results depend on the number of threads")
    projection = picture.projection
    splats = projection.splats[projection.drawn]
    text = TEXT.format(
        count=COUNT,
        edge=EDGE,
        sigma=np.median((2 * splats[:, 2] * splats[:, 4]) ** -0.5),
        pairs=len(projection.lists) / len(splats),
        runs=RUNS,
        machine=processor(),
        table="\n".join(rows),
    )
    (ROOT / "docs" / "rendering.md").write_text(text)


if __name__ == "__main__":
    main()
