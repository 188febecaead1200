"""What is particular to method hemgs: models it refuses, turns, blocks, threads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import reference_decoder as reference
import reference_hemgs
from gscodec.container import pack
from gscodec.errors import FormatError
from gscodec.intnet.box import Box
from gscodec.intnet.neighbours import FIRST, columns_of
from gscodec.kinds.gaussians import gaussian_units
from gscodec.methods import hemgs
from gscodec.payload import Attribute, Payload, Stream
from quick import set_defaults
from reference_hac import groups
from scenes import make_scene, silent
from test_neighbours import model_of

UNITS, BITS = gaussian_units(1), 7
MODEL = model_of(UNITS, 3)


def read(data: bytes) -> hemgs.Model:
    """The stream of a model."""
    return hemgs.read({(Attribute.NETWORKS, 0): data}, UNITS, BITS)


def check_refused(data: bytes, message: str) -> None:
    """By both decoders."""
    with pytest.raises(FormatError, match=message):
        read(data)
    with pytest.raises(reference.BadFileError):
        reference_hemgs.decode_parts(reference.RangeDecoder(data), groups(1), 0, BITS)


def written(**changed: Any) -> bytes:
    """The stream of a model."""
    return replace(MODEL, **changed).streams()[Attribute.NETWORKS]


def test_a_model_is_read_as_it_was_written() -> None:
    """All of its parts, at the ends of their ranges."""
    gains = tuple(np.full(unit.columns, 127 * (-1) ** n) for n, unit in enumerate(UNITS))
    model = replace(MODEL, usual=2048, box=Box((127, 0, 127), 128), gains=gains)
    back = read(model.streams()[Attribute.NETWORKS])
    assert (back.box, back.usual, back.kept) == (model.box, model.usual, model.kept)
    assert [g.tolist() for g in back.gains] == [g.tolist() for g in gains]
    assert back.streams() == model.streams()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"usual": 2049}, "distance 2049, expected .* at most 2048"),
        ({"box": Box((128, 0, 0), 1)}, r"box \(128, 0, 0\)"),
        ({"box": Box((0, 0, 128), 1)}, r"box \(0, 0, 128\)"),
        ({"box": Box((0, 0, 0), 0)}, r"\+ 0 and"),
        ({"box": Box((0, 0, 0), 129)}, r"\+ 129 and"),
        ({"gains": (np.array([128]), *MODEL.gains[1:])}, "gains up to 128, expected .* 127"),
        ({"gains": (*MODEL.gains[:-1], np.full(6, -128))}, "gains up to 128, expected .* 127"),
        ({"gains": (np.array([-(1 << 31)]), *MODEL.gains[1:])}, "gains up to 2147483648"),
        ({"kept": (2, *MODEL.kept[1:])}, "flag 2"),
        ({"kept": (*MODEL.kept[:-1], 1 << 30)}, "flag 1073741824"),
    ],
)
def test_a_model_beyond_its_limits_is_refused(changed: dict[str, Any], message: str) -> None:
    check_refused(written(**changed), message)


def test_a_stream_that_goes_on_is_refused() -> None:
    """Words after the last network."""
    check_refused(written() + b"\xff" * 8, "left over")


def test_a_width_counts_what_is_kept_and_the_widest() -> None:
    """What a decoder makes room for is what networks look at."""
    inputs = [m.network.inputs for m in MODEL.networks.models]
    room = FIRST + MODEL.networks.features + MODEL.spare
    assert max(inputs) <= room
    every = replace(MODEL, kept=(True,) * len(UNITS))
    assert every.spare == sum(map(columns_of, UNITS)) + max(map(columns_of, UNITS))


# --- files ----------------------------------------------------------------------------------


@pytest.fixture
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A badly trained model has turns, too."""
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=10)


def encode(size: int, threads: int = 1) -> Payload:
    """A scene in blocks of ``size``."""
    options = hemgs.Options(block_size=size, threads=threads)
    return hemgs.encode(make_scene(400, 1), options, silent).payload


@pytest.mark.usefixtures("quick_fit")
def test_threads_change_neither_a_file_nor_what_it_decodes_to() -> None:
    """Blocks depend on nothing of each other."""
    payload = encode(100)
    assert pack(encode(100, 2)) == pack(payload)
    digests = {hemgs.decode(payload, silent, threads).digest() for threads in (1, 2, 5)}
    assert digests == {payload.header.scene_sha256}


@pytest.mark.usefixtures("quick_fit")
def test_a_block_does_not_depend_on_others() -> None:
    """Whatever others hold, and in whatever order they are decoded."""
    payload = encode(100)
    opened = hemgs.METHOD.opened(payload, silent)
    whole = [[found.quanta for found in opened.block(number)] for number in range(4)]
    last = [[found.quanta for found in opened.block(number)] for number in (3, 2, 1, 0)][::-1]
    for ours, theirs in zip(whole, last, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    opacity = Attribute.OPACITY
    swapped = tuple(
        Stream(s.attribute, 1, bytes(len(s.data)))
        if (s.attribute, s.block) == (opacity, 1)
        else s
        for s in payload.streams
    )
    opened = hemgs.METHOD.opened(replace(payload, streams=swapped), silent)
    for number in (0, 2, 3):
        found = [values.quanta for values in opened.block(number)]
        assert all(np.array_equal(a, b) for a, b in zip(found, whole[number], strict=True))
