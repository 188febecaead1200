"""format-spec.md and the code say the same numbers."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from gscodec import extras
from gscodec.anchors import Storage
from gscodec.container import layout
from gscodec.kinds import blueprint
from gscodec.payload import Attribute, Method, SceneKind

SPEC = (Path(__file__).parent.parent / "format-spec.md").read_text(encoding="utf-8")
WIDTHS = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "f64": 8}


def table(heading: str, number: int = 0) -> list[list[str]]:
    """Rows of the ``number``-th table under ``heading``, without its own header."""
    section = re.split(rf"^#+ {re.escape(heading)}$", SPEC, flags=re.MULTILINE)[1]
    section = re.split(r"^#+ ", section, flags=re.MULTILINE)[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, flags=re.MULTILINE)
    rows = [line.strip("| ").split(" | ") for line in tables[number].splitlines()]
    return [[cell.strip(" |`") for cell in row] for row in rows[2:]]


def width(kind: str) -> int:
    """Bytes of a type such as ``u32`` or ``[3] f64``."""
    count, _, scalar = kind.rpartition(" ")
    return (int(count.strip("[]")) if count else 1) * WIDTHS[scalar]


def test_magic_and_version() -> None:
    """The preamble is as the section "File" says."""
    assert layout.MAGIC.hex(" ").upper() in SPEC
    assert f"`version` is {layout.VERSION}." in SPEC
    assert f"# The .gsz format, version {layout.VERSION}\n" in SPEC


def test_head() -> None:
    """Each field of HEAD has the offset, type and name of its row."""
    rows = table("HEAD")
    assert [(code, name) for _, _, code, name, *_ in rows] == list(layout.HEAD_FIELDS)
    offset = 0
    for found, kind, code, name, *_ in rows:
        assert (int(found), width(kind)) == (offset, struct.calcsize("<" + code)), name
        assert layout.head_offset(name) == offset
        offset += width(kind)
    assert layout.HEAD_STRUCT.size == offset
    assert f"{offset} bytes. The number" in SPEC


def test_chunks() -> None:
    """Tags, their order and how often they may come."""
    rows = {tag.encode(): how_many for tag, how_many, *_ in table("Chunks", 1)}
    assert tuple(rows) == layout.ORDER
    for tag, how_many in rows.items():
        assert layout.MAY_REPEAT[tag] == (how_many == "any")


@pytest.mark.parametrize(
    ("heading", "fixed"),
    [
        ("Chunks", layout.ENVELOPE),
        ("conv", layout.CONV_STRUCT),
        ("STRM and xtra", layout.STREAM_HEADER),
        ("INDX", layout.INDEX_ENTRY),
        ("DONE", layout.DONE_STRUCT),
        ("Checkpoint stream", blueprint.FIELDS),
    ],
)
def test_small_structures(heading: str, fixed: struct.Struct) -> None:
    """Widths and types of each row give the struct of the code."""
    rows = [row for row in table(heading) if row[0].isdecimal()]
    assert [int(row[0]) for row in rows] == [width(row[2]) for row in rows]
    codes = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q"}
    codes |= {"[4] u8": "4s", "[32] u8": "32s", "[4] u16": "4H", "[3] f64": "3d"}
    assert "<" + "".join(codes[row[2]] for row in rows) == fixed.format


def test_place_of_the_seal() -> None:
    """A partial reader finds DONE where the specification says."""
    size = layout.ENVELOPE.size + layout.DONE_STRUCT.size
    assert f"finds DONE at {size} bytes before the end" in SPEC


def test_limits() -> None:
    """Every limit is the constant of the code."""
    assert {name: int(value) for name, value in table("Limits")} == {
        "sh_degree": layout.MAX_SH_DEGREE,
        "position_bits": layout.MAX_POSITION_BITS,
        "block_size": layout.MAX_BLOCK_SIZE,
        "small blocks": layout.MAX_SMALL_BLOCKS,
        "least block_size of more blocks": layout.MIN_BLOCK_SIZE,
        "extra properties": layout.MAX_EXTRAS,
        "bytes of meta": layout.MAX_META_BYTES,
        "depth of meta": layout.MAX_META_DEPTH,
        "values of meta": layout.MAX_META_VALUES,
    }


def test_limits_of_anchors() -> None:
    """Every limit of the stream `checkpoint` is the constant of the code."""
    assert {name: value.split()[-1] for name, value in table("Checkpoint stream", 1)} == {
        "features": str(blueprint.MAX_FEATURES),
        "offsets": str(blueprint.MAX_OFFSETS),
        "hidden": str(blueprint.MAX_HIDDEN),
        "cameras": str(blueprint.MAX_PARAMETERS),
        "appearance": str(blueprint.MAX_APPEARANCE),
        "parameters": str(blueprint.MAX_PARAMETERS),
        "bytes of the description": str(blueprint.MAX_DESCRIPTION),
    }
    assert f"exponents above {blueprint.MAX_EXPONENT}" in SPEC


@pytest.mark.parametrize(
    ("heading", "numbers"),
    [
        ("Scene kinds", {n.name.lower(): n.value for n in SceneKind}),
        ("Methods", {n.name.lower(): n.value for n in Method}),
        ("Attributes", {n.name.lower(): n.value for n in Attribute}),
        ("Storage", {s.name.lower(): s.value for s in Storage}),
        ("PLY scalar types", {t.name: code for code, t in extras.SCALAR_TYPES.items()}),
    ],
)
def test_registries(heading: str, numbers: dict[str, int]) -> None:
    """Numbers and names are those of the code, none missing."""
    assert {name: int(number) for number, name in table(heading)} == numbers
