"""One level of the octree: its nodes in Morton order, and the neighbours of those that matter.

A node is *single* (holds one point) or *multiple* (two or more). Every stage of a level works
on all of its nodes at once, in both directions of the codec.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.geometry.neighbours import child_neighbours, root_neighbours
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

ABSENT, SINGLE, MULTIPLE = 0, 1, 2


@dataclass(frozen=True)
class Level:
    """The nodes of one depth.

    Attributes:
        codes: (M,) uint64 Morton codes of the nodes, rising.
        single: (M,) bool, whether a node holds exactly one point.
        tracked: (M,) bool, whether a node's neighbours are known; true for multiple nodes.
        around: (R, 27) int32 neighbours of the R tracked nodes, M where absent.
    """

    codes: NDArray[np.uint64]
    single: NDArray[np.bool_]
    tracked: NDArray[np.bool_]
    around: NDArray[np.int32]

    @classmethod
    def root(cls, count: int) -> Level:
        """The level of the root alone, which holds ``count`` points, 1 or more."""
        only = np.array([count == 1])
        return cls(np.zeros(1, np.uint64), only, np.ones(1, np.bool_), root_neighbours())

    def __len__(self) -> int:
        """Number of nodes, M."""
        return len(self.codes)

    def states(self) -> NDArray[np.uint8]:
        """(M + 1,) uint8 ABSENT, SINGLE or MULTIPLE by node; the last one is absent."""
        states = np.full(len(self) + 1, ABSENT, dtype=np.uint8)
        states[:-1] = np.where(self.single, SINGLE, MULTIPLE)
        return states

    def near_singles(self) -> NDArray[np.uint8]:
        """(s, 27) uint8 states of the neighbours of the single nodes, all of them tracked."""
        states, chosen = self.states(), np.flatnonzero(self.single)
        near = np.empty((len(chosen), self.around.shape[1]), np.uint8)
        for part in in_slices(len(chosen)):
            near[part] = states[self.around[chosen[part]]]
        return near

    def around_multiple(self) -> NDArray[np.int32]:
        """(m, 27) int32 neighbours of the multiple nodes."""
        return self.around[~self.single[self.tracked]]


@dataclass(frozen=True)
class Children:
    """The nodes of the next depth, before it is known which of them are single.

    Attributes:
        codes: (M',) uint64 Morton codes, rising.
        octants: (M',) uint8 place in the parent.
        parent_single: (M',) bool, whether the parent is single; then so is the child.
        siblings: (M',) int64 number of children of the parent, 1 to 8.
        tracked: (M',) bool, children whose neighbours are listed.
        around: (R', 27) int32 neighbours of the tracked children, M' where absent.
    """

    codes: NDArray[np.uint64]
    octants: NDArray[np.uint8]
    parent_single: NDArray[np.bool_]
    siblings: NDArray[np.int64]
    tracked: NDArray[np.bool_]
    around: NDArray[np.int32]

    def undecided(self) -> NDArray[np.bool_]:
        """(M',) bool, children that may be single or multiple.

        The child of a single node is single; the only child of a multiple node is multiple.
        """
        return ~self.parent_single & (self.siblings > 1)

    def grow(self, single: NDArray[np.bool_], *, track_singles: bool) -> Level:
        """The level of these nodes, once ``single`` (M',) is known."""
        tracked = self.tracked if track_singles else ~single
        kept = tracked[self.tracked]
        around = self.around if kept.all() else self.around[kept]
        return Level(self.codes, single, tracked, around)


def split(level: Level, occupancy: NDArray[np.uint8], *, track_singles: bool) -> Children:
    """Children of ``level`` by ``occupancy`` (M,) uint8, bit o for a child in octant o."""
    occupied = np.unpackbits(occupancy[:, None], axis=1, bitorder="little")
    parents, places = np.nonzero(occupied)
    octants = places.astype(np.uint8)
    codes = level.codes[parents] << np.uint64(3) | octants.astype(np.uint64)
    tracked = np.ones(len(parents), np.bool_) if track_singles else ~level.single[parents]
    table = np.full((len(level) + 1, 8), len(parents), dtype=np.int32)
    table[parents, octants] = np.arange(len(parents), dtype=np.int32)
    row = np.cumsum(level.tracked) - 1
    around = child_neighbours(level.around, row[parents[tracked]], table, octants[tracked])
    return Children(
        codes=codes,
        octants=octants,
        parent_single=level.single[parents],
        siblings=occupied.sum(axis=1, dtype=np.int64)[parents],
        tracked=tracked,
        around=around,
    )
