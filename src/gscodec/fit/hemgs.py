"""Training of method hemgs: networks that see decoded neighbours.

What neighbours decode to depends on the networks that are being learned. So neighbours are
looked up in a table of what everything decodes to; it starts with values rounded to the steps
that they should have, and is made anew by the networks some times on the way. What is seen of
it is computed by the very integers of `intnet.neighbours`.

Many primitives are learned from some runs of them along the Morton curve, each with all
neighbours that it would have in a block.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gscodec.coding import Family
from gscodec.fit.devices import on_device
from gscodec.fit.perceptrons import (
    LAYERS,
    bits_of,
    coded,
    evaluate,
    integer_model,
    started,
    trained,
    unit_of,
)
from gscodec.fit.threads import one_thread_an_operation
from gscodec.fit.units import UNIT, Target, TrainedDecisions, TrainedUnit
from gscodec.intnet.box import box_around, position_features
from gscodec.intnet.neighbours import (
    TURNS,
    WEIGHT_BITS,
    columns_of,
    distances,
    neighbours_of,
    octaves,
    seen_of,
)
from gscodec.intnet.network import INPUT_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.fit.options import Options
    from gscodec.fit.perceptrons import Laws
    from gscodec.intnet.box import Box
    from gscodec.intnet.context import AnyModel
    from gscodec.intnet.neighbours import Neighbours
    from gscodec.units import Unit

_SHARDS = 2  # as in `fit.grid`
_ROWS = 512
_RATE = 5e-3
_REFRESHES = 8  # of the table
_FIRST_REFRESH = 0.25  # share of the iterations that come before
_AT_ONCE = 16_384
_RUN = 8192  # primitives along the curve, a multiple of the longest step of a turn
_MOST = 32  # runs
_KEPT = 12  # columns of a unit whose neighbours later ones see, at most
_DEAD_ZONE = 0.35  # of the first table: smaller parts of a step are rounded towards zero
_FIRST_STEP = 0.7  # of the ideal one, about what networks choose
_FIRST_GAIN = 0.5
_GAIN_UNIT = 64
_MAX_GAIN = 127
_FEW, _FEWEST = 128, 8  # as in `fit.hac`


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
        options: Seed, device, threads and iterations, of which ``share`` is taken.
        share: See above.
        progress: Called with the share that is done.
    """
    box = box_around(cells)
    runs = _runs(len(cells), options.block_size)
    usual = _usual([cells[run] for run in runs])
    generator = torch.Generator().manual_seed(options.seed)
    device = torch.device(on_device(options.device))
    few = min(1.0, max(len(cells), _FEWEST) / _FEW)
    iterations = max(2, round(share * options.training * few))
    with one_thread_an_operation(), ThreadPoolExecutor(options.threads) as pool:
        places = list(pool.map(partial(_Run.of, cells, box, usual), runs))
        own = [_taken(target, runs) for target in targets]
        model = _Trained(places, own, _hidden(len(cells)), generator, device)
        _train(model, iterations, options.seed, pool, progress)
    return box, usual, model.integers()


def _runs(count: int, block_size: int) -> list[slice]:
    """Whole blocks; of many primitives, runs evenly along the curve."""
    if count <= _MOST * _RUN:
        return [slice(s, min(s + block_size, count)) for s in range(0, count, block_size)]
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


def _usual(cells: Sequence[NDArray[np.int64]]) -> int:
    """Typical distance of neighbours."""
    far = [around.nearest[around.nearest > 0] for c in cells for around in neighbours_of(c)]
    every = np.concatenate(far)
    return int(np.median(every)) if every.size else octaves(np.array([2]))[0]


def _hidden(count: int) -> int:
    """Width of the networks: what they save must outweigh what they cost to send."""
    return 16 if count < 500_000 else 24


@dataclass(frozen=True)
class _Run:
    """Some primitives along the curve, as a block has them."""

    rows: slice  # of all that are learned from, consecutive
    first: NDArray[np.int8]
    around: list[Neighbours]

    @classmethod
    def of(cls, cells: NDArray[np.int64], box: Box, usual: int, rows: slice) -> _Run:
        own = cells[rows]
        around = neighbours_of(own)
        where = position_features(box.normalise(own)).astype(np.int8)
        first = np.concatenate([where, distances(own, around, usual)], axis=1)
        return cls(rows, first, around)


class _Trained:
    """Networks, gains, and the table of what everything decodes to."""

    def __init__(
        self,
        runs: Sequence[_Run],
        targets: Sequence[Target],
        hidden: int,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self._runs = runs
        self.units = [trained(target, device) for target in targets]
        first = np.concatenate([run.first for run in runs])
        self.first = torch.from_numpy(first).to(device)
        width = self.first.shape[1]
        self.weights: list[Tensor] = []
        self.gains: list[Tensor] = []
        self._seen: list[Tensor] = []  # of neighbours, (N, columns) int8
        self._means: list[Tensor] = []  # (N, columns) int16
        for unit in (target.unit for target in targets):
            inputs = width + columns_of(unit)
            self.weights += started(inputs, hidden, unit.outputs, generator, device)
            gain = torch.full((0 if unit.decides else unit.columns,), _FIRST_GAIN)
            self.gains.append(gain.to(device).requires_grad_())
            width += unit.features + (columns_of(unit) if keeps(unit) else 0)
        self.parameters = self.weights + self.gains
        self.rounded = [p.detach().clone().requires_grad_() for p in self.parameters]

    @torch.no_grad()
    def round_parameters(self, *, rounding: bool) -> None:
        """Copies the parameters into ``rounded``, rounded if asked."""
        units = [unit_of(number) for number in range(len(self.weights))]
        units += [_GAIN_UNIT] * len(self.gains)
        for unit, parameter, rounded in zip(units, self.parameters, self.rounded, strict=True):
            rounded.copy_(torch.round(parameter * unit) / unit if rounding else parameter)

    def loss(self, rows: Tensor, generator: torch.Generator, *, rounding: bool) -> Tensor:
        """Bits per primitive of ``rows`` (B,), plus the penalty of the steps."""
        laws: Laws = {family: [] for family in Family}
        penalty, _ = self._coded(rows, generator, laws, rounding=rounding)
        return (penalty + bits_of(laws)) / len(rows)

    def _coded(
        self, rows: Tensor, generator: torch.Generator, laws: Laws, *, rounding: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Penalties and decisions in bits, and what each unit decodes to; adds to ``laws``."""
        context = self.first[rows] / UNIT
        penalty, all_decoded = context.new_zeros(()), []
        for number, unit in enumerate(self.units):
            seen = torch.cat([context, self._seen[number][rows] / UNIT], dim=1)
            context = seen if keeps(unit.unit) else context
            out = evaluate(self._network(number), seen, rounding=rounding)
            if isinstance(unit, TrainedDecisions):
                decoded = unit.wanted(rows)
                penalty = penalty + unit.bits(out, decoded)
                context = torch.cat([context, decoded], dim=1)
            else:
                means = self._means[number][rows] / (UNIT << WEIGHT_BITS)
                lead = self.rounded[len(self.weights) + number] * means
                zeros = [lead.new_zeros(len(rows), n) for n in unit.widths[::2]]
                out = out + torch.cat([zeros[0], lead, zeros[1]], dim=1)
                cost, decoded = coded(unit, out, rows, generator, laws, rounding=rounding)
                penalty = penalty + cost
                context = torch.cat([context, *unit.features(decoded)], dim=1)
            all_decoded.append(decoded)
        return penalty, all_decoded

    def _network(self, number: int) -> list[Tensor]:
        return self.rounded[2 * LAYERS * number : 2 * LAYERS * (number + 1)]

    @torch.no_grad()
    def look(self, pool: ThreadPoolExecutor, generator: torch.Generator) -> None:
        """Makes the table anew; the first time from rounded values."""
        count, device = len(self.first), self.first.device
        features = [np.empty((unit.unit.columns, count), np.int8) for unit in self.units]

        def part(start: int) -> None:
            rows = torch.arange(start, min(start + _AT_ONCE, count), device=device)
            if self._seen:
                laws: Laws = {family: [] for family in Family}
                _, decoded = self._coded(rows, generator, laws, rounding=True)
            else:
                decoded = [_at_first(unit, rows) for unit in self.units]
            for own, unit, values in zip(features, self.units, decoded, strict=True):
                seen = _feature(unit, values, rows)
                own[:, start : start + _AT_ONCE] = seen.T.cpu().numpy().astype(np.int8)

        list(pool.map(part, range(0, count, _AT_ONCE)))
        self._see(features, pool)

    def _see(self, features: Sequence[NDArray[np.int8]], pool: ThreadPoolExecutor) -> None:
        """What networks see of decoded ``features`` (columns, N) of each unit."""
        count, device = len(self.first), self.first.device
        seen = [np.empty((count, columns_of(u.unit)), np.int8) for u in self.units]
        means = [np.empty((count, u.unit.columns), np.int16) for u in self.units]
        starts = np.cumsum([0, *(len(run.first) for run in self._runs)]).tolist()

        def look(number: int) -> None:
            rows = slice(starts[number], starts[number + 1])
            for n, unit in enumerate(self.units):
                own = np.ascontiguousarray(features[n][:, rows])
                for turn, around in zip(TURNS, self._runs[number].around, strict=True):
                    seen[n][rows][turn], means[n][rows][turn] = seen_of(unit.unit, own, around)

        list(pool.map(look, range(len(self._runs))))
        self._seen = [torch.from_numpy(array).to(device) for array in seen]
        self._means = [torch.from_numpy(array).to(device) for array in means]

    def integers(self) -> Learned:
        """The networks and gains as integers."""
        models, gains = [], []
        for number, unit in enumerate(self.units):
            weights = self.weights[2 * LAYERS * number : 2 * LAYERS * (number + 1)]
            arrays = [w.detach().cpu().numpy().astype(np.float64) for w in weights]
            models.append(integer_model(unit, arrays))
            gain = torch.round(self.gains[number].detach() * _GAIN_UNIT)
            gains.append(gain.clamp(-_MAX_GAIN, _MAX_GAIN).cpu().numpy().astype(np.int64))
        kept = tuple(keeps(unit.unit) for unit in self.units)
        return Learned(tuple(models), tuple(gains), kept)


def _at_first(unit: TrainedUnit | TrainedDecisions, rows: Tensor) -> Tensor:
    """What ``rows`` decode to, about, before anything is learned: (B, columns)."""
    if isinstance(unit, TrainedDecisions):
        return unit.wanted(rows)
    values = unit.values[rows]
    step = torch.exp2(unit.log2_ideal(rows)) * _FIRST_STEP
    return torch.sign(values) * torch.floor(values.abs() / step + _DEAD_ZONE) * step


def _feature(unit: TrainedUnit | TrainedDecisions, values: Tensor, rows: Tensor) -> Tensor:
    """What neighbours see of ``values`` (B, columns), in `UNIT`; of absent ones, of zeros."""
    if isinstance(unit, TrainedUnit) and unit.present is not None:
        values = torch.where(unit.present[rows], values, -unit.middle)
    return torch.floor(values * UNIT).clamp(-INPUT_MAX, INPUT_MAX)


def _train(
    model: _Trained,
    iterations: int,
    seed: int,
    pool: ThreadPoolExecutor,
    progress: Callable[[float], None],
) -> None:
    """Adam, first with noise, then with rounding."""
    optimiser = torch.optim.Adam(model.parameters, lr=_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, _RATE, total_steps=iterations + 1, pct_start=0.15
    )
    device = model.first.device
    generators = [
        torch.Generator(device).manual_seed(seed * _SHARDS + shard) for shard in range(_SHARDS)
    ]
    model.look(pool, generators[0])

    def gradients(generator: torch.Generator, *, rounding: bool) -> tuple[Tensor, ...]:
        rows = torch.randint(0, len(model.first), (_ROWS,), generator=generator, device=device)
        loss = model.loss(rows, generator, rounding=rounding) / _SHARDS
        return torch.autograd.grad(loss, model.rounded, materialize_grads=True)

    every = max(1, iterations // _REFRESHES)
    for iteration in range(iterations):
        rounding = 2 * iteration >= iterations
        model.round_parameters(rounding=rounding)
        if iteration % every == 0 and iteration >= _FIRST_REFRESH * iterations:
            model.look(pool, generators[0])
        shards = list(pool.map(partial(gradients, rounding=rounding), generators))
        for parameter, *parts in zip(model.parameters, *shards, strict=True):
            parameter.grad = sum(parts[1:], parts[0])
        optimiser.step()
        schedule.step()
        if iteration % 16 == 0:
            progress(iteration / iterations)
