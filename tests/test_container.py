"""Payload <-> bytes, and what a file says about itself."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fuzzing
from anchors import make_anchor_scene
from gscodec.container import fitted_meta, inspect, layout, pack, unpack
from gscodec.errors import FormatError, GscodecError, UnsupportedError, UsageError
from gscodec.kinds.blueprint import Blueprint
from gscodec.payload import (
    Attribute,
    Conventions,
    Header,
    Method,
    Payload,
    SceneKind,
    Stream,
)

HEADER = Header(
    kind=SceneKind.GAUSSIANS,
    method=Method.HAC,
    count=100,
    sh_degree=2,
    has_normals=True,
    block_size=64,
    position_bits=14,
    lattice_origin=(0.5, -1.0, 2.0),
    lattice_step=0.25,
    bounds_min=(0.5, -1.0, 2.0),
    bounds_max=(4.5, 1.0, 2.0),
    scene_sha256=bytes(range(32)),
)
STREAMS = (
    Stream(Attribute.NETWORKS, 0, b"weights!"),
    Stream(Attribute.POSITION, 0, b""),
    Stream(Attribute.OPACITY, 0, b"abcd"),
    Stream(Attribute.OPACITY, 1, b"efghijkl"),
    Stream(Attribute.EXTRA, 0, b"\x01t\x02" + bytes(9)),
)
PAYLOAD = Payload(HEADER, STREAMS, {"encoder": "gscodec", "settings": {"lam": 0.002}})

CHECKPOINT = Blueprint.of(make_anchor_scene(2, 30, 10)).encode()

floats = st.floats(allow_nan=False, allow_infinity=False)
points = st.tuples(floats, floats, floats)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def headers(draw: st.DrawFn) -> Header:
    """Every header that the format allows."""
    bits = draw(st.integers(0, 21))
    low, high, count = draw(points), draw(points), draw(st.integers(0, 5000))
    kind = draw(st.sampled_from(SceneKind))
    plain = kind is SceneKind.ANCHORS
    return Header(
        kind=kind,
        method=draw(st.sampled_from(Method)),
        count=count,
        sh_degree=0 if plain else draw(st.integers(0, 3)),
        has_normals=not plain and draw(st.booleans()),
        block_size=draw(st.integers(max(1, -(-count // 16)), 2**24)),
        position_bits=bits,
        lattice_origin=draw(points),
        lattice_step=draw(st.floats(1e-300, 1e300)) if bits else 0.0,
        bounds_min=(min(low[0], high[0]), min(low[1], high[1]), min(low[2], high[2])),
        bounds_max=(max(low[0], high[0]), max(low[1], high[1]), max(low[2], high[2])),
        scene_sha256=draw(st.binary(min_size=32, max_size=32).filter(any)),
    )


@st.composite
def payloads(draw: st.DrawFn) -> Payload:
    """Every kind of payload, streams of extras last."""
    streams = draw(
        st.lists(
            st.builds(
                Stream,
                st.sampled_from(Attribute),
                st.integers(0, 2**32 - 1),
                st.binary(max_size=40),
            ),
            max_size=6,
            unique_by=lambda stream: (stream.attribute, stream.block),
        )
    )
    header = draw(headers())
    if header.kind is SceneKind.ANCHORS:
        streams = [s for s in streams if s.attribute != Attribute.CHECKPOINT]
        streams.append(Stream(Attribute.CHECKPOINT, 0, CHECKPOINT))
    streams.sort(key=lambda stream: stream.attribute == Attribute.EXTRA)
    meta: dict[str, object] = draw(st.dictionaries(texts, json_values, max_size=4))
    told = Conventions()
    if header.kind is SceneKind.GAUSSIANS:
        told = Conventions(draw(st.booleans()), draw(st.none() | points))
    return Payload(header, tuple(streams), meta, told)


def _with_conventions(payload: bytes, kind: SceneKind = SceneKind.GAUSSIANS) -> bytes:
    """A file with this chunk ``conv``."""
    changed = replace(HEADER, kind=kind, sh_degree=0, has_normals=False)
    streams = (Stream(Attribute.CHECKPOINT, 0, CHECKPOINT),)
    data = pack(Payload(changed, streams if kind is SceneKind.ANCHORS else ()))
    chunks = fuzzing.split(data)
    return fuzzing.seal([chunks[0], (layout.CONVENTIONS, payload), *chunks[1:]])


@pytest.mark.parametrize(
    ("flags", "origin", "words"),
    [
        (0, (0.0, 0.0, 0.0), "found flags 0, expected 1 to 3"),
        (4, (0.0, 0.0, 0.0), "found flags 4, expected 1 to 3"),
        (1, (0.0, 2.0, 0.0), "found the origin 0.0, 2.0, 0.0, expected zeros"),
        (2, (0.0, float("nan"), 0.0), "found the origin 0.0, nan, 0.0, expected finite"),
    ],
)
def test_conventions_that_break_a_rule_are_refused(
    flags: int, origin: tuple[float, float, float], words: str
) -> None:
    with pytest.raises(FormatError, match=words):
        unpack(_with_conventions(layout.CONV_STRUCT.pack(flags, *origin)))


def test_conventions_of_another_size_or_of_anchors_are_refused() -> None:
    good = layout.CONV_STRUCT.pack(3, 1.0, 2.0, 3.0)
    assert unpack(_with_conventions(good)).conventions == Conventions(True, (1.0, 2.0, 3.0))
    with pytest.raises(FormatError, match="24 bytes, expected 25"):
        unpack(_with_conventions(good[:-1]))
    with pytest.raises(FormatError, match="in a file of anchors"):
        unpack(_with_conventions(good, SceneKind.ANCHORS))


@given(payloads())
def test_unpack_is_the_inverse_of_pack(payload: Payload) -> None:
    """Whatever is packed comes back equal, and packs to the same bytes again."""
    data = pack(payload)
    assert unpack(data) == payload
    assert pack(unpack(data)) == data


@given(payloads())
def test_rows_of_inspect_add_up(payload: Payload) -> None:
    """The bytes of all rows are the bytes of the file, and each row counts its own streams."""
    data = pack(payload)
    found = inspect(data)
    assert sum(row.bytes for row in found.rows) == found.total_bytes == len(data)
    assert sum(row.share for row in found.rows) == pytest.approx(1)
    for row in found.rows:
        if row.attribute is not None:
            sizes = [len(s.data) for s in payload.streams if s.attribute == row.attribute]
            assert (row.chunks, row.bytes) == (len(sizes), sum(sizes))
    assert {s.attribute for s in payload.streams} == {r.attribute for r in found.rows} - {None}


def test_inspect_says_what_is_in_the_file() -> None:
    """Names, chunks and bytes of a known file; the container row is everything else."""
    data = pack(PAYLOAD)
    rows = {row.name: (row.chunks, row.bytes) for row in inspect(data).rows}
    notes = len(b'{"encoder":"gscodec","settings":{"lam":0.002}}')
    # Preamble, 9 envelopes, 5 sub-headers, 4 index entries, payload of DONE.
    overhead = 12 + 9 * 16 + 5 * 5 + 4 * 21 + 40
    assert rows == {
        "networks": (1, 8),
        "position": (1, 0),
        "opacity": (2, 12),
        "extra": (1, 12),
        "header": (1, 136),
        "meta": (1, notes),
        "container": (2, overhead),
    }
    assert inspect(data).rows[2].bits_per_primitive == 12 * 8 / 100


def test_inspection_is_plain_json() -> None:
    """to_json survives a strict JSON writer and names the method."""
    found = json.loads(json.dumps(inspect(pack(PAYLOAD)).to_json(), allow_nan=False))
    assert found["header"]["method"] == "hac"
    assert found["header"]["scene_sha256"] == bytes(range(32)).hex()
    assert sum(row["bytes"] for row in found["rows"]) == found["total_bytes"]


def test_bytes_of_a_file_are_fixed() -> None:
    """An empty payload makes exactly these chunks, field by field."""
    header = replace(HEADER, count=0, method=Method.RAW)
    chunks = fuzzing.split(pack(Payload(header, ())))
    assert [tag for tag, _ in chunks] == [b"HEAD", b"INDX", b"DONE"]
    floats_of_head = (0.25, 0.5, -1.0, 2.0, 0.5, -1.0, 2.0, 4.5, 1.0, 2.0)
    assert chunks[0][1] == (
        bytes([1, 1, 2, 14, 1]) + bytes(7) + struct.pack("<IQ10d", 64, 0, *floats_of_head)
    ) + bytes(range(32))


def test_many_primitives_in_few_bytes_are_padded() -> None:
    """The file holds at least count x (1 + extras) bytes, by a chunk of zeros."""
    for count in (0, 500, 5000, *range(690, 730)):
        data = pack(replace(PAYLOAD, header=replace(HEADER, count=count, block_size=4096)))
        assert len(data) >= 2 * count
        assert unpack(data).header.count == count
        has_fill = b"fill" in [tag for tag, _ in fuzzing.split(data)]
        assert len(data) <= 2 * count + 15 or not has_fill


def test_count_beyond_the_file_is_refused() -> None:
    """A sealed file may not promise more primitives than it has bytes."""
    chunks = fuzzing.split(pack(PAYLOAD))
    head = chunks[0][1][:12] + struct.pack("<IQ", 4096, 10**15) + chunks[0][1][24:]
    data = fuzzing.seal([(b"HEAD", head), *chunks[1:]])
    with pytest.raises(FormatError, match="expected at least 2000000000000000 for a count"):
        unpack(data)


def test_unknown_optional_chunk_is_skipped() -> None:
    """A lower-case tag that nobody knows changes nothing, wherever it stands."""
    chunks = fuzzing.split(pack(PAYLOAD))
    for at in range(1, len(chunks) - 1):
        data = fuzzing.seal([*chunks[:at], (b"note", b"later version"), *chunks[at:]])
        assert unpack(data) == PAYLOAD


def test_unknown_required_chunk_is_refused_by_name() -> None:
    """An upper-case tag that nobody knows stops the reader, which names it."""
    chunks = fuzzing.split(pack(PAYLOAD))
    data = fuzzing.seal([chunks[0], (b"Wave", b""), *chunks[1:]])
    with pytest.raises(UnsupportedError, match="chunk Wave at byte 164: required, but unknown"):
        unpack(data)


def test_reader_that_skips_extras_would_still_agree_with_the_index() -> None:
    """Extras have optional tags and no index entry."""
    chunks = fuzzing.split(pack(PAYLOAD))
    without = [(tag, payload) for tag, payload in chunks if tag != b"xtra"]
    data = fuzzing.seal(without, reindex=True)
    assert unpack(data).streams == STREAMS[:-1]


HEAD_CASES: list[tuple[dict[str, Any], type[GscodecError], str]] = [
    ({"sh_degree": 4}, FormatError, "sh_degree at byte 30: found 4, expected 0 to 3"),
    (
        {"position_bits": 22},
        FormatError,
        "position_bits at byte 31: found 22, expected 0 to 21",
    ),
    ({"block_size": 0}, FormatError, "block_size at byte 40: found 0, expected 1 to 16777216"),
    ({"block_size": 2**24 + 1}, FormatError, "found 16777217, expected 1 to 16777216"),
    (
        {"block_size": 4095, "count": 16 * 4095 + 1},
        FormatError,
        "block_size at byte 40: found 4095 in 17 blocks, expected at least 4096 in more than 16",
    ),
    ({"lattice_step": 0.0}, FormatError, "found 0.0 with position_bits 14"),
    ({"lattice_step": -1.0}, FormatError, "found -1.0 with position_bits 14"),
    ({"position_bits": 0}, FormatError, "found 0.25 with position_bits 0"),
    ({"lattice_step": float("nan")}, FormatError, "infinity or NaN"),
    ({"lattice_origin": (0.0, float("inf"), 0.0)}, FormatError, "infinity or NaN"),
    ({"bounds_max": (4.5, float("nan"), 2.0)}, FormatError, "infinity or NaN"),
    ({"bounds_max": (4.5, 1.0, 1.5)}, FormatError, "above bounds_max"),
    ({"scene_sha256": bytes(32)}, FormatError, "scene_sha256 at byte 132: all zeros"),
    ({"kind": 3}, UnsupportedError, "kind 3; this gscodec knows 1 (gaussians), 2 (anchors)"),
    ({"method": 9}, UnsupportedError, "method 9; this gscodec knows 1 (raw), 2 (hac)"),
]


@pytest.mark.parametrize(("change", "error", "text"), HEAD_CASES)
def test_every_field_of_head_is_checked(
    change: dict[str, Any], error: type[GscodecError], text: str
) -> None:
    """A header that breaks a rule is neither written nor, when sealed, read."""
    header = replace(HEADER, **change)
    with pytest.raises(error) as refused:
        pack(Payload(header, ()))
    assert text in str(refused.value)
    head = layout.HEAD_STRUCT.pack(
        *(header.kind, header.method, header.sh_degree, header.position_bits, 0, b""),
        *(header.block_size, header.count, header.lattice_step, *header.lattice_origin),
        *(*header.bounds_min, *header.bounds_max, header.scene_sha256),
    )
    with pytest.raises(error) as refused:
        unpack(fuzzing.seal([(b"HEAD", head), *fuzzing.split(pack(PAYLOAD))[1:]]))
    assert text in str(refused.value)


@pytest.mark.parametrize("at", range(4, 12))
def test_reserved_bits_of_head_must_be_zero(at: int) -> None:
    """Any spare bit of HEAD that is set is refused."""
    chunks = fuzzing.split(pack(PAYLOAD))
    head = bytearray(chunks[0][1])
    head[at] |= 0x80
    with pytest.raises(FormatError, match="reserved bits are set"):
        unpack(fuzzing.seal([(b"HEAD", bytes(head)), *chunks[1:]]))


def test_streams_that_no_file_can_hold_are_refused() -> None:
    """Two streams of one name, or extras before the end, are the caller's mistake."""
    with pytest.raises(UsageError, match="same attribute and block"):
        pack(Payload(HEADER, (STREAMS[0], STREAMS[0])))
    with pytest.raises(UsageError, match="must come last"):
        pack(Payload(HEADER, (STREAMS[-1], STREAMS[0])))


@pytest.mark.parametrize(
    "meta",
    [
        {"a": float("nan")},
        {"a": object()},
        {"a": "\ud800"},
        {"a": "x" * 2**20},
        {"a": [0] * 2**16},
        json.loads('{"a":' * 33 + "1" + "}" * 33),
        {"a": 10**64},
    ],
)
def test_notes_that_are_not_json_are_refused(meta: dict[str, object]) -> None:
    """NaN, objects, broken text, too much, too deep and too long do not get into a file."""
    with pytest.raises(UsageError, match="meta: "):
        pack(Payload(HEADER, (), meta))


def test_notes_are_canonical() -> None:
    """Equal notes make equal bytes, whatever order they were written in."""
    one = pack(Payload(HEADER, (), {"b": 1, "a": {"d": "é", "c": None}}))
    two = pack(Payload(HEADER, (), {"a": {"c": None, "d": "é"}, "b": 1}))
    assert one == two
    assert '{"a":{"c":null,"d":"é"},"b":1}'.encode() in one


@pytest.mark.parametrize(
    ("notes", "told"),
    [
        (
            {"a": "x", "b": {"comments": ['"' * 600_000]}},
            r"b\.comments\.0 .* 600,000 characters",
        ),
        ({"a": "x", "b": {"comments": ["y"] * 100_000}}, r"b\.comments .* 100,000 values"),
        ({"a": "x", "b": {str(n): n for n in range(70_000)}}, r"b .* of 70,000 values"),
        ({"a": "x", "b": "é" * 500_000, "c": "ü" * 400_000}, r"b .* of 500,000 characters"),
    ],
)
def test_notes_that_are_too_long_are_cut_with_a_note(
    notes: dict[str, object], told: str
) -> None:
    """What is largest is cut, told, and what is small stays."""
    fitted, cuts = fitted_meta(notes)
    back = unpack(pack(Payload(HEADER, STREAMS, fitted)))
    assert back.meta == fitted
    assert fitted["a"] == "x"
    assert re.search(rf"^cut {told}$", cuts[0])
    assert len(json.dumps(fitted)) > 100_000
    again, none = fitted_meta(fitted)
    assert again is fitted
    assert none == ()
