"""The numbers of format-spec.md, in its order and in its words. Nothing here computes.

tests/test_spec.py holds every table below equal to the table of the same name in the
specification. Everything is little-endian.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

# "File": the preamble.
MAGIC = b"\x89GSZ\r\n\x1a\n"
VERSION = 1
PREAMBLE = struct.Struct("<8sHH")  # magic, version, flags

# "Chunks": tag, length of the payload, CRC-32 of tag, length and payload.
ENVELOPE = struct.Struct("<4sQI")
TAG_AND_LENGTH = struct.Struct("<4sQ")

HEAD = b"HEAD"
META = b"meta"
CONVENTIONS = b"conv"
STREAM = b"STRM"
EXTRA = b"xtra"
FILL = b"fill"
INDEX = b"INDX"
DONE = b"DONE"

# Known chunks may not come in any other order; False: at most once.
MAY_REPEAT = {
    HEAD: False,
    META: False,
    CONVENTIONS: False,
    STREAM: True,
    EXTRA: True,
    FILL: False,
    INDEX: False,
    DONE: False,
}
ORDER = tuple(MAY_REPEAT)


class Field(NamedTuple):
    """One row of the HEAD table: the type in `struct` notation, and the name."""

    code: str
    name: str


HEAD_FIELDS = (
    Field("B", "kind"),
    Field("B", "method"),
    Field("B", "sh_degree"),
    Field("B", "position_bits"),
    Field("B", "flags"),
    Field("7s", "reserved"),
    Field("I", "block_size"),
    Field("Q", "count"),
    Field("d", "lattice_step"),
    Field("3d", "lattice_origin"),
    Field("3d", "bounds_min"),
    Field("3d", "bounds_max"),
    Field("32s", "scene_sha256"),
)
HEAD_STRUCT = struct.Struct("<" + "".join(field.code for field in HEAD_FIELDS))
FLAG_HAS_NORMALS = 1


def head_offset(name: str) -> int:
    """Byte of field ``name`` in the payload of HEAD."""
    codes = [field.code for field in HEAD_FIELDS]
    names = [field.name for field in HEAD_FIELDS]
    return struct.calcsize("<" + "".join(codes[: names.index(name)]))


CONV_STRUCT = struct.Struct("<B3d")  # flags, origin
FLAG_ANTIALIASED = 1
FLAG_HAS_ORIGIN = 2
STREAM_HEADER = struct.Struct("<BI")  # attribute, block
INDEX_ENTRY = struct.Struct("<BIQQ")  # attribute, block, offset of the chunk, its length
DONE_STRUCT = struct.Struct("<Q32s")  # offset of INDX, SHA-256 of all before DONE

# "Limits"
MAX_SH_DEGREE = 3
MAX_POSITION_BITS = 21
MAX_BLOCK_SIZE = 1 << 24
MAX_SMALL_BLOCKS = 16  # a file of more blocks has blocks of at least:
MIN_BLOCK_SIZE = 4096
MAX_STREAMS_OF_BLOCK = 16
MAX_EXTRAS = 1024  # each costs a decoder up to eight tables, however few bytes it has
MAX_META_BYTES = 1 << 20
MAX_META_DEPTH = 32
MAX_META_VALUES = 1 << 16
MAX_META_NUMBER = 64  # characters
