"""A learned basis: values as integer mixtures of the coordinates that are coded.

A value is 2**-exponent times a sum of coordinates times small integers. All of it is exact:
with `ENTRY_MAX` and `REACH` no sum over the 256 columns that there are at most leaves what a
double holds, so a product of matrices of doubles gives the same in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import decode_fitted, encode_fitted
from gscodec.errors import FormatError
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.coding import Decoder, Encoder

ENTRY_MAX = 127  # magnitude of an entry
REACH = 1 << 36  # magnitude of a coordinate and of what a pool predicts, quanta
MAX_EXPONENT = 64  # magnitude: float32 holds any value


@dataclass(frozen=True)
class Basis:
    """How values follow from coordinates.

    Attributes:
        matrix: (F, F) int64, a row for each value.
        exponents: (F,) int64: the row of a value is in 2**-exponent.
    """

    matrix: NDArray[np.int64]
    exponents: NDArray[np.int64]

    @classmethod
    def near(cls, real: NDArray[np.float64]) -> Basis:
        """The one whose `floats` are about ``real`` (F, F), which has no row of zeros."""
        largest = np.abs(real).max(axis=1)
        exponents = np.floor(np.log2(ENTRY_MAX / largest)).astype(np.int64)
        return cls(np.rint(np.ldexp(real, exponents[:, None])).astype(np.int64), exponents)

    def floats(self) -> NDArray[np.float64]:
        """(F, F): values are this times coordinates."""
        return np.ldexp(self.matrix.astype(np.float64), -self.exponents[:, None])

    def mixed(self, coordinates: NDArray[np.int64]) -> NDArray[np.int64]:
        """Values (rows, F), each in 2**-exponent of a quantum of ``coordinates`` (rows, F)."""
        out = np.empty(coordinates.shape, np.int64)
        matrix = self.matrix.T.astype(np.float64)
        for rows in in_slices(len(out)):
            out[rows] = coordinates[rows].astype(np.float64) @ matrix
        return out


def joined(parts: Sequence[NDArray[np.int64]], bits: Sequence[int]) -> NDArray[np.int64]:
    """``parts`` (rows, columns) of fractions of so many ``bits`` side by side, at the finest.

    What is beyond `REACH` then is clamped to it, about.
    """
    most = max(bits)
    return np.concatenate(
        [lifted(part, most - own) for part, own in zip(parts, bits, strict=True)], axis=1
    )


def lifted(quanta: NDArray[np.int64], more: int) -> NDArray[np.int64]:
    """``quanta`` with ``more`` bits of fraction, at most about `REACH` in magnitude."""
    limit = REACH >> more
    result: NDArray[np.int64] = np.clip(quanta, -limit, limit) << more
    return result


def encode_basis(encoder: Encoder, basis: Basis) -> None:
    """Codes the matrix row by row, then the exponents."""
    encode_fitted(encoder, basis.matrix.ravel())
    encode_fitted(encoder, basis.exponents)


def decode_basis(decoder: Decoder, columns: int) -> Basis:
    """Inverse of `encode_basis`.

    Raises:
        FormatError: A number is out of range.
    """
    matrix = decode_fitted(decoder, columns * columns).reshape(columns, columns)
    exponents = decode_fitted(decoder, columns)
    largest, farthest = int(np.abs(matrix).max()), int(np.abs(exponents).max())
    if largest > ENTRY_MAX or farthest > MAX_EXPONENT:
        raise FormatError(
            f"basis: entries up to {largest} and exponents up to {farthest}, "
            f"expected at most {ENTRY_MAX} and {MAX_EXPONENT}"
        )
    return Basis(matrix, exponents)
