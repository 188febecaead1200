"""What is to be known of a scene besides its arrays <-> the payload of ``conv``."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from gscodec.container import layout
from gscodec.errors import FormatError
from gscodec.payload import Conventions, SceneKind

if TYPE_CHECKING:
    from gscodec.container.chunks import Chunk

_KNOWN = layout.FLAG_ANTIALIASED | layout.FLAG_HAS_ORIGIN


def write_conventions(conventions: Conventions) -> bytes:
    """The payload of ``conv``; only for what is not the default.

    Raises:
        FormatError: If a reader would refuse it.
    """
    origin = conventions.origin
    if origin is not None and not all(map(isfinite, origin)):
        raise FormatError(f"conv: found the origin {origin}, expected finite numbers")
    flags = layout.FLAG_ANTIALIASED * conventions.antialiased
    flags |= layout.FLAG_HAS_ORIGIN * (origin is not None)
    return layout.CONV_STRUCT.pack(flags, *(origin or (0.0, 0.0, 0.0)))


def read_conventions(chunk: Chunk, kind: SceneKind) -> Conventions:
    """Inverse of `write_conventions`.

    Raises:
        FormatError: A field breaks its rule.
    """
    if kind is not SceneKind.GAUSSIANS:
        raise FormatError(f"{chunk.place}: in a file of anchors, expected one of Gaussians")
    if len(chunk.payload) != layout.CONV_STRUCT.size:
        raise FormatError(
            f"{chunk.place}: {len(chunk.payload)} bytes, expected {layout.CONV_STRUCT.size}"
        )
    flags, x, y, z = layout.CONV_STRUCT.unpack(chunk.payload)
    # "flags MUST NOT be 0": what is the default is not written.
    if not flags or flags & ~_KNOWN:
        raise FormatError(f"{chunk.place}: found flags {flags}, expected 1 to {_KNOWN}")
    has_origin = bool(flags & layout.FLAG_HAS_ORIGIN)
    if not all(map(isfinite, (x, y, z))) or (not has_origin and any((x, y, z))):
        expected = "finite numbers" if has_origin else "zeros"
        raise FormatError(f"{chunk.place}: found the origin {x}, {y}, {z}, expected {expected}")
    return Conventions(bool(flags & layout.FLAG_ANTIALIASED), (x, y, z) if has_origin else None)
