"""gscodec and the decoder of method hac written from the specification agree."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference_decoder as reference
import reference_hac
import scenes
from gscodec import codec
from gscodec.container import pack
from gscodec.errors import FormatError
from gscodec.fit import gaussian_subject
from gscodec.intnet.context import STEPS
from gscodec.intnet.hashgrid import GridLevel
from gscodec.methods import hac
from gscodec.payload import Attribute, Payload
from quick import set_defaults

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gscodec.scene import GaussianScene

LEVELS = (
    GridLevel(3, 8, 12),
    GridLevel(2, 32, 8),
    GridLevel(3, 40, 6),
)  # direct, hashed planes, hashed


def quicken(patch: pytest.MonkeyPatch) -> None:
    """A badly trained model decodes alike too; grids of each kind are in it."""
    set_defaults(patch, training=12)
    patch.setattr("gscodec.fit.hac._levels", lambda _: LEVELS)
    patch.setattr("gscodec.fit.grid._GridModel.drop_idle_levels", lambda *_: None)


@pytest.fixture
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training that takes no time."""
    pytest.importorskip("torch")
    quicken(monkeypatch)


def encode(scene: GaussianScene, **options: Any) -> Payload:
    """``scene`` by method hac, even where raw would be smaller."""
    return hac.encode(
        scene, hac.Options(position_bits=10, threads=1, **options), scenes.silent
    ).payload


def check_same_scene(data: bytes) -> None:
    """Both decoders give the same bytes for every attribute."""
    arrays, _ = reference.decode(data)  # checks scene_sha256
    for name, array in codec.decode(data).attributes().items():
        assert arrays[name].tobytes() == array.tobytes(), name


@pytest.mark.usefixtures("quick_fit")
@pytest.mark.parametrize(("count", "degree"), [(300, 0), (150, 1), (100, 3)])
def test_scenes_decode_alike(count: int, degree: int) -> None:
    """Both decoders give the same bytes for every attribute."""
    check_same_scene(pack(encode(scenes.make_scene(count, degree))))


@pytest.mark.usefixtures("quick_fit")
def test_scene_of_several_blocks_decodes_alike() -> None:
    """Blocks are cut at block_size, and the last one is shorter."""
    data = pack(encode(scenes.make_scene(150, 1), block_size=64))
    file = reference.read_file(data)
    assert file.head["block_size"] == 64
    grid = reference_hac.decode_grid(file.streams[reference_hac.GRID, 0], 10)
    assert [table.hashed for table in grid.tables] == [False, True, True, True, True]
    check_same_scene(data)


@pytest.mark.usefixtures("quick_fit")
def test_escapes_decode_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values far from all others are beyond the support of every table."""
    monkeypatch.setattr(gaussian_subject, "STAGES", ())  # colours stay those of the source
    scene = scenes.make_scene(150, 1)
    sh_dc, sh_rest = scene.sh_dc.copy(), scene.sh_rest.copy()
    sh_dc[::40], sh_rest[7, 1] = 250, -200
    data = pack(encode(replace(scene, sh_dc=sh_dc, sh_rest=sh_rest)))
    assert float(np.abs(scenes.gaussians(codec.decode(data)).sh_dc).max()) == pytest.approx(
        250, rel=1e-2
    )
    check_same_scene(data)


@pytest.fixture(scope="module")
def sound() -> Payload:
    """A small file of method hac."""
    pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch)
        return encode(scenes.make_scene(40, 1))


@given(st.sampled_from([1, 2, 4, 5, 6, 7, 8]), st.integers(0, 2**16), st.integers(0, 31))
@settings(max_examples=40)
def test_damaged_streams_decode_alike(
    sound: Payload, attribute: int, place: int, bit: int
) -> None:
    """With any bit of a stream flipped, both give the same scene, or both refuse."""
    streams = list(sound.streams)
    number = [stream.attribute for stream in streams].index(Attribute(attribute))
    words = np.frombuffer(streams[number].data, "<u4").copy()
    words[place % len(words)] ^= np.uint32(1 << bit)
    streams[number] = replace(streams[number], data=words.tobytes())
    payload = replace(sound, streams=tuple(streams))
    ours = outcome(lambda: hac.decode(payload, scenes.silent).attributes())
    file = reference.read_file(pack(payload))
    assert outcome(lambda: reference_hac.decode_hac(file)) == ours


def outcome(decode: Callable[[], dict[str, NDArray[np.float32]]]) -> object:
    """The bytes that come out, or that there are none."""
    try:
        return {name: array.tobytes() for name, array in decode().items()}
    except (FormatError, reference.BadFileError):
        return "refused"


def test_steps_are_the_same() -> None:
    """The table of steps in the code is the one in the specification."""
    assert STEPS.tolist() == reference_hac.STEPS
