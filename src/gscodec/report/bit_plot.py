"""Where the bits of a file are in space, as a PNG: balls by total and by mean bits."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from gscodec.report.balls import draw_balls
from gscodec.report.bit_voxels import headline, value_range, voxels
from gscodec.report.plot_style import STYLE, log_ticks, short_name
from gscodec.report.rd_style import COLOURS, RAMP, part_colour
from gscodec.report.text import label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.bitmap import BitMap
    from gscodec.report.bit_voxels import Voxels

_INCHES = (12.0, 7.2)
_DPI = 150
_PIXELS = (900, 780)  # of a panel's picture
_TURN, _RISE = np.radians(35), np.radians(24)  # from where one looks


def bit_map_png(
    found: BitMap, name: str, up: tuple[float, float, float] | None = None
) -> bytes:
    """The picture of file ``name``, 1800 pixels wide.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    target = io.BytesIO()
    cells = voxels(found, up)
    with rc_context(STYLE):
        figure = Figure(figsize=_INCHES, layout="constrained")
        grid = figure.add_gridspec(2, 2, height_ratios=(12, 1))
        total, mean = cells.total(), cells.total() / np.maximum(cells.counts, 1)
        _draw_panel(figure, grid[0, 0], cells, total, "total bits per cell", logarithmic=True)
        _draw_panel(figure, grid[0, 1], cells, mean, f"mean bits per {cells.noun}")
        _draw_parts(figure.add_subplot(grid[1, :]), found, cells.noun)
        title = f"{short_name(name)}: {headline(found)}"
        figure.suptitle(title, x=0.008, ha="left", fontsize=13, fontweight="bold")
        figure.supxlabel(
            cells.caption(), x=0.008, ha="left", fontsize=9, color=COLOURS["muted"]
        )
        figure.savefig(target, format="png", dpi=_DPI, facecolor=COLOURS["paper"])
    return target.getvalue()


def _draw_panel(
    figure: Any,
    place: Any,
    cells: Voxels,
    values: NDArray[np.float64],
    title: str,
    *,
    logarithmic: bool = False,
) -> None:
    """Balls coloured by ``values`` (V,), and the scale of the colours.

    Of a mean, cells count as much as what they hold, else those of a single primitive decide.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    weights = np.ones_like(cells.counts) if logarithmic else cells.counts
    low, high = value_range(values, weights)
    if logarithmic:
        low, high = max(low, 1), max(high, 2)
    norm = LogNorm(low, high) if logarithmic else Normalize(low, high)
    ramp = LinearSegmentedColormap.from_list("ramp", RAMP)
    axes = figure.add_subplot(place)
    colours = ramp(norm(np.maximum(values, low)))[:, :3]  # zero has no logarithm
    picture = draw_balls(seen(cells.cells, cells.upright()), cells.radii(), colours, _PIXELS)
    axes.imshow(picture)
    axes.set_axis_off()
    axes.set_title(title, loc="left", fontsize=11)
    bar = figure.colorbar(
        ScalarMappable(norm, ramp), ax=axes, shrink=0.7, aspect=28, pad=0.01, extend="both"
    )
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    if logarithmic:
        bar.ax.yaxis.set_minor_locator(NullLocator())
        bar.ax.yaxis.set_major_locator(FixedLocator(log_ticks(low, high)))
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))


def seen(cells: NDArray[np.int64], upright: NDArray[np.float64]) -> NDArray[np.float64]:
    """Middles of ``cells`` (V, 3), x to the right, y up, z towards the viewer."""
    cos, sin = np.cos(_TURN), np.sin(_TURN)
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    cos, sin = np.cos(_RISE), np.sin(_RISE)
    rise = np.array([[1, 0, 0], [0, sin, cos], [0, -cos, sin]])
    middles: NDArray[np.float64] = cells @ (rise @ turn @ upright).T
    return middles


def _draw_parts(axes: Any, found: BitMap, noun: str) -> None:
    """A strip: what each attribute takes, the parts that belong to no primitive first."""
    sums = found.sums()
    whole, start = sum(sums.values()), 0.0
    for part, bits in sums.items():
        width, colour = bits / max(len(found), 1), part_colour(part)
        text = f"{label(part)}  {width:.2f}  {bits / max(whole, 1):.0%}"
        axes.barh(0, width, left=start, color=colour, label=text, height=0.8)
        start += width
    axes.set_xlim(0, max(start, 1e-9))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel(f"bits per {noun}")
    if whole:  # else there is nothing to explain
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=6, frameon=False, fontsize=9
        )
