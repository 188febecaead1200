"""Columns that are being optimised -> a picture: what `fit.joint` descends through.

One class for each kind of scene. ``values`` are the columns of its groups in coding order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor

from gscodec.colours import YUV_TO_RGB
from gscodec.geometry.rotation import is_disc
from gscodec.kinds.gaussians import MAX_LOG_SCALE, MAX_OPACITY_LOGIT, SCALE
from gscodec.render.neural import in_picture
from gscodec.render.neural_torch import neural, tensors_of
from gscodec.render.rasterization import GSPLAT_MAX_ALPHA, rasterization

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene
    from gscodec.camera import Camera
    from gscodec.render.splat import Conventions

_TO_RGB = torch.tensor(YUV_TO_RGB).T


class Drawn(NamedTuple):
    """Arguments of `rasterization`, and how many Gaussians the scene could have at most."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    sh_degree: int | None
    whole: int


class Drawing(Protocol):
    """A scene whose columns are free.

    Attributes:
        free: Parameters that are optimised besides the columns.
        limits: Largest magnitude of the values of each group; of later groups there is none.
        conventions: How it is drawn.
    """

    free: list[Tensor]
    limits: tuple[float, ...]
    conventions: Conventions

    def gaussians(self, values: Sequence[Tensor], number: int, camera: Camera) -> Drawn:
        """What ``camera``, the one with this ``number``, sees."""


class Moving(Drawing, Protocol):
    """The same while its units are coded one after the other."""

    def follow(self, number: int, quanta: NDArray[np.int64]) -> None:
        """Unit ``number`` is decoded."""

    def state(self) -> list[NDArray[np.float32]]:
        """What is free, as arrays."""


def draw(
    drawing: Drawing,
    values: Sequence[Tensor],
    number: int,
    camera: Camera,
    window: tuple[int, int, int, int],
    before: Tensor | None = None,
) -> tuple[Tensor, float]:
    """A piece (height, width, 3) of a picture, and the share of the scene that it shows.

    ``window`` is left, top, width, height. The scene stands before grey values (height, width);
    before black if there are none.
    """
    drawn = drawing.gaussians(values, number, camera)
    device, how = drawn.means.device, drawing.conventions
    left, top, width, height = window
    lens = torch.eye(3)
    lens[0, 0], lens[1, 1] = camera.fx, camera.fy
    lens[0, 2], lens[1, 2] = camera.cx - left, camera.cy - top
    pose = torch.from_numpy(camera.world_to_camera).to(device, torch.float32)
    image, alpha, found = rasterization(
        *drawn[:5],
        pose[None],
        lens[None].to(device),
        width,
        height,
        near_plane=how.near_plane,
        max_alpha=how.max_alpha if device.type == "cpu" else GSPLAT_MAX_ALPHA,
        sh_degree=drawn.sh_degree,
        rasterize_mode="antialiased" if how.antialiased else "classic",
    )
    picture = image[0] if before is None else image[0] + (1 - alpha[0]) * before[..., None]
    return picture, float(found["drawn"].sum()) / drawn.whole


class GaussianDrawing:
    """Opacity, scale, rotation, then Y, U, V by SH degree; displacements if there are some."""

    limits: tuple[float, ...] = (MAX_OPACITY_LOGIT, MAX_LOG_SCALE)

    def __init__(
        self,
        means: NDArray[np.float32],
        disc: NDArray[np.bool_],
        conventions: Conventions,
        device: str,
        *,
        cell: float,
    ) -> None:
        """``means`` (N, 3); ``disc`` (N,) says about which axes twists are.

        The last group displaces means, in edges of a ``cell``; there is none if this is 0.
        """
        self.conventions = conventions
        self.free: list[Tensor] = []
        self._means, self._cell = torch.from_numpy(means).to(device), cell
        self._to_rgb = _TO_RGB.to(device)
        self._turn_about(disc)

    def follow(self, number: int, quanta: NDArray[np.int64]) -> None:
        """Other axes for the twists, now that scales are decoded."""
        if number == SCALE:
            self._turn_about(is_disc(quanta))

    def _turn_about(self, disc: NDArray[np.bool_]) -> None:
        self._disc = torch.from_numpy(disc).to(self._means.device)[:, None]

    def state(self) -> list[NDArray[np.float32]]:
        """Nothing is free."""
        return []

    def gaussians(self, values: Sequence[Tensor], number: int, camera: Camera) -> Drawn:  # noqa: ARG002
        """The same for all cameras."""
        means, quats = self._means, _quats(values[2], self._disc)
        if self._cell:
            *values, moves = values
            means = means + self._cell * _rotated(quats, moves)
        colors = self._colors(values)
        return Drawn(
            means,
            quats,
            torch.exp(values[1]),
            torch.sigmoid(values[0][:, 0]),
            colors,
            int(colors.shape[1] ** 0.5) - 1,
            len(self._means),
        )

    def _colors(self, values: Sequence[Tensor]) -> Tensor:
        """SH coefficients (N, K, 3) of R, G, B."""
        parts = [values[3][:, None]]
        for luma, chroma in zip(values[4::2], values[5::2], strict=True):
            n = luma.shape[1]
            parts.append(torch.stack([luma, chroma[:, :n], chroma[:, n:]], dim=2))
        return torch.cat(parts, dim=1) @ self._to_rgb


def _quats(values: Tensor, disc: Tensor) -> Tensor:
    """Quaternions of some length from twist, swing, swing; see `geometry.rotation`."""
    t, a, b = values.unbind(1)
    w, first, second = torch.ones_like(t), a + b * t, b - a * t
    about_short = torch.stack([w, first, second, t], dim=1)
    about_long = torch.stack([w, t, first, second], dim=1)
    return torch.where(disc, about_short, about_long)


def _rotated(quats: Tensor, vectors: Tensor) -> Tensor:
    """As `geometry.rotation.rotated`, by quaternions of any length."""
    unit = torch.nn.functional.normalize(quats, dim=1)
    w, axis = unit[:, :1], unit[:, 1:]
    turn = 2 * torch.linalg.cross(axis, vectors)
    moved: Tensor = vectors + w * turn + torch.linalg.cross(axis, turn)
    return moved


class AnchorDrawing:
    """Anchors at fixed positions and networks that may move; features, scalings, offsets."""

    limits: tuple[float, ...] = ()

    def __init__(
        self,
        scene: AnchorScene,
        chunks: int,
        cameras: Sequence[Camera],
        conventions: Conventions,
        device: str,
    ) -> None:
        """``scene`` gives positions, masks and networks; which anchors a camera sees stays.

        The first ``chunks`` groups are the features.
        """
        self.conventions = conventions
        self.networks = tensors_of(scene.networks, device)
        self.free = [t.requires_grad_() for part in self.networks.values() for t in part]
        self._appearance: Tensor | None = None
        if scene.networks.appearance is not None:
            self._appearance = torch.tensor(scene.networks.appearance[0], device=device)
        self._anchors = torch.from_numpy(scene.anchors).to(device)
        masks = scene.masks
        self.masks: Tensor | None = None
        if masks is not None:
            self.masks = torch.from_numpy(masks).to(device)
        self._shape = (len(scene), scene.offset_count, 3)
        near = conventions.near_plane
        self._visible = [
            torch.from_numpy(in_picture(scene, camera, near)).nonzero()[:, 0].to(device)
            for camera in cameras
        ]
        self._centres = [
            torch.from_numpy(camera.centre).to(device, torch.float32) for camera in cameras
        ]
        self._chunks = chunks

    def gaussians(self, values: Sequence[Tensor], number: int, camera: Camera) -> Drawn:  # noqa: ARG002
        """Made by the networks for this camera."""
        made = neural(
            self._anchors,
            torch.cat(list(values[: self._chunks]), dim=1),
            values[self._chunks],
            values[self._chunks + 1].view(self._shape),
            self.networks,
            self._centres[number],
            self._visible[number],
            masks=self.masks,
            appearance=self._appearance,
        )
        gaussians = (made.means, made.quats, made.scales, made.opacities, made.colors)
        return Drawn(*gaussians, None, self._shape[0] * self._shape[1])

    def follow(self, number: int, quanta: NDArray[np.int64]) -> None:
        """It is drawn the same way."""

    def state(self) -> list[Any]:
        """The networks as arrays, in the order of `RenderingNetworks.arrays` (without appearance)."""
        return [tensor.detach().cpu().numpy().copy() for tensor in self.free]
