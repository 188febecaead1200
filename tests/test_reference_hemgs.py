"""gscodec and the decoder of method hemgs written from the specification agree."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference_decoder as reference
import reference_hemgs
from anchors import make_anchor_scene, small_views
from gscodec import codec
from gscodec.anchors import AnchorScene, Storage
from gscodec.container import pack
from gscodec.fit import gaussian_subject
from gscodec.methods import hemgs
from gscodec.payload import Attribute, Payload
from quick import set_defaults
from scenes import gaussians, make_scene, silent
from test_reference_anchors import check_same_scene as check_same_anchors
from test_reference_anchors import outcome, refile, whole
from test_reference_hac import check_same_scene

if TYPE_CHECKING:
    from gscodec.scene import GaussianScene

assert reference.METHODS[3] is reference_hemgs.decode_hemgs


@pytest.fixture(autouse=True)
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training that takes no time: a badly trained model decodes alike, too."""
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=12)


def encode(scene: GaussianScene | AnchorScene, **options: Any) -> Payload:
    """``scene`` by method hemgs, even where raw would be smaller."""
    depth = {} if isinstance(scene, AnchorScene) else {"position_bits": 10}
    views = small_views() if isinstance(scene, AnchorScene) else None
    chosen = hemgs.Options(**{"threads": 1, **depth, **options})
    return hemgs.encode(scene, chosen, silent, hemgs.Given(views)).payload


@pytest.mark.parametrize("count", [1, 2, 7, 9, 40])
@pytest.mark.parametrize("degree", [0, 3])
def test_small_scenes_decode_alike(count: int, degree: int) -> None:
    """Turns without primitives, and fewer candidates than neighbours are wanted."""
    check_same_scene(pack(encode(make_scene(count, degree))))


@pytest.mark.parametrize("rest", [0, 1, 5])
def test_scene_of_several_blocks_decodes_alike(rest: int) -> None:
    """Neighbours and places around end where a block does; the last one is shorter."""
    data = pack(encode(make_scene(144 + rest, 1), block_size=48))
    assert max(block for _, block in reference.read_file(data).streams) == 2 + (rest > 0)
    check_same_scene(data)


def test_duplicates_and_a_coarse_lattice_decode_alike() -> None:
    """Squared distances of 0 and many ties."""
    scene = make_scene(90, 1)
    check_same_scene(pack(encode(scene.take(np.arange(180) // 2), position_bits=3)))


def test_escapes_decode_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values beyond the support of every table, in each turn: escapes follow their turn."""
    monkeypatch.setattr(gaussian_subject, "STAGES", ())  # colours stay those of the source
    scene = make_scene(150, 1)
    sh_dc, sh_rest = scene.sh_dc.copy(), scene.sh_rest.copy()
    sh_dc[::7], sh_rest[::11, 1] = 250, -200
    data = pack(encode(replace(scene, sh_dc=sh_dc, sh_rest=sh_rest)))
    decoded = gaussians(codec.decode(data))
    assert float(np.abs(decoded.sh_dc).max()) == pytest.approx(250, rel=1e-2)
    check_same_scene(data)


@pytest.mark.parametrize(
    "kind",
    [
        {"masked": True, "storage": Storage.HAC},
        {"features": 23, "offsets": 1, "distance": True},
        {"features": 8, "offsets": 11, "masked": True, "bank": True, "appearance": 4},
    ],
)
@pytest.mark.parametrize("count", [1, 9, 60])
def test_anchors_decode_alike(kind: dict[str, Any], count: int) -> None:
    """With absent offsets, and with more decisions than have deviations of their own."""
    payload = encode(make_anchor_scene(count, **kind))
    assert Attribute.GRID not in {stream.attribute for stream in payload.streams}
    check_same_anchors(pack(payload))


def test_anchors_of_several_blocks_decode_alike() -> None:
    """Neighbours end where a block does."""
    check_same_anchors(pack(encode(make_anchor_scene(80, masked=True), block_size=24)))


@pytest.fixture(scope="module")
def sound() -> dict[str, Payload]:
    """A small file of each kind."""
    pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        set_defaults(patch, training=12)
        anchors = encode(make_anchor_scene(30, masked=True))
        return {"gaussians": encode(make_scene(40, 1)), "anchors": anchors}


@given(
    st.sampled_from(["gaussians", "anchors"]),
    st.sampled_from([1, 4, 5, 6, 7, 8, 11, 12, 13, 14]),
    st.integers(0, 2**16),
    st.integers(0, 31),
)
@settings(max_examples=40)
def test_damaged_streams_decode_alike(
    sound: dict[str, Payload], kind: str, attribute: int, place: int, bit: int
) -> None:
    """With any bit of a stream flipped, both give the same scene, or both refuse."""
    streams = list(sound[kind].streams)
    attributes = [stream.attribute for stream in streams]
    number = attributes.index(Attribute(attribute) if attribute in attributes else Attribute(1))
    words = np.frombuffer(streams[number].data, "<u4").copy()
    words[place % len(words)] ^= np.uint32(1 << bit)
    streams[number] = replace(streams[number], data=words.tobytes())
    payload = replace(sound[kind], streams=tuple(streams))
    if kind == "anchors":
        ours = outcome(lambda: whole(payload, hemgs))
        assert outcome(lambda: reference_hemgs.decode_hemgs(refile(payload))) == ours
    else:
        ours = outcome(lambda: hemgs.decode(payload, silent).attributes())
        file = reference.read_file(pack(payload))
        assert outcome(lambda: reference_hemgs.decode_hemgs(file)) == ours
