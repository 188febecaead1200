"""Splats as trainers save them by torch -> `GaussianScene`: gsplat's .pt, nerfstudio's .ckpt.

Source: nerfstudio-project/gsplat, examples/simple_trainer.py (``splats``); nerfstudio,
models/splatfacto.py (``gauss_params``, before version 1.1 without that name). Values are in the
spaces of a 3DGS .ply: logits, logarithms, quaternions w, x, y, z that need not be normalised.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.checkpointio.archive import open_archive
from gscodec.checkpointio.pickles import Tensor
from gscodec.errors import SceneError
from gscodec.notes import Note
from gscodec.scene import SH_DEGREES, GaussianScene, sh_rest_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.checkpointio.archive import Archive

# Field of a scene -> the names of its tensor, gsplat's and nerfstudio's.
_NAMES = {
    "means": ("means", "means"),
    "opacity_logits": ("opacities", "opacities"),
    "log_scales": ("scales", "scales"),
    "quats": ("quats", "quats"),
    "sh_dc": ("sh0", "features_dc"),
    "sh_rest": ("shN", "features_rest"),
}
_PREFIXES = ("_model.gauss_params.", "_model.")
_SHOWN = 8


def read_splats(
    data: bytes, name: str
) -> tuple[GaussianScene, dict[str, object], tuple[str, ...]]:
    """Reads a checkpoint; nothing in it is run.

    Args:
        data: The whole file.
        name: Its name, for errors.

    Returns:
        The scene, conventions, and a note on what was left out.

    Raises:
        SceneError: It is damaged, holds no splats, or would run something.
    """
    archive = open_archive(data, name)
    value = archive.value if isinstance(archive.value, dict) else {}
    told: dict[str, object] = {"format": "torch"}
    if isinstance(step := value.get("step"), int):
        told["iteration"] = step
    for key, which, prefixes in (("splats", 0, ("",)), ("pipeline", 1, _PREFIXES)):
        tensors = value.get(key)
        if not isinstance(tensors, dict):
            continue
        names = {field: both[which] for field, both in _NAMES.items()}
        prefix = next((p for p in prefixes if p + names["means"] in tensors), prefixes[0])
        scene = _scene(archive, tensors, {f: prefix + n for f, n in names.items()})
        used = {prefix + n for n in names.values()}
        others = [k for k in value if k not in {key, "step"}]
        others += [k for k in tensors if k not in used]
        return scene, told, _note(others)
    raise SceneError(
        f"{name}: found no splats, expected 'splats' of gsplat or 'pipeline' of nerfstudio"
    )


def _scene(archive: Archive, tensors: dict[Any, Any], names: dict[str, str]) -> GaussianScene:
    missing = [n for n in names.values() if not isinstance(tensors.get(n), Tensor)]
    if missing:
        advice = ""
        if "features" in tensors and "colors" in tensors:
            advice = "; it was trained with appearance optimisation, which no SH can hold"
        raise SceneError(f"{archive.name}: found no tensor {', '.join(missing)}{advice}")
    count = tensors[names["means"]].shape[:1]
    rest = tensors[names["sh_rest"]].shape
    if not count or len(rest) != 3 or rest[1] not in map(sh_rest_count, SH_DEGREES):
        raise SceneError(
            f"{archive.name}: {names['sh_rest']}: found shape {rest[:8]}, expected (N, K, 3) "
            "with K = 0, 3, 8 or 15"
        )
    shapes = {
        "means": (*count, 3),
        "opacity_logits": count,
        "log_scales": (*count, 3),
        "quats": (*count, 4),
        "sh_dc": (*count, 3),
        "sh_rest": (*count, rest[1], 3),
    }
    arrays = {
        field: _array(archive, tensors[names[field]], shape, names[field])
        for field, shape in shapes.items()
    }
    return GaussianScene(**arrays, extras=(), has_normals=False, antialiased=False, origin=None)


def _array(
    archive: Archive, tensor: Tensor, shape: tuple[int, ...], name: str
) -> NDArray[np.float32]:
    """The values of ``tensor``, whose shape may have further edges of 1."""
    if [edge for edge in tensor.shape if edge != 1] != [edge for edge in shape if edge != 1]:
        raise SceneError(
            f"{archive.name}: {name}: found shape {tensor.shape[:8]}, expected {shape}"
        )
    if 0 in shape:
        return np.zeros(shape, np.float32)
    # Torch may give an edge of 1 any stride.
    steps = [
        s if edge > 1 else 1 for edge, s in zip(tensor.shape, tensor.strides, strict=False)
    ]
    return archive.floats(replace(tensor, strides=tuple(steps))).reshape(shape)


def _note(others: list[Any]) -> tuple[str, ...]:
    """One line on what else the checkpoint holds."""
    if not others:
        return ()
    shown = [ascii(key)[1:41].rstrip("'") for key in others[:_SHOWN]]
    more = len(others) - _SHOWN
    tail = f" and {more} more" if more > 0 else ""
    told = f"left out {', '.join(shown)}{tail}"
    return (Note(told, "others-left-out", changed=False, entries=len(others)),)
