"""Parts of method predict-gs taken away, on a Scaffold-GS checkpoint at effort fast.

Each row is the command line of this project with the training cameras, judged as in
`scaffold.py`; what values do to pixels is measured once for all of them, and so is what the source looks like. Prints the table of
docs/predict-gs.md.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import scaffold
from bench import SHARED
from scaffold import COLUMNS, JUDGE, row

from gscodec.fit import anchor_pixels
from gscodec.fit.anchors import AnchorSource

if TYPE_CHECKING:
    from gscodec.fit.mixing import Mixing

PARTS = (
    "hac",
    "hemgs",
    "predict-gs",
    "errors as if independent",
    "a pool in any case",
    "24 dimensions",
    "16 dimensions",
    "8 dimensions",
    "no residual, no pool",
    "no residual, a pool",
)
_ANY = 1e3  # a share of the saved bits that outweighs all costs


def short(dimensions: int) -> Any:
    """Coordinates beyond so many ``dimensions`` are their mean."""
    mixed = AnchorSource.mixed

    def cut(self: AnchorSource, mixing: Mixing, steps: Any) -> AnchorSource:
        found = mixed(self, mixing, steps)
        whole = list(found.columns)
        widths = [column.shape[1] for column in mixing.own(whole)]
        for number, start in zip(mixing.units, np.cumsum([0, *widths]), strict=False):
            kept = max(0, dimensions - int(start))
            own = whole[number].copy()
            own[:, kept:] = own[:, kept:].mean(axis=0)
            whole[number] = own
        return replace(found, columns=tuple(whole))

    return patch.object(AnchorSource, "mixed", cut)


def without(part: str) -> contextlib.ExitStack:
    """The method with ``part`` changed."""
    stack = contextlib.ExitStack()
    if part == "errors as if independent":
        alone = patch.object(
            AnchorSource, "agreement", lambda self, _: np.eye(len(self.together))
        )
        stack.enter_context(alone)
    if "dimensions" in part:
        stack.enter_context(short(int(part.split(maxsplit=1)[0])))
    if "no residual" in part:
        stack.enter_context(short(0))
    if "a pool" in part:
        stack.enter_context(patch("gscodec.fit.pool.SHARE", _ANY))
        stack.enter_context(patch("gscodec.fit.grid._REAL_SHARE", _ANY))
    return stack


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", default="mic-scaffold")
    parser.add_argument("--lam", default="4e-4")
    parser.add_argument("--parts", nargs="*", default=PARTS)
    args = parser.parse_args()
    if not JUDGE.exists():
        sys.exit(f"skipped: {JUDGE} is not there")
    measure = anchor_pixels.measure
    found: list[Any] = []

    def measured(*arguments: Any, **others: Any) -> Any:
        if not found:
            found.append(measure(*arguments, **others))
        return found[0]

    judged = scaffold.judged
    before: list[tuple[float, float]] = []

    def once(checkpoint: Path, scene: Path, *others: Path) -> tuple[float, float]:
        if checkpoint != scene:
            return judged(checkpoint, scene, *others)
        if not before:
            before.append(judged(checkpoint, scene, *others))
        return before[0]

    print("\n".join(COLUMNS))
    with (
        tempfile.TemporaryDirectory() as scratch,
        patch.object(anchor_pixels, "measure", measured),
        patch.object(scaffold, "judged", once),
    ):
        for part in args.parts:
            method = part if part in {"hac", "hemgs"} else "predict-gs"
            options = ["--method", method, "--lambda", args.lam]
            with without(part):
                scene = SHARED / "scenes" / args.scene
                row(part, scene, options, Path(scratch), photographs=False)


if __name__ == "__main__":
    main()
