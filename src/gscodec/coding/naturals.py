"""Natural numbers of any size, and frequency tables, as runs of uniform symbols.

A value v >= 0 is written as the bit length n of v + 1 (1 to 32, a uniform 5-bit symbol)
and the n - 1 bits of v + 1 below its leading one, as whole bytes, lowest first. All lengths
of a run come first, then byte plane after byte plane: every step is one run of the coder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding.range_coder import Decoder, Encoder, Model
from gscodec.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LENGTHS = Model.uniform(32)
_BYTES = Model.uniform(256)
_PLANES = 4  # bytes of the largest value, 2**32 - 2
MAX_NATURAL = 2**32 - 2


def encode_naturals(encoder: Encoder, values: NDArray[np.integer]) -> None:
    """Codes ``values`` (M,), each in 0 .. 2**32 - 2."""
    v = values.astype(np.int64) + 1
    lengths = np.frexp(v.astype(np.float64))[1].astype(np.int64)  # exact: v < 2**53
    encoder.encode(lengths - 1, _LENGTHS)
    low = v - (np.int64(1) << (lengths - 1))
    for plane in range(_PLANES):
        present = lengths - 1 > 8 * plane
        encoder.encode((low[present] >> (8 * plane)) & 255, _BYTES)


def decode_naturals(decoder: Decoder, count: int) -> NDArray[np.int64]:
    """Inverse of `encode_naturals`: (count,) int64."""
    lengths = decoder.decode(count, _LENGTHS).astype(np.int64) + 1
    low = np.zeros(count, dtype=np.int64)
    for plane in range(_PLANES):
        present = lengths - 1 > 8 * plane
        low[present] |= decoder.decode(int(present.sum()), _BYTES).astype(np.int64) << (
            8 * plane
        )
    leading = np.int64(1) << (lengths - 1)
    # "The bits above the leading one MUST be zero."
    if np.any(low >= leading):
        raise FormatError("coded natural number: bits set above its declared length")
    return leading + low - 1


def natural_bits(values: NDArray[np.integer]) -> NDArray[np.int64]:
    """What `encode_naturals` spends on each of ``values`` (M,): (M,) int64 bits."""
    lengths = np.frexp(values.astype(np.float64) + 1)[1].astype(np.int64)  # exact: below 2**53
    bits: NDArray[np.int64] = 5 + 8 * -(-(lengths - 1) // 8)
    return bits


def encode_table(encoder: Encoder, counts: NDArray[np.integer], precision: int = 12) -> Model:
    """Codes the frequencies of ``counts`` (S,) and returns the table the decoder will have.

    Counts are scaled so that the largest is below 2**precision; a symbol that occurred keeps
    at least 1, so that its share is not lost to the floor of one part in 2**24.
    """
    c = counts.astype(np.int64)
    top = int(c.max(initial=0))
    if top >= 1 << precision:
        c = np.maximum(c * ((1 << precision) - 1) // top, (c > 0).astype(np.int64))
    encode_naturals(encoder, c)
    return Model.from_counts(c)


def decode_table(decoder: Decoder, size: int) -> Model:
    """Inverse of `encode_table` for a table of ``size`` symbols."""
    return Model.from_counts(decode_naturals(decoder, size))
