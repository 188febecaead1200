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
from gscodec.sceneio.header import check_size, parse_header

if TYPE_CHECKING:
    from gscodec.scene import GaussianScene

_END = b"end_header\n"
_BOUNDS = 18  # of positions, scales and colours; older files have none of colours


def decode_compressed_ply(data: bytes, name: str) -> GaussianScene:
    """Reads a .compressed.ply.

    Raises:
        SceneError: It is damaged, or without bounds of colours.
        ModuleNotFoundError: gaussforge is not installed.
    """
    header = parse_header(data, name)
    check_size(header, len(data), name)
    bounds = len(header.ply["chunk"].properties)
    if bounds != _BOUNDS:
        raise SceneError(
            f"{name}: found {bounds} bounds for each chunk, expected {_BOUNDS}; open it in "
            "SuperSplat and save it again"
        )
    return read_forged(data, COMPRESSED_PLY.name, name)


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
