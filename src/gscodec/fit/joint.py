"""Chooses values by what is seen: descent through the renderer on error plus bits (HAC, eq. 9).

In: the columns of a scene, the law that codes each value (its expected centre, step and
spread), views and what they should show. Out: columns that show nearly the same and cost less.
The loss is the mean squared error of pixels over the price of a bit, plus bits. The laws stay
as they are meanwhile; whoever calls trains them anew between runs.

Values move in units of their steps. A step is inversely proportional to the root of what a
value does to pixels, so in these units the loss is about equally curved everywhere: values that
show are set finely, and those that do not move fast to where they cost nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
import torch
from torch import Tensor

from gscodec.fit.drawing import draw
from gscodec.fit.threads import one_thread_an_operation
from gscodec.render.backdrop import speckled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.camera import Camera
    from gscodec.fit.drawing import Drawing
    from gscodec.units import Expected

# Learning rates of Adam: of values, in steps; of everything that is free besides them.
_RATE, _FREE_RATE = 0.2, 1e-3
_LAST_RATE = 0.1  # what is left of them at the end
# Pictures that must show a value for these rates: every step follows one picture, and where few
# pictures show a value, fast steps would leave it wherever the last ones threw it.
_ENOUGH = 400
_BETAS = (0.9, 0.99)
_MOST_BITS = 24.0  # of a value: tables have no smaller frequencies
_MOST_PIXELS = 512 * 512  # of a picture that is compared; larger views are cropped at random


@dataclass(frozen=True)
class Schedule:
    """How to descend.

    Attributes:
        iterations: Steps of Adam, one view each.
        pace: From the number of steps of this run to the share of the whole optimisation that
            is done; a run ends early when this reaches 1.
        coding: How values are shown: "exact"; or "noisy", with the noise of their quantisation
            (HAC, eq. 4), through which gradients pass straight.
        planned: Iterations of the whole optimisation, about.
        gentle: Factor of the learning rates.
    """

    iterations: int
    pace: Callable[[int], float]
    coding: Literal["exact", "noisy"]
    planned: int
    gentle: float = 1.0


class Joint:
    """Columns of a scene that are being optimised."""

    def __init__(
        self,
        drawing: Drawing,
        cameras: Sequence[Camera],
        targets: Sequence[NDArray[np.float16]],
        price: float,
        *,
        before_specks: bool,
        seed: int,
        device: str,
    ) -> None:
        """``targets`` (H, W, 3) are what ``cameras`` should see, before black or `speckled`."""
        self._device = torch.device(device)
        self._drawing = drawing
        self._cameras, self._targets = cameras, targets
        self._price, self._before_specks = price, before_specks
        self._generator = torch.Generator().manual_seed(seed)
        self._order: list[int] = []
        self._shown = 1.0  # share of the scene that a picture shows

    def run(
        self,
        columns: Sequence[NDArray[np.float64]],
        laws: Sequence[Expected],
        first: int,
        schedule: Schedule,
        progress: Callable[[float, float], None],
    ) -> list[NDArray[np.float64]]:
        """Columns after descending in the units from ``first`` on; earlier ones are fixed.

        What is free in the drawing changes in place. ``progress`` gets the share that is done and
        the mean squared error of late.
        """
        values = [torch.from_numpy(c.astype(np.float32)).to(self._device) for c in columns]
        fixed, starts = values[:first], values[first:]
        moves = [torch.zeros_like(v, requires_grad=True) for v in starts]
        optimiser, rates = self._optimiser(moves)
        pulls = [_Pull(law, self._device) for law in laws[first:]]
        recent = 0.0
        with one_thread_an_operation():
            for iteration in range(schedule.iterations):
                share = schedule.pace(iteration)
                steady = min(1.0, self._shown * schedule.planned / _ENOUGH)
                if share >= 1 and iteration:
                    break
                for group, rate in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = rate * steady * schedule.gentle * _LAST_RATE**share
                moved = _moved(starts, moves, pulls)
                shown = self._shown_as(schedule.coding, moved, pulls)
                error = self._error([*fixed, *shown])
                optimiser.zero_grad()
                (error / self._price).backward()  # type: ignore[no-untyped-call]
                for move, v, pull in zip(moves, moved, pulls, strict=True):
                    cast("Tensor", move.grad).add_(pull(v.detach()))
                optimiser.step()
                size = float(error.detach())
                recent = size if not iteration else 0.95 * recent + 0.05 * size
                progress(share, recent)
        done = self._limited(first, starts, moves, pulls)
        return [*columns[:first], *(v.cpu().numpy().astype(np.float64) for v in done)]

    def _optimiser(self, moves: list[Tensor]) -> tuple[torch.optim.Adam, list[float]]:
        """Of ``moves`` and of what is free besides them, and the learning rates of both."""
        parts = [
            (part, rate)
            for part, rate in ((moves, _RATE), (self._drawing.free, _FREE_RATE))
            if part
        ]
        groups = [{"params": part} for part, _ in parts]
        optimiser = torch.optim.Adam(groups, betas=_BETAS, eps=1e-15, fused=True)
        return optimiser, [rate for _, rate in parts]

    def _shown_as(
        self, coding: str, moved: list[Tensor], pulls: Sequence[_Pull]
    ) -> list[Tensor]:
        """Values as a picture shows them, see `Schedule.coding`."""
        pairs = zip(moved, pulls, strict=True)
        if coding == "noisy":
            return [v + pull.noise(v.detach(), self._generator) for v, pull in pairs]
        return moved

    def _limited(
        self,
        first: int,
        starts: Sequence[Tensor],
        moves: Sequence[Tensor],
        pulls: Sequence[_Pull],
    ) -> list[Tensor]:
        """The values of units from ``first`` on after they have moved."""
        done = _moved(starts, [move.detach() for move in moves], pulls)
        for limit, v in zip(self._drawing.limits[first:], done, strict=False):
            v.clamp_(-limit, limit)
        return done

    def _error(self, values: Sequence[Tensor]) -> Tensor:
        """Mean squared error of the next view, or of a piece of it."""
        if not self._order:
            self._order = torch.randperm(len(self._cameras), generator=self._generator).tolist()
        number = self._order.pop()
        camera, target = self._cameras[number], self._targets[number]
        left, top, width, height = window = self._window(camera)
        part = (slice(top, top + height), slice(left, left + width))
        before = None
        if self._before_specks:
            specks = speckled(camera.height, camera.width)[part]
            before = torch.from_numpy(specks).to(self._device)
        image, shown = draw(self._drawing, values, number, camera, window, before)
        self._shown += 0.1 * (shown - self._shown)
        piece = target[part].astype(np.float32)
        wanted = torch.from_numpy(piece).to(self._device)
        return ((image.clamp(0, 1) - wanted) ** 2).mean()

    def _window(self, camera: Camera) -> tuple[int, int, int, int]:
        """Left, top, width, height of what is compared: all of it if it is small enough."""
        shrink = min(1.0, math.sqrt(_MOST_PIXELS / (camera.width * camera.height)))
        width, height = int(camera.width * shrink), int(camera.height * shrink)
        room = (camera.width - width + 1, camera.height - height + 1)
        left, top = (int(torch.randint(r, (), generator=self._generator)) for r in room)
        return left, top, width, height


def _moved(
    starts: Sequence[Tensor], moves: Sequence[Tensor], pulls: Sequence[_Pull]
) -> list[Tensor]:
    """Values after ``moves``, which are in steps."""
    return [v + m * pull.step for v, m, pull in zip(starts, moves, pulls, strict=True)]


class _Pull:
    """Gradient of the bits of values: towards their centres, as steep as their laws."""

    def __init__(self, law: Expected, device: torch.device) -> None:
        self._centre = torch.from_numpy(law.centre).to(device)
        self.step = torch.from_numpy(law.step).to(device)
        sigma = torch.from_numpy(law.sigma).to(device)
        # A Laplace law costs sqrt(2) / sigma nats per unit.
        slope = math.sqrt(2) / math.log(2) * self.step / sigma
        self._slope = slope.clamp_max(_MOST_BITS)
        self._made_up_for = list(law.made_up_for)

    def __call__(self, values: Tensor) -> Tensor:
        """Bits per step (N, columns); within half a step the law is flat on top."""
        offset = (values - self._centre) * (2 / self.step)
        return offset.clamp_(-1, 1).mul_(self._slope)

    def noise(self, values: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform noise of a step; a value near its centre is decoded as the centre instead."""
        noise = torch.rand(values.shape, generator=generator).to(values.device) - 0.5
        noise[:, self._made_up_for] = 0
        return noise * torch.minimum(self.step, 2 * (values - self._centre).abs())
