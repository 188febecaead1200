"""SPZ version 4 by the package gaussforge, to measure against: scene <-> bytes of a .spz file.

gaussforge writes to file descriptor 1 as it reads; whoever needs stdout for data sees to that.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import CannotCodeError
from gscodec.sceneio import read_ply, write_ply

if TYPE_CHECKING:
    from gscodec.scene import GaussianScene

_VERSION = 4
_END = b"end_header\n"
# SPZ decodes its largest opacity to an infinite logit, which no scene may hold. Renderers
# cap alpha at 0.99 and skip it below 1 / 255: with this logit they draw the same.
_OPAQUE = np.float32(16)


def encode_spz(scene: GaussianScene) -> bytes:
    """Encodes with the default bits of gaussforge, which offers no others.

    Raises:
        CannotCodeError: gaussforge cannot, for the reason given.
        ModuleNotFoundError: gaussforge is not installed.
    """
    # Quaternions are normalised first: gaussforge takes them as unit length.
    lengths = np.linalg.norm(scene.quats.astype(np.float64), axis=1, keepdims=True)
    quats = (scene.quats / np.maximum(lengths, 1e-12)).astype(np.float32)
    return _convert(write_ply(replace(scene, quats=quats, extras=())), "ply", "spz")


def decode_spz(data: bytes) -> GaussianScene:
    """Inverse of `encode_spz`; infinite opacity logits become +-16.

    Raises:
        CannotCodeError: gaussforge cannot, for the reason given.
        ModuleNotFoundError: gaussforge is not installed.
        SceneError: What it gives is no scene of finite values.
    """
    ply = _convert(data, "spz", "ply")
    start = ply.index(_END) + len(_END)
    values = np.frombuffer(ply, "<f4", offset=start)
    finite = np.where(np.isinf(values), np.copysign(_OPAQUE, values), values)
    return read_ply(ply[:start] + finite.tobytes(), name="decoded SPZ").scene


def _convert(data: bytes, old: str, new: str) -> bytes:
    from gaussforge import GaussForge

    try:
        result = GaussForge().convert(data, old, new, spz_version=_VERSION)
    except Exception as error:  # its C++ may throw anything
        raise CannotCodeError(f"gaussforge: {error}") from error
    if not result.get("data"):
        raise CannotCodeError(f"gaussforge: {result.get('error', 'no data')}")
    return bytes(result["data"])
