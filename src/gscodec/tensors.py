"""Tensors as gsplat trains them <-> `GaussianScene`; torch is needed only to give tensors.

Source of the names: nerfstudio-project/gsplat, examples/simple_trainer.py (``splats``). Values
are in the spaces of a scene: logits, logarithms, quaternions w, x, y, z of any length.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gscodec.anchors import AnchorScene
from gscodec.arguments import scene_given
from gscodec.errors import GscodecWarning, SceneError, UsageError
from gscodec.scene import GaussianScene
from gscodec.sceneio.damage import note_on_activation
from gscodec.words import described

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import Tensor

    from gscodec.anchors import Scene

_NAMES = {
    "means": "means",
    "opacities": "opacity_logits",
    "scales": "log_scales",
    "quats": "quats",
    "sh0": "sh_dc",
    "shN": "sh_rest",
}


class Tensors(Protocol):
    """A dict of tensors or arrays by name; torch's ParameterDict is one too."""

    def keys(self) -> Iterable[str]:
        """The names."""

    def __getitem__(self, name: str, /) -> Any:
        """The tensor of a name."""


def from_gsplat(splats: Tensors) -> GaussianScene:
    """The scene that gsplat's tensors are, as float32 on the CPU.

    Args:
        splats: ``means`` (N, 3), ``quats`` (N, 4) w, x, y, z, ``scales`` (N, 3) as logarithms,
            ``opacities`` (N,) as logits, ``sh0`` (N, 1, 3), ``shN`` (N, K, 3) or none; tensors
            of any device, or arrays. Other names are refused, for they would be lost.

    Raises:
        UsageError: It is no dict of tensors.
        SceneError: A tensor is missing or of another shape, or there is one that no scene holds.
    """
    if not hasattr(splats, "keys"):
        raise UsageError(
            f"splats: found {described(splats)}, expected a dict of tensors: {', '.join(_NAMES)}"
        )
    found = {str(name): _array(name, splats[name]) for name in splats.keys()}  # noqa: SIM118
    missing = [name for name in _NAMES if name not in found and name != "shN"]
    others = [name for name in found if name not in _NAMES]
    if missing or others:
        what = f"no tensor {', '.join(missing)}" if missing else f"{', '.join(others)} too"
        advice = "; a scene holds SH, no features of appearance" if "features" in others else ""
        raise SceneError(f"splats: found {what}, expected {', '.join(_NAMES)}{advice}")
    count = len(found["means"]) if found["means"].ndim else 0
    for name, shape in (("opacities", (count,)), ("sh0", (count, 3))):
        if found[name].shape in {(*shape, 1), (count, 1, *shape[1:])}:
            found[name] = found[name].reshape(shape)
    rest = found.pop("shN", np.zeros((count, 0, 3), np.float32))
    fields: dict[str, Any] = {_NAMES[name]: array for name, array in found.items()}
    scene = GaussianScene(**fields, sh_rest=rest, extras=(), has_normals=False, origin=None)
    for note in note_on_activation(scene):
        warnings.warn(f"splats: {note}", GscodecWarning, stacklevel=2)
    return scene


def _array(name: str, value: Any) -> NDArray[np.float32]:
    """A copy of ``value`` as float32; a tensor may be on a device, and need gradients."""
    found = described(value)
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = (value if value.is_complex() else value.float()).numpy()
        return np.asarray(value).astype(np.float32, order="C", casting="same_kind")
    # Torch tells of tensors without strides or without values in several ways.
    except (TypeError, ValueError, RuntimeError) as error:
        raise SceneError(
            f"splats[{name!r}]: found {found}, expected a dense tensor or an array of real "
            f"numbers ({error})"
        ) from error


def to_torch(scene: Scene, device: str | None = None) -> dict[str, Tensor]:
    """What `from_gsplat` takes: new tensors of float32 by gsplat's names, on ``device``.

    Positions are relative to ``scene.origin``, as they are in the scene.

    Raises:
        UsageError: ``scene`` is none, has anchors, or torch or the device is not there.
    """
    if isinstance(scene_given(scene), AnchorScene):
        raise UsageError(
            "scene: found anchors, which make Gaussians for each camera; gscodec decode --bake "
            "makes Gaussians of them once"
        )
    try:
        import torch
    except ModuleNotFoundError as error:
        raise UsageError("to_torch needs torch; pip install 'gscodec[encode]'") from error
    arrays = scene.attributes()
    arrays["sh_dc"] = arrays["sh_dc"][:, None]
    try:
        return {
            name: torch.tensor(arrays[field], dtype=torch.float32, device=device)
            for name, field in _NAMES.items()
        }
    except (RuntimeError, AssertionError) as error:
        if device is None:
            raise
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"device: found {device!r}, expected one that torch has here ({reason})"
        ) from error
