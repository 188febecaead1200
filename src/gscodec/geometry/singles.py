"""Stage 3 of a level: which of its new nodes are single.

Only children of multiple nodes with two or more children are asked (`Children.undecided`);
one decision each, all in one run. The features, rank 1 face, 2 edge, 3 corner:

    0 .. 2    nodes around the child with another parent, by rank
    3 .. 5    nodes around the child with the same parent, by rank
    6 .. 8    nodes around the child whose parent is single, by rank
    9 .. 15   number of children of the parent, 2 to 8, one-hot
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import decode_bits, encode_bits
from gscodec.geometry import logistic
from gscodec.geometry.neighbours import AROUND, RANK, at, places_of, sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.coding import Decoder, Encoder
    from gscodec.geometry.level import Children
    from gscodec.geometry.neighbours import Pairs

FEATURES = 16
_SAME_PARENT, _LONE, _SIBLINGS = 3, 6, 9
_SAMPLE = 32_768


def encode_singles(
    encoder: Encoder,
    children: Children,
    single: NDArray[np.bool_],
    before: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Codes ``single`` (M',) of ``children``.

    Returns:
        The weights used.
    """
    asked = np.flatnonzero(children.undecided())
    stride = len(asked) // _SAMPLE + 1
    identity = np.eye(FEATURES, dtype=np.float32)
    sample = asked[::stride]
    features = _combine(children, sample, identity)
    weights = logistic.learn(features, single[sample].astype(np.uint8), before, stride)
    logistic.encode_weights(encoder, weights, before)
    logits = _combine(children, asked, weights.astype(np.float32)[:, None])[:, 0]
    encode_bits(encoder, single[asked].astype(np.uint8), logits)
    return weights


def decode_singles(
    decoder: Decoder, children: Children, before: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Inverse of `encode_singles`: single (M',) bool, and the weights used."""
    asked = np.flatnonzero(children.undecided())
    weights = logistic.decode_weights(decoder, before)
    logits = _combine(children, asked, weights.astype(np.float32)[:, None])[:, 0]
    single = children.parent_single.copy()
    single[asked] = decode_bits(decoder, logits) == 1
    return single, weights


def _combine(
    children: Children, asked: NDArray[np.intp], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Features of the nodes ``asked`` (n,) times ``weights`` (16, C): (n, C) float32."""
    parents = children.parents[asked]

    def keys_of(pairs: Pairs) -> NDArray[np.uint8]:
        same = at(parents, pairs.one) == at(children.parents, pairs.two)
        kind = same + np.uint8(2) * at(children.parent_single, pairs.two)
        keys: NDArray[np.uint8] = np.uint8(AROUND) * kind + pairs.offset
        return keys

    apart, beside = weights[RANK - 1], weights[_SAME_PARENT + RANK - 1]
    table = np.concatenate([apart, beside, apart + weights[_LONE + RANK - 1]])
    place = places_of(asked, len(children.codes))
    found = sums(children.pairs, place, keys_of, table, len(asked))
    return found.T + weights[_SIBLINGS + children.siblings[asked] - 2]
