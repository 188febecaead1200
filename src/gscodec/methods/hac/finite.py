"""Values that are no numbers: which of them mean something, and which are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.errors import SceneError
from gscodec.scene import GaussianScene

if TYPE_CHECKING:
    from gscodec.anchors import Scene

# An opacity of 0 or 1 has an infinite logit, a flat Gaussian an infinitely small log-scale.
_MEANT = {"opacity_logits": (-np.inf, np.inf), "log_scales": (-np.inf,)}


def check_finite(scene: Scene, primitives: str) -> None:
    """Whether every value of the ``primitives`` of ``scene`` means something.

    Of Gaussians, opacity logits of either infinity and log-scales of minus infinity do.

    Raises:
        SceneError: The scene holds NaN, or infinity elsewhere.
    """
    for name, array in scene.attributes().items():
        sound = np.isfinite(array)
        if isinstance(scene, GaussianScene) and name in _MEANT:
            sound |= np.isin(array, _MEANT[name])
        bad = ~sound.reshape(len(scene), -1).all(axis=1)
        if bad.any():
            raise SceneError(
                f"scene.{name}: {int(bad.sum())} {primitives} hold NaN or infinity, the first "
                f"at index {int(bad.argmax())}; drop them or use method raw"
            )


def without_infinity(
    scene: GaussianScene, opacity: float, log_scale: float
) -> tuple[GaussianScene, tuple[str, ...]]:
    """``scene`` with infinite values at their limits, and a line for each kind.

    Args:
        scene: As `check_finite` lets it pass.
        opacity: Magnitude of the largest logit.
        log_scale: Magnitude of the smallest log-scale.
    """
    found: dict[str, Any] = {}
    notes = []
    for name, words, limit in (
        ("opacity_logits", "opacity logits", opacity),
        ("log_scales", "log-scales", log_scale),
    ):
        array = getattr(scene, name)
        count = int(np.isinf(array).sum())
        if count:
            finite = np.where(np.isinf(array), np.sign(array) * np.float32(limit), array)
            found[name] = finite.astype(np.float32)
            notes.append(f"clamped {count} infinite {words} to +-{limit:g}")
    return (replace(scene, **found) if found else scene), tuple(notes)
