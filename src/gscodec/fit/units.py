"""Units as training sees them: targets, and tensors in the units of their networks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gscodec.coding import LEVELS_PER_OCTAVE
from gscodec.intnet.context import (
    FINE_SHIFT,
    MAX_FRACTION_BITS,
    MAX_LOG2_UNIT,
    OUTPUT_BITS,
    Q0_INDEX,
    SMALLEST_STEP_LOG2,
    STEP_COUNT,
)
from gscodec.intnet.network import INPUT_MAX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.coding import Family
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


class TrainedUnit:
    """A target in the units of its network, as tensors."""

    def __init__(self, target: Target, device: torch.device) -> None:
        self.unit, self.family = target.unit, target.family
        self.fraction, self.mean, self.log2_unit, self.bias = scaling(target)
        unit = target.unit
        self.widths = [unit.steps, unit.columns, unit.columns]
        self.middle = self.mean * 2.0**-self.log2_unit  # in units: zero is -middle
        values = (target.values - self.mean * 2.0**-self.fraction) * 2.0 ** (
            self.fraction - self.log2_unit
        )
        self.values = torch.from_numpy(values.astype(np.float32)).to(device)
        base = (
            self.bias + _FIRST_STEP + np.array(unit.step_offset)
        ) / LEVELS_PER_OCTAVE - self.log2_unit
        self._base = torch.from_numpy(base.astype(np.float32)).to(device)
        self._step_of = torch.tensor(unit.step_of, device=device)
        ideal = target.log2_ideal + self.fraction - self.log2_unit
        self._ideal = torch.from_numpy(ideal.astype(np.float32)).to(device)
        offset = np.array(unit.step_offset) / LEVELS_PER_OCTAVE
        self._offset = torch.from_numpy(offset.astype(np.float32)).to(device)
        self.present: Tensor | None = None
        if target.present is not None:
            self.present = torch.from_numpy(target.present).to(device)

    def log2_step(self, octaves: Tensor) -> Tensor:
        """Log2 of the steps (B, columns) in units, from step outputs (B, steps) in octaves."""
        steps = octaves.index_select(1, self._step_of) + self._base
        return steps.clamp(
            SMALLEST_STEP_LOG2 - self.log2_unit,
            (STEP_COUNT - 1 + _FIRST_STEP) / LEVELS_PER_OCTAVE - self.log2_unit,
        )

    def log2_ideal(self, rows: Tensor) -> Tensor:
        """Log2 of the ideal steps (B, columns) in units."""
        return self._ideal[rows].index_select(1, self._step_of) + self._offset

    def features(self, decoded: Tensor) -> list[Tensor]:
        """What later units see of ``decoded`` (B, columns), in units."""
        limit = INPUT_MAX
        seen = [torch.floor(decoded * UNIT).clamp(-limit, limit) / UNIT]
        if self.unit.fine:
            fine = torch.floor(decoded * (UNIT << FINE_SHIFT)).clamp(-limit, limit) / UNIT
            seen.append(fine)
        return seen


class TrainedDecisions:
    """A target of decisions."""

    def __init__(self, target: Target, device: torch.device) -> None:
        self.unit = target.unit
        self._decisions = torch.from_numpy(target.values.astype(np.float32)).to(device)

    def wanted(self, rows: Tensor) -> Tensor:
        """(B, columns), each 0 or 1."""
        return self._decisions[rows]

    @staticmethod
    def bits(logits: Tensor, wanted: Tensor) -> Tensor:
        """Of all decisions together."""
        nats = binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
        return nats / math.log(2)
