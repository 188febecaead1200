"""Two scenes seen by the same cameras: how like their pictures are, view by view.

Renders are clipped to 0..1 before anything is measured, as a screen would clip them.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.report.compare_result import Quality, ViewQuality

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene
    from gscodec.camera import Camera
    from gscodec.methods import Progress
    from gscodec.scene import GaussianScene

    Scene = GaussianScene | AnchorScene
    Image = NDArray[np.float32]
    Measure = Callable[[Image, Image], Quality]
    Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Shown:
    """The pictures of one view, for people to look at.

    Attributes:
        view: What was measured on them.
        a: (H, W, 3) float32, 0 to 1.
        b: The same of the other scene.
    """

    view: ViewQuality
    a: Image
    b: Image


@dataclass(frozen=True)
class Pictures:
    """What rendering two scenes gave.

    Attributes:
        views: In the order of the cameras.
        worst: The pictures of the views with least PSNR, in the order of the cameras.
    """

    views: tuple[ViewQuality, ...]
    worst: tuple[Shown, ...]


def compare_pictures(
    a: Scene,
    b: Scene,
    cameras: Sequence[Camera],
    *,
    background: Colour,
    photograph: Callable[[Camera], Image] | None,
    lpips: bool,
    keep: int,
    progress: Progress,
) -> Pictures:
    """Renders both scenes with each of ``cameras``.

    Args:
        a: The reference.
        b: What is judged.
        cameras: The views.
        background: Behind the Gaussians, 0 to 1.
        photograph: Gives the photograph of a camera, (H, W, 3) 0 to 1, to judge both scenes by.
        lpips: Whether to measure LPIPS too.
        keep: How many views to keep the pictures of.
        progress: Told ``render``.

    Raises:
        UsageError: A photograph is not of the size of its camera, or LPIPS is not there.
    """
    measure = _measure(lpips=lpips)
    views: list[ViewQuality] = []
    worst: list[tuple[float, int, Shown]] = []  # a heap, the best of them first
    for number, camera in enumerate(cameras):
        progress("render", number / len(cameras))
        pictures = _picture(a, camera, background), _picture(b, camera, background)
        real = photograph(camera) if photograph else None
        view = ViewQuality(
            name=camera.image or str(number),
            width=camera.width,
            height=camera.height,
            quality=measure(*pictures),
            a_to_photograph=None if real is None else measure(real, pictures[0]),
            b_to_photograph=None if real is None else measure(real, pictures[1]),
        )
        views.append(view)
        heapq.heappush(worst, (-view.quality.psnr, -number, Shown(view, *pictures)))
        if len(worst) > keep:
            heapq.heappop(worst)
    in_order = sorted(worst, key=lambda entry: -entry[1])
    return Pictures(tuple(views), tuple(shown for *_, shown in in_order))


def _picture(scene: Scene, camera: Camera, background: Colour) -> Image:
    from gscodec.render import render

    return np.clip(render(scene, camera, background), 0, 1)


def _measure(*, lpips: bool) -> Measure:
    from gscodec.render.quality import psnr, ssim

    if not lpips:
        return lambda a, b: Quality(psnr(a, b), ssim(a, b))
    from gscodec.render.perceptual import load_lpips

    distance = load_lpips()
    return lambda a, b: Quality(psnr(a, b), ssim(a, b), distance(a, b))
