"""gscodec: small, exact, trustworthy files for trained 3D Gaussian Splatting scenes.

    scene = gscodec.load("scene.ply")
    gscodec.save(scene, "scene.gsz", lam=3e-4)

    data = gscodec.encode(scene)
    scene = gscodec.decode(data)
    print(gscodec.inspect(data).total_bytes)

Importing this package costs nothing: names are loaded when first used, so that the command
line answers ``--help`` at once and can choose the number of threads before numpy starts them.
Decoding loads numpy and constriction, or the own range coder where that is missing; torch is
loaded only inside `encode` and `to_torch`. All of it, with examples: docs/library.md.
"""

from __future__ import annotations

from importlib import import_module

from gscodec._version import __version__

TYPE_CHECKING = False  # as in `typing`, which takes long to load
if TYPE_CHECKING:
    from gscodec import render
    from gscodec.anchors import AnchorScene
    from gscodec.arguments import EncodeOptions
    from gscodec.camera import Camera, TargetViews
    from gscodec.codec import Encoded, Inspection, decode, encode, encode_with_report, inspect
    from gscodec.disk.scenes import LoadedScene
    from gscodec.errors import (
        FormatError,
        GscodecError,
        GscodecWarning,
        InputError,
        OutOfMemoryError,
        OutputError,
        SceneError,
        UnsupportedError,
        UsageError,
        VerifyError,
    )
    from gscodec.library import (
        Saved,
        compare,
        load,
        load_cameras,
        load_with_report,
        save,
        virtual_cameras,
    )
    from gscodec.report.compare_result import CompareResult
    from gscodec.scene import ExtraProperty, GaussianScene
    from gscodec.sceneio import ReadResult, read_ply, write_ply
    from gscodec.tensors import from_gsplat, to_torch

__all__ = [
    "AnchorScene",
    "Camera",
    "CompareResult",
    "EncodeOptions",
    "Encoded",
    "ExtraProperty",
    "FormatError",
    "GaussianScene",
    "GscodecError",
    "GscodecWarning",
    "InputError",
    "Inspection",
    "LoadedScene",
    "OutOfMemoryError",
    "OutputError",
    "ReadResult",
    "Saved",
    "SceneError",
    "TargetViews",
    "UnsupportedError",
    "UsageError",
    "VerifyError",
    "__version__",
    "compare",
    "decode",
    "encode",
    "encode_with_report",
    "from_gsplat",
    "inspect",
    "load",
    "load_cameras",
    "load_with_report",
    "read_ply",
    "render",
    "save",
    "to_torch",
    "virtual_cameras",
    "write_ply",
]

_NAMES = {
    "anchors": ("AnchorScene",),
    "arguments": ("EncodeOptions",),
    "camera": ("Camera", "TargetViews"),
    "codec": ("Encoded", "Inspection", "decode", "encode", "encode_with_report", "inspect"),
    "disk.scenes": ("LoadedScene",),
    "library": (
        "Saved",
        "compare",
        "load",
        "load_cameras",
        "load_with_report",
        "save",
        "virtual_cameras",
    ),
    "report.compare_result": ("CompareResult",),
    "scene": ("ExtraProperty", "GaussianScene"),
    "sceneio": ("ReadResult", "read_ply", "write_ply"),
    "tensors": ("from_gsplat", "to_torch"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'gscodec' has no attribute {name!r}")
    if name == "render":
        return import_module("gscodec.render")
    return getattr(import_module(f"gscodec.{_HOMES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
