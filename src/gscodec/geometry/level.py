"""One level of the octree: its nodes in Morton order, and the neighbours of those that matter.

A node is *single* (holds one point) or *multiple* (two or more). Every stage of a level works
on all of its nodes at once, in both directions of the codec.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.geometry.neighbours import (
    AROUND,
    OCCUPIED,
    SELF,
    Pairs,
    child_pairs,
    places_of,
)
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PAIRS = 1 << 18  # that are looked at together
ABSENT, SINGLE, MULTIPLE = 0, 1, 2


@dataclass(frozen=True)
class Level:
    """The nodes of one depth.

    Attributes:
        codes: (M,) uint64 Morton codes of the nodes, rising.
        single: (M,) bool, whether a node holds exactly one point.
        tracked: Whether the neighbours of single nodes are known; those of multiple ones are.
        pairs: Each node whose neighbours are known with each of them.
    """

    codes: NDArray[np.uint64]
    single: NDArray[np.bool_]
    tracked: bool
    pairs: Pairs

    @classmethod
    def root(cls, count: int) -> Level:
        """The level of the root alone, which holds ``count`` points, 1 or more."""
        return cls(np.zeros(1, np.uint64), np.array([count == 1]), True, Pairs.none())

    def __len__(self) -> int:
        """Number of nodes, M."""
        return len(self.codes)

    def around_multiple(self) -> NDArray[np.int32]:
        """(27, m) neighbours of the multiple nodes and, in the middle, these; M where absent."""
        multiple = np.flatnonzero(~self.single)
        around = np.full((AROUND, len(multiple)), len(self), np.int32)
        around[SELF] = multiple
        place = places_of(multiple, len(self))
        for rows in in_slices(len(self.pairs), _PAIRS):
            pairs = self.pairs[rows].seen_from(place)
            around[pairs.offset, pairs.one] = pairs.two
        return around


@dataclass(frozen=True)
class Children:
    """The nodes of the next depth, before it is known which of them are single.

    Attributes:
        codes: (M',) uint64 Morton codes, rising.
        parents: (M',) int32 number of the parent.
        parent_single: (M',) bool, whether the parent is single; then so is the child.
        siblings: (M',) uint8 number of children of the parent, 1 to 8.
        tracked: Whether neighbours of the children of single nodes are listed.
        pairs: Each other child with each of its neighbours, at least.
    """

    codes: NDArray[np.uint64]
    parents: NDArray[np.int32]
    parent_single: NDArray[np.bool_]
    siblings: NDArray[np.uint8]
    tracked: bool
    pairs: Pairs

    def undecided(self) -> NDArray[np.bool_]:
        """(M',) bool, children that may be single or multiple.

        The child of a single node is single; the only child of a multiple node is multiple.
        """
        return ~self.parent_single & (self.siblings > 1)

    def grow(self, single: NDArray[np.bool_]) -> Level:
        """The level of these nodes, once ``single`` (M',) is known."""
        pairs = self.pairs if self.tracked else self.pairs.about(~single)
        return Level(self.codes, single, self.tracked, pairs)


def split(level: Level, occupancy: NDArray[np.uint8], *, track_singles: bool) -> Children:
    """Children of ``level`` by ``occupancy`` (M,) uint8, bit o for a child in octant o."""
    places = np.flatnonzero(np.unpackbits(occupancy, bitorder="little"))
    parents = (places >> 3).astype(np.int32)
    codes = level.codes[parents] << np.uint64(3) | (places & 7).astype(np.uint64)
    siblings = OCCUPIED[occupancy]
    first = np.cumsum(siblings, dtype=np.int32) - siblings
    pairs = level.pairs if track_singles else level.pairs.about(~level.single)
    return Children(
        codes=codes,
        parents=parents,
        parent_single=level.single[parents],
        siblings=siblings[parents],
        tracked=track_singles,
        pairs=child_pairs(pairs, occupancy, first),
    )
