"""Positions <-> lattice cells. The only floats of geometry, and none of them decides a bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import FormatError, SceneError
from gscodec.geometry import morton
from gscodec.room import MEMORY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.room import Room

MAX_BITS = 21  # three axes fill 63 bits of a Morton code
_AT_ONCE = 1 << 16  # positions
_CURVE_BITS = 16  # of an order in which close positions are close
_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Lattice:
    """A cubic lattice of 2**bits cells per axis.

    Attributes:
        origin: Centre of cell (0, 0, 0), scene units.
        step: Edge of a cell, scene units, above 0.
        bits: Octree depth, 1 to 21.

    Raises:
        FormatError: If the numbers break these rules or a cell lies outside float32.
    """

    origin: tuple[float, float, float]
    step: float
    bits: int

    def __post_init__(self) -> None:
        """Checks the numbers: they may come from a file."""
        if not 1 <= self.bits <= MAX_BITS:
            raise FormatError(f"lattice: found {self.bits} bits, expected 1 to {MAX_BITS}")
        reach = float(np.abs(self.origin).max()) + self.step * 2**self.bits
        # Not "reach > max": NaN must fail too.
        if not (self.step > 0 and reach <= _FLOAT32_MAX):
            raise FormatError(
                f"lattice: found origin {self.origin} and step {self.step}, "
                f"expected finite float32 positions and a step above 0"
            )

    @classmethod
    def covering(cls, means: NDArray[np.float32], bits: int) -> Lattice:
        """The lattice whose cells reach from corner to corner of the bounding box.

        The longest edge of the box sets the step; a box without extent gets step 1.

        Args:
            means: (N, 3) float32, scene units.
            bits: Octree depth, 1 to 21.

        Raises:
            SceneError: If a position is infinite, not a number, or too far out for float32.
        """
        if not len(means):
            return cls((0.0, 0.0, 0.0), 1.0, bits)
        low = means.min(axis=0).astype(np.float64)
        extent = float((means.max(axis=0).astype(np.float64) - low).max())
        if not float(np.abs(low).max()) + 2 * extent < _FLOAT32_MAX:
            raise SceneError(
                "positions: found values that are infinite, not a number, or near the end of "
                "float32; remove those primitives"
            )
        step = extent / (2**bits - 1) or 1.0
        return cls((float(low[0]), float(low[1]), float(low[2])), step, bits)

    def quantize(self, means: NDArray[np.float32]) -> NDArray[np.int64]:
        """Nearest cells of ``means`` (N, 3): (N, 3) int64, each in 0 .. 2**bits - 1."""
        cells: NDArray[np.float64] = np.rint(
            (means.astype(np.float64) - np.array(self.origin)) / self.step
        )
        inside: NDArray[np.int64] = np.clip(cells, 0, 2**self.bits - 1).astype(np.int64)
        return inside

    def codes(self, means: NDArray[np.float32], room: Room = MEMORY) -> NDArray[np.uint64]:
        """Morton codes (N,) of the nearest cells of ``means`` (N, 3); both where there is ``room``."""
        found: NDArray[np.uint64] = room.empty((len(means),), np.uint64)
        for rows in room.slices(len(means), _AT_ONCE):
            found[rows] = morton.encode(self.quantize(means[rows]))
        return found

    def positions(self, ijk: NDArray[np.integer | np.floating]) -> NDArray[np.float32]:
        """Centres of cells ``ijk`` (N, 3), or places between them: (N, 3) float32, scene units."""
        # Two separate float64 operations, each correctly rounded: the same on every machine.
        offset = ijk.astype(np.float64) * self.step
        centres: NDArray[np.float32] = (offset + np.array(self.origin)).astype(np.float32)
        return centres


def along_curve(means: NDArray[np.float32], room: Room = MEMORY) -> NDArray[np.int64]:
    """Rows (N,) of ``means`` (N, 3) along the Morton curve: close ones are close.

    Both are where there is ``room``.
    """
    codes = Lattice.covering(means, _CURVE_BITS).codes(means, room)
    return room.keep(np.argsort(codes, kind="stable"))
