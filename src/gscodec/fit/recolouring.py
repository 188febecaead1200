"""Constant colours that make up for what coding changes elsewhere: least squares over views.

A picture is linear in colours: with the weights W that it is blended with, W c. Once everything
else is decoded, the colours that are nearest to what the source shows solve W^T W c = W^T
target. A pass over some of the views moves each colour by the error of the pixels that it is in,
over the weights of all Gaussians there (simultaneous iterative reconstruction); the parts of the
views take turns (ordered subsets: Hudson and Larkin, 1994), and steps get shorter, so that once
through all views comes as close as two steps of conjugate gradients, which take three passes.

Then colours are rounded, and what rounds half of them the other half can make up for, and so on:
in every further stage some rows are what they decode to, and the others look for colours anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gscodec.colours import SH_CONSTANT
from gscodec.fit.views import in_turns
from gscodec.render.scene import activate
from gscodec.render.splat import project

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.camera import Camera
    from gscodec.render.splat import Conventions
    from gscodec.scene import GaussianScene

# Of the weights of a Gaussian, times the square of the number of views: a pull towards the colour
# that it has. What few views show, others may not.
_RIDGE = 50.0
_LEAST_SHARE = 0.01  # of the mean weight; what is hardly seen keeps its colour
_NOTHING = 1e-12
_VIEWS = 12  # that are looked through in a step, at least
_PARTS = 6  # of the views, at most
_FIRST, _LAST = 1.8, 0.4  # what a step is times


class Stage(NamedTuple):
    """Some rows look for colours, the others keep those that they decode to.

    Attributes:
        one_in: Of so many rows the last looks for one: in blocks of an even number of rows,
            rows whose turn comes last, so that no other row decodes to something else.
        steps: Each looks through a part of the views.
    """

    one_in: int
    steps: int

    def free(self, count: int) -> NDArray[np.bool_]:
        """(N,) which rows look for colours."""
        free: NDArray[np.bool_] = np.arange(count) % self.one_in == self.one_in - 1
        return free


# Of effort fast, of effort high.
STAGES = (Stage(1, 12), Stage(2, 6))
MORE_STAGES = (Stage(1, 18), Stage(2, 18), Stage(4, 12), Stage(8, 12))


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
        steps: Each looks through a part of the cameras.
    """
    ridge = _RIDGE / len(cameras) ** 2
    parts, gaussians = in_turns(cameras, _VIEWS, _PARTS), activate(scene)
    start, moved = gaussians.colors[:, 0].copy(), np.zeros((len(scene), 3))
    for step in range(steps):
        total = np.zeros((len(scene), 4))
        for camera in parts[step % len(parts)]:
            projection = project(gaussians, camera, how)
            found = projection.lacking(target(camera))
            found[:, :3] *= projection.splats[:, 6:9] > 0  # not clamped
            total += found
        weight = total[:, 3:]
        weight += _LEAST_SHARE * weight.mean() + _NOTHING
        size = _FIRST + (_LAST - _FIRST) * step / max(steps - 1, 1)
        way = total[:, :3] / (weight * SH_CONSTANT) - ridge * moved
        moved[free] += size / (1 + ridge) * way[free]
        gaussians.colors[:, 0] = start + moved
        progress((step + 1) / steps)
    found = (scene.sh_dc + moved).astype(np.float32)
    return np.where(np.isfinite(found), found, scene.sh_dc)
