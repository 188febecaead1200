"""The networks of anchor scenes, row by row: one numba kernel.

Invariant: each row is summed in one fixed order, so that results do not depend on the number
of threads, as those of a BLAS may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.render.compiled import FAST, compiled
from gscodec.render.parts import in_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.anchors import Perceptron

_U = np.uint64  # indices without numba's check for negative ones, see `kernels`
_ROWS = 1024  # in one go, see `parts`


def evaluate(network: Perceptron, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Outputs (N, outputs) float32 of ``inputs`` (N, inputs), before the output's activation."""
    out = np.empty((len(inputs), network.outputs), np.float32)
    in_parts(
        _evaluate,
        len(out),
        _ROWS,
        _ready(inputs),
        _ready(network.hidden_weight.T),
        _ready(network.hidden_bias),
        _ready(network.out_weight.T),
        _ready(network.out_bias),
        out,
    )
    return out


def _ready(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Numba would compile the kernel once more for arrays that cannot be written."""
    return np.require(array, np.float32, ["C", "W"])


@compiled(nogil=True, fastmath=FAST)
def _evaluate(
    begin: int,
    end: int,
    inputs: NDArray[np.float32],
    hidden_weight: NDArray[np.float32],
    hidden_bias: NDArray[np.float32],
    out_weight: NDArray[np.float32],
    out_bias: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Fills ``out`` from row ``begin`` to ``end``.

    Weights are (inputs, H) and (H, outputs): inner loops run along rows.
    """
    width, hidden, outputs = inputs.shape[1], len(hidden_bias), len(out_bias)
    inner = np.empty(hidden, np.float32)
    for n in range(begin, end):
        for h in range(_U(hidden)):
            inner[h] = hidden_bias[h]
        for i in range(_U(width)):
            value = inputs[n, i]
            for h in range(_U(hidden)):
                inner[h] += value * hidden_weight[i, h]
        for o in range(_U(outputs)):
            out[n, o] = out_bias[o]
        for h in range(_U(hidden)):
            value = inner[h]
            if value > 0:
                for o in range(_U(outputs)):
                    out[n, o] += value * out_weight[h, o]
