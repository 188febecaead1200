"""One integer network for each unit, over a matrix of features that grows unit by unit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
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
    from gscodec.units import Law, Unit


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
    """What is known of a block: one class for whoever encodes, decodes or counts."""

    def __init__(self, networks: Networks, first: NDArray[np.int8]) -> None:
        """``first`` (rows, width) is known before the first unit."""
        self._networks = networks
        self._columns = np.empty((len(first), first.shape[1] + networks.features), np.int8)
        self._used = 0
        self._append(first)
        self._law: Law | None = None
        self._decisions: dict[int, NDArray[np.bool_]] = {}
        self.number = 0  # of the next unit

    @property
    def unit(self) -> Unit:
        """The next one."""
        return self._networks.units[self.number]

    @property
    def model(self) -> AnyModel:
        """Of the next unit."""
        return self._networks.models[self.number]

    def law(self) -> Law:
        """How the next unit is coded; its arrays must not be changed."""
        if self._law is None:
            self._law = self.model.law(self.unit, self._columns[:, : self._used])
        return self._law

    def present(self) -> NDArray[np.bool_] | None:
        """(rows, columns) which values of the next unit are coded; None for all."""
        if self.unit.present_by is None:
            return None
        decisions = self._decisions[self.unit.present_by]
        return np.repeat(decisions, self.unit.columns // decisions.shape[1], axis=1)

    def add(self, residuals: NDArray[np.int64]) -> NDArray[np.int64]:
        """The next unit is decoded: gives its values, quanta, zero where there are none."""
        law, present = self.law(), self.present()
        self._law = None
        values = law.centre
        for rows in in_slices(len(values)):
            values[rows] += residuals[rows] * law.step[rows]
        if present is not None:
            values[~present] = 0
        self._append(self.model.features(self.unit, values))
        if self.unit.decides:
            self._decisions[self.number] = values == 1
        self.number += 1
        return values

    def _append(self, features: NDArray[np.int8]) -> None:
        end = self._used + features.shape[1]
        self._columns[:, self._used : end] = features
        self._used = end
