"""All networks of a model as one, learned together: matrices with blocks of zeros.

One network with masks takes a few large operations where many small networks take hundreds of
small ones, whose calls would cost more than their arithmetic. All it sees is given, so nothing
passes from one unit to another; see `fit.hemgs`.

The loss of a row is bits, and the error of its steps in bits (`fit.laws.step_cost`). Weights are
rounded, and values are what the encoder will choose, from the start. Two rules keep narrow laws
from becoming all: a step is chosen as if the spread were not below the ideal step, and where
the encoder will choose zero the centre learns from the squared error in place of the bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gscodec.coding import Family
from gscodec.fit.integers import WEIGHT_SHIFT
from gscodec.fit.laws import SMALLEST_SIGMA, cheapest, density
from gscodec.fit.sensitivity import BIT_PRICE
from gscodec.fit.targets import UNIT
from gscodec.intnet.neighbours import GAIN_BITS, WEIGHT_BITS
from gscodec.intnet.network import ACTIVATION_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.fit.targets import Scaled, Target

_LN2 = math.log(2)
_SPREAD = 0.0  # octaves below the ideal step to which a spread counts when a step is chosen
_STEEPEST = 64.0  # bits an output: a few rows unlike all others must not lead
_FIRST_GAIN = 0.5
_FARTHEST = 4000.0  # units: half of what a bias of an exact network may be


class Masked:
    """Networks of ``targets``, and the loss of rows.

    Outputs are the steps of all units, then centres, then spreads of all their columns, then
    logits of decisions. Units come in the order of their families, so that a family is a range
    of columns.

    Attributes:
        parameters: Weights and biases of three layers, then gains.
        rounded: The same as the loss sees them.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        scaled: Sequence[Scaled | None],
        inputs: Sequence[NDArray[np.bool_]],
        hidden: int,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        """``inputs`` (width,) say what the network of each unit sees."""
        self._hidden = hidden
        real = [n for n, target in enumerate(targets) if not target.unit.decides]
        order = sorted(real, key=lambda n: targets[n].family, reverse=True)
        own = [(targets[n], scaled[n]) for n in order]
        self._put(own, device)
        self._outputs = self._laid_out(targets, order)
        masks = self._masks(inputs)
        self._weights = [self._start(mask, generator, device) for mask in masks]
        self._masked = [mask.to(device) for mask in masks]
        with torch.no_grad():
            self._weights[-1] *= 0.1  # all outputs start near their biases
        widths = [len(inputs) * hidden] * 2 + [masks[2].shape[1]]
        biases = [torch.zeros(width, device=device) for width in widths]
        gains = torch.full((self.columns,), _FIRST_GAIN, device=device)
        pairs = zip(self._weights, biases, strict=True)
        self.parameters = [*(p for pair in pairs for p in pair), gains]
        self.rounded = [p.clone() for p in self.parameters]
        bias_unit = UNIT << WEIGHT_SHIFT
        self._units = [1 << WEIGHT_SHIFT, bias_unit] * len(masks) + [1 << GAIN_BITS]

    def _put(self, own: Sequence[tuple[Target, Scaled | None]], device: torch.device) -> None:
        """Values and steps of all columns, as tensors."""
        steps = np.cumsum([0, *(target.unit.steps for target, _ in own)])
        parts = [s for _, s in own if s is not None]

        def put(arrays: Sequence[NDArray[np.generic]], axis: int = 0) -> Tensor:
            return torch.from_numpy(np.concatenate(arrays, axis=axis)).to(device)

        self.steps = int(steps[-1])
        self.columns = sum(target.unit.columns for target, _ in own)
        laplace = [t.unit.columns for t, _ in own if t.family is Family.LAPLACE]
        self._laplace = sum(laplace)
        self._values = put([s.values for s in parts], 1)
        self._ideal = put([s.ideal for s in parts], 1)
        self._base, self._offset = put([s.base for s in parts]), put([s.offset for s in parts])
        self._step_of = put(
            [
                np.array(t.unit.step_of) + first
                for (t, _), first in zip(own, steps, strict=False)
            ]
        )
        # Columns that share a step are added by a product: scattered sums have no order on a GPU.
        self._to_steps = torch.nn.functional.one_hot(self._step_of, self.steps).float()
        limits = [np.repeat(s.limits[:, None], len(s.base), axis=1) for s in parts]
        self._low, self._high = put(limits, 1)
        self._present: Tensor | None = None
        if any(target.present is not None for target, _ in own):
            every = [
                np.ones(t.values.shape, bool) if t.present is None else t.present
                for t, _ in own
            ]
            self._present = put(every, 1)

    def _laid_out(self, targets: Sequence[Target], order: Sequence[int]) -> list[Tensor]:
        """Numbers of the outputs of each unit, in the order of its own network."""
        found: list[Tensor] = [torch.zeros(0, dtype=torch.int64) for _ in targets]
        self.at: list[slice] = [slice(0, 0) for _ in targets]  # its columns
        step = column = 0
        for number in order:
            unit = targets[number].unit
            own = torch.arange(column, column + unit.columns) + self.steps
            found[number] = torch.cat(
                [torch.arange(step, step + unit.steps), own, own + self.columns]
            )
            self.at[number] = slice(column, column + unit.columns)
            step, column = step + unit.steps, column + unit.columns
        first = self.steps + 2 * self.columns
        wanted = []
        for number, target in enumerate(targets):
            if target.unit.decides:
                found[number] = torch.arange(first, first + target.unit.columns)
                first += target.unit.columns
                wanted.append(target.values.astype(np.float32))
        self._decisions = None
        if wanted:
            device = self._values.device
            self._decisions = torch.from_numpy(np.concatenate(wanted, axis=1)).to(device)
        return found

    def _masks(self, inputs: Sequence[NDArray[np.bool_]]) -> list[Tensor]:
        """What of the matrices is not zero."""
        hidden, units = self._hidden, len(inputs)
        first = np.repeat(np.stack(inputs, axis=1), hidden, axis=1)
        second = np.ones((units, hidden, hidden))
        outputs = sum(len(own) for own in self._outputs)
        third = np.zeros((units * hidden, outputs))
        for number, own in enumerate(self._outputs):
            third[number * hidden : (number + 1) * hidden, own.numpy()] = 1
        return [torch.from_numpy(mask.astype(np.float32)) for mask in (first, second, third)]

    @staticmethod
    def _start(mask: Tensor, generator: torch.Generator, device: torch.device) -> Tensor:
        random = torch.rand(mask.shape, generator=generator) * 2 - 1
        return (random * mask / mask.sum(-2, keepdim=True).clamp_min(1).sqrt()).to(device)

    @torch.no_grad()
    def start_outputs(self, means: Tensor) -> None:
        """Outputs start at the mean step, and at what is typical beside the ``means``."""
        gap = self._values - _FIRST_GAIN * means / (UNIT << WEIGHT_BITS)
        wanted = self._ideal[:, self._step_of] + self._offset - self._base
        bias, first = self.parameters[5], self.steps
        for column in range(self.columns):
            rows = slice(None) if self._present is None else self._present[:, column]
            own = gap[rows, column]
            if len(own):
                middle = own.median()
                spread = torch.log2(1.4 * (own - middle).abs().mean() + 1e-6)
                bias[self._step_of[column]] = wanted[rows, column].mean()
                bias[first + column] = middle.clamp(-_FARTHEST, _FARTHEST)
                bias[first + self.columns + column] = spread.clamp(-_FARTHEST, _FARTHEST)

    @torch.no_grad()
    def round_parameters(self) -> None:
        """Makes ``rounded`` of the parameters."""
        for unit, own, rounded in zip(self._units, self.parameters, self.rounded, strict=True):
            torch.round(own * unit, out=rounded).div_(unit)

    @torch.no_grad()
    def set_gradients(self, shards: Sequence[Sequence[Tensor]]) -> None:
        """Gives the mean of the gradients to the parameters."""
        for parameter, *parts in zip(self.parameters, *shards, strict=True):
            parameter.grad = sum(parts[1:], parts[0]) / len(parts)

    @torch.no_grad()
    def gradients(self, rows: Tensor, seen: Tensor, means: Tensor) -> list[Tensor]:
        """Of the loss of ``rows`` (B,) by the parameters, in their order, in closed form.

        ``seen`` (B, width) and ``means`` (B, columns) are of all units.
        """
        w1, b1, w2, b2, w3, b3, gains = self.rounded
        units, hidden, count = len(w2), self._hidden, len(rows)
        z1 = torch.addmm(b1, seen, w1)
        a1, open1 = _activated(z1)
        each = a1.view(count, units, hidden).transpose(0, 1)
        z2 = torch.baddbmm(b2.view(units, 1, hidden), each, w2)
        a2, open2 = _activated(z2)
        last = a2.transpose(0, 1).reshape(count, units * hidden)
        slopes = self._slopes(torch.addmm(b3, last, w3), rows, means, gains)
        by_gain = (slopes[:, self._centres] * means).sum(0)
        by_w3 = (last.t() @ slopes) * self._masked[2]
        back = (slopes @ w3.t()).view(count, units, hidden).transpose(0, 1) * open2
        by_w2, by_b2 = torch.bmm(each.transpose(1, 2), back), back.sum(1).view(-1)
        back = torch.bmm(back, w2.transpose(1, 2)).transpose(0, 1).reshape(count, -1) * open1
        by_w1 = (seen.t() @ back) * self._masked[0]
        return [by_w1, back.sum(0), by_w2, by_b2, by_w3, slopes.sum(0), by_gain]

    def _slopes(self, out: Tensor, rows: Tensor, means: Tensor, gains: Tensor) -> Tensor:
        """Of the loss by the outputs ``out``, a mean over the rows."""
        steps, columns = self.steps, self.columns
        octaves = out[:, :steps].index_select(1, self._step_of) + self._base
        spread = out[:, steps + columns : steps + 2 * columns]
        log2_ideal = self._ideal[rows].index_select(1, self._step_of) + self._offset
        log2_step = torch.minimum(torch.maximum(octaves, self._low), self._high)
        centre = out[:, self._centres] + gains * means
        residual = (self._values[rows] - centre) * torch.exp2(-log2_step)
        error = torch.exp2(2 * (log2_step - log2_ideal)) / BIT_PRICE  # of a step, in bits
        by_step = _by_step(log2_step, torch.maximum(spread, log2_ideal - _SPREAD), error)
        by_step *= octaves == log2_step
        wide = torch.exp2(spread - log2_step)  # in steps
        by_value, by_spread = torch.empty_like(wide), torch.empty_like(wide)
        for family, part in self._families():
            own = residual[:, part], wide[:, part], error[:, part]
            by_value[:, part], by_spread[:, part] = _by_law(family, *own)
        by_centre = -by_value * torch.exp2(-log2_step)
        if self._present is not None:
            present = self._present[rows]
            by_step, by_centre = by_step * present, by_centre * present
            by_spread = by_spread * present
        slopes = torch.zeros_like(out)
        slopes[:, :steps] = by_step @ self._to_steps
        slopes[:, self._centres] = by_centre
        slopes[:, steps + columns : steps + 2 * columns] = by_spread
        if self._decisions is not None:
            chance = torch.sigmoid(out[:, steps + 2 * columns :])
            slopes[:, steps + 2 * columns :] = (chance - self._decisions[rows]) / _LN2
        return slopes.clamp(-_STEEPEST, _STEEPEST) / len(rows)

    @property
    def _centres(self) -> slice:
        return slice(self.steps, self.steps + self.columns)

    def _families(self) -> list[tuple[Family, slice]]:
        """Columns of each family that there is."""
        laplace, columns = self._laplace, self.columns
        parts = [(Family.LAPLACE, slice(laplace)), (Family.GAUSSIAN, slice(laplace, columns))]
        return [(family, part) for family, part in parts if part.stop > (part.start or 0)]

    @torch.no_grad()
    def network(self, number: int, inputs: NDArray[np.bool_]) -> list[Tensor]:
        """Weights and biases of the network of a unit, which sees ``inputs``."""
        hidden = slice(number * self._hidden, (number + 1) * self._hidden)
        own = self._outputs[number]
        seen = torch.from_numpy(np.flatnonzero(inputs))
        w1, b1, w2, b2, w3, b3, _ = self.rounded
        first = w1[:, hidden][seen], b1[hidden], w2[number], b2[hidden]
        return [*first, w3[hidden][:, own], b3[own]]

    @torch.no_grad()
    def gains(self, number: int) -> Tensor:
        """Of a unit, (columns,)."""
        return self.rounded[-1][self.at[number]]


def _activated(z: Tensor) -> tuple[Tensor, Tensor]:
    """What the next layer sees, and where it was not clipped."""
    clipped = z.clamp(0, ACTIVATION_MAX / UNIT)
    return torch.floor(clipped * UNIT) / UNIT, clipped == z


def _by_step(log2_step: Tensor, log2_spread: Tensor, error: Tensor) -> Tensor:
    """Slope of `fit.laws.step_cost` by ``log2_step``."""
    fine = 2 * _LN2 * (log2_spread - log2_step) + math.log(12)
    share = torch.sigmoid(fine)
    return share * (error * share * (2 * _LN2 / 12) - 1)


def _by_law(
    family: Family, residual: Tensor, sigma: Tensor, error: Tensor
) -> tuple[Tensor, Tensor]:
    """Slopes of the bits by the value, in steps, and by log2 of the deviation.

    The spread learns from the integers that the encoder chooses; the centre from the slope of
    the density, or from the squared error where zero is chosen.
    """
    narrow = sigma.clamp_min(SMALLEST_SIGMA)
    whole = cheapest(family, residual, narrow, 1 / error).abs()
    if family is Family.LAPLACE:
        rate = math.sqrt(2) / narrow
        by_value = rate / _LN2
        zero = whole == 0
        tail = 1 / torch.expm1(torch.where(zero, rate / 2, rate))
        by_rate = torch.where(zero, -tail / 2, whole - 0.5 - tail)
        by_spread = -rate * by_rate
    else:
        low, high = (whole - 0.5) / narrow, (whole + 0.5) / narrow
        mass = (torch.special.ndtr(-low) - torch.special.ndtr(-high)).clamp_min(2.0**-20)
        by_spread = (high * density(high) - low * density(low)) / mass
        edge = low.clamp(4, 8)
        by_spread = torch.where(low > 4, -edge * edge, by_spread)
        by_value = (residual.abs() / narrow).clamp_max(8) / narrow / _LN2
    by_spread = by_spread * (sigma / SMALLEST_SIGMA).clamp_max(1)
    by_value = torch.sign(residual) * by_value
    return torch.where(whole == 0, 2 * residual * error, by_value), by_spread
