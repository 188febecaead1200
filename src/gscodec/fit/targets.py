"""What the model is to code, and the units in which its networks see it; numpy alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, overload

import numpy as np

from gscodec.coding import LEVELS_PER_OCTAVE
from gscodec.intnet.context import (
    MAX_FRACTION_BITS,
    MAX_LOG2_UNIT,
    OUTPUT_BITS,
    Q0_INDEX,
    SMALLEST_STEP_LOG2,
    STEP_COUNT,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.coding import Family
    from gscodec.fit.subject import Source
    from gscodec.units import Unit

UNIT = 1 << OUTPUT_BITS
_FINER = 8.0  # octaves: a base step is not finer than the ideal one by more
_Q0_OVER_MEAN = 4.0  # Q0 over the geometric mean of the wanted steps; a step is below 2 Q0
_FIRST_STEP = LEVELS_PER_OCTAVE * SMALLEST_STEP_LOG2  # its index if quanta were steps too


@dataclass(frozen=True)
class Target:
    """What is to be coded in one unit.

    Attributes:
        unit: Its columns.
        family: Shape of the likelihood.
        values: (N, columns) float64; 0 and 1 where it decides.
        log2_ideal: (N, steps) float64, log2 of the step at which a bit is worth its cost.
        present: (N, columns) bool, which values are coded; None for all.
    """

    unit: Unit
    family: Family
    values: NDArray[np.float64]
    log2_ideal: NDArray[np.float64]
    present: NDArray[np.bool_] | None = None


class Targets(Sequence[Target]):
    """Of all units in coding order: of all rows if that is asked for, or of runs of them.

    Attributes:
        units: Theirs.
    """

    def __init__(self, source: Source, price: float, lam: float) -> None:
        """What ``source`` is to be coded as where a bit is worth ``price``."""
        self._source, self._price, self._lam = source, price, lam
        self.units = tuple(target.unit for target in self.of([slice(0, 1)]))

    def of(self, runs: Sequence[slice]) -> list[Target]:
        """Of the rows of ``runs``, one after the other."""
        parts = (self._source.rows(run).targets(self._price, self._lam) for run in runs)
        return [_joined(same) for same in zip(*parts, strict=True)]

    @cached_property
    def _whole(self) -> Sequence[Target]:
        return self._source.targets(self._price, self._lam)

    @overload
    def __getitem__(self, number: int) -> Target: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[Target]: ...

    def __getitem__(self, number: int | slice) -> Target | Sequence[Target]:
        """Of all rows."""
        return self._whole[number]

    def __len__(self) -> int:
        """Number of units."""
        return len(self.units)


def _joined(parts: Sequence[Target]) -> Target:
    """Rows of one unit."""
    values = np.concatenate([part.values for part in parts])
    ideal = np.concatenate([part.log2_ideal for part in parts])
    present = [part.present for part in parts if part.present is not None]
    first = parts[0]
    return Target(
        first.unit, first.family, values, ideal, np.concatenate(present) if present else None
    )


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
    bias = round(LEVELS_PER_OCTAVE * (mean_step + fraction)) - _FIRST_STEP
    return fraction, round(float(middle) * 2**fraction), unit, min(bias, Q0_INDEX)


@dataclass(frozen=True)
class Scaled:
    """A target in units of its network, float32.

    Attributes:
        fraction: Bits of a quantum.
        mean: Typical value, quanta.
        log2_unit: Of a unit in quanta.
        bias: Of the steps' indices.
        values: (N, columns).
        ideal: (N, steps) log2 of the ideal steps.
        base: (columns,) log2 of the step that a network's zero stands for.
        offset: (columns,) added to the log2 of the ideal step.
        limits: (2,) log2 of the smallest and of the largest step.
    """

    fraction: int
    mean: int
    log2_unit: int
    bias: int
    values: NDArray[np.float32]
    ideal: NDArray[np.float32]
    base: NDArray[np.float32]
    offset: NDArray[np.float32]
    limits: NDArray[np.float32]

    @classmethod
    def of(cls, target: Target) -> Scaled:
        """``target``, which has steps."""
        fraction, mean, log2_unit, bias = scaling(target)
        values = (target.values - mean * 2.0**-fraction) * 2.0 ** (fraction - log2_unit)
        offset = np.array(target.unit.step_offset)
        base = (bias + _FIRST_STEP + offset) / LEVELS_PER_OCTAVE - log2_unit
        ideal = target.log2_ideal + fraction - log2_unit
        last = (STEP_COUNT - 1 + _FIRST_STEP) / LEVELS_PER_OCTAVE
        limits = np.array([SMALLEST_STEP_LOG2, last]) - log2_unit
        floats = values, ideal, base, offset / LEVELS_PER_OCTAVE, limits
        return cls(fraction, mean, log2_unit, bias, *(f.astype(np.float32) for f in floats))

    @property
    def zero(self) -> float:
        """The value zero, in units."""
        return float(-self.mean * 2.0**-self.log2_unit)
