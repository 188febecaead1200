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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from gscodec.coding import Family
from gscodec.intnet.context import FINE_SHIFT, OUTPUT_BITS, Q0_INDEX, Group, GroupModel
from gscodec.intnet.hashgrid import VALUES, HashGrid, Level, corners
from gscodec.intnet.network import ACTIVATION_MAX, EXACT, INPUT_MAX, Layer, Network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

UNIT = 1 << OUTPUT_BITS
WEIGHT_SHIFT = 6
_BATCH = 4096
_SMALLEST_SIGMA = 2.0**-4.5  # of a step: the first table level
# Cost of a bit in squared steps, from D = step**2 / 12 and dR = -1 bit per halved step.
BIT_PRICE = math.log(2) / 6
_HALF_BIN = 1 / 16  # octaves: half of what floor() loses in steps and spreads
_Q0_OVER_MEAN = 4.0  # Q0 over the geometric mean of the wanted steps; a step is below 2 Q0


@dataclass(frozen=True)
class Target:
    """What is to be coded in one group.

    Attributes:
        group: Its columns.
        family: Shape of the likelihood.
        values: (N, columns) float64.
        log2_steps: (N, steps) float64, wanted log2 of each step.
    """

    group: Group
    family: Family
    values: NDArray[np.float64]
    log2_steps: NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        iterations: Steps of Adam.
        hidden: Width of the two hidden layers.
        levels: Of the hash grid.
        seed: Of every random choice.
        device: torch device.
    """

    iterations: int
    hidden: int
    levels: tuple[Level, ...]
    seed: int
    device: str


def fit(
    position: NDArray[np.int64],
    features: NDArray[np.float32],
    targets: Sequence[Target],
    settings: Settings,
    progress: Callable[[float], None],
) -> tuple[HashGrid, tuple[GroupModel, ...]]:
    """Trains and gives the integer grid and the integer model of each target.

    Args:
        position: (N, 3) normalised 16-bit positions, for the grid.
        features: (N, P) integers in -127 .. 127 that every network sees.
        targets: Groups in coding order.
        settings: How to train.
        progress: Called with the share that is done.
    """
    torch.manual_seed(settings.seed)
    device = torch.device(settings.device)
    model = _ContextModel(position, features, targets, settings).to(device)
    count = len(position)
    batch = min(_BATCH, count)
    networks = [p for net in model.networks for p in net.parameters()]
    optimiser = torch.optim.Adam(
        [
            {"params": networks, "lr": 5e-3},
            {"params": list(model.tables.parameters()), "lr": 2e-2},
        ]
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [5e-3, 2e-2], total_steps=settings.iterations + 1, pct_start=0.15
    )
    generator = torch.Generator().manual_seed(settings.seed)
    for iteration in range(settings.iterations):
        share = iteration / settings.iterations
        rows = torch.randint(0, count, (batch,), generator=generator).to(device)
        loss = model(rows, rounding=share > 0.5)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if iteration % 16 == 0:
            progress(share)
    return model.integer_grid(), model.integer_models()


def scaling(target: Target) -> tuple[int, int, int, int]:
    """Fraction bits, mean in quanta, log2 of the unit in quanta, step bias, for a target."""
    mean_step = float(target.log2_steps.mean())
    fraction = max(0, min(60, round(13 - mean_step - math.log2(_Q0_OVER_MEAN))))
    low, middle, high = np.percentile(target.values, [2, 50, 98])
    spread = max(float(high - low) / 4, 2.0**-fraction)
    unit = max(0, min(30, round(math.log2(spread) + fraction)))
    bias = round(8 * (mean_step + fraction)) - 24
    return fraction, round(float(middle) * 2**fraction), unit, min(bias, Q0_INDEX)


class _ContextModel(nn.Module):
    """Grid, networks, and the rate of a batch of rows."""

    def __init__(
        self,
        position: NDArray[np.int64],
        features: NDArray[np.float32],
        targets: Sequence[Target],
        settings: Settings,
    ) -> None:
        super().__init__()
        self.levels = settings.levels
        self.groups = [target.group for target in targets]
        self.families = [target.family for target in targets]
        self.scalings = [scaling(target) for target in targets]
        self.register_buffer("known", torch.from_numpy(features / UNIT))
        self.tables = nn.ParameterList()
        for level in settings.levels:
            for axes in level.tables:
                pairs = list(corners(position, level, axes))
                total = 1 << (6 * len(axes))
                index = np.stack([i for i, _ in pairs], axis=1).astype(np.int32)
                weight = np.stack([w for _, w in pairs], axis=1).astype(np.float32) / total
                number = len(self.tables)
                self.register_buffer(f"index{number}", torch.from_numpy(index))
                self.register_buffer(f"weight{number}", torch.from_numpy(weight))
                start = torch.rand(level.entries, VALUES) * 2 - 1
                self.tables.append(nn.Parameter(start * 1e-2))
        width = features.shape[1] + VALUES * len(self.tables)
        self.networks = nn.ModuleList()
        for number, (target, group) in enumerate(zip(targets, self.groups, strict=True)):
            fraction, mean, unit, bias = self.scalings[number]
            size = 2.0 ** (unit - fraction)
            values = (target.values - mean * 2.0**-fraction) / size  # in units
            self.register_buffer(f"values{number}", torch.from_numpy(values.astype(np.float32)))
            # Wanted and base steps in octaves; networks predict their difference.
            base = (bias + 24) / 8 - fraction
            wanted = (target.log2_steps - base).astype(np.float32)
            self.register_buffer(f"steps{number}", torch.from_numpy(wanted))
            self.networks.append(_Perceptron(width, settings.hidden, group.outputs))
            width += group.features

    def forward(self, rows: Tensor, *, rounding: bool) -> Tensor:
        """Bits per primitive of ``rows`` (B,), plus the penalty of the steps."""
        context = torch.cat([self.get_buffer("known")[rows], *self._grid(rows)], dim=1)
        loss = context.new_zeros(())
        for number, (group, net) in enumerate(zip(self.groups, self.networks, strict=True)):
            out: Tensor = net(context, rounding=rounding)
            wanted = self.get_buffer(f"steps{number}")[rows]
            octaves = out[:, : group.steps]
            loss = loss + 4 * ((octaves - wanted) ** 2).mean(0).sum()
            centre, spread = out[:, group.steps :].chunk(2, dim=1)
            step = torch.exp2(self._log2_step(number, octaves.detach()))
            sigma = torch.exp2(spread) / step
            values = self.get_buffer(f"values{number}")[rows]
            residual = (values - centre) / step
            family = self.families[number]
            if rounding:
                # Spread learns from the rounded values, the centre from where they are.
                whole = _cheapest(family, residual.detach(), sigma.detach())
                loss = loss + _bits(family, whole, sigma).sum(1).mean()
                loss = loss + _bits(family, residual, sigma.detach()).sum(1).mean()
                decoded = (centre + whole * step).detach()
            else:
                loss = loss + _bits(family, residual, sigma).sum(1).mean()
                noise = torch.rand_like(values) - 0.5  # HAC, eq. 4
                decoded = values + noise * step
            context = torch.cat([context, *_features(group, decoded)], dim=1)
        return loss

    def _grid(self, rows: Tensor) -> list[Tensor]:
        """Interpolated features, one (B, 4) tensor per table."""
        out = []
        for number, table in enumerate(self.tables):
            binary = torch.where(table >= 0, 1.0, -1.0)
            soft = table.clamp(-1, 1)
            binary = binary + (soft - soft.detach())  # gradient where |x| <= 1 (HAC, sec. 3.3)
            index = self.get_buffer(f"index{number}")[rows].long()
            weight = self.get_buffer(f"weight{number}")[rows]
            mixed = (binary[index] * weight[:, :, None]).sum(1)
            out.append(mixed * (INPUT_MAX / UNIT))
        return out

    def _log2_step(self, number: int, octaves: Tensor) -> Tensor:
        """Log2 of the steps (B, columns) in units, from step outputs (B, steps) in octaves."""
        group = self.groups[number]
        _, _, unit, bias = self.scalings[number]
        base = (bias + 24) / 8 - unit
        limit = (Q0_INDEX + 7 + 24) / 8 - unit
        offset = torch.tensor(group.step_offset, device=octaves.device) / 8
        return (octaves[:, list(group.step_of)] + base + offset).clamp(3 - unit, limit)

    def integer_grid(self) -> HashGrid:
        """The grid as its signs."""
        return HashGrid(self.levels, tuple((t >= 0).cpu().numpy() for t in self.tables))

    def integer_models(self) -> tuple[GroupModel, ...]:
        """The networks as integers, with the constants of their groups."""
        models = []
        for group, family, scale, net in zip(
            self.groups, self.families, self.scalings, self.networks, strict=True
        ):
            fraction, mean, unit, bias = scale
            network = _integer_network(cast("_Perceptron", net), group)
            models.append(GroupModel(family, fraction, mean, unit, bias, network))
        return tuple(models)


class _Perceptron(nn.Module):
    """Three linear layers; the last starts near zero, so that all start at the mean."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, outputs)
        with torch.no_grad():
            self.last.weight.mul_(0.1)
            self.last.bias.zero_()

    def linears(self) -> tuple[nn.Linear, ...]:
        """The layers, first to last."""
        return self.first, self.second, self.last

    def forward(self, x: Tensor, *, rounding: bool) -> Tensor:
        """Outputs for ``x`` (B, inputs), as integers would give them if ``rounding``."""
        for layer in (self.first, self.second):
            x = _affine(layer, x, rounding=rounding).clamp(0, ACTIVATION_MAX / UNIT)
            if rounding:
                x = x + (torch.floor(x * UNIT) / UNIT - x).detach()
        return _affine(self.last, x, rounding=rounding)


def _affine(layer: nn.Linear, x: Tensor, *, rounding: bool) -> Tensor:
    """``layer`` on ``x`` with weights rounded to 2**-6 and biases to 2**-11 if ``rounding``."""
    weight: Tensor = layer.weight
    bias: Tensor = layer.bias
    if rounding:
        scale = 1 << WEIGHT_SHIFT
        weight = weight + (torch.round(weight * scale) / scale - weight).detach()
        bias = bias + (torch.round(bias * (scale * UNIT)) / (scale * UNIT) - bias).detach()
    return nn.functional.linear(x, weight, bias)


def _features(group: Group, decoded: Tensor) -> list[Tensor]:
    """What later groups see of ``decoded`` (B, columns), in units."""
    limit = INPUT_MAX
    seen = [torch.floor(decoded * UNIT).clamp(-limit, limit) / UNIT]
    if group.fine:
        fine = torch.floor(decoded * (UNIT << FINE_SHIFT)).clamp(-limit, limit) / UNIT
        seen.append(fine)
    return seen


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


def _cheapest(family: Family, residual: Tensor, sigma: Tensor) -> Tensor:
    """The nearest integer, or the next one towards zero if the saved bits are worth it.

    The saving is that of the density between the two, close enough for training.
    """
    size = residual.abs()
    whole = torch.round(size)
    laplace = family is Family.LAPLACE
    saved = math.sqrt(2) / sigma if laplace else (whole - 0.5) / sigma**2
    down = (whole > 0) & (BIT_PRICE / math.log(2) * saved > 2 * (size - whole) + 1)
    return torch.sign(residual) * (whole - down.float())


def _integer_network(net: _Perceptron, group: Group) -> Network:
    """Weights in 2**-shift; the shift is lowered until float32 is provably exact."""
    layers = net.linears()
    for shift in range(WEIGHT_SHIFT, -1, -1):
        rounded = []
        for number, layer in enumerate(layers):
            weights = layer.weight.detach().cpu().numpy().T * 2.0**shift
            bias = layer.bias.detach().cpu().numpy().astype(np.float64)
            if number == len(layers) - 1:
                spreads = slice(group.steps + group.columns, None)
                bias[: group.steps] += _HALF_BIN
                bias[spreads] += _HALF_BIN
            bias = np.rint(bias * (UNIT << shift))
            rounded.append(Layer(np.rint(weights).astype(np.float32), bias.astype(np.float32)))
        if all(
            (INPUT_MAX if number == 0 else ACTIVATION_MAX) * np.abs(layer.weights).sum(0).max()
            + np.abs(layer.bias).max()
            < EXACT
            for number, layer in enumerate(rounded)
        ):
            break
    return Network(tuple(rounded), shift)
