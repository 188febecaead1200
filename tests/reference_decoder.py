"""A second decoder, written from format-spec.md: slow, integers only, nothing of gscodec.

It exists to show that the specification is enough. Sections follow the specification, in its
order; a method is one function in ``METHODS``. It reads version 1 of the format and checks
what keeps it from reading nonsense; the hard checks are gscodec's own.
"""

from __future__ import annotations

import hashlib
import json
import struct
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Arrays = dict[str, "NDArray[np.float32]"]


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
    need(file.head["count"] * (1 + len(file.extras)) <= len(data), "least size of the file")
    return file


def read_payload(file: File, tag: bytes, payload: bytes) -> None:
    """Puts the payload of one chunk where it belongs."""
    if tag == b"HEAD":
        file.head = read_head(payload)
    elif tag == b"meta":
        file.meta = json.loads(payload)
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


# --- Method 1: raw ---------------------------------------------------------------------------


def decode_raw(file: File) -> Arrays:
    """Every array as byte planes, block after block."""
    head = file.head
    rest = (head["sh_degree"] + 1) ** 2 - 1
    shapes: dict[str, tuple[int, tuple[int, ...]]] = {
        "means": (3, (3,)),
        "opacity_logits": (4, ()),
        "log_scales": (5, (3,)),
        "quats": (6, (4,)),
        "sh_dc": (7, (3,)),
        "sh_rest": (8, (rest, 3)),
    }
    arrays = {}
    for name, (attribute, shape) in shapes.items():
        width, data = int(np.prod(shape)), b""
        blocks = range(0, head["count"], head["block_size"])
        for block, start in enumerate(blocks if width else ()):
            rows = min(head["block_size"], head["count"] - start)
            data += byte_planes(file.streams[attribute, block], rows * width, 4)
        arrays[name] = np.frombuffer(data, "<f4").reshape((head["count"], *shape))
    return arrays


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
    """The six arrays and the extra properties of a file."""
    file = read_file(data)
    arrays = METHODS[file.head["method"]](file)
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays.values())).digest()
    need(digest == file.head["scene_sha256"], "scene_sha256")
    return arrays, decode_extras(file)
