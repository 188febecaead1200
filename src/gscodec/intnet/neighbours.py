"""Decoded neighbours as context, in integers (HEMGS, section 3.3, and adaptive selection).

The primitives of a block are in Morton order and are coded in turns: those whose number is a
multiple of 8, then the other multiples of 4, then of 2, then the odd ones. A primitive of a
later turn has its `CANDIDATES` nearest places in this order, half of them on each side, that
earlier turns decoded; of them the `NEAREST` nearest in space count. A neighbour weighs the
inverse of its distance: few neighbours matter where they are dense, all where they are sparse.

What a network sees of a unit's neighbours: of each column the weighted mean, finer for units
whose values are also seen finer, and how much neighbours deviate from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gscodec.intnet.box import POSITION_FEATURES, position_features
from gscodec.intnet.network import INPUT_MAX
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from gscodec.intnet.box import Box
    from gscodec.units import Unit

CANDIDATES = 16
NEAREST = 8
# First row and step of each turn, then the nearest place of an earlier turn and their step.
_TURNS = ((0, 8, 0, 0), (4, 8, 4, 8), (2, 4, 2, 4), (1, 2, 1, 2))
TURNS = tuple(slice(first, None, step) for first, step, _, _ in _TURNS)
WEIGHT_BITS = 8  # weights of a primitive's neighbours sum to at most 2**8
_FINE_BITS = 3  # a mean that is seen finer is seen eight times finer
_SEPARATE = 10  # columns of a unit whose deviations are seen one by one
_RANKS = (0, 1, 3, 7)  # of the distances to places around that a network sees
DISTANCES = len(_RANKS) + 1
FIRST = POSITION_FEATURES + DISTANCES  # columns known before the first unit
GAIN_BITS = 6  # of a mean's part in a centre, in 2**-6
MAX_GAIN = 127  # magnitude
_OCTAVE_BITS = 5  # distances in 2**-5 octaves
_TOGETHER = 4  # columns of neighbours' values that are fetched at once
# A coordinate so far from any cell that squared distances are at least `_FAR`, beyond those of
# cells, and exact together with numbers of places.
_OUTSIDE, _FAR = 2.0**24, 2.0**47
_TOLD = 2.0**50  # what such a squared distance is where networks see it


@dataclass(frozen=True)
class Neighbours:
    """Of the rows of one turn.

    Attributes:
        index: (NEAREST, rows) rows of the block.
        weights: (NEAREST, rows) int16, at least 0; their sum is at most 256.
        nearest: (rows,) int64, `octaves` of the distance of the nearest; 0 where none is.
    """

    index: NDArray[np.int64]
    weights: NDArray[np.int16]
    nearest: NDArray[np.int64]

    @cached_property
    def any(self) -> bool:
        """Whether any row has a neighbour."""
        return bool(self.weights.any())

    @cached_property
    def parts(self) -> list[tuple[slice, NDArray[np.int64], NDArray[np.int16]]]:
        """Some rows, index (NEAREST, n), the weight of each row four times (NEAREST, 4 n)."""
        return [
            (
                rows,
                np.ascontiguousarray(self.index[:, rows]),
                np.repeat(self.weights[:, rows], _TOGETHER, axis=1),
            )
            for rows in in_slices(self.index.shape[1])
        ]


def neighbours_of(cells: NDArray[np.int64]) -> list[Neighbours]:
    """Neighbours of the primitives of a block in ``cells`` (rows, 3), turn by turn."""
    return [_of_turn(cells, *turn) for turn in _TURNS]


def _of_turn(
    cells: NDArray[np.int64], first: int, step: int, nearest: int, apart: int
) -> Neighbours:
    rows = range(first, len(cells), step)
    index = np.zeros((NEAREST, len(rows)), np.int64)
    weights, found = index.astype(np.int16), np.zeros(len(rows), np.int64)
    if not apart:
        return Neighbours(index, weights, found)
    away = nearest + apart * np.arange(CANDIDATES // 2)
    offsets, around = np.concatenate([-away, away]), _padded(cells, int(away[-1]))
    for part in in_slices(len(rows)):
        keys = _squared(around, rows[part], offsets)
        keys *= CANDIDATES
        keys += np.arange(CANDIDATES)[:, None]
        chosen = np.array(_smallest(keys)).astype(np.int64)
        squared = (chosen >> 4).astype(np.float64)
        inside = squared < _FAR
        inverse = np.floor(2.0**40 / _half_cells(squared)) * inside
        total = np.maximum(inverse.sum(axis=0), 1)
        weights[:, part] = inverse * 2.0**WEIGHT_BITS / total
        index[:, part] = (np.array(rows[part]) + offsets.take(chosen & 15)) * inside
        found[part] = octaves(_half_cells(squared[0])) * inside[0]
    return Neighbours(index, weights, found)


def _padded(cells: NDArray[np.int64], reach: int) -> NDArray[np.float64]:
    """(3, rows + 2 reach) ``cells`` with places before and behind that are outside."""
    around = np.zeros((3, len(cells) + 2 * reach))
    around[0] = _OUTSIDE
    around[:, reach : reach + len(cells)] = cells.T
    return around


def _squared(
    around: NDArray[np.float64], rows: range, offsets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Squared distances in cells to the places at ``offsets``: (offsets, rows).

    Exact, all numbers are integers below 2**49; at least `_FAR` where a place is outside.

    Args:
        around: `_padded` by the largest of ``offsets``.
        rows: From where.
        offsets: To other places.
    """
    first = rows.start + int(offsets.max())
    squared = np.empty((len(offsets), len(rows)))
    for out, offset in zip(squared, offsets.tolist(), strict=True):
        here, there = (
            around[:, start : start + rows.step * len(rows) : rows.step]
            for start in (first, first + offset)
        )
        away = there - here
        np.einsum("ar,ar->r", away, away, out=out)
    return squared


# Batcher's odd-even merge sort of eight, and the end of his bitonic one.
_SORTED = (
    *((0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7), (1, 2), (5, 6)),
    *((0, 4), (1, 5), (2, 6), (3, 7), (2, 4), (3, 5), (1, 2), (3, 4), (5, 6)),
)
_MERGED = tuple((a, a + n) for n in (4, 2, 1) for a in range(8) if not a & n)


def _smallest(keys: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The half of each column of ``keys`` (16, rows) that is smaller, rising: 8 rows.

    All columns at once; ``keys`` are changed.
    """
    low, high = _exchanged(keys[:NEAREST], _SORTED), _exchanged(keys[NEAREST:], _SORTED)
    # Of two sorted halves, head to tail, the smaller of each two: rising, then falling.
    for one, other in zip(low, reversed(high), strict=True):
        np.minimum(one, other, out=one)
    return _exchanged(low, _MERGED)


def _exchanged(
    keys: Iterable[NDArray[np.float64]], pairs: Sequence[tuple[int, int]]
) -> list[NDArray[np.float64]]:
    """Rows of ``keys``, which are changed, after each two of them were put in order."""
    rows = list(keys)
    spare = np.empty_like(rows[0])
    for low, high in pairs:
        np.minimum(rows[low], rows[high], out=spare)
        np.maximum(rows[low], rows[high], out=rows[high])
        rows[low], spare = spare, rows[low]
    return rows


def _half_cells(squared: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 + floor(2 sqrt(squared)): exact, IEEE square roots round correctly below 2**52."""
    return np.floor(np.sqrt(4 * squared)) + 1


def octaves(naturals: NDArray[np.integer] | NDArray[np.float64]) -> NDArray[np.int64]:
    """Log2 of ``naturals`` in 2**-5, linear between powers of two; at least 1, below 2**53."""
    mantissa, exponent = np.frexp(naturals)
    part: NDArray[np.int64] = np.floor(mantissa * 2.0 ** (_OCTAVE_BITS + 1)).astype(np.int64)
    part += (exponent.astype(np.int64) - 2) << _OCTAVE_BITS
    return part


def first_of(
    cells: NDArray[np.int64], around: Sequence[Neighbours], box: Box, usual: int
) -> NDArray[np.int8]:
    """What networks see of where primitives and those around them are: (rows, FIRST)."""
    first = np.empty((FIRST, len(cells)), np.int8)
    first[:POSITION_FEATURES] = position_features(box.normalise(cells)).T
    first[POSITION_FEATURES:] = distances(cells, around, usual).T
    return first.T


def distances(
    cells: NDArray[np.int64], around: Sequence[Neighbours], usual: int
) -> NDArray[np.int8]:
    """What networks see of where the places around are: 5 columns.

    Of the 1st, 2nd, 4th and 8th nearest of the 16 places around in Morton order, and of the
    nearest decoded neighbour: octaves beyond ``usual``.
    """
    away = np.arange(1, CANDIDATES // 2 + 1)
    offsets, padded = np.concatenate([-away, away]), _padded(cells, int(away[-1]))
    rows, seen = range(len(cells)), np.empty((DISTANCES, len(cells)), np.int64)
    for part in in_slices(len(cells)):
        squared = _squared(padded, rows[part], offsets)
        smallest = _smallest(squared)
        nearest = np.array([smallest[rank] for rank in _RANKS])
        nearest[nearest >= _FAR] = _TOLD
        seen[:-1, part] = octaves(_half_cells(nearest))
    for turn, found in zip(TURNS, around, strict=True):
        seen[-1, turn] = found.nearest
    return np.clip(seen - usual, -INPUT_MAX, INPUT_MAX).astype(np.int8).T


def columns_of(unit: Unit) -> int:
    """How many columns a network sees of the neighbours' values of ``unit``."""
    means = unit.columns * (2 if unit.fine else 1)
    return means + (unit.columns if unit.columns <= _SEPARATE else 1)


def seen_of(
    unit: Unit, features: NDArray[np.int8], around: Neighbours
) -> tuple[NDArray[np.int8], NDArray[np.int16]]:
    """What a network sees of neighbours' ``features`` (columns, block) of ``unit``.

    No sum leaves its type: weights sum to at most 2**8, features stay below 2**7.

    Returns:
        (rows, `columns_of`), and the weighted means in 2**-8: (rows, columns).
    """
    rows, columns = around.index.shape[1], unit.columns
    if not around.any:
        return np.zeros((columns_of(unit), rows), np.int8).T, np.zeros(
            (columns, rows), np.int16
        ).T
    seen = np.empty((columns_of(unit), rows), np.int8)
    means = np.empty((columns, rows), np.int16)
    off = np.empty((columns, rows), np.uint16)
    groups = [
        slice(first, min(first + _TOGETHER, columns)) for first in range(0, columns, _TOGETHER)
    ]
    words = [_words(features[own]) for own in groups]
    for part, index, weights in around.parts:
        for own, word in zip(groups, words, strict=True):
            means[own, part], off[own, part] = _weighed(word, index, weights, own)
    seen[:columns] = means >> WEIGHT_BITS
    if unit.fine:
        fine = means >> (WEIGHT_BITS - _FINE_BITS)
        seen[columns : 2 * columns] = np.clip(fine, -INPUT_MAX, INPUT_MAX, out=fine)
    if columns <= _SEPARATE:
        off >>= WEIGHT_BITS
        seen[-columns:] = np.clip(off, 0, INPUT_MAX, out=off)
    else:
        # Their sum over the next power of two.
        shift = WEIGHT_BITS + (columns - 1).bit_length()
        seen[-1] = np.minimum(off.sum(axis=0, dtype=np.int64) >> shift, INPUT_MAX)
    return seen.T, means.T


def _words(features: NDArray[np.int8]) -> NDArray[np.uint64]:
    """(block,) up to four columns side by side, 16 bits each."""
    words = np.zeros((features.shape[1], _TOGETHER), np.int16)
    words[:, : len(features)] = features.T
    return words.view(np.uint64)[:, 0]


def _weighed(
    words: NDArray[np.uint64],
    index: NDArray[np.int64],
    weights: NDArray[np.int16],
    own: slice,
) -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
    """Weighted means in 2**-8, and deviations, of some rows: (columns, rows) each."""
    found = words.take(index, mode="clip").view(np.int16)  # none is out of bounds
    mean = np.einsum("kr,kr->r", found, weights)
    found -= mean >> WEIGHT_BITS
    away = np.abs(found, out=found).view(np.uint16)
    off = np.einsum("kr,kr->r", away, weights.view(np.uint16))
    shape, columns = (-1, _TOGETHER), slice(own.stop - own.start)
    return mean.reshape(shape)[:, columns].T, off.reshape(shape)[:, columns].T
