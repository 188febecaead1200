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
    SCALINGS,
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
from gscodec.errors import CannotCodeError, FormatError, SceneError
from gscodec.payload import Attribute, SceneKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.payload import Payload

# storage, flags, features, offsets, hidden widths, cameras, appearance, iteration; the rest of
# the stream is the description
FIELDS = struct.Struct("<BBHH4HIHI")
_MASKS, _DISTANCES = 1, (2, 4, 8)  # bits of the flags; the latter of opacity, covariance, color
_ALL_FLAGS = 15
# What a decoder accepts; weights that are all zero cost a file almost no bytes.
MAX_FEATURES, MAX_OFFSETS, MAX_HIDDEN, MAX_APPEARANCE = 256, 64, 1024, 256
MAX_PARAMETERS = 1 << 20
MAX_DESCRIPTION = 1 << 16
_VALUES_PER_BYTE = 64
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

    @property
    def least_bytes(self) -> int:
        """Of a file, for each anchor: it bounds what a small file can make a decoder allocate."""
        # Three numbers and a decision for each offset.
        return 1 + (self.features + SCALINGS + 4 * self.offsets) // _VALUES_PER_BYTE

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
        try:
            text = self.description.encode()
        except UnicodeEncodeError:
            return "cfg_args: found a surrogate, expected Unicode text"
        for name, value, low, high in (
            ("features", self.features, 1, MAX_FEATURES),
            ("offsets", self.offsets, 1, MAX_OFFSETS),
            ("hidden width", min(self.hidden[:3]), 1, MAX_HIDDEN),
            ("hidden width", max(self.hidden), 1, MAX_HIDDEN),
            ("cameras of the appearance", rows, 1, MAX_PARAMETERS),
            ("width of the appearance", columns, 1, MAX_APPEARANCE),
            ("iteration", self.iteration, 0, 2**32 - 1),
            ("bytes of cfg_args", len(text), 0, MAX_DESCRIPTION),
        ):
            if not low <= value <= high:
                return f"{name}: found {value}, expected {low} to {high}"
        count = sum(int(np.prod(shape)) for shape in self.shapes())
        if count > MAX_PARAMETERS:
            return f"parameters of networks: found {count}, expected at most {MAX_PARAMETERS}"
        if self.hidden[3] and self.features % 4:
            return (
                f"features with a feature bank: found {self.features}, expected a multiple of 4"
            )
        return None

    def encode(self) -> bytes:
        """The stream `checkpoint`."""
        flags = _MASKS * self.has_masks
        flags |= sum(bit for bit, on in zip(_DISTANCES, self.distances, strict=True) if on)
        fields = FIELDS.pack(
            self.storage,
            flags,
            self.features,
            self.offsets,
            *self.hidden,
            *(self.appearance or (0, 0)),
            self.iteration,
        )
        return fields + self.description.encode()

    @classmethod
    def decode(cls, data: bytes) -> Blueprint:
        """Inverse of `encode`.

        Raises:
            FormatError: Damaged, or a field out of range.
        """
        if len(data) < FIELDS.size:
            raise FormatError(
                f"stream CHECKPOINT: {len(data)} bytes, expected at least {FIELDS.size}"
            )
        storage, flags, features, offsets, *rest = FIELDS.unpack_from(data)
        opacity, covariance, color, bank, rows, columns, iteration = rest
        if storage not in list(Storage) or flags & ~_ALL_FLAGS:
            raise FormatError(
                f"stream CHECKPOINT: found storage {storage} and flags {flags}, "
                f"expected 1 to {max(Storage)} and at most {_ALL_FLAGS}"
            )
        try:
            description = data[FIELDS.size :].decode()
        except UnicodeDecodeError as error:
            raise FormatError("stream CHECKPOINT: text is not UTF-8") from error
        made = cls(
            Storage(storage),
            bool(flags & _MASKS),
            iteration,
            features,
            offsets,
            (rows, columns) if rows or columns else None,
            (bool(flags & 2), bool(flags & 4), bool(flags & 8)),
            (opacity, covariance, color, bank),
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


def blueprint_of(payload: Payload) -> Blueprint | None:
    """That of anchors, None for Gaussians; it says which streams there must be.

    Raises:
        FormatError: It is missing or damaged.
    """
    if payload.header.kind is not SceneKind.ANCHORS:
        return None
    for stream in payload.streams:
        if (stream.attribute, stream.block) == (Attribute.CHECKPOINT, 0):
            return Blueprint.decode(stream.data)
    raise FormatError("stream CHECKPOINT, block 0: missing")


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


def check_weights(networks: RenderingNetworks) -> None:
    """Refuses what no step can hold.

    Raises:
        CannotCodeError: A weight is too large.
    """
    largest = max(float(np.abs(array).max(initial=0)) for array in networks.arrays())
    if largest >= _EXACT / 2:
        raise CannotCodeError(f"a weight of the networks is {largest:g}")


def round_networks(networks: RenderingNetworks, exponents: Sequence[int]) -> IntegerNetworks:
    """The integers nearest to ``networks``, with coarser steps where 24 bits are not enough.

    Raises:
        CannotCodeError: A weight is too large for any step.
    """
    check_weights(networks)
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
