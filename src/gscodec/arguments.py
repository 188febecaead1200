"""What a caller gave to `gscodec.encode` and its like: options with their types, errors in words.

Rule to remember: whoever passes a path, a tensor or a text where a scene, bytes or a number
belongs is told so, and what to call instead, before any work is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import IOBase
from numbers import Integral, Real
from os import PathLike
from types import NoneType, UnionType
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints

import numpy as np

from gscodec.anchors import AnchorScene, Scene
from gscodec.camera import Camera, TargetViews
from gscodec.errors import UsageError
from gscodec.scene import GaussianScene
from gscodec.words import described


class EncodeOptions(TypedDict, total=False):
    """Options of all methods: fields of their ``Options`` and ``Given``, which say more.

    And ``quality``, a ``lam`` by name.
    """

    lam: float
    quality: Literal["low", "medium", "high", "best"]
    effort: Literal["instant", "fast", "high"]
    iterations: int | None
    time_limit: float | None
    target_bytes: int | None
    target_psnr: float | None
    position_bits: int | None
    merge_voxels: bool
    keep_all: bool
    seed: int
    device: Literal["auto", "cpu", "cuda"]
    threads: int | None
    training: int
    round_length: int
    block_size: int
    raw_below: int
    embed_prior: bool
    views: TargetViews | Sequence[Camera] | None
    resume: bytes | None
    checkpoint: Callable[[bytes], None] | None
    start: object


_CAMERAS = "; gscodec.load_cameras reads them from a file"
_WORDS = {
    float: "a number",
    int: "a whole number",
    bool: "True or False",
    bytes: "bytes",
    str: "a text",
    NoneType: "None",
    TargetViews: "TargetViews",
}


def checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """``options`` as methods take them: cameras as `TargetViews`, numbers as Python's.

    Those unknown to `EncodeOptions` are left as they are.

    Raises:
        UsageError: One is of another type; with what was found and what was expected.
    """
    hints = get_type_hints(EncodeOptions)
    for name, value in options.items():
        if name in hints and not _fits(value, hints[name]):
            advice = _CAMERAS if name == "views" else ""
            raise UsageError(
                f"option {name}: found {described(value)}, expected {_expected(hints[name])}{advice}"
            )
    plain = {n: v.item() if isinstance(v, np.generic) else v for n, v in options.items()}
    views = plain.get("views")
    if views is None or isinstance(views, TargetViews):
        return plain
    return {**plain, "views": TargetViews(tuple(views))}


def _fits(value: object, hint: Any) -> bool:
    if hint is float:
        return isinstance(value, Real) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    origin = get_origin(hint)
    if origin is UnionType:
        return any(_fits(value, part) for part in get_args(hint))
    if origin is Literal:
        return isinstance(value, str)  # which ones there are, the method says
    if origin is Callable:
        return callable(value)
    if origin is Sequence:
        return isinstance(value, (list, tuple)) and all(isinstance(v, Camera) for v in value)
    return isinstance(value, hint)


def _expected(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is UnionType:
        return " or ".join(map(_expected, get_args(hint)))
    if origin is Literal:
        return "a text"
    if origin is Callable:
        return "a function"
    if origin is Sequence:
        return "a list of Cameras"
    return _WORDS[hint]


def scene_given(value: object, name: str = "scene") -> Scene:
    """``value``, which is to be a scene.

    Raises:
        UsageError: It is something else; with what makes a scene of it.
    """
    if isinstance(value, (GaussianScene, AnchorScene)):
        return value
    advice = "make one of numpy arrays"
    if isinstance(value, (str, PathLike)):
        advice = "read it with gscodec.load"
    elif isinstance(value, (bytes, bytearray, memoryview)):
        advice = "make one with gscodec.decode or gscodec.read_ply"
    elif hasattr(value, "keys"):
        advice = "make one with gscodec.from_gsplat"
    elif hasattr(value, "scene"):
        advice = "pass its field scene"
    raise UsageError(
        f"{name}: found {described(value)}, expected a GaussianScene or an AnchorScene; {advice}"
    )


def bytes_given(value: object) -> bytes:
    """``value``, which is to be the bytes of a file.

    Raises:
        UsageError: It is something else; with what to do.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    advice = ""
    if isinstance(value, (str, PathLike)):
        advice = "; read a file with gscodec.load, or pass Path(...).read_bytes()"
    elif isinstance(value, IOBase):
        advice = "; pass what its read() gives"
    elif isinstance(value, np.ndarray):
        advice = "; pass what its tobytes() gives"
    raise UsageError(f"data: found {described(value)}, expected bytes{advice}")


def gaussians_given(value: object) -> GaussianScene:
    """``value``, which is to be a scene of Gaussians.

    Raises:
        UsageError: It is something else; with what makes a scene of it.
    """
    scene = scene_given(value)
    if isinstance(scene, GaussianScene):
        return scene
    raise UsageError(
        "scene: found anchors, expected a GaussianScene; gscodec.save writes a checkpoint"
    )


def camera_given(value: object) -> Camera:
    """``value``, which is to be a camera.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(value, Camera):
        return value
    raise UsageError(f"camera: found {described(value)}, expected a gscodec.Camera{_CAMERAS}")


def cameras_given(value: object) -> tuple[Camera, ...]:
    """``value``, which is to be cameras, at least one.

    Raises:
        UsageError: It is something else.
    """
    if isinstance(value, TargetViews):
        return value.cameras
    if isinstance(value, (list, tuple)) and value:
        return tuple(map(camera_given, value))
    empty = isinstance(value, (list, tuple))
    found = f"an empty {type(value).__name__}" if empty else described(value)
    raise UsageError(f"cameras: found {found}, expected a list of Cameras{_CAMERAS}")
