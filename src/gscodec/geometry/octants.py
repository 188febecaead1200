"""Stage 1 of a level: in which octant a single node's only point lies.

Three decisions per node, z then y then x: is it the upper half? A point lies rather on the
side where there are more neighbours, so every feature is a difference of the two sides:

    0 .. 2   occupied neighbours across a face, edge, corner: upper minus lower side
    3 .. 5   the same of multiple neighbours
    6        sum over the axes decided so far of their side (+1 or -1) times (occupied
             neighbours where both offsets have one sign, minus those where they differ)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import Decoder, Encoder, Model, decode_bits, encode_bits
from gscodec.geometry import logistic
from gscodec.geometry.level import ABSENT, MULTIPLE, Level
from gscodec.geometry.neighbours import OFFSETS, RANK
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES = 7
_AXES = (2, 1, 0)
_SAMPLE = 40_000
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
    if not level.tracked.all():
        encoder.encode(octants, _UNIFORM_OCTANT)
        return before
    near = level.near_singles()
    weights = _learn(near, octants, before)
    logistic.encode_weights(encoder, weights, before)
    for axis in _AXES:
        logits = _combine(near, octants, axis, weights.astype(np.float32)[:, None])[:, 0]
        encode_bits(encoder, octants >> axis & 1, logits)
    return weights


def decode_octants(
    decoder: Decoder, level: Level, before: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Inverse of `encode_octants`: octants (s,) uint8, and the weights used."""
    if not level.tracked.all():
        plain = decoder.decode(int(level.single.sum()), _UNIFORM_OCTANT)
        return plain.astype(np.uint8), before
    near = level.near_singles()
    weights = logistic.decode_weights(decoder, before)
    octants = np.zeros(len(near), dtype=np.uint8)
    for axis in _AXES:
        logits = _combine(near, octants, axis, weights.astype(np.float32)[:, None])[:, 0]
        octants |= (decode_bits(decoder, logits) << axis).astype(np.uint8)
    return octants, weights


def worth_tracking(
    level: Level, octants: NDArray[np.uint8], weights: NDArray[np.int64], count: int
) -> bool:
    """An encoder's choice: whether single nodes of the next level get contexts.

    They lose them for good once a quarter of the ``count`` points are alone and contexts save
    less than 1 % of their octants: finding neighbours takes a decoder's time.
    """
    if not level.tracked.all() or len(octants) * _POINTS_PER_SINGLE < count:
        return bool(level.tracked.all())
    near = level.near_singles()
    column = weights.astype(np.float32)[:, None]
    spent = sum(
        logistic.cost(octants >> axis & 1, _combine(near, octants, axis, column)[:, 0])
        for axis in _AXES
    )
    return spent < (1 - _WORTHWHILE) * 3 * len(octants)


def _combine(
    near: NDArray[np.uint8], octants: NDArray[np.uint8], axis: int, weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Features of the decision along ``axis`` times ``weights`` (7, C): (s, C) float32.

    Args:
        near: (s, 27) states of the neighbours.
        octants: (s,) with the bits of the axes above ``axis`` in place.
        axis: 2, 1 or 0.
        weights: One column to get logits, the identity to get the features themselves.
    """
    side = OFFSETS[:, axis, None].astype(np.float32)
    of_occupied, of_multiple = side * weights[RANK - 1], side * weights[RANK + 2]
    out = np.empty((len(near), weights.shape[1]), np.float32)
    for rows in in_slices(len(near)):
        occupied = (near[rows] != ABSENT).astype(np.float32)
        multiple = (near[rows] == MULTIPLE).astype(np.float32)
        part: NDArray[np.float32] = occupied @ of_occupied + multiple @ of_multiple
        for decided in range(axis + 1, 3):
            sign = 2 * (octants[rows] >> decided & 1).astype(np.float32) - 1
            alike = occupied @ (side[:, 0] * OFFSETS[:, decided]).astype(np.float32)
            part += (sign * alike)[:, None] * weights[6]
        out[rows] = part
    return out


def _learn(
    near: NDArray[np.uint8], octants: NDArray[np.uint8], before: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Weights for these nodes, from an even sample of them."""
    stride = len(octants) // _SAMPLE + 1
    near, octants = near[::stride], octants[::stride]
    identity = np.eye(FEATURES, dtype=np.float32)
    features = [_combine(near, octants, axis, identity) for axis in _AXES]
    bits = [octants >> axis & 1 for axis in _AXES]
    return logistic.learn(np.concatenate(features), np.concatenate(bits), before, stride)
