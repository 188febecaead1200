"""Positions as networks and grids see them: inside of a cube that holds most of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

COORDINATE_BITS = 16  # of a position inside a box
POSITION_FEATURES = 3


@dataclass(frozen=True)
class Box:
    """Part of the lattice that is looked at; coordinates outside are clamped to it.

    Attributes:
        low: Smallest lattice coordinate per axis.
        edge: Edge in lattice cells, at least 1, the same for all axes.
    """

    low: tuple[int, int, int]
    edge: int

    def fits(self, size: int) -> bool:
        """Whether it is one of a lattice of ``size`` cells per axis."""
        return max(self.low) < size and 1 <= self.edge <= size

    def normalise(self, ijk: NDArray[np.int64]) -> NDArray[np.int64]:
        """Lattice coordinates (N, 3) as 0 .. 2**16 - 1 inside the box, (N, 3) int64."""
        inside = np.clip(ijk - np.array(self.low), 0, self.edge)
        scaled: NDArray[np.int64] = inside * ((1 << COORDINATE_BITS) - 1) // self.edge
        return scaled


def position_features(u: NDArray[np.int64]) -> NDArray[np.float32]:
    """Normalised 16-bit positions (N, 3) as inputs of a network, -127 .. 127."""
    centred: NDArray[np.float32] = np.clip((u >> 8) - 128, -127, 127).astype(np.float32)
    return centred


def box_around(ijk: NDArray[np.int64]) -> Box:
    """Cube around the middle 96 % of the points, so that outliers do not coarsen it."""
    low, high = np.percentile(ijk, [2, 98], axis=0)
    edge = max(1, min(int((high - low).max() * 1.1), int(ijk.max())))
    corner = np.maximum(0, ((low + high - edge) / 2).astype(np.int64))
    return Box((int(corner[0]), int(corner[1]), int(corner[2])), edge)
