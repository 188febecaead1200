"""Sorted Morton codes, duplicates included, coded without loss; breadth first.

A level's three stages, each on all its nodes at once: the octants of single nodes, the
occupancy of multiple nodes, which of the new nodes are single. Once a point is alone, three
nearly raw bits per level are left of it. After the last level come the counts of the multiple
leaves. Contexts are what is known of the 26 neighbours, weighed by integer logistic models.

Invariant: single nodes + 2 x multiple nodes <= number of points, at every level.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import (
    Decoder,
    Encoder,
    Model,
    decode_naturals,
    decode_table,
    encode_naturals,
    encode_table,
)
from gscodec.errors import FormatError
from gscodec.geometry import occupancy, octants, singles
from gscodec.geometry.lattice import MAX_BITS
from gscodec.geometry.level import Level, split
from gscodec.geometry.neighbours import OCCUPIED
from gscodec.threads import one_blas_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNIFORM_BIT = Model.uniform(2)
_COUNTS = 16  # symbols for a multiple leaf: points - 2, the last one an escape


def _no_weights(features: int) -> NDArray[np.int64]:
    return np.zeros(features, dtype=np.int64)


@dataclass
class _Weights:
    """The weights of the level before, in 1/16 nat; all zero above the root."""

    octants: NDArray[np.int64] = field(default_factory=lambda: _no_weights(octants.FEATURES))
    occupancy: NDArray[np.int64] = field(
        default_factory=lambda: _no_weights(occupancy.FEATURES)
    )
    singles: NDArray[np.int64] = field(default_factory=lambda: _no_weights(singles.FEATURES))


@one_blas_thread()
def encode(codes: NDArray[np.uint64], bits: int, encoder: Encoder) -> None:
    """Codes ``codes`` (N,), rising, duplicates allowed, each below 8**bits."""
    if not len(codes):
        return
    level, weights = Level.root(len(codes)), _Weights()
    for depth in range(bits):
        nodes, points = _counted(codes, 3 * (bits - depth - 1))
        level = _encode_level(encoder, level, nodes, points == 1, weights, len(codes))
    _encode_counts(encoder, points[~level.single])


def _counted(
    codes: NDArray[np.uint64], shift: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """What rising ``codes`` are without their last ``shift`` bits, and how often each is found."""
    parents = codes >> np.uint64(shift)
    first = np.flatnonzero(parents[1:] != parents[:-1]) + 1
    first = np.concatenate([[0], first])
    return parents[first], np.diff(first, append=len(codes))


@one_blas_thread()
def decode(decoder: Decoder, count: int, bits: int) -> NDArray[np.uint64]:
    """Inverse of `encode`: (count,) uint64, rising.

    Memory is proportional to ``count``, whatever the bytes are.

    Raises:
        FormatError: The stream does not hold ``count`` points, or ``bits`` is not 1 to 21.
    """
    if not 1 <= bits <= MAX_BITS:
        raise FormatError(f"octree: found {bits} bits, expected 1 to {MAX_BITS}")
    if not count:
        return np.zeros(0, dtype=np.uint64)
    level, weights = Level.root(count), _Weights()
    for _ in range(bits):
        level = _decode_level(decoder, level, weights, count)
    points = np.ones(len(level), dtype=np.intp)  # counts for np.repeat: as wide as an index
    points[~level.single] = _decode_counts(decoder, len(level) - int(level.single.sum()))
    if int(points.sum()) != count:
        raise FormatError(f"octree leaves: found {points.sum()} points, expected {count}")
    return np.repeat(level.codes, points)


def _encode_level(
    encoder: Encoder,
    level: Level,
    nodes: NDArray[np.uint64],
    single: NDArray[np.bool_],
    weights: _Weights,
    count: int,
) -> Level:
    """Codes the step from ``level`` to ``nodes`` (M',), of which ``single`` hold one point."""
    occupied = _occupancy(level, nodes)
    places = OCCUPIED[occupied[level.single] - np.uint8(1)]
    weights.octants = octants.encode_octants(encoder, level, places, weights.octants)
    track = octants.worth_tracking(level, places, weights.octants, count)
    encoder.encode(np.array([track]), _UNIFORM_BIT)
    weights.occupancy = occupancy.encode_occupancy(encoder, level, occupied, weights.occupancy)
    children = split(level, occupied, track_singles=track)
    weights.singles = singles.encode_singles(encoder, children, single, weights.singles)
    return children.grow(single)


def _decode_level(decoder: Decoder, level: Level, weights: _Weights, count: int) -> Level:
    """Inverse of `_encode_level`: the next level."""
    places, weights.octants = octants.decode_octants(decoder, level, weights.octants)
    track = bool(decoder.decode(1, _UNIFORM_BIT)[0])
    # "Single nodes MUST NOT be tracked again once they were not."
    if track and not level.tracked:
        raise FormatError("octree level: contexts of single nodes switched on again")
    occupied = np.zeros(len(level), dtype=np.uint8)
    occupied[level.single] = np.uint8(1) << places
    occupied, weights.occupancy = occupancy.decode_occupancy(
        decoder, level, occupied, weights.occupancy
    )
    _check(int(OCCUPIED[occupied].sum()), count)
    children = split(level, occupied, track_singles=track)
    single, weights.singles = singles.decode_singles(decoder, children, weights.singles)
    _check(2 * len(single) - int(single.sum()), count)
    return children.grow(single)


def _check(points: int, count: int) -> None:
    """Refuses a level whose nodes need more points than there are."""
    if points > count:
        raise FormatError(
            f"octree level: found nodes for at least {points} points, expected {count}"
        )


def _occupancy(level: Level, nodes: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """(M,) uint8 of the nodes of ``level``, bit o for a child in octant o among ``nodes``."""
    parents = np.searchsorted(level.codes, nodes >> np.uint64(3))
    places = np.uint64(1) << (nodes & np.uint64(7))
    return np.bincount(parents, weights=places, minlength=len(level)).astype(np.uint8)


def _encode_counts(encoder: Encoder, points: NDArray[np.int64]) -> None:
    """Codes the number of ``points`` (m,), each 2 or more, of the multiple leaves."""
    if not len(points):
        return
    symbols = np.minimum(points - 2, _COUNTS - 1)
    model = encode_table(encoder, np.bincount(symbols, minlength=_COUNTS))
    encoder.encode(symbols, model)
    encode_naturals(encoder, points[symbols == _COUNTS - 1] - 2 - (_COUNTS - 1))


def _decode_counts(decoder: Decoder, leaves: int) -> NDArray[np.int64]:
    """Inverse of `_encode_counts`: (leaves,) int64."""
    if not leaves:
        return np.zeros(0, dtype=np.int64)
    symbols = decoder.decode(leaves, decode_table(decoder, _COUNTS)).astype(np.int64)
    escaped = symbols == _COUNTS - 1
    symbols[escaped] += decode_naturals(decoder, int(escaped.sum()))
    return symbols + 2
