"""Leaves Gaussians out that show less than their bits are worth, and lets the others make up.

One pass over a picture tells for every Gaussian exactly what the picture would be without it
(`kernels.blend_without`). What is left out together errs together, mostly towards black, so few go
at a time, and between the rounds the colours of the others move: each by the error of the
pixels that it is in, over the weights of all Gaussians there (simultaneous iterative
reconstruction, which needs no step size), with momentum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.colours import SH_CONSTANT
from gscodec.render.kernels import PRESENCE
from gscodec.render.scene import activate
from gscodec.render.splat import rasterize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.camera import Camera
    from gscodec.render.splat import Conventions
    from gscodec.scene import GaussianScene

_ROUNDS = 8
_AFTER = 4  # in which colours alone move
_AT_ONCE = 0.15  # of the Gaussians that are left
_MOMENTUM = 0.7
_LEAST_SHARE = 0.01  # of the mean weight; what is hardly seen keeps its colour
_NOTHING = 1e-9
_VIEWS = 12  # that are looked through in a round, at least


def pruned(
    scene: GaussianScene,
    cameras: Sequence[Camera],
    how: Conventions,
    worth: NDArray[np.float64],
    progress: Callable[[float], None],
) -> tuple[GaussianScene, NDArray[np.int64]]:
    """What is left of ``scene``, with other colours, and the rows that these are.

    Args:
        scene: To be shown.
        cameras: Through which it is seen.
        how: It is drawn.
        worth: (N,) squared error of a picture, mean over pixels and channels, from which on a
            Gaussian is kept.
        progress: Hears how far this is.
    """
    parts = max(1, len(cameras) // _VIEWS)
    looks = [_Look.at(scene, cameras[part::parts], how) for part in range(parts)]
    kept, speed = np.arange(len(scene)), np.zeros((len(scene), 3))
    costs = np.zeros((len(scene), parts))
    share = np.array([look.size for look in looks]) / sum(look.size for look in looks)
    steps = parts - 1 + _ROUNDS + _AFTER
    for step in range(steps):
        part = step % parts
        costs[:, part], wrong = looks[part].presence(scene)
        speed = _MOMENTUM * speed - wrong / SH_CONSTANT
        moved = (scene.sh_dc + speed).astype(np.float32)
        stay = np.arange(len(kept))
        if parts - 1 <= step < steps - _AFTER:
            stay = _dearest((costs * share).sum(axis=1) - worth[kept])
        scene = replace(scene, sh_dc=moved).take(stay)
        kept, speed, costs = kept[stay], speed[stay], costs[stay]
        progress((step + 1) / steps)
    return scene, kept


def _dearest(excess: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows that are worth it, and those that must wait for the next round."""
    most = int(_AT_ONCE * len(excess))
    limit = min(float(np.partition(excess, most)[most]), 0.0)
    return np.flatnonzero(~(excess < limit))


@dataclass(frozen=True)
class _Look:
    """Some of the views, and what they should show."""

    cameras: Sequence[Camera]
    how: Conventions
    targets: list[NDArray[np.float32]]

    @classmethod
    def at(cls, scene: GaussianScene, cameras: Sequence[Camera], how: Conventions) -> _Look:
        """Views that should show ``scene``."""
        gaussians = activate(scene)
        targets = [rasterize(gaussians, c, conventions=how).image for c in cameras]
        return cls(cameras, how, targets)

    @property
    def size(self) -> int:
        """Of all pictures."""
        return sum(target.size for target in self.targets)

    def presence(self, scene: GaussianScene) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Squared error (N,) without each Gaussian, and how wrong colours (N, 3) are."""
        gaussians = activate(scene)
        total = np.zeros((len(scene), PRESENCE))
        for camera, target in zip(self.cameras, self.targets, strict=True):
            picture = rasterize(gaussians, camera, conventions=self.how)
            found = picture.presence(picture.image - target).astype(np.float64)
            found[:, 2:] *= picture.projection.splats[:, 6:9] > 0  # not clamped
            drawn = picture.drawn
            total[drawn] += found[drawn]
        weight = total[:, 1:2]
        weight += _LEAST_SHARE * weight.mean() + _NOTHING
        return total[:, 0] / self.size, total[:, 2:] / weight
