"""Scenes in the coordinates of maps: cameras, comparisons and errors know where they lie."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from anchors import make_anchor_scene
from gscodec.anchors import AnchorScene
from gscodec.camera import Camera, TargetViews
from gscodec.cameraio import read_cameras, write_cameras
from gscodec.sceneio import read_ply
from scenes import make_scene
from test_plys_of_others import FAR, far
from test_sceneio import ply_of

if TYPE_CHECKING:
    from pathlib import Path

    from command import Cli

LOCAL = make_scene(200, 0)
VIEW = np.array([[0.0, 0, -1, 0.5], [0, 1, 0, -0.25], [1, 0, 0, 6], [0, 0, 0, 1]])
CAMERA = Camera(64, 48, 60.0, 60.0, 32.0, 24.0, VIEW)


def in_map(camera: Camera) -> Camera:
    """The camera that sees at ``FAR`` what ``camera`` sees around zero."""
    x, y, z = FAR
    return camera.relative_to((-x, -y, -z))


def test_a_camera_moves_with_the_origin() -> None:
    assert in_map(CAMERA).centre == pytest.approx(CAMERA.centre + FAR, abs=1e-8)
    back = in_map(CAMERA).relative_to(FAR)
    assert back.world_to_camera == pytest.approx(VIEW, abs=1e-8)
    assert CAMERA.relative_to(None) is CAMERA


def test_a_scene_moves_to_another_origin() -> None:
    scene = replace(LOCAL, origin=FAR)
    assert scene.relative_to(FAR) is scene
    moved = scene.relative_to((FAR[0] - 1, FAR[1], FAR[2] + 2))
    assert moved.means == pytest.approx(
        LOCAL.means + np.array([1, 0, -2], np.float32), abs=1e-6
    )
    rounded = scene.relative_to(None)
    assert rounded.origin is None
    assert np.array_equal(rounded.means, (LOCAL.means.astype(np.float64) + FAR).astype("f4"))


def test_what_doubles_lost_is_bounded() -> None:
    table, positions = far()
    scene = read_ply(ply_of(table)).scene
    assert scene.origin is not None
    found = np.linalg.norm(scene.means + np.array(scene.origin) - positions, axis=1)
    assert found.max() <= scene.most_rounding < 1e-6
    assert replace(scene, origin=None).most_rounding == 0
    assert replace(make_scene(0, 0), origin=FAR).most_rounding < 1e-40


def test_the_encoder_counts_what_doubles_lost() -> None:
    pytest.importorskip("torch")
    from gscodec.fit.gaussian_subject import position_error

    scene = replace(LOCAL, origin=FAR)
    order = np.arange(len(scene))
    error = position_error(scene, scene, order)
    assert error["max"] == pytest.approx(scene.most_rounding)
    assert position_error(LOCAL, LOCAL, order)["max"] == 0


def test_the_encoder_takes_views_in_the_coordinates_of_the_source() -> None:
    pytest.importorskip("numba")
    from gscodec.fit.views import choose_views

    scene = replace(LOCAL, origin=FAR)
    views = choose_views(scene, TargetViews((in_map(CAMERA),)), "fast")
    assert views.cameras[0].world_to_camera == pytest.approx(VIEW, abs=1e-6)


def test_errors_are_taken_in_the_same_coordinates() -> None:
    pytest.importorskip("scipy")
    from gscodec.comparison import errors_between

    scene = replace(LOCAL, origin=FAR)
    other = scene.relative_to((FAR[0] + 8, FAR[1], FAR[2] - 4))
    errors = {e.name: e.max for e in errors_between(scene, other).errors}
    assert errors["position"] < 1e-3
    rounded = errors_between(scene, scene.relative_to(None)).errors[0]
    assert (rounded.name, rounded.unit) == ("position", "scene units")
    assert 0.1 < rounded.max < 0.5


def test_anchors_beside_gaussians_are_moved_once() -> None:
    """To the origin of the Gaussians, where the cameras are."""
    pytest.importorskip("scipy")
    from gscodec.cli.compare import _beside
    from gscodec.comparison import errors_between
    from gscodec.disk.scenes import LoadedScene

    origin, anchors = (512.0, -256.0, 64.0), make_anchor_scene(30)
    gaussians = replace(LOCAL, origin=origin)
    far = replace(anchors, anchors=(anchors.anchors + origin).astype(np.float32))
    beside = _beside(LoadedScene(far, 0, (), {}), LoadedScene(gaussians, 0, (), {})).scene
    assert isinstance(beside, AnchorScene)
    assert beside.anchors == pytest.approx(anchors.anchors, abs=1e-4)
    assert errors_between(gaussians, beside).unmatched_b == len(anchors)
    alone = _beside(LoadedScene(far, 0, (), {}), LoadedScene(anchors, 0, (), {})).scene
    assert alone is far


def test_errors_of_infinite_values_are_numbers() -> None:
    pytest.importorskip("scipy")
    from gscodec.comparison import errors_between, require_finite

    opacities, scales = LOCAL.opacity_logits.copy(), LOCAL.log_scales.copy()
    opacities[:40] = np.inf
    opacities[40:60] = -np.inf
    scales[:, 1] = -np.inf
    scene = replace(LOCAL, opacity_logits=opacities, log_scales=scales)
    require_finite(scene, "a")
    same = errors_between(scene, scene)
    assert all(e.max == 0 for e in same.errors)
    other = errors_between(scene, LOCAL)
    assert all(np.isfinite([e.rms, e.max]).all() for e in other.errors)


def test_cameras_are_written_and_read_in_coordinates_of_the_map(
    cli: Cli, tmp_path: Path
) -> None:
    for name in ("numba", "scipy"):
        pytest.importorskip(name)
    source, rounded, cameras = (tmp_path / n for n in ("a.ply", "b.ply", "cameras.json"))
    table, _ = far()
    source.write_bytes(ply_of(table))
    assert cli("cameras", source, "-o", cameras, "--count", "2", "--size", "40x30").code == 0
    found = read_cameras(cameras.read_bytes())
    assert all(np.linalg.norm(c.centre - FAR) < 50 for c in found)
    assert cli("encode", source, "--method", "raw", "-o", tmp_path / "a.gsz").code == 0
    same = cli("compare", source, tmp_path / "a.gsz", "--views", cameras, "--min-psnr", "99")
    assert same.code == 0
    # Bands of half a unit, as a reader of float32 gets them, are seen.
    narrow = [
        (n, table.dtype[n].str if n not in "xyz" else "<f4") for n in table.dtype.names or ()
    ]
    rounded.write_bytes(ply_of(table.astype(narrow)))
    other = cli("compare", source, rounded, "--views", cameras, "--min-psnr", "60")
    assert other.code == 7


def test_cameras_keep_their_digits_in_a_file() -> None:
    (back,) = read_cameras(write_cameras((in_map(CAMERA),)))
    assert back.world_to_camera == pytest.approx(in_map(CAMERA).world_to_camera, abs=1e-6)
