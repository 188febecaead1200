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
import torch
from torch import Tensor

from gscodec.coding import LEVELS_PER_OCTAVE
from gscodec.fit.devices import on_device
from gscodec.fit.integers import integer_model
from gscodec.fit.laws import cheapest
from gscodec.fit.masked import Masked
from gscodec.fit.options import enough
from gscodec.fit.perceptrons import evaluate, trained
from gscodec.fit.sensitivity import BIT_PRICE
from gscodec.fit.targets import UNIT, Target
from gscodec.fit.threads import one_thread_an_operation
from gscodec.fit.units import TrainedDecisions
from gscodec.intnet.box import box_around
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
from gscodec.threads import one_blas_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.fit.options import Options
    from gscodec.intnet.box import Box
    from gscodec.intnet.context import AnyModel
    from gscodec.intnet.neighbours import Neighbours
    from gscodec.units import Unit

_SHARDS = 2  # as in `fit.grid`
_ROWS = 512  # of a shard
_RATE = 1e-2
_BETAS = 0.9, 0.95  # slopes change with every look: what is remembered must be short
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
    threads = one_blas_thread(), one_thread_an_operation()
    with threads[0], threads[1], ThreadPoolExecutor(options.threads) as pool:
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

    def __init__(self, target: Target, used: int, device: torch.device) -> None:
        """``used`` columns are before its own: of neighbours, then of its values."""
        self.unit, self.family = target.unit, target.family
        self.trained = trained(target, device)
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

    def at_first(self, rows: Tensor) -> Tensor:
        """What ``rows`` decode to, about, before anything is learned: (B, columns)."""
        unit = self.trained
        if isinstance(unit, TrainedDecisions):
            return unit.wanted(rows)
        values = unit.values[rows]
        step = torch.exp2(unit.log2_ideal(rows)) * _FIRST_STEP
        whole = torch.floor(values.abs() / step + _DEAD_ZONE)
        return self._absent(torch.sign(values) * whole * step, rows)

    def decoded(
        self, weights: Sequence[Tensor], x: Tensor, lead: Tensor, rows: Tensor
    ) -> Tensor:
        """What ``rows`` decode to, seen as ``x`` (B, inputs) with ``lead`` of neighbours."""
        unit = self.trained
        if isinstance(unit, TrainedDecisions):
            return unit.wanted(rows)
        octaves, centre, spread = torch.split(
            evaluate(weights, x, rounding=True), unit.widths, dim=1
        )
        log2_step, centre = unit.log2_step(octaves), centre + lead
        step = torch.exp2(log2_step)
        price = BIT_PRICE * torch.exp2(2 * (unit.log2_ideal(rows) - log2_step))
        residual, sigma = (unit.values[rows] - centre) / step, torch.exp2(spread) / step
        return self._absent(centre + cheapest(unit.family, residual, sigma, price) * step, rows)

    def _absent(self, values: Tensor, rows: Tensor) -> Tensor:
        unit = self.trained
        if isinstance(unit, TrainedDecisions) or unit.present is None:
            return values
        return torch.where(unit.present[rows], values, unit.scaled.zero)

    def features(self, values: Tensor) -> NDArray[np.int8]:
        """What later units see of ``values`` (B, columns): (B, features)."""
        unit = self.trained
        seen = [values] if isinstance(unit, TrainedDecisions) else unit.features(values)
        return (torch.cat(seen, dim=1) * UNIT).cpu().numpy().astype(np.int8)


class _Training:
    """All units, and the table of what everything decodes to."""

    def __init__(
        self, runs: Sequence[_Run], targets: Sequence[Target], hidden: int, options: Options
    ) -> None:
        device = torch.device(on_device(options.device))
        generator = torch.Generator().manual_seed(options.seed)
        self._runs, self._seed, self._device = runs, options.seed, device
        self._units: list[_Columns] = []
        used = FIRST
        for target in targets:
            self._units.append(_Columns(target, used, device))
            used = self._units[-1].end
        self._starts = np.cumsum([0, *(len(run.first) for run in runs)]).tolist()
        self._known = np.zeros((self._starts[-1], used), np.int8)
        self._known[:, :FIRST] = np.concatenate([run.first for run in runs])
        self._inputs = [u.inputs(self._units[:n], used) for n, u in enumerate(self._units)]
        scaled = [unit.trained.scaled for unit in self._units]
        self._model = Masked(targets, scaled, self._inputs, hidden, generator, device)
        self._means = np.zeros((self._starts[-1], self._model.columns), np.int16)

    def train(
        self, steps: int, pool: ThreadPoolExecutor, progress: Callable[[float], None]
    ) -> None:
        """Adam, on the mean of the shards."""
        model = self._model
        optimiser = torch.optim.Adam(model.parameters, lr=_RATE, betas=_BETAS, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, _RATE, total_steps=steps + 1, pct_start=0.15
        )
        generators = [
            torch.Generator(self._device).manual_seed(self._seed * _SHARDS + shard)
            for shard in range(_SHARDS)
        ]
        first = round(_FIRST_LOOK * steps)
        looks = {0, *np.linspace(first, steps, _LOOKS, endpoint=False).astype(int).tolist()}
        for step in range(steps):
            model.round_parameters()
            if step in looks:
                known, means = self._table(pool, at_first=not step)
            if not step:
                model.start_outputs(means)
                model.round_parameters()
            gradients = partial(self._gradients, known, means)
            model.set_gradients(list(pool.map(gradients, generators)))
            optimiser.step()
            schedule.step()
            if step % 16 == 0:
                progress(step / steps)

    def _gradients(
        self, known: Tensor, means: Tensor, generator: torch.Generator
    ) -> list[Tensor]:
        """Of some rows."""
        device = self._device
        rows = torch.randint(0, len(known), (_ROWS,), generator=generator, device=device)
        seen, lead = known[rows] / UNIT, means[rows] / (UNIT << WEIGHT_BITS)
        return self._model.gradients(rows, seen, lead)

    def _table(self, pool: ThreadPoolExecutor, *, at_first: bool) -> tuple[Tensor, Tensor]:
        """What everything decodes to, and the means of neighbours, on the device."""
        networks = [self._model.network(n, own) for n, own in enumerate(self._inputs)]
        list(pool.map(partial(self._look, networks, at_first), range(len(self._runs))))
        device = self._device
        return torch.from_numpy(self._known).to(device), torch.from_numpy(self._means).to(
            device
        )

    @torch.no_grad()
    def _look(self, networks: Sequence[Sequence[Tensor]], at_first: bool, number: int) -> None:
        """Makes the table of a run anew, turn by turn as a decoder does."""
        start, end = self._starts[number : number + 2]
        run, known, means = self._runs[number], self._known[start:end], self._means[start:end]
        rows = torch.arange(start, end, device=self._device)
        for n, unit in enumerate(self._units):
            own = np.zeros((unit.unit.columns, end - start), np.int8)
            gains, at = self._model.gains(n), self._model.at[n]
            for turn, around in zip(TURNS, run.around, strict=True):
                seen, mean = seen_of(unit.unit, own, around)
                known[turn, unit.start : unit.own] = seen
                means[turn, at] = mean[:, : at.stop - at.start]
                if at_first:
                    values = unit.at_first(rows[turn])
                else:
                    x = torch.from_numpy(known[turn][:, self._inputs[n]]).to(self._device)
                    lead = torch.from_numpy(mean).to(self._device) / (UNIT << WEIGHT_BITS)
                    lead = lead[:, : len(gains)] * gains
                    values = unit.decoded(networks[n], x / UNIT, lead, rows[turn])
                features = unit.features(values)
                known[turn, unit.own : unit.end] = features
                own[:, turn] = features[:, : unit.unit.columns].T

    def integers(self) -> Learned:
        """The networks and gains as integers."""
        self._model.round_parameters()
        models, gains = [], []
        for number, unit in enumerate(self._units):
            parts = self._model.network(number, self._inputs[number])
            weights = [part.cpu().numpy().astype(np.float64) for part in parts]
            models.append(integer_model(unit.unit, unit.family, unit.trained.scaled, weights))
            gain = torch.round(self._model.gains(number) * (1 << GAIN_BITS))
            gains.append(gain.clamp(-MAX_GAIN, MAX_GAIN).cpu().numpy().astype(np.int64))
        return Learned(tuple(models), tuple(gains), tuple(unit.keeps for unit in self._units))
