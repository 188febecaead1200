"""Pictures -> one picture: contact sheets of many views, and sheets of differences.

Strategy: every picture becomes a tile of at most `_TILE_WIDTH` pixels, smaller where the whole
sheet would have more than `_MOST_PIXELS`. Pictures never grow.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np

from gscodec.errors import UsageError
from gscodec.report.rd_style import RAMP
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from PIL import Image

    Picture = NDArray[np.float32]

_TILE_WIDTH = 480  # pixels
_MOST_PIXELS = 16_000_000
_GAP = 4  # pixels between tiles
_TEXT_HEIGHT = 18  # pixels of a caption
_FONT_SIZE = 12
_PAPER, _INK = (32, 32, 32), (232, 232, 232)
_SEEN_GAIN = 2.0  # of FLIP, which is 0.5 where nobody can miss it
_NO_PILLOW = "pictures need Pillow; pip install 'gscodec[render]'"


def contact_sheet(
    images: Sequence[Picture],
    columns: int | None = None,
    captions: Sequence[str] = (),
    headings: Sequence[str] = (),
) -> bytes:
    """PNG of all ``images`` in rows of ``columns``.

    Args:
        images: (H, W, 3) each, 0 to 1 (clipped), of any sizes.
        columns: None is what makes the sheet about as wide as four thirds of its height.
        captions: One for each image, or none at all.
        headings: One for each column, above it, or none at all.

    Raises:
        UsageError: There are no images, or not as many captions; or Pillow is missing.
    """
    if not images:
        raise UsageError("a sheet needs at least one picture")
    if captions and len(captions) != len(images):
        raise UsageError(
            f"found {len(captions)} captions for {len(images)} pictures of a sheet"
        )
    if columns is None:
        height, width = _largest(images)
        columns = math.ceil(math.sqrt(len(images) * height / width * 4 / 3))
    columns = min(max(columns, 1), len(images))
    width, height = _tile_size(images, columns)
    text = _TEXT_HEIGHT if captions else 0
    rows = -(-len(images) // columns)
    top = _TEXT_HEIGHT + _GAP if headings else _GAP
    sheet = _paper(columns * (width + _GAP) + _GAP, rows * (height + text + _GAP) + top)
    for k, heading in enumerate(headings):
        _write(sheet, heading, (_GAP + k * (width + _GAP), _GAP), width)
    for k, image in enumerate(images):
        x = _GAP + k % columns * (width + _GAP)
        y = top + k // columns * (height + text + _GAP)
        sheet.paste(_tile(image, width, height), (x, y))
        if captions:
            _write(sheet, captions[k], (x, y + height), width)
    return _png(sheet)


def difference_sheet(
    rows: Sequence[tuple[Picture, Picture]],
    gain: float = 8.0,
    captions: Sequence[str] = (),
    names: tuple[str, str] | None = None,
    seen: Callable[[Picture, Picture], Picture] | None = None,
) -> bytes:
    """PNG with a row for each pair: a, b, and how far they are apart, times ``gain``.

    Args:
        rows: Pairs of (H, W, 3) images of the same size, 0 to 1 (clipped before they are
            compared).
        gain: What differences are multiplied by to be seen.
        captions: One for each pair, or none at all; written under ``a``.
        names: Of a and b, above their columns; None leaves all columns without headings.
        seen: Gives a fourth column: (H, W) how different each pixel looks, 0 to 1.

    Raises:
        UsageError: As `contact_sheet`, or the pictures of a pair differ in size.
    """
    if captions and len(captions) != len(rows):
        raise UsageError(f"found {len(captions)} captions for {len(rows)} rows of a sheet")
    images: list[Picture] = []
    for a, b in rows:
        if a.shape != b.shape:
            raise UsageError(f"pictures to compare have sizes {a.shape} and {b.shape}")
        images += [a, b, np.abs(_unit(a) - _unit(b)) * np.float32(gain)]
        if seen is not None:
            images.append(_coloured(seen(_unit(a), _unit(b)) * np.float32(_SEEN_GAIN)))
    columns = 3 if seen is None else 4
    texts = [text for caption in captions for text in (caption, *[""] * (columns - 1))]
    headings: tuple[str, ...] = ()
    if names is not None:
        headings = (f"A: {names[0]}", f"B: {names[1]}", f"difference x {gain:g}")
        headings += () if seen is None else (f"FLIP x {_SEEN_GAIN:g}",)
    return contact_sheet(images, columns, texts, headings)


def _coloured(values: Picture) -> Picture:
    """(H, W) as (H, W, 3), from dark for 0 to bright for 1."""
    ends = [[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in RAMP]
    ramp = np.array(ends, np.float32)
    places = np.linspace(0, 1, len(ramp))
    channels = [np.interp(values, places, ramp[:, k]) for k in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def _unit(image: Picture) -> Picture:
    """Within 0 to 1, nothing else."""
    return np.clip(np.nan_to_num(image, nan=0.0), 0, 1)


def _largest(images: Sequence[Picture]) -> tuple[int, int]:
    """Height and width that hold every one of ``images``."""
    return max(i.shape[0] for i in images), max(i.shape[1] for i in images)


def _tile_size(images: Sequence[Picture], columns: int) -> tuple[int, int]:
    """Width and height of the tiles, pixels."""
    height, width = _largest(images)
    pixels = -(-len(images) // columns) * columns * height * width
    shrink = min(1.0, _TILE_WIDTH / width, math.sqrt(_MOST_PIXELS / pixels))
    return max(1, int(width * shrink)), max(1, int(height * shrink))


def _tile(image: Picture, width: int, height: int) -> Image.Image:
    from PIL import Image

    picture = Image.fromarray(np.rint(_unit(image) * 255).astype(np.uint8))
    picture.thumbnail((width, height), Image.Resampling.LANCZOS)
    return picture


def _paper(width: int, height: int) -> Image.Image:
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError(_NO_PILLOW) from error
    return Image.new("RGB", (width, height), _PAPER)


def _write(sheet: Image.Image, text: str, at: tuple[int, int], width: int) -> None:
    """Writes as much of ``text`` as fits into ``width`` pixels."""
    from PIL import ImageDraw, ImageFont

    font = ImageFont.load_default(_FONT_SIZE)
    text = printable(text)
    while text and font.getlength(text) > width:
        text = text[:-1]
    ImageDraw.Draw(sheet).text(at, text, _INK, font)


def _png(sheet: Image.Image) -> bytes:
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()
