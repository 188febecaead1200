"""What a file is by its first bytes; and what is often mistaken for a 3DGS .ply, by name."""

from __future__ import annotations

import zipfile
from enum import Enum
from typing import TYPE_CHECKING

from gscodec.errors import SceneError
from gscodec.sceneio.layout import FLAT, REQUIRED

if TYPE_CHECKING:
    from plyfile import PlyData, PlyElement

_CONVERT = "convert it to an uncompressed 3DGS .ply first, or encode the original scene"
_TRAIN = "train a 3DGS scene from it first"
# What zipfile raises on damaged archives.
ZIP_DAMAGE = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    ValueError,
    EOFError,
    OverflowError,
)
_LEVELS = {"level", "extra_level"}
_HEADER_BYTES = 1 << 16  # of a .ply, in which what it holds is looked for


class Kind(Enum):
    """What the first bytes of a file tell: its name, and what to do where a .ply is wanted."""

    PLY = ("a .ply", "")
    GSZ = ("a .gsz file", "it is encoded already; use 'gscodec decode'")
    GZIP = ("an SPZ file or otherwise compressed with gzip", _CONVERT)
    SPZ = ("an SPZ file", _CONVERT)
    ZIP = ("an SOG file or otherwise a zip archive", _CONVERT)
    OLD_TORCH = (
        "torch's format from before version 1.6",
        "load it and save it again with a newer torch",
    )
    LFS = ("a Git LFS pointer, not the file itself", "run 'git lfs pull'")
    OTHER = ("of no known format", "")


_MAGICS = {
    b"ply": Kind.PLY,
    b"\x89GSZ": Kind.GSZ,  # the rest of its magic number tells how it was damaged
    b"\x1f\x8b": Kind.GZIP,
    b"NGSP": Kind.SPZ,
    b"PK\x03\x04": Kind.ZIP,
    # Torch's magic number as a pickle.
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.": Kind.OLD_TORCH,
    b"version https://git-lfs": Kind.LFS,
}


def kind_of(data: bytes) -> Kind:
    """What ``data``, a file or its beginning, is."""
    return next((k for magic, k in _MAGICS.items() if data.startswith(magic)), Kind.OTHER)


def names_in_header(data: bytes) -> bytes:
    """The header of a .ply, or as much as is looked at; of ``data``, a file or its beginning."""
    return data[:_HEADER_BYTES].partition(b"end_header")[0]


def refuse_other_formats(data: bytes, name: str) -> None:
    """Looks at the first bytes.

    Raises:
        SceneError: ``data`` is not a .ply.
    """
    kind = kind_of(data)
    what, advice = kind.value
    if kind not in {Kind.PLY, Kind.OTHER}:
        raise SceneError(f"{name}: this is {what}; {advice}")
    if kind is Kind.OTHER:
        found = f"{data[:8]!r}" if data else "an empty file"
        raise SceneError(f"{name}: found {found}, expected a .ply starting with b'ply'")


def refuse_levels(properties: set[str], name: str) -> None:
    """Refuses what Octree-GS and its relatives leave: a camera sees only some of the rows.

    Raises:
        SceneError: There are such levels, of Gaussians or of anchors.
    """
    if properties >= _LEVELS:
        raise SceneError(
            f"{name}: this is a scene of Octree-GS or a relative of it (found the properties "
            f"{' and '.join(sorted(_LEVELS))}); levels of detail cannot be coded"
        )


def require_gaussians(ply: PlyData, name: str) -> PlyElement:
    """The element ``vertex``, with every property that a 3DGS scene must have, or a 2DGS scene.

    Raises:
        SceneError: The rows are not Gaussians, with what they seem to be.
    """
    properties = {p.name for p in ply["vertex"].properties} if "vertex" in ply else set()
    refuse_levels(properties, name)
    missing = [p for p in REQUIRED if p not in properties]
    if not missing or missing == [FLAT]:
        return ply["vertex"]
    for (what, advice), recognised in _signs(ply, properties, missing).items():
        if recognised:
            raise SceneError(f"{name}: this is {what}; {advice}")
    if "vertex" not in ply:
        raise SceneError(f"{name}: no element vertex, expected a 3DGS scene")
    raise SceneError(
        f"{name}: found no vertex property {', '.join(missing)}, expected a 3DGS scene with all "
        f"{len(REQUIRED)} required properties"
    )


def _signs(
    ply: PlyData, properties: set[str], missing: list[str]
) -> dict[tuple[str, str], bool]:
    """(What it may be, what to do then) -> whether it is; the first true one counts."""
    elements = {e.name for e in ply}
    packed = "chunk" in elements or "packed_position" in properties
    anchors = any(p.startswith(("f_anchor_feat_", "f_offset_")) for p in properties)
    return {
        ("a compressed .ply (PlayCanvas, SuperSplat)", _CONVERT): packed,
        (
            "the .ply of a Scaffold-GS checkpoint (anchors, not Gaussians)",
            "pass the checkpoint folder, which also holds the networks",
        ): anchors,
        ("a mesh .ply", _TRAIN): "face" in elements,
        (
            "a point cloud (no opacity, scale, rotation or f_dc)",
            _TRAIN,
        ): missing == list(REQUIRED[3:]),
    }
