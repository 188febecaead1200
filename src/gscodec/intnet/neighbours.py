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
from typing import TYPE_CHECKING

import numpy as np

from gscodec.intnet.box import POSITION_FEATURES, position_features
from gscodec.intnet.network import INPUT_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

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
_FAR = np.int64(1) << 50  # beyond any squared distance


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


def neighbours_of(cells: NDArray[np.int64]) -> list[Neighbours]:
    """Neighbours of the primitives of a block in ``cells`` (rows, 3), turn by turn."""
    return [_of_turn(cells, *turn) for turn in _TURNS]


def _of_turn(
    cells: NDArray[np.int64], first: int, step: int, nearest: int, apart: int
) -> Neighbours:
    rows = np.arange(first, len(cells), step)
    if not apart or not len(rows):
        nothing = np.zeros((NEAREST, len(rows)), np.int64)
        return Neighbours(nothing, nothing.astype(np.int16), nothing[0])
    offsets = nearest + apart * np.arange(CANDIDATES // 2)
    places = rows + np.concatenate([-offsets, offsets])[:, None]
    key = _squared(cells, rows, places) * CANDIDATES + np.arange(CANDIDATES)[:, None]
    key.sort(axis=0)
    key = key[:NEAREST]
    index = np.take_along_axis(places, key % CANDIDATES, axis=0)
    squared = key // CANDIDATES
    inside = squared < _FAR
    half = _half_cells(squared)
    inverse = np.where(inside, (np.int64(1) << 40) // half, 0)
    total = np.maximum(inverse.sum(axis=0), 1)
    weights = ((inverse << WEIGHT_BITS) // total).astype(np.int16)
    found = np.where(inside[0], octaves(half[0]), 0)
    return Neighbours(np.where(inside, index, 0), weights, found)


def _squared(
    cells: NDArray[np.int64], rows: NDArray[np.int64], places: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Squared distances (places, rows) in cells; `_FAR` where a place is outside."""
    inside = (places >= 0) & (places < len(cells))
    there = np.where(inside, places, 0)
    squared = np.zeros(places.shape, np.int64)
    for axis in cells.T:
        away = axis[there] - axis[rows]
        squared += away * away
    squared[~inside] = _FAR
    return squared


def _half_cells(squared: NDArray[np.int64]) -> NDArray[np.int64]:
    """1 + floor(2 sqrt(squared)): exact, IEEE square roots round correctly below 2**52."""
    root: NDArray[np.int64] = np.sqrt((4 * squared).astype(np.float64)).astype(np.int64) + 1
    return root


def octaves(naturals: NDArray[np.int64]) -> NDArray[np.int64]:
    """Log2 of ``naturals`` in 2**-5, linear between powers of two; at least 1, below 2**53."""
    whole = np.frexp(naturals.astype(np.float64))[1].astype(np.int64) - 1
    return (whole << _OCTAVE_BITS) + ((naturals << _OCTAVE_BITS) >> whole) - (1 << _OCTAVE_BITS)


def first_of(
    cells: NDArray[np.int64], around: Sequence[Neighbours], box: Box, usual: int
) -> NDArray[np.int8]:
    """What networks see of where primitives and those around them are: (rows, FIRST)."""
    first = np.empty((len(cells), FIRST), np.int8)
    first[:, :POSITION_FEATURES] = position_features(box.normalise(cells))
    first[:, POSITION_FEATURES:] = distances(cells, around, usual)
    return first


def distances(
    cells: NDArray[np.int64], around: Sequence[Neighbours], usual: int
) -> NDArray[np.int8]:
    """What networks see of where the places around are: 5 columns.

    Of the 1st, 2nd, 4th and 8th nearest of the 16 places around in Morton order, and of the
    nearest decoded neighbour: octaves beyond ``usual``.
    """
    rows = np.arange(len(cells))
    offsets = np.arange(1, CANDIDATES // 2 + 1)
    squared = _squared(cells, rows, rows + np.concatenate([-offsets, offsets])[:, None])
    squared.sort(axis=0)
    seen = np.empty((len(cells), DISTANCES), np.int64)
    for column, rank in enumerate(_RANKS):
        seen[:, column] = octaves(_half_cells(squared[rank]))
    for turn, found in zip(TURNS, around, strict=True):
        seen[turn, -1] = found.nearest
    return np.clip(seen - usual, -INPUT_MAX, INPUT_MAX).astype(np.int8)


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
    seen = np.empty((columns_of(unit), rows), np.int8)
    means = np.empty((columns, rows), np.int16)
    separate = columns <= _SEPARATE
    last = len(seen) - (columns if separate else 1)
    weights = around.weights.view(np.uint16)
    total = np.zeros(rows, np.int64)
    for column, feature in enumerate(features):
        found = feature.take(around.index).astype(np.int16)
        mean = np.einsum("kr,kr->r", found, around.weights)
        means[column], seen[column] = mean, mean >> WEIGHT_BITS
        if unit.fine:
            fine = mean >> (WEIGHT_BITS - _FINE_BITS)
            seen[columns + column] = np.clip(fine, -INPUT_MAX, INPUT_MAX)
        found -= seen[column]
        away = np.abs(found).view(np.uint16)
        off = np.einsum("kr,kr->r", away, weights)
        if separate:
            seen[last + column] = np.minimum(off >> WEIGHT_BITS, INPUT_MAX)
        else:
            total += off
    if not separate:
        # Their sum over the next power of two.
        shift = WEIGHT_BITS + (columns - 1).bit_length()
        seen[last] = np.minimum(total >> shift, INPUT_MAX)
    return seen.T, means.T
