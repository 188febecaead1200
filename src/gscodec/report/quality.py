"""Measured quality -> a line for people who have never heard of decibels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

# From this mean PSNR on, dB. Pictures of A and B side by side, on a screen, at their own size.
_WORDS = (
    (42.0, "looks like the source"),
    (37.0, "differences to be seen when one flips between the two"),
    (32.0, "visibly softer"),
    (-math.inf, "visibly damaged"),
)


def quality_in_words(quality: Mapping[str, object]) -> str:
    """``report["quality"]`` of an encode as a line.

    Args:
        quality: ``mean_psnr`` and ``worst_psnr`` in dB over ``views``; or ``exact``; or
            ``not_measured`` and why.
    """
    match quality:
        case {"exact": True}:
            return "exact: every value is kept"
        case {"mean_psnr": float(mean), "worst_psnr": float(worst), "views": views}:
            return (
                f"{_words(mean, worst)}: {mean:.1f} dB on average over {views} views, "
                f"{worst:.1f} dB in the worst"
            )
        case {"not_measured": why}:
            return f"not measured: {printable(str(why))}"
        case _:
            return "not measured"


def _words(mean: float, worst: float) -> str:
    """Of the mean; of the worst view where that is worse by more than one of `_WORDS`."""
    usual, least = (
        next(n for n, (low, _) in enumerate(_WORDS) if db >= low) for db in (mean, worst)
    )
    return _WORDS[usual][1] if least <= usual + 1 else f"{_WORDS[least][1]} in some views"
