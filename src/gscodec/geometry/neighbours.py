"""The 3x3x3 neighbourhood: constant tables, and how children inherit their neighbours.

An offset (x, y, z) in {-1, 0, 1}^3 has the index 9 (z + 1) + 3 (y + 1) + x + 1, the node itself
13. An octant has bit 0 for the upper half in x, bit 1 in y, bit 2 in z. Children are neighbours
if they have one parent, or if their parents are neighbours and both lie on the side that faces
the other; so neighbours are listed, never searched. Most nodes of a scene have few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from gscodec.slices import in_slices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)

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
# (256,) octants in an occupancy; numpy before 2.0 cannot count bits.
OCCUPIED = np.array([occupancy.bit_count() for occupancy in range(256)], dtype=np.uint8)


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

# (27, 256) the octants of an occupancy that face an offset.
_facing = ((OFFSETS[:, None] == 0) | (OFFSETS[:, None] == 2 * _octant_bits - 1)).all(axis=2)
_FACING = (_facing @ (1 << np.arange(8)))[:, None] & np.arange(256)
_HOW_MANY = OCCUPIED[_FACING]


def _octants_in_order() -> NDArray[np.uint8]:
    """(27, 256, 8): the n-th octant of `_FACING`, plus 8 times its place in the occupancy."""
    there = _FACING[..., None] >> np.arange(8) & 1
    octants = np.argsort(-there, axis=2, kind="stable")
    below = (1 << octants) - 1 & np.arange(256)[:, None]
    table: NDArray[np.uint8] = (octants + 8 * OCCUPIED[below]).astype(np.uint8)
    return table


_IN_ORDER = _octants_in_order()
# (27, 8, 8) offset of one child from another, by the offset of their parents; only of those
# that face each other.
_away = 2 * OFFSETS[:, None, None] + _octant_bits[None, None] - _octant_bits[None, :, None]
_OFFSET = ((np.clip(_away, -1, 1) + 1) @ np.array([1, 3, 9])).astype(np.uint8)
_number = np.arange(64 * 8)
# (512,) of a number below 64 and one from 1 to 8, by 8 * number + divisor - 1.
_QUOTIENTS = (_number // 8 // (_number % 8 + 1)).astype(np.uint8)
_RESTS = (_number // 8 % (_number % 8 + 1)).astype(np.uint8)
_AT_ONCE = 1 << 15  # pairs, of which children make up to 64 each
_SUMMED_AT_ONCE = 1 << 18
_PACKED_BITS = 26  # two sums below 2**24 in one double


def at(values: NDArray[T], index: NDArray[np.integer]) -> NDArray[T]:
    """``values`` (n,) at ``index``: all of it is inside, so numpy need not look at each."""
    return values.take(index, mode="clip")


@dataclass(frozen=True)
class Pairs:
    """Nodes of a level that are neighbours, each two of them once.

    Attributes:
        one: (E,) int32 number of a node.
        two: (E,) int32 number of its neighbour.
        offset: (E,) uint8 where the neighbour is, an index of `OFFSETS`; never `SELF`.
    """

    one: NDArray[np.int32]
    two: NDArray[np.int32]
    offset: NDArray[np.uint8]

    @classmethod
    def none(cls) -> Pairs:
        """Of a node alone."""
        nothing = np.zeros(0, np.int32)
        return cls(nothing, nothing, nothing.astype(np.uint8))

    @classmethod
    def joined(cls, parts: Sequence[Pairs]) -> Pairs:
        """All of them."""
        if not parts:
            return cls.none()
        columns = zip(*((part.one, part.two, part.offset) for part in parts), strict=True)
        one, two, offset = (np.concatenate(column) for column in columns)
        return cls(one, two, offset)

    def __len__(self) -> int:
        """E."""
        return len(self.one)

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> Pairs:
        """Some of them."""
        return Pairs(self.one[rows], self.two[rows], self.offset[rows])

    def about(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Those in which at least one node is among ``chosen`` (M,)."""
        return self[np.flatnonzero(at(chosen, self.one) | at(chosen, self.two))]

    def seen_from(self, place: NDArray[np.int32]) -> Pairs:
        """From each of some nodes, which have a ``place`` in ``one``; see `places_of`."""
        back = AROUND - 1 - self.offset
        parts = []
        for one, two, offset in (
            (self.one, self.two, self.offset),
            (self.two, self.one, back),
        ):
            places = at(place, one)
            rows = np.flatnonzero(places >= 0)
            parts.append(Pairs(at(places, rows), at(two, rows), at(offset, rows)))
        return Pairs.joined(parts)


def places_of(chosen: NDArray[np.intp], count: int) -> NDArray[np.int32]:
    """(count,) the number of each node among the ``chosen`` (n,), or -1."""
    place = np.full(count, -1, np.int32)
    place[chosen] = np.arange(len(chosen), dtype=np.int32)
    return place


def sums(
    pairs: Pairs,
    place: NDArray[np.int32],
    keys_of: Callable[[Pairs], NDArray[np.integer]],
    table: NDArray[np.float32],
    count: int,
) -> NDArray[np.float32]:
    """For each of some nodes the sum of rows of a table, one for each neighbour.

    Exact for integers, whose sums stay below 2**24: two of them are added up in a double.

    Args:
        pairs: Of all nodes.
        place: Of the nodes, see `places_of`.
        keys_of: Row of the table for each pair, as `Pairs.seen_from` gives it.
        table: (K, C) integers.
        count: Of the nodes.

    Returns:
        (C, count) float32.
    """
    out = np.zeros((table.shape[1], count), np.float32)
    columns = table.T.astype(np.float64)
    packed = columns[::2].copy()
    packed[: len(columns) // 2] += np.ldexp(columns[1::2], _PACKED_BITS)
    totals = np.zeros((len(packed), count))
    # Each slice costs as much as there are nodes: their number must not grow with the nodes.
    for rows in in_slices(len(pairs), max(_SUMMED_AT_ONCE, count // 4)):
        seen = pairs[rows].seen_from(place)
        keys = keys_of(seen)
        for total, column in zip(totals, packed, strict=True):
            np.add(total, np.bincount(seen.one, at(column, keys), count), out=total)
    for number, total in enumerate(totals):
        high = np.rint(np.ldexp(total, -_PACKED_BITS))
        out[2 * number] = total - np.ldexp(high, _PACKED_BITS)
        out[2 * number + 1 : 2 * number + 2] = high
    return out


def child_pairs(pairs: Pairs, occupancy: NDArray[np.uint8], first: NDArray[np.int32]) -> Pairs:
    """Neighbours among the children of all nodes.

    Args:
        pairs: Of the nodes, the parents.
        occupancy: (M,) uint8 of all of them, bit o for a child in octant o.
        first: (M,) int32 number of the first child of each.

    Returns:
        Children of one parent, and of two that are among ``pairs``.
    """
    several = np.flatnonzero(OCCUPIED[occupancy] > 1).astype(np.int32)
    own = Pairs(several, several, np.full(len(several), SELF, np.uint8))
    parts = [
        _children(each[rows], occupancy, first)
        for each in (pairs, own)
        for rows in in_slices(len(each), _AT_ONCE)
    ]
    return Pairs.joined(parts)


def _children(pairs: Pairs, occupancy: NDArray[np.uint8], first: NDArray[np.int32]) -> Pairs:
    """Of the children of both nodes those that face each other; of one node, each two once."""
    there = pairs.offset.astype(np.intp)
    one = there * 256 + at(occupancy, pairs.one)
    two = (AROUND - 1 - there) * 256 + at(occupancy, pairs.two)
    across = at(_HOW_MANY, two)
    count = at(_HOW_MANY, one) * across
    kept = np.flatnonzero(count)
    count = at(count, kept)
    start = np.cumsum(count, dtype=np.intp) - count
    rows = np.repeat(kept, count)
    number = np.arange(len(rows)) - np.repeat(start, count)
    key = number * 8 + at(across, rows) - 1
    a = at(_IN_ORDER, 8 * at(one, rows) + at(_QUOTIENTS, key))
    b = at(_IN_ORDER, 8 * at(two, rows) + at(_RESTS, key))
    key = 64 * at(there, rows) + ((a & 7) << 3 | b & 7)
    found = Pairs(
        at(at(first, pairs.one), rows) + (a >> 3),
        at(at(first, pairs.two), rows) + (b >> 3),
        at(_OFFSET, key),
    )
    return found[np.flatnonzero(found.offset > SELF)] if SELF in there[:1] else found
