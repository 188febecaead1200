"""Values of some units as a prediction and a residual, both in a learned basis (Predict-GS).

A pool predicts coordinates from positions, residuals of them are coded, and a basis makes values
of their sum. Basis or pool may be missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import Encoder, decode_naturals, encode_naturals
from gscodec.errors import FormatError
from gscodec.intnet.basis import decode_basis, encode_basis, joined, lifted
from gscodec.intnet.box import Box
from gscodec.intnet.hashgrid import HashGrid, decode_grid, encode_grid
from gscodec.intnet.pool import decode_fusion, encode_fusion
from gscodec.payload import Attribute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.coding import Decoder
    from gscodec.intnet.basis import Basis
    from gscodec.intnet.pool import Pool
    from gscodec.units import Unit

_MIXED = {Attribute.FEATURE, Attribute.SH_1, Attribute.SH_2, Attribute.SH_3}
_NO_GRID, _NO_BOX = HashGrid((), ()), Box((0, 0, 0), 1)


def mixed(units: Sequence[Unit]) -> range:
    """Numbers of the units whose values are predicted, one after the other."""
    found = [number for number, unit in enumerate(units) if unit.attribute in _MIXED]
    return range(found[0], found[-1] + 1) if found else range(0)


@dataclass(frozen=True)
class Prediction:
    """What one file says about it.

    Attributes:
        basis: None: values are coordinates.
        pool: None: coordinates are residuals.
    """

    basis: Basis | None = None
    pool: Pool | None = None

    def __bool__(self) -> bool:
        """Whether residuals are not the values themselves."""
        return self.basis is not None or self.pool is not None

    def values(
        self, cells: NDArray[np.int64], parts: Sequence[NDArray[np.int64]], bits: Sequence[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Values (rows, F) at ``cells`` (rows, 3), and the fraction bits of each column.

        Args:
            cells: Of the lattice.
            parts: Residuals (rows, columns) of each unit, quanta.
            bits: Fraction bits of each unit.
        """
        most = max(bits)
        coordinates = joined(parts, bits)
        if self.pool is not None:
            predicted, own = self.pool(cells), self.pool.fraction_bits
            coordinates = lifted(coordinates, max(0, own - most))
            coordinates += lifted(predicted, max(0, most - own))
            most = max(most, own)
        if self.basis is None:
            return coordinates, np.full(coordinates.shape[1], most)
        return self.basis.mixed(coordinates), self.basis.exponents + most

    def encode(self) -> tuple[bytes, bytes]:
        """Two streams: the grid of the pool; then basis and fusion network."""
        grid, rest = Encoder(), Encoder()
        pool = self.pool
        if pool is None:
            encode_grid(grid, _NO_GRID, _NO_BOX)
        else:
            encode_grid(grid, pool.grid, pool.box)
        encode_naturals(rest, np.array([self.basis is not None, pool is not None]))
        if self.basis is not None:
            encode_basis(rest, self.basis)
        if pool is not None:
            encode_fusion(rest, pool)
        return grid.finish(), rest.finish()


def decode_prediction(
    grid: Decoder, rest: Decoder, columns: int, position_bits: int
) -> Prediction:
    """Inverse of `Prediction.encode`, of ``columns`` values.

    Raises:
        FormatError: A number is out of range.
    """
    levels, box = decode_grid(grid, position_bits)
    grid.finish()
    has_basis, has_pool = decode_naturals(rest, 2).tolist()
    if max(has_basis, has_pool) > 1 or (levels.levels and not has_pool):
        raise FormatError(
            f"basis: flags {has_basis} and {has_pool} with {len(levels.levels)} levels, expected "
            "0 or 1, and a pool for its levels"
        )
    if (has_basis or has_pool) and not columns:
        raise FormatError("basis: of no columns, expected none")
    basis = decode_basis(rest, columns) if has_basis else None
    pool = decode_fusion(rest, levels, box, columns) if has_pool else None
    rest.finish()
    return Prediction(basis, pool)
