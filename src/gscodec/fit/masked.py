"""All networks of a model as one, learned together: matrices with blocks of zeros.

One network with masks takes a few large operations where many small networks take hundreds of
small ones, whose calls would cost more than their arithmetic. All it sees is given, so nothing
passes from one unit to another; see `fit.hemgs`.

The loss of a value is its bits, with noise-free residuals first; once weights are rounded it is
that of what the encoder will choose. Two rules keep narrow laws from becoming all: a step is
chosen as if the spread were not far below the ideal step, and where the encoder will choose
zero the centre learns from the squared error, as far as it costs, in place of the bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gscodec.coding import Family
from gscodec.fit.integers import WEIGHT_SHIFT
from gscodec.fit.laws import SMALLEST_SIGMA, bits, cheapest, step_cost
from gscodec.fit.sensitivity import BIT_PRICE
from gscodec.fit.targets import UNIT
from gscodec.intnet.neighbours import WEIGHT_BITS
from gscodec.intnet.network import ACTIVATION_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.fit.targets import Scaled, Target

_SPREAD = 1.0  # octaves below the ideal step to which a spread counts when a step is chosen
_FIRST_GAIN = 0.5
GAIN_UNIT = 64


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
        biases = [torch.zeros(mask.shape[1], device=device) for mask in masks]
        gains = torch.full((self.columns,), _FIRST_GAIN, device=device)
        pairs = zip(self._weights, biases, strict=True)
        self.parameters = [p.requires_grad_() for pair in pairs for p in pair]
        self.parameters.append(gains.requires_grad_())
        self.rounded = [p.detach().clone().requires_grad_() for p in self.parameters]
        bias_unit = UNIT << WEIGHT_SHIFT
        self._units = [1 << WEIGHT_SHIFT, bias_unit] * len(masks) + [GAIN_UNIT]

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
        second = np.kron(np.eye(units), np.ones((hidden, hidden)))
        outputs = sum(len(own) for own in self._outputs)
        third = np.zeros((units * hidden, outputs))
        for number, own in enumerate(self._outputs):
            third[number * hidden : (number + 1) * hidden, own.numpy()] = 1
        return [torch.from_numpy(mask.astype(np.float32)) for mask in (first, second, third)]

    @staticmethod
    def _start(mask: Tensor, generator: torch.Generator, device: torch.device) -> Tensor:
        random = torch.rand(mask.shape, generator=generator) * 2 - 1
        return (random * mask / mask.sum(0).clamp_min(1).sqrt()).to(device)

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
                bias[first + column] = middle
                bias[first + self.columns + column] = spread

    @torch.no_grad()
    def round_parameters(self, *, rounding: bool) -> None:
        """Copies the parameters into ``rounded``, rounded if asked."""
        for unit, own, rounded in zip(self._units, self.parameters, self.rounded, strict=True):
            rounded.copy_(torch.round(own * unit) / unit if rounding else own)

    @torch.no_grad()
    def set_gradients(self, shards: Sequence[Sequence[Tensor]]) -> None:
        """Gives the sum of the gradients by ``rounded`` to the parameters."""
        for parameter, *parts in zip(self.parameters, *shards, strict=True):
            parameter.grad = sum(parts[1:], parts[0])
        for weights, mask in zip(self._weights, self._masked, strict=True):
            if weights.grad is not None:
                weights.grad *= mask

    def loss(self, rows: Tensor, seen: Tensor, means: Tensor, *, rounding: bool) -> Tensor:
        """Bits of a row of ``rows`` (B,), plus the penalty of its steps.

        ``seen`` (B, width) and ``means`` (B, columns) are of all units.
        """
        out = self._evaluate(seen, rounding=rounding)
        end = self.steps + 2 * self.columns
        octaves, centre, spread, logits = torch.split(
            out, [self.steps, self.columns, self.columns, out.shape[1] - end], dim=1
        )
        centre = centre + self.rounded[-1] * means
        log2_ideal = self._ideal[rows][:, self._step_of] + self._offset
        log2_step = octaves[:, self._step_of] + self._base
        log2_step = torch.minimum(torch.maximum(log2_step, self._low), self._high)
        wide = torch.maximum(spread.detach(), log2_ideal - _SPREAD)
        cost = step_cost(log2_step, log2_ideal, wide)
        log2_step = log2_step.detach()
        sigma = torch.exp2(spread - log2_step)
        residual = (self._values[rows] - centre) * torch.exp2(-log2_step)
        if self._present is not None:
            # What is absent gets the narrowest table and no residual: no bits.
            present = self._present[rows]
            cost = cost * present
            residual = torch.where(present, residual, 0.0)
            sigma = torch.where(present, sigma, SMALLEST_SIGMA)
        if rounding:
            price = BIT_PRICE * torch.exp2(2 * (log2_ideal - log2_step))
            total = self._rounded_bits(residual, sigma, price)
        else:
            total = self._by_family(bits, residual, sigma).sum()
        if self._decisions is not None:
            wanted = self._decisions[rows]
            nats = binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
            total = total + nats / math.log(2)
        return (cost.sum() + total) / len(rows)

    def _rounded_bits(self, residual: Tensor, sigma: Tensor, price: Tensor) -> Tensor:
        """Spread learns from the rounded values, the centre from where they are."""
        whole = self._by_family(cheapest, residual.detach(), sigma.detach(), price)
        own = self._by_family(bits, residual, sigma.detach())
        own = torch.where(whole == 0, residual * residual / price, own)
        return self._by_family(bits, whole, sigma).sum() + own.sum()

    def _by_family(self, function: Callable[..., Tensor], *args: Tensor) -> Tensor:
        parts = [
            function(family, *(arg[:, part] for arg in args))
            for family, part in (
                (Family.LAPLACE, slice(self._laplace)),
                (Family.GAUSSIAN, slice(self._laplace, None)),
            )
            if args[0][:, part].shape[1]
        ]
        return torch.cat(parts, dim=1)

    def _evaluate(self, x: Tensor, *, rounding: bool) -> Tensor:
        for number in (0, 2):
            x = torch.addmm(self.rounded[number + 1], x, self.rounded[number])
            x = x.clamp(0, ACTIVATION_MAX / UNIT)
            if rounding:
                x = x + (torch.floor(x.detach() * UNIT) / UNIT - x.detach())
        return torch.addmm(self.rounded[5], x, self.rounded[4])

    @torch.no_grad()
    def network(self, number: int, inputs: NDArray[np.bool_]) -> list[Tensor]:
        """Weights and biases of the network of a unit, which sees ``inputs``."""
        hidden = slice(number * self._hidden, (number + 1) * self._hidden)
        own = self._outputs[number]
        seen = torch.from_numpy(np.flatnonzero(inputs))
        w1, b1, w2, b2, w3, b3, _ = self.parameters
        parts = w1[seen, hidden], b1[hidden], w2[hidden, hidden], b2[hidden]
        return [part.detach() for part in (*parts, w3[hidden, own], b3[own])]

    @torch.no_grad()
    def gains(self, number: int) -> Tensor:
        """Of a unit, (columns,)."""
        return self.parameters[-1][self.at[number]].detach()
