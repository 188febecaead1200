"""A second decoder, written from format-spec.md: slow, integers only, nothing of gscodec.

It exists to show that the specification is enough. Sections follow the specification, in its
order; a method is one function in ``METHODS``. It reads version 1 of the format and checks
what keeps it from reading nonsense; the hard checks are gscodec's own.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

GAUSSIANS, ANCHORS = 1, 2
RENDERING, CHECKPOINT = 15, 16
Arrays = dict[str, "NDArray[Any]"]


class BadFileError(ValueError):
    """The file breaks a rule of the specification."""


def need(condition: object, rule: str) -> None:
    """Raises with the rule that was broken."""
    if not condition:
        raise BadFileError(rule)


# --- File and chunks -------------------------------------------------------------------------


@dataclass
class File:
    """What the chunks hold, before any stream is decoded."""

    head: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    antialiased: bool = False
    origin: tuple[float, float, float] | None = None
    streams: dict[tuple[int, int], bytes] = field(default_factory=dict)
    extras: dict[int, bytes] = field(default_factory=dict)


def read_file(data: bytes) -> File:
    """Preamble, chunks, index, seal."""
    need(data[:8] == b"\x89GSZ\r\n\x1a\n", "magic number")
    version, flags = struct.unpack_from("<HH", data, 8)
    need(version == 1 and flags == 0, "version 1, no flags")
    file, offset, index, found, tag = File(), 12, b"", b"", b""
    while tag != b"DONE":
        tag, length, crc = struct.unpack_from("<4sQI", data, offset)
        payload = data[offset + 16 : offset + 16 + length]
        need(len(payload) == length, "a chunk ends inside the file")
        need(crc32(data[offset : offset + 12] + payload) == crc, "CRC-32")
        if tag == b"STRM":
            found += payload[:5] + struct.pack("<QQ", offset, 16 + length)
        elif tag == b"INDX":
            index, index_offset = payload, offset
        elif tag == b"DONE":
            seal = struct.pack("<Q", index_offset) + hashlib.sha256(data[:offset]).digest()
            need(payload == seal, "DONE seals all bytes before it")
        read_payload(file, tag, payload)
        offset += 16 + length
    need(offset == len(data), "nothing follows DONE")
    need(index == found, "INDX lists the STRM chunks")
    weight = anchor_weight(file) if file.head["kind"] == ANCHORS else 1
    least = file.head["count"] * (weight + len(file.extras))
    need(least <= len(data), "least size of the file")
    return file


def read_payload(file: File, tag: bytes, payload: bytes) -> None:
    """Puts the payload of one chunk where it belongs."""
    if tag == b"HEAD":
        file.head = read_head(payload)
    elif tag == b"meta":
        file.meta = json.loads(payload)
    elif tag == b"conv":
        flags, *origin = struct.unpack("<B3d", payload)
        need(flags in {1, 2, 3} and file.head["kind"] == GAUSSIANS, "flags of conv")
        need(all(map(math.isfinite, origin)), "a finite origin")
        need(flags & 2 or not any(origin), "an origin only with its flag")
        file.antialiased = bool(flags & 1)
        file.origin = (origin[0], origin[1], origin[2]) if flags & 2 else None
    elif tag in {b"STRM", b"xtra"}:
        attribute, block = struct.unpack_from("<BI", payload)
        need((attribute == 32) == (tag == b"xtra"), "extras travel in xtra")
        if tag == b"xtra":
            file.extras[block] = payload[5:]
        else:
            file.streams[attribute, block] = payload[5:]
    else:
        need(tag in {b"INDX", b"DONE"} or tag[:1].islower(), f"known chunk, found {tag!r}")


def read_head(payload: bytes) -> dict[str, Any]:
    """HEAD as a dict."""
    names = "kind method sh_degree position_bits flags reserved block_size count lattice_step"
    values = struct.unpack("<5B7sIQd3d3d3d32s", payload)
    head = dict(zip(names.split(), values, strict=False))
    head["lattice_origin"], head["bounds_min"], head["bounds_max"] = (
        values[9:12],
        values[12:15],
        values[15:18],
    )
    head["scene_sha256"] = values[18]
    need(head["kind"] in {GAUSSIANS, ANCHORS}, "a known scene kind")
    few = head["count"] <= 16 * head["block_size"]
    need(few or head["block_size"] >= 4096, "at most 16 blocks of fewer than 4096")
    plain = head["sh_degree"] == head["flags"] == 0
    need(head["kind"] == GAUSSIANS or plain, "anchors have no SH degree and no flags")
    return head


# --- Range coder -----------------------------------------------------------------------------

M64 = (1 << 64) - 1
Table = list[int]  # cumulative frequencies: 0, f0, f0 + f1, ..., 2**24


class RangeDecoder:
    """64-bit state, 32-bit words, 24-bit frequencies."""

    def __init__(self, data: bytes) -> None:
        need(len(data) % 4 == 0, "a stream is whole words")
        self.words = [word for (word,) in struct.iter_unpack("<I", data)]
        self.next = 0
        self.lower, self.range = 0, M64
        self.point = (self.word() << 32) | self.word()

    def word(self) -> int:
        """The next word; zero after the last."""
        self.next += 1
        return self.words[self.next - 1] if self.next <= len(self.words) else 0

    def symbol(self, table: Table) -> int:
        """The next symbol."""
        scale = self.range >> 24
        quantile = ((self.point - self.lower) & M64) // scale
        need(quantile < 1 << 24, "a point inside the interval")
        symbol = bisect_right(table, quantile) - 1
        self.lower = (self.lower + scale * table[symbol]) & M64
        self.range = scale * (table[symbol + 1] - table[symbol])
        if self.range < 1 << 32:
            self.lower = (self.lower << 32) & M64
            self.range <<= 32
            self.point = ((self.point << 32) & M64) | self.word()
        return symbol

    def symbols(self, count: int, table: Table) -> list[int]:
        """A run of symbols that share a table."""
        return [self.symbol(table) for _ in range(count)]

    def finish(self) -> None:
        """Nothing is left but what sealing the encoder writes."""
        need(self.next >= len(self.words), "no words left over")
        slack = (self.point - self.lower) & M64
        need(self.range == M64 or slack < (1 << 33) - 1, "sealed where it ends")


# --- Naturals and tables ---------------------------------------------------------------------


def uniform(size: int) -> Table:
    """All symbols alike."""
    return [symbol * ((1 << 24) // size) for symbol in range(size + 1)]


def from_counts(counts: list[int]) -> Table:
    """Counts to cumulative frequencies that sum to 2**24."""
    spare, total = (1 << 24) - len(counts), max(sum(counts), 1)
    frequencies = [1 + count * spare // total for count in counts]
    frequencies[counts.index(max(counts))] += (1 << 24) - sum(frequencies)
    table = [0]
    for frequency in frequencies:
        table.append(table[-1] + frequency)
    return table


def naturals(decoder: RangeDecoder, count: int) -> list[int]:
    """A run of naturals: all lengths, then byte plane after byte plane."""
    bits = decoder.symbols(count, uniform(32))  # below the leading one
    low = [0] * count
    for plane in range(4):
        for i in range(count):
            if bits[i] > 8 * plane:
                low[i] |= decoder.symbol(uniform(256)) << (8 * plane)
    need(all(value < 1 << n for value, n in zip(low, bits, strict=True)), "bits above are zero")
    return [(1 << n) + value - 1 for value, n in zip(low, bits, strict=True)]


def coded_table(decoder: RangeDecoder, size: int) -> Table:
    """A table whose counts are in the stream."""
    return from_counts(naturals(decoder, size))


def byte_planes(data: bytes, count: int, width: int) -> bytes:
    """``count`` little-endian scalars of ``width`` bytes each."""
    decoder = RangeDecoder(data)
    planes = []
    for _ in range(width):
        table = coded_table(decoder, 256)
        planes.append(decoder.symbols(count, table))
    decoder.finish()
    return bytes(plane[i] for i in range(count) for plane in planes)


# --- Streams of anchors ----------------------------------------------------------------------


@dataclass(frozen=True)
class Checkpoint:
    """The stream of this name."""

    storage: int
    flags: int
    features: int
    offsets: int
    hidden: tuple[int, ...]
    cameras: int
    appearance: int
    iteration: int
    description: str

    @property
    def has_masks(self) -> bool:
        """Bit 0 of the flags."""
        return bool(self.flags & 1)

    def network_shapes(self) -> dict[str, tuple[int, ...]]:
        """All arrays of the networks, in their order."""
        base, k = self.features + 3, self.offsets
        far = [self.flags >> bit & 1 for bit in (1, 2, 3)]
        networks = {
            "opacity": (base + far[0], k, self.hidden[0]),
            "cov": (base + far[1], 7 * k, self.hidden[1]),
            "color": (base + far[2] + self.appearance, 3 * k, self.hidden[2]),
        }
        if self.hidden[3]:
            networks["feature_bank"] = (4, 3, self.hidden[3])
        shapes: dict[str, tuple[int, ...]] = {}
        for name, (inputs, outputs, hidden) in networks.items():
            four = [(hidden, inputs), (hidden,), (outputs, hidden), (outputs,)]
            shapes |= {f"{name} {n}": shape for n, shape in enumerate(four)}
        if self.cameras:
            shapes["appearance"] = (self.cameras, self.appearance)
        return shapes


def read_checkpoint(file: File) -> Checkpoint:
    """The checkpoint stream, every rule checked."""
    need((CHECKPOINT, 0) in file.streams, "a checkpoint stream")
    data = file.streams[CHECKPOINT, 0]
    need(len(data) >= 24, "24 bytes of checkpoint")
    storage, flags, features, offsets, *hidden = struct.unpack_from("<BBHH4H", data)
    cameras, appearance, iteration = struct.unpack_from("<IHI", data, 14)
    text = decode_text(data[24:])
    found = Checkpoint(
        storage, flags, features, offsets, tuple(hidden), cameras, appearance, iteration, text
    )
    need(1 <= storage <= 4 and flags <= 15, "storage and flags")
    need(1 <= features <= 256 and 1 <= offsets <= 64, "features and offsets")
    need(min(hidden[:3]) >= 1 and max(hidden) <= 1024, "hidden widths")
    need(not hidden[3] or features % 4 == 0, "features of a feature bank")
    need(cameras <= 1 << 20 and appearance <= 256, "appearance")
    need((cameras == 0) == (appearance == 0), "both or none")
    need(len(data) - 24 <= 1 << 16, "length of the description")
    need(sum(map(math.prod, found.network_shapes().values())) <= 1 << 20, "parameters")
    return found


def decode_text(data: bytes) -> str:
    """UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadFileError("UTF-8") from error


def anchor_weight(file: File) -> int:
    """Least bytes of a file for each anchor."""
    found = read_checkpoint(file)
    return 1 + (found.features + 6 + 4 * found.offsets) // 64


def anchor_shapes(checkpoint: Checkpoint) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Attribute and shape per anchor of each array; masks aside."""
    return {
        "anchors": (3, (3,)),
        "features": (12, (checkpoint.features,)),
        "log_scalings": (13, (6,)),
        "offsets": (14, (checkpoint.offsets, 3)),
    }


# --- Method 1: raw ---------------------------------------------------------------------------


def decode_raw(file: File) -> Arrays:
    """Every array as byte planes, block after block."""
    head = file.head
    need(head["position_bits"] == 0, "no position bits")
    if head["kind"] == ANCHORS:
        return raw_anchors(file)
    rest = (head["sh_degree"] + 1) ** 2 - 1
    shapes: dict[str, tuple[int, tuple[int, ...]]] = {
        "means": (3, (3,)),
        "opacity_logits": (4, ()),
        "log_scales": (5, (3,)),
        "quats": (6, (4,)),
        "sh_dc": (7, (3,)),
        "sh_rest": (8, (rest, 3)),
    }
    check_raw_streams(
        file, {attribute for attribute, shape in shapes.values() if 0 not in shape}
    )
    return {name: raw_array(file, *where, 4) for name, where in shapes.items()}


def raw_anchors(file: File) -> Arrays:
    """Arrays of anchors, networks, masks."""
    checkpoint = read_checkpoint(file)
    shapes = anchor_shapes(checkpoint)
    attributes = {attribute for attribute, _ in shapes.values()}
    masks = {11} if checkpoint.has_masks else set()
    check_raw_streams(file, attributes | masks, {(RENDERING, 0), (CHECKPOINT, 0)})
    arrays = {name: raw_array(file, *where, 4) for name, where in shapes.items()}
    networks = checkpoint.network_shapes()
    count = sum(map(math.prod, networks.values()))
    flat = np.frombuffer(byte_planes(file.streams[RENDERING, 0], count, 4), "<f4")
    start = 0
    for name, network_shape in networks.items():
        end = start + math.prod(network_shape)
        arrays[name] = flat[start:end].reshape(network_shape)
        start = end
    if checkpoint.has_masks:
        arrays["masks"] = raw_array(file, 11, (checkpoint.offsets,), 1)
        need(np.all(arrays["masks"] <= 1), "masks of 0 and 1")
    return arrays


def check_raw_streams(
    file: File, attributes: set[int], others: Iterable[tuple[int, int]] = ()
) -> None:
    """One stream per attribute and block, ``others``, and no more."""
    blocks = range(-(-file.head["count"] // file.head["block_size"]))
    expected = {(attribute, block) for attribute in attributes for block in blocks}
    need(file.streams.keys() == expected | set(others), "the streams of raw")


def raw_array(file: File, attribute: int, shape: tuple[int, ...], size: int) -> NDArray[Any]:
    """The scalars of one array, ``size`` bytes each, over all blocks."""
    head, width, data = file.head, math.prod(shape), b""
    blocks = range(0, head["count"], head["block_size"])
    for block, start in enumerate(blocks if width else ()):
        rows = min(head["block_size"], head["count"] - start)
        data += byte_planes(file.streams[attribute, block], rows * width, size)
    kind = "<f4" if size == 4 else "u1"
    return np.frombuffer(data, kind).reshape((head["count"], *shape))


METHODS: dict[int, Callable[[File], Arrays]] = {1: decode_raw}


# --- Extra properties ------------------------------------------------------------------------

SCALARS = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 8: "<f8"}


def decode_extras(file: File) -> dict[str, NDArray[np.generic]]:
    """Name to values, in the order of the source."""
    extras: dict[str, NDArray[np.generic]] = {}
    for _, data in sorted(file.extras.items()):
        end = 1 + data[0]
        dtype = np.dtype(SCALARS[data[end]])
        values = byte_planes(data[end + 1 :], file.head["count"], dtype.itemsize)
        extras[data[1:end].decode()] = np.frombuffer(values, dtype)
    return extras


# --- Scene -----------------------------------------------------------------------------------


def decode(data: bytes) -> tuple[Arrays, dict[str, NDArray[np.generic]]]:
    """The arrays and the extra properties of a file."""
    file = read_file(data)
    arrays = METHODS[file.head["method"]](file)
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays.values())).digest()
    need(digest == file.head["scene_sha256"], "scene_sha256")
    return arrays, decode_extras(file)
