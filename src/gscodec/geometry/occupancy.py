"""Stage 2 of a level: which octants of a multiple node are occupied.

Eight passes over all multiple nodes, one per octant 0 .. 7, one decision each. A child cell is
*known* when its parent is single, or multiple and the octant's pass is over. The features:

    0 .. 8    occupied neighbours of the node by class of offset (`neighbours.SIDE`)
    9 .. 20   the 26 cells around the child's cell, as far as known and not in absent nodes:
              9 + 4 (rank - 1) + 2 (not in this node) + (empty), rank 1 face, 2 edge, 3 corner
    21 .. 28  the pass, one-hot
    29 .. 33  octants of this node found occupied so far, one-hot, 4 or more in the last

The last pass skips nodes without any occupied octant so far: theirs is occupied for certain.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import decode_bits, encode_bits
from gscodec.geometry import logistic
from gscodec.geometry.neighbours import AROUND, OCCUPIED, OCTANT, RANK, SELF, SIDE, SOURCE, at
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.coding import Decoder, Encoder
    from gscodec.geometry.level import Level

FEATURES = 34
_SIDES = slice(0, 9)
_KNOWN = slice(9, 21)
_PASS = 21
_FOUND = 29
_FOUND_TOP = 4
_SAMPLE = 8192
# A node's content in 10 bits: 0 absent; 256 + occupancy if single; 512 + occupancy so far.
_SINGLE_CONTENT, _MULTIPLE_CONTENT, _CONTENTS = 256, 512, 768
# Parents of the cells around an octant: the node itself and seven neighbours towards it.
_PARENTS = np.array([sorted(set(row)) for row in SOURCE])  # (8, 8) offset indices


def encode_occupancy(
    encoder: Encoder, level: Level, occupancy: NDArray[np.uint8], before: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Codes ``occupancy`` (M,) uint8 of the multiple nodes; single ones are known.

    Returns:
        The weights used.
    """
    multiple = np.flatnonzero(~level.single)
    weights = _learn(level, occupancy, before)
    logistic.encode_weights(encoder, weights, before)
    around = level.around_multiple()
    column = weights.astype(np.float32)[:, None]
    sides = _sides(around, len(level), column)
    for octant in range(8):
        contents = _contents(level, occupancy, octant)
        logits = _combine(around, contents, contents[multiple], octant, column)[:, 0]
        logits += sides[octant, 0]
        open_ = _undecided(contents[multiple], octant)
        bits = occupancy[multiple][open_] >> octant & 1
        encode_bits(encoder, bits, logits[open_])
    return weights


def decode_occupancy(
    decoder: Decoder, level: Level, occupancy: NDArray[np.uint8], before: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Inverse of `encode_occupancy`.

    Args:
        decoder: Where the bits come from.
        level: The nodes.
        occupancy: (M,) uint8 of the single nodes, 0 for multiple ones.
        before: (34,) weights of the level before.

    Returns:
        Occupancy (M,) uint8 of all nodes, and the weights used.
    """
    multiple = np.flatnonzero(~level.single)
    weights = logistic.decode_weights(decoder, before)
    around = level.around_multiple()
    column = weights.astype(np.float32)[:, None]
    sides = _sides(around, len(level), column)
    contents = _contents(level, occupancy, 0)
    for octant in range(8):
        own = contents[multiple]
        logits = _combine(around, contents, own, octant, column)[:, 0]
        logits += sides[octant, 0]
        open_ = _undecided(own, octant)
        bits = np.ones(len(multiple), dtype=np.uint16)
        bits[open_] = decode_bits(decoder, logits[open_])
        contents[multiple] = own | bits << octant
    return (contents[:-1] & 255).astype(np.uint8), weights


def _contents(level: Level, occupancy: NDArray[np.uint8], octant: int) -> NDArray[np.uint16]:
    """(M + 1,) uint16 contents of the nodes as known before the pass of ``octant``."""
    contents = np.zeros(len(level) + 1, dtype=np.uint16)
    done = occupancy & np.uint8((1 << octant) - 1)
    contents[:-1] = np.where(
        level.single,
        occupancy + np.uint16(_SINGLE_CONTENT),
        done + np.uint16(_MULTIPLE_CONTENT),
    )
    return contents


def _undecided(own: NDArray[np.uint16], octant: int) -> NDArray[np.bool_]:
    """(m,) bool: all nodes, but in the last pass only those with an occupied octant."""
    return (own > _MULTIPLE_CONTENT) | (octant < 7)


@cache
def _known_cells() -> NDArray[np.float32]:
    """(8 passes, 8 parents, 768 contents, 12) float32: the features 9 .. 20 of one parent."""
    table = np.zeros((8, 8, _CONTENTS, 12), dtype=np.float32)
    content = np.arange(_SINGLE_CONTENT, _CONTENTS)
    for octant in range(8):
        for cell in range(AROUND):
            source, place = SOURCE[octant, cell], OCTANT[octant, cell]
            if cell == SELF:
                continue
            slot = int(np.flatnonzero(_PARENTS[octant] == source)[0])
            known = (content < _MULTIPLE_CONTENT) | (place < octant)
            feature = 4 * (RANK[cell] - 1) + 2 * (source != SELF) + (1 - (content >> place & 1))
            table[octant, slot, content[known], feature[known]] += 1
    return table


def _sides(
    around: NDArray[np.int32], absent: int, weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Features 0 to 8 of each pass times ``weights`` (34, C): (8, C, m) float32."""
    there = weights[_SIDES][SIDE] * (SIDE >= 0)[..., None]  # (8, 27, C)
    each = there.transpose(0, 2, 1).reshape(-1, AROUND)
    out = np.empty((len(each), around.shape[1]), np.float32)
    for rows in in_slices(around.shape[1]):
        out[:, rows] = each @ (around[:, rows] < absent).astype(np.float32)
    return out.reshape(8, weights.shape[1], around.shape[1])


def _combine(
    around: NDArray[np.int32],
    contents: NDArray[np.uint16],
    own: NDArray[np.uint16],
    octant: int,
    weights: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Features 9 and up of the pass of ``octant`` times ``weights`` (34, C): (m, C) float32.

    ``weights`` is one column to get logits, the identity to get the features themselves.
    """
    known = _known_cells()[octant] @ weights[_KNOWN]  # (8, 768, C)
    out = np.empty((len(own), weights.shape[1]), np.float32)
    for rows in in_slices(len(own)):
        found = OCCUPIED[own[rows] & np.uint16(255)]
        part = weights[_PASS + octant] + weights[_FOUND + np.minimum(found, _FOUND_TOP)]
        for slot, parent in enumerate(_PARENTS[octant]):
            part += known[slot].take(at(contents, around[parent, rows]), axis=0, mode="clip")
        out[rows] = part
    return out


def _learn(
    level: Level, occupancy: NDArray[np.uint8], before: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Weights for these nodes, from an even sample of them."""
    multiple = np.flatnonzero(~level.single)
    stride = len(multiple) // _SAMPLE + 1
    chosen = multiple[::stride]
    around = level.around_multiple()[:, ::stride]
    identity = np.eye(FEATURES, dtype=np.float32)
    sides = _sides(around, len(level), identity)
    features, bits = [], []
    for octant in range(8):
        contents = _contents(level, occupancy, octant)
        open_ = _undecided(contents[chosen], octant)
        rows = _combine(around, contents, contents[chosen], octant, identity)
        rows += sides[octant].T
        features.append(rows[open_])
        bits.append(occupancy[chosen][open_] >> octant & 1)
    return logistic.learn(np.concatenate(features), np.concatenate(bits), before, stride)
