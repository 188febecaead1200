"""gscodec and the decoder of method predict-gs written from the specification agree."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference_decoder as reference
import reference_predict_gs
from anchors import make_anchor_scene, small_views
from gscodec.anchors import AnchorScene
from gscodec.container import pack
from gscodec.methods import predict_gs
from gscodec.payload import Attribute, Payload
from predicting import always_mix, always_predict
from quick import set_defaults
from scenes import make_scene, silent
from test_reference_anchors import check_same_scene as check_same_anchors
from test_reference_anchors import outcome, refile, whole
from test_reference_hac import check_same_scene

if TYPE_CHECKING:
    from gscodec.scene import GaussianScene

assert reference.METHODS[5] is reference_predict_gs.decode_predict_gs

WAYS = ("neither", "basis", "pool", "both")


def quicken(monkeypatch: pytest.MonkeyPatch, way: str, fraction_bits: int = 9) -> None:
    """Training that takes no time; a basis and a pool as ``way`` says."""
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=6)
    if way in {"basis", "both"}:
        always_mix(monkeypatch)
    if way in {"pool", "both"}:
        always_predict(monkeypatch, fraction_bits)


def encode(scene: GaussianScene | AnchorScene, **options: Any) -> Payload:
    """``scene`` by method predict-gs, even where raw would be smaller."""
    depth = {} if isinstance(scene, AnchorScene) else {"position_bits": 10}
    views = small_views()
    chosen = predict_gs.Options(**{"threads": 1, **depth, **options})
    return predict_gs.encode(scene, chosen, silent, predict_gs.Given(views)).payload


def parts(payload: Payload) -> tuple[bool, bool]:
    """Whether a file has a basis, and a pool."""
    found = predict_gs.METHOD.opened(payload, silent).model.prediction  # type: ignore[attr-defined]
    return found.basis is not None, found.pool is not None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("degree", [1, 3])
def test_gaussians_decode_alike(way: str, degree: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Higher coefficients of all degrees are mixed together, in two blocks."""
    quicken(monkeypatch, way)
    payload = encode(make_scene(60, degree), block_size=40)
    assert parts(payload) == (way in {"basis", "both"}, way in {"pool", "both"})
    check_same_scene(pack(payload))


@pytest.mark.parametrize("way", WAYS)
def test_anchors_decode_alike(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features of three units are mixed together, in two blocks."""
    quicken(monkeypatch, way)
    payload = encode(make_anchor_scene(60, features=23, masked=True), block_size=40)
    assert parts(payload) == (way in {"basis", "both"}, way in {"pool", "both"})
    check_same_anchors(pack(payload))


@pytest.mark.parametrize("fraction_bits", [0, 60])
@pytest.mark.parametrize("way", ["pool", "both"])
def test_a_pool_coarser_or_finer_than_residuals_decodes_alike(
    way: str, fraction_bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is lifted beyond the reach of integers is clamped."""
    quicken(monkeypatch, way, fraction_bits)
    check_same_anchors(pack(encode(make_anchor_scene(20, features=11))))


@pytest.mark.parametrize("count", [1, 2, 9])
def test_small_scenes_decode_alike(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer primitives than columns."""
    quicken(monkeypatch, "both")
    check_same_scene(pack(encode(make_scene(count, 2))))
    check_same_anchors(pack(encode(make_anchor_scene(count))))


def test_gaussians_without_higher_coefficients_decode_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing to mix."""
    quicken(monkeypatch, "both")
    payload = encode(make_scene(40, 0))
    assert parts(payload) == (False, False)
    check_same_scene(pack(payload))


@pytest.fixture(scope="module")
def sound() -> dict[str, Payload]:
    """A small file of each kind."""
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch, "both")
        anchors = encode(make_anchor_scene(20, masked=True))
        return {"gaussians": encode(make_scene(25, 1)), "anchors": anchors}


@given(
    st.sampled_from(["gaussians", "anchors"]),
    st.sampled_from([1, 2, 4, 8, 12, 14, 19, 19]),
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
    found = Attribute(attribute) if attribute in attributes else Attribute.BASIS
    number = attributes.index(found)
    words = np.frombuffer(streams[number].data, "<u4").copy()
    words[place % len(words)] ^= np.uint32(1 << bit)
    streams[number] = replace(streams[number], data=words.tobytes())
    payload = replace(sound[kind], streams=tuple(streams))
    file = refile(payload) if kind == "anchors" else reference.read_file(pack(payload))
    if kind == "anchors":
        ours = outcome(lambda: whole(payload, predict_gs))
    else:
        ours = outcome(lambda: predict_gs.decode(payload, silent).attributes())
    assert outcome(lambda: reference_predict_gs.decode_predict_gs(file)) == ours
