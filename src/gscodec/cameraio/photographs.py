"""Image files -> arrays as a render has them.

Pixels are taken in the order of the file: an EXIF orientation is ignored, as COLMAP does.
Colours with 16 bits a channel lose the lower eight (Pillow has no such mode); grey keeps them.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import numpy as np

from gscodec.cameraio.lens import undistorted
from gscodec.errors import SceneError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from numpy.typing import NDArray
    from PIL.Image import Image

    from gscodec.camera import Camera

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm")
_MOST_HEARD = 2000  # bytes
_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "PPM")


def photograph_size(file: IO[bytes], name: str = "<bytes>") -> tuple[int, int]:
    """Width and height, pixels; only the head of the file is read.

    Raises:
        SceneError: ``file`` is no image.
        UsageError: Pillow is not installed.
    """
    with _opened(file, name) as image:
        return image.size


def decode_photograph(
    file: IO[bytes],
    camera: Camera,
    background: tuple[float, float, float] = (0.0, 0.0, 0.0),
    name: str = "<bytes>",
) -> NDArray[np.float32]:
    """A photograph as ``camera`` would take it without distortion.

    Args:
        file: PNG, JPEG, WebP, TIFF, BMP or PPM; grey or colour, 8 or 16 bits.
        camera: Of the same size.
        background: Behind transparent pixels.
        name: The file's name, for errors.

    Returns:
        (H, W, 3), 0 to 1.

    Raises:
        SceneError: ``file`` is no image, damaged, or of another size.
        UsageError: Pillow is not installed, or scipy with a camera that has distortion.
    """
    with _opened(file, name) as image:
        if image.size != (camera.width, camera.height):
            raise SceneError(
                f"{name}: found {image.width} x {image.height} pixels, expected "
                f"{camera.width} x {camera.height}"
            )
        image.load()
        pixels = _pixels(image, background, name)
    return undistorted(pixels, camera) if any(camera.distortion) else pixels


@contextmanager
def _opened(file: IO[bytes], name: str) -> Iterator[Image]:
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError(
            "reading photographs needs pillow; pip install 'gscodec[render]'"
        ) from error
    said: list[str] = []
    try:
        with warnings.catch_warnings(), _libraries_heard(said):
            # Large photographs are fine, and what is odd about metadata is not ours.
            warnings.simplefilter("ignore")
            with Image.open(file, formats=_FORMATS) as image:
                yield image
    except (SceneError, UsageError, MemoryError):
        raise
    except Exception as error:  # decoders of damaged files raise whatever comes up
        reason = " ".join(f"{error} {' '.join(said)}".split()) or type(error).__name__
        raise SceneError(f"{name}: cannot be read as an image: {reason}") from error


@contextmanager
def _libraries_heard(said: list[str]) -> Iterator[None]:
    """Takes from file descriptor 2 what libtiff writes there by itself: lines for ``said``."""
    _flush()
    try:
        kept = os.dup(2)
    except OSError:  # stderr is closed, so nothing can be written there
        yield
        return
    with tempfile.TemporaryFile() as heard:
        try:
            os.dup2(heard.fileno(), 2)
            yield
        finally:
            _flush()
            os.dup2(kept, 2)
            os.close(kept)
            heard.seek(0)
            # A bar that moved meanwhile is no word of a library.
            lines = heard.read(_MOST_HEARD).decode("utf-8", "replace").splitlines()
            said.extend(line for line in lines if line.isprintable())


def _flush() -> None:
    """Of stderr, which may be closed or gone: nothing is lost by that here."""
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.flush()


def _pixels(
    image: Image, background: tuple[float, float, float], name: str
) -> NDArray[np.float32]:
    """(H, W, 3), 0 to 1."""
    if image.mode.startswith("I"):
        return _from_deep_grey(np.asarray(image), name)
    if image.mode == "F":
        raise SceneError(f"{name}: found floats, expected 8 or 16 bits a channel")
    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"), dtype=np.float32) / np.float32(255)
    colours = np.asarray(image.convert("RGBA"), dtype=np.float32) / np.float32(255)
    alpha = colours[..., 3:]
    behind = np.array(background, dtype=np.float32)
    result: NDArray[np.float32] = colours[..., :3] * alpha + behind * (1 - alpha)
    return result


def _from_deep_grey(grey: NDArray[np.integer], name: str) -> NDArray[np.float32]:
    if grey.min() < 0 or grey.max() > 65535:
        raise SceneError(f"{name}: found values {grey.min()} to {grey.max()}, expected 16 bits")
    values = grey.astype(np.float32) / np.float32(65535)
    return np.repeat(values[..., np.newaxis], 3, axis=2)
