"""Effort high: values that cost less and show the same, found through the renderer (HAC, eq. 9).

Rounds: measure what values do to pixels, prune what is not worth its bits, learn a
model, then descend on error plus bits under the laws of this model. At the end constant colours
make up for what coding changes (`fit.recolouring`); of anchors, units are coded one after the
other, and those not yet coded do (`settling`).
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.fit.options import ITERATIONS, ITERATIONS_TO_SOURCE
from gscodec.learned.encoding import expected_laws
from gscodec.learned.state import State, key_of
from gscodec.units import Expected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gscodec.anchors import Scene
    from gscodec.fit.drawing import Drawing
    from gscodec.fit.joint import Joint, Schedule
    from gscodec.fit.options import Options
    from gscodec.fit.subject import Work
    from gscodec.learned.model import Model
    from gscodec.learned.run import Run

_MOST_ROUNDS = 10  # where the number of iterations is known
_MODEL_SHARE = 0.5  # of the usual training, for models that last only a round
_PRUNE_EVERY = 3  # rounds: in others what is left settles
_LATE = 0.9  # pruning ends here: what is pruned later cannot be made up for


class Clock:
    """The share of an optimisation that is done, by iterations or by time."""

    def __init__(
        self,
        options: Options,
        settle_share: float,
        spent: float = 0.0,
        *,
        one_round: bool = False,
    ) -> None:
        """``settle_share`` of all iterations, or of the time, is kept for settling.

        ``spent`` are the seconds before an interruption. With ``one_round`` there are no more,
        except against the clock.
        """
        usual, most = (ITERATIONS_TO_SOURCE, 1) if one_round else (ITERATIONS, _MOST_ROUNDS)
        self.seconds = options.time_limit or math.inf
        self.total = options.iterations or (usual if math.isinf(self.seconds) else 10**9)
        self.started = time.monotonic() - spent
        self.known = options.iterations or (0 if options.time_limit else usual)
        self._rounds = 1 - settle_share  # share of them in all
        self.round = max(options.round_length, round(self._rounds * self.known / most))

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


def optimised(run: Run, lam: float) -> tuple[Work, Model]:
    """The scene after descending through the renderer, and what codes it.

    It has fewer primitives, with other values. The state is told after every descent and after
    every training: a round follows from its state alone, so a run that goes on from there gives
    the bytes of one without pause.
    """
    key = key_of(run, lam)
    state = State.start(run.subject.scene)
    if run.given.resume is not None:
        state = State.load(run.given.resume, key, run)
    # What later rounds gain is less than what values that have moved so far cost more.
    one_round = run.subject.descends_once(run)
    settle_share = run.subject.manner.settle_share
    clock = Clock(run.options, settle_share, state.seconds, one_round=one_round)

    def tell(state: State) -> None:
        if run.given.checkpoint is not None:
            run.given.checkpoint(replace(state, seconds=clock.spent()).save(key, run))

    while state.share < 1:
        prune = state.share < _LATE and state.done // clock.round % _PRUNE_EVERY == 0
        work = run.work(state.scene, state.index, lam, prune=prune)
        model = _known(run, state, work)
        if model is None:
            model = run.fit(work, lam, _MODEL_SHARE)
            tell(replace(state, model=model))
        scene = _descended(run, work, model, lam, _schedule(run, clock, state.done))
        done = state.done + clock.round
        state = State(scene, work.index, done, clock.share(done), clock.spent())
        tell(state)
    work = run.work(state.scene, state.index, lam, prune=False)
    model = _known(run, state, work)
    if model is None:
        model = run.fit(work, lam)
        tell(replace(state, model=model))
    return work, model


def _known(run: Run, state: State, work: Work) -> Model | None:
    """The model that ``state`` has for ``work``, if any."""
    return None if state.model is None else run.method.placed(state.model, work.place)


def _schedule(run: Run, clock: Clock, before: int) -> Schedule:
    """Of a round after ``before`` iterations."""
    from gscodec.fit.joint import Schedule

    manner = run.subject.manner
    # Photographs are another target than the source, and the way there is longer.
    to_photographs = run.views.photographs is not None
    return Schedule(
        clock.round,
        lambda done: clock.share(before + done),
        coding="noisy",
        planned=clock.planned(before),
        gentle=manner.round_rate_to_photographs if to_photographs else manner.round_rate,
    )


def _descended(run: Run, work: Work, model: Model, lam: float, schedule: Schedule) -> Scene:
    """The scene of ``work`` after a round; positions stay those of the source."""
    laws = laws_of(run, work, model, lam)
    drawing = run.drawing(work)
    columns = work.source.tidy(list(work.source.columns))
    first = len(columns) - len(laws)  # decisions do not move
    moved = joint(run, drawing, lam).run(columns[first:], laws, 0, schedule, report(run, laws))
    return run.moved(work, work.source.tidy([*columns[:first], *moved]), drawing)


def laws_of(run: Run, work: Work, model: Model, lam: float) -> list[Expected]:
    """How ``model`` codes each unit of ``work`` that is not decisions."""
    return run.subject.laws(merged(expected_laws(run, work, model, lam)))


def merged(found: Sequence[Sequence[Expected]]) -> list[Expected]:
    """The laws of each unit, from those of all blocks."""
    return [
        Expected(
            np.concatenate([law.centre for law in laws]),
            np.concatenate([law.step for law in laws]),
            np.concatenate([law.sigma for law in laws]),
        )
        for laws in zip(*found, strict=True)
    ]


def joint(run: Run, drawing: Drawing, lam: float) -> Joint:
    """An optimisation of what is drawn through the views."""
    from gscodec.fit.devices import on_device
    from gscodec.fit.joint import Joint

    return Joint(
        drawing,
        run.views.cameras,
        run.views.targets,
        run.subject.price(lam),
        before_specks=run.views.photographs is None,
        seed=run.options.seed,
        device=on_device(run.options.device),
    )


def report(run: Run, laws: Sequence[Expected]) -> Callable[[float, float], None]:
    """Tells how far a descent is."""

    def tell(share: float, error: float) -> None:
        psnr = -10 * math.log10(max(error, 1e-10))
        run.progress("optimise", share, f"{psnr:.1f} dB, {len(laws[0].step):,} left")

    return tell
