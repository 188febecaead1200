"""Targets as tensors in the units of their networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from gscodec.fit.targets import UNIT, Scaled
from gscodec.intnet.context import FINE_SHIFT
from gscodec.intnet.network import INPUT_MAX

if TYPE_CHECKING:
    from gscodec.fit.targets import Target


class TrainedUnit:
    """A target in the units of its network, as tensors."""

    def __init__(self, target: Target, device: torch.device) -> None:
        self.unit, self.family = target.unit, target.family
        self.scaled = scaled = Scaled.of(target)
        unit = target.unit
        self.widths = [unit.steps, unit.columns, unit.columns]
        self.values = torch.from_numpy(scaled.values).to(device)
        self._base = torch.from_numpy(scaled.base).to(device)
        self._step_of = torch.tensor(unit.step_of, device=device)
        self._ideal = torch.from_numpy(scaled.ideal).to(device)
        self._offset = torch.from_numpy(scaled.offset).to(device)
        self.present: Tensor | None = None
        if target.present is not None:
            self.present = torch.from_numpy(target.present).to(device)

    def log2_step(self, octaves: Tensor) -> Tensor:
        """Log2 of the steps (B, columns) in units, from step outputs (B, steps) in octaves."""
        steps = octaves.index_select(1, self._step_of) + self._base
        low, high = self.scaled.limits.tolist()
        return steps.clamp(low, high)

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
        self.unit, self.family, self.scaled = target.unit, target.family, None
        self._decisions = torch.from_numpy(target.values.astype("float32")).to(device)

    def wanted(self, rows: Tensor) -> Tensor:
        """(B, columns), each 0 or 1."""
        return self._decisions[rows]

    @staticmethod
    def bits(logits: Tensor, wanted: Tensor) -> Tensor:
        """Of all decisions together."""
        nats = binary_cross_entropy_with_logits(logits, wanted, reduction="sum")
        return nats / math.log(2)
