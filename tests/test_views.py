"""Data sets on disk -> cameras and photographs."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import camera_files as files
from gscodec.cameraio import decode_photograph, photograph_size, write_cameras
from gscodec.disk.views import Views, read_photograph, read_views
from gscodec.errors import InputError, SceneError, UsageError

Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

CENTRED, DISTORTED = files.cameras(), files.cameras(distorted=True)
CAMERA = replace(CENTRED[0], width=4, height=3)
COLOURS = np.random.default_rng(1).integers(0, 256, size=(3, 4, 4), dtype=np.uint8)


def _coded(array: NDArray[Any], form: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    Image.fromarray(array).save(file, form, **options)
    return file.getvalue()


def _decoded(data: bytes, background: tuple[float, float, float] = (0, 0, 0)) -> Any:
    return decode_photograph(BytesIO(data), CAMERA, background, "photo")


# --- Pixels ----------------------------------------------------------------------------------


def test_colours_are_0_to_1() -> None:
    """8 bits a channel, (H, W, 3) float32."""
    found = _decoded(_coded(COLOURS[..., :3]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, COLOURS[..., :3] / 255, atol=1e-6)


def test_grey_becomes_colour() -> None:
    """8 and 16 bits; the latter keep all of them."""
    deep = np.array([[0, 1, 257, 65535]] * 3, dtype=np.uint16)
    cases: list[tuple[NDArray[Any], int]] = [(COLOURS[..., 0], 255), (deep, 65535)]
    for grey, top in cases:
        for form in ("PNG", "TIFF"):
            found = _decoded(_coded(grey, form))
            assert found.shape == (3, 4, 3)
            for channel in range(3):
                np.testing.assert_allclose(found[..., channel], grey / top, atol=1e-7)


def test_deep_colours_keep_their_upper_bits() -> None:
    """A PNG of 16 bits a channel, which Pillow reads with 8."""
    deep = COLOURS[..., :3].astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    head = struct.pack(">IIBBBBB", 4, 3, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n"
    for tag, body in [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]:
        crc = struct.pack(">I", zlib.crc32(tag + body))
        png += struct.pack(">I", len(body)) + tag + body + crc
    np.testing.assert_allclose(_decoded(png), COLOURS[..., :3] / 255, atol=1e-6)


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_shows_the_background(channels: int) -> None:
    """RGBA and grey with alpha, straight (not premultiplied)."""
    pixels = COLOURS[..., -channels:]
    alpha = pixels[..., -1:] / 255
    expected = alpha * pixels[..., :-1] / 255 + (1 - alpha) * [0.25, 0.5, 1.0]
    found = _decoded(_coded(pixels), (0.25, 0.5, 1.0))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_transparent_palettes_show_the_background() -> None:
    """The entry of a palette may be transparent as a whole."""
    image = Image.fromarray(np.array([[0, 1, 0, 1]] * 3, dtype=np.uint8), mode="P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    file = BytesIO()
    image.save(file, "PNG", transparency=1)
    found = _decoded(file.getvalue(), (0, 1, 0))
    np.testing.assert_array_equal(found[0, :2], [[1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM"])
def test_damaged_images_are_refused(form: str) -> None:
    """Truncated anywhere, or no image at all: one line that names the file, or the pixels."""
    whole = _coded(COLOURS[..., :3], form)
    assert photograph_size(BytesIO(whole)) == (4, 3)
    refused = 0
    for data in (b"", b"text", *(whole[:end] for end in range(len(whole)))):
        try:
            assert _decoded(data).shape == (3, 4, 3)
        except SceneError as error:
            assert str(error).startswith("photo: ")  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017
            refused += 1
    assert refused > len(whole) // 2


def test_libraries_write_no_lines_of_their_own(capfd: pytest.CaptureFixture[str]) -> None:
    """Libtiff does, past Python: its words become part of the one line."""
    whole = bytearray(_coded(COLOURS[..., :3], "TIFF", compression="tiff_lzw"))
    start = whole.index(b"\x80", 8)
    whole[start : start + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(SceneError) as refused:
        _decoded(bytes(whole))
    assert str(refused.value).startswith("photo: cannot be read as an image: ")
    assert "code not yet in table" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


def test_photographs_of_another_size_are_refused() -> None:
    """By name, with both sizes."""
    with pytest.raises(SceneError, match=r"^photo: found 3 x 4 pixels, expected 4 x 3$"):
        _decoded(_coded(COLOURS[..., :3].transpose(1, 0, 2)))
    with pytest.raises(SceneError, match=r"^photo: found floats"):
        _decoded(_coded(COLOURS[..., 0].astype(np.float32), "TIFF"))
    with pytest.raises(SceneError, match=r"^photo: found values -1 to 70000, expected 16 b"):
        _decoded(_coded(np.array([[-1, 70000, 0, 0]] * 3, dtype=np.int32), "TIFF"))


# --- Folders ---------------------------------------------------------------------------------


def _photographs(folder: Path, *names: str, size: tuple[int, int] = (64, 48)) -> None:
    for index, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (10 * index, 20, 30)).save(path)


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _write_model(folder: Path, suffix: str = ".bin") -> None:
    write = files.colmap_binary if suffix == ".bin" else files.colmap_text
    for stem, data in zip(("cameras", "images"), write(CENTRED), strict=True):
        _write(folder / (stem + suffix), data)


def _check(views: Views) -> None:
    """All three cameras, each with its own photograph."""
    assert views.has_photographs
    views.require_photographs()
    assert views.notes == ()
    files.assert_same(views.cameras, CENTRED)
    for index, camera in enumerate(views.cameras):
        pixels = read_photograph(views.photographs[camera.image], camera)
        np.testing.assert_allclose(pixels[0, 0] * 255, [10 * index, 20, 30], atol=1e-4)


@pytest.mark.parametrize("model", ["sparse/0", "sparse", "."])
@pytest.mark.parametrize("suffix", [".bin", ".txt"])
def test_colmap_data_sets(tmp_path: Path, model: str, suffix: str) -> None:
    """Both forms of the model, where COLMAP and others put it; images/ before its copies."""
    _write_model(tmp_path / model, suffix)
    _photographs(tmp_path / "images", *files.NAMES)
    _photographs(tmp_path / "images_2", files.NAMES[0], size=(32, 24))
    _check(read_views(str(tmp_path)))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("transforms.json", files.nerfstudio),
        ("transforms_train.json", files.synthetic),
        ("cameras.json", files.plain),
        ("cameras.json", files.inria),
    ],
)
def test_camera_files(
    tmp_path: Path, name: str, write: Callable[..., dict[str, Any] | list[Any]]
) -> None:
    """Their folder or the file; photographs beside it or in images/, sizes where needed."""
    file = _write(tmp_path / name, files.as_json(write(CENTRED)))
    _photographs(tmp_path / "images", *files.NAMES)
    _check(read_views(str(tmp_path)))
    (tmp_path / "images" / "photos").rename(tmp_path / "photos")
    _check(read_views(str(file)))


def test_names_without_suffix_and_with_another(tmp_path: Path) -> None:
    """NeRF-synthetic writes none; copies of photographs may be of another kind."""
    stems = [name.removesuffix(".png") for name in files.NAMES]
    document = files.synthetic(CENTRED)
    for frame, name in zip(document["frames"], [*stems[:2], "photos/c.JPG"], strict=True):
        frame["file_path"] = f"./{name}"
    path = _write(tmp_path / "transforms_test.json", files.as_json(document))
    _photographs(tmp_path, *files.NAMES, "photos/a_depth_0001.png")
    _write(tmp_path / "photos" / "a.txt", b"no photograph")
    views = read_views(str(path))
    assert [views.photographs[c.image].name for c in views.cameras] == [
        "a.png",
        "b.png",
        "c.png",
    ]


def test_dots_in_names_are_no_suffix(tmp_path: Path) -> None:
    """Only the suffixes of images are."""
    view = replace(CENTRED[0], image="img.001")
    path = _write(tmp_path / "cameras.json", write_cameras((view,)))
    _photographs(tmp_path / "images", "img.png", "img.001.png")
    views = read_views(str(path))
    assert views.photographs["img.001"].name == "img.001.png"


def test_another_folder_of_photographs(tmp_path: Path) -> None:
    """By path or by its name in the data set; the ends of names count there."""
    _write(tmp_path / "data" / "cameras.json", write_cameras(CENTRED))
    _photographs(tmp_path / "data" / "images", *files.NAMES[::-1])
    _photographs(tmp_path / "data" / "other", "a.png", "b.png", "c.png")
    _check(read_views(str(tmp_path / "data"), "other"))
    _check(read_views(str(tmp_path / "data"), str(tmp_path / "data" / "other")))
    with pytest.raises(InputError, match="nothing: no such folder of photographs"):
        read_views(str(tmp_path / "data"), "nothing")
    (tmp_path / "data" / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: none of the 3 photographs .*photos/a.png"):
        read_views(str(tmp_path / "data"), "empty")


@pytest.mark.parametrize("folder", ["images", "input", "."])
def test_backslashes_and_the_folder_of_raw_photographs(tmp_path: Path, folder: str) -> None:
    """Windows writes names so; input/ is where INRIA's convert.py takes photographs from."""
    back = tuple(replace(c, image=c.image.replace("/", "\\")) for c in CENTRED)
    _write(tmp_path / "transforms.json", files.as_json(files.synthetic(back)))
    _photographs(tmp_path / folder, *files.NAMES)
    _check(read_views(str(tmp_path)))


def test_raw_photographs_of_a_model(tmp_path: Path) -> None:
    """Where nobody has undistorted them."""
    _write_model(tmp_path / "sparse" / "0")
    _photographs(tmp_path / "input", *files.NAMES)
    _check(read_views(str(tmp_path)))


def test_rigs_keep_their_photographs_apart(tmp_path: Path) -> None:
    """One name in three folders is three photographs."""
    names = tuple(f"cam{k}/0001.png" for k in range(3))
    views = tuple(replace(c, image=n) for c, n in zip(CENTRED, names, strict=True))
    _write(tmp_path / "cameras.json", write_cameras(views))
    _photographs(tmp_path / "images", *names)
    for images in (None, "images"):
        found = read_views(str(tmp_path), images)
        assert len(set(found.photographs.values())) == 3
        for index, camera in enumerate(found.cameras):
            pixels = read_photograph(found.photographs[camera.image], camera)
            np.testing.assert_allclose(pixels[0, 0, 0] * 255, 10 * index, atol=1e-4)


def test_photographs_outside_of_the_data_set_want_a_word(tmp_path: Path) -> None:
    """By an absolute name, by "..", or through a link: the rule of checkpoints."""
    root, secret = tmp_path / "data", tmp_path / "secret"
    _photographs(secret, "a.png", size=(64, 48))
    (root / "images").mkdir(parents=True)
    (root / "images" / "link.png").symlink_to(secret / "a.png")
    (root / "linked").symlink_to(secret)
    for name in (str(secret / "a.png"), "../secret/a", "link.png", "linked/a.png"):
        path = _write(root / "cameras.json", write_cameras((replace(CENTRED[0], image=name),)))
        with pytest.raises(InputError, match=r"outside of .*data; .*--allow-outside"):
            read_views(str(path))
        assert read_views(str(path), allow_outside=True).has_photographs
    assert read_views(str(path), str(secret)).has_photographs  # a folder that the user named
    path = _write(
        root / "cameras.json", write_cameras((replace(CENTRED[0], image="/b/a.png"),))
    )
    assert read_views(str(path), str(secret)).has_photographs


def test_nearly_rigid_poses_are_told(tmp_path: Path) -> None:
    """A scale of 0.17 % is no reason to refuse a data set."""
    document = files.plain(CENTRED)
    document[0]["world_to_camera"] = (
        np.diag([1.0017, 1.0017, 1.0017, 1]) @ CENTRED[0].world_to_camera
    ).tolist()
    views = read_views(str(_write(tmp_path / "cameras.json", files.as_json(document))))
    files.assert_same(views.cameras, CENTRED)
    assert views.notes[0].startswith("camera matrices made rotations: 1, they scaled or sheare")


def test_smaller_photographs_rescale_cameras(tmp_path: Path) -> None:
    """With a note; other shapes are refused."""
    _write_model(tmp_path / "sparse" / "0")
    _photographs(tmp_path / "images_2", *files.NAMES, size=(32, 24))
    views = read_views(str(tmp_path))
    assert views.notes == (
        "cameras rescaled to their photographs: 3 (first: photos/a.png, 64 x 48 to 32 x 24)",
    )
    camera = views.cameras[0]
    assert (camera.width, camera.fx, camera.cy) == (32, 70.5 / 2, 12)
    assert read_photograph(views.photographs[camera.image], camera).shape == (24, 32, 3)
    _photographs(tmp_path / "images_2", files.NAMES[1], size=(24, 32))
    with pytest.raises(SceneError, match=r"b\.png: found 24 x 32 pixels, expected 64 x 48"):
        read_views(str(tmp_path))


def test_distorted_photographs_come_straight(tmp_path: Path) -> None:
    """As `gscodec.cameraio.undistorted` makes them."""
    _write(tmp_path / "cameras.json", write_cameras(DISTORTED[:1]))
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[np.newaxis] * 4, 48, axis=0)
    _write(tmp_path / "photos" / "a.png", _coded(ramp))
    views = read_views(str(tmp_path))
    found = read_photograph(views.photographs["photos/a.png"], views.cameras[0])
    assert found[24, 0, 0] > 0.3 * 4 / 255  # barrel: the edge shows what lies further in
    assert found[24, 31, 0] == pytest.approx(31 * 4 / 255, abs=1 / 255)


def test_missing_photographs_are_counted(tmp_path: Path) -> None:
    """Some or all: a note, and an error when somebody needs them. No names: no word."""
    _write(tmp_path / "cameras.json", write_cameras(CENTRED))
    expected = r"no photograph for 3 of 3 cameras \(first: photos/a.png\); name their folder"
    views = read_views(str(tmp_path))
    assert not views.has_photographs
    assert views.notes == (views.missing,)
    with pytest.raises(InputError, match=expected):
        views.require_photographs()
    _photographs(tmp_path, files.NAMES[0], files.NAMES[2])
    views = read_views(str(tmp_path))
    assert not views.has_photographs
    assert list(views.photographs) == [files.NAMES[0], files.NAMES[2]]
    (note,) = views.notes
    assert note.startswith("no photograph for 1 of 3 cameras (first: photos/b.png)")
    nameless = tuple(replace(c, image="") for c in CENTRED)
    _write(tmp_path / "cameras.json", write_cameras(nameless))
    assert read_views(str(tmp_path)).notes == ()


def test_sizes_need_the_photographs(tmp_path: Path) -> None:
    """NeRF-synthetic without its images."""
    _write(tmp_path / "transforms.json", files.as_json(files.synthetic(CENTRED)))
    with pytest.raises(InputError, match=r"no photograph photos/a.png to take the size"):
        read_views(str(tmp_path))


def test_one_file_is_not_two_photographs(tmp_path: Path) -> None:
    """Ends of names may meet: that is no guess to make."""
    names = ("left/1.png", "right/1.png", "2.png")
    views = tuple(replace(c, image=n) for c, n in zip(CENTRED, names, strict=True))
    path = _write(tmp_path / "cameras.json", write_cameras(views))
    _photographs(tmp_path / "flat", "1.png", "2.png")
    with pytest.raises(SceneError, match=r"1\.png: is the photograph of left/1.png and of r"):
        read_views(str(path), "flat")


def test_the_first_source_counts_and_others_are_told(tmp_path: Path) -> None:
    """COLMAP, transforms.json, transforms_train.json, cameras.json."""
    _photographs(tmp_path / "images", *files.NAMES)
    for name in ("cameras.json", "transforms_train.json", "transforms.json"):
        _write(tmp_path / name, files.as_json(files.nerfstudio(CENTRED)))
        assert read_views(str(tmp_path)).source == tmp_path / name
    _write_model(tmp_path / "sparse" / "0")
    views = read_views(str(tmp_path))
    assert views.source == tmp_path / "sparse" / "0"
    (note,) = views.notes
    assert note.endswith(
        f"not read: {tmp_path / 'transforms.json'}, {tmp_path / 'transforms_train.json'}, "
        f"{tmp_path / 'cameras.json'}"
    )


def test_nothing_to_read(tmp_path: Path) -> None:
    """Missing paths, empty folders, half a model."""
    with pytest.raises(UsageError, match="stdin"):
        read_views("-")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_views(str(tmp_path / "nothing"))
    with pytest.raises(InputError, match="found no cameras, expected a COLMAP model in sparse"):
        read_views(str(tmp_path))
    _write_model(tmp_path / "sparse" / "0")
    (tmp_path / "sparse" / "0" / "images.bin").unlink()
    with pytest.raises(InputError, match=r"sparse/0/cameras.bin without images.bin, the poses"):
        read_views(str(tmp_path))


@pytest.mark.parametrize("name", ["../" * 50 + "etc", "a" * 5000, "\ud800", "a\0b", ".", "/"])
def test_odd_names_of_photographs_are_not_found(tmp_path: Path, name: str) -> None:
    """Whatever a camera file says, no traceback."""
    path = _write(tmp_path / "cameras.json", write_cameras((replace(CENTRED[0], image=name),)))
    views = read_views(str(path))
    assert not views.photographs
    with pytest.raises(InputError, match="no photograph for 1 of 1 cameras"):
        views.require_photographs()
