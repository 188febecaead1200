"""Rate-distortion curves as a picture: PNG for anywhere, SVG to stand in a page.

One figure makes both. It is drawn in the colours of a light page; in the SVG each of them
becomes a CSS variable, so that the page decides, and each point has a title to hover over.
"""

from __future__ import annotations

import io
import re
from html import escape
from typing import TYPE_CHECKING, Any

from gscodec.report.plot_style import STYLE, log_ticks, short_name
from gscodec.report.rd_result import SPZ, lambda_text
from gscodec.report.rd_style import COLOURS, series_colour
from gscodec.report.text import size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gscodec.report.rd_result import Point, RdResult

_INCHES = (8.0, 4.8)


def rd_png(result: RdResult) -> bytes:
    """The curves with a title, 1600 pixels wide.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    title = (
        f"{short_name(result.source)}: {result.gaussians:,} {result.noun}, {result.views} views"
    )
    return _saved(result, title, format="png", dpi=200, facecolor=COLOURS["paper"])


def rd_svg(result: RdResult) -> str:
    """The curves as an ``<svg>`` element for HTML, in CSS variables named as `COLOURS`.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    document = _saved(result, "", format="svg", transparent=True, metadata={"Date": None})
    svg = document.decode()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)  # HTML knows them
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    for name, colour in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    for number, point in enumerate(result.points):
        tag = f'<g id="point-{number}">'
        svg = svg.replace(tag, f"{tag}<title>{escape(_description(point, result))}</title>")
    return svg


def _saved(result: RdResult, title: str, **options: Any) -> bytes:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    target = io.BytesIO()
    with rc_context(STYLE):
        figure = Figure(figsize=_INCHES, layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, result)
        if title:
            axes.set_title(title, loc="left", fontsize=12, fontweight="bold", pad=14)
        figure.savefig(target, **options)
    return target.getvalue()


def _draw(axes: Any, result: RdResult) -> None:
    # A lossless point is far away from all others; the tables have it.
    shown = [p for p in result.points if not p.lossless] or list(result.points)
    methods = [name for name in result.curves() if name != SPZ]
    for number, name in enumerate(methods):
        points = sorted((p for p in shown if p.codec == name), key=lambda p: p.bytes)
        if points:
            _draw_curve(axes, points, COLOURS[series_colour(number)])
    if result.spz in shown:
        _draw_spz(axes, result.spz, result)
    for number, point in enumerate(result.points):
        if point in shown:  # what the pointer hits
            axes.plot(
                point.bytes,
                point.psnr,
                "o",
                color=COLOURS["ink"],
                markersize=16,
                alpha=0.0,
                gid=f"point-{number}",
            )
    _dress(axes, shown)


def _draw_curve(axes: Any, points: Sequence[Point], colour: str) -> None:
    axes.plot(
        [p.bytes for p in points],
        [p.psnr for p in points],
        "o-",
        color=colour,
        linewidth=2,
        markersize=6.5,
        markeredgecolor=COLOURS["paper"],
        markeredgewidth=1.2,
        label=points[0].codec,
        zorder=3,
    )
    for point in points:
        if point.lam is not None:
            axes.annotate(
                f"λ {lambda_text(point.lam)}",
                (point.bytes, point.psnr),
                (-7, 3),  # what is to the right and below belongs to SPZ
                textcoords="offset points",
                ha="right",
                fontsize=8,
                color=COLOURS["muted"],
            )


def _draw_spz(axes: Any, spz: Any, result: RdResult) -> None:
    """A diamond, and how far to the left of it the best curve is."""
    ink = COLOURS["ink"]
    axes.plot(spz.bytes, spz.psnr, "D", color=ink, markersize=7, label=SPZ, zorder=4)
    best = next(iter(result.at_spz()), None)
    if best is None or best.ratio >= 1:
        return
    axes.annotate(
        "",
        (best.bytes, spz.psnr),
        (spz.bytes, spz.psnr),
        arrowprops={"arrowstyle": "->", "color": ink, "linewidth": 1, "shrinkA": 7},
    )
    axes.annotate(
        f"{best.ratio:.2f} of the bytes",
        (spz.bytes, spz.psnr),
        (-9, 5),
        textcoords="offset points",
        ha="right",
        fontsize=9,
    )


def _dress(axes: Any, shown: Sequence[Point]) -> None:
    from matplotlib.ticker import MaxNLocator

    scale_by_size(axes, [point.bytes for point in shown])
    axes.yaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))
    axes.margins(y=0.12)
    axes.grid(visible=True)
    axes.tick_params(length=0)
    axes.set_xlabel("file size (logarithmic)")
    axes.set_ylabel("PSNR of renders, dB")
    axes.legend(loc="upper left", frameon=False)


def scale_by_size(axes: Any, sizes: Sequence[float], most_ticks: int | None = None) -> None:
    """The horizontal axis for files of these ``sizes``: logarithmic, ticks at round numbers."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_xscale("log")
    low, high = min(sizes) / 1.25, max(sizes) * 1.25
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(log_ticks(low, high), most_ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: file_size(value)))


def file_size(count: float) -> str:
    """For example ``1.66 MB`` or ``229 kB``: three digits, powers of 1000."""
    unit, name = (1e6, "MB") if count >= 999_500 else (1e3, "kB")
    return f"{count / unit:.3g} {name}"


def _description(point: Point, result: RdResult) -> str:
    bits = result.bits_per_gaussian(point.bytes)
    return (
        f"{point.name}: {size(point.bytes)}, {bits:.2f} bits per Gaussian, "
        f"{point.psnr:.2f} dB, SSIM {point.ssim:.5f}"
    )
