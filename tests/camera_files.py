"""Writers of every kind of camera file, from the cameras that reading must give back.

Written from the formats' own descriptions; nothing here is shared with the readers.
"""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.camera import Camera

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = ("photos/a.png", "photos/b.png", "photos/c.png")
DISTORTION = (-0.08, 0.02, 0.003, -0.002)


def quaternion_to_rotation(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """By Rodrigues' formula: turn by an angle around an axis."""
    w, axis = q[0], q[1:]
    cross = np.cross(np.eye(3), axis)  # times v: axis x v
    result: NDArray[np.float64] = np.eye(3) + 2 * w * cross + 2 * cross @ cross
    return result


def quaternions(seed: int = 0) -> NDArray[np.float64]:
    """Three of length 1, (3, 4)."""
    q = np.random.default_rng(seed).normal(size=(3, 4))
    result: NDArray[np.float64] = q / np.linalg.norm(q, axis=1, keepdims=True)
    return result


def cameras(*, distorted: bool = False) -> tuple[Camera, ...]:
    """Three views; centred with one focal length, so that every dialect can hold them."""
    views = []
    for name, q, t in zip(NAMES, quaternions(), np.eye(3) * [2.5, -1, 40], strict=True):
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = quaternion_to_rotation(q), t
        views.append(Camera(64, 48, 70.5, 70.5, 32.0, 24.0, matrix, image=name))
    if not distorted:
        return tuple(views)
    return tuple(replace(v, fy=71.25, cx=31.5, cy=25.25, distortion=DISTORTION) for v in views)


def assert_same(found: tuple[Camera, ...], expected: tuple[Camera, ...]) -> None:
    """Every field, numbers to 1e-6."""
    assert [c.image for c in found] == [c.image for c in expected]
    for a, b in zip(found, expected, strict=True):
        assert (a.width, a.height) == (b.width, b.height)
        for values in zip(_numbers(a), _numbers(b), strict=True):
            np.testing.assert_allclose(*values, rtol=0, atol=1e-6)


def _numbers(c: Camera) -> tuple[Any, ...]:
    return (c.fx, c.fy, c.cx, c.cy, c.distortion, c.world_to_camera)


# --- JSON ------------------------------------------------------------------------------------


def plain(views: tuple[Camera, ...]) -> list[dict[str, Any]]:
    """The list under the names of the fields."""
    keys = ("width", "height", "fx", "fy", "cx", "cy", "image", "distortion")
    return [
        {**{k: getattr(c, k) for k in keys}, "world_to_camera": c.world_to_camera.tolist()}
        for c in views
    ]


def inria(views: tuple[Camera, ...]) -> list[dict[str, Any]]:
    """What INRIA's training writes."""
    entries = []
    for index, c in enumerate(views):
        pose = np.linalg.inv(c.world_to_camera)
        entries.append(
            {
                "id": index,
                "img_name": c.image,
                "width": c.width,
                "height": c.height,
                "position": pose[:3, 3].tolist(),
                "rotation": pose[:3, :3].tolist(),
                "fy": c.fy,
                "fx": c.fx,
            }
        )
    return entries


def _opengl(c: Camera) -> list[list[float]]:
    """Camera to world, x right, y up, z backward."""
    matrix: list[list[float]] = (
        np.linalg.inv(c.world_to_camera) @ np.diag([1, -1, -1, 1])
    ).tolist()
    return matrix


def synthetic(views: tuple[Camera, ...]) -> dict[str, Any]:
    """NeRF-synthetic: an angle of view, and nothing about pixels."""
    frames = [{"file_path": c.image, "transform_matrix": _opengl(c)} for c in views]
    c = views[0]
    return {"camera_angle_x": 2 * np.arctan2(c.width / 2, c.fx), "frames": frames}


def _intrinsics(c: Camera) -> dict[str, float]:
    lens = dict(zip(("k1", "k2", "p1", "p2"), c.distortion, strict=True))
    size = {"w": float(c.width), "h": float(c.height)}  # instant-ngp writes them with a point
    return {"fl_x": c.fx, "fl_y": c.fy, "cx": c.cx, "cy": c.cy, **size, **lens}


def nerfstudio(views: tuple[Camera, ...]) -> dict[str, Any]:
    """One lens for all frames."""
    same = _intrinsics(views[0]) | {"camera_model": "OPENCV"}
    return same | {"frames": synthetic(views)["frames"]}


def per_frame(views: tuple[Camera, ...]) -> dict[str, Any]:
    """Every frame has its lens; what the file says for all is wrong."""
    frames = synthetic(views)["frames"]
    lenses = [_intrinsics(c) for c in views]
    return {"fl_x": 1.0, "k1": 9.0} | {
        "frames": [f | lens for f, lens in zip(frames, lenses, strict=True)]
    }


def as_json(document: object) -> bytes:
    return json.dumps(document).encode()


# --- COLMAP ----------------------------------------------------------------------------------

_NUMBERS = {"SIMPLE_PINHOLE": 0, "PINHOLE": 1, "SIMPLE_RADIAL": 2, "RADIAL": 3, "OPENCV": 4}


def lens_parameters(model: str, c: Camera) -> list[float]:
    """The parameters of ``c`` in the order of a COLMAP model."""
    short = [c.fx, c.cx, c.cy]
    k1, k2, p1, p2 = c.distortion
    return {
        "SIMPLE_PINHOLE": short,
        "PINHOLE": [c.fx, c.fy, c.cx, c.cy],
        "SIMPLE_RADIAL": [*short, k1],
        "RADIAL": [*short, k1, k2],
        "OPENCV": [c.fx, c.fy, c.cx, c.cy, k1, k2, p1, p2],
    }[model]


def colmap_binary(views: tuple[Camera, ...], model: str = "OPENCV") -> tuple[bytes, bytes]:
    """cameras.bin and images.bin; images in reverse, some with 2D points."""
    lenses = struct.pack("<Q", len(views))
    images = struct.pack("<Q", len(views))
    for index, (c, q) in reversed(list(enumerate(zip(views, quaternions(), strict=True)))):
        values = lens_parameters(model, c)
        lenses += struct.pack("<iiQQ", 7 + index, _NUMBERS[model], c.width, c.height)
        lenses += struct.pack(f"<{len(values)}d", *values)
        images += struct.pack("<i7d", index, *q, *c.world_to_camera[:3, 3])
        images += struct.pack("<i", 7 + index) + c.image.encode() + b"\0"
        images += struct.pack("<Q", index) + struct.pack("<ddq", 1.5, 2.5, -1) * index
    return lenses, images


def colmap_text(views: tuple[Camera, ...], model: str = "OPENCV") -> tuple[bytes, bytes]:
    """cameras.txt and images.txt, with comments, empty lines and 2D points."""
    lenses = ["# Camera list", "#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]", ""]
    images = ["# Image list"]
    for index, (c, q) in enumerate(zip(views, quaternions(), strict=True)):
        words = [index, model, c.width, c.height, *lens_parameters(model, c)]
        lenses.append(" ".join(map(str, words)))
        pose = [*q.tolist(), *c.world_to_camera[:3, 3].tolist()]
        images.append(" ".join(map(str, [index, *pose, index, c.image])))
        images.append("1.5 2.5 -1 3.5 4.5 12" if index else "")
    return "\n".join(lenses).encode(), "\n".join(images).encode()
