"""`neural`, the Gaussians of anchors as one differentiable function of torch, on CPU or GPU.

The twin of `gscodec.render.neural`, for optimisation: what it gives goes into `rasterization`
as it is, with ``colors`` (M, 3) and no SH degree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from gscodec.anchors import RenderingNetworks

_NOT_ZERO = 1e-12


class NeuralTensors(NamedTuple):
    """The Gaussians of one camera, as `rasterization` takes them.

    Attributes:
        means: (M, 3) scene units.
        quats: (M, 4) unit length, w, x, y, z.
        scales: (M, 3) scene units.
        opacities: (M,) above 0, below 1.
        colors: (M, 3) 0 to 1.
        places: (M,) int64, anchor * K + offset of each.
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    places: Tensor


def tensors_of(
    networks: RenderingNetworks, device: torch.device | str = "cpu"
) -> dict[str, tuple[Tensor, ...]]:
    """Copies of the weights as `neural` takes them, by the names that checkpoints use."""
    return {
        name: tuple(torch.tensor(array, device=device) for array in network.arrays())
        for name, network in networks.named().items()
    }


def neural(
    anchors: Tensor,
    features: Tensor,
    log_scalings: Tensor,
    offsets: Tensor,
    networks: Mapping[str, Sequence[Tensor]],
    centre: Tensor,
    visible: Tensor,
    *,
    masks: Tensor | None = None,
    appearance: Tensor | None = None,
) -> NeuralTensors:
    """The Gaussians that a camera at ``centre`` sees of anchors ``visible``.

    Gradients reach all floating tensors; none of them reaches an offset that is not there.

    Args:
        anchors: (N, 3) float32.
        features: (N, F) float32.
        log_scalings: (N, 6) float32.
        offsets: (N, K, 3) float32.
        networks: opacity, cov, color and perhaps feature_bank: weight and bias of the hidden
            layer, weight and bias of the output, as torch stores them.
        centre: (3,) float32, scene units.
        visible: (V,) int64 rising, the anchors in the picture; see `neural.in_picture`.
        masks: (N, K) factors of opacities, of any type; None is 1.
        appearance: (A,) row of the embedding, where the colour network takes one.
    """
    towards = anchors[visible] - centre
    distance = towards.norm(dim=1, keepdim=True).clamp(min=_NOT_ZERO)
    view = torch.cat([towards / distance, distance], dim=1)
    chosen = features[visible]
    if "feature_bank" in networks:
        chosen = _mixed(chosen, _evaluate(networks["feature_bank"], view).softmax(dim=1))
    inputs = torch.cat([chosen, view], dim=1)
    opacities = torch.tanh(_evaluate(networks["opacity"], inputs))
    if masks is not None:
        opacities = opacities * masks[visible].to(opacities.dtype)
    owner, offset = torch.nonzero(opacities.detach() > 0, as_tuple=True)
    anchor, count = visible[owner], offsets.shape[1]
    covariances = _evaluate(networks["cov"], inputs).view(-1, count, 7)[owner, offset]
    colors = _evaluate(networks["color"], inputs, appearance).view(-1, count, 3)
    scalings = torch.exp(log_scalings[anchor])
    return NeuralTensors(
        means=anchors[anchor] + offsets[anchor, offset] * scalings[:, :3],
        quats=functional.normalize(covariances[:, 3:], dim=1, eps=_NOT_ZERO),
        scales=scalings[:, 3:] * torch.sigmoid(covariances[:, :3]),
        opacities=opacities[owner, offset],
        colors=torch.sigmoid(colors[owner, offset]),
        places=anchor * count + offset,
    )


def _evaluate(
    network: Sequence[Tensor], inputs: Tensor, appearance: Tensor | None = None
) -> Tensor:
    """Outputs before their activation; the distance, last of ``inputs``, only where it is taken."""
    hidden_weight, hidden_bias, out_weight, out_bias = network
    more = 0 if appearance is None else len(appearance)
    inputs = inputs[:, : hidden_weight.shape[1] - more]
    if appearance is not None:
        inputs = torch.cat([inputs, appearance.expand(len(inputs), -1)], dim=1)
    hidden = functional.linear(inputs, hidden_weight, hidden_bias).relu()
    return functional.linear(hidden, out_weight, out_bias)


def _mixed(features: Tensor, weights: Tensor) -> Tensor:
    """Features of three resolutions, the coarser ones repeated end to end, by ``weights`` (V, 3)."""
    quarter, half = features[:, ::4].repeat(1, 4), features[:, ::2].repeat(1, 2)
    return quarter * weights[:, :1] + half * weights[:, 1:2] + features * weights[:, 2:]
