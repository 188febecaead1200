"""The end of effort high for anchors: units are coded one after the other while the rest settles.

Rounding values one by one leaves errors that agree with each other. Here values that are not coded
yet, and networks, move until the picture of what is decoded is right.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from gscodec.fit.options import ITERATIONS
from gscodec.learned.encoding import decoded_unit
from gscodec.learned.high import joint, laws_of, report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gscodec.anchors import Scene
    from gscodec.fit.subject import Columns, Work
    from gscodec.learned.encoding import Block
    from gscodec.learned.model import Model
    from gscodec.learned.run import Run

_NO_TIME = 1e-9  # seconds, when all are spent


class Settling:
    """Adapts what is not coded yet to what is."""

    def __init__(self, run: Run, work: Work, model: Model, lam: float) -> None:
        self._run_of, self._work = run, work
        self._columns: Columns = list(work.source.columns)
        self._laws = laws_of(run, work, model, lam)
        self._drawing = run.drawing(work)
        self._descent = joint(run, self._drawing, lam)
        self._first = len(self._columns) - len(self._laws)  # decisions do not move
        manner, options = run.subject.manner, run.options
        self._iterations, self._planned = manner.iterations(
            options.iterations or ITERATIONS, len(self._laws)
        )
        self._limit = time.monotonic() + manner.settle_share * (options.time_limit or math.inf)

    def columns(self, number: int, done: Sequence[Block]) -> Columns:
        """Columns for unit ``number`` and those that follow; all before are ``done``."""
        if number:
            self._take(number - 1, done)
        if number > self._first:
            self._descend(number)
        return self._columns

    def finish(self, done: Sequence[Block]) -> None:
        """All units are ``done``: what is free besides them has the last word."""
        self._take(len(self._columns) - 1, done)
        self._descend(len(self._columns))

    def scene(self) -> Scene:
        """The scene with what is free besides columns."""
        return self._run_of.subject.with_free(self._work.scene, self._drawing.state())

    def _take(self, number: int, done: Sequence[Block]) -> None:
        """Unit ``number`` is what it decodes to from now on."""
        quanta, real = decoded_unit(done, number)
        source = self._work.source
        columns = source.after(number, self._columns, quanta, real, moved=True)
        columns[number] = real
        self._columns = source.tidy(columns)
        self._drawing.follow(number, quanta)

    def _descend(self, number: int) -> None:
        """The units from ``number`` on."""
        from gscodec.fit.joint import Schedule

        manner, start = self._run_of.subject.manner, time.monotonic()
        turns = len(self._columns) + 1 - number
        seconds = max((self._limit - start) / turns, _NO_TIME)

        def pace(taken: int) -> float:
            return max(taken / self._iterations, (time.monotonic() - start) / seconds)

        schedule = Schedule(
            self._iterations,
            pace,
            coding="exact",
            planned=self._planned,
            gentle=manner.settle_rate,
        )
        first = self._first
        moved = self._descent.run(
            self._columns[first:],
            self._laws,
            number - first,
            schedule,
            report(self._run_of, self._laws),
        )
        self._columns = [*self._columns[:first], *moved]
