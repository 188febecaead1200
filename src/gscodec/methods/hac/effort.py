"""Effort high: values that cost less and show the same, found through the renderer.

Rounds: measure what values do to pixels, prune Gaussians that are not worth their bits, learn
the context model, then descend on error plus bits under the laws of this model. At the end,
groups are coded one after the other, and those not yet coded make up for what has changed.
"""

from __future__ import annotations

import hashlib
import io
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from gscodec.errors import SceneError
from gscodec.geometry.rotation import is_disc
from gscodec.methods.hac.blocks import ROTATION, BlockEncoder
from gscodec.methods.hac.layout import groups
from gscodec.methods.hac.options import ITERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.fit.drawing import Drawing, GaussianDrawing
    from gscodec.fit.joint import Joint, Law, Schedule
    from gscodec.methods.hac.anchor_encoder import AnchorEncoding
    from gscodec.methods.hac.encoder import Encoding, Work
    from gscodec.methods.hac.layout import Model
    from gscodec.scene import GaussianScene

ROUND = 300  # iterations under one model, at least
_MOST_ROUNDS = 10  # where the number of iterations is known
MODEL_SHARE = 0.5  # of the usual training, for models that last only a round
SETTLE_SHARE = 0.2  # of all iterations, or of the time: kept for settling
SETTLE_RATE = 0.1  # of the learning rates when settling begins
NO_TIME = 1e-9  # seconds, when all are spent
LATE = 0.9  # pruning ends here: what is pruned later cannot be made up for


class Clock:
    """The share of an optimisation that is done, by iterations or by time."""

    def __init__(self, encoding: Encoding | AnchorEncoding) -> None:
        options = encoding.options
        self.seconds = options.time_limit or math.inf
        self.total = options.iterations or (ITERATIONS if math.isinf(self.seconds) else 10**9)
        self.started = time.monotonic()
        self.known = options.iterations or (0 if options.time_limit else ITERATIONS)
        self.round = max(ROUND, round((1 - SETTLE_SHARE) * self.known / _MOST_ROUNDS))

    def planned(self, done: int) -> int:
        """Iterations of the whole optimisation; against the clock, as ``done`` of them tell."""
        share = self.share(done)
        return self.known or (round(done / share) if done and share else self.round)

    def share(self, done: int) -> float:
        """0 to 1 for the rounds; settling comes after."""
        spent = (time.monotonic() - self.started) / self.seconds
        return max(done / self.total, spent) / (1 - SETTLE_SHARE)


@dataclass(frozen=True)
class State:
    """An optimisation between two rounds.

    Attributes:
        scene: The Gaussians that are left, with their values so far.
        index: (N,) int64, which Gaussian of the original scene each one is.
        done: Iterations so far.
        share: Of the rounds, so far.
    """

    scene: GaussianScene
    index: NDArray[np.int64]
    done: int
    share: float

    def save(self, key: bytes) -> bytes:
        """As bytes; ``key`` says what it is the state of."""
        file = io.BytesIO()
        progress = np.array([self.done, self.share])
        fields: dict[str, NDArray[np.generic]] = {**self.scene.attributes()}
        fields |= {"index": self.index, "progress": progress}
        fields["key"] = np.frombuffer(key, np.uint8)
        np.savez(file, allow_pickle=False, **fields)
        return file.getvalue()

    @classmethod
    def load(cls, data: bytes, key: bytes, source: GaussianScene) -> State:
        """Inverse of `save`; everything that is not coded comes from ``source``.

        Raises:
            SceneError: Not a state, or the state of something else.
        """
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                fields = {name: file[name] for name in file.files}
            index, (done, share) = fields.pop("index"), fields.pop("progress").tolist()
            if fields.pop("key").tobytes() != key:
                raise SceneError(
                    "resume: found the state of another scene or of other settings; start anew"
                )
            scene = replace(source.take(index), **fields)
        except (ValueError, KeyError, OSError, EOFError, IndexError, BadZipFile) as error:
            raise SceneError(f"resume: found no state of an optimisation ({error})") from error
        return cls(scene, index, int(done), float(share))


def _key(encoding: Encoding, lam: float) -> bytes:
    """What a state belongs to."""
    options = encoding.options
    settings = (lam, options.seed, options.position_bits, len(encoding.views.cameras))
    return hashlib.sha256(encoding.scene.digest() + repr(settings).encode()).digest()


def optimised(encoding: Encoding, lam: float) -> Work:
    """The scene after descending through the renderer: fewer Gaussians, other values."""
    from gscodec.fit.joint import Schedule

    options = encoding.options
    everything = np.arange(len(encoding.scene))
    state, key = State(encoding.scene, everything, 0, 0.0), _key(encoding, lam)
    if options.resume is not None:
        state = State.load(options.resume, key, encoding.scene)
    if not encoding.views.cameras:
        return encoding.work(lam)
    targets = encoding.views.targets()
    clock = Clock(encoding)
    resumed = state.share
    while state.share < 1:
        work = _pruned(encoding, state, lam, prune=state.share < LATE)
        model = encoding.fit(work, lam, MODEL_SHARE)
        laws = _laws(encoding, work, model, lam)
        before = state.done

        def pace(done: int, before: int = before) -> float:
            return resumed + (1 - resumed) * clock.share(before + done)

        planned = clock.planned(before)
        schedule = Schedule(clock.round, pace, noisy=True, planned=planned)
        scene = _descend(encoding, work, laws, targets, schedule, lam)
        done = before + clock.round
        state = State(scene, work.index, done, pace(clock.round))
        if options.checkpoint is not None:
            options.checkpoint(state.save(key))
    return _pruned(encoding, state, lam, prune=False)


def _pruned(encoding: Encoding, state: State, lam: float, *, prune: bool) -> Work:
    """Measured, without Gaussians that are not worth their bits, and in order."""
    from gscodec.fit.hac import unneeded

    scene, index = state.scene, state.index
    untouched = scene is encoding.scene
    source, pixels = encoding.original if untouched else encoding.measured(scene)
    if prune:
        kept = np.flatnonzero(~unneeded(source, pixels, encoding.price(lam)))
        if len(kept):
            scene, index, source = scene.take(kept), index[kept], source.take(kept)
    return encoding.prepared(scene, index, source, lam)


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
    targets: Sequence[NDArray[np.float16]],
    schedule: Schedule,
    lam: float,
) -> GaussianScene:
    """The scene of ``work`` after a round; positions stay those of the source."""
    from gscodec.fit.hac import to_scene

    disc = is_disc(work.source.columns[1])
    columns = joint(encoding, drawing(encoding, work), targets, lam).run(
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
    return GaussianDrawing(work.means, is_disc(work.source.columns[1]), device)


def joint(
    encoding: Encoding | AnchorEncoding,
    drawing: Drawing,
    targets: Sequence[NDArray[np.float16]],
    lam: float,
) -> Joint:
    """An optimisation of what is drawn through the views."""
    from gscodec.fit.hac import on_device
    from gscodec.fit.joint import Joint

    return Joint(
        drawing,
        encoding.views.cameras,
        targets,
        encoding.price(lam),
        seed=encoding.options.seed,
        device=on_device(encoding.options.device),
    )


def settling(
    encoding: Encoding, work: Work, model: Model, lam: float
) -> Callable[[Sequence[BlockEncoder]], list[NDArray[np.float64]]]:
    """What `Encoding.coded` calls after each group: later groups adapt to decoded ones."""
    from gscodec.fit.joint import Schedule

    columns = list(work.source.columns)
    if not encoding.views.cameras:
        return lambda _: columns
    laws = _laws(encoding, work, model, lam)
    shown = drawing(encoding, work)
    descent = joint(encoding, shown, encoding.views.targets(), lam)
    options = encoding.options
    total = SETTLE_SHARE * (options.iterations or ITERATIONS)
    limit = time.monotonic() + SETTLE_SHARE * (options.time_limit or math.inf)
    last = len(columns) - 1
    turns = last - ROTATION

    def settle(done: Sequence[BlockEncoder]) -> list[NDArray[np.float64]]:
        nonlocal columns
        number = len(done[0].values) - 1
        columns[number] = np.concatenate([block.decoded() for block in done])
        if number == ROTATION - 1:
            shown.turn_about(np.concatenate([is_disc(b.values[number]) for b in done]))
        if ROTATION <= number < last:
            iterations = max(1, round(total / turns))
            start = time.monotonic()
            seconds = max((limit - start) / (last - number), NO_TIME)

            def pace(taken: int) -> float:
                return max(taken / iterations, (time.monotonic() - start) / seconds)

            schedule = Schedule(
                iterations,
                pace,
                noisy=False,
                planned=round(total / SETTLE_SHARE),
                gentle=SETTLE_RATE,
            )
            told = report(encoding, laws)
            columns = descent.run(columns, laws, number + 1, schedule, told)
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
