"""The .compressed.ply of PlayCanvas and SuperSplat: bytes <-> scene.

gaussforge 0.6 writes SH coefficient by coefficient, where the format has them channel by channel
as a 3DGS .ply does, and reads them as the format says. So the SH part, the last of the file, is
written here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import SceneError
from gscodec.interchange.forge import read_forged, write_forged
from gscodec.interchange.formats import COMPRESSED_PLY
from gscodec.scene import SH_DEGREES, sh_rest_count
from gscodec.sceneio.header import check_size, parse_header

if TYPE_CHECKING:
    from gscodec.scene import GaussianScene

_END = b"end_header\n"
_VERTEX = {f"packed_{what}" for what in ("position", "rotation", "scale", "color")}
# Of positions, scales and colours; older files have none of colours.
_BOUNDS = {f"{end}_{axis}" for end in ("min", "max") for axis in (*"xyz", *"rgb")} | {
    f"{end}_scale_{axis}" for end in ("min", "max") for axis in "xyz"
}


def decode_compressed_ply(data: bytes, name: str) -> GaussianScene:
    """Reads a .compressed.ply.

    Raises:
        SceneError: It is damaged, without bounds of colours, or lacks some other property:
            gaussforge makes something up for that.
        ModuleNotFoundError: gaussforge is not installed.
    """
    header = parse_header(data, name)
    check_size(header, len(data), name)
    found = {element.name: {p.name for p in element.properties} for element in header.ply}
    bounds = found.get("chunk", set())
    if bounds != _BOUNDS:
        raise SceneError(
            f"{name}: found {len(bounds & _BOUNDS)} bounds for each chunk, expected "
            f"{len(_BOUNDS)}; open it in SuperSplat and save it again"
        )
    if missing := _VERTEX - found.get("vertex", set()):
        raise SceneError(f"{name}: the vertices have no {', '.join(sorted(missing))}")
    _check_sh(found.get("sh"), header.counts, name)
    return read_forged(data, COMPRESSED_PLY.name, name)


def _check_sh(names: set[str] | None, counts: dict[str, int], name: str) -> None:
    if names is None:
        return
    whole = any(
        names == {f"f_rest_{i}" for i in range(3 * sh_rest_count(d))} for d in SH_DEGREES[1:]
    )
    if not whole or counts["sh"] != counts["vertex"]:
        raise SceneError(
            f"{name}: found {counts['sh']} rows of {len(names)} SH, expected "
            f"{counts['vertex']} of 9, 24 or 45"
        )


def encode_compressed_ply(scene: GaussianScene) -> bytes:
    """Inverse of `decode_compressed_ply`; quaternions must be normalised.

    Raises:
        CannotCodeError: gaussforge cannot, for the reason given.
        ModuleNotFoundError: gaussforge is not installed.
    """
    bare = write_forged(replace(scene, sh_rest=scene.sh_rest[:, :0]), COMPRESSED_PLY.name)
    count, k, _ = scene.sh_rest.shape
    if not k:
        return bare
    header, _, body = bare.partition(_END)
    header += f"element sh {count}\n".encode("ascii")
    header += b"".join(b"property uchar f_rest_%d\n" % i for i in range(3 * k))
    steps = np.clip(np.floor((scene.sh_rest / 8 + 0.5) * 256), 0, 255).astype(np.uint8)
    by_channel = steps.transpose(0, 2, 1).tobytes()
    return header + _END + body + by_channel
