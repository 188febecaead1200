"""Binary decisions from integer logits, with shipped tables.

A logit is an integer in 1/16 nat. It is rounded to a quarter of a nat, clamped, and picks one
of 63 tables: class c, -31 .. 31, gives a one with the probability 1 / (1 + exp(-c / 4)).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding.range_coder import FREQUENCY_BITS, Decoder, Encoder, Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOGIT_UNIT = 16  # logits per nat
_QUARTER = LOGIT_UNIT // 4
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


@cache
def class_models() -> tuple[Model, ...]:
    """The tables of the classes -31 .. 31."""
    whole = 1 << FREQUENCY_BITS
    rising = [whole - f for f in FREQUENCIES[:0:-1]] + list(FREQUENCIES)
    return tuple(Model(np.array([whole - one, one])) for one in rising)


def decision_classes(logits: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Index into `class_models` for integer ``logits`` (any shape, 1/16 nat)."""
    quarters = np.floor((logits + _QUARTER // 2) / _QUARTER)  # exact: a power of two
    return (np.clip(quarters, -_TOP, _TOP) + _TOP).astype(np.uint8)


def encode_bits(
    encoder: Encoder, bits: NDArray[np.integer], logits: NDArray[np.float32]
) -> None:
    """Codes ``bits`` (M,), each 0 or 1, with ``logits`` (M,) of a one."""
    encode_decisions(encoder, bits, decision_classes(logits))


def decode_bits(decoder: Decoder, logits: NDArray[np.float32]) -> NDArray[np.int32]:
    """Inverse of `encode_bits`: (M,) int32."""
    return decode_decisions(decoder, decision_classes(logits))


def encode_decisions(
    encoder: Encoder, bits: NDArray[np.integer], classes: NDArray[np.uint8]
) -> None:
    """Codes ``bits`` (M,), each 0 or 1, with the tables ``classes`` (M,)."""
    encoder.encode_grouped(bits, classes, class_models())


def decode_decisions(decoder: Decoder, classes: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Inverse of `encode_decisions`: (M,) int32."""
    return decoder.decode_grouped(classes, class_models())


def one_shares(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probability of a one that the tables of ``logits`` give."""
    ones = np.array([m.frequencies[1] for m in class_models()]) / 2.0**FREQUENCY_BITS
    shares: NDArray[np.float64] = ones[decision_classes(logits)]
    return shares


def decision_bits(
    bits: NDArray[np.integer], decisions: NDArray[np.integer]
) -> NDArray[np.float32]:
    """What `encode_bits` spends on each of ``bits`` (M,) in classes ``decisions``: (M,) float32."""
    frequencies = np.array([model.frequencies for model in class_models()])
    costs: NDArray[np.float32] = (FREQUENCY_BITS - np.log2(frequencies)).astype(np.float32)
    spent: NDArray[np.float32] = costs[decisions, bits]
    return spent
