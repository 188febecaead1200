"""One training for many rates against a training for each -> a table.

    python tests/benchmarks/rates.py mic-small --method hemgs --count 16

The first rate, of the smallest lambda, is learned in full; every other one goes on from the rate
before. Quality is that over the encoder's own views.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from bench import SHARED

import gscodec
from gscodec.report.curve import bytes_at

LEAST, MOST = 2.5e-4, 1.6e-2


class Rate(NamedTuple):
    """A file; seconds of CPU time."""

    lam: float
    bytes: int
    psnr: float
    seconds: float


def measured(
    scene: gscodec.GaussianScene, method: str, lam: float, start: object
) -> tuple[Rate, object]:
    """At ``lam``, gone on to from a model where one is given."""
    before = time.process_time()
    made = gscodec.encode_with_report(scene, method, lam=lam, start=start)
    seconds = time.process_time() - before
    quality = made.report["quality"]
    assert isinstance(quality, dict)
    return Rate(lam, len(made.data), quality["mean_psnr"], seconds), made.model


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenes", nargs="+")
    parser.add_argument("--method", default="hemgs")
    parser.add_argument("--count", type=int, default=16)
    args = parser.parse_args()
    print("| scene | lambda | alone | PSNR | going on | PSNR | at equal PSNR | CPU time |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in args.scenes:
        path = SHARED / "scenes" / name / "scene.ply"
        if not path.exists():
            sys.exit(f"skipped: there is no scene at {path}")
        scene = gscodec.load(Path(path))
        assert isinstance(scene, gscodec.GaussianScene)
        alone, again = [], []
        model: object = None
        for lam in np.geomspace(LEAST, MOST, args.count).tolist():
            alone.append(measured(scene, args.method, lam, None)[0])
            rate, model = measured(scene, args.method, lam, model)
            again.append(rate)
        curve = [(rate.bytes, rate.psnr) for rate in alone]
        ratios = []
        for own, other in zip(alone, again, strict=True):
            there = bytes_at(other.psnr, curve)
            ratio = math.nan if there is None else other.bytes / there
            ratios.append(ratio)
            print(
                f"| {name} | {own.lam:.2e} | {own.bytes:,} | {own.psnr:.2f} dB "
                f"| {other.bytes:,} | {other.psnr:.2f} dB | {ratio:.3f} "
                f"| {other.seconds / own.seconds:.2f} |",
                flush=True,
            )
        falls = all(a.bytes > b.bytes and a.psnr > b.psnr for a, b in itertools.pairwise(again))
        print(f"{name}: worst {np.nanmax(ratios):.3f}, bytes and PSNR fall strictly: {falls}")


if __name__ == "__main__":
    main()
