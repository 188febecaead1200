"""A unit of a block under its law: to bytes, back, and what it takes.

Values that are not ``present`` are not coded; None stands for all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import (
    decision_bits,
    decode_decisions,
    decode_residuals,
    encode_decisions,
    encode_residuals,
    residual_bits,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.coding import Decoder, Encoder
    from gscodec.units import Law, Quanta

    Present = NDArray[np.bool_] | None


def encode_unit(encoder: Encoder, law: Law, residuals: Quanta, present: Present) -> None:
    """Codes ``residuals`` (rows, columns)."""
    values, tables = _coded(residuals, present), _coded(law.table, present)
    if law.family is None:
        encode_decisions(encoder, values, tables)
    else:
        encode_residuals(encoder, values, tables, law.family)


def decode_unit(decoder: Decoder, law: Law, present: Present) -> Quanta:
    """Inverse of `encode_unit`; zeros where nothing is ``present``."""
    tables = _coded(law.table, present)
    if law.family is None:
        values: Quanta = decode_decisions(decoder, tables)
    else:
        values = decode_residuals(decoder, tables, law.family)
    if present is None:
        return values.reshape(law.table.shape)
    residuals = np.zeros(law.table.shape, dtype=values.dtype)
    residuals[present] = values
    return residuals


def bits_of_unit(law: Law, residuals: Quanta, present: Present) -> NDArray[np.float32]:
    """What `encode_unit` spends on each row: (rows,) float32."""
    values, tables = _coded(residuals, present), _coded(law.table, present)
    if law.family is None:
        each = decision_bits(values, tables)
    else:
        each = residual_bits(values, tables, law.family)
    bits = np.zeros(residuals.shape, dtype=np.float32)
    bits[slice(None) if present is None else present] = (
        each.reshape(bits.shape) if present is None else each
    )
    rows: NDArray[np.float32] = bits.sum(axis=1)
    return rows


def _coded(values: NDArray[np.generic], present: Present) -> NDArray[np.Any]:  # type: ignore[name-defined]
    """Those that are coded, in order."""
    return values.ravel() if present is None else values[present]
