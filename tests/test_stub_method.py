"""A new method is one module and a row of the registry: everything else comes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

import gscodec
from anchors import make_anchor_scene, small_views
from frozen import visible
from gscodec import codec, methods
from gscodec.codec import bit_map, encode_with_report
from gscodec.container import unpack
from gscodec.payload import Method
from scenes import silent

if TYPE_CHECKING:
    from gscodec.anchors import AnchorScene
    from gscodec.scene import GaussianScene

pytest.importorskip("torch")
pytest.importorskip("numba")

SCENES: dict[str, GaussianScene | AnchorScene] = {
    "Gaussians": visible(300, 1),
    "anchors": make_anchor_scene(300, masked=True),
}
OPTIONS: dict[str, Any] = {"lam": 1e-3, "round_length": 5, "raw_below": 0, "block_size": 128}
HIGH: dict[str, Any] = {"effort": "high", "iterations": 12}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its written name is not that of its module."""
    monkeypatch.setitem(
        methods.REGISTRY, Method.RALHE, methods.Entry("stub-law", "stub_method")
    )


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> GaussianScene | AnchorScene:
    return SCENES[request.param]


def encode(scene: GaussianScene | AnchorScene, **options: Any) -> codec.Encoded:
    chosen = {**OPTIONS, "views": small_views(), **options}
    return encode_with_report(scene, "stub-law", **chosen)


def test_it_is_listed() -> None:
    assert methods.names() == ("raw", "hac", "hemgs", "stub-law", "predict-gs")
    with pytest.raises(
        gscodec.errors.UsageError,
        match="expected one of auto, raw, hac, hemgs, stub-law, predict-gs",
    ):
        methods.by_name("stub_method")


def test_it_encodes_and_decodes(scene: GaussianScene | AnchorScene) -> None:
    made = encode(scene)
    inspected = gscodec.inspect(made.data)
    assert inspected.header.method is Method.RALHE
    assert cast("dict[str, object]", inspected.to_json()["header"])["method"] == "stub-law"
    for threads in (1, 3):
        found = gscodec.decode(made.data, threads=threads)
        assert found.digest() == made.reconstruction.digest()
    assert len(made.data) < len(gscodec.encode(scene, "raw"))


def test_its_bits_are_mapped(scene: GaussianScene | AnchorScene) -> None:
    data = encode(scene).data
    found = bit_map(data)
    assert len(found) == len(gscodec.decode(data))
    assert all(np.isfinite(bits).all() for bits in found.bits.values())
    total = sum(float(bits.sum()) for bits in found.bits.values()) + sum(found.shared.values())
    size = sum(len(stream.data) for stream in unpack(data).streams)
    assert total / 8 == pytest.approx(size, rel=0.05)


@pytest.mark.parametrize("size", [65_536, 200])
def test_it_has_a_wanted_size(scene: GaussianScene | AnchorScene, size: int) -> None:
    """Also where what is around many streams is as large as what is in them."""
    more = scene.take(np.arange(3000) % len(scene))
    whole: dict[str, Any] = {"block_size": size}
    wanted = round(0.9 * len(encode(more, **whole).data))
    found = len(encode(more, **whole, target_bytes=wanted).data)
    assert found == pytest.approx(wanted, rel=0.03)


def test_it_is_resumed(scene: GaussianScene | AnchorScene) -> None:
    states: list[bytes] = []
    whole = encode(scene, **HIGH, checkpoint=states.append)
    assert encode(scene, **HIGH, resume=states[1]).data == whole.data


def test_it_keeps_the_contract(scene: GaussianScene | AnchorScene) -> None:
    module = methods.by_name("stub-law")
    options, given = module.Options(**OPTIONS), module.Given(views=small_views())
    module.require(options)
    coded = module.encode(scene, options, silent, given)
    assert module.decode(coded.payload, silent).digest() == coded.reconstruction.digest()
    assert len(module.spent(coded.payload, silent)) == len(coded.reconstruction)
