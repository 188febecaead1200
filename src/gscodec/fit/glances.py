"""How much of each Gaussian shows, about: glances from some places, in numpy alone.

A glance sorts Gaussians into the cells of a coarse picture and into layers of depth: what lies
in nearer layers of its cell dims a Gaussian. Nothing is drawn, and no Gaussian is larger than
its cell; that tells what is inside of things from what is outside, in a tenth of a second for a
million Gaussians.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_CELLS, _LAYERS = 48, 64
_NEAR = 0.05  # sizes of the core; nearer is not looked at
_SOME = 4096  # Gaussians that layers are chosen from
_AROUND, _DISTANCE, _NARROW = 14, 1.2, math.tan(math.radians(29))
_WIDE = 1.0  # tangent of half a side of a cube around a place


class Shown(NamedTuple):
    """What glances tell of each Gaussian, all (N,) float32.

    Attributes:
        part: Transmittance before it, over its squared depth: mean over all glances.
        square: The same with the square of the transmittance.
        best: Highest transmittance.
    """

    part: Floats
    square: Floats
    best: Floats


def from_around(means: Floats, cover: Floats) -> Shown:
    """Glances at the core from all sides.

    Args:
        means: (N, 3) in sizes of the core, from its centre.
        cover: (N,) area times opacity, in the same unit.
    """
    k = np.arange(_AROUND) + 0.5
    z, angle = 1 - 2 * k / _AROUND, math.pi * (1 + 5**0.5) * k  # a Fibonacci spiral
    r = np.sqrt(1 - z * z)
    ways = np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=1)
    return _glances(means, cover, [(_DISTANCE * way, -way) for way in ways], _NARROW)


def from_within(means: Floats, cover: Floats) -> Shown:
    """Glances from the centre at all sides; arguments as `from_around`."""
    sides = [*np.eye(3), *-np.eye(3)]
    return _glances(means, cover, [(np.zeros(3), side) for side in sides], _WIDE)


def _glances(
    means: Floats,
    cover: Floats,
    poses: Iterable[tuple[NDArray[np.float64], NDArray[np.float64]]],
    reach: float,
) -> Shown:
    """From places in directions, pictures ``reach`` times their depth wide to each side."""
    found = Shown(*np.zeros((3, len(means)), np.float32))
    scale, count = _CELLS / (2 * reach), 0
    for place, way in poses:
        count += 1
        x, y, z = _axes(way).astype(np.float32) @ (means - place.astype(np.float32)).T
        near = np.reciprocal(np.maximum(z, _NEAR))
        x, y = x * (scale * near) + _CELLS / 2, y * (scale * near) + _CELLS / 2
        inside = (z > _NEAR) & (x >= 0) & (x < _CELLS) & (y >= 0) & (y < _CELLS)
        rows = np.flatnonzero(inside)
        if not len(rows):
            continue
        near, depth = near[rows], z[rows]
        some = depth[:: max(1, len(depth) // _SOME)]
        layer = np.searchsorted(np.quantile(some, np.arange(1, _LAYERS) / _LAYERS), depth)
        cell = (x[rows].astype(np.int64) * _CELLS + y[rows].astype(np.int64)) * _LAYERS + layer
        own = cover[rows] * np.square(scale * near)
        through = _through(cell, own)
        near *= near
        found.part[rows] += through * near
        found.square[rows] += np.square(through) * near
        found.best[rows] = np.maximum(found.best[rows], through)
    np.divide(found.part, count, out=found.part)
    np.divide(found.square, count, out=found.square)
    return found


def _axes(way: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right, down and forward (3, 3) of somebody who looks along ``way``, a unit vector."""
    right = np.cross(np.eye(3)[np.abs(way).argmin()], way)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(way, right), way])


def _through(cell: NDArray[np.int64], own: Floats) -> Floats:
    """Transmittance before Gaussians in layers of cells that cover ``own`` parts of them."""
    depth = np.bincount(cell, own, _CELLS * _CELLS * _LAYERS).reshape(-1, _LAYERS)
    before = np.cumsum(depth, axis=1) - 0.5 * depth  # half of one's layer is nearer
    left = before.ravel()[cell] - 0.5 * own
    through: Floats = np.exp(-np.maximum(left, 0)).astype(np.float32)
    return through
