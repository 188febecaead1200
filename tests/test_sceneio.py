"""Reading and writing scene files: what comes back, what is said, and what is refused."""

from __future__ import annotations

import io
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import plyfile
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gscodec.errors import SceneError, UsageError
from gscodec.scene import ExtraProperty, GaussianScene, sh_rest_count
from gscodec.sceneio import read_ply, renamed_extras, write_ply
from gscodec.sceneio.header import MAX_HEADER_BYTES
from gscodec.sceneio.layout import PLY_TYPES
from scenes import hard_scenes, make_scene

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

SCENE = make_scene(5, 1)
PLY = write_ply(SCENE)
BODY = PLY.index(b"end_header\n") + len(b"end_header\n")


def table_of(data: bytes) -> NDArray[Any]:
    """The vertices of a .ply as another reader sees them."""
    table: NDArray[Any] = plyfile.PlyData.read(io.BytesIO(data))["vertex"].data
    return table


def ply_of(table: NDArray[Any], *, text: bool = False, order: str = "<") -> bytes:
    """A .ply by another writer."""
    out = io.BytesIO()
    element = plyfile.PlyElement.describe(table, "vertex")
    plyfile.PlyData([element], text=text, byte_order=order).write(out)
    return out.getvalue()


def retyped(table: NDArray[Any], **types: str) -> NDArray[Any]:
    """``table`` with the named columns in other types; a new name adds a column of 0, 1, ..."""
    old = [(n, table.dtype[n].str) for n in table.dtype.names or ()]
    fields = [(n, types.pop(n, code)) for n, code in old] + list(types.items())
    out = np.zeros(len(table), fields)
    for name, _ in old:
        out[name] = table[name]
    for name in types:
        out[name] = np.arange(len(table))
    return out


def without(table: NDArray[Any], *names: str) -> NDArray[Any]:
    """``table`` without some columns."""
    kept = [n for n in table.dtype.names or () if n not in names]
    out = np.zeros(len(table), [(n, table.dtype[n].str) for n in kept])
    for name in kept:
        out[name] = table[name]
    return out


def assert_same(left: GaussianScene, right: GaussianScene) -> None:
    """Every bit of both scenes agrees."""
    for name, array in left.attributes().items():
        assert array.tobytes() == right.attributes()[name].tobytes(), name
        assert array.shape == right.attributes()[name].shape
    assert left.has_normals == right.has_normals
    assert [e.name for e in left.extras] == [e.name for e in right.extras]
    for a, b in zip(left.extras, right.extras, strict=True):
        assert a.values.dtype == b.values.dtype
        assert a.values.tobytes() == b.values.tobytes()


def refusal(data: bytes, **options: Any) -> str:
    """The one line with which ``data`` is refused."""
    with pytest.raises(SceneError) as caught:
        read_ply(data, name="scene.ply", **options)
    message = str(caught.value)
    assert message.startswith("scene.ply: ")
    assert "\n" not in message
    return message


# What comes back


def test_hard_scenes_come_back_bit_for_bit(hard_scene: GaussianScene) -> None:
    result = read_ply(write_ply(hard_scene), keep_extra=True)
    assert_same(result.scene, hard_scene)
    has_zeros = len(hard_scene) and not hard_scene.quats.any(axis=1).all()
    assert bool(result.notes) == bool(hard_scene.extras or has_zeros)


@st.composite
def any_scenes(draw: st.DrawFn) -> GaussianScene:
    n = draw(st.integers(0, 4))
    k = sh_rest_count(draw(st.integers(0, 3)))

    def floats(*shape: int) -> NDArray[np.float32]:
        finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
        return draw(hnp.arrays(np.float32, shape, elements=finite))

    types = draw(st.lists(st.sampled_from(list(PLY_TYPES)), max_size=3))
    return GaussianScene(
        means=floats(n, 3),
        opacity_logits=floats(n),
        log_scales=floats(n, 3),
        quats=floats(n, 4),
        sh_dc=floats(n, 3),
        sh_rest=floats(n, k, 3),
        extras=tuple(
            ExtraProperty(f"extra_{i}", draw(hnp.arrays(np.dtype(t), (n,))))
            for i, t in enumerate(types)
        ),
        has_normals=draw(st.booleans()),
    )


@given(any_scenes())
def test_any_finite_scene_comes_back_bit_for_bit(scene: GaussianScene) -> None:
    assert_same(read_ply(write_ply(scene), keep_extra=True).scene, scene)


@given(any_scenes())
def test_the_first_ply_is_what_the_second_round_trip_writes(scene: GaussianScene) -> None:
    data = write_ply(scene)
    assert write_ply(read_ply(data, keep_extra=True).scene) == data


def test_columns_are_named_and_ordered_as_inria_writes_them() -> None:
    names = table_of(write_ply(make_scene(2, 3))).dtype.names
    assert names is not None
    assert names[:9] == ("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2")
    assert names[9:54] == tuple(f"f_rest_{i}" for i in range(45))
    assert names[54:] == (
        *("opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
    )


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_colour_coefficients_are_stored_channel_by_channel(degree: int) -> None:
    scene = make_scene(3, degree)
    table = table_of(write_ply(scene))
    k = sh_rest_count(degree)
    for channel in range(3):
        for i in range(k):
            column = table[f"f_rest_{channel * k + i}"]
            assert np.array_equal(column, scene.sh_rest[:, i, channel])


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("form", ["ascii", "binary_big_endian", "binary_little_endian"])
def test_every_format_of_another_writer_gives_the_same_scene(form: str, degree: int) -> None:
    scene = make_scene(9, degree)
    order = ">" if "big" in form else "<"
    data = ply_of(table_of(write_ply(scene)), text=form == "ascii", order=order)
    result = read_ply(data)
    assert_same(result.scene, scene)
    assert result.notes == ()
    assert result.conventions["format"] == form


def test_properties_may_come_in_any_order() -> None:
    table = table_of(PLY)
    names = sorted(table.dtype.names or ())[::-1]
    shuffled = np.zeros(len(table), [(n, "f4") for n in names])
    for name in names:
        shuffled[name] = table[name]
    assert_same(read_ply(ply_of(shuffled)).scene, SCENE)


def test_a_scene_without_normals_is_written_without_them() -> None:
    scene = replace(SCENE, has_normals=False)
    assert "nx" not in (table_of(write_ply(scene)).dtype.names or ())
    assert_same(read_ply(write_ply(scene)).scene, scene)


def test_windows_and_old_mac_line_ends_are_read() -> None:
    for newline in (b"\r\n", b"\r"):
        data = PLY[:BODY].replace(b"\n", newline) + PLY[BODY:]
        assert_same(read_ply(data).scene, SCENE)


def test_the_scene_does_not_keep_the_file_alive() -> None:
    scene = read_ply(ply_of(retyped(table_of(PLY), label="u1")), keep_extra=True).scene
    assert all(array.flags.writeable for array in scene.attributes().values())
    assert scene.extras[0].values.base is None


def test_rows_before_the_vertices_are_skipped() -> None:
    head = b"element camera 2\nproperty uchar id\nproperty short w\nelement vertex"
    data = PLY[:BODY].replace(b"element vertex", head) + bytes(6) + PLY[BODY:]
    result = read_ply(data)
    assert_same(result.scene, SCENE)
    assert result.notes == ("ignored 1 element besides vertex: camera",)


def test_ascii_rows_before_the_vertices_are_skipped() -> None:
    text = ply_of(table_of(PLY), text=True)
    head = b"element camera 2\nproperty uchar id\nelement vertex"
    data = text.replace(b"element vertex", head).replace(b"end_header\n", b"end_header\n7\n8\n")
    assert_same(read_ply(data).scene, SCENE)


# What is said


def test_doubles_that_float32_holds_need_no_note() -> None:
    table = retyped(table_of(PLY), x="f8", opacity="f8", rot_0="f8")
    result = read_ply(ply_of(table))
    assert_same(result.scene, SCENE)
    assert result.notes == ()


@pytest.mark.parametrize("text", [False, True])
def test_rounded_doubles_are_counted(text: bool) -> None:
    table = retyped(table_of(PLY), rot_0="f8", f_dc_1="f8")
    table["rot_0"][:2] += 1e-12
    table["f_dc_1"][4] = 1 / 3
    result = read_ply(ply_of(table, text=text))
    assert result.notes == (
        "values rounded to float32: 3, in 2 vertex properties: f_dc_1, rot_0",
    )
    assert result.scene.sh_dc[4, 1] == np.float32(1 / 3)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4"])
def test_integers_are_values_too(kind: str, text: bool) -> None:
    table = retyped(table_of(PLY), opacity=kind)
    table["opacity"] = np.arange(5)
    result = read_ply(ply_of(table, text=text))
    assert result.scene.opacity_logits.tolist() == [0, 1, 2, 3, 4]
    assert result.notes == ()


def test_extra_properties_are_dropped_with_a_note() -> None:
    result = read_ply(ply_of(retyped(table_of(PLY), label="u1", time="f8")))
    assert_same(result.scene, SCENE)
    assert result.notes == (
        "dropped 2 extra vertex properties: label, time; keep with --keep-extra",
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", PLY_TYPES)
def test_kept_extras_stay_in_their_type(kind: str, order: str) -> None:
    table = retyped(table_of(PLY), label=kind)
    result = read_ply(ply_of(table, order=order), keep_extra=True)
    assert result.notes == ("kept 1 extra vertex property: label",)
    (extra,) = result.scene.extras
    assert extra.name == "label"
    assert extra.values.dtype == np.dtype(kind)
    assert extra.values.tolist() == [0, 1, 2, 3, 4]


def test_extras_may_hold_nan() -> None:
    table = retyped(table_of(PLY), time="f4")
    table["time"][1] = np.nan
    extra = read_ply(ply_of(table), keep_extra=True).scene.extras[0]
    assert np.array_equal(extra.values, table["time"], equal_nan=True)


def test_normals_that_are_not_zero_are_extra_properties() -> None:
    table = table_of(PLY).copy()
    table["ny"][3] = 1
    result = read_ply(ply_of(table), keep_extra=True)
    assert result.notes == ("kept 3 extra vertex properties: nx, ny, nz",)
    assert not result.scene.has_normals
    assert_same(read_ply(write_ply(result.scene), keep_extra=True).scene, result.scene)


def test_many_names_are_cut_short() -> None:
    table = retyped(table_of(PLY), **{f"e{i:02}": "u1" for i in range(20)})
    (note,) = read_ply(ply_of(table)).notes
    assert "e11 and 8 more" in note
    assert "e12" not in note


def test_bytes_after_the_last_row_are_ignored_with_a_note() -> None:
    assert read_ply(PLY + b"abc").notes == ("ignored 3 bytes after the last row",)


def test_conventions_tell_what_the_header_tells() -> None:
    comments = (
        b"ply\ncomment Exported from Brush\ncomment Vertical axis: y\n"
        b"comment SplatRenderMode: mip\ncomment \xc2\xa9 a\x1bb\n"
    )
    result = read_ply(PLY.replace(b"ply\n", comments, 1))
    assert result.conventions == {
        "format": "binary_little_endian",
        "property_count": 26,
        "property_types": ["float"],
        "sh_degree": 1,
        "has_normals": True,
        "comments": [
            *("Exported from Brush", "Vertical axis: y", "SplatRenderMode: mip", "© a?b"),
        ],
        "up_axis": "y",
        "render_mode": "mip",
        "antialiased": True,
    }
    assert result.scene.antialiased


@pytest.mark.parametrize(
    ("comment", "known"),
    [
        ("Vertical Axis: z", {"up_axis": "z"}),
        ("Vertical axis: 0 1 0", {"up_axis": "0 1 0"}),
        ("SplatRenderMode: default", {"antialiased": False}),
        ("antialiased 1", {"antialiased": True}),
        ("antialiased 0", {"antialiased": False}),
        ("trained on a Tuesday", {}),
    ],
)
def test_comments_of_trainers_are_understood(comment: str, known: dict[str, object]) -> None:
    found = read_ply(PLY.replace(b"ply\n", f"ply\ncomment {comment}\n".encode(), 1)).conventions
    assert {k: v for k, v in found.items() if k in {"up_axis", "antialiased"}} == known


# Values that cannot be coded


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("prop", ["z", "opacity", "scale_1", "rot_3", "f_dc_2", "f_rest_5"])
def test_values_that_are_not_finite_are_refused_or_dropped(prop: str, value: float) -> None:
    table = table_of(PLY).copy()
    table[prop][[2, 4]] = value
    if prop == "opacity" or (prop == "scale_1" and value < 0):
        value = np.nan  # an infinite opacity is a value, and so is a flat scale
        table[prop][[2, 4]] = value
    found = f"2 of 5 Gaussians with NaN or infinity (first: index 2, {prop} is {value})"
    data = ply_of(table)
    assert refusal(data) == f"scene.ply: found {found}; drop them with encode --drop-invalid"
    result = read_ply(data, drop_invalid=True)
    assert result.notes == (f"dropped {found}",)
    assert_same(result.scene, SCENE.take(np.array([0, 1, 3])))


def test_dropping_keeps_extras_in_step() -> None:
    table = retyped(table_of(PLY), label="u1")
    table["x"][1] = np.nan
    scene = read_ply(ply_of(table), drop_invalid=True, keep_extra=True).scene
    assert scene.extras[0].values.tolist() == [0, 2, 3, 4]


def test_invalid_values_of_different_properties_all_count() -> None:
    table = table_of(PLY).copy()
    table["rot_0"][0] = table["x"][3] = table["f_rest_8"][1] = np.nan
    assert "3 of 5 Gaussians with NaN or infinity (first: index 0, rot_0" in refusal(
        ply_of(table)
    )
    assert len(read_ply(ply_of(table), drop_invalid=True).scene) == 2


@pytest.mark.parametrize("text", [False, True])
def test_doubles_beyond_float32_count_as_infinite(text: bool) -> None:
    table = retyped(table_of(PLY), y="f8")
    table["y"][3] = 1e300
    data = ply_of(table, text=text)
    assert "first: index 3, y is inf" in refusal(data)
    (note,) = read_ply(data, drop_invalid=True).notes
    assert note.startswith("dropped 1 of 5")


def test_ascii_floats_beyond_float32_count_as_infinite() -> None:
    table = table_of(PLY).copy()
    table["y"][3] = 123
    data = ply_of(table, text=True).replace(b" 123 ", b" 1e300 ")
    assert "first: index 3, y is inf" in refusal(data)


def test_signalling_nans_are_found_without_a_warning() -> None:
    table = retyped(table_of(PLY), y="f8")
    table["x"].view(np.uint32)[2] = 0x7F800001
    table["y"].view(np.uint64)[1] = 0x7FF0000000000001
    (note,) = read_ply(ply_of(table), drop_invalid=True).notes
    assert note.startswith(
        "dropped 2 of 5 Gaussians with NaN or infinity (first: index 1, y is"
    )


# Files that are not scenes


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"hello world", "found b'hello wo', expected a .ply"),
        (b"\x89GSZ\r\n\x1a\n...", "this is a .gsz file; it is encoded already"),
        (b"\x1f\x8b\x08...", "this is an SPZ file"),
        (b"NGSP...", "this is an SPZ file"),
        (b"PK\x03\x04...", "this is an SOG file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "run 'git lfs pull'"),
        (b"ply", "expected a line with 'ply' alone"),
        (b"plywood\n", "expected a line with 'ply' alone"),
    ],
)
def test_other_formats_are_refused_by_name(data: bytes, words: str) -> None:
    assert words in refusal(data)


def other_ply(*lines: str) -> bytes:
    head = ["ply", "format binary_little_endian 1.0", *lines, "end_header", ""]
    return "\n".join(head).encode()


def floats(*names: str) -> list[str]:
    return [f"property float {n}" for n in names]


GAUSSIAN = [n for n in table_of(PLY).dtype.names or () if not n.startswith(("f_rest", "n"))]
XYZ = floats("x", "y", "z")
RGB = ["property uchar red", "property uchar green", "property uchar blue"]
PACKED = [f"property uint packed_{n}" for n in ("position", "rotation", "scale", "color")]
FACE = ["element face 1", "property list uchar int vertex_indices"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["element chunk 1", *floats("min_x"), "element vertex 9", *PACKED], "PlayCanvas"),
        (["element vertex 9", *PACKED], "a compressed .ply"),
        (["element vertex 9", *XYZ, *floats("f_offset_0", "opacity")], "Scaffold-GS"),
        (["element vertex 9", *XYZ, *floats("f_anchor_feat_0")], "Scaffold-GS"),
        (["element vertex 3", *XYZ, *FACE], "a mesh .ply"),
        (["element vertex 9", *XYZ], "a point cloud"),
        (["element vertex 9", *XYZ, *RGB, *floats("nx", "ny", "nz")], "a point cloud"),
        (["element camera 1", *XYZ], "no element vertex"),
        ([], "no element vertex"),
        (
            ["element vertex 9", *floats(*(n for n in GAUSSIAN if n not in {"y", "rot_3"}))],
            "found no vertex property y, rot_3, expected a 3DGS scene",
        ),
    ],
)
def test_other_plys_are_refused_by_name(lines: list[str], words: str) -> None:
    assert words in refusal(other_ply(*lines))


@pytest.mark.parametrize("count", [1, 10, 44, 48, 72])
def test_a_wrong_number_of_colour_coefficients_is_refused(count: int) -> None:
    rest = [f"f_rest_{i}" for i in range(count)]
    message = refusal(other_ply("element vertex 0", *floats(*GAUSSIAN, *rest)))
    assert f"found {count} f_rest_* properties, expected 0, 9, 24, 45" in message


def test_a_gap_in_the_numbers_of_colour_coefficients_is_refused() -> None:
    rest = [f"f_rest_{i}" for i in (0, 1, 2, 3, 4, 5, 6, 7, 9)]
    message = refusal(other_ply("element vertex 0", *floats(*GAUSSIAN, *rest)))
    assert (
        "found f_rest_9 among 9 f_rest_* properties, expected f_rest_0 to f_rest_8" in message
    )


# Damaged headers and bodies


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"element vertex 5", b"element vertex 1000000000000", "truncated: found 520 bytes"),
        (b"element vertex 5", b"element vertex 6", "expected 624 for 6 vertex rows"),
        (b"element vertex 5", b"element vertex -5", "header line 3: found 'element vertex -5'"),
        (b"element vertex 5", b"element vertex 5.0", "header line 3"),
        (b"element vertex 5", b"element vertex " + b"9" * 5000, "header line 3"),
        (b"element vertex 5", b"element vertex \xd9\xa5", "header line 3"),
        (b"element vertex 5", b"element \x1b[1m 5", "found 'element ?[1m 5'"),
        (b"float x", b"quad x", "line 4: found 'property quad x', field type 'quad'"),
        (b"property float nx", b"property list uchar int nx", "nx of element vertex is a list"),
        (b"property float ny", b"property float nx", "header: two properties with same name"),
        (b"property float x", b"", "found no vertex property x,"),
        (b"element vertex 5", b"element e 0\nelement vertex 5", "element e has no properties"),
        (
            b"element vertex 5",
            b"element vertex 1\nproperty char a\nelement vertex 5",
            "header: two elements with same name",
        ),
        (b"format binary_little_endian 1.0\n", b"", "header line 2: found 'element vertex"),
        (b"binary_little_endian 1.0", b"binary_little_endian 2.0", "header line 2"),
        (b"binary_little_endian", b"binary_middle_endian", "header line 2"),
        (b"end_header\n", b"end_heade\n", "no line 'end_header'"),
        (b"ply\n", b"ply\nproperty float a\n", "header line 2"),
        (b"element vertex 5", b"comment \xff\n\nelement vertex 5 5", "header line 5"),
        (b"element vertex 5", b" end_header\nelement vertex 5", "header line 4"),
    ],
)
def test_damaged_headers_are_refused_with_the_place(old: bytes, new: bytes, words: str) -> None:
    assert PLY.count(old) >= 1
    assert words in refusal(PLY.replace(old, new, 1))


def test_an_endless_header_is_refused() -> None:
    data = b"ply\n" + b"comment a\n" * (MAX_HEADER_BYTES // 10) + PLY[4:]
    assert f"in the first {MAX_HEADER_BYTES} bytes" in refusal(data)


def test_no_memory_is_taken_for_rows_that_are_not_there() -> None:
    for form in (b"ascii", b"binary_big_endian"):
        data = PLY.replace(b"vertex 5", b"vertex 4000000000").replace(
            b"binary_little_endian", form
        )
        tracemalloc.start()
        assert "truncated" in refusal(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 20


def test_every_truncation_is_refused() -> None:
    for size in range(len(PLY)):
        refusal(PLY[:size])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b" 77 ", b" x77 ", "row 2: property 'label': malformed input"),
        (b" 77 ", b" ", "row 2: property 'last': early end-of-line"),
        (b" 77 ", b" 256 ", "integer 256 out of bounds for uint8"),
        (b" 77 ", b" -1 ", "integer -1 out of bounds for uint8"),
        (b" 77 ", b" 0.5 ", "row 2: property 'label': malformed input"),
        (b" 77 ", b" nan ", "row 2: property 'label': malformed input"),
        (b" 77 ", b" \xb2 ", "ascii rows: 'ascii' codec can't decode byte 0xb2"),
    ],
)
def test_bad_ascii_values_are_refused_with_the_place(
    old: bytes, new: bytes, words: str
) -> None:
    bare = without(table_of(write_ply(make_scene(4, 0))), "nx", "ny", "nz")
    table = retyped(bare, label="u1", last="u1")
    table["label"] = [1, 1, 77, 1]
    data = ply_of(table, text=True)
    assert data.count(old) == 1
    assert words in refusal(data.replace(old, new))


def test_ascii_integers_need_a_numpy_that_does_not_wrap_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """numpy before 2.0 reads 256 as an unsigned byte of 0; floats are read with it."""
    floats, integers = table_of(PLY), retyped(table_of(PLY), label="u1")
    monkeypatch.setattr(np, "__version__", "1.26.4")
    assert len(read_ply(ply_of(floats, text=True)).scene) == len(SCENE)
    with pytest.raises(UsageError, match=r"found numpy 1\.26\.4, expected 2\.0 or later"):
        read_ply(ply_of(integers, text=True))


@given(st.binary(max_size=300), st.sampled_from([b"", b"ply\n", PLY[:40], PLY[:BODY]]))
def test_random_bytes_are_refused_or_a_scene(tail: bytes, head: bytes) -> None:
    accepts_or_refuses(head + tail)


HEADER_LINES = PLY[:BODY].split(b"\n")[1:-2]
LINES = st.sampled_from(
    [
        *HEADER_LINES,
        b"",
        b"format ascii 1.0",
        b"format binary_big_endian 1.0",
        b"element vertex 0",
        b"element vertex 4",
        b"element face 1",
        b"property list uchar int a",
        b"property uchar a",
        b"property double x",
        b"property float f_rest_9",
        b"comment \xff",
        b"obj_info 1",
        b"end_header",
        b"element\x0bvertex\x1c2",
    ]
)
EDITS = st.lists(
    st.tuples(st.integers(0, len(HEADER_LINES) - 1), st.none() | LINES), max_size=4
)


@given(EDITS, st.booleans())
def test_a_damaged_header_is_refused_or_a_scene(
    edits: list[tuple[int, bytes | None]], text: bool
) -> None:
    lines: list[bytes | None] = list(HEADER_LINES)
    for index, line in edits:
        lines[index] = line
    head = b"\n".join([b"ply", *(x for x in lines if x is not None), b"end_header", b""])
    accepts_or_refuses(head + (b"1 2 3\n" * 60 if text else PLY[BODY:]))


@given(st.integers(0, len(PLY) - 1), st.integers(0, 255))
def test_one_changed_byte_is_refused_or_a_scene(position: int, value: int) -> None:
    accepts_or_refuses(PLY[:position] + bytes([value]) + PLY[position + 1 :])


def accepts_or_refuses(data: bytes) -> None:
    """Reading ends in a scene or in a SceneError: anything else fails the test."""
    message = ""
    try:
        result = read_ply(data, keep_extra=True, drop_invalid=True)
    except SceneError as error:
        message = str(error)
    else:
        write_ply(result.scene)
    assert "\n" not in message


# Scenes that cannot be written


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("half", np.zeros(5, "f2"), "found float16, expected one of i1, u1"),
        ("flag", np.zeros(5, "?"), "found bool"),
    ],
)
def test_extras_that_a_ply_cannot_hold_are_refused(
    name: str, values: NDArray[Any], words: str
) -> None:
    with pytest.raises(SceneError, match="extra property") as caught:
        write_ply(replace(SCENE, extras=(ExtraProperty(name, values),)))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("ä", "u00e4"),
        ("Größe [m]", "Gru00f6u00dfeu0020[m]"),
        ("a\nproperty float b", "au000apropertyu0020floatu0020b"),
        ("", "extra_"),
        ("x", "extra_x"),
        ("nx", "extra_nx"),
        ("f_rest_99", "extra_f_rest_99"),
        ("taken", "extra_taken"),
    ],
)
def test_extras_whose_names_a_ply_cannot_hold_are_renamed(name: str, written: str) -> None:
    """Their values are kept, others keep their names, and a note tells."""
    values = np.arange(5, dtype="u1")
    extras = (ExtraProperty("taken", values), ExtraProperty(name, values + 1))
    scene = replace(SCENE, extras=extras)
    back = read_ply(write_ply(scene), keep_extra=True).scene.extras
    assert [e.name for e in back] == ["taken", written]
    assert back[1].values.tolist() == [1, 2, 3, 4, 5]
    (note,) = renamed_extras(scene)
    assert note.startswith(f"renamed extra property {name!r} to {written}: ")
    assert renamed_extras(SCENE) == ()


def test_reading_and_writing_take_little_more_than_their_result() -> None:
    scene = make_scene(20_000, 3)
    tracemalloc.start()
    data = write_ply(scene)
    written = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    start = tracemalloc.get_traced_memory()[0]
    read_ply(data)
    read = tracemalloc.get_traced_memory()[1] - start
    tracemalloc.stop()
    assert written < 2.3 * len(data)
    assert read < 1.5 * len(data)


def test_hard_scenes_are_all_different() -> None:
    digests = {
        s.digest() + bytes([s.has_normals, len(s.extras)]) for s in hard_scenes().values()
    }
    assert len(digests) == len(hard_scenes()) - 1  # the two empty scenes hold the same nothing
