"""A spatial feature pool: from a position alone, what coordinates are about (Predict-GS, 3.2).

A binary hash grid and a small fusion network, in integers. What a primitive has besides is its
residual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import decode_naturals, encode_naturals
from gscodec.errors import FormatError
from gscodec.intnet.box import POSITION_FEATURES, position_features
from gscodec.intnet.context import MAX_FRACTION_BITS, MAX_LOG2_UNIT, OUTPUT_BITS
from gscodec.intnet.network import decode_network, encode_network
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.coding import Decoder, Encoder
    from gscodec.intnet.box import Box
    from gscodec.intnet.hashgrid import HashGrid
    from gscodec.intnet.network import Network


@dataclass(frozen=True)
class Pool:
    """What one file predicts from positions.

    Attributes:
        grid: Shared features.
        box: The part of the lattice that they cover.
        fraction_bits: A quantum of what is predicted is 2**-fraction_bits.
        log2_unit: A unit of the network's outputs is 2**log2_unit quanta.
        network: From position and features to coordinates.
    """

    grid: HashGrid
    box: Box
    fraction_bits: int
    log2_unit: int
    network: Network

    def __call__(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Predictions (rows, columns), quanta, at ``cells`` (rows, 3) of the lattice."""
        out = np.empty((len(cells), self.network.outputs), np.int64)
        for rows in in_slices(len(cells)):
            u = self.box.normalise(cells[rows])
            seen = np.concatenate([position_features(u), self.grid(u)], axis=1)
            out[rows] = self.network(seen)
        return out << self.log2_unit >> self.network.shift + OUTPUT_BITS


def encode_fusion(encoder: Encoder, pool: Pool) -> None:
    """Codes all but the grid and its box."""
    encode_naturals(encoder, np.array([pool.fraction_bits, pool.log2_unit]))
    encode_network(encoder, pool.network)


def decode_fusion(decoder: Decoder, grid: HashGrid, box: Box, columns: int) -> Pool:
    """Inverse of `encode_fusion`, for the ``grid`` in ``box``.

    Raises:
        FormatError: A number is out of range.
    """
    fraction, log2_unit = decode_naturals(decoder, 2).tolist()
    if fraction > MAX_FRACTION_BITS or log2_unit > MAX_LOG2_UNIT:
        raise FormatError(
            f"pool: {fraction} fraction bits and log2 unit {log2_unit}, expected at most "
            f"{MAX_FRACTION_BITS} and {MAX_LOG2_UNIT}"
        )
    network = decode_network(decoder, POSITION_FEATURES + grid.features, columns)
    return Pool(grid, box, fraction, log2_unit, network)
