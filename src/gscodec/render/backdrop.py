"""What a scene will stand before is not known: most pixels are black, some are white."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.render.splat import Picture

    Array = NDArray[np.float32]


def speckled(height: int, width: int) -> Array:
    """(H, W): 1 in every second pixel of every second row, else 0."""
    backdrop = np.zeros((height, width), np.float32)
    backdrop[1::2, 1::2] = 1
    return backdrop


def over_speckled(picture: Picture) -> Array:
    """``picture``, which was drawn over black, over `speckled`: (H, W, 3)."""
    shining = picture.transmittance * speckled(*picture.transmittance.shape)
    result: Array = picture.image + shining[..., None]
    return result
