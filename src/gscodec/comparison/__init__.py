"""How far one scene is from another: in pictures (`pictures`), and Gaussian by Gaussian.

Needs numba and scipy (extra ``render``). Rule to remember: pictures are measured, attributes
are estimated, because nothing in two files tells which Gaussian is which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gscodec.comparison.attributes import attribute_errors
from gscodec.comparison.pictures import Pictures, Shown, compare_pictures
from gscodec.errors import SceneError

if TYPE_CHECKING:
    from gscodec.scene import GaussianScene

__all__ = ["Pictures", "Shown", "attribute_errors", "compare_pictures", "require_finite"]


def require_finite(scene: GaussianScene, name: str) -> None:
    """Refuses what has neither pictures nor errors.

    Raises:
        SceneError: A value is NaN or infinite; with the first Gaussian that has one.
    """
    for attribute, values in scene.attributes().items():
        bad = ~np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
        if bad.any():
            raise SceneError(
                f"{name}: {attribute} of Gaussian {int(bad.argmax())} is not finite "
                f"({int(bad.sum())} of {len(scene)} Gaussians)"
            )
