"""The colours of pages and pictures, light and dark."""

from __future__ import annotations

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
    "latent": "#b48ead",
    "position": "#2f6fb5",
    "displacement": "#4c8fca",
    "opacity": "#58a6d6",
    "scale": "#2a9d8f",
    "rotation": "#7cc07a",
    "sh_dc": "#e9b949",
    "sh_1": "#e8893a",
    "sh_2": "#d65f3f",
    "sh_3": "#b23a48",
    "mask": "#58a6d6",
    "feature": "#e9b949",
    "scaling": "#2a9d8f",
    "offset": "#d65f3f",
    "rendering": "#5d6673",
    "checkpoint": "#bcc4cd",
    "extra": "#8a6fb0",
    "container": "#c9ced6",
}
UNKNOWN_PART = "#8d8d8d"  # a file of which the parts are not known
# From few to many, even in lightness and to colour-blind eyes: viridis of matplotlib.
RAMP = (
    "#440154",
    "#472d7b",
    "#3b528b",
    "#2c728e",
    "#21918c",
    "#28ae80",
    "#5ec962",
    "#addc30",
    "#fde725",
)

# By depth: neighbouring levels differ.
_LATENTS = (PARTS["latent"], "#8f6b89", "#d0b4cb")


def part_colour(part: str) -> str:
    """Of a part of a file, or of one level of its latents: ``latent_7``."""
    name, _, depth = part.partition("_")
    if name == "latent" and depth:
        return _LATENTS[int(depth) % len(_LATENTS)]
    return PARTS.get(part, UNKNOWN_PART)


def series_colour(number: int) -> str:
    """Name of the CSS variable of the curve with this number."""
    return _SERIES[number % len(_SERIES)]
