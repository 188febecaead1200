"""Bytes of a foreign format -> scene, notes and conventions, as `gscodec.sceneio` gives them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gscodec.interchange.compressed import decode_compressed_ply
from gscodec.interchange.forge import read_forged
from gscodec.interchange.formats import COMPRESSED_PLY, KSPLAT, SOG, SPZ, Format
from gscodec.interchange.ksplat import decode_ksplat
from gscodec.interchange.sog import decode_sog
from gscodec.interchange.spz import decode_spz
from gscodec.notes import Note
from gscodec.sceneio import ReadResult, read_ply, write_ply

if TYPE_CHECKING:
    from collections.abc import Callable

    from gscodec.scene import GaussianScene

_DECODERS: dict[Format, Callable[[bytes, str], GaussianScene]] = {
    SPZ: decode_spz,
    KSPLAT: decode_ksplat,
    COMPRESSED_PLY: decode_compressed_ply,
    SOG: decode_sog,
}
_TURNED = Note(
    "turned from the axes of SPZ (right, up, back) to those of a .ply (right, down, front)",
    "turned",
)


def read_foreign(
    data: bytes, wanted: Format, *, drop_invalid: bool = False, name: str = "<bytes>"
) -> ReadResult:
    """Reads a scene of the format ``wanted``.

    Args:
        data: The whole file.
        wanted: Its format.
        drop_invalid: As of `read_ply`.
        name: The file's name, for errors.

    Raises:
        SceneError: It is damaged, or holds values that a .ply may not hold either.
        ModuleNotFoundError: ``wanted.package`` is not installed.
    """
    decode = _DECODERS.get(wanted)
    scene = decode(data, name) if decode else read_forged(data, wanted.name, name)
    return as_read(
        scene,
        {"format": wanted.name},
        (_TURNED,) if wanted is SPZ else (),
        drop_invalid=drop_invalid,
        name=name,
    )


def as_read(
    scene: GaussianScene,
    conventions: dict[str, object],
    notes: tuple[str, ...],
    *,
    drop_invalid: bool,
    name: str,
) -> ReadResult:
    """``scene`` as if it had been read from a .ply: the same rules hold for its values."""
    read = read_ply(write_ply(scene), drop_invalid=drop_invalid, name=name)
    told: dict[str, object] = {"sh_degree": scene.sh_degree, "has_normals": False}
    if scene.antialiased:
        told["antialiased"] = True
    kept = replace(read.scene, antialiased=scene.antialiased)
    return ReadResult(kept, (*notes, *read.notes), {**conventions, **told})
