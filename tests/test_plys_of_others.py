"""Scene files as other programs leave them: read with what they mean, and a note on it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

import fuzzing
import gscodec
from gscodec.errors import SceneError
from gscodec.sceneio import read_ply, write_ply
from gscodec.sceneio.comments import Comments, remembered_comments
from scenes import make_scene
from test_sceneio import BODY, PLY, SCENE, assert_same, ply_of, refusal, retyped, table_of

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from command import Cli

TEXT = ply_of(table_of(PLY), text=True)


def changed(**values: float) -> NDArray[Any]:
    """The rows of ``SCENE`` with other values in the second one."""
    table = table_of(PLY).copy()
    for name, value in values.items():
        table[name][1] = value
    return table


# What is not finite


@pytest.mark.parametrize(
    ("prop", "value"), [("opacity", np.inf), ("opacity", -np.inf), ("scale_2", -np.inf)]
)
def test_opaque_transparent_and_flat_are_values(prop: str, value: float) -> None:
    for drop in (False, True):
        result = read_ply(ply_of(changed(**{prop: value})), drop_invalid=drop)
        assert result.notes == ()
        assert len(result.scene) == len(SCENE)
        assert table_of(write_ply(result.scene))[prop][1] == value


def test_a_scene_of_infinite_values_is_drawn() -> None:
    pytest.importorskip("numba")
    from gscodec.render import render
    from gscodec.render.virtual import virtual_cameras

    table = table_of(write_ply(make_scene(60, 0))).copy()
    table["opacity"][:20], table["opacity"][20:40], table["scale_1"] = np.inf, -np.inf, -np.inf
    scene = read_ply(ply_of(table)).scene
    (camera,) = virtual_cameras(scene, 1, 64, 48).cameras
    picture = render(scene, camera)
    assert np.isfinite(picture).all()
    assert picture.max() > 0.1
    opaque = scene.take(np.arange(20))
    assert render(opaque, camera).max() > 0.1
    assert not render(scene.take(np.arange(20, 40)), camera).any()


def test_a_rotation_of_zeros_is_told_and_dropped_where_wanted() -> None:
    zeros = dict.fromkeys(("rot_0", "rot_1", "rot_2", "rot_3"), 0.0)
    found = "1 of 5 Gaussians with the rotation 0, 0, 0, 0 (first: index 1)"
    data = ply_of(changed(**zeros))
    assert read_ply(data).notes == (f"found {found}; drop them with encode --drop-invalid",)
    result = read_ply(data, drop_invalid=True)
    assert result.notes == (f"dropped {found}",)
    assert_same(result.scene, SCENE.take(np.array([0, 2, 3, 4])))


def test_rows_of_zeros_are_told() -> None:
    rows = dict.fromkeys(table_of(PLY).dtype.names or (), 0.0)
    (note,) = read_ply(ply_of(changed(**rows))).notes
    assert "(1 of them rows of zeros, first: index 1)" in note


def test_a_scene_of_which_nothing_is_left_is_refused() -> None:
    table = table_of(PLY).copy()
    table["x"] = np.nan
    table["rot_0"] = table["rot_1"] = table["rot_2"] = table["rot_3"] = 0
    table["x"][0] = 0
    message = refusal(ply_of(table), drop_invalid=True)
    assert "found 4 of 5 Gaussians with NaN or infinity (first: index 1, x is nan)" in message
    assert "1 of 5 Gaussians with the rotation 0, 0, 0, 0" in message
    assert message.endswith("so that nothing is left")


# Headers


def test_a_count_that_was_never_filled_in_is_refused() -> None:
    for data in (PLY, TEXT):
        message = refusal(data.replace(b"vertex 5", b"vertex 0"))
        assert "the header counts 0 vertices, found" in message
        assert "mend the header" in message
    assert "a count of about 5" in refusal(PLY.replace(b"vertex 5", b"vertex 0"))


def test_rows_that_are_not_counted_are_told() -> None:
    (note,) = read_ply(PLY.replace(b"vertex 5", b"vertex 2")).notes
    assert note == "ignored 312 bytes after the last row, as many as 3 more Gaussians take"


def test_an_empty_scene_is_none_that_lost_its_count() -> None:
    empty = PLY[:BODY].replace(b"vertex 5", b"vertex 0")
    assert len(read_ply(empty + b"\n").scene) == 0


FACES = b"element face 2\nproperty list uchar int vertex_indices\nend_header"
ROWS_OF_FACES = bytes([3, *bytes(12), 1, *bytes(4)])


def test_elements_after_the_vertices_may_have_lists() -> None:
    none = FACES.replace(b"face 2", b"face 0")
    for faces, rows in ((FACES, ROWS_OF_FACES), (none, b"")):
        data = PLY.replace(b"end_header", faces) + rows
        result = read_ply(data)
        assert_same(result.scene, SCENE)
        assert result.notes == ("ignored 1 element besides vertex: face",)


def test_ascii_elements_after_the_vertices_may_have_lists() -> None:
    result = read_ply(TEXT.replace(b"end_header", FACES) + b"3 0 1 2\n1 4\n")
    assert_same(result.scene, SCENE)


def test_an_element_of_lists_without_rows_may_come_first() -> None:
    lists = b"element face 0\nproperty list uchar int vertex_indices\nelement vertex"
    assert_same(read_ply(PLY.replace(b"element vertex", lists)).scene, SCENE)
    message = refusal(PLY.replace(b"element vertex", lists.replace(b"0", b"2")))
    assert "property vertex_indices of element face is a list" in message


def test_lists_that_are_not_there_are_missed() -> None:
    message = refusal(PLY.replace(b"end_header", FACES.replace(b"2", b"9")))
    assert "truncated: found 520 bytes after the header, expected at least 529" in message


@pytest.mark.parametrize(
    "change",
    [
        (b"end_header\n", b"end_header \t\n"),
        (b"end_header\n", b"end_header\r\n"),
        (b"ply\nformat", b"ply\r\nformat"),
        (b"ply\nformat", b"ply \nformat"),
        (b"float x\n", b"float x \r\n"),
        (b"ply\n", b"\xef\xbb\xbfply\n"),
    ],
)
@pytest.mark.parametrize("data", [PLY, TEXT], ids=["binary", "ascii"])
def test_ends_of_lines_may_be_mixed_and_marked(
    data: bytes, change: tuple[bytes, bytes]
) -> None:
    assert data.count(change[0]) == 1
    result = read_ply(data.replace(*change))
    assert_same(result.scene, SCENE)
    assert result.notes == ()


@pytest.mark.parametrize("newline", [b"\r\n", b"\r"])
def test_ascii_rows_may_have_any_ends(newline: bytes) -> None:
    assert_same(read_ply(TEXT.replace(b"\n", newline)).scene, SCENE)


def test_a_mark_before_ascii_rows_is_skipped() -> None:
    data = TEXT.replace(b"end_header\n", b"end_header\n\xef\xbb\xbf")
    assert_same(read_ply(data).scene, SCENE)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (b"-nan(ind)", np.nan),
        (b"nan(snan)", np.nan),
        (b"-1.#IND00", np.nan),
        (b"1.#QNAN", np.nan),
        (b"1.#SNAN0", np.nan),
        (b"1.#INF", np.inf),
        (b"-1.#INF00", -np.inf),
    ],
)
def test_numbers_as_windows_prints_them(word: bytes, value: float) -> None:
    data = ply_of(changed(opacity=77, scale_0=78), text=True)
    assert data.count(b" 77 ") == 1
    data = data.replace(b" 77 ", b" " + word + b" ")
    if np.isnan(value):
        assert "(first: index 1, opacity is nan)" in refusal(data)
    else:
        assert read_ply(data).scene.opacity_logits[1] == value


def test_names_of_cloudcompare_are_understood() -> None:
    data = PLY
    for name in table_of(PLY).dtype.names or ():
        if name[0] not in "xyzn":
            data = data.replace(f" {name}\n".encode(), f" scalar_{name}\n".encode())
    result = read_ply(data)
    assert_same(result.scene, SCENE)
    (note,) = result.notes
    assert note.startswith("CloudCompare's prefix scalar_ left out of 20 vertex properties: f_")
    assert result.conventions["property_count"] == 26


def test_a_prefix_stays_where_the_name_is_taken_or_unknown() -> None:
    table = retyped(table_of(PLY), scalar_opacity="f4", scalar_label="f4")
    result = read_ply(ply_of(table), keep_extra=True)
    assert result.notes == ("kept 2 extra vertex properties: scalar_opacity, scalar_label",)
    assert_same(replace(result.scene, extras=()), SCENE)


# Other kinds of scenes


def test_a_scene_of_2dgs_is_flat() -> None:
    table = table_of(PLY)
    names = [n for n in table.dtype.names or () if n != "scale_2"]
    result = read_ply(
        ply_of(np.ascontiguousarray(table[names]).astype([(n, "f4") for n in names]))
    )
    scales = SCENE.log_scales.copy()
    scales[:, 2] = -np.inf
    assert_same(result.scene, replace(SCENE, log_scales=scales))
    (note,) = result.notes
    assert note.startswith("no scale_2, as 2DGS writes it: read as flat")
    assert (table_of(write_ply(result.scene))["scale_2"] == -np.inf).all()


def test_values_that_look_activated_are_told() -> None:
    scene = make_scene(30, 0)
    opacity = (1 / (1 + np.exp(-scene.opacity_logits))).astype(np.float32)
    activated = replace(scene, opacity_logits=opacity, log_scales=np.exp(scene.log_scales))
    (note,) = read_ply(write_ply(activated)).notes
    assert "throughout: these look activated" in note
    for half in (
        replace(activated, opacity_logits=scene.opacity_logits),
        replace(activated, log_scales=scene.log_scales),
    ):
        assert read_ply(write_ply(half)).notes == ()


# Doubles

FAR = (451_234.5, 5_412_345.678, 311.25)


def far(scene_count: int = 300) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """A scene in the coordinates of a map: rows, and positions (N, 3)."""
    scene = make_scene(scene_count, 0)
    table = retyped(table_of(write_ply(scene)), x="f8", y="f8", z="f8")
    detail = np.random.default_rng(0).uniform(0, 1e-7, (scene_count, 3))
    positions = scene.means.astype(np.float64) + detail + FAR
    table["x"], table["y"], table["z"] = positions.T
    return table, positions


def test_positions_of_maps_keep_their_digits() -> None:
    table, positions = far()
    result = read_ply(ply_of(table))
    assert np.abs(result.scene.means).max() < 10
    (note,) = result.notes
    assert note.startswith("positions are doubles: kept relative to the origin 45")
    written = table_of(write_ply(result.scene))
    assert written.dtype["x"] == np.float64
    error = max(np.abs(written[n] - positions[:, i]).max() for i, n in enumerate("xyz"))
    assert error < 5e-7
    again = read_ply(write_ply(result.scene)).scene
    assert_same(again, result.scene)
    assert again.origin == result.scene.origin


def test_doubles_around_zero_have_the_origin_zero() -> None:
    table, _ = far()
    for name, offset in zip("xyz", FAR, strict=True):
        table[name] -= offset
    scene = read_ply(ply_of(table)).scene
    assert scene.origin == (0.0, 0.0, 0.0)
    assert np.array_equal(scene.means[:, 0], table["x"].astype(np.float32))


def test_a_few_far_ones_do_not_move_the_origin() -> None:
    table, positions = far()
    table["x"][[3, 7]] = 1e15, -4e18
    scene = read_ply(ply_of(table)).scene
    assert scene.origin is not None
    assert abs(scene.origin[0] - np.median(positions[:, 0])) < 8


def test_doubles_in_one_place_are_exact() -> None:
    table, _ = far(30)
    for name, value in zip("xyz", FAR, strict=True):
        table[name] = value
    scene = read_ply(ply_of(table)).scene
    assert scene.origin == FAR
    assert not scene.means.any()


def test_damaged_doubles_are_found() -> None:
    table, _ = far()
    table["y"][4] = np.nan
    table["z"][9] = 1e300
    message = refusal(ply_of(table))
    assert "2 of 300 Gaussians with NaN or infinity (first: index 4, y is nan)" in message
    scene = read_ply(ply_of(table), drop_invalid=True).scene
    assert (len(scene), scene.origin is None) == (298, False)


# Comments


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        ("Units: metres", {"units": "metres"}),
        ("length unit = mm", {"units": "mm"}),
        ("units of work are people", {}),
        ("Colour space: sRGB", {"color_space": "srgb"}),
        ("up axis z", {"up_axis": "z"}),
        ("rasterize_mode: antialiased", {"render_mode": "antialiased", "antialiased": True}),
        ("SplatRenderMode: default", {"render_mode": "default", "antialiased": False}),
        ("SplatRenderMode: new", {"render_mode": "new"}),
    ],
)
def test_what_comments_tell(comment: str, told: dict[str, object]) -> None:
    for kind in ("comment", "obj_info"):
        line = f"ply\n{kind} {comment}\n".encode()
        result = read_ply(PLY.replace(b"ply\n", line, 1))
        known = ("up_axis", "units", "render_mode", "color_space", "antialiased")
        found = result.conventions
        assert {k: found[k] for k in known if k in found} == told
        assert result.scene.antialiased == told.get("antialiased", False)


def test_comments_are_written_as_they_were() -> None:
    data = write_ply(SCENE, comments=["Exported from Brush", ""], infos=["num_cols 3"])
    assert_same(read_ply(data).scene, SCENE)
    told = read_ply(data).conventions
    assert told["comments"] == ["Exported from Brush", ""]
    assert told["obj_info"] == ["num_cols 3"]
    for bad in ("a\nelement vertex 3", "\u00e9", "x" * (1 << 20)):
        with pytest.raises(SceneError, match="comment"):
            write_ply(SCENE, comments=[bad])


def test_that_a_scene_is_antialiased_is_never_lost() -> None:
    scene = replace(SCENE, antialiased=True)
    for comments in ([], ["SplatRenderMode: mip"], ["trained on a Tuesday"]):
        data = write_ply(scene, comments=comments)
        assert read_ply(data).scene.antialiased
        assert data.count(b"antialiased 1") == ("SplatRenderMode: mip" not in comments)


BRUSH = (
    b"ply\ncomment Exported from Brush\ncomment Vertical axis: y\n"
    b"comment SplatRenderMode: mip\nobj_info num_cols 3\n"
)


def test_decode_writes_the_comments_of_the_source(cli: Cli, tmp_path: Path) -> None:
    source, coded, back = (tmp_path / n for n in ("a.ply", "a.gsz", "b.ply"))
    source.write_bytes(PLY.replace(b"ply\n", BRUSH + b"comment caf\xc3\xa9\n", 1))
    assert cli("encode", source, "--method", "raw").code == 0
    result = cli("decode", coded, "-o", back)
    assert result.code == 0
    assert "left out 1 of 5 comments: not ASCII" in result.err
    told = read_ply(back.read_bytes())
    known = ("comments", "obj_info", "up_axis", "render_mode")
    assert [told.conventions[k] for k in known] == [
        ["Exported from Brush", "Vertical axis: y", "SplatRenderMode: mip"],
        ["num_cols 3"],
        "y",
        "mip",
    ]
    assert told.scene.antialiased
    assert "antialiased" in cli("inspect", coded).text


def test_comments_of_a_hostile_file_are_left_out() -> None:
    for meta in ({"conventions": 3}, {"conventions": {"comments": "a"}}, {}):
        assert remembered_comments(meta) == Comments()
    many: list[object] = ["a\nproperty float y", 3, "\x1b[1m", "fine", *[""] * 100_000]
    found = remembered_comments({"conventions": {"comments": many, "obj_info": ["b"]}})
    assert found.comments[:2] == ("fine", "")
    assert found.left_out == len(many) + 1 - len(found.comments) - len(found.infos)
    written = write_ply(SCENE, comments=found.comments, infos=found.infos)
    assert_same(read_ply(written).scene, SCENE)


def test_that_damaged_notes_have_no_comments_is_told(cli: Cli, tmp_path: Path) -> None:
    chunks = fuzzing.split(gscodec.encode(SCENE, "raw"))
    bad = [(tag, b"[" if tag == b"meta" else payload) for tag, payload in chunks]
    path = tmp_path / "a.gsz"
    path.write_bytes(fuzzing.seal(bad))
    for name in ("b.ply", "b.ksplat"):
        result = cli("decode", path, "-o", tmp_path / name)
        assert result.code == 0
        assert "left out all comments: meta is damaged" in result.err


def test_a_double_scene_comes_back_through_a_file(cli: Cli, tmp_path: Path) -> None:
    source, coded, back = (tmp_path / n for n in ("a.ply", "a.gsz", "b.ply"))
    table, positions = far()
    source.write_bytes(ply_of(table))
    assert cli("encode", source, "--method", "raw").code == 0
    assert cli("decode", coded, "-o", back).code == 0
    written = table_of(back.read_bytes())
    assert written.dtype["z"] == np.float64
    assert max(np.abs(written[n] - positions[:, i]).max() for i, n in enumerate("xyz")) < 5e-7
    assert "origin" in cli("inspect", coded).text
