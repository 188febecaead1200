"""Bytes <-> chunks: envelopes, checksums, order. Knows no payload but that of DONE.

Strategy: `read_chunks` checks everything that does not need to look inside a payload, in the
order of the specification, and never allocates by a declared length: payloads are views.
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


@dataclass(frozen=True)
class Chunk:
    """One chunk of a file.

    Attributes:
        tag: Four ASCII letters.
        offset: Of the envelope, from the start of the file.
        payload: A view of the bytes after the envelope.
    """

    tag: bytes
    offset: int
    payload: memoryview

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
    chunks = _split(data)
    _check_done(data, chunks)
    _check_required(chunks)
    if chunks[0].tag != layout.HEAD:
        raise FormatError(f"{chunks[0].place}: expected HEAD as the first chunk")
    known = [chunk for chunk in chunks if chunk.tag in layout.ORDER]
    _check_order(known)
    return known


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


def _split(data: bytes) -> list[Chunk]:
    """Follows the envelopes up to DONE, which must end the file."""
    view = memoryview(data)
    chunks: list[Chunk] = []
    offset = layout.PREAMBLE.size
    while not (chunks and chunks[-1].tag == layout.DONE):
        if offset == len(data):
            raise FormatError(f"file: ends at byte {offset} without a DONE chunk; truncated")
        chunks.append(_read_chunk(view, offset))
        offset += layout.ENVELOPE.size + len(chunks[-1].payload)
    if offset != len(data):
        raise FormatError(
            f"file: {len(data) - offset} bytes after the DONE chunk, which ends at byte {offset}"
        )
    return chunks


def _read_chunk(view: memoryview, offset: int) -> Chunk:
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
    payload = view[start : start + length]
    found = crc32(payload, crc32(layout.TAG_AND_LENGTH.pack(tag, length)))
    if found != crc:
        raise FormatError(
            f"{place(tag, offset)}: CRC-32 {found:08x}, expected {crc:08x}; damaged"
        )
    return Chunk(tag, offset, payload)


def _check_done(data: bytes, chunks: list[Chunk]) -> None:
    done = chunks[-1]
    if len(done.payload) != layout.DONE_STRUCT.size:
        raise FormatError(
            f"{done.place}: {len(done.payload)} bytes, expected {layout.DONE_STRUCT.size}"
        )
    index_offset, digest = layout.DONE_STRUCT.unpack(done.payload)
    found = hashlib.sha256(memoryview(data)[: done.offset]).digest()
    if found != digest:
        raise FormatError(
            f"{done.place}: SHA-256 of the bytes before it is {found.hex()[:16]}..., expected "
            f"{digest.hex()[:16]}...; chunks were changed, moved or mixed"
        )
    before = chunks[-2] if len(chunks) > 1 else done
    if before.tag != layout.INDEX or before.offset != index_offset:
        raise FormatError(
            f"{done.place}: says INDX is at byte {index_offset}, but the chunk before it is "
            f"{before.place}"
        )


def _check_required(chunks: list[Chunk]) -> None:
    # "A decoder MUST refuse an unknown tag whose first letter is upper case, and name it."
    for chunk in chunks:
        if chunk.tag not in layout.ORDER and chunk.tag[:1].isupper():
            raise UnsupportedError(
                f"{chunk.place}: required, but unknown to this gscodec; a newer one may read it"
            )


def _check_order(chunks: list[Chunk]) -> None:
    for before, after in pairwise(chunks):
        if layout.ORDER.index(after.tag) < layout.ORDER.index(before.tag):
            raise FormatError(f"{after.place}: must not follow {before.place}")
        if after.tag == before.tag and not layout.MAY_REPEAT[after.tag]:
            raise FormatError(
                f"{after.place}: second one, the first is at byte {before.offset}"
            )
