"""How pictures by matplotlib look: fonts, lines, ticks, titles."""

from __future__ import annotations

from typing import Any

from gscodec.report.rd_style import COLOURS
from gscodec.report.text import printable

_MAX_NAME = 40  # characters that fit into the title
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": COLOURS["muted"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.8,
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "text.color": COLOURS["ink"],
    "text.parse_math": False,  # a dollar in the name of a scene is a dollar
    "svg.fonttype": "none",
    "svg.hashsalt": "gscodec",  # else every run gives other identifiers
}


def short_name(name: str) -> str:
    """The name of a file, cut to what fits into a title."""
    text = printable(name)
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME - 1]}…"


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers from ``low`` to ``high``: by decades, or evenly if those are few."""
    from matplotlib.ticker import MaxNLocator

    for digits in ((1, 2, 5), (1, 1.5, 2, 3, 4, 6, 8)):
        decades = (digit * 10.0**power for power in range(12) for digit in digits)
        ticks = [tick for tick in decades if low <= tick <= high]
        if len(ticks) >= 4:
            return ticks
    even = MaxNLocator(7, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in even if low <= tick <= high]
