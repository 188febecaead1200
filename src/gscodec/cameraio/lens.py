"""Cameras of other sizes, and photographs as a lens without distortion would take them.

Source of the distortion: OpenCV, "Camera Calibration and 3D Reconstruction"; COLMAP's models
are special cases of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import SceneError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.camera import Camera


def rescaled(camera: Camera, width: int, height: int, name: str = "<bytes>") -> Camera:
    """``camera`` for a photograph of ``width`` x ``height`` pixels.

    Args:
        camera: For photographs of another size.
        width: Of the photograph.
        height: Of the photograph.
        name: Of the photograph, for errors.

    Raises:
        SceneError: The photograph has another shape, by more than a pixel of rounding.
    """
    # Rounding moves each edge by less than a pixel, here as pixels of the height.
    rounding = 1 + camera.height / camera.width
    if abs(camera.height * width / camera.width - height) > rounding:
        raise SceneError(
            f"{name}: found {width} x {height} pixels, expected "
            f"{camera.width} x {camera.height} or the same shape in another size"
        )
    across, down = width / camera.width, height / camera.height
    return replace(
        camera,
        width=width,
        height=height,
        fx=camera.fx * across,
        fy=camera.fy * down,
        cx=camera.cx * across,
        cy=camera.cy * down,
    )


def undistorted(photograph: NDArray[np.float32], camera: Camera) -> NDArray[np.float32]:
    """``photograph`` as ``camera`` would take it without distortion, bilinear.

    Focal lengths and centre stay. Beyond the edges of the photograph, which a lens with
    pincushion distortion shows in the corners, the edge is repeated.

    Args:
        photograph: (H, W, 3), the size of ``camera``.
        camera: With its distortion.

    Raises:
        UsageError: scipy is not installed.
    """
    try:
        from scipy.ndimage import map_coordinates
    except ImportError as error:
        raise UsageError(
            "photographs with lens distortion need scipy; pip install 'gscodec[render]'"
        ) from error
    across, down = np.meshgrid(
        (np.arange(camera.width) + 0.5 - camera.cx) / camera.fx,
        (np.arange(camera.height) + 0.5 - camera.cy) / camera.fy,
    )
    x, y = _distorted(across, down, camera.distortion)
    where = [y * camera.fy + camera.cy - 0.5, x * camera.fx + camera.cx - 0.5]
    result = np.empty_like(photograph)
    for channel in range(photograph.shape[2]):
        map_coordinates(
            photograph[..., channel], where, result[..., channel], order=1, mode="nearest"
        )
    return result


def _distorted(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    distortion: tuple[float, float, float, float],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the lens puts points of the plane at distance 1."""
    k1, k2, p1, p2 = distortion
    square = x * x + y * y
    radial = 1 + square * (k1 + square * k2)
    return (
        x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x),
        y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
    )
