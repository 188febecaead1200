"""Scenes seen by cameras: from raw trained parameters to pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import AnchorScene
from gscodec.arguments import camera_given, scene_given
from gscodec.render.conventions import conventions_of
from gscodec.render.neural import neural_gaussians
from gscodec.render.splat import Gaussians, rasterize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.camera import Camera
    from gscodec.render.splat import Conventions, Picture
    from gscodec.scene import GaussianScene


def activate(scene: GaussianScene) -> Gaussians:
    """The scene as renderers take it: exponential of scales, sigmoid of opacities."""
    with np.errstate(over="ignore"):
        opacities = 1 / (1 + np.exp(-scene.opacity_logits))
        scales = np.exp(scene.log_scales)
    colors = np.concatenate([scene.sh_dc[:, None], scene.sh_rest], axis=1)
    arrays = (scene.means, scene.quats, scales, opacities, colors)
    # Numba would compile the kernels once more for arrays that cannot be written.
    ready = [np.require(a, np.float32, ["C", "W"]) for a in arrays]
    return Gaussians(ready[0], ready[1], ready[2], ready[3], ready[4], scene.sh_degree)


def seen_by(
    scene: GaussianScene | AnchorScene, camera: Camera, conventions: Conventions
) -> Gaussians:
    """The Gaussians that ``camera`` is shown: always the same ones, or made for it."""
    if isinstance(scene, AnchorScene):
        return neural_gaussians(scene, camera, conventions.near_plane)
    return activate(scene)


def picture_of(
    scene: GaussianScene | AnchorScene,
    camera: Camera,
    background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    conventions: Conventions | None = None,
) -> Picture:
    """What ``camera`` sees of ``scene`` over ``background``.

    ``conventions`` are those of `conventions_of`, by default those of ``scene`` itself.
    """
    how = conventions or conventions_of(scene)
    return rasterize(seen_by(scene, camera, how), camera, background, how)


def render(
    scene: GaussianScene | AnchorScene,
    camera: Camera,
    background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    conventions: Conventions | None = None,
) -> NDArray[np.float32]:
    """Picture (H, W, 3) of ``scene``, not clipped; arguments as `picture_of`.

    Raises:
        UsageError: One is no scene, or no camera.
    """
    scene, camera = scene_given(scene), camera_given(camera)
    return picture_of(scene, camera, background, conventions).image


def blend_weights(
    scene: GaussianScene, camera: Camera, conventions: Conventions | None = None
) -> NDArray[np.float32]:
    """How much of the picture each Gaussian is: sum of its blending weights over pixels, (N,)."""
    return picture_of(scene, camera, conventions=conventions).weights()
