"""How far a run is and how long it still takes, from what was measured of runs like it.

Strategy: a plan says how many seconds each step takes on the machine that it was measured on.
What is left of a run is what is left of the step at work, by the share that it reports or by the
clock, and the steps to come at the pace that this run has had so far. The share that is shown is
time passed over time passed and left, so both tell the same, and it moves with the clock.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TRUST = 1.0  # seconds that the plan's own pace weighs against the run's
_BELIEF = 1 / 3  # power of the share that a step reports: what it weighs against the plan
_SHORTEST = 1e-3  # seconds of a step
_LATE = 0.8  # of a step by the clock; from there on it approaches its end ever more slowly
LEAST, MOST = 0.01, 0.99  # shares that are shown of what has begun and is not done


@dataclass(frozen=True)
class Step:
    """A part of a run.

    Attributes:
        name: Of the stage that it begins with, and that reports its share.
        seconds: That it takes where the plan was measured.
        within: Further stages that are part of it.
        repeats: Whether the stage is gone through several times, so that its share tells little.
        reports: Part of its seconds after which the stage says that it is done.
    """

    name: str
    seconds: float
    within: frozenset[str] = frozenset()
    repeats: bool = False
    reports: float = 1.0

    def has(self, stage: str) -> bool:
        """Whether ``stage`` is part of it."""
        return stage == self.name or stage in self.within


class Reckoning(Protocol):
    """What a bar shows.

    Attributes:
        name: Of what is at work; may be empty.
    """

    name: str

    def share(self) -> float | None:
        """Of the run, 0 to 1; None where nobody knows."""

    def left(self) -> float | None:
        """Seconds; None where nobody knows."""

    def told(self) -> str:
        """What is done now."""


class Estimate:
    """A `Reckoning` of a run of known steps."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = ""
        self._clock = clock
        self._began = self._since = clock()
        self._steps: tuple[Step, ...] = ()
        self._at = 0
        self._finished: dict[int, float] = {}  # step -> seconds that it took
        self._stage, self._detail = "", ""
        self._reported, self._reported_at = 0.0, self._since
        self._shown = 0.0

    def expect(self, steps: Sequence[Step]) -> None:
        """The run is going to be ``steps``; those that are over keep their places."""
        self._steps = tuple(steps)

    def extend(self, steps: Sequence[Step]) -> None:
        """There are ``steps`` too, after all that was expected; so less of the run is done."""
        self._steps += tuple(steps)
        self._shown = 0.0

    def hear(self, stage: str, share: float, detail: str = "") -> None:
        """``share`` of ``stage`` is done."""
        now = self._clock()
        self._stage, self._detail = stage, detail
        if not self._steps:
            self._reported = share
            return
        ahead = range(self._at, len(self._steps))
        found = next((n for n in ahead if self._steps[n].has(stage)), self._at)
        if found != self._at:
            self._finished[self._at] = now - self._since
            self._finished.update(dict.fromkeys(range(self._at + 1, found), 0.0))
            self._at, self._since, self._reported = found, now, 0.0
        step = self._steps[self._at]
        if stage == step.name and not step.repeats and share > self._reported:
            self._reported, self._reported_at = share, now

    def left(self) -> float | None:
        """Seconds."""
        if not self._steps:
            return None
        step, passed = self._steps[self._at], self._clock() - self._since
        before = [n for n in self._finished if self._finished[n] > 0]
        took = sum(self._finished[n] for n in before) + _TRUST
        planned = sum(self._steps[n].seconds for n in before) + _TRUST
        expected = step.seconds * took / planned
        if self._reported:
            measured = (self._reported_at - self._since) / (step.reports * self._reported)
            weight = self._reported**_BELIEF
            expected = weight * measured + (1 - weight) * expected
        pace = (took + max(expected, passed)) / (planned + step.seconds)
        later = sum(step.seconds for step in self._steps[self._at + 1 :])
        return _left_of(expected, passed) + pace * later

    def share(self) -> float | None:
        """Of the run; never less than before. Without a plan, of a stage that says so."""
        left = self.left()
        if left is None:
            return min(self._reported, MOST) or None
        passed = self._clock() - self._began
        found = passed / (passed + left) if left else MOST
        self._shown = min(max(self._shown, found, LEAST), MOST)
        return self._shown

    def told(self) -> str:
        """The stage, and its place among the steps."""
        place = f"{self._at + 1}/{len(self._steps)} " if self._steps else ""
        return f"{place}{self._stage} {self._detail}".rstrip()


def _left_of(expected: float, passed: float) -> float:
    """Seconds of a step that takes ``expected``, about, and is at work since ``passed``."""
    expected = max(expected, _SHORTEST)
    late = passed - _LATE * expected
    if late <= 0:
        return expected - passed
    tail = (1 - _LATE) * expected
    return tail * math.exp(-late / tail)
