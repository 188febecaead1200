"""Effort high: values that cost less and show the same, found through the renderer.

Rounds: measure what values do to pixels, prune Gaussians that are not worth their bits, learn
the context model, then descend on error plus bits under the laws of this model. At the end,
groups are coded one after the other, and those not yet coded make up for what has changed.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gscodec.geometry.rotation import from_twist_swing, is_disc, to_twist_swing
from gscodec.methods.hac.blocks import ROTATION, BlockEncoder
from gscodec.methods.hac.layout import groups
from gscodec.methods.hac.options import ITERATIONS
from gscodec.methods.hac.state import State, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.fit.drawing import Drawing, GaussianDrawing
    from gscodec.fit.joint import Joint, Law, Schedule
    from gscodec.methods.hac.anchor_encoder import AnchorEncoding
    from gscodec.methods.hac.encoder import Encoding, Work
    from gscodec.methods.hac.layout import Model
    from gscodec.scene import GaussianScene

_MOST_ROUNDS = 10  # where the number of iterations is known
MODEL_SHARE = 0.5  # of the usual training, for models that last only a round
_SETTLE_SHARE = 0.6  # of all iterations, or of the time: kept for settling
# Of the learning rates, in rounds and when settling begins: values that overlap in a picture
# overshoot together, so larger steps undo more than they mend.
_ROUND_RATE, _RATE_TO_PHOTOGRAPHS, _SETTLE_RATE = 0.25, 0.5, 0.2
NO_TIME = 1e-9  # seconds, when all are spent
_PRUNING_ONE_IN = 2  # of the views that sensitivity is measured in: what is missing shows there
LATE = 0.9  # pruning ends here: what is pruned later cannot be made up for


class Clock:
    """The share of an optimisation that is done, by iterations or by time."""

    def __init__(
        self, encoding: Encoding | AnchorEncoding, settle_share: float, spent: float = 0.0
    ) -> None:
        """``settle_share`` of all iterations, or of the time, is kept for settling.

        ``spent`` are the seconds before an interruption.
        """
        options = encoding.options
        self.seconds = options.time_limit or math.inf
        self.total = options.iterations or (ITERATIONS if math.isinf(self.seconds) else 10**9)
        self.started = time.monotonic() - spent
        self.known = options.iterations or (0 if options.time_limit else ITERATIONS)
        self._rounds = 1 - settle_share  # share of them in all
        self.round = max(options.round_length, round(self._rounds * self.known / _MOST_ROUNDS))

    def planned(self, done: int) -> int:
        """Iterations of the whole optimisation; against the clock, as ``done`` of them tell."""
        share = self.share(done)
        return self.known or (round(done / share) if done and share else self.round)

    def spent(self) -> float:
        """Seconds."""
        return time.monotonic() - self.started

    def share(self, done: int) -> float:
        """0 to 1 for the rounds; settling comes after."""
        return max(done / self.total, self.spent() / self.seconds) / self._rounds


def optimised(encoding: Encoding, lam: float) -> tuple[Work, Model]:
    """The scene after descending through the renderer, and what codes it.

    It has fewer Gaussians, with other values. The state is told after every descent and after
    every training: a round follows from its state alone, so a run that goes on from there gives
    the bytes of one without pause.
    """
    from gscodec.fit.joint import Schedule

    # Photographs are another target than the source, and the way there is longer.
    to_photographs = encoding.views.photographs is not None
    rate = _RATE_TO_PHOTOGRAPHS if to_photographs else _ROUND_RATE
    key = key_of(encoding, lam)
    state = State.start(encoding.scene)
    if encoding.options.resume is not None:
        state = State.load(encoding.options.resume, key, encoding.scene)
    clock = Clock(encoding, _SETTLE_SHARE, state.seconds)
    tell = partial(_tell, encoding, key, clock)
    while state.share < 1:
        work = _pruned(encoding, state, lam, prune=state.share < LATE)
        model = state.model
        if model is None:
            model = encoding.fit(work, lam, MODEL_SHARE)
            tell(replace(state, model=model))
        laws = _laws(encoding, work, model, lam)
        before = state.done

        def pace(done: int, before: int = before) -> float:
            return clock.share(before + done)

        schedule = Schedule(
            clock.round, pace, coding="noisy", planned=clock.planned(before), gentle=rate
        )
        scene = _descend(encoding, work, laws, schedule, lam)
        done = before + clock.round
        state = State(scene, work.index, done, pace(clock.round), clock.spent())
        tell(state)
    work, model = _pruned(encoding, state, lam, prune=False), state.model
    if model is None:
        model = encoding.fit(work, lam)
        tell(replace(state, model=model))
    return work, model


def _tell(encoding: Encoding, key: bytes, clock: Clock, state: State) -> None:
    """Gives the state to whoever asked for it."""
    if encoding.options.checkpoint is not None:
        encoding.options.checkpoint(replace(state, seconds=clock.spent()).save(key))


def _pruned(encoding: Encoding, state: State, lam: float, *, prune: bool) -> Work:
    """Measured, without Gaussians that are not worth their bits, and in order."""
    from gscodec.fit.hac import removal_costs, unneeded

    scene, index = state.scene, state.index
    untouched = scene is encoding.scene
    source, pixels = encoding.original if untouched else encoding.measured(scene)
    if prune:
        costs = removal_costs(source, pixels)
        leaving = unneeded(costs, encoding.price(lam), _error_without(encoding, scene))
        kept = np.flatnonzero(~leaving)
        if len(kept):
            scene, index, source = scene.take(kept), index[kept], source.take(kept)
    return encoding.prepared(scene, index, source, lam)


def _error_without(
    encoding: Encoding, scene: GaussianScene
) -> Callable[[NDArray[np.bool_]], float]:
    """How far some Gaussians of ``scene`` left out change pictures: mean squared error."""
    from gscodec.render.scene import render

    cameras = encoding.views.measuring[::_PRUNING_ONE_IN]
    draw = partial(render, conventions=encoding.views.how)
    before = [draw(scene, camera) for camera in cameras]

    def error(leaving: NDArray[np.bool_]) -> float:
        rest = scene.take(np.flatnonzero(~leaving))
        pairs = zip(before, cameras, strict=True)
        return float(np.mean([np.mean((b - draw(rest, c)) ** 2) for b, c in pairs]))

    return error


def _laws(encoding: Encoding, work: Work, model: Model, lam: float) -> list[Law]:
    """How ``model`` codes each group of ``work``."""
    ideal = encoding.ideal(work, lam)
    found: list[list[Law]] = []
    for rows, block in encoding.block_encoders(work, model):
        columns, quats = [c[rows] for c in work.source.columns], work.source.quats[rows]
        for number in range(len(groups(work.scene.sh_degree))):
            block.code(block.wanted(columns, quats), ideal[number][rows], laws=True)
        found.append(block.laws)
    return merged(found)


def merged(found: Sequence[Sequence[Law]]) -> list[Law]:
    """The laws of each group, from those of all blocks."""
    from gscodec.fit.joint import Law

    return [
        Law(
            np.concatenate([law.centre for law in laws]),
            np.concatenate([law.step for law in laws]),
            np.concatenate([law.sigma for law in laws]),
        )
        for laws in zip(*found, strict=True)
    ]


def _descend(
    encoding: Encoding,
    work: Work,
    laws: Sequence[Law],
    schedule: Schedule,
    lam: float,
) -> GaussianScene:
    """The scene of ``work`` after a round; positions stay those of the source."""
    from gscodec.fit.hac import to_scene

    disc = is_disc(work.source.columns[1])
    columns = joint(encoding, drawing(encoding, work), lam).run(
        work.source.columns,
        laws,
        0,
        schedule,
        report(encoding, laws),
    )
    return to_scene(columns, work.scene, disc)


def drawing(encoding: Encoding, work: Work) -> GaussianDrawing:
    """``work`` as it is drawn while it changes."""
    from gscodec.fit.drawing import GaussianDrawing
    from gscodec.fit.hac import on_device

    device = on_device(encoding.options.device)
    return GaussianDrawing(
        work.means, is_disc(work.source.columns[1]), encoding.views.how, device
    )


def joint(
    encoding: Encoding | AnchorEncoding,
    drawing: Drawing,
    lam: float,
) -> Joint:
    """An optimisation of what is drawn through the views."""
    from gscodec.fit.hac import on_device
    from gscodec.fit.joint import Joint

    return Joint(
        drawing,
        encoding.views.cameras,
        encoding.views.targets,
        encoding.price(lam),
        seed=encoding.options.seed,
        device=on_device(encoding.options.device),
    )


def settling(
    encoding: Encoding, work: Work, model: Model, lam: float
) -> Callable[[Sequence[BlockEncoder]], list[NDArray[np.float64]]]:
    """What `Encoding.coded` calls before each group: it is rounded together with later ones.

    Rounding values one by one leaves errors that agree with each other. Here values move until
    the picture of the rounded ones is right. That is worth something only under the very laws
    that code them: those of a group are known when all groups before it are decoded, so groups
    take turns, and those that follow are rounded by what `_laws` expects of them.
    """
    from gscodec.fit.joint import Schedule

    columns = list(work.source.columns)
    laws = _laws(encoding, work, model, lam)
    shown = drawing(encoding, work)
    descent = joint(encoding, shown, lam)
    options = encoding.options
    total = _SETTLE_SHARE * (options.iterations or ITERATIONS)
    limit = time.monotonic() + _SETTLE_SHARE * (options.time_limit or math.inf)
    disc = is_disc(work.source.columns[ROTATION - 1])

    def settle(done: Sequence[BlockEncoder]) -> list[NDArray[np.float64]]:
        nonlocal columns
        number = len(done[0].values)
        if number:
            columns[number - 1] = np.concatenate([block.decoded() for block in done])
        if number == ROTATION:  # the decoder knows the axes of twists from decoded scales
            quats = from_twist_swing(columns[ROTATION], disc)
            decoded = np.concatenate([is_disc(block.values[ROTATION - 1]) for block in done])
            columns[ROTATION] = to_twist_swing(quats.astype(np.float64), decoded)
            shown.turn_about(decoded)
        laws[number] = merged([[block.next_law()] for block in done])[0]
        iterations = max(1, round(total / len(columns)))
        start = time.monotonic()
        seconds = max((limit - start) / (len(columns) - number), NO_TIME)

        def pace(taken: int) -> float:
            return max(taken / iterations, (time.monotonic() - start) / seconds)

        schedule = Schedule(
            iterations,
            pace,
            coding="rounded",
            planned=round(total / _SETTLE_SHARE),
            gentle=_SETTLE_RATE,
        )
        columns = descent.run(columns, laws, number, schedule, report(encoding, laws))
        return columns

    return settle


def report(
    encoding: Encoding | AnchorEncoding, laws: Sequence[Law]
) -> Callable[[float, float], None]:
    """Tells how far a descent is."""

    def tell(share: float, error: float) -> None:
        psnr = -10 * math.log10(max(error, 1e-10))
        encoding.progress("optimise", share, f"{psnr:.1f} dB, {len(laws[0].step):,} left")

    return tell
