"""What is left out because it shows less than its bits are worth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gscodec
from gscodec.camera import Camera, TargetViews
from quick import set_defaults
from scenes import gaussians, make_scene

pytest.importorskip("torch")
pytest.importorskip("numba")

from gscodec.fit.gaussians import Prune
from gscodec.fit.pruning import Worth, pruned
from gscodec.fit.views import choose_views
from gscodec.render import render
from gscodec.render.conventions import conventions_of
from gscodec.render.scene import picture_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.scene import GaussianScene

N, HIDDEN = 300, 60


def camera(x: float) -> Camera:
    """Looks along z at the origin."""
    view = np.eye(4)
    view[:3, 3] = (x, 0, 5)
    return Camera(50, 44, 40.0, 40.0, 25.0, 22.0, view)


CAMERAS = [camera(x) for x in (-0.6, 0.0, 0.7)]


@pytest.fixture(scope="module")
def scene() -> GaussianScene:
    """Translucent, so that blending stops nowhere; the first ones hardly show."""
    base = make_scene(N, 1, seed=4)
    logits = np.full(N, -1.0, np.float32)
    logits[:HIDDEN] = -5
    scales = np.full((N, 3), -1.6, np.float32)
    return replace(base, opacity_logits=logits, log_scales=scales)


def test_cost_is_what_pictures_without_a_gaussian_tell(scene: GaussianScene) -> None:
    """As drawn without it, for every Gaussian: exact but for float32."""
    few = scene.take(np.arange(HIDDEN - 10, HIDDEN + 30))
    for view in CAMERAS[:2]:
        picture = picture_of(few, view)
        error = np.linspace(0.1, 0.3, picture.image.size, dtype=np.float32)
        error = error.reshape(picture.image.shape)
        behind = np.zeros(error.shape[:2], np.float32)
        again, found = picture.projection.presence(behind, picture.image - error)
        np.testing.assert_allclose(again.image, picture.image, rtol=1e-6)
        for row in range(len(few)):
            rest = few.take(np.delete(np.arange(len(few)), row))
            change = (render(rest, view) - picture.image).astype(np.float64)
            assert found[row, 0] == pytest.approx((change**2).sum(), rel=1e-3, abs=1e-8)
            assert found[row, 5] == pytest.approx((change * error).sum(), rel=1e-3, abs=1e-5)


def test_colours_are_wrong_by_the_error_that_pixels_share(scene: GaussianScene) -> None:
    """Of a picture that is too bright by one number, every colour is too bright by that."""
    picture = picture_of(scene, CAMERAS[0])
    cover = (1 - picture.transmittance)[..., None]
    error = 0.25 * cover * np.ones(3, np.float32)
    behind = np.zeros(error.shape[:2], np.float32)
    _, found = picture.projection.presence(behind, picture.image - error)
    seen = found[:, 1] > 1e-3
    assert seen.any()
    np.testing.assert_allclose(found[seen, 2:5] / found[seen, 1:2], 0.25, rtol=1e-3)


def squared_error(a: GaussianScene, b: GaussianScene) -> float:
    """Mean over the pictures of `CAMERAS`."""
    return float(np.mean([np.mean((render(a, c) - render(b, c)) ** 2) for c in CAMERAS]))


def test_what_hardly_shows_goes_and_the_rest_makes_up(scene: GaussianScene) -> None:
    """Before a wall: what shines through to nothing, no colours can make up for.

    They move so that less than half of the error is left.
    """
    scene = scene.take(np.append(np.arange(N), N - 1))
    scene.means[N:], scene.log_scales[N:], scene.opacity_logits[N:] = (0, 0, 3), 3, 9
    how = conventions_of(scene)
    shown: list[tuple[Camera, NDArray[np.float32]]] = []
    left, kept = pruned(
        scene,
        CAMERAS,
        how,
        _all(1e-7, N + 1),
        lambda _: None,
        lambda camera, picture: shown.append((camera, picture)),
    )
    assert len(shown) == len(CAMERAS)
    for view, seen in shown:
        np.testing.assert_array_equal(seen, render(scene, view))
    gone = np.setdiff1d(np.arange(N + 1), kept)
    assert len(left) == len(kept) < N + 1
    assert (gone < HIDDEN).sum() > 0.8 * HIDDEN
    error = squared_error(scene, left)
    assert error < 0.5 * squared_error(scene, scene.take(kept))
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh_rest"):
        np.testing.assert_array_equal(getattr(left, name), getattr(scene, name)[kept])


def test_nothing_goes_where_all_is_worth_its_bits(scene: GaussianScene) -> None:
    """Then nothing is to be made up for either."""
    left, kept = pruned(scene, CAMERAS, conventions_of(scene), _all(0.0, N), lambda _: None)
    assert len(kept) == N
    assert squared_error(scene, left) < 1e-12


def test_what_is_dark_before_nothing_is_kept_for_what_it_hides(scene: GaussianScene) -> None:
    """Of black Gaussians no picture over black would tell that they are there."""
    black = replace(scene, sh_dc=np.full((N, 3), -10, np.float32))
    assert not render(black, CAMERAS[0]).any()
    white = (1.0, 1.0, 1.0)
    _, kept = pruned(black, CAMERAS, conventions_of(black), _all(1e-7, N), lambda _: None)
    assert N // 2 < len(kept) < N
    for view in CAMERAS:
        whole, left = (render(s, view, background=white) for s in (black, black.take(kept)))
        assert np.mean((whole - left) ** 2) < 1e-2 * np.mean((1 - whole) ** 2)


def test_more_views_are_looked_through_in_turns(
    scene: GaussianScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only the last of them shows is kept."""
    from gscodec.fit import pruning

    monkeypatch.setattr(pruning, "_VIEWS", 1)
    both = scene.take(np.tile(np.arange(N), 2))
    both.means[:N, 0] += 100
    views = [*CAMERAS, camera(-100.0)]
    _, kept = pruned(both, views, conventions_of(scene), _all(1e-7, 2 * N), lambda _: None)
    for half in (kept[kept < N], kept[kept >= N]):
        assert N // 2 < len(half) < N


def test_many_are_drawn_along_a_curve_and_the_same_ones_go(
    scene: GaussianScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left is told by the rows that it was; values differ by the order of sums alone."""
    from gscodec.fit import pruning

    how, worth = conventions_of(scene), _all(1e-7, N)
    left, kept = pruned(scene, CAMERAS, how, worth, lambda _: None)
    monkeypatch.setattr(pruning, "_MOST_IN_ANY_ORDER", N - 1)
    again, rows = pruned(scene, CAMERAS, how, worth, lambda _: None)
    assert (np.diff(rows) < 0).any()
    order = np.argsort(rows)
    np.testing.assert_array_equal(rows[order], kept)
    np.testing.assert_array_equal(again.means, scene.means[rows])
    np.testing.assert_allclose(again.sh_dc[order], left.sh_dc, atol=1e-4)


def test_who_prunes_looks_through_more_virtual_views(scene: GaussianScene) -> None:
    """Besides those that sensitivity and quality are measured in, which stay the same."""
    few, more = (choose_views(scene, None, "fast", more=more) for more in (False, True))
    assert len(more.pruning) == 3 * len(few.pruning)
    for name in ("measuring", "judges"):
        for a, b in zip(getattr(few, name), getattr(more, name), strict=True):
            np.testing.assert_array_equal(a.world_to_camera, b.world_to_camera)


def test_efforts_prune_unless_all_is_to_be_kept(
    scene: GaussianScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the notes say so."""
    set_defaults(monkeypatch, training=20, raw_below=0, keep_all=False)
    views = TargetViews(tuple(CAMERAS))
    made = gscodec.encode_with_report(scene, "hac", lam=1e-2, views=views)
    whole = gscodec.encode_with_report(scene, "hac", lam=1e-2, views=views, keep_all=True)
    left = gaussians(made.reconstruction)
    assert len(whole.reconstruction) == N
    assert len(left) < N
    assert f"pruned {N - len(left)} of {N} Gaussians" in made.notes
    assert not any("pruned" in note for note in whole.notes)
    assert len(made.data) < len(whole.data)


def test_a_descent_leaves_more_out_the_more_views_it_aims_at() -> None:
    """Where few are aimed at, others may show what is hardly seen; colours make up for less."""
    scene = make_scene(50, 0)
    few, many = (_often(Prune.by_descent(views, 600).worth(scene, 1e-6)) for views in (8, 80))
    assert (few < many).all()
    small = replace(scene, opacity_logits=scene.opacity_logits - 20)  # nobody could see these
    colours, rounds, descent = (
        _often(prune.worth(small, 1e-6)).mean()
        for prune in (Prune.by_colours(72), Prune.by_rounds(72), Prune.by_descent(72, 600))
    )
    assert 0 < colours < rounds < descent


def test_a_descent_leaves_more_out_the_more_pictures_show_it() -> None:
    """It makes up for more there; where none does, colours alone do."""
    scene = make_scene(50, 0)
    scene = replace(scene, opacity_logits=scene.opacity_logits - 20)
    rows, worth = np.arange(50), Prune.by_descent(72, 600).worth(scene, 1e-6)
    never, seldom, often = (worth.of(rows, np.full(50, share)) for share in (0.0, 0.01, 1.0))
    np.testing.assert_array_equal(never, _often(Prune.by_colours(72).worth(scene, 1e-6)))
    assert (never < seldom).all()
    assert (seldom < often).all()
    short = _often(Prune.by_descent(72, 20).worth(scene, 1e-6))
    assert (never < short).all()
    assert (short < often).all()


def test_what_few_pictures_show_is_worth_less_the_less_a_descent_sees_of_it(
    scene: GaussianScene,
) -> None:
    """A third of the views show a third of the error: less leaves, unless all is mended."""
    away = replace(
        CAMERAS[1], world_to_camera=np.diag([-1.0, 1, -1, 1]) @ CAMERAS[1].world_to_camera
    )
    left = {}
    for pictures, later in ((1, 2e-5 * 60), (10**6, 2e-5 / 60)):
        worth = Worth(np.zeros(N), np.full(N, later), pictures)
        for views in (CAMERAS[1:2] * 3, [CAMERAS[1], away, away]):
            _, kept = pruned(scene, views, conventions_of(scene), worth, lambda _: None)
            left[pictures, len({id(v) for v in views})] = len(kept)
    assert HIDDEN < N - left[1, 1] < N - 20
    assert left[1, 2] > left[1, 1] + 5
    assert left[10**6, 2] < left[10**6, 1] - 5


def _all(least: float, count: int) -> Worth:
    """Whatever comes after."""
    return Worth(np.full(count, least), np.full(count, least), 0)


def _often(worth: Worth) -> NDArray[np.float64]:
    """Of all rows, shown by all pictures."""
    return worth.of(np.arange(len(worth.now)), np.ones(len(worth.now)))
