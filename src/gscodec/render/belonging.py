"""Whether cameras belong to a scene, told before what they see decides anything.

Trainers may turn, centre and scale what they are given; cameras as they were before that look
at the trained scene from anywhere. Strategy: photographs tell for certain where there are any,
by how much of what they show is in renders, whatever the exposure. Without them the scene tells:
cameras that trained it see most of its opacity, and none of them sees nothing.

The bounds lie far from both sides. Medians of what renders explain of eight photographs, five
trained scenes: 0.97 to 0.99 in their own space (0.86 in pictures of 133 pixels), at most 0.17 in
36 spaces that are turned, centred and scaled; a shift by a few hundredths of the scene passes.
Opacity seen: 0.85 to 1.0 by all cameras of a file, 0.77 by the worst eight; 0.02 to 0.7 in most
other spaces, but of an object that wrong cameras surround it may be all: this one does not tell
every time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import AnchorScene
from gscodec.camera import spread
from gscodec.render.conventions import conventions_of
from gscodec.render.neural import stand_in
from gscodec.render.quality import psnr
from gscodec.render.scene import render
from gscodec.render.virtual_sample import draw_sample
from gscodec.render.virtual_sight import HEIGHT, WIDTH, look

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.camera import Camera
    from gscodec.render.virtual_sample import Sample
    from gscodec.scene import GaussianScene

    Photograph = Callable[[Camera], NDArray[np.float32] | NDArray[np.float16]]

_PHOTOGRAPHS = 8  # that are looked at
_EDGE = 400  # pixels along an edge, at most, of what is compared with them
_LEAST_EXPLAINED = 0.5  # of the variance of a photograph, median
_UNIFORM = 1 / 255  # deviation of photographs that say nothing

_SAMPLE = 20_000  # Gaussians
_FEW, _MOST = 24, 128  # cameras that are asked where they fit, and before they are refused
_NEAR = 0.01  # sizes of the core of the scene
_VISIBLE = 0.01  # share of a Gaussian that counts as seen
_LEAST_SEEN = 0.8  # of the opacity, by many cameras; one may see a third of that
_EMPTY = 0.002  # share of a picture: less is nothing
_MOST_EMPTY = 0.25  # share of such pictures, of many; one may be so whatever their number


@dataclass(frozen=True)
class Pictures:
    """Photographs of a scene.

    Attributes:
        cameras: Those that have one.
        photograph: Camera -> (H, W, 3), 0 to 1.
        background: Behind the scene.
    """

    cameras: Sequence[Camera] = ()
    photograph: Photograph | None = None
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)


def disagreement(
    scene: GaussianScene | AnchorScene, cameras: Sequence[Camera], pictures: Pictures
) -> str:
    """Why ``cameras`` cannot belong to ``scene``, with numbers; empty where they may."""
    if pictures.cameras and pictures.photograph is not None:
        draw = partial(
            render, scene, background=pictures.background, conventions=conventions_of(scene)
        )
        found = [
            _compared(draw, camera, pictures.photograph(camera))
            for camera in spread(pictures.cameras, _PHOTOGRAPHS)
        ]
        telling = [pair for pair in found if pair is not None]
        if telling:
            return _judged_by_photographs(telling)
    return _judged_by_sight(scene, cameras)


def _judged_by_photographs(pairs: Sequence[tuple[float, float]]) -> str:
    explained = float(np.median([pair[0] for pair in pairs]))
    if explained >= _LEAST_EXPLAINED:
        return ""
    mean = float(np.mean([pair[1] for pair in pairs]))
    return (
        f"renders explain {100 * explained:.0f} % of what {len(pairs)} photographs show, "
        f"PSNR {mean:.1f} dB, where those of a trained scene explain 85 % and more"
    )


def _compared(
    draw: Callable[[Camera], NDArray[np.float32]],
    camera: Camera,
    photograph: NDArray[np.float32] | NDArray[np.float16],
) -> tuple[float, float] | None:
    """How much of a photograph a render explains, 0 to 1, and PSNR; None if it is all alike."""
    step = math.ceil(max(camera.width, camera.height) / _EDGE)
    target = _reduced(photograph.astype(np.float32), step)
    if target.std() < _UNIFORM:
        return None
    height, width = target.shape[:2]
    lens = {name: getattr(camera, name) / step for name in ("fx", "fy", "cx", "cy")}
    small = replace(camera, width=width, height=height, **lens)
    picture = np.clip(draw(small), 0, 1).astype(np.float32)
    # The best picture of the form a + b * render with b >= 0: exposures differ.
    shown, wanted = picture - picture.mean((0, 1)), target - target.mean((0, 1))
    power = float(np.square(shown).sum())
    slope = max(float((shown * wanted).sum()) / power, 0.0) if power > 0 else 0.0
    left = np.square(wanted - slope * shown).sum() / np.square(wanted).sum()
    return 1 - float(left), psnr(picture, target)


def _reduced(picture: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Means of ``step`` x ``step`` pixels; a rest at the right and lower edge is left out."""
    height, width = (max(edge // step, 1) * step for edge in picture.shape[:2])
    whole = np.pad(
        picture,
        (
            (0, max(height - picture.shape[0], 0)),
            (0, max(width - picture.shape[1], 0)),
            (0, 0),
        ),
        mode="edge",
    )[:height, :width]
    blocks = whole.reshape(height // step, step, width // step, step, 3)
    result: NDArray[np.float32] = blocks.mean((1, 3))
    return result


def _judged_by_sight(scene: GaussianScene | AnchorScene, cameras: Sequence[Camera]) -> str:
    rng = np.random.default_rng(0)
    gaussians = stand_in(scene) if isinstance(scene, AnchorScene) else scene
    sample = draw_sample(gaussians, _SAMPLE, rng)
    if not len(sample):
        return ""  # nothing to see from anywhere
    order = rng.permutation(len(cameras))[:_MOST]
    needed = _LEAST_SEEN * len(order) / (len(order) + 2)
    share = sample.copies * sample.opacities / (sample.copies * sample.opacities).sum()
    visible = np.zeros(len(sample), np.float32)
    seen, empty, count = 0.0, 0, 0
    for count, index in enumerate(order, start=1):
        filled = _look(sample, cameras[index], visible)
        empty += filled < _EMPTY
        seen = float(share[visible > _VISIBLE].sum())
        if count >= _FEW and seen >= needed and empty <= 1 + _MOST_EMPTY * count:
            return ""
    if empty > 1 + _MOST_EMPTY * count:
        return f"{empty} of {count} cameras see nothing of it"
    if seen < needed:
        return (
            f"{count} cameras see {100 * seen:.0f} % of its opacity, where those that trained a "
            f"scene see {100 * needed:.0f} % and more"
        )
    return ""


def _look(sample: Sample, camera: Camera, visible: NDArray[np.float32]) -> float:
    """Adds to ``visible`` what ``camera`` sees, or a little more; the filled share of its picture."""
    view = camera.world_to_camera.copy()
    view[:3, 3] = (view[:3, 3] + view[:3, :3] @ sample.centre) / sample.size
    # Half edges of the picture at distance 1, and the focal length in widths that covers them.
    across = max(camera.cx, camera.width - camera.cx) / camera.fx
    down = max(camera.cy, camera.height - camera.cy) / camera.fy
    sight = look(sample, view, _NEAR, 0.5 / max(across, down * WIDTH / HEIGHT))
    np.maximum(visible, sight.visible, out=visible)
    return sight.filled
