"""Cameras and photographs in another space than the scene are refused, by every command."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import camera_files
import gscodec
from anchors import make_anchor_scene
from gscodec.camera import Camera
from gscodec.cameraio import after_applied, read_dataparser, write_cameras
from gscodec.checkpointio import write_checkpoint
from gscodec.codec import Encoded, encode_with_report
from gscodec.disk.checkpoints import write_folder
from gscodec.errors import SceneError
from gscodec.render import render
from gscodec.render.belonging import Pictures, disagreement
from gscodec.scene import GaussianScene
from quick import set_defaults

Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from command import Cli

MIDDLE = np.array([1.0, 2.0, 0.5])
TURN = camera_files.quaternion_to_rotation(np.array([0.5, 0.5, -0.5, 0.5]))
SCALE, SHIFT = 0.23, -TURN @ np.array([1.3, 1.8, 0.6])


def _object() -> GaussianScene:
    """A mottled ball of radius 1 around `MIDDLE`, opaque as training leaves it."""
    rng = np.random.default_rng(5)
    count = 1500
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    blotches = np.sign(np.sin(5 * directions[:, :1]) * np.sin(4 * directions[:, 2:] + 1))
    arrays: dict[str, Any] = {
        "means": MIDDLE + directions,
        "opacity_logits": rng.normal(2, 1, count),
        "log_scales": rng.normal(-2.9, 0.2, (count, 3)),
        "quats": rng.normal(size=(count, 4)),
        "sh_dc": 0.2 + blotches * rng.uniform(0.6, 1.2, 3),
        "sh_rest": np.zeros((count, 0, 3)),
    }
    return GaussianScene(**{k: v.astype(np.float32) for k, v in arrays.items()})


def _around(
    middle: NDArray[np.float64], distance: float = 4.0, count: int = 12
) -> tuple[Camera, ...]:
    """Cameras on a ring, tilted up and down, that look at ``middle``."""
    views = []
    for k in range(count):
        angle, tilt = 2 * np.pi * k / count, 0.6 * (-1) ** k
        back = np.array(
            [np.cos(angle) * np.cos(tilt), np.sin(angle) * np.cos(tilt), np.sin(tilt)]
        )
        right = np.cross([0, 0, 1.0], back)
        right /= np.linalg.norm(right)
        view = np.eye(4)
        view[:3, :3] = [right, np.cross(right, back), -back]
        view[:3, 3] = -view[:3, :3] @ (middle + distance * back)
        views.append(Camera(60, 45, 66.0, 66.0, 30.0, 22.5, view, image=f"{k}.png"))
    return tuple(views)


def _elsewhere(cameras: Sequence[Camera]) -> tuple[Camera, ...]:
    """In the space of a trainer that turned, centred and scaled the world."""
    result = []
    for camera in cameras:
        turn = camera.world_to_camera[:3, :3] @ TURN.T
        view = np.eye(4)
        view[:3, :3] = turn
        view[:3, 3] = -turn @ (SCALE * (TURN @ camera.centre + SHIFT))
        result.append(replace(camera, world_to_camera=view))
    return tuple(result)


SCENE, CAMERAS = _object(), _around(MIDDLE)
WRONG = _elsewhere(CAMERAS)
CLOSE = _around(MIDDLE + np.array([0, 0, 1.1]), distance=0.3)  # before one side of it only
NOTHING = Pictures()


def _pictures(cameras: Sequence[Camera]) -> Pictures:
    """Renders as photographs, darker than the scene, of the cameras as they should be."""
    shown = {c.image: 0.1 + 0.6 * np.clip(render(SCENE, c), 0, 1) for c in CAMERAS}
    return Pictures(cameras, lambda camera: shown[camera.image])


def test_cameras_of_a_scene_fit_it() -> None:
    """All of them and few of them, with photographs of any exposure and without."""
    for cameras in (CAMERAS, CAMERAS[:4], CAMERAS[:1]):
        assert disagreement(SCENE, cameras, NOTHING) == ""
        assert disagreement(SCENE, cameras, _pictures(cameras)) == ""


def test_cameras_of_another_space_do_not() -> None:
    """With the numbers: what they see of the opacity, what photographs show and renders do."""
    assert disagreement(SCENE, WRONG, NOTHING) == "9 of 12 cameras see nothing of it"
    found = disagreement(SCENE, CLOSE, NOTHING)
    assert found.startswith("12 cameras see ")
    assert "of its opacity, where those that trained a scene see 69 % and more" in found
    found = disagreement(SCENE, WRONG, _pictures(WRONG))
    assert found.startswith("renders explain ")
    assert "of what 8 photographs show, PSNR " in found
    lone = disagreement(SCENE, WRONG, _pictures(WRONG[:1]))  # the others have none
    assert "of what 1 photographs show" in lone


def test_cameras_that_look_away_do_not() -> None:
    """From afar too: a dot in an empty picture is nothing."""
    away = _around(np.array([90.0, 0, 0]))
    assert disagreement(SCENE, away, NOTHING) == "12 of 12 cameras see nothing of it"
    far = _around(MIDDLE, distance=200.0)
    assert disagreement(SCENE, far, NOTHING) == "12 of 12 cameras see nothing of it"
    assert disagreement(SCENE, (*CAMERAS, *away[:2]), NOTHING) == ""
    assert disagreement(SCENE.take(np.arange(0)), away, NOTHING) == ""


def test_uniform_photographs_say_nothing() -> None:
    """The scene tells then."""
    grey = Pictures(CAMERAS, lambda _: np.full((45, 60, 3), 0.5, np.float32))
    assert disagreement(SCENE, CAMERAS, grey) == ""
    assert "see nothing" in disagreement(SCENE, WRONG, replace(grey, cameras=WRONG))


def test_large_photographs_are_reduced() -> None:
    """Of any size, also where the factor leaves a rest."""
    large = tuple(
        replace(c, width=847, height=635, fx=932.0, fy=932.0, cx=423.5, cy=317.5)
        for c in CAMERAS[:2]
    )
    pictures = Pictures(large, lambda camera: np.clip(render(SCENE, camera), 0, 1))
    assert disagreement(SCENE, large, pictures) == ""


def test_anchors_are_looked_at_too() -> None:
    """Through what they stand for."""
    scene = make_anchor_scene(300)
    ring = _around(np.zeros(3), distance=7.0)
    assert disagreement(scene, ring, NOTHING) == ""
    assert disagreement(scene, _around(np.array([60.0, 0, 0])), NOTHING) != ""


# --- nerfstudio's transform ------------------------------------------------------------------


def _dataparser(turn: NDArray[np.float64], shift: NDArray[np.float64], scale: float) -> bytes:
    transform = np.concatenate([turn, shift[:, None]], axis=1)
    return json.dumps({"transform": transform.tolist(), "scale": scale}).encode()


def test_cameras_move_as_nerfstudio_moved_them() -> None:
    """World coordinates; cameras of a COLMAP model are in them."""
    similarity = read_dataparser(_dataparser(TURN, SHIFT, SCALE), "file")
    moved = tuple(similarity.moved(camera) for camera in CAMERAS)
    camera_files.assert_same(moved, WRONG)
    with pytest.raises(SceneError, match=r"file: transform: is no rotation"):
        read_dataparser(_dataparser(2 * TURN, SHIFT, SCALE), "file")
    with pytest.raises(SceneError, match=r"file: transform: found scale 0, expected more"):
        read_dataparser(_dataparser(TURN, SHIFT, 0), "file")


@pytest.mark.parametrize("written", [True, False])
def test_what_was_applied_before_is_taken_back(written: bool) -> None:
    """As nerfstudio multiplies: its file is for coordinates before ``applied_transform``."""
    if written:
        before = camera_files.quaternion_to_rotation(np.array([0.8, 0.0, 0.6, 0.0]))
        applied = {"applied_transform": np.c_[before, [1.0, -2.0, 0.5]], "applied_scale": 4.0}
    else:  # data made of COLMAP by older versions
        before = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])
        applied = {"applied_transform": np.c_[before, np.zeros(3)], "applied_scale": 1.0}
    matrix, scale = np.asarray(applied["applied_transform"]), float(applied["applied_scale"])
    whole = np.vstack([matrix, [0, 0, 0, 1]])
    combined = np.c_[TURN, SHIFT] @ whole
    similarity = read_dataparser(
        _dataparser(combined[:, :3], combined[:, 3], SCALE * scale), "file"
    )
    document: dict[str, object] = {"frames": []}
    if written:
        document |= {"applied_transform": matrix.tolist(), "applied_scale": scale}
    data = json.dumps(document).encode()
    saved = after_applied(similarity, data, "transforms.json", from_colmap=not written)
    camera_files.assert_same(tuple(saved.moved(camera) for camera in CAMERAS), WRONG)
    plain = after_applied(similarity, write_cameras(CAMERAS), "plain", from_colmap=True)
    assert plain is similarity


# --- the commands ----------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """a/a.ply, its coded form, and the cameras of another space in data/."""
    for folder in ("a", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "a" / "a.ply").write_bytes(gscodec.write_ply(SCENE))
    (tmp_path / "a" / "b.gsz").write_bytes(gscodec.encode(SCENE, "raw"))
    (tmp_path / "data" / "cameras.json").write_bytes(write_cameras(WRONG))
    return tmp_path / "data"


REFUSAL = "data/cameras.json: the cameras do not fit the scene: "


def test_every_command_refuses_other_spaces(
    cli: Cli, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3, one line with the numbers and what to do, and nothing written."""
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=5)  # if it should get that far
    anchors = tmp_path / "anchors.gsz"
    anchors.write_bytes(gscodec.encode(make_anchor_scene(50), "raw"))
    write_folder(
        str(tmp_path / "model"), write_checkpoint(make_anchor_scene(50)), overwrite=False
    )
    before = sorted(tmp_path.rglob("*"))
    commands: list[tuple[str, ...]] = [
        ("encode", "a/a.ply", "--effort", "high", "--iterations", "2", "-o", "x.gsz"),
        ("encode", "a/a.ply", "--effort", "fast", "-o", "x.gsz"),
        ("compare", "a/a.ply", "a/b.gsz"),
        ("rd", "a/a.ply", "-o", "x.html"),
    ]
    for args in commands:
        ended = cli(*args, "--views", "data/cameras.json")
        assert ended.code == 3, ended.err
        assert REFUSAL + "9 of 12 cameras see nothing of it" in ended.err
        assert ended.err.endswith("go on with --force-views\n")
    (data / "cameras.json").write_bytes(write_cameras(_around(np.array([60.0, 0, 0]))))
    commands = [("decode", "anchors.gsz", "--bake", "-o", "x.ply"), ("encode", "model")]
    for args in commands:
        ended = cli(*args, "--views", "data/cameras.json")
        assert ended.code == 3, ended.err
        assert REFUSAL + "12 of 12 cameras see nothing of it" in ended.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("data")
def test_photographs_of_another_space_are_told_by_psnr(cli: Cli, tmp_path: Path) -> None:
    """They decide where there are any."""
    for camera in CAMERAS:
        picture = (255 * np.clip(render(SCENE, camera), 0, 1)).round().astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / "data" / camera.image)
    args = ("compare", "a/a.ply", "a/b.gsz", "--json", "--views")
    ended = cli(*args, "data/cameras.json")
    assert ended.code == 3
    assert REFUSAL + "renders explain " in ended.err
    (tmp_path / "data" / "cameras.json").write_bytes(write_cameras(CAMERAS))
    assert cli(*args, "data/cameras.json", "--images", "data").code == 0


@pytest.mark.usefixtures("data")
def test_an_outlier_before_all_views_hides_nothing(cli: Cli, tmp_path: Path) -> None:
    """An encoder sets it aside, so photographs are held against what is left."""
    logs = SCENE.log_scales.copy()
    logs[5] = 20
    (tmp_path / "a" / "a.ply").write_bytes(gscodec.write_ply(replace(SCENE, log_scales=logs)))
    for camera in CAMERAS:
        picture = (255 * np.clip(render(SCENE, camera), 0, 1)).round().astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / "data" / camera.image)
    (tmp_path / "data" / "cameras.json").write_bytes(write_cameras(CAMERAS))
    views = ("--views", "data/cameras.json", "--images", "data")
    assert cli("compare", "a/a.ply", "a/a.ply", *views).code == 0


@pytest.mark.usefixtures("data")
def test_somebody_may_insist(cli: Cli) -> None:
    """The numbers are in the notes then."""
    args = ("--views", "data/cameras.json", "--json", "-q", "--force-views")
    ended = cli("compare", "a/a.ply", "a/b.gsz", *args)
    assert ended.code == 0
    notes = json.loads(ended.out)["notes"]
    assert any(n.startswith("the cameras do not fit the scene: 9 of 12") for n in notes)


@pytest.mark.usefixtures("data")
def test_notes_on_views_are_in_the_report_of_an_encode(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a quiet run too, which says nothing before the work."""

    def raw(scene: GaussianScene, _: str, **options: Any) -> Encoded:
        assert len(options["views"].cameras) == len(CAMERAS)
        return encode_with_report(scene, "raw", meta=options["meta"])

    monkeypatch.setattr("gscodec.codec.encode_with_report", raw)
    args = ("--views", "data/cameras.json", "--json", "-q", "--force-views")
    ended = cli("encode", "a/a.ply", "-o", "x.gsz", *args)
    assert ended.code == 0, ended.err
    notes = json.loads(ended.out)["notes"]
    assert any(n["text"].startswith("the cameras do not fit the scene: 9 of 12") for n in notes)


@pytest.mark.parametrize("folder", ["data", "a", "."])
@pytest.mark.usefixtures("data")
def test_nerfstudios_transform_is_read(cli: Cli, tmp_path: Path, folder: str) -> None:
    """Beside the cameras, the scene, or one above; not where the cameras fit as they are."""
    back = _dataparser(TURN.T, -SCALE * TURN.T @ SHIFT, 1 / SCALE)
    (tmp_path / folder / "dataparser_transforms.json").write_bytes(back)
    args = ("compare", "a/a.ply", "a/b.gsz", "--json", "-q", "--views", "data/cameras.json")
    ended = cli(*args)
    assert ended.code == 0, ended.err
    notes = json.loads(ended.out)["notes"]
    assert any(n.startswith("moved the cameras as ") for n in notes)
    (tmp_path / "data" / "cameras.json").write_bytes(write_cameras(CAMERAS))
    notes = json.loads(cli(*args).out)["notes"]
    assert not any(n.startswith("moved the cameras as ") for n in notes)
    (tmp_path / folder / "dataparser_transforms.json").write_text("{}")
    assert "scale: found nothing" in cli(*args).err
