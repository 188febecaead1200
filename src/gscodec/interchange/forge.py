"""gaussforge's arrays <-> `GaussianScene`; nothing is corrected here.

It takes float32: w, x, y, z of unit length, logarithms of scales, logits of
opacities, SH coefficient by coefficient with RGB innermost, so as a scene has them.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.errors import CannotCodeError, SceneError
from gscodec.sceneio import read_ply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from gscodec.scene import GaussianScene

_END = b"end_header\n"
_ARRAYS = {
    "positions": "means",
    "scales": "log_scales",
    "rotations": "quats",
    "alphas": "opacity_logits",
    "colors": "sh_dc",
    "sh": "sh_rest",
}
# Opacities of 0 and 1 in 8 bits are infinite logits; gaussforge gives infinity, or whatever it
# clamps them to, always beyond this. The logit of 254/255 is 5.5.
_BEYOND_BYTES = 6
# Renderers cap alpha at 0.99 and skip it below 1/255: with this logit they draw the same.
OPAQUE = np.float32(16)


def read_forged(data: bytes, name: str, source: str) -> GaussianScene:
    """Reads the format that gaussforge calls ``name``.

    Args:
        data: The whole file.
        name: Of the format.
        source: Name of the file, for errors.

    Raises:
        SceneError: gaussforge cannot read it, or what it gives is no scene.
        ModuleNotFoundError: gaussforge is not installed.
    """
    from gaussforge import GaussForge

    # By way of a .ply: for scenes without SH its own arrays fail with std::bad_cast.
    ply = bytes(_called(lambda: GaussForge().convert(data, name, "ply"), SceneError, source))
    header, _, body = ply.partition(_END)
    names = re.findall(rb"^property float (\w+)$", header, re.MULTILINE)
    rows = np.frombuffer(body, "<f4").reshape(-1, len(names)).copy()
    opacity = names.index(b"opacity")
    rows[:, opacity] = without_infinities(rows[:, opacity])
    return replace(
        read_ply(header + _END + rows.tobytes(), name=source).scene, has_normals=False
    )


def write_forged(scene: GaussianScene, name: str, spz_version: int = 3) -> bytes:
    """Writes the format that gaussforge calls ``name``; quaternions must be normalised.

    Raises:
        CannotCodeError: gaussforge cannot, for the reason given.
        ModuleNotFoundError: gaussforge is not installed.
    """
    from gaussforge import GaussForge

    arrays = {key: getattr(scene, field) for key, field in _ARRAYS.items()}
    given: dict[str, Any] = {
        "numPoints": len(scene),
        **{k: np.ascontiguousarray(a, "<f4").tobytes() for k, a in arrays.items()},
        "extras": {},
        "meta": {"shDegree": scene.sh_degree, "sourceFormat": "ply"},
    }
    written = _called(
        lambda: GaussForge().write(given, name, spz_version=spz_version),
        CannotCodeError,
        f".{name}",
    )
    return bytes(written)


def without_infinities(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    """Opacity logits of 8 bits, those of 0 and 1 as -16 and 16."""
    return np.where(np.abs(logits) > _BEYOND_BYTES, np.copysign(OPAQUE, logits), logits)


def _called(call: Callable[[], dict[str, Any]], failure: type[SceneError], where: str) -> Any:
    """What ``call`` gives; its C++ may throw anything, and prints."""
    try:
        with _silent_stdout():
            result = call()
    except Exception as error:
        raise failure(f"{where}: gaussforge: {error}") from error
    if not result.get("data"):
        raise failure(f"{where}: gaussforge: {result.get('error', 'no data')}")
    return result["data"]


@contextmanager
def _silent_stdout() -> Iterator[None]:
    """What C++ prints to file descriptor 1 is lost; stdout is for data."""
    if sys.stdout is not None:
        sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # closed: nothing can be printed
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
