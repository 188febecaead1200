"""What an anchor scene has besides numbers per anchor <-> streams (format-spec.md).

The stream `checkpoint` says how wide everything is and how the checkpoint stored it; the stream
`rendering` holds the networks that make Gaussians, either as integers times a power of two for
each array, or as exact floats.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gscodec.anchors import (
    BANK_INPUTS,
    BANK_OUTPUTS,
    COLORS,
    COVARIANCES,
    OPACITIES,
    AnchorScene,
    Perceptron,
    RenderingNetworks,
    Storage,
)
from gscodec.coding import (
    Decoder,
    Encoder,
    decode_fitted,
    decode_naturals,
    decode_planes,
    encode_fitted,
    encode_naturals,
    encode_planes,
)
from gscodec.errors import FormatError, SceneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# storage, flags, iteration, F, K, cameras and width of the appearance, extra inputs, hidden
# widths of opacity, covariance, color and feature bank, bytes of the description
_FIELDS = struct.Struct("<BBIHHIHB4HH")
_MASKS, _BANK, _APPEARANCE = 1, 2, 4
_DISTANCE = (1, 2, 4)  # bits of "extra inputs": opacity, covariance, color
MAX_FEATURES, MAX_OFFSETS, MAX_HIDDEN, MAX_APPEARANCE = 256, 64, 1024, 256
MAX_PARAMETERS = 1 << 22
MAX_DESCRIPTION = 65_535
MAX_EXPONENT = 40  # of a weight's step, 2**-exponent
_EXACT = 1 << 24


@dataclass(frozen=True)
class Blueprint:
    """Widths of everything, and how the checkpoint stored it.

    Attributes:
        storage: Form of the networks' files.
        has_masks: Whether Gaussians can be masked.
        iteration: Of the checkpoint's folder.
        features: F.
        offsets: K.
        appearance: Rows and columns of the embedding, or None.
        distances: For opacity, covariance, color: whether the network is told the distance.
        hidden: Widths of the hidden layers of the same, then of the feature bank (0 for none).
        description: Text of cfg_args.
    """

    storage: Storage
    has_masks: bool
    iteration: int
    features: int
    offsets: int
    appearance: tuple[int, int] | None
    distances: tuple[bool, bool, bool]
    hidden: tuple[int, int, int, int]
    description: str

    @classmethod
    def of(cls, scene: AnchorScene) -> Blueprint:
        """The blueprint of ``scene``.

        Raises:
            SceneError: It is wider than the format can say.
        """
        networks, width = scene.networks, scene.feature_width
        shape = None if networks.appearance is None else networks.appearance.shape
        more = shape[1] if shape else 0
        bank = networks.feature_bank
        told = (
            networks.opacity.inputs > width + 3,
            networks.covariance.inputs > width + 3,
            networks.color.inputs > width + 3 + more,
        )
        hidden = tuple(
            len(n.hidden_bias) for n in (networks.opacity, networks.covariance, networks.color)
        )
        made = cls(
            scene.storage,
            scene.masks is not None,
            scene.iteration,
            width,
            scene.offset_count,
            None if shape is None else (int(shape[0]), int(shape[1])),
            told,
            (hidden[0], hidden[1], hidden[2], 0 if bank is None else len(bank.hidden_bias)),
            scene.description,
        )
        problem = made.problem()
        if problem:
            raise SceneError(f"checkpoint: {problem}")
        return made

    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of all arrays of the networks, in the order of `RenderingNetworks.arrays`."""
        found: list[tuple[int, ...]] = []
        more = self.appearance[1] if self.appearance else 0
        widths = [
            (self.features + 3 + told + extra, each * self.offsets)
            for told, extra, each in zip(
                self.distances, (0, 0, more), (OPACITIES, COVARIANCES, COLORS), strict=True
            )
        ]
        if self.hidden[3]:
            widths.append((BANK_INPUTS, BANK_OUTPUTS))
        for (inputs, outputs), hidden in zip(widths, self.hidden, strict=False):
            found += [(hidden, inputs), (hidden,), (outputs, hidden), (outputs,)]
        return found + ([self.appearance] if self.appearance else [])

    def problem(self) -> str | None:
        """What is out of range, if anything."""
        rows, columns = self.appearance or (1, 1)
        for name, value, low, high in (
            ("features", self.features, 1, MAX_FEATURES),
            ("offsets", self.offsets, 1, MAX_OFFSETS),
            ("hidden width", min(self.hidden[:3]), 1, MAX_HIDDEN),
            ("hidden width", max(self.hidden), 1, MAX_HIDDEN),
            ("cameras of the appearance", rows, 1, MAX_PARAMETERS),
            ("width of the appearance", columns, 1, MAX_APPEARANCE),
            ("iteration", self.iteration, 0, 2**32 - 1),
            ("bytes of cfg_args", len(self.description.encode()), 0, MAX_DESCRIPTION),
        ):
            if not low <= value <= high:
                return f"{name}: found {value}, expected {low} to {high}"
        count = sum(int(np.prod(shape)) for shape in self.shapes())
        if count > MAX_PARAMETERS:
            return f"parameters of networks: found {count}, expected at most {MAX_PARAMETERS}"
        return None

    def encode(self) -> bytes:
        """The stream `checkpoint`."""
        flags = _MASKS * self.has_masks + _BANK * bool(self.hidden[3])
        flags += _APPEARANCE * (self.appearance is not None)
        text = self.description.encode()
        told = sum(bit for bit, on in zip(_DISTANCE, self.distances, strict=True) if on)
        fields = _FIELDS.pack(
            self.storage,
            flags,
            self.iteration,
            self.features,
            self.offsets,
            *(self.appearance or (0, 0)),
            told,
            *self.hidden,
            len(text),
        )
        return fields + text

    @classmethod
    def decode(cls, data: bytes) -> Blueprint:
        """Inverse of `encode`.

        Raises:
            FormatError: Damaged, or a field out of range.
        """
        if len(data) < _FIELDS.size:
            raise FormatError(
                f"stream CHECKPOINT: {len(data)} bytes, expected at least {_FIELDS.size}"
            )
        storage, flags, iteration, features, offsets, *rest = _FIELDS.unpack_from(data)
        rows, columns, told, *hidden, length = rest
        text = data[_FIELDS.size :]
        if storage not in list(Storage) or flags > 7 or told > 7 or len(text) != length:
            raise FormatError(
                f"stream CHECKPOINT: found storage {storage}, flags {flags} and {told}, "
                f"{len(text)} bytes of text, expected a known storage, at most 7, and {length}"
            )
        try:
            description = text.decode()
        except UnicodeDecodeError as error:
            raise FormatError("stream CHECKPOINT: text is not UTF-8") from error
        if bool(flags & _BANK) != bool(hidden[3]) or (
            not flags & _APPEARANCE and rows | columns
        ):
            raise FormatError("stream CHECKPOINT: flags and widths disagree")
        made = cls(
            Storage(storage),
            bool(flags & _MASKS),
            iteration,
            features,
            offsets,
            (rows, columns) if flags & _APPEARANCE else None,
            (bool(told & 1), bool(told & 2), bool(told & 4)),
            (hidden[0], hidden[1], hidden[2], hidden[3]),
            description,
        )
        problem = made.problem()
        if problem:
            raise FormatError(f"stream CHECKPOINT: {problem}")
        return made

    def networks(self, arrays: Sequence[NDArray[np.float32]]) -> RenderingNetworks:
        """The networks of ``arrays``, which have the shapes of `shapes`."""
        parts = list(arrays)
        perceptrons = [
            Perceptron(*parts[n : n + 4]) for n in range(0, 16 if self.hidden[3] else 12, 4)
        ]
        opacity, covariance, color, *bank = perceptrons
        embedding = parts[-1] if self.appearance else None
        return RenderingNetworks(
            opacity, covariance, color, bank[0] if bank else None, embedding
        )


@dataclass(frozen=True)
class IntegerNetworks:
    """Rendering networks as they are coded.

    Attributes:
        arrays: int64, in the order of `RenderingNetworks.arrays`.
        exponents: A value of array n stands for value * 2**-exponents[n].
    """

    arrays: tuple[NDArray[np.int64], ...]
    exponents: tuple[int, ...]

    def floats(self) -> list[NDArray[np.float32]]:
        """What they decode to: exact, integers are below 2**24."""
        return [
            np.ldexp(array.astype(np.float64), -exponent).astype(np.float32)
            for array, exponent in zip(self.arrays, self.exponents, strict=True)
        ]

    def encode(self) -> bytes:
        """The stream `rendering`."""
        encoder = Encoder()
        encode_naturals(encoder, np.array(self.exponents))
        for array in self.arrays:
            encode_fitted(encoder, array.ravel())
        return encoder.finish()


def round_networks(networks: RenderingNetworks, exponents: Sequence[int]) -> IntegerNetworks:
    """The integers nearest to ``networks``, with coarser steps where 24 bits are not enough."""
    arrays, used = [], []
    for array, wanted in zip(networks.arrays(), exponents, strict=True):
        largest = float(np.abs(array).max(initial=0))
        room = 23 - int(np.ceil(np.log2(largest))) if largest else MAX_EXPONENT
        exponent = int(np.clip(min(wanted, room), 0, MAX_EXPONENT))
        arrays.append(np.rint(np.ldexp(array.astype(np.float64), exponent)).astype(np.int64))
        used.append(exponent)
    return IntegerNetworks(tuple(arrays), tuple(used))


def decode_integer_networks(data: bytes, blueprint: Blueprint) -> RenderingNetworks:
    """The networks of a stream that `IntegerNetworks.encode` made.

    Raises:
        FormatError: Damaged, or numbers out of range.
    """
    decoder = Decoder(data)
    shapes = blueprint.shapes()
    exponents = decode_naturals(decoder, len(shapes)).tolist()
    if max(exponents) > MAX_EXPONENT:
        raise FormatError(
            f"stream RENDERING: exponent {max(exponents)}, expected at most {MAX_EXPONENT}"
        )
    arrays = [decode_fitted(decoder, int(np.prod(shape))).reshape(shape) for shape in shapes]
    decoder.finish()
    if any(np.abs(array).max(initial=0) >= _EXACT for array in arrays):
        raise FormatError(f"stream RENDERING: a weight is not below {_EXACT}")
    integers = IntegerNetworks(tuple(arrays), tuple(exponents))
    return blueprint.networks(integers.floats())


def encode_exact_networks(networks: RenderingNetworks) -> bytes:
    """The stream `rendering` of method raw: all floats as byte planes."""
    return encode_planes(np.concatenate([array.ravel() for array in networks.arrays()]))


def decode_exact_networks(data: bytes, blueprint: Blueprint) -> RenderingNetworks:
    """Inverse of `encode_exact_networks`."""
    shapes = blueprint.shapes()
    sizes = [int(np.prod(shape)) for shape in shapes]
    flat = decode_planes(data, sum(sizes), np.dtype(np.float32))
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    arrays = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    return blueprint.networks(arrays)


def assembled(
    blueprint: Blueprint,
    networks: RenderingNetworks,
    arrays: dict[str, NDArray[np.float32]],
    masks: NDArray[np.bool_] | None,
) -> AnchorScene:
    """The scene of the decoded ``arrays`` (by field name)."""
    return AnchorScene(
        arrays["anchors"],
        arrays["features"],
        arrays["log_scalings"],
        arrays["offsets"],
        masks,
        networks,
        blueprint.storage,
        blueprint.description,
        blueprint.iteration,
    )
