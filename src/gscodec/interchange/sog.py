"""PlayCanvas' .sog: bytes <-> scene.

gaussforge trusts what it reads, so that a damaged file ends the whole process. Here checksums,
names, sizes of pictures and of tables are compared first. Layout: a zip archive of meta.json and
of WebP pictures, in which each pixel is a Gaussian; SH are rows of a palette. The flag of antialiased
scenes, which gaussforge drops, is kept.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

from gscodec.errors import SceneError
from gscodec.interchange.forge import read_forged, write_forged
from gscodec.interchange.formats import SOG
from gscodec.scene import sh_rest_count
from gscodec.sceneio.foreign import ZIP_DAMAGE

if TYPE_CHECKING:
    from gscodec.scene import GaussianScene

_VERSION = 2
_FILES = {"means": 2, "scales": 1, "quats": 1, "sh0": 1}
_CODEBOOK = 256
_PER_ROW = 64  # rows of the palette in a row of its picture
_META = "meta.json"
# What looking at odd values raises too.
_DAMAGE = (*ZIP_DAMAGE, LookupError, TypeError, AttributeError)


def decode_sog(data: bytes, name: str) -> GaussianScene:
    """Reads a .sog of version 2, as one file.

    Raises:
        SceneError: It is damaged, or of another version.
        ModuleNotFoundError: gaussforge is not installed.
    """
    try:
        problem = _problem(data)
    except _DAMAGE as error:
        problem = f"{type(error).__name__}: {error}"[:120]
    if problem:
        raise SceneError(f"{name}: damaged .sog file: {problem}")
    scene = read_forged(data, SOG.name, name)
    return replace(scene, antialiased=_meta(data).get("antialias") is True)


def encode_sog(scene: GaussianScene) -> bytes:
    """Inverse of `decode_sog`; quaternions must be normalised.

    Raises:
        CannotCodeError: gaussforge cannot, for the reason given.
        ModuleNotFoundError: gaussforge is not installed.
    """
    data = write_forged(scene, SOG.name)
    if not scene.antialiased:
        return data
    told = json.dumps({**_meta(data), "antialias": True})
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.infolist():
            info = zipfile.ZipInfo(member.filename)  # dated 1980, on every system alike
            is_meta = member.filename == _META
            new.writestr(info, told if is_meta else old.read(member))
    return out.getvalue()


def _meta(data: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        found: dict[str, Any] = json.loads(archive.read(_META))
    return found


def _problem(data: bytes) -> str | None:
    """What is wrong, or None."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        if sum(member.file_size for member in archive.infolist()) > 16 * len(data):
            return "its members are larger than pictures can be"
        if damaged := archive.testzip():
            return f"checksum of {damaged[:40]!a}"
        meta = json.loads(archive.read(_META))
        if meta["version"] != _VERSION:
            return f"found version {meta['version']!a:.20}, expected {_VERSION}"
        count = meta["count"]
        if type(count) is not int or count < 1:
            return f"found {count!a:.20} Gaussians"
        sizes = {
            what: [_size(archive, name) for name in meta[what]["files"]]
            for what in (*_FILES, *(("shN",) if "shN" in meta else ()))
        }
    for what, files in _FILES.items():
        if len(sizes[what]) != files or min(w * h for w, h in sizes[what]) < count:
            return f"pictures of {what} are too few or too small for {count} Gaussians"
    bounds = meta["means"]["mins"] + meta["means"]["maxs"]
    tables = [meta[what]["codebook"] for what in ("scales", "sh0", "shN") if what in meta]
    if len(bounds) != 6 or any(len(table) != _CODEBOOK for table in tables):
        return "its tables have other lengths than expected"
    if any(type(v) not in {int, float} for v in sum(tables, bounds)):
        return "its tables hold something else than numbers"
    return _palette_problem(meta["shN"], sizes["shN"], count) if "shN" in meta else None


def _palette_problem(meta: Any, sizes: list[tuple[int, int]], count: int) -> str | None:
    """What is wrong with the SH, or None."""
    (width, height), (labels_width, labels_height) = sizes
    if meta["bands"] not in {1, 2, 3} or width != _PER_ROW * sh_rest_count(meta["bands"]):
        return f"found a palette {width} wide for SH of degree {meta['bands']!a:.20}"
    if height * _PER_ROW < meta["count"] or labels_width * labels_height < count:
        return "pictures of shN are too small"
    return None


def _size(archive: zipfile.ZipFile, name: str) -> tuple[int, int]:
    """Width and height of a lossless WebP picture, with or without the extended header."""
    head = archive.read(name)[:30]
    if head.startswith(b"RIFF") and head[8:16] == b"WEBPVP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head.startswith(b"RIFF") and head[8:16] == b"WEBPVP8X":
        width, height = (int.from_bytes(head[i : i + 3], "little") + 1 for i in (24, 27))
        return width, height
    raise ValueError(f"{name[:40]!a} is no lossless WebP picture")
