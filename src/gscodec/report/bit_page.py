"""Where the bits of a file are in space, as one HTML page that needs no network.

The page holds cells, not primitives: some hundred kilobytes whatever the size of the scene.
"""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from gscodec._version import __version__
from gscodec.report.bit_voxels import headline, voxels
from gscodec.report.page import html_page, key, safe, table
from gscodec.report.rd_style import RAMP, part_colour
from gscodec.report.text import label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gscodec.bitmap import BitMap
    from gscodec.report.bit_voxels import Voxels

_ALL = "all attributes"
_STYLE = """\
#view { display: block; width: 100%; height: min(34rem, 80vw + 8rem); touch-action: none; cursor: grab; }
#view:active { cursor: grabbing; }
.controls { display: flex; flex-wrap: wrap; gap: 0.5rem 1.2rem; align-items: center; }
.controls select { font: inherit; color: inherit; background: var(--paper);
  border: 1px solid var(--grid); border-radius: 4px; padding: 0.15rem 0.4rem; }
.ramp { display: inline-block; width: 11rem; height: 0.8rem; border-radius: 3px; }
#about { min-height: 1.5em; font-variant-numeric: tabular-nums; }
"""


def bit_map_html(
    found: BitMap, name: str, up: tuple[float, float, float] | None = None
) -> bytes:
    """The page of file ``name``: balls to turn and to ask, and bits by attribute."""
    cells = voxels(found, up)
    facts = [
        (f"{cells.noun}s", f"{len(found):,}"),
        ("cells", f"{len(cells):,}"),
        ("edge of a cell", f"{cells.edge:.3g}"),
    ]
    return html_page(
        f"Bits of {name}",
        headline(found),
        facts,
        f"{_view(cells)}\n<h2>Bits per {cells.noun}</h2>\n{_parts(found)}",
        footer=f"Written by gscodec {__version__}. Bits are what the tables of the file charge; "
        "positions share theirs evenly, networks and grid belong to the whole scene.",
        style=_STYLE,
    )


def _view(cells: Voxels) -> str:
    names = [_ALL, *map(label, cells.bits)]
    options = "".join(f'<option value="{i}">{safe(n)}</option>' for i, n in enumerate(names))
    script = files("gscodec.report").joinpath("bit_view.js").read_text(encoding="utf-8")
    return f"""\
<div class="controls">
<label>Show <select id="what">{options}</select></label>
<label>as <select id="how"><option value="mean">mean per {cells.noun}</option>
<option value="total">total per cell</option></select></label>
<span><span id="low"></span> <span class="ramp"
style="background: linear-gradient(90deg, {", ".join(RAMP)})"></span> <span id="high"></span></span>
</div>
<canvas id="view"></canvas>
<p id="about" class="muted"></p>
<p class="muted">{safe(cells.caption())} Drag to turn, scroll or pinch to come nearer.</p>
<script id="data" type="application/json">{_data(cells)}</script>
<script>
{script}</script>"""


def _data(cells: Voxels) -> str:
    """What the script reads; arrays as base64, little-endian."""
    values = {
        "noun": cells.noun,
        "names": [label(name) for name in cells.bits],
        "ramp": RAMP,
        "upright": cells.upright().astype(int).tolist(),
        "cells": _base64(cells.cells.astype(np.uint8)),
        "counts": _base64(cells.counts.astype("<u4")),
        "radii": _base64(cells.radii().astype("<f4")),
        "bits": [_base64(bits.astype("<f4")) for bits in cells.bits.values()],
    }
    return json.dumps(values)


def _base64(values: NDArray[np.generic]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode("ascii")


def _parts(found: BitMap) -> str:
    """Bits of every attribute, those of the whole scene too."""
    sums = found.sums()
    whole, count = max(sum(sums.values()), 1), max(len(found), 1)
    rows = []
    for part, bits in sums.items():
        colour = part_colour(part)
        bar = (
            f'<div class="bar"><span style="width: {100 * bits / whole:.3f}%; '
            f'background: {colour}"></span></div>'
        )
        each = f"{bits / count:.2f}"
        rows.append((f"{key(colour)}{safe(label(part))}", each, f"{bits / whole:.1%}", bar))
    return table(("attribute", "bits", "share", ""), rows, "bars")
