"""Scalars of any width as byte planes, each with one static table of its byte frequencies.

The bytes of little-endian values are regrouped, all lowest bytes first ("byte shuffle").
Exponents and high bytes compress, mantissas do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np

from gscodec.coding.naturals import decode_table, encode_table
from gscodec.coding.range_coder import Decoder, Encoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Scalar = TypeVar("_Scalar", bound=np.generic)


def encode_planes(values: NDArray[np.generic]) -> bytes:
    """Codes ``values`` (any shape, any integer or float dtype), in C order."""
    width = values.dtype.itemsize
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    encoder = Encoder()
    for plane in little.reshape(-1).view(np.uint8).reshape(-1, width).T:
        model = encode_table(encoder, np.bincount(plane, minlength=256))
        encoder.encode(plane, model)
    return encoder.finish()


def decode_planes(data: bytes, count: int, dtype: np.dtype[_Scalar]) -> NDArray[_Scalar]:
    """Inverse of `encode_planes`: (count,) in native byte order.

    Raises:
        FormatError: If ``data`` is not such a stream of ``count`` values.
    """
    decoder = Decoder(data)
    planes = np.empty((count, dtype.itemsize), dtype=np.uint8)
    for column in range(dtype.itemsize):
        planes[:, column] = decoder.decode(count, decode_table(decoder, 256))
    decoder.finish()
    return planes.reshape(-1).view(dtype.newbyteorder("<")).astype(dtype, copy=False)
