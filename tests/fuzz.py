"""Seeded fuzzer of the decoder: any bytes give a clean error or a scene that was encoded.

    python tests/fuzz.py --count 10000 --seed 0 [FILE.gsz ...]

Mutation ``i`` of a run depends on seed + i only: ``--seed NUMBER --count 1`` repeats one.
Without files it takes small scenes in method raw, and the coarse vectors of method hac. Exit code 1 if any mutation breaks the promise,
takes longer than 10 s, or brings the process above 1 GB.
"""

from __future__ import annotations

import argparse
import resource
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

import fuzzing
import scenes
from anchors import make_anchor_scene
from gscodec import codec

if TYPE_CHECKING:
    from gscodec.anchors import Scene

MAX_SECONDS = 10.0
MAX_BYTES = 10**9
_MAX_LISTED = 20
LEARNED = Path(__file__).resolve().parent / "vectors" / "hac"


def default_samples() -> list[fuzzing.Sample]:
    """Small files of every shape: empty, with extras, with fill, of several SH degrees, anchors."""
    hard = scenes.hard_scenes()
    one = hard["all zero"]
    chosen: list[Scene] = [
        scenes.make_scene(20, 3),
        scenes.make_scene(5, 0),
        hard["empty"],
        hard["extra properties"],
        replace(hard["extra properties"], has_normals=False),
        one.take(np.zeros(3000, dtype=np.int64)),  # few bits for many primitives: has fill
    ]
    chosen.append(make_anchor_scene(10, masked=True, bank=True, appearance=2))
    files = [codec.encode(scene, "raw") for scene in chosen]
    files += [path.read_bytes() for path in sorted(LEARNED.glob("*coarse.gsz"))]
    return [fuzzing.Sample.of(data) for data in files]


def peak_bytes() -> int:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(samples: list[fuzzing.Sample], seed: int, count: int) -> list[str]:
    """Tries ``count`` mutations; prints a summary, returns the violations."""
    violations, slowest, start = [], (0.0, seed), perf_counter()
    for number in range(seed, seed + count):
        mutation, before = fuzzing.mutate(samples, number), perf_counter()
        problem = fuzzing.problem_with(mutation, samples)
        seconds = perf_counter() - before
        slowest = max(slowest, (seconds, number))
        if problem is None and seconds > MAX_SECONDS:
            problem = f"took {seconds:.1f} s"
        if problem is None and peak_bytes() > MAX_BYTES:
            problem = f"brought the process to {peak_bytes() / 1e6:.0f} MB"
        if problem is not None:
            violations.append(f"seed {number} ({mutation.kind}): {problem}")
        if peak_bytes() > MAX_BYTES:
            break
    total = perf_counter() - start
    print(
        f"{count} mutations in {total:.0f} s ({count / total:.0f} per second), "
        f"slowest {slowest[0]:.2f} s (seed {slowest[1]}), peak {peak_bytes() / 1e6:.0f} MB, "
        f"{len(violations)} violations"
    )
    return violations


def main() -> int:
    """Parses the arguments and runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="valid .gsz files to start from")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    samples = [fuzzing.Sample.of(path.read_bytes()) for path in arguments.files]
    violations = run(samples or default_samples(), arguments.seed, arguments.count)
    for line in violations[:_MAX_LISTED]:
        print(line, file=sys.stderr)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
