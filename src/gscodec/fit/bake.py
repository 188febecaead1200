"""An anchor scene -> Gaussians that any viewer of 3DGS draws, and that look nearly the same.

Strategy: one Gaussian for each offset that some camera sees. What the networks say of it from
all cameras is averaged first (`bake_average`), then a short descent through the renderer aims
at the anchor scene's own renders (`bake_descent`); means stay where the offsets put them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import UsageError
from gscodec.fit.bake_average import average, watch
from gscodec.fit.bake_descent import descend
from gscodec.fit.bake_views import views_of
from gscodec.fit.views import smaller
from gscodec.render.quality import psnr
from gscodec.render.scene import render
from gscodec.scene import SH_DEGREES, GaussianScene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gscodec.anchors import AnchorScene
    from gscodec.camera import Camera

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
    """
    if sh_degree not in SH_DEGREES:
        raise UsageError(f"sh_degree: found {sh_degree}, expected 0, 1, 2 or 3")
    chosen, note = _cameras(scene, cameras)
    sights = watch(scene, [smaller(camera) for camera in chosen], lambda s: progress("look", s))
    baked = average(scene, sights, sh_degree, lambda share: progress("average", share))
    if len(baked) and iterations:
        told = _telling(progress)
        baked = descend(scene, baked, chosen, iterations=iterations, seed=seed, progress=told)
    unseen = len(scene) * scene.offset_count - len(baked)
    return Baked(baked, unseen, _quality(scene, baked, chosen), note)


def _telling(progress: Callable[[str, float], None]) -> Callable[[float], None]:
    return lambda share: progress("descend", share)


def _cameras(scene: AnchorScene, given: Sequence[Camera]) -> tuple[Sequence[Camera], str]:
    if given:
        return given, f"fitted to renders of {len(given)} given cameras"
    found = views_of(scene)
    return found, f"fitted to renders of {len(found)} virtual cameras"


def _quality(
    scene: AnchorScene, baked: GaussianScene, cameras: Sequence[Camera]
) -> float | None:
    picked = np.linspace(0, len(cameras) - 1, min(_JUDGED, len(cameras)))
    few = [smaller(cameras[round(k)]) for k in picked]
    ratios = [
        psnr(np.clip(render(scene, c), 0, 1), np.clip(render(baked, c), 0, 1)) for c in few
    ]
    return float(np.mean(ratios)) if ratios else None
