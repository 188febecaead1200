"""Notes for people <-> the payload of ``meta``: one JSON object. A decoder never needs it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from gscodec.container import layout
from gscodec.errors import FormatError, UsageError

if TYPE_CHECKING:
    from gscodec.container.chunks import Chunk


def write_meta(meta: dict[str, object]) -> bytes:
    """Canonical JSON: UTF-8, sorted keys, no spaces, no NaN.

    Raises:
        UsageError: If a value is not JSON, or there is too much of it.
    """
    try:
        payload = _canonical(meta)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"meta: cannot be written as JSON: {error}") from error
    if len(payload) > layout.MAX_META_BYTES:
        raise UsageError(
            f"meta: {len(payload)} bytes of JSON, expected at most {layout.MAX_META_BYTES}"
        )
    return payload


def read_meta(chunk: Chunk) -> dict[str, object]:
    """Inverse of `write_meta`; other JSON objects are read too, if they could be written.

    Raises:
        FormatError: If the bytes are no such object.
    """
    size = len(chunk.payload)
    if size > layout.MAX_META_BYTES:
        raise FormatError(
            f"{chunk.place}: {size} bytes, expected at most {layout.MAX_META_BYTES}"
        )
    try:
        meta = json.loads(bytes(chunk.payload).decode("utf-8"))
        _canonical(meta)  # finds what parses but is no JSON: NaN, lone surrogates
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{chunk.place}: not JSON: {error}") from error
    if not isinstance(meta, dict):
        raise FormatError(f"{chunk.place}: JSON, but not an object")
    return meta


def _canonical(meta: object) -> bytes:
    text = json.dumps(
        meta, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":")
    )
    return text.encode("utf-8")
