"""Learns a hash grid and context networks, then rounds them to integers (HAC, section 3).

In: integer positions, and per group the values and the steps that they should have. Out: the
integer model that codes them. Everything is trained together; the loss is the number of bits
per primitive, of attributes and grid (HAC, eq. 7 and 8), plus the squared error of the
predicted log steps. Where the paper differs: steps follow a known sensitivity instead of the
gradient through a renderer, and later groups see earlier ones.

The float model mirrors the integer one: values in the grid's entries and the networks' weights
are rounded with a straight-through gradient, and hidden activations are clipped and floored as
`intnet.network` does it.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gscodec.coding import Family
from gscodec.errors import CannotCodeError, FormatError
from gscodec.fit.sensitivity import BIT_PRICE
from gscodec.fit.threads import one_thread_an_operation
from gscodec.intnet.context import (
    FINE_SHIFT,
    MAX_FRACTION_BITS,
    MAX_LOG2_UNIT,
    OUTPUT_BITS,
    Q0_INDEX,
    STEP_COUNT,
    DecisionModel,
    Group,
    GroupModel,
)
from gscodec.intnet.hashgrid import FRACTION_BITS, VALUES, HashGrid, Level, corners
from gscodec.intnet.network import ACTIVATION_MAX, INPUT_MAX, Layer, Network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

UNIT = 1 << OUTPUT_BITS
WEIGHT_SHIFT = 6
# A batch is so many shards of so many rows. Shards have their own random numbers and are added
# in order: the result does not depend on the number of threads.
_SHARDS = 2
_ROWS = 2048
_LAYERS = 3
# Learning rates: the networks' is the paper's; the grid's is higher, a fit is short.
_WEIGHT_RATE, _TABLE_RATE = 5e-3, 2e-2
# A level taken away loses more bits than it saves: networks would have learned to do without.
_REAL_SHARE = 0.5
_SAMPLE = 16_384  # Gaussians that judge whether a level of the grid pays
_SMALLEST_SIGMA = 2.0**-4.5  # of a step: the first table level
_FINER = 8.0  # octaves: a base step is not finer than the ideal one by more
_HALF_BIN = 1 / 16  # octaves: half of what floor() loses in steps and spreads
_Q0_OVER_MEAN = 4.0  # Q0 over the geometric mean of the wanted steps; a step is below 2 Q0


@dataclass(frozen=True)
class Target:
    """What is to be coded in one group.

    Attributes:
        group: Its columns.
        family: Shape of the likelihood.
        values: (N, columns) float64.
        log2_ideal: (N, steps) float64, log2 of the step at which a bit is worth its cost.
        present: (N, columns) bool, which values are coded; None for all.
    """

    group: Group
    family: Family
    values: NDArray[np.float64]
    log2_ideal: NDArray[np.float64]
    present: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Learned:
    """An integer model.

    Attributes:
        grid: The hash grid.
        decisions: What codes the decisions, None if there are none.
        groups: What codes each target.
    """

    grid: HashGrid
    decisions: DecisionModel | None
    groups: tuple[GroupModel, ...]


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
    levels: tuple[Level, ...]
    seed: int
    device: str
    threads: int | None


def fit(
    position: NDArray[np.int64],
    features: NDArray[np.float32],
    targets: Sequence[Target],
    settings: Settings,
    progress: Callable[[float], None],
    decisions: NDArray[np.bool_] | None = None,
) -> Learned:
    """Trains and gives the integer grid and the integer model of each target.

    Args:
        position: (N, 3) normalised 16-bit positions, for the grid.
        features: (N, P) integers in -127 .. 127 that every network sees.
        targets: Groups in coding order.
        settings: How to train.
        progress: Called with the share that is done.
        decisions: (N, columns) coded before the first group, with a probability each.
    """
    device = torch.device(settings.device)
    model = _ContextModel(position, features, targets, decisions, settings, device)
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
    generators = [
        torch.Generator(device).manual_seed(settings.seed * _SHARDS + shard)
        for shard in range(_SHARDS)
    ]

    def gradients(generator: torch.Generator, *, rounding: bool) -> tuple[Tensor, ...]:
        rows = torch.randint(0, len(position), (_ROWS,), generator=generator, device=device)
        loss = model.loss(rows, generator, rounding=rounding) / _SHARDS
        return torch.autograd.grad(loss, model.rounded, materialize_grads=True)

    with one_thread_an_operation(), ThreadPoolExecutor(settings.threads) as pool:
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
    return Learned(model.integer_grid(), model.integer_decisions(), model.integer_models())


def scaling(target: Target) -> tuple[int, int, int, int]:
    """Fraction bits, mean in quanta, log2 of the unit in quanta, step bias, for a target."""
    # Coarser steps than the values are wide would all code the same: nothing.
    widest = math.log2(max(float(target.values.std()), 1e-300)) + 1
    ideal = float(target.log2_ideal.mean())
    mean_step = max(min(ideal, widest), ideal - _FINER)
    fraction = max(0, min(MAX_FRACTION_BITS, round(13 - mean_step - math.log2(_Q0_OVER_MEAN))))
    low, middle, high = np.percentile(target.values, [2, 50, 98])
    spread = max(float(high - low) / 4, 2.0**-fraction)
    unit = max(0, min(MAX_LOG2_UNIT, round(math.log2(spread) + fraction)))
    bias = round(8 * (mean_step + fraction)) - 24
    return fraction, round(float(middle) * 2**fraction), unit, min(bias, Q0_INDEX)


class _ContextModel:
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
        decisions: NDArray[np.bool_] | None,
        settings: Settings,
        device: torch.device,
    ) -> None:
        generator = torch.Generator().manual_seed(settings.seed)
        self.levels = settings.levels
        self.groups = [_TrainedGroup(target, device) for target in targets]
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
        self.decisions: Tensor | None = None
        outputs = [(t.group.outputs, t.group.features) for t in targets]
        if decisions is not None:
            self.decisions = torch.from_numpy(decisions.astype(np.float32)).to(device)
            outputs.insert(0, (decisions.shape[1], decisions.shape[1]))
        self.weights: list[Tensor] = []  # of each network: weight, bias, three times
        width = features.shape[1] + VALUES * len(self.tables)
        for out, seen in outputs:
            widths = (width, settings.hidden, settings.hidden, out)
            for number, (rows, columns) in enumerate(pairwise(widths)):
                start = torch.rand(rows, columns, generator=generator) * 2 - 1
                # The last layer starts near zero, so that all outputs start at the mean.
                start *= (0.1 if number == _LAYERS - 1 else 1.0) / math.sqrt(rows)
                self.weights.append(start.to(device).requires_grad_())
                self.weights.append(torch.zeros(columns, device=device).requires_grad_())
            width += seen
        parameters = self.weights + self.tables
        self.rounded = [p.detach().clone().requires_grad_() for p in parameters]

    @torch.no_grad()
    def round_parameters(self, *, rounding: bool) -> None:
        """Copies the parameters into ``rounded``: tables as signs, weights rounded if asked."""
        for number, weight in enumerate(self.weights):
            scale = 1 << (WEIGHT_SHIFT + OUTPUT_BITS * (number % 2))
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
        if self.decisions is not None:
            wanted = self.decisions[rows]
            logits = _evaluate(self._network(0), context, rounding=rounding)
            nats = binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
            penalty = penalty + nats / math.log(2)
            context = torch.cat([context, wanted], dim=1)
        for number, group in enumerate(self.groups):
            network = self._network(number + (self.decisions is not None))
            out = _evaluate(network, context, rounding=rounding)
            octaves, centre, spread = torch.split(out, group.widths, dim=1)
            log2_step = group.log2_step(octaves)
            log2_ideal = group.log2_ideal(rows)
            cost = _step_cost(log2_step, log2_ideal, spread.detach())
            step = torch.exp2(log2_step.detach())
            sigma = torch.exp2(spread) / step
            values = group.values[rows]
            residual = (values - centre) / step
            if group.present is not None:
                # What is absent gets the narrowest table and no residual: no bits.
                present = group.present[rows]
                cost = cost * present
                residual = torch.where(present, residual, 0.0)
                sigma = torch.where(present, sigma, _SMALLEST_SIGMA)
            penalty = penalty + cost.sum()
            if rounding:
                price = BIT_PRICE * (torch.exp2(log2_ideal) / step) ** 2
                whole = _cheapest(group.family, residual.detach(), sigma.detach(), price)
                laws[group.family].append((residual, sigma, whole))
                decoded = (centre + whole * step).detach()
            else:
                laws[group.family].append((residual, sigma))
                noise = torch.rand(values.shape, generator=generator, device=values.device)
                decoded = values + (noise - 0.5) * step  # HAC, eq. 4
            context = torch.cat([context, *group.features(decoded)], dim=1)
        return (penalty + self._bits(laws)) / len(rows)

    def _network(self, number: int) -> list[Tensor]:
        """Weights and biases of a network as the integer model would have them."""
        return self.rounded[2 * _LAYERS * number : 2 * _LAYERS * (number + 1)]

    @staticmethod
    def _bits(laws: dict[Family, list[tuple[Tensor, ...]]]) -> Tensor:
        """Bits of all values: (residual, sigma) with noise, or with the rounded one as well."""
        total = torch.zeros(())
        for family, groups in laws.items():
            if not groups:
                continue
            residual, sigma, *rounded = (
                torch.cat(part, dim=1) for part in zip(*groups, strict=True)
            )
            total = total.to(residual.device)
            if rounded:
                # Spread learns from the rounded values, the centre from where they are.
                total = total + _bits(family, rounded[0], sigma).sum()
                sigma = sigma.detach()
            total = total + _bits(family, residual, sigma).sum()
        return total

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

    def integer_decisions(self) -> DecisionModel | None:
        """The network of the decisions as integers."""
        if self.decisions is None:
            return None
        return DecisionModel(_integer_network(self._float_network(0)))

    def integer_models(self) -> tuple[GroupModel, ...]:
        """The networks as integers, with the constants of their groups."""
        models = []
        for number, group in enumerate(self.groups):
            weights = self._float_network(number + (self.decisions is not None))
            steps, columns = group.group.steps, group.group.columns
            weights[-1][:steps] += _HALF_BIN
            weights[-1][steps + columns :] += _HALF_BIN
            constants = (group.fraction, group.mean, group.unit, group.bias)
            models.append(GroupModel(group.family, *constants, _integer_network(weights)))
        return tuple(models)

    def _float_network(self, number: int) -> list[NDArray[np.float64]]:
        """Weights and biases of a network, without inputs of dropped levels."""
        parts = self.weights[2 * _LAYERS * number : 2 * _LAYERS * (number + 1)]
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


class _TrainedGroup:
    """A target in the units of its network, as tensors."""

    def __init__(self, target: Target, device: torch.device) -> None:
        self.group, self.family = target.group, target.family
        self.fraction, self.mean, self.unit, self.bias = scaling(target)
        group = target.group
        self.widths = [group.steps, group.columns, group.columns]
        values = (target.values - self.mean * 2.0**-self.fraction) * 2.0 ** (
            self.fraction - self.unit
        )
        self.values = torch.from_numpy(values.astype(np.float32)).to(device)
        base = (self.bias + 24 + np.array(group.step_offset)) / 8 - self.unit
        self._base = torch.from_numpy(base.astype(np.float32)).to(device)
        self._step_of = torch.tensor(group.step_of, device=device)
        ideal = target.log2_ideal + self.fraction - self.unit
        self._ideal = torch.from_numpy(ideal.astype(np.float32)).to(device)
        offset = np.array(group.step_offset) / 8
        self._offset = torch.from_numpy(offset.astype(np.float32)).to(device)
        self.present: Tensor | None = None
        if target.present is not None:
            self.present = torch.from_numpy(target.present).to(device)

    def log2_step(self, octaves: Tensor) -> Tensor:
        """Log2 of the steps (B, columns) in units, from step outputs (B, steps) in octaves."""
        steps = octaves.index_select(1, self._step_of) + self._base
        return steps.clamp(3 - self.unit, (STEP_COUNT - 1 + 24) / 8 - self.unit)

    def log2_ideal(self, rows: Tensor) -> Tensor:
        """Log2 of the ideal steps (B, columns) in units."""
        return self._ideal[rows].index_select(1, self._step_of) + self._offset

    def features(self, decoded: Tensor) -> list[Tensor]:
        """What later groups see of ``decoded`` (B, columns), in units."""
        limit = INPUT_MAX
        seen = [torch.floor(decoded * UNIT).clamp(-limit, limit) / UNIT]
        if self.group.fine:
            fine = torch.floor(decoded * (UNIT << FINE_SHIFT)).clamp(-limit, limit) / UNIT
            seen.append(fine)
        return seen


def _cells(
    position: NDArray[np.int64], level: Level, axes: tuple[int, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Entries (N, corners) int32 and weights (N, corners) of the cells of ``position``."""
    pairs = list(corners(position, level, axes))
    index = np.stack([i for i, _ in pairs], axis=1).astype(np.int32)
    weight = np.stack([w for _, w in pairs], axis=1).astype(np.float32)
    weight /= 1 << (FRACTION_BITS * len(axes))
    return torch.from_numpy(index).to(device), torch.from_numpy(weight).to(device)


def _evaluate(weights: Sequence[Tensor], x: Tensor, *, rounding: bool) -> Tensor:
    """A network on ``x`` (B, inputs), as integers would give it if ``rounding``."""
    for number in range(0, 2 * (_LAYERS - 1), 2):
        x = torch.addmm(weights[number + 1], x, weights[number])
        x = x.clamp(0, ACTIVATION_MAX / UNIT)
        if rounding:
            x = x + (torch.floor(x.detach() * UNIT) / UNIT - x.detach())
    return torch.addmm(weights[-1], x, weights[-2])


class _GaussianBits(torch.autograd.Function):
    """Bits of [value - 1/2, value + 1/2] under a normal law; gradients in closed form."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, sigma: Tensor) -> Tensor:
        """Bits, elementwise; outliers pull, but not without limit."""
        sigma = sigma.clamp_min(_SMALLEST_SIGMA)
        size = value.abs()
        low, high = (size - 0.5) / sigma, (size + 0.5) / sigma
        mass = (torch.special.ndtr(-low) - torch.special.ndtr(-high)).clamp_min(2.0**-20)
        density_low, density_high = _density(low), _density(high)
        slope = (density_low - density_high) / mass
        by_sigma = (high * density_high - low * density_low) / mass
        nats = -torch.log(mass)
        # Beyond four deviations the density of the near edge stands for all the mass.
        far = low > 4
        edge = low.clamp(4, 8)
        nats = torch.where(far, 0.5 * low * edge + torch.log(edge) + 0.92, nats)
        slope = torch.where(far, edge, slope)
        by_sigma = torch.where(far, -edge * edge, by_sigma)
        inverse = 1 / (math.log(2) * sigma)
        ctx.save_for_backward(slope * torch.sign(value) * inverse, by_sigma * inverse)
        return nats / math.log(2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        """Chain rule with the saved derivatives."""
        by_value, by_sigma = ctx.saved_tensors
        return grads[0] * by_value, grads[0] * by_sigma


def _density(z: Tensor) -> Tensor:
    return torch.exp(-0.5 * z * z) * (1 / math.sqrt(2 * math.pi))


class _LaplaceBits(torch.autograd.Function):
    """Bits of [value - 1/2, value + 1/2] under a Laplace law; gradients in closed form."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, sigma: Tensor) -> Tensor:
        """Bits, elementwise."""
        rate = math.sqrt(2) / sigma.clamp_min(_SMALLEST_SIGMA)
        size = value.abs()
        # Around the peak: mass = 1 - e**(-rate / 2) cosh(rate * size).
        near, far = torch.exp(rate * (size - 0.5).clamp_max(0)), torch.exp(-rate * (size + 0.5))
        mass = (1 - 0.5 * (near + far)).clamp_min(1e-9)
        # Beside it, in logarithms: the mass itself may underflow.
        shrink = torch.exp(-rate)
        beside = rate * (size - 0.5) + math.log(2) - torch.log1p(-shrink)
        inside = size < 0.5
        nats = torch.where(inside, -torch.log(mass), beside)
        slope = torch.where(inside, 0.5 * rate * (near - far) / mass, rate)
        by_rate = torch.where(
            inside,
            (0.5 * (size - 0.5) * near - 0.5 * (size + 0.5) * far) / mass,
            size - 0.5 - shrink / (1 - shrink),
        )
        by_sigma = by_rate * -(rate * rate) / math.sqrt(2)
        ctx.save_for_backward(slope * torch.sign(value), by_sigma)
        return nats / math.log(2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        """Chain rule with the saved derivatives, which are in nats."""
        by_value, by_sigma = ctx.saved_tensors
        grad = grads[0] / math.log(2)
        return grad * by_value, grad * by_sigma


def _bits(family: Family, value: Tensor, sigma: Tensor) -> Tensor:
    """Bits of ``value`` (elementwise) under ``family`` with deviation ``sigma``, in steps."""
    law = _LaplaceBits if family is Family.LAPLACE else _GaussianBits
    result: Tensor = law.apply(value, sigma)  # type: ignore[no-untyped-call]
    return result


def _step_cost(log2_step: Tensor, log2_ideal: Tensor, log2_spread: Tensor) -> Tensor:
    """Bits, and error in bits, that depend on the steps, elementwise.

    A value of deviation sigma behind a step takes R = log2(1 + 12 sigma**2 / step**2) / 2 bits
    and leaves D = step**2 / 12 of squared error, but not more than sigma**2. Where the ideal
    step is uncertain this weighs sensitive values more, as a squared error of logs would not.
    """
    fine = torch.exp2(2 * (log2_spread - log2_step)) * 12
    rate = 0.5 * torch.log2(1 + fine)
    error = torch.exp2(2 * (log2_step - log2_ideal)) / (12 * BIT_PRICE) * (fine / (1 + fine))
    return rate + error


def _cheapest(family: Family, residual: Tensor, sigma: Tensor, price: Tensor) -> Tensor:
    """The cheapest of the nearest integer, the next one towards zero, and zero.

    ``price`` is what a bit costs in squared steps. The saving is that of the density, close
    enough for training.
    """
    size = residual.abs()
    whole = torch.round(size)
    if family is Family.LAPLACE:
        one = (math.sqrt(2) / math.log(2)) / sigma
        saved, saved_all = one, one * whole
    else:
        saved = (whole - 0.5) / (math.log(2) * sigma**2)
        saved_all = whole**2 / (2 * math.log(2) * sigma**2)
    gain = price * saved - (2 * (size - whole) + 1)
    gain_all = price * saved_all - (size**2 - (size - whole) ** 2)
    some = whole > 0
    kept = torch.where(some & (gain > 0), whole - 1, whole)
    kept = torch.where(some & (gain_all > gain.clamp_min(0)), torch.zeros_like(kept), kept)
    return torch.sign(residual) * kept


def _integer_network(real: Sequence[NDArray[np.float64]]) -> Network:
    """``real`` (weight, bias by layer) in 2**-shift, as fine as float32 stays exact."""
    for shift in range(WEIGHT_SHIFT, -1, -1):
        layers = tuple(
            Layer(
                np.rint(real[n] * 2.0**shift).astype(np.float32),
                np.rint(real[n + 1] * (UNIT << shift)).astype(np.float32),
            )
            for n in range(0, 2 * _LAYERS, 2)
        )
        try:
            return Network(layers, shift)
        except FormatError as error:
            reason = str(error)
    raise CannotCodeError(f"the trained networks do not fit into integers ({reason})")
