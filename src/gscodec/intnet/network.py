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
from functools import cached_property, lru_cache
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
# Rows evaluated at once, with fewer calls cost more than products; and rows of one product, of
# which many are one call: OpenBLAS neither packs nor copies such small ones.
ROWS = 2048
_TOGETHER = 256


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
        for number, largest in enumerate(self._largest):
            if not largest < EXACT:
                raise FormatError(
                    f"network layer {number}: sums reach {largest:.0f}, "
                    f"expected below {EXACT} so that float32 is exact"
                )

    @cached_property
    def _largest(self) -> list[float]:
        """No sum of a layer is of larger magnitude."""
        bounds = [INPUT_MAX] + [ACTIVATION_MAX] * (len(self.layers) - 1)
        sums = [
            bound * np.abs(layer.weights.astype(np.float64)).sum(axis=0)
            + np.abs(layer.bias.astype(np.float64))
            for bound, layer in zip(bounds, self.layers, strict=True)
        ]
        return [float(each.max()) for each in sums]

    @property
    def farthest(self) -> int:
        """No output is of larger magnitude."""
        return int(self._largest[-1])

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
        for rows in in_slices(len(features), ROWS):
            self._evaluate(features[rows].T, out[:, rows])
        return out.T

    def _evaluate(
        self, features: NDArray[np.int8 | np.float32], out: NDArray[np.int32]
    ) -> None:
        """``features`` (inputs, m) to ``out`` (outputs, m)."""
        *hidden, last = self._by_column
        count = out.shape[1]
        x = _room(self.inputs, -(-count // _TOGETHER))
        _copy_parts(features, x[:, :-1])
        for weights in hidden:
            before, x = x, _room(len(weights), len(x))
            own = np.matmul(weights, before, out=x[:, :-1])
            lowest, most = _bounds(own.shape)
            np.minimum(np.maximum(own, lowest, out=own), most, out=own)
            np.floor(own, out=own)
        _join_parts(last @ x, out)

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


@lru_cache(maxsize=8)
def _bounds(shape: tuple[int, ...]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Smallest and largest activations: numpy compares with an array faster than with a number."""
    lowest = np.zeros(shape, np.float32)
    return lowest, lowest + np.float32(ACTIVATION_MAX)


def _room(width: int, parts: int) -> NDArray[np.float32]:
    """For ``width`` inputs of a layer, and below them ones, which biases are multiplied with."""
    x = np.empty((parts, width + 1, _TOGETHER), np.float32)
    x[:, -1] = 1
    return x


def _copy_parts(columns: NDArray[np.int8 | np.float32], parts: NDArray[np.float32]) -> None:
    """``columns`` (width, m), as ``parts`` (parts, width, `_TOGETHER`); zeros fill the last."""
    width, count = columns.shape
    whole = count // _TOGETHER
    start = whole * _TOGETHER
    parts[:whole] = columns[:, :start].reshape(width, whole, _TOGETHER).transpose(1, 0, 2)
    if start < count:
        parts[whole] = 0
        parts[whole, :, : count - start] = columns[:, start:]


def _join_parts(parts: NDArray[np.float32], columns: NDArray[np.int32]) -> None:
    """Inverse of `_copy_parts`."""
    width, count = columns.shape
    whole = count // _TOGETHER
    start = whole * _TOGETHER
    split = columns[:, :start].reshape(width, whole, _TOGETHER)
    split[...] = parts[:whole].transpose(1, 0, 2)
    if start < count:
        columns[:, start:] = parts[whole, :, : count - start]


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
