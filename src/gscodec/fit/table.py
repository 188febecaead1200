"""What networks of method hemgs see in training: a table of what everything decodes to.

What a network sees depends on what others decode to, so the table is made in the turns of a
decoder and by the very integers of `intnet.neighbours`, with the networks there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gscodec.fit.integers import LAYERS
from gscodec.fit.sensitivity import BIT_PRICE
from gscodec.fit.slopes import SMALLEST_SIGMA, cheapest
from gscodec.fit.targets import UNIT
from gscodec.intnet.context import FINE_SHIFT
from gscodec.intnet.neighbours import (
    TURNS,
    WEIGHT_BITS,
    columns_of,
    first_of,
    neighbours_of,
    octaves,
    seen_of,
)
from gscodec.intnet.network import ACTIVATION_MAX, INPUT_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import ThreadPoolExecutor

    from numpy.typing import NDArray

    from gscodec.fit.targets import Scaled, Target
    from gscodec.intnet.box import Box
    from gscodec.intnet.neighbours import Neighbours
    from gscodec.units import Unit

    Floats = NDArray[np.float32]

_KEPT = 12  # columns of a unit whose neighbours later ones see, at most
_DEAD_ZONE = 0.35  # of the first table: smaller parts of a step are rounded towards zero
_FIRST_STEP = 0.7  # of the ideal one, about what networks choose


def keeps(unit: Unit) -> bool:
    """Whether later units see the neighbours of ``unit``, too: where there are few columns."""
    return unit.columns <= _KEPT and not unit.fine


class Networks(Protocol):
    """Of all units, as they are at the time: `fit.masked.Masked`."""

    at: list[slice]

    def network(self, number: int) -> list[Floats]:
        """Weights and biases of the network of a unit."""

    def gains(self, number: int) -> Floats:
        """Of a unit, (columns,)."""


@dataclass(frozen=True)
class Run:
    """Some primitives along the curve, as a block has them."""

    first: NDArray[np.int8]
    around: list[Neighbours]


def placed(
    cells: Sequence[NDArray[np.int64]], box: Box, pool: ThreadPoolExecutor
) -> tuple[int, list[Run]]:
    """Typical distance of neighbours, and the runs of primitives in ``cells``, each (B, 3)."""
    around = list(pool.map(neighbours_of, cells))
    usual = _usual(around)
    return usual, [
        Run(first_of(own, near, box, usual), near)
        for own, near in zip(cells, around, strict=True)
    ]


def _usual(around: Sequence[Sequence[Neighbours]]) -> int:
    far = [turn.nearest[turn.nearest > 0] for run in around for turn in run]
    every = np.concatenate(far)
    return int(np.median(every)) if every.size else int(octaves(np.array([2]))[0])


class Columns:
    """A unit and its part of the table of what everything decodes to."""

    def __init__(self, target: Target, scaled: Scaled | None, used: int) -> None:
        """``used`` columns are before its own: of neighbours, then of its values."""
        self.unit, self.family, self.scaled = target.unit, target.family, scaled
        self._target = target
        self.keeps = keeps(target.unit)
        self.start, self.own = used, used + columns_of(target.unit)
        self.end = self.own + target.unit.features

    def inputs(self, first: int, before: Sequence[Columns], width: int) -> NDArray[np.bool_]:
        """(width,) what its network sees: ``first``, units ``before`` it, its neighbours."""
        seen = np.zeros(width, bool)
        seen[:first] = True
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


class Table:
    """What everything decodes to, and the means of neighbours.

    Attributes:
        units: What the columns are.
        inputs: For each unit, which columns its network sees.
        known: (rows, columns) int8, of all runs one after the other.
        means: (rows, columns of all units) int16, as `Networks.at` puts them.
    """

    def __init__(
        self, runs: Sequence[Run], targets: Sequence[Target], scaled: Sequence[Scaled | None]
    ) -> None:
        """``targets`` of ``runs``, the same ``scaled``."""
        self._runs = runs
        self.units: list[Columns] = []
        first = used = runs[0].first.shape[1]
        for target, own in zip(targets, scaled, strict=True):
            self.units.append(Columns(target, own, used))
            used = self.units[-1].end
        self._starts = np.cumsum([0, *(len(run.first) for run in runs)]).tolist()
        self.known = np.zeros((self._starts[-1], used), np.int8)
        self.known[:, :first] = np.concatenate([run.first for run in runs])
        units = enumerate(self.units)
        self.inputs = [u.inputs(first, self.units[:n], used) for n, u in units]
        real = sum(u.unit.columns for u in self.units if u.scaled is not None)
        self.means = np.zeros((self._starts[-1], real), np.int16)

    def seen(self, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Of some ``rows`` (B,): what networks see (B, columns), means (columns of units, B)."""
        known = self.known[rows] * np.float32(1 / UNIT)
        return known, self.means[rows].T * np.float32(1 / (UNIT << WEIGHT_BITS))

    def part(self, number: int, parts: int) -> slice:
        """Of the runs; of so many ``parts`` that are gone through in turns."""
        parts = min(parts, len(self._runs))
        return slice(number % parts, None, parts)

    def look(
        self,
        networks: Networks,
        pool: ThreadPoolExecutor,
        runs: slice = slice(None),
        *,
        at_first: bool,
    ) -> None:
        """Makes some ``runs`` anew; ``at_first`` without the weights of ``networks``."""
        weights = [networks.network(n) for n in range(len(self.units))]
        look = partial(self._look, networks, weights, at_first)
        list(pool.map(look, range(len(self._runs))[runs]))

    def _look(
        self,
        networks: Networks,
        weights: Sequence[Sequence[Floats]],
        at_first: bool,
        number: int,
    ) -> None:
        """Makes the table of a run anew, turn by turn as a decoder does."""
        start, end = self._starts[number : number + 2]
        run, known, means = self._runs[number], self.known[start:end], self.means[start:end]
        for n, unit in enumerate(self.units):
            own = np.zeros((unit.unit.columns, end - start), np.int8)
            gains, at = networks.gains(n), networks.at[n]
            for turn, around in zip(TURNS, run.around, strict=True):
                seen, mean = seen_of(unit.unit, own, around)
                known[turn, unit.start : unit.own] = seen
                means[turn, at] = mean[:, : at.stop - at.start]
                rows = slice(start + turn.start, end, turn.step)
                if at_first:
                    values = unit.at_first(rows)
                else:
                    x = known[turn][:, self.inputs[n]] * np.float32(1 / UNIT)
                    lead = mean[:, : len(gains)] * (gains * (1 / (UNIT << WEIGHT_BITS)))
                    values = unit.decoded(weights[n], x, lead, rows)
                features = unit.features(values)
                known[turn, unit.own : unit.end] = features
                own[:, turn] = features[:, : unit.unit.columns].T
