"""Payload -> bytes of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscodec.container import layout
from gscodec.container.checkpoint import blueprint_of
from gscodec.container.chunks import write_chunk, write_done, write_preamble
from gscodec.container.conventions import write_conventions
from gscodec.container.header import write_header
from gscodec.container.meta import write_meta
from gscodec.errors import UsageError
from gscodec.payload import Attribute, Conventions, Payload, Stream

if TYPE_CHECKING:
    from collections.abc import Sequence


def pack(payload: Payload) -> bytes:
    """The bytes of the file that holds ``payload``; streams of extras must come last.

    Raises:
        FormatError: The header breaks a rule of the format, or the stream CHECKPOINT of anchors.
        UsageError: The streams or the notes do.
    """
    check_streams(payload.streams)
    parts = [write_preamble(), write_chunk(layout.HEAD, write_header(payload.header))]
    if payload.meta:
        parts.append(write_chunk(layout.META, write_meta(payload.meta)))
    if payload.conventions != Conventions():
        parts.append(write_chunk(layout.CONVENTIONS, write_conventions(payload.conventions)))
    index = bytearray()
    offset = sum(map(len, parts))
    for stream in payload.streams:
        chunk = _write_stream(stream)
        if stream.attribute != Attribute.EXTRA:
            index += layout.INDEX_ENTRY.pack(stream.attribute, stream.block, offset, len(chunk))
        parts.append(chunk)
        offset += len(chunk)
    tail = write_chunk(layout.INDEX, bytes(index))
    done_bytes = layout.ENVELOPE.size + layout.DONE_STRUCT.size
    parts.append(_write_fill(payload, offset + len(tail) + done_bytes))
    index_offset = offset + len(parts[-1])
    body = b"".join([*parts, tail])
    return body + write_done(index_offset, body)


def least_file_size(payload: Payload) -> int:
    """Bytes that a file must have: "count x (weight + number of extras) <= size of the file".

    Raises:
        FormatError: The stream CHECKPOINT of anchors, which says their weight, is not sound.
    """
    blueprint = blueprint_of(payload)
    weight = 1 if blueprint is None else blueprint.least_bytes
    extras = sum(stream.attribute == Attribute.EXTRA for stream in payload.streams)
    return payload.header.count * (weight + extras)


def check_streams(streams: Sequence[Stream]) -> None:
    """Refuses streams that a file cannot hold."""
    seen = {(stream.attribute, stream.block) for stream in streams}
    if len(seen) != len(streams):
        raise UsageError("streams: two with the same attribute and block")
    extras = [stream.attribute == Attribute.EXTRA for stream in streams]
    if extras != sorted(extras):
        raise UsageError("streams: those of extra properties must come last")


def _write_stream(stream: Stream) -> bytes:
    tag = layout.EXTRA if stream.attribute == Attribute.EXTRA else layout.STREAM
    sub_header = layout.STREAM_HEADER.pack(stream.attribute, stream.block)
    return write_chunk(tag, sub_header + stream.data)


def _write_fill(payload: Payload, size: int) -> bytes:
    """Zeros that raise the file from ``size`` to the least size; nothing if it is there."""
    missing = least_file_size(payload) - size
    if missing <= 0:
        return b""
    return write_chunk(layout.FILL, bytes(max(0, missing - layout.ENVELOPE.size)))
