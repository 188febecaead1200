"""Colours rotated to luma and two chromas, exactly invertible up to one rounding (format-spec.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SH_CONSTANT = 0.28209479177387814  # the constant function of the SH basis
# Rows R, G, B; columns Y, U, V.
YUV_TO_RGB = ((1.0, 1.0, -1.0), (1.0, 0.0, 2.0), (1.0, -1.0, -1.0))


def to_rgb(yuv: NDArray[np.float64]) -> NDArray[np.float32]:
    """(..., 3) Y, U, V to R = Y + U - V, G = Y + 2 V, B = Y - U - V.

    In this order of operations, each a single rounding: it is what a file decodes to.
    """
    rgb: NDArray[np.float32] = np.empty(yuv.shape, dtype=np.float32)
    put_rgb(yuv[..., 0], yuv[..., 1], yuv[..., 2], rgb)
    return rgb


def put_rgb(
    y: NDArray[np.float64],
    u: NDArray[np.float64],
    v: NDArray[np.float64],
    rgb: NDArray[np.float32],
) -> None:
    """`to_rgb` of planes (...), into ``rgb`` (..., 3)."""
    rgb[..., 0] = (y + u) - v
    rgb[..., 1] = y + 2 * v
    rgb[..., 2] = (y - u) - v


def to_yuv(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of `to_rgb`, (..., 3)."""
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    return np.stack([(r + g + b) / 3, (r - b) / 2, (2 * g - r - b) / 6], axis=-1)
