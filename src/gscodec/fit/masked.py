"""All networks of a model as one, learned together: matrices with blocks of zeros; numpy float32.

One network with masks takes a few large operations where many small networks take hundreds of
small ones, whose calls would cost more than their arithmetic. All it sees is given, so nothing
passes from one unit to another; see `fit.hemgs`.

The loss of a row is bits, and the error of its steps in bits (`fit.slopes`). Weights are
rounded, and values are what the encoder will choose, from the start. Two rules keep narrow laws
from becoming all: a step is chosen as if the spread were not below the ideal step, and where
the encoder will choose zero the centre learns from the squared error in place of the bits.

Arrays of many rows have rows last: what is sliced is the first axis.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.coding import Family
from gscodec.fit.integers import WEIGHT_SHIFT, real_weights
from gscodec.fit.sensitivity import BIT_PRICE
from gscodec.fit.slopes import by_law, by_step
from gscodec.fit.targets import UNIT
from gscodec.intnet.neighbours import GAIN_BITS, WEIGHT_BITS
from gscodec.intnet.network import ACTIVATION_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.fit.targets import Scaled, Target
    from gscodec.intnet.prior import Shared

    Floats = NDArray[np.float32]

_STEEPEST = 64.0  # bits an output: a few rows unlike all others must not lead
_FIRST_GAIN = 0.5
_FARTHEST = 4000.0  # units: half of what a bias of an exact network may be
_LAYERS = 3
_NOTHING = slice(0, 0)
# Of a change of a shared network: its unit, and the bits of each of them.
_CHANGE = 2.0**-4
_CHANGE_BITS = 5.0


class Masked:
    """Networks of ``targets``, and the loss of rows.

    Outputs are the steps of all units, then centres, then spreads of all their columns, then
    logits of decisions. Units come in the order of their families, so that a family is a range
    of columns.

    Attributes:
        parameters: (P,) weights and biases of three layers, then gains.
        rounded: The same as the loss sees them.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        scaled: Sequence[Scaled | None],
        inputs: Sequence[NDArray[np.bool_]],
        hidden: int,
        rng: np.random.Generator,
    ) -> None:
        """``inputs`` (width,) say what the network of each unit sees."""
        self._hidden = hidden
        real = [n for n, target in enumerate(targets) if not target.unit.decides]
        order = sorted(real, key=lambda n: targets[n].family, reverse=True)
        self._put([(targets[n], scaled[n]) for n in order])
        self._outputs = self._laid_out(targets, order)
        self._masks = self._masked(inputs)
        arrays = []
        for number, mask in enumerate(self._masks):
            weights = _start(mask, rng)
            # All outputs start near their biases.
            arrays.append(weights * np.float32(0.1 if number == _LAYERS - 1 else 1))
            arrays.append(np.zeros(weights[..., 0, :].size, np.float32))
        arrays.append(np.full(self.columns, _FIRST_GAIN, np.float32))
        self.parameters = np.concatenate([array.ravel() for array in arrays])
        self.rounded = self.parameters.copy()
        self._origin, self._prices = np.zeros((2, len(self.parameters)), np.float32)
        self._shapes = [array.shape for array in arrays]
        units = [1 << WEIGHT_SHIFT, UNIT << WEIGHT_SHIFT] * _LAYERS + [1 << GAIN_BITS]
        sizes = [array.size for array in arrays]
        self._units = np.repeat(np.array(units, np.float32), sizes)

    def _put(self, own: Sequence[tuple[Target, Scaled | None]]) -> None:
        """Values and steps of all columns."""
        steps = np.cumsum([0, *(target.unit.steps for target, _ in own)])
        parts = [s for _, s in own if s is not None]
        self.steps = int(steps[-1])
        self.columns = sum(target.unit.columns for target, _ in own)
        laplace = [t.unit.columns for t, _ in own if t.family is Family.LAPLACE]
        self._laplace = sum(laplace)
        self._values = np.concatenate([s.values for s in parts], axis=1)
        self._ideal = np.concatenate([s.ideal for s in parts], axis=1)
        self._base = np.concatenate([s.base for s in parts])[:, None]
        self._offset = np.concatenate([s.offset for s in parts])[:, None]
        self._step_of = np.concatenate(
            [
                np.array(t.unit.step_of, np.int64) + first
                for (t, _), first in zip(own, steps, strict=False)
            ]
        )
        self._to_steps = np.eye(self.steps, dtype=np.float32)[:, self._step_of]
        limits = [np.repeat(s.limits[:, None], len(s.base), axis=1) for s in parts]
        self._low, self._high = np.concatenate(limits, axis=1)[:, :, None]
        self._present: NDArray[np.bool_] | None = None
        if any(target.present is not None for target, _ in own):
            every = [
                np.ones(t.values.shape, bool) if t.present is None else t.present
                for t, _ in own
            ]
            self._present = np.concatenate(every, axis=1)

    def _laid_out(
        self, targets: Sequence[Target], order: Sequence[int]
    ) -> list[NDArray[np.int64]]:
        """Numbers of the outputs of each unit, in the order of its own network."""
        found = [np.zeros(0, np.int64) for _ in targets]
        self.at: list[slice] = [slice(0, 0) for _ in targets]  # its columns
        step = column = 0
        for number in order:
            unit = targets[number].unit
            own = np.arange(column, column + unit.columns) + self.steps
            found[number] = np.concatenate(
                [np.arange(step, step + unit.steps), own, own + self.columns]
            )
            self.at[number] = slice(column, column + unit.columns)
            step, column = step + unit.steps, column + unit.columns
        first = self.steps + 2 * self.columns
        wanted = []
        for number, target in enumerate(targets):
            if target.unit.decides:
                found[number] = np.arange(first, first + target.unit.columns)
                first += target.unit.columns
                wanted.append(target.values.astype(np.float32))
        self._decisions = np.concatenate(wanted, axis=1) if wanted else None
        return found

    def _masked(self, inputs: Sequence[NDArray[np.bool_]]) -> list[Floats]:
        """What of the matrices is not zero."""
        hidden, units = self._hidden, len(inputs)
        first = np.repeat(np.stack(inputs, axis=1), hidden, axis=1)
        second = np.ones((units, hidden, hidden))
        third = np.zeros((units * hidden, sum(map(len, self._outputs))))
        for number, own in enumerate(self._outputs):
            third[number * hidden : (number + 1) * hidden, own] = 1
        return [mask.astype(np.float32) for mask in (first, second, third)]

    def start_from(self, shared: Sequence[Shared], rates: Sequence[int]) -> None:
        """Starts all units at networks that are ``shared``, and rounds what they change.

        All changes are multiples of `_CHANGE`, so that they take few bits.
        """
        for number, (own, rate) in enumerate(zip(shared, rates, strict=False)):
            weights = real_weights(own.unit, own.at(rate))
            values = *weights, own.gains / (1 << GAIN_BITS)
            coarse = *[1 / _CHANGE] * len(weights), float(1 << GAIN_BITS)
            for part, (value, unit) in enumerate(zip(values, coarse, strict=True)):
                where = self._where(part, number)
                for flat, put in ((self._origin, value), (self._units, unit)):
                    self._split(flat)[part][where] = put
                self._split(self.parameters)[part][where] = value
                self._split(self._prices)[part][where] = _CHANGE_BITS * unit

    def _where(self, part: int, number: int) -> Any:
        """Which of a part of the parameters are of a unit; as in `network`."""
        hidden = slice(number * self._hidden, (number + 1) * self._hidden)
        outputs, seen = self._outputs[number], self._masks[0][:, hidden.start] > 0
        places: tuple[Any, ...] = (
            (seen, hidden),
            hidden,
            number,
            hidden,
            (hidden, outputs),
            outputs,
            self.at[number],
        )
        return places[part]

    def cost_of_changes(self, count: int) -> Floats:
        """Slopes of what changes of the networks cost each of ``count`` primitives, in bits."""
        changes: Floats = np.sign(self.rounded - self._origin)
        changes *= self._prices
        changes /= count
        return changes

    def start_outputs(self, means: NDArray[np.int16]) -> None:
        """Outputs start at the mean step, and at what is typical beside the ``means``."""
        bias, first = self._split(self.parameters)[5], self.steps
        for column in range(self.columns):
            rows = slice(None) if self._present is None else self._present[:, column]
            lead = means[rows, column] * np.float32(_FIRST_GAIN / (UNIT << WEIGHT_BITS))
            own = self._values[rows, column] - lead
            if len(own):
                step, offset = self._step_of[column], self._offset[column] - self._base[column]
                middle = np.median(own)
                spread = np.log2(1.4 * np.abs(own - middle).mean() + 1e-6)
                bias[step] = self._ideal[rows, step].mean() + offset[0]
                bias[first + column] = np.clip(middle, -_FARTHEST, _FARTHEST)
                bias[first + self.columns + column] = np.clip(spread, -_FARTHEST, _FARTHEST)

    def round_parameters(self) -> None:
        """Makes ``rounded`` of the parameters."""
        np.subtract(self.parameters, self._origin, out=self.rounded)
        self.rounded *= self._units
        np.rint(self.rounded, out=self.rounded)
        self.rounded /= self._units
        self.rounded += self._origin

    def _split(self, flat: Floats) -> list[Floats]:
        """Weights and biases by layer, and gains: views of ``flat``."""
        parts, start = [], 0
        for shape in self._shapes:
            end = start + math.prod(shape)
            parts.append(flat[start:end].reshape(shape))
            start = end
        return parts

    def gradients(
        self,
        rows: NDArray[np.int64],
        seen: Floats,
        means: Floats,
        learned: slice = _NOTHING,
    ) -> tuple[Floats, Floats]:
        """Of the loss of ``rows`` (B,), in closed form.

        ``seen`` (B, width) and ``means`` (columns, B) are of all units.

        Returns:
            By the parameters, in their order, and by the inputs ``learned``: (inputs, B).
        """
        w1, b1, w2, b2, w3, b3, gains = self._split(self.rounded)
        units, hidden, count = len(w2), self._hidden, len(rows)
        found = np.empty_like(self.parameters)
        to_w1, to_b1, to_w2, to_b2, to_w3, to_b3, to_gains = self._split(found)
        a1, open1 = _activated(w1.T @ seen.T, b1[:, None])
        each = a1.reshape(units, hidden, count)
        a2, open2 = _activated(w2.transpose(0, 2, 1) @ each, b2.reshape(units, hidden, 1))
        last = a2.reshape(units * hidden, count)
        out = w3.T @ last
        out += b3[:, None]
        slopes = self._slopes(out, rows, means, gains)
        np.einsum("cb,cb->c", slopes[self._centres], means, out=to_gains)
        slopes.sum(axis=1, out=to_b3)
        np.multiply(last @ slopes.T, self._masks[2], out=to_w3)
        back = (w3 @ slopes).reshape(units, hidden, count)
        back *= open2
        np.matmul(each, back.transpose(0, 2, 1), out=to_w2)
        back.reshape(-1, count).sum(axis=1, out=to_b2)
        back = w2 @ back
        back *= open1.reshape(back.shape)
        first = back.reshape(-1, count)
        first.sum(axis=1, out=to_b1)
        np.multiply(seen.T @ first.T, self._masks[0], out=to_w1)
        return found, w1[learned] @ first

    def _slopes(
        self, out: Floats, rows: NDArray[np.int64], means: Floats, gains: Floats
    ) -> Floats:
        """Of the loss by the outputs ``out`` (outputs, B), a mean over the rows."""
        steps, columns, at = self.steps, self.columns, self._step_of
        octaves = out[:steps][at] + self._base
        spread = out[steps + columns : steps + 2 * columns]
        log2_ideal = self._ideal[rows].T[at] + self._offset
        log2_step = np.minimum(np.maximum(octaves, self._low), self._high)
        step_inverse = np.exp2(-log2_step)
        residual = self._values[rows].T - out[self._centres]
        residual -= gains[:, None] * means
        residual *= step_inverse
        error = np.exp2(2 * (log2_step - log2_ideal)) / BIT_PRICE  # of a step, in bits
        slopes = np.empty_like(out)
        by_steps = by_step(log2_step, np.maximum(spread, log2_ideal), error)
        by_steps *= octaves == log2_step
        wide = np.exp2(spread) * step_inverse  # in steps
        by_centre, by_spread = slopes[self._centres], slopes[steps + columns :][:columns]
        for family, part in self._families():
            own = residual[part], wide[part], error[part]
            by_centre[part], by_spread[part] = by_law(family, *own)
        by_centre *= -step_inverse
        if self._present is not None:
            present = self._present[rows].T
            by_steps *= present
            by_centre *= present
            by_spread *= present
        np.matmul(self._to_steps, by_steps, out=slopes[:steps])
        if self._decisions is not None:
            chance = 1 / (1 + np.exp(-out[steps + 2 * columns :]))
            slopes[steps + 2 * columns :] = (chance - self._decisions[rows].T) / math.log(2)
        np.clip(slopes, -_STEEPEST, _STEEPEST, out=slopes)
        slopes /= len(rows)
        return slopes

    @property
    def _centres(self) -> slice:
        return slice(self.steps, self.steps + self.columns)

    def _families(self) -> list[tuple[Family, slice]]:
        """Columns of each family that there is."""
        laplace, columns = self._laplace, self.columns
        parts = [(Family.LAPLACE, slice(laplace)), (Family.GAUSSIAN, slice(laplace, columns))]
        return [(family, part) for family, part in parts if part.stop > (part.start or 0)]

    def network(self, number: int, inputs: NDArray[np.bool_]) -> list[Floats]:
        """Weights and biases of the network of a unit, which sees ``inputs``."""
        hidden = slice(number * self._hidden, (number + 1) * self._hidden)
        own = self._outputs[number]
        w1, b1, w2, b2, w3, b3, _ = self._split(self.rounded)
        first = w1[inputs, hidden], b1[hidden], w2[number], b2[hidden]
        return [*first, w3[hidden][:, own], b3[own]]

    def gains(self, number: int) -> Floats:
        """Of a unit, (columns,)."""
        return self._split(self.rounded)[-1][self.at[number]]


def _start(mask: Floats, rng: np.random.Generator) -> Floats:
    """Random weights where ``mask`` (..., inputs, outputs) has them, of one spread for each output."""
    inputs = np.maximum(mask.sum(axis=-2, keepdims=True), 1)
    random = rng.random(mask.shape, np.float32) * 2 - 1
    weights: Floats = random * mask / np.sqrt(inputs)
    return weights


def _activated(z: Floats, bias: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """What the next layer sees of ``z``, which is overwritten, and where it was not clipped."""
    z += bias
    top = ACTIVATION_MAX / UNIT
    unclipped = (z > 0) & (z <= top)
    np.clip(z, 0, top, out=z)
    z *= UNIT
    np.floor(z, out=z)
    z *= 1 / UNIT
    return z, unclipped
