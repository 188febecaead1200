"""Bytes <-> chunks: envelopes, checksums, order. Knows no payload but that of DONE.

Strategy: `read_chunks` checks everything that does not need to look inside a payload, in the
order of the specification, and never allocates by a declared length: payloads are views. Of
chunks that nobody knows only the first and the last are remembered, however many there are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

from gscodec.container import layout
from gscodec.errors import FormatError, UnsupportedError

_KNOWN_FORMATS = (
    (b"ply", "a .ply file; encode it first"),
    (b"\x1f\x8b", "a gzip file (an .spz scene, perhaps)"),
    (b"NGSP", "an .spz file"),
    (b"PK\x03\x04", "a zip file (an .sog scene, perhaps)"),
    (b"glTF", "a binary glTF file"),
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a file.

    Attributes:
        tag: Four ASCII letters.
        offset: Of the envelope, from the start of the file.
        length: Of the payload.
        file: All bytes of the file.
    """

    tag: bytes
    offset: int
    length: int
    file: memoryview

    @property
    def payload(self) -> memoryview:
        """A view of the bytes after the envelope."""
        return self.file[self.end - self.length : self.end]

    @property
    def end(self) -> int:
        """The first byte after the chunk."""
        return self.offset + layout.ENVELOPE.size + self.length

    @property
    def place(self) -> str:
        """The chunk in the words of error messages."""
        return place(self.tag, self.offset)


def place(tag: bytes, offset: int) -> str:
    """A chunk in the words of error messages."""
    return f"chunk {tag.decode('ascii')} at byte {offset}"


def write_chunk(tag: bytes, payload: bytes) -> bytes:
    """Envelope and payload."""
    crc = crc32(payload, crc32(layout.TAG_AND_LENGTH.pack(tag, len(payload))))
    return layout.ENVELOPE.pack(tag, len(payload), crc) + payload


def write_preamble() -> bytes:
    """The bytes before the first chunk."""
    return layout.PREAMBLE.pack(layout.MAGIC, layout.VERSION, 0)


def write_done(index_offset: int, before: bytes) -> bytes:
    """The last chunk, which seals ``before``: all bytes of the file up to it."""
    payload = layout.DONE_STRUCT.pack(index_offset, hashlib.sha256(before).digest())
    return write_chunk(layout.DONE, payload)


def read_chunks(data: bytes) -> list[Chunk]:
    """All known chunks of a file, from HEAD to DONE, every checksum verified.

    Raises:
        FormatError: The bytes are not a .gsz file, or a damaged one.
        UnsupportedError: A later version of the format, or an unknown required chunk.
    """
    _check_preamble(data)
    walk = _split(data)
    _check_done(data, walk)
    # "A decoder MUST refuse an unknown tag whose first letter is upper case, and name it."
    if walk.required is not None:
        raise UnsupportedError(
            f"{walk.required.place}: required, but unknown to this gscodec; a newer one may "
            "read it"
        )
    if walk.first.tag != layout.HEAD:
        raise FormatError(f"{walk.first.place}: expected HEAD as the first chunk")
    _check_order(walk.known)
    return walk.known


def _check_preamble(data: bytes) -> None:
    if data[: len(layout.MAGIC)] != layout.MAGIC:
        raise FormatError(f"file: {_not_ours(data)}")
    if len(data) < layout.PREAMBLE.size:
        raise FormatError(f"file: ends after {len(data)} bytes, inside the preamble; truncated")
    _, version, flags = layout.PREAMBLE.unpack_from(data)
    if version != layout.VERSION:
        raise UnsupportedError(
            f"file: version {version}; this gscodec reads version {layout.VERSION}"
        )
    # "A decoder MUST reject a file whose reserved bits are not zero."
    if flags:
        raise FormatError(f"flags at byte 10: found {flags:#06x}, expected 0 (reserved bits)")


def _not_ours(data: bytes) -> str:
    if not data:
        return "empty, expected a .gsz file"
    if layout.MAGIC.startswith(data):
        return f"ends after {len(data)} bytes, inside the magic number; truncated"
    if b"GSZ" in data[:8]:
        return (
            "magic number changed as text transfers change it (line endings or the eighth bit); "
            "copy the file again in binary mode"
        )
    for start, name in _KNOWN_FORMATS:
        if data.startswith(start):
            return f"expected a .gsz file, found {name}"
    return f"expected a .gsz file, found unknown bytes {data[:8].hex(' ')}"


@dataclass(frozen=True)
class _Walk:
    """What is remembered of all chunks of a file.

    Attributes:
        known: Those of `layout.ORDER`.
        first: The first of all.
        before: The last one before DONE, known or not; DONE itself if there is none.
        required: The first that is unknown and must not be.
    """

    known: list[Chunk]
    first: Chunk
    before: Chunk
    required: Chunk | None


def _split(data: bytes) -> _Walk:
    """Follows the envelopes up to DONE, which must end the file."""
    view = memoryview(data)
    chunk = first = before = _read_chunk(view, layout.PREAMBLE.size)
    known: list[Chunk] = []
    required = None
    while True:
        if chunk.tag in layout.ORDER:
            known.append(chunk)
        elif required is None and chunk.tag[:1].isupper():
            required = chunk
        if chunk.tag == layout.DONE:
            break
        before, chunk = chunk, _read_chunk(view, chunk.end)
    if chunk.end != len(data):
        raise FormatError(
            f"file: {len(data) - chunk.end} bytes after the DONE chunk, which ends at byte "
            f"{chunk.end}"
        )
    return _Walk(known, first, before, required)


def _read_chunk(view: memoryview, offset: int) -> Chunk:
    if offset == len(view):
        raise FormatError(f"file: ends at byte {offset} without a DONE chunk; truncated")
    start = offset + layout.ENVELOPE.size
    if start > len(view):
        raise FormatError(
            f"chunk at byte {offset}: file ends after {len(view)} bytes, inside the envelope; "
            "truncated"
        )
    tag, length, crc = layout.ENVELOPE.unpack_from(view, offset)
    if not tag.isalpha():
        raise FormatError(f"chunk at byte {offset}: tag {tag.hex(' ')} is not four letters")
    if length > len(view) - start:
        raise FormatError(
            f"{place(tag, offset)}: length {length} runs past the end of the file "
            f"({len(view)} bytes)"
        )
    chunk = Chunk(tag, offset, length, view)
    found = crc32(chunk.payload, crc32(layout.TAG_AND_LENGTH.pack(tag, length)))
    if found != crc:
        raise FormatError(
            f"{place(tag, offset)}: CRC-32 {found:08x}, expected {crc:08x}; damaged"
        )
    return chunk


def _check_done(data: bytes, walk: _Walk) -> None:
    done, before = walk.known[-1], walk.before
    if done.length != layout.DONE_STRUCT.size:
        raise FormatError(
            f"{done.place}: {done.length} bytes, expected {layout.DONE_STRUCT.size}"
        )
    index_offset, digest = layout.DONE_STRUCT.unpack(done.payload)
    found = hashlib.sha256(memoryview(data)[: done.offset]).digest()
    if found != digest:
        raise FormatError(
            f"{done.place}: SHA-256 of the bytes before it is {found.hex()[:16]}..., expected "
            f"{digest.hex()[:16]}...; chunks were changed, moved or mixed"
        )
    if before.tag != layout.INDEX or before.offset != index_offset:
        raise FormatError(
            f"{done.place}: says INDX is at byte {index_offset}, but the chunk before it is "
            f"{before.place}"
        )


def _check_order(chunks: list[Chunk]) -> None:
    for before, after in pairwise(chunks):
        if layout.ORDER.index(after.tag) < layout.ORDER.index(before.tag):
            raise FormatError(f"{after.place}: must not follow {before.place}")
        if after.tag == before.tag and not layout.MAY_REPEAT[after.tag]:
            raise FormatError(
                f"{after.place}: second one, the first is at byte {before.offset}"
            )
