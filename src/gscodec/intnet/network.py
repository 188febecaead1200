"""Multilayer perceptrons with integer weights and activations, exact on any machine.

A layer computes floor((x @ W + b) / 2**shift). Hidden layers clamp the result to
0 .. ACTIVATION_MAX (a clipped ReLU); the last layer does not rescale at all: its consumer
takes the bits that it needs.

Invariant: for every neuron max|x| * sum|W| + |b| < 2**24, proved when a network is built and
when it is read. Then every partial sum is an integer that float32 holds exactly, so a float32
matrix product gives the same result in any order, blocking, thread count or instruction set.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import (
    Decoder,
    Encoder,
    decode_fitted,
    decode_naturals,
    encode_fitted,
    encode_naturals,
)
from gscodec.errors import FormatError
from gscodec.slices import in_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

INPUT_MAX = 127  # |input| of a network
ACTIVATION_MAX = 255  # largest hidden activation
EXACT = 1 << 24  # below this float32 holds every integer
# What a decoder accepts; weights that are all zero cost a file almost no bytes.
MAX_WIDTH = 256  # neurons of a hidden layer
MAX_HIDDEN = 4  # hidden layers
MAX_SHIFT = 15
# Rows evaluated at once. With more of them OpenBLAS takes up to three times as long for a product,
# with fewer calls cost more than products.
ROWS = 1024


@dataclass(frozen=True)
class Layer:
    """One affine map.

    Attributes:
        weights: (inputs, outputs) float32 holding integers.
        bias: (outputs,) float32 holding integers.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """Integer perceptron with clipped ReLU between its layers.

    Attributes:
        layers: First to last; widths must chain.
        shift: Bits dropped after each hidden layer; weights are in units of 2**-shift.

    Raises:
        FormatError: If some sum could leave the exact range of float32.
    """

    layers: tuple[Layer, ...]
    shift: int

    def __post_init__(self) -> None:
        bound = INPUT_MAX
        for number, layer in enumerate(self.layers):
            sums = bound * np.abs(layer.weights.astype(np.float64)).sum(axis=0)
            largest = float((sums + np.abs(layer.bias.astype(np.float64))).max())
            if not largest < EXACT:
                raise FormatError(
                    f"network layer {number}: sums reach {largest:.0f}, "
                    f"expected below {EXACT} so that float32 is exact"
                )
            bound = ACTIVATION_MAX

    @property
    def inputs(self) -> int:
        """Width of the input."""
        return int(self.layers[0].weights.shape[0])

    @property
    def outputs(self) -> int:
        """Width of the output."""
        return int(self.layers[-1].weights.shape[1])

    def is_like(self, other: Network) -> bool:
        """Whether both have the same widths and shift."""
        shapes = [[layer.weights.shape for layer in n.layers] for n in (self, other)]
        return shapes[0] == shapes[1] and self.shift == other.shift

    def __call__(self, features: NDArray[np.int8 | np.float32]) -> NDArray[np.int32]:
        """Evaluates ``features`` (M, inputs), integers in -127 .. 127; (M, outputs) int32.

        Each column of the result is contiguous, and it is fastest if those of ``features`` are.
        """
        out = np.empty((self.outputs, len(features)), dtype=np.int32)
        *hidden, last = self._by_column
        for rows in in_slices(len(features), ROWS):
            x = _with_ones(self.inputs, rows.stop - rows.start)
            x[:-1] = features[rows].T
            for weights in hidden:
                before, x = x, _with_ones(len(weights), x.shape[1])
                own = np.matmul(weights, before, out=x[:-1])
                np.minimum(np.maximum(own, 0, out=own), ACTIVATION_MAX, out=own)
                np.floor(own, out=own)
            out[:, rows] = last @ x
        return out.T

    @cached_property
    def _by_column(self) -> list[NDArray[np.float32]]:
        """(outputs, inputs + 1) of each layer: weights, then biases; rescaled if it is hidden.

        Sums of integers that float32 holds are as exact in units of a power of two.
        """
        scales = [2.0**-self.shift] * (len(self.layers) - 1) + [1.0]
        return [
            np.concatenate([layer.weights, layer.bias[None]]).T.copy() * np.float32(scale)
            for layer, scale in zip(self.layers, scales, strict=True)
        ]


def _with_ones(rows: int, columns: int) -> NDArray[np.float32]:
    """Room for ``rows``, and below them one of ones, which biases are multiplied with."""
    x = np.empty((rows + 1, columns), np.float32)
    x[-1] = 1
    return x


def encode_network(encoder: Encoder, network: Network) -> None:
    """Codes shift, hidden widths, then each layer's weights (row by row) and biases."""
    hidden = [layer.weights.shape[1] for layer in network.layers[:-1]]
    encode_naturals(encoder, np.array([network.shift, len(hidden)]))
    encode_naturals(encoder, np.array(hidden))
    for layer in network.layers:
        encode_fitted(encoder, layer.weights.astype(np.int64).ravel())
        encode_fitted(encoder, layer.bias.astype(np.int64))


def decode_network(decoder: Decoder, inputs: int, outputs: int) -> Network:
    """Inverse of `encode_network` for the given widths of input and output.

    Raises:
        FormatError: Widths, shift or weights out of range.
    """
    shift, depth = decode_naturals(decoder, 2).tolist()
    if shift > MAX_SHIFT or depth > MAX_HIDDEN:
        raise FormatError(
            f"network: found shift {shift} and {depth} hidden layers, "
            f"expected at most {MAX_SHIFT} and {MAX_HIDDEN}"
        )
    hidden = decode_naturals(decoder, depth).tolist()
    if any(not 1 <= width <= MAX_WIDTH for width in hidden):
        raise FormatError(f"network: hidden widths {hidden}, expected 1 to {MAX_WIDTH}")
    widths = [inputs, *hidden, outputs]
    layers = []
    for rows, columns in pairwise(widths):
        weights = decode_fitted(decoder, rows * columns).reshape(rows, columns)
        bias = decode_fitted(decoder, columns)
        if max(np.abs(weights).max(), np.abs(bias).max()) >= EXACT:
            raise FormatError(f"network: a weight or bias is not below {EXACT}")
        layers.append(Layer(weights.astype(np.float32), bias.astype(np.float32)))
    return Network(tuple(layers), shift)
