"""Virtual cameras: what they see of a scene, where they stand, and the command that writes them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gscodec.camera import Camera
from gscodec.cameraio import read_cameras
from gscodec.cli import main
from gscodec.errors import SceneError
from gscodec.render import blend_weights
from gscodec.render.scene import picture_of
from gscodec.render.virtual import VirtualViews, virtual_cameras
from gscodec.render.virtual_candidates import Pose, directions
from gscodec.render.virtual_sample import draw_sample
from gscodec.render.virtual_sight import FOCAL, HEIGHT, WIDTH, look
from gscodec.scene import GaussianScene
from gscodec.sceneio import write_ply
from scenes import hard_scenes, make_scene, scaled

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from command import Cli

    Points = NDArray[np.float64]

DOWN = np.array([0.0, -1.0, 0.0])


def surface(points: Points, normals: Points, size: float, seed: int = 0) -> GaussianScene:
    """Opaque discs of radius ``size`` at ``points``, (N, 3), facing ``normals``."""
    rng = np.random.default_rng(seed)
    n = len(points)
    # The turn of z to the normal, as a quaternion; any turn will do where it is -z.
    quats = np.stack([1 + normals[:, 2], -normals[:, 1], normals[:, 0], np.zeros(n)], axis=1)
    quats[normals[:, 2] < -0.999] = (0, 1, 0, 0)
    scales = size * np.exp(rng.normal(0, 0.2, (n, 3))) * [1, 1, 0.1]
    values = (points, rng.normal(3, 0.5, n), np.log(scales), quats, rng.normal(0, 1, (n, 3)))
    means, logits, logs, turns, colours = (v.astype(np.float32) for v in values)
    return GaussianScene(means, logits, logs, turns, colours, np.zeros((n, 0, 3), np.float32))


def joined(*parts: GaussianScene) -> GaussianScene:
    every = zip(*(part.attributes().values() for part in parts), strict=True)
    means, logits, logs, quats, dc, rest = map(np.concatenate, every)
    return GaussianScene(means, logits, logs, quats, dc, rest)


def ball(n: int, centre: tuple[float, float, float], radius: float) -> GaussianScene:
    ways = directions(n)
    return surface(np.array(centre) + radius * ways, ways, 2.5 * radius / n**0.5)


def sheet(
    n: int, centre: tuple[float, float, float], normal: str, half: float
) -> GaussianScene:
    """A square, ``half`` of its edge long, of three layers that hide all behind it."""
    rng = np.random.default_rng(len(normal) + n)
    axis = "xyz".index(normal)
    points = rng.uniform(-half, half, (n, 3))
    points[:, axis] *= 0.01
    normals = np.tile(np.eye(3)[axis], (n, 1))
    return surface(points + np.array(centre), normals, 5 * half / n**0.5)


def box(n: int, half: tuple[float, float, float]) -> GaussianScene:
    """Six walls around the origin."""
    walls = []
    for axis in range(3):
        for sign in (-1, 1):
            centre = [0.0, 0.0, 0.0]
            centre[axis] = sign * half[axis]
            wall = sheet(n, (0, 0, 0), "xyz"[axis], 1.0)
            means = (wall.means * half + centre).astype(np.float32)
            grow = np.float32(np.log(max(half)))
            walls.append(replace(wall, means=means, log_scales=wall.log_scales + grow))
    return joined(*walls)


def trophy() -> GaussianScene:
    """Balls before a wall at z = 0; they are on the side of negative z."""
    wall = sheet(3000, (0, 0, 0), "z", 3.0)
    things = [ball(1500, (x, y, -0.5), 0.4) for x, y in ((-1, 0), (0.2, 0.5), (1, -0.6))]
    return joined(wall, *things)


def still_life() -> GaussianScene:
    """Balls above a plate whose upper side looks to +z."""
    plate = sheet(2000, (0, 0, 0), "z", 0.8)
    things = [
        ball(800, (0.25 * x, 0.25 * y, z), 0.14)
        for z in (0.2, 0.6, 1.0)
        for x, y in ((-1, 0), (1, 0), (0, 1), (0, -1))
    ]
    return joined(plate, *things)


def room() -> GaussianScene:
    things = [ball(1500, (x, -0.9, z), 0.5) for x, z in ((-1.9, -1.2), (2.0, 1.3), (-1.8, 1.2))]
    return joined(box(1500, (3.0, 1.5, 2.2)), *things)


def centres(views: VirtualViews) -> Points:
    return np.array([camera.centre for camera in views.cameras])


def seen(scene: GaussianScene, views: VirtualViews) -> NDArray[np.float32]:
    total = np.zeros(len(scene), np.float32)
    for camera in views.cameras:
        total += blend_weights(scene, camera)
    return total


# --- where cameras stand ------------------------------------------------------------------


def test_an_object_is_seen_from_all_around() -> None:
    scene = ball(4000, (5.0, -2.0, 1.0), 2.0)
    views = virtual_cameras(scene, 48, 160, 120)
    assert views.kind == "object"
    assert len(views.cameras) == 48
    offsets = centres(views) - [5.0, -2.0, 1.0]
    distances = np.linalg.norm(offsets, axis=1)
    # It might be a room without furniture: some look at it from inside.
    assert (distances < 2).mean() < 0.35
    assert distances.max() < 20
    offsets, distances = offsets[distances > 2], distances[distances > 2]
    # Wherever one looks at it from, some camera is within 60 degrees of that.
    assert ((offsets / distances[:, None]) @ directions(200).T).max(axis=0).min() > 0.5
    assert (seen(scene, views) > 0).mean() > 0.99


def test_cameras_look_at_the_object() -> None:
    views = virtual_cameras(still_life(), 24)
    for camera in views.cameras:
        x, y, z = camera.world_to_camera[:3, :3] @ [0, 0, 0.5] + camera.world_to_camera[:3, 3]
        assert z > 0
        assert abs(x / z) < 0.8
        assert abs(y / z) < 0.8


def test_cameras_are_on_the_side_of_a_wall_where_things_are() -> None:
    views = virtual_cameras(trophy(), 48)
    assert (centres(views)[:, 2] < 0).mean() > 0.75


def test_the_upper_side_of_a_plate_is_up() -> None:
    views = virtual_cameras(still_life(), 48)
    assert views.kind == "object"
    assert "+z is up" in views.note
    assert (centres(views)[:, 2] > 0).mean() > 0.6
    for camera in views.cameras:  # pictures are upright: z of the world is -y of the camera
        assert camera.world_to_camera[1, 2] < 0.1


def test_a_room_is_seen_from_inside_too() -> None:
    scene = room()
    views = virtual_cameras(scene, 48, 160, 120)
    assert views.kind == "room"
    inside = (np.abs(centres(views)) < [3.0, 1.5, 2.2]).all(axis=1)
    assert 0.4 < inside.mean() < 0.9
    balls = slice(9000, None)
    assert (seen(scene, views)[balls] > 0).mean() > 0.8


def test_outliers_do_not_move_cameras() -> None:
    scene = ball(3000, (0.0, 0.0, 0.0), 1.0)
    means = scene.means.copy()
    means[::500] = (1e6, -3e5, 2e4)
    views = virtual_cameras(replace(scene, means=means), 24)
    assert np.linalg.norm(centres(views), axis=1).max() < 20


@pytest.mark.parametrize("scale", [2.0**-3, 2.0**10])
def test_cameras_move_and_grow_with_the_scene(scale: float) -> None:
    scene = ball(3000, (0.0, 0.0, 0.0), 40.0)
    grown = replace(
        scene,
        means=scene.means * np.float32(scale) + np.float32(64.0),
        log_scales=scene.log_scales + np.float32(np.log(scale)),
    )
    here, there = (virtual_cameras(s, 24) for s in (scene, grown))
    distances = [
        np.linalg.norm(centres(here), axis=1),
        np.linalg.norm(centres(there) - 64, axis=1),
    ]
    assert here.kind == there.kind
    assert np.median(distances[1]) == pytest.approx(scale * np.median(distances[0]), rel=0.1)


# --- promises -----------------------------------------------------------------------------


def test_same_arguments_give_the_same_cameras() -> None:
    scene = make_scene(2000)
    first, again, other = (virtual_cameras(scene, 12, seed=seed) for seed in (0, 0, 1))
    poses = [
        [c.world_to_camera.tolist() for c in views.cameras] for views in (first, again, other)
    ]
    assert poses[0] == poses[1] != poses[2]


def test_fewer_cameras_are_the_first_ones() -> None:
    scene = make_scene(2000)
    many, few = virtual_cameras(scene, 24), virtual_cameras(scene, 5)
    assert [c.world_to_camera.tolist() for c in few.cameras] == [
        c.world_to_camera.tolist() for c in many.cameras[:5]
    ]


def test_no_camera_comes_twice() -> None:
    views = virtual_cameras(make_scene(200), 400)
    assert len({c.world_to_camera.tobytes() for c in views.cameras}) == 400


def test_pictures_have_the_size_that_is_asked_for() -> None:
    for camera in virtual_cameras(make_scene(500), 3, 300, 400).cameras:
        assert (camera.width, camera.height, camera.cx, camera.cy) == (300, 400, 150, 200)
        assert camera.fx == camera.fy == pytest.approx(400 * FOCAL)


def test_picture_without_pixels_is_refused() -> None:
    with pytest.raises(SceneError, match="0 x 480 pixels"):
        virtual_cameras(make_scene(500), 3, 0, 480)


def test_any_scene_has_cameras_or_none(hard_scene: GaussianScene) -> None:
    views = virtual_cameras(hard_scene, 6)
    assert len(views.cameras) in {0, 6}
    assert 0 <= views.seen <= 1
    assert "\n" not in views.note


@pytest.mark.parametrize("name", ["empty", "empty, no colour rest"])
def test_nothing_has_no_cameras(name: str) -> None:
    views = virtual_cameras(hard_scenes()[name])
    assert views.cameras == ()
    assert views.note == "nothing that can be seen"


def test_transparent_scenes_have_no_cameras() -> None:
    scene = make_scene(100)
    faint = np.full_like(scene.opacity_logits, -20)
    assert virtual_cameras(replace(scene, opacity_logits=faint)).cameras == ()


def test_one_gaussian_is_seen() -> None:
    scene = make_scene(1)
    scene = replace(scene, opacity_logits=np.ones(1, np.float32))
    # The renderer draws nothing nearer than 0.2, whatever the units.
    scene = replace(scene, log_scales=scene.log_scales + 5)
    views = virtual_cameras(scene, 4, 64, 48)
    assert len(views.cameras) == 4
    for camera in views.cameras:
        assert blend_weights(scene, camera)[0] > 10


def few(n: int, opacity: float, seed: int = 0) -> GaussianScene:
    """``n`` Gaussians of one opacity."""
    scene, logit = make_scene(n, seed=seed), np.log(opacity / (1 - opacity))
    return replace(scene, opacity_logits=np.full(n, logit, np.float32))


@pytest.mark.parametrize(
    "scene",
    [
        few(300, 0.2),
        few(1, 0.9),
        few(1, 0.1),
        few(2, 0.9),
        few(2, 0.1),
        few(3, 0.1, seed=1),
        make_scene(3).take(np.zeros(200, np.int64)),
        few(3, 0.1).take(np.zeros(200, np.int64)),
    ],
    ids=["haze", "1", "1 faint", "2", "2 faint", "3 faint", "copies", "faint copies"],
)
def test_haze_and_few_gaussians_have_cameras_that_see_them(scene: GaussianScene) -> None:
    views = virtual_cameras(scene, 4)
    assert len(views.cameras) == 4
    assert views.seen > 0.3
    for camera in views.cameras:
        assert picture_of(scene, camera).transmittance.min() < 0.97


def test_antialiased_scenes_are_seen_as_they_are_drawn() -> None:
    """Thin ones are dimmer then."""
    scene = make_scene(400, seed=3)
    weights = []
    for antialiased in (False, True):
        seen = draw_sample(
            replace(scene, antialiased=antialiased), 10**6, np.random.default_rng(0)
        )
        view = Pose(np.array([0.2, -0.3, -3.0]), np.zeros(3)).view(DOWN)
        weights.append(look(seen, view, near=0.05).weights.sum())
    assert weights[1] < 0.9 * weights[0]


def test_cameras_of_a_scene_are_those_of_it_in_other_units() -> None:
    """Below ordinary sizes; they stand as near, and what they see is drawn."""
    scene = ball(1000, (0.0, 0.0, 0.0), 1.0)
    found = [virtual_cameras(scaled(scene, size), 4).cameras for size in (0.1, 0.01)]
    for large, small in zip(*found, strict=True):
        assert np.allclose(large.centre / 10, small.centre, rtol=1e-3, atol=1e-5)
        assert picture_of(scaled(scene, 0.01), small).shows


def test_values_that_are_not_finite_are_ignored() -> None:
    scene = ball(2000, (0.0, 0.0, 0.0), 1.0)
    means, logs = scene.means.copy(), scene.log_scales.copy()
    means[3], means[4], logs[5] = np.nan, np.inf, np.nan
    assert len(virtual_cameras(replace(scene, means=means, log_scales=logs), 8).cameras) == 8


# --- parts --------------------------------------------------------------------------------


def test_sight_agrees_with_the_renderer() -> None:
    scene = make_scene(400, seed=3)
    scene = replace(scene, log_scales=scene.log_scales + np.float32(2))
    sample = draw_sample(scene, 10**6, np.random.default_rng(0))
    assert (sample.copies == 1).all()
    view = Pose(np.array([0.2, -0.3, -1.2]), np.zeros(3)).view(DOWN)
    sight = look(sample, view, near=0.2 / sample.size)
    view[:3, 3] = sample.size * view[:3, 3] - view[:3, :3] @ sample.centre
    # Ten times the pixels, so that the blur of both is the same.
    pixels = (10 * WIDTH, 10 * HEIGHT)
    camera = Camera(
        *pixels, FOCAL * pixels[0], FOCAL * pixels[0], pixels[0] / 2, pixels[1] / 2, view
    )
    drawn = 1 / (1 + np.exp(-scene.opacity_logits)) > 1 / 255
    expected = blend_weights(scene, camera)[drawn] / (pixels[0] * pixels[1])
    assert np.corrcoef(sight.weights, expected)[0, 1] > 0.995
    assert sight.weights.sum() == pytest.approx(expected.sum(), rel=0.02)
    assert sight.filled == pytest.approx(expected.sum(), rel=0.02)


def test_sample_stands_for_the_scene() -> None:
    scene = make_scene(20_000, seed=2)
    sample = draw_sample(scene, 2000, np.random.default_rng(0))
    whole = draw_sample(scene, 10**6, np.random.default_rng(0))
    assert 1500 < len(sample) < 2500
    assert sample.copies.sum() == pytest.approx(len(whole), rel=0.1)
    mass = [float((s.copies * s.opacities).sum()) for s in (sample, whole)]
    assert mass[0] == pytest.approx(mass[1], rel=0.1)


def test_sample_looks_like_the_scene() -> None:
    scene = ball(20_000, (0.0, 0.0, 0.0), 1.0)
    view = Pose(np.array([0.0, 0.0, -1.2]), np.zeros(3)).view(DOWN)
    filled = [
        look(draw_sample(scene, n, np.random.default_rng(0)), view, 0.01).filled
        for n in (2000, 10**6)
    ]
    assert filled[0] == pytest.approx(filled[1], rel=0.1)


# --- the command --------------------------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, *args: str | int | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["gscodec", *map(str, args)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_command_writes_cameras_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, sheet_file = tmp_path / "scene.ply", tmp_path / "sheet.png"
    scene.write_bytes(write_ply(ball(1500, (0.0, 0.0, 0.0), 1.0)))
    assert run(monkeypatch, "cameras", scene, "--count", 5, "--preview", sheet_file) == 0
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("5 cameras for an object")
    written = tmp_path / "scene.cameras.json"
    cameras = read_cameras(written.read_bytes())
    assert [c.world_to_camera.tolist() for c in cameras] == [
        c["world_to_camera"] for c in json.loads(written.read_text(encoding="utf-8"))
    ]
    assert len(cameras) == 5
    assert sheet_file.read_bytes().startswith(b"\x89PNG")


def test_command_refuses_what_it_cannot_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, taken = tmp_path / "scene.ply", tmp_path / "taken.json"
    scene.write_bytes(write_ply(make_scene(0)))
    taken.write_text("mine", encoding="utf-8")
    for arguments, code, text in (
        (["--size", "640"], 2, "--size: found '640'"),
        (["--size", "0x9"], 2, "--size: found '0x9'"),
        (["-o", taken], 6, "exists already"),
        (["--preview", taken], 6, "exists already"),
        (["--preview", "-"], 2, "--preview: stdout"),
        (["-o", tmp_path / "a", "--preview", tmp_path / "a"], 2, "is the output too"),
        (["-o", tmp_path / "a.json"], 3, "found nothing that can be seen"),
    ):
        assert run(monkeypatch, "cameras", scene, *arguments) == code
        assert text in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scene.ply", "taken.json"]
    assert taken.read_text(encoding="utf-8") == "mine"


def test_cameras_go_to_stdout(cli: Cli, tmp_path: Path) -> None:
    """With ``-o -``; and text for people does not."""
    (tmp_path / "s.ply").write_bytes(write_ply(make_scene(30, 0)))
    assert cli("cameras", "s.ply", "--count", "2").code == 0
    run = cli("cameras", "s.ply", "--count", "2", "-o", "-")
    assert run.code == 0
    assert run.out == (tmp_path / "s.cameras.json").read_bytes()
    assert "world_to_camera" not in run.err
