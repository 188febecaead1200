"""What decoded neighbours are worth to hemgs: its parts taken away, one at a time.

Each variant is trained and coded with another search for neighbours. Bytes are compared by the
Bjontegaard rate over the lambdas. Writes docs/context.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
from bench import JUDGE, ROOT, SHARED, judge

import gscodec
from gscodec.intnet import neighbours
from gscodec.intnet.neighbours import WEIGHT_BITS, Neighbours
from gscodec.report.curve import bjontegaard_rate
from gscodec.sceneio import read_ply, write_ply

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SCENES = ("mic-small", "plant")
LAMBDAS = (5e-4, 2e-3)
found_of_turn = neighbours._of_turn


def as_it_is(cells: NDArray[np.int64], *turn: int) -> Neighbours:
    """The nearest 8 of 16 candidates, weighed by the inverse of their distance."""
    return found_of_turn(cells, *turn)


def nobody(cells: NDArray[np.int64], *turn: int) -> Neighbours:
    """No autoregression."""
    found = found_of_turn(cells, *turn)
    return replace(
        found, weights=np.zeros_like(found.weights), nearest=np.zeros_like(found.nearest)
    )


def one(cells: NDArray[np.int64], *turn: int) -> Neighbours:
    """The nearest one alone."""
    found = found_of_turn(cells, *turn)
    weights = np.zeros_like(found.weights)
    weights[0] = np.where(found.weights[0] > 0, 1 << WEIGHT_BITS, 0)
    return replace(found, weights=weights)


def alike(cells: NDArray[np.int64], *turn: int) -> Neighbours:
    """No adaptive selection: all 8 weigh the same."""
    found = found_of_turn(cells, *turn)
    inside = found.weights > 0
    each = (1 << WEIGHT_BITS) // np.maximum(inside.sum(axis=0), 1)
    return replace(found, weights=(inside * each).astype(np.int16))


VARIANTS: dict[str, Callable[..., Neighbours]] = {
    "as it is": as_it_is,
    "all eight weigh the same": alike,
    "the nearest one alone": one,
    "no neighbours": nobody,
}


def curve(name: str, folder: Path) -> list[tuple[int, float]]:
    """Bytes and PSNR at each lambda."""
    path = SHARED / "scenes" / name
    scene, points = read_ply((path / "scene.ply").read_bytes()).scene, []
    for lam in LAMBDAS:
        coded = gscodec.encode(scene, "hemgs", lam=lam)
        decoded = gscodec.decode(coded)
        assert isinstance(decoded, gscodec.GaussianScene)
        test = folder / "decoded.ply"
        test.write_bytes(write_ply(decoded))
        psnr, _ = judge(path / "scene.ply", test, path / "cameras.json", folder)
        points.append((len(coded), psnr))
    return points


HEAD = """# What decoded neighbours are worth to hemgs

Written by `{command}`. Effort fast at lambda {lambdas}; bytes against
those of the first row at equal PSNR (Bjontegaard rate over the common range).

| scene | variant | bytes and PSNR | bytes at equal PSNR |
| --- | --- | ---: | ---: |
"""


def main() -> None:
    """Measures and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="*", default=SCENES)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "context.md")
    args = parser.parse_args()
    if not JUDGE.exists():
        sys.exit(f"skipped: {JUDGE} is not there")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.scenes:
            curves: list[list[tuple[int, float]]] = []
            for variant, search in VARIANTS.items():
                with patch.object(neighbours, "_of_turn", search):
                    curves.append(curve(name, Path(scratch)))
                more = bjontegaard_rate(curves[0], curves[-1])
                points = "; ".join(f"{size:,} at {psnr:.2f} dB" for size, psnr in curves[-1])
                told = "-" if more is None else f"{more:+.1f} %"
                rows.append(f"| {name} | {variant} | {points} | {told} |")
                print(rows[-1], flush=True)
    command = " ".join(["python tests/benchmarks/context.py", *sys.argv[1:]])
    lambdas = " and ".join(f"{lam:g}" for lam in LAMBDAS)
    args.out.write_text(HEAD.format(command=command, lambdas=lambdas) + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
