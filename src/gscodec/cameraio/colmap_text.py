"""cameras.txt and images.txt of a COLMAP sparse model: words, one or two lines a record."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import numpy as np

from gscodec.cameraio.colmap_model import PARAMETERS, Image, Lens, assemble, check_model
from gscodec.errors import SceneError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gscodec.camera import Camera

_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # of editors and shells on Windows


def read_colmap_text(
    cameras: bytes, images: bytes, *, name: str = "<bytes>"
) -> tuple[Camera, ...]:
    """The views of a sparse model, sorted by the names of their photographs.

    Args:
        cameras: The file cameras.txt.
        images: The file images.txt.
        name: Of the folder, for errors.

    Raises:
        SceneError: A line is malformed, or there are no views.
        UnsupportedError: A lens is no pinhole with OpenCV's k1, k2, p1, p2.
    """
    return assemble(
        [_read_lens(line, place) for line, place in _lines(cameras, f"{name}/cameras.txt")],
        _read_images(images, f"{name}/images.txt"),
        name,
    )


def _lines(data: bytes, name: str) -> Iterator[tuple[str, str]]:
    """Lines that say something, and where they stand."""
    for line, place in _all_lines(data, name):
        if line and not line.startswith("#"):
            yield line, place


def _all_lines(data: bytes, name: str) -> Iterator[tuple[str, str]]:
    try:
        text = data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise SceneError(f"{name}: not text: {error}") from error
    for number, line in enumerate(text.split("\n"), start=1):
        yield line.strip(), f"{name}: line {number}"


def _read_lens(line: str, place: str) -> Lens:
    words = line.split()
    if len(words) < 4:
        raise SceneError(f"{place}: found {len(words)} words, expected a camera")
    identity, model, width, height, *parameters = words
    check_model(model, place)
    expected = PARAMETERS[model]
    if len(parameters) != len(expected):
        raise SceneError(
            f"{place}: found {len(parameters)} parameters, expected {len(expected)} for "
            f"{model}: {' '.join(expected)}"
        )
    return Lens(
        _whole(identity, place),
        model,
        _whole(width, place),
        _whole(height, place),
        [_number(word, place) for word in parameters],
    )


def _read_images(data: bytes, name: str) -> list[Image]:
    images = []
    lines = _all_lines(data, name)
    for line, place in lines:
        if not line or line.startswith("#"):
            continue
        images.append(_read_image(line, place))
        # The points of an image stand in the line after it, which may be empty.
        points, place_of_points = next(lines, ("", place))
        if len(points.split()) % 3:
            raise SceneError(
                f"{place_of_points}: expected the points of the image before, as X Y POINT3D_ID"
            )
    return images


def _read_image(line: str, place: str) -> Image:
    words = line.split(maxsplit=9)
    if len(words) != 10:
        raise SceneError(f"{place}: found {len(words)} words, expected 10 for an image")
    _, *pose, lens, name = words
    numbers = np.array([_number(word, place) for word in pose])
    return Image(place, numbers[:4], numbers[4:], _whole(lens, place), name)


def _whole(word: str, place: str) -> int:
    try:
        return int(word)
    except ValueError as error:
        raise SceneError(f"{place}: found {word[:20]!r}, expected a whole number") from error


def _number(word: str, place: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise SceneError(f"{place}: found {word[:20]!r}, expected a number") from error
