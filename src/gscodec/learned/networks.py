"""One integer network for each unit, over a matrix of features that grows unit by unit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import LEVELS_PER_OCTAVE
from gscodec.intnet.context import (
    MAX_STEP_BIAS,
    UnitModel,
    decode_model,
    encode_model,
)
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.coding import Decoder, Encoder
    from gscodec.intnet.context import AnyModel
    from gscodec.units import Law, Quanta, Unit


@dataclass(frozen=True)
class Networks:
    """What a file says about its units.

    Attributes:
        units: In coding order.
        models: Of each of them.
    """

    units: tuple[Unit, ...]
    models: tuple[AnyModel, ...]

    @property
    def features(self) -> int:
        """Columns that all units add to what is known."""
        return sum(unit.features for unit in self.units)

    def farthest_mean(self) -> int:
        """Largest magnitude of a typical value, quanta."""
        return max((abs(m.mean) for m in self.models if isinstance(m, UnitModel)), default=0)

    def encode(self, encoder: Encoder) -> None:
        """Codes all models in order."""
        for model in self.models:
            encode_model(encoder, model)

    @classmethod
    def decode(cls, decoder: Decoder, units: tuple[Unit, ...], width: int) -> Networks:
        """Inverse of `encode`; ``width`` columns are known before the first unit.

        Raises:
            FormatError: A field is out of range.
        """
        models = []
        for unit in units:
            models.append(decode_model(decoder, unit, width))
            width += unit.features
        return cls(units, tuple(models))

    def at(self, ratio: float) -> Networks:
        """The same, learned at one lambda, for ``ratio`` times this lambda: coarser steps.

        Steps come in eighths of an octave, which is half a decibel. Units change at different
        ratios, so that a wanted size or PSNR can be met more closely.
        """
        more = 0.5 * LEVELS_PER_OCTAVE * math.log2(ratio)
        count = sum(isinstance(model, UnitModel) for model in self.models)
        moved: list[AnyModel] = []
        number = 0
        for model in self.models:
            if isinstance(model, UnitModel):
                bias = model.step_bias + math.floor(more + (number + 0.5) / count)
                bias = max(-MAX_STEP_BIAS, min(MAX_STEP_BIAS, bias))
                moved.append(replace(model, step_bias=bias))
                number += 1
            else:
                moved.append(model)
        return replace(self, models=tuple(moved))


class Known:
    """What is known of a block: one class for whoever encodes, decodes or counts.

    A unit is coded in turns, some rows at a time. `law`, `present` and `add` are about the rows
    of the turn at hand; after the last one comes the next unit.

    Attributes:
        turns: The rows of each turn, the same for all units.
        number: Of the unit at hand.
    """

    turns: tuple[slice, ...] = (slice(None),)

    def __init__(self, networks: Networks, first: NDArray[np.int8], spare: int = 0) -> None:
        """``first`` (rows, width) is known before the first unit.

        A subclass has room for ``spare`` columns of its own.
        """
        self._networks = networks
        # Column by column, and turn after turn, so that all rows of a turn are side by side.
        self._columns = np.empty(
            (first.shape[1] + networks.features + spare, len(first)), np.int8
        )
        self._used = first.shape[1]
        for rows, place in zip(self.turns, self._places(), strict=True):
            self._columns[: self._used, place] = first[rows].T
        self._law: Law | None = None
        self._values: Quanta = np.zeros((0, 0), np.int64)
        self._decisions: dict[int, NDArray[np.bool_]] = {}
        self._turn = 0
        self.number = 0

    def _places(self) -> list[slice]:
        """Where the rows of each turn are in `_columns`."""
        count = self._columns.shape[1]
        sizes = [len(range(*rows.indices(count))) for rows in self.turns]
        ends = list(accumulate(sizes))
        return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]

    @property
    def unit(self) -> Unit:
        """The one at hand."""
        return self._networks.units[self.number]

    @property
    def model(self) -> AnyModel:
        """Of this unit."""
        return self._networks.models[self.number]

    @property
    def rows(self) -> slice:
        """Of the turn at hand."""
        return self.turns[self._turn]

    def law(self) -> Law:
        """How they are coded; its arrays must not be changed."""
        if self._law is None:
            self._law = self.predicted()
        return self._law

    def predicted(self) -> Law:
        """`law`, computed anew."""
        return self._law_after(self._used)

    def _law_after(self, columns: int) -> Law:
        """What the network of the unit says, given so many ``columns``."""
        return self.model.law(self.unit, self._columns[:columns, self._places()[self._turn]].T)

    def present(self) -> NDArray[np.bool_] | None:
        """(rows, columns) which of their values are coded; None for all."""
        if self.unit.present_by is None:
            return None
        decisions = self._decisions[self.unit.present_by][self.rows]
        return np.repeat(decisions, self.unit.columns // decisions.shape[1], axis=1)

    def add(self, residuals: Quanta) -> Quanta:
        """The turn is decoded: gives the values of the unit, quanta; zero where there are none.

        Rows of later turns are zero, too.
        """
        law, present = self.law(), self.present()
        centre, step = law.centre.T, law.step.T
        values: Quanta = centre.astype(np.result_type(centre, residuals), copy=False)
        for part in in_slices(values.shape[1]):
            values[:, part] += residuals[part].T * step[:, part]
        if present is not None:
            values[~present.T] = 0
        self._decoded(values.T)
        if len(self.turns) == 1:
            self._values = values
        else:
            if not self._turn:
                self._values = np.zeros(
                    (self.unit.columns, self._columns.shape[1]), values.dtype
                )
            wide = np.result_type(values, self._values)
            self._values = self._values.astype(wide, copy=False)
            self._values[:, self.rows] = values
        found = self._values.T
        self._law, self._turn = None, self._turn + 1
        if self._turn == len(self.turns):
            self._finish(found)
        return found

    def _decoded(self, values: Quanta) -> None:
        """Puts what later units see of ``values``, the turn at hand, behind what is known."""
        self._put(self._used, self.model.features(self.unit, values))

    def _put(self, start: int, features: NDArray[np.int8]) -> None:
        """Columns from ``start`` on, of the rows of the turn at hand."""
        place = self._places()[self._turn]
        self._columns[start : start + features.shape[1], place] = features.T

    def _finish(self, values: Quanta) -> None:
        """All turns of the unit at hand are decoded."""
        self._used += self.unit.features
        if self.unit.decides:
            self._decisions[self.number] = values == 1
        self.number += 1
        self._turn = 0
