"""How much of each Gaussian shows, about: glances from some places, in numpy alone.

A glance sorts Gaussians into the cells of a coarse picture and into layers of depth: what lies
in nearer layers of its cell dims a Gaussian. Nothing is drawn, and no Gaussian is larger than
its cell; that tells what is inside of things from what is outside, in a tenth of a second for a
million Gaussians. What a glance has seen tells of any Gaussian whether it shows, so that it need
not see all of them, and they need not be asked about together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


class _Pose(NamedTuple):
    """Where a glance is from, and the axes (3, 3) of whoever looks: right, down, forward.

    ``scale`` is cells of the picture for a unit beside a unit of depth.
    """

    place: NDArray[np.float64]
    axes: NDArray[np.float64]
    scale: float


class _Seen(NamedTuple):
    """Some Gaussians in a picture: rows, cells, inverse depths, depths, and what they cover."""

    rows: NDArray[np.intp]
    cell: NDArray[np.int64]
    near: Floats
    depth: Floats
    own: Floats


class Glance(NamedTuple):
    """What one glance has seen.

    Attributes:
        pose: From where.
        edges: Of the layers but the first and the last, in depth.
        before: What covers the middle of each layer of each cell, in parts of the cell.
    """

    pose: _Pose
    edges: NDArray[np.float64]
    before: NDArray[np.float64]


def from_around(means: Floats, cover: Floats, each: int = 1) -> tuple[Glance, ...]:
    """Glances at the core from all sides.

    Args:
        means: (N, 3) in sizes of the core, from its centre.
        cover: (N,) area times opacity, in the same unit.
        each: How many Gaussians each of these stands for.
    """
    k = np.arange(_AROUND) + 0.5
    z, angle = 1 - 2 * k / _AROUND, math.pi * (1 + 5**0.5) * k  # a Fibonacci spiral
    r = np.sqrt(1 - z * z)
    ways = np.stack([r * np.cos(angle), r * np.sin(angle), z], axis=1)
    return _glances(means, cover, [(_DISTANCE * way, -way) for way in ways], _NARROW, each)


def from_within(means: Floats, cover: Floats, each: int = 1) -> tuple[Glance, ...]:
    """Glances from the centre at all sides; arguments as `from_around`."""
    sides = [*np.eye(3), *-np.eye(3)]
    return _glances(means, cover, [(np.zeros(3), side) for side in sides], _WIDE, each)


def shown(glances: Sequence[Glance], means: Floats, cover: Floats) -> Shown:
    """What ``glances`` tell of some Gaussians: ``means`` and ``cover`` as `from_around`."""
    found = Shown(*np.zeros((3, len(means)), np.float32))
    for glance in glances:
        seen = _seen(glance.pose, means, cover)
        left = glance.before[_place(seen, glance.edges)] - 0.5 * seen.own
        through: Floats = np.exp(-np.maximum(left, 0)).astype(np.float32)
        near = seen.near * seen.near
        found.part[seen.rows] += through * near
        found.square[seen.rows] += np.square(through) * near
        found.best[seen.rows] = np.maximum(found.best[seen.rows], through)
    np.divide(found.part, len(glances), out=found.part)
    np.divide(found.square, len(glances), out=found.square)
    return found


def _glances(
    means: Floats,
    cover: Floats,
    poses: Iterable[tuple[NDArray[np.float64], NDArray[np.float64]]],
    reach: float,
    each: int,
) -> tuple[Glance, ...]:
    """From places in directions, pictures ``reach`` times their depth wide to each side."""
    found = []
    for place, way in poses:
        pose = _Pose(place, _axes(way), _CELLS / (2 * reach))
        seen = _seen(pose, means, cover)
        some = seen.depth[:: max(1, len(seen.depth) // _SOME)]
        ranks = np.arange(1, _LAYERS) / _LAYERS
        edges = np.quantile(some.astype(np.float64), ranks) if len(some) else ranks
        layers = np.bincount(_place(seen, edges), seen.own, _CELLS * _CELLS * _LAYERS)
        depth = each * layers.reshape(-1, _LAYERS)
        before = np.cumsum(depth, axis=1) - 0.5 * depth  # half of one's layer is nearer
        found.append(Glance(pose, edges, before.ravel()))
    return tuple(found)


def _seen(pose: _Pose, means: Floats, cover: Floats) -> _Seen:
    """Those that are in the picture."""
    x, y, z = pose.axes.astype(np.float32) @ (means - pose.place.astype(np.float32)).T
    near = np.reciprocal(np.maximum(z, _NEAR))
    x, y = x * (pose.scale * near) + _CELLS / 2, y * (pose.scale * near) + _CELLS / 2
    inside = (z > _NEAR) & (x >= 0) & (x < _CELLS) & (y >= 0) & (y < _CELLS)
    rows = np.flatnonzero(inside)
    near = near[rows]
    cell = x[rows].astype(np.int64) * _CELLS + y[rows].astype(np.int64)
    return _Seen(rows, cell, near, z[rows], cover[rows] * np.square(pose.scale * near))


def _place(seen: _Seen, edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Cells and layers of what is ``seen``."""
    return seen.cell * _LAYERS + np.searchsorted(edges, seen.depth)


def _axes(way: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right, down and forward (3, 3) of somebody who looks along ``way``, a unit vector."""
    right = np.cross(np.eye(3)[np.abs(way).argmin()], way)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(way, right), way])
