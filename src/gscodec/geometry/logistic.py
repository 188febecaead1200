"""Weights that turn features into the logit of a binary decision (`gscodec.coding.bits`).

Weights are integers, sent as differences from those of the level before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import (
    LOGIT_UNIT,
    Decoder,
    Encoder,
    Model,
    decode_naturals,
    encode_naturals,
    one_shares,
)
from gscodec.errors import FormatError
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHT_LIMIT = 4095  # 26 neighbours in each of a few sums stay far below 2**24: exact float32
_UNIFORM_BIT = Model.uniform(2)
# The encoder's regression. The prior lets a weight differ from the level before by 0.7 nat.
_PULL = 2.0
_ITERATIONS = 2  # more gain nothing
_SHARES = (1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32)


def encode_weights(
    encoder: Encoder, weights: NDArray[np.int64], before: NDArray[np.int64]
) -> None:
    """Codes ``weights`` (F,) as differences from those of the level before."""
    delta = weights - before
    changed = int(np.any(delta))
    encoder.encode(np.array([changed]), _UNIFORM_BIT)
    if changed:
        encode_naturals(encoder, _zigzag(delta))


def decode_weights(decoder: Decoder, before: NDArray[np.int64]) -> NDArray[np.int64]:
    """Inverse of `encode_weights`: (F,) int64."""
    if not int(decoder.decode(1, _UNIFORM_BIT)[0]):
        return before
    codes = decode_naturals(decoder, len(before))
    weights = before + ((codes >> 1) ^ -(codes & 1))
    if int(np.abs(weights).max()) > WEIGHT_LIMIT:
        raise FormatError(
            f"octree weights: found magnitude {int(np.abs(weights).max())}, "
            f"expected at most {WEIGHT_LIMIT}"
        )
    return weights


def cost(bits: NDArray[np.integer], logits: NDArray[np.float32]) -> float:
    """Ideal code length of `encode_bits`, in bits."""
    p = one_shares(logits)
    return float(-np.log2(np.where(bits == 1, p, 1 - p)).sum())


def learn(
    features: NDArray[np.float32],
    bits: NDArray[np.integer],
    before: NDArray[np.int64],
    scale: float,
) -> NDArray[np.int64]:
    """Weights that are worth sending for these decisions; ``before`` if none are.

    Args:
        features: (M, F) float32, a sample of the level's decisions.
        bits: (M,) what was decided.
        before: (F,) weights of the level before.
        scale: decisions in the level per decision in the sample.
    """
    if not len(bits):
        return before
    fitted = _fit(features, bits.astype(np.float64), before / LOGIT_UNIT, scale)
    weights = np.clip(np.rint(fitted * LOGIT_UNIT), -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(
        np.int64
    )
    old, new = (cost(bits, features @ w.astype(np.float32)) for w in (before, weights))
    return weights if (old - new) * scale > _weight_bits(weights - before) else before


def _fit(
    features: NDArray[np.float32],
    bits: NDArray[np.float64],
    prior: NDArray[np.float64],
    scale: float,
) -> NDArray[np.float64]:
    """Logistic regression drawn towards ``prior`` by Newton's method, steps halved as needed."""
    pull = _PULL / scale
    weights = prior
    wide = features.astype(np.float64)
    best, p = _loss(wide, bits, weights)
    for _ in range(_ITERATIONS):
        slope, curve = _derivatives(wide, bits, p)
        slope -= pull * (weights - prior)
        step = np.linalg.solve(curve + pull * np.eye(len(weights)), slope)
        for share in _SHARES:
            tried = weights + share * step
            loss, p = _loss(wide, bits, tried)
            loss += pull / 2 * float(np.square(tried - prior).sum())
            if loss < best:
                break
        else:
            return weights
        weights, best = tried, loss
    return weights


def _derivatives(
    features: NDArray[np.float64], bits: NDArray[np.float64], p: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Slope (F,) and curvature (F, F) of what bits save: sums over some rows at a time."""
    slope, curve = np.zeros(features.shape[1]), np.zeros([features.shape[1]] * 2)
    for rows in in_slices(len(bits)):
        own, share = features[rows], p[rows]
        slope += own.T @ _exact(bits[rows] - share)
        curve += own.T @ (own * _exact(share * (1 - share))[:, None])
    return slope, curve


def _exact(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounded so that sums of products with features, which are integers, are exact in any order."""
    return np.ldexp(np.rint(np.ldexp(values, 24)), -24)


def _loss(
    features: NDArray[np.float64], bits: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Code length in nats, and the probability of a one for each decision."""
    logits = features @ _exact(weights)
    low = np.exp(-np.abs(logits))
    loss = np.log1p(low)
    loss += np.maximum(logits, 0)
    loss -= bits * logits
    return float(loss.sum()), 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def _zigzag(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, -1, 1, -2, ... become 0, 1, 2, 3, ..."""
    return (values << 1) ^ (values >> 63)


def _weight_bits(delta: NDArray[np.int64]) -> float:
    """Length of coded differences (F,): 5 bits of length each, and the bits below."""
    return float((5 + np.floor(np.log2(_zigzag(delta) + 1))).sum())
