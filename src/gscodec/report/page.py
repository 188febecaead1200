"""The frame of HTML pages that need no network, and pieces that they share."""

from __future__ import annotations

from html import escape
from string import Template
from typing import TYPE_CHECKING

from gscodec.report.rd_style import COLOURS, DARK
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>
:root { $light }
@media (prefers-color-scheme: dark) { :root { $dark } }
body { margin: 2.5rem auto; max-width: 60rem; padding: 0 1.25rem; color: var(--ink);
  background: var(--paper); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.5rem 0 0.5rem; }
p { margin: 0.4rem 0; }
.muted, figcaption, footer { color: var(--muted); }
.facts { display: flex; flex-wrap: wrap; gap: 0.75rem 2.5rem; margin: 1.5rem 0; }
.facts dt { color: var(--muted); font-size: 0.85rem; }
.facts dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; }
svg text { font-family: system-ui, sans-serif !important; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
figure { margin: 0 0 1rem; }
figcaption { padding-bottom: 0.4rem; }
th, td { padding: 0.3rem 0.9rem 0.3rem 0; text-align: right; white-space: nowrap; }
th { font-weight: 600; border-bottom: 1px solid var(--muted); }
td { border-bottom: 1px solid var(--grid); }
th:first-child, td:first-child, .bars td, .bars th { text-align: left; }
.narrow { width: auto; }
.narrow th, .narrow td { padding-right: 2.5rem; }
.bars td:last-child { width: 100%; padding-right: 0; }
.key { display: inline-block; width: 0.7rem; height: 0.7rem; border-radius: 2px;
  margin-right: 0.4rem; }
.bar { display: flex; height: 1.1rem; gap: 1px; min-width: 14rem; }
.bar > span:first-child { border-radius: 3px 0 0 3px; }
.bar > span:last-child { border-radius: 0 3px 3px 0; }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; margin-bottom: 0.6rem; }
footer { margin-top: 3rem; font-size: 0.85rem; }
@media (max-width: 36rem) {
  .scroll > svg { min-width: 40rem; }
  .bars th, .bars td { padding-right: 0.6rem; }
  .bar { min-width: 4.5rem; }
  .narrow th, .narrow td { padding-right: 0.9rem; }
}
$style</style>
</head>
<body>
<h1>$title</h1>
<p class="muted">$subtitle</p>
<dl class="facts">$facts</dl>
$sections
<footer>$footer</footer>
</body>
</html>
""")


def html_page(
    title: str,
    subtitle: str,
    facts: Iterable[tuple[str, str]],
    body: str,
    *,
    footer: str,
    style: str = "",
) -> bytes:
    """A whole page; ``body``, ``footer`` and ``style`` (CSS) are written as they are.

    Args:
        title: Text.
        subtitle: Text.
        facts: Names and values, texts, shown large above the body.
        body: HTML.
        footer: HTML.
        style: Further CSS, whole lines.
    """
    values = "".join(f"<div><dt>{safe(n)}</dt><dd>{safe(v)}</dd></div>" for n, v in facts)
    page = _PAGE.substitute(
        title=safe(title),
        subtitle=safe(subtitle),
        light=_variables(COLOURS),
        dark=_variables(DARK),
        facts=values,
        sections=body,
        footer=footer,
        style=style,
    )
    return page.encode()


def safe(text: str) -> str:
    """``text`` of unknown origin as HTML."""
    return escape(printable(text))


def key(colour: str) -> str:
    """A small square, of a CSS colour, for legends."""
    return f'<span class="key" style="background: {colour}"></span>'


def table(
    headings: Iterable[str],
    rows: Sequence[Sequence[str]],
    kind: str = "",
    caption: str = "",
) -> str:
    """A table of class ``kind``; cells are HTML already."""
    head = "".join(f"<th>{cell}</th>" for cell in headings)
    body = "\n".join(f"<tr>{''.join(f'<td>{c}</td>' for c in row)}</tr>" for row in rows)
    title = f"<figcaption>{caption}</figcaption>" if caption else ""
    return (
        f'<figure>{title}<div class="scroll"><table class="{kind}">'
        f"<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div></figure>"
    )


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())
