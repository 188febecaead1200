"""Views between given ones and beyond: a source has renders of what nobody photographed, too.

Those between tell what others will see of a scene that was fitted to all given views. Halfway to
the nearest camera there is little that it does not see itself, so they are halfway to one of the
next. Those beyond are to be fitted as well: they see what few or none of the given ones do, at
their edges and past the last of them, and what all of them see from other sides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.camera import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.camera import Camera

_NEIGHBOUR = 4  # which one: the fourth nearest
_MOST = 512  # cameras that are looked at, evenly over more of them
# Cosine of the turn between two cameras: between two that differ by more there may be walls, and
# what both look at from two sides.
_LEAST_ALIKE = 0.7
_TURN = 2.0  # how far 1 - cosine counts, in median distances of cameras from their middle
_SAME = 1e-6  # so near are two photographs from one place


def between(cameras: Sequence[Camera], most: int) -> tuple[Camera, ...]:
    """At most ``most`` views, each halfway between a camera and the fourth nearest.

    Between a camera and the farthest of fewer neighbours, and none between those that are far
    apart. In the order of ``cameras``.
    """
    cameras = spread(cameras, _MOST)
    found = tuple(_halfway(cameras[one], cameras[other]) for one, other in _pairs(cameras))
    return spread(found, most)


def beyond(cameras: Sequence[Camera], most: int) -> tuple[Camera, ...]:
    """At most ``most`` views, each as far past a camera as halfway to its nearest is before it.

    None past those that are far from all others. In the order of ``cameras``.
    """
    cameras = spread(cameras, _MOST)
    far = _distances(cameras)
    nearest = far.argmin(axis=1)
    rows = np.flatnonzero(np.isfinite(far.min(axis=1)))
    found = tuple(_past(cameras[row], cameras[nearest[row]]) for row in rows)
    return spread(found, most)


def _pairs(cameras: Sequence[Camera]) -> list[tuple[int, int]]:
    """Cameras that views are between, each pair once."""
    far = _distances(cameras)
    nearest = np.argsort(far, axis=1, kind="stable")[:, :_NEIGHBOUR]
    near = np.isfinite(far).sum(axis=1).clip(max=_NEIGHBOUR)
    ones = np.flatnonzero(near)
    others = nearest[ones, near[ones] - 1]
    pairs = zip(ones.tolist(), others.tolist(), strict=True)
    return sorted({(min(pair), max(pair)) for pair in pairs})


def _distances(cameras: Sequence[Camera]) -> NDArray[np.float64]:
    """(N, N) by place and turn; infinite between those that have nothing between them."""
    places = np.array([camera.centre for camera in cameras])
    turns = np.array([camera.world_to_camera[:3, :3] for camera in cameras])
    span = np.median(np.linalg.norm(places - places.mean(axis=0), axis=1))
    alike = (np.einsum("aij,bij->ab", turns, turns) - 1) / 2
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    far = apart / max(float(span), np.finfo(np.float64).tiny) + _TURN * (1 - alike)
    result: NDArray[np.float64] = np.where((alike < _LEAST_ALIKE) | (far < _SAME), np.inf, far)
    return result


def _halfway(one: Camera, other: Camera) -> Camera:
    """With the lens of ``one``."""
    turn = _middle(one.world_to_camera[:3, :3], other.world_to_camera[:3, :3])
    return _placed(one, turn, (one.centre + other.centre) / 2)


def _past(one: Camera, other: Camera) -> Camera:
    """As far from ``one`` as `_halfway` is, on the side where ``other`` is not."""
    turn = one.world_to_camera[:3, :3]
    more = _middle(np.eye(3), turn @ other.world_to_camera[:3, :3].T)
    return _placed(one, more @ turn, one.centre + (one.centre - other.centre) / 2)


def _middle(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rotation (3, 3) halfway from ``one`` to the ``other``."""
    left, _, right = np.linalg.svd(one + other)
    found: NDArray[np.float64] = left @ right
    return found


def _placed(lens: Camera, turn: NDArray[np.float64], centre: NDArray[np.float64]) -> Camera:
    """A camera like ``lens`` at ``centre`` (3,), turned from the world by ``turn`` (3, 3)."""
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = turn @ -centre
    return replace(lens, world_to_camera=matrix, image="")
