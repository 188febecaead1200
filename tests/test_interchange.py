"""Formats of others: what goes in and out, against readers that know nothing of gscodec."""

from __future__ import annotations

import gzip
import io
import json
import struct
import sys
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import foreign_files
import gscodec
from foreign_files import C0, Row
from gscodec.errors import CannotCodeError, SceneError
from gscodec.interchange import FORMATS, read_foreign, write_foreign
from gscodec.interchange.spz import decode_spz
from gscodec.scene import ExtraProperty, GaussianScene
from scenes import make_scene

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from command import Cli

BY_NAME = {known.name: known for known in FORMATS}
READERS: dict[str, Callable[[bytes], list[Row]]] = {
    "splat": foreign_files.read_splat,
    "spz": foreign_files.read_spz,
    "compressed.ply": foreign_files.read_compressed_ply,
    "ksplat": foreign_files.read_ksplat,
    "sog": foreign_files.read_sog,
}
WRITERS: dict[str, tuple[str, Callable[..., bytes], dict[str, Any]]] = {
    "splat": ("splat", foreign_files.write_splat, {}),
    "spz 2": ("spz", foreign_files.write_spz, {"version": 2}),
    "spz 3": ("spz", foreign_files.write_spz, {"version": 3}),
    "compressed.ply": ("compressed.ply", foreign_files.write_compressed_ply, {}),
    "ksplat 0": ("ksplat", foreign_files.write_ksplat, {"level": 0}),
    "ksplat 1": ("ksplat", foreign_files.write_ksplat, {"level": 1}),
    "ksplat 2": ("ksplat", foreign_files.write_ksplat, {"level": 2}),
}
# Largest errors: positions, log-scales, quaternions (1 - cosine), opacities, colours, SH.
STEPS = {
    "splat": (0, 1e-6, 1e-4, 0.004, 0.004, 0),
    "spz": (0.0002, 0.04, 0.004, 0.003, 0.005, 0.07),
    "compressed.ply": (0.004, 0.004, 1e-5, 0.003, 0.008, 0.02),
    "ksplat": (1e-4, 0.001, 1e-6, 0.003, 0.003, 0.02),
    "sog": (0.001, 0.02, 1e-4, 0.004, 0.01, 0.02),
}
HALF_TURN = np.array([1.0, -1.0, -1.0])


def needing(name: str) -> pytest.MarkDecorator:
    """A case of the format ``name``, skipped where what reads and writes it is missing."""
    package = BY_NAME[name].package
    missing = package is not None and find_spec(package) is None
    reason = f"{package} is not installed: pip install 'gscodec[convert]'"
    return pytest.mark.skipif(missing, reason=reason)


def cases(names: Sequence[str]) -> list[Any]:
    return [pytest.param(name, marks=needing(name.split()[0])) for name in names]


def scene_within(name: str, degree: int, count: int = 300) -> GaussianScene:
    """A scene that the format ``name`` need not clamp."""
    scene = make_scene(count, min(degree, BY_NAME[name].degree), seed=degree)
    quats = scene.quats / np.linalg.norm(scene.quats, axis=1, keepdims=True)
    return replace(scene, quats=quats, sh_dc=np.clip(scene.sh_dc, -1.7, 1.7), has_normals=False)


def rows_of(scene: GaussianScene) -> list[Row]:
    """What a viewer sees of ``scene``."""
    alphas = 1 / (1 + np.exp(-scene.opacity_logits.astype(np.float64)))
    return [
        Row(
            tuple(scene.means[i].tolist()),
            tuple(scene.log_scales[i].tolist()),
            tuple(scene.quats[i].tolist()),
            float(alphas[i]),
            tuple((scene.sh_dc[i] * C0 + 0.5).tolist()),
            [tuple(rgb) for rgb in scene.sh_rest[i].tolist()],
        )
        for i in range(len(scene))
    ]


def turned(rows: Sequence[Row]) -> list[Row]:
    """Half a turn around x, but for SH."""
    flip = (1, 1, -1, -1)
    return [
        replace(
            row,
            mean=tuple(m * s for m, s in zip(row.mean, flip[1:], strict=True)),
            quat=tuple(q * s for q, s in zip(row.quat, flip, strict=True)),
        )
        for row in rows
    ]


def errors(a: Sequence[Row], b: Sequence[Row]) -> list[float]:
    """The largest of each kind, in the order of `STEPS`."""
    assert len(a) == len(b)

    def worst(get: Callable[[Row], Any]) -> float:
        return max(
            float(np.abs(np.array(get(x)) - np.array(get(y))).max(initial=0))
            for x, y in zip(a, b, strict=True)
        )

    cosines = [abs(np.dot(x.quat, y.quat)) for x, y in zip(a, b, strict=True)]
    turns = max(1 - c / np.linalg.norm(y.quat) for c, y in zip(cosines, b, strict=True))
    return [
        worst(lambda r: r.mean),
        worst(lambda r: r.scale),
        float(turns),
        worst(lambda r: r.alpha),
        worst(lambda r: r.color),
        worst(lambda r: r.sh),
    ]


def assert_alike(a: Sequence[Row], b: Sequence[Row], name: str) -> None:
    found = errors(a, b)
    assert all(e <= step for e, step in zip(found, STEPS[name], strict=True)), found


def in_order(rows: Sequence[Row], wanted: Sequence[Row]) -> list[Row]:
    """``rows`` in the order of those nearest in place."""
    places = np.array([row.mean for row in rows])
    return [rows[int(np.abs(places - row.mean).sum(1).argmin())] for row in wanted]


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("name", cases(list(READERS)))
def test_an_independent_reader_sees_what_was_written(name: str, degree: int) -> None:
    scene = scene_within(name, degree)
    data, _ = write_foreign(scene, BY_NAME[name])
    wanted, found = rows_of(scene), READERS[name](data)
    if name == "spz":
        found = turned(found)
        for row in found:  # see `test_spz_is_turned_around_x`
            signs = [-1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1][: len(row.sh)]
            row.sh = [tuple(s * v for v in rgb) for s, rgb in zip(signs, row.sh, strict=True)]
    if name == "sog":
        found = in_order(found, wanted)
    assert_alike(wanted, found, name)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("case", cases(list(WRITERS)))
def test_what_others_wrote_is_read(case: str, degree: int) -> None:
    name, write, options = WRITERS[case]
    scene = scene_within(name, degree)
    rows = rows_of(scene)
    data = write(rows, **options)
    assert_alike(rows, READERS[name](data), name)  # the writer and its reader fit together
    read = read_foreign(data, BY_NAME[name])
    found = rows_of(read.scene)
    if name == "spz":
        found = turned(found)
        rows = [replace(row, sh=[]) for row in rows]
        found = [replace(row, sh=[]) for row in found]
    assert_alike(rows, found, name)
    assert read.conventions["format"] == name


@needing("sog")
def test_a_sog_is_read_as_others_read_it() -> None:
    data, _ = write_foreign(scene_within("sog", 2), BY_NAME["sog"])
    found = errors(
        foreign_files.read_sog(data), rows_of(read_foreign(data, BY_NAME["sog"]).scene)
    )
    assert max(found) < 1e-5


@needing("spz")
@pytest.mark.parametrize("version", [3, 4])
def test_spz_is_turned_around_x(version: int) -> None:
    """Its axes are right, up, back: seen from the turned side everything is the same."""
    torch = pytest.importorskip("torch")
    from gscodec.interchange import decode_spz, encode_spz
    from reference_raster import harmonics

    scene = scene_within("spz", 3, 40)
    data = encode_spz(scene, version)
    back = decode_spz(data)
    assert errors(rows_of(scene), rows_of(back))[:2] < [0.0002, 0.04]
    if version == 4:  # packed with zstd
        return
    rows = foreign_files.read_spz(data)
    direction = np.array([0.36, -0.48, 0.8])
    basis, mirrored = (
        harmonics(torch.tensor(d[None], dtype=torch.float64), 3)[0].numpy()[1:]
        for d in (direction, direction * HALF_TURN)
    )
    for i, row in enumerate(rows):
        assert np.allclose(row.mean, back.means[i] * HALF_TURN, atol=1e-6)
        assert np.allclose(mirrored @ np.array(row.sh), basis @ back.sh_rest[i], atol=1e-5)
        assert np.allclose(
            covariance(row.quat, row.scale),
            covariance(back.quats[i], back.log_scales[i]) * np.outer(HALF_TURN, HALF_TURN),
            rtol=1e-4,
            atol=1e-9,
        )


def covariance(quat: Sequence[float], log_scale: Sequence[float]) -> Any:
    w, x, y, z = np.array(quat, np.float64) / np.linalg.norm(quat)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    return rotation * np.exp(2 * np.array(log_scale, np.float64)) @ rotation.T


@needing("spz")
@pytest.mark.parametrize("version", [3, 4])
def test_spz_keeps_that_a_scene_is_antialiased(version: int) -> None:
    from gscodec.interchange import decode_spz, encode_spz

    for antialiased in (False, True):
        scene = replace(make_scene(20, 1), antialiased=antialiased)
        assert decode_spz(encode_spz(scene, version)).antialiased is antialiased


@needing("sog")
def test_sog_keeps_that_a_scene_is_antialiased() -> None:
    for antialiased in (False, True):
        scene = replace(scene_within("sog", 1, 20), antialiased=antialiased)
        data, _ = write_foreign(scene, BY_NAME["sog"])
        assert len(foreign_files.read_sog(data)) == 20
        read = read_foreign(data, BY_NAME["sog"])
        assert read.scene.antialiased is antialiased
        assert ("antialiased" in read.conventions) == antialiased


@needing("sog")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"version": 2', b'"version": 1', "found version 1, expected 2"),
        (b'"count": 60', b'"count": 90', "pictures of means are too few or too small for 90"),
        (b'"count": 60', b'"count": -1', "found -1 Gaussians"),
        (b'"bands": 1', b'"bands": 3', "found a palette 192 wide for SH of degree 3"),
        (b'"bands": 1', b'"bands": 9', "for SH of degree 9"),
        (b'"count": 1024', b'"count": 9999', "pictures of shN are too small"),
        (b'"maxs": [', b'"maxs": [0,', "tables have other lengths"),
        (b'"scales.webp"', b'"nothing.webp"', "nothing.webp"),
        (b'"quats": {', b'"quat_": {', "quats"),
        (b'"meta', b'"meta', "checksum"),
    ],
)
def test_sogs_that_would_end_the_process_are_refused(
    old: bytes, new: bytes, message: str
) -> None:
    data, _ = write_foreign(scene_within("sog", 1, 60), BY_NAME["sog"])
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(out, "w") as changed:
        for name in archive.namelist():
            member = archive.read(name)
            assert name != "meta.json" or old in member or message == "checksum"
            changed.writestr(name, member.replace(old, new) if name == "meta.json" else member)
    hostile = out.getvalue()
    if message == "checksum":
        hostile = hostile[:50] + bytes([hostile[50] ^ 1]) + hostile[51:]
    with pytest.raises(SceneError, match=message):
        read_foreign(hostile, BY_NAME["sog"])


@pytest.mark.parametrize("name", cases(list(READERS)))
def test_quaternions_need_not_be_normalised(name: str) -> None:
    scene = scene_within(name, 0)
    longer = replace(scene, quats=scene.quats * np.float32(8))
    assert write_foreign(longer, BY_NAME[name])[0] == write_foreign(scene, BY_NAME[name])[0]


@pytest.mark.parametrize("name", cases(list(READERS)))
def test_what_a_format_loses_is_said(name: str) -> None:
    scene = make_scene(60, 3)
    scene = replace(
        scene,
        extras=(ExtraProperty("label", np.zeros(60, np.uint8)),),
        antialiased=True,
        origin=(1e6, 2.0, 3.0) if name != "spz" else (10.0, 2.0, 3.0),
        log_scales=np.where(np.arange(60)[:, None] < 3, np.float32(-200), scene.log_scales),
        sh_dc=np.where(np.arange(60)[:, None] < 4, np.float32(50), 0).repeat(3, 1),
        sh_rest=np.where(np.arange(60)[:, None, None] < 5, np.float32(30), scene.sh_rest),
    )
    known = BY_NAME[name]
    text = "\n".join(write_foreign(scene, known)[1])
    assert "left out 1 extra vertex property: label" in text
    assert ("antialiased" in text) == (name not in {"spz", "sog"})
    assert "positions were doubles" in text
    assert "clamped scales of 3 Gaussians" in text
    assert ("clamped colours of 4 Gaussians" in text) == np.isfinite(known.color)
    assert ("clamped SH of 5 Gaussians" in text) == np.isfinite(known.sh[1])
    assert (f"left out SH above degree {known.degree}" in text) == (known.degree < 3)
    assert f"{known.suffix} rounds " in text


@pytest.mark.parametrize("name", cases(list(READERS)))
def test_a_scene_far_from_zero_keeps_its_details(name: str) -> None:
    scene = scene_within(name, 0, 20)
    local, _ = write_foreign(scene, BY_NAME[name])
    data, notes = write_foreign(replace(scene, origin=(4.5e5, 5.4e6, 3e2)), BY_NAME[name])
    assert data == local
    assert any("are relative to 450000.0, 5400000.0, 300.0 now" in note for note in notes)
    shifted, notes = write_foreign(replace(scene, origin=(1.0, 0.0, 0.0)), BY_NAME[name])
    assert shifted != local
    assert any("holds floats at most" in note for note in notes)


@pytest.mark.parametrize("name", cases(list(READERS)))
def test_infinite_opacities_and_flat_axes_stay_what_they_look_like(name: str) -> None:
    scene = scene_within(name, 0, 20)
    opacity = scene.opacity_logits.copy()
    opacity[:2] = (-np.inf, np.inf)
    flat = scene.log_scales.copy()
    flat[3, 1] = -np.inf
    data, _ = write_foreign(
        replace(scene, opacity_logits=opacity, log_scales=flat), BY_NAME[name]
    )
    rows = (
        in_order(turned(READERS[name](data)), rows_of(scene))
        if name == "spz"
        else (in_order(READERS[name](data), rows_of(scene)))
    )
    least = 1 / 255 if name == "sog" else 0  # its writer leaves out the ends
    assert [rows[0].alpha, rows[1].alpha] == pytest.approx([least, 1 - least])
    assert rows[3].scale[1] <= -9.9
    read = read_foreign(data, BY_NAME[name]).scene
    assert np.isfinite(read.opacity_logits).all()
    if name != "sog":
        assert (read.opacity_logits.min(), read.opacity_logits.max()) == (-16, 16)


@pytest.mark.parametrize("name", cases(list(READERS)))
def test_nothing_cannot_be_written(name: str) -> None:
    with pytest.raises(SceneError, match="no Gaussians"):
        write_foreign(make_scene(0), BY_NAME[name])


@needing("spz")
def test_spz_does_not_wrap_positions_around() -> None:
    far = make_scene(10)
    far.means[3, 1] = 2049
    with pytest.raises(
        CannotCodeError, match="found a coordinate of 2049, expected at most 2048"
    ):
        write_foreign(far, BY_NAME["spz"])


@pytest.mark.parametrize("name", cases(list(READERS)))
def test_damaged_files_are_refused(name: str) -> None:
    data, _ = write_foreign(scene_within(name, 1, 60), BY_NAME[name])
    ends = [0, 1, 5, 11, 17, 40, len(data) // 3 | 1, len(data) - 1]
    for end in ends:
        with pytest.raises(SceneError):
            read_foreign(data[:end], BY_NAME[name], name="x")


@pytest.mark.parametrize(
    ("at", "code", "value", "message"),
    [
        (1, "B", 2, "version 0.2, level 0"),
        (20, "H", 3, "version 0.1, level 3"),
        (4, "I", 1 << 30, "1073741824 sections"),
        (4096, "I", 1 << 30, "1073741824 of 8 Gaussians"),
        (4100, "I", 1 << 30, "truncated"),
        (4096 + 40, "H", 9, "SH degree 9"),
        (4096 + 12, "I", 1 << 20, "truncated"),
        (4096 + 32, "I", 3, "buckets do not fit"),
        (4096 + 8, "I", 1, "Gaussians in buckets"),
    ],
)
def test_hostile_ksplats_are_refused(at: int, code: str, value: int, message: str) -> None:
    rows = rows_of(scene_within("ksplat", 1, 8))
    data = bytearray(foreign_files.write_ksplat(rows, level=0 if at == 20 else 1))
    if (at, value) == (1, 2):
        data = bytearray(foreign_files.write_ksplat(rows, level=0))
    struct.pack_into(f"<{code}", data, at, value)
    with pytest.raises(SceneError, match=message):
        read_foreign(bytes(data), BY_NAME["ksplat"], name="x.ksplat")


def test_sections_of_ksplat_follow_each_other() -> None:
    """Also of different degrees: what one lacks is zero."""
    parts = [
        foreign_files.write_ksplat(rows_of(scene_within("ksplat", d, 9)), 1) for d in (1, 2)
    ]
    head = bytearray(parts[0][:4096])
    struct.pack_into("<4I", head, 4, 2, 2, 18, 18)
    data = (
        bytes(head) + b"".join(p[4096:5120] for p in parts) + b"".join(p[5120:] for p in parts)
    )
    scene = read_foreign(data, BY_NAME["ksplat"]).scene
    assert (len(scene), scene.sh_degree) == (18, 2)
    assert not scene.sh_rest[:9, 3:].any()
    wanted = rows_of(scene_within("ksplat", 2, 9))
    assert_alike(wanted, rows_of(scene)[9:], "ksplat")


@needing("compressed.ply")
def test_older_compressed_plys_are_refused_by_name() -> None:
    data = foreign_files.write_compressed_ply(
        rows_of(scene_within("compressed.ply", 0)), colour_bounds=False
    )
    with pytest.raises(SceneError, match="found 12 bounds for each chunk, expected 18"):
        read_foreign(data, BY_NAME["compressed.ply"])


@needing("compressed.ply")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"element chunk", b"element lump", "found 0 bounds for each chunk, expected 18"),
        (b"float min_x\n", b"float mun_x\n", "found 17 bounds for each chunk, expected 18"),
        (b"uint packed_scale", b"uint packed_scala", "the vertices have no packed_scale"),
        (b"uchar f_rest_8\n", b"uchar f_rest_9\n", "of 9 SH, expected 300 of 9, 24 or 45"),
    ],
)
def test_compressed_plys_without_a_part_are_refused(
    old: bytes, new: bytes, message: str
) -> None:
    data = foreign_files.write_compressed_ply(rows_of(scene_within("compressed.ply", 1)))
    assert data.count(old) == 1
    with pytest.raises(SceneError, match=message):
        read_foreign(data.replace(old, new), BY_NAME["compressed.ply"])


@needing("spz")
def test_gzip_is_not_always_spz() -> None:
    with pytest.raises(SceneError, match="compressed with gzip, and no SPZ file"):
        read_foreign(gzip.compress(b"ply\nformat ascii 1.0\n"), BY_NAME["spz"])
    with pytest.raises(SceneError, match="SPZ version 9, expected 1 to 4"):
        read_foreign(struct.pack("<4sI8x", b"NGSP", 9), BY_NAME["spz"])


# The command line.


@pytest.fixture
def coded(tmp_path: Path) -> Path:
    """scene.gsz, within what every format holds."""
    path = tmp_path / "scene.gsz"
    path.write_bytes(gscodec.encode(scene_within("spz", 1, 80), "raw"))
    return path


@pytest.mark.parametrize("name", cases(list(READERS)))
def test_there_and_back(cli: Cli, coded: Path, name: str, tmp_path: Path) -> None:
    result = cli("decode", coded, "-o", f"there.{name}")
    assert (result.code, result.out) == (0, b"")
    assert f".{name} rounds" in result.err
    written = (tmp_path / f"there.{name}").read_bytes()
    assert len(READERS[name](written)) == 80

    result = cli("encode", f"there.{name}", "--method", "raw")  # its name without the suffix
    assert (result.code, result.out) == (0, b"")
    meta: Any = gscodec.inspect((tmp_path / "there.gsz").read_bytes()).meta
    assert meta["conventions"]["format"] == name
    assert meta["source"]["name"] == f"there.{name}"
    assert len(gscodec.decode((tmp_path / "there.gsz").read_bytes())) == 80


@pytest.mark.parametrize("name", cases(["spz", "splat"]))
def test_compare_takes_them(cli: Cli, coded: Path, name: str) -> None:
    pytest.importorskip("numba")
    cli("decode", coded, "-o", f"there.{name}")
    result = cli("compare", coded, f"there.{name}", "--max-views", "2", "--json")
    assert result.code == 0, result.err
    told = json.loads(result.out)
    assert any("axes of SPZ" in note for note in told["notes"]) == (name == "spz")
    assert cli("compare", f"there.{name}", f"there.{name}", "--max-views", "2").code == 0


@needing("spz")
def test_rd_takes_them(cli: Cli, coded: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    cli("decode", coded, "-o", "there.spz")
    result = cli("rd", "there.spz", "--method", "raw", "--max-views", "2", "--no-spz")
    assert result.code == 0, result.err
    assert (tmp_path / "there.html").exists()


@pytest.mark.parametrize("name", cases(["spz"]))
def test_a_missing_package_is_named_before_the_work(
    cli: Cli, coded: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("decode", coded, "-o", f"there.{name}")
    monkeypatch.setattr("gscodec.interchange.formats.find_spec", lambda _: None)
    for run in (
        ("encode", f"there.{name}", "-o", "x.gsz"),
        ("decode", coded, "-o", f"x.{name}"),
        ("compare", coded, f"there.{name}"),
    ):
        result = cli(*run, "--quiet")
        assert result.code == 2
        assert "needs gaussforge; pip install 'gscodec[convert]'" in result.err
    assert not list(tmp_path.glob("x.*"))


def test_ksplat_needs_no_package(
    cli: Cli, coded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gscodec.interchange.formats.find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "gaussforge", None)
    assert cli("decode", coded, "-o", "x.ksplat").code == 0
    assert cli("encode", "x.ksplat", "--method", "raw").code == 0


@pytest.mark.parametrize("name", ["x.glb", "x.usdz", "x.obj", "x.spz.zip", "x.gsz2"])
def test_unknown_suffixes_are_refused(cli: Cli, coded: Path, name: str, tmp_path: Path) -> None:
    result = cli("decode", coded, "-o", name, "--quiet")
    assert result.code == 2
    assert "expected .ply, .compressed.ply, .ksplat, .sog, .splat, .spz" in result.err
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("suffix", [".ply", *(known.suffix for known in FORMATS)])
def test_encode_writes_gsz_only(cli: Cli, tmp_path: Path, suffix: str) -> None:
    source = tmp_path / "scene.ply"
    source.write_bytes(gscodec.write_ply(make_scene(20)))
    result = cli("encode", source, "-o", f"out{suffix}", "--quiet")
    assert result.code == 2
    assert f"encode writes a .gsz, found the suffix {suffix}" in result.err
    assert not (tmp_path / f"out{suffix}").exists()


@needing("spz")
def test_the_first_bytes_tell_what_stdin_is(cli: Cli, coded: Path, tmp_path: Path) -> None:
    for name in ("spz", "compressed.ply", "sog"):
        cli("decode", coded, "-o", f"there.{name}")
        data = (tmp_path / f"there.{name}").read_bytes()
        result = cli("encode", "-", "-o", "x.gsz", "--method", "raw", "--overwrite", stdin=data)
        assert result.code == 0, result.err
    (tmp_path / "there.sog").rename(tmp_path / "there.zip")  # whatever the suffix
    assert cli("encode", "there.zip", "--method", "raw").code == 0


@pytest.mark.parametrize("zeros", [0, 1 << 26])
def test_spz_that_unpacks_to_something_else_is_refused(zeros: int) -> None:
    """Counted before anybody unpacks it whole: a few kilobytes can become gigabytes."""
    header = b"NGSP" + (2).to_bytes(4, "little") + (1000).to_bytes(4, "little") + bytes(4)
    data = gzip.compress(header + bytes(zeros), mtime=0)
    with pytest.raises(
        SceneError, match=r"unpacked, expected 19016 to 92016 for 1000 Gaussians"
    ):
        decode_spz(data, "x.spz")
