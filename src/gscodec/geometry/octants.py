"""Stage 1 of a level: in which octant a single node's only point lies.

Three decisions per node, z then y then x: is it the upper half? A point lies rather on the
side where there are more neighbours, so every feature is a difference of the two sides:

    0 .. 2   occupied neighbours across a face, edge, corner: upper minus lower side
    3 .. 5   the same of multiple neighbours
    6        sum over the axes decided so far of their side (+1 or -1) times (occupied
             neighbours where both offsets have one sign, minus those where they differ)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import Decoder, Encoder, Model, decode_bits, encode_bits
from gscodec.geometry import logistic
from gscodec.geometry.neighbours import AROUND, OFFSETS, RANK, at, places_of, sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.geometry.level import Level
    from gscodec.geometry.neighbours import Pairs

FEATURES = 7
_AXES = (2, 1, 0)
_SAMPLE = 20_000
_UNIFORM_OCTANT = Model.uniform(8)
_POINTS_PER_SINGLE = 4
_WORTHWHILE = 0.01


def encode_octants(
    encoder: Encoder,
    level: Level,
    octants: NDArray[np.uint8],
    before: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Codes ``octants`` (s,) of the single nodes, with contexts if these are tracked.

    Returns:
        The weights used.
    """
    if not level.tracked:
        encoder.encode(octants, _UNIFORM_OCTANT)
        return before
    weights = _learn(level, octants, before)
    logistic.encode_weights(encoder, weights, before)
    sides = _Sides.of(level, _singles(level), _column(weights))
    for axis in _AXES:
        encode_bits(encoder, octants >> axis & 1, sides.combine(octants, axis)[:, 0])
    return weights


def decode_octants(
    decoder: Decoder, level: Level, before: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Inverse of `encode_octants`: octants (s,) uint8, and the weights used."""
    singles = _singles(level)
    if not level.tracked:
        return decoder.decode(len(singles), _UNIFORM_OCTANT).astype(np.uint8), before
    weights = logistic.decode_weights(decoder, before)
    sides = _Sides.of(level, singles, _column(weights))
    octants = np.zeros(len(singles), dtype=np.uint8)
    for axis in _AXES:
        logits = sides.combine(octants, axis)[:, 0]
        octants |= (decode_bits(decoder, logits) << axis).astype(np.uint8)
    return octants, weights


def worth_tracking(
    level: Level, octants: NDArray[np.uint8], weights: NDArray[np.int64], count: int
) -> bool:
    """An encoder's choice: whether single nodes of the next level get contexts.

    They lose them for good once a quarter of the ``count`` points are alone and contexts save
    less than 1 % of their octants: finding neighbours takes a decoder's time.
    """
    if not level.tracked or len(octants) * _POINTS_PER_SINGLE < count:
        return level.tracked
    sides = _Sides.of(level, _singles(level), _column(weights))
    spent = sum(
        logistic.cost(octants >> axis & 1, sides.combine(octants, axis)[:, 0]) for axis in _AXES
    )
    return spent < (1 - _WORTHWHILE) * 3 * len(octants)


def _singles(level: Level) -> NDArray[np.intp]:
    return np.flatnonzero(level.single)


def _column(weights: NDArray[np.int64]) -> NDArray[np.float32]:
    return weights.astype(np.float32)[:, None]


@dataclass(frozen=True)
class _Sides:
    """Features of all three decisions times weights (7, C), as far as no octant is in them.

    Attributes:
        along: For each axis, (s, C) float32.
        alike: For z and y, z and x, y and x, (s,) float32: feature 6 but for the side.
        weight: (C,) of feature 6.
    """

    along: list[NDArray[np.float32]]
    alike: dict[tuple[int, int], NDArray[np.float32]]
    weight: NDArray[np.float32]

    @classmethod
    def of(cls, level: Level, nodes: NDArray[np.intp], weights: NDArray[np.float32]) -> _Sides:
        """Of some single ``nodes`` (s,). One column of weights for logits, identity for features."""
        multiple = weights[RANK - 1] + weights[RANK + 2]
        towards = [
            OFFSETS[:, axis, None] * np.stack([multiple, weights[RANK - 1]])
            for axis in range(3)
        ]
        crossed = {
            (d, a): OFFSETS[:, d] * OFFSETS[:, a] for a in _AXES for d in range(a + 1, 3)
        }
        columns = [*towards, *(np.stack([c, c])[..., None] for c in crossed.values())]
        table = np.concatenate(columns, axis=2, dtype=np.float32).reshape(2 * AROUND, -1)
        width = weights.shape[1]

        def keys_of(pairs: Pairs) -> NDArray[np.uint8]:
            keys: NDArray[np.uint8] = pairs.offset + np.uint8(AROUND) * at(
                level.single, pairs.two
            )
            return keys

        found = sums(level.pairs, places_of(nodes, len(level)), keys_of, table, len(nodes))
        along = [found[axis * width : (axis + 1) * width].T for axis in range(3)]
        alike = dict(zip(crossed, found[3 * width :], strict=True))
        return cls(along, alike, weights[6])

    def combine(self, octants: NDArray[np.uint8], axis: int) -> NDArray[np.float32]:
        """Of the decision along ``axis``, (s, C), by the bits of ``octants`` (s,) above it."""
        out = self.along[axis].copy()
        for decided in range(axis + 1, 3):
            sign = 2 * (octants >> decided & 1).astype(np.float32) - 1
            out += (sign * self.alike[decided, axis])[:, None] * self.weight
        return out


def _learn(
    level: Level, octants: NDArray[np.uint8], before: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Weights for these nodes, from an even sample of them."""
    stride = len(octants) // _SAMPLE + 1
    octants = octants[::stride]
    identity = np.eye(FEATURES, dtype=np.float32)
    sides = _Sides.of(level, _singles(level)[::stride], identity)
    features = [sides.combine(octants, axis) for axis in _AXES]
    bits = [octants >> axis & 1 for axis in _AXES]
    return logistic.learn(np.concatenate(features), np.concatenate(bits), before, stride)
