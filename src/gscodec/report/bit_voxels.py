"""Bits by primitive -> bits by voxel, for pictures as figure 7 of HAC (Chen et al., ECCV 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.payload import SceneKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gscodec.bitmap import BitMap

CELLS = 32  # along the longest edge
# Outliers are kilometres away where scenes are of the outdoors: what is shown reaches a fourth
# beyond the middle 98 % along each axis.
_QUANTILES = (0.01, 0.99)
_BEYOND = 0.25
_SCALE = (0.02, 0.98)  # where the colours end
_FLAT = 0.6  # an extent below this share of the next larger one is the height
# By axis: x up, y down, z up.
_UPRIGHT = (
    ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
    ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
)
_NOUNS = {SceneKind.GAUSSIANS: "Gaussian", SceneKind.ANCHORS: "anchor"}


@dataclass(frozen=True)
class Voxels:
    """What falls into each cubic cell that is not empty.

    Attributes:
        noun: What a primitive is called.
        edge: Of a cell, scene units.
        cells: (V, 3) int64, indices along x, y, z.
        counts: (V,) int64, primitives in the cell.
        bits: By name, see `BitMap.parts`, (V,) float64, of all primitives in the cell.
        outside: Primitives in no cell: outliers.
        outside_bits: What they take.
        up: Which way is up in the scene, where somebody says so.
    """

    noun: str
    edge: float
    cells: NDArray[np.int64]
    counts: NDArray[np.int64]
    bits: Mapping[str, NDArray[np.float64]]
    outside: int
    outside_bits: float
    up: tuple[float, float, float] | None = None

    def __len__(self) -> int:
        return len(self.counts)

    def total(self) -> NDArray[np.float64]:
        """Bits of each cell, all attributes together: (V,)."""
        return sum(self.bits.values(), np.zeros(len(self)))

    def radii(self) -> NDArray[np.float64]:
        """Of balls whose volumes are as the counts, (V,), in edges of a cell; few are cut."""
        most = np.quantile(self.counts, 0.95) if len(self) else 1.0
        radii: NDArray[np.float64] = 0.6 * np.cbrt(np.minimum(self.counts / most, 1))
        return radii

    def upright(self) -> NDArray[np.float64]:
        """See the function."""
        return upright(self.cells, self.up)

    def caption(self) -> str:
        """One sentence on the balls, and one on what is not shown."""
        text = (
            f"Each ball is a cell of {self.edge:.3g} units; its volume grows with the number "
            f"of {self.noun}s there."
        )
        if not self.outside:
            return text
        beyond = f"{self.outside:,} {self.noun}{'s' if self.outside > 1 else ''}"
        share = self.outside_bits / max(self.outside_bits + self.total().sum(), 1e-9)
        return f"{text} Not shown: {beyond} far outside, with {100 * share:.1f} % of the bits."


def _standing(up: tuple[float, float, float]) -> NDArray[np.float64]:
    """The axis nearest to ``up`` becomes the last one; no axis is mirrored."""
    axis = int(np.argmax(np.abs(up)))
    third = np.zeros(3)
    third[axis] = np.sign(up[axis])
    first = np.roll(np.abs(third), 1)
    return np.stack([first, np.cross(third, first), third])


def voxels(found: BitMap, up: tuple[float, float, float] | None = None) -> Voxels:
    """Sorts primitives into cells, `CELLS` of them along the longest edge; ``up`` as of `Voxels`."""
    finite = np.isfinite(found.positions).all(axis=1)
    points = found.positions.astype(np.float64)
    low, high = _extent(points[finite])
    edge = float((high - low).max()) / CELLS or 1.0
    with np.errstate(invalid="ignore"):
        inside = finite & ((points >= low) & (points <= high)).all(axis=1)
    cells = np.minimum((points[inside] - low) // edge, CELLS - 1).astype(np.int64)
    unique, index, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    bits: dict[str, NDArray[np.float64]] = {
        name: np.bincount(index.ravel(), each[inside], len(unique)).astype(np.float64)
        for name, each in found.parts().items()
    }
    return Voxels(
        noun=_NOUNS[found.kind],
        edge=edge,
        cells=unique,
        counts=counts,
        bits=bits,
        outside=int((~inside).sum()),
        outside_bits=float(found.total()[~inside].sum()),
        up=up,
    )


def headline(found: BitMap) -> str:
    """For example ``69,593 Gaussians, 44.0 bits each``; networks and grid are part of it."""
    bits = sum(found.sums().values())
    noun = _NOUNS[found.kind] + ("" if len(found) == 1 else "s")
    return f"{len(found):,} {noun}, {bits / max(len(found), 1):.1f} bits each"


def _extent(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners (3,) of the box that is shown."""
    if not len(points):
        return np.zeros(3), np.zeros(3)
    low, high = np.quantile(points, _QUANTILES, axis=0)
    beyond = _BEYOND * (high - low)
    inside = ((points >= low - beyond) & (points <= high + beyond)).all(axis=1)
    if not inside.any():
        return low, high
    return points[inside].min(axis=0), points[inside].max(axis=0)


def value_range(
    values: NDArray[np.float64], weights: NDArray[np.integer]
) -> tuple[float, float]:
    """Ends of a colour scale for ``values`` (V,): the middle 96 % by ``weights``, never empty."""
    if not len(values):
        return 0.0, 1.0
    order = np.argsort(values)
    shares = np.cumsum(weights[order]) / weights.sum()
    low, high = values[order][np.searchsorted(shares, _SCALE)]
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def upright(
    cells: NDArray[np.int64], up: tuple[float, float, float] | None
) -> NDArray[np.float64]:
    """Turns (3, 3) ``cells`` (V, 3) so that the last axis points up, as far as one can guess.

    Where no file says so: scenes that are flat lie on the ground; objects stand along z, as
    Blender has it; cameras have y downwards, and what COLMAP makes follows them.
    """
    if up is not None:
        return _standing(up)
    extents = np.ptp(cells, axis=0) + 1 if len(cells) else np.ones(3)
    flat = int(np.argmin(extents))
    if extents[flat] > _FLAT * np.sort(extents)[1]:
        flat = 2
    return np.array(_UPRIGHT[flat], dtype=np.float64)
