"""Values that are no numbers: which of them mean something, and which are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.anchors import AnchorScene
from gscodec.errors import SceneError
from gscodec.kinds.blueprint import check_weights
from gscodec.notes import Note
from gscodec.room import MEMORY
from gscodec.scene import is_value

if TYPE_CHECKING:
    from gscodec.anchors import Scene
    from gscodec.room import Room
    from gscodec.scene import GaussianScene


def check_finite(scene: Scene, room: Room = MEMORY) -> None:
    """Whether every value of ``scene`` means something, and networks can be coded at all.

    Its arrays are where there is ``room``.

    Raises:
        SceneError: The scene holds NaN, or infinity where it means nothing.
        CannotCodeError: A weight of the networks of anchors is too large.
    """
    primitives = "anchors" if isinstance(scene, AnchorScene) else "Gaussians"
    damaged = not isinstance(scene, AnchorScene) and scene.is_damaged(room).any()
    looked_at = scene.attributes() if damaged or isinstance(scene, AnchorScene) else {}
    for name, array in looked_at.items():
        bad = ~is_value(name, array).reshape(len(scene), -1).all(axis=1)
        if bad.any():
            raise SceneError(
                f"scene.{name}: {int(bad.sum())} {primitives} hold NaN or infinity, the first "
                f"at index {int(bad.argmax())}; drop them or use method raw"
            )
    if isinstance(scene, AnchorScene):
        if not all(np.isfinite(array).all() for array in scene.networks.arrays()):
            raise SceneError("networks: a weight is NaN or infinity, expected finite numbers")
        check_weights(scene.networks)


def without_infinity(
    scene: GaussianScene, opacity: float, log_scale: float, room: Room = MEMORY
) -> tuple[GaussianScene, tuple[str, ...]]:
    """``scene`` with infinite values at their limits, and a line for each kind.

    Args:
        scene: As `check_finite` lets it pass.
        opacity: Magnitude of the largest logit.
        log_scale: Magnitude of the smallest log-scale.
        room: Where its arrays are.
    """
    found: dict[str, Any] = {}
    notes = []
    for name, words, limit in (
        ("opacity_logits", "opacity logits", opacity),
        ("log_scales", "log-scales", log_scale),
    ):
        array = getattr(scene, name)
        slices = room.slices(len(array))
        count = sum(int(np.isinf(array[rows]).sum()) for rows in slices)
        if count:
            finite = np.where(np.isinf(array), np.sign(array) * np.float32(limit), array)
            found[name] = finite.astype(np.float32)
            told = f"clamped {count} infinite {words} to +-{limit:g}"
            notes.append(Note(told, "clamped", values=count))
    return (replace(scene, **found) if found else scene), tuple(notes)
