"""Effort high for anchors: values, masks and networks found through the renderer (HAC, eq. 9).

Rounds, as for Gaussians (`effort`): measure, prune, learn the context model, descend on error
plus bits. At the end groups are coded one after the other while the rest settles, and the
rendering networks, which are coded last, have the last word.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.methods.hac.anchor_encoder import decoded
from gscodec.methods.hac.effort import (
    LATE,
    MODEL_SHARE,
    NO_TIME,
    Clock,
    joint,
    merged,
    report,
)
from gscodec.methods.hac.options import ITERATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.anchors import RenderingNetworks
    from gscodec.fit.drawing import AnchorDrawing
    from gscodec.fit.joint import Law
    from gscodec.methods.hac.anchor_encoder import AnchorEncoding, AnchorWork
    from gscodec.methods.hac.blocks import BlockEncoder
    from gscodec.methods.hac.layout import Model

_SETTLE_SHARE = 0.2  # of all iterations, or of the time: kept for settling
_SETTLE_RATE = 0.1  # of the learning rates when settling begins


def optimised(encoding: AnchorEncoding, lam: float) -> AnchorWork:
    """The scene after descending through the renderer: fewer anchors, other values."""
    from gscodec.fit import anchors as fit
    from gscodec.fit.joint import Schedule

    scene, index = encoding.scene, np.arange(len(encoding.scene))
    clock, done = Clock(encoding, _SETTLE_SHARE), 0
    while clock.share(done) < 1:
        work = encoding.prepared(scene, index, lam, prune=clock.share(done) < LATE)
        model = encoding.fit(work, MODEL_SHARE)
        laws = _laws(encoding, work, model)
        shown = _drawing(encoding, work)
        before = done

        def pace(taken: int, before: int = before) -> float:
            return clock.share(before + taken)

        columns = joint(encoding, shown, lam).run(
            fit.columns_of(work.placed, encoding.chunks),
            laws,
            0,
            Schedule(clock.round, pace, coding="noisy", planned=clock.planned(before)),
            report(encoding, laws),
        )
        columns[-1] = columns[-1] * np.repeat(work.source.present, 3, axis=1)
        scene = fit.with_columns(replace(work.scene, networks=_networks(work, shown)), columns)
        index, done = work.index, done + clock.round
    return encoding.prepared(scene, index, lam, prune=False)


def _drawing(encoding: AnchorEncoding, work: AnchorWork) -> AnchorDrawing:
    from gscodec.fit.drawing import AnchorDrawing
    from gscodec.fit.hac import on_device

    device = on_device(encoding.options.device)
    return AnchorDrawing(
        work.placed,
        len(encoding.chunks),
        encoding.views.cameras,
        encoding.views.how,
        device,
    )


def _networks(work: AnchorWork, shown: AnchorDrawing) -> RenderingNetworks:
    """The networks of ``work`` with the weights that they have by now."""
    return work.scene.networks.with_weights(shown.state())


def _laws(encoding: AnchorEncoding, work: AnchorWork, model: Model) -> list[Law]:
    """How ``model`` codes each group of ``work``."""
    found = []
    for rows, block in encoding.block_encoders(work, model):
        for number in range(len(encoding.layout)):
            wanted = work.source.columns[number][rows]
            block.code(wanted, work.source.log2_ideal[number][rows], laws=True)
        found.append(block.laws)
    laws = merged(found)
    # Scalings of offsets; see `fit.anchors.make_up_for_scalings`.
    laws[-2] = replace(laws[-2], made_up_for=(0, 1, 2))
    return laws


class Settling:
    """Adapts what is not coded yet to what is."""

    def __init__(
        self, encoding: AnchorEncoding, work: AnchorWork, model: Model, lam: float
    ) -> None:
        options = encoding.options
        self._encoding, self._work = encoding, work
        self._laws = _laws(encoding, work, model)
        self._shown = _drawing(encoding, work)
        self._descent = joint(encoding, self._shown, lam)
        self._columns: list[NDArray[np.float64]] = []
        self._groups = len(work.source.columns)
        self._coded = np.repeat(work.source.present, 3, axis=1)
        self._iterations = round(_SETTLE_SHARE * (options.iterations or ITERATIONS))
        self._limit = time.monotonic() + _SETTLE_SHARE * (options.time_limit or np.inf)

    def columns(
        self, done: Sequence[BlockEncoder], columns: list[NDArray[np.float64]]
    ) -> list[NDArray[np.float64]]:
        """Columns for the groups that follow, after one more is coded."""
        number = len(done[0].values) - 1
        self._columns = list(columns)
        self._columns[number] = decoded(done)
        self._columns[-1] = self._columns[-1] * self._coded
        self._run(number + 1)
        return self._columns

    def networks(self) -> RenderingNetworks:
        """The networks that go with what is coded."""
        return _networks(self._work, self._shown)

    def _run(self, first: int) -> None:
        from gscodec.fit.joint import Schedule

        turns = self._groups + 1 - first
        start = time.monotonic()
        seconds = max((self._limit - start) / turns, NO_TIME)
        iterations = max(1, self._iterations // self._groups)

        def pace(taken: int) -> float:
            return max(taken / iterations, (time.monotonic() - start) / seconds)

        planned = round(self._iterations / _SETTLE_SHARE)
        schedule = Schedule(
            iterations, pace, coding="exact", planned=planned, gentle=_SETTLE_RATE
        )
        self._columns = self._descent.run(
            self._columns,
            self._laws,
            first,
            schedule,
            report(self._encoding, self._laws),
        )
