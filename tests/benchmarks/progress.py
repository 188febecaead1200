"""How right the bar of an encode is: share shown against share of time passed, and time left.

    python tests/benchmarks/progress.py SCENE.ply [--clock wall|cpu] [OPTION ...]

Options are those of ``gscodec encode``. On a machine with other work, ``--clock cpu`` counts the
seconds of this process's processors in place of the wall's; give it ``--threads 1``. The seconds
of each stage, which it prints too, are what `gscodec.cli.plans` is made from.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.cli.encoder import Encoding
from gscodec.cli.estimate import Estimate
from gscodec.cli.jobs import Job
from gscodec.cli.session import Session, limit_threads
from gscodec.disk.scenes import Reading

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY = 0.1  # wall seconds between two looks
_EARLY = 5.0  # seconds until the share has to be right
_THIRD = 1 / 3  # of the run, from which on the time left has to be right
_END = 2.0  # seconds before the end in which a factor says nothing


class Recorder:
    """A view that looks at the estimate as a bar does."""

    def __init__(self, estimate: Estimate, clock: Callable[[], float]) -> None:
        self.looks: list[tuple[float, float, float]] = []  # time, share, time left
        self.stages: dict[str, float] = {}
        self.gap = 0.0
        self._estimate, self._clock = estimate, clock
        self._began = self._since = clock()
        self._stage = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def show(self, stage: str, share: float, detail: str) -> None:
        del share, detail
        now = self._clock()
        if self._stage:
            self.stages[self._stage] = self.stages.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now

    def say(self, line: str) -> None:
        print(line)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self.show("", 0.0, "")

    def _look(self) -> None:
        before = time.monotonic()
        while not self._over.wait(_EVERY):
            share, left = self._estimate.share(), self._estimate.left()
            if share is not None and left is not None:
                self.looks.append((self._clock() - self._began, share, left))
            now = time.monotonic()
            self.gap, before = max(self.gap, now - before), now


def told(recorder: Recorder, total: float) -> list[str]:
    """The worst of each, and when."""
    shares = [(abs(s - t / total), t, s) for t, s, _ in recorder.looks if t >= _EARLY]
    lefts = [
        (max(left / (total - t), (total - t) / max(left, 1e-9)), t, left)
        for t, _, left in recorder.looks
        if t >= _THIRD * total and total - t >= _END
    ]
    lines = [f"{total:.1f} s, longest time without a look {recorder.gap:.2f} s (wall)"]
    if shares:
        gap, t, share = max(shares)
        lines.append(
            f"share: at most {100 * gap:.1f} points from the time passed, {100 * share:.0f} % "
            f"where it was {100 * t / total:.0f} %"
        )
    if lefts:
        factor, t, left = max(lefts)
        lines.append(
            f"time left: within a factor of {factor:.2f}, {left:.1f} s told where it was "
            f"{total - t:.1f} s"
        )
    stages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in recorder.stages.items())
    return [*lines, f"stages: {stages}"]


def main() -> None:
    """Encodes, and prints what the bar showed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scene")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--method", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--effort")
    parser.add_argument("--iterations", type=int)
    given = parser.parse_args()
    limit_threads(given.threads)
    clock = time.process_time if given.clock == "cpu" else time.monotonic
    named = {name: getattr(given, name) for name in ("threads", "effort", "iterations")}
    recipe = Encoding(
        method=given.method,
        options={name: value for name, value in named.items() if value is not None},
        reading=Reading(),
        scaling=None,
        views=None,
        images=None,
        force_views=False,
        min_psnr=None,
        verify=True,
        resume=False,
        overwrite=False,
        skip_existing=False,
        strip=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        estimate = Estimate(clock)
        recorder = Recorder(estimate, clock)
        began = clock()
        with Session(recorder, estimate=estimate) as session:
            recipe(Job(given.scene, str(Path(folder) / "out.gsz")), session)
        total = clock() - began
    print("\n".join(told(recorder, total)))


if __name__ == "__main__":
    main()
