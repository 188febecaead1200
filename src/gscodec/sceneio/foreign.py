"""Files that are often mistaken for a 3DGS .ply: each is refused by name, with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscodec.errors import SceneError
from gscodec.sceneio.layout import FLAT, REQUIRED

if TYPE_CHECKING:
    from plyfile import PlyData, PlyElement

_CONVERT = "convert it to an uncompressed 3DGS .ply first, or encode the original scene"
_TRAIN = "train a 3DGS scene from it first"
_MAGICS = {
    b"\x89GSZ\r\n\x1a\n": ("a .gsz file", "it is encoded already; use 'gscodec decode'"),
    b"\x1f\x8b": ("an SPZ file or otherwise compressed with gzip", _CONVERT),
    b"NGSP": ("an SPZ file", _CONVERT),
    b"PK\x03\x04": ("an SOG file or otherwise a zip archive", _CONVERT),
    b"version https://git-lfs": (
        "a Git LFS pointer, not the file itself",
        "run 'git lfs pull'",
    ),
}


def refuse_other_formats(data: bytes, name: str) -> None:
    """Looks at the first bytes.

    Raises:
        SceneError: ``data`` is not a .ply.
    """
    for magic, (what, advice) in _MAGICS.items():
        if data.startswith(magic):
            raise SceneError(f"{name}: this is {what}; {advice}")
    if not data.startswith(b"ply"):
        found = f"{data[:8]!r}" if data else "an empty file"
        raise SceneError(f"{name}: found {found}, expected a .ply starting with b'ply'")


def require_gaussians(ply: PlyData, name: str) -> PlyElement:
    """The element ``vertex``, with every property that a 3DGS scene must have, or a 2DGS scene.

    Raises:
        SceneError: The rows are not Gaussians, with what they seem to be.
    """
    properties = {p.name for p in ply["vertex"].properties} if "vertex" in ply else set()
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
