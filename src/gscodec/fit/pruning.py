"""Leaves Gaussians out that show less than their bits are worth, and lets the others make up.

One pass over a picture tells for every Gaussian exactly what the picture would be without it
(`kernels.blend_without`). What is left out together errs together, mostly towards black, so few go
at a time, and between the rounds the colours of the others move: each by the error of the
pixels that it is in, over the weights of all Gaussians there (simultaneous iterative
reconstruction, which needs no step size), with momentum.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gscodec.colours import SH_CONSTANT
from gscodec.fit.views import in_turns
from gscodec.geometry import along_curve
from gscodec.render.backdrop import over_speckled, speckled
from gscodec.render.kernels import PRESENCE
from gscodec.render.scene import activate
from gscodec.render.splat import project, rasterize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.camera import Camera
    from gscodec.render.splat import Conventions, Gaussians
    from gscodec.scene import GaussianScene

_ROUNDS = 14
_AFTER = 4  # in which colours alone move, at least
# Of the Gaussians that are left: if no more go in a round, it is the last one, and colours move for
# as many rounds as there were.
_FEW = 1e-3
_AT_ONCE = 0.08  # of the Gaussians that are left
_MOMENTUM = 0.7
_LEAST_SHARE = 0.01  # of the mean weight; what is hardly seen keeps its colour
_NOTHING = 1e-9
_VIEWS = 6  # that are looked through in a round, at least
_PARTS = 12  # of the views, at most: costs that are many rounds old tell too little
# Pictures of a descent that must show a Gaussian for 0.4 of what many of them make up for; of what
# a few show they make up for next to nothing.
_ENOUGH = 60.0
# More Gaussians, as kernels have them, are in no cache: there what is near in a picture must be
# near in memory.
_MOST_IN_ANY_ORDER = 1 << 19


class Worth(NamedTuple):
    """Squared error of a picture, mean over pixels and channels, from which on one is kept.

    Attributes:
        now: (N,) where only colours make up for those that leave.
        later: (N,) where a descent does, and shows what was around them often enough.
        pictures: Of the descent.
    """

    now: NDArray[np.float64]
    later: NDArray[np.float64]
    pictures: int

    def of(self, rows: NDArray[np.int64], shown: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of some ``rows``, that are ``shown`` in as large a share of the views."""
        now = self.now[rows]
        mended = np.square(np.expm1(shown * (-self.pictures / _ENOUGH)))
        result: NDArray[np.float64] = now + mended * (self.later[rows] - now)
        return result


def pruned(
    scene: GaussianScene,
    cameras: Sequence[Camera],
    how: Conventions,
    worth: Worth,
    progress: Callable[[float], None],
    shown: Callable[[Camera, NDArray[np.float32]], None] = lambda *_: None,
    target: GaussianScene | None = None,
) -> tuple[GaussianScene, NDArray[np.int64]]:
    """What is left of ``scene``, with other colours, and the rows that these are.

    Args:
        scene: To be shown.
        cameras: Through which it is seen.
        how: It is drawn.
        worth: What each Gaussian must show to be kept.
        progress: Hears how far this is.
        shown: Gets the picture of ``scene`` through each camera, not clipped.
        target: What is to be shown, if that is not ``scene`` as it is.
    """
    looks = [_Look(part, how, shown) for part in in_turns(cameras, _VIEWS, _PARTS)]
    parts = len(looks)
    if target is not None:
        for look in looks:
            look.aim_at(target)
    kept, speed = np.arange(len(scene)), np.zeros((len(scene), 3))
    if len(scene) > _MOST_IN_ANY_ORDER:
        kept = along_curve(scene.means)
    gaussians, colours = activate(scene).take(kept), scene.sh_dc[kept]
    costs = np.zeros((len(scene), parts))
    often, pictures = np.zeros((len(scene), 2)), 0
    share = np.array([look.size for look in looks]) / sum(look.size for look in looks)
    first, last = parts - 1, parts - 1 + _ROUNDS
    steps, step = last + _AFTER, 0
    while step < steps:
        part = step % parts
        costs[:, part], wrong, shows = looks[part].presence(gaussians)
        often += shows
        pictures += len(looks[part].cameras)
        speed = _MOMENTUM * speed - wrong / SH_CONSTANT
        colours = (colours + speed).astype(np.float32)
        if first <= step < last:
            least = worth.of(kept, _shown(often) / pictures)
            stay, before = _dearest((costs * share).sum(axis=1) - least), len(kept)
            gaussians, colours, kept = gaussians.take(stay), colours[stay], kept[stay]
            speed, costs, often = speed[stay], costs[stay], often[stay]
            if before - len(kept) <= _FEW * before:
                last = step + 1
                steps = last + max(_AFTER, last - first)
        gaussians.colors[:, 0] = colours
        step += 1
        progress(step / steps)
    return replace(scene.take(kept), sh_dc=colours), kept


def _shown(often: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) how many pictures show a Gaussian, 1 or more: as if all that do showed it alike.

    ``often`` (N, 2) are the sums of what each picture shows of it, and of the squares.
    """
    first, second = often.T
    count: NDArray[np.float64] = first * first / np.maximum(second, _NOTHING**4)
    return np.maximum(count, 1)


def _dearest(excess: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows that are worth it, and those that must wait for the next round."""
    most = int(_AT_ONCE * len(excess))
    limit = min(float(np.partition(excess, most)[most]), 0.0)
    return np.flatnonzero(~(excess < limit))


@dataclass(frozen=True)
class _Look:
    """Some of the views, and what they should show: if nothing else, what they do at first."""

    cameras: Sequence[Camera]
    how: Conventions
    shown: Callable[[Camera, NDArray[np.float32]], None]
    targets: list[NDArray[np.float32]] = field(default_factory=list)

    def aim_at(self, scene: GaussianScene) -> None:
        """At pictures of another ``scene``."""
        gaussians = activate(scene)
        pictures = (rasterize(gaussians, c, conventions=self.how) for c in self.cameras)
        self.targets.extend(over_speckled(picture) for picture in pictures)

    @property
    def size(self) -> int:
        """Of all pictures."""
        return sum(3 * camera.width * camera.height for camera in self.cameras)

    def presence(
        self, gaussians: Gaussians
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Squared error (N,) without each Gaussian, and how wrong colours (N, 3) are.

        Besides, what `_shown` takes: (N, 2).
        """
        count = len(gaussians.means)
        total, often = np.zeros((count, PRESENCE)), np.zeros((count, 2))
        for number, camera in enumerate(self.cameras):
            first = number == len(self.targets)
            projection = project(gaussians, camera, self.how)
            behind = speckled(camera.height, camera.width)
            target = None if first else self.targets[number]
            picture, found = projection.presence(behind, target)
            if first:
                self.targets.append(over_speckled(picture))
                self.shown(camera, picture.image)
            found[:, 2:5] *= projection.splats[:, 6:9] > 0  # not clamped
            total += found
            mean = found[:, 0] / (camera.width * camera.height)
            often[:, 0] += mean
            often[:, 1] += mean * mean
        weight = total[:, 1:2]
        weight += _LEAST_SHARE * weight.mean() + _NOTHING
        # What mends an error would be mended by many at once; what adds to one adds to it.
        cost = total[:, 0] + 2 * np.maximum(total[:, 5], 0)
        return cost / self.size, total[:, 2:5] / weight, often
