"""FLIP (Andersson et al., 2020) by its authors' package: what one sees when one flips between two.

It needs nothing but the package, which has no weights and asks no network.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Image = NDArray[np.float32]


def load_flip() -> Callable[[Image, Image], float] | None:
    """The mean over pixels of how different two (H, W, 3) sRGB pictures look, 0 for identical ones.

    At the viewing distance that the authors assume, 67 pixels per degree. Pictures are 0 to 1.
    None where the package is not installed.
    """
    if find_spec("flip_evaluator") is None:
        return None
    return lambda a, b: float(error_map(a, b).mean(dtype=np.float64))


def error_map(a: Image, b: Image) -> Image:
    """(H, W) 0 to 1, how different each pixel looks; the package must be installed."""
    import flip_evaluator

    ready = [np.require(picture, np.float32, ["C"]) for picture in (a, b)]
    found, *_ = flip_evaluator.evaluate(*ready, "LDR", applyMagma=False, computeMeanError=False)
    return np.asarray(found, np.float32)[..., 0]
