"""Latents by level and channel, as figure 4 of RALHE: balls where they are, coloured by value."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.report.balls import draw_balls
from gscodec.report.bit_plot import seen
from gscodec.report.bit_voxels import upright
from gscodec.report.plot_style import STYLE, short_name
from gscodec.report.rd_style import COLOURS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gscodec.bitmap import Level

_INCHES, _DPI = 2.6, 150  # of a panel
_PIXELS = (380, 360)
_MOST = 20_000  # balls of a panel; of more nodes every second one is drawn, or every third
_SHARE = 0.98  # of the latents of a level lie within the range of its colours
_RADIUS = 0.62  # cells


def latent_sheet_png(
    levels: Sequence[Level], name: str, up: tuple[float, float, float] | None = None
) -> bytes:
    """The picture of file ``name``: a row for each of ``levels``, a column for each channel.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    channels = max((level.values.shape[1] for level in levels), default=1)
    size = (_INCHES * channels + 0.6, _INCHES * max(len(levels), 1) + 0.8)
    target = io.BytesIO()
    with rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        for row, level in enumerate(levels):
            panels = [
                figure.add_subplot(len(levels), channels, row * channels + column + 1)
                for column in range(channels)
            ]
            _draw_level(figure, panels, level, up)
        title = f"{short_name(name)}: " + ("latents by level" if levels else "no latents")
        figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
        figure.savefig(target, format="png", dpi=_DPI, facecolor=COLOURS["paper"])
    return target.getvalue()


def _draw_level(
    figure: Any, panels: Sequence[Any], level: Level, up: tuple[float, float, float] | None
) -> None:
    """A row; colours are alike in it, white is zero."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    some = slice(None, None, -(-len(level.cells) // _MOST))
    middles = seen(level.cells[some], upright(level.cells, up))
    reach = max(float(np.quantile(np.abs(level.values), _SHARE)), 1.0)
    norm, ramp = Normalize(-reach, reach), colormaps["RdBu_r"]
    for channel, (axes, values) in enumerate(zip(panels, level.values[some].T, strict=False)):
        axes.imshow(_picture(middles, ramp(norm(values))[:, :3]))
        axes.set_title(f"level {level.depth}, channel {channel + 1}", loc="left", fontsize=9)
    for axes in panels:
        axes.set_axis_off()
    bar = figure.colorbar(ScalarMappable(norm, ramp), ax=list(panels), shrink=0.8, aspect=24)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    bar.ax.set_title(f"{len(level.cells):,} nodes", fontsize=8, loc="right")


def _picture(middles: NDArray[np.float64], colours: NDArray[np.float64]) -> NDArray[np.float32]:
    return draw_balls(middles, np.full(len(middles), _RADIUS), colours, _PIXELS)
