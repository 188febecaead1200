"""Poses where a camera may stand, and what it sees from each.

Strategy: many poses, each looked from once. Around the core, looking at it; within it, looking
outwards; before single Gaussians, along their normals, on either side. Which of them are any
good is for `virtual_choice` to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from gscodec.render.parts import in_parts
from gscodec.render.virtual_sight import look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.render.virtual_sample import Sample

DEFAULT_UP = np.array([0.0, -1.0, 0.0])  # as reconstructions have it: y is down
SIDES = np.concatenate([np.eye(3), -np.eye(3)])
_RADII = (0.3, 0.6, 0.9, 1.2, 1.2)  # of spheres around the core, sizes of the core
_JITTER = 0.08  # of the point looked at, sizes of the core
_VARIATION = 0.15  # of the distance to what is looked at, standard deviation
_WITHIN = 0.15  # from the centre of the core, standard deviation of each component
_SLANT = 0.4  # off the normal, standard deviation of each component of a unit vector
_NEAREST, _FARTHEST = 0.1, 0.8  # from single Gaussians, sizes of the core


@dataclass(frozen=True)
class Pose:
    """Where a camera stands and a point that it looks at, both (3,), in sizes of the core."""

    eye: NDArray[np.float64]
    target: NDArray[np.float64]

    def view(self, up: NDArray[np.float64]) -> NDArray[np.float64]:
        """World to camera (4, 4) with ``up`` upwards in the picture."""
        ahead = (self.target - self.eye) / np.linalg.norm(self.target - self.eye)
        if abs(ahead @ up) > 0.99:  # looks up or down: any other axis will do
            up = np.roll(up, 1)
        right = np.cross(ahead, up)
        right /= np.linalg.norm(right)
        view = np.eye(4)
        view[:3, :3] = right, np.cross(ahead, right), ahead
        view[:3, 3] = -view[:3, :3] @ self.eye
        return view


@dataclass(frozen=True)
class Candidates:
    """Poses and what is seen from each.

    Attributes:
        poses: M of them.
        weights: (M, N) float32, see `Sight`, as are the next three.
        filled: (M,) share of the picture that is not empty.
        distance: (M,) typical depth of what is seen, sizes of the core.
        crowded: (M,) share of the picture that is right before the camera.
        unhidden: (M,) number of solid Gaussians of the scene that are seen, not hidden.
    """

    poses: tuple[Pose, ...]
    weights: NDArray[np.float32]
    filled: NDArray[np.float64]
    distance: NDArray[np.float64]
    crowded: NDArray[np.float64]
    unhidden: NDArray[np.float64]

    @property
    def eyes(self) -> NDArray[np.float64]:
        """Where the cameras stand, (M, 3)."""
        return np.array([pose.eye for pose in self.poses])

    def __add__(self, other: Candidates) -> Candidates:
        arrays = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("weights", "filled", "distance", "crowded", "unhidden")
        }
        return Candidates(self.poses + other.poses, **arrays)


def directions(count: int) -> NDArray[np.float64]:
    """Unit vectors (count, 3) spread evenly over the sphere (Fibonacci spiral)."""
    k = np.arange(count) + 0.5
    z = 1 - 2 * k / count
    angle = np.pi * (1 + 5**0.5) * k
    radius = np.sqrt(1 - z * z)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def outwards(sample: Sample, places: int, rng: np.random.Generator) -> list[Pose]:
    """Poses in the core, half near its centre, half near surfaces: at each place `SIDES`."""
    eyes = [*rng.normal(0, _WITHIN, (places // 2, 3))]
    eyes += [pose.eye for pose in before_surfaces(sample, places - places // 2, rng)]
    return [Pose(eye, eye + side) for eye in eyes for side in SIDES]


def inwards(count: int, rng: np.random.Generator) -> list[Pose]:
    """Poses around the core and in it, looking about at its centre."""
    return [
        Pose(radius * way, rng.normal(0, _JITTER, 3))
        for way, radius in zip(directions(count), cycle(_RADII), strict=False)
    ]


def before_surfaces(sample: Sample, count: int, rng: np.random.Generator) -> list[Pose]:
    """Poses that look at single Gaussians from before or behind; some turn away from them."""
    poses = []
    chance = sample.opacities * sample.copies
    for k, i in enumerate(rng.choice(len(sample), count, p=chance / chance.sum())):
        target = sample.means[i].astype(np.float64)
        slanted = sample.normals[i] * rng.choice([-1, 1]) + rng.normal(0, _SLANT, 3)
        back = np.exp(rng.uniform(np.log(_NEAREST), np.log(_FARTHEST)))
        eye = target + back * slanted / np.linalg.norm(slanted)
        poses.append(Pose(eye, eye + rng.normal(size=3) if k % 4 == 0 else target))
    return poses


def varied(
    poses: Sequence[Pose], chance: NDArray[np.float64], count: int, rng: np.random.Generator
) -> list[Pose]:
    """Poses a little beside some of ``poses``, which are drawn with ``chance`` (M,)."""
    result = []
    for k in rng.choice(len(poses), count, p=chance / chance.sum()):
        eye, target = poses[k].eye, poses[k].target
        step = _VARIATION * np.linalg.norm(target - eye)
        shift, turn = rng.normal(0, step, (2, 3))
        result.append(Pose(eye + shift, target + turn))
    return result


def look_from(sample: Sample, poses: Sequence[Pose], near: float) -> Candidates:
    """What is seen from each of ``poses`` beyond ``near``."""
    weights = np.empty((len(poses), len(sample)), np.float32)
    numbers = np.empty((len(poses), 4))
    solid = sample.solid

    def look_from_some(begin: int, end: int) -> None:
        for k in range(begin, end):
            sight = look(sample, poses[k].view(DEFAULT_UP), near)
            weights[k] = sight.weights
            unhidden = float((sight.visible * solid).sum())
            numbers[k] = sight.filled, sight.distance, sight.crowded, unhidden

    in_parts(look_from_some, len(poses), 1)
    return Candidates(tuple(poses), weights, *numbers.T)
