"""A few primitives unlike all others: kept exactly, and the others as if they were not there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gscodec
import reference_decoder as reference
import reference_hac
import reference_hemgs
import reference_predict_gs
import reference_ralhe
from anchors import make_anchor_scene, small_views
from gscodec import codec
from gscodec.anchors import AnchorScene
from gscodec.container import pack, unpack
from gscodec.errors import FormatError, SceneError, UsageError
from gscodec.learned.state import set_aside
from gscodec.methods import hac, name_of
from gscodec.payload import Attribute, Method, Stream
from gscodec.scene import ExtraProperty
from quick import PAIR, set_defaults
from scenes import gaussians, make_scene, silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.codec import Encoded
    from gscodec.payload import Header, Payload
    from gscodec.scene import GaussianScene

pytest.importorskip("torch")
pytest.importorskip("numba")
assert reference.METHODS[2] is reference_hac.decode_hac
assert reference.METHODS[3] is reference_hemgs.decode_hemgs
assert reference.METHODS[4] is reference_ralhe.decode_ralhe
assert reference.METHODS[5] is reference_predict_gs.decode_predict_gs

N = 300
BASE = make_scene(N, 1)
ANCHORS = make_anchor_scene(200, masked=True)


@pytest.fixture(autouse=True)
def quick_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are trained for a moment only, and tiny scenes stay with hac."""
    set_defaults(monkeypatch, training=10, raw_below=0)


def changed(scene: Any, field: str, rows: Any, values: Any) -> Any:
    """``scene`` with other ``values`` in ``rows`` of a field."""
    array = getattr(scene, field).copy()
    array[rows] = values
    return replace(scene, **{field: array})


def encode(scene: GaussianScene | AnchorScene, method: str = "hac", **options: Any) -> Encoded:
    """Looking through three small cameras."""
    return gscodec.encode_with_report(scene, method, views=small_views(), **options)


def header_of(encoded: Encoded) -> Header:
    """Of the file."""
    return unpack(encoded.data).header


def check_kept(scene: Any, rows: list[int], encoded: Encoded) -> None:
    """Outliers are the last rows, bit for bit; both decoders and the map of bits know them."""
    header = header_of(encoded)
    assert header.method in {Method.HAC, Method.HEMGS, Method.RALHE, Method.PREDICT_GS}
    decoded: Any = gscodec.decode(encoded.data)
    count = len(decoded)  # anchors are pruned
    for name, array in scene.attributes().items():
        assert decoded.attributes()[name][-len(rows) :].tobytes() == array[rows].tobytes(), name
    assert header.bounds_max == tuple(next(iter(decoded.attributes().values())).max(axis=0))
    arrays, _ = reference.decode(encoded.data)  # checks scene_sha256
    assert arrays[next(iter(scene.attributes()))].shape[0] == count
    bits = codec.bit_map(encoded.data)
    assert len(bits) == count
    exact = bits.bits[Attribute.OUTLIER]
    assert np.flatnonzero(exact).tolist() == list(range(count - len(rows), count))
    stream = next(s for s in unpack(encoded.data).streams if s.attribute is Attribute.OUTLIER)
    assert exact.sum() == pytest.approx(8 * len(stream.data))
    told = encoded.report["outliers"]
    assert isinstance(told, dict)
    assert (told["count"], told["source_rows"]) == (len(rows), rows)
    assert f"kept {len(rows)} of {len(scene)}" in encoded.notes[0]


# What is unlike, and why it is kept apart.
UNLIKE: dict[str, tuple[str, Any, Any, str]] = {
    "far": ("means", slice(3, 6), 1e6, "far away"),
    "beyond squares": ("means", [5], [[1e30, 0, -3e38]], "far away"),
    "as large as a planet": ("log_scales", ([4], [1]), 16.0, "very large"),
    "nearly infinite": ("log_scales", ([4], [1]), 3e38, "very large"),
    "bright": ("sh_dc", ([7], [0]), 1e10, "very bright"),
    "brightest": ("sh_dc", ([7], [2]), -3e38, "very bright"),
    "bright from one side": ("sh_rest", (7, 1), 2e5, "very bright"),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_a_gaussian_unlike_all_others_is_kept_exactly(case: str) -> None:
    """The other ones are coded as in a scene without it, and as small."""
    field, at, values, reason = UNLIKE[case]
    scene = changed(BASE, field, at, values)
    rows = np.flatnonzero((getattr(scene, field) != getattr(BASE, field)).reshape(N, -1).any(1))
    encoded = encode(scene)
    check_kept(scene, rows.tolist(), encoded)
    assert f"{len(rows)} {reason}" in encoded.notes[0]
    rest = encode(BASE.take(np.setdiff1d(np.arange(N), rows)))
    ours = {(s.attribute, s.block): s.data for s in unpack(encoded.data).streams}
    theirs = {(s.attribute, s.block): s.data for s in unpack(rest.data).streams}
    assert ours.pop((Attribute.OUTLIER, 0))
    assert ours == theirs


def test_nothing_is_set_aside_without_need() -> None:
    """Gaussians as large as the scene, colours ten times white, floaters that a lattice holds."""
    scene = changed(BASE, "log_scales", ([4], [1]), 2.0)
    scene = changed(scene, "sh_dc", [7], 30.0)
    scene = changed(scene, "means", [9], 500.0)
    encoded = encode(scene)
    assert "outliers" not in encoded.report
    assert Attribute.OUTLIER not in {s.attribute for s in unpack(encoded.data).streams}


def test_extras_follow_the_order_of_the_file() -> None:
    extra = ExtraProperty("label", np.arange(N, dtype=np.uint16))
    scene = replace(changed(BASE, "means", slice(3, 6), 1e6), extras=(extra,))
    decoded = gaussians(gscodec.decode(encode(scene).data))
    labels = decoded.extras[0].values
    assert sorted(labels.tolist()) == list(range(N))
    assert labels[-3:].tolist() == [3, 4, 5]
    near = scene.means[labels] - decoded.means
    assert np.abs(near).max() < 0.1


def test_a_crowd_is_no_outlier_and_the_reason_is_true() -> None:
    """One in five is no exception any more: raw, for what is the matter."""
    many = changed(BASE, "means", (slice(0, 60), 0), 1e7 * np.arange(60))
    encoded = encode(many)
    assert "method raw instead of hac: positions need" in encoded.notes[0]
    assert "of 300 Gaussians far away, too many to keep apart" in encoded.notes[0]
    bright = encode(changed(BASE, "sh_dc", slice(0, 60), 3e38))
    assert "60 of 300 Gaussians very bright, too many to keep apart" in bright.notes[0]
    assert gscodec.decode(bright.data).digest() == bright.reconstruction.digest()


def test_values_beyond_integers_make_an_outlier(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no rule foresees is noticed where it does not fit."""
    monkeypatch.setattr("gscodec.kinds.aside._BRIGHTEST", 1e30)
    scene = changed(BASE, "sh_dc", ([7], [0]), 1e12)
    monkeypatch.setattr("gscodec.fit.gaussian_subject.MAX_BITS", 60)
    encoded = encode(scene, position_bits=10)
    check_kept(scene, [7], encoded)
    assert "1 with sh_dc beyond integers" in encoded.notes[0]


@pytest.mark.parametrize("method", PAIR)
def test_effort_high_keeps_outliers(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It changes and prunes the others only."""
    set_defaults(monkeypatch, round_length=5)
    scene = changed(BASE, "means", slice(3, 6), 1e6)
    encoded = encode(scene, method, effort="high", iterations=10)
    assert name_of(header_of(encoded).method) == method
    check_kept(scene, [3, 4, 5], encoded)


def test_a_run_is_resumed_without_what_coding_set_aside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What no rule foresees is known from the state: the same bytes as without a pause."""
    monkeypatch.setattr("gscodec.kinds.aside._BRIGHTEST", 1e30)
    set_defaults(monkeypatch, round_length=5)
    scene = changed(BASE, "sh_dc", ([7], [0]), 1e12)
    states: list[bytes] = []
    options: dict[str, Any] = {"effort": "high", "iterations": 10, "position_bits": 10}
    whole = encode(scene, **options, checkpoint=states.append)
    check_kept(scene, [7], whole)
    assert encode(scene, **options, resume=states[-1]).data == whole.data
    assert set_aside(states[-1]) == {7: "with sh_dc beyond integers"}
    assert set_aside(states[-1][:-1]) == set_aside(b"") == {}


def test_a_wanted_size_counts_notes() -> None:
    """As long as these are, and whatever else a file holds besides the streams of its method."""
    meta: dict[str, object] = {"comments": ["x" * 4000]}
    goal = round(0.97 * len(encode(BASE, meta=meta).data))
    met = encode(BASE, meta=meta, target_bytes=goal)
    assert abs(len(met.data) - goal) < 0.03 * goal


def test_blocks_that_no_decoder_takes_are_refused_before_the_work() -> None:
    with pytest.raises(UsageError, match="block size: found 10, 30 blocks; expected at least"):
        encode(BASE, block_size=10)


def test_a_wanted_size_counts_outliers_and_extras() -> None:
    extra = ExtraProperty("time", np.linspace(0, 1, N) ** 3)
    scene = replace(changed(BASE, "means", slice(3, 18), 1e6), extras=(extra,))
    usual = encode(scene)
    goal = round(0.98 * len(usual.data))
    met = encode(scene, target_bytes=goal)
    assert abs(len(met.data) - goal) < 0.03 * goal


def test_no_target_is_missed_by_falling_back() -> None:
    """A scene that hac cannot code is as large as it is by raw, whatever was wanted."""
    many = changed(BASE, "means", (slice(0, 60), 0), 1e7 * np.arange(60))
    for target in ({"target_bytes": 9000}, {"target_psnr": 40.0}):
        with pytest.raises(UsageError, match="only method raw can hold this scene"):
            encode(many, **target)


# --- values that are infinite and mean something ------------------------------------------


def test_infinite_opacities_and_flat_gaussians_are_clamped_with_a_note() -> None:
    scene = changed(BASE, "opacity_logits", [3, 4, 5], [np.inf, -np.inf, np.inf])
    scene = changed(scene, "log_scales", (slice(10, 17), 2), -np.inf)
    encoded = encode(scene)
    assert "clamped 3 infinite opacity logits to +-16" in encoded.notes
    assert "clamped 7 infinite log-scales to +-30" in encoded.notes
    decoded = gaussians(gscodec.decode(encoded.data))
    assert all(np.isfinite(a).all() for a in decoded.attributes().values())
    assert decoded.opacity_logits.max() > 10
    assert (decoded.log_scales.min(axis=1) < -20).sum() == 7


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("opacity_logits", np.nan),
        ("log_scales", np.inf),
        ("log_scales", np.nan),
        ("means", -np.inf),
        ("quats", np.inf),
        ("sh_dc", np.inf),
        ("sh_rest", np.nan),
    ],
)
def test_what_means_nothing_is_refused(field: str, value: float) -> None:
    with pytest.raises(SceneError, match=rf"scene\.{field}: 1 Gaussians hold NaN or infinity"):
        encode(changed(BASE, field, 3, value))


# --- anchors ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "at", "value", "reason"),
    [
        ("anchors", slice(3, 6), 1e7, "far away"),
        ("anchors", [5], 1e30, "far away"),
        ("log_scalings", ([4], [1]), 30.0, "very large"),
        ("log_scalings", ([4], [1]), -1e20, "with scalings unlike all others"),
        ("features", ([7], [3]), 1e12, "with features unlike all others"),
        ("features", ([7], [3]), -3e38, "with features unlike all others"),
        ("offsets", ([7], [1]), 1e25, "with offsets unlike all others"),
    ],
)
def test_an_anchor_unlike_all_others_is_kept_exactly(
    field: str, at: Any, value: float, reason: str
) -> None:
    scene = changed(ANCHORS, field, at, value)
    before: NDArray[Any] = getattr(ANCHORS, field)
    rows = np.flatnonzero((getattr(scene, field) != before).reshape(200, -1).any(axis=1))
    encoded = encode(scene)
    check_kept(scene, rows.tolist(), encoded)
    assert f"{len(rows)} {reason}" in encoded.notes[0]
    decoded = gscodec.decode(encoded.data)
    assert isinstance(decoded, AnchorScene)
    assert scene.masks is not None
    assert decoded.masks is not None
    assert decoded.masks[-len(rows) :].tolist() == scene.masks[rows].tolist()
    rest = encode(ANCHORS.take(np.setdiff1d(np.arange(200), rows)))
    assert len(encoded.data) < len(rest.data) + 150 * len(rows) + 250


def test_a_far_anchor_does_not_make_a_lattice_of_its_own() -> None:
    """One in which all others share a cell, within the tolerance of so large an edge."""
    from gscodec.geometry.voxels import find_voxels

    positions = np.rint(ANCHORS.anchors / 0.01).astype(np.float32) * np.float32(0.01)
    found = find_voxels(positions, None)
    assert found is not None
    assert found.step == pytest.approx(0.01, rel=1e-3)
    positions[5] = 1e7
    assert find_voxels(positions, None) is None


# --- the stream ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def payload() -> Payload:
    """A file with one outlier, of 23 floats."""
    with pytest.MonkeyPatch.context() as patch:
        set_defaults(patch, training=10)
        scene = changed(make_scene(40, 1), "means", [9], 1e7)
        given = hac.Given(views=small_views())
        return hac.encode(scene, hac.Options(), silent, given).payload


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "found 0 bytes, expected 92 for each of 1 to 39 primitives"),
        (91, "found 91 bytes"),
        (96, "found 96 bytes"),
        (40 * 92, "found 3680 bytes"),
        (184, "octree level: found nodes for at least 39 points, expected 38"),
    ],
)
def test_streams_that_hold_no_rows_are_refused(
    payload: Payload, size: int, message: str
) -> None:
    """By both decoders."""
    streams = tuple(
        replace(s, data=bytes(size)) if s.attribute is Attribute.OUTLIER else s
        for s in payload.streams
    )
    data = pack(replace(payload, streams=streams))
    with pytest.raises(FormatError, match=message):
        gscodec.decode(data)
    with pytest.raises(ValueError, match=r"outliers|leaves do not hold all points"):
        reference.decode(data)


def test_outliers_elsewhere_are_refused(payload: Payload) -> None:
    """In another block, or in a file of method raw."""
    moved = tuple(
        replace(s, block=1) if s.attribute is Attribute.OUTLIER else s for s in payload.streams
    )
    with pytest.raises(FormatError, match=r"OUTLIER, block 1: not expected|block 0: missing"):
        gscodec.decode(pack(replace(payload, streams=moved)))
    raw = unpack(gscodec.encode(BASE, "raw"))
    more = Stream(Attribute.OUTLIER, 0, bytes(92))
    with pytest.raises(FormatError, match="OUTLIER, block 0: not expected"):
        gscodec.decode(pack(replace(raw, streams=(*raw.streams, more))))


def test_inspect_has_a_row_for_outliers(payload: Payload) -> None:
    rows = {row.name: row for row in gscodec.inspect(pack(payload)).rows}
    assert rows["outlier"].bytes == 92
