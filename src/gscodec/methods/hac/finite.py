"""Refuses scenes that the encoder could not measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import SceneError

if TYPE_CHECKING:
    from gscodec.anchors import Scene


def check_finite(scene: Scene, primitives: str) -> None:
    """Whether every value of the ``primitives`` of ``scene`` is a number.

    Raises:
        SceneError: The scene holds NaN or infinity.
    """
    for name, array in scene.attributes().items():
        bad = ~np.isfinite(array).reshape(len(scene), -1).all(axis=1)
        if bad.any():
            raise SceneError(
                f"scene.{name}: {int(bad.sum())} {primitives} hold NaN or infinity, the first "
                f"at index {int(bad.argmax())}; drop them or use method raw"
            )
