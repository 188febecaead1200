"""Pinhole cameras as values: x right, y down, z forward; lengths in scene units, the rest in pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import SceneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MAX_EDGE = 16_384  # pixels; larger is a mistake, not a camera
USUAL_UP = (0.0, -1.0, 0.0)  # in scenes whose first camera was held level
_LEVEL = 0.05  # less of something is as good as nothing
MAX_PIXELS = 2**26  # as 8192 x 8192; drawing takes some 50 bytes for each


@dataclass(frozen=True)
class Camera:
    """One view.

    Attributes:
        width: Of the image, pixels.
        height: Of the image, pixels.
        fx: Focal length across, pixels.
        fy: Focal length down, pixels.
        cx: Principal point from the left edge; the centre of the first pixel is 0.5.
        cy: Principal point from the upper edge.
        world_to_camera: (4, 4) float64, rigid: last row 0, 0, 0, 1.
        distortion: k1, k2, p1, p2 of the OpenCV model; the photograph has it, renders do not.
        image: Name of the photograph, empty where there is none.

    Raises:
        SceneError: A number makes no camera.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    world_to_camera: NDArray[np.float64]
    distortion: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    image: str = ""

    def __post_init__(self) -> None:
        if not (1 <= self.width <= MAX_EDGE and 1 <= self.height <= MAX_EDGE):
            raise SceneError(
                f"camera: found {self.width} x {self.height} pixels, "
                f"expected 1 to {MAX_EDGE} each way"
            )
        if self.width * self.height > MAX_PIXELS:
            raise SceneError(
                f"camera: found {self.width} x {self.height} pixels, expected at most "
                f"{MAX_PIXELS} in all; make its photographs smaller"
            )
        numbers = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not np.isfinite(numbers).all() or self.fx <= 0 or self.fy <= 0:
            raise SceneError(f"camera: found focal lengths and centre {numbers[:4]}")
        matrix = self.world_to_camera
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise SceneError("camera: world_to_camera must be 4 x 4 finite numbers")
        turn = matrix[:3, :3]
        rigid = np.abs(turn).max() < 2 and np.abs(turn @ turn.T - np.eye(3)).max() <= 1e-3
        if not rigid or np.linalg.det(turn) < 0:
            raise SceneError("camera: world_to_camera is no rotation and translation")
        if np.abs(matrix[3] - [0, 0, 0, 1]).max() > 1e-6:
            raise SceneError("camera: the last row of world_to_camera is not 0 0 0 1")

    @property
    def centre(self) -> NDArray[np.float64]:
        """Where the camera stands, (3,), scene units."""
        result: NDArray[np.float64] = (
            -self.world_to_camera[:3, :3].T @ self.world_to_camera[:3, 3]
        )
        return result

    def relative_to(self, origin: tuple[float, float, float] | None) -> Camera:
        """The same camera in coordinates whose zero lies at ``origin``; None changes nothing."""
        if origin is None:
            return self
        matrix = self.world_to_camera.astype(np.float64)
        matrix[:3, 3] += matrix[:3, :3] @ np.array(origin)
        return replace(self, world_to_camera=matrix)


@dataclass(frozen=True)
class TargetViews:
    """Views that an encoder looks at.

    Attributes:
        cameras: One or more.
        photographs: What each should show, (H, W, 3) float16, 0 to 1; None where the scene's own
            renders are the target.
    """

    cameras: tuple[Camera, ...]
    photographs: tuple[NDArray[np.float16], ...] | None = None

    def relative_to(self, origin: tuple[float, float, float] | None) -> TargetViews:
        """As `Camera.relative_to`, all of them."""
        return replace(self, cameras=tuple(c.relative_to(origin) for c in self.cameras))


def up_of(cameras: Sequence[Camera]) -> NDArray[np.float64]:
    """Which way is up, (3,) of unit length, for whoever held ``cameras``, one or more.

    Cameras that turn about are held level: up is at right angles to what is right in all of
    their pictures. Where all look the same way it is what is up in them on average.
    """
    matrices = np.stack([camera.world_to_camera[:3, :3] for camera in cameras])
    mean = -matrices[:, 1].mean(axis=0)
    if not np.linalg.norm(mean) > _LEVEL:
        mean = np.array(USUAL_UP)
    spread, axes = np.linalg.eigh(np.einsum("ki,kj->ij", matrices[:, 0], matrices[:, 0]))
    if spread[1] > _LEVEL * spread[2]:
        axis = axes[:, 0] if axes[:, 0] @ mean > 0 else -axes[:, 0]
        return np.asarray(axis, np.float64)
    return np.asarray(mean / np.linalg.norm(mean), np.float64)


def blind(count: int) -> SceneError:
    """What is raised where none of ``count`` cameras sees anything: there is nothing to measure."""
    return SceneError(
        f"views: none of {count} cameras sees anything, expected cameras that look at the scene, "
        "in its coordinates and units"
    )


def spread(cameras: Sequence[Camera], most: int) -> tuple[Camera, ...]:
    """At most ``most`` of ``cameras``, evenly over their order."""
    if len(cameras) <= most:
        return tuple(cameras)
    chosen = np.linspace(0, len(cameras) - 1, most).round().astype(int)
    return tuple(cameras[i] for i in chosen)
