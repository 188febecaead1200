"""Training of method hemgs: networks that see decoded neighbours.

A network sees what other units and neighbours decode to, and that depends on the networks that
are being learned. So all of them look into a table of what everything decodes to (`fit.table`);
it starts with values rounded to the steps that they should have, and is made anew some times on
the way. In between all of them are learned together, each for itself (`fit.masked`).

Many primitives are learned from some runs of them along the Morton curve, each with the
neighbours that it would have in a block as long as the run.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gscodec.coding import LEVELS_PER_OCTAVE
from gscodec.fit.adam import Adam
from gscodec.fit.integers import integer_model, real_weights
from gscodec.fit.masked import Masked
from gscodec.fit.options import enough
from gscodec.fit.table import Table, placed
from gscodec.fit.targets import Scaled
from gscodec.geometry import morton
from gscodec.intnet.box import box_around
from gscodec.intnet.neighbours import GAIN_BITS, MAX_GAIN
from gscodec.intnet.prior import rate_of
from gscodec.threads import one_blas_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.fit.options import Options
    from gscodec.fit.table import Run
    from gscodec.fit.targets import Target, Targets
    from gscodec.intnet.box import Box
    from gscodec.intnet.context import AnyModel
    from gscodec.intnet.prior import Shared

    Floats = NDArray[np.float32]
    Runs = Sequence[slice]
    Trains = Callable[[Runs, Sequence[Run], Sequence[Target], int, int], "Training"]

_SHARDS = 2  # as in `fit.grid`
_NORMAL_BITS = 2.05  # of a normal law whose deviation is one step
# Bits of a primitive, and of all, up to which the usual number of steps is enough; more bits are
# worth more steps, up to `_LONGEST` times as many.
_USUAL_BITS, _USUAL_SIZE, _LONGEST = 100.0, 3e6, 3.0
# A training that starts from a prior: of scenes of so few bits, whose own networks would weigh
# too much, and wherever it is short. More steps from random networks are worth more than a prior.
_SMALL_SIZE, _WARM_STEPS, _WARM_RATE = 4e5, 200, 5e-3
# A training that goes on from another one of the same scene, at another lambda.
_AGAIN_SHARE, _AGAIN_RATE = 0.25, 3e-3
_FIRST_LOOK = 0.25  # share of the steps that come before
_RUN = 8192  # primitives along the curve, a multiple of the longest step of a turn
_PLACES = 1 << 20  # that tell where most primitives are
_SHORTEST = 256  # of a run: smaller blocks are learned from together


class Course(NamedTuple):
    """How training goes.

    Attributes:
        share: Of the iterations that are asked for.
        rate: The highest.
        looks: Times that a part of the table is made anew.
        parts: Of the table, which take turns.
        most: Runs to learn from.
        rows: Of a shard, in a step.
    """

    share: float
    rate: float
    looks: int
    parts: int
    most: int
    rows: int


_INSTANT, _USUAL = Course(0.1, 2e-2, 2, 1, 8, 512), Course(0.67, 1.2e-2, 8, 3, 32, 384)


@dataclass(frozen=True)
class Learned:
    """An integer model: see `methods.hemgs.Model`."""

    models: tuple[AnyModel, ...]
    gains: tuple[NDArray[np.int64], ...]
    kept: tuple[bool, ...]


def learn(
    codes: NDArray[np.uint64],
    targets: Targets,
    options: Options,
    share: float,
    progress: Callable[[float], None],
    training: Trains | None = None,
    prior: Sequence[Shared] = (),
    start: Learned | None = None,
) -> tuple[Box, int, Learned]:
    """Trains the networks of primitives in cells of the lattice.

    Args:
        codes: (N,) Morton codes of the cells, rising, in the order of the targets.
        targets: Units in coding order.
        options: Seed, threads and iterations, of which ``share`` is taken.
        share: See above.
        progress: Called with the share that is done.
        training: Makes another training than `Training` of the same.
        prior: Networks of the first units, to start from where that pays.
        start: Of the same units at another lambda, to go on from.
    """
    count = len(codes)
    box = box_around(morton.decode(codes[:: 1 + count // _PLACES]))
    course = _INSTANT if options.effort == "instant" else _USUAL
    runs = _runs(count, options.block_size, course.most)
    own = targets.of(runs)
    bits = _bits(own)
    worth = max(bits / _USUAL_BITS, bits * count / _USUAL_SIZE)
    longer = min(max(1.0, worth), _LONGEST)
    steps = max(2, round(enough(share * course.share * options.training, count) * longer))
    with one_blas_thread(), ThreadPoolExecutor(options.threads) as pool:
        usual, places = placed([morton.decode(codes[run]) for run in runs], box, pool)
        hidden = _hidden(bits * count)
        if prior and (bits * count < _SMALL_SIZE or steps <= _WARM_STEPS):
            hidden, steps = len(prior[0].rates), min(steps, _WARM_STEPS)
            training = partial(Warm, prior, count)
            course = course._replace(rate=_WARM_RATE)
        elif start is not None:
            hidden = start.models[0].network.layers[0].weights.shape[1]
            steps = max(2, round(_AGAIN_SHARE * steps))
            training = partial(Again, start)
            course = course._replace(rate=_AGAIN_RATE)
        model = (training or Training)(runs, places, own, hidden, options.seed)
        model.train(steps, course, pool, progress)
    return box, usual, model.integers()


def _runs(count: int, block_size: int, most: int) -> list[slice]:
    """All of them, in runs no longer than a block; of many, runs evenly along the curve."""
    if count <= most * _RUN:
        size = min(max(block_size, _SHORTEST), _RUN)
        return [slice(s, min(s + size, count)) for s in range(0, count, size)]
    starts = np.linspace(0, count - _RUN, most).astype(int)
    return [slice(int(start), int(start) + _RUN) for start in starts]


def _bits(targets: Sequence[Target]) -> float:
    """Of a primitive, about: under one normal law for each column."""
    total = 0.0
    for target in targets:
        unit = target.unit
        if not unit.decides:
            offset = np.array(unit.step_offset) / LEVELS_PER_OCTAVE
            ideal = (target.log2_ideal[:, unit.step_of] + offset).mean(axis=0)
            spread = np.log2(target.values.std(axis=0) + 1e-30)
            total += float(np.maximum(0.0, spread - ideal + _NORMAL_BITS).sum())
    return total


def _hidden(bits: float) -> int:
    """Width of the networks: what they save of ``bits`` must outweigh what they cost."""
    return 8 if bits < 1.5e6 else 16 if bits < 4.5e6 else 24 if bits < 3e7 else 32


class Training:
    """All units, and the table of what everything decodes to."""

    def __init__(
        self,
        rows: Runs,  # noqa: ARG002 - what is learned beside networks may ask
        runs: Sequence[Run],
        targets: Sequence[Target],
        hidden: int,
        seed: int,
    ) -> None:
        """``runs`` are the ``rows`` of all primitives; of them are the ``targets``."""
        scaled = [None if t.unit.decides else Scaled.of(t) for t in targets]
        self._table, self._seed = Table(runs, targets, scaled), seed
        rng = np.random.default_rng(seed)
        self._model = Masked(targets, scaled, self._table.inputs, hidden, rng)

    def train(
        self,
        steps: int,
        course: Course,
        pool: ThreadPoolExecutor,
        progress: Callable[[float], None],
    ) -> None:
        """Adam, on the mean of the shards."""
        model = self._model
        self._optimiser = Adam(model.parameters, course.rate, steps)
        rngs = [np.random.default_rng((self._seed, shard)) for shard in range(_SHARDS)]
        first = round(_FIRST_LOOK * steps)
        looks = np.linspace(first, steps, course.looks, endpoint=False).astype(int).tolist()
        for step in range(steps):
            model.round_parameters()
            if not step:
                self._start(pool)
            elif step in looks:
                self._look(pool, self._table.part(looks.index(step), course.parts))
            count = len(self._table.known)
            rows = [rng.integers(0, count, course.rows) for rng in rngs]
            self._take(np.mean(list(pool.map(self._gradients, rows)), axis=0))
            if step % 16 == 0:
                progress(step / steps)

    def _start(self, pool: ThreadPoolExecutor) -> None:
        """Makes the first table, and gives outputs their first values."""
        self._look(pool, at_first=True)
        self._model.start_outputs(self._table.means)
        self._model.round_parameters()

    def _look(
        self, pool: ThreadPoolExecutor, runs: slice = slice(None), *, at_first: bool = False
    ) -> None:
        """Makes ``runs`` of the table anew."""
        self._table.look(self._model, pool, runs, at_first=at_first)

    def _take(self, gradients: Floats) -> None:
        """A step along what `_gradients` gives."""
        self._optimiser.step(gradients)

    def _gradients(self, rows: NDArray[np.int64]) -> Floats:
        """Of some ``rows``."""
        return self._model.gradients(rows, *self._table.seen(rows))[0]

    def integers(self) -> Learned:
        """The networks and gains as integers."""
        self._model.round_parameters()
        models, gains = [], []
        for number, unit in enumerate(self._table.units):
            parts = self._model.network(number)
            weights = [part.astype(np.float64) for part in parts]
            models.append(integer_model(unit.unit, unit.family, unit.scaled, weights))
            gain = np.rint(self._model.gains(number) * (1 << GAIN_BITS))
            gains.append(np.clip(gain, -MAX_GAIN, MAX_GAIN).astype(np.int64))
        return Learned(
            tuple(models), tuple(gains), tuple(unit.keeps for unit in self._table.units)
        )


class Again(Training):
    """Goes on from what was learned at another lambda."""

    def __init__(
        self,
        before: Learned,
        rows: Runs,
        runs: Sequence[Run],
        targets: Sequence[Target],
        hidden: int,
        seed: int,
    ) -> None:
        """``before`` is of the same units."""
        super().__init__(rows, runs, targets, hidden, seed)
        self._before = before

    def _start(self, pool: ThreadPoolExecutor) -> None:
        """Where the other training has ended."""
        networks = [
            (real_weights(own.unit, model.network), gains / (1 << GAIN_BITS))
            for own, model, gains in zip(
                self._table.units, self._before.models, self._before.gains, strict=True
            )
        ]
        self._model.go_on_from(networks)
        self._model.round_parameters()
        self._look(pool)


class Warm(Training):
    """From networks of a prior: what is learned are changes, as few as pay."""

    def __init__(
        self,
        prior: Sequence[Shared],
        count: int,
        rows: Runs,
        runs: Sequence[Run],
        targets: Sequence[Target],
        hidden: int,
        seed: int,
    ) -> None:
        """``count`` primitives share the costs of changes of the ``prior``."""
        super().__init__(rows, runs, targets, hidden, seed)
        self._prior, self._count = prior, count

    def _start(self, pool: ThreadPoolExecutor) -> None:
        """Units that the prior lacks as in other trainings."""
        super()._start(pool)
        scaled = [unit.scaled for unit in self._table.units]
        rates = [rate_of(own.log2_unit, own.bias) for own in scaled if own is not None]
        self._model.start_from(self._prior, rates)
        self._model.round_parameters()
        self._look(pool)

    def _take(self, gradients: Floats) -> None:
        """With what changes cost."""
        gradients += self._model.cost_of_changes(self._count)
        super()._take(gradients)
