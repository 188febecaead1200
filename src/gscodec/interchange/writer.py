"""Scene -> bytes of a foreign format, and notes on what that format loses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import CannotCodeError
from gscodec.interchange.compressed import encode_compressed_ply
from gscodec.interchange.forge import write_forged
from gscodec.interchange.formats import COMPRESSED_PLY, KSPLAT, SOG, SPZ, Format
from gscodec.interchange.ksplat import encode_ksplat
from gscodec.interchange.sog import encode_sog
from gscodec.interchange.spz import encode_spz, normalised
from gscodec.notes import Note
from gscodec.scene import sh_rest_count
from gscodec.sceneio.columns import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gscodec.scene import GaussianScene

_CERTAIN = np.float32(32)
_ENCODERS: dict[Format, Callable[[GaussianScene], bytes]] = {
    SPZ: encode_spz,
    KSPLAT: encode_ksplat,
    COMPRESSED_PLY: encode_compressed_ply,
    SOG: encode_sog,
}
# Sizes of a scene that it may be from zero: floats keep a millionth of it there.
_NEAR = 16


def write_foreign(scene: GaussianScene, wanted: Format) -> tuple[bytes, tuple[str, ...]]:
    """The bytes, and a note for each thing that was left out, clamped or rounded.

    Raises:
        CannotCodeError: There is no Gaussian, or ``wanted`` cannot hold the scene.
        ModuleNotFoundError: ``wanted.package`` is not installed.
    """
    if not len(scene):
        raise CannotCodeError(f"{wanted.suffix}: found no Gaussians; it cannot be empty")
    fitted, notes = _fitted(scene, wanted)
    encode = _ENCODERS.get(wanted)
    data = encode(fitted) if encode else write_forged(fitted, wanted.name)
    return data, (*notes, Note(f"{wanted.suffix} rounds {wanted.rounds}", "rounded"))


def _fitted(scene: GaussianScene, wanted: Format) -> tuple[GaussianScene, tuple[str, ...]]:
    """``scene`` within what ``wanted`` can hold."""
    notes: list[str] = []
    if scene.extras:
        names = [extra.name for extra in scene.extras]
        what = counted(names, "extra vertex property", "extra vertex properties")
        told = f"left out {what}; {wanted.suffix} holds none"
        notes.append(Note(told, "extras-dropped", properties=len(names)))
    if scene.sh_degree > wanted.degree:
        told = (
            f"left out SH above degree {wanted.degree}, found degree {scene.sh_degree}; "
            f"{wanted.suffix} holds no more"
        )
        notes.append(Note(told, "sh-left-out", found=scene.sh_degree, kept=wanted.degree))
    if scene.antialiased and wanted not in {SPZ, SOG}:
        told = f"left out that it is antialiased; {wanted.suffix} cannot say so"
        notes.append(Note(told, "antialiased-left-out"))
    sh = scene.sh_rest[:, : sh_rest_count(min(scene.sh_degree, wanted.degree))]
    fitted = replace(
        scene,
        means=_floats(scene, wanted, notes),
        # Infinity is not for everyone; the sigmoid of this is 0 or 1 in 8 bits.
        opacity_logits=np.clip(scene.opacity_logits, -_CERTAIN, _CERTAIN),
        log_scales=_clamped(scene.log_scales, wanted.log_scale, "scales", notes),
        quats=normalised(scene.quats),
        sh_dc=_clamped(scene.sh_dc, (-wanted.color, wanted.color), "colours", notes),
        sh_rest=_clamped(sh, wanted.sh, "SH", notes),
        extras=(),
        origin=None,
    )
    return fitted, tuple(notes)


def _floats(scene: GaussianScene, wanted: Format, notes: list[str]) -> NDArray[np.float32]:
    """Positions without an origin, and a note on it where there is one.

    Floats cannot hold the details of a scene that is far from zero: it is moved to zero then.
    """
    if scene.origin is None:
        return scene.means
    largest = np.abs(scene.means).max(initial=0, where=np.isfinite(scene.means))
    if np.abs(scene.origin).max() > _NEAR * largest:
        x, y, z = scene.origin
        told = (
            f"positions were doubles, and are relative to {x!r}, {y!r}, {z!r} now, which "
            f"{wanted.suffix} cannot say"
        )
        notes.append(Note(told, "origin-left-out"))
        return scene.means
    told = f"positions were doubles; {wanted.suffix} holds floats at most"
    notes.append(Note(told, "rounded"))
    return scene.relative_to(None).means


def _clamped(
    array: NDArray[np.float32], ends: tuple[float, float], what: str, notes: list[str]
) -> NDArray[np.float32]:
    """``array`` within ``ends``, and a note if that changes it."""
    low, high = np.float32(ends[0]), np.float32(ends[1])
    beyond = (array < low) | (array > high)
    count = np.count_nonzero(beyond.reshape(len(array), -1).any(axis=1))
    if not count:
        return array
    told = f"clamped {what} of {count} Gaussians to {low:.4g}..{high:.4g}"
    notes.append(Note(told, "clamped", gaussians=int(count)))
    return np.clip(array, low, high)
