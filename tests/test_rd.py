"""Rate-distortion curves: Bjontegaard rates, what is written, and the command."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gscodec
from anchors import make_anchor_scene
from gscodec.camera import Camera, spread
from gscodec.cameraio import write_cameras
from gscodec.checkpointio import write_checkpoint
from gscodec.cli.commands import load
from gscodec.disk.checkpoints import write_folder
from gscodec.errors import CannotCodeError, SceneError, UsageError
from gscodec.rd import LAMBDAS, _beyond, jobs, measure
from gscodec.report.curve import bjontegaard_rate, bytes_at
from gscodec.report.rd_page import rd_html
from gscodec.report.rd_plot import file_size, rd_png, rd_svg
from gscodec.report.rd_result import SPZ, Point, RdResult, lambda_text
from quick import set_defaults
from scenes import make_scene, silent

if TYPE_CHECKING:
    from pathlib import Path

    from command import Cli

CURVE = [(300.0, 30.0), (420.0, 33.5), (700.0, 36.0), (900.0, 38.5), (1500.0, 43.0)]
VOID = {"meta", "br", "link", "img", "hr"}


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """scene.ply of 1500 Gaussians: enough for hac to be smaller than raw."""
    path = tmp_path / "scene.ply"
    path.write_bytes(gscodec.write_ply(make_scene(1500, degree=1)))
    return path


@pytest.fixture
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A badly trained model has a curve too."""
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=12)


def cameras(count: int = 2) -> tuple[Camera, ...]:
    """Small views from outside of `make_scene`, each from farther away."""
    poses = [np.eye(4) for _ in range(count)]
    for number, pose in enumerate(poses):
        pose[2, 3] = 5 + number
    return tuple(Camera(48, 32, 40.0, 40.0, 24.0, 16.0, pose) for pose in poses)


def point(codec: str, lam: float | None, size: int, psnr: float, **parts: int) -> Point:
    """A point of which only the rate and the quality matter."""
    return Point(codec, lam, size, 1000, psnr, psnr - 1, 0.99, 1.5, parts)


def result(*points: Point, source: str = "scene.ply") -> RdResult:
    """``points`` of a scene of 1000 Gaussians."""
    return RdResult(
        source, 248_000, 1000, 3, 8, "8 of the 20 cameras of cams.json", points, ("a < b",)
    )


TWO_CURVES = result(
    point(SPZ, None, 20_000, 42.0),
    *(
        point("hac", lam, size, psnr, position=size // 2, sh_dc=size - size // 2)
        for lam, size, psnr in (
            (5e-4, 9_000, 45.0),
            (1e-3, 7_000, 41.0),
            (2e-3, 5_000, 38.5),
            (4e-3, 4_000, 36.0),
        )
    ),
    *(
        point("new", lam, size, psnr, position=size)
        for lam, size, psnr in ((5e-4, 4_500, 45.0), (2e-3, 2_500, 38.5))
    ),
    point("raw", None, 200_000, 100.0, position=200_000),
)


# --- curves -------------------------------------------------------------------------------


def test_a_curve_does_not_differ_from_itself() -> None:
    """Its rate is 0 %, also with its points in another order."""
    assert bjontegaard_rate(CURVE, CURVE) == pytest.approx(0, abs=1e-12)
    assert bjontegaard_rate(CURVE, CURVE[::-1]) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_half_the_bytes_are_minus_fifty_percent(count: int) -> None:
    """Whatever the shape of the curve and the interpolation."""
    half = [(size / 2, psnr) for size, psnr in CURVE[:count]]
    assert bjontegaard_rate(CURVE[:count], half) == pytest.approx(-50, abs=1e-10)
    assert bjontegaard_rate(half, CURVE[:count]) == pytest.approx(100, abs=1e-10)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_both_directions_cancel(count: int) -> None:
    """(1 + a) (1 + b) = 1, also where the curves overlap in part."""
    other = [(size**0.9, psnr + 1.7) for size, psnr in CURVE[:count]]
    there, back = bjontegaard_rate(CURVE, other), bjontegaard_rate(other, CURVE)
    assert there is not None
    assert back is not None
    assert abs(there) > 10
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1, abs=1e-12)


def test_rates_of_another_implementation() -> None:
    """bd_rate(..., method="pchip") of the package bjontegaard 1.3.0."""
    first = [(100, 30.1), (180, 32.9), (310, 34.8), (600, 37.0)]
    second = [(90, 30.9), (170, 33.0), (320, 35.6), (560, 37.9)]
    assert bjontegaard_rate(first, second) == pytest.approx(-14.988073188276, abs=1e-9)


def test_few_points_are_joined_by_straight_lines() -> None:
    """log2(bytes) is 0, 1, 3 and 1, 2, 3: means of the difference by trapezoids."""
    first = [(1.0, 0.0), (2.0, 1.0), (8.0, 2.0)]
    second = [(2.0, 0.0), (4.0, 1.0), (8.0, 2.0)]
    assert bjontegaard_rate(first, second) == pytest.approx(100 * (2**0.75 - 1))
    assert bjontegaard_rate(first[1:], second[1:]) == pytest.approx(100 * (2**0.5 - 1))
    assert bjontegaard_rate(first[1:], second) == pytest.approx(100 * (2**0.5 - 1))


def test_curves_that_share_nothing_have_no_rate() -> None:
    """No overlap, one that is a single PSNR, one point, no point."""
    high = [(size, psnr + 13) for size, psnr in CURVE]
    assert bjontegaard_rate(CURVE, high) is None
    assert bjontegaard_rate(CURVE, CURVE[:1]) is None
    assert bjontegaard_rate([], CURVE) is None
    assert bjontegaard_rate([(10, 100.0), (12, 100.0)], CURVE) is None


def test_of_equal_psnr_the_smallest_file_counts() -> None:
    """A setting that only costs bytes is not part of the curve."""
    assert bjontegaard_rate(CURVE, [*CURVE, (2000.0, 43.0)]) == pytest.approx(0, abs=1e-12)


def test_bytes_at_a_quality() -> None:
    """Geometric mean half way between two points; nothing outside."""
    assert bytes_at(31.75, CURVE) == pytest.approx((300 * 420) ** 0.5)
    assert bytes_at(36.0, CURVE[::-1]) == pytest.approx(700)
    assert bytes_at(43.0, CURVE) == pytest.approx(1500)
    assert bytes_at(29.9, CURVE) is None
    assert bytes_at(43.1, CURVE) is None
    assert bytes_at(30.0, CURVE[:1]) is None


# --- results ------------------------------------------------------------------------------


def test_what_follows_from_the_points() -> None:
    """Ratios at SPZ's PSNR, best first; Bjontegaard rates both ways."""
    found = TWO_CURVES.at_spz()
    assert [item.codec for item in found] == ["new", "hac"]
    assert found[1].bytes == pytest.approx(bytes_at(42.0, [(9000, 45), (7000, 41)]))
    assert found[1].ratio == found[1].bytes / 20_000
    pairs = {(c.reference, c.test): c.rate for c in TWO_CURVES.comparisons()}
    assert set(pairs) == {("hac", "new"), ("new", "hac")}
    assert -56 < pairs["hac", "new"] < -50


def test_csv_can_be_read_back() -> None:
    """Every number of every point, and empty cells for parts that are not known."""
    rows = list(csv.DictReader(io.StringIO(TWO_CURVES.to_csv().decode())))
    assert len(rows) == len(TWO_CURVES.points)
    for row, wanted in zip(rows, TWO_CURVES.points, strict=True):
        assert row["codec"] == wanted.codec
        assert row["lambda"] == ("" if wanted.lam is None else str(wanted.lam))
        assert int(row["bytes"]) == wanted.bytes
        assert float(row["psnr"]) == wanted.psnr
        assert float(row["bits_per_gaussian"]) == wanted.bytes * 8 / 1000
        parts = {n.removeprefix("bytes_"): v for n, v in row.items() if n[:6] == "bytes_"}
        assert {n: int(v) for n, v in parts.items() if v} == wanted.parts


def test_json_is_json() -> None:
    """Numbers and texts only, derived values included."""
    back = json.loads(json.dumps(TWO_CURVES.to_json(), allow_nan=False))
    assert back["points"][1]["parts"] == {"position": 4500, "sh_dc": 4500}
    assert len(back["bjontegaard"]) == 2
    assert back["at_spz"][0]["codec"] == "new"


@pytest.mark.parametrize(
    ("lam", "text"), [(5e-4, "5e-4"), (1.6e-2, "1.6e-2"), (1.0, "1e0"), (2.5e-4, "2.5e-4")]
)
def test_lambdas_are_short(lam: float, text: str) -> None:
    """As one types them, and nothing is lost."""
    assert lambda_text(lam) == text
    assert float(text) == lam


@pytest.mark.parametrize(
    ("count", "text"),
    [(300, "0.3 kB"), (228_594, "229 kB"), (999_600, "1 MB"), (1.66e6, "1.66 MB")],
)
def test_sizes_are_short(count: float, text: str) -> None:
    """Three digits."""
    assert file_size(count) == text


# --- the page and the picture ---------------------------------------------------------------


class Page(HTMLParser):
    """Refuses tags that are not closed in order; collects texts and attributes."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html.decode())
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        assert "svg" in self.open, tag  # HTML itself has no such thing

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_page_is_well_formed_and_needs_no_network() -> None:
    """Every tag is closed, every reference is to the page itself."""
    html = rd_html(TWO_CURVES)
    page = Page(html)
    assert b"://" not in html
    assert b"url(" not in re.sub(rb"url\(#\w+\)", b"", html)
    for name, value in page.attributes:
        if name in {"href", "xlink:href", "src"}:
            assert (value or "").startswith("#")
    identifiers = {value for name, value in page.attributes if name == "id"}
    targets = {v[1:] for n, v in page.attributes if n == "xlink:href" and v}
    assert targets <= identifiers


def test_page_says_everything() -> None:
    """Each point with a title to hover over, both tables, the notes."""
    text = "\n".join(Page(rd_html(TWO_CURVES)).texts)
    assert text.count("bits per Gaussian, ") == len(TWO_CURVES.points) - 1  # raw is not drawn
    assert "hac 5e-4: 9,000 bytes, 72.00 bits per Gaussian, 45.00 dB, SSIM 0.99000" in text
    assert "Bjontegaard" in text
    assert "At the PSNR of SPZ v4" in text
    assert "not to scale" in text
    assert "a < b" in text


def test_names_cannot_be_made_to_run() -> None:
    """A file may be named as a script, or as a formula."""
    nasty = replace(TWO_CURVES, source="<script>alert('$x^2$')</script>\x1b")
    page = Page(rd_html(nasty))
    assert not any("alert" in str(value) for _, value in page.attributes)
    assert b"<script" not in rd_html(nasty)
    assert rd_png(replace(nasty, source="$\\frac{" + 300 * "W"))


def test_colours_are_the_pages() -> None:
    """All that is visible follows the dark mode."""
    svg = rd_svg(TWO_CURVES)
    fixed = set(re.findall(r"#[0-9a-f]{6}\b(?!.*opacity: 0)", svg))
    assert fixed <= {"#ffffff"}
    assert "var(--series-1)" in svg


@pytest.mark.parametrize(
    "some",
    [
        TWO_CURVES,
        result(point("raw", None, 5_000, 100.0, position=5_000)),
        result(point("hac", 2e-3, 50, 30.0, position=50)),
        result(point("hac", 2e-3, 50_000, 30.0), point("hac", 4e-3, 50_000, 30.0)),
        result(point("hac", 2e-3, 10**9, 30.0), point("hac", 4e-3, 10, 20.0)),
    ],
    ids=["two curves", "lossless only", "one point", "one place", "far apart"],
)
def test_every_result_can_be_drawn(some: RdResult) -> None:
    """The picture opens and has its size, the page is well formed."""
    image = pytest.importorskip("PIL.Image")
    with image.open(io.BytesIO(rd_png(some))) as picture:
        assert picture.size == (1600, 960)
        assert picture.convert("L").getextrema()[0] < 80  # there is ink
    assert Page(rd_html(some)).texts


def test_the_same_result_gives_the_same_files() -> None:
    """No dates, no random identifiers."""
    assert rd_html(TWO_CURVES) == rd_html(TWO_CURVES)


# --- measuring ----------------------------------------------------------------------------


def test_jobs() -> None:
    """One per lambda, one for a method without, each once; options where they are known."""
    todo = jobs(["raw", "hac", "hac"], [1e-3, 2e-3, 1e-3], {"seed": 5})
    assert [job.name for job in todo] == ["raw", "hac 1e-3", "hac 2e-3"]
    assert todo[0].options == {}
    assert todo[1].options == {"seed": 5, "lam": 1e-3}


def test_senseless_jobs_are_refused() -> None:
    """Before any work is done."""
    with pytest.raises(UsageError, match="found 'zip', expected one of"):
        jobs(["zip"], [1e-3], {})
    with pytest.raises(UsageError, match="lambda: found 3"):
        jobs(["hac"], [1e-3, 3.0], {})
    with pytest.raises(UsageError, match="option seed: unknown to raw"):
        jobs(["raw"], [1e-3], {"seed": 0})


def test_views_are_spread_evenly() -> None:
    """First and last are among them; few views are all taken."""
    many = cameras(11)
    assert spread(many, 3) == (many[0], many[5], many[10])
    assert spread(many, 11) == many
    assert spread(many, 1) == (many[0],)


def test_lossless_is_a_hundred_decibels() -> None:
    """And the parts are those of the file."""
    pytest.importorskip("numba")
    scene = make_scene(300, degree=1)
    points, notes, _ = measure(
        scene, jobs(["raw"], [], {}), cameras(), spz=False, progress=silent
    )
    data = gscodec.encode(scene, "raw")
    assert (points[0].psnr, points[0].worst_psnr) == (100.0, 100.0)
    assert points[0].ssim == pytest.approx(1, abs=1e-6)
    assert points[0].bytes == len(data) == sum(points[0].parts.values())
    assert next(iter(points[0].parts)) == "position"
    assert notes == ()


def test_nothing_to_render_is_said() -> None:
    """An empty scene has no virtual cameras."""
    with pytest.raises(SceneError, match="no view to render"):
        measure(make_scene(0), jobs(["raw"], [], {}), (), spz=False, progress=silent)


def test_views_that_show_nothing_are_left_out_or_refused() -> None:
    pytest.importorskip("numba")
    scene = make_scene(300, degree=0)
    there, todo = cameras(), jobs(["raw"], [], {})
    elsewhere = [_turned_away(camera) for camera in there]
    measured = measure(scene, todo, [*elsewhere, *there], spz=False, progress=silent)
    assert measured.views == len(there)
    assert measured.notes == (
        f"left out {len(there)} of {2 * len(there)} views: they show nothing",
    )
    with pytest.raises(SceneError, match=f"none of {len(there)} cameras sees anything"):
        measure(scene, todo, elsewhere, spz=False, progress=silent)


def _turned_away(camera: Camera) -> Camera:
    return replace(
        camera, world_to_camera=np.diag([-1.0, 1.0, -1.0, 1.0]) @ camera.world_to_camera
    )


def test_spz_has_a_point_or_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage that 8 bits do, opaque Gaussians too; and what is too much for it."""
    pytest.importorskip("gaussforge")
    opaque = make_scene(300, degree=1)
    opaque.opacity_logits[:50] = 12
    (spz,), notes, _ = measure(opaque, (), cameras(), spz=True, progress=silent)
    assert 25 < spz.psnr < 70
    assert spz.gaussians == 300
    assert notes == ()

    def fail(_: object, version: int) -> bytes:  # noqa: ARG001
        raise CannotCodeError("gaussforge: too much for it")

    monkeypatch.setattr("gscodec.interchange.encode_spz", fail)
    points, notes, _ = measure(opaque, (), cameras(), spz=True, progress=silent)
    assert points == ()
    assert notes == ("SPZ v4 is not measured: gaussforge: too much for it",)
    monkeypatch.setattr("gscodec.interchange.formats.find_spec", lambda _: None)
    points, notes, _ = measure(opaque, (), cameras(), spz=True, progress=silent)
    assert points == ()
    assert notes == (
        "SPZ v4 is not measured: .spz needs gaussforge; pip install 'gscodec[convert]'",
    )


# --- the command --------------------------------------------------------------------------


@pytest.mark.usefixtures("quick_fit")
def test_a_run(cli: Cli, scene: Path) -> None:
    """Everything at once: the page, the picture, the table, JSON alone on stdout."""
    scene.with_name("cams.json").write_bytes(write_cameras(cameras(5)))
    args = ("--views", "cams.json", "--max-views", "2", "--lambda", "1e-4,1e-2", "--json")
    ended = cli("rd", "scene.ply", *args, "--method", "hac", "--png", "a.png", "--csv", "a.csv")
    assert ended.code == 0, ended.err
    assert ended.out.count(b"\n") == 1
    report = json.loads(ended.out)
    assert (report["schema"], report["command"], report["status"]) == (1, "rd", "done")
    assert report["views_from"] == "2 of the 5 cameras of cams.json"
    assert report["views"] == 2
    fine, coarse = (p for p in report["points"] if p["codec"] == "hac")
    assert fine["bytes"] > coarse["bytes"]
    assert fine["psnr"] > coarse["psnr"] >= coarse["worst_psnr"]
    assert fine["parts"]["networks"] > 0
    Page(scene.with_name("scene.html").read_bytes())
    assert scene.with_name("a.png").read_bytes().startswith(b"\x89PNG")
    assert scene.with_name("a.csv").read_text().count("\n") == 1 + len(report["points"])
    assert "hac 1e-2" in ended.err
    assert "gscodec: hac 1e-4 fit\n" in ended.err
    again = cli("rd", "scene.ply")
    assert again.code == 6
    assert "scene.html: exists already" in again.err


def test_virtual_cameras_by_default(cli: Cli, scene: Path) -> None:
    """Without --views the scene says where to look from."""
    ended = cli("rd", scene.name, "--method", "raw", "--max-views", "2", "--no-spz", "--json")
    assert ended.code == 0, ended.err
    into = cli(
        "rd", scene.name, "new/", "--method", "raw", "--max-views", "1", "--no-spz", "-q"
    )
    assert into.code == 0, into.err
    Page((scene.parent / "new/scene.html").read_bytes())
    report = json.loads(ended.out)
    assert report["views_from"].startswith("2 virtual cameras, ")
    assert report["views"] == 2
    assert [p["codec"] for p in report["points"]] == ["raw"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ("--lambda", "1e-3,x"),
            "--lambda: found '1e-3,x', expected numbers such as 5e-4,2e-3",
        ),
        (("--lambda", "7"), "lambda: found 7, expected 1e-06 to 1"),
        (
            ("--time-limit", "0"),
            "--time-limit: found '0', expected a time such as 90s, 10m or 1h",
        ),
        (("--time-limit", "5 min"), "--time-limit: found '5 min'"),
        (("--method", "zip"), "method: found 'zip'"),
        (
            ("--png", "a", "--csv", "./a"),
            "outputs: found scene.html, a, ./a, expected a file for",
        ),
        (("--csv", "scene.ply"), "scene.ply: is the input too"),
    ],
)
def test_usage_errors(cli: Cli, scene: Path, args: tuple[str, ...], message: str) -> None:
    """One line, before any work."""
    ended = cli("rd", scene.name, *args)
    assert ended.code == 2
    assert ended.err.startswith(f"gscodec: error: {message}")
    assert ended.err.count("\n") == 1
    assert not scene.with_name("scene.html").exists()


def test_defaults_in_help_are_those_of_the_code() -> None:
    """The help names them in words."""
    parameters: dict[str | None, Any] = {p.name: p for p in load("rd").params}
    said = parameters["lambdas"].help.split("Default: ")[1].rstrip(".")
    assert tuple(map(float, said.split(","))) == LAMBDAS
    assert parameters["max_views"].help.endswith(f"Default: {parameters['max_views'].default}.")


def test_missing_library_is_named(
    cli: Cli, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first encode, not after the last."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "gscodec.cli.rd.find_spec", lambda name: None if name == "matplotlib" else found(name)
    )
    ended = cli("rd", scene.name)
    assert ended.code == 2
    assert ended.err == ("gscodec: error: rd needs matplotlib; pip install 'gscodec[report]'\n")


@pytest.mark.usefixtures("quick_fit")
def test_a_checkpoint_has_a_curve(cli: Cli, tmp_path: Path) -> None:
    """Its anchors are counted; SPZ holds none, which a note says."""
    write_folder(
        str(tmp_path / "model"), write_checkpoint(make_anchor_scene(300)), overwrite=False
    )
    result = cli("rd", "model", "--lambda", "1e-2", "--max-views", "2", "--json")
    assert result.code == 0, result.err
    assert "it has no anchors" in result.out.decode()
    assert "anchors" in (tmp_path / "model.html").read_text()


@pytest.mark.parametrize(
    ("psnrs", "wanted"),
    [
        ({5e-4: 40.0, 8e-3: 30.0}, [2e-4]),  # all below
        ({5e-4: 60.0, 8e-3: 50.0}, [2e-2]),  # all above
        ({5e-4: 50.0, 8e-3: 40.0}, []),
        ({2.5e-5: 40.0, 8e-3: 30.0}, []),  # far enough
    ],
)
def test_lambdas_go_on_to_the_quality_of_spz(
    psnrs: dict[float, float], wanted: list[float]
) -> None:
    spz = Point(SPZ, None, 100, 1, 45.0, 44.0, 0.9, 1.0, {})
    points = [replace(spz, codec="hac", lam=lam, psnr=psnr) for lam, psnr in psnrs.items()]
    todo = (*jobs(["hac"], list(psnrs), {"seed": 3}), *jobs(["raw"], [], {}))
    found = _beyond([spz, *points], todo)
    assert [job.options for job in found] == [
        {"lam": pytest.approx(lam), "seed": 3} for lam in wanted
    ]
    assert _beyond(points, todo) == []
