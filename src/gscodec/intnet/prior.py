"""Networks that are known before a file: learned from many scenes, shipped with the package.

A prior has a network for each of some units, the first ones of a kind. A file may say what it
adds to their integers in place of its own network. Besides what other networks see they see one
number of the file, the *rate* of its unit: how many steps a unit of their inputs is wide.

The shipped one is data (prior.bin), fixed for ever by its SHA-256; a file names it by the first
bytes of that, or holds another one itself. tests/benchmarks/prior.py makes it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from gscodec.coding import (
    LEVELS_PER_OCTAVE,
    Decoder,
    Encoder,
    decode_fitted,
    decode_naturals,
    encode_fitted,
    encode_naturals,
)
from gscodec.errors import FormatError, GscodecError, UnsupportedError
from gscodec.intnet.context import SMALLEST_STEP_LOG2
from gscodec.intnet.neighbours import FIRST, MAX_GAIN, columns_of
from gscodec.intnet.network import (
    EXACT,
    INPUT_MAX,
    Layer,
    Network,
    decode_network,
    encode_network,
)
from gscodec.payload import PRIOR_NAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.intnet.context import UnitModel
    from gscodec.units import Unit

SHIPPED_SHA256 = "38ae79531272e3a071f0f7367bae4d9392dade6d3a2970b017413e09c63d0dad"
MAX_COARSE = 15  # changes are multiples of at most 2**15
_MAX_RATE = 1 << 12  # magnitude of a weight of the rate


def rate_of(log2_unit: int, step_bias: int) -> int:
    """Eighths of octaves from the typical step of a unit to the unit of its network."""
    rate = LEVELS_PER_OCTAVE * (log2_unit - SMALLEST_STEP_LOG2) - step_bias
    return max(-INPUT_MAX, min(INPUT_MAX, rate))


@dataclass(frozen=True)
class Shared:
    """What a prior says about a unit.

    Attributes:
        unit: Which.
        kept: Whether later units see its neighbours, too.
        gains: (columns,) int64, as of a file.
        rates: (hidden,) int64, added to the first biases for each unit of the rate.
        network: For a rate of zero.
    """

    unit: Unit
    kept: bool
    gains: NDArray[np.int64]
    rates: NDArray[np.int64]
    network: Network

    def at(self, rate: int) -> Network:
        """The network of a file.

        Raises:
            FormatError: Its sums would not be exact.
        """
        first, *others = self.network.layers
        bias = (first.bias + rate * self.rates).astype(np.float32)
        return Network((Layer(first.weights, bias), *others), self.network.shift)

    def of(self, model: UnitModel) -> Network:
        """`at` the rate of ``model``."""
        return self.at(rate_of(model.log2_unit, model.step_bias))

    def moved(self, old: UnitModel, new: UnitModel) -> Network:
        """The network of ``new``, which has other steps than ``old`` and else is the same."""
        change = self.of(new).layers[0].bias - self.of(old).layers[0].bias
        first, *others = old.network.layers
        moved = Layer(first.weights, first.bias + change)
        return Network((moved, *others), old.network.shift)


def encode_changes(encoder: Encoder, own: Network, shared: Network) -> None:
    """Codes what ``own``, of the same shape, adds to ``shared``."""
    pairs = list(zip(own.layers, shared.layers, strict=True))
    weights = [_changes(a.weights, b.weights) for a, b in pairs]
    biases = [_changes(a.bias, b.bias) for a, b in pairs]
    coarse = _common_bits(weights), _common_bits(biases)
    encode_naturals(encoder, np.array(coarse))
    for weight, bias in zip(weights, biases, strict=True):
        encode_fitted(encoder, weight >> coarse[0])
        encode_fitted(encoder, bias >> coarse[1])


def decode_changes(decoder: Decoder, shared: Network) -> Network:
    """Inverse of `encode_changes`: the network of the file.

    Raises:
        FormatError: A field is out of range.
    """
    coarse = decode_naturals(decoder, 2).tolist()
    if max(coarse) > MAX_COARSE:
        raise FormatError(
            f"network: changes in 2**{coarse[0]} and 2**{coarse[1]}, expected at most "
            f"2**{MAX_COARSE}"
        )
    layers = []
    for layer in shared.layers:
        changed = [
            part + (decode_fitted(decoder, part.size).reshape(part.shape) << bits)
            for part, bits in zip((layer.weights, layer.bias), coarse, strict=True)
        ]
        if max(np.abs(part).max() for part in changed) >= EXACT:
            raise FormatError(f"network: a weight or bias is not below {EXACT}")
        layers.append(Layer(*(part.astype(np.float32) for part in changed)))
    return Network(tuple(layers), shared.shift)


def _changes(own: NDArray[np.float32], shared: NDArray[np.float32]) -> NDArray[np.int64]:
    return own.astype(np.int64).ravel() - shared.astype(np.int64).ravel()


def _common_bits(changes: Sequence[NDArray[np.int64]]) -> int:
    """Low bits that are zero in all of them."""
    every = int(np.bitwise_or.reduce(np.concatenate(changes), initial=0))
    return min((every & -every).bit_length() - 1, MAX_COARSE) if every else 0


@dataclass(frozen=True)
class Prior:
    """All networks of a prior that a file can use.

    Attributes:
        data: Its bytes.
        shared: Of the first units of the file's kind.
        held: Whether files hold it, not its name alone.
    """

    data: bytes
    shared: tuple[Shared, ...]
    held: bool = False

    @property
    def name(self) -> bytes:
        """What files call it."""
        return hashlib.sha256(self.data).digest()[:PRIOR_NAME_BYTES]

    def stream(self) -> bytes:
        """Of a file."""
        return self.name + (self.data if self.held else b"")

    @classmethod
    def of(cls, shared: Sequence[Shared]) -> Prior:
        """With its bytes."""
        encoder = Encoder()
        encode_naturals(encoder, np.array([len(shared)]))
        for own in shared:
            fields = own.unit.attribute, own.unit.columns, own.kept
            encode_naturals(encoder, np.array(fields))
            encode_network(encoder, own.network)
            encode_fitted(encoder, own.rates)
            encode_fitted(encoder, own.gains)
        return cls(encoder.finish(), tuple(shared))

    @classmethod
    def read(cls, data: bytes, units: Sequence[Unit]) -> Prior:
        """What ``data`` says about the first of ``units`` that it is about.

        Raises:
            FormatError: Damaged.
        """
        decoder = Decoder(data)
        (count,) = decode_naturals(decoder, 1).tolist()
        shared: list[Shared] = []
        width = FIRST
        for unit in units[:count]:
            if unit.decides:
                break
            attribute, columns, kept = decode_naturals(decoder, 3).tolist()
            if (attribute, columns) != (unit.attribute, unit.columns):
                break
            own = _decode(decoder, unit, width, kept)
            width += unit.features + own.kept * columns_of(unit)
            shared.append(own)
        return cls(data, tuple(shared))


def _decode(decoder: Decoder, unit: Unit, width: int, kept: int) -> Shared:
    """The rest of a unit of a prior."""
    network = decode_network(decoder, width + columns_of(unit), unit.outputs)
    rates = decode_fitted(decoder, len(network.layers[0].bias))
    gains = decode_fitted(decoder, unit.columns)
    most = np.abs(rates).max(initial=0), np.abs(gains).max(initial=0)
    if kept > 1 or most[0] > _MAX_RATE or most[1] > MAX_GAIN:
        raise FormatError(
            f"prior: flag {kept}, weights of the rate up to {most[0]} and gains up to {most[1]}, "
            f"expected at most 1, {_MAX_RATE} and {MAX_GAIN}"
        )
    return Shared(unit, bool(kept), gains, rates, network)


@cache
def shipped(units: tuple[Unit, ...]) -> Prior:
    """What comes with the package, for the first of ``units``; maybe for none."""
    data = files("gscodec.intnet").joinpath("prior.bin").read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHIPPED_SHA256:
        raise GscodecError(
            f"prior.bin: SHA-256 {found[:16]}..., expected {SHIPPED_SHA256[:16]}...; "
            "the installation is damaged, install gscodec again"
        )
    return Prior.read(data, units)


def named(stream: bytes, units: tuple[Unit, ...]) -> Prior:
    """The prior that a file names, or holds: its stream is a name, and perhaps data.

    Raises:
        FormatError: The stream is damaged.
        UnsupportedError: Not a prior of this version.
    """
    if len(stream) < PRIOR_NAME_BYTES:
        raise FormatError(
            f"stream PRIOR: found {len(stream)} bytes, expected at least {PRIOR_NAME_BYTES}"
        )
    name, data = stream[:PRIOR_NAME_BYTES], stream[PRIOR_NAME_BYTES:]
    if data:
        if hashlib.sha256(data).digest()[:PRIOR_NAME_BYTES] != name:
            raise FormatError("stream PRIOR: found data of another name")
        return replace(Prior.read(data, units), held=True)
    if name.hex() != SHIPPED_SHA256[: 2 * PRIOR_NAME_BYTES]:
        raise UnsupportedError(
            f"prior {name.hex()}: unknown to this gscodec, which has "
            f"{SHIPPED_SHA256[: 2 * PRIOR_NAME_BYTES]}; a newer one may have it"
        )
    return shipped(units)
