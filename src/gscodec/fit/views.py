"""What an encoder looks at: given views, or virtual ones, and what they should show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import AnchorScene
from gscodec.fit.recent import Recent, key_of
from gscodec.render.quality import psnr
from gscodec.render.scene import render
from gscodec.render.virtual import VirtualViews, virtual_cameras

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.camera import Camera, TargetViews
    from gscodec.scene import GaussianScene

_MEASURING = 24  # views that sensitivity is measured in
_MEASURING_ANCHORS = 64  # every direction makes other Gaussians of them
_JUDGES = 24  # views that quality is measured in
_OPTIMISING = 128  # virtual views for effort high
# Of virtual views, pixels. Effort high changes all that it cannot see, so some of its views are
# large; but most people look from farther away, and what they see must not pay for detail.
_SIZES = {"fast": (480, 360), "high": (960, 720)}
_ONE_LARGE_IN = 3
# By effort: effort high is judged by the views of effort fast.
_FOUND: dict[str, Recent[VirtualViews]] = {"fast": Recent(), "high": Recent()}
_LARGEST = 800  # pixels along an edge; sensitivity is measured in no larger pictures


@dataclass(frozen=True)
class EncoderViews:
    """Cameras, and the scene whose renders or photographs are the target.

    Attributes:
        scene: The source.
        cameras: None for a scene that no camera can see.
        photographs: See `TargetViews`.
        note: Where the cameras come from, one line.
        judges: Cameras that quality is measured in: at any effort the same ones.
    """

    scene: GaussianScene | AnchorScene
    cameras: tuple[Camera, ...]
    photographs: tuple[NDArray[np.float16], ...] | None
    note: str
    judges: tuple[Camera, ...]

    @property
    def measuring(self) -> tuple[Camera, ...]:
        """A few of the cameras, evenly chosen from a list and the first of virtual ones."""
        return _few(self.cameras, _measuring(self.scene))

    @cached_property
    def targets(self) -> tuple[NDArray[np.float16], ...]:
        """What each camera should show, (H, W, 3), 0 to 1."""
        if self.photographs is not None:
            return self.photographs
        pictures = (np.clip(render(self.scene, camera), 0, 1) for camera in self.cameras)
        return tuple(picture.astype(np.float16) for picture in pictures)

    def psnr(self, scene: GaussianScene | AnchorScene) -> float:
        """Mean PSNR of ``scene`` against the renders of the source, dB."""
        return float(np.mean(self.psnr_by_view(scene)))

    def psnr_by_view(self, scene: GaussianScene | AnchorScene) -> list[float]:
        """PSNR of ``scene`` against the renders of the source, dB."""
        pairs = zip(self._seen, self.judges, strict=True)
        return [psnr(picture, _on_screen(scene, camera)) for picture, camera in pairs]

    @cached_property
    def _seen(self) -> tuple[NDArray[np.float32], ...]:
        """What is seen of the source."""
        return tuple(_on_screen(self.scene, camera) for camera in self.judges)


def _few(cameras: tuple[Camera, ...], most: int) -> tuple[Camera, ...]:
    """At most ``most`` of ``cameras``, evenly over them, none of them large."""
    picked = np.linspace(0, len(cameras) - 1, min(most, len(cameras)))
    return tuple(smaller(cameras[round(i)]) for i in picked)


def _on_screen(scene: GaussianScene | AnchorScene, camera: Camera) -> NDArray[np.float32]:
    """The picture (H, W, 3), clipped as a screen does."""
    return np.clip(render(scene, camera), 0, 1)


def _measuring(scene: GaussianScene | AnchorScene) -> int:
    return _MEASURING_ANCHORS if isinstance(scene, AnchorScene) else _MEASURING


def smaller(camera: Camera) -> Camera:
    """``camera`` with at most `_LARGEST` pixels along an edge."""
    shrink = min(1.0, _LARGEST / max(camera.width, camera.height))
    return camera if shrink == 1 else resized(camera, shrink)


def resized(camera: Camera, factor: float) -> Camera:
    """``camera`` with ``factor`` times the pixels along an edge."""
    return replace(
        camera,
        width=round(camera.width * factor),
        height=round(camera.height * factor),
        fx=camera.fx * factor,
        fy=camera.fy * factor,
        cx=camera.cx * factor,
        cy=camera.cy * factor,
    )


def choose_views(
    scene: GaussianScene | AnchorScene, given: TargetViews | None, effort: str
) -> EncoderViews:
    """The views that were given in the coordinates of the source, or virtual ones."""
    if given is not None:
        given = given.relative_to(scene.origin)
        what = "photographs" if given.photographs is not None else "cameras"
        note = f"looked at the scene through {len(given.cameras)} given {what}"
        judges = _few(given.cameras, _JUDGES)
        return EncoderViews(scene, given.cameras, given.photographs, note, judges)
    count = _OPTIMISING if effort == "high" else _measuring(scene)
    settings = (count, *_SIZES[effort])
    found = _FOUND[effort].get(
        key_of(scene, settings), lambda: virtual_cameras(scene, *settings)
    )
    note = f"looked at the scene through {len(found.cameras)} virtual cameras: {found.note}"
    if effort != "high":
        return EncoderViews(scene, found.cameras, None, note, _few(found.cameras, _JUDGES))
    far = (resized(camera, 0.5) for camera in found.cameras)
    cameras = tuple(
        small if n % _ONE_LARGE_IN else large
        for n, (small, large) in enumerate(zip(far, found.cameras, strict=True))
    )
    judges = choose_views(scene, None, "fast").judges
    return EncoderViews(scene, cameras, None, note, judges)
