"""Bit maps: what each primitive takes, voxels, pictures, pages, and ``inspect --map``."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gscodec
from gscodec import methods
from gscodec.bitmap import BitMap
from gscodec.codec import bit_map
from gscodec.coding import (
    LEVELS,
    Encoder,
    Family,
    decision_bits,
    decision_classes,
    encode_bits,
    encode_naturals,
    encode_residuals,
    residual_bits,
)
from gscodec.coding.naturals import natural_bits
from gscodec.container import pack, unpack
from gscodec.errors import FormatError, SceneError
from gscodec.learned.coding import bits_of_unit
from gscodec.methods import hac
from gscodec.payload import Attribute, SceneKind
from gscodec.report.balls import draw_balls
from gscodec.report.bit_page import bit_map_html
from gscodec.report.bit_plot import bit_map_png
from gscodec.report.bit_voxels import CELLS, headline, value_range, voxels
from gscodec.sceneio.comments import told_up
from gscodec.units import Law
from quick import LEARNED, set_defaults
from scenes import gaussians, hard_scenes, make_scene, silent
from test_rd import Page
from test_vectors import VECTORS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from command import Cli

_END = 64  # bits a stream may be longer than what it holds: the coder's end and its padding


def coded_sizes(data: bytes) -> dict[tuple[Attribute, int], int]:
    """Bits of each stream by attribute and block; extra properties together."""
    sizes: dict[tuple[Attribute, int], int] = {}
    for stream in unpack(data).streams:
        block = 0 if stream.attribute is Attribute.EXTRA else stream.block
        old = sizes.get((stream.attribute, block), 0)
        sizes[stream.attribute, block] = old + 8 * len(stream.data)
    return sizes


def require_sums(found: BitMap, data: bytes) -> None:
    """Every stream is spent on the rows of its block, or on the whole scene."""
    sizes, size = coded_sizes(data), unpack(data).header.block_size
    assert {a for a, _ in sizes} == {*found.bits, *found.shared}
    assert not set(found.bits) & set(found.shared)
    assert sum(found.sums().values()) == pytest.approx(
        found.total().sum() + sum(found.shared.values())
    )
    for (attribute, block), wanted in sizes.items():
        if attribute in found.shared:
            assert found.shared[attribute] == wanted
        else:
            shared = {Attribute.EXTRA, Attribute.OUTLIER, Attribute.LATENT}
            if attribute is Attribute.POSITION and unpack(data).header.position_bits:
                later = [b for a, b in sizes if a == attribute and b > block]
                whole, end = False, min(later, default=1 << 32)
            else:
                whole = attribute in shared and not any(a == attribute and b for a, b in sizes)
                end = block + 1
            rows = slice(None) if whole else slice(block * size, end * size)
            total = found.bits[attribute][rows].sum(dtype=np.float64)
            assert total == pytest.approx(wanted, rel=0.01, abs=_END), attribute


# --- what is spent ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", sorted(VECTORS.glob("*/*.gsz")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_bits_of_the_primitives_add_up_to_the_streams(path: Path) -> None:
    data = path.read_bytes()
    found, scene = bit_map(data), gscodec.decode(data)
    assert len(found) == len(scene)
    assert all((bits >= 0).all() for bits in found.bits.values())
    assert np.array_equal(found.positions, next(iter(scene.attributes().values())))
    if len(found):
        require_sums(found, data)


@pytest.fixture
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A badly trained model spends bits too."""
    pytest.importorskip("torch")
    set_defaults(monkeypatch, training=10)


@pytest.mark.usefixtures("quick_fit")
@pytest.mark.parametrize("name", LEARNED)
def test_each_block_has_its_own_bits(name: str) -> None:
    method = methods.by_name(name)
    options = method.Options(block_size=100)
    data = pack(method.encode(make_scene(550, 1), options, silent).payload)
    assert max(s.block for s in unpack(data).streams) == 5
    require_sums(bit_map(data, threads=2), data)


@pytest.mark.usefixtures("quick_fit")
def test_a_surprise_costs_more() -> None:
    """One opacity unlike all others takes more bits than any of them."""
    scene = make_scene(1000, 0)
    opacities = np.full_like(scene.opacity_logits, 1.5)
    opacities[321] = -6
    scene = replace(scene, opacity_logits=opacities)
    coded = hac.encode(scene, hac.Options(), silent)
    bits = hac.spent(coded.payload, silent).bits[Attribute.OPACITY]
    assert np.argmax(bits) == np.argmin(gaussians(coded.reconstruction).opacity_logits)
    assert bits.max() > 10 + np.median(bits)


def test_what_is_not_coded_takes_nothing() -> None:
    """Offsets that do not exist, beside masks, which are decisions."""
    present = np.array([[True, False], [False, False], [True, True]])
    residuals = np.array([[9, 0], [0, 0], [-2, 1]])
    levels = np.full(present.shape, 40, dtype=np.uint8)
    law = Law(residuals, residuals.astype(np.int16), levels, Family.LAPLACE)
    each = residual_bits(np.array([9, -2, 1]), np.full(3, 40), Family.LAPLACE)
    assert bits_of_unit(law, residuals, present) == pytest.approx(
        [each[0], 0, each[1] + each[2]]
    )
    masks = law._replace(family=None)
    one, zero = decision_bits(np.array([1, 0]), np.array([40, 40]))
    assert bits_of_unit(masks, present.astype(int), None) == pytest.approx(
        [one + zero, 2 * zero, 2 * one]
    )


def test_extra_properties_are_spread_evenly() -> None:
    scene = hard_scenes()["extra properties"]
    data = gscodec.encode(scene, "raw")
    bits = bit_map(data).bits[Attribute.EXTRA]
    wanted = coded_sizes(data)[Attribute.EXTRA, 0] / len(scene)
    assert bits == pytest.approx(np.full(len(scene), wanted))


def test_damage_is_noticed() -> None:
    data = bytearray((VECTORS / "hac" / "mic_6000_sh3.gsz").read_bytes())
    data[len(data) // 2] ^= 1
    with pytest.raises(FormatError):
        bit_map(bytes(data))


def test_shapes_are_checked() -> None:
    with pytest.raises(SceneError, match=r"bit map, opacity: found float64 \(2,\), expected"):
        BitMap(
            SceneKind.GAUSSIANS,
            np.zeros((2, 3), np.float32),
            {Attribute.OPACITY: np.zeros(2)},  # type: ignore[dict-item]
            {},
        )


# --- what the tables charge ---------------------------------------------------------------


@pytest.mark.parametrize("family", list(Family))
def test_residual_bits_are_the_length_of_the_code(family: Family) -> None:
    """Escapes of every size too."""
    rng = np.random.default_rng(3)
    levels = rng.integers(0, LEVELS, 20_000).astype(np.uint8)
    values = np.rint(rng.normal(0, 2.0 ** ((levels - 36.0) / 8))).astype(np.int64)
    values[::7] = np.rint(rng.normal(0, 1, len(values[::7])) * 2.0 ** rng.uniform(0, 28))
    encoder = Encoder()
    encode_residuals(encoder, values, levels, family)
    found = residual_bits(values, levels, family).sum(dtype=np.float64)
    assert found == pytest.approx(8 * len(encoder.finish()), rel=1e-4, abs=_END)


def test_natural_bits_are_the_length_of_the_code() -> None:
    values = np.array([0, 1, 2, 3, 254, 255, 256, 65_534, 65_535, 2**24, 2**32 - 2] * 50)
    encoder = Encoder()
    encode_naturals(encoder, values)
    wanted = 8 * len(encoder.finish())
    assert natural_bits(values).sum() == pytest.approx(wanted, abs=_END)
    assert natural_bits(np.array([0, 2**32 - 2])).tolist() == [5, 37]


def test_decision_bits_are_the_length_of_the_code() -> None:
    rng = np.random.default_rng(4)
    logits = np.rint(rng.normal(0, 60, 20_000)).astype(np.float32)
    bits = (rng.random(20_000) < 0.3).astype(np.int64)
    encoder = Encoder()
    encode_bits(encoder, bits, logits)
    found = decision_bits(bits, decision_classes(logits)).sum(dtype=np.float64)
    assert found == pytest.approx(8 * len(encoder.finish()), rel=1e-4, abs=_END)


# --- voxels -------------------------------------------------------------------------------


def some_map(
    positions: NDArray[np.floating[Any]], kind: SceneKind = SceneKind.GAUSSIANS
) -> BitMap:
    """Primitive k takes k bits of opacity and 2 of scale."""
    n = len(positions)
    bits = {
        Attribute.OPACITY: np.arange(n, dtype=np.float32),
        Attribute.SCALE: np.full(n, 2, dtype=np.float32),
    }
    return BitMap(kind, positions.astype(np.float32), bits, {Attribute.NETWORKS: 640.0})


def cloud(n: int = 3000, seed: int = 0) -> NDArray[np.float64]:
    """Points of a box of 4 by 2 by 2 units."""
    return np.random.default_rng(seed).uniform([-2, -1, -1], [2, 1, 1], (n, 3))


MAPS = {
    "cloud": some_map(cloud(), SceneKind.ANCHORS),
    "with outliers": some_map(np.concatenate([cloud(), [[1e6, 0, 0], [0, -1e30, 0]]])),
    "not finite": some_map(np.concatenate([cloud(50), [[np.nan, 0, 0], [np.inf, 0, 0]]])),
    "empty": some_map(np.zeros((0, 3))),
    "one": some_map(np.ones((1, 3))),
    "one place": some_map(np.full((40, 3), 3.25)),
    "flat": some_map(cloud() * np.array([1, 0, 1])),
    "no bits": BitMap(SceneKind.GAUSSIANS, cloud(9).astype(np.float32), {}, {}),
}


@pytest.mark.parametrize("found", MAPS.values(), ids=MAPS.keys())
def test_nothing_is_lost_between_primitives_and_voxels(found: BitMap) -> None:
    cells = voxels(found)
    assert cells.counts.sum() + cells.outside == len(found)
    assert cells.total().sum() + cells.outside_bits == pytest.approx(found.total().sum())
    assert len(np.unique(cells.cells, axis=0)) == len(cells.cells) == len(cells)
    assert ((cells.cells >= 0) & (cells.cells < CELLS)).all()
    assert (cells.counts > 0).all()
    assert ((cells.radii() > 0) & (cells.radii() <= 1)).all()


def test_a_voxel_holds_what_lies_in_it() -> None:
    """Two groups of points at the ends of a line, and one point between them."""
    points = np.zeros((101, 3))
    points[50:, 0] = 32
    points[100] = (10.4, 0, 0)
    cells = voxels(some_map(points))
    assert cells.edge == 1
    assert cells.cells[:, 0].tolist() == [0, 10, 31]
    assert cells.counts.tolist() == [50, 1, 50]
    assert cells.bits["opacity"].tolist() == [sum(range(50)), 100, sum(range(50, 100))]
    assert cells.bits["scale"].tolist() == [100, 2, 100]


def test_outliers_do_not_shrink_the_rest() -> None:
    cells, plain = voxels(MAPS["with outliers"]), voxels(MAPS["cloud"])
    assert cells.outside == 2
    assert cells.edge == pytest.approx(plain.edge, rel=0.05)
    assert "Not shown: 2 Gaussians far outside, with 0.1 % of the bits." in cells.caption()
    assert plain.outside == 0
    assert "Not shown" not in plain.caption()
    assert "number of anchors" in plain.caption()


def test_volumes_of_balls_are_as_the_counts() -> None:
    points = np.repeat([[0.0, 0, 0], [31.0, 0, 0], [10.0, 0, 0]], [8, 64, 27], axis=0)
    radii = voxels(some_map(points)).radii()
    assert radii[1] / radii[0] == pytest.approx(1.5)


def test_what_is_flat_lies_down() -> None:
    """The last axis is up; every guess is a rotation."""
    for axis, up in enumerate(([1, 0, 0], [0, -1, 0], [0, 0, 1])):
        scale = np.full(3, 1.0)
        scale[axis] = 0.1
        upright = voxels(some_map(cloud() / [2, 1, 1] * scale)).upright()
        assert upright[2].tolist() == up
        assert np.linalg.det(upright) == pytest.approx(1)
    assert voxels(some_map(cloud() / [2, 1, 1])).upright().tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(
    ("told", "up"),
    [
        ("z", (0, 0, 1)),
        ("-Y", (0, -1, 0)),
        ("+x", (1, 0, 0)),
        ("y-up", (0, 1, 0)),
        ("0 -1 0", (0, -1, 0)),
        ("0.1, 0.2, -0.9", (0, 0, -1)),
    ],
)
def test_what_the_source_said_of_up_is_believed(told: str, up: tuple[int, int, int]) -> None:
    found = told_up({"conventions": {"up_axis": told}})
    upright = voxels(some_map(cloud()), found).upright()
    assert upright[2].tolist() == list(up)
    assert np.linalg.det(upright) == pytest.approx(1)


@pytest.mark.parametrize("told", ["up", "0 0 0", "nan 0 1", "1 2", "", 3, None, ["z"]])
def test_what_says_nothing_of_up(told: object) -> None:
    assert told_up({"conventions": {"up_axis": told}}) is None
    assert told_up({"conventions": told}) is None


def test_headline_counts_every_stream() -> None:
    assert headline(MAPS["one"]) == "1 Gaussian, 642.0 bits each"
    assert headline(some_map(np.zeros((10, 3)), SceneKind.ANCHORS)) == (
        "10 anchors, 70.5 bits each"
    )


def test_colour_scales_have_length() -> None:
    assert value_range(np.zeros(0), np.zeros(0, np.int64)) == (0, 1)
    assert value_range(np.full(5, 3.0), np.ones(5, np.int64)) == (2.5, 3.5)
    values, weights = np.append(np.linspace(0, 1, 999), 1e9), np.ones(1000, np.int64)
    assert value_range(values, weights) == pytest.approx((0.02, 0.98), abs=0.01)
    weights[500] = 10**6
    weights[700] = 10**5
    assert value_range(values, weights) == pytest.approx((values[500], values[700]))


# --- pictures -----------------------------------------------------------------------------

RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)


def test_one_ball_is_a_disc() -> None:
    picture = draw_balls(np.zeros((1, 3)), np.ones(1), np.array([RED]), (100, 80))
    assert picture.shape == (80, 100, 4)
    assert picture[..., 3].sum() == pytest.approx(np.pi * 39.5**2, rel=0.02)
    assert picture[40, 50, 0] > 0.8
    assert (picture[..., 1:3] == 0).all()
    assert picture[25, 35, 0] > picture[55, 65, 0] + 0.2  # light from above, left


def test_the_nearest_ball_is_in_front() -> None:
    """Whatever the order in which they are given."""
    centres, radii = np.array([[0, 0, 5.0], [0.1, 0, -5.0]]), np.ones(2)
    colours = np.array([RED, BLUE])
    one = draw_balls(centres, radii, colours, (60, 60))
    other = draw_balls(centres[::-1], radii, colours[::-1], (60, 60))
    assert one[30, 29, 0] > 0.5
    assert one[30, 29, 2] == 0
    assert np.array_equal(one, other)


@pytest.mark.parametrize("name", ["with outliers", "empty", "one", "no bits"])
def test_every_map_can_be_drawn(name: str) -> None:
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    with image.open(io.BytesIO(bit_map_png(MAPS[name], "$\\frac{" + 99 * "W"))) as picture:
        assert picture.size == (1800, 1080)
        assert picture.convert("L").getextrema()[0] < 80  # there is ink
        balls = np.asarray(picture.convert("RGB"))[150:800, 50:750]
    assert (np.ptp(balls, axis=2).max() > 60) == (len(MAPS[name]) > 0)


# --- the page -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAPS)
def test_page_is_well_formed_and_needs_no_network(name: str) -> None:
    html = bit_map_html(MAPS[name], "<script>alert(1)</script>\x1b.gsz")
    page = Page(html)
    assert b"://" not in html
    assert b"<script>alert" not in html
    assert not any(name in {"src", "href"} for name, _ in page.attributes)
    assert len(html) < 1_000_000


def test_page_holds_the_voxels() -> None:
    """What its script decodes is what was sorted into cells."""
    found = MAPS["cloud"]
    html = bit_map_html(found, "a.gsz").decode()
    match = re.search(r'<script id="data" type="application/json">(.*?)</script>', html)
    assert match
    data, cells = json.loads(match[1]), voxels(found)

    def array(text: str, dtype: str) -> NDArray[Any]:
        return np.frombuffer(base64.b64decode(text), dtype)

    assert data["names"] == ["opacity", "scale"]
    assert np.array_equal(array(data["cells"], "u1").reshape(-1, 3), cells.cells)
    assert np.array_equal(array(data["counts"], "<u4"), cells.counts)
    assert array(data["radii"], "<f4") == pytest.approx(cells.radii())
    for text, bits in zip(data["bits"], cells.bits.values(), strict=True):
        assert array(text, "<f4") == pytest.approx(bits)
    assert data["noun"] == "anchor"
    assert "mean per anchor" in html


def test_page_says_what_each_attribute_takes() -> None:
    page = Page(bit_map_html(some_map(np.zeros((10, 3))), "a.gsz"))
    words = " ".join(" ".join(page.texts).split())
    assert "networks 64.00 90.8% opacity 4.50 6.4% scale 2.00 2.8%" in words


def test_the_same_map_gives_the_same_page() -> None:
    assert bit_map_html(MAPS["cloud"], "a") == bit_map_html(MAPS["cloud"], "a")


# --- the command --------------------------------------------------------------------------


@pytest.fixture
def coded(tmp_path: Path) -> Path:
    """mic.gsz in the folder of the run."""
    path = tmp_path / "mic.gsz"
    path.write_bytes((VECTORS / "hac" / "mic_6000_sh1_coarse.gsz").read_bytes())
    return path


def test_inspect_writes_maps_beside_its_report(cli: Cli, coded: Path) -> None:
    pytest.importorskip("matplotlib")
    plain = cli("inspect", coded, "--json")
    result = cli("inspect", coded, "--map", "bits.png", "--map", "Bits.HTML", "--json")
    assert (result.code, result.out) == (0, plain.out)
    assert "gscodec: draw" in result.err
    assert plain.err == ""
    assert Path("bits.png").read_bytes().startswith(b"\x89PNG")
    assert b"6,000 Gaussians" in Path("Bits.HTML").read_bytes()
    assert sorted(p.name for p in Path().iterdir()) == ["Bits.HTML", "bits.png", "mic.gsz"]


def test_maps_are_replaced_only_if_wanted(cli: Cli, coded: Path) -> None:
    Path("bits.html").write_bytes(b"old")
    result = cli("inspect", coded, "--map", "bits.html")
    assert (result.code, result.out) == (6, b"")
    assert "bits.html: exists already; replace it with --overwrite" in result.err
    assert Path("bits.html").read_bytes() == b"old"
    assert cli("inspect", coded, "--map", "bits.html", "--overwrite").code == 0
    assert Path("bits.html").read_bytes() != b"old"


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["bits.svg"], "--map: found 'bits.svg', expected a .png or .html"),
        (["-"], "--map: found '-', expected a .png or .html"),
        (["a.html", "./a.html"], "--map: found a.html, ./a.html, expected distinct files"),
    ],
)
def test_senseless_maps_are_refused(
    cli: Cli, coded: Path, targets: list[str], message: str
) -> None:
    result = cli("inspect", coded, *(word for t in targets for word in ("--map", t)))
    assert (result.code, result.err) == (2, f"gscodec: error: {message}\n")
    assert [p.name for p in Path().iterdir()] == ["mic.gsz"]


def test_a_picture_needs_matplotlib(
    cli: Cli, coded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page does not."""
    monkeypatch.setattr("gscodec.cli.bit_maps.find_spec", lambda _: None)
    result = cli("inspect", coded, "--map", "bits.png")
    assert result.code == 2
    assert result.err.endswith("a .png needs matplotlib; pip install 'gscodec[report]'\n")
    assert cli("inspect", coded, "--map", "bits.html").code == 0


def test_a_damaged_file_leaves_no_map(cli: Cli, coded: Path) -> None:
    data = bytearray(coded.read_bytes())
    data[-100] ^= 255
    coded.write_bytes(data)
    result = cli("inspect", coded, "--map", "bits.html")
    assert result.code == 4
    assert result.err.startswith("gscodec: error: ")
    assert "mic.gsz: " in result.err
    assert not Path("bits.html").exists()
