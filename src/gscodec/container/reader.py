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
    from gscodec.payload import Header


def unpack(data: bytes) -> Payload:
    """Reads the bytes of a file.

    Raises:
        FormatError: The bytes are damaged, truncated or inconsistent.
        UnsupportedError: The file needs something that this version lacks.
    """
    return read_payload(read_chunks(data), len(data))


def read_payload(chunks: list[Chunk], size: int) -> Payload:
    """What ``chunks``, all known ones of a file of ``size`` bytes, hold.

    Notes that cannot be read are left out: a decoder does not need them.
    """
    of_tag = {tag: [c for c in chunks if c.tag == tag] for tag in layout.ORDER}
    header = read_header(of_tag[layout.HEAD][0].payload)
    _check_numbers(header, len(of_tag[layout.STREAM]), len(of_tag[layout.EXTRA]))
    streams = [_read_stream(c) for c in of_tag[layout.STREAM] + of_tag[layout.EXTRA]]
    _check_unique(streams)
    _check_index(of_tag[layout.INDEX][0], of_tag[layout.STREAM], streams)
    _check_fill(of_tag[layout.FILL])
    meta, _ = read_meta(of_tag[layout.META])
    told = [read_conventions(c, header.kind) for c in of_tag[layout.CONVENTIONS]]
    payload = Payload(header, tuple(streams), meta, told[0] if told else Conventions())
    # "A decoder MUST check this before it allocates anything by count."
    least = least_file_size(payload)
    if least > size:
        raise FormatError(
            f"file: {size} bytes, expected at least {least} for a count of {header.count}"
        )
    return payload


def _check_numbers(header: Header, streams: int, extras: int) -> None:
    """Refuses more chunks than any file needs, before something is made of each."""
    blocks = max(1, -(-header.count // header.block_size))
    for what, found, most in (
        ("STRM chunks", streams, layout.MAX_STREAMS_OF_BLOCK * blocks),
        ("extra properties", extras, layout.MAX_EXTRAS),
    ):
        if found > most:
            raise FormatError(f"file: found {found} {what}, expected at most {most}")


def _read_stream(chunk: Chunk) -> Stream:
    sub_header = layout.STREAM_HEADER
    if chunk.length < sub_header.size:
        raise FormatError(
            f"{chunk.place}: {chunk.length} bytes, expected at least {sub_header.size}"
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
            layout.ENVELOPE.size + chunk.length,
        )
        for chunk, stream in zip(chunks, streams, strict=False)  # extras have no entry
    )
    if index.payload != expected:
        raise FormatError(
            f"{index.place}: {index.length} bytes that do not agree with the "
            f"{len(chunks)} STRM chunks of the file"
        )


def _check_fill(chunks: list[Chunk]) -> None:
    for chunk in chunks:
        if bytes(chunk.payload).strip(b"\0"):
            raise FormatError(f"{chunk.place}: holds data, expected zeros")
