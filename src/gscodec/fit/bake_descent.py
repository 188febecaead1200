"""A few hundred steps of Adam through the renderer, towards the renders of an anchor scene."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch

from gscodec.fit.drawing import Drawn, draw
from gscodec.fit.threads import one_thread_an_operation
from gscodec.render.scene import render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from gscodec.anchors import AnchorScene
    from gscodec.camera import Camera
    from gscodec.render.splat import Conventions
    from gscodec.scene import GaussianScene

# Learning rates of Adam: opacity logits, log-scales, quaternions, SH dc, SH rest.
_RATES = (0.04, 0.01, 0.008, 0.01, 0.004)
_LAST_RATE = 0.1  # what is left of them at the end
_BETAS = (0.9, 0.99)
_EDGE = 512  # pixels; larger pictures are taken in pieces


def descend(
    scene: AnchorScene,
    start: GaussianScene,
    cameras: Sequence[Camera],
    conventions: Conventions,
    *,
    iterations: int,
    seed: int,
    progress: Callable[[float], None],
) -> GaussianScene:
    """``start`` after ``iterations`` steps, each towards what one of ``cameras`` sees of ``scene``.

    The same on every run. Means stay as they are.
    """
    drawing = _Baked(start.means, conventions)
    leaves = _leaves(start)
    groups = [{"params": [leaf], "lr": 0.0} for leaf in leaves]
    optimiser = torch.optim.Adam(groups, betas=_BETAS, eps=1e-15, fused=True)
    pieces = [piece for camera in cameras for piece in _pieces(camera)]
    targets: dict[int, NDArray[np.float16]] = {}
    generator = torch.Generator().manual_seed(seed)
    order: list[int] = []
    with one_thread_an_operation():
        for iteration in range(iterations):
            for group, rate in zip(optimiser.param_groups, _RATES, strict=True):
                group["lr"] = rate * _LAST_RATE ** (iteration / iterations)
            order = order or torch.randperm(len(pieces), generator=generator).tolist()
            number = order.pop()
            piece = pieces[number]
            if number not in targets:
                whole = render(scene, piece, conventions=conventions)
                targets[number] = np.clip(whole, 0, 1).astype(np.float16)
            wanted = torch.from_numpy(targets[number].astype(np.float32))
            window = (0, 0, piece.width, piece.height)
            image, _ = draw(drawing, leaves, number, piece, window)
            error = ((image.clamp(0, 1) - wanted) ** 2).mean()
            optimiser.zero_grad()
            error.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            progress((iteration + 1) / iterations)
    return _with_leaves(start, leaves)


def _with_leaves(start: GaussianScene, leaves: list[Tensor]) -> GaussianScene:
    """``start`` with other values."""
    opacities, scales, quats, dc, rest = (leaf.detach().numpy() for leaf in leaves)
    return replace(
        start,
        opacity_logits=opacities,
        log_scales=scales,
        quats=quats,
        sh_dc=np.ascontiguousarray(dc[:, 0]),
        sh_rest=rest,
    )


def _leaves(scene: GaussianScene) -> list[Tensor]:
    arrays = (scene.opacity_logits, scene.log_scales, scene.quats, scene.sh_dc[:, None])
    return [torch.tensor(a, requires_grad=True) for a in (*arrays, scene.sh_rest)]


class _Baked:
    """Gaussians with colours in R, G, B, as a `Drawing` of what `_leaves` gives."""

    limits: tuple[float, ...] = ()

    def __init__(self, means: NDArray[np.float32], conventions: Conventions) -> None:
        self.conventions = conventions
        self.free: list[Tensor] = []
        self._means = torch.from_numpy(means)

    def gaussians(self, values: Sequence[Tensor], number: int, camera: Camera) -> Drawn:  # noqa: ARG002
        """The same for all cameras."""
        opacities, scales, quats, dc, rest = values
        colors = torch.cat([dc, rest], dim=1)
        degree = math.isqrt(colors.shape[1]) - 1
        shape = (self._means, quats, torch.exp(scales), torch.sigmoid(opacities))
        return Drawn(*shape, colors, degree, len(self._means))


def _pieces(camera: Camera) -> list[Camera]:
    """Cameras of at most `_EDGE` pixels each way that see what ``camera`` sees."""
    lefts, tops = _cuts(camera.width), _cuts(camera.height)
    return [
        replace(
            camera,
            width=right - left,
            height=bottom - top,
            cx=camera.cx - left,
            cy=camera.cy - top,
        )
        for top, bottom in pairwise(tops)
        for left, right in pairwise(lefts)
    ]


def _cuts(edge: int) -> list[int]:
    """Where a picture of ``edge`` pixels is cut, its ends included."""
    count = -(-edge // _EDGE)
    return [round(edge * k / count) for k in range(count + 1)]
