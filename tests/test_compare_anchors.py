"""Comparing anchor scenes, with each other and with Gaussians: errors, pictures, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gscodec
from anchors import make_anchor_scene
from gscodec.anchors import Storage
from gscodec.camera import Camera
from gscodec.cameraio import write_cameras
from gscodec.checkpointio import write_checkpoint
from gscodec.comparison import errors_between, require_finite
from gscodec.disk.checkpoints import write_folder
from gscodec.errors import SceneError
from gscodec.render import render
from gscodec.render.neural import stand_in
from gscodec.report.compare_result import MatchedBy
from quick import set_defaults
from scenes import make_scene

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from command import Cli
    from gscodec.anchors import AnchorScene
    from gscodec.report.compare_result import AttributeErrors

A = make_anchor_scene(400, masked=True)


def changed(scene: AnchorScene, size: float, seed: int = 1) -> AnchorScene:
    """Features, scalings and offsets a little off, anchors less so than they are apart."""
    rng = np.random.default_rng(seed)

    def off(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values + rng.normal(0, size, values.shape).astype(np.float32)

    moves = rng.uniform(-1e-3, 1e-3, scene.anchors.shape).astype(np.float32)
    return replace(
        scene,
        anchors=scene.anchors + moves,
        features=off(scene.features),
        log_scalings=off(scene.log_scalings),
        offsets=off(scene.offsets),
    )


def rms(errors: AttributeErrors) -> dict[str, float]:
    return {error.name: error.rms for error in errors.errors}


def test_a_scene_has_no_errors_against_itself() -> None:
    errors = errors_between(A, A)
    assert (errors.by, errors.matched) == (MatchedBy.ORDER, 400)
    names = ["position", "feature", "scaling", "offset", "mask", "networks"]
    assert list(rms(errors)) == names
    assert not any(rms(errors).values())


def test_errors_are_those_that_were_made() -> None:
    found = rms(errors_between(A, changed(A, 0.05)))
    for name in ("feature", "scaling", "offset"):
        assert found[name] == pytest.approx(0.05, rel=0.1)
    assert 0 < found["position"] < 2e-3
    assert found["networks"] == 0


def test_masked_offsets_do_not_count() -> None:
    assert A.masks is not None
    offsets = np.where(A.masks[..., None], A.offsets, np.float32(1e6))
    assert rms(errors_between(A, replace(A, offsets=offsets)))["offset"] == 0


def test_networks_count() -> None:
    network = A.networks.opacity
    moved = replace(network, out_bias=network.out_bias + np.float32(0.5))
    other = replace(A, networks=replace(A.networks, opacity=moved))
    assert rms(errors_between(A, other))["networks"] > 0


@pytest.mark.parametrize("kept", [400, 300])
def test_anchors_are_found_in_another_order(kept: int) -> None:
    """As an encoder sorts them, and after pruning; masks tell whether it is the right one."""
    order = np.random.default_rng(0).permutation(400)[:kept]
    errors = errors_between(A, changed(A, 0.01).take(order))
    assert (errors.by, errors.matched) == (MatchedBy.LIKENESS, kept)
    assert (errors.unmatched_a, errors.unmatched_b) == (400 - kept, 0)
    found = rms(errors)
    assert found["mask"] == 0
    assert found["feature"] == pytest.approx(0.01, rel=0.1)


def test_anchors_of_one_place_differ_in_their_features() -> None:
    twins = replace(A, anchors=A.anchors[np.arange(400) // 2])
    order = np.random.default_rng(0).permutation(400)
    other = replace(changed(twins, 0.01), anchors=twins.anchors).take(order)
    assert rms(errors_between(twins, other))["feature"] == pytest.approx(0.01, rel=0.1)


def test_what_two_scenes_lack_in_common_is_left_out() -> None:
    other = make_anchor_scene(400, features=12, offsets=5)
    assert list(rms(errors_between(A, other))) == ["position", "scaling"]


def test_nothing_is_matched_in_empty_scenes() -> None:
    empty = make_anchor_scene(0)
    assert errors_between(empty, empty).errors == ()
    assert errors_between(empty, A).unmatched_b == 400


def test_scenes_of_two_kinds_have_no_errors() -> None:
    errors = errors_between(A, make_scene(7))
    assert (errors.by, errors.errors) == (MatchedBy.NOTHING, ())
    assert (errors.matched, errors.unmatched_a, errors.unmatched_b) == (0, 400, 7)


def test_scenes_with_nan_are_refused() -> None:
    features = A.features.copy()
    features[5, 1] = np.nan
    with pytest.raises(SceneError, match="a: features of anchor 5 is not finite"):
        require_finite(replace(A, features=features), "a")
    network = A.networks.color
    bad = replace(network, out_bias=np.full_like(network.out_bias, np.inf))
    with pytest.raises(SceneError, match="a: a weight of the networks is not finite"):
        require_finite(replace(A, networks=replace(A.networks, color=bad)), "a")


# --- the command --------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """Checkpoints a and b, and a.ply that looks like a."""
    for name, scene in (("a", A), ("b", changed(A, 0.05))):
        stored = write_checkpoint(replace(scene, storage=Storage.STATE_DICTS))
        write_folder(str(tmp_path / name), stored, overwrite=False)
    (tmp_path / "a.ply").write_bytes(gscodec.write_ply(stand_in(A)))
    view = np.eye(4)
    view[2, 3] = 6
    views = (Camera(64, 48, 60.0, 60.0, 32.0, 24.0, view, image="0.png"),)
    (tmp_path / "views.json").write_bytes(write_cameras(views))


def test_two_checkpoints_are_compared(cli: Cli) -> None:
    report = json.loads(cli("compare", "a", "b", "--views", "views.json", "--json").out)
    assert (report["a"]["anchors"], report["a"]["offsets"]) == (400, 3)
    assert (report["a"]["gaussians"], report["a"]["sh_degree"]) == (None, None)
    assert report["attributes"]["estimated_by"] == "order"
    assert 15 < report["psnr"] < 60
    tables = cli("compare", "a", "b", "--views", "views.json").text
    for words in ("400 anchors of 3 offsets", "anchor by anchor, in their order", "feature"):
        assert words in tables


def test_a_checkpoint_is_compared_with_gaussians(cli: Cli) -> None:
    report = json.loads(cli("compare", "a", "a.ply", "--views", "views.json", "--json").out)
    assert report["attributes"]["estimated_by"] == "nothing"
    assert report["attributes"]["errors"] == []
    assert 10 < report["psnr"] < 60
    assert "one scene has anchors" in cli("compare", "a", "a.ply", "--views", "views.json").text


@pytest.mark.parametrize("pair", [("a", "b"), ("a", "a.ply"), ("a.ply", "a")])
def test_without_cameras_there_are_virtual_ones(cli: Cli, pair: tuple[str, str]) -> None:
    report = json.loads(cli("compare", *pair, "--max-views", "2", "--json").out)
    assert len(report["views"]) == 2
    assert report["psnr"] < 99


def test_renders_are_those_of_the_checkpoint(cli: Cli, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "photos").mkdir()
    view = np.eye(4)
    view[2, 3] = 6
    picture = np.clip(render(A, Camera(64, 48, 60.0, 60.0, 32.0, 24.0, view)), 0, 1)
    pixels = (255 * picture).round().astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photos" / "0.png")
    views = ("--views", "views.json", "--images", "photos", "--json")
    photographs = json.loads(cli("compare", "a", "b", *views).out)["photographs"]
    assert photographs["a"]["psnr"] > 55
    assert photographs["b"]["psnr"] < photographs["a"]["psnr"] - 5


def test_a_folder_that_is_no_checkpoint_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    result = cli("compare", "a", "nothing", "--quiet")
    assert result.code in {3, 6}
    assert result.err.count("\n") == 1


def test_cameras_are_found_for_a_checkpoint(cli: Cli, tmp_path: Path) -> None:
    assert cli("cameras", "a", "-o", "out.json", "--count", "3", "--quiet").code == 0
    assert len(json.loads((tmp_path / "out.json").read_bytes())) == 3


def test_anchors_have_curves_too(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_defaults(monkeypatch, training=5)
    few = ("--lambda", "1e-3,1e-2", "--max-views", "2", "--csv", "out.csv")
    assert cli("rd", "a", "-o", "out.html", *few, "--quiet").code == 0
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [
        ["predict-gs", "0.001"],
        ["predict-gs", "0.01"],
    ]
