"""A rate-distortion result as one HTML page that needs no network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gscodec._version import __version__
from gscodec.report.page import html_page, key, safe, table
from gscodec.report.rd_plot import file_size, rd_svg
from gscodec.report.rd_result import SPZ, lambda_text
from gscodec.report.rd_style import PARTS, UNKNOWN_PART, series_colour
from gscodec.report.text import label, size

if TYPE_CHECKING:
    from gscodec.report.rd_result import Point, RdResult

_FOOTER = """\
Written by gscodec {}. PSNR and SSIM compare renders of the decoded scene with
renders of the source, mean over the views; 100 dB stands for identical pictures."""


def rd_html(result: RdResult) -> bytes:
    """The page: summary, curves, bits by attribute, Bjontegaard rates, notes.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    sections = (
        ("Rate and distortion", f'<div class="scroll">{rd_svg(result)}</div>'),
        ("Points", _points(result)),
        ("Bits per Gaussian", _bars(result)),
        ("Curves against each other", _comparisons(result)),
        ("Notes", "".join(f"<p>{safe(note)}</p>\n" for note in result.notes)),
    )
    body = "\n".join(f"<h2>{name}</h2>\n{body}" for name, body in sections if body)
    return html_page(
        f"Rate and distortion of {result.source}",
        f"Views: {result.views_from}",
        _facts(result),
        body,
        footer=_FOOTER.format(__version__),
    )


def _facts(result: RdResult) -> list[tuple[str, str]]:
    facts = [
        (result.noun, f"{result.gaussians:,}"),
        *([] if result.sh_degree is None else [("SH degree", f"{result.sh_degree}")]),
        ("source", file_size(result.source_bytes)),
    ]
    spz, best = result.spz, next(iter(result.at_spz()), None)
    if spz is not None:
        facts.append((SPZ, f"{file_size(spz.bytes)}, {spz.psnr:.2f} dB"))
    if best is not None:
        value = f"{file_size(best.bytes)}, {best.ratio:.3f} of {SPZ}"
        facts.append((f"{best.codec} at that PSNR", value))
    return facts


def _points(result: RdResult) -> str:
    rows = [
        (
            f"{key(_colour(point, result))}{safe(point.codec)}",
            "" if point.lam is None else lambda_text(point.lam),
            f"{point.bytes:,}",
            f"{result.source_bytes / point.bytes:.1f} : 1",
            f"{result.bits_per_gaussian(point.bytes):.2f}",
            f"{point.psnr:.2f}",
            f"{point.worst_psnr:.2f}",
            f"{point.ssim:.5f}",
            f"{point.gaussians:,}",
            f"{point.encode_seconds:.1f}",
        )
        for point in result.points
    ]
    headings = (
        "codec",
        "λ",
        "bytes",
        "ratio",
        "bits per Gaussian",
        "PSNR, dB",
        "worst view",
        "SSIM",
        "Gaussians",
        "encode, s",
    )
    return table(headings, rows)


def _bars(result: RdResult) -> str:
    """Files as bars to one scale, that of the largest; one without loss must not set it."""
    lossy = [point.bytes for point in result.points if not point.lossless]
    scale = max(lossy or [point.bytes for point in result.points])
    rows = [
        (
            safe(point.name),
            f"{result.bits_per_gaussian(point.bytes):.2f}",
            _bar(point, scale, result),
        )
        for point in result.points
    ]
    found = dict.fromkeys(part for point in result.points for part in point.parts)
    keys = "".join(f"<span>{key(_part_colour(p))}{safe(label(p))}</span>" for p in found)
    return f'<div class="legend">{keys}</div>\n{table(("codec", "bits", ""), rows, "bars")}'


def _bar(point: Point, scale: int, result: RdResult) -> str:
    parts = point.parts or {"whole file": point.bytes}
    factor = 100 / max(scale, point.bytes)
    spans = (
        f'<span style="width: {count * factor:.3f}%; background: {_part_colour(part)}" '
        f'title="{safe(label(part))}: {result.bits_per_gaussian(count):.2f} bits, '
        f'{size(count)}, {count / point.bytes:.1%}"></span>'
        for part, count in parts.items()
        if count
    )
    note = '<span class="muted">not to scale</span>' if point.bytes > scale else ""
    return f'<div class="bar">{"".join(spans)}</div>{note}'


def _part_colour(part: str) -> str:
    return PARTS.get(part, UNKNOWN_PART)


def _colour(point: Point, result: RdResult) -> str:
    if point.codec == SPZ:
        return "var(--ink)"
    methods = [name for name in result.curves() if name != SPZ]
    return f"var(--{series_colour(methods.index(point.codec))})"


def _comparisons(result: RdResult) -> str:
    tables = []
    if result.at_spz():
        rows = [(safe(f.codec), f"{f.bytes:,.0f}", f"{f.ratio:.3f}") for f in result.at_spz()]
        caption = f"At the PSNR of {SPZ}: log(bytes) is linear in PSNR between two points."
        headings = ("codec", "bytes there", f"of the bytes of {SPZ}")
        tables.append(table(headings, rows, "narrow", caption))
    if result.comparisons():
        rows = [
            (safe(pair.test), safe(pair.reference), f"{pair.rate:+.1f} %")
            for pair in result.comparisons()
        ]
        caption = (
            "Bjontegaard rates: mean difference in bytes at equal PSNR where curves overlap."
        )
        tables.append(table(("codec", "against", "bytes"), rows, "narrow", caption))
    return "\n".join(tables)
