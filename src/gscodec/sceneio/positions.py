"""Positions with more digits than float32 has -> float32 and an origin that they are relative to.

Coordinates of maps are millions of units from zero, and details of a scene a millionth of
that. The origin lies in the middle of the scene, so that float32 is left with the details.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gscodec.notes import Note
from gscodec.sceneio.layout import BLOCK_ROWS, WIDER_THAN_FLOAT32

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.sceneio.rows import Columns

    Origin = tuple[float, float, float]

# Of the positions along an axis; what is farther out is not the scene, but around it.
_CORE = (0.05, 0.5, 0.95)


def relative(
    columns: Columns, names: tuple[str, ...], means: NDArray[np.float32]
) -> tuple[NDArray[np.float32], Origin | None, tuple[str, ...]]:
    """The positions (N, 3), their origin, and a note on what they lost.

    Args:
        columns: Of the file.
        names: Those of the positions, x, y, z.
        means: (N, 3), the positions rounded to float32; given back, without an origin, where
            that loses nothing.
    """
    if not any(columns[n].dtype.str[1:] in WIDER_THAN_FLOAT32 for n in names):
        return means, None, ()
    if all(_is_held(columns[n], means[:, i]) for i, n in enumerate(names)):
        return means, None, ()
    origin = tuple(_origin(columns[n]) for n in names)
    error = 0.0
    for start in range(0, len(means), BLOCK_ROWS):
        rows = slice(start, start + BLOCK_ROWS)
        for i, name in enumerate(names):
            with np.errstate(over="ignore", invalid="ignore"):
                source = columns[name][rows].astype(np.float64)
                means[rows, i] = source - origin[i]
                missed = np.abs(origin[i] + means[rows, i].astype(np.float64) - source)
            error = max(error, float(missed[np.isfinite(missed)].max(initial=0.0)))
    note = (
        f"positions are doubles: kept relative to the origin {', '.join(map(repr, origin))}, "
        f"within {error:.2g} units, and written as doubles again"
    )
    told = Note(note, "origin-kept", changed=False)
    return means, (origin[0], origin[1], origin[2]), (told,)


def _is_held(source: NDArray[np.generic], rounded: NDArray[np.float32]) -> bool:
    """Whether float32 holds every value that it can hold at all."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(((source == rounded) | ~np.isfinite(rounded)).all())


def _origin(source: NDArray[np.generic]) -> float:
    """The middle of a coordinate, rounded to about the size of the scene.

    Rounded to a power of two, so that the difference from a position is exact, and so that a
    scene around zero has the origin zero.
    """
    values = source.astype(np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0
    low, middle, high = np.quantile(values / 2, _CORE) * 2  # halves cannot overflow
    size = float(high / 2 - low / 2) * 2
    if not 0 < size < math.inf:
        return float(middle)
    step = 2.0 ** math.ceil(math.log2(size))
    rounded = round(float(middle) / step) * step if step < math.inf else 0.0
    return rounded if math.isfinite(rounded) else 0.0
