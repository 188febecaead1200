"""Occupied cells of one depth of an octree, what they hold, and what is beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.geometry import morton

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.units import Place

_FACES = np.concatenate([np.eye(3, dtype=np.int64), -np.eye(3, dtype=np.int64)])


@dataclass(frozen=True)
class Nodes:
    """The occupied cells of one depth.

    Attributes:
        depth: In levels below the root.
        codes: (n,) uint64 Morton codes, rising.
    """

    depth: int
    codes: NDArray[np.uint64]

    @classmethod
    def of(cls, place: Place, depth: int) -> Nodes:
        """Of primitives, in the order of their codes."""
        codes = _above(place.codes, place.bits - depth)
        new = np.ones(len(codes), bool)
        np.not_equal(codes[1:], codes[:-1], out=new[1:])
        return cls(depth, codes[new])

    def __len__(self) -> int:
        """How many."""
        return len(self.codes)

    def cells(self, rows: slice) -> NDArray[np.int64]:
        """(rows, 3) where some of them are, on the lattice of their depth."""
        return morton.decode(self.codes[rows])

    def holding(self, deeper: Nodes, rows: slice) -> NDArray[np.int64]:
        """Those that hold some nodes ``deeper`` than these."""
        return self.of_codes(deeper.codes[rows], deeper.depth)

    def of_codes(self, codes: NDArray[np.uint64], depth: int) -> NDArray[np.int64]:
        """Those that hold cells with ``codes`` of a deeper ``depth``."""
        return np.searchsorted(self.codes, _above(codes, depth - self.depth))

    def faces(self, rows: slice) -> NDArray[np.int64]:
        """(rows, 6) those that share a face with each; itself where there is none."""
        own = np.arange(len(self.codes))[rows]
        cells = self.cells(rows)
        found = np.empty((len(own), len(_FACES)), np.int64)
        for column, away in enumerate(_FACES):
            there = cells + away
            inside = ((there >= 0) & (there < 1 << self.depth)).all(axis=1)
            codes = morton.encode(np.where(inside[:, None], there, 0))
            at = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
            found[:, column] = np.where(inside & (self.codes[at] == codes), at, own)
        return found


def _above(codes: NDArray[np.uint64], levels: int) -> NDArray[np.uint64]:
    above: NDArray[np.uint64] = codes >> np.uint64(3 * levels)
    return above
