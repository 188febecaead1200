"""Extra properties <-> streams: one lossless stream per property, which a decoder may skip.

Layout of a stream: length of the name (u8), the name (UTF-8), the scalar type (u8, registry
"PLY scalar types"), then the values as byte planes. The block is the property's index.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.coding.planes import decode_planes, encode_planes
from gscodec.container.layout import MAX_EXTRAS
from gscodec.errors import FormatError, SceneError
from gscodec.payload import Attribute, Stream
from gscodec.scene import ExtraProperty

if TYPE_CHECKING:
    from gscodec.payload import Payload

# Wire identities of the eight PLY scalar types: written down, never derived.
SCALAR_TYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.int8),
    2: np.dtype(np.uint8),
    3: np.dtype(np.int16),
    4: np.dtype(np.uint16),
    5: np.dtype(np.int32),
    6: np.dtype(np.uint32),
    7: np.dtype(np.float32),
    8: np.dtype(np.float64),
}
MAX_NAME_BYTES = 255


def encode(extras: tuple[ExtraProperty, ...]) -> tuple[Stream, ...]:
    """Codes every property without loss.

    Raises:
        SceneError: A name or a type that the format cannot hold.
    """
    if len(extras) > MAX_EXTRAS:
        raise SceneError(
            f"extra properties: found {len(extras)}, expected at most {MAX_EXTRAS}; leave some out"
        )
    for name, times in Counter(extra.name for extra in extras).items():
        if times > 1:
            raise SceneError(f"extra property {name!r}: found twice, expected distinct names")
    return tuple(
        Stream(Attribute.EXTRA, index, _encode_property(extra))
        for index, extra in enumerate(extras)
    )


def decode(payload: Payload) -> tuple[ExtraProperty, ...]:
    """Inverse of `encode`.

    Raises:
        FormatError: The streams are damaged or inconsistent.
    """
    streams = [s for s in payload.streams if s.attribute == Attribute.EXTRA]
    extras: dict[str, ExtraProperty] = {}
    for index, stream in enumerate(streams):
        if stream.block != index:
            raise FormatError(f"extra property {index}: found block {stream.block}")
        extra = _decode_property(stream, payload.header.count)
        if extra.name in extras:
            raise FormatError(f"extra property {index}: name {extra.name!r} found twice")
        extras[extra.name] = extra
    return tuple(extras.values())


def _encode_property(extra: ExtraProperty) -> bytes:
    name = extra.name.encode("utf-8", errors="surrogatepass")
    problem = _problem_with_name(name)
    if problem:
        raise SceneError(f"extra property {extra.name!r}: {problem}")
    native = extra.values.dtype.newbyteorder("=")
    codes = [code for code, dtype in SCALAR_TYPES.items() if dtype == native]
    if not codes:
        raise SceneError(
            f"extra property {extra.name!r}: found {extra.values.dtype}, expected one of "
            f"{', '.join(map(str, SCALAR_TYPES.values()))}"
        )
    return bytes([len(name)]) + name + bytes(codes) + encode_planes(extra.values)


def _decode_property(stream: Stream, count: int) -> ExtraProperty:
    place = f"extra property {stream.block}"
    end = 1 + stream.data[0] if stream.data else 1
    if len(stream.data) <= end:
        raise FormatError(f"{place}: {len(stream.data)} bytes, too short for name and type")
    name, code = stream.data[1:end], stream.data[end]
    problem = _problem_with_name(name)
    if problem:
        raise FormatError(f"{place}: {problem}")
    if code not in SCALAR_TYPES:
        raise FormatError(f"{place}: scalar type {code}, expected 1 to {len(SCALAR_TYPES)}")
    values = decode_planes(stream.data[end + 1 :], count, SCALAR_TYPES[code])
    return ExtraProperty(name.decode("utf-8"), values)


def _problem_with_name(name: bytes) -> str | None:
    """What is wrong with ``name``, if anything: a file's names end up in terminals."""
    if not 1 <= len(name) <= MAX_NAME_BYTES:
        return f"name of {len(name)} bytes, expected 1 to {MAX_NAME_BYTES}"
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        return "name is not UTF-8"
    if not text.isprintable():
        return f"name {text!r} has characters that cannot be printed"
    return None
