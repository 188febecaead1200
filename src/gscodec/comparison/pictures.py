"""Two scenes seen by the same cameras: how like their pictures are, view by view.

Renders are clipped to 0..1 before anything is measured, as a screen would clip them.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.camera import blind
from gscodec.report.compare_result import Quality, ViewQuality

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene
    from gscodec.camera import Camera
    from gscodec.method import Progress
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
        views: In the order of the cameras; those that show nothing of either scene are left
            out, for their pictures are alike whatever the scenes are.
        blank: Names of those.
        worst: The pictures of the views with least PSNR, in the order of the cameras.
    """

    views: tuple[ViewQuality, ...]
    blank: tuple[str, ...]
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
    """Renders both scenes with each of ``cameras``, with the near plane of the first that is not empty.

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
        SceneError: There are cameras, and none of them sees anything of either scene.
        UsageError: A photograph is not of the size of its camera, or LPIPS is not there.
    """
    measure = _measure(lpips=lpips)
    draw = _drawn(a, b, background)
    views: list[ViewQuality] = []
    blank: list[str] = []
    worst: list[tuple[float, int, Shown]] = []  # a heap, the best of them first
    for number, camera in enumerate(cameras):
        progress("render", number / len(cameras))
        name = camera.image or str(number)
        pictures = draw(camera)
        if pictures is None:
            blank.append(name)
            continue
        real = photograph(camera) if photograph else None
        view = ViewQuality(
            name=name,
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
    if blank and not views:
        raise blind(len(blank))
    in_order = sorted(worst, key=lambda entry: -entry[1])
    return Pictures(tuple(views), tuple(blank), tuple(shown for *_, shown in in_order))


def _drawn(
    a: Scene, b: Scene, background: Colour
) -> Callable[[Camera], tuple[Image, Image] | None]:
    """Draws what a camera sees of both; None if it sees nothing of either."""
    from gscodec.render.conventions import conventions_of
    from gscodec.render.scene import picture_of

    of_a = conventions_of(a if len(a) else b)
    of_b = replace(conventions_of(b), near_plane=of_a.near_plane)

    def draw(camera: Camera) -> tuple[Image, Image] | None:
        first = picture_of(a, camera, background, of_a)
        second = picture_of(b, camera, background, of_b)
        if not (first.shows or second.shows):
            return None
        return np.clip(first.image, 0, 1), np.clip(second.image, 0, 1)

    return draw


def _measure(*, lpips: bool) -> Measure:
    from gscodec.render.flip import load_flip
    from gscodec.render.perceptual import load_lpips
    from gscodec.render.quality import psnr, ssim

    flip, distance = load_flip(), load_lpips() if lpips else None

    def measure(a: Image, b: Image) -> Quality:
        return Quality(
            psnr(a, b),
            ssim(a, b),
            None if distance is None else distance(a, b),
            None if flip is None else flip(a, b),
        )

    return measure
