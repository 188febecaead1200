"""Camera files of every dialect -> the same cameras; damaged ones -> one line."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import camera_files as files
from gscodec.camera import Camera
from gscodec.cameraio import (
    MAX_CAMERAS,
    Straightened,
    read_cameras,
    read_colmap_binary,
    read_colmap_text,
    rescaled,
    undistorted,
    write_cameras,
)
from gscodec.errors import GscodecError, SceneError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CENTRED, DISTORTED = files.cameras(), files.cameras(distorted=True)
MODELS = ("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV")


def _size_of(image: str) -> tuple[int, int]:
    assert image in files.NAMES
    return 64, 48


def _read(document: object) -> tuple[Camera, ...]:
    return read_cameras(files.as_json(document), name="file", size_of=_size_of)


# --- Every dialect ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write", [files.plain, files.inria, files.synthetic, files.nerfstudio, files.per_frame]
)
def test_every_json_dialect_gives_the_same_cameras(write: Callable[..., object]) -> None:
    """Three views written in each dialect come back to 1e-6."""
    files.assert_same(_read(write(CENTRED)), CENTRED)


@pytest.mark.parametrize("write", [files.plain, files.nerfstudio, files.per_frame])
def test_distortion_and_principal_points_are_read(write: Callable[..., object]) -> None:
    """Where the dialect has them."""
    files.assert_same(_read(write(DISTORTED)), DISTORTED)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("write", "read"),
    [
        (files.colmap_binary, read_colmap_binary),
        (files.colmap_text, read_colmap_text),
    ],
)
def test_every_colmap_model_gives_the_same_cameras(
    write: Callable[..., tuple[bytes, bytes]],
    read: Callable[..., tuple[Camera, ...]],
    model: str,
) -> None:
    """Of the distortion, what the model can hold; sorted by name whatever the file's order."""
    kept = {"SIMPLE_RADIAL": 1, "RADIAL": 2, "OPENCV": 4}.get(model, 0)
    k1, k2, p1, p2 = (k if i < kept else 0.0 for i, k in enumerate(files.DISTORTION))
    views = tuple(replace(c, distortion=(k1, k2, p1, p2)) for c in CENTRED)
    files.assert_same(read(*write(views, model)), views)


def test_plain_list_comes_back_exactly() -> None:
    """Every bit of every number, distortion and names included."""
    for views in (CENTRED, DISTORTED, (replace(CENTRED[0], image=""),)):
        back = read_cameras(write_cameras(views))
        for a, b in zip(back, views, strict=True):
            assert a.world_to_camera.tobytes() == b.world_to_camera.tobytes()
            same = replace(a, world_to_camera=b.world_to_camera)
            assert same == b


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_other_encodings_of_text_are_no_problem(encoding: str) -> None:
    """Editors write a byte order mark, and shells on Windows UTF-16."""
    data = write_cameras(CENTRED).decode().encode(encoding)
    assert len(read_cameras(data)) == 3
    if not encoding.endswith(("be", "32")):  # without a mark it could be anything
        texts = [text.decode().encode(encoding) for text in files.colmap_text(CENTRED)]
        files.assert_same(read_colmap_text(texts[0], texts[1]), CENTRED)


def test_windows_writes_names_with_backslashes() -> None:
    """They separate folders, whichever file has them."""
    back = tuple(replace(c, image=c.image.replace("/", "\\")) for c in CENTRED)
    for write in (files.plain, files.inria, files.synthetic, files.nerfstudio):
        files.assert_same(_read(write(back)), CENTRED)
    files.assert_same(read_colmap_binary(*files.colmap_binary(back)), CENTRED)
    files.assert_same(read_colmap_text(*files.colmap_text(back)), CENTRED)


@pytest.mark.parametrize("other", ["rig/0001.png", "./rig/0001.png", "rig\\0001.png"])
def test_two_cameras_do_not_share_a_photograph(other: str) -> None:
    """Refused by every reader; names that differ in a folder only are two names."""
    names = ("rig/0001.png", "b", other)
    views = tuple(replace(c, image=n) for c, n in zip(CENTRED, names, strict=True))
    distinct = (*views[:2], replace(views[2], image="rig1/0001.png"))
    for write in (files.plain, files.inria, files.nerfstudio):
        with pytest.raises(SceneError, match=r"file: camera 2: name .*0001.png' found twice"):
            _read(write(views))
        assert len(_read(write(distinct))) == 3
    for write_model, read in (
        (files.colmap_binary, read_colmap_binary),
        (files.colmap_text, read_colmap_text),
    ):
        with pytest.raises(SceneError, match=r"images\..*0001.png' found twice"):
            read(*write_model(views))
        assert len(read(*write_model(distinct))) == 3
    nameless = tuple(replace(c, image="") for c in CENTRED)
    assert len(_read(files.plain(nameless))) == 3


def _askew(amount: float) -> dict[str, Any]:
    """Plain, INRIA's and nerfstudio's files whose second matrix scales by 1 + ``amount``."""
    documents: dict[str, Any] = {
        "plain": files.plain(CENTRED),
        "inria": files.inria(CENTRED),
        "nerfstudio": files.nerfstudio(CENTRED),
    }
    stretch = np.diag([1 + amount, 1.0, 1.0])  # one axis only: shear included once it is turned
    entry = documents["plain"][1]
    matrix = np.array(entry["world_to_camera"])
    matrix[:3] = stretch @ matrix[:3]  # as a camera that stands where it stood
    entry["world_to_camera"] = matrix.tolist()
    for entry, key in (
        (documents["inria"][1], "rotation"),
        (documents["nerfstudio"]["frames"][1], "transform_matrix"),
    ):
        matrix = np.array(entry[key])
        matrix[:3, :3] = matrix[:3, :3] @ stretch
        entry[key] = matrix.tolist()
    return documents


@pytest.mark.parametrize("dialect", ["plain", "inria", "nerfstudio"])
def test_matrices_that_are_nearly_rotations_are_made_into_ones(dialect: str) -> None:
    """Off by up to a hundredth, with a note; the camera stays where it stands."""
    for amount in (0.01, 0.0017, -0.01):
        mended = Straightened()
        data = files.as_json(_askew(amount)[dialect])
        found = read_cameras(data, name="file", straightened=mended)
        files.assert_same(found, CENTRED)
        (note,) = mended.notes()
        assert note.startswith(
            "camera matrices made rotations: 1, they scaled or sheared by up"
        )
        assert f"to {abs(100 * amount):.2g} % (first: file: " in note
    with pytest.raises(SceneError, match=r"is no rotation, it scales or shears by 1\.1 %"):
        _read(_askew(0.011)[dialect])


def test_cameras_have_a_most_of_pixels() -> None:
    """300 bytes of JSON must not ask for gigabytes."""
    with pytest.raises(
        SceneError, match=r"camera 0: found 16384 x 16384 pixels, expected at m"
    ):
        _read([PLAIN[0] | {"width": 16384, "height": 16384}])
    assert _read([PLAIN[0] | {"width": 9504, "height": 6336}])  # a drone's 60 megapixels


def test_axes_of_a_published_pose() -> None:
    """Frame r_0 of NeRF-synthetic lego: 4 units away, looking at the origin, z upward."""
    matrix = [
        [-0.9999021887779236, 0.004192245192825794, -0.013345719315111637, -0.053798321634],
        [-0.013988681137561798, -0.2996590733528137, 0.95394366979599, 3.845470428466797],
        [-4.656612873077393e-10, 0.9540371894836426, 0.29968830943107605, 1.2080823183059692],
        [0.0, 0.0, 0.0, 1.0],
    ]
    frame = {"file_path": "./train/r_0", "transform_matrix": matrix}
    data = files.as_json({"camera_angle_x": 0.6911112070083618, "frames": [frame]})
    (camera,) = read_cameras(data, size_of=lambda _: (800, 800))
    assert camera.fx == camera.fy == pytest.approx(1111.111, abs=1e-3)
    np.testing.assert_allclose(camera.centre, np.array(matrix)[:3, 3], atol=1e-6)
    origin = camera.world_to_camera @ [0, 0, 0, 1]
    np.testing.assert_allclose(origin[:3], [0, 0, 4.0311], atol=1e-3)
    above = camera.world_to_camera @ [0, 0, 1, 1]
    assert above[1] < -0.9  # y is down
    assert abs(above[0]) < 0.01


def test_angles_give_focal_lengths() -> None:
    """Each for its own axis; fl_x goes before camera_angle_x."""
    document = files.synthetic(CENTRED) | {"camera_angle_y": np.pi / 2}
    assert _read(document)[0].fy == pytest.approx(24)
    assert _read(document)[0].fx == pytest.approx(70.5)
    assert _read(document | {"fl_x": 12.5})[0].fx == 12.5


# --- What is refused -------------------------------------------------------------------------


def _changed(document: Any, path: tuple[Any, ...], value: object) -> Any:
    copy = json.loads(json.dumps(document))
    at = copy
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return copy


PLAIN, INRIA = files.plain(CENTRED), files.inria(CENTRED)
NERF, STUDIO = files.synthetic(CENTRED), files.nerfstudio(CENTRED)
MIRROR = np.diag([1.0, 1.0, -1.0, 1.0]).tolist()
REFUSED = [
    ({}, "an object with nothing, expected a list of cameras"),
    ([], "found 0 cameras, expected 1 to 100000"),
    (7, "found 7, expected a list of cameras"),
    ([7], "camera 0: found 7, expected an object"),
    ([{"a": 1}], "camera 0: found an object with 'a', expected a list of cameras"),
    ([{}] * (MAX_CAMERAS + 1), "found 100001 cameras"),
    ({"frames": {}}, "frames: found an object, expected a list"),
    ({"frames": [[]]}, "frame 0: found a list of 0, expected an object"),
    (_changed(PLAIN, (1, "width"), 64.5), "camera 1: width: found 64.5, expected a whole"),
    (_changed(PLAIN, (1, "width"), 0), "camera 1: found 0 x 48 pixels"),
    (_changed(PLAIN, (2, "fx"), "70"), "camera 2: fx: found '70', expected a finite number"),
    (_changed(PLAIN, (2, "fx"), True), "camera 2: fx: found True, expected a finite number"),
    (_changed(PLAIN, (2, "fx"), 10**400), "camera 2: fx: found 1000"),
    (_changed(PLAIN, (2, "fx"), -1), "camera 2: found focal lengths"),
    (_changed(PLAIN, (2, "image"), 3), "camera 2: image: found 3, expected a text"),
    (_changed(PLAIN, (0, "distortion"), [1]), "distortion: found a list of 1, expected"),
    (_changed(PLAIN, (1, "world_to_camera"), MIRROR), "camera 1: world_to_camera: is no rot"),
    (_changed(PLAIN, (1, "world_to_camera", 0, 0), 1e300), "world_to_camera: is no rotation"),
    (_changed(PLAIN, (1, "world_to_camera", 3, 3), 2), "the last row is not 0 0 0 1"),
    (_changed(PLAIN, (1, "world_to_camera", 3), [0, 0, 1]), "expected 4 rows of 4"),
    (_changed(INRIA, (2, "rotation", 1, 1), 3), "camera 2: rotation: is no rotation"),
    (_changed(INRIA, (2, "position"), None), "camera 2: position: found nothing, expected"),
    (_changed(NERF, ("camera_angle_x",), 4), "frame 0: camera_angle_x: found 4, expected"),
    (_changed(NERF, ("frames", 2, "transform_matrix"), [1]), "frame 2: transform_matrix: foun"),
    (_changed(NERF, ("frames", 1, "file_path"), None), "frame 1: file_path: found nothing"),
    (_changed(NERF, ("w",), 64), "frame 0: h: found nothing"),
    ({"frames": NERF["frames"]}, "frame 0: no fl_x and no camera_angle_x"),
]


@pytest.mark.parametrize(("document", "message"), REFUSED, ids=[m for _, m in REFUSED])
def test_bad_json_is_refused_by_place(document: object, message: str) -> None:
    """One line with the camera or frame, what was found and what was expected."""
    with pytest.raises(SceneError) as refused:
        _read(document)
    assert str(refused.value).startswith("file: ")
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[" + b"9" * 5000 + b"]", "not JSON"),
        (write_cameras(CENTRED).replace(b"70.5", b"NaN"), "found NaN, expected a finite"),
        (write_cameras(CENTRED).replace(b"70.5", b"1e999"), "camera 0: fx: found inf"),
        (b'[{"width": 1, "width": 2}]', "key 'width' found twice"),
    ],
)
def test_what_is_no_json_is_refused(data: bytes, message: str) -> None:
    """NaN and keys given twice included."""
    with pytest.raises(SceneError, match=message):
        read_cameras(data)


def test_size_must_come_from_somewhere() -> None:
    """NeRF-synthetic files do not have it."""
    with pytest.raises(SceneError, match=r"frame 0: no w and h, and no photograph"):
        read_cameras(files.as_json(NERF))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"camera_model": "OPENCV_FISHEYE"}, "frame 0: camera model 'OPENCV_FISHEYE'"),
        ({"camera_model": "EQUIRECTANGULAR"}, "frame 0: camera model 'EQUIRECTANGULAR'"),
        ({"is_fisheye": True}, "frame 0: camera model 'FISHEYE'"),
        ({"k3": 0.1}, "frame 0: k3: found 0.1, expected 0"),
    ],
)
def test_other_lenses_are_unsupported_by_name(change: dict[str, Any], message: str) -> None:
    """A fisheye photograph is never taken for a pinhole's."""
    with pytest.raises(UnsupportedError, match=message):
        _read(STUDIO | change)
    assert _read(STUDIO | {"k3": 0.0, "is_fisheye": False})


# --- COLMAP, damaged -------------------------------------------------------------------------

LENSES, IMAGES = files.colmap_binary(CENTRED, "PINHOLE")
TEXT_LENSES, TEXT_IMAGES = files.colmap_text(CENTRED, "PINHOLE")


def test_every_truncation_of_a_binary_model_is_refused() -> None:
    """No prefix of either file is read, nor a byte more than all of it."""
    for end in range(len(LENSES)):
        with pytest.raises(SceneError, match=r"cameras.bin.*truncated"):
            read_colmap_binary(LENSES[:end], IMAGES)
    for end in range(len(IMAGES)):
        with pytest.raises(SceneError, match=r"images.bin.*truncated"):
            read_colmap_binary(LENSES, IMAGES[:end])
    with pytest.raises(SceneError, match=r"cameras.bin: 1 bytes after the last"):
        read_colmap_binary(LENSES + b"\0", IMAGES)
    with pytest.raises(SceneError, match=r"images.bin: 1 bytes after the last"):
        read_colmap_binary(LENSES, IMAGES + b"\0")


@pytest.mark.parametrize("count", [9, MAX_CAMERAS + 1, 2**32, 2**64 - 1])
def test_counts_are_held_against_the_bytes(count: int) -> None:
    """Before anything is made of them, the number of 2D points included."""
    inflated = struct.pack("<Q", count)
    for lenses, images in [(inflated + LENSES[8:], IMAGES), (LENSES, inflated + IMAGES[8:])]:
        with pytest.raises(SceneError, match=rf"bytes for {count} records of at least"):
            read_colmap_binary(lenses, images)
    points = 8 + 64 + len(files.NAMES[2]) + 1
    assert IMAGES[points : points + 8] == struct.pack("<Q", 2)
    with pytest.raises(SceneError, match=r"truncated"):
        read_colmap_binary(LENSES, IMAGES[:points] + inflated + IMAGES[points + 8 :])


@pytest.mark.parametrize(
    ("number", "name"), [(5, "OPENCV_FISHEYE"), (6, "FULL_OPENCV"), (7, "FOV"), (77, "77")]
)
def test_other_binary_lenses_are_unsupported_by_name(number: int, name: str) -> None:
    """Their numbers are COLMAP's."""
    lenses = LENSES[:12] + struct.pack("<i", number) + LENSES[16:]
    with pytest.raises(UnsupportedError, match=f"camera 9: camera model '{name}'"):
        read_colmap_binary(lenses, IMAGES)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"1 PINHOLE", b"0 PINHOLE", "camera 0 found twice"),
        (b"1 PINHOLE", b"5 PINHOLE", "images.txt: line 4: there is no camera 1"),
        (b"1 PINHOLE 64", b"1 PINHOLE sixty", "line 5: found 'sixty', expected a whole"),
        (b"1 PINHOLE 64", b"1 PINHOLE", "found 3 parameters, expected 4 for PINHOLE"),
        (b"1 PINHOLE 64 48", b"1 PINHOLE 64 -8", "line 4, camera 1: found 64 x -8 pixels"),
        (b"1 PINHOLE 64 48 70.5", b"1 PINHOLE 64 48 nan", "camera 1: found focal lengths"),
        (b"photos/b", b"photos/a", "line 4: name 'photos/a.png' found twice"),
        (b"1 photos/b.png", b"photos/b.png", "line 4: found 9 words, expected 10"),
        (b"1 photos/b.png", b"x photos/b.png", "line 4: found 'x', expected a whole"),
        (b" 12\n", b"\n", "line 5: expected the points"),
        (b" -1.0 0.0 1 photos/b", b" inf 0.0 1 photos/b", "must be 4 x 4 finite numbers"),
    ],
)
def test_bad_text_is_refused_by_line(old: bytes, new: bytes, message: str) -> None:
    """One line with the place."""
    changed = [data.replace(old, new, 1) for data in (TEXT_LENSES, TEXT_IMAGES)]
    assert changed != [TEXT_LENSES, TEXT_IMAGES]
    with pytest.raises(SceneError) as refused:
        read_colmap_text(*changed)
    assert message in str(refused.value)


def test_quaternions_are_hamiltons() -> None:
    """A quarter turn around z takes x to y, as COLMAP's documentation says (Eigen)."""
    half = np.sqrt(0.5)
    line = f"1 {half} 0 0 {half} 1 2 3 0 a.png\n\n".encode()
    (camera,) = read_colmap_text(TEXT_LENSES, line)
    np.testing.assert_allclose(camera.world_to_camera @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-9)


def test_models_without_views_and_bad_quaternions_are_refused() -> None:
    """An empty reconstruction is no data set."""
    with pytest.raises(SceneError, match="found 3 lenses but no image with a pose"):
        read_colmap_text(TEXT_LENSES, b"# nothing\n")
    with pytest.raises(SceneError, match="line 1: the quaternion is no rotation"):
        read_colmap_text(TEXT_LENSES, b"1 0 0 0 0 1 2 3 0 a.png\n\n")


def test_images_without_lines_of_points_are_not_half_read() -> None:
    """Else every second view would be taken for points, and be lost."""
    lines = [line for line in TEXT_IMAGES.split(b"\n") if line.endswith(b"png")]
    with pytest.raises(SceneError, match=r"line 2: expected the points of the image before"):
        read_colmap_text(TEXT_LENSES, b"\n".join(lines))


def test_names_may_have_blanks() -> None:
    """As COLMAP allows."""
    views = (replace(CENTRED[0], image="my photo.png"), *CENTRED[1:])
    (first, *_) = read_colmap_text(*files.colmap_text(views))
    assert first.image == "my photo.png"


# --- Anything at all -------------------------------------------------------------------------


def _harmless(read: Callable[[], tuple[Camera, ...]]) -> None:
    try:
        cameras = read()
    except GscodecError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert cameras


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """A valid file in which one value somewhere is another."""
    document = json.loads(json.dumps(draw(st.sampled_from([PLAIN, INRIA, NERF, STUDIO]))))
    at: Any = document
    key: Any = None
    while isinstance(at, dict | list) and at and (key is None or draw(st.booleans())):
        parent = at
        key = draw(st.sampled_from(list(at) if isinstance(at, dict) else range(len(at))))
        at = at[key]
    parent[key] = draw(JSON_VALUES)
    return files.as_json(document)


@given(_mutated() | st.binary(max_size=40))
def test_any_json_gives_cameras_or_one_line(data: bytes) -> None:
    """Wrong types and sizes anywhere, NaN, infinities, lone surrogates."""
    _harmless(lambda: read_cameras(data, size_of=lambda _: (64, 48)))


@given(st.integers(0, 1), st.data())
def test_any_model_gives_cameras_or_one_line(which: int, data: st.DataObject) -> None:
    """Eight bytes anywhere in a file become others, or a stretch of text does."""
    for model, read in [
        ([LENSES, IMAGES], read_colmap_binary),
        ([TEXT_LENSES, TEXT_IMAGES], read_colmap_text),
    ]:
        changed = list(model)
        at = data.draw(st.integers(0, len(changed[which])))
        new = data.draw(st.binary(max_size=8) | st.sampled_from([b"9" * 400, b"nan ", b"\n"]))
        changed[which] = changed[which][:at] + new + changed[which][at + len(new) :]
        _harmless(lambda c=changed, r=read: r(*c))  # type: ignore[misc]


# --- Lenses ----------------------------------------------------------------------------------


def _pattern(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float32]:
    """A smooth grid on the plane at distance 1, (..., 3)."""
    waves = [np.sin(9 * x) * np.cos(7 * y), np.sin(5 * (x + y)), x]
    return (0.5 + 0.4 * np.stack(waves, axis=-1)).astype(np.float32)


def _plane(camera: Camera) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    v, u = np.mgrid[: camera.height, : camera.width] + 0.5
    return (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy


def _without_distortion(
    camera: Camera, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inverse of OpenCV's formula, by fixed point iteration."""
    k1, k2, p1, p2 = camera.distortion
    a, b = x, y
    for _ in range(50):
        r2 = a**2 + b**2
        a, b = (
            (x - 2 * p1 * a * b - p2 * (r2 + 2 * a**2)) / (1 + k1 * r2 + k2 * r2**2),
            (y - p1 * (r2 + 2 * b**2) - 2 * p2 * a * b) / (1 + k1 * r2 + k2 * r2**2),
        )
    return a, b


@pytest.mark.parametrize("distortion", [files.DISTORTION, (0.05, 0.0, 0.0, 0.01)])
def test_distorted_photographs_are_straightened(
    distortion: tuple[float, float, float, float],
) -> None:
    """A pattern seen through a lens becomes the pattern, wherever the photograph shows it."""
    camera = Camera(
        160, 120, 150.0, 148.0, 83.0, 58.0, np.eye(4), distortion=distortion, image="x"
    )
    photograph = _pattern(*_without_distortion(camera, *_plane(camera)))
    expected = _pattern(*_plane(camera))
    assert np.abs(photograph - expected)[3:-3, 3:-3].max() > 0.03
    found = undistorted(photograph, camera)
    assert found.dtype == np.float32
    inner = slice(8, -8)  # the corners of a pincushion are not in the photograph
    np.testing.assert_allclose(found[inner, inner], expected[inner, inner], atol=2e-3)


def test_scaled_cameras_see_the_same() -> None:
    """Points of the scene stay at the same part of the image, with rounding of a pixel."""
    camera = replace(DISTORTED[0], width=4946, height=3286)
    small = rescaled(camera, 1237, 822)
    assert (small.width, small.height) == (1237, 822)
    assert small.distortion == camera.distortion
    assert small.cx / 1237 == pytest.approx(camera.cx / 4946)
    assert small.fy / 822 == pytest.approx(camera.fy / 3286)
    for size in [(3286, 4946), (1237, 824), (1237, 819), (4946, 3283)]:
        with pytest.raises(SceneError, match=r"expected 4946 x 3286 or the same shape"):
            rescaled(camera, *size)
