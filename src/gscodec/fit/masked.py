"""All networks of a model, learned together; numpy float32.

What is small is done for all of them at once, for calls of small operations would cost more than
their arithmetic; only products of what networks see, and of what they give, are each network's
own. All they see is given, so nothing passes from one unit to another; see `fit.hemgs`.

The loss of a row is bits, and the error of its steps in bits (`fit.slopes`). Weights are
rounded, and values are what the encoder will choose, from the start. Two rules keep narrow laws
from becoming all: a step is chosen as if the spread were not below the ideal step, and where
the encoder will choose zero the centre learns from the squared error in place of the bits.

Arrays of many rows have rows last: what is sliced is the first axis.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

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
_TYPICAL = 16384  # rows, about, that tell what is typical
_FARTHEST = 4000.0  # units: half of what a bias of an exact network may be
_NOTHING = slice(0, 0)
# Of a change of a shared network: its unit, and the bits of each of them.
_CHANGE = 2.0**-4
_CHANGE_BITS = 5.0


class _Parts(NamedTuple):
    """Of the parameters: weights and biases of three layers, and gains.

    Attributes:
        first: For each network (columns, hidden): columns from the first on that it sees, those
            between them that it does not see 0.
        first_bias: (networks * hidden,)
        second: (networks, hidden, hidden)
        second_bias: (networks * hidden,)
        third: For each network (hidden, its outputs).
        third_bias: (outputs,)
        gains: (columns,)
    """

    first: list[Floats]
    first_bias: Floats
    second: Floats
    second_bias: Floats
    third: list[Floats]
    third_bias: Floats
    gains: Floats


class Masked:
    """Networks of ``targets``, and the loss of rows.

    Outputs are the steps of all units, then centres, then spreads of all their columns, then
    logits of decisions. Units come in the order of their families, so that a family is a range
    of columns.

    Attributes:
        parameters: (P,) as `_Parts` has them, one after the other.
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
        self._seen = [seen[: int(np.flatnonzero(seen)[-1]) + 1] for seen in inputs]
        self._parts = self._laid_in()
        arrays = self._started(rng)
        self.parameters = np.concatenate([array.ravel() for array in arrays])
        self.rounded = self.parameters.copy()
        self._own = self._split(self.rounded)
        self._origin, self._prices = np.zeros((2, len(self.parameters)), np.float32)
        self._units = np.full_like(self.parameters, 1 << WEIGHT_SHIFT)
        own = self._split(self._units)
        for biases in (own.first_bias, own.second_bias, own.third_bias):
            biases[:] = UNIT << WEIGHT_SHIFT
        own.gains[:] = 1 << GAIN_BITS

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
        self._logits = sum(part.shape[1] for part in wanted)
        return found

    def _laid_in(self) -> list[tuple[int, ...]]:
        """Shapes of all arrays of the parameters, in the order of `_Parts`."""
        hidden, units = self._hidden, len(self._seen)
        return [
            *((len(seen), hidden) for seen in self._seen),
            (units * hidden,),
            (units, hidden, hidden),
            (units * hidden,),
            *((hidden, len(own)) for own in self._outputs),
            (self.steps + 2 * self.columns + self._logits,),
            (self.columns,),
        ]

    def _started(self, rng: np.random.Generator) -> list[Floats]:
        """Random weights, of one spread for each layer of a network; no biases."""
        arrays = [np.zeros(shape, np.float32) for shape in self._parts]
        count = len(self._seen)
        for seen, first in zip(self._seen, arrays, strict=False):
            first[seen] = _random((int(seen.sum()), self._hidden), rng)
        arrays[count + 1] = _random(self._parts[count + 1], rng)
        for n in range(count + 3, 2 * count + 3):
            # All outputs start near their biases.
            arrays[n] = _random(self._parts[n], rng) * np.float32(0.1)
        arrays[-1][:] = _FIRST_GAIN
        return arrays

    def go_on_from(
        self, networks: Sequence[tuple[Sequence[NDArray[Any]], NDArray[Any]]]
    ) -> None:
        """Starts all units at weights and biases of their ``networks``, and at gains."""
        for number, (weights, gains) in enumerate(networks):
            values = *weights, gains
            for (array, where), value in zip(
                self._of(self.parameters, number), values, strict=True
            ):
                array[where] = value

    def start_from(self, shared: Sequence[Shared], rates: Sequence[int]) -> None:
        """Starts all units at networks that are ``shared``, and rounds what they change.

        All changes are multiples of `_CHANGE`, so that they take few bits.
        """
        for number, (own, rate) in enumerate(zip(shared, rates, strict=False)):
            weights = real_weights(own.unit, own.at(rate))
            values = *weights, own.gains / (1 << GAIN_BITS)
            coarse = *[1 / _CHANGE] * len(weights), float(1 << GAIN_BITS)
            for part, (value, unit) in enumerate(zip(values, coarse, strict=True)):
                for flat, put in (
                    (self._origin, value),
                    (self.parameters, value),
                    (self._units, unit),
                    (self._prices, _CHANGE_BITS * unit),
                ):
                    array, where = self._of(flat, number)[part]
                    array[where] = put

    def _of(self, flat: Floats, number: int) -> list[tuple[Floats, Any]]:
        """Parts of ``flat`` that are of a unit, and where in them; as in `network`."""
        parts = self._split(flat)
        hidden = slice(number * self._hidden, (number + 1) * self._hidden)
        return [
            (parts.first[number], self._seen[number]),
            (parts.first_bias, hidden),
            (parts.second, number),
            (parts.second_bias, hidden),
            (parts.third[number], ...),
            (parts.third_bias, self._outputs[number]),
            (parts.gains, self.at[number]),
        ]

    def cost_of_changes(self, count: int) -> Floats:
        """Slopes of what changes of the networks cost each of ``count`` primitives, in bits."""
        changes: Floats = np.sign(self.rounded - self._origin)
        changes *= self._prices
        changes /= count
        return changes

    def start_outputs(self, means: NDArray[np.int16]) -> None:
        """Outputs start at the mean step, and at what is typical beside the ``means``."""
        bias, first = self._split(self.parameters).third_bias, self.steps
        some = slice(None, None, 1 + len(means) // _TYPICAL)
        present = None if self._present is None else self._present[some]
        leads = means[some] * np.float32(_FIRST_GAIN / (UNIT << WEIGHT_BITS))
        every, ideal = self._values[some] - leads, self._ideal[some]
        for column in range(self.columns):
            rows = slice(None) if present is None else present[:, column]
            own = every[rows, column]
            if len(own):
                step, offset = self._step_of[column], self._offset[column] - self._base[column]
                middle = np.median(own)
                spread = np.log2(1.4 * np.abs(own - middle).mean() + 1e-6)
                bias[step] = ideal[rows, step].mean() + offset[0]
                bias[first + column] = np.clip(middle, -_FARTHEST, _FARTHEST)
                bias[first + self.columns + column] = np.clip(spread, -_FARTHEST, _FARTHEST)

    def round_parameters(self) -> None:
        """Makes ``rounded`` of the parameters."""
        np.subtract(self.parameters, self._origin, out=self.rounded)
        self.rounded *= self._units
        np.rint(self.rounded, out=self.rounded)
        self.rounded /= self._units
        self.rounded += self._origin

    def _split(self, flat: Floats) -> _Parts:
        """Views of ``flat``."""
        found, start, count = [], 0, len(self._seen)
        for shape in self._parts:
            end = start + math.prod(shape)
            found.append(flat[start:end].reshape(shape))
            start = end
        first_bias, second, second_bias = found[count : count + 3]
        third_bias, gains = found[-2:]
        third = found[count + 3 : -2]
        return _Parts(found[:count], first_bias, second, second_bias, third, third_bias, gains)

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
        own, found = self._own, np.empty_like(self.parameters)
        to = self._split(found)
        units, hidden, count = len(self._seen), self._hidden, len(rows)
        each = np.empty((units, hidden, count), np.float32)
        for weights, out in zip(own.first, each, strict=True):
            np.matmul(weights.T, seen[:, : len(weights)].T, out=out)
        shape = units, hidden, 1
        open1 = _activated(each, own.first_bias.reshape(shape))
        last = own.second.transpose(0, 2, 1) @ each
        open2 = _activated(last, own.second_bias.reshape(shape))
        out = np.empty((len(own.third_bias), count), np.float32)
        for outputs, weights, x in zip(self._outputs, own.third, last, strict=True):
            out[outputs] = weights.T @ x
        out += own.third_bias[:, None]
        slopes = self._slopes(out, rows, means, own.gains)
        np.einsum("cb,cb->c", slopes[self._centres], means, out=to.gains)
        slopes.sum(axis=1, out=to.third_bias)
        back = np.empty_like(last)
        for n, outputs in enumerate(self._outputs):
            by_out = slopes[outputs]
            np.matmul(last[n], by_out.T, out=to.third[n])
            np.matmul(own.third[n], by_out, out=back[n])
        back *= open2
        np.matmul(each, back.transpose(0, 2, 1), out=to.second)
        back.reshape(-1, count).sum(axis=1, out=to.second_bias)
        back = own.second @ back
        back *= open1
        back.reshape(-1, count).sum(axis=1, out=to.first_bias)
        by_inputs = np.zeros((learned.stop - learned.start, count), np.float32)
        for n, used in enumerate(self._seen):
            np.matmul(seen[:, : len(used)].T, back[n].T, out=to.first[n])
            to.first[n][~used] = 0
            if len(by_inputs):
                by_inputs += own.first[n][learned] @ back[n]
        return found, by_inputs

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

    def network(self, number: int) -> list[Floats]:
        """Weights and biases of the network of a unit."""
        return [array[where] for array, where in self._of(self.rounded, number)[:-1]]

    def gains(self, number: int) -> Floats:
        """Of a unit, (columns,)."""
        return self._own.gains[self.at[number]]


def _random(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Weights (..., inputs, outputs)."""
    random = rng.random(shape, np.float32) * 2 - 1
    weights: Floats = random / np.float32(math.sqrt(max(shape[-2], 1)))
    return weights


def _activated(z: Floats, bias: Floats) -> NDArray[np.bool_]:
    """Makes of ``z`` what the next layer sees; returns where it was not clipped."""
    z += bias
    top = ACTIVATION_MAX / UNIT
    unclipped: NDArray[np.bool_] = (z > 0) & (z <= top)
    np.clip(z, 0, top, out=z)
    z *= UNIT
    np.floor(z, out=z)
    z *= 1 / UNIT
    return unclipped
