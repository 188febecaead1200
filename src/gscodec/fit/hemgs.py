"""Training of method hemgs: networks that see decoded neighbours.

A network sees what other units and neighbours decode to, and that depends on the networks that
are being learned. So all of them look into a table of what everything decodes to; it starts
with values rounded to the steps that they should have, and is made anew some times on the way,
in the turns of a decoder and by the very integers of `intnet.neighbours`. In between all of
them are learned together, each for itself (`fit.masked`).

Many primitives are learned from some runs of them along the Morton curve, each with the
neighbours that it would have in a block as long as the run.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import LEVELS_PER_OCTAVE
from gscodec.fit.adam import Adam
from gscodec.fit.integers import LAYERS, integer_model
from gscodec.fit.masked import Masked
from gscodec.fit.options import enough
from gscodec.fit.sensitivity import BIT_PRICE
from gscodec.fit.slopes import SMALLEST_SIGMA, cheapest
from gscodec.fit.targets import UNIT, Scaled, Target
from gscodec.intnet.box import box_around
from gscodec.intnet.context import FINE_SHIFT
from gscodec.intnet.neighbours import (
    FIRST,
    GAIN_BITS,
    MAX_GAIN,
    TURNS,
    WEIGHT_BITS,
    columns_of,
    first_of,
    neighbours_of,
    octaves,
    seen_of,
)
from gscodec.intnet.network import ACTIVATION_MAX, INPUT_MAX
from gscodec.threads import one_blas_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.fit.options import Options
    from gscodec.intnet.box import Box
    from gscodec.intnet.context import AnyModel
    from gscodec.intnet.neighbours import Neighbours
    from gscodec.units import Unit

    Floats = NDArray[np.float32]

_SHARDS = 2  # as in `fit.grid`
_ROWS = 512  # of a shard
_RATE = 1e-2
_NORMAL_BITS = 2.05  # of a normal law whose deviation is one step
# Bits of a primitive, and of all, up to which the usual number of steps is enough; more bits are
# worth more steps, up to `_LONGEST` times as many.
_USUAL_BITS, _USUAL_SIZE, _LONGEST = 100.0, 3e6, 3.0
_LOOKS = 6  # times that the table is made anew
_FIRST_LOOK = 0.25  # share of the steps that come before
_RUN = 8192  # primitives along the curve, a multiple of the longest step of a turn
_MOST = 32  # runs
_SHORTEST = 256  # of a run: smaller blocks are learned from together
_KEPT = 12  # columns of a unit whose neighbours later ones see, at most
_DEAD_ZONE = 0.35  # of the first table: smaller parts of a step are rounded towards zero
_FIRST_STEP = 0.7  # of the ideal one, about what networks choose


@dataclass(frozen=True)
class Learned:
    """An integer model: see `methods.hemgs.Model`."""

    models: tuple[AnyModel, ...]
    gains: tuple[NDArray[np.int64], ...]
    kept: tuple[bool, ...]


def keeps(unit: Unit) -> bool:
    """Whether later units see the neighbours of ``unit``, too: where there are few columns."""
    return unit.columns <= _KEPT and not unit.fine


def learn(
    cells: NDArray[np.int64],
    targets: Sequence[Target],
    options: Options,
    share: float,
    progress: Callable[[float], None],
) -> tuple[Box, int, Learned]:
    """Trains the networks of primitives in ``cells`` (N, 3) of the lattice.

    Args:
        cells: In the order of the targets, that of Morton codes.
        targets: Units in coding order.
        options: Seed, threads and iterations, of which ``share`` is taken.
        share: See above.
        progress: Called with the share that is done.
    """
    box = box_around(cells)
    runs = _runs(len(cells), options.block_size)
    own = [_taken(target, runs) for target in targets]
    bits = _bits(own)
    worth = max(bits / _USUAL_BITS, bits * len(cells) / _USUAL_SIZE)
    longer = min(max(1.0, worth), _LONGEST)
    steps = max(2, round(enough(share * options.training, len(cells)) * longer))
    with one_blas_thread(), ThreadPoolExecutor(options.threads) as pool:
        around = list(pool.map(lambda run: neighbours_of(cells[run]), runs))
        usual = _usual(around)
        places = [
            _Run(first_of(cells[run], near, box, usual), near)
            for run, near in zip(runs, around, strict=True)
        ]
        model = _Training(places, own, _hidden(bits * len(cells)), options)
        model.train(steps, pool, progress)
    return box, usual, model.integers()


def _runs(count: int, block_size: int) -> list[slice]:
    """Whole blocks; of many primitives, runs evenly along the curve."""
    if count <= _MOST * _RUN:
        size = max(block_size, _SHORTEST)
        return [slice(s, min(s + size, count)) for s in range(0, count, size)]
    starts = np.linspace(0, count - _RUN, _MOST).astype(int)
    return [slice(int(start), int(start) + _RUN) for start in starts]


def _taken(target: Target, runs: Sequence[slice]) -> Target:
    """``target`` of the primitives of ``runs``."""
    values = np.concatenate([target.values[run] for run in runs])
    ideal = np.concatenate([target.log2_ideal[run] for run in runs])
    present = None
    if target.present is not None:
        present = np.concatenate([target.present[run] for run in runs])
    return Target(target.unit, target.family, values, ideal, present)


def _usual(around: Sequence[Sequence[Neighbours]]) -> int:
    """Typical distance of neighbours."""
    far = [turn.nearest[turn.nearest > 0] for run in around for turn in run]
    every = np.concatenate(far)
    return int(np.median(every)) if every.size else int(octaves(np.array([2]))[0])


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


@dataclass(frozen=True)
class _Run:
    """Some primitives along the curve, as a block has them."""

    first: NDArray[np.int8]
    around: list[Neighbours]


class _Columns:
    """A unit and its part of the table of what everything decodes to."""

    def __init__(self, target: Target, used: int) -> None:
        """``used`` columns are before its own: of neighbours, then of its values."""
        self.unit, self.family = target.unit, target.family
        self.scaled = None if target.unit.decides else Scaled.of(target)
        self._target = target
        self.keeps = keeps(target.unit)
        self.start, self.own = used, used + columns_of(target.unit)
        self.end = self.own + target.unit.features

    def inputs(self, before: Sequence[_Columns], width: int) -> NDArray[np.bool_]:
        """(width,) what its network sees, of units ``before`` it and of its neighbours."""
        seen = np.zeros(width, bool)
        seen[:FIRST] = True
        for other in before:
            seen[other.start if other.keeps else other.own : other.end] = True
        seen[self.start : self.own] = True
        return seen

    def at_first(self, rows: slice) -> NDArray[np.float64] | Floats:
        """What ``rows`` decode to, about, before anything is learned: (B, columns)."""
        scaled = self.scaled
        if scaled is None:
            return self._target.values[rows]
        values = scaled.values[rows]
        step = _FIRST_STEP * np.exp2(self._log2_ideal(scaled, rows))
        whole = np.floor(np.abs(values) / step + _DEAD_ZONE)
        return self._absent(np.copysign(whole * step, values), rows)

    def decoded(
        self, weights: Sequence[Floats], x: Floats, lead: Floats, rows: slice
    ) -> NDArray[np.float64] | Floats:
        """What ``rows`` decode to, seen as ``x`` (B, inputs) with ``lead`` of neighbours."""
        scaled = self.scaled
        if scaled is None:
            return self._target.values[rows]
        out, steps, columns = _evaluated(weights, x), self.unit.steps, self.unit.columns
        low, high = scaled.limits
        octaves = out[:, :steps][:, self.unit.step_of] + scaled.base
        log2_step = np.clip(octaves, low, high)
        centre, step = out[:, steps : steps + columns] + lead, np.exp2(log2_step)
        price = BIT_PRICE * np.exp2(2 * (self._log2_ideal(scaled, rows) - log2_step))
        residual = (scaled.values[rows] - centre) / step
        sigma = np.maximum(np.exp2(out[:, steps + columns :]) / step, SMALLEST_SIGMA)
        whole = cheapest(self.family, np.abs(residual), sigma, price)
        return self._absent(centre + np.copysign(whole, residual) * step, rows)

    def _log2_ideal(self, scaled: Scaled, rows: slice) -> Floats:
        """Of the steps (B, columns) in units."""
        ideal: Floats = scaled.ideal[rows][:, self.unit.step_of] + scaled.offset
        return ideal

    def _absent(self, values: Floats, rows: slice) -> Floats:
        present, scaled = self._target.present, self.scaled
        if present is None or scaled is None:
            return values
        return np.where(present[rows], values, np.float32(scaled.zero))

    def features(self, values: NDArray[np.float64] | Floats) -> NDArray[np.int8]:
        """What later units see of ``values`` (B, columns): (B, features)."""
        if self.scaled is None:
            return (values * UNIT).astype(np.int8)
        scales = [UNIT, UNIT << FINE_SHIFT] if self.unit.fine else [UNIT]
        seen = [np.clip(np.floor(values * s), -INPUT_MAX, INPUT_MAX) for s in scales]
        return np.concatenate(seen, axis=1).astype(np.int8)


def _evaluated(weights: Sequence[Floats], x: Floats) -> Floats:
    """A network on ``x`` (B, inputs), as integers will give it."""
    for number in range(0, 2 * (LAYERS - 1), 2):
        x = x @ weights[number]
        x += weights[number + 1]
        np.clip(x, 0, ACTIVATION_MAX / UNIT, out=x)
        x *= UNIT
        np.floor(x, out=x)
        x *= 1 / UNIT
    out: Floats = x @ weights[-2] + weights[-1]
    return out


class _Training:
    """All units, and the table of what everything decodes to."""

    def __init__(
        self, runs: Sequence[_Run], targets: Sequence[Target], hidden: int, options: Options
    ) -> None:
        self._runs, self._seed = runs, options.seed
        self._units: list[_Columns] = []
        used = FIRST
        for target in targets:
            self._units.append(_Columns(target, used))
            used = self._units[-1].end
        self._starts = np.cumsum([0, *(len(run.first) for run in runs)]).tolist()
        self._known = np.zeros((self._starts[-1], used), np.int8)
        self._known[:, :FIRST] = np.concatenate([run.first for run in runs])
        self._inputs = [u.inputs(self._units[:n], used) for n, u in enumerate(self._units)]
        scaled = [unit.scaled for unit in self._units]
        rng = np.random.default_rng(self._seed)
        self._model = Masked(targets, scaled, self._inputs, hidden, rng)
        self._means = np.zeros((self._starts[-1], self._model.columns), np.int16)

    def train(
        self, steps: int, pool: ThreadPoolExecutor, progress: Callable[[float], None]
    ) -> None:
        """Adam, on the mean of the shards."""
        model = self._model
        optimiser = Adam(model.parameters, _RATE, steps)
        rngs = [np.random.default_rng((self._seed, shard)) for shard in range(_SHARDS)]
        first = round(_FIRST_LOOK * steps)
        looks = {0, *np.linspace(first, steps, _LOOKS, endpoint=False).astype(int).tolist()}
        for step in range(steps):
            model.round_parameters()
            if step in looks:
                self._look_at_all(pool, at_first=not step)
            if not step:
                model.start_outputs(self._means)
                model.round_parameters()
            optimiser.step(np.mean(list(pool.map(self._gradients, rngs)), axis=0))
            if step % 16 == 0:
                progress(step / steps)

    def _gradients(self, rng: np.random.Generator) -> Floats:
        """Of some rows."""
        rows = rng.integers(0, len(self._known), _ROWS)
        seen = self._known[rows] * np.float32(1 / UNIT)
        lead = self._means[rows].T * np.float32(1 / (UNIT << WEIGHT_BITS))
        return self._model.gradients(rows, seen, lead)

    def _look_at_all(self, pool: ThreadPoolExecutor, *, at_first: bool) -> None:
        """Makes the table anew: what everything decodes to, and the means of neighbours."""
        networks = [self._model.network(n, own) for n, own in enumerate(self._inputs)]
        list(pool.map(partial(self._look, networks, at_first), range(len(self._runs))))

    def _look(self, networks: Sequence[Sequence[Floats]], at_first: bool, number: int) -> None:
        """Makes the table of a run anew, turn by turn as a decoder does."""
        start, end = self._starts[number : number + 2]
        run, known, means = self._runs[number], self._known[start:end], self._means[start:end]
        for n, unit in enumerate(self._units):
            own = np.zeros((unit.unit.columns, end - start), np.int8)
            gains, at = self._model.gains(n), self._model.at[n]
            for turn, around in zip(TURNS, run.around, strict=True):
                seen, mean = seen_of(unit.unit, own, around)
                known[turn, unit.start : unit.own] = seen
                means[turn, at] = mean[:, : at.stop - at.start]
                rows = slice(start + turn.start, end, turn.step)
                if at_first:
                    values = unit.at_first(rows)
                else:
                    x = known[turn][:, self._inputs[n]] * np.float32(1 / UNIT)
                    lead = mean[:, : len(gains)] * (gains * (1 / (UNIT << WEIGHT_BITS)))
                    values = unit.decoded(networks[n], x, lead, rows)
                features = unit.features(values)
                known[turn, unit.own : unit.end] = features
                own[:, turn] = features[:, : unit.unit.columns].T

    def integers(self) -> Learned:
        """The networks and gains as integers."""
        self._model.round_parameters()
        models, gains = [], []
        for number, unit in enumerate(self._units):
            parts = self._model.network(number, self._inputs[number])
            weights = [part.astype(np.float64) for part in parts]
            models.append(integer_model(unit.unit, unit.family, unit.scaled, weights))
            gain = np.rint(self._model.gains(number) * (1 << GAIN_BITS))
            gains.append(np.clip(gain, -MAX_GAIN, MAX_GAIN).astype(np.int64))
        return Learned(tuple(models), tuple(gains), tuple(unit.keeps for unit in self._units))
