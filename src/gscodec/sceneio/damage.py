"""Gaussians that hold no values: refused, or dropped where that is wanted; and what looks odd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import SceneError
from gscodec.notes import Note
from gscodec.room import MEMORY
from gscodec.scene import is_value
from gscodec.sceneio.layout import columns_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.room import Room
    from gscodec.scene import GaussianScene

_FEW = 20  # Gaussians whose values may look like anything


def without_invalid(
    scene: GaussianScene, name: str, *, drop_invalid: bool, room: Room = MEMORY
) -> tuple[GaussianScene, tuple[str, ...]]:
    """The Gaussians that are none, dropped or refused, and notes on them.

    A rotation of four zeros has no direction. Renderers differ in what they make of it, so it
    is dropped where dropping is wanted, but it is not refused.

    Raises:
        SceneError: There is NaN or infinity and it is not to be dropped; or nothing is left.
    """
    damaged = scene.is_damaged(room)
    without_rotation = ~damaged & ~scene.quats.any(axis=1)
    found = []
    if damaged.any():
        first = int(damaged.argmax())
        found.append(
            f"{damaged.sum()} of {len(scene)} Gaussians with NaN or infinity "
            f"(first: index {first}, {_first_invalid_value(scene, first)})"
        )
    if found and not drop_invalid:
        raise SceneError(f"{name}: found {found[0]}; drop them with encode --drop-invalid")
    if without_rotation.any():
        found.append(_told_of_zeros(scene, without_rotation))
    if not drop_invalid:
        told = (f"found {what}; drop them with encode --drop-invalid" for what in found)
        return scene, tuple(Note(note, "zero-rotations", changed=False) for note in told)
    if not found:
        return scene, ()
    kept = scene.take(~damaged & ~without_rotation, room)
    if not len(kept):
        raise SceneError(f"{name}: found {' and '.join(found)}, so that nothing is left")
    return kept, tuple(
        Note(f"dropped {what}", "dropped-invalid", gaussians=len(scene) - len(kept))
        for what in found
    )


def _told_of_zeros(scene: GaussianScene, without_rotation: NDArray[np.bool_]) -> str:
    empty = without_rotation.copy()
    for array in scene.attributes().values():
        empty &= ~array.reshape(len(scene), -1).any(axis=1)
    rows = f"{empty.sum()} of them rows of zeros, " if empty.any() else ""
    return (
        f"{without_rotation.sum()} of {len(scene)} Gaussians with the rotation 0, 0, 0, 0 "
        f"({rows}first: index {int(without_rotation.argmax())})"
    )


def _first_invalid_value(scene: GaussianScene, index: int) -> str:
    names = columns_of(scene.sh_degree)
    values = (
        f"{prop} is {value}"
        for field, array in scene.attributes().items()
        for prop, value in zip(names[field], array[index].flat, strict=True)
        if not is_value(field, np.asarray(value))
    )
    return next(values)


def note_on_activation(scene: GaussianScene) -> tuple[str, ...]:
    """Whether opacities and scales look like those that a renderer takes.

    Trained logits are spread over both signs; log-scales of scenes in any sensible unit are
    not all above 0.
    """
    if len(scene) < _FEW:
        return ()
    opacity, scales = scene.opacity_logits, scene.log_scales
    if not (opacity.min() >= 0 and opacity.max() <= 1 and scales.min() > 0):
        return ()
    note = (
        f"opacity is {opacity.min():.3g} to {opacity.max():.3g} and scale_* "
        f"{scales.min():.3g} to {scales.max():.3g} throughout: these look activated, but a 3DGS "
        ".ply holds them before sigmoid and exp, and so they are read; if pictures are fog, "
        "convert them to logits and logarithms first"
    )
    return (Note(note, "looks-activated", changed=False),)
