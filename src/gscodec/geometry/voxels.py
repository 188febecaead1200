"""The lattice that positions lie on already, if they do: Scaffold-GS puts anchors on voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.geometry.lattice import MAX_BITS, Lattice

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TOLERANCE = 0.02  # of a cell: floats of positions are exact to far less
# Positions are on the lattice, not just within its tolerance, unless most share a cell: beside a
# far outlier everything else is near to one point.
_SHARED = 4
_SAME = 1e-7  # of the extent: nearer coordinates are the same one, rounded


def find_voxels(positions: NDArray[np.float32], declared: float | None) -> Lattice | None:
    """A lattice on which all ``positions`` (N, 3) lie, or None.

    ``declared`` is an edge to try before that which the data suggest; neither is believed
    without a look at every coordinate.
    """
    if len(positions) < 2 or not np.isfinite(positions).all():
        return None
    x = positions.astype(np.float64)
    low, extent = x.min(axis=0), float(np.ptp(x, axis=0).max())
    if not extent:
        return None
    gaps = np.concatenate([np.diff(np.unique(axis)) for axis in x.T])
    gaps = gaps[gaps > _SAME * extent]
    candidates = [] if declared is None or not declared > 0 else [declared]
    if len(gaps):
        # Most gaps are one cell; rounding spreads them, few are smaller.
        candidates += [float(np.quantile(gaps, 0.1)), float(gaps.min())]
    for edge in candidates:
        lattice = _fitted(x, low, extent, edge)
        if lattice is not None:
            return lattice
    return None


def _fitted(
    x: NDArray[np.float64], low: NDArray[np.float64], extent: float, edge: float
) -> Lattice | None:
    """The lattice of about this ``edge``, refined until it reaches across the scene."""
    if not 1 <= extent / edge < 2**MAX_BITS - 1:
        return None
    origin = low.copy()
    for _ in range(4):
        cells = np.rint((x - origin) / edge)
        spread = cells - cells.mean(axis=0)
        slope = float((spread * (x - x.mean(axis=0))).sum() / (spread**2).sum())
        edge = slope if slope > 0 else edge
        origin = (x - cells * edge).mean(axis=0)
    cells = np.rint((x - origin) / edge)
    if cells.min() < 0 or np.abs(x - origin - cells * edge).max() > _TOLERANCE * edge:
        return None
    bits = max(1, int(cells.max()).bit_length())
    if bits > MAX_BITS:
        return None
    if _SHARED * _occupied(cells) < len(x):
        return None
    return Lattice((float(origin[0]), float(origin[1]), float(origin[2])), edge, bits)


def _occupied(cells: NDArray[np.float64]) -> int:
    """How many different ones there are among ``cells`` (N, 3), each below 2**MAX_BITS."""
    x, y, z = cells.astype(np.int64).T
    return len(np.unique((x << 2 * MAX_BITS) | (y << MAX_BITS) | z))
