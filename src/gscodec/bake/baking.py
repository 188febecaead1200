"""An anchor scene -> Gaussians that any viewer of 3DGS draws, and that look nearly the same.

Strategy: one Gaussian for each offset that some camera sees. What the networks say of it from
all cameras is averaged first (`average`), then a short descent through the renderer aims
at the anchor scene's own renders (`fit.bake_descent`); means stay where the offsets put them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.bake.average import average, watch
from gscodec.bake.views import views_of
from gscodec.camera import blind, spread
from gscodec.errors import UsageError
from gscodec.fit.bake_descent import descend
from gscodec.fit.views import smaller
from gscodec.render.conventions import conventions_of
from gscodec.render.quality import psnr
from gscodec.render.scene import picture_of
from gscodec.scene import SH_DEGREES, GaussianScene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gscodec.anchors import AnchorScene
    from gscodec.camera import Camera
    from gscodec.render.splat import Conventions

ITERATIONS = 600
_JUDGED = 24  # cameras that the result is measured in


@dataclass(frozen=True)
class Baked:
    """What became of an anchor scene.

    Attributes:
        scene: Gaussians, in the order of anchors and offsets.
        unseen: Offsets that no camera sees, left out.
        psnr: Mean PSNR against the anchor scene's renders over some of the cameras, dB; None
            where nothing can be seen.
        note: Where the cameras come from, one line.
    """

    scene: GaussianScene
    unseen: int
    psnr: float | None
    note: str


def bake(
    scene: AnchorScene,
    cameras: Sequence[Camera],
    *,
    sh_degree: int = 3,
    iterations: int = ITERATIONS,
    seed: int = 0,
    progress: Callable[[str, float], None],
) -> Baked:
    """Gaussians with SH colours that look like ``scene`` to ``cameras`` and between them.

    Args:
        scene: Of finite values.
        cameras: From where it is looked at; virtual ones if there are none.
        sh_degree: Of the colours, 0 to 3.
        iterations: Steps of the descent, one view each; 0 leaves averages.
        seed: Of the order of views.
        progress: Told ``look``, ``average`` and ``descend``, and how much of each is done.

    Raises:
        UsageError: There is no such SH degree.
        SceneError: None of the given cameras sees anything of the scene.
    """
    if sh_degree not in SH_DEGREES:
        raise UsageError(f"sh_degree: found {sh_degree}, expected 0, 1, 2 or 3")
    chosen, note = _cameras(scene, cameras)
    how = conventions_of(scene)
    looked_at = [smaller(camera) for camera in chosen]
    sights = watch(scene, looked_at, how, lambda s: progress("look", s))
    if cameras and not any(len(sight.index) for sight in sights):
        raise blind(len(cameras))
    baked = average(scene, sights, sh_degree, lambda share: progress("average", share))
    if len(baked) and iterations:
        told = _telling(progress)
        settings = {"iterations": iterations, "seed": seed}
        baked = descend(scene, baked, chosen, how, **settings, progress=told)
    unseen = len(scene) * scene.offset_count - len(baked)
    return Baked(baked, unseen, _quality(scene, baked, chosen, how), note)


def _telling(progress: Callable[[str, float], None]) -> Callable[[float], None]:
    return lambda share: progress("descend", share)


def _cameras(scene: AnchorScene, given: Sequence[Camera]) -> tuple[Sequence[Camera], str]:
    if given:
        return given, f"fitted to renders of {len(given)} given cameras"
    found = views_of(scene)
    return found, f"fitted to renders of {len(found)} virtual cameras"


def _quality(
    scene: AnchorScene, baked: GaussianScene, cameras: Sequence[Camera], how: Conventions
) -> float | None:
    few = [smaller(camera) for camera in spread(cameras, _JUDGED)]
    pairs = [[picture_of(s, c, conventions=how) for s in (scene, baked)] for c in few]
    ratios = [
        psnr(*(np.clip(picture.image, 0, 1) for picture in pair))
        for pair in pairs
        if any(picture.shows for picture in pair)
    ]
    return float(np.mean(ratios)) if ratios else None
