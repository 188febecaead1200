"""Constant colours that make up for what coding changes elsewhere: least squares over views.

A picture is linear in colours: with the weights W that it is blended with, W c. Once everything
else is decoded, the colours that are nearest to what the source shows solve W^T W c = W^T
target. Conjugate gradients come close in a few steps (Hestenes and Stiefel, 1952); each takes one
pass over the views, and W is never written down.

Then colours are rounded, and what rounds half of them the other half can make up for, and so on:
in every further stage some rows are what they decode to, and the others look for colours anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gscodec.colours import SH_CONSTANT
from gscodec.render.scene import activate
from gscodec.render.splat import project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from gscodec.camera import Camera
    from gscodec.render.splat import Conventions, Gaussians, Projection
    from gscodec.scene import GaussianScene

    Floats = NDArray[np.float64]

# Of the weights of a Gaussian, times the square of the number of views: a pull towards the colour
# that it has. What few views show, others may not.
_RIDGE = 50.0
_LEAST_SHARE = 1e-3  # of the mean weight; what is hardly seen keeps its colour
_NOTHING = 1e-12
_KEPT_BYTES = 3 << 27  # of all projections: fewer are kept from one pass to the next


class Stage(NamedTuple):
    """Some rows look for colours, the others keep those that they decode to.

    Attributes:
        one_in: Of so many rows the last looks for one: in blocks of an even number of rows,
            rows whose turn comes last, so that no other row decodes to something else.
        steps: Of conjugate gradients.
    """

    one_in: int
    steps: int

    def free(self, count: int) -> NDArray[np.bool_]:
        """(N,) which rows look for colours."""
        free: NDArray[np.bool_] = np.arange(count) % self.one_in == self.one_in - 1
        return free


# Of effort fast, of effort high.
STAGES = (Stage(1, 2), Stage(2, 2))
MORE_STAGES = (Stage(1, 4), Stage(2, 4), Stage(4, 3), Stage(8, 3))


def recoloured(
    scene: GaussianScene,
    cameras: Sequence[Camera],
    how: Conventions,
    target: Callable[[Camera], NDArray[np.float32]],
    progress: Callable[[float], None],
    *,
    free: NDArray[np.bool_],
    steps: int,
) -> NDArray[np.float32]:
    """The constant colours (N, 3) with which ``scene`` is most like its targets.

    Args:
        scene: As it is decoded, but for the colours of ``free`` rows.
        cameras: Through which it is seen.
        how: It is drawn.
        target: What a camera should show, (H, W, 3), not clipped.
        progress: Hears how far this is.
        free: (N,) whose colours move.
        steps: Of conjugate gradients.
    """
    ridge = _RIDGE / len(cameras) ** 2
    seen = _Seen(activate(scene), cameras, how)
    lacking, weight = seen.lacking(target)
    lacking[~free] = 0
    progress(1 / (steps + 1))
    weight += _LEAST_SHARE * weight.mean() + _NOTHING
    moved = np.zeros_like(lacking)
    way = lacking / weight
    slope = (lacking * way).sum(axis=0)
    for step in range(steps):
        bend = seen.bend(way) + ridge * weight * way
        bend[~free] = 0
        # No product of a BLAS: how it adds up depends on its number of threads.
        reach = slope / np.maximum((way * bend).sum(axis=0), _NOTHING)
        moved += reach * way
        lacking -= reach * bend
        near, before = lacking / weight, slope
        slope = (lacking * near).sum(axis=0)
        way = near + slope / np.maximum(before, _NOTHING) * way
        progress((step + 2) / (steps + 1))
    found = (scene.sh_dc + moved / SH_CONSTANT).astype(np.float32)
    return np.where(np.isfinite(found), found, scene.sh_dc)


class _Seen:
    """Gaussians in some views; those that take much are projected anew each time."""

    def __init__(
        self, gaussians: Gaussians, cameras: Sequence[Camera], how: Conventions
    ) -> None:
        self._gaussians, self._cameras, self._how = gaussians, cameras, how
        self._kept: dict[int, Projection] = {}

    def lacking(self, target: Callable[[Camera], NDArray[np.float32]]) -> tuple[Floats, Floats]:
        """W^T (``target`` - W c), (N, 3), and how much each Gaussian is seen, (N, 1)."""
        total = np.zeros((len(self._gaussians.means), 4))
        for camera, projection, free in self._views():
            found = projection.lacking(target(camera))
            found[:, :3] *= free
            total += found
        return total[:, :3], total[:, 3:]

    def bend(self, way: Floats) -> Floats:
        """W^T W times colours ``way`` (N, 3)."""
        total = np.zeros_like(way)
        for camera, projection, free in self._views():
            dark = np.zeros((camera.height, camera.width, 3), np.float32)
            colors = (way * free).astype(np.float32)
            total -= projection.recolored(colors).lacking(dark)[:, :3] * free
        return total

    def _views(self) -> Iterator[tuple[Camera, Projection, NDArray[np.bool_]]]:
        """Each, and which colours (N, 3) move in it: those that are not clamped."""
        for number, camera in enumerate(self._cameras):
            projection = self._kept.get(number)
            if projection is None:
                projection = project(self._gaussians, camera, self._how)
                if projection.nbytes * len(self._cameras) <= _KEPT_BYTES:
                    self._kept[number] = projection
            yield camera, projection, projection.splats[:, 6:9] > 0
