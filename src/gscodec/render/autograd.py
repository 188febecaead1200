"""The kernels as one differentiable function of torch; everything stays on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from gscodec.render.splat import Gaussians, project

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from gscodec.camera import Camera
    from gscodec.render.splat import Arrays, Conventions, Picture

_GROUP = 3  # channels that the kernels blend at once


@dataclass(frozen=True)
class Views:
    """What is drawn, apart from the Gaussians.

    Attributes:
        cameras: One or more, all of one size.
        conventions: Of the renderer.
        sh_degree: Of the colours, None if they are no SH coefficients.
        with_color: Whether colours are drawn.
        with_depth: Whether depth is, as the last channel.
    """

    cameras: tuple[Camera, ...]
    conventions: Conventions
    sh_degree: int | None
    with_color: bool
    with_depth: bool


def rasterize(
    tensors: tuple[Tensor, ...], backgrounds: Tensor | None, views: Views
) -> tuple[Tensor, ...]:
    """Pictures of means, quats, scales, opacities, colours, shaped as for `rasterization`.

    Returns:
        Channels (C, H, W, X) and alphas (C, H, W); and, without gradients, drawn (C, N) bool,
        depths (C, N) and means2d (C, N, 2).
    """
    apply: Callable[..., tuple[Tensor, ...]] = _Rasterize.apply
    return apply(*tensors, backgrounds, views)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        *tensors, backgrounds, views = inputs
        # Saved so that torch notices when one is changed in place before backward.
        ctx.save_for_backward(*tensors)
        ctx.views, ctx.pictures = views, []
        arrays = [t.detach().contiguous().numpy() for t in tensors]
        results = []
        for c, camera in enumerate(views.cameras):
            gaussians = Gaussians(*_of_camera(arrays, c, views), views.sh_degree)
            background = None if backgrounds is None else backgrounds[c].detach().numpy()
            pictures = _draw(gaussians, camera, background, views)
            ctx.pictures.append(pictures)
            results.append(_results(pictures, views))
        outputs = [torch.from_numpy(np.stack(r)) for r in zip(*results, strict=True)]
        ctx.mark_non_differentiable(*outputs[2:])
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_channels: Tensor, by_alphas: Tensor, *_: Tensor) -> Any:
        views = ctx.views
        gradients = [np.zeros(t.shape, np.float32) for t in ctx.saved_tensors]
        by_backgrounds = []
        for c, pictures in enumerate(ctx.pictures):
            by_image, by_alpha = by_channels[c].numpy(), by_alphas[c].numpy()
            into = _of_camera(gradients, c, views)
            _add_gradients(pictures, by_image, by_alpha, views, into)
            seen_through = by_image * pictures[0].transmittance[..., None]
            by_backgrounds.append(seen_through.sum((0, 1), np.float64))
        colors = gradients[4].shape[-1]
        behind = np.zeros((len(by_backgrounds), colors), np.float32)
        if views.with_color:
            behind[:] = np.stack(by_backgrounds)[:, :colors]
        results = [torch.from_numpy(g) for g in (*gradients, behind)]
        needed = ctx.needs_input_grad
        return *(g if n else None for g, n in zip(results, needed, strict=False)), None


def _of_camera(arrays: list[NDArray[np.float32]], c: int, views: Views) -> Arrays:
    """The five arrays of `Gaussians` for camera ``c``, as views."""
    means, quats, scales, opacities, colors = arrays
    if views.sh_degree is None:
        colors = (colors[c] if colors.ndim == 3 else colors)[:, None]
    return means, quats, scales, opacities, colors


def _draw(
    gaussians: Gaussians, camera: Camera, background: NDArray[np.float32] | None, views: Views
) -> list[Picture]:
    """Pictures of one projection, with three channels each; colours first, then depth."""
    projection = project(gaussians, camera, views.conventions)
    channels, behind = [], []
    if views.with_color:
        # Shaded already, by SH, or colours as they are.
        own = (
            projection.splats[:, 6:9] if views.sh_degree is not None else gaussians.colors[:, 0]
        )
        channels.append(own)
        behind.append(np.zeros(own.shape[1]) if background is None else background)
    if views.with_depth:
        channels.append(projection.depths[:, None])
        behind.append(np.zeros(1))
    values, over = np.concatenate(channels, axis=1), np.concatenate(behind)
    over = np.pad(over, (0, -len(over) % _GROUP))
    return [
        projection.recolored(values[:, k : k + _GROUP]).blend(tuple(over[k : k + _GROUP]))
        for k in range(0, values.shape[1], _GROUP)
    ]


def _results(pictures: list[Picture], views: Views) -> tuple[NDArray[Any], ...]:
    """One camera's share of what `rasterize` returns."""
    projection = pictures[0].projection
    channels = np.concatenate([p.image for p in pictures], axis=2)
    colors = 3 if views.sh_degree is not None else projection.gaussians.colors.shape[2]
    used = views.with_color * colors + views.with_depth
    drawn = projection.drawn
    return (
        np.ascontiguousarray(channels[..., :used]),
        1 - pictures[0].transmittance,
        drawn,
        np.where(drawn, projection.depths, np.float32(0)),
        np.where(drawn[:, None], projection.splats[:, :2], np.float32(0)),
    )


def _add_gradients(
    pictures: list[Picture],
    by_image: NDArray[np.float32],
    by_alpha: NDArray[np.float32],
    views: Views,
    into: Arrays,
) -> None:
    """Adds one camera's gradients: geometry sums over pictures, each channel has its own."""
    projection = pictures[0].projection
    height, width, used = by_image.shape
    padded = np.zeros((height, width, len(pictures) * _GROUP), np.float32)
    padded[..., :used] = by_image
    moments = [
        picture.moments(padded[..., k * _GROUP :][..., :_GROUP], by_alpha if k == 0 else None)
        for k, picture in enumerate(pictures)
    ]
    by_channel = np.concatenate([m[:, 6:9] for m in moments], axis=1)
    total = sum(moments[1:], start=moments[0])
    total[:, 6:9] = by_channel[:, :_GROUP] if views.with_color else 0
    projection.backward(total, into)
    by_means, *_, by_colors = into
    if views.with_color and views.sh_degree is None:
        by_colors[:, 0] += by_channel[:, : by_colors.shape[2]]
    if views.with_depth:
        by_means += by_channel[:, used - 1 : used] * projection.view[8:11]
