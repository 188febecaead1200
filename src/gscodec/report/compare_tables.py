"""A comparison of two scenes -> tables: what was compared, attributes, views, and means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from gscodec.report.compare_result import MatchedBy
from gscodec.report.text import printable, shown, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gscodec.report.compare_result import (
        CompareResult,
        Quality,
        Side,
        ViewQuality,
    )


def comparison_tables(result: CompareResult) -> Iterator[Table]:
    """What matters most comes last, where a terminal stops scrolling."""
    yield _facts(result)
    if result.attributes.errors:
        yield _attributes(result)
    if result.views:
        yield _views(result)
        yield _means(result)


def _facts(result: CompareResult) -> Table:
    table = Table(box=None, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    facts = {
        "a": _side(result.a),
        "b": _side(result.b),
        "views": result.views_from,
        "background": shown(result.background),
        "matched": _matched(result),
        **_left_out(result.blank_views),
    }
    for key, value in [*facts.items(), *(("note", note) for note in result.notes)]:
        table.add_row(key, Text(printable(value)))
    return table


def _left_out(names: Sequence[str]) -> dict[str, str]:
    if not names:
        return {}
    show = "view shows" if len(names) == 1 else "views show"
    return {"left out": f"{len(names)} {show} nothing of either scene (first: {names[0]})"}


def _side(side: Side) -> str:
    name = side.name if side.bytes is None else f"{side.name}, {size(side.bytes)}"
    if side.gaussians is None:
        return f"{name}, {side.anchors:,} anchors of {side.offsets} offsets"
    return f"{name}, {side.gaussians:,} Gaussians, SH {side.sh_degree}"


def _matched(result: CompareResult) -> str:
    attributes = result.attributes
    if attributes.by is MatchedBy.NOTHING:
        return "nothing: one scene has anchors, the other Gaussians"
    text = f"{attributes.matched:,} {_primitives(result)}"
    left = {"a": attributes.unmatched_a, "b": attributes.unmatched_b}
    without = [f"{count:,} of {name}" for name, count in left.items() if count]
    return f"{text}; without a partner: {', '.join(without)}" if without else text


def _primitives(result: CompareResult) -> str:
    return "anchors" if result.a.gaussians is None else "Gaussians"


def _attributes(result: CompareResult) -> Table:
    attributes = result.attributes
    estimated = f"estimated by matching {_primitives(result)}"
    in_order = "anchor by anchor, in their order"
    how = in_order if attributes.by is MatchedBy.ORDER else estimated
    table = _table(f"errors of b, {how}")
    table.add_column("attribute")
    table.add_column("RMS", justify="right")
    table.add_column("max", justify="right")
    table.add_column("in")
    for error in attributes.errors:
        table.add_row(error.name, shown(error.rms), shown(error.max), error.unit)
    return table


def _views(result: CompareResult) -> Table:
    table = _table("views, b against a")
    table.add_column("view", overflow="fold")
    table.add_column("pixels", justify="right")
    names = _measures(result)
    for name in names:
        table.add_column(name, justify="right")
    if result.to_photographs:
        for name in ("PSNR of a to photo", "of b", "loss"):
            table.add_column(name, justify="right")
    for view in result.views:
        pixels = f"{view.width} x {view.height}"
        table.add_row(
            Text(printable(view.name)),
            pixels,
            *_numbers(view.quality, names),
            *_to_photograph(view),
        )
    return table


def _to_photograph(view: ViewQuality) -> tuple[str, ...]:
    a, b = view.a_to_photograph, view.b_to_photograph
    if a is None or b is None:
        return ()
    return f"{a.psnr:.2f}", f"{b.psnr:.2f}", f"{a.psnr - b.psnr:.3f}"


def _means(result: CompareResult) -> Table:
    table = _table(f"mean over {len(result.views)} views")
    table.add_column("")
    names = _measures(result)
    for name in names:
        table.add_column(name, justify="right")
    rows: list[tuple[str, Quality | None]] = [("b against a", result.mean)]
    if result.worst:
        rows.append((f"worst view, {printable(result.worst.name)}", result.worst.quality))
    if result.to_photographs:
        a, b = result.to_photographs
        rows += [
            ("a against photographs", a),
            ("b against photographs", b),
            ("loss", a.loss(b)),
        ]
    for name, quality in rows:
        if quality:
            table.add_row(Text(name), *_numbers(quality, names))
    return table


def _measures(result: CompareResult) -> Sequence[str]:
    """Names of what was measured."""
    mean = result.mean
    known = {"FLIP": mean and mean.flip, "LPIPS": mean and mean.lpips}
    return ("PSNR", "SSIM", *(name for name, value in known.items() if value is not None))


def _numbers(quality: Quality, names: Sequence[str]) -> Iterator[str]:
    texts = {"PSNR": f"{quality.psnr:.3f} dB", "SSIM": f"{quality.ssim:.5f}"}
    for name, value in (("FLIP", quality.flip), ("LPIPS", quality.lpips)):
        texts[name] = "-" if value is None else f"{value:.5f}"
    yield from (texts[name] for name in names)


def _table(title: str) -> Table:
    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
    )
