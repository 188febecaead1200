"""What is particular to method hac: headers it refuses, how it falls back, what it chooses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gscodec
from anchors import small_views
from gscodec.container import pack, unpack
from gscodec.errors import FormatError, VerifyError
from gscodec.methods import hac
from gscodec.payload import Attribute, SceneKind
from quick import set_defaults
from scenes import gaussians, make_scene, silent
from test_vectors import VECTORS

if TYPE_CHECKING:
    from gscodec.payload import Payload


@pytest.fixture(scope="module")
def payload() -> Payload:
    """A file of method hac, unpacked."""
    return unpack((VECTORS / "hac" / "mic_6000_sh1_coarse.gsz").read_bytes())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"kind": SceneKind.ANCHORS}, FormatError, "CHECKPOINT, block 0: missing"),
        ({"count": 0}, FormatError, "found 0 primitives"),
        ({"position_bits": 0}, FormatError, "0 position bits"),
        ({"block_size": 65_537}, FormatError, "blocks of 65537, expected at most 65536"),
        ({"block_size": 1}, FormatError, "streams cannot hold 6000 primitives"),
        ({"sh_degree": 2}, FormatError, "SH_2, block 0: missing"),
        ({"sh_degree": 0}, FormatError, "SH_1, block 0: not expected"),
    ],
)
def test_headers_that_do_not_fit_the_method_are_refused(
    payload: Payload, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    changed = replace(payload, header=replace(payload.header, **change))
    with pytest.raises(error, match=message):
        hac.decode(changed, silent)


@pytest.mark.parametrize("delta", [-1, 1, 1000])
def test_another_count_is_noticed(payload: Payload, delta: int) -> None:
    header = replace(payload.header, count=payload.header.count + delta)
    try:
        scene = hac.decode(replace(payload, header=header), silent)
    except FormatError:
        return
    assert scene.digest() != payload.header.scene_sha256


def test_threads_do_not_change_a_decoded_scene(payload: Payload) -> None:
    digests = {hac.decode(payload, silent, threads).digest() for threads in (1, 2, 5)}
    assert digests == {payload.header.scene_sha256}


def test_block_size_does_not_change_a_decoded_value(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=10)
    scene = make_scene(500, 2)
    digests, blocks = set(), []
    for size in (65_536, 128, 33):
        given = hac.Given(views=small_views())
        coded = hac.encode(scene, hac.Options(block_size=size), silent, given)
        digests.add(coded.reconstruction.digest())
        blocks.append(1 + max(s.block for s in coded.payload.streams))
    assert len(digests) == 1
    assert blocks == [1, 4, 16]


@pytest.mark.parametrize("count", [1, 2, 30])
def test_a_tiny_scene_is_never_larger_than_raw(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=10)
    scene = make_scene(count, 0)
    sizes = {method: len(gscodec.encode(scene, method)) for method in ("hac", "raw")}
    assert sizes["hac"] <= sizes["raw"] + 64  # of settings in the meta chunk


def test_what_the_lattice_cannot_hold_falls_back_to_raw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    set_defaults(monkeypatch)  # small views
    scene = make_scene(600, 0)
    means = scene.means * np.float32(1e-6)
    means[:60, 0] = np.linspace(0, 1e6, 60)
    encoded = gscodec.encode_with_report(replace(scene, means=means), "hac")
    assert gaussians(gscodec.decode(encoded.data)).means.tobytes() == means.tobytes()
    assert "method raw instead of hac: positions need" in encoded.notes[0]


def test_the_depth_of_the_octree_can_be_chosen(payload: Payload) -> None:
    file = unpack((VECTORS / "hac" / "mic_6000_sh2_depth_6.gsz").read_bytes())
    assert file.header.position_bits == 6
    cells = np.unique(gaussians(hac.decode(file, silent)).means, axis=0)
    assert len(cells) < 6000  # Gaussians share cells, and all are kept
    assert payload.header.position_bits > 6
    sizes = [len(s.data) for s in file.streams if s.attribute is Attribute.POSITION]
    assert sizes[0] < 6000


def test_a_file_that_does_not_decode_is_the_encoders_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def damaged(payload: Payload) -> bytes:
        header = replace(payload.header, scene_sha256=b"x" * 32)
        return pack(replace(payload, header=header))

    monkeypatch.setattr("gscodec.codec.pack", damaged)
    with pytest.raises(VerifyError, match="cannot be decoded: decoded scene: SHA-256"):
        gscodec.encode(make_scene(10, 0), "raw")
