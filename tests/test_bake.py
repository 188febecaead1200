"""Anchor scenes to Gaussians: averages that are exact where they can be, and the descent."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from anchors import make_anchor_scene
from gscodec.anchors import AnchorScene, Perceptron, RenderingNetworks
from gscodec.bake import views
from gscodec.bake.average import average, watch
from gscodec.bake.baking import bake
from gscodec.bake.views import _AROUND, views_of
from gscodec.camera import Camera
from gscodec.errors import SceneError, UsageError
from gscodec.fit.bake_descent import descend
from gscodec.render import render
from gscodec.render.neural import generate
from gscodec.render.quality import psnr
from gscodec.render.splat import INRIA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def around(count: int, edge: int = 48, distance: float = 5.0) -> list[Camera]:
    """Cameras on a ring that rises and falls, all looking at the middle."""
    cameras = []
    for angle in np.linspace(0, 2 * np.pi, count, endpoint=False):
        place = np.array([np.cos(angle), 0.5 * np.sin(2 * angle), np.sin(angle)])
        forward = -place / np.linalg.norm(place)
        right = np.cross([0.0, 1.0, 0.0], forward)
        right /= np.linalg.norm(right)
        view = np.eye(4)
        view[:3, :3] = [right, np.cross(forward, right), forward]
        view[:3, 3] = -view[:3, :3] @ (-distance * forward)
        cameras.append(Camera(edge, edge, edge, edge, edge / 2, edge / 2, view))
    return cameras


def constant(value: Sequence[float], inputs: int) -> Perceptron:
    """A network that says the same whatever it is asked."""
    bias = np.array(value, np.float32)
    weight = np.zeros((len(bias), 4), np.float32)
    return Perceptron(np.zeros((4, inputs), np.float32), np.zeros(4, np.float32), weight, bias)


def solid() -> AnchorScene:
    """Gaussians that look the same from everywhere, of two offsets; a third is never there."""
    rng = np.random.default_rng(0)
    shapes = [*(0.5, -0.3, -1.0), *(0.9, 0.1, -0.2, 0.3)]
    return AnchorScene(
        anchors=rng.uniform(-0.8, 0.8, (60, 3)).astype(np.float32),
        features=np.zeros((60, 8), np.float32),
        log_scalings=np.full((60, 6), np.log(0.2), np.float32),
        offsets=rng.normal(0, 0.3, (60, 3, 3)).astype(np.float32),
        masks=None,
        networks=RenderingNetworks(
            opacity=constant([0.6, -0.5, 1.5], 11),
            covariance=constant(3 * shapes, 11),
            color=constant([2, -1, 0, 0, 0, 0, -2, 1, 0.5], 11),
        ),
    )


def nothing(*_: Any) -> None:
    """Hears progress."""


def quality(scene: AnchorScene, other: Any, cameras: Sequence[Camera]) -> float:
    pairs = ((render(scene, c), render(other, c)) for c in cameras)
    return float(np.mean([psnr(np.clip(a, 0, 1), np.clip(b, 0, 1)) for a, b in pairs]))


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_what_looks_the_same_from_everywhere_is_kept(degree: int) -> None:
    """Averages of equal things are exact, and unseen directions have no colour of their own."""
    scene, cameras = solid(), around(20)
    baked = average(scene, watch(scene, cameras, INRIA, nothing), degree, nothing)
    assert len(baked) == 120
    assert baked.sh_degree == degree
    assert np.abs(baked.sh_rest).max(initial=0) < 0.02
    first = np.tanh(np.array([0.6, 1.5], np.float32))
    logits = np.tile(np.log(first / (1 - first)), 60)
    assert baked.opacity_logits == pytest.approx(logits, abs=1e-3)
    assert quality(scene, baked, around(7)) > 55
    wanted = np.sort(np.log(0.2 / (1 + np.exp([-0.5, 0.3, 1.0]))))
    assert np.abs(np.sort(baked.log_scales, axis=1) - wanted).max() < 1e-3


def test_colours_that_turn_with_the_view_become_sh() -> None:
    """Logits linear in the direction, through both sides of the ReLU."""
    scene = solid()
    sides = np.zeros((4, 11), np.float32)
    sides[:2, 8], sides[2:, 10] = (1, -1), (1, -1)
    signs = np.array([[1, -1, 0, 0], [0, 0, 1, -1], [-1, 1, 1, -1]], np.float32)
    turning = replace(
        scene.networks.color, hidden_weight=sides, out_weight=np.tile(signs, (3, 1))
    )
    scene = replace(scene, networks=replace(scene.networks, color=turning))
    sights = watch(scene, around(40), INRIA, nothing)
    flat, first, third = (
        quality(scene, average(scene, sights, degree, nothing), around(7))
        for degree in (0, 1, 3)
    )
    assert flat < 30 < first
    assert third > 38


def test_means_are_where_offsets_put_them() -> None:
    scene, cameras = make_anchor_scene(200), around(8)
    sights = watch(scene, cameras, INRIA, nothing)
    baked = average(scene, sights, 1, nothing)
    index = np.unique(np.concatenate([s.index for s in sights]))
    places = scene.anchors[:, None] + scene.offsets * np.exp(scene.log_scalings[:, None, :3])
    assert np.abs(baked.means - places.reshape(-1, 3)[index]).max() < 1e-6


def test_offsets_that_come_and_go_are_less_opaque(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that takes the direction: half of the views see nothing."""
    scene = solid()
    turning = replace(
        scene.networks.opacity,
        hidden_weight=np.pad(np.array([[0, 0, 3]], np.float32), ((0, 3), (8, 0))),
        out_weight=np.pad(np.ones((3, 1), np.float32), ((0, 0), (0, 3))),
        out_bias=np.array([-0.5, -9, -9], np.float32),
    )
    scene = replace(scene, networks=replace(scene.networks, opacity=turning))
    cameras = around(16)
    there = [len(generate(scene, camera, INRIA.near_plane).index) for camera in cameras]
    assert 0 in there
    assert max(there) == 60
    sights = watch(scene, cameras, INRIA, nothing)

    def opacities() -> NDArray[np.float64]:
        logits = average(scene, sights, 0, nothing).opacity_logits.astype(np.float64)
        return 1 / (1 + np.exp(-logits))

    found = opacities()
    monkeypatch.setattr("gscodec.bake.average._ABSENT", 0.0)
    shown = opacities()  # the mean over views in which they are
    assert (found < shown).mean() > 0.9
    assert 0.3 * shown.mean() < found.mean() < 0.9 * shown.mean()


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make_anchor_scene(100)
    sights = watch(scene, around(6), INRIA, nothing)
    whole = average(scene, sights, 2, nothing)
    monkeypatch.setattr("gscodec.bake.average._ANCHORS", 7)
    pieces = average(scene, sights, 2, nothing)
    for name, values in whole.attributes().items():
        assert np.abs(values - pieces.attributes()[name]).max() < 1e-4, name


def test_the_descent_brings_views_nearer_that_it_has_not_seen() -> None:
    scene, cameras = make_anchor_scene(300), around(24)
    start = average(scene, watch(scene, cameras, INRIA, nothing), 3, nothing)
    end = descend(scene, start, cameras, INRIA, iterations=60, seed=0, progress=nothing)
    others = around(9, distance=5.3)
    assert quality(scene, end, others) > quality(scene, start, others) + 2
    assert np.array_equal(start.means, end.means)
    assert end.has_normals


def test_a_large_picture_is_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Odd sizes too; together the pieces are the picture."""
    from gscodec.fit.bake_descent import _pieces

    monkeypatch.setattr("gscodec.fit.bake_descent._EDGE", 20)
    scene = make_anchor_scene(200)
    camera = replace(around(1)[0], width=47, height=33)
    parts = [render(scene, piece) for piece in _pieces(camera)]
    assert len(parts) == 6
    rows = [np.concatenate(parts[k : k + 3], axis=1) for k in (0, 3)]
    whole: NDArray[np.float32] = np.concatenate(rows)
    assert whole.shape == (33, 47, 3)
    assert psnr(whole, render(scene, camera)) > 40  # anchors at the rim are left out sooner


def test_baking_tells_what_it_did() -> None:
    scene, heard = make_anchor_scene(150), []
    baked = bake(scene, around(8), iterations=5, progress=lambda *a: heard.append(a))
    assert {stage for stage, _ in heard} == {"look", "average", "descend"}
    assert all(0 < share <= 1 for _, share in heard)
    assert len(baked.scene) + baked.unseen == 450
    assert baked.psnr == pytest.approx(quality(scene, baked.scene, around(8)))
    assert baked.note == "fitted to renders of 8 given cameras"


def test_baking_finds_cameras_and_repeats_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_SIZE", (120, 90))
    monkeypatch.setattr(views, "_EDGE", 100)
    scene = make_anchor_scene(60)
    first, second = (bake(scene, (), iterations=2, progress=nothing) for _ in range(2))
    assert first.note.endswith(" virtual cameras")
    assert first.scene.digest() == second.scene.digest()
    assert first.psnr is not None


def test_an_object_is_looked_at_from_all_around_too() -> None:
    """From afar, where it is in the picture as a whole."""
    scene = make_anchor_scene(100)
    cameras = views_of(scene)
    afar = cameras[-_AROUND:]
    assert len(cameras) > _AROUND
    places = np.array([camera.centre for camera in afar])
    core = places.mean(axis=0)  # of a sphere
    assert np.ptp(np.linalg.norm(places - core, axis=1)) < 0.1
    for camera in afar:
        x, y, z = camera.world_to_camera[:3, :3] @ core + camera.world_to_camera[:3, 3]
        assert abs(x) < 0.05 * z
        assert abs(y) < 0.05 * z
        assert generate(scene, camera, INRIA.near_plane).index.size


@pytest.mark.parametrize("n", [0, 3])
def test_scenes_in_which_nothing_is_seen(n: int) -> None:
    scene = make_anchor_scene(n)
    scene = replace(scene, masks=np.zeros((n, 3), np.bool_))
    baked = bake(scene, (), progress=nothing)
    assert (len(baked.scene), baked.unseen) == (0, 3 * n)
    assert baked.scene.sh_degree == 3
    with pytest.raises(SceneError, match="views: none of 2 cameras sees anything"):
        bake(scene, around(2), progress=nothing)


def test_an_sh_degree_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="sh_degree: found 4"):
        bake(make_anchor_scene(3), (), sh_degree=4, progress=nothing)
