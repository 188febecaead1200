"""Pages in a browser as narrow as a phone: nothing is cut off, text can be read, fingers work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from browsing import browser
from gscodec.report.bit_page import bit_map_html
from test_bit_map import MAPS
from test_rd import TWO_CURVES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from browsing import Browser

PHONE = (390, 844)
LEAST = 8.0  # pixels of text's height


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path) as found:
        yield found


def overflow(window: Browser, what: str) -> float:
    """Pixels of an element that its window does not show."""
    script = f"const e = {what}; return e.scrollWidth - e.clientWidth"
    return float(window.run(script))


@pytest.mark.parametrize("dark", [False, True])
def test_curves_on_a_phone(window: Browser, tmp_path: Path, dark: bool) -> None:
    """The page is no wider than the phone; what is wide in it can be scrolled, and read."""
    pytest.importorskip("matplotlib")
    from gscodec.report.rd_page import rd_html

    page = tmp_path / "rd.html"
    page.write_bytes(rd_html(TWO_CURVES))
    window.show(page.as_uri(), *PHONE, dark=dark)
    assert overflow(window, "document.documentElement") == 0
    heights = window.run(
        "return [...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect())"
        ".map(box => Math.min(box.width, box.height))"
    )
    assert min(heights) >= LEAST
    assert (window.picture()[0, 0].mean() < 0.5) == dark


def test_a_map_on_a_phone(window: Browser, tmp_path: Path) -> None:
    """Its table fits, and two fingers that part bring the balls nearer."""
    page = tmp_path / "map.html"
    page.write_bytes(bit_map_html(MAPS["cloud"], "a.gsz"))
    window.show(page.as_uri(), *PHONE)
    assert overflow(window, "document.documentElement") == 0
    assert overflow(window, "document.querySelector('.scroll')") == 0
    box = window.run("return document.getElementById('view').getBoundingClientRect()")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def coloured() -> int:
        window.run("return new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        return int((np.ptp(window.picture(), axis=2) > 0.1).sum())

    before = coloured()
    for kind, apart in (("touchStart", 20), ("touchMove", 45), ("touchEnd", None)):
        fingers = [] if apart is None else [(x - apart, y), (x + apart, y)]
        window.touch(kind, fingers)
    assert coloured() > 1.5 * before
