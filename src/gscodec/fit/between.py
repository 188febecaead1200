"""Views between given ones: what nobody photographed is seen too, and a source has renders of it.

They tell what others will see of a scene that was fitted to all given views. Halfway to the
nearest camera there is little that it does not see itself, so they are halfway to one of the next.
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
    matrix = np.eye(4)
    left, _, right = np.linalg.svd(one.world_to_camera[:3, :3] + other.world_to_camera[:3, :3])
    matrix[:3, :3] = left @ right
    matrix[:3, 3] = matrix[:3, :3] @ (one.centre + other.centre) / -2
    return replace(one, world_to_camera=matrix, image="")
