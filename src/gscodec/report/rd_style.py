"""How a rate-distortion page looks: its colours, light and dark, and its frame."""

from __future__ import annotations

from string import Template

# CSS variable -> colour of a light page. Series: blue, vermilion, green, purple, as they can
# be told apart without colour vision (Okabe and Ito, 2008), darkened for thin lines on white.
COLOURS = {
    "ink": "#1b1f24",
    "muted": "#667080",
    "grid": "#e3e6ea",
    "paper": "#fefefe",
    "series-1": "#0b62a8",
    "series-2": "#c4500a",
    "series-3": "#0a7d5c",
    "series-4": "#9a3f86",
}
_SERIES = [name for name in COLOURS if name.startswith("series-")]
# Colours of a dark page, by the names of `COLOURS`.
DARK = {
    "ink": "#e8eaed",
    "muted": "#9aa4b2",
    "grid": "#333a43",
    "paper": "#16191d",
    "series-1": "#5aa9ec",
    "series-2": "#f28e52",
    "series-3": "#3fc29a",
    "series-4": "#d58bc4",
}
# Colours of the parts of a file on both pages: the model grey, geometry blue and green,
# colours from yellow to red.
PARTS = {
    "networks": "#7d8794",
    "grid": "#a7b0bb",
    "position": "#2f6fb5",
    "opacity": "#58a6d6",
    "scale": "#2a9d8f",
    "rotation": "#7cc07a",
    "sh_dc": "#e9b949",
    "sh_1": "#e8893a",
    "sh_2": "#d65f3f",
    "sh_3": "#b23a48",
    "extra": "#8a6fb0",
    "container": "#c9ced6",
}
UNKNOWN_PART = "#8d8d8d"  # a file of which the parts are not known

PAGE = Template("""\
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
.muted, caption, footer { color: var(--muted); }
.facts { display: flex; flex-wrap: wrap; gap: 0.75rem 2.5rem; margin: 1.5rem 0; }
.facts dt { color: var(--muted); font-size: 0.85rem; }
.facts dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; }
svg text { font-family: system-ui, sans-serif !important; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: 0.4rem; }
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
</style>
</head>
<body>
<h1>$title</h1>
<p class="muted">$subtitle</p>
<dl class="facts">$facts</dl>
$sections
<footer>Written by gscodec $version. PSNR and SSIM compare renders of the decoded scene with
renders of the source, mean over the views; 100 dB stands for identical pictures.</footer>
</body>
</html>
""")


def series_colour(number: int) -> str:
    """Name of the CSS variable of the curve with this number."""
    return _SERIES[number % len(_SERIES)]
