"""Learns a hash grid and networks, then rounds them to integers (HAC, section 3).

In: integer positions, and per unit the values and the steps that they should have. Out: the
integer model that codes them. Everything is trained together; the loss is the number of bits
per primitive, of attributes and grid (HAC, eq. 7 and 8), plus the squared error of the
predicted log steps. Where the paper differs: steps follow a known sensitivity instead of the
gradient through a renderer, and later units see earlier ones.

The float model mirrors the integer one: values in the grid's entries and the networks' weights
are rounded with a straight-through gradient, and hidden activations are clipped and floored as
`intnet.network` does it.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from gscodec.coding import Family
from gscodec.fit.integers import LAYERS, integer_model, unit_of
from gscodec.fit.perceptrons import bits_of, coded, evaluate, started, trained
from gscodec.fit.targets import UNIT
from gscodec.fit.threads import one_thread_an_operation
from gscodec.fit.units import TrainedDecisions
from gscodec.intnet.hashgrid import FRACTION_BITS, VALUES, GridLevel, HashGrid, corners
from gscodec.intnet.network import INPUT_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.fit.targets import Target
    from gscodec.intnet.context import AnyModel

# A batch is so many shards of so many rows. Shards have their own random numbers and are added
# in order: the result does not depend on the number of threads.
_SHARDS = 2
_ROWS = 2048
# Learning rates: the networks' is the paper's; the grid's is higher, a fit is short.
_WEIGHT_RATE, _TABLE_RATE = 5e-3, 2e-2
# A level taken away loses more bits than it saves: networks would have learned to do without.
_REAL_SHARE = 0.5
_SAMPLE = 16_384  # Gaussians that judge whether a level of the grid pays


@dataclass(frozen=True)
class Learned:
    """An integer model.

    Attributes:
        grid: The hash grid.
        models: What codes each target.
    """

    grid: HashGrid
    models: tuple[AnyModel, ...]


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        iterations: Steps of Adam.
        hidden: Width of the two hidden layers.
        levels: Of the hash grid.
        seed: Of every random choice.
        device: torch device.
        threads: CPU threads; None takes all.
    """

    iterations: int
    hidden: int
    levels: tuple[GridLevel, ...]
    seed: int
    device: str
    threads: int | None


def fit(
    position: NDArray[np.int64],
    features: NDArray[np.float32],
    targets: Sequence[Target],
    settings: Settings,
    progress: Callable[[float], None],
) -> Learned:
    """Trains and gives the integer grid and the integer model of each target.

    Args:
        position: (N, 3) normalised 16-bit positions, for the grid.
        features: (N, P) integers in -127 .. 127 that every network sees.
        targets: Units in coding order.
        settings: How to train.
        progress: Called with the share that is done.
    """
    device = torch.device(settings.device)
    model = _GridModel(position, features, targets, settings, device)
    with one_thread_an_operation(), ThreadPoolExecutor(settings.threads) as pool:
        _train(model, settings, pool, progress)
    return Learned(model.integer_grid(), model.integer_models())


def _train(
    model: _GridModel,
    settings: Settings,
    pool: ThreadPoolExecutor,
    progress: Callable[[float], None],
) -> None:
    """Adam, first with noise, then with rounding and without the levels that do not pay."""
    groups = [
        {"params": model.weights, "lr": _WEIGHT_RATE},
        {"params": model.tables, "lr": _TABLE_RATE},
    ]
    optimiser = torch.optim.Adam(groups, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        [_WEIGHT_RATE, _TABLE_RATE],
        total_steps=settings.iterations + 1,
        pct_start=0.15,
    )
    device = model.known.device
    generators = [
        torch.Generator(device).manual_seed(settings.seed * _SHARDS + shard)
        for shard in range(_SHARDS)
    ]

    def gradients(generator: torch.Generator, *, rounding: bool) -> tuple[Tensor, ...]:
        rows = torch.randint(0, len(model.known), (_ROWS,), generator=generator, device=device)
        loss = model.loss(rows, generator, rounding=rounding) / _SHARDS
        return torch.autograd.grad(loss, model.rounded, materialize_grads=True)

    for iteration in range(settings.iterations):
        rounding = 2 * iteration >= settings.iterations
        model.round_parameters(rounding=rounding)
        if 2 * iteration == settings.iterations:
            model.drop_idle_levels(settings.seed)
        shards = list(pool.map(partial(gradients, rounding=rounding), generators))
        model.set_gradients(shards)
        optimiser.step()
        schedule.step()
        if iteration % 16 == 0:
            progress(iteration / settings.iterations)


class _GridModel:
    """Grid, networks, and the rate of a batch of rows.

    Parameters exist twice. ``weights`` and ``tables`` are what Adam moves; ``rounded`` are the
    values that the integer model would have, and what the loss sees. Gradients pass from the
    second to the first unchanged (straight through; for tables where |x| <= 1, HAC, sec. 3.3).
    """

    def __init__(
        self,
        position: NDArray[np.int64],
        features: NDArray[np.float32],
        targets: Sequence[Target],
        settings: Settings,
        device: torch.device,
    ) -> None:
        generator = torch.Generator().manual_seed(settings.seed)
        self.levels = settings.levels
        self.units = [trained(target, device) for target in targets]
        self.known = torch.from_numpy(features / UNIT).to(device)
        self.tables: list[Tensor] = []
        self.cells: list[tuple[Tensor, Tensor]] = []  # entry and weight of each row's corners
        self.level_of: list[int] = []  # for each table
        self.active = [True] * len(settings.levels)
        for place, level in enumerate(settings.levels):
            for axes in level.tables:
                self.level_of.append(place)
                self.cells.append(_cells(position, level, axes, device))
                start = torch.rand(level.entries, VALUES, generator=generator) * 2 - 1
                self.tables.append((start * 1e-2).to(device).requires_grad_())
        self.weights: list[Tensor] = []  # of each network: weight, bias, three times
        width = features.shape[1] + VALUES * len(self.tables)
        for target in targets:
            outputs = target.unit.outputs
            self.weights += started(width, settings.hidden, outputs, generator, device)
            width += target.unit.features
        parameters = self.weights + self.tables
        self.rounded = [p.detach().clone().requires_grad_() for p in parameters]

    @torch.no_grad()
    def round_parameters(self, *, rounding: bool) -> None:
        """Copies the parameters into ``rounded``: tables as signs, weights rounded if asked."""
        for number, weight in enumerate(self.weights):
            scale = unit_of(number)
            self.rounded[number].copy_(
                torch.round(weight * scale) / scale if rounding else weight
            )
        for table, rounded in zip(self.tables, self.rounded[len(self.weights) :], strict=True):
            rounded.copy_(torch.where(table >= 0, 1.0, -1.0))

    @torch.no_grad()
    def set_gradients(self, shards: Sequence[Sequence[Tensor]]) -> None:
        """Gives the sum of the gradients by ``rounded`` to the parameters behind them."""
        for parameter, *parts in zip(self.weights + self.tables, *shards, strict=True):
            parameter.grad = sum(parts[1:], parts[0])
        for table in self.tables:
            table.grad = torch.where(table.abs() <= 1, cast("Tensor", table.grad), 0.0)

    def loss(self, rows: Tensor, generator: torch.Generator, *, rounding: bool) -> Tensor:
        """Bits per primitive of ``rows`` (B,), plus the penalty of the steps."""
        context = torch.cat([self.known[rows], *self._grid(rows)], dim=1)
        penalty = context.new_zeros(())
        laws: dict[Family, list[tuple[Tensor, ...]]] = {family: [] for family in Family}
        for number, unit in enumerate(self.units):
            out = evaluate(self._network(number), context, rounding=rounding)
            if isinstance(unit, TrainedDecisions):
                wanted = unit.wanted(rows)
                penalty = penalty + unit.bits(out, wanted)
                context = torch.cat([context, wanted], dim=1)
                continue
            cost, decoded = coded(unit, out, rows, generator, laws, rounding=rounding)
            penalty = penalty + cost
            context = torch.cat([context, *unit.features(decoded)], dim=1)
        return (penalty + bits_of(laws)) / len(rows)

    def _network(self, number: int) -> list[Tensor]:
        """Weights and biases of a network as the integer model would have them."""
        return self.rounded[2 * LAYERS * number : 2 * LAYERS * (number + 1)]

    def _grid(self, rows: Tensor) -> list[Tensor]:
        """Interpolated features, one (B, 4) tensor per table; zeros for a dropped level."""
        out = []
        for number, table in enumerate(self.rounded[len(self.weights) :]):
            if self.active[self.level_of[number]]:
                index, weight = (part[rows] for part in self.cells[number])
                corner = table.index_select(0, index.flatten().long())
                mixed = (corner.view(*index.shape, VALUES) * weight[:, :, None]).sum(1)
                out.append(mixed * (INPUT_MAX / UNIT))
            else:
                out.append(table.new_zeros(len(rows), VALUES))
        return out

    @torch.no_grad()
    def drop_idle_levels(self, seed: int) -> None:
        """Switches off every level that saves fewer bits than its entries cost."""
        known = self.known
        rows = torch.arange(0, len(known), max(1, len(known) // _SAMPLE), device=known.device)

        def bits() -> float:
            same_noise = torch.Generator(known.device).manual_seed(seed)
            return float(self.loss(rows, same_noise, rounding=False))

        for place, level in reversed(list(enumerate(self.levels))):
            kept = bits()
            self.active[place] = False
            cost = VALUES * level.entries * len(level.tables) / len(known)
            self.active[place] = _REAL_SHARE * (bits() - kept) > cost

    def integer_grid(self) -> HashGrid:
        """The grid as the signs of its active levels."""
        levels = tuple(v for v, on in zip(self.levels, self.active, strict=True) if on)
        tables = zip(self.tables, self.level_of, strict=True)
        signs = tuple((t >= 0).cpu().numpy() for t, place in tables if self.active[place])
        return HashGrid(levels, signs)

    def integer_models(self) -> tuple[AnyModel, ...]:
        """The networks as integers, with the constants of their units."""
        return tuple(
            integer_model(unit.unit, unit.family, unit.scaled, self._float_network(number))
            for number, unit in enumerate(self.units)
        )

    def _float_network(self, number: int) -> list[NDArray[np.float64]]:
        """Weights and biases of a network, without inputs of dropped levels."""
        parts = self.weights[2 * LAYERS * number : 2 * LAYERS * (number + 1)]
        arrays = [w.detach().cpu().numpy().astype(np.float64) for w in parts]
        return [arrays[0][self._used_inputs(len(arrays[0]))], *arrays[1:]]

    def _used_inputs(self, width: int) -> NDArray[np.int64]:
        """Inputs of a network of ``width`` that do not belong to a dropped level."""
        known = self.known.shape[1]
        dropped = [
            known + VALUES * number + value
            for number, place in enumerate(self.level_of)
            if not self.active[place]
            for value in range(VALUES)
        ]
        return np.setdiff1d(np.arange(width), dropped)


def _cells(
    position: NDArray[np.int64], level: GridLevel, axes: tuple[int, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Entries (N, corners) int32 and weights (N, corners) of the cells of ``position``."""
    pairs = list(corners(position, level, axes))
    index = np.stack([i for i, _ in pairs], axis=1).astype(np.int32)
    weight = np.stack([w for _, w in pairs], axis=1).astype(np.float32)
    weight /= 1 << (FRACTION_BITS * len(axes))
    return torch.from_numpy(index).to(device), torch.from_numpy(weight).to(device)
