"""Cells <-> Morton codes: bits interleaved ... z1 y1 x1 z0 y0 x0, x lowest, 21 per axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Each step halves the runs of adjacent bits and moves the upper halves apart.
_STEPS = (
    (32, 0x001F00000000FFFF),
    (16, 0x001F0000FF0000FF),
    (8, 0x100F00F00F00F00F),
    (4, 0x10C30C30C30C30C3),
    (2, 0x1249249249249249),
)
_LOW_21 = np.uint64(0x1FFFFF)


def encode(ijk: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Codes (N,) uint64 of cells ``ijk`` (N, 3), each in 0 .. 2**21 - 1."""
    cells = ijk.astype(np.uint64)
    x, y, z = (_spread(cells[:, axis]) for axis in range(3))
    codes: NDArray[np.uint64] = x | y << np.uint64(1) | z << np.uint64(2)
    return codes


def decode(codes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Inverse of `encode`: (N, 3) int64."""
    axes = [_gather(codes >> np.uint64(axis)) for axis in range(3)]
    return np.stack(axes, axis=1).astype(np.int64)


def _spread(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Puts two zero bits above each of the low 21 bits."""
    v = values & _LOW_21
    for shift, mask in _STEPS:
        v = (v | v << np.uint64(shift)) & np.uint64(mask)
    return v


def _gather(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Inverse of `_spread`; bits between are ignored."""
    v = values & np.uint64(_STEPS[-1][1])
    masks = [mask for _, mask in _STEPS[-2::-1]] + [int(_LOW_21)]
    for (shift, _), mask in zip(reversed(_STEPS), masks, strict=True):
        v = (v | v >> np.uint64(shift)) & np.uint64(mask)
    return v
