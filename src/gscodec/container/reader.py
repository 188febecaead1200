"""Bytes of a file -> Payload.

Invariant: when this module is done, every byte has been checked against a checksum, every
field against its rule, and every declared size against the size of the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscodec.container import layout
from gscodec.container.chunks import read_chunks
from gscodec.container.conventions import read_conventions
from gscodec.container.header import read_header
from gscodec.container.meta import read_meta
from gscodec.container.writer import least_file_size
from gscodec.errors import FormatError, UnsupportedError
from gscodec.payload import Attribute, Conventions, Payload, Stream

if TYPE_CHECKING:
    from gscodec.container.chunks import Chunk


def unpack(data: bytes) -> Payload:
    """Reads the bytes of a file.

    Raises:
        FormatError: The bytes are damaged, truncated or inconsistent.
        UnsupportedError: The file needs something that this version lacks.
    """
    return read_payload(read_chunks(data), len(data))


def read_payload(chunks: list[Chunk], size: int) -> Payload:
    """What ``chunks``, all known ones of a file of ``size`` bytes, hold."""
    of_tag = {tag: [c for c in chunks if c.tag == tag] for tag in layout.ORDER}
    header = read_header(of_tag[layout.HEAD][0].payload)
    notes = [read_meta(chunk) for chunk in of_tag[layout.META]]
    streams = [_read_stream(c) for c in of_tag[layout.STREAM] + of_tag[layout.EXTRA]]
    _check_unique(streams)
    _check_index(of_tag[layout.INDEX][0], of_tag[layout.STREAM], streams)
    _check_fill(of_tag[layout.FILL])
    told = [read_conventions(c, header.kind) for c in of_tag[layout.CONVENTIONS]]
    payload = Payload(
        header, tuple(streams), notes[0] if notes else {}, told[0] if told else Conventions()
    )
    # "A decoder MUST check this before it allocates anything by count."
    least = least_file_size(payload)
    if least > size:
        raise FormatError(
            f"file: {size} bytes, expected at least {least} for a count of {header.count}"
        )
    return payload


def _read_stream(chunk: Chunk) -> Stream:
    sub_header = layout.STREAM_HEADER
    if len(chunk.payload) < sub_header.size:
        raise FormatError(
            f"{chunk.place}: {len(chunk.payload)} bytes, expected at least {sub_header.size}"
        )
    number, block = sub_header.unpack_from(chunk.payload)
    if number not in list(Attribute):
        raise UnsupportedError(f"{chunk.place}: attribute {number} is unknown to this gscodec")
    attribute = Attribute(number)
    if (attribute == Attribute.EXTRA) != (chunk.tag == layout.EXTRA):
        raise FormatError(f"{chunk.place}: attribute {number} does not belong in this chunk")
    return Stream(attribute, block, bytes(chunk.payload[sub_header.size :]))


def _check_unique(streams: list[Stream]) -> None:
    seen: set[tuple[Attribute, int]] = set()
    for stream in streams:
        key = (stream.attribute, stream.block)
        if key in seen:
            raise FormatError(f"stream {key[0].name}, block {key[1]}: found twice")
        seen.add(key)


def _check_index(index: Chunk, chunks: list[Chunk], streams: list[Stream]) -> None:
    # "INDX MUST hold one entry for each STRM chunk, in the order of the chunks."
    expected = b"".join(
        layout.INDEX_ENTRY.pack(
            stream.attribute,
            stream.block,
            chunk.offset,
            layout.ENVELOPE.size + len(chunk.payload),
        )
        for chunk, stream in zip(chunks, streams, strict=False)  # extras have no entry
    )
    if index.payload != expected:
        raise FormatError(
            f"{index.place}: {len(index.payload)} bytes that do not agree with the "
            f"{len(chunks)} STRM chunks of the file"
        )


def _check_fill(chunks: list[Chunk]) -> None:
    for chunk in chunks:
        if bytes(chunk.payload).strip(b"\0"):
            raise FormatError(f"{chunk.place}: holds data, expected zeros")
