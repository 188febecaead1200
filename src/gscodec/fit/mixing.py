"""Columns of some units as residuals in a basis, and back: numpy for coding, torch for drawing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from gscodec.camera import Camera
    from gscodec.fit.drawing import Drawn, Moving
    from gscodec.fit.subject import Columns
    from gscodec.intnet.prediction import Prediction


@dataclass(frozen=True)
class Mixing:
    """How it is done for one scene.

    Attributes:
        units: Numbers of the units, one after the other.
        prediction: What a file says.
        predicted: (N, F) float64 coordinates that its pool predicts; None if it has none.
    """

    units: range
    prediction: Prediction
    predicted: NDArray[np.float64] | None = None

    @cached_property
    def matrix(self) -> NDArray[np.float64] | None:
        """(F, F): values are this times coordinates; None: they are coordinates."""
        basis = self.prediction.basis
        return None if basis is None else basis.floats()

    def rows(self, rows: slice) -> Mixing:
        """Of some rows."""
        if self.predicted is None:
            return self
        return replace(self, predicted=self.predicted[rows])

    def residuals(self, columns: Columns) -> Columns:
        """``columns`` of all units, those of `units` as residuals; inverse of `values`."""
        whole = np.concatenate(self.own(columns), axis=1)
        if self.matrix is not None:
            whole = whole @ np.linalg.inv(self.matrix).T
        if self.predicted is not None:
            whole = whole - self.predicted
        return self._with(columns, whole)

    def values(self, columns: Columns) -> Columns:
        """``columns`` of all units, those of `units` as they are in the scene."""
        whole = np.concatenate(self.own(columns), axis=1)
        if self.predicted is not None:
            whole = whole + self.predicted
        return self._with(columns, whole if self.matrix is None else whole @ self.matrix.T)

    def own(self, columns: Columns) -> Columns:
        """Those of `units`."""
        return columns[self.units.start : self.units.stop]

    def _with(self, columns: Columns, whole: NDArray[np.float64]) -> Columns:
        ends = np.cumsum([column.shape[1] for column in self.own(columns)])[:-1]
        own = np.split(whole, ends, axis=1)
        return [*columns[: self.units.start], *own, *columns[self.units.stop :]]

    def drawing(self, drawing: Moving, decisions: int) -> Moving:
        """``drawing``, which knows no ``decisions``, for columns that are residuals."""
        return _MixedDrawing(self, drawing, decisions)


class _MixedDrawing:
    """A drawing of values as one of residuals."""

    def __init__(self, mixing: Mixing, drawing: Moving, decisions: int) -> None:
        self._mixing, self._drawing = mixing, drawing
        self._units = slice(mixing.units.start - decisions, mixing.units.stop - decisions)
        self.free, self.limits = drawing.free, drawing.limits
        self.conventions = drawing.conventions
        self._constants: list[Tensor | None] = []

    def gaussians(self, values: Sequence[Tensor], number: int, camera: Camera) -> Drawn:
        """See `Drawing`."""
        import torch

        own = values[self._units]
        predicted, matrix = self._on(own[0].device)
        mixed = torch.cat(list(own), dim=1)
        if predicted is not None:
            mixed = mixed + predicted
        if matrix is not None:
            mixed = mixed @ matrix.T
        parts = torch.split(mixed, [part.shape[1] for part in own], dim=1)
        whole = [*values[: self._units.start], *parts, *values[self._units.stop :]]
        return self._drawing.gaussians(whole, number, camera)

    def _on(self, device: torch.device) -> list[Tensor | None]:
        import torch

        if not self._constants:
            arrays = self._mixing.predicted, self._mixing.matrix
            self._constants = [
                None if a is None else torch.from_numpy(a.astype(np.float32)).to(device)
                for a in arrays
            ]
        return self._constants

    def follow(self, number: int, quanta: NDArray[np.int64]) -> None:
        """See `Moving`."""
        self._drawing.follow(number, quanta)

    def state(self) -> list[NDArray[np.float32]]:
        """See `Moving`."""
        return self._drawing.state()
