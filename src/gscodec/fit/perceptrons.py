"""Networks and laws as training sees them: floats that mirror `intnet`."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gscodec.fit.integers import LAYERS
from gscodec.fit.laws import SMALLEST_SIGMA, bits, cheapest, step_cost
from gscodec.fit.sensitivity import BIT_PRICE
from gscodec.fit.targets import UNIT
from gscodec.fit.units import TrainedDecisions, TrainedUnit
from gscodec.intnet.network import ACTIVATION_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gscodec.coding import Family
    from gscodec.fit.targets import Target

    Laws = dict[Family, list[tuple[Tensor, ...]]]


def trained(target: Target, device: torch.device) -> TrainedUnit | TrainedDecisions:
    """``target`` as tensors."""
    return (TrainedDecisions if target.unit.decides else TrainedUnit)(target, device)


def started(
    inputs: int, hidden: int, outputs: int, generator: torch.Generator, device: torch.device
) -> list[Tensor]:
    """Weights and biases of a network before it learns."""
    weights = []
    for number, (rows, columns) in enumerate(pairwise((inputs, hidden, hidden, outputs))):
        start = torch.rand(rows, columns, generator=generator) * 2 - 1
        # The last layer starts near zero, so that all outputs start at the mean.
        start *= (0.1 if number == LAYERS - 1 else 1.0) / math.sqrt(rows)
        weights.append(start.to(device).requires_grad_())
        weights.append(torch.zeros(columns, device=device).requires_grad_())
    return weights


def coded(
    unit: TrainedUnit,
    out: Tensor,
    rows: Tensor,
    generator: torch.Generator,
    laws: Laws,
    *,
    rounding: bool,
) -> tuple[Tensor, Tensor]:
    """Penalty of the steps, and decoded values (B, columns); ``laws`` get one more."""
    values, log2_ideal = unit.values[rows], unit.log2_ideal(rows)
    cost, centre, step, residual, sigma = law_of(unit, out, rows, values, log2_ideal)
    if rounding:
        price = BIT_PRICE * (torch.exp2(log2_ideal) / step) ** 2
        whole = cheapest(unit.family, residual.detach(), sigma.detach(), price)
        laws[unit.family].append((residual, sigma, whole))
        return cost.sum(), (centre + whole * step).detach()
    laws[unit.family].append((residual, sigma))
    noise = torch.rand(values.shape, generator=generator, device=values.device)
    return cost.sum(), values + (noise - 0.5) * step  # HAC, eq. 4


def law_of(
    unit: TrainedUnit, out: Tensor, rows: Tensor, values: Tensor, log2_ideal: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Cost of steps, centre, step, residual and its deviation in steps, from a network's ``out``.

    All (B, columns); centre and step in units.
    """
    octaves, centre, spread = torch.split(out, unit.widths, dim=1)
    log2_step = unit.log2_step(octaves)
    cost = step_cost(log2_step, log2_ideal, spread.detach())
    step = torch.exp2(log2_step.detach())
    sigma = torch.exp2(spread) / step
    residual = (values - centre) / step
    if unit.present is not None:
        # What is absent gets the narrowest table and no residual: no bits.
        present = unit.present[rows]
        cost = cost * present
        residual = torch.where(present, residual, 0.0)
        sigma = torch.where(present, sigma, SMALLEST_SIGMA)
    return cost, centre, step, residual, sigma


def bits_of(laws: dict[Family, list[tuple[Tensor, ...]]]) -> Tensor:
    """Bits of all values: (residual, sigma) with noise, or with the rounded one as well."""
    total = torch.zeros(())
    for family, found in laws.items():
        if not found:
            continue
        residual, sigma, *rounded = (
            torch.cat(part, dim=1) for part in zip(*found, strict=True)
        )
        total = total.to(residual.device)
        if rounded:
            # Spread learns from the rounded values, the centre from where they are.
            total = total + bits(family, rounded[0], sigma).sum()
            sigma = sigma.detach()
        total = total + bits(family, residual, sigma).sum()
    return total


def evaluate(weights: Sequence[Tensor], x: Tensor, *, rounding: bool) -> Tensor:
    """A network on ``x`` (B, inputs), as integers would give it if ``rounding``."""
    for number in range(0, 2 * (LAYERS - 1), 2):
        x = torch.addmm(weights[number + 1], x, weights[number])
        x = x.clamp(0, ACTIVATION_MAX / UNIT)
        if rounding:
            x = x + (torch.floor(x.detach() * UNIT) / UNIT - x.detach())
    return torch.addmm(weights[-1], x, weights[-2])
