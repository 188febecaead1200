"""How much pixels change when a value of an anchor does: `fit.pixels` for Scaffold-GS scenes.

The diagonal of J^T J by Hutchinson's estimate, through the networks: torch carries random signs
from pixels back to features, scalings, offsets and weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gscodec.fit.drawing import AnchorDrawing, draw
from gscodec.fit.threads import one_thread_an_operation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gscodec.anchors import AnchorScene
    from gscodec.camera import Camera
    from gscodec.render.splat import Conventions


@dataclass(frozen=True)
class AnchorSensitivity:
    """Mean squared change of a pixel channel per squared unit of one value; all float64.

    Attributes:
        features: (N, F)
        scalings: (N, 6) of each log-scaling.
        offsets: (N, K) of each coordinate of an offset.
        presence: (N, K) squared change if a Gaussian went away, about: as its opacity fades.
        networks: For each array of the networks, the mean over its weights.
        together: (F, F) sums over anchors of the products of what two features do, each anchor
            as much as any other: how far their errors agree.
    """

    features: NDArray[np.float64]
    scalings: NDArray[np.float64]
    offsets: NDArray[np.float64]
    presence: NDArray[np.float64]
    networks: tuple[float, ...]
    together: NDArray[np.float64]

    def take(self, index: NDArray[np.int64]) -> AnchorSensitivity:
        """The anchors at ``index``."""
        return AnchorSensitivity(
            self.features[index],
            self.scalings[index],
            self.offsets[index],
            self.presence[index],
            self.networks,
            self.together,
        )


class _Fading(AnchorDrawing):
    """With factors of all opacities, to differentiate by: what fades goes away."""

    def __init__(
        self,
        scene: AnchorScene,
        cameras: Sequence[Camera],
        conventions: Conventions,
        device: str,
    ) -> None:
        super().__init__(scene, 1, cameras, conventions, device)
        factors = torch.ones(len(scene), scene.offset_count, device=device)
        if self.masks is not None:
            factors *= self.masks
        self.masks = self.factors = factors.requires_grad_()


def measure(
    scene: AnchorScene,
    cameras: Sequence[Camera],
    conventions: Conventions,
    *,
    probes: int,
    seed: int,
    device: str,
    progress: Callable[[float], None],
) -> AnchorSensitivity:
    """Sensitivity over ``cameras``, drawn by ``conventions``, each with ``probes`` pictures of random signs."""
    drawing = _Fading(scene, cameras, conventions, device)
    values = [
        torch.from_numpy(array).to(device).requires_grad_()
        for array in (scene.features, scene.log_scalings, scene.offsets.reshape(len(scene), -1))
    ]
    leaves = [*values, drawing.factors, *drawing.free]
    squares = [torch.zeros_like(leaf) for leaf in leaves]
    together = torch.zeros(scene.feature_width, scene.feature_width, device=device)
    generator = torch.Generator().manual_seed(seed)
    channels = 0
    with one_thread_an_operation():
        for number, camera in enumerate(cameras):
            image, _ = draw(
                drawing, values, number, camera, (0, 0, camera.width, camera.height)
            )
            for probe in range(probes):
                signs = _signs(image, generator)
                gradients = torch.autograd.grad(
                    image, leaves, signs, retain_graph=probe + 1 < probes, allow_unused=True
                )
                for place, gradient in enumerate(gradients):
                    if gradient is not None:
                        squares[place] += gradient**2
                together += _agreement(gradients[0])
                channels += image.numel()
            progress((number + 1) / len(cameras))
    features, scalings, offsets, fading, *networks = (_mean(s, channels) for s in squares)
    return AnchorSensitivity(
        features,
        scalings,
        offsets.reshape(len(scene), -1, 3).mean(axis=2),
        fading,
        tuple(float(n.mean()) for n in networks),
        together.cpu().numpy().astype(np.float64),
    )


def _agreement(gradient: Tensor | None) -> Tensor | float:
    """Products of the features' shares of ``gradient`` (N, F), over all anchors."""
    if gradient is None:
        return 0.0
    shares = torch.nn.functional.normalize(gradient, dim=1)
    return shares.T @ shares


def _signs(image: Tensor, generator: torch.Generator) -> Tensor:
    """Of the shape of ``image``, each -1 or 1."""
    bits = torch.randint(0, 2, image.shape, generator=generator)
    return bits.to(image.device) * 2.0 - 1


def _mean(squares: Tensor, channels: int) -> NDArray[np.float64]:
    result: NDArray[np.float64] = squares.cpu().numpy().astype(np.float64) / max(channels, 1)
    return result
