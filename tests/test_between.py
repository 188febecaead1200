"""Views between given ones: what they are, and what they are for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gscodec.camera import Camera, TargetViews
from scenes import make_scene

pytest.importorskip("numba")

from gscodec.fit.between import between, beyond
from gscodec.fit.views import choose_views

SCENE = make_scene(200, 0, seed=3)


def camera(angle: float, distance: float = 4.0, width: int = 48) -> Camera:
    """Around the vertical axis, degrees; looks at the middle."""
    turn, matrix = np.radians(angle), np.eye(4)
    sine, cosine = np.sin(turn), np.cos(turn)
    matrix[:3, :3] = [[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]]
    matrix[2, 3] = distance
    return Camera(width, 40, 50.0, 50.0, width / 2, 20.0, matrix, image=f"{angle}.png")


def test_a_view_is_halfway_in_place_and_turn() -> None:
    one, other = camera(0), camera(40, width=64)
    (found,) = between([one, other], 9)
    expected = camera(20).world_to_camera
    assert (found.width, found.fx, found.image) == (one.width, one.fx, "")
    np.testing.assert_allclose(
        found.world_to_camera[:3, :3], expected[:3, :3], rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(found.centre, (one.centre + other.centre) / 2, atol=1e-12)


@pytest.mark.parametrize(
    "cameras",
    [[camera(0)], [camera(0), camera(60)], [camera(0), camera(180)], [camera(10)] * 3],
    ids=["one", "far apart", "opposite", "the same"],
)
def test_between_some_there_is_nothing(cameras: list[Camera]) -> None:
    assert between(cameras, 9) == beyond(cameras, 9) == ()


def test_views_are_halfway_to_the_fourth_nearest() -> None:
    """Of 0, 1, 3, ... degrees; the middle of two at one distance tells which two they are."""
    angles = [0, 1, 3, 7, 15, 31]
    found = between([camera(angle) for angle in angles], 9)
    turns = [
        np.degrees(np.arctan2(view.world_to_camera[2, 0], view.world_to_camera[0, 0]))
        for view in found
    ]
    fourth = [(0, 15), (1, 15), (3, 15), (7, 15), (15, 0), (31, 1)]
    assert sorted(turns) == pytest.approx(
        sorted({sum(pair) / 2 for pair in map(sorted, fourth)})
    )


def test_a_view_beyond_is_past_a_camera_on_the_side_of_which_nobody_looks() -> None:
    """Half as far as the nearest is on the other side; the last of them is far from all others."""
    one, other = camera(0, width=64), camera(40)
    past_one, past_other = beyond([one, other, camera(180)], 9)
    for found, own, angle, far in ((past_one, one, -20, other), (past_other, other, 60, one)):
        assert (found.width, found.fx, found.image) == (own.width, own.fx, "")
        np.testing.assert_allclose(
            found.centre, 1.5 * own.centre - 0.5 * far.centre, atol=1e-12
        )
        expected = camera(angle).world_to_camera[:3, :3]
        np.testing.assert_allclose(found.world_to_camera[:3, :3], expected, rtol=0, atol=1e-12)


def test_of_many_cameras_some_have_views_beyond() -> None:
    cameras = [camera(angle) for angle in range(0, 360, 15)]
    assert [len(beyond(cameras, most)) for most in (1, 5, 1000)] == [1, 5, 24]


@pytest.mark.parametrize("most", [1, 5, 1000])
def test_there_are_at_most_as_many_as_asked_for(most: int) -> None:
    cameras = [camera(angle, 4 + angle % 3) for angle in range(0, 360, 15)]
    found = between(cameras, most)
    assert len(found) == most if most < 12 else 12 <= len(found) <= 24
    assert len({tuple(view.centre.round(9)) for view in found}) == len(found)


def test_a_descent_to_renders_aims_at_all_and_is_judged_between() -> None:
    """One to photographs needs some of them to judge; other efforts aim at nothing."""
    given = tuple(camera(angle) for angle in range(0, 90, 5))
    photographs = tuple(np.full((40, 48, 3), 0.5, np.float16) for _ in given)
    views = choose_views(SCENE, TargetViews(given), "high")
    assert views.held_out
    assert views.cameras[:18] == given
    assert len(views.cameras) == 36
    assert not any(view.image for view in views.cameras[18:])
    assert len(views.judges) > 8
    assert not any(view.image for view in views.judges)
    judged = f"judged it through {len(views.judges)} between them"
    looked = "looked at the scene through 18 given cameras and 18 beyond them"
    assert views.note == f"{looked}, {judged}"
    photographed = choose_views(SCENE, TargetViews(given, photographs), "high")
    assert photographed.judges == (given[4], given[12])
    assert photographed.cameras == (*given[:4], *given[5:12], *given[13:])
    assert photographed.note.endswith("18 given photographs, 2 of which only judge")
    fast = choose_views(SCENE, TargetViews(given), "fast")
    assert not fast.held_out
    assert fast.cameras == fast.judges == given


def test_what_shows_nothing_judges_nothing() -> None:
    """Between cameras of which some are before one half of the scene, some before the other."""
    sides = np.where(np.arange(len(SCENE)) % 2, -4, 4)
    means = (0.2 * SCENE.means + sides[:, None] * np.eye(3)[0]).astype(np.float32)
    views = []
    for x in (-4, 4):
        for y in (0.0, 0.1, 0.2, 0.3):
            matrix = np.eye(4)
            matrix[:3, 3] = (x, y, 4)
            views.append(Camera(48, 40, 50.0, 50.0, 24.0, 20.0, matrix))
    assert len(between(views, 9)) == 4
    found = choose_views(replace(SCENE, means=means), TargetViews(tuple(views)), "high")
    assert found.judges == found.cameras[:8] == tuple(views)
    assert not found.held_out
