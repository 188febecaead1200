"""Comparing scenes: which Gaussian is which, how far off it is, pictures, and the command."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import gscodec
from gscodec.camera import Camera
from gscodec.cameraio import write_cameras
from gscodec.comparison import (
    Pictures,
    attribute_errors,
    compare_pictures,
    matching,
    require_finite,
)
from gscodec.comparison.matching import Matching, match
from gscodec.comparison.shapes import log_covariances
from gscodec.errors import SceneError
from gscodec.geometry.rotation import sort_axes
from gscodec.render import render
from gscodec.report.compare_result import Quality, mean_quality
from scenes import make_scene, scaled

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from command import Cli
    from gscodec.report.compare_result import AttributeErrors
    from gscodec.scene import GaussianScene


BLACK = (0.0, 0.0, 0.0)
WHITE = (1.0, 1.0, 1.0)


# --- which Gaussian is which --------------------------------------------------------------


def shuffled(scene: GaussianScene, seed: int = 0) -> tuple[GaussianScene, NDArray[np.int64]]:
    """The scene in another order: Gaussian k of it was ``order[k]``."""
    order = np.random.default_rng(seed).permutation(len(scene))
    return scene.take(order), order


def noisy(scene: GaussianScene, size: float, seed: int = 1) -> GaussianScene:
    """Every value a little off, positions by less than the distance between Gaussians."""
    rng = np.random.default_rng(seed)
    wide = {"means": 0.02 * size, "quats": 0.2 * size}
    arrays: dict[str, Any] = {
        name: (values + rng.normal(0, wide.get(name, size), values.shape)).astype(np.float32)
        for name, values in scene.attributes().items()
    }
    return replace(scene, **arrays)


def right(pairs: Matching, order: NDArray[np.int64]) -> float:
    """Share of pairs that are what they should be."""
    return float((order[pairs.b] == pairs.a).mean())


def one_to_one(pairs: Matching) -> bool:
    """Whether no Gaussian has two partners."""
    return len(set(pairs.a.tolist())) == len(set(pairs.b.tolist())) == len(pairs.a)


def test_every_gaussian_is_found_in_another_order(hard_scene: GaussianScene) -> None:
    """However hard the scene is: the values of both partners are equal."""
    other, _ = shuffled(hard_scene)
    pairs = match(hard_scene, other)
    assert one_to_one(pairs)
    assert len(pairs) == len(hard_scene)
    assert hard_scene.take(pairs.a).digest() == other.take(pairs.b).digest()


def test_twins_in_great_number_find_partners() -> None:
    """Neighbour searches among points in one place must not take quadratic time."""
    twins = make_scene(2).take(np.arange(30_000) % 2)
    start = time.perf_counter()
    assert len(match(twins, shuffled(twins)[0])) == 30_000
    assert time.perf_counter() - start < 10


def test_gaussians_are_found_although_every_value_is_off() -> None:
    scene = make_scene(3000)
    other, order = shuffled(noisy(scene, 0.1))
    pairs = match(scene, other)
    assert one_to_one(pairs)
    assert len(pairs) == 3000
    assert right(pairs, order) > 0.99


def test_attributes_decide_where_positions_coincide() -> None:
    """Pairs of Gaussians that share a lattice cell, coded with some error."""
    scene = make_scene(1000)
    scene = replace(scene, means=scene.means[np.arange(1000) // 2])
    other, order = shuffled(replace(noisy(scene, 0.05), means=scene.means))
    assert right(match(scene, other), order) > 0.99


def test_what_neighbours_leave_over_is_matched_again() -> None:
    """All in one place: the few nearest of many are not enough for all."""
    scene = make_scene(400, degree=0)
    scene = replace(scene, means=np.zeros_like(scene.means))
    pairs = match(scene, shuffled(replace(noisy(scene, 0.3), means=scene.means))[0])
    assert one_to_one(pairs)
    assert len(pairs) > 390


def test_distances_of_logarithms_are_those_of_matrices() -> None:
    """Against the definition: R diag(log s) R^T, by a rotation that scipy makes."""
    from scipy.spatial.transform import Rotation

    scene = make_scene(20)
    turns = Rotation.from_quat(scene.quats, scalar_first=True).as_matrix()
    logs = np.einsum("nij,nj,nkj->nik", turns, scene.log_scales, turns)
    found = log_covariances(scene)
    expected = np.linalg.norm(logs[1:] - logs[:-1], axis=(1, 2))
    assert np.linalg.norm(found[1:] - found[:-1], axis=1) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_smaller_scene_finds_its_partners(swapped: bool) -> None:
    """As after pruning; which scene comes first does not matter."""
    scene = make_scene(2000)
    kept = np.flatnonzero(np.random.default_rng(2).random(2000) < 0.4)
    small = noisy(scene, 0.05).take(kept)
    pairs = match(small, scene) if swapped else match(scene, small)
    small_side, large_side = (pairs.a, pairs.b) if swapped else (pairs.b, pairs.a)
    assert one_to_one(pairs)
    assert len(pairs) == len(kept)
    assert (kept[small_side] == large_side).mean() > 0.99


def test_scenes_of_different_places_take_few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """All neighbours are far and most are shared: rounds that gain little end the search."""
    rounds: list[int] = []
    neighbours = matching._neighbours

    def counted(few: NDArray[np.float64], many: NDArray[np.float64]) -> NDArray[np.int64]:
        rounds.append(len(few))
        return neighbours(few, many)

    monkeypatch.setattr(matching, "_neighbours", counted)
    a = make_scene(6000, degree=0)
    b = replace(a, means=a.means + np.float32(50))
    assert one_to_one(match(a, b))
    assert len(rounds) <= 8


# --- how far off it is --------------------------------------------------------------------


def errors_of(errors: AttributeErrors) -> dict[tuple[str, str], tuple[float, float]]:
    """RMS and max by name and the first word of the unit."""
    return {(e.name, e.unit.split()[0]): (e.rms, e.max) for e in errors.errors}


def test_a_scene_has_no_errors_against_itself(hard_scene: GaussianScene) -> None:
    errors = attribute_errors(hard_scene, shuffled(hard_scene)[0])
    assert (errors.matched, errors.unmatched_a, errors.unmatched_b) == (len(hard_scene), 0, 0)
    assert all(e.rms == e.max == 0 for e in errors.errors)
    assert len(errors.errors) == (6 + hard_scene.sh_degree if len(hard_scene) else 0)


def test_errors_are_finite_whatever_is_compared(hard_scene: GaussianScene) -> None:
    other = make_scene(50, 2)
    for a, b in ((hard_scene, other), (other, hard_scene)):
        errors = attribute_errors(a, b)
        assert all(np.isfinite([e.rms, e.max]).all() for e in errors.errors)
        assert errors.matched + errors.unmatched_a == len(a)
        assert errors.matched + errors.unmatched_b == len(b)


def test_forms_of_the_same_gaussian_are_equal() -> None:
    """Relabelled axes, quaternions of other length and sign: covariances do not change."""
    scene = make_scene(500)
    log_scales, quats = sort_axes(
        scene.log_scales.astype(np.float64), scene.quats.astype(np.float64)
    )
    form = replace(
        scene, log_scales=log_scales.astype(np.float32), quats=(-3 * quats).astype(np.float32)
    )
    found = errors_of(attribute_errors(scene, form))
    assert found["covariance", "relative,"][1] < 1e-5
    assert found["log-scales", "natural"][1] == 0


def test_errors_are_those_that_were_made() -> None:
    a = make_scene(1000, degree=2)
    far = np.zeros_like(a.means)
    far[:, 0], far[0, 1] = 0.003, 0.004
    b = replace(
        a,
        means=a.means + far,
        opacity_logits=np.where(a.opacity_logits > 0, a.opacity_logits, 0).astype(np.float32),
        log_scales=a.log_scales + np.float32(np.log(2)),
        sh_dc=a.sh_dc + np.array([0.1, 0, 0], np.float32),
        sh_rest=a.sh_rest * np.float32(0.5),
    )
    found = errors_of(attribute_errors(a, shuffled(b)[0]))
    rms = np.sqrt((999 * 0.003**2 + 0.005**2) / 1000)
    assert found["position", "scene"] == pytest.approx((rms, 0.005), rel=1e-3)
    scale = np.exp(np.median(a.log_scales))
    assert found["position", "median"] == pytest.approx((rms / scale, 0.005 / scale), rel=1e-3)
    off = 0.5 - 1 / (1 + np.exp(-a.opacity_logits.astype(np.float64)))
    off[a.opacity_logits > 0] = 0
    expected = np.sqrt((off**2).mean()), np.abs(off).max()
    assert found["opacity", "0"] == pytest.approx(expected)
    assert found["covariance", "relative,"] == pytest.approx((3, 3), rel=1e-4)
    assert found["log-scales", "natural"] == pytest.approx((np.log(2), np.log(2)), rel=1e-5)
    assert found["SH dc", "coefficient"] == pytest.approx((0.1 / 3**0.5, 0.1), rel=1e-4)
    for degree, band in ((1, slice(0, 3)), (2, slice(3, 8))):
        half = a.sh_rest[:, band].astype(np.float64) / 2
        expected = np.sqrt((half**2).mean()), np.abs(half).max()
        assert found[f"SH {degree}", "coefficient"] == pytest.approx(expected)


@pytest.mark.parametrize("swapped", [False, True])
def test_degrees_that_a_scene_lacks_are_zero(swapped: bool) -> None:
    full = make_scene(200, degree=3)
    flat = replace(full, sh_rest=full.sh_rest[:, :0])
    pair = (flat, full) if swapped else (full, flat)
    found = errors_of(attribute_errors(*pair))
    assert found["SH dc", "coefficient"][1] == 0
    top = full.sh_rest[:, 8:].astype(np.float64)
    expected = np.sqrt((top**2).mean()), np.abs(top).max()
    assert found["SH 3", "coefficient"] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["means", "opacity_logits", "sh_rest"])
def test_scenes_with_nan_are_refused(name: str) -> None:
    scene = make_scene(10)
    values = scene.attributes()[name].copy()
    values[4], values[7] = np.nan, np.inf
    bad = replace(scene, **{name: values})  # type: ignore[arg-type]
    with pytest.raises(SceneError, match=f"^b.ply: {name} of Gaussian 4 is not finite"):
        require_finite(bad, "b.ply")
    require_finite(scene, "a.ply")
    require_finite(make_scene(0, 0), "empty.ply")


# --- pictures -----------------------------------------------------------------------------


def cameras(count: int = 3) -> tuple[Camera, ...]:
    """Small views from outside of `make_scene`, each from farther away."""
    poses = [np.eye(4) for _ in range(count)]
    for number, pose in enumerate(poses):
        pose[2, 3] = 5 + number
    return tuple(
        Camera(48, 32, 40.0, 40.0, 24.0, 16.0, pose, image=f"{number}.png")
        for number, pose in enumerate(poses)
    )


def pictures(a: GaussianScene, b: GaussianScene, **options: object) -> Pictures:
    """`compare_pictures` with the plainest options."""
    plain: dict[str, object] = {
        "background": BLACK,
        "photograph": None,
        "lpips": False,
        "keep": 0,
        "progress": lambda _stage, _share: None,
    }
    return compare_pictures(a, b, cameras(), **{**plain, **options})  # type: ignore[arg-type]


def test_identical_scenes_look_identical() -> None:
    scene = make_scene(300)
    views = pictures(scene, shuffled(scene)[0]).views
    assert [view.name for view in views] == ["0.png", "1.png", "2.png"]
    assert all((v.width, v.height) == (48, 32) for v in views)
    assert all(v.quality.psnr > 90 and v.quality.ssim > 0.999 for v in views)


def test_pictures_are_clipped_before_they_are_measured() -> None:
    """What is brighter than white looks white."""
    scene = make_scene(300, degree=0)
    bright = replace(
        scene, sh_dc=np.full_like(scene.sh_dc, 50), log_scales=scene.log_scales + 6
    )
    brighter = replace(bright, sh_dc=bright.sh_dc * 2)
    assert all(v.quality.psnr == 100 for v in pictures(bright, brighter).views)


def test_the_background_is_behind_both() -> None:
    nothing, scene = make_scene(0), make_scene(300)
    ratios = {
        colour: pictures(nothing, scene, background=colour).views[0].quality.psnr
        for colour in (BLACK, WHITE)
    }
    for colour, psnr in ratios.items():
        image = np.clip(render(scene, cameras()[0], colour), 0, 1)
        expected = -10 * np.log10(np.mean((image - np.array(colour)) ** 2))
        assert psnr == pytest.approx(expected, abs=1e-3)
    assert ratios[BLACK] != pytest.approx(ratios[WHITE], abs=0.1)


def test_both_scenes_are_judged_by_photographs() -> None:
    a, b = make_scene(300), noisy(make_scene(300), 0.3)

    def photograph(camera: Camera) -> NDArray[np.float32]:
        image: NDArray[np.float32] = np.clip(render(a, camera), 0, 1)
        return image

    for view in pictures(a, b, photograph=photograph).views:
        assert view.a_to_photograph
        assert view.a_to_photograph.psnr == 100
        assert view.a_to_photograph.ssim == pytest.approx(1, abs=1e-6)
        assert view.b_to_photograph == view.quality
        assert view.quality.psnr < 40


def test_the_worst_pictures_are_kept_in_order() -> None:
    a, b = make_scene(300), noisy(make_scene(300), 0.3)
    whole = pictures(a, b, keep=9)
    assert [shown.view for shown in whole.worst] == list(whole.views)
    some = pictures(a, b, keep=2).worst
    ratios = sorted(view.quality.psnr for view in whole.views)
    assert [s.view.name for s in some] == sorted(s.view.name for s in some)
    assert sorted(s.view.quality.psnr for s in some) == ratios[:2]
    assert np.array_equal(some[0].a, np.clip(render(a, cameras()[0]), 0, 1))


def test_means_and_losses() -> None:
    mean = mean_quality([Quality(30.0, 0.5, 0.25), Quality(40.0, 1.0, 0.75)])
    assert mean == Quality(35.0, 0.75, 0.5)
    assert mean_quality([Quality(30.0, 0.5, 0.25), Quality(40.0, 1.0)]) == Quality(35.0, 0.75)
    assert mean_quality([]) is None
    loss = Quality(30.0, 0.75, 0.125).loss(Quality(29.0, 0.5, 0.25))
    assert loss == Quality(1.0, 0.25, 0.125)
    assert Quality(30.0, 0.75).loss(Quality(29.0, 0.5)) == Quality(1.0, 0.25, None)
    seen = [Quality(30.0, 0.75, flip=0.5), Quality(30.0, 0.75, flip=0.25)]
    assert mean_quality(seen) == Quality(30.0, 0.75, flip=0.375)
    assert seen[1].loss(seen[0]).flip == 0.25


# --- the command --------------------------------------------------------------------------


@pytest.fixture
def cli(cli: Cli) -> Cli:
    """Runs ``gscodec compare``, inside the folder of `files`."""
    return partial(cli, "compare")


A = make_scene(300)
TURN = np.diag([-1.0, 1.0, -1.0, 1.0])  # of a camera: to look the other way
B = shuffled(noisy(A, 0.1))[0].take(np.arange(280))


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    """a.ply, b.gsz with fewer Gaussians, views.json, photos/ with renders of a."""
    (tmp_path / "a.ply").write_bytes(gscodec.write_ply(A))
    (tmp_path / "b.gsz").write_bytes(gscodec.encode(B, "raw"))
    (tmp_path / "views.json").write_bytes(write_cameras(cameras()))


@pytest.fixture
def photos(tmp_path: Path) -> None:
    """Renders of a as photographs of the views, in the folder ``photos``."""
    (tmp_path / "photos").mkdir()
    for camera in cameras():
        image = np.clip(render(A, camera), 0, 1)
        Image.fromarray((255 * image).round().astype(np.uint8)).save(
            tmp_path / "photos" / camera.image
        )


def test_json_has_everything(cli: Cli) -> None:
    result = cli("a.ply", "b.gsz", "--views", "views.json", "--json")
    assert result.code == 0
    assert "gscodec: render\n" in result.err
    assert result.out.count(b"\n") == 1
    report = json.loads(result.out)
    assert (report["schema"], report["command"], report["status"]) == (1, "compare", "done")
    views = pictures(A, B).views
    assert report["psnr"] == pytest.approx(np.mean([v.quality.psnr for v in views]))
    assert report["ssim"] == pytest.approx(np.mean([v.quality.ssim for v in views]))
    worst = min(views, key=lambda v: v.quality.psnr)
    assert (report["worst_view"], report["worst_psnr"]) == (worst.name, worst.quality.psnr)
    assert [v["quality"]["psnr"] for v in report["views"]] == [v.quality.psnr for v in views]
    assert (report["a"]["gaussians"], report["b"]["gaussians"]) == (300, 280)
    assert report["photographs"] is None
    assert report["lpips"] is None
    attributes = report["attributes"]
    assert attributes["estimated_by"] == "matching"
    assert (attributes["matched"], attributes["unmatched_a"]) == (280, 20)
    assert [e["name"] for e in attributes["errors"]][-3:] == ["SH 1", "SH 2", "SH 3"]


def test_tables_show_what_json_has(cli: Cli) -> None:
    result = cli("a.ply", "b.gsz", "--views", "views.json", "--quiet", "--json")
    report = json.loads(result.out)
    assert result.err == ""
    tables = cli("a.ply", "b.gsz", "--views", "views.json").text
    for text in (
        "280 Gaussians; without a partner: 20 of a",
        "estimated by matching",
        f"{report['psnr']:.3f} dB",
        f"{report['worst_psnr']:.3f} dB",
        f"{report['ssim']:.5f}",
        "3 of the 3 cameras of views.json",
    ):
        assert text in tables
    assert max(map(len, tables.splitlines())) <= 110


def test_quiet_prints_nothing(cli: Cli) -> None:
    assert cli("a.ply", "b.gsz", "--views", "views.json", "--quiet") == (0, b"", "")


@pytest.mark.usefixtures("photos")
def test_photographs_judge_both(cli: Cli) -> None:
    args = ("a.ply", "b.gsz", "--views", "views.json", "--images", "photos")
    report = json.loads(cli(*args, "--json").out)
    photographs = report["photographs"]
    assert photographs["a"]["psnr"] > 55  # eight bits
    assert photographs["b"]["psnr"] == pytest.approx(report["psnr"], abs=0.1)
    loss = photographs["a"]["psnr"] - photographs["b"]["psnr"]
    assert photographs["loss"]["psnr"] == pytest.approx(loss)
    tables = cli(*args).text
    assert f"{photographs['a']['psnr']:.3f} dB" in tables
    assert f"{loss:.3f} dB" in tables


@pytest.mark.usefixtures("photos")
def test_views_without_photograph_are_left_out(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "photos" / "1.png").unlink()
    args = ("--views", "views.json", "--images", "photos", "--json", "--quiet")
    report = json.loads(cli("a.ply", "b.gsz", *args).out)
    assert [view["name"] for view in report["views"]] == ["0.png", "2.png"]
    assert "no photograph for 1 of 3 cameras" in " ".join(report["notes"])


def test_fewer_views_are_spread_evenly(cli: Cli) -> None:
    args = ("--views", "views.json", "--max-views", "2", "--json")
    report = json.loads(cli("a.ply", "b.gsz", *args).out)
    assert [view["name"] for view in report["views"]] == ["0.png", "2.png"]


def test_the_background_counts(cli: Cli) -> None:
    args = ("--views", "views.json", "--json", "--background")
    black, white = (json.loads(cli("a.ply", "b.gsz", *args, c).out) for c in ("0,0,0", "1,1,1"))
    assert white["background"] == [1, 1, 1]
    assert black["psnr"] != white["psnr"]


def test_without_cameras_there_are_virtual_ones(cli: Cli) -> None:
    report = json.loads(cli("a.ply", "b.gsz", "--max-views", "4", "--json").out)
    assert len(report["views"]) == 4
    assert report["views_from"].startswith("4 virtual cameras, ")
    assert 10 < report["psnr"] < 60


def test_flip_is_measured_where_it_is_installed(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ("a.ply", "b.gsz", "--views", "views.json")
    if find_spec("flip_evaluator"):
        report = json.loads(cli(*args, "--json").out)
        assert 0 < report["flip"] < 0.5
        assert "FLIP" in cli(*args).text
    monkeypatch.setattr("gscodec.render.flip.find_spec", lambda _: None)
    assert json.loads(cli(*args, "--json").out)["flip"] is None
    assert "FLIP" not in cli(*args).text


def test_the_sheet_is_a_picture(cli: Cli, tmp_path: Path) -> None:
    args = ("a.ply", "b.gsz", "--views", "views.json", "--sheet", "sheet.png")
    assert cli(*args).code == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"
        assert min(sheet.size) > 48
    again = cli(*args)
    assert (again.code, again.out) == (6, b"")
    assert again.err.endswith("sheet.png: exists already; replace it with --overwrite\n")
    assert cli(*args, "--overwrite", "--quiet").code == 0


def test_too_low_a_psnr_ends_with_7(cli: Cli) -> None:
    args = ("--views", "views.json", "--quiet", "--min-psnr")
    assert cli("a.ply", "b.gsz", *args, "5").code == 0
    low = cli("a.ply", "b.gsz", *args, "99")
    assert low.code == 7
    assert low.err.startswith("gscodec: error: b.gsz against a.ply: mean PSNR ")
    assert low.err.endswith(" dB, expected at least 99\n")
    assert low.err.count("\n") == 1
    assert cli("a.ply", "b.gsz", *args, "nan").code == 2


def test_the_report_is_printed_although_the_psnr_is_too_low(cli: Cli) -> None:
    result = cli("a.ply", "b.gsz", "--views", "views.json", "--min-psnr", "99", "--json")
    assert result.code == 7
    report = json.loads(result.out)
    assert report["psnr"] < 99
    assert report["error"]["code"] == 7


def test_empty_scenes_are_equal(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty.ply").write_bytes(gscodec.write_ply(make_scene(0, 0)))
    report = json.loads(cli("empty.ply", "empty.ply", "--json").out)
    assert report["psnr"] is None
    assert report["views"] == report["attributes"]["errors"] == []
    assert cli("empty.ply", "empty.ply").code == 0


def test_no_psnr_is_measured_where_nothing_is_seen(cli: Cli, tmp_path: Path) -> None:
    """It is neither good nor bad enough."""
    (tmp_path / "empty.ply").write_bytes(gscodec.write_ply(make_scene(0, 0)))
    result = cli("empty.ply", "empty.ply", "--min-psnr", "50")
    assert (result.code, "found nothing to be seen" in result.err) == (3, True)
    result = cli("empty.ply", "empty.ply", "--views", "views.json", "--json")
    assert (result.code, json.loads(result.out)["error"]["code"]) == (3, 3)
    assert "views: none of 3 cameras sees anything" in result.err


def test_views_that_show_nothing_are_told_and_left_out(cli: Cli, tmp_path: Path) -> None:
    behind = tuple(
        replace(c, world_to_camera=TURN @ c.world_to_camera, image=f"behind {c.image}")
        for c in cameras()
    )
    (tmp_path / "both.json").write_bytes(write_cameras((*behind[:2], *cameras())))
    args = ("a.ply", "b.gsz", "--json", "--views")
    both, good = (json.loads(cli(*args, f"{name}.json").out) for name in ("both", "views"))
    assert both["blank_views"] == ["behind 0.png", "behind 1.png"]
    assert good["blank_views"] == []
    assert (both["psnr"], both["ssim"]) == (good["psnr"], good["ssim"])
    assert both["views"] == good["views"]
    tables = cli("a.ply", "b.gsz", "--views", "both.json").text
    assert "2 views show nothing of either scene (first: behind 0.png)" in tables
    (tmp_path / "behind.json").write_bytes(write_cameras(behind))
    assert cli("a.ply", "b.gsz", "--views", "behind.json").code == 3


def test_scenes_of_any_unit_are_told_apart(cli: Cli, tmp_path: Path) -> None:
    """From virtual cameras: inverted colours are no less different in a scene of millimetres."""
    inverted = replace(A, sh_dc=-A.sh_dc, sh_rest=-A.sh_rest)
    ratios = []
    for size in (1.0, 1e-3):
        (tmp_path / "x.ply").write_bytes(gscodec.write_ply(scaled(A, size)))
        (tmp_path / "y.ply").write_bytes(gscodec.write_ply(scaled(inverted, size)))
        report = json.loads(cli("x.ply", "y.ply", "--json", "--max-views", "3").out)
        assert report["blank_views"] == []
        ratios.append(report["psnr"])
    assert ratios[1] < 40
    assert ratios[1] == pytest.approx(ratios[0], abs=6)


def test_the_reference_decides_the_near_plane() -> None:
    """A b that is collapsed to a point must not change what is drawn of a."""
    point = replace(A, means=A.means * np.float32(1e-6))
    view = cameras()[0]
    found = pictures(A, point, keep=3).worst[0]
    assert np.array_equal(found.a, np.clip(render(A, view), 0, 1))
    nothing = pictures(make_scene(0), scaled(A, 1e-3)).blank
    assert len(nothing) < 3


def test_antialiased_scenes_are_drawn_so(cli: Cli, tmp_path: Path) -> None:
    """Each as it says of itself, with a note where they differ."""
    filtered = replace(A, antialiased=True)
    assert all(v.quality.psnr == 100 for v in pictures(filtered, filtered).views)
    assert all(v.quality.psnr < 60 for v in pictures(A, filtered).views)
    (tmp_path / "aa.gsz").write_bytes(gscodec.encode(filtered, "raw"))
    args = ("aa.gsz", "--views", "views.json", "--json")
    report = json.loads(cli("a.ply", *args).out)
    assert "only b is drawn antialiased, as its file says" in report["notes"]
    assert not any(
        "antialiased" in note for note in json.loads(cli("aa.gsz", *args).out)["notes"]
    )


def test_scenes_in_which_nothing_can_be_seen(cli: Cli, tmp_path: Path) -> None:
    clear = replace(A, opacity_logits=np.full_like(A.opacity_logits, -50))
    (tmp_path / "clear.ply").write_bytes(gscodec.write_ply(clear))
    report = json.loads(cli("clear.ply", "clear.ply", "--json").out)
    assert report["psnr"] is None
    assert report["attributes"]["matched"] == 300
    assert json.loads(cli("clear.ply", "a.ply", "--max-views", "2", "--json").out)["views"]


def test_an_empty_scene_is_compared_from_where_the_other_is_seen(
    cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "empty.ply").write_bytes(gscodec.write_ply(make_scene(0, 0)))
    for pair in (("empty.ply", "a.ply"), ("a.ply", "empty.ply")):
        report = json.loads(cli(*pair, "--json", "--max-views", "2").out)
        assert len(report["views"]) == 2
        assert report["psnr"] < 60
        assert report["attributes"]["matched"] == 0


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("a.ply", "none.ply"), 6, "none.ply: cannot be read"),
        (("-", "-"), 2, "both scenes cannot come from stdin"),
        (("a.ply", "b.gsz", "--images", "photos"), 2, "--images: needs --views"),
        (("a.ply", "b.gsz", "--sheet", "-"), 2, "--sheet: stdout is for the report"),
        (("a.ply", "b.gsz", "--sheet", "a.ply"), 2, "a.ply: is the input too"),
        (("a.ply", "b.gsz", "--sheet", "b.gsz"), 2, "b.gsz: is the input too"),
        (("a.ply", "b.gsz", "--background", "1,1"), 2, "--background: found '1,1'"),
        (("a.ply", "b.gsz", "--background", "0,0,nan"), 2, "--background: found '0,0,nan'"),
        (("a.ply", "b.gsz", "--background", "0,0,2"), 2, "--background: found '0,0,2'"),
        (("a.ply", "views.json"), 3, "views.json: found b'"),
        (("a.ply", "cut.gsz"), 4, "cut.gsz: "),
        (("nan.ply", "b.gsz"), 3, "nan.ply: "),
        (("a.ply", "nan.gsz"), 3, "nan.gsz: means of Gaussian 2 is not finite"),
    ],
)
def test_what_cannot_be_compared(
    cli: Cli, tmp_path: Path, args: tuple[str, ...], code: int, message: str
) -> None:
    """One line that says where and what, before anything is rendered."""
    means = A.means.copy()
    means[2] = np.nan
    (tmp_path / "nan.ply").write_bytes(gscodec.write_ply(replace(A, means=means)))
    (tmp_path / "nan.gsz").write_bytes(gscodec.encode(replace(A, means=means), "raw"))
    (tmp_path / "cut.gsz").write_bytes((tmp_path / "b.gsz").read_bytes()[:-9])
    result = cli(*args, "--quiet")
    assert (result.code, result.out) == (code, b"")
    assert result.err.startswith(f"gscodec: error: {message}")
    assert result.err.count("\n") == 1


def test_lpips_that_is_not_there_is_refused_at_once(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "gscodec.render.perceptual.find_spec", lambda name: None if name == "lpips" else 1
    )
    result = cli("a.ply", "b.gsz", "--lpips")
    assert result.code == 2
    assert "LPIPS needs lpips" in result.err


@pytest.mark.parametrize("missing", ["numba", "scipy"])
def test_missing_libraries_are_named(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(
        "gscodec.comparison.find_spec", lambda name: None if name == missing else 1
    )
    result = cli("a.ply", "b.gsz")
    assert result.code == 2
    assert f"compare needs {missing}; pip install 'gscodec[render]'" in result.err
