"""The 3x3x3 neighbourhood: constant tables, and how children inherit their neighbours.

An offset (x, y, z) in {-1, 0, 1}^3 has the index 9 (z + 1) + 3 (y + 1) + x + 1, the node itself
13. An octant has bit 0 for the upper half in x, bit 1 in y, bit 2 in z. A neighbour of a child
is a child of a neighbour of its parent, so neighbours are looked up, never searched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.slices import in_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

AROUND = 27
SELF = 13
_index = np.arange(AROUND)
# (27, 3) int64, x y z in -1 .. 1.
OFFSETS = np.stack([_index % 3, _index // 3 % 3, _index // 9], axis=1) - 1
# (27,) 0 the node itself, 1 across a face, 2 an edge, 3 a corner.
RANK = np.abs(OFFSETS).sum(axis=1)

_octant_bits = np.arange(8)[:, None] >> np.arange(3) & 1  # (8, 3) x y z
_target = _octant_bits[:, None, :] + OFFSETS[None]  # (8, 27, 3) child cells, -1 .. 2
# (8, 27) offset index of the parent's neighbour that holds the child's neighbour.
SOURCE = (_target // 2 + 1) @ np.array([1, 3, 9])
# (8, 27) octant of the child's neighbour in that parent.
OCTANT = (_target % 2) @ np.array([1, 2, 4])


def _sides() -> NDArray[np.int64]:
    """(8, 27) class 0 .. 8 of an offset as seen from an octant; -1 for the node itself.

    Axes count as towards (the octant's own side), away, or neither; the classes are
    (towards, away) = 01 02 03 10 11 12 20 21 30.
    """
    facing = OFFSETS[None] * (2 * _octant_bits[:, None, :] - 1)
    towards, away = (facing == 1).sum(axis=2), (facing == -1).sum(axis=2)
    names = [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 0)]
    sides = np.full((8, AROUND), -1, dtype=np.int64)
    for number, (t, a) in enumerate(names):
        sides[(towards == t) & (away == a)] = number
    return sides


SIDE = _sides()


def root_neighbours() -> NDArray[np.int32]:
    """(1, 27) int32 for the root: itself, and 26 absent ones (the number of nodes, 1)."""
    around = np.ones((1, AROUND), dtype=np.int32)
    around[0, SELF] = 0
    return around


def child_neighbours(
    around: NDArray[np.int32],
    rows: NDArray[np.int64],
    children: NDArray[np.int32],
    octants: NDArray[np.uint8],
) -> NDArray[np.int32]:
    """Neighbours of child nodes.

    Args:
        around: (R, 27) neighbours of parents, the number of parents where absent.
        rows: (n,) row in ``around`` of each child's parent.
        children: (parents + 1, 8) number of each child node, the number of children where
            absent; the last row is all absent.
        octants: (n,) octant of each child in its parent.

    Returns:
        (n, 27) int32 numbers of child nodes, the number of children where absent.
    """
    flat = children.reshape(-1)
    out = np.empty((len(octants), AROUND), dtype=np.int32)
    for octant in range(8):
        chosen = np.flatnonzero(octants == octant)
        for part in in_slices(len(chosen)):
            near = around[rows[chosen[part]]][:, SOURCE[octant]]
            out[chosen[part]] = flat[near * 8 + OCTANT[octant]]
    return out
