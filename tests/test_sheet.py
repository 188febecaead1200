"""Contact sheets and sheets of differences: what is where in the picture."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from gscodec.errors import UsageError
from gscodec.report.sheet import contact_sheet, difference_sheet

if TYPE_CHECKING:
    from numpy.typing import NDArray

GAP = 4


def plain(height: int, width: int, *colour: float) -> NDArray[np.float32]:
    return np.full((height, width, 3), colour, np.float32)


def pixels(png: bytes) -> NDArray[np.uint8]:
    """(H, W, 3) of a PNG."""
    image = Image.open(io.BytesIO(png))
    assert (image.format, image.mode) == ("PNG", "RGB")
    return np.asarray(image)


def test_pictures_are_in_rows_in_their_order() -> None:
    colours = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1)]
    sheet = pixels(contact_sheet([plain(20, 30, *c) for c in colours], columns=3))
    assert sheet.shape == (2 * (20 + GAP) + GAP, 3 * (30 + GAP) + GAP, 3)
    for k, colour in enumerate(colours):
        y, x = GAP + k // 3 * (20 + GAP), GAP + k % 3 * (30 + GAP)
        assert (sheet[y : y + 20, x : x + 30] == np.array(colour) * 255).all()


def test_values_are_clipped_and_nan_is_black() -> None:
    image = plain(1, 4, 0.0, 0.0, 0.0)
    rows = [[-1, 2, 0.5], [np.nan, np.inf, -np.inf], [1, 1, 1], [0.2, 0.4, 0.6]]
    image[0] = np.array(rows)
    sheet = pixels(contact_sheet([image]))
    expected = [[0, 255, 128], [0, 255, 0], [255, 255, 255], [51, 102, 153]]
    assert sheet[GAP, GAP : GAP + 4].tolist() == expected


def test_pictures_of_several_sizes_keep_their_shape() -> None:
    sheet = pixels(contact_sheet([plain(20, 40, 1, 0, 0), plain(40, 20, 0, 1, 0)], columns=2))
    assert sheet.shape == (40 + 2 * GAP, 2 * 40 + 3 * GAP, 3)
    assert (sheet[..., 0] == 255).sum() == (sheet[..., 1] == 255).sum() == 800


def test_large_pictures_shrink() -> None:
    sheet = pixels(contact_sheet([plain(1080, 1920, 0, 1, 0)] * 2, columns=2))
    assert sheet.shape == (270 + 2 * GAP, 2 * 480 + 3 * GAP, 3)
    assert (sheet[100, 100] == [0, 255, 0]).all()


def test_a_sheet_of_many_pictures_stays_small() -> None:
    picture = plain(480, 480, 1, 1, 1)
    sheet = pixels(contact_sheet([picture] * 300))
    assert sheet.shape[0] * sheet.shape[1] < 20e6
    assert (sheet == 255).mean() > 0.8


def test_columns_make_the_sheet_wider_than_high() -> None:
    height, width, _ = pixels(contact_sheet([plain(30, 40, 1, 1, 1)] * 48)).shape
    assert 0.8 < width / height < 2


def test_captions_are_below_their_pictures() -> None:
    images = [plain(20, 60, 1, 0, 0)] * 2
    bare, told = (pixels(contact_sheet(images, 2, c)) for c in ((), ("one", "")))
    assert told.shape[0] > bare.shape[0]
    below = told[GAP + 20 : -GAP]
    assert (below[:, : 60 + GAP] > 200).any()
    assert not (below[:, 60 + 2 * GAP :] > 200).any()


def test_captions_do_not_run_into_the_next_one() -> None:
    images = [plain(20, 60, 1, 0, 0)] * 2
    sheet = pixels(contact_sheet(images, 2, ("a very long caption of a small picture\x1b", "")))
    assert not (sheet[GAP + 20 : -GAP, 60 + 2 * GAP :] > 200).any()


def test_rows_of_differences() -> None:
    a, b = plain(10, 20, 0.5, 0.5, 0.25), plain(10, 20, 0.5, 0.55, 5.0)
    sheet = pixels(difference_sheet([(a, b), (b, b)], gain=4.0))
    assert sheet.shape == (2 * (10 + GAP) + GAP, 3 * (20 + GAP) + GAP, 3)
    row = [sheet[GAP + 5, GAP + 5 + k * (20 + GAP)].tolist() for k in range(3)]
    assert row == [[128, 128, 64], [128, 140, 255], [0, 51, 255]]  # b is clipped first
    assert (sheet[-GAP - 5, -GAP - 5] == 0).all()


def test_headings_are_above_their_columns() -> None:
    a, b = plain(10, 60, 0, 0, 0), plain(10, 60, 1, 1, 1)

    def seen(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(np.abs(a - b).mean(axis=2), np.float32)

    bare = pixels(difference_sheet([(a, b), (a, a)], gain=1.0, seen=seen))
    told = pixels(difference_sheet([(a, b), (a, a)], gain=1.0, names=("x", "y"), seen=seen))
    assert bare.shape == (2 * (10 + GAP) + GAP, 4 * (60 + GAP) + GAP, 3)
    above = told.shape[0] - bare.shape[0]
    assert (told[above + GAP :] == bare[GAP:]).all()
    for k in range(4):
        column = told[:above, GAP + k * (60 + GAP) :][:, :60]
        assert (column > 200).any()
    map_of = [bare[GAP + 5 + k * (10 + GAP), -GAP - 5].tolist() for k in range(2)]
    assert map_of[0] == [0xFD, 0xE7, 0x25]  # all the difference there can be
    assert map_of[1] == [0x44, 0x01, 0x54]


@pytest.mark.parametrize(
    ("images", "captions", "text"),
    [
        ([], (), "at least one picture"),
        ([plain(2, 2, 0, 0, 0)], ("a", "b"), "found 2 captions for 1 pictures"),
    ],
)
def test_bad_contact_sheets(
    images: list[NDArray[np.float32]], captions: tuple[str, ...], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        contact_sheet(images, captions=captions)


def test_bad_difference_sheets() -> None:
    small, large = plain(2, 2, 0, 0, 0), plain(2, 3, 0, 0, 0)
    with pytest.raises(UsageError, match=r"sizes \(2, 2, 3\) and \(2, 3, 3\)"):
        difference_sheet([(small, large)])
    with pytest.raises(UsageError, match="found 1 captions for 2 rows"):
        difference_sheet([(small, small)] * 2, captions=["one"])
    with pytest.raises(UsageError, match="at least one picture"):
        difference_sheet([])
