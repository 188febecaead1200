"""``gscodec inspect --map`` and ``--latents``: what is where in space, as a picture or a page."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gscodec.cli.session import Session
from gscodec.disk.files import STDIO, check_output, write_output
from gscodec.errors import UsageError
from gscodec.report.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gscodec.bitmap import BitMap

_PICTURE, _PAGE = ".png", ".html"


def check_maps(source: str, targets: Sequence[str], *, overwrite: bool) -> None:
    """Refuses maps that could not be written after the work.

    Raises:
        UsageError: Another suffix, the same file twice, the input, or no library to draw with.
        OutputError: One exists and ``overwrite`` is not set, or its folder is not there.
    """
    for target in targets:
        if _suffix(target) not in {_PICTURE, _PAGE}:
            raise UsageError(f"--map: found {printable(target)!r}, expected a .png or .html")
        check_output(source, target, overwrite=overwrite)
    if len({os.path.realpath(target) for target in targets}) < len(targets):
        raise UsageError(
            f"--map: found {printable(', '.join(targets))}, expected distinct files"
        )
    if any(_suffix(target) == _PICTURE for target in targets):
        _require_plots("--map")


def check_sheet(source: str, target: str, *, overwrite: bool) -> None:
    """The same for a picture of latents."""
    if _suffix(target) != _PICTURE:
        raise UsageError(f"--latents: found {printable(target)!r}, expected a .png")
    check_output(source, target, overwrite=overwrite)
    _require_plots("--latents")


def _require_plots(option: str) -> None:
    if find_spec("matplotlib") is None:
        raise UsageError(f"{option}: a .png needs matplotlib; pip install 'gscodec[report]'")


def write_maps(
    source: str, data: bytes, targets: Sequence[str], *, overwrite: bool, quiet: bool
) -> None:
    """Decodes ``data``, the file ``source``, and writes each of ``targets``.

    Raises:
        FormatError: The bytes are damaged.
        UnsupportedError: The file needs something that this version lacks.
        OutputError: The system refuses.
    """
    from gscodec.codec import bit_map
    from gscodec.container import inspect
    from gscodec.sceneio.comments import told_up

    name = _name(source)
    with Session(quiet=quiet) as session, redirect_stdout(sys.stderr):
        session.estimate.name = _name(source)
        found = bit_map(data, session.progress)
        session.progress("draw", 0.0)
        up = told_up(inspect(data).meta)
        pictures = [_drawn(target, found, name, up) for target in targets]
    for target, picture in zip(targets, pictures, strict=True):
        write_output(target, picture, overwrite=overwrite)


def write_sheet(source: str, data: bytes, target: str, *, overwrite: bool, quiet: bool) -> None:
    """Draws the latents of ``data``, the file ``source``; errors as `write_maps`.

    Raises:
        UsageError: Its method has none.
    """
    from gscodec.codec import latents
    from gscodec.container import inspect
    from gscodec.report.latent_sheet import latent_sheet_png
    from gscodec.sceneio.comments import told_up

    with Session(quiet=quiet) as session, redirect_stdout(sys.stderr):
        session.estimate.name = _name(source)
        found = latents(data, session.progress)
        session.progress("draw", 0.0)
        picture = latent_sheet_png(found, _name(source), told_up(inspect(data).meta))
    write_output(target, picture, overwrite=overwrite)


def _name(source: str) -> str:
    return "stdin" if source == STDIO else Path(source).name


def _drawn(
    target: str, found: BitMap, name: str, up: tuple[float, float, float] | None
) -> bytes:
    if _suffix(target) == _PAGE:
        from gscodec.report.bit_page import bit_map_html

        return bit_map_html(found, name, up)
    from gscodec.report.bit_plot import bit_map_png

    return bit_map_png(found, name, up)


def _suffix(target: str) -> str:
    return Path(target).suffix.lower()
