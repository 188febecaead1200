"""How far a run of many scenes is: larger ones take longer, about as their bytes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.cli.estimate import LEAST, MOST
from gscodec.disk.files import size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FIXED = 250_000  # bytes of a scene that takes as long as what does not depend on its size
_SURE = 0.8  # of what is left of a scene, until the next report
_EARLY = LEAST  # share from which on it tells how long the rest takes


def weight_of(path: str) -> float:
    """What the scene at ``path`` takes, in bytes."""
    return float(size_of(path) + _FIXED)


class Scenes:
    """A `Reckoning` of many scenes, several at a time."""

    def __init__(
        self,
        weights: Sequence[float],
        names: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = ""
        self._weights = weights
        self._names = [Path(name).name or name for name in names]
        self._clock = clock
        self._began = clock()
        self._heard: dict[int, tuple[float, float | None, float]] = {}  # share, left, when
        self._stages: dict[int, str] = {}
        self._done = 0

    def hear(self, number: int, stage: str, share: float, left: float | None) -> None:
        """Scene ``number`` is done to ``share``, and takes ``left`` seconds."""
        self._heard[number] = share, left, self._clock()
        self._stages[number] = stage

    def finish(self, number: int) -> None:
        """Scene ``number`` is over."""
        self._heard[number] = 1.0, None, self._clock()
        self._stages.pop(number, None)
        self._done += 1

    def share(self) -> float | None:
        """Of the run, 0 to 1."""
        done = sum(self._weights[n] * self._share(n) for n in list(self._heard))
        return min(max(done / sum(self._weights), LEAST), MOST)

    def _share(self, number: int) -> float:
        """Of a scene, which moves on between two reports."""
        share, left, when = self._heard[number]
        if not left:
            return share
        return share + (1 - share) * min((self._clock() - when) / left, _SURE)

    def left(self) -> float | None:
        """Seconds; None where it is too early to tell."""
        share = self.share() or LEAST
        if share <= _EARLY:
            return None
        return (self._clock() - self._began) * (1 - share) / share

    def told(self) -> str:
        """How many are done, and what is done of those at work."""
        at_work = ", ".join(f"{self._names[n]}: {stage}" for n, stage in self._stages.items())
        return f"{self._done}/{len(self._weights)} {at_work}".rstrip()
