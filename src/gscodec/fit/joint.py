"""Chooses values by what is seen: descent through the renderer on error plus bits (HAC, eq. 9).

In: the columns of a scene, the law that codes each value (its expected centre, step and
spread), views and what they should show. Out: columns that show nearly the same and cost less.
The loss is the mean squared error of pixels over the price of a bit, plus bits. The laws stay
as they are meanwhile; whoever calls trains them anew between runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from gscodec.fit.threads import one_thread_an_operation
from gscodec.render.rasterization import GSPLAT_MAX_ALPHA, rasterization
from gscodec.render.splat import INRIA

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.camera import Camera

# Learning rates of Adam, by group: opacity, scale, rotation, SH dc, everything after.
_RATES = (0.02, 0.005, 0.004, 0.005, 0.002)
_LAST_RATE = 0.1  # what is left of them at the end
_BETAS = (0.9, 0.99)
_MOST_BITS = 24.0  # of a value: tables have no smaller frequencies
_MOST_PIXELS = 512 * 512  # of a picture that is compared; larger views are cropped at random
_LIMITS = (16.0, 30.0)  # of opacity logits and log-scales, as `fit.hac` clamps them
# Y, U, V to R, G, B.
_TO_RGB = torch.tensor([[1.0, 1.0, -1.0], [1.0, 0.0, 2.0], [1.0, -1.0, -1.0]]).T


@dataclass(frozen=True)
class Law:
    """How the values of one group are coded, each (N, columns) float32.

    Attributes:
        centre: The expected value.
        step: Of quantisation.
        sigma: Expected deviation from the centre, in the unit of the values.
    """

    centre: NDArray[np.float32]
    step: NDArray[np.float32]
    sigma: NDArray[np.float32]


@dataclass(frozen=True)
class Schedule:
    """How to descend.

    Attributes:
        iterations: Steps of Adam, one view each.
        pace: From the number of steps of this run to the share of the whole optimisation that
            is done; a run ends early when this reaches 1.
        noisy: Whether values get the noise of their quantisation (HAC, eq. 4).
        gentle: Factor of the learning rates.
    """

    iterations: int
    pace: Callable[[int], float]
    noisy: bool
    gentle: float = 1.0


class Joint:
    """Columns of a scene that are being optimised."""

    def __init__(
        self,
        means: NDArray[np.float32],
        cameras: Sequence[Camera],
        targets: Sequence[NDArray[np.float16]],
        price: float,
        *,
        seed: int,
        device: str,
    ) -> None:
        """Positions (N, 3) stay as they are; ``targets`` (H, W, 3) are what cameras should see."""
        self._device = torch.device(device)
        self._means = torch.from_numpy(means).to(self._device)
        self._cameras, self._targets = cameras, targets
        self._price = price
        self._generator = torch.Generator().manual_seed(seed)
        self._order: list[int] = []
        self._to_rgb = _TO_RGB.to(self._device)
        self._max_alpha = INRIA.max_alpha if device == "cpu" else GSPLAT_MAX_ALPHA

    def run(
        self,
        columns: Sequence[NDArray[np.float64]],
        disc: NDArray[np.bool_],
        laws: Sequence[Law],
        first: int,
        schedule: Schedule,
        progress: Callable[[float, float], None],
    ) -> list[NDArray[np.float64]]:
        """Columns after descending in the groups from ``first`` on; earlier ones are fixed.

        ``progress`` gets the share that is done and the mean squared error of late.
        """
        values = [torch.from_numpy(c.astype(np.float32)).to(self._device) for c in columns]
        leaves = [v.clone().requires_grad_() for v in values[first:]]
        rates = [_RATES[min(g, len(_RATES) - 1)] for g in range(first, len(values))]
        optimiser = torch.optim.Adam(
            [{"params": [v], "lr": r} for v, r in zip(leaves, rates, strict=True)],
            betas=_BETAS,
            eps=1e-15,
            fused=True,
        )
        pulls = [_Pull(law, self._device) for law in laws[first:]]
        axis = torch.from_numpy(disc).to(self._device)[:, None]
        recent = 0.0
        with one_thread_an_operation():
            for iteration in range(schedule.iterations):
                share = schedule.pace(iteration)
                if share >= 1 and iteration:
                    break
                for group, rate in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = rate * schedule.gentle * _LAST_RATE**share
                shown = values[:first] + [
                    leaf + pull.noise(leaf.detach(), self._generator)
                    if schedule.noisy
                    else leaf
                    for leaf, pull in zip(leaves, pulls, strict=True)
                ]
                error = self._error(shown, axis)
                optimiser.zero_grad()
                (error / self._price).backward()  # type: ignore[no-untyped-call]
                for leaf, pull in zip(leaves, pulls, strict=True):
                    cast("Tensor", leaf.grad).add_(pull(leaf.detach()))
                optimiser.step()
                with torch.no_grad():
                    for limit, leaf in zip(_LIMITS[first:], leaves, strict=False):
                        leaf.clamp_(-limit, limit)
                size = float(error.detach())
                recent = size if not iteration else 0.95 * recent + 0.05 * size
                progress(share, recent)
        done = values[:first] + [leaf.detach() for leaf in leaves]
        return list(columns[:first]) + [
            v.cpu().numpy().astype(np.float64) for v in done[first:]
        ]

    def _error(self, values: Sequence[Tensor], disc: Tensor) -> Tensor:
        """Mean squared error of the next view, or of a piece of it."""
        if not self._order:
            self._order = torch.randperm(len(self._cameras), generator=self._generator).tolist()
        number = self._order.pop()
        camera, target = self._cameras[number], self._targets[number]
        left, top, width, height = self._window(camera)
        lens = torch.eye(3)
        lens[0, 0], lens[1, 1] = camera.fx, camera.fy
        lens[0, 2], lens[1, 2] = camera.cx - left, camera.cy - top
        colors = self._colors(values)
        image, _, _ = rasterization(
            self._means,
            _quats(values[2], disc),
            torch.exp(values[1]),
            torch.sigmoid(values[0][:, 0]),
            colors,
            torch.from_numpy(camera.world_to_camera.astype(np.float32))[None].to(self._device),
            lens[None].to(self._device),
            width,
            height,
            near_plane=INRIA.near_plane,
            max_alpha=self._max_alpha,
            sh_degree=int(colors.shape[1] ** 0.5) - 1,
        )
        piece = target[top : top + height, left : left + width].astype(np.float32)
        wanted = torch.from_numpy(piece).to(self._device)
        return ((image[0].clamp(0, 1) - wanted) ** 2).mean()

    def _window(self, camera: Camera) -> tuple[int, int, int, int]:
        """Left, top, width, height of what is compared: all of it if it is small enough."""
        shrink = min(1.0, math.sqrt(_MOST_PIXELS / (camera.width * camera.height)))
        width, height = int(camera.width * shrink), int(camera.height * shrink)
        room = (camera.width - width + 1, camera.height - height + 1)
        left, top = (int(torch.randint(r, (), generator=self._generator)) for r in room)
        return left, top, width, height

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


class _Pull:
    """Gradient of the bits of values: towards their centres, as steep as their laws."""

    def __init__(self, law: Law, device: torch.device) -> None:
        self._centre = torch.from_numpy(law.centre).to(device)
        self._step = torch.from_numpy(law.step).to(device)
        sigma = torch.from_numpy(law.sigma).to(device)
        # A Laplace law costs sqrt(2) / sigma nats per unit.
        slope = math.sqrt(2) / math.log(2) / sigma
        self._slope = torch.minimum(slope, _MOST_BITS / self._step)
        self._per_half_step = 2 / self._step

    def __call__(self, values: Tensor) -> Tensor:
        """Bits per unit (N, columns); within half a step the law is flat on top."""
        offset = (values - self._centre) * self._per_half_step
        return offset.clamp_(-1, 1).mul_(self._slope)

    def noise(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform noise of a step; a value near its centre is decoded as the centre instead."""
        noise = torch.rand(values.shape, generator=generator).to(values.device) - 0.5
        return noise * torch.minimum(self._step, 2 * (values - self._centre).abs())
