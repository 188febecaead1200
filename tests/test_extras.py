"""Extra properties <-> streams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gscodec import codec, extras
from gscodec.coding import decode_planes, encode_planes
from gscodec.container.layout import MAX_EXTRAS
from gscodec.errors import FormatError, SceneError
from gscodec.payload import Attribute, Payload, Stream
from gscodec.scene import ExtraProperty
from scenes import make_scene
from test_container import HEADER

TYPES = list(extras.SCALAR_TYPES.values())
VALUES = np.arange(100, dtype=np.uint8)


def _payload(*streams: Stream, count: int = 100) -> Payload:
    return Payload(replace(HEADER, count=count), streams)


@given(st.sampled_from(TYPES).flatmap(lambda t: hnp.arrays(t, st.integers(0, 30))))
def test_planes_come_back_bit_for_bit(values: np.ndarray) -> None:
    """Any values of any PLY type, NaN payloads included."""
    back = decode_planes(encode_planes(values), len(values), values.dtype)
    assert back.dtype == values.dtype
    assert back.tobytes() == values.tobytes()


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_property_of_every_type_comes_back(dtype: np.dtype[np.generic]) -> None:
    """Names, types, order and values are kept."""
    source = (
        ExtraProperty("first", VALUES.astype(dtype)),
        ExtraProperty("größe [m]", VALUES[::-1].astype(dtype)),
    )
    back = extras.decode(_payload(*extras.encode(source)))
    assert [e.name for e in back] == ["first", "größe [m]"]
    for a, b in zip(source, back, strict=True):
        assert a.values.dtype == b.values.dtype
        assert a.values.tolist() == b.values.tolist()


def test_big_endian_and_strided_values_come_back_native() -> None:
    """Byte order and strides are the source's business, not the file's."""
    values = np.arange(200, dtype=">f8")[::2]
    (back,) = extras.decode(_payload(*extras.encode((ExtraProperty("time", values),))))
    assert back.values.dtype == np.float64
    assert back.values.dtype.isnative
    assert back.values.tolist() == values.tolist()


def test_bytes_of_a_stream_are_fixed() -> None:
    """Length of the name, name, type, planes; the block is the index."""
    one, two = extras.encode((ExtraProperty("a", VALUES), ExtraProperty("bc", VALUES)))
    assert (one.attribute, one.block, two.block) == (Attribute.EXTRA, 0, 1)
    assert two.data == b"\x02bc\x02" + encode_planes(VALUES)


def test_scene_keeps_its_extras() -> None:
    """They go through a whole file, and an empty scene may have some."""
    for n in (0, 7):
        extra = ExtraProperty("label", np.arange(n, dtype=np.int32))
        scene = replace(make_scene(n, 1), extras=(extra,))
        (back,) = codec.decode(codec.encode(scene, "raw")).extras
        assert back.name == "label"
        assert back.values.tolist() == list(range(n))


@pytest.mark.parametrize("name", ["", "x" * 256, "é" * 128, "a\nb", "\x1b[31m", "\ud800"])
def test_names_that_hurt_are_refused(name: str) -> None:
    """Empty, long, unprintable or broken names are refused on both sides."""
    with pytest.raises(SceneError, match=r"extra property .*name"):
        extras.encode((ExtraProperty(name, VALUES),))
    raw = name.encode("utf-8", errors="surrogatepass")[:255]
    if len(name) < 100:
        stream = Stream(Attribute.EXTRA, 0, bytes([len(raw)]) + raw + b"\x02")
        with pytest.raises(FormatError, match="extra property 0: name"):
            extras.decode(_payload(stream))


@pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.float16, np.complex64])
def test_types_that_ply_lacks_are_refused(dtype: type[np.generic]) -> None:
    """The eight PLY types are all there is."""
    with pytest.raises(SceneError, match="expected one of int8, uint8"):
        extras.encode((ExtraProperty("a", VALUES.astype(dtype)),))


def test_two_properties_of_one_name_are_refused() -> None:
    """By the encoder and by the decoder."""
    twice = (ExtraProperty("a", VALUES), ExtraProperty("a", VALUES))
    with pytest.raises(SceneError, match="'a': found twice"):
        extras.encode(twice)
    (stream,) = extras.encode(twice[:1])
    with pytest.raises(FormatError, match="extra property 1: name 'a' found twice"):
        extras.decode(_payload(stream, replace(stream, block=1)))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "0 bytes, too short"),
        (b"\x03ab", "3 bytes, too short"),
        (b"\x01a", "2 bytes, too short"),
        (b"\x01a\x00", "scalar type 0, expected 1 to 8"),
        (b"\x01a\x09", "scalar type 9, expected 1 to 8"),
        (b"\x01a\x02abc", "expected a multiple of 4"),
    ],
)
def test_damaged_streams_are_refused(data: bytes, text: str) -> None:
    """Each fault has its own words."""
    with pytest.raises(FormatError, match=text):
        extras.decode(_payload(Stream(Attribute.EXTRA, 0, data)))


def test_gap_in_the_numbering_is_refused() -> None:
    """Block i is property i."""
    (stream,) = extras.encode((ExtraProperty("a", VALUES),))
    with pytest.raises(FormatError, match="extra property 0: found block 4"):
        extras.decode(_payload(replace(stream, block=4)))


def test_more_properties_than_the_limit_are_refused() -> None:
    """By the encoder, before it looks at one of them; `unpack` refuses them too."""
    empty = np.zeros(0, dtype=np.uint8)
    many = tuple(ExtraProperty(f"p{n}", empty) for n in range(MAX_EXTRAS + 1))
    assert len(extras.encode(many[:-1])) == MAX_EXTRAS
    with pytest.raises(SceneError, match="extra properties: found 1025, expected at most 1024"):
        extras.encode(many)
