"""Networks -> TorchScript archives, as Scaffold-GS saves the networks of a checkpoint."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

from gscodec.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from gscodec.anchors import Perceptron


def trace_network(network: Perceptron, activation: str | None) -> bytes:
    """A trace of Linear, ReLU, Linear and ``activation``, with the weights of ``network``.

    Args:
        network: The weights.
        activation: Tanh, Sigmoid, Softmax (over columns) or None.

    Raises:
        UsageError: torch is not installed.
    """
    torch = _torch()
    nn = torch.nn
    layers: list[Any] = [_linear(network, 0), nn.ReLU(inplace=True), _linear(network, 2)]
    if activation is not None:
        layers.append(
            nn.Softmax(dim=1) if activation == "Softmax" else getattr(nn, activation)()
        )
    return _trace(nn.Sequential(*layers), torch.zeros(1, network.inputs))


def trace_embedding(appearance: NDArray[np.float32]) -> bytes:
    """A trace of the embedding of cameras, (cameras, width), as a module ``embedding``.

    Raises:
        UsageError: torch is not installed.
    """
    torch = _torch()

    class Embedding(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding.from_pretrained(torch.tensor(appearance))

        def forward(self, cameras: Any) -> Any:
            return self.embedding(cameras)

    return _trace(Embedding(), torch.zeros(1, dtype=torch.long))


def _linear(network: Perceptron, layer: int) -> Any:
    torch = _torch()
    weight, bias = network.arrays()[layer : layer + 2]
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
    linear.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
    return linear


def _trace(module: Any, example: Any) -> bytes:
    torch = _torch()
    out = BytesIO()
    with _without_deprecation():
        traced = torch.jit.trace(module, example, check_trace=False)
        torch.jit.save(traced, out)
    return out.getvalue()


@contextmanager
def _without_deprecation() -> Iterator[None]:
    """Newer versions of torch advise against TorchScript; checkpoints hold nothing else."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=r".*torch\.jit")
        yield


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        raise UsageError(
            "writing a checkpoint with TorchScript networks needs torch; "
            "pip install 'gscodec[encode]'"
        ) from error
    return torch
