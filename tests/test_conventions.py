"""One near plane for a scene, whatever its units; what cameras see nothing of is not measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gscodec
from anchors import make_anchor_scene
from gscodec.camera import Camera, TargetViews
from gscodec.errors import SceneError, UsageError
from quick import set_defaults
from scenes import gaussians, make_scene, scaled

pytest.importorskip("numba")

from gscodec.fit.views import choose_views
from gscodec.render import render
from gscodec.render.conventions import conventions_of
from gscodec.render.quality import psnr
from gscodec.render.scene import picture_of
from gscodec.render.splat import INRIA

TURN = np.diag([-1.0, 1.0, -1.0, 1.0])  # of a camera: to look the other way
SCENE = make_scene(400, 1, seed=2)
SCENE = replace(SCENE, log_scales=SCENE.log_scales + np.float32(1.5))


def cameras(size: float = 1.0, count: int = 4) -> tuple[Camera, ...]:
    """Around scenes of `make_scene`, of which ``size`` is the unit."""
    found = []
    for angle in np.linspace(0, 6, count):
        c, s = np.cos(angle), np.sin(angle)
        view = np.eye(4)
        view[:3, :3] = [[c, 0, -s], [0, 1, 0], [s, 0, c]]
        view[2, 3] = 6 * size
        found.append(Camera(48, 40, 40.0, 40.0, 24.0, 20.0, view))
    return tuple(found)


def test_scenes_of_ordinary_size_have_the_near_plane_of_the_first_code() -> None:
    """Also what holds nothing to measure."""
    broken = replace(SCENE, means=np.full_like(SCENE.means, np.nan))
    for scene in (SCENE, scaled(SCENE, 100), make_scene(0), broken, make_anchor_scene(50)):
        assert conventions_of(scene) == INRIA


@pytest.mark.parametrize("size", [1e-2, 1e-4])
def test_small_scenes_look_as_they_would_if_they_were_larger(size: float) -> None:
    assert conventions_of(scaled(SCENE, size)).near_plane < 0.01
    for small, large in zip(cameras(size), cameras(), strict=True):
        found = render(scaled(SCENE, size), small)
        assert psnr(found, render(SCENE, large)) > 60
        assert found.max() > 0.1


def test_anchors_have_a_near_plane_by_their_size_too() -> None:
    scene, size = make_anchor_scene(200), np.float32(1e-3)
    small = replace(
        scene, anchors=scene.anchors * size, log_scalings=scene.log_scalings + np.log(size)
    )
    assert conventions_of(small).near_plane < 0.01
    assert picture_of(small, cameras(1e-3)[0]).shows


def test_floaters_do_not_decide_the_near_plane() -> None:
    """Nor does the order of the Gaussians, of which those of large scenes are not all asked."""
    small = scaled(make_scene(70_000, 0), 1e-2)
    near = conventions_of(small).near_plane
    means = small.means.copy()
    means[::50] *= 1e5
    for other in (replace(small, means=means), small.take(np.arange(70_000)[::-1])):
        assert conventions_of(other).near_plane == pytest.approx(near, rel=0.1)


def test_values_without_bound_are_drawn() -> None:
    """Opacities of plus and minus infinity, and scales of zero: flat Gaussians."""
    logits, scales = SCENE.opacity_logits.copy(), SCENE.log_scales.copy()
    logits[::3], logits[1::3], scales[::2, 0], scales[::5] = np.inf, -np.inf, -np.inf, -np.inf
    scene = replace(SCENE, opacity_logits=logits, log_scales=scales)
    for antialiased in (False, True):
        for camera in cameras():
            picture = picture_of(replace(scene, antialiased=antialiased), camera)
            assert picture.shows
            assert np.isfinite(picture.image).all()
            for gradient in picture.backward(np.ones_like(picture.image)):
                assert np.isfinite(gradient).all()


# --- views of an encoder ------------------------------------------------------------------


def turned(views: tuple[Camera, ...]) -> tuple[Camera, ...]:
    return tuple(replace(c, world_to_camera=TURN @ c.world_to_camera) for c in views)


@pytest.mark.parametrize("effort", ["fast", "high"])
def test_views_that_see_nothing_are_left_out_with_their_photographs(effort: str) -> None:
    given = (*turned(cameras())[:3], *cameras())
    photographs = tuple(np.full((40, 48, 3), k, np.float16) for k in range(7))
    views = choose_views(SCENE, TargetViews(given, photographs), effort)
    assert views.cameras == given[3:]
    assert views.photographs == photographs[3:]
    assert views.notes == ("left out 3 of 7 views that show nothing",)
    assert choose_views(SCENE, TargetViews(cameras()), effort).notes == ()


def test_views_of_which_none_sees_anything_are_refused() -> None:
    of_anchors: dict[str, Any] = {"effort": "high"}
    for scene, kind in ((SCENE, {}), (make_anchor_scene(100), of_anchors)):
        with pytest.raises(
            SceneError, match="views: none of 4 cameras sees anything, expected"
        ):
            gscodec.encode(scene, views=TargetViews(turned(cameras())), **kind)


@pytest.fixture
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=30, raw_below=0)


@pytest.mark.usefixtures("quick_fit")
def test_a_wanted_psnr_is_reached_in_any_unit_and_nowhere_without_views() -> None:
    """What is decoded is measured with the near plane of the source."""
    views = TargetViews(cameras(1e-2))
    small = scaled(SCENE, 1e-2)
    found = gaussians(gscodec.decode(gscodec.encode(small, views=views, target_psnr=34.0)))
    how = conventions_of(small)
    ratios = [
        psnr(render(small, c, conventions=how), render(found, c, conventions=how))
        for c in views.cameras
    ]
    assert np.mean(ratios) == pytest.approx(34, abs=0.5)
    invisible = replace(small, opacity_logits=np.full_like(small.opacity_logits, -9))
    with pytest.raises(UsageError, match="no view shows anything"):
        gscodec.encode(invisible, target_psnr=34.0)


@pytest.mark.usefixtures("quick_fit")
def test_small_scenes_are_coded_as_well_as_others() -> None:
    ratios = []
    for size in (1.0, 1e-2):
        scene = scaled(SCENE, size)
        found = gaussians(gscodec.decode(gscodec.encode(scene)))
        pairs = [(render(scene, c), render(found, c)) for c in cameras(size)]
        ratios.append(np.mean([psnr(*pair) for pair in pairs]))
    assert ratios[1] == pytest.approx(ratios[0], abs=1)


def test_few_gaussians_are_learned_in_fewer_iterations() -> None:
    """One of them took as long as a whole scene."""
    pytest.importorskip("torch")
    from gscodec.fit.hac import settings

    def taken(count: int) -> int:
        return settings(count, 1000, seed=0, device="cpu", threads=1).iterations

    assert taken(1) < 100
    assert taken(64) == 500
    assert taken(128) == taken(10**6) == 1000
