"""gscodec: small, exact, trustworthy files for trained 3D Gaussian Splatting scenes.

    scene = gscodec.read_ply(Path("scene.ply").read_bytes()).scene
    data = gscodec.encode(scene, method="hemgs", lam=3e-4)
    scene = gscodec.decode(data)
    print(gscodec.inspect(data).total_bytes)

Importing this package costs nothing: names are loaded when first used, so that the command
line answers ``--help`` at once and can choose the number of threads before numpy starts them.
Decoding loads numpy and constriction, or the own range coder where that is missing; torch is
loaded only inside `encode`.
"""

from __future__ import annotations

from importlib import import_module

from gscodec._version import __version__

TYPE_CHECKING = False  # as in `typing`, which takes long to load
if TYPE_CHECKING:
    from gscodec.codec import Encoded, Inspection, decode, encode, encode_with_report, inspect
    from gscodec.errors import (
        FormatError,
        GscodecError,
        SceneError,
        UnsupportedError,
        UsageError,
        VerifyError,
    )
    from gscodec.scene import ExtraProperty, GaussianScene
    from gscodec.sceneio import ReadResult, read_ply, write_ply

__all__ = [
    "Encoded",
    "ExtraProperty",
    "FormatError",
    "GaussianScene",
    "GscodecError",
    "Inspection",
    "ReadResult",
    "SceneError",
    "UnsupportedError",
    "UsageError",
    "VerifyError",
    "__version__",
    "decode",
    "encode",
    "encode_with_report",
    "inspect",
    "read_ply",
    "write_ply",
]

_HOMES = {
    **dict.fromkeys(("Encoded", "Inspection"), "codec"),
    **dict.fromkeys(("decode", "encode", "encode_with_report", "inspect"), "codec"),
    **dict.fromkeys(("ExtraProperty", "GaussianScene"), "scene"),
    **dict.fromkeys(("ReadResult", "read_ply", "write_ply"), "sceneio"),
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'gscodec' has no attribute {name!r}")
    return getattr(import_module(f"gscodec.{_HOMES.get(name, 'errors')}"), name)
