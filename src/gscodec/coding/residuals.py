"""Signed integers coded around a known centre, with shipped tables per scale level.

Two families of symmetric tables, 88 levels each: level l has standard deviation
2**((l - 36) / 8) symbols, 0.044 to 83. Symbol order inside a table: -S .. S, then escape,
where S = `SUPPORT[level]`. A value v outside -S .. S is an escape followed, after all tables
of the run, by the natural number 2 * (|v| - S - 1) + (v < 0).

The tables are data (scale_tables.bin), fixed for ever by their SHA-256: frequencies of the
half from 0 upwards, then of the escape, 32-bit little-endian, level by level, Gaussian
family first. `generate` documents how they were made; no float of this machine decides.
"""

from __future__ import annotations

import hashlib
import math
from enum import IntEnum, unique
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding.naturals import decode_naturals, encode_naturals, natural_bits
from gscodec.coding.range_coder import FREQUENCY_BITS, Decoder, Encoder, Model
from gscodec.errors import FormatError, GscodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVELS = 88
LEVELS_PER_OCTAVE = 8
UNIT_LEVEL = 36  # the level whose standard deviation is one symbol
TABLES_SHA256 = "a840170e9766d6a46a079c7125f47c399df4a3017be11b7df514ee5594f58e70"
_TOTAL = 1 << FREQUENCY_BITS
NARROW_RESIDUAL = 1 << 15  # below this residuals have 32 bits


@unique
class Family(IntEnum):
    """Shape of the likelihood."""

    GAUSSIAN = 0
    LAPLACE = 1


def level_sigma(level: int) -> float:
    """Standard deviation of ``level``, in symbols."""
    return float(2.0 ** ((level - UNIT_LEVEL) / LEVELS_PER_OCTAVE))


# Eight standard deviations and one symbol more: an escape is rarer than 2**-16.
SUPPORT = tuple(math.ceil(8 * level_sigma(level)) + 1 for level in range(LEVELS))


def generate() -> bytes:
    """Computes the tables in float64; the committed bytes, not this, are the definition."""
    out = []
    for family in Family:
        for level in range(LEVELS):
            sigma, support = level_sigma(level), SUPPORT[level]
            tails = [_upper_tail(family, (k - 0.5) / sigma) for k in range(support + 2)]
            # Two times the mass at 0 .. S, the centre only once; the rest is the escape.
            half = [1 - 2 * tails[1], *(tails[k] - tails[k + 1] for k in range(1, support + 1))]
            spare = _TOTAL - 2 * (support + 1)
            f = [1 + math.floor(p * spare) for p in half]
            escape = max(1, math.floor(2 * tails[support + 1] * spare))
            f[0] += _TOTAL - escape - f[0] - 2 * sum(f[1:])
            out += [*f, escape]
    return np.array(out, dtype="<i4").tobytes()


def _upper_tail(family: Family, z: float) -> float:
    """P(X > z) of the unit-variance distribution."""
    if family is Family.GAUSSIAN:
        return 0.5 * math.erfc(z / math.sqrt(2))
    tail = 0.5 * math.exp(-math.sqrt(2) * abs(z))
    return tail if z > 0 else 1 - tail


@cache
def _half_tables() -> tuple[tuple[NDArray[np.int64], ...], ...]:
    """Per family and level: frequencies of 0 .. S and of the escape."""
    data = files("gscodec.coding").joinpath("scale_tables.bin").read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != TABLES_SHA256:
        raise GscodecError(
            f"scale_tables.bin: SHA-256 {found[:16]}..., expected {TABLES_SHA256[:16]}...; "
            "the installation is damaged, install gscodec again"
        )
    values = np.frombuffer(data, dtype="<i4").astype(np.int64)
    ends = np.cumsum([support + 2 for support in SUPPORT] * len(Family))[:-1]
    parts = np.split(values, ends)
    return tuple(tuple(parts[f * LEVELS : (f + 1) * LEVELS]) for f in range(len(Family)))


@cache
def _models(family: Family) -> tuple[Model, ...]:
    """The coder's tables of ``family``, one per level."""
    return tuple(
        Model(np.concatenate([half[-2:0:-1], half])) for half in _half_tables()[family]
    )


@cache
def bit_costs(family: Family) -> NDArray[np.float32]:
    """(LEVELS, S_max + 2) float32: bits of |v| per level; beyond S the escape with its natural."""
    width = max(SUPPORT) + 2
    costs = np.empty((LEVELS, width), dtype=np.float32)
    for level, half in enumerate(_half_tables()[family]):
        bits = FREQUENCY_BITS - np.log2(half)
        beyond = np.arange(width - SUPPORT[level] - 1)
        costs[level, : SUPPORT[level] + 1] = bits[:-1]
        costs[level, SUPPORT[level] + 1 :] = bits[-1] + 5 + np.ceil(np.log2(2 * beyond + 2))
    return costs


_SUPPORTS = np.array(SUPPORT, dtype=np.int64)
_NARROW = _SUPPORTS.astype(np.int32)


def encode_residuals(
    encoder: Encoder, values: NDArray[np.int64], levels: NDArray[np.integer], family: Family
) -> None:
    """Codes ``values`` (M,) with the table of ``levels`` (M,) each."""
    support = _SUPPORTS[levels]
    outside = np.abs(values) > support
    symbols = np.where(outside, 2 * support + 1, values + support)
    encoder.encode_grouped(symbols, levels, _models(family))
    v = values[outside]
    encode_naturals(encoder, 2 * (np.abs(v) - support[outside] - 1) + (v < 0))


def decode_residuals(
    decoder: Decoder, levels: NDArray[np.integer], family: Family
) -> NDArray[np.signedinteger]:
    """Inverse of `encode_residuals`: (M,), `narrowed`."""
    values = np.empty(len(levels), np.int32)
    escapes = [np.zeros(0, np.intp)]
    for part in decoder.decode_parts(levels, _models(family)):
        support = np.repeat(_NARROW, part.counts)
        residuals = part.symbols - support
        values[part.rows][part.order] = residuals
        escapes.append(part.rows.start + np.sort(part.order[residuals > support]))
    outside = np.concatenate(escapes)
    natural = decode_naturals(decoder, len(outside))
    magnitude = (natural >> 1) + _SUPPORTS[levels[outside]] + 1
    escaped = narrowed(np.where(natural & 1, -magnitude, magnitude))
    found = values.astype(escaped.dtype, copy=False)
    found[outside] = escaped
    return found


def narrowed(residuals: NDArray[np.int64]) -> NDArray[np.signedinteger]:
    """``residuals``, int32 if all of them are below `NARROW_RESIDUAL`, else int64."""
    far = np.abs(residuals).max(initial=0) >= NARROW_RESIDUAL
    return residuals if far else residuals.astype(np.int32)


def residual_bits(
    values: NDArray[np.int64], levels: NDArray[np.integer], family: Family
) -> NDArray[np.float32]:
    """What `encode_residuals` spends on each of ``values`` (M,): (M,) float32 bits."""
    costs, support = bit_costs(family), _SUPPORTS[levels]
    bits: NDArray[np.float32] = costs[levels, np.minimum(np.abs(values), support)]
    outside = np.flatnonzero(np.abs(values) > support)
    v, s = values[outside], support[outside]
    escapes = np.array([half[-1] for half in _half_tables()[family]])[levels[outside]]
    bits[outside] = FREQUENCY_BITS - np.log2(escapes)
    bits[outside] += natural_bits(2 * (np.abs(v) - s - 1) + (v < 0))
    return bits


def encode_fitted(encoder: Encoder, values: NDArray[np.int64]) -> None:
    """Codes small integers ``values`` (M,) with the one Laplace level that suits them best."""
    costs = bit_costs(Family.LAPLACE)
    clipped = np.minimum(np.abs(values), costs.shape[1] - 1)
    best = int(np.argmin(costs[:, clipped].sum(axis=1))) if values.size else 0
    encode_naturals(encoder, np.array([best]))
    levels = np.full(len(values), best, dtype=np.uint8)
    encode_residuals(encoder, values, levels, Family.LAPLACE)


def decode_fitted(decoder: Decoder, count: int) -> NDArray[np.int64]:
    """Inverse of `encode_fitted`: (count,) int64."""
    level = int(decode_naturals(decoder, 1)[0])
    if level >= LEVELS:
        raise FormatError(f"scale level: found {level}, expected 0 to {LEVELS - 1}")
    levels = np.full(count, level, dtype=np.uint8)
    return decode_residuals(decoder, levels, Family.LAPLACE).astype(np.int64)
