"""Seeded fuzzer of the decoder: any bytes give a clean error or a scene that was encoded.

    python tests/fuzz.py --count 20000 --seed 0 [--method METHOD | FILE.gsz ...]

Mutation ``i`` of a run depends on seed + i only: ``--seed NUMBER --count 1`` repeats one. Even
ones change bytes and chunks (`fuzzing`), odd ones symbols and fields (`grammar`). Without files
it takes small scenes of every kind in every method, or in one method and its small vectors too,
which have all parts that a file can have. Exit code 1 if any mutation breaks the promise, takes
longer than 10 s, brings the process above 1 GB, or makes the decoder run a program, open a file
for writing or go to the network.
"""

from __future__ import annotations

import argparse
import resource
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import fuzzing
import grammar
import scenes
from anchors import make_anchor_scene, small_views
from gscodec import codec
from quick import LEARNED, few_latents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gscodec.anchors import Scene

MAX_SECONDS = 10.0
MAX_BYTES = 10**9
_MAX_LISTED = 20
_FORBIDDEN = {
    *("compile", "exec", "ctypes.dlopen", "pickle.find_class", "os.system", "os.exec"),
    *("os.fork", "os.posix_spawn", "subprocess.Popen", "os.remove", "os.rename", "os.mkdir"),
}
_SMALL = 28_000  # bytes of a vector
VECTORS = Path(__file__).resolve().parent / "vectors"


def default_samples() -> list[fuzzing.Sample]:
    """Small files of every kind in every method."""
    return exact_samples() + [fuzzing.Sample.of(data) for data in learned_samples()]


def samples_of(method: str) -> list[fuzzing.Sample]:
    """Small files of every kind in a learned ``method``, and its small vectors."""
    paths = sorted((VECTORS / method).glob("*.gsz"))
    small = [path.read_bytes() for path in paths if path.stat().st_size < _SMALL]
    return [fuzzing.Sample.of(data) for data in learned_samples([method]) + small]


def exact_samples() -> list[fuzzing.Sample]:
    """Small files of method raw of every shape: empty, with extras, with fill, of several SH degrees, anchors."""
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
    return [fuzzing.Sample.of(data) for data in files]


def vectors(chosen: Sequence[str] = LEARNED) -> list[Path]:
    """The smallest of each learned method."""
    return [VECTORS / method / "anchors_one.gsz" for method in chosen]


def learned_samples(chosen: Sequence[str] = LEARNED) -> list[bytes]:
    """Small files of learned methods; the smallest vectors where torch is missing."""
    if find_spec("torch") is None:
        return [path.read_bytes() for path in vectors(chosen)]
    some = scenes.make_scene(60, 1)
    small: list[Scene] = [
        *(scenes.make_scene(60, degree) for degree in range(4)),
        some.take(np.arange(60) // 20),
        some.take(np.arange(2)),
        make_anchor_scene(30, masked=True, bank=True, appearance=2),
        make_anchor_scene(20, 12, 2, distance=True),
    ]
    quick: dict[str, Any] = {"training": 10, "raw_below": 0}
    quick |= {"block_size": 24, "views": small_views()}  # two or three blocks
    files = []
    with pytest.MonkeyPatch.context() as patch:
        few_latents(patch)
        for method in chosen:
            files += [codec.encode(s, method, **quick) for s in small]
    return files


def mutate(samples: list[fuzzing.Sample], number: int) -> fuzzing.Mutation:
    """The mutation ``number`` of ``samples``; the same arguments give the same bytes."""
    if number % 2 == 0:
        return fuzzing.mutate(samples, number)
    rng = Random(number)
    data, kind = grammar.mutate(rng, rng.choice(samples).data)
    return fuzzing.Mutation(number, f"grammar: {kind}", True, data, anew=True)


class Watch:
    """Sees what a decoder must not do, by the audit events of Python."""

    def __init__(self) -> None:
        self.on, self.seen = False, set[str]()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.on:
            return
        writes = event == "open" and set(str(arguments[1])) & set("wax+")
        if writes or event in _FORBIDDEN or event.startswith(("socket.", "shutil.")):
            self.seen.add(event)

    def problem(self) -> str | None:
        """What was seen since the last call."""
        seen, self.seen = self.seen, set()
        return f"does {', '.join(sorted(seen))}" if seen else None


def peak_bytes() -> int:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(samples: list[fuzzing.Sample], seed: int, count: int) -> list[str]:
    """Tries ``count`` mutations; prints a summary, returns the violations."""
    violations, slowest, start = [], (0.0, seed), perf_counter()
    watch = Watch()
    for number in range(seed, seed + count):
        mutation, before = mutate(samples, number), perf_counter()
        watch.on = True
        problem = fuzzing.problem_with(mutation, samples) or watch.problem()
        watch.on = False
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
    parser.add_argument("--method", choices=LEARNED, help="files of one learned method only")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.method:
        samples = samples_of(arguments.method)
    else:
        samples = [fuzzing.Sample.of(path.read_bytes()) for path in arguments.files]
    violations = run(samples or default_samples(), arguments.seed, arguments.count)
    for line in violations[:_MAX_LISTED]:
        print(line, file=sys.stderr)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
