"""gscodec and the decoder of method ralhe written from the specification agree."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference_decoder as reference
import reference_ralhe
from anchors import make_anchor_scene, small_views
from gscodec.anchors import AnchorScene, Storage
from gscodec.container import pack
from gscodec.intnet import latents as octree
from gscodec.methods import ralhe
from gscodec.payload import Attribute, Payload
from quick import few_latents, set_defaults
from scenes import make_scene, silent
from test_reference_anchors import check_same_scene as check_same_anchors
from test_reference_anchors import outcome, refile, whole
from test_reference_hac import check_same_scene

if TYPE_CHECKING:
    from gscodec.scene import GaussianScene

assert reference.METHODS[4] is reference_ralhe.decode_ralhe


@pytest.fixture(autouse=True)
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training that takes no time, and latents on scenes that are too small for them."""
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=12)
    few_latents(monkeypatch)


def encode(scene: GaussianScene | AnchorScene, **options: Any) -> Payload:
    """``scene`` by method ralhe, even where raw would be smaller."""
    depth = {} if isinstance(scene, AnchorScene) else {"position_bits": 10}
    views = small_views() if isinstance(scene, AnchorScene) else None
    chosen = ralhe.Options(**{"threads": 1, **depth, **options})
    return ralhe.encode(scene, chosen, silent, ralhe.Given(views)).payload


def levels(payload: Payload) -> tuple[int, ...]:
    """Depths of the levels of a file."""
    found: ralhe.Model = ralhe.METHOD.opened(payload, silent).model  # type: ignore[assignment]
    return found.latents.depths


def test_scenes_with_latents_decode_alike() -> None:
    """In several blocks, levels that follow each other, latents beyond what inputs can tell."""
    payload = encode(make_scene(150, 1), block_size=64)
    assert len(levels(payload)) > 1
    check_same_scene(pack(payload))


@pytest.mark.parametrize("count", [1, 2, 9])
def test_scenes_without_latents_decode_alike(count: int) -> None:
    payload = encode(make_scene(count, 2))
    assert levels(payload) == ()
    check_same_scene(pack(payload))


def test_duplicates_on_a_coarse_lattice_decode_alike() -> None:
    """Nodes that share faces, and some at the edges of the lattice."""
    scene = make_scene(90, 0)
    payload = encode(scene.take(np.arange(270) // 3), position_bits=3)
    assert levels(payload)
    check_same_scene(pack(payload))


def test_runs_of_nodes_decode_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours end where a run does."""
    monkeypatch.setattr(octree, "RUN", 7)
    monkeypatch.setattr(reference_ralhe, "RUN", 7)
    check_same_scene(pack(encode(make_scene(120, 0))))


@pytest.mark.parametrize(
    "kind",
    [{"masked": True, "storage": Storage.HAC}, {"features": 12, "offsets": 2, "bank": True}],
)
def test_anchors_decode_alike(kind: dict[str, Any]) -> None:
    payload = encode(make_anchor_scene(70, **kind), block_size=40)
    assert levels(payload)
    check_same_anchors(pack(payload))


@pytest.fixture(scope="module")
def sound() -> dict[str, Payload]:
    """A small file of each kind."""
    pytest.importorskip("torch")
    with pytest.MonkeyPatch.context() as patch:
        set_defaults(patch, training=12)
        few_latents(patch)
        anchors = encode(make_anchor_scene(40, masked=True))
        return {"gaussians": encode(make_scene(50, 1)), "anchors": anchors}


@given(
    st.sampled_from(["gaussians", "anchors"]),
    st.sampled_from([1, 18]),
    st.integers(0, 2**16),
    st.integers(0, 31),
)
@settings(max_examples=40)
def test_damaged_streams_decode_alike(
    sound: dict[str, Payload], kind: str, attribute: int, place: int, bit: int
) -> None:
    """With any bit of a stream flipped, both give the same scene, or both refuse."""
    streams = list(sound[kind].streams)
    number = [stream.attribute for stream in streams].index(Attribute(attribute))
    words = np.frombuffer(streams[number].data, "<u4").copy()
    words[place % len(words)] ^= np.uint32(1 << bit)
    streams[number] = replace(streams[number], data=words.tobytes())
    payload = replace(sound[kind], streams=tuple(streams))
    if kind == "anchors":
        ours = outcome(lambda: whole(payload, ralhe))
        assert outcome(lambda: reference_ralhe.decode_ralhe(refile(payload))) == ours
    else:
        ours = outcome(lambda: ralhe.decode(payload, silent).attributes())
        file = reference.read_file(pack(payload))
        assert outcome(lambda: reference_ralhe.decode_ralhe(file)) == ours
