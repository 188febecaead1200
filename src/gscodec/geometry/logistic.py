"""Binary decisions from integer logits, and how the encoder learns the weights.

A logit is an integer in 1/16 nat. It is rounded to a quarter of a nat, clamped, and picks one
of 63 shipped tables: class c, -31 .. 31, gives a one with the probability 1 / (1 + exp(-c / 4)).
Weights are integers, sent as differences from those of the level before.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import (
    FREQUENCY_BITS,
    Decoder,
    Encoder,
    Model,
    decode_naturals,
    encode_naturals,
)
from gscodec.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

WEIGHT_LIMIT = 4095  # 26 neighbours in each of a few sums stay far below 2**24: exact float32
UNIT = 16  # weights and logits per nat
_QUARTER = UNIT // 4
_TOP = 31
# Frequency of a one in 2**24 for the classes 0 .. 31.
FREQUENCIES = (
    8388608,
    9431757,
    10443135,
    11394728,
    12265128,
    13040928,
    13716624,
    14293396,
    14777323,
    15177517,
    15504527,
    15769129,
    15981542,
    16150975,
    16285438,
    16391720,
    16475457,
    16541267,
    16592886,
    16633310,
    16664929,
    16689637,
    16708930,
    16723987,
    16735732,
    16744891,
    16752030,
    16757595,
    16761931,
    16765310,
    16767942,
    16769992,
)
_UNIFORM_BIT = Model.uniform(2)
# The encoder's regression. The prior lets a weight differ from the level before by 0.7 nat.
_PULL = 2.0
_ITERATIONS = 8
_SHARES = (1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32)


@cache
def class_models() -> tuple[Model, ...]:
    """The tables of the classes -31 .. 31."""
    whole = 1 << FREQUENCY_BITS
    rising = [whole - f for f in FREQUENCIES[:0:-1]] + list(FREQUENCIES)
    return tuple(Model(np.array([whole - one, one])) for one in rising)


def classes(logits: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Index into `class_models` for integer ``logits`` (any shape, 1/16 nat)."""
    quarters = np.floor((logits + _QUARTER // 2) / _QUARTER)  # exact: a power of two
    return (np.clip(quarters, -_TOP, _TOP) + _TOP).astype(np.uint8)


def encode_bits(
    encoder: Encoder, bits: NDArray[np.integer], logits: NDArray[np.float32]
) -> None:
    """Codes ``bits`` (M,), each 0 or 1, with ``logits`` (M,) of a one."""
    encoder.encode_grouped(bits, classes(logits), class_models())


def decode_bits(decoder: Decoder, logits: NDArray[np.float32]) -> NDArray[np.int32]:
    """Inverse of `encode_bits`: (M,) int32."""
    return decoder.decode_grouped(classes(logits), class_models())


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
    ones = np.array([m.frequencies[1] for m in class_models()]) / 2.0**FREQUENCY_BITS
    p = ones[classes(logits)]
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
    fitted = _fit(features, bits.astype(np.float64), before / UNIT, scale)
    weights = np.clip(np.rint(fitted * UNIT), -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int64)
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
    best, p = _loss(features, bits, weights)
    for _ in range(_ITERATIONS):
        slope = features.T @ (bits - p).astype(np.float32) - pull * (weights - prior)
        spread = (p * (1 - p)).astype(np.float32)
        curve = features.T @ (features * spread[:, None]) + pull * np.eye(len(weights))
        step = np.linalg.solve(curve.astype(np.float64), slope)
        for share in _SHARES:
            tried = weights + share * step
            loss, p = _loss(features, bits, tried)
            loss += pull / 2 * float(np.square(tried - prior).sum())
            if loss < best:
                break
        else:
            return weights
        weights, best = tried, loss
    return weights


def _loss(
    features: NDArray[np.float32], bits: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Code length in nats, and the probability of a one for each decision."""
    logits = (features @ weights.astype(np.float32)).astype(np.float64)
    loss = float((np.logaddexp(0, logits) - bits * logits).sum())
    return loss, 1 / (1 + np.exp(-np.clip(logits, -30, 30)))


def _zigzag(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, -1, 1, -2, ... become 0, 1, 2, 3, ..."""
    return (values << 1) ^ (values >> 63)


def _weight_bits(delta: NDArray[np.int64]) -> float:
    """Length of coded differences (F,): 5 bits of length each, and the bits below."""
    return float((5 + np.floor(np.log2(_zigzag(delta) + 1))).sum())
