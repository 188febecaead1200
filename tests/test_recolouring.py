"""Colours that make up for what coding changes elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gscodec
from gscodec.camera import Camera, TargetViews
from quick import set_defaults
from scenes import gaussians, make_scene

pytest.importorskip("torch")
pytest.importorskip("numba")

from gscodec.fit import gaussian_subject, recolouring, views
from gscodec.fit.recolouring import MORE_STAGES, STAGES, recoloured
from gscodec.fit.views import choose_views
from gscodec.intnet.neighbours import TURNS
from gscodec.render import render
from gscodec.render.conventions import conventions_of
from gscodec.render.scene import activate, picture_of
from gscodec.render.splat import project, rasterize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.render.splat import Gaussians, Picture
    from gscodec.scene import GaussianScene

N = 200


def camera(x: float) -> Camera:
    """Looks along z at the origin."""
    view = np.eye(4)
    view[:3, 3] = (x, 0, 5)
    return Camera(50, 44, 40.0, 40.0, 25.0, 22.0, view)


CAMERAS = [camera(x) for x in np.linspace(-0.9, 0.9, 12)]


@pytest.fixture(scope="module")
def scene() -> GaussianScene:
    """Translucent and bright, so that blending stops nowhere and no colour is clamped."""
    base = make_scene(N, 1, seed=4)
    scales = np.full((N, 3), -1.6, np.float32)
    logits = np.full(N, -1.0, np.float32)
    rest = np.clip(base.sh_rest, -0.2, 0.2)
    dc = np.abs(base.sh_dc) + 1
    return replace(base, log_scales=scales, opacity_logits=logits, sh_dc=dc, sh_rest=rest)


def squared_error(a: GaussianScene, b: GaussianScene, cameras: list[Camera]) -> float:
    """Mean over pictures."""
    return float(np.mean([np.mean((render(a, c) - render(b, c)) ** 2) for c in cameras]))


def found_for(
    scene: GaussianScene,
    cameras: list[Camera],
    source: GaussianScene,
    steps: int = 3,
    free: NDArray[np.bool_] | None = None,
) -> NDArray[np.float32]:
    """Colours with which ``scene`` is like ``source``; all are ``free`` if not told."""
    how = conventions_of(source)
    moving = np.ones(len(scene), np.bool_) if free is None else free
    return recoloured(
        scene,
        cameras,
        how,
        lambda camera: render(source, camera),
        lambda _: None,
        free=moving,
        steps=steps,
    )


def test_what_is_lacking_is_gathered_by_the_weights_of_blending(scene: GaussianScene) -> None:
    """As the gradient of half the squared error by colours; and weights times their sums."""
    how, view = conventions_of(scene), CAMERAS[3]
    picture = picture_of(scene, view)
    target = np.linspace(0, 1, picture.image.size, dtype=np.float32)
    target = target.reshape(picture.image.shape)
    found = project(activate(scene), view, how).lacking(target)
    moments = picture.moments(target - picture.image)
    np.testing.assert_allclose(found[:, :3], moments[:, 6:9], rtol=1e-4, atol=1e-4)
    shared = picture.projection.presence(target[..., 0], None)[1][:, 1]
    np.testing.assert_allclose(found[:, 3], shared, rtol=1e-4, atol=1e-4)


def test_colours_that_were_changed_are_found_again(
    scene: GaussianScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The more steps, the less error is left, though never much of what nobody sees."""
    rng = np.random.default_rng(1)
    noise = rng.normal(scale=0.1, size=scene.sh_dc.shape).astype(np.float32)
    changed = replace(scene, sh_dc=scene.sh_dc + noise)
    left = [squared_error(scene, changed, CAMERAS)]
    monkeypatch.setattr(recolouring, "_RIDGE", 0.0)
    for steps in (1, 3, 12):
        mended = replace(changed, sh_dc=found_for(changed, CAMERAS, scene, steps))
        left.append(squared_error(scene, mended, CAMERAS))
    assert left == sorted(left, reverse=True)
    assert left[-1] < 0.02 * left[0]


def test_nothing_moves_where_nothing_is_wrong_or_seen(scene: GaussianScene) -> None:
    """Also of a scene that no camera looks at."""
    np.testing.assert_allclose(found_for(scene, CAMERAS, scene), scene.sh_dc, atol=1e-5)
    away = [camera(1000.0)]
    dark = replace(scene, sh_dc=scene.sh_dc - 0.5)
    np.testing.assert_array_equal(found_for(dark, away, scene), dark.sh_dc)


def test_few_views_move_little(scene: GaussianScene) -> None:
    """What one view shows may be seen otherwise by others."""
    dark = replace(scene, sh_dc=scene.sh_dc - 0.5)
    few, many = (np.abs(found_for(dark, c, scene) - dark.sh_dc) for c in (CAMERAS[:1], CAMERAS))
    assert few.mean() < 0.5 * many.mean()


def test_some_make_up_for_how_others_are_rounded(scene: GaussianScene) -> None:
    """Those that do not move are what they decode to; with every stage less error is left."""

    def rounded(colours: NDArray[np.float32]) -> GaussianScene:
        return replace(scene, sh_dc=0.3 * np.rint(colours / np.float32(0.3)))

    left, colours = [], scene.sh_dc
    for stage in MORE_STAGES:
        is_now, free = rounded(colours).sh_dc, stage.free(N)
        before = replace(scene, sh_dc=np.where(free[:, None], colours, is_now))
        colours = found_for(before, CAMERAS, scene, stage.steps, free)
        np.testing.assert_array_equal(colours[~free], is_now[~free])
        left.append(squared_error(scene, rounded(colours), CAMERAS))
    assert left == sorted(left, reverse=True)
    assert left[-1] < 0.6 * left[0]


def test_rows_of_the_last_turn_are_the_last_to_look_for_colours() -> None:
    """Each stage fewer of those of the stage before."""
    last = np.zeros(200, np.bool_)
    last[TURNS[-1]] = True
    for stages in (STAGES, MORE_STAGES):
        before = np.ones(200, np.bool_)
        for stage in stages:
            free = stage.free(200)
            assert free.sum() == 200 // stage.one_in
            assert not (free & ~before).any()
            assert stage.one_in == 1 or not (free & ~last).any()
            before = free


def test_effort_fast_makes_up_for_what_it_rounds(
    scene: GaussianScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less error, in views that it has not seen too; nothing but colours is another."""
    set_defaults(monkeypatch, training=20, raw_below=0)
    given = TargetViews(tuple(CAMERAS[::2]))

    def made() -> GaussianScene:
        found = gscodec.encode_with_report(scene, "hac", lam=1e-2, views=given)
        return gaussians(found.reconstruction)

    after = made()
    monkeypatch.setattr(gaussian_subject, "STAGES", ())
    before = made()
    np.testing.assert_array_equal(before.log_scales, after.log_scales)
    for cameras in (CAMERAS[::2], CAMERAS[1::2]):
        assert squared_error(scene, after, cameras) < 0.9 * squared_error(
            scene, before, cameras
        )


def test_targets_are_drawn_once(scene: GaussianScene, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often colours are looked for; a copy of the views with another source draws anew."""
    seen = choose_views(scene, TargetViews(tuple(CAMERAS)), "fast")
    drawn: list[Camera] = []

    def counted(gaussians: Gaussians, camera: Camera, **more: Any) -> Picture:
        drawn.append(camera)
        return rasterize(gaussians, camera, **more)

    monkeypatch.setattr(views, "rasterize", counted)
    for _ in range(2):
        for camera in seen.pruning:
            np.testing.assert_array_equal(seen.shows(camera), render(scene, camera))
    assert drawn == list(seen.pruning)
    dark = replace(scene, sh_dc=scene.sh_dc - 0.5)
    other = replace(seen, scene=dark)
    np.testing.assert_array_equal(other.shows(CAMERAS[0]), render(dark, CAMERAS[0]))


def test_weights_are_found_again_where_rows_nearly_begin() -> None:
    """Reaches end within a rounding of a row; W^T W c, times c, is the square of the picture."""
    count, rng = 20_000, np.random.default_rng(0)
    view = np.eye(4)
    view[:3, 3] = (0, 0, 5)
    scene = replace(
        make_scene(count, 0, seed=4),
        means=rng.uniform(-3, 3, (count, 3)).astype(np.float32),
        log_scales=rng.uniform(-5, -2, (count, 3)).astype(np.float32),
        opacity_logits=np.full(count, -3, np.float32),
    )
    projection = project(activate(scene), Camera(800, 600, 500.0, 500.0, 400.0, 300.0, view))
    splats, drawn = projection.splats.copy(), projection.depths > 0
    y, reach = splats[drawn, 1] + np.float32(0.5), splats[drawn, 9]
    splats[drawn, 9] = y - np.floor(y - reach - 1)  # further than alpha is seen
    colors = rng.uniform(0.1, 1, (count, 3)).astype(np.float32)
    coloured = replace(projection, splats=splats).recolored(colors)
    lacking = coloured.lacking(np.zeros((600, 800, 3), np.float32))[:, :3].astype(np.float64)
    picture = coloured.blend().image.astype(np.float64)
    found = (colors * lacking).sum(axis=0)
    assert np.allclose(found, -(picture**2).sum(axis=(0, 1)), rtol=1e-7)
