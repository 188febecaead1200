"""Effort high on anchors, and what effort fast decides about them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gscodec
from anchors import make_anchor_scene, small_views
from gscodec import codec
from gscodec.anchors import AnchorScene, Storage
from gscodec.errors import SceneError
from quick import PAIR, set_defaults

if TYPE_CHECKING:
    from gscodec.camera import TargetViews

pytest.importorskip("torch")
pytest.importorskip("numba")

LAM = 2e-2


@pytest.fixture(autouse=True)
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are trained for a moment only, and tiny scenes stay with hac."""
    set_defaults(monkeypatch, training=30, round_length=30, raw_below=0)


def error(a: AnchorScene, b: AnchorScene, views: TargetViews) -> float:
    """Mean squared difference of what the views show."""
    from gscodec.render import render

    found = [(render(a, c) - render(b, c)) ** 2 for c in views.cameras]
    return float(np.mean(found))


@pytest.mark.parametrize("method", PAIR)
def test_high_costs_less_in_error_and_bits_together(method: str) -> None:
    from gscodec.fit.anchors import price

    scene, views = make_anchor_scene(300, 12, 4), small_views()
    cost = {}
    efforts: list[dict[str, Any]] = [
        {"effort": "fast"},
        {"effort": "high", "iterations": 150},
    ]
    for options in efforts:
        effort = options["effort"]
        made = codec.encode_with_report(scene, method, lam=LAM, views=views, **options)
        back = made.reconstruction
        assert isinstance(back, AnchorScene)
        bits = 8 * len(made.data) * price(LAM, scene)
        cost[effort] = error(scene, back, views) + bits
        assert gscodec.decode(made.data).digest() == back.digest()
    assert cost["high"] < cost["fast"]


@pytest.mark.parametrize("kind", ["bank", "appearance", "masked", "distance"])
def test_high_knows_every_kind_of_network(kind: str) -> None:
    storage = Storage.HAC if kind == "masked" else Storage.TORCHSCRIPT
    kinds: dict[str, object] = {
        "bank": {"bank": True},
        "appearance": {"appearance": 3},
        "masked": {"masked": True, "storage": storage},
        "distance": {"distance": True},
    }
    options = kinds[kind]
    assert isinstance(options, dict)
    scene = make_anchor_scene(50, 8, 3, **options)
    made = codec.encode_with_report(
        scene, lam=LAM, effort="high", iterations=8, views=small_views()
    )
    back = gscodec.decode(made.data)
    assert isinstance(back, AnchorScene)
    weights = zip(back.networks.arrays(), scene.networks.arrays(), strict=True)
    assert any(not np.array_equal(a, b) for a, b in weights)
    if scene.masks is not None:
        assert back.masks is not None
        assert not (back.masks.sum() > scene.masks.sum())


def test_drawn_gaussians_without_an_offset_stay_where_there_are_masks() -> None:
    scene = make_anchor_scene(80, 8, 3, masked=True, storage=Storage.HAC)
    scene = replace(
        scene, offsets=np.zeros_like(scene.offsets), masks=np.ones((80, 3), np.bool_)
    )
    back = gscodec.decode(codec.encode(scene, lam=1e-4, views=small_views()))
    assert isinstance(back, AnchorScene)
    assert back.masks is not None
    from gscodec.fit.anchors import highest_opacities

    drawn = int((highest_opacities(scene) > 0.05).sum())
    assert drawn > 0
    assert int(back.masks.sum()) >= 0.9 * drawn


def test_scalings_of_offsets_are_made_up_for() -> None:
    from gscodec.fit.anchors import make_up_for_scalings

    rng = np.random.default_rng(0)
    scalings, offsets = rng.normal(0, 1, (20, 6)), rng.normal(0, 1, (20, 12))
    decoded = scalings + rng.uniform(-0.3, 0.3, scalings.shape)
    *_, found = make_up_for_scalings([scalings, offsets], decoded)
    before = offsets.reshape(20, 4, 3) * np.exp(scalings)[:, None, :3]
    after = found.reshape(20, 4, 3) * np.exp(decoded)[:, None, :3]
    np.testing.assert_allclose(after, before, rtol=1e-12)


def test_a_spent_time_limit_ends_the_work() -> None:
    scene = make_anchor_scene(40, 8, 3)
    made = codec.encode_with_report(
        scene, lam=LAM, effort="high", time_limit=1e-3, views=small_views()
    )
    assert gscodec.decode(made.data).digest() == made.reconstruction.digest()


@pytest.mark.parametrize("effort", ["fast", "high"])
def test_a_wanted_size_is_met(effort: str) -> None:
    """As of Gaussians; in effort high after settling."""
    scene = make_anchor_scene(400, 12, 4)
    more: dict[str, Any] = {"effort": effort}
    more |= {"iterations": 20} if effort == "high" else {}
    wanted = 15_000
    made = gscodec.encode(scene, lam=LAM, views=small_views(), target_bytes=wanted, **more)
    assert abs(len(made) - wanted) <= 0.03 * wanted


def test_a_wanted_psnr_is_met() -> None:
    """Of so many anchors that none of them alone decides a tenth of a dB."""
    scene, views = make_anchor_scene(600, 12, 4), small_views()
    usual = codec.encode_with_report(scene, "hemgs", lam=1e-2, views=views)
    quality = usual.report["quality"]
    assert isinstance(quality, dict)
    wanted = quality["mean_psnr"]
    made = codec.encode_with_report(scene, "hemgs", lam=LAM, views=views, target_psnr=wanted)
    found = made.report["quality"]
    assert isinstance(found, dict)
    assert abs(found["mean_psnr"] - wanted) <= 0.11


@pytest.mark.parametrize("method", PAIR)
def test_a_resumed_run_ends_with_the_same_bytes(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks are in its state too."""
    set_defaults(monkeypatch, round_length=6)
    scene, states = make_anchor_scene(100, 8, 3, masked=True, appearance=2), list[bytes]()
    high: dict[str, Any] = {"effort": "high", "iterations": 15, "views": small_views()}
    whole = gscodec.encode(scene, method, lam=LAM, **high, checkpoint=states.append)
    assert len(states) >= 4
    for state in states[1:3]:
        assert gscodec.encode(scene, method, lam=LAM, **high, resume=state) == whole
    other = make_anchor_scene(100, 8, 3, masked=True, appearance=2, seed=1)
    with pytest.raises(SceneError, match="the state of another scene"):
        gscodec.encode(other, method, lam=LAM, **high, resume=states[1])
